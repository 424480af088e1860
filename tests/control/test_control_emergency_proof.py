"""Emergency stops: what counts as proof, what takes it away again, and devices that refuse."""

from __future__ import annotations

import math

import attrs
import pytest
from emergency_rig import WALL_MS, Bench, Chip

from growy.control.stops.effects import (
    Proof,
    Proven,
    Refused,
    Unproven,
)
from growy.model.control import StopScope
from growy.model.events import ActuatorStatus, EmergencyAck, EmergencyResponse
from growy.model.messages import Generation

ONE, OLD = "ESP_00A001", "ESP_00A00D"


@pytest.fixture
def chip() -> Chip:
    return Chip(esp_id=ONE)


@pytest.fixture
def old() -> Chip:
    return Chip(esp_id=OLD, generation=Generation.DEC_2025)


# --- proof --------------------------------------------------------------------------------------------------------


def test_a_lost_acknowledgement_is_made_good_by_statuses(chip: Chip) -> None:
    bench = Bench(chip)
    chip.mute = True
    bench.stop(ONE)
    chip.mute = False

    bench.report_statuses(chip)

    assert [proven.proof for proven in bench.of(Proven)] == [Proof.LATCHED]


def test_the_time_until_the_proof_is_told(chip: Chip) -> None:
    bench = Bench(chip)
    chip.deaf = True
    bench.stop(ONE)
    bench.wait(3)
    chip.deaf = False
    bench.wait(2)

    found = bench.report(chip, StopScope.ESP)

    assert (found.after_ms, found.told, found.proof) == (4000, 3, Proof.ACKNOWLEDGED)
    assert found.proven_ms == WALL_MS + 104_000


def test_statuses_from_before_the_stop_prove_nothing(old: Chip) -> None:
    bench = Bench(old)
    bench.report_statuses(old)
    old.deaf = True

    bench.stop()

    assert bench.report(old).proof is None
    assert bench.report(old).silent == (18, 19)


def test_off_alone_is_no_proof_where_the_firmware_has_a_latch(chip: Chip) -> None:
    bench = Bench(chip)
    chip.deaf = True
    bench.stop(ONE)

    bench.report_statuses(chip)

    assert bench.report(chip, StopScope.ESP).proof is None


def test_off_is_enough_of_firmware_that_can_say_no_more(old: Chip) -> None:
    bench = Bench(old)
    old.deaf = True
    bench.stop()

    bench.report_statuses(old)

    assert bench.report(old).proof is Proof.OFF


def test_what_a_device_said_before_it_went_away_is_not_counted_afterwards(old: Chip) -> None:
    bench = Bench(old)
    bench.stop()
    bench.disconnect(old)
    old.deaf = True
    bench.connect(old)
    off = ActuatorStatus(gpio=18, state=False, pwm=0)

    bench.carry(bench.emergency.heard(OLD, off, bench.moment))

    assert bench.report(old).proof is None
    assert bench.report(old).silent == (19,)


