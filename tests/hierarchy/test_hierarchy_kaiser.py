"""A Kaiser follows its own God alone, believes no answer to another life's question, and knows when it is alone."""

from __future__ import annotations

import msgspec
import pytest
from tree_rig import ESP, GOD_ID, TERMS, at, kaiser, of, report, said

from growy.hierarchy.effects import (
    Drop,
    Fence,
    Freeze,
    Note,
    Obey,
    Persist,
    Prepare,
    StopHere,
    Survey,
    Take,
    Tell,
)
from growy.hierarchy.kaiser import Identity, Kaiser
from growy.model.errors import Invalid
from growy.model.handover import HandedOver, HeldOutput
from growy.model.hierarchy import GOD, ChainType
from growy.model.tree_messages import (
    NEVER,
    Away,
    ChainCommand,
    ChainResponse,
    Documents,
    Ended,
    Found,
    Grant,
    MessageId,
    NodeRefusal,
    Offer,
    Orders,
    Pass,
    PassRequest,
    Report,
    Revoke,
    Withdraw,
    Withdrawn,
)

LAST_WORDS = HandedOver(taken_ms=1, outputs=(HeldOutput(gpio=26, value=1.0),))


def from_god(reply_to: MessageId = NEVER, **what: object) -> Orders:
    given = {"kaiser_id": "k1", "instance": "i-1", "god_id": GOD_ID, "god_instance": "god-1"}
    return msgspec.convert({**given, "reply_to": reply_to, **what}, Orders, from_attributes=True)


def owner(clock: float = 10.0) -> Kaiser:
    """One that has had a lease on the device since `clock`."""
    node = kaiser(god_instance="god-1")
    node.start(at(0.0))
    asked = report(node.heard(GOD, from_god(offers=(Offer(esp_id=ESP, epoch=7, home="k1"),)), at(clock)))
    assert [(ask.esp_id, ask.epoch, ask.held) for ask in asked.asks] == [(ESP, 7, False)]
    out = node.heard(GOD, from_god(asked.id, grants=(Grant(esp_id=ESP, epoch=7, lease_s=30.0),)), at(clock))
    assert of(out, Take)
    return node


def test_nothing_is_said_before_the_count_of_starts_is_on_the_disk() -> None:
    out = kaiser(boot=5).start(at(0.0))

    assert [type(one) for one in out] == [Persist, Tell]
    assert of(out, Persist)[0].boot == 5
    assert report(out).id == MessageId(5, 1)


def test_the_first_god_of_the_right_name_is_adopted_once_and_for_all() -> None:
    node = kaiser()
    node.start(at(0.0))

    out = node.heard(GOD, from_god(), at(1.0))
    assert of(out, Persist)[0].god_instance == "god-1"

    offer = Offer(esp_id=ESP, epoch=9, home="k1")
    foreign = msgspec.structs.replace(from_god(offers=(offer,)), god_instance="god-2")
    out = node.heard(GOD, foreign, at(2.0))
    assert [one.event_type for one in of(out, Note)] == ["ownership_conflict"]
    assert not said(out, Report)
    assert not node.heard(GOD, foreign, at(3.0))  # said once
    assert node.god_instance == "god-1"


def test_a_god_of_another_name_is_not_followed() -> None:
    node = kaiser()

    out = node.heard(GOD, msgspec.structs.replace(from_god(), god_id="another"), at(1.0))

    assert node.god_instance == ""
    assert not of(out, Persist)


@pytest.mark.parametrize("refusal", NodeRefusal)
def test_a_god_that_refuses_is_not_adopted_and_the_reason_is_told_once(refusal: NodeRefusal) -> None:
    node = kaiser()

    out = node.heard(GOD, from_god(refusal=refusal), at(1.0))

    assert refusal in of(out, Note)[0].message
    assert node.refused is refusal
    assert node.god_instance == ""
    assert node.heard(GOD, from_god(refusal=refusal), at(2.0)) == []
    node.heard(GOD, from_god(), at(3.0))
    assert node.refused is None


