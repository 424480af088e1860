"""God keeps its registry and its word: what is told is on the disk, who is refused is told why, who forgot waits."""

from __future__ import annotations

import msgspec
import pytest
from tree_rig import (
    ESP,
    GOD_ID,
    LAST_WORDS,
    ONLINE,
    OTHER,
    TERMS,
    WALL_MS,
    at,
    god,
    of,
    orders,
    owned,
    reports,
    written,
)

from growy.hierarchy.effects import (
    Drop,
    Note,
    Persist,
    Take,
)
from growy.model.errors import Duplicate, Invalid
from growy.model.hierarchy import (
    GOD,
    Node,
    NodeState,
    TransferStep,
)
from growy.model.tree_errors import NodeNotFound
from growy.model.tree_messages import (
    Ask,
    Found,
    MessageId,
    NodeRefusal,
    Released,
    Report,
)

# --- registry -----------------------------------------------------------------------------------------------------


def test_the_first_installation_that_answers_to_an_id_is_bound_and_another_is_refused_on_both_sides() -> None:
    one = god()
    out = reports(one, "k1", 1, 1.0)
    assert of(out, Persist)[0].nodes[0].instance == "i-k1"
    assert orders(out).refusal is None

    out = reports(one, "k1", 1, 2.0, instance="i-other")

    assert orders(out).refusal is NodeRefusal.DUPLICATE_KAISER
    assert orders(out).instance == "i-other"  # so that the first one does not take it for its own
    assert [note.event_type for note in of(out, Note)] == ["kaiser_refused"]
    assert next(node for node in one.nodes if node.kaiser_id == "k1").instance == "i-k1"


def test_readings_are_taken_only_from_the_installation_whose_reports_are() -> None:
    one = god()
    assert one.refusal("k1", "i-k1") is NodeRefusal.NOT_MET
    reports(one, "k1", 1, 1.0)

    assert one.refusal("k1", "i-k1") is None
    assert one.refusal("k1", "i-other") is NodeRefusal.DUPLICATE_KAISER
    assert one.refusal("k9", "i-k9") is NodeRefusal.UNKNOWN_KAISER


def test_an_installation_is_replaced_only_by_a_person() -> None:
    one = god(nodes=ONLINE)
    with pytest.raises(Duplicate):
        one.register("k1", "i-other")

    one.register("k1", "i-other", replace=True)

    assert orders(reports(one, "k1", 1, 1.0, instance="i-other")).refusal is None
    assert orders(reports(one, "k1", 9, 2.0)).refusal is NodeRefusal.DUPLICATE_KAISER


@pytest.mark.parametrize(
    ("said_", "refusal"),
    [
        ({"kaiser_id": "k9"}, NodeRefusal.UNKNOWN_KAISER),
        ({"god_id": "another"}, NodeRefusal.FOREIGN_GOD),
        ({"god_instance": "god-2"}, NodeRefusal.FOREIGN_GOD),
    ],
)
def test_who_does_not_belong_here_is_told_so(said_: dict[str, str], refusal: NodeRefusal) -> None:
    one = god(nodes=ONLINE, records=[owned()])
    kaiser_id = said_.get("kaiser_id", "k1")

    rest = {name: value for name, value in said_.items() if name != "kaiser_id"}
    out = reports(one, kaiser_id, 1, 1.0, asks=(Ask(esp_id=ESP, epoch=7),), **rest)

    assert orders(out).refusal is refusal
    assert orders(out).grants == ()


def test_nobody_reports_for_another() -> None:
    one = god(nodes=ONLINE)
    forged = Report(kaiser_id="k1", instance="i-k1", god_id=GOD_ID, id=MessageId(1, 1))

    assert one.heard("k2", forged, at(1.0)) == []


def test_impossible_nodes_are_refused() -> None:
    one = god()
    with pytest.raises(Invalid):
        one.add(Node(kaiser_id=GOD), at(0.0))
    with pytest.raises(Invalid):
        one.add(Node(kaiser_id="k1", stand_in="k1"), at(0.0))
    with pytest.raises(NodeNotFound):
        one.unregister("k9", at(0.0))


def test_to_change_a_node_does_not_change_who_it_is() -> None:
    one = god(nodes=ONLINE)

    out = one.add(Node(kaiser_id="k1", max_esps=20), at(1.0))

    node = of(out, Persist)[0].nodes[0]
    assert (node.max_esps, node.instance, node.state) == (20, "i-k1", NodeState.ONLINE)


