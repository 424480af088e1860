"""The gate of devices that hang here and belong to another node: what goes on to them, and what does not."""

from __future__ import annotations

import msgspec
from tree_rig import ESP, GOD_ID, TERMS, at, kaiser, of, report, said

from growy.hierarchy.effects import (
    Carry,
    Tell,
)
from growy.hierarchy.kaiser import Kaiser
from growy.hierarchy.relay import Relay
from growy.model.handover import HandedOver, HeldOutput
from growy.model.hierarchy import GOD, Stamp
from growy.model.tree_messages import (
    NEVER,
    Away,
    MessageId,
    Orders,
    Pass,
    Passed,
    PassRequest,
    RelayAnswer,
    RelayCommand,
    Withdraw,
    Withdrawn,
)

LAST_WORDS = HandedOver(taken_ms=1, outputs=(HeldOutput(gpio=26, value=1.0),))


def from_god(reply_to: MessageId = NEVER, **what: object) -> Orders:
    given = {"kaiser_id": "k1", "instance": "i-1", "god_id": GOD_ID, "god_instance": "god-1"}
    return msgspec.convert({**given, "reply_to": reply_to, **what}, Orders, from_attributes=True)


def home() -> tuple[Kaiser, PassRequest]:
    """One on whose broker a device of k2 hangs, and its question to k2."""
    node = kaiser(god_instance="god-1")
    asked = report(node.start(at(0.0)))
    node.heard(GOD, from_god(asked.id, away=(Away(esp_id=ESP, owner="k2", epoch=7),)), at(0.1))
    return node, said(node.tick(at(1.0)), PassRequest)[-1]


def command(number: int = 1, epoch: int = 7) -> RelayCommand:
    return RelayCommand(
        command_id=f"c-{number}", esp_id=ESP, stamp=Stamp(epoch, 1, number), tail="t", payload=b"x"
    )


def a_pass(question: PassRequest, epoch: int = 7) -> Pass:
    one = Passed(esp_id=ESP, epoch=epoch, left_s=5.0, last=Stamp(epoch, 1, 0))
    return Pass(reply_to=question.id, passed=(one,))


def verdict(node: Kaiser, sender: str, message: RelayCommand, clock: float) -> str:
    out = node.heard(sender, message, at(clock))
    answer = said(out, RelayAnswer)[0]
    assert bool(of(out, Carry)) == (not answer.refusal)
    return answer.refusal


def test_the_owners_commands_are_carried_while_its_pass_lasts_and_no_longer() -> None:
    node, question = home()
    assert verdict(node, "k2", command(1), 1.1) == "no_pass"

    node.heard("k2", a_pass(question), at(4.0))

    assert verdict(node, "k2", command(1), 4.1) == ""
    assert verdict(node, "k2", command(2), 1.0 + 5.0 * 0.99 / 1.01 - 0.01) == ""
    assert verdict(node, "k2", command(3), 1.0 + 5.0 * 0.99 / 1.01 + 0.01) == "no_pass"


def test_commands_of_others_of_old_epochs_and_of_the_past_are_refused() -> None:
    node, question = home()
    node.heard("k2", a_pass(question), at(1.1))

    assert verdict(node, "k2", command(5), 1.2) == ""
    assert verdict(node, "k2", command(5), 1.2) == "old_command"
    assert verdict(node, "k2", command(4), 1.2) == "old_command"
    assert verdict(node, "k3", command(6), 1.2) == "not_owner"
    assert verdict(node, "k3", command(6, epoch=6), 1.2) == "stale_epoch"


def test_what_was_withdrawn_is_not_opened_again_by_a_pass_that_was_under_way() -> None:
    node, question = home()
    out = node.heard("k2", Withdraw(esp_id=ESP, epoch=7), at(1.1))
    assert said(out, Withdrawn) == [Withdrawn(esp_id=ESP, epoch=7)]

    node.heard("k2", a_pass(question), at(1.2))

    assert verdict(node, "k2", command(1), 1.3) == "stale_epoch"


def test_nobody_elses_pass_counts_and_none_that_answers_another_life() -> None:
    node, question = home()
    node.heard("k3", a_pass(question), at(1.1))
    node.heard(
        "k2", msgspec.structs.replace(a_pass(question), reply_to=MessageId(9, question.id.number)), at(1.1)
    )

    assert verdict(node, "k2", command(1), 1.2) == "no_pass"


def test_a_device_that_was_elsewhere_is_not_switched_by_what_was_sent_before() -> None:
    node, question = home()
    node.heard("k2", a_pass(question), at(1.1))
    assert verdict(node, "k2", command(1), 1.2) == ""

    node.found(ESP, at(2.0))
    assert verdict(node, "k2", command(2), 2.1) == "no_pass"
    node.heard("k2", a_pass(question), at(2.2))  # said before it was elsewhere
    assert verdict(node, "k2", command(2), 2.3) == "no_pass"

    fresh = said(node.heard("k2", command(2), at(2.4)), PassRequest)[0]
    passed = Passed(esp_id=ESP, epoch=7, left_s=5.0, last=Stamp(7, 1, 5))
    node.heard("k2", Pass(reply_to=fresh.id, passed=(passed,)), at(2.5))
    assert verdict(node, "k2", command(4), 2.6) == "old_command"
    assert verdict(node, "k2", command(6), 2.7) == ""


def test_a_command_of_a_newer_epoch_makes_the_home_ask_its_sender() -> None:
    node, question = home()
    node.heard("k2", a_pass(question), at(1.1))

    out = node.heard("k3", command(1, epoch=8), at(1.2))
    assert said(out, RelayAnswer)[0].refusal == "no_pass"
    asked = next(one for one in of(out, Tell) if isinstance(one.message, PassRequest))
    assert asked.to == "k3"
    node.heard("k3", a_pass(asked.message, epoch=8), at(1.3))

    assert verdict(node, "k3", command(2, epoch=8), 1.4) == ""
    assert verdict(node, "k2", command(9), 1.4) == "stale_epoch"


def test_a_pass_that_was_asked_before_the_device_came_back_opens_nothing() -> None:
    relay = Relay(TERMS, boot=1)
    relay.owners_are({ESP: ("k2", 5)})
    question = relay.tick(0.0)[0].message
    relay.owners_are({})  # it is carried to another broker, and back
    relay.arrived(ESP)
    relay.owners_are({ESP: ("k2", 5)})
    passed = Passed(esp_id=ESP, epoch=5, left_s=3.0, last=Stamp(5, 1, 6))
    relay.heard_pass("k2", Pass(reply_to=question.id, passed=(passed,)))

    old = RelayCommand(
        command_id="x", esp_id=ESP, stamp=Stamp(5, 1, 7), tail="actuator/1/command", payload=b""
    )
    assert not of(relay.heard_command("k2", old, 0.1), Carry)
