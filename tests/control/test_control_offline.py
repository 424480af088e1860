"""What a device can run by itself: only what it would do as growyd does; and for all else it is said why not."""

from __future__ import annotations

import attrs
import msgspec
import pytest
from forms_rig import ESP, FAN, HOT, OTHER, read, without
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import boards
from rule_strategies import CONDITIONS

from growy.control.rules.forms_written import write_condition
from growy.control.rules.offline import COVERED_LEASE_S, Derived, offline_rules
from growy.fleet.admission import admit_rules
from growy.model.rules import Rule
from growy.model.setup import (
    ActuatorKind,
    ActuatorSetup,
    OfflineRule,
    OperatingMode,
    SensorSetup,
    TimeFilter,
)
from growy.sim import actuators as outputs
from growy.sim import offline_rules as firmware
from growy.sim.board import Board, CachedValue
from growy.wire.setup import rule_item

AIR = SensorSetup(id="air", gpio=68, sensor_type="sht31", name="Air", i2c_address=68)
ROOT = SensorSetup(id="root", gpio=4, sensor_type="ds18b20", name="Root", onewire_address="28FF641E8D3C0CDA")
SOIL = SensorSetup(id="soil", gpio=34, sensor_type="moisture", name="Soil")
BARO = SensorSetup(id="baro", gpio=118, sensor_type="bmp280", name="Baro", i2c_address=118)
LEVEL = SensorSetup(id="level", gpio=35, sensor_type="level", name="Level")
SENSORS = (AIR, ROOT, SOIL, BARO, LEVEL)
VENT = ActuatorSetup(id="vent", gpio=18, kind=ActuatorKind.RELAY, name="Vent")
HEATER = ActuatorSetup(id="heater", gpio=19, kind=ActuatorKind.RELAY, name="Heater")
DIMMER = ActuatorSetup(id="dimmer", gpio=25, kind=ActuatorKind.PWM, name="Dimmer")
DOSER = ActuatorSetup(
    id="doser", gpio=26, kind=ActuatorKind.PUMP, name="Doser", dose_ml_per_s=1.0, dose_budget_ml=50.0
)
FLAP = ActuatorSetup(id="flap", gpio=32, kind=ActuatorKind.VALVE, name="Flap")
ACTUATORS = (VENT, HEATER, DIMMER, DOSER, FLAP)

COOL = {
    **without(HOT, "operator", "value"),
    "type": "hysteresis",
    "activate_above": 28,
    "deactivate_below": 24,
}
DAY = {"type": "time", "start_hour": 8, "start_minute": 30, "end_hour": 20, "timezone": "Europe/Berlin"}
OFF = {**FAN, "command": "OFF"}


def rule(conditions: object, *actions: object, name: str = "Vent it", **more: object) -> Rule:
    return read({"name": name, "conditions": conditions, "actions": list(actions) or [FAN], **more}, id=name)


def derive(
    *rules: Rule,
    sensors: tuple[SensorSetup, ...] = SENSORS,
    actuators: tuple[ActuatorSetup, ...] = ACTUATORS,
    latched: bool | None = None,
) -> Derived:
    derived = offline_rules(
        rules, esp_id=ESP, sensors=sensors, actuators=actuators, latched=lambda rule_id: latched
    )
    assert admit_rules(sensors, actuators, derived.rules).warnings == ()
    return derived


def only(*rules: Rule, **more: object) -> OfflineRule:
    derived = derive(*rules, **more)  # type: ignore[arg-type]
    assert derived.notes == {}
    (found,) = derived.rules
    assert derived.of == (rules[0].id,)
    return found


def why_not(*rules: Rule, of: str = "Vent it", **more: object) -> str:
    derived = derive(*rules, **more)  # type: ignore[arg-type]
    assert of not in derived.of
    (note,) = derived.notes[of]
    assert note.startswith(f"{ESP} does not run {of!r} by itself: ")
    return note.partition("by itself: ")[2]


