"""Emergency stops: who is told what, when, and how often."""

from __future__ import annotations

import json
import math

import attrs
import pytest
from emergency_rig import Bench, Chip

from growy.control.stops.effects import (
    Cleared,
    ClearFailed,
    Proof,
    Proven,
    Publish,
    Unproven,
)
from growy.model.control import ActuatorKey

ONE, TWO = "ESP_00A001", "ESP_00A002"


@pytest.fixture
def chip() -> Chip:
    return Chip(esp_id=ONE)


def orders(bench: Bench) -> list[tuple[str, str]]:
    return [(topic.removeprefix("kaiser/"), document["command"]) for _, topic, document in bench.messages()]


def test_all_are_told_at_once_before_any_single_actuator_is(chip: Chip) -> None:
    bench = Bench(chip, Chip(esp_id=TWO, known_token="s3cret", stored_token="s3cret"))

    bench.stop(reason="fire")

    assert orders(bench) == [
        ("broadcast/emergency", "stop_all"),
        (f"god/esp/{ONE}/actuator/emergency", "emergency_stop"),
        (f"god/esp/{TWO}/actuator/emergency", "emergency_stop"),
        (f"god/esp/{ONE}/actuator/18/command", "OFF"),
        (f"god/esp/{ONE}/actuator/19/command", "OFF"),
        (f"god/esp/{TWO}/actuator/18/command", "OFF"),
        (f"god/esp/{TWO}/actuator/19/command", "OFF"),
    ]
    documents = [document for _, _, document in bench.messages()]
    assert documents[0]["reason"] == "fire"
    assert [document["auth_token"] for document in documents[:3]] == ["all", ONE, "s3cret"]
    assert all(chip.board.emergency and chip.still for chip in bench.chips.values())


def test_a_stop_of_one_device_leaves_the_others_alone(chip: Chip) -> None:
    other = Chip(esp_id=TWO)
    bench = Bench(chip, other)

    bench.stop(ONE)

    assert chip.board.emergency
    assert not other.board.emergency
    assert not any(TWO in topic or "broadcast" in topic for _, topic, _ in bench.messages())


def test_a_stop_of_one_actuator_is_an_off_and_the_latch_is_ours(chip: Chip) -> None:
    bench = Bench(chip)
    chip.switch_on(bench.now)

    bench.stop(ONE, 18)

    assert orders(bench) == [(f"god/esp/{ONE}/actuator/18/command", "OFF")]
    assert not chip.board.emergency
    assert bench.emergency.covering(ActuatorKey(ONE, 18)) is not None
    assert bench.emergency.covering(ActuatorKey(ONE, 19)) is None
    assert bench.of(Proven) == [
        Proven(esp_id=ONE, gpio=18, proof=Proof.OFF, at_ms=bench.moment.wall_ms, after_ms=0)
    ]


def test_a_device_that_is_taken_to_be_away_is_told_all_the_same(chip: Chip) -> None:
    bench = Bench(chip)
    bench.disconnect(chip)

    bench.stop(ONE)

    assert bench.told(chip) == [bench.now]
    assert bench.emergency.next_due() == math.inf


def test_a_silent_device_is_told_often_at_first_and_then_every_fifteen_seconds(chip: Chip) -> None:
    bench = Bench(chip)
    chip.deaf = True
    bench.stop(ONE)
    began = bench.now

    bench.wait(61)

    assert [at - began for at in bench.told(chip)] == [0, 2, 4, 6, 8, 10, 15, 30, 45, 60]
    assert [at - began for at in bench.told(chip, "OFF")] == [
        at for at in (0, 2, 4, 6, 8, 10, 15, 30, 45, 60) for _ in (18, 19)
    ]
    assert len({document["correlation_id"] for _, _, document in bench.messages()}) == len(bench.sent)


