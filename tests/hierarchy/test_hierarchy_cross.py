"""One Kaiser asks another: directly, three times; then by way of God; and it is carried out once."""

from __future__ import annotations

from tree_rig import at, kaiser, of, said

from growy.hierarchy.cross import AGAIN_S, Cross
from growy.hierarchy.effects import CrossEnded, Effects, Obey, Tell
from growy.model.hierarchy import GOD
from growy.model.tree_messages import (
    ChainCommand,
    ChainResponse,
    CrossCommand,
    CrossFault,
    CrossResponse,
    Reroute,
)


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

    assert (ended.success, ended.fault) == (False, CrossFault.NO_ANSWER)
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


def test_nobody_else_than_the_sender_says_whose_command_it_is() -> None:
    cross = Cross("k2")
    out: Effects = []

    cross.heard("k1", CrossCommand(command_id="x", command_type="t", data={"source_kaiser": "k3"}), out)

    assert of(out, Obey)[0].data["source_kaiser"] == "k1"


def test_what_is_forgotten_is_not_sent_again_and_its_answer_is_nobodys() -> None:
    cross = Cross("k1")
    cross.send("k2", "x", "sync_data", {}, deadline=100.0)
    ticked(cross, 0.0, "k2")

    cross.forget("x")
    cross.forget("x")

    out: Effects = []
    cross.answered(CrossResponse(command_id="x", success=True), out)
    assert ticked(cross, AGAIN_S, "k2") == out == []
    assert cross.next_due() == float("inf")


# -- by way of God


def chained(command_id: str = "k2/x", **more: object) -> ChainCommand:
    data = {"source_kaiser": "k2", "command_type": "sync_data", "data": {"a": 1}, **more}
    return ChainCommand(god_instance="god-1", command_id=command_id, command_type="cross_kaiser", data=data)


def test_what_god_carries_is_obeyed_as_if_it_had_come_directly_and_answered_both_ways() -> None:
    one = kaiser(god_instance="god-1")

    (obey,) = of(one.heard(GOD, chained(), at(0.0)), Obey)
    assert (obey.command_id, obey.command_type) == ("k2/x", "sync_data")
    assert obey.data == {"a": 1, "source_kaiser": "k2"}
    assert one.heard(GOD, chained(), at(5.0)) == []

    out = one.answer_cross("k2/x", True, "", {"n": 1})
    assert [(told.to, type(told.message)) for told in of(out, Tell)] == [
        ("k2", CrossResponse),
        (GOD, ChainResponse),
    ]
    (again,) = said(one.heard(GOD, chained(), at(10.0)), ChainResponse)
    assert (again.success, again.data) == (True, {"n": 1})


def test_what_had_come_directly_is_not_obeyed_again_when_god_carries_it() -> None:
    one = kaiser(god_instance="god-1")
    command = CrossCommand(command_id="x", command_type="sync_data", data={"a": 1})

    assert of(one.heard("k2", command, at(0.0)), Obey)
    assert one.heard(GOD, chained(), at(1.0)) == []
    assert said(one.answer_cross("k2/x", True, "", {}), ChainResponse)

    two = kaiser(god_instance="god-1")
    two.heard("k2", command, at(0.0))
    assert not said(two.answer_cross("k2/x", False, "no", {}), ChainResponse)
    out = two.heard(GOD, chained(), at(1.0))
    assert not of(out, Obey)
    (told,) = said(out, ChainResponse)
    assert (told.success, told.message) == (False, "no")


def test_what_god_has_carried_is_not_obeyed_again_when_it_comes_directly_after_all() -> None:
    one = kaiser(god_instance="god-1")
    one.heard(GOD, chained(), at(0.0))
    one.answer_cross("k2/x", True, "", {})

    out = one.heard("k2", CrossCommand(command_id="x", command_type="sync_data"), at(1.0))

    assert not of(out, Obey)
    assert said(out, CrossResponse)[0].success


def test_what_is_no_table_in_it_is_left_out() -> None:
    one = kaiser(god_instance="god-1")

    (obey,) = of(one.heard(GOD, chained(data=7), at(0.0)), Obey)

    assert obey.data == {"source_kaiser": "k2"}


def test_two_kaisers_may_use_the_same_id() -> None:
    cross = Cross("k3")
    out: Effects = []

    for sender in ("k1", "k2"):
        cross.heard(sender, CrossCommand(command_id="x", command_type="t"), out)

    assert len(of(out, Obey)) == 2
