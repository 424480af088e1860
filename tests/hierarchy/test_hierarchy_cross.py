"""One Kaiser asks another: directly, three times; then by way of God; and it is carried out once."""

from __future__ import annotations

from tree_rig import of, said

from growy.hierarchy.cross import AGAIN_S, Cross
from growy.hierarchy.effects import CrossEnded, Effects, Obey, Tell
from growy.model.hierarchy import GOD
from growy.model.tree_messages import CrossCommand, CrossResponse, Reroute


def ticked(cross: Cross, now: float, *peers: str) -> Effects:
    out: Effects = []
    cross.tick(frozenset(peers), now, out)
    return out


def test_it_is_sent_directly_three_times_and_then_by_way_of_god() -> None:
    cross = Cross("k1")
    cross.send("k2", "x", "sync_data", {"a": 1}, deadline=100.0)

    to = [of(ticked(cross, n * AGAIN_S, "k2"), Tell)[0].to for n in range(5)]

    assert to == ["k2", "k2", "k2", GOD, GOD]


def test_who_is_not_there_is_sought_by_way_of_god_at_once() -> None:
    cross = Cross("k1")
    cross.send("k2", "x", "sync_data", {"a": 1}, deadline=100.0)

    out = ticked(cross, 0.0)

    (told,) = said(out, Reroute)
    assert (told.kaiser_id, told.target, told.data) == ("k1", "k2", {"a": 1})


def test_an_answer_ends_it_once() -> None:
    cross = Cross("k1")
    cross.send("k2", "x", "sync_data", {}, deadline=100.0)
    out: Effects = []

    cross.answered(CrossResponse(command_id="x", success=True, data={"n": 1}), out)
    cross.answered(CrossResponse(command_id="x", success=True), out)

    assert out == [CrossEnded(command_id="x", success=True, message="", data={"n": 1})]
    assert ticked(cross, 50.0, "k2") == []


def test_without_an_answer_it_ends_at_its_deadline() -> None:
    cross = Cross("k1")
    cross.send("k2", "x", "sync_data", {}, deadline=3.0)
    ticked(cross, 0.0, "k2")

    (ended,) = of(ticked(cross, 3.0, "k2"), CrossEnded)

    assert not ended.success
    assert cross.next_due() == float("inf")


def test_it_is_carried_out_once_and_answered_whenever_it_is_heard() -> None:
    cross = Cross("k2")
    out: Effects = []
    command = CrossCommand(command_id="x", command_type="sync_data", data={"a": 1})

    cross.heard("k1", command, out)
    cross.heard("k1", command, out)
    (obey,) = of(out, Obey)
    assert obey.data == {"source_kaiser": "k1", "a": 1}

    first = cross.answer(obey.command_id, True, "", {})
    again: Effects = []
    cross.heard("k1", command, again)
    assert again == first == [Tell("k1", CrossResponse(command_id="x", success=True))]


def test_two_kaisers_may_use_the_same_id() -> None:
    cross = Cross("k3")
    out: Effects = []

    for sender in ("k1", "k2"):
        cross.heard(sender, CrossCommand(command_id="x", command_type="t"), out)

    assert len(of(out, Obey)) == 2
