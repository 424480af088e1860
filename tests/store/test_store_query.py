"""Charts and figures equal brute force over all readings, however they are split between summaries, chunks and
journal."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from store_readings import T0, key, readings, same

from growy.model.errors import Invalid
from growy.model.reading import Columns, Quality
from growy.store import Buckets, Store
from growy.store.buckets import WIDTHS_MS, width_for

EVER = (-(1 << 60), 1 << 60)
HOUR = 3_600_000


def brute(
    sent: Columns, start: int, end: int, width: int, quality: set[Quality] | None = None
) -> dict[int, list[float]]:
    """Bucket start -> [low, high, mean, first, last, count, rows], the slow and plain way."""
    found: dict[int, list[list[float]]] = {}
    for row in sorted(sent.rows(), key=lambda row: (row.ts_ms, row.rx_ms)):
        if start <= row.ts_ms < end and (quality is None or row.quality in quality):
            values = found.setdefault(row.ts_ms // width * width, [])
            values.append([] if row.value is None or row.quality is Quality.ERROR else [row.value])
    figures = {}
    for at, rows in found.items():
        values = [value for row in rows for value in row]
        some = (
            [min(values), max(values), math.fsum(values) / len(values), values[0], values[-1]]
            if values
            else [math.nan] * 5
        )
        figures[at] = [*some, len(values), len(rows)]
    return figures


def agree(got: Buckets, want: dict[int, list[float]]) -> None:
    assert got.start_ms.tolist() == sorted(want)
    table = np.array([want[at] for at in sorted(want)], np.float64).reshape(-1, 7).T
    for name, column in zip(
        ("low", "high", "first", "last", "count", "rows"), table[[0, 1, 3, 4, 5, 6]], strict=True
    ):
        np.testing.assert_array_equal(getattr(got, name), column, err_msg=name)
    np.testing.assert_allclose(got.mean, table[2], rtol=1e-12, err_msg="mean")


async def mixed(store: Store, seed: int) -> tuple[int, Columns]:
    """Readings with errors, gaps, late ones and other series beside them; part sealed, part in the journal."""
    random = np.random.default_rng(seed)
    one, other = (store.catalog.intern(key(i), 4, "", T0) for i in (1, 2))
    sent = []
    for batch in range(30):
        n = int(random.integers(1, 120))
        ts = T0 + batch * 20 * 60_000 + np.sort(random.integers(0, 20 * 60_000, n))
        ts = ts - random.integers(0, 8 * HOUR, n) * (random.random(n) < 0.03)
        value = np.where(random.random(n) < 0.05, np.nan, np.round(random.normal(20, 5, n), 2))
        quality = random.choice([1, 1, 1, 2, 4, 6], n)
        columns = readings(one, ts, value, quality=quality, rx=T0 + batch * 20 * 60_000 + np.arange(n))
        sent.append(columns)
        await store.commit(Columns.concat([columns, readings(other, ts, 99.0)]))
        if batch in (3, 4, 11, 20, 26):
            await store.seal()
    return one, Columns.concat(sent)


@pytest.mark.parametrize("seed", range(4))
async def test_buckets_equal_brute_force(opener, seed: int) -> None:
    async with opener(chunk_readings=60) as store:
        one, sent = await mixed(store, seed)
        for resolution, width in (("1m", 60_000), ("5m", 300_000), ("1h", HOUR), ("1d", 24 * HOUR)):
            for start, end in (EVER, (T0 + 1_234_567, T0 + 4 * HOUR + 89), (T0 + HOUR, T0 + HOUR)):
                result = await store.query(one, start, end, resolution=resolution)
                assert result.buckets is not None
                assert result.width_ms == width
                agree(result.buckets, brute(sent, start, end, width))
        for quality in ({Quality.GOOD}, {Quality.ERROR}, {Quality.GOOD, Quality.SUSPECT}):
            result = await store.query(one, *EVER, resolution="1h", quality=quality)
            assert result.buckets is not None
            agree(result.buckets, brute(sent, *EVER, HOUR, quality))


@pytest.mark.parametrize("points", [1, 7, 40, 100, 1500])
async def test_max_points_takes_the_smallest_nice_width(opener, points: int) -> None:
    async with opener(chunk_readings=60) as store:
        one, sent = await mixed(store, 9)
        result = await store.query(one, *EVER, max_points=points)
        assert result.buckets is not None
        agree(result.buckets, brute(sent, *EVER, result.width_ms))
        low, high = int(sent.ts_ms.min()), int(sent.ts_ms.max()) + 1
        assert result.width_ms == width_for(low, high, points)
        assert len(result.buckets) <= points


@pytest.mark.parametrize("points", [1, 2, 10])
async def test_max_points_holds_for_ranges_longer_than_the_widest_bucket(store: Store, points: int) -> None:
    """Given readings over six years and over midnight of every calendar, there are never more buckets than asked."""
    one = store.catalog.intern(key(1), 4, "", T0)
    edge = T0 // WIDTHS_MS[-1] * WIDTHS_MS[-1]
    sent = readings(one, edge + np.array([-3 * 365, -1, 0, 1, 3 * 365]) * 24 * HOUR, np.arange(5.0))
    await store.commit(sent)
    result = await store.query(one, *EVER, max_points=points)
    assert result.buckets is not None
    assert 0 < len(result.buckets) <= points
    agree(result.buckets, brute(sent, *EVER, result.width_ms))


async def test_raw_readings_limit_quality_and_range(opener) -> None:
    async with opener(chunk_readings=60) as store:
        one, sent = await mixed(store, 3)
        ordered = sent.take(np.lexsort((sent.rx_ms, sent.ts_ms)))
        for limit in (1, 5, 100, 10_000):
            result = await store.query(one, *EVER, limit=limit)
            assert result.readings is not None
            assert same(result.readings, ordered.take(slice(max(0, len(ordered) - limit), None)))
            assert result.truncated == (limit < len(ordered))
        result = await store.query(one, T0 + HOUR, T0 + 3 * HOUR, quality=[Quality.SUSPECT])
        assert result.readings is not None
        inside = (
            (ordered.ts_ms >= T0 + HOUR)
            & (ordered.ts_ms < T0 + 3 * HOUR)
            & (ordered.quality == Quality.SUSPECT)
        )
        assert same(result.readings, ordered.take(inside))


@pytest.mark.parametrize("seed", range(3))
async def test_statistics_equal_brute_force(opener, seed: int) -> None:
    async with opener(chunk_readings=60) as store:
        one, sent = await mixed(store, seed)
        for start, end in (EVER, (T0 + 1_000_001, T0 + 5 * HOUR), (T0 - 9 * HOUR, T0 + 7 * HOUR + 1)):
            facts = await store.series_statistics(one, start, end)
            inside = sent.take((sent.ts_ms >= start) & (sent.ts_ms < end))
            value = inside.value[~np.isnan(inside.value) & (inside.quality != Quality.ERROR)]
            assert (facts.rows, facts.count) == (len(inside), len(value))
            assert (facts.low, facts.high) == (value.min(), value.max())
            assert facts.mean == pytest.approx(value.mean(), rel=1e-12)
            assert facts.std == pytest.approx(value.std(), rel=1e-9)
            assert facts.qualities == {
                Quality(q): int((inside.quality == q).sum()) for q in np.unique(inside.quality)
            }
            assert (facts.first_ms, facts.last_ms) == (int(inside.ts_ms.min()), int(inside.ts_ms.max()))


async def test_an_error_is_never_a_minimum_and_no_value_is_not_zero(store: Store) -> None:
    one = store.catalog.intern(key(1), 4, "", T0)
    await store.commit(readings(one, T0 + np.arange(4), [20.0, -127.0, math.nan, 21.0], quality=[1, 6, 6, 1]))
    for _ in range(2):
        facts = await store.series_statistics(one, *EVER)
        assert (facts.low, facts.high, facts.mean, facts.count, facts.rows) == (20.0, 21.0, 20.5, 2, 4)
        buckets = (await store.query(one, *EVER, max_points=10)).buckets
        assert buckets is not None
        assert buckets.low.tolist() == [20.0]
        await store.seal()


async def test_a_series_without_values_or_readings_has_no_figures(store: Store) -> None:
    one = store.catalog.intern(key(1), 4, "", T0)
    empty = await store.series_statistics(one, *EVER)
    assert (empty.rows, empty.low, empty.mean, empty.std, empty.first_ms) == (0, None, None, None, None)
    for asked in ({"resolution": "raw"}, {"resolution": "1h"}, {"max_points": 5}):
        result = await store.query(one, 0, T0, **asked)
        assert len(result.readings if result.readings is not None else result.buckets) == 0
    await store.commit(readings(one, [T0], math.nan, quality=6))
    await store.seal()
    facts = await store.series_statistics(one, *EVER)
    assert (facts.rows, facts.count, facts.low, facts.std) == (1, 0, None, None)
    buckets = (await store.query(one, *EVER, resolution="1d")).buckets
    assert buckets is not None
    assert (buckets.rows.tolist(), buckets.count.tolist(), math.isnan(buckets.low[0])) == ([1], [0], True)


async def test_infinite_values_do_not_break_figures(store: Store) -> None:
    one = store.catalog.intern(key(1), 4, "", T0)
    await store.commit(readings(one, T0 + np.arange(3), [1.0, math.inf, -math.inf]))
    for _ in range(2):
        facts = await store.series_statistics(one, *EVER)
        assert (facts.low, facts.high, facts.mean, facts.std) == (-math.inf, math.inf, None, None)
        await store.seal()


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"resolution": "2m"}, "1m, 5m"), ({"limit": 0}, "at least 1"), ({"max_points": 0}, "at least 1")],
)
async def test_wrong_questions_are_refused(store: Store, asked: dict[str, object], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        await store.query(1, *EVER, **asked)


async def test_a_year_at_30_s_is_drawn_from_summaries(opener) -> None:
    count = 365 * 2880
    value = np.round(20 + np.cumsum(np.random.default_rng(2).normal(0, 0.02, count)), 2)
    ts = T0 + np.arange(count) * 30_000
    async with opener() as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        for at in range(0, count, 2880 * 73):
            part = slice(at, at + 2880 * 73)
            await store.commit(readings(one, ts[part], value[part], raw=np.arange(count)[part]))
            await store.seal()
        took = []
        for _ in range(3):
            began = time.perf_counter()
            result = await store.query(one, T0, int(ts[-1]) + 1, max_points=1500)
            took.append(time.perf_counter() - began)
        assert result.buckets is not None
        table = value.reshape(-1, 720)
        assert result.width_ms == 6 * HOUR
        np.testing.assert_array_equal(result.buckets.low, table.min(axis=1))
        np.testing.assert_array_equal(result.buckets.high, table.max(axis=1))
        assert min(took) < 0.25  # bench.store measures; this only catches unpacking a million readings
