"""What is special about a PWM, a motor valve, and a relay whose logic is inverted."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given
from output_desk import KEY, TIMING, Desk

from growy.control.output_state import (
    BACKOFF_S,
    LEASELESS_S,
    VALVE_SETTLE_S,
    normal,
    reported_value,
    unwatched_s,
)
from growy.model.control import Verb
from growy.model.messages import Generation
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.sim.arduino_json import f32
from growy.wire.actuation import wire_value

# --- PWM ------------------------------------------------------------------------------------------------------------


def test_a_pwm_gets_its_value_and_then_its_lease():
    desk = Desk(ActuatorKind.PWM)
    desk.want(0.4)
    value = desk.sent()
    assert (value.verb, value.value, value.duration_s, value.renewal) == (Verb.PWM, 0.4, 0, False)
    desk.answers(value)
    lease = desk.sent()
    assert (lease.verb, lease.value, lease.duration_s, lease.renewal) == (Verb.ON, 0.4, 90, True)
    desk.answers(lease)
    assert desk.output.armed
    desk.after(44)
    assert desk.all_sent() == []


def test_a_pwm_is_renewed_by_its_value_and_its_lease():
    desk = Desk(ActuatorKind.PWM)
    desk.on_with_lease(0.4)
    desk.after(46)
    value = desk.sent()
    assert (value.verb, value.value, value.renewal) == (Verb.PWM, 0.4, True)
    desk.answers(value)
    assert desk.sent().verb is Verb.ON


def test_a_pwm_whose_value_was_not_acknowledged_gets_no_on():
    desk = Desk(ActuatorKind.PWM)
    desk.want(0.4)
    desk.sent()
    desk.after(TIMING.answer_timeout_s + BACKOFF_S[0])
    assert desk.sent().verb is Verb.PWM
    desk.says(on=True, pwm=102)  # of the first or of the second, and neither was answered
    desk.after(200)
    assert {command.verb for command in desk.all_sent()} <= {Verb.PWM, Verb.OFF}


def test_a_pwm_that_is_at_another_value_than_it_was_told_is_told_again():
    desk = Desk(ActuatorKind.PWM)
    desk.on_with_lease(0.4)
    desk.after(5)
    desk.says(on=True, pwm=30)
    desk.after(BACKOFF_S[0])
    assert (again := desk.sent()).verb is Verb.PWM
    assert again.value == 0.4


def test_one_step_of_eight_bits_is_no_contradiction():
    desk = Desk(ActuatorKind.PWM)
    desk.on_with_lease(0.4)
    desk.after(5)
    for pwm in (101, 102, 103):
        desk.says(on=True, pwm=pwm)
    desk.after(30)
    assert desk.all_sent() == []


def test_a_lease_that_found_the_pwm_off_and_took_it_to_full_is_corrected():
    desk = Desk(ActuatorKind.PWM)
    desk.on(0.4)
    lease = desk.sent()
    desk.says(on=True, pwm=255)  # it comes before the answer
    desk.answers(lease)
    assert desk.output.known == 1.0
    assert desk.output.highest(desk.now) == 1.0
    again = desk.sent()
    assert (again.verb, again.value) == (Verb.PWM, 0.4)


def test_a_value_gets_its_lease_before_the_next_value():
    desk = Desk(ActuatorKind.PWM)
    desk.want(0.4)
    value = desk.sent()
    desk.want(0.6)
    desk.answers(value)
    lease = desk.sent()
    assert (lease.verb, lease.value) == (Verb.ON, 0.4)
    desk.answers(lease)
    nxt = desk.sent()
    assert (nxt.verb, nxt.value) == (Verb.PWM, 0.6)


def test_a_pwm_goes_to_full_by_on_alone_from_off_and_from_full():
    desk = Desk(ActuatorKind.PWM)
    command = desk.on(1.0)
    assert (command.verb, command.duration_s) == (Verb.ON, 90)
    desk.after(46)
    assert desk.sent().verb is Verb.ON


def test_a_pwm_goes_to_full_by_its_value_from_anything_between():
    desk = Desk(ActuatorKind.PWM)
    desk.on_with_lease(0.4)
    desk.want(1.0)
    command = desk.sent()
    assert (command.verb, command.value) == (Verb.PWM, 1.0)


def test_with_an_off_under_way_a_pwm_is_told_its_value_before_its_lease():
    desk = Desk(ActuatorKind.PWM)
    desk.on(0.4)
    desk.sent()
    desk.want(0.0)
    desk.sent()
    desk.want(0.4)
    desk.after(TIMING.answer_timeout_s)
    assert desk.sent().verb is Verb.PWM


def test_a_pwm_whose_lease_cannot_be_armed_goes_off_and_tries_again_later():
    desk = Desk(ActuatorKind.PWM)
    desk.on(0.4)
    for _ in range(100):
        (command,) = desk.all_sent() or [None]
        if command is not None and command.verb is Verb.OFF:
            break
        if command is not None:
            desk.answers(command, success=command.verb is Verb.PWM, message="Failed to turn actuator ON")
        desk.after(1.0)
    else:
        pytest.fail("it ran on without a lease")
    assert desk.now <= 1030 + LEASELESS_S + 1
    desk.answers(command)
    assert desk.all_sent() == []
    desk.after(BACKOFF_S[-1])
    assert desk.sent().verb is Verb.PWM


def test_a_pwm_without_a_lease_may_be_on_for_ever():
    desk = Desk(ActuatorKind.PWM)
    desk.want(0.4)
    desk.sent()
    desk.show(online=False, ready=False)
    desk.after(100_000)
    assert desk.output.highest(desk.now) == 0.4
    assert desk.output.seen(desk.now).off_by == math.inf


def test_a_pwm_on_firmware_without_leases_gets_no_on():
    desk = Desk(ActuatorKind.PWM)
    desk.show(generation=Generation.DEC_2025)
    desk.on(0.4)
    desk.after(1000)
    assert desk.all_sent() == []


@given(st.floats(0, 1))
def test_a_pwm_that_is_wanted_on_is_on_at_the_device_and_one_wanted_off_is_off(value: float):
    """ON of a PWM that is off would take it to full: what the device makes of a value must never be a surprise."""
    wanted = normal(ActuatorKind.PWM, value)
    duty = int(f32(f32(wire_value(wanted)) * 255.0))
    assert (duty > 0) == (wanted > 0)
    assert abs(duty / 255 - wanted) <= 1.01 / 255


# --- motor valve ----------------------------------------------------------------------------------------------------


def test_a_valve_opens_by_on_and_half_by_its_value_and_a_lease_when_it_has_arrived():
    desk = Desk(ActuatorKind.VALVE)
    assert desk.on(1.0).verb is Verb.ON
    desk = Desk(ActuatorKind.VALVE)
    assert desk.on(0.5).verb is Verb.PWM
    desk.says(on=False, pwm=0)  # it is still on its way, and ON would open it fully
    desk.after(VALVE_SETTLE_S - 0.1)
    assert desk.all_sent() == []
    assert desk.output.known == 0.5
    desk.after(0.2)
    assert desk.sent().verb is Verb.ON


def test_a_valve_that_has_had_its_time_is_where_it_says():
    desk = Desk(ActuatorKind.VALVE)
    desk.on(1.0)
    desk.after(VALVE_SETTLE_S + 1)
    desk.says(on=True, pwm=127)
    assert desk.output.known == 0.5
    desk.after(BACKOFF_S[0])
    command = desk.sent()
    assert (command.verb, command.value) == (Verb.PWM, 1.0)


@pytest.mark.parametrize(
    ("value", "position"), [(0.32, 0), (0.33, 0.5), (0.65, 0.5), (0.66, 1), (1, 1), (0, 0)]
)
def test_a_valve_has_three_positions(value: float, position: float):
    assert normal(ActuatorKind.VALVE, value) == position


@pytest.mark.parametrize(
    ("kind", "state", "pwm", "value"),
    [
        (ActuatorKind.RELAY, True, 255, 1.0),
        (ActuatorKind.RELAY, False, 0, 0.0),
        (ActuatorKind.PUMP, True, None, 1.0),
        (ActuatorKind.PWM, True, 51, 0.2),
        (ActuatorKind.PWM, True, 0, 1.0),
        (ActuatorKind.PWM, True, None, 1.0),
        (ActuatorKind.PWM, False, 0, 0.0),
        (ActuatorKind.VALVE, True, 127, 0.5),
        (ActuatorKind.VALVE, True, 254, 1.0),
        (ActuatorKind.VALVE, False, 0, 0.0),
    ],
)
def test_a_status_is_read_as_a_value(kind: ActuatorKind, state: bool, pwm: int | None, value: float):
    assert reported_value(kind, state, pwm) == pytest.approx(value)


@pytest.mark.parametrize(("value", "on"), [(0.5, 1.0), (0.49, 0.0), (1.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("kind", [ActuatorKind.RELAY, ActuatorKind.PUMP])
def test_a_relay_is_on_or_off(kind: ActuatorKind, value: float, on: float):
    assert normal(kind, value) == on


# --- inverted relays ------------------------------------------------------------------------------------------------


def test_an_inverted_relay_is_switched_off_by_the_value_0_which_writes_its_pin():
    desk = Desk(inverted_logic=True)
    desk.on()
    desk.want(0.0)
    off = desk.sent()
    assert (off.verb, off.value, off.duration_s) == (Verb.PWM, 0.0, 0)


def test_after_a_boot_an_inverted_relay_draws_and_is_switched_off_though_it_says_it_is_off():
    desk = Desk(inverted_logic=True)
    desk.keep()
    desk.show(boots=2, ready=False, ready_at=desk.now + 3)
    assert [one.value for one in desk.switched()] == [1.0]
    desk.says(on=False)
    desk.after(3)
    off = desk.sent()  # nobody claims it, and adoption has only begun
    assert (off.verb, off.value) == (Verb.PWM, 0.0)
    desk.answers(off)
    assert [one.value for one in desk.switched()] == [0.0]
    desk.after(100)
    assert desk.all_sent() == []


def test_an_inverted_relay_of_which_nobody_knows_whether_its_pin_was_written_is_written_once():
    desk = Desk(quiet=False, inverted_logic=True)
    assert desk.all_sent() == []
    desk.says(on=False)
    desk.answers(desk.sent())
    desk.says(on=False)
    desk.after(100)
    assert desk.all_sent() == []
    assert desk.output.highest(desk.now) == 0


def test_an_inverted_relay_that_runs_when_growyd_starts_is_left_running():
    desk = Desk(quiet=False, inverted_logic=True)
    desk.says(on=True)
    desk.after(TIMING.adopt_s - 1)
    assert desk.all_sent() == []


def test_a_new_configuration_energises_an_inverted_relay_as_a_boot_does():
    desk = Desk(inverted_logic=True)
    desk.want(0.0)
    desk.show(applied=frozenset())
    desk.show(applied=frozenset({16}))
    assert desk.sent().verb is Verb.PWM


def test_an_emergency_stop_of_the_device_writes_the_pin():
    desk = Desk(inverted_logic=True)
    desk.show(boots=2, ready=False, ready_at=desk.now + 3)
    desk.want(0.0)
    desk.after(3)
    desk.answers(
        desk.sent(), success=False, message="Actuator in emergency stop state. Clear emergency first."
    )
    desk.says(on=False, emergency=True)
    assert desk.output.latched
    desk.after(100)
    assert desk.all_sent() == []


def test_a_relay_that_is_not_inverted_is_switched_off_by_off():
    desk = Desk()
    desk.on()
    desk.want(0.0)
    assert desk.sent().verb is Verb.OFF


# --- what a ledger cannot know --------------------------------------------------------------------------------------


def test_how_long_an_actuator_may_have_been_on_unseen_is_two_leases_and_the_way():
    desk = Desk()
    assert unwatched_s(TIMING, desk.setup, desk.view, 10) == 2 * 90 + TIMING.late_s + 10


@pytest.mark.parametrize("kind", [ActuatorKind.PWM, ActuatorKind.VALVE])
def test_what_can_be_left_without_a_lease_may_have_been_on_for_ever(kind: ActuatorKind):
    desk = Desk(kind)
    assert unwatched_s(TIMING, desk.setup, desk.view, 10) == math.inf


def test_what_its_device_switches_may_have_been_on_for_ever():
    desk = Desk()
    on_by_itself = ActuatorSetup(id="x", gpio=16, kind=ActuatorKind.RELAY, name="X", default_state=True)
    assert unwatched_s(TIMING, on_by_itself, desk.view, 10) == math.inf
    desk.show(self_driven=frozenset({KEY.gpio}))
    assert unwatched_s(TIMING, desk.setup, desk.view, 10) == math.inf
    desk.show(self_driven=frozenset(), generation=Generation.DEC_2025)
    assert unwatched_s(TIMING, desk.setup, desk.view, 10) == math.inf


def test_a_value_that_is_done_after_all_is_watched_until_it_has_its_lease():
    desk = Desk(ActuatorKind.PWM)
    desk.want(0.5)
    value = desk.sent()
    desk.says(on=False)
    desk.after(3.0)
    desk.answers(value)

    assert desk.output.leaseless_since == desk.now
    desk.answers(desk.sent())
    assert desk.output.leaseless_since is None
