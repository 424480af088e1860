"""Readings of one series into buckets of time: minimum, maximum, mean and count. Pure numpy.

Buckets begin at multiples of their width since 1970 (UTC). Rows and whole chunks enter alike, as partial
figures that are then joined, so that what came from a summary and what was unpacked cannot differ."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from growy.model.reading import ByteArray, FloatArray, IntArray
from growy.store.chunks import Summary, counted

WIDTHS_MS = tuple(
    1000 * seconds
    for seconds in (
        *(1, 2, 5, 10, 15, 30),
        *(60, 120, 300, 600, 900, 1800),
        *(3600, 7200, 10_800, 21_600, 43_200),
        *(86_400, 172_800, 604_800, 2_592_000),
    )
)
_FOREVER_MS = 1 << 61


@attrs.frozen(slots=True, eq=False)
class Buckets:
    """Buckets that have readings, by time, in columns. Figures are NaN where `count` is 0."""

    start_ms: IntArray
    low: FloatArray
    high: FloatArray
    mean: FloatArray
    first: FloatArray
    last: FloatArray
    count: IntArray
    """Rows that have a value and are not `error`."""
    rows: IntArray
    """All rows."""

    def __len__(self) -> int:
        return len(self.start_ms)


@attrs.frozen(slots=True, eq=False)
class Partial:
    """Figures of rows that lie in one bucket each: columns to be joined by `join`."""

    bucket: IntArray
    low: FloatArray
    high: FloatArray
    total: FloatArray
    first_ms: IntArray
    first: FloatArray
    last_ms: IntArray
    last: FloatArray
    count: IntArray
    rows: IntArray


def width_for(start_ms: int, end_ms: int, max_points: int) -> int:
    """The smallest nice width with which [start_ms, end_ms) touches at most `max_points` buckets; the largest is
    doubled until it does, or holds all the time there is."""
    for width in WIDTHS_MS:
        if (end_ms - 1) // width - start_ms // width + 1 <= max_points:
            return width
    width = 2 * WIDTHS_MS[-1]
    while (end_ms - 1) // width - start_ms // width + 1 > max_points and width < _FOREVER_MS:
        width *= 2
    return width


def of_summaries(found: Sequence[Summary], width: int) -> Partial:
    """Chunks that lie in one bucket each."""

    def figures(name: str) -> FloatArray:
        return np.array([np.nan if (v := getattr(s, name)) is None else v for s in found], np.float64)

    count = np.array([s.count for s in found], np.int64)
    first_ms = np.array([s.first_ms for s in found], np.int64)
    return Partial(
        bucket=first_ms // width,
        low=figures("low"),
        high=figures("high"),
        total=figures("mean") * count,
        first_ms=first_ms,
        first=figures("first"),
        last_ms=np.array([s.last_ms for s in found], np.int64),
        last=figures("last"),
        count=count,
        rows=np.array([s.rows for s in found], np.int64),
    )


def of_rows(ts_ms: IntArray, value: FloatArray, quality: ByteArray, width: int) -> Partial:
    """Single readings; joined at once, so that no more rows than buckets remain."""
    counts = counted(value, quality)
    value = np.where(counts, value, np.nan)
    one = np.ones(len(ts_ms), np.int64)
    rows = Partial(
        ts_ms // width, value, value, value, ts_ms, value, ts_ms, value, counts.astype(np.int64), one
    )
    return join([rows])


def join(parts: Sequence[Partial]) -> Partial:
    """One row per bucket, by time. Of equal times the earlier row is the first and the later one the last."""
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in attrs.fields(Partial)
    }
    bucket, count = columns["bucket"], columns["count"]
    order = np.argsort(bucket, kind="stable")
    starts = _starts(bucket[order])
    if len(starts) == 0:
        return Partial(**columns)
    ends = np.append(starts[1:], len(order)) - 1
    some = count > 0
    # Rows that do not count go last among the firsts and first among the lasts.
    first = np.lexsort((columns["first_ms"], ~some, bucket))[starts]
    last = np.lexsort((columns["last_ms"], some, bucket))[ends]
    return Partial(
        bucket=bucket[order][starts],
        low=np.fmin.reduceat(columns["low"][order], starts),
        high=np.fmax.reduceat(columns["high"][order], starts),
        total=np.add.reduceat(np.where(some, columns["total"], 0.0)[order], starts),
        first_ms=columns["first_ms"][first],
        first=np.where(some[first], columns["first"][first], np.nan),
        last_ms=columns["last_ms"][last],
        last=np.where(some[last], columns["last"][last], np.nan),
        count=np.add.reduceat(count[order], starts),
        rows=np.add.reduceat(columns["rows"][order], starts),
    )


def finished(joined: Partial, width: int) -> Buckets:
    some = joined.count > 0
    mean = np.full(len(some), np.nan)
    np.divide(joined.total, joined.count, out=mean, where=some)
    return Buckets(
        start_ms=joined.bucket * width,
        low=joined.low,
        high=joined.high,
        mean=mean,
        first=joined.first,
        last=joined.last,
        count=joined.count,
        rows=joined.rows,
    )


def _starts(bucket: IntArray) -> IntArray:
    fresh = np.ones(len(bucket), np.bool_)
    np.not_equal(bucket[1:], bucket[:-1], out=fresh[1:])
    return np.flatnonzero(fresh)
