"""growy.db: devices, zones and small facts; what belongs together is written together or not at all."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from store_faults import FaultyDisk

from growy.model.audit import AuditEntry
from growy.model.errors import StoreUnavailable
from growy.store import DeviceRow, Store, ZoneRow
from growy.store.schema import REGISTRY_MIGRATIONS, open_writing

ENTRY = AuditEntry(ts_ms=5, event_type="device_approved", source_id="ESP_1")


async def test_zones_are_kept_with_the_time_at_which_they_were_made(opener) -> None:
    async with opener() as store:
        await store.upsert_zones([ZoneRow("tent", '{"name":"Tent"}', 100, 100), ZoneRow("bed", "{}", 50, 50)])
        await store.upsert_zones([ZoneRow("tent", '{"name":"Big tent"}', 300, 300)])
    async with opener() as store:
        assert await store.zone_rows() == [
            ZoneRow("bed", "{}", 50, 50),
            ZoneRow("tent", '{"name":"Big tent"}', 100, 300),
        ]


async def test_zones_are_deleted_those_that_exist(store: Store) -> None:
    await store.upsert_zones([ZoneRow("a", "{}", 1, 1), ZoneRow("b", "{}", 1, 1), ZoneRow("c", "{}", 1, 1)])
    await store.delete_zones(["a", "c", "never was"])

    assert [row.zone_id for row in await store.zone_rows()] == ["b"]


async def test_a_zone_that_is_deleted_and_written_in_one_is_there_anew(store: Store) -> None:
    await store.upsert_zones([ZoneRow("a", "{}", 1, 1)])
    await store.write_registry(deleted_zones=["a"], zones=[ZoneRow("a", '{"x":1}', 7, 7)])

    assert await store.zone_rows() == [ZoneRow("a", '{"x":1}', 7, 7)]


async def test_a_fact_is_remembered_replaced_and_forgotten(opener) -> None:
    async with opener() as store:
        assert await store.keyed("emergency") is None
        await store.set_keyed("emergency", "latched")
        await store.set_keyed("other", "")
    async with opener() as store:
        assert await store.keyed("emergency") == "latched"
        assert await store.keyed("other") == ""
        await store.set_keyed("emergency", "clear")
        assert await store.keyed("emergency") == "clear"
        await store.set_keyed("emergency", None)
        assert await store.keyed("emergency") is None


async def test_everything_that_is_written_together_is_there_together(opener) -> None:
    async with opener() as store:
        await store.write_registry(
            devices=[DeviceRow("ESP_1", "{}", 1, 2)],
            audit=[ENTRY],
            zones=[ZoneRow("tent", "{}", 3, 4)],
            keyed={"a": "1", "b": "2"},
        )
    async with opener() as store:
        assert await store.device_rows() == [DeviceRow("ESP_1", "{}", 1, 2)]
        assert [row.entry for row in (await store.audit()).rows] == [ENTRY]
        assert await store.zone_rows() == [ZoneRow("tent", "{}", 3, 4)]
        assert (await store.keyed("a"), await store.keyed("b")) == ("1", "2")


async def test_a_fault_at_any_write_leaves_all_of_it_or_nothing(opener, disk: FaultyDisk) -> None:
    async with opener(vfs=disk.name) as store:
        for nth in range(30):
            writes = iter(range(nth))
            disk.fault = lambda left=writes: (
                None if next(left, None) is not None else apsw.FullError("injected")
            )
            name = f"{nth:02}"
            try:
                await store.write_registry(
                    devices=[DeviceRow(name, "{}" * 600, 1, 2)],
                    audit=[ENTRY],
                    zones=[ZoneRow(name, "{}" * 600, 1, 1)],
                    keyed={name: "x" * 600},
                )
                written = True
            except StoreUnavailable:
                written = False
            disk.fault = None
            assert (name in [row.esp_id for row in await store.device_rows()]) is written
            assert (name in [row.zone_id for row in await store.zone_rows()]) is written
            assert (await store.keyed(name) is not None) is written
            assert (await store.audit()).total == len(await store.zone_rows())
        assert disk.refused > 3
        assert await store.zone_rows()


async def test_nothing_to_write_does_not_touch_the_disk(opener, disk: FaultyDisk) -> None:
    async with opener(vfs=disk.name) as store:
        disk.fault = lambda: apsw.FullError("injected")
        await store.write_registry()
        await store.write_audit([])
        await store.upsert_devices([])
        disk.fault = None

        assert disk.refused == 0


async def test_a_database_from_before_the_audit_trail_keeps_its_devices(opener, folder: Path) -> None:
    folder.mkdir()
    old = open_writing(folder / "growy.db", synchronous="full", migrations=REGISTRY_MIGRATIONS[:1], vfs=None)
    old.execute("INSERT INTO devices VALUES ('ESP_1', '{\"approved\":true}', 100, 200)")
    old.close()

    async with opener() as store:
        assert await store.device_rows() == [DeviceRow("ESP_1", '{"approved":true}', 100, 200)]
        await store.write_registry(audit=[ENTRY], zones=[ZoneRow("z", "{}", 1, 1)], keyed={"k": "v"})
        assert [row.entry for row in (await store.audit()).rows] == [ENTRY]


@pytest.mark.parametrize("name", ["audit", "zones", "keyed"])
async def test_a_backup_holds_the_whole_registry(store: Store, tmp_path: Path, name: str) -> None:
    await store.write_registry(audit=[ENTRY], zones=[ZoneRow("z", "{}", 1, 1)], keyed={"k": "v"})
    await store.backup(tmp_path / "copy")

    copy = apsw.Connection(str(tmp_path / "copy" / "growy.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert copy.execute(f"SELECT count(*) FROM {name}").get == 1
    copy.close()
