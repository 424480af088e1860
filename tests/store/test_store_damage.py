"""A card that loses bits: what is damaged is said to be, what is not goes on."""

from __future__ import annotations

from pathlib import Path

import apsw
import numpy as np
import pytest
from store_readings import T0, key, readings

from growy.model.errors import StoreError

EVER = (-(1 << 60), 1 << 60)


def flip(path: Path, table: str) -> None:
    """Change a byte in the middle of the first block of a table."""
    db = apsw.Connection(str(path))
    rowid, data = db.execute(f"SELECT rowid, data FROM {table} ORDER BY rowid LIMIT 1").fetchone()
    hurt = bytearray(data)
    hurt[30] ^= 0x55
    db.execute(f"UPDATE {table} SET data = ? WHERE rowid = ?", (bytes(hurt), rowid))
    db.close()


async def test_a_damaged_chunk_is_an_error_not_an_answer_and_stops_nothing_else(opener, folder: Path) -> None:
    async with opener() as store:
        one, two = (store.catalog.intern(key(i), 4, "", T0) for i in (1, 2))
        for series_id in (one, two):
            await store.commit(readings(series_id, T0 + np.arange(100), np.arange(100.0)))
        await store.seal()
    flip(folder / "series.db", "chunk")
    async with opener() as store:
        assert store.statistics().damaged == 1
        with pytest.raises(StoreError, match="damaged"):
            await store.query(one, *EVER)
        # The damaged chunk would be taken up by this seal; it is left, and everything else is sealed.
        for series_id in (one, two):
            await store.commit(readings(series_id, T0 + 1000 + np.arange(100), 5.0))
        assert await store.seal() == 200
        assert store.statistics().damaged == 2
        assert len((await store.query(two, *EVER)).readings) == 200
        assert len((await store.query(one, T0 + 1000, T0 + 2000)).readings) == 100
        # Its summary was not hit.
        facts = await store.series_statistics(one, *EVER)
        assert (facts.rows, facts.high) == (200, 99.0)


async def test_a_damaged_commit_does_not_keep_the_daemon_from_starting(opener, folder: Path) -> None:
    async with opener() as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        await store.commit(readings(one, [T0], 1.0))
        await store.commit(readings(one, [T0 + 1], 2.0))
    flip(folder / "series.db", "journal")
    async with opener() as store:
        assert store.statistics().damaged == 1
        assert (await store.query(one, *EVER)).readings.value.tolist() == [2.0]
        await store.commit(readings(one, [T0 + 2], 3.0))
        assert await store.seal() == 2
        assert (await store.query(one, *EVER)).readings.value.tolist() == [2.0, 3.0]


async def test_a_broken_off_seal_whose_rest_is_damaged_is_finished(opener, folder: Path) -> None:
    async with opener() as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        await store.commit(readings(one, [T0], 1.0))
    flip(folder / "series.db", "journal")
    db = apsw.Connection(str(folder / "series.db"))
    db.execute("UPDATE seal SET sealing = 1, sealing_series = ?", (one,))
    db.close()
    async with opener() as store:
        await store.commit(readings(one, [T0 + 1], 2.0))
        assert await store.seal() == 1
        assert (await store.query(one, *EVER)).readings.value.tolist() == [2.0]