def test_who_is_unregistered_gives_its_devices_back_and_is_gone() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.start(at(0.0))

    out = one.unregister("k1", at(1.0))
    assert [revoke.epoch for revoke in orders(out).revokes] == [7]
    out = reports(one, "k1", 1, 2.0, released=(Released(esp_id=ESP, epoch=7, state=LAST_WORDS),))

    assert of(out, Take) == [Take(esp_id=ESP, epoch=8, state=LAST_WORDS)]
    assert any(one.removed_nodes == ("k1",) for one in of(one.tick(at(3.0)), Persist))
    assert [node.kaiser_id for node in one.nodes] == ["k2"]
    assert orders(reports(one, "k1", 2, 4.0)).refusal is NodeRefusal.UNKNOWN_KAISER


# --- leases -------------------------------------------------------------------------------------------------------


def test_a_lease_is_the_answer_to_a_question_and_what_is_owned_is_offered() -> None:
    one = god(nodes=ONLINE, records=[owned(), owned(esp_id=OTHER, epoch=3)])

    answer = orders(reports(one, "k1", 1, 1.0, asks=(Ask(esp_id=ESP, epoch=7),)))

    assert [(one.esp_id, one.epoch, one.lease_s) for one in answer.grants] == [(ESP, 7, 30.0)]
    assert [(one.esp_id, one.epoch) for one in answer.offers] == [(OTHER, 3)]
    assert answer.reply_to == MessageId(1, 1)


def test_a_report_that_comes_late_or_twice_is_not_answered() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    reports(one, "k1", 5, 1.0)

    assert reports(one, "k1", 5, 1.1) == []
    assert reports(one, "k1", 4, 1.2, asks=(Ask(esp_id=ESP, epoch=7),)) == []


def test_a_new_device_belongs_to_its_home_if_that_has_room() -> None:
    one = god(nodes=[msgspec.structs.replace(ONLINE[0], max_esps=1), ONLINE[1]])

    out = reports(one, "k1", 1, 1.0, found=(Found(esp_id=ESP), Found(esp_id=OTHER)))

    written = [record for persist in of(out, Persist) for record in persist.records]
    assert [(record.esp_id, record.owner, record.home) for record in written] == [
        (ESP, "k1", "k1"),
        (OTHER, GOD, "k1"),
    ]
    assert [(away.esp_id, away.owner) for away in orders(out).away] == [(OTHER, GOD)]


def conflicts(out: object) -> list[tuple[str, object]]:
    notes = [note for note in of(out, Note) if note.event_type == "ownership_conflict"]
    return [(note.source_id, note.details["verdict"]) for note in notes]


def test_a_new_device_that_names_a_kaiser_belongs_to_it_wherever_it_hangs() -> None:
    one = god(nodes=ONLINE)

    out = one.found(ESP, at(1.0), "k2")
    assert (one.record(ESP).owner, one.record(ESP).home) == ("k2", GOD)
    assert conflicts(out) == []

    reports(one, "k1", 1, 2.0, found=(Found(esp_id=OTHER, heard_as="k2"),))
    assert (one.record(OTHER).owner, one.record(OTHER).home) == ("k2", "k1")


def test_a_device_that_names_a_kaiser_without_room_is_its_home_s_and_a_person_is_told_once() -> None:
    one = god(nodes=[ONLINE[0], msgspec.structs.replace(ONLINE[1], max_esps=0)])

    out = reports(one, "k1", 1, 1.0, found=(Found(esp_id=ESP, heard_as="k2"),))
    assert (one.record(ESP).owner, one.record(ESP).home) == ("k1", "k1")
    assert conflicts(out) == [(ESP, "reset")]
    assert conflicts(reports(one, "k1", 2, 2.0, found=(Found(esp_id=ESP, heard_as="k2"),))) == []


def test_a_device_of_another_fleet_on_god_s_broker_is_not_taken_and_a_person_is_told_once() -> None:
    one = god(nodes=ONLINE)

    assert conflicts(one.found(ESP, at(1.0), "k9")) == [(ESP, "stranger")]
    assert one.record(ESP) is None
    assert one.found(ESP, at(2.0), "k9") == []

    one.add(Node(kaiser_id="k9"), at(3.0))
    one.found(ESP, at(4.0), "k9")
    assert one.record(ESP).owner == GOD  # k9 is not there yet