def test_what_is_proven_is_not_repeated(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()

    assert bench.wait(120) == []
    assert bench.emergency.next_due() == math.inf
    assert bench.emergency.report()[0].proven


def test_commands_wait_until_the_device_takes_some_but_the_stop_does_not(chip: Chip) -> None:
    chip.ready = False
    bench = Bench(chip)
    bench.stop(ONE)

    assert orders(bench) == [(f"god/esp/{ONE}/actuator/emergency", "emergency_stop")]
    assert chip.board.emergency
    assert bench.of(Proven) == []  # its gate keeps the acknowledgement back

    bench.register(chip)

    assert len(bench.told(chip, "OFF")) == 2
    assert [proven.proof for proven in bench.of(Proven)] == [Proof.ACKNOWLEDGED]


def test_a_device_whose_only_sign_is_an_outcome_from_its_flash_has_proven_it(chip: Chip) -> None:
    chip.ready = False
    bench = Bench(chip)
    bench.stop(ONE)
    chip.deaf = True  # so that nothing but the flash speaks for it

    bench.register(chip)

    assert [proven.proof for proven in bench.of(Proven)] == [Proof.ACKNOWLEDGED]


def test_one_actuator_of_a_device_that_never_gets_ready_is_switched_off_in_the_end(chip: Chip) -> None:
    chip.ready = False
    bench = Bench(chip)

    bench.stop(ONE, 18)
    bench.wait(31)

    assert [at - 100 for at in bench.told(chip, "OFF")] == [15, 30]


def test_a_device_that_comes_back_is_told_at_once_even_if_it_had_proven_it(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    assert bench.report(chip).proof is not None
    bench.disconnect(chip)
    bench.wait(500)

    effects = bench.connect(chip, ready=False)

    assert [json.loads(one.payload)["command"] for one in effects if isinstance(one, Publish)] == [
        "emergency_stop"
    ]


def test_a_device_that_reboots_is_stopped_again(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    bench.wait(60)

    bench.reboot(chip)

    assert chip.board.emergency
    assert len(bench.of(Proven)) == 2


def test_a_device_that_nobody_knew_is_stopped_when_it_appears(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    newcomer = bench.chips[TWO] = Chip(esp_id=TWO)

    bench.seen(newcomer)

    assert newcomer.board.emergency
    assert bench.report(newcomer).proof is Proof.ACKNOWLEDGED


def test_while_the_broker_is_away_nothing_piles_up_and_then_all_are_told(chip: Chip) -> None:
    bench = Bench(chip)
    bench.link(False)
    bench.stop()
    lost = len(bench.sent)

    bench.wait(300)
    assert len(bench.sent) == lost
    bench.link(True)

    assert orders(bench)[lost:] == orders(bench)[:lost]
    assert bench.report(chip).proof is Proof.ACKNOWLEDGED


def test_when_the_broker_is_back_devices_are_told_as_often_as_at_first(chip: Chip) -> None:
    bench = Bench(chip)
    chip.deaf = True
    bench.stop(ONE)
    bench.wait(100)
    bench.link(False)
    bench.link(True)
    began = bench.now

    bench.wait(6)

    assert [at - began for at in bench.told(chip) if at >= began] == [0, 2, 4, 6]


def test_a_clear_that_was_under_way_when_the_broker_went_is_not_given_up(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop(ONE)
    bench.clear(ONE)
    bench.link(False)
    bench.wait(300)

    bench.link(True)

    assert bench.of(Cleared) == [Cleared(esp_id=ONE, how="answer")]
    assert bench.of(ClearFailed) == []


def test_a_restarted_growyd_stops_everything_once_more(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    chip.board = chip.fresh_board()  # it has rebooted meanwhile, and nobody noticed

    bench.start()

    assert chip.board.emergency
    assert bench.report(chip).proof is Proof.ACKNOWLEDGED
    assert bench.emergency.covering(ActuatorKey("ESP_FFFFFF", 4)) is not None


def test_an_actuator_that_is_configured_during_a_stop_is_stopped_too(chip: Chip) -> None:
    bench = Bench(chip)
    bench.stop()
    bench.wait(60)
    grown = attrs.evolve(chip.view, applied=frozenset({18, 19, 23}))

    effects = bench.carry(bench.emergency.device_seen(grown, bench.moment))

    assert Unproven(esp_id=ONE, gpio=None, reason="gpio 23 was configured just now") in effects
    assert bench.told(chip)[-1] == bench.now
    assert any(topic.endswith("/23/command") for _, topic, _ in bench.messages(since=bench.now))


def test_a_device_that_cannot_be_addressed_does_not_keep_the_others_from_being_told(chip: Chip) -> None:
    bench = Bench(chip)
    lost = attrs.evolve(Chip(esp_id=TWO).view, kaiser_id="no such thing")
    bench.carry(bench.emergency.device_seen(lost, bench.moment))

    bench.stop()

    assert chip.board.emergency