def test_orders_for_another_installation_with_the_same_id_are_not_obeyed() -> None:
    node = kaiser(god_instance="god-1")

    other = msgspec.structs.replace(from_god(offers=(Offer(esp_id=ESP, epoch=1, home="k1"),)), instance="i-2")
    out = node.heard(GOD, other, at(1.0))

    assert [one.event_type for one in of(out, Note)] == ["ownership_conflict"]
    assert not said(node.tick(at(100.0)), Report)[0].asks


def test_orders_count_only_if_god_has_sent_them() -> None:
    node = kaiser(god_instance="god-1")

    assert node.heard("k2", from_god(offers=(Offer(esp_id=ESP, epoch=1, home="k1"),)), at(1.0)) == []


def test_a_kaiser_cannot_be_called_god() -> None:
    with pytest.raises(Invalid):
        Identity(kaiser_id=GOD, instance="i", god_id=GOD_ID)


def test_a_lease_counts_from_the_question_however_late_the_answer() -> None:
    node = kaiser(god_instance="god-1")
    asked = report(node.heard(GOD, from_god(offers=(Offer(esp_id=ESP, epoch=7, home="k1"),)), at(10.0)))
    grant = from_god(asked.id, grants=(Grant(esp_id=ESP, epoch=7, lease_s=30.0),))

    node.heard(GOD, grant, at(35.0))

    assert node.stamp(ESP, at(36.9)) is not None
    assert node.stamp(ESP, at(37.1)) is None  # the last three seconds are for OFF
    assert node.stamp(ESP, at(39.9), off=True) is not None
    assert node.stamp(ESP, at(40.0), off=True) is None


def test_an_answer_that_comes_after_its_lease_gives_nothing() -> None:
    node = kaiser(god_instance="god-1")
    asked = report(node.heard(GOD, from_god(offers=(Offer(esp_id=ESP, epoch=7, home="k1"),)), at(10.0)))

    out = node.heard(GOD, from_god(asked.id, grants=(Grant(esp_id=ESP, epoch=7, lease_s=30.0),)), at(41.0))

    assert not of(out, Take)
    assert node.stamp(ESP, at(41.0), off=True) is None


def test_an_answer_to_a_question_of_an_earlier_life_gives_nothing() -> None:
    node = kaiser(god_instance="god-1", boot=2)
    asked = report(node.heard(GOD, from_god(offers=(Offer(esp_id=ESP, epoch=7, home="k1"),)), at(10.0)))
    earlier = MessageId(1, asked.id.number)

    out = node.heard(GOD, from_god(earlier, grants=(Grant(esp_id=ESP, epoch=7, lease_s=30.0),)), at(11.0))

    assert not of(out, Take)
    assert node.stamp(ESP, at(11.0), off=True) is None


def test_it_fences_itself_before_the_lease_is_over_even_if_nobody_wakes_it() -> None:
    node = owner(10.0)
    assert node.next_due() <= 37.0

    assert node.stamp(ESP, at(200.0)) is None  # asked before it was woken
    assert of(node.tick(at(37.0)), Fence) == [Fence(esp_id=ESP, epoch=7)]
    assert not of(node.tick(at(38.0)), Fence)


def test_a_renewal_after_the_fence_begins_anew() -> None:
    node = owner(10.0)
    asked = report(node.tick(at(37.0)))

    out = node.heard(GOD, from_god(asked.id, grants=(Grant(esp_id=ESP, epoch=7, lease_s=30.0),)), at(37.5))

    assert of(out, Take) == [Take(esp_id=ESP, epoch=7, state=None)]
    assert node.stamp(ESP, at(60.0)) is not None


def test_what_the_former_owner_left_comes_with_the_first_lease() -> None:
    node = kaiser(god_instance="god-1")
    asked = report(node.heard(GOD, from_god(offers=(Offer(esp_id=ESP, epoch=7, home="k1"),)), at(10.0)))
    grant = Grant(esp_id=ESP, epoch=7, lease_s=30.0, state=LAST_WORDS)

    out = node.heard(GOD, from_god(asked.id, grants=(grant,)), at(10.1))

    assert of(out, Take) == [Take(esp_id=ESP, epoch=7, state=LAST_WORDS)]


