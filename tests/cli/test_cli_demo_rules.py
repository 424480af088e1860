"""What the demo tells growyd to do: rules that growyd takes, for actuators that the simulated devices have."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import attrs
import pytest
from click.testing import CliRunner

from growy.cli import main
from growy.cli.demo_rules import fittings, rules, setups
from growy.control.rules import forms
from growy.model.rules import Photoperiod, Pid, Rule, Switch
from growy.sim.greenhouse import Role
from growy.sim.spec import EspSpec, default_fleet

NOW = datetime(2026, 7, 1, 23, 40, tzinfo=ZoneInfo("Europe/Berlin"))
FLEET = default_fleet(12)


def read(specs: list[EspSpec] = FLEET, interval_s: float = 1.0) -> list[Rule]:
    return [
        forms.read_rule(document, id=str(number), now_ms=0, resolve=lambda _: None, webhooks=())
        for number, document in enumerate(rules(specs, interval_s, NOW))
    ]


def actuator_of(rule: Rule) -> tuple[str, int]:
    (action,) = rule.actions
    assert isinstance(action, Switch | Pid | Photoperiod)
    return tuple(action.actuator)


def test_there_is_one_rule_for_each_actuator_that_moves_a_greenhouse():
    ruled = [actuator_of(rule) for rule in read()]

    assert sorted(ruled) == sorted((spec.esp_id, gpio) for spec in FLEET for gpio in spec.plant)
    assert {type(rule.actions[0]) for rule in read()} == {Switch, Pid, Photoperiod}


def test_no_two_rules_have_the_same_name():
    names = [rule.name for rule in read()]

    assert len(set(names)) == len(names)
    assert "Bench B: keep warm" in names
    assert "Bench B 2: keep warm" in names


def test_rules_are_by_sensors_of_the_same_greenhouse_the_device_s_own_first():
    for one in fittings(FLEET):
        assert one.sensor in one.sensor_of.sensors
        assert one.sensor_of.zone_id == one.spec.zone_id
        assert one.sensor_of is one.spec, "each of the default fleet has its own"

    heater = attrs.evolve(FLEET[2], sensors=())
    (one, *_) = fittings([heater, FLEET[1]])
    assert (one.role, one.sensor_of) == (Role.HEATER, FLEET[1])
    assert fittings([heater, FLEET[7]]) == fittings([FLEET[7]]), "a sensor of another greenhouse is no sensor"


def test_values_grow_stale_after_some_intervals_but_not_at_once():
    assert {rule.condition.max_age_s for rule in read(interval_s=0.1)} == {5.0}
    assert {rule.condition.max_age_s for rule in read(interval_s=30.0)} == {150.0}


def test_the_day_of_the_lamps_has_begun():
    (lamp, _) = (rule.actions[0] for rule in read() if isinstance(rule.actions[0], Photoperiod))

    assert (lamp.timezone, lamp.on_min, lamp.light_min) == ("UTC", 20 * 60 + 40, 16 * 60)


@pytest.mark.parametrize("esps", [1, 2, 6])
def test_actuators_are_set_up_as_they_stand_in_the_flash(esps: int):
    found = list(setups(default_fleet(esps)))

    assert [(esp_id, one.gpio) for esp_id, one in found] == [
        (spec.esp_id, config.gpio) for spec in default_fleet(esps) for config in spec.actuators
    ]
    assert found == list(setups(default_fleet(esps))), "the same again, for a database that is kept"
    assert len({one.id for _, one in found}) == len(found)


def test_a_sensor_that_the_demo_has_not_cannot_be_unplugged():
    result = CliRunner().invoke(main, ["demo", "--esps", "2", "--unplug", "ESP_00A003:68@1s"])

    assert result.exit_code == 2
    assert "no device ESP_00A003: ESP_00A001 to ESP_00A002" in result.output


def test_a_greenhouse_of_one_device_has_no_rules():
    assert rules(default_fleet(1), 1.0, datetime.now(UTC)) == []
