"""Going through a long time piece by piece: everything once, in order, with flat memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_readings import T0, key, readings

from growy.config import StoreConfig
from growy.model.reading import Columns, Quality
from growy.store import Store, open_store
from growy.store.blob import decode
from growy.store.narrow import NarrowColumns

END = T0 + 10_000 * 86_400_000


async def walked(store: Store, ids: list[int], start: int = 0, end: int = END, **more: Any) -> list[Columns]:
    return [
        piece
        async for piece in store.pieces(ids, start, end, lambda columns: columns, **{"readings": 100, **more})
    ]


async def test_nothing_stored_is_no_piece(tmp_path: Path) -> None:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        assert await walked(store, [store.catalog.intern(key(), 4, "", T0)]) == []
        assert await walked(store, []) == []


async def test_sealed_and_unsealed_readings_come_once_and_in_order(tmp_path: Path) -> None:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        ids = [store.catalog.intern(key(number), 4, "", T0) for number in range(3)]
        for part in range(10):
            for series in ids:
                ts = T0 + 1000 * np.arange(part * 300, part * 300 + 300) + series
                await store.commit(readings(series, ts, ts % 97 * 1.0))
            if part == 6:
                await store.seal()
        pieces = await walked(store, ids[:2])
        whole = Columns.concat(pieces)
        assert len(whole) == 6000
        assert (np.diff(whole.ts_ms) >= 0).all()
        assert len(set(zip(whole.series.tolist(), whole.ts_ms.tolist(), strict=True))) == 6000
        assert set(whole.series.tolist()) == set(ids[:2])
        assert max(map(len, pieces)) <= 400
        some = Columns.concat(await walked(store, ids, T0 + 100_000, T0 + 200_000))
        assert len(some) == 300
        assert (some.ts_ms.min(), some.ts_ms.max()) == (T0 + 100_000 + ids[0], T0 + 199_000 + ids[2])


async def test_sealing_in_between_loses_nothing(tmp_path: Path) -> None:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        series = store.catalog.intern(key(), 4, "", T0)
        for part in range(8):
            ts = T0 + 1000 * np.arange(part * 250, part * 250 + 250)
            await store.commit(readings(series, ts, 1.0 * part))
        found: list[int] = []
        async for piece in store.pieces([series], 0, END, lambda columns: columns, readings=200):
            found += piece.ts_ms.tolist()
            await store.seal()
        assert found == (T0 + 1000 * np.arange(2000)).tolist()


async def test_only_some_qualities(tmp_path: Path) -> None:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        series = store.catalog.intern(key(), 4, "", T0)
        ts = T0 + 1000 * np.arange(10)
        quality = np.where(np.arange(10) % 2, int(Quality.ERROR), int(Quality.GOOD))
        await store.commit(readings(series, ts, 1.0, quality=quality))
        (piece,) = await walked(store, [series], quality=[Quality.ERROR])
        assert piece.ts_ms.tolist() == ts[1::2].tolist()


async def test_a_crowd_at_one_millisecond_comes_whole(tmp_path: Path) -> None:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        series = store.catalog.intern(key(), 4, "", T0)
        await store.commit(readings(series, np.full(1000, T0), 1.0))
        assert [len(piece) for piece in await walked(store, [series])] == [200] * 5


@pytest.mark.parametrize(("series", "most"), [(4, 1), (200, 11)])
async def test_no_chunk_is_unpacked_for_every_few_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, series: int, most: int
) -> None:
    """Few series keep what is unpacked; of many each piece has a good share of every chunk."""
    unpacked: Counter[bytes] = Counter()

    def counted(blob: bytes, series_id: int) -> Columns:
        unpacked[blob] += 1
        return decode(blob, series_id)

    monkeypatch.setattr("growy.store.walk.decode", counted)
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        ids = [store.catalog.intern(key(number), 4, "", T0) for number in range(series)]
        for one in ids:
            ts = T0 + 5000 * np.arange(700) + one
            await store.commit(readings(one, ts, ts % 97 * 1.0))
        await store.seal()
        pieces = await walked(store, ids, readings=200)
    assert sum(map(len, pieces)) == 700 * series
    assert max(map(len, pieces)) <= 400
    assert max(unpacked.values()) <= most


async def test_what_waits_to_be_sealed_is_looked_at_before_it_is_widened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widened: list[int] = []

    def counted(self: NarrowColumns, rows: Any = None) -> Columns:
        widened.append(len(self) if rows is None else len(rows))
        return widen(self, rows)

    widen = NarrowColumns.widen
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        ids = [store.catalog.intern(key(number), 4, "", T0) for number in range(20)]
        for part in range(50):
            ts = T0 + 1000 * np.arange(100 * part, 100 * part + 100)
            await store.commit(Columns.concat([readings(one, ts, 1.0) for one in ids]))
        monkeypatch.setattr(NarrowColumns, "widen", counted)
        pieces = await walked(store, ids[:17], readings=1000)
    assert sum(map(len, pieces)) == 17 * 5000
    assert sum(widened) == 17 * 5000


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    commits=st.lists(
        st.tuples(
            st.lists(st.integers(0, 10**10), min_size=1, max_size=40),
            st.sampled_from([0, 1]),
            st.booleans(),
        ),
        max_size=8,
    ),
    readings_a_piece=st.sampled_from([1, 7, 1000]),
)
async def test_any_readings_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, commits: Any, readings_a_piece: int
) -> None:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path_factory.mktemp("walk")) as store:
        ids = [store.catalog.intern(key(number), 4, "", T0) for number in range(2)]
        expected: list[tuple[int, int]] = []
        for offsets, series, seal in commits:
            ts = T0 + np.array(offsets)
            expected += [(int(one), ids[series]) for one in ts]
            await store.commit(readings(ids[series], ts, 1.0))
            if seal:
                await store.seal()
        whole = Columns.concat(await walked(store, ids, readings=readings_a_piece))
        assert list(zip(whole.ts_ms.tolist(), whole.series.tolist(), strict=True)) == sorted(expected)


async def test_memory_does_not_grow_with_what_is_walked(tmp_path: Path) -> None:
    """Half a million readings are 29 MB as columns; a walk through them stays far below."""
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        series = store.catalog.intern(key(), 4, "", T0)
        for part in range(5):
            ts = T0 + 1000 * np.arange(part * 100_000, (part + 1) * 100_000)
            await store.commit(readings(series, ts, np.sin(ts)))
            await store.seal()
        count = 0
        tracemalloc.start()
        try:
            async for piece in store.pieces([series], 0, END, len, readings=4096):
                count += piece
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert count == 500_000
        assert peak < 4_000_000, f"{peak / 1e6:.1f} MB"
