"""Sealing moves readings from the journal into chunks: each exactly once, whatever the order they came in."""

from __future__ import annotations

import apsw
import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from store_faults import FaultyDisk
from store_readings import T0, key, readings, same

from growy.model.errors import StoreUnavailable
from growy.model.reading import Columns
from growy.store import Store
from growy.store.grid import PERIODS_MS, choose_level
from growy.store.sealing import SLICE_SERIES

DAY = 86_400_000


async def everything(store: Store, series_id: int) -> Columns:
    found = (await store.query(series_id, -(1 << 60), 1 << 60)).readings
    assert found is not None
    return found


def in_order(columns: Columns) -> Columns:
    return columns.take(np.lexsort((columns.rx_ms, columns.ts_ms)))


async def test_late_and_disordered_readings_come_back_once_and_in_order(opener) -> None:
    random = np.random.default_rng(5)
    async with opener(chunk_readings=60) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        sent = []
        for batch in range(40):
            late = random.integers(0, 3 * DAY, 5) * (random.random(5) < 0.3)
            ts = T0 + batch * 300_000 + np.arange(5) * 60_000 - late
            sent.append(
                readings(one, ts, random.normal(20, 3, 5), rx=T0 + batch * 300_000 + 300_000 + np.arange(5))
            )
            await store.commit(sent[-1])
            if batch % 3 == 0:
                await store.seal()
        assert same(await everything(store, one), in_order(Columns.concat(sent)))
    async with opener(chunk_readings=60) as store:
        assert same(await everything(store, one), in_order(Columns.concat(sent)))


async def test_equal_readings_are_kept_as_often_as_they_were_committed(store: Store) -> None:
    one = store.catalog.intern(key(1), 4, "", T0)
    for _ in range(3):
        await store.commit(readings(one, [T0, T0], 1.0))
        await store.seal()
    assert len(await everything(store, one)) == 6


async def test_times_outside_the_grid_are_kept(store: Store) -> None:
    one = store.catalog.intern(key(1), 4, "", T0)
    ts = [-(1 << 50), -1, 0, T0, 1 << 50]
    await store.commit(readings(one, ts, 1.0, rx=T0))
    await store.seal()
    assert (await everything(store, one)).ts_ms.tolist() == ts


async def test_a_slow_series_fills_one_chunk_per_cell(opener) -> None:
    """Given a reading every 30 s and a seal every 10 minutes, a finished six-hour cell is one chunk of 720."""
    async with opener() as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        for at in range(0, 2880, 20):
            await store.commit(readings(one, T0 + 30_000 * np.arange(at, at + 20), 1.0))
            await store.seal()
        _, rows = await store.sql("SELECT rows, last_ms - first_ms FROM chunk ORDER BY id", 100)
        assert rows[:3] == [(720, 719 * 30_000)] * 3


async def test_a_fast_series_is_cut_into_chunks_of_the_size_asked_for(opener) -> None:
    async with opener(chunk_readings=600) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        sent = readings(one, T0 + 100 * np.arange(6000), np.arange(6000.0))
        await store.commit(sent)
        await store.seal()
        _, rows = await store.sql("SELECT max(rows), sum(rows) FROM chunk", 100)
        assert rows[0][0] <= 750
        assert rows[0][1] == 6000
        assert same(await everything(store, one), sent)


async def test_a_series_far_faster_than_the_grid_still_fits_its_cell(opener) -> None:
    async with opener(chunk_readings=60) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        sent = []
        for part in range(3):
            sent.append(readings(one, T0 + 12 * np.arange(part * 10_000, part * 10_000 + 10_000), 1.0))
            await store.commit(sent[-1])
            await store.seal()
        assert same(await everything(store, one), Columns.concat(sent))


async def test_queries_while_a_seal_is_half_done_see_everything_once(opener, disk: FaultyDisk) -> None:
    """Given more series than one slice takes, when the disk fails after the first, nothing shows twice or is
    missing."""
    count = SLICE_SERIES + 50
    async with opener(vfs=disk.name) as store:
        ids = [store.catalog.intern(key(i), 4, "", T0) for i in range(count)]
        sent = readings(ids, np.full(count, T0), np.arange(count) + 0.5)
        await store.commit(sent)
        disk.fault = lambda: apsw.IOError("the card came loose") if store.statistics().chunks else None
        with pytest.raises(StoreUnavailable, match="reading or writing"):
            await store.seal()
        disk.fault = None
        assert 0 < store.statistics().chunks < count
        await store.commit(readings(ids, np.full(count, T0 + 1), 9.0))
        for series_id in (ids[0], ids[SLICE_SERIES - 1], ids[SLICE_SERIES], ids[-1]):
            assert (await everything(store, series_id)).ts_ms.tolist() == [T0, T0 + 1]
        _, rows = await store.sql("SELECT count(*) FROM sensor_data", 1)
        assert rows == [(2 * count,)]
    async with opener() as store:
        assert (await everything(store, ids[-1])).ts_ms.tolist() == [T0, T0 + 1]
        assert await store.seal() == 2 * count - SLICE_SERIES
        assert store.statistics().journal_commits == 0
        _, rows = await store.sql("SELECT count(*), count(DISTINCT esp_id) FROM sensor_data", 1)
        assert rows == [(2 * count, count)]


