"""The disk refuses what God or a Kaiser wants to write: nothing is said to be done that was not, nothing runs on that
nobody has a right to, and no emergency stop is forgotten. When the disk takes it again, everything goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from rig.tree import ESP, Pi, Tree, open_tree, refused, until, wall_ms

from growy.hierarchy.effects import Persist
from growy.model.control import Tenure
from growy.model.errors import StoreUnavailable
from growy.model.hierarchy import GOD, ChainStatus, Node
from growy.model.tree_messages import Documents
from growy.wire import hierarchy as wire


@pytest.fixture
async def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tree]:
    monkeypatch.setattr("growy.hierarchy.node.REMAKE_S", 0.3)
    async with open_tree(tmp_path) as tree:
        yield tree


async def test_a_stop_that_could_not_be_written_reaches_a_kaiser_that_comes_back(tree: Tree) -> None:
    kaiser = await tree.new_kaiser("kaiser_1")
    await kaiser.new_esp()
    await kaiser.actuator()
    tree.post.away.add("kaiser_1")

    async def proven() -> dict[str, bool]:
        return {one.node: one.proven for one in await tree.gods.stopped(incident)}

    with refused(tree.folder / "god", "command_chains"), trio.fail_after(20):
        incident = await tree.gods.stop(None, reason="flood", by="user:ada")
        while tree.gods.statistics().remade < 3:  # again and again, until the disk takes it
            await trio.sleep(0.05)
        assert await proven() == {"god": True, "kaiser_1": False}
        assert kaiser.control.stops() == []

    tree.post.away.clear()
    with trio.fail_after(20):
        while not all((await proven()).values()):
            await trio.sleep(0.05)
    assert [one.stop.reason for one in kaiser.control.stops()] == ["flood"]
    await tree.gods.settled()
    kept = await tree.god.store.command_chain(f"{incident}:kaiser_1")
    assert kept is not None
    assert kept.status is ChainStatus.DONE


async def test_what_was_wanted_of_a_disk_that_refused_is_refused_and_does_not_happen_later(
    tree: Tree,
) -> None:
    await tree.god.new_esp()
    await tree.god.actuator()
    assert tree.gods.tenure(ESP) is Tenure.OURS

    with refused(tree.folder / "god", "kaiser_registry"):
        with pytest.raises(StoreUnavailable), trio.fail_after(2):
            await tree.gods.add(Node(kaiser_id="kaiser_1"))
        assert tree.gods.tenure(ESP) is Tenure.FENCED
        with pytest.raises(StoreUnavailable), trio.fail_after(2):
            await tree.gods.add(Node(kaiser_id="kaiser_2"))
    await until(lambda: tree.gods.tenure(ESP) is Tenure.OURS)

    await tree.gods.add(Node(kaiser_id="kaiser_3"))
    assert [one.kaiser_id for one in tree.gods.core.nodes] == ["kaiser_3"]
    assert [one.kaiser_id for one in await tree.god.store.kaisers()] == ["kaiser_3"]


async def test_papers_that_a_kaiser_cannot_read_take_none_of_its_devices_away(tree: Tree) -> None:
    kaiser = await tree.new_kaiser("kaiser_1")
    await kaiser.new_esp()
    await until(lambda: kaiser.node.tenure(ESP) is Tenure.OURS)
    papers = Documents(
        god_instance=tree.gods.instance,
        esp_id="ESP_00000F",
        version="v9",
        content=b'{"of": "a newer growyd"}',
    )

    topic = wire.tree_topic("god", "kaiser_1", papers)
    assert kaiser.node.mail(topic.encode(), wire.encode_tree(papers))
    await kaiser.node.settled()

    assert kaiser.node.statistics().remade == 0
    assert kaiser.node.tenure(ESP) is Tenure.OURS
    assert "ESP_00000F" not in await kaiser.store.esp_document_versions()


async def healed(pi: Pi) -> None:
    while True:
        try:
            return await pi.node.settled()
        except StoreUnavailable:
            await trio.sleep(0.05)


async def test_a_device_that_is_first_heard_while_the_disk_refuses_is_known_afterwards(tree: Tree) -> None:
    kaiser = await tree.new_kaiser("kaiser_1")
    for pi, esp_id, table in ((tree.god, ESP, "esp_ownership"), (kaiser, "ESP_00000B", "keyed")):
        with refused(tree.folder / pi.name, table):
            pi.node.enqueue([Persist(settled=True, boot=1_000_000)])
            pi.node.device_said(esp_id, "system/heartbeat", b"{}", wall_ms())
            await until(lambda pi=pi: pi.node.statistics().remade > 0)
            pi.node.device_said(esp_id, "system/heartbeat", b"{}", wall_ms())
        await healed(pi)
        pi.node.device_said(esp_id, "system/heartbeat", b"{}", wall_ms())
        await until(lambda esp_id=esp_id: tree.gods.core.record(esp_id) is not None)
        await healed(tree.god)
        kept = {one.esp_id: one.home for one in await tree.god.store.ownerships()}
        assert kept[esp_id] == pi.name


async def test_a_kaiser_whose_disk_refuses_for_longer_than_its_lease_lets_go_of_its_devices(
    tree: Tree,
) -> None:
    kaiser = await tree.new_kaiser("kaiser_1")
    await kaiser.new_esp()
    await kaiser.actuator()
    await until(lambda: kaiser.node.tenure(ESP) is Tenure.OURS)
    topic, off = f"kaiser/god/esp/{ESP}/actuator/18/command", b'{"command":"OFF"}'

    with refused(tree.folder / "kaiser_1", "keyed"):
        kaiser.node.enqueue([Persist(boot=1_000_000)])
        await until(lambda: kaiser.node.tenure(ESP) is Tenure.FENCED)
        assert kaiser.estate.send(topic, off)
        await until(lambda: tree.gods.owner(ESP) == GOD, 30)
        assert not kaiser.estate.send(topic, off)  # its lease is over
    await until(lambda: kaiser.node.owner(ESP) == GOD, 20)

    assert kaiser.node.tenure(ESP) is Tenure.FOREIGN
    relayed = kaiser.node.statistics().relayed
    assert kaiser.node.device_said(ESP, "actuator/18/status", b"{}", wall_ms())
    assert kaiser.node.statistics().relayed == relayed + 1
