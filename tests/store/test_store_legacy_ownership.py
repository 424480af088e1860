"""Whose the devices of the old server are."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from rig.legacy import ESP, NOW_MS, T0, legacy_file, migrated, row

from growy.config import StoreConfig
from growy.model.hierarchy import Node, NodeState, Ownership
from growy.store import HierarchyBatch, open_store
from growy.store.legacy import ownership_of_legacy

IDS = st.lists(st.from_regex(r"\AESP_[0-9A-F]{6}\Z"), max_size=9)


def tree(folder: Path) -> tuple[list[Node], list[Ownership]]:
    async def read() -> tuple[list[Node], list[Ownership]]:
        async with open_store(StoreConfig(), folder) as store:
            return await store.kaisers(), await store.ownerships()

    return trio.run(read)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return legacy_file(
        tmp_path / "old.db",
        [row(), row(esp_id="ESP_00A002"), row(esp_id="nobody"), row(None, esp_id="ESP_00A003")],
    )


@given(IDS, IDS)
def test_every_device_without_an_owner_is_gods_once(esp_ids: list[str], owned: list[str]) -> None:
    found = ownership_of_legacy([*esp_ids, *reversed(esp_ids)], NOW_MS, owned=owned)

    assert [one.esp_id for one in found.records] == sorted(set(esp_ids) - set(owned))
    assert {(one.owner, one.transfer_reason, one.epoch) for one in found.records} <= {
        ("god", "migration_from_legacy", 1)
    }


def test_where_everything_is_there_nothing_is_written() -> None:
    assert not ownership_of_legacy([ESP], NOW_MS, owned=[ESP], kaisers=["default_kaiser"])


def test_devices_whose_readings_are_taken_belong_to_god(old: Path, folder: Path) -> None:
    report = migrated(old, folder)

    kaisers, owners = tree(folder)
    assert kaisers == [
        Node(kaiser_id="default_kaiser", name="Default Kaiser", state=NodeState.ONLINE, created_ms=NOW_MS)
    ]
    assert [(one.esp_id, one.owner, one.transfer_reason) for one in owners] == [
        (ESP, "god", "migration_from_legacy"),
        ("ESP_00A002", "god", "migration_from_legacy"),
    ]
    assert report.owned_devices == 2
    rows = apsw.Connection(str(folder / "growy.db")).execute(
        "SELECT kaiser_id, god_id, kaiser_name, esp_devices, status FROM kaiser_registry"
    )
    assert rows.fetchall() == [("default_kaiser", "god_pi_central", "Default Kaiser", "[]", "online")]


def test_a_second_run_changes_nothing_and_adds_who_is_new(old: Path, folder: Path) -> None:
    migrated(old, folder)
    before = tree(folder)

    assert migrated(old, folder).owned_devices == 0
    assert tree(folder) == before

    legacy_file(old, [row(T0 + 1, esp_id="ESP_00A009")])
    assert migrated(old, folder).owned_devices == 1
    assert [one.esp_id for one in tree(folder)[1]] == [ESP, "ESP_00A002", "ESP_00A009"]


def test_what_growyd_knows_already_wins(old: Path, folder: Path) -> None:
    north = Node(kaiser_id="north", name="North", created_ms=1)
    theirs = Ownership(
        esp_id=ESP, owner="north", epoch=7, transfer_reason="moved", transfer_ms=5, created_ms=1
    )

    async def known() -> None:
        async with open_store(StoreConfig(), folder) as store:
            await store.write_registry(hierarchy=HierarchyBatch(nodes=[north], records=[theirs]))

    trio.run(known)
    migrated(old, folder)

    kaisers, owners = tree(folder)
    assert [one.kaiser_id for one in kaisers] == ["default_kaiser", "north"]
    assert owners[0] == theirs
    assert owners[1].owner == "god"


def test_owners_of_the_old_database_are_counted_and_not_believed(old: Path, folder: Path) -> None:
    db = apsw.Connection(str(old))
    db.execute("CREATE TABLE esp_ownership (esp_id TEXT UNIQUE, current_owner TEXT)")
    db.execute("INSERT INTO esp_ownership VALUES (?, 'kaiser_nobody_knows')", (ESP,))
    db.close()

    assert migrated(old, folder).extension == {"esp_ownership": 1}
    assert tree(folder)[1][0].owner == "god"