def test_nothing_is_asked_for_until_what_the_rules_need_is_on_the_disk() -> None:
    node = kaiser(god_instance="god-1")
    out = node.heard(GOD, from_god(offers=(Offer(esp_id=ESP, epoch=7, home="k1", version="v2"),)), at(1.0))
    assert report(out).asks == ()

    documents = Documents(god_instance="god-1", esp_id=ESP, version="v2", content=b"x")
    assert node.heard(GOD, documents, at(2.0)) == [Prepare(documents=documents)]
    assert report(node.tick(at(10.0))).asks == ()  # not kept yet

    out = node.prepared(ESP, "v2", at(11.0))
    assert [ask.esp_id for ask in report(out).asks] == [ESP]


def test_documents_of_another_god_are_not_kept() -> None:
    node = kaiser(god_instance="god-1")

    assert node.heard(GOD, Documents(god_instance="god-2", esp_id=ESP, version="v2"), at(2.0)) == []


def test_documents_that_god_does_not_name_any_more_are_thrown_away() -> None:
    node = kaiser(god_instance="god-1", **{ESP: "v1"})
    asked = report(node.start(at(0.0)))
    assert [one.version for one in asked.prepared] == ["v1"]

    out = node.heard(GOD, from_god(asked.id), at(1.0))

    assert of(out, Persist) == [Persist(dropped=(ESP,))]
    assert report(node.tick(at(10.0))).prepared == ()


def test_a_device_is_let_go_of_only_when_no_home_takes_its_commands_any_more() -> None:
    node = owner(10.0)
    answer = said(node.heard("k2", PassRequest(id=MessageId(1, 1), esp_ids=(ESP,)), at(12.0)), Pass)[0]
    assert answer.passed[0].left_s == TERMS.pass_s

    out = node.heard(GOD, from_god(revokes=(Revoke(esp_id=ESP, epoch=7),)), at(13.0))
    assert of(out, Freeze) == [Freeze(esp_id=ESP, epoch=7, hold_s=TERMS.hold_s)]
    assert [one.to for one in of(out, Tell) if isinstance(one.message, Withdraw)] == ["k2"]
    assert node.stamp(ESP, at(13.0), off=True) is None
    assert (
        said(node.heard("k2", PassRequest(id=MessageId(1, 2), esp_ids=(ESP,)), at(13.1)), Pass)[0].passed
        == ()
    )
    assert not of(out, Survey)

    out = node.heard("k2", Withdrawn(esp_id=ESP, epoch=7), at(13.2))
    assert of(out, Survey) == [Survey(esp_id=ESP, epoch=7)]

    released = report(node.surveyed(ESP, 7, LAST_WORDS, at(13.5))).released
    assert [(one.epoch, one.state) for one in released] == [(7, LAST_WORDS)]


def test_a_home_that_says_nothing_is_waited_for_until_its_pass_is_over() -> None:
    node = owner(10.0)
    node.heard("k2", PassRequest(id=MessageId(1, 1), esp_ids=(ESP,)), at(12.0))
    node.heard(GOD, from_god(revokes=(Revoke(esp_id=ESP, epoch=7),)), at(13.0))

    assert not of(node.tick(at(16.9)), Survey)
    assert of(node.tick(at(17.0)), Survey)


def test_after_a_start_it_waits_for_passes_that_it_may_have_given() -> None:
    node = kaiser(god_instance="god-1", boot=2)
    node.start(at(0.0))

    out = node.heard(GOD, from_god(revokes=(Revoke(esp_id=ESP, epoch=7),)), at(1.0))
    assert not any(one.released for one in said(out, Report))

    released = report(node.tick(at(5.0))).released
    assert [(one.epoch, one.state) for one in released] == [(7, None)]


