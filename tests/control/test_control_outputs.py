"""The machine of an output: what is sent when, and how answers are judged."""

from __future__ import annotations

import math

import pytest
from output_desk import KEY, LATE_S, TIMING, Desk

from growy.control.output_state import BACKOFF_S, LAPSE_S, OFF_AGAIN_S, SETTLE_S, Switched, Transmit
from growy.model.control import CommandState, Verb
from growy.model.messages import Generation
from growy.model.setup import ActuatorKind

# --- leases ---------------------------------------------------------------------------------------------------------


def test_an_on_carries_the_lease():
    desk = Desk()
    desk.want()
    command = desk.sent()
    assert (command.verb, command.value, command.duration_s) == (Verb.ON, 1.0, 90)
    assert (command.holder, command.issued_by, command.execution) == ("rule:1/0", "rule:1", "e1")
    assert command.state is CommandState.SENT
    assert not command.renewal


@pytest.mark.parametrize(
    ("for_s", "left_s", "duration_s"),
    [(30.9, None, 30), (None, 12.5, 12), (30, 12, 12), (0.4, None, 1), (1000, 1000, 90)],
)
def test_an_on_lasts_no_longer_than_its_claim_or_what_is_left_of_its_limits(
    for_s: float | None, left_s: float | None, duration_s: int
):
    desk = Desk()
    desk.want(for_s=for_s, left_s=left_s)
    assert desk.sent().duration_s == duration_s


def test_a_lease_is_renewed_when_half_of_it_is_left():
    desk = Desk()
    desk.on()
    desk.after(44.9)
    assert desk.all_sent() == []
    desk.after(0.2)
    renewal = desk.sent()
    assert (renewal.verb, renewal.duration_s, renewal.renewal) == (Verb.ON, 90, True)
    assert desk.asked == [1.0, 1.0]


def test_a_renewal_reaches_as_far_as_the_claim_and_then_there_is_none():
    desk = Desk()
    desk.on(for_s=100)
    desk.after(46)
    renewal = desk.sent()
    assert renewal.duration_s == 55
    desk.answers(renewal)
    desk.after(54)
    assert desk.all_sent() == []


def test_a_claim_that_is_shorter_than_the_lease_just_runs_out():
    desk = Desk()
    desk.on(for_s=60.7)
    desk.after(59.9)
    assert desk.all_sent() == []
    desk.after(0.15)
    desk.says(on=False)  # the device's own timer, a fraction of a second before the claim ends
    assert desk.all_sent() == []
    desk.after(0.6)
    desk.want(0.0)
    assert desk.all_sent() == []


def test_at_the_end_of_a_claim_off_is_sent():
    desk = Desk()
    desk.on(for_s=30)
    desk.after(30)
    desk.want(0.0)
    assert desk.sent().verb is Verb.OFF


def test_a_claim_that_is_lengthened_near_its_end_is_renewed_at_once():
    desk = Desk()
    desk.on(for_s=60)
    desk.after(50)
    desk.want(for_s=500)
    assert desk.sent().duration_s == 90


def test_nothing_that_may_switch_on_goes_out_without_the_gate():
    desk = Desk()
    desk.refuse()
    desk.want()
    assert desk.asked == [1.0]
    assert desk.all_sent() == []
    (held,) = desk.held()
    assert held.refusal is desk.refusal


def test_a_renewal_that_the_gate_refuses_becomes_an_off():
    desk = Desk()
    desk.on()
    desk.refuse()
    desk.after(46)
    assert desk.held()
    assert desk.sent().verb is Verb.OFF


# --- OFF ------------------------------------------------------------------------------------------------------------


def test_an_off_goes_at_once_whatever_is_in_the_air():
    desk = Desk()
    desk.want()
    on = desk.sent()
    desk.want(0.0)
    assert desk.sent().verb is Verb.OFF
    ended = desk.ended()
    assert (ended.id, ended.state, ended.code) == (on.id, CommandState.UNKNOWN, "SUPERSEDED")


def test_an_off_does_not_ask_the_gate():
    desk = Desk()
    desk.on()
    desk.refuse()
    desk.asked.clear()
    desk.want(0.0)
    assert desk.sent().verb is Verb.OFF
    assert desk.asked == []


