"""`POST /api/v1/kaiser/{kaiser_id}/command`: one Kaiser has another do something, directly or by way of God; God orders
it. What is asked for is done, refused or not answered, and each is told as what it is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from rig.people import api_key
from rig.tree import ESP, GOD_ID, Pi, Tree, open_tree, until

from growy.hierarchy.kaiser_node import KaiserNode
from growy.model.audit import AuditSeverity
from growy.model.people import Role
from growy.model.tree_errors import NodeNotFound, NodeSilent

KAISERS = "/api/v1/kaiser"
SYNC = {"command": "sync_data"}
MOVE = {"command": "transfer_esp", "esp_id": ESP}
ROUTE = "god/cross_kaiser/alternative_route"


@pytest.fixture
async def tree(tmp_path: Path, connect: Any) -> AsyncIterator[Tree]:
    async with open_tree(tmp_path, connect) as tree:
        yield tree


async def two_kaisers(tree: Tree, *gives_to: str) -> tuple[Pi, Pi]:
    """The second may give devices to those; each knows that God hears the other."""
    one, two = await tree.new_kaiser("kaiser_1"), await tree.new_kaiser("kaiser_2", gives_to=gives_to)
    await until(lambda: "kaiser_2" in node(one).core.peers and "kaiser_1" in node(two).core.peers)
    return one, two


async def with_a_device(tree: Tree, pi: Pi) -> None:
    await pi.new_esp()
    await until(lambda: pi.node.tenure(ESP) == "ours" and not tree.gods.core.chains)


def node(pi: Pi) -> KaiserNode:
    assert isinstance(pi.node, KaiserNode)
    return pi.node


def at(kaiser_id: str, wait: float = 20) -> str:
    return f"{KAISERS}/{kaiser_id}/command?wait={wait}"


def routes(tree: Tree) -> list[Any]:
    return [json.loads(payload) for topic, payload in tree.post.said if topic == ROUTE]


def attempts(tree: Tree) -> list[bytes]:
    """What the first has said to the second directly."""
    direct = "kaiser/kaiser_1/cross_kaiser/kaiser_2/command"
    return [payload for topic, payload in tree.post.said if topic == direct and b"cross_command" in payload]


# -- directly


async def test_a_kaiser_tells_another_how_far_it_is(tree: Tree) -> None:
    one, two = await two_kaisers(tree)
    await with_a_device(tree, two)
    said = await one.post(at("kaiser_2"), SYNC)
    assert said == {
        "success": True,
        "kaiser_id": "kaiser_2",
        "command": "sync_data",
        "message": "kaiser_2 has 1 device, and God has all its readings",
        "data": {"esps": [ESP], "backlog": 0},
    }
    assert routes(tree) == []
    (asked,) = await one.audited("kaiser_asked")
    assert (asked.details["by"], asked.details["success"]) == ("key:tests", True)
    assert asked.message == "kaiser_2 was asked for sync_data (by key:tests): done"
    (obeyed,) = await two.audited("kaiser_asked")
    assert obeyed.message == "kaiser_1 asked kaiser_2 for sync_data (by key:tests): done"


async def test_the_first_attempt_does_not_wait_for_the_next_tick(tree: Tree) -> None:
    one, _ = await two_kaisers(tree)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node(one).ask, "kaiser_2", "sync_data", {}, 5.0)
        while not node(one)._crossing:
            await trio.lowlevel.checkpoint()
        await one.node.settled()
        assert len(attempts(tree)) == 1


async def test_with_standing_leave_a_device_moves_to_the_kaiser_that_asks(tree: Tree) -> None:
    one, two = await two_kaisers(tree, "kaiser_1")
    await with_a_device(tree, two)
    said = await one.post(at("kaiser_2"), {**MOVE, "reason": "nearer"})
    assert said["success"]
    assert f"kaiser_2 has asked God to give {ESP} to kaiser_1" in said["message"]
    assert said["data"]["petition_id"]
    await until(lambda: tree.gods.owner(ESP) == "kaiser_1" and one.node.tenure(ESP) == "ours", 20)
    await until(lambda: not tree.gods.core.chains)
    (chain, *_) = await tree.gods.chains()
    assert (chain.issued_by, chain.command_data["reason"]) == ("kaiser:kaiser_2", "nearer")
    (asked,) = await one.audited("kaiser_asked")
    assert (asked.details["esp_id"], asked.details["to_owner"]) == (ESP, "kaiser_1")


async def test_without_leave_it_waits_for_a_persons_consent(tree: Tree) -> None:
    one, two = await two_kaisers(tree)
    await with_a_device(tree, two)
    assert (await one.post(at("kaiser_2"), MOVE))["success"]
    await until(lambda: bool(tree.gods.core.chains))
    (chain,) = tree.gods.core.chains
    assert (chain.step, chain.status, tree.gods.owner(ESP)) == ("leave", "pending", "kaiser_2")
    await tree.god.post(f"/api/god/command-chain/{chain.command_id}/approve")
    await until(lambda: tree.gods.owner(ESP) == "kaiser_1" and one.node.tenure(ESP) == "ours", 20)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"esp_id": "ESP_77EE66FF"}, "ESP_77EE66FF is not kaiser_2's"),
        ({"to_owner": "kaiser_2"}, f"{ESP} is kaiser_2's already"),
        # What a third may not wish it may not have the owner wish either.
        (
            {"to_owner": GOD_ID},
            "kaiser_1 may ask for a device for itself only; else a person orders it at God",
        ),
    ],
)
async def test_what_the_other_refuses_is_a_conflict_with_its_words(
    tree: Tree, more: dict[str, str], why: str
) -> None:
    one, two = await two_kaisers(tree)
    await with_a_device(tree, two)
    said = await one.post(at("kaiser_2"), {**MOVE, **more}, status=409)
    assert said["error"]["code"] == "KAISER_COMMAND_REFUSED"
    assert said["error"]["details"]["reason"] == why
    assert f"kaiser_2 refuses transfer_esp: {why}" in said["detail"]
    for pi in (one, two):
        (entry,) = await pi.audited("kaiser_asked")
        assert entry.severity is AuditSeverity.WARNING
        assert f"refused: {why}" in entry.message
    assert tree.gods.owner(ESP) == "kaiser_2"


# -- by way of God


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other fast."""
    monkeypatch.setattr("growy.hierarchy.cross.AGAIN_S", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_what_does_not_get_through_directly_is_carried_by_god_who_says_so(tree: Tree) -> None:
    one, two = await two_kaisers(tree, "kaiser_1")
    await with_a_device(tree, two)
    tree.post.cut.add(frozenset({"kaiser_1", "kaiser_2"}))
    said = await one.post(at("kaiser_2"), SYNC)
    assert said["data"] == {"esps": [ESP], "backlog": 0}
    assert len(attempts(tree)) == 3
    route = routes(tree)[0]
    assert (route["source_kaiser"], route["target_kaiser"]) == ("kaiser_1", "kaiser_2")
    assert route["command_type"] == "sync_data"
    (chain,) = [one for one in await tree.gods.chains() if one.command_type == "cross_kaiser"]
    assert chain.status == "done"

    assert (await one.post(at("kaiser_2"), MOVE))["success"]
    tree.post.cut.clear()
    await until(lambda: tree.gods.owner(ESP) == "kaiser_1", 20)


@pytest.mark.usefixtures("impatient")
async def test_a_refusal_by_way_of_god_is_the_others_own(tree: Tree) -> None:
    one, _ = await two_kaisers(tree)
    tree.post.cut.add(frozenset({"kaiser_1", "kaiser_2"}))
    said = await one.post(at("kaiser_2"), MOVE, status=409)
    assert said["error"]["details"]["reason"] == f"{ESP} is not kaiser_2's"


@pytest.mark.usefixtures("impatient")
async def test_what_came_directly_is_not_done_again_when_god_carries_it_for_want_of_an_answer(
    tree: Tree,
) -> None:
    one, two = await two_kaisers(tree)
    await with_a_device(tree, two)
    tree.post.deaf.add(("kaiser_2", "kaiser_1"))
    assert (await one.post(at("kaiser_2"), MOVE))["success"]
    assert routes(tree)
    assert len(await two.audited("kaiser_asked")) == 1
    await until(lambda: bool(tree.gods.core.chains))
    assert [one.step for one in tree.gods.core.chains] == ["leave"]


async def test_a_kaiser_that_god_does_not_have_is_not_found(tree: Tree) -> None:
    one = await tree.new_kaiser("kaiser_1")
    said = await one.post(at("kaiser_9"), SYNC, status=404)
    assert said["error"]["code"] == "KAISER_NOT_FOUND"
    assert "`growyd kaisers` at God" in said["detail"]


# -- no answer


async def test_no_answer_is_not_a_refusal(tree: Tree) -> None:
    one, _ = await two_kaisers(tree)
    tree.post.away.add("kaiser_2")
    said = await one.post(at("kaiser_2", 0.3), SYNC, status=504)
    assert said["error"]["code"] == "KAISER_SILENT"
    assert "It may do it all the same" in said["detail"]
    assert said["error"]["details"] == {"kaiser_id": "kaiser_2", "command": "sync_data", "god_heard": True}
    (entry,) = await one.audited("kaiser_asked")
    assert entry.message == "kaiser_2 was asked for sync_data (by key:tests): no answer"
    assert entry.severity is AuditSeverity.WARNING


async def test_who_is_cut_off_from_god_is_told_so(tree: Tree) -> None:
    one, _ = await two_kaisers(tree)
    tree.post.away.add("kaiser_1")
    await until(lambda: not node(one).god().heard, 20)
    said = await one.post(at("kaiser_2", 0.1), SYNC, status=504)
    assert "God is not heard here" in said["detail"]


async def test_nothing_is_left_of_what_timed_out_or_was_given_up(tree: Tree) -> None:
    one, _ = await two_kaisers(tree)
    tree.post.away.add("kaiser_2")
    with pytest.raises(NodeSilent):
        await node(one).ask("kaiser_2", "sync_data", {}, 0.1, by="local")
    with trio.move_on_after(0.1):
        await node(one).ask("kaiser_2", "sync_data", {}, 60, by="local")
    assert node(one)._crossing == {}
    assert node(one).core.cross.next_due() == float("inf")
    last, first = await one.audited("kaiser_asked")
    assert first.message.endswith("(by local): no answer")
    assert last.message.endswith("(by local): nobody waited for the answer")


# -- wrong


@pytest.mark.parametrize("target", ["kaiser_1", "god", GOD_ID, "no id", "x" * 64, "", "k/2", "+"])
async def test_only_another_kaiser_is_asked(tree: Tree, target: str) -> None:
    one = await tree.new_kaiser("kaiser_1")
    with pytest.raises(NodeNotFound):
        await node(one).ask(target, "sync_data", {}, 1.0)


@pytest.mark.parametrize("target", ["kaiser_1", "god", "k+2"])
async def test_whom_nobody_can_ask_is_not_found(tree: Tree, target: str) -> None:
    one = await tree.new_kaiser("kaiser_1")
    said = await one.post(at(target), SYNC, status=404)
    assert said["error"]["code"] == "KAISER_NOT_FOUND"
    assert await one.audited("kaiser_asked") == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"command": "transfer_esp"}, "esp_id"),
        ({"command": "emergency_stop"}, "command"),
        ({}, "command"),
    ],
)
async def test_a_command_that_is_not_whole_is_refused(tree: Tree, body: dict[str, str], named: str) -> None:
    one = await tree.new_kaiser("kaiser_1")
    for pi, target in ((one, "kaiser_2"), (tree.god, "kaiser_1")):
        assert named in (await pi.post(at(target), body, status=400))["detail"]


