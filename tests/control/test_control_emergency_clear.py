"""Emergency stops end only by a person, and each device is let go as soon as it takes it."""

from __future__ import annotations

import json
import math

import attrs
import pytest
from emergency_rig import WALL_MS, Bench, Chip

from growy.control.emergency import Emergency
from growy.control.stops.clearing import ATTEMPTS, SETTLE_S
from growy.control.stops.effects import (
    Cleared,
    ClearFailed,
    ClearState,
    OwedClear,
    Publish,
)
from growy.model.control import ActuatorKey, Stop, StopScope
from growy.model.errors import Invalid
from growy.model.messages import Generation
from growy.model.time import Moment

ONE, OLD = "ESP_00A001", "ESP_00A00D"


@pytest.fixture
def chip() -> Chip:
    return Chip(esp_id=ONE)


@pytest.fixture
def old() -> Chip:
    return Chip(esp_id=OLD, generation=Generation.DEC_2025)


def test_a_clear_waits_for_the_five_seconds_by_itself(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    bench.wait(1)

    answer = bench.clear(ONE)

    assert (len(answer.ended), answer.clearing, answer.offline) == (1, (ONE,), ())
    assert bench.emergency.covering(ActuatorKey(ONE, 18)) is None
    assert bench.emergency.held(ONE)
    assert bench.emergency.clears()[0].state is ClearState.WAITING

    bench.wait(10)

    assert [at - 100 for at in bench.told(chip, "clear_emergency")] == [5.5]
    assert not chip.board.emergency
    assert bench.of(Cleared) == [Cleared(esp_id=ONE, how="answer")]
    assert not bench.emergency.held(ONE)
    assert bench.emergency.clears()[0].state is ClearState.CLEARED
    assert bench.owed == {}


def test_old_firmware_is_cleared_too(old: Chip) -> None:
    bench = Bench(old)
    bench.stop()
    bench.clear()
    bench.wait(10)

    assert not old.board.emergency
    assert bench.of(Cleared) == [Cleared(esp_id=OLD, how="answer")]


def test_a_clear_that_the_device_finds_too_early_is_repeated(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    # The last message was held up on its way: the device counts its five seconds from later on.
    chip.board = attrs.evolve(chip.board, emergency_at_ms=chip.board.emergency_at_ms + 3000)

    bench.clear(ONE)
    bench.wait(20)

    assert [at - 100 for at in bench.told(chip, "clear_emergency")] == [5.5, 6.5, 7.5, 8.5]
    assert bench.of(Cleared) == [Cleared(esp_id=ONE, how="answer")]


def test_a_device_that_refuses_for_ever_has_failed_and_is_still_owed_it(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    chip.board = attrs.evolve(chip.board, emergency_at_ms=chip.board.emergency_at_ms + 10**8)

    bench.clear(ONE)
    bench.wait(60)

    assert len(bench.told(chip, "clear_emergency")) == ATTEMPTS
    assert bench.of(ClearFailed) == [ClearFailed(esp_id=ONE, reason="EMERGENCY_CLEAR_REJECTED")]
    assert bench.emergency.clears()[0].state is ClearState.FAILED
    assert set(bench.owed) == {ONE}


def test_a_clear_that_nobody_answers_fails_within_its_time(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    bench.wait(10)
    chip.deaf = True

    bench.clear(ONE)
    bench.wait(60)

    assert bench.of(ClearFailed) == [ClearFailed(esp_id=ONE, reason="no answer")]
    assert bench.told(chip, "clear_emergency")[-1] - 110 <= 30


def test_a_device_that_still_says_that_it_is_latched_is_cleared_after_all(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    bench.wait(10)
    chip.deaf = True
    bench.clear(ONE)
    bench.wait(120)
    chip.deaf = False

    bench.report_statuses(chip)

    assert not chip.board.emergency
    assert bench.of(Cleared) == [Cleared(esp_id=ONE, how="answer")]


def test_a_clear_whose_answer_was_lost_is_seen_in_the_statuses(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    bench.wait(10)
    chip.mute = True
    bench.clear(ONE)
    chip.mute = False

    bench.report_statuses(chip)

    assert bench.of(Cleared) == [Cleared(esp_id=ONE, how="status")]


def test_a_clear_with_a_wrong_token_fails_at_once_and_the_right_one_mends_it(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    bench.wait(10)
    chip.board = attrs.evolve(chip.board, nvs=attrs.evolve(chip.board.nvs, emergency_token="new"))

    bench.clear(ONE)

    assert bench.of(ClearFailed) == [ClearFailed(esp_id=ONE, reason="UNAUTHORIZED")]
    bench.wait(300)
    bench.report_statuses(chip)
    assert len(bench.told(chip, "clear_emergency")) == 1
    chip.known_token = "new"
    bench.seen(chip)
    assert bench.of(Cleared) == [Cleared(esp_id=ONE, how="answer")]


def test_a_device_that_is_away_is_cleared_when_it_comes_back(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    bench.disconnect(chip)
    bench.wait(60)

    answer = bench.clear()
    assert (answer.clearing, answer.offline) == ((), (ONE,))
    bench.wait(3600)
    assert bench.emergency.clears()[0].state is ClearState.OFFLINE
    bench.connect(chip, ready=False)
    assert bench.told(chip, "clear_emergency") == []
    bench.wait(SETTLE_S)

    assert not chip.board.emergency


def test_what_is_owed_survives_a_restart_of_growyd(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    bench.disconnect(chip)
    bench.clear()

    bench.start()
    assert bench.emergency.held(ONE)
    bench.connect(chip)
    bench.wait(10)

    assert not chip.board.emergency
    assert bench.owed == {}


def test_a_device_that_has_rebooted_owes_nothing(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    bench.disconnect(chip)
    bench.wait(600)
    bench.clear()
    chip.online = True

    bench.reboot(chip)

    assert bench.told(chip, "clear_emergency") == []
    assert bench.of(Cleared) == [Cleared(esp_id=ONE, how="reboot")]
    assert bench.owed == {}


def test_a_reboot_in_the_middle_of_a_stop_may_have_been_stopped_already(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    bench.clear()
    chip.board = attrs.evolve(
        chip.board
    )  # the message came in the new boot already, and growyd learns of it now
    chip.boots += 1

    bench.seen(chip)
    bench.wait(10)

    assert not chip.board.emergency
    assert bench.of(Cleared) == [Cleared(esp_id=ONE, how="answer")]


def test_a_stop_that_comes_before_the_clear_is_sent_wins(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    bench.clear(ONE)
    bench.wait(1)

    bench.stop(ONE)
    bench.wait(60)

    assert chip.board.emergency
    assert bench.told(chip, "clear_emergency") == []
    assert bench.owed == {}


def test_a_stop_that_is_ordered_while_the_end_of_another_is_written_does_not_end_with_it(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    asked_for = set(bench.stops)
    bench.wait(10)
    bench.stop(ONE, reason="no, wait")

    answer = bench.emergency.clear(None, None, bench.moment, only=asked_for)
    bench.wait(60)

    assert {stop.id for stop in answer.ended} == asked_for
    assert [stop.reason for stop in answer.remaining] == ["no, wait"]
    assert chip.board.emergency
    assert bench.told(chip, "clear_emergency") == []


def test_one_device_cannot_be_let_go_while_everything_is_stopped(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()

    answer = bench.clear(ONE)
    bench.wait(60)

    assert answer.refused
    assert [stop.scope for stop in answer.remaining] == [StopScope.ALL]
    assert chip.board.emergency


def test_ending_the_stop_of_everything_ends_all_others(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE, 18)
    bench.stop(ONE)
    bench.stop()

    answer = bench.clear()
    bench.wait(10)

    assert len(answer.ended) == 3
    assert bench.emergency.stops == ()
    assert not chip.board.emergency


def test_an_actuator_stays_stopped_when_the_stop_of_its_device_ends(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE, 18)
    bench.stop(ONE)

    answer = bench.clear(ONE)
    bench.wait(10)

    assert [stop.gpio for stop in answer.remaining] == [18]
    assert not chip.board.emergency
    assert bench.emergency.covering(ActuatorKey(ONE, 18)) is not None
    bench.carry(bench.hear(chip, chip.switch_on(bench.now)))
    assert chip.still


def test_the_end_of_one_actuators_stop_needs_nothing_of_the_device(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE, 18)
    sent = len(bench.sent)

    answer = bench.clear(ONE, 18)

    assert (len(answer.ended), answer.remaining, answer.clearing) == (1, (), ())
    assert len(bench.sent) == sent
    assert bench.emergency.covering(ActuatorKey(ONE, 18)) is None


def test_a_device_that_something_else_has_latched_can_be_let_go(chip: Chip) -> None:
    bench = Bench(chip)
    chip.hears(bench.now, f"kaiser/god/esp/{ONE}/actuator/emergency", b'{"command":"emergency_stop"}')
    bench.wait(10)
    bench.report_statuses(chip)

    answer = bench.clear()
    bench.wait(1)

    assert (answer.ended, answer.clearing) == ((), (ONE,))
    assert not chip.board.emergency


def test_a_device_that_is_deleted_is_owed_nothing(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    bench.disconnect(chip)
    bench.clear()

    bench.emergency.forget(ONE)

    assert bench.emergency.take_owed() == {ONE: None}


def test_growyd_is_never_woken_where_nothing_is_stopped(chip: Chip) -> None:
    bench = Bench(chip)

    assert bench.emergency.next_due() == math.inf
    assert bench.emergency.tick(bench.moment) == []
    assert bench.clear().ended == ()


@pytest.mark.parametrize("prefix", ["", "a b", "x" * 25])
def test_ids_must_fit_beside_the_longest_token(prefix: str) -> None:
    with pytest.raises((Invalid, ValueError)):
        Emergency([], [], prefix=prefix, broadcast_token="")


def test_a_stop_and_a_clear_meet_over_a_crash_and_the_stop_wins(chip: Chip) -> None:
    stop = Stop(id="s", since_ms=1)
    core = Emergency([stop], [OwedClear(esp_id=ONE, boots=1)], prefix="e", broadcast_token="")

    effects = core.device_seen(chip.view, Moment(100.0, WALL_MS))

    assert next(json.loads(one.payload)["command"] for one in effects if isinstance(one, Publish)) == (
        "emergency_stop"
    )
    assert core.take_owed() == {ONE: None}