# --- what a device can run ----------------------------------------------------------------------------------------


def test_a_hysteresis() -> None:
    assert only(rule(COOL)) == OfflineRule(
        actuator_gpio=18,
        sensor_gpio=68,
        sensor_value_type="sht31_temp",
        activate_above=28.0,
        deactivate_below=24.0,
    )
    heat = without(COOL, "activate_above", "deactivate_below", activate_below=-2, deactivate_above=0)
    assert only(rule(heat)) == OfflineRule(
        actuator_gpio=18,
        sensor_gpio=68,
        sensor_value_type="sht31_temp",
        activate_below=-2.0,
        deactivate_above=0.0,
    )


@pytest.mark.parametrize(
    ("said", "on", "off"),
    [
        ({}, 28.0, 26.0),
        ({"operator": ">="}, 28.0, 26.0),
        ({"sensor_type": "temperature_sht31"}, 28.0, 26.0),
        ({"sensor_type": "sht31_humidity", "value": 80}, 80.0, 75.0),
        ({"gpio": 4, "sensor_type": "ds18b20"}, 28.0, 26.0),
        ({"gpio": 4, "sensor_type": None, "address": "28ff641e8d3c0cda"}, 28.0, 26.0),
        ({"value": 0}, 0.0, -2.0),
        ({"value": 2}, 2.0, 0.0),
    ],
)
def test_a_threshold_gets_a_dead_band(said: dict[str, object], on: float, off: float) -> None:
    above = only(rule({**HOT, **said}))
    assert (above.activate_above, above.deactivate_below) == (on, off)
    assert (above.activate_below, above.deactivate_above) == (0.0, 0.0)

    below = only(rule({**HOT, **said, "operator": "<"}))
    assert (below.activate_below, below.deactivate_above) == (on, on + (on - off))


def test_a_time_window_beside_the_sensor() -> None:
    found = only(rule([COOL, {**DAY, "days_of_week": [0, 6]}]))

    assert found.activate_above == 28.0
    assert found.time_filter == TimeFilter(
        start_hour=8,
        start_minute=30,
        end_hour=20,
        days_of_week_mask=0b0000011,  # Sunday is bit 0, Monday bit 1
        timezone="Europe/Berlin",
    )


def test_a_time_window_alone() -> None:
    night = {"type": "time", "start_hour": 22, "end_hour": 6}

    assert only(rule(night)) == OfflineRule(
        actuator_gpio=18,
        sensor_gpio=255,
        sensor_value_type="__twindow_on",
        time_filter=TimeFilter(start_hour=22, end_hour=6),
    )


@pytest.mark.parametrize(
    ("light", "start", "end"),
    [
        ({"on_hour": 6, "light_hours": 12}, (6, 0), (18, 0)),
        ({"on_time": "20:15", "light_hours": 12}, (20, 15), (8, 15)),
        ({"on_hour": 6, "light_hours": 18}, (6, 0), (24, 0)),
        ({"on_hour": 6, "light_hours": 24}, (0, 0), (24, 0)),
    ],
)
def test_a_photoperiod(light: dict[str, object], start: tuple[int, int], end: tuple[int, int]) -> None:
    found = only(rule({"type": "always"}, {"type": "photoperiod", "esp_id": ESP, "gpio": 18, **light}))

    assert found.sensor_value_type == "__twindow_on"
    assert found.time_filter == TimeFilter(
        start_hour=start[0], start_minute=start[1], end_hour=end[0], end_minute=end[1]
    )


def test_what_is_always_on() -> None:
    assert only(rule({"type": "always"})).time_filter == TimeFilter(start_hour=0, end_hour=24)


def test_notifications_beside_it_do_not_matter() -> None:
    assert only(
        rule(COOL, {"type": "notification", "channel": "websocket", "message": "Hot"}, FAN)
    ).activate_above


