"""The gate: what it refuses, in which order, and that OFF always passes."""

from __future__ import annotations

import math

import attrs
import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from growy.control import ledger
from growy.control.interlocks import CERTAINLY_OFF, Bond, Known
from growy.control.ledger import Account, Day
from growy.control.safety import Facts, Request, check, hears
from growy.model.control import (
    ActuatorKey,
    DeviceView,
    Interlock,
    InterlockKind,
    Refusal,
    RefusalCode,
    Stop,
)
from growy.model.messages import Generation
from growy.model.setup import ActuatorKind, ActuatorSetup, SensorSetup
from growy.model.time import Moment

ESP = "ESP_00000A"
HEATER, FAN, OTHER = ActuatorKey(ESP, 16), ActuatorKey(ESP, 17), ActuatorKey("ESP_00000B", 16)
NOW = Moment(1000.0, 1_780_000_000_000)
DAY = Day("2026-05-28", NOW.wall_ms + 3_600_000)
HEATER_SETUP = ActuatorSetup(
    id="h", gpio=16, kind=ActuatorKind.RELAY, name="Heater", cooldown_s=60, max_runtime_s=600
)
FAN_SETUP = ActuatorSetup(id="f", gpio=17, kind=ActuatorKind.PWM, name="Fan", min_value=0.2, max_value=0.9)
VIEW = DeviceView(
    esp_id=ESP,
    kaiser_id="god",
    approved=True,
    online=True,
    ready=True,
    generation=Generation.APR_2026,
    actuators=(HEATER_SETUP, FAN_SETUP),
    applied=frozenset({16, 17}),
)


def off_for(seconds: float, setup: ActuatorSetup = HEATER_SETUP) -> Account:
    began = Moment(NOW.clock - seconds, NOW.wall_ms - round(seconds * 1000))
    return ledger.opened(None, setup, began, DAY, 0.0)


def on_for(seconds: float, setup: ActuatorSetup = HEATER_SETUP) -> Account:
    began = Moment(NOW.clock - seconds, NOW.wall_ms - round(seconds * 1000))
    return ledger.switched(ledger.opened(None, setup, began, DAY, 0.0), 1.0, setup, began, DAY, 3600.0)


GOOD = Facts(moment=NOW, day=DAY, account=off_for(5000), max_runtime_s=3600.0, device=VIEW)


def asked(
    value: float = 1.0, actuator: ActuatorKey = HEATER, *, basis_good: bool = True, **facts: object
) -> Refusal | None:
    return check(Request(actuator, value, basis_good), attrs.evolve(GOOD, **facts))  # type: ignore[arg-type]


def view(**changes: object) -> DeviceView:
    return attrs.evolve(VIEW, **changes)  # type: ignore[arg-type]


def with_setup(setup: ActuatorSetup, **changes: object) -> DeviceView:
    return view(actuators=(setup, FAN_SETUP), **changes)


def refused(code: RefusalCode, refusal: Refusal | None) -> Refusal:
    assert refusal is not None
    assert refusal.code is code
    assert refusal.message
    assert refusal.cure
    return refusal


def test_what_nothing_speaks_against_passes():
    assert asked() is None
    assert asked(0.5, FAN) is None


# --- emergency stops ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stop", [Stop(id="s"), Stop(id="s", esp_id=ESP), Stop(id="s", esp_id=ESP, gpio=16, reason="smoke")]
)
def test_under_a_stop_that_covers_it_nothing_goes_on(stop: Stop):
    refusal = refused(RefusalCode.EMERGENCY_STOP_ACTIVE, asked(stops=(Stop(id="x", esp_id="ESP_FF"), stop)))
    assert stop.reason in refusal.message
    assert refusal.again_at == math.inf


@pytest.mark.parametrize("stop", [Stop(id="s", esp_id="ESP_00000B"), Stop(id="s", esp_id=ESP, gpio=17)])
def test_a_stop_of_something_else_stops_nothing_here(stop: Stop):
    assert asked(stops=(stop,)) is None