def test_an_off_is_repeated_for_ever_until_the_output_is_known_to_be_off():
    desk = Desk()
    desk.on()
    desk.ended()
    desk.want(0.0)
    for _ in range(30):
        assert desk.sent().verb is Verb.OFF
        desk.after(TIMING.answer_timeout_s)
        assert desk.ended().state is CommandState.UNKNOWN
    desk.answers(desk.sent())
    desk.after(3600)
    assert desk.all_sent() == []


def test_a_refused_off_is_repeated_and_not_more_often_than_every_five_seconds():
    desk = Desk()
    desk.on()
    desk.want(0.0)
    for _ in range(5):
        refused_at = desk.now
        desk.answers(desk.sent(), success=False, message="Rejected before execution")
        assert desk.all_sent() == []
        desk.after(OFF_AGAIN_S - 0.01)
        assert desk.all_sent() == []
        desk.after(refused_at + OFF_AGAIN_S - desk.now)


def test_an_off_after_another_on_does_not_wait_for_the_five_seconds():
    desk = Desk()
    desk.on()
    desk.want(0.0)
    desk.answers(desk.sent())
    desk.on()
    desk.want(0.0)
    assert desk.sent().verb is Verb.OFF


def test_an_off_of_what_is_off_is_not_sent():
    desk = Desk()
    desk.want(0.0)
    desk.after(3600)
    assert desk.all_sent() == []


def test_a_pin_that_the_device_does_not_drive_is_off():
    desk = Desk()
    desk.on()
    desk.want(0.0)
    desk.answers(
        desk.sent(), success=False, message="Actuator not configured on GPIO 16. Configure via API first."
    )
    desk.after(3600)
    assert desk.all_sent() == []
    assert desk.output.known == 0


# --- answers --------------------------------------------------------------------------------------------------------


def test_one_command_is_in_the_air():
    desk = Desk(ActuatorKind.PWM)
    desk.want(0.3)
    desk.sent()
    desk.want(0.6)
    assert desk.all_sent() == []


def test_an_answer_ends_its_command():
    desk = Desk()
    command = desk.on()
    ended = desk.ended()
    assert (ended.id, ended.state) == (command.id, CommandState.ACKNOWLEDGED)
    assert ended.ended_ms


def test_the_outcome_ends_a_command_whose_answer_was_lost():
    desk = Desk()
    desk.want()
    command = desk.sent()
    desk.outcome(command, "accepted")
    assert desk.output.flight is not None
    desk.outcome(command, "applied")
    assert desk.ended().state is CommandState.ACKNOWLEDGED
    desk.answers(command)
    assert desk.output.known == 1.0


@pytest.mark.parametrize("outcome", ["rejected", "failed", "expired"])
def test_an_outcome_refuses_a_command_that_got_no_answer(outcome: str):
    desk = Desk()
    desk.want()
    desk.outcome(desk.sent(), outcome, "QUEUE_FULL", reason="queue is full")
    ended = desk.ended()
    assert (ended.state, ended.code, ended.message) == (CommandState.REJECTED, "QUEUE_FULL", "queue is full")


def test_an_outcome_that_was_kept_over_a_break_says_nothing_of_now():
    desk = Desk()
    desk.want()
    desk.outcome(desk.sent(), "failed", "TTL_EXPIRED", recovered=True)
    assert desk.output.flight is not None


def test_silence_makes_a_command_unknown_and_it_is_tried_again_with_another_id():
    desk = Desk()
    desk.want()
    first = desk.sent()
    desk.after(TIMING.answer_timeout_s)
    assert desk.ended().state is CommandState.UNKNOWN
    desk.after(BACKOFF_S[0])
    assert desk.sent().id != first.id


def test_refusals_in_a_row_are_answered_with_longer_and_longer_pauses():
    desk = Desk()
    desk.want()
    for pause_s in (*BACKOFF_S, BACKOFF_S[-1]):
        desk.answers(desk.sent(), success=False, message="Failed to turn actuator ON")
        desk.after(pause_s - 0.01)
        assert desk.all_sent() == []
        desk.after(0.02)


def test_a_pump_that_may_start_only_sixty_times_an_hour_is_not_hammered():
    desk = Desk(ActuatorKind.PUMP)
    desk.want()
    starts = 0
    for _ in range(3600):
        for command in desk.all_sent():
            starts += 1
            desk.answers(command, success=False, message="Failed to turn actuator ON")
        desk.after(1.0)
    assert starts <= 65


def test_a_pause_outlives_a_wish_but_not_a_person_who_waits():
    desk = Desk()
    desk.want()
    desk.answers(desk.sent(), success=False)
    desk.want(0.0)
    desk.want()
    assert desk.all_sent() == []
    desk.want(execution="e2", holder="user:ada", at_once=True)
    assert desk.sent().verb is Verb.ON