async def test_a_new_owner_that_cannot_be_is_not_found(tree: Tree) -> None:
    one, _ = await two_kaisers(tree)
    said = await one.post(at("kaiser_2"), {**MOVE, "to_owner": "no id"}, status=404)
    assert "'no id'" in said["detail"]


async def test_a_viewer_has_nothing_done(tree: Tree) -> None:
    one, two = await two_kaisers(tree)
    viewer = await api_key(one.web, Role.VIEWER)
    said = await one.call("POST", at("kaiser_2"), SYNC, 403, viewer)
    assert said["error"]["details"]["role"] == "operator"
    assert await two.audited("kaiser_asked") == []


# -- at God


async def test_god_orders_a_kaiser_to_say_how_far_it_is(tree: Tree) -> None:
    one = await tree.new_kaiser("kaiser_1")
    await with_a_device(tree, one)
    said = await tree.god.post(at("kaiser_1"), SYNC)
    assert (said["command"], said["data"]["esps"]) == ("sync_data", [ESP])
    assert said["message"] == "kaiser_1 has 1 device, and God has all its readings"
    chain = await tree.gods.chain(said["data"]["command_id"])
    assert (chain.command_type, chain.status) == ("sync_data", "done")


async def test_god_waits_for_an_answer_so_long_and_no_longer(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    tree.post.away.add("kaiser_1")
    said = await tree.god.post(at("kaiser_1", 0.2), SYNC, status=504)
    assert said["error"]["code"] == "KAISER_SILENT"
    assert said["error"]["details"]["command_id"] in said["detail"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("asker", ["god", "kaiser_1"])
async def test_what_a_person_at_god_cancels_is_no_refusal_of_the_kaisers(tree: Tree, asker: str) -> None:
    one, _ = await two_kaisers(tree)
    pi = tree.god if asker == "god" else one
    tree.post.away.add("kaiser_2")

    async def cancel() -> None:
        await until(lambda: bool(tree.gods.core.chains))
        await tree.gods.cancel(tree.gods.core.chains[0].command_id)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel)
        said = await pi.post(at("kaiser_2"), SYNC, status=409)
    assert said["error"]["code"] == "COMMAND_CHAIN_ENDED"
    assert "cancelled" in said["detail"]
    assert "It may do it all the same" in said["detail"]


async def test_god_gives_a_kaisers_device_to_itself_or_to_another(tree: Tree) -> None:
    _, two = await two_kaisers(tree)
    await with_a_device(tree, two)
    said = await tree.god.post(at("kaiser_2"), {**MOVE, "to_owner": "kaiser_1", "reason": "heat"})
    assert (said["kaiser_id"], said["data"]["new_owner"]) == ("kaiser_2", "kaiser_1")
    await until(lambda: tree.gods.owner(ESP) == "kaiser_1" and not tree.gods.core.chains, 20)
    not_its = await tree.god.post(at("kaiser_2"), MOVE, status=409)
    assert not_its["error"]["details"]["reason"] == "not_owner"
    assert (await tree.god.post(at("kaiser_1"), MOVE))["data"]["new_owner"] == "god"
    await until(lambda: tree.gods.owner(ESP) == "god", 20)


@pytest.mark.parametrize("target", ["kaiser_9", "god", GOD_ID])
@pytest.mark.parametrize("body", [SYNC, MOVE])
async def test_god_orders_only_kaisers_that_it_has(tree: Tree, target: str, body: dict[str, str]) -> None:
    said = await tree.god.post(at(target), body, status=404)
    assert said["error"]["code"] == "KAISER_NOT_FOUND"


async def test_god_knows_no_device_of_that_name(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    assert (await tree.god.post(at("kaiser_1"), MOVE, status=404))["error"]["code"] == "ESP_NOT_FOUND"