def test_a_motor_valve_that_opens_fully() -> None:
    assert only(rule(COOL, {**FAN, "gpio": 32})).actuator_gpio == 32


def test_the_state_of_a_latch_is_told_only_if_somebody_wants_it() -> None:
    assert only(rule(COOL)).current_state_active is None
    assert only(rule(COOL), latched=True).current_state_active is True


def test_the_calibration_that_the_device_does_not_know_is_mentioned() -> None:
    air = msgspec.structs.replace(AIR, calibrations={"sht31_temp": "{}"})
    derived = derive(rule(COOL), sensors=(air,))

    assert derived.of == ("Vent it",)
    assert derived.notes == {"Vent it": (f"{ESP} runs 'Vent it' by itself without the calibration of 'Air'",)}


def test_two_actuators_of_one_rule() -> None:
    derived = derive(rule(COOL, FAN, {**FAN, "gpio": 19}))

    assert [each.actuator_gpio for each in derived.rules] == [18, 19]
    assert derived.of == ("Vent it", "Vent it")


def test_rules_of_other_devices_are_none_of_its_business() -> None:
    assert derive(rule(COOL, {**FAN, "esp_id": OTHER})) == Derived()
    assert derive(rule(COOL, OFF)) == Derived()
    assert derive(rule(COOL, enabled=False)) == Derived()


# --- what it cannot run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({**HOT, "gpio": 34, "sensor_type": "moisture"}, "of 'Soil' (moisture) it knows only counts"),
        ({**HOT, "gpio": 118, "sensor_type": "bmp280_temp"}, "of 'Baro' (bmp280) it knows only counts"),
        ({**HOT, "gpio": 35, "sensor_type": "level"}, "of 'Level' (level) it knows only counts"),
        ({**HOT, "esp_id": OTHER}, f"its sensor is on {OTHER}"),
        ({**HOT, "gpio": 5}, "no sensor is set up on its gpio 5"),
        (
            {**HOT, "sensor_type": None},
            "'Air' has sht31_temp and sht31_humidity, and the rule means one of them",
        ),
        ({**HOT, "sensor_type": "ds18b20"}, "and the rule means ds18b20"),
        ({**HOT, "i2c_address": 69}, "the sensor on its gpio 68 is not 69"),
        ({**HOT, "zone_id": "tent"}, "it does not know zones"),
        ({**HOT, "operator": "=="}, "it knows only more and less"),
        ({**HOT, "operator": "between", "min": 1, "max": 2}, "it knows only a threshold or a hysteresis"),
        ({**HOT, "for": 60}, "it knows only a threshold or a hysteresis"),
        ({"type": "not", "condition": HOT}, "it knows only a threshold or a hysteresis"),
        ({"logic": "OR", "conditions": [HOT, DAY]}, "it knows only a threshold or a hysteresis"),
        ([COOL, {**HOT, "gpio": 4, "sensor_type": "ds18b20"}], "it can look at one sensor only"),
        ([COOL, DAY, {**DAY, "end_hour": 12}], "it can have one time window only"),
        ([COOL, {**DAY, "timezone": "America/Lima"}], "it does not know the time zone America/Lima"),
        (
            {"type": "time", "start_hour": 22, "end_hour": 6, "days_of_week": [4]},
            "it would take a window over midnight on some days for other nights",
        ),
    ],
)
def test_a_condition_that_it_cannot_judge(conditions: object, reason: str) -> None:
    assert reason in why_not(rule(conditions))


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ({**FAN, "duration": 60}, "it cannot switch on for a time only"),
        ({**FAN, "command": "TOGGLE"}, "it cannot toggle"),
        ({**FAN, "gpio": 25}, "'Dimmer' is a pwm"),
        ({**FAN, "command": "PWM", "value": 0.4}, "it can only switch 'Vent' fully on"),
        ({**FAN, "gpio": 32, "value": 0.5}, "it can only switch 'Flap' fully on"),
        ({**FAN, "gpio": 26}, "'Doser' has a limit for the day"),
        ({**FAN, "gpio": 33}, "no actuator is set up on its gpio 33"),
        ({"type": "sequence", "steps": [{"action": FAN}]}, "it has no sequences"),
        (
            {
                "type": "pid",
                "esp_id": ESP,
                "gpio": 18,
                "sensor": {"esp_id": ESP, "gpio": 4},
                "set_point": 22,
                "kp": 0.1,
            },
            "it has no control loops",
        ),
        (
            {"type": "photoperiod", "esp_id": ESP, "gpio": 18, "on_hour": 6, "light_hours": 12},
            "its light depends on more than the time",
        ),
    ],
)
def test_an_action_that_it_cannot_do(action: dict[str, object], reason: str) -> None:
    assert reason in why_not(rule(COOL, action))