def test_the_latch_of_the_whole_device_is_no_proof_for_one_actuator(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    bench.clear(ONE)

    bench.stop(ONE, 18)

    assert chip.board.emergency  # it has not been told yet
    assert bench.report(chip, StopScope.ACTUATOR).proof is Proof.OFF


def test_an_actuator_that_is_still_on_is_no_proof_of_anything(old: Chip) -> None:
    bench = Bench(old)
    old.switch_on(bench.now)
    old.deaf = True
    bench.stop()

    bench.report_statuses(old)

    assert bench.report(old).proof is None
    assert bench.report(old).running == (18,)


def test_an_acknowledgement_of_another_message_is_none(chip: Chip) -> None:
    bench = Bench(chip)
    chip.deaf = True
    bench.stop(ONE)
    ack = EmergencyAck(command="emergency_stop", correlation_id="somebody-1", outcome="executed")

    bench.carry(bench.emergency.heard(ONE, ack, bench.moment))

    assert bench.report(chip, StopScope.ESP).proof is None


def test_an_acknowledgement_from_before_a_reboot_is_none(chip: Chip) -> None:
    bench = Bench(chip)
    chip.mute = True
    bench.stop(ONE)
    first = bench.messages()[0][2]["correlation_id"]
    chip.deaf = True
    bench.reboot(chip)
    ack = EmergencyAck(command="emergency_stop", correlation_id=first, outcome="executed")

    bench.carry(bench.emergency.heard(ONE, ack, bench.moment))

    assert bench.report(chip, StopScope.ESP).proof is None


def test_what_says_later_that_it_runs_is_stopped_again(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE, 18)
    bench.wait(60)
    told = len(bench.told(chip, "OFF"))

    bench.carry(bench.hear(chip, chip.switch_on(bench.now)))

    assert Unproven(esp_id=ONE, gpio=18, reason="gpio 18 is on") in bench.out
    assert len(bench.told(chip, "OFF")) == told + 1
    assert chip.still


def test_a_latch_that_something_else_has_opened_is_shut_again(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    bench.wait(60)
    chip.board = attrs.evolve(chip.fresh_board())

    bench.carry(bench.emergency.heard(ONE, EmergencyResponse(status="emergency_cleared"), bench.moment))

    assert chip.board.emergency
    assert Unproven(esp_id=ONE, gpio=None, reason="its latch was opened") in bench.out


def test_a_device_that_contradicts_itself_for_ever_is_told_every_fifteen_seconds(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    bench.wait(60)
    told = len(bench.told(chip))

    for _ in range(600):
        normal = ActuatorStatus(gpio=18, state=False, pwm=0, emergency="normal")
        bench.carry(bench.emergency.heard(ONE, normal, bench.moment))
        bench.wait(0.5)

    assert len(bench.told(chip)) - told <= 300 / 15 + 1


def test_firmware_that_never_answers_and_has_no_actuator_is_not_told_for_ever(old: Chip) -> None:
    bench = Bench()
    bare = attrs.evolve(old.view, actuators=(), applied=frozenset())
    bench.emergency.device_seen(bare, bench.moment)
    bench.chips[OLD] = attrs.evolve(old, mute=True)
    bench.stop()

    bench.wait(100)

    assert [proven.proof for proven in bench.of(Proven)] == [Proof.NOTHING]
    assert bench.emergency.next_due() == math.inf


# --- refusals -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("chip", "word"),
    [
        (Chip(esp_id=ONE, stored_token="right", known_token="wrong"), "UNAUTHORIZED"),
        (Chip(esp_id=ONE, production=True), "NO_TOKEN_CONFIGURED"),
    ],
)
def test_a_device_that_refuses_is_reported_and_switched_off_all_the_same(chip: Chip, word: str) -> None:
    bench = Bench(chip)
    chip.switch_on(bench.now)
    bench.stop(ONE)
    bench.wait(60)

    found = bench.report(chip, StopScope.ESP)

    assert chip.still
    assert (found.proof, found.reason) == (None, word)
    assert bench.of(Refused) == [Refused(esp_id=ONE, reason=word)]
    assert len(bench.told(chip)) > 8


def test_old_firmware_that_refuses_has_not_proven_it_by_being_off() -> None:
    chip = Chip(esp_id=ONE, generation=Generation.DEC_2025, stored_token="right", known_token="wrong")
    bench = Bench(chip)
    bench.stop(ONE)

    bench.report_statuses(chip)

    assert bench.report(chip, StopScope.ESP).proof is None


def test_the_right_token_is_used_as_soon_as_it_is_known(chip: Chip) -> None:
    chip.stored_token, chip.known_token = "right", "wrong"
    chip.board = chip.fresh_board()
    bench = Bench(chip)
    bench.stop(ONE)
    bench.wait(12)
    chip.known_token = "right"

    bench.seen(chip)

    assert chip.board.emergency
    assert bench.report(chip, StopScope.ESP).proof is Proof.ACKNOWLEDGED
