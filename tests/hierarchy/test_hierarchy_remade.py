"""The disk refuses what God or a Kaiser wants to write: nothing is said to be done that was not, nothing runs on that
nobody has a right to, and no emergency stop is forgotten. When the disk takes it again, everything goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
import trio
from rig.tree import ESP, Tree, open_tree, until

from growy.model.control import Tenure
from growy.model.errors import StoreUnavailable
from growy.model.hierarchy import ChainStatus, Node
from growy.model.tree_messages import Documents
from growy.wire import hierarchy as wire


@pytest.fixture
async def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tree]:
    monkeypatch.setattr("growy.hierarchy.node.REMAKE_S", 0.3)
    async with open_tree(tmp_path) as tree:
        yield tree


@contextmanager
def refused(folder: Path, table: str) -> Iterator[None]:
    """Nothing can be written to the table."""
    disk = apsw.Connection(str(folder / "growy.db"))
    disk.set_busy_timeout(5000)
    for name, event in (("no_more", "INSERT"), ("no_change", "UPDATE")):
        disk.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'the disk is ill'); END"
        )
    try:
        yield
    finally:
        disk.execute("DROP TRIGGER no_more; DROP TRIGGER no_change")
        disk.close()


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