def test_what_comes_after_a_delay() -> None:
    assert why_not(rule(COOL, {"type": "delay", "seconds": 5}, FAN)) == "it acts after a delay"
    assert only(rule(COOL, FAN, {"type": "delay", "seconds": 5}))


def test_sensors_and_actuators_that_are_not_there() -> None:
    off = msgspec.structs.replace(AIR, enabled=False)
    asleep = msgspec.structs.replace(AIR, operating_mode=OperatingMode.ON_DEMAND)
    second = msgspec.structs.replace(ROOT, id="root2", onewire_address="28AA641E8D3C0C00")
    root = {**HOT, "gpio": 4, "sensor_type": "ds18b20", "address": ROOT.onewire_address}

    assert "no sensor is set up" in why_not(rule(COOL), sensors=(off,))
    assert "'Air' measures only when growyd asks" in why_not(rule(COOL), sensors=(asleep,))
    assert "it cannot tell the 2 sensors on gpio 4 apart" in why_not(rule(root), sensors=(ROOT, second))
    assert "no actuator is set up" in why_not(
        rule(COOL), actuators=(msgspec.structs.replace(VENT, enabled=False),)
    )


# --- what other rules have to say ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "veto",
    [
        {"priority": 10},
        {"priority": 50},
        {"priority": 90, "is_critical": True},
    ],
)
def test_a_rule_that_may_want_it_off_is_not_known_to_the_device(veto: dict[str, object]) -> None:
    door = {**HOT, "esp_id": OTHER, "sensor_type": "door"}
    guard = rule(door, OFF, name="Door is open", **veto)

    assert why_not(rule(COOL), guard) == "'Door is open' may want ESP_0A1B2C:18 off, which it does not know"


def test_a_rule_that_comes_later_does_not_keep_the_device_from_it() -> None:
    later = rule({**HOT, "esp_id": OTHER}, OFF, name="Later", priority=60)

    assert derive(rule(COOL), later).of == ("Vent it",)


def test_a_rule_that_only_switches_off_outside_the_band_does_not_either() -> None:
    enough = rule({**HOT, "operator": "<", "value": 24}, OFF, name="Enough")

    assert derive(rule(COOL), enough).of == ("Vent it",)


def test_a_light_that_goes_first_keeps_it_dark_and_a_control_loop_has_its_stand_in() -> None:
    light = {"type": "photoperiod", "esp_id": ESP, "gpio": 18, "on_hour": 6, "light_hours": 12}
    lamp = rule({"type": "always"}, {**light, "timezone": "America/Lima"}, name="Lamp", priority=10)
    loop = {**without(light, "on_hour", "light_hours"), "type": "pid", "set_point": 22, "kp": 0.1}
    heat = rule({"type": "always"}, {**loop, "sensor": {"esp_id": ESP, "gpio": 4}}, name="Heat", priority=10)

    assert "'Lamp' may want" in why_not(rule(COOL), lamp)
    assert derive(rule(COOL), heat).of == ("Vent it",)