def test_an_epoch_that_is_over_stays_over_whatever_is_still_under_way() -> None:
    node = owner(10.0)
    late = said(node.tick(at(15.0)), Report)[0]
    out = node.heard(GOD, from_god(ended=(Ended(esp_id=ESP, epoch=7),)), at(16.0))
    assert of(out, Drop) == [Drop(esp_id=ESP)]

    node.heard(GOD, from_god(offers=(Offer(esp_id=ESP, epoch=7, home="k1"),)), at(17.0))
    out = node.heard(GOD, from_god(late.id, grants=(Grant(esp_id=ESP, epoch=7, lease_s=30.0),)), at(17.1))

    assert not of(out, Take)
    assert node.stamp(ESP, at(17.2), off=True) is None


@pytest.mark.parametrize(("epoch", "state"), [(8, LAST_WORDS), (9, None)])
def test_what_it_left_is_what_it_finds_only_if_nobody_else_had_the_device_since(
    epoch: int, state: HandedOver | None
) -> None:
    node = owner(10.0)
    node.heard(GOD, from_god(revokes=(Revoke(esp_id=ESP, epoch=7),)), at(11.0))
    node.surveyed(ESP, 7, LAST_WORDS, at(11.5))

    asked = report(node.heard(GOD, from_god(offers=(Offer(esp_id=ESP, epoch=epoch, home="k1"),)), at(12.0)))
    grant = Grant(esp_id=ESP, epoch=epoch, lease_s=30.0)
    out = node.heard(GOD, from_god(asked.id, grants=(grant,)), at(12.1))

    assert of(out, Take) == [Take(esp_id=ESP, epoch=epoch, state=state)]


# --- commands -----------------------------------------------------------------------------------------------------


def test_a_command_of_god_is_carried_out_once_and_answered_as_often_as_it_is_told() -> None:
    node = kaiser(god_instance="god-1")
    told = ChainCommand(god_instance="god-1", command_id="c-1", command_type="sync_config", data={"a": 1})

    assert [one.command_id for one in of(node.heard(GOD, told, at(1.0)), Obey)] == ["c-1"]
    assert node.heard(GOD, told, at(2.0)) == []
    node.answer("c-1", True, "done")

    assert said(node.heard(GOD, told, at(3.0)), ChainResponse)[0].success is True


def test_a_command_that_was_cancelled_before_it_was_heard_is_not_carried_out() -> None:
    node = kaiser(god_instance="god-1")
    told = ChainCommand(god_instance="god-1", command_id="c-1", command_type="sync_config", cancelled=True)

    out = node.heard(GOD, told, at(1.0))

    assert not of(out, Obey)
    assert said(out, ChainResponse)[0].success is False


def test_an_emergency_stop_comes_from_its_own_god_only() -> None:
    node = kaiser(god_instance="god-1")
    told = ChainCommand(
        god_instance="god-2", command_id="s", command_type=ChainType.EMERGENCY_STOP, data={"reason": "smoke"}
    )
    assert node.heard(GOD, told, at(1.0)) == []

    out = node.heard(GOD, msgspec.structs.replace(told, god_instance="god-1"), at(2.0))

    assert of(out, StopHere) == [StopHere(command_id="s", esp_id=None, reason="smoke", issued_by="")]


def test_a_device_is_reported_under_the_id_that_it_names_until_god_has_said_whose_it_is() -> None:
    node = kaiser(god_instance="god-1")
    node.found(ESP, at(1.0), "k9")
    asked = report(node.tick(at(10.0)))
    assert asked.found == (Found(esp_id=ESP, heard_as="k9"),)

    node.heard(GOD, from_god(asked.id, away=(Away(esp_id=ESP, owner=GOD, epoch=3),)), at(11.0))

    assert report(node.tick(at(20.0))).found == ()


def test_papers_that_god_no_longer_names_when_they_are_on_the_disk_count_for_nothing() -> None:
    node = kaiser(god_instance="god-1", **{ESP: "v1"})
    asked = report(node.start(at(0.0)))
    node.heard(GOD, Documents(god_instance="god-1", esp_id=ESP, version="v2", content=b"x"), at(1.0))

    out = node.heard(GOD, from_god(asked.id), at(2.0))
    assert of(out, Persist) == [Persist(dropped=(ESP,))]
    assert node.prepared(ESP, "v2", at(3.0)) == []

    assert report(node.tick(at(10.0))).prepared == ()