def test_a_late_answer_still_tells_what_is_so():
    desk = Desk()
    desk.want()
    command = desk.sent()
    desk.after(TIMING.answer_timeout_s)
    desk.ended()
    desk.answers(command)
    assert desk.output.known == 1.0
    assert desk.ended_count() == 0
    desk.after(BACKOFF_S[0])
    assert desk.all_sent() == []


def test_an_answer_to_a_later_command_settles_those_before():
    desk = Desk()
    desk.want()
    desk.sent()
    desk.want(0.0)
    desk.answers(desk.sent())
    assert desk.output.shots == []
    assert desk.output.certain(desk.now)


def test_a_command_that_could_not_be_sent_never_was():
    desk = Desk()
    desk.want()
    desk.switched()
    desk.expires(desk.sent())
    assert desk.ended().state is CommandState.EXPIRED
    (switched,) = desk.switched()
    assert switched.undone


def test_an_answer_that_nobody_waits_for_changes_nothing():
    desk = Desk()
    command = desk.on()
    desk.want(0.0)
    desk.answers(desk.sent())
    desk.answers(command)
    assert desk.output.known == 0


def test_firmware_that_names_no_command_is_understood_by_its_being_alone():
    desk = Desk()
    desk.show(generation=Generation.DEC_2025)
    desk.want()
    command = desk.sent()
    desk.answers(command, named=False)
    assert desk.ended().state is CommandState.ACKNOWLEDGED


def test_firmware_that_names_its_commands_is_not_guessed_at():
    desk = Desk()
    desk.want()
    desk.answers(desk.sent(), named=False)
    assert desk.output.flight is not None


# --- statuses -------------------------------------------------------------------------------------------------------


def test_what_a_device_says_anew_is_reported_once():
    desk = Desk()
    desk.says(on=True)
    desk.says(on=True)
    (reported,) = desk.reported()
    assert (reported.value, reported.before) == (1.0, 0.0)


def test_what_nobody_wants_on_is_switched_off():
    desk = Desk()
    desk.want(0.0)
    desk.says(on=True)
    assert desk.sent().verb is Verb.OFF


def test_what_went_off_by_itself_goes_on_again_after_a_pause():
    desk = Desk()
    desk.on()
    desk.after(10)
    desk.says(on=False)
    assert desk.all_sent() == []
    desk.after(BACKOFF_S[0])
    command = desk.sent()
    assert command.verb is Verb.ON
    desk.answers(command)
    desk.after(SETTLE_S)
    desk.says(on=False)
    desk.after(BACKOFF_S[0])
    assert desk.all_sent() == []
    desk.after(BACKOFF_S[1] - BACKOFF_S[0])
    assert desk.sent().verb is Verb.ON


def test_a_message_that_comes_twice_is_heard_once():
    desk = Desk()
    desk.says(on=False, seq=400)
    desk.on()
    desk.says(on=False, seq=400)
    assert desk.output.known == 1.0


def test_the_numbers_of_a_new_boot_are_not_taken_for_old_ones():
    desk = Desk()
    desk.says(on=False, seq=400)
    desk.says(on=True, seq=3)
    assert desk.output.known == 1.0


def test_an_off_that_may_be_older_than_an_on_under_way_proves_nothing():
    desk = Desk()
    desk.want()
    desk.sent()
    desk.says(on=False)
    desk.switched()
    desk.want(0.0)
    off = desk.sent()
    assert desk.output.highest(desk.now) == 1.0
    desk.answers(off)
    assert desk.output.highest(desk.now) == 0.0


# --- how high it may be ---------------------------------------------------------------------------------------------


def test_it_counts_as_on_before_the_command_goes_out():
    desk = Desk()
    desk.want()
    switched, transmit = desk.done
    assert switched == Switched(KEY, 1.0, desk.now)
    assert isinstance(transmit, Transmit)


def test_an_on_that_was_never_answered_counts_until_its_lease_is_over_for_certain():
    desk = Desk()
    desk.want()
    desk.sent()
    desk.show(online=False, ready=False)
    desk.switched()
    desk.after(LATE_S + 90 - 0.1)
    assert desk.switched() == []
    desk.after(0.2)
    (switched,) = desk.switched()
    assert switched.value == 0


