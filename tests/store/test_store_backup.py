"""A backup is a store of its own, of one moment, taken while commits go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trio
from store_readings import T0, key, readings

from growy.config import StoreConfig
from growy.model.errors import StoreError
from growy.store import DeviceRow, Store, open_store


async def test_a_backup_taken_while_commits_go_on_opens_and_holds_whole_commits(
    store: Store, tmp_path: Path
) -> None:
    ids = [store.catalog.intern(key(i), 4, "", T0) for i in range(20)]
    await store.upsert_devices([DeviceRow("ESP_1", "{}", 1, 2)])
    for at in range(50):
        await store.commit(readings(ids, np.full(20, T0 + at), 1.0))
        if at == 30:
            await store.seal()
    async with trio.open_nursery() as nursery:

        async def go_on() -> None:
            for at in range(50, 100):
                await store.commit(readings(ids, np.full(20, T0 + at), 1.0))

        nursery.start_soon(go_on)
        await store.backup(tmp_path / "backup")
    async with open_store(StoreConfig(), tmp_path / "backup") as copy:
        lengths = set()
        for series_id in ids:
            found = (await copy.query(series_id, 0, 1 << 50)).readings
            assert found is not None
            assert found.ts_ms.tolist() == [T0 + at for at in range(len(found))]
            lengths.add(len(found))
        assert len(lengths) == 1
        assert 50 <= lengths.pop() <= 100
        assert [row.esp_id for row in await copy.device_rows()] == ["ESP_1"]


async def test_a_backup_never_overwrites(store: Store, tmp_path: Path) -> None:
    await store.backup(tmp_path / "backup")
    before = (tmp_path / "backup" / "series.db").read_bytes()
    with pytest.raises(StoreError, match="exists already"):
        await store.backup(tmp_path / "backup")
    assert (tmp_path / "backup" / "series.db").read_bytes() == before