def test_a_device_that_says_it_is_in_an_emergency_stop_gets_no_on():
    assert ESP in refused(RefusalCode.EMERGENCY_STOP_ACTIVE, asked(latched=True)).cure


# --- the device -----------------------------------------------------------------------------------------------------


def test_a_device_that_there_is_not_is_not_approved():
    refused(RefusalCode.DEVICE_NOT_APPROVED, asked(device=None))
    refused(RefusalCode.DEVICE_NOT_APPROVED, asked(device=view(approved=False)))


def test_a_device_that_is_not_there_is_named():
    assert ESP in refused(RefusalCode.DEVICE_OFFLINE, asked(device=view(online=False))).message


def test_a_device_that_does_not_hear_yet_is_asked_again_when_it_does():
    connecting = view(ready=False, ready_at=NOW.clock + 3)
    assert refused(RefusalCode.DEVICE_OFFLINE, asked(device=connecting)).again_at == NOW.clock + 3
    assert not hears(connecting, NOW.clock)
    assert hears(connecting, NOW.clock + 3)
    assert asked(device=view(ready=False, ready_at=NOW.clock)) is None
    assert not hears(view(online=False, ready=True), NOW.clock)


# --- the setup ------------------------------------------------------------------------------------------------------


def test_an_actuator_that_is_not_set_up_is_not_switched():
    assert "20" in refused(RefusalCode.ACTUATOR_NOT_CONFIGURED, asked(actuator=ActuatorKey(ESP, 20))).message


def test_an_actuator_that_its_device_has_not_confirmed_is_not_switched():
    refused(RefusalCode.ACTUATOR_NOT_CONFIGURED, asked(device=view(applied=frozenset({17}))))


def test_a_disabled_actuator_is_called_that_whether_the_device_has_it_or_not():
    disabled = with_setup(msgspec.structs.replace(HEATER_SETUP, enabled=False))
    refused(RefusalCode.ACTUATOR_DISABLED, asked(device=disabled))
    refused(RefusalCode.ACTUATOR_DISABLED, asked(device=attrs.evolve(disabled, applied=frozenset())))


@pytest.mark.parametrize("value", [-0.1, 1.001, math.nan, math.inf, -math.inf])
def test_an_output_is_a_number_from_0_to_1(value: float):
    refused(RefusalCode.PWM_OUT_OF_RANGE, asked(value))
    refused(RefusalCode.PWM_OUT_OF_RANGE, asked(value, FAN))


@pytest.mark.parametrize(
    ("value", "passes"), [(0.19, False), (0.2, True), (0.9, True), (0.91, False), (0.0, True)]
)
def test_a_pwm_has_limits_of_its_own_and_may_always_be_off(value: float, passes: bool):
    refusal = asked(value, FAN)
    assert (refusal is None) is passes
    if refusal is not None:
        refused(RefusalCode.VALUE_OUT_OF_LIMITS, refusal)


def test_the_limits_of_a_pwm_mean_nothing_for_a_relay():
    assert asked(1.0, device=with_setup(msgspec.structs.replace(HEATER_SETUP, max_value=0.5))) is None


def test_an_actuator_shares_its_pins_with_no_other():
    valve = ActuatorSetup(id="v", gpio=15, kind=ActuatorKind.VALVE, name="Valve")
    clash = view(actuators=(HEATER_SETUP, FAN_SETUP, valve), applied=frozenset({15, 16, 17}))
    assert "Valve" in refused(RefusalCode.GPIO_CONFLICT, asked(device=clash)).message
    assert (
        "Heater" in refused(RefusalCode.GPIO_CONFLICT, asked(1.0, ActuatorKey(ESP, 15), device=clash)).message
    )
    free = msgspec.structs.replace(valve, enabled=False)
    assert asked(device=attrs.evolve(clash, actuators=(HEATER_SETUP, FAN_SETUP, free))) is None