def test_of_several_rules_for_one_actuator_the_first_is_taken() -> None:
    second = rule(DAY, name="By day", priority=60)
    derived = derive(second, rule(COOL))

    assert derived.of == ("Vent it",)
    assert "another rule for gpio 18 goes first" in derived.notes["By day"][0]


def test_a_critical_rule_goes_first() -> None:
    second = rule(DAY, name="By day", priority=60, is_critical=True)

    assert derive(rule(COOL), second).of == ("By day",)


def test_a_device_takes_eight_rules_those_that_go_first() -> None:
    pins = (5, 14, 16, 17, 18, 19, 23, 25, 26, 27)
    relays = tuple(msgspec.structs.replace(VENT, id=str(pin), gpio=pin) for pin in pins)
    rules = [rule(COOL, {**FAN, "gpio": pin}, name=f"Rule {pin}", priority=100 - pin) for pin in pins]
    derived = derive(*rules, actuators=relays)

    assert derived.of == tuple(f"Rule {pin}" for pin in reversed(pins[2:]))
    assert set(derived.notes) == {"Rule 5", "Rule 14"}
    assert "it has 8 rules already" in derived.notes["Rule 5"][0]


# --- whatever people write ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            CONDITIONS.map(write_condition) | st.sampled_from([HOT, COOL, DAY]),
            st.sampled_from([18, 19, 25, 32]),
            st.sampled_from(["ON", "OFF", "PWM"]),
            st.integers(1, 3),
        ),
        max_size=6,
    )
)
def test_what_is_derived_is_admitted(wishes: list[tuple[dict[str, object], int, str, int]]) -> None:
    rules = [
        rule(said, {**FAN, "gpio": pin, "command": command}, name=f"Rule {number}", priority=priority)
        for number, (said, pin, command, priority) in enumerate(wishes)
    ]
    derived = derive(*rules)

    assert len(derived.rules) == len(derived.of) == len({each.actuator_gpio for each in derived.rules})
    switching_on = {one.id for one, (_, _, command, _) in zip(rules, wishes, strict=True) if command != "OFF"}
    assert switching_on == set(derived.of) | {
        rule_id for rule_id, notes in derived.notes.items() if rule_id not in derived.of and notes
    }


# --- on the device ------------------------------------------------------------------------------------------------

HEAT = without(COOL, "activate_above", "deactivate_below", activate_below=18, deactivate_above=22)
GRACE_S = 30
"""After so long without its Pi the device's rules take over."""


def alone(lease_s: int, value: float) -> list[bool]:
    """Whether a heater is on, every 5 s from the loss of the Pi; it was switched on just before."""
    derived = derive(rule(HEAT))
    on: Board = boards.configured(rules=[rule_item(each) for each in derived.rules])
    command = f'{{"command":"ON","duration":{lease_s}}}'.encode()
    on, _ = outputs.execute(on, "18", command, boards.intent(), boards.ctx(100))
    states = []
    for second in range(100, 400, 5):
        at = boards.ctx(second)
        on, _ = outputs.tick(on, at)
        on = attrs.evolve(on, values={(68, "sht31_temp"): CachedValue(value=value, at_ms=second * 1000)})
        if second == 100 + GRACE_S:
            on, _ = firmware.activate(on, at)
        if second >= 100 + GRACE_S:
            on, _ = firmware.evaluate(on, at)
        heater = on.actuator(18)
        assert heater is not None
        states.append(heater.on)
    return states


def test_a_heater_that_is_left_alone_goes_on_heating_by_its_rule() -> None:
    states = alone(COVERED_LEASE_S, 17.0)

    assert states[-1]
    assert states.count(False) * 5 <= 30


def test_a_lease_that_outlives_the_grace_would_leave_the_heater_off_for_good() -> None:
    assert COVERED_LEASE_S < GRACE_S
    assert not alone(90, 17.0)[-1]


def test_a_heater_that_is_left_alone_stops_when_it_is_warm() -> None:
    assert not alone(COVERED_LEASE_S, 23.0)[-1]