def test_a_flood_of_strangers_silences_no_conflict_of_nodes() -> None:
    one = god(nodes=ONLINE, records=[owned(GOD, epoch=8)])
    told = [note.message for n in range(1200) for note in of(one.found(f"ESP_{n:06X}", at(1.0), "k9"), Note)]
    assert len(told) == 1001
    assert told[-1].endswith("of further ones nothing is told until the next start")

    out = reports(one, "k1", 1, 2.0, asks=(Ask(esp_id=ESP, epoch=7, held=True),))
    assert conflicts(out) == [(ESP, "ended")]


@pytest.mark.parametrize("order", [("k1", "k2"), ("k2", "k1")])
def test_of_two_that_claim_a_device_after_a_partition_the_higher_epoch_wins_and_the_other_is_told(
    order: tuple[str, str],
) -> None:
    claims = {"k1": 8, "k2": 9}
    one = god(nodes=ONLINE, records=[owned(epoch=7)])
    noted = []
    for number in (1, 2):
        for kaiser_id in order:
            ask = Ask(esp_id=ESP, epoch=claims[kaiser_id], held=True)
            out = reports(one, kaiser_id, number, float(number), asks=(ask,))
            noted += [note.message for note in of(out, Note)]

    assert (one.record(ESP).owner, one.record(ESP).epoch) == ("k2", 9)
    out = reports(one, "k1", 3, 3.0, asks=(Ask(esp_id=ESP, epoch=8, held=True),))
    assert [(ended.esp_id, ended.epoch) for ended in orders(out).ended] == [(ESP, 8)]
    assert noted.count(f"k1 took {ESP} for its own by epoch 8; it is k2's by 9") == 1


def test_everything_that_is_told_stands_on_the_disk_before() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.start(at(0.0))
    one.transfer("t", ESP, "k1", GOD, at(1.0))

    out = reports(one, "k1", 1, 2.0, released=(Released(esp_id=ESP, epoch=7),))

    (persist,) = [one for one in of(out, Persist) if one.records]
    assert written(out) == [(GOD, 8)]
    assert persist.chains[0].step is TransferStep.ADOPT  # together with it
    assert out.index(persist) < out.index(of(out, Take)[0])


def test_a_god_that_has_lost_its_clock_waits_out_what_it_may_have_leased() -> None:
    one = god(nodes=ONLINE, records=[owned()], boot=2, clock=1000.0)
    one.start(at(1000.0))
    one.transfer("t", ESP, "k1", GOD, at(1001.0))

    for clock in (1002.0, 1015.0, 1000.0 + TERMS.wait_s(30.0) - 0.1):
        assert not of(one.tick(at(clock)), Take)
    assert of(one.tick(at(1001.5 + TERMS.wait_s(30.0))), Take)


def test_a_god_from_an_old_copy_acts_on_nothing_until_every_forgotten_lease_is_over() -> None:
    one = god(nodes=ONLINE, records=[owned(GOD)], boot=WALL_MS, restored=True)
    out = one.start(at(0.0))
    assert not of(out, Take)
    assert of(out, Persist)[0].records[0].epoch >= WALL_MS
    assert one.stamp(ESP) is None

    answer = orders(reports(one, "k1", 1, 1.0, asks=(Ask(esp_id=ESP, epoch=9, held=True),)))
    assert [ended.epoch for ended in answer.ended] == [9]

    out = one.tick(at(TERMS.wait_s(30.0) + 0.1))
    assert of(out, Take)
    assert of(out, Persist)[-1].settled
    assert one.stamp(ESP) is not None


def test_a_kaiser_that_knows_a_newer_epoch_is_right_and_gets_its_lease_when_all_others_are_over() -> None:
    one = god(nodes=ONLINE, records=[owned(GOD, epoch=3)])
    one.start(at(0.0))

    out = reports(one, "k1", 1, 1.0, asks=(Ask(esp_id=ESP, epoch=9, held=True),))
    assert of(out, Drop) == [Drop(esp_id=ESP)]
    assert written(out) == [("k1", 9)]
    assert orders(out).grants == ()
    assert "ownership_conflict" in [note.event_type for note in of(out, Note)]
    assert one.stamp(ESP) is None

    late = TERMS.wait_s(30.0) + 7.0
    assert orders(reports(one, "k1", 2, late, asks=(Ask(esp_id=ESP, epoch=9),))).grants