def test_an_actuator_shares_its_pin_with_no_sensor_but_an_i2c_label_is_no_pin():
    def sensor(**changes: object) -> SensorSetup:
        made = SensorSetup(id="s", gpio=16, sensor_type="moisture", name="Soil")
        return msgspec.structs.replace(made, **changes)

    assert "Soil" in refused(RefusalCode.GPIO_CONFLICT, asked(device=view(sensors=(sensor(),)))).message
    assert asked(device=view(sensors=(sensor(enabled=False),))) is None
    assert asked(device=view(sensors=(sensor(sensor_type="sht31", i2c_address=0x44),))) is None


# --- interlocks -----------------------------------------------------------------------------------------------------


def bond(kind: InterlockKind, known: Known) -> Bond:
    return Bond(Interlock(id="i", kind=kind, a=OTHER, b=HEATER), OTHER, known)


def test_an_actuator_whose_partner_may_be_on_is_asked_again_when_that_is_off():
    maybe = Known(may_be_on=True, surely_on=False, off_by=NOW.clock + 50)
    refusal = refused(RefusalCode.INTERLOCK, asked(bonds=(bond(InterlockKind.EXCLUSIVE, maybe),)))
    assert str(OTHER) in refusal.message
    assert "may be on" in refusal.message
    assert refusal.again_at == NOW.clock + 50


def test_an_actuator_that_needs_another_is_asked_again_when_something_changes():
    refusal = refused(RefusalCode.INTERLOCK, asked(bonds=(bond(InterlockKind.REQUIRES, CERTAINLY_OFF),)))
    assert refusal.again_at == math.inf


def test_bonds_that_are_kept_refuse_nothing():
    on = Known(may_be_on=True, surely_on=True, on_till=NOW.clock + 50)
    bonds = (bond(InterlockKind.EXCLUSIVE, CERTAINLY_OFF), bond(InterlockKind.REQUIRES, on))
    assert asked(bonds=bonds) is None


# --- pauses and limits ----------------------------------------------------------------------------------------------


def test_an_actuator_that_has_not_been_off_for_long_enough_waits():
    refusal = refused(RefusalCode.COOLDOWN, asked(account=off_for(40)))
    assert refusal.again_at == pytest.approx(NOW.clock + 20)
    assert "20 s" in refusal.cure
    assert asked(account=off_for(60)) is None


def test_an_actuator_that_runs_may_go_on_without_a_pause():
    assert asked(account=on_for(10)) is None


def test_one_that_its_device_says_is_off_must_pause_though_its_account_may_yet_run():
    assert refused(RefusalCode.COOLDOWN, asked(account=on_for(10), off_since=NOW.clock - 5))
    assert asked(account=on_for(100), off_since=NOW.clock - 60) is None


def test_a_run_ends_with_its_limit_and_less_than_a_second_is_nothing():
    assert asked(account=on_for(599)) is None
    assert "may without a pause" in refused(RefusalCode.MAX_RUNTIME, asked(account=on_for(599.5))).message


def test_a_day_that_is_used_up_is_over_until_the_next():
    daily = msgspec.structs.replace(HEATER_SETUP, max_runtime_day_s=100, cooldown_s=0)
    refusal = asked(device=with_setup(daily), account=on_for(100, daily))
    assert refused(RefusalCode.MAX_RUNTIME, refusal).again_at == pytest.approx(NOW.clock + 3600)


def test_a_dose_that_is_used_up_is_told_as_such():
    dosing = msgspec.structs.replace(HEATER_SETUP, dose_ml_per_s=2.0, dose_budget_ml=50.0)
    refusal = asked(device=with_setup(dosing), account=on_for(25, dosing))
    assert "delivered" in refused(RefusalCode.MAX_RUNTIME, refusal).message
    assert asked(device=with_setup(dosing), account=on_for(20, dosing)) is None


