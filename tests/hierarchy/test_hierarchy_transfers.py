"""A device changes its owner: what is checked, in what order it goes, who may wish for it."""

from __future__ import annotations

import msgspec
import pytest
from tree_rig import (
    ESP,
    LAST_WORDS,
    ONLINE,
    OTHER,
    TERMS,
    at,
    god,
    of,
    orders,
    owned,
    reports,
    said,
    written,
)

from growy.hierarchy.effects import (
    Freeze,
    Note,
    Persist,
    Ship,
    Survey,
)
from growy.model.hierarchy import (
    GOD,
    ChainStatus,
    Node,
    NodeState,
    TransferStep,
)
from growy.model.tree_errors import TransferRefused
from growy.model.tree_messages import (
    Ask,
    MessageId,
    Orders,
    Petition,
    Prepared,
)


@pytest.mark.parametrize(
    ("esp_id", "from_owner", "to_owner", "reason"),
    [
        (ESP, GOD, "k2", "not_owner"),
        (ESP, "k1", "k1", "same_owner"),
        (ESP, "k1", "k3", "offline"),
        (ESP, "k1", "k4", "full"),
        (ESP, "k1", "k5", "leaving"),
        (OTHER, GOD, "k2", "under_way"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    esp_id: str, from_owner: str, to_owner: str, reason: str
) -> None:
    nodes = (
        *ONLINE,
        Node(kaiser_id="k3", state=NodeState.OFFLINE),
        Node(kaiser_id="k4", state=NodeState.ONLINE, max_esps=0),
        Node(kaiser_id="k5", state=NodeState.LEAVING),
    )
    one = god(nodes=nodes, records=[owned(), owned(GOD, esp_id=OTHER)])
    one.configured(OTHER, "v1")
    one.transfer("t-1", OTHER, GOD, "k1", at(0.0))
    before = one.records, one.chains

    with pytest.raises(TransferRefused) as caught:
        one.transfer("t-2", esp_id, from_owner, to_owner, at(1.0))

    assert caught.value.details["reason"] == reason
    assert (one.records, one.chains) == before


def test_the_new_owner_is_prepared_before_the_old_one_is_asked() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.start(at(0.0))
    one.configured(ESP, "v2")

    out = one.transfer("t", ESP, "k1", "k2", at(1.0))
    assert of(out, Ship) == [Ship(to="k2", esp_id=ESP)]
    assert not said(out, Orders)

    out = reports(one, "k2", 1, 2.0, prepared=(Prepared(esp_id=ESP, version="v1"),))
    assert one.chains[0].step is TransferStep.PREPARE
    out = reports(one, "k2", 2, 3.0, prepared=(Prepared(esp_id=ESP, version="v2"),))
    assert one.chains[0].step is TransferStep.REVOKE
    assert [(told.kaiser_id, told.revokes[0].epoch) for told in said(out, Orders) if told.revokes] == [
        ("k1", 7)
    ]


def test_who_does_not_get_ready_does_not_get_the_device() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.configured(ESP, "v2")
    one.transfer("t", ESP, "k1", "k2", at(1.0))

    out = one.tick(at(1.5 + TERMS.prepare_s))

    assert of(out, Persist)[-1].chains[0].status is ChainStatus.TIMEOUT
    assert one.record(ESP) == owned()


def test_god_lets_go_as_a_kaiser_does() -> None:
    one = god(nodes=ONLINE, records=[owned(GOD)])
    one.start(at(0.0))
    assert one.stamp(ESP) is not None

    out = one.transfer("t", ESP, GOD, "k2", at(1.0))
    assert of(out, Freeze)
    assert one.stamp(ESP) is None
    assert not of(out, Survey)  # passes of an earlier start may be about
    assert of(one.tick(at(5.1)), Survey) == [Survey(esp_id=ESP, epoch=7)]

    out = one.surveyed(ESP, 7, LAST_WORDS, at(5.2))
    assert written(out) == [("k2", 8)]
    grant = orders(reports(one, "k2", 1, 5.3, asks=(Ask(esp_id=ESP, epoch=8),))).grants[0]
    assert grant.state == LAST_WORDS


def test_last_words_are_not_told_to_a_later_start_of_the_new_owner() -> None:
    one = god(nodes=ONLINE, records=[owned(GOD)])
    one.start(at(0.0))
    one.transfer("t", ESP, GOD, "k2", at(6.0))
    one.surveyed(ESP, 7, LAST_WORDS, at(6.1))
    ask = (Ask(esp_id=ESP, epoch=8),)
    assert orders(reports(one, "k2", 1, 7.0, asks=ask)).grants[0].state == LAST_WORDS
    assert orders(reports(one, "k2", 2, 7.5, asks=ask)).grants[0].state == LAST_WORDS

    later = reports(one, "k2", 1, 8.0, id=MessageId(2, 1), asks=ask)

    assert orders(later).grants[0].state is None


def test_a_kaiser_gives_its_device_to_another_only_with_leave() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.start(at(0.0))
    wish = Petition(kaiser_id="k1", petition_id="p", esp_id=ESP, to_owner="k2")

    out = one.heard("k1", wish, at(1.0))
    (chain,) = one.chains
    assert (chain.status, chain.step) == (ChainStatus.PENDING, TransferStep.LEAVE)
    assert not said(out, Orders)
    assert one.heard("k1", wish, at(1.1)) == []  # heard twice

    one.approve(chain.command_id, at(2.0))
    assert one.chains[0].status is ChainStatus.RUNNING
    with pytest.raises(TransferRefused):
        one.approve(chain.command_id, at(3.0))


def test_leave_that_nobody_gives_runs_out() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.heard("k1", Petition(kaiser_id="k1", petition_id="p", esp_id=ESP, to_owner="k2"), at(1.0))

    out = one.tick(at(2.0 + TERMS.leave_s))

    assert of(out, Persist)[-1].chains[0].status is ChainStatus.TIMEOUT


def test_standing_leave_needs_no_person_and_a_stranger_has_no_say() -> None:
    nodes = (msgspec.structs.replace(ONLINE[0], gives_to=("k2",)), ONLINE[1], Node(kaiser_id="k3"))
    one = god(nodes=nodes, records=[owned()])
    out = one.heard("k3", Petition(kaiser_id="k3", petition_id="p", esp_id=ESP, to_owner="k2"), at(1.0))
    assert one.chains == ()
    assert [note.event_type for note in of(out, Note)] == ["ownership_conflict"]

    one.heard("k2", Petition(kaiser_id="k2", petition_id="p", esp_id=ESP, to_owner="k2"), at(2.0))
    assert one.chains[0].status is ChainStatus.RUNNING


def test_a_petition_that_is_told_again_after_god_began_anew_begins_nothing_again() -> None:
    wish = Petition(kaiser_id="k1", petition_id="p", esp_id=ESP, to_owner="k2")
    one = god(nodes=ONLINE, records=[owned()])
    one.heard("k1", wish, at(1.0))
    one.cancel("p", at(2.0))

    restarted = god(nodes=ONLINE, records=[owned()], boot=2)
    restarted.ended(["p"])
    assert restarted.heard("k1", wish, at(3.0)) == []

    made_anew = god(nodes=ONLINE, records=[owned()], boot=2)
    made_anew.follow(one, at(3.0))
    assert made_anew.heard("k1", wish, at(3.0)) == []