async def test_commits_go_on_while_sealing(opener) -> None:
    async with opener() as store:
        ids = [store.catalog.intern(key(i), 4, "", T0) for i in range(300)]
        for at in range(20):
            await store.commit(readings(ids, np.full(300, T0 + at * 1000), 1.0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.seal)
            for at in range(20, 60):
                await store.commit(readings(ids, np.full(300, T0 + at * 1000), 1.0))
        for series_id in ids[::50]:
            assert (await everything(store, series_id)).ts_ms.tolist() == [T0 + at * 1000 for at in range(60)]


async def test_retention_deletes_whole_chunks_that_are_too_old(opener) -> None:
    async with opener(retention_days=2) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        await store.commit(readings(one, T0 + 60_000 * np.arange(4 * 1440), 1.0))
        await store.seal()
        before = store.statistics().chunks
        now = T0 + 4 * DAY
        gone = await store.retire(now)
        left = await everything(store, one)
        assert 0 < gone < before
        assert store.statistics().chunks == before - gone
        assert now - 2 * DAY - PERIODS_MS[-1] <= int(left.ts_ms[0]) <= now - 2 * DAY
        assert int(left.ts_ms[-1]) == T0 + 60_000 * (4 * 1440 - 1)
        assert await store.retire(now) == 0


async def test_checkpoint_empties_the_wal_for_the_next_commit(store: Store) -> None:
    one = store.catalog.intern(key(1), 4, "", T0)
    for i in range(50):
        await store.commit(readings(one, [T0 + i], 1.0))
    before = store.statistics().wal_bytes
    await store.checkpoint()
    for i in range(20):
        await store.commit(readings(one, [T0 + 100 + i], 1.0))
    facts = store.statistics()
    assert facts.wal_bytes == before
    assert facts.checkpoints == 1


async def test_a_full_journal_is_sealed_without_waiting_for_the_clock(opener) -> None:
    async with opener() as store, trio.open_nursery() as nursery:
        await nursery.start(store.run)
        one = store.catalog.intern(key(1), 4, "", T0)
        for part in range(6):
            await store.commit(
                readings(one, T0 + np.arange(part * 100_000, part * 100_000 + 100_000) * 10, 1.0)
            )
        with trio.fail_after(20):
            while store.statistics().sealed_readings < 500_000:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


@settings(max_examples=80, deadline=None)
@given(st.integers(20, 10**8), st.sampled_from([60, 600]), st.sampled_from([None, 0, 1, 2, 3]))
def test_a_cell_never_expects_much_more_than_a_chunk(apart: int, chunk: int, before: int | None) -> None:
    level = choose_level(np.arange(50) * apart, chunk, before)
    assert level == 0 or PERIODS_MS[level] / apart <= 1.5 * chunk


async def test_retention_leaves_readings_of_a_clock_that_was_not_set(opener) -> None:
    """Given a Pi that boots in 1970 and learns the time later, what it took before is not years old."""
    async with opener(retention_days=30) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        await store.commit(readings(one, 60_000 * np.arange(100), 1.0))
        await store.seal()
        await store.commit(readings(one, T0 + 60_000 * np.arange(100), 2.0))
        await store.seal()
        await store.retire(T0 + DAY)
        assert len(await everything(store, one)) == 200
        await store.retire(T0 + 60 * DAY)
        assert (await everything(store, one)).value.tolist() == [1.0] * 100


async def test_a_clock_that_is_set_back_loses_nothing(opener) -> None:
    """Given readings stamped by a clock a year ahead, and the right time after, all are there, and the newest is
    the one received last, also after a restart."""
    async with opener() as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        await store.commit(readings(one, T0 + 365 * DAY + 1000 * np.arange(50), 1.0))
        await store.seal()
        await store.commit(readings(one, T0 + 1000 * np.arange(50), 2.0))
    async with opener() as store:
        latest = store.tail.latest(one)
        assert latest is not None
        assert latest.value == 2.0
        await store.seal()
        assert (await everything(store, one)).value.tolist() == [2.0] * 50 + [1.0] * 50