def test_what_time_cures_is_never_asked_again_at_once():
    past = attrs.evolve(GOOD, day=Day(DAY.name, NOW.wall_ms - 1000))  # a wall that stands wrong
    daily = msgspec.structs.replace(HEATER_SETUP, max_runtime_day_s=100, cooldown_s=0)
    facts = attrs.evolve(past, device=with_setup(daily), account=on_for(100, daily))
    refusal = refused(RefusalCode.MAX_RUNTIME, check(Request(HEATER, 1.0), facts))
    assert refusal.again_at >= NOW.clock + 1


def test_what_rests_on_a_sensor_without_a_good_value_does_not_run():
    refused(RefusalCode.SENSOR_STALE, asked(basis_good=False))


# --- the order, and OFF ---------------------------------------------------------------------------------------------

BROKEN_BOND = bond(InterlockKind.EXCLUSIVE, Known(may_be_on=True, surely_on=True))
SHARED = view(
    actuators=(
        FAN_SETUP,
        msgspec.structs.replace(HEATER_SETUP, gpio=18, kind=ActuatorKind.VALVE, aux_gpio=17),
    )
)
TIRED = attrs.evolve(GOOD.account, ledger=msgspec.structs.replace(GOOD.account.ledger, spent=True, rest_ms=0))
FAULTS: dict[RefusalCode, dict[str, object]] = {
    RefusalCode.EMERGENCY_STOP_ACTIVE: {"stops": (Stop(id="s"),)},
    RefusalCode.DEVICE_NOT_APPROVED: {"approved": False},
    RefusalCode.DEVICE_OFFLINE: {"online": False},
    RefusalCode.ACTUATOR_NOT_CONFIGURED: {"applied": frozenset()},
    RefusalCode.PWM_OUT_OF_RANGE: {"value": 1.5},
    RefusalCode.VALUE_OUT_OF_LIMITS: {"value": 0.95},
    RefusalCode.GPIO_CONFLICT: {"actuators": SHARED.actuators},
    RefusalCode.INTERLOCK: {"bonds": (BROKEN_BOND,)},
    RefusalCode.COOLDOWN: {"cooldown_s": 100_000},
    RefusalCode.MAX_RUNTIME: {"account": attrs.evolve(TIRED, clock=NOW.clock)},
    RefusalCode.SENSOR_STALE: {"basis_good": False},
}
"""One fault for each code, of a request for the fan. ACTUATOR_DISABLED excludes ACTUATOR_NOT_CONFIGURED."""


def with_faults(codes: frozenset[RefusalCode], value: float) -> tuple[Request, Facts]:
    changes = {name: change for code in RefusalCode if code in codes for name, change in FAULTS[code].items()}
    if RefusalCode.PWM_OUT_OF_RANGE in codes:
        changes["value"] = 1.5
    of_view = {
        name: changes.pop(name) for name in ("approved", "online", "applied", "actuators") if name in changes
    }
    device = attrs.evolve(VIEW, **of_view)
    cooldown_s = changes.pop("cooldown_s", 0)
    setups = tuple(
        msgspec.structs.replace(one, cooldown_s=cooldown_s) if one.gpio == 17 else one
        for one in device.actuators
    )
    wanted = changes.pop("value", value)
    request = Request(FAN, wanted if value else 0.0, changes.pop("basis_good", True))
    return request, attrs.evolve(GOOD, device=attrs.evolve(device, actuators=setups), **changes)


@given(st.sets(st.sampled_from(tuple(FAULTS)), min_size=1))
def test_of_several_faults_the_first_in_order_is_the_answer(codes: set[RefusalCode]):
    request, facts = with_faults(frozenset(codes), 0.5)
    assert refused(min(codes, key=list(RefusalCode).index), check(request, facts))


@given(st.sets(st.sampled_from(tuple(FAULTS))))
def test_off_always_passes(codes: set[RefusalCode]):
    request, facts = with_faults(frozenset(codes), 0.0)
    assert check(request, facts) is None
    assert check(request, attrs.evolve(facts, device=None, latched=True)) is None
    assert check(Request(ActuatorKey("nowhere", 1), -0.0, False), facts) is None
