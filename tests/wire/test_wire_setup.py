"""Sensors, actuators and offline rules as the firmware wants them: what it must be told, nothing that it assumes."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.errors import Invalid
from growy.model.setup import (
    ActuatorKind,
    ActuatorSetup,
    OfflineRule,
    OperatingMode,
    SensorSetup,
    TimeFilter,
)
from growy.wire.limits import check_id, check_name, check_place_id
from growy.wire.setup import actuator_item, fingerprint, rule_item, sensor_item

AIR = SensorSetup(id="u1", gpio=68, sensor_type="sht31", name="Air bench A", i2c_address=68)
ROOT = SensorSetup(
    id="u2", gpio=4, sensor_type="ds18b20", name="Root zone", onewire_address="28FF641E8D3C0CDA"
)
VENT = ActuatorSetup(id="u3", gpio=18, kind=ActuatorKind.RELAY, name="Vent")


def test_a_sensor_as_it_comes_is_told_without_what_the_firmware_assumes() -> None:
    assert sensor_item(AIR) == {
        "gpio": 68,
        "sensor_type": "sht31",
        "sensor_name": "Air bench A",
        "i2c_address": 68,
    }
    assert sensor_item(ROOT) == {
        "gpio": 4,
        "sensor_type": "ds18b20",
        "sensor_name": "Root zone",
        "onewire_address": "28FF641E8D3C0CDA",
    }


def test_what_differs_from_the_defaults_of_the_firmware_is_told() -> None:
    soil = SensorSetup(
        id="u",
        gpio=34,
        sensor_type="moisture",
        name="Beet",
        subzone_id="bench_a",
        interval_s=61,
        operating_mode=OperatingMode.ON_DEMAND,
    )

    assert sensor_item(soil) == {
        "gpio": 34,
        "sensor_type": "moisture",
        "sensor_name": "Beet",
        "subzone_id": "bench_a",
        "operating_mode": "on_demand",
        "measurement_interval_seconds": 61,
    }


@pytest.mark.parametrize("sensor", [AIR, ROOT])
def test_a_sensor_is_removed_by_all_that_identifies_it(sensor: SensorSetup) -> None:
    assert sensor_item(sensor, active=False) == sensor_item(sensor) | {"active": False}


def test_a_disabled_sensor_is_removed_from_the_device_unless_asked_otherwise() -> None:
    disabled = msgspec.structs.replace(AIR, enabled=False)

    assert sensor_item(disabled)["active"] is False
    assert sensor_item(disabled, active=True) == sensor_item(AIR)


def test_an_actuator_as_it_comes() -> None:
    assert actuator_item(VENT) == {"gpio": 18, "actuator_type": "relay", "actuator_name": "Vent"}


def test_an_actuator_with_everything() -> None:
    valve = ActuatorSetup(
        id="u",
        gpio=25,
        kind=ActuatorKind.VALVE,
        name="Mixer",
        aux_gpio=27,
        subzone_id="bench_a",
        critical=True,
        inverted_logic=True,
        default_state=True,
        default_pwm=128,
        max_runtime_s=90,
        cooldown_s=600,
    )

    assert actuator_item(valve) == {
        "gpio": 25,
        "actuator_type": "valve",
        "actuator_name": "Mixer",
        "aux_gpio": 27,
        "subzone_id": "bench_a",
        "critical": True,
        "inverted_logic": True,
        "default_state": True,
        "default_pwm": 128,
        "max_runtime_ms": 90_000,
    }
    assert actuator_item(valve, active=False) == {
        "gpio": 25,
        "actuator_type": "valve",
        "actuator_name": "Mixer",
        "aux_gpio": 27,
        "active": False,
    }


@pytest.mark.parametrize("runtime", [None, 3600])
def test_the_running_time_of_the_firmware_is_not_repeated(runtime: int | None) -> None:
    assert "max_runtime_ms" not in actuator_item(msgspec.structs.replace(VENT, max_runtime_s=runtime))


def test_a_rule_of_hysteresis() -> None:
    cooling = OfflineRule(
        actuator_gpio=18,
        sensor_gpio=68,
        sensor_value_type="sht31_temp",
        activate_above=28.0,
        deactivate_below=24.0,
        current_state_active=False,
    )

    assert rule_item(cooling) == {
        "actuator_gpio": 18,
        "sensor_gpio": 68,
        "sensor_value_type": "sht31_temp",
        "activate_above": 28.0,
        "deactivate_below": 24.0,
        "current_state_active": False,
    }


def test_a_rule_of_a_time_window() -> None:
    light = OfflineRule(
        actuator_gpio=19,
        sensor_value_type="__twindow_on",
        time_filter=TimeFilter(start_hour=22, end_hour=6, days_of_week_mask=62, timezone="Europe/Berlin"),
    )

    assert rule_item(light) == {
        "actuator_gpio": 19,
        "sensor_value_type": "__twindow_on",
        "time_filter": {
            "enabled": True,
            "start_hour": 22,
            "start_minute": 0,
            "end_hour": 6,
            "end_minute": 0,
            "days_of_week_mask": 62,
            "timezone": "Europe/Berlin",
        },
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def shuffled(value: object) -> object:
    if isinstance(value, dict):
        return {key: shuffled(inner) for key, inner in reversed(value.items())}
    return [shuffled(inner) for inner in value] if isinstance(value, list) else value


@given(VALUES)
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(value: object) -> None:
    assert fingerprint(shuffled(value)) == fingerprint(value)


@given(VALUES, VALUES)
def test_different_values_have_different_fingerprints(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (fingerprint(one) == fingerprint(other)) is same


def test_a_fingerprint_is_the_same_in_the_next_version_of_growyd() -> None:
    assert fingerprint(sensor_item(AIR)) == "ab5673219f2554bd"


@pytest.mark.parametrize("name", ["", "Zelt 3, Süd – links °C", "トマト", "a" * 64, "ü" * 32, "it's"])
def test_a_name_of_any_language_is_taken(name: str) -> None:
    assert check_name("name", name) == name


@pytest.mark.parametrize(
    "name", ['say "hi"', "back\\slash", "two\nlines", "nul\0", "\x7f", "\ud800", "a" * 65, "ü" * 33]
)
def test_a_name_that_the_device_cannot_echo_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        check_name("name", name)


@pytest.mark.parametrize("text", ["c-0192", "rule:12", "A.b_c", "x" * 63])
def test_an_id_that_the_device_can_echo(text: str) -> None:
    assert check_id(text) == text


@pytest.mark.parametrize("text", ["", "x" * 64, "a b", "ü", 'a"b', "a/b", "a\n"])
def test_an_id_that_the_device_would_cut_or_garble_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        check_id(text)


@pytest.mark.parametrize("text", ["", "x" * 33, "green house", "ü", "a.b", "a\n"])
def test_a_place_id_that_the_device_refuses_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="zone id"):
        check_place_id("zone id", text)