def test_what_is_known_to_be_on_counts_until_its_lease_is_over():
    desk = Desk()
    desk.on()
    desk.show(online=False, ready=False)
    desk.switched()
    desk.after(90 + LAPSE_S - 0.1)
    assert desk.switched() == []
    desk.after(0.2)
    assert [one.value for one in desk.switched()] == [0.0]


def test_on_firmware_without_leases_an_on_counts_for_ever():
    desk = Desk()
    desk.show(generation=Generation.JAN_2026)
    desk.on()
    desk.show(online=False, ready=False)
    desk.switched()
    desk.after(100_000)
    assert desk.switched() == []
    assert desk.output.seen(desk.now).may_be_on


def test_a_refused_on_was_never_on():
    desk = Desk()
    desk.want()
    desk.switched()
    desk.answers(desk.sent(), success=False)
    (switched,) = desk.switched()
    assert (switched.value, switched.undone) == (0.0, True)


def test_a_refused_on_after_one_that_may_have_come_through_is_not_undone():
    desk = Desk()
    desk.want()
    desk.sent()
    desk.after(TIMING.answer_timeout_s + BACKOFF_S[0])
    desk.switched()
    desk.answers(desk.sent(), success=False)
    assert desk.switched() == []
    assert desk.output.highest(desk.now) == 1.0


def test_a_pause_is_measured_from_what_is_certain():
    desk = Desk()
    since = desk.output.off_since
    assert desk.output.resting_since(desk.now) == since
    desk.want()
    desk.sent()
    assert desk.output.resting_since(desk.now) is None  # it has not arrived, so there is no new pause
    desk.want(0.0)
    desk.sent()
    assert desk.output.resting_since(desk.now) == desk.now  # it may have run until this moment


def test_a_new_session_does_not_make_one_forget_when_it_was_said_to_be_off():
    """Until a command of before the restart can be under way no more, its account takes it to be on."""
    desk = Desk(quiet=False)
    desk.met(assumed=1.0, assumed_until=desk.now + LATE_S, before_until=desk.now + LATE_S)
    desk.says(on=False)
    said_at = desk.now
    desk.after(5)
    desk.show(ready=False, ready_at=desk.now + 3)
    desk.after(4)
    assert (desk.output.known, desk.output.highest(desk.now)) == (None, 1.0)
    assert desk.output.resting_since(desk.now) == said_at


def test_a_boot_begins_a_pause():
    desk = Desk()
    desk.on()
    desk.after(5)
    desk.show(boots=2)
    assert desk.output.off_since == desk.now


def test_what_is_on_when_it_boots_has_no_pause():
    desk = Desk(default_state=True)
    desk.after(5)
    desk.show(boots=2)
    assert desk.output.off_since is None


def test_what_is_known_of_a_silent_device_is_condensed_and_never_less():
    desk = Desk(ActuatorKind.PWM)
    desk.want(0.8)
    for value in (0.2, 0.0, 0.3, 0.0) * 20:
        desk.after(61)
        desk.want(value)
    assert len(desk.output.shots) <= 10
    assert desk.output.highest(desk.now) == 0.8


# --- sessions -------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_to_a_device_that_does_not_hear():
    desk = Desk()
    desk.show(online=False, ready=False)
    desk.want()
    desk.want(0.0)
    desk.want()
    desk.after(1000)
    assert desk.all_sent() == []


def test_a_command_whose_device_goes_away_is_unknown():
    desk = Desk()
    desk.want()
    desk.sent()
    desk.show(online=False, ready=False)
    assert desk.ended().state is CommandState.UNKNOWN


def test_what_is_wanted_is_asserted_anew_when_the_device_is_back():
    desk = Desk()
    desk.on()
    desk.show(online=False, ready=False)
    desk.show(online=True, ready=False, ready_at=desk.now + 3)
    assert desk.all_sent() == []
    desk.after(3)
    assert desk.sent().verb is Verb.ON


def test_an_off_is_asserted_anew_as_well():
    desk = Desk()
    desk.on()
    desk.show(online=False, ready=False)
    desk.want(0.0)
    desk.show(online=True, ready=True)
    assert desk.sent().verb is Verb.OFF


def test_the_last_of_what_a_broker_has_kept_counts_and_only_when_the_session_hears():
    desk = Desk()
    desk.on()
    desk.show(online=False, ready=False)
    desk.show(online=True, ready=False, ready_at=desk.now + 3)
    desk.says(on=False)
    assert desk.output.known is None
    desk.says(on=True)
    assert desk.output.known == 1.0  # that it is on is believed at once
    desk.says(on=False)
    assert desk.output.known == 1.0
    desk.after(3)
    assert desk.output.known == 0.0


def test_after_a_reboot_nothing_is_known_but_that_it_is_as_it_starts():
    desk = Desk()
    desk.on()
    desk.switched()
    desk.show(boots=2, ready=False, ready_at=desk.now + 3)
    assert [one.value for one in desk.switched()] == [0.0]
    assert desk.output.known is None
    assert desk.output.reported is None
    assert desk.output.seen(desk.now).may_be_on  # until it says more


def test_after_a_reboot_one_that_starts_on_counts_as_on():
    desk = Desk(default_state=True)
    desk.show(boots=2, ready=False, ready_at=desk.now + 3)
    assert desk.output.highest(desk.now) == 1.0


def test_what_runs_and_is_kept_is_left_alone():
    desk = Desk()
    desk.on()
    desk.keep()
    desk.after(80)
    assert desk.all_sent() == []


def test_one_device_gets_at_most_five_commands_a_second_and_an_off_waits_for_nobody():
    desk = Desk(ActuatorKind.PWM)
    sent = 0
    for step in range(40):
        desk.want(0.3 + 0.01 * (step % 30))
        for command in desk.all_sent():
            sent += 1
            desk.answers(command)
        desk.after(0.05)
    assert 8 <= sent <= 11
    desk.want(0.0)
    assert desk.sent().verb is Verb.OFF


# --- what an earlier process has sent -------------------------------------------------------------------------------


def test_what_an_earlier_process_sent_may_be_under_way_until_the_first_answer():
    desk = Desk(quiet=False)
    desk.met(1.0, desk.now + 280, desk.now + 280)
    desk.says(on=False)
    assert desk.output.highest(desk.now) == 1.0
    assert desk.output.seen(desk.now).may_be_on
    desk.want(0.0)
    desk.answers(desk.sent())
    assert desk.output.highest(desk.now) == 0.0
    assert not desk.output.seen(desk.now).may_be_on


def test_what_an_earlier_process_sent_is_over_some_time():
    desk = Desk(quiet=False)
    desk.met(before_until=desk.now + 280)
    desk.says(on=False)
    desk.after(279)
    assert desk.output.seen(desk.now).may_be_on
    desk.after(2)
    assert not desk.output.seen(desk.now).may_be_on


# --- what interlocks may believe ------------------------------------------------------------------------------------


def test_it_is_surely_on_from_the_answer_to_the_end_of_the_lease_at_the_earliest():
    desk = Desk()
    desk.want()
    sent_at = desk.now
    command = desk.sent()
    assert not desk.output.seen(desk.now).surely_on
    desk.after(2)
    desk.answers(command)
    seen = desk.output.seen(desk.now)
    assert (seen.surely_on, seen.on_till) == (True, sent_at + 90)
    assert (seen.may_be_on, seen.off_by) == (True, desk.now + 90 + LAPSE_S)


def test_it_is_not_surely_on_any_more_when_it_is_to_go_off():
    desk = Desk()
    desk.on()
    desk.outputs.want(desk.output, Desk().output.want)
    assert not desk.output.seen(desk.now).surely_on


def test_a_device_that_has_said_nothing_may_be_on_and_one_that_is_gone_only_as_long_as_its_lease():
    desk = Desk(quiet=False)
    assert desk.output.seen(desk.now).off_by == math.inf
    desk.show(online=False, ready=False)
    assert not desk.output.seen(desk.now).may_be_on
    desk.show(self_driven=frozenset({16}))
    assert desk.output.seen(desk.now).off_by == math.inf


def test_a_status_that_crosses_an_on_says_nothing_of_its_end():
    desk = Desk()
    desk.after(600.0)
    desk.want()
    on = desk.sent()
    desk.says(on=False)

    assert desk.output.resting_since(desk.now) is None, (
        "the pause before it is over, whatever the status says"
    )
    desk.answers(on)
    assert desk.output.known == 1.0


def test_one_that_says_it_is_off_after_an_on_that_nobody_answered_rests_from_now_on():
    """The ON may have come and gone between two statuses."""
    desk = Desk()
    desk.after(600.0)
    desk.want()
    desk.sent()
    desk.after(TIMING.answer_timeout_s + 1)
    desk.says(on=False)

    assert desk.output.off_since == desk.now
