"""Questions about one series: raw readings, buckets, statistics. Blocking; on a read-only connection in a
worker thread.

Every question is answered from one snapshot: the chunks of a read transaction and the unsealed commits that
belong to it. Must never show a reading twice or one that is not committed."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import apsw
import attrs
import numpy as np

from growy.model.errors import Invalid
from growy.model.reading import Columns, FloatArray, Quality
from growy.store import buckets
from growy.store.blob import decode, decode_values
from growy.store.buckets import Buckets
from growy.store.chunks import Summary, blob_of, counted, moments, summaries
from growy.store.unsealed import SealMark, Unsealed, UnsealedCommits

RESOLUTIONS_MS = {"raw": 0, "1m": 60_000, "5m": 300_000, "1h": 3_600_000, "1d": 86_400_000}
RAW_LIMIT = 1_000_000
"""Raw readings that one query returns at most, 58 MB: more is for a backup, not for a query."""


@attrs.frozen(slots=True, eq=False)
class RangeResult:
    """Answer of `Store.query`: either readings or buckets."""

    series_id: int
    start_ms: int
    end_ms: int
    """As asked; the end is not included."""
    width_ms: int
    """Width of the buckets, 0 for raw readings."""
    readings: Columns | None = None
    """By time of measurement, then of receipt."""
    buckets: Buckets | None = None
    truncated: bool = False
    """Raw only: older readings of the range were left out because of the limit."""


@attrs.frozen(slots=True, kw_only=True)
class SeriesStatistics:
    """Figures of a range. None where no row has a value, or where they are not finite."""

    rows: int
    count: int
    """Rows that have a value and are not `error`; the figures are theirs."""
    low: float | None
    high: float | None
    mean: float | None
    std: float | None
    """Standard deviation of the population."""
    qualities: dict[Quality, int]
    """All rows, by quality."""
    first_ms: int | None
    last_ms: int | None


@contextmanager
def snapshot(db: apsw.Connection, unsealed: UnsealedCommits) -> Iterator[Unsealed]:
    """A read transaction and the unsealed commits that belong to it."""
    while True:
        look = unsealed.look()
        db.execute("BEGIN")
        try:
            if SealMark(*db.execute("SELECT sealed, sealing, sealing_series FROM seal").get) == look.mark:
                yield look
                return
        finally:
            db.execute("ROLLBACK")
        # A sealing transaction lies between the two looks: its mark is about to reach memory.
        unsealed.wait_beyond(look.mark)


def width_of(resolution: str) -> int:
    """Raises Invalid: no such resolution."""
    try:
        return RESOLUTIONS_MS[resolution]
    except KeyError:
        raise Invalid(
            f"resolution {resolution!r} does not exist", cure=f"Use one of {', '.join(RESOLUTIONS_MS)}"
        ) from None


def raw(
    db: apsw.Connection,
    look: Unsealed,
    series_id: int,
    start_ms: int,
    end_ms: int,
    *,
    limit: int,
    quality: Collection[Quality] | None,
) -> tuple[Columns, bool]:
    """The newest `limit` readings of [start_ms, end_ms), by time, and whether older ones were left out."""
    parts = [_chosen(look.of(series_id), start_ms, end_ms, quality)]
    have = len(parts[0])
    left = summaries(db, series_id, start_ms, end_ms)
    left.sort(key=lambda summary: summary.last_ms)
    truncated = False
    while left:
        # Enough once `limit` readings are newer than everything that is still packed.
        if have >= limit and sum(int((part.ts_ms > left[-1].last_ms).sum()) for part in parts) >= limit:
            truncated = True
            break
        part = _chosen(decode(blob_of(db, left.pop().id), series_id), start_ms, end_ms, quality)
        have += len(part)
        parts.append(part)
    columns = Columns.concat(parts)
    columns = columns.take(np.lexsort((columns.rx_ms, columns.ts_ms)))
    if len(columns) > limit:
        return columns.take(slice(len(columns) - limit, None)), True
    return columns, truncated


def bucketed(
    db: apsw.Connection,
    look: Unsealed,
    series_id: int,
    start_ms: int,
    end_ms: int,
    *,
    width: int,
    max_points: int | None,
    quality: Collection[Quality] | None,
) -> tuple[Buckets, int]:
    """Buckets of [start_ms, end_ms) and their width, chosen for `max_points` within the time that has
    readings."""
    rest = _chosen(look.of(series_id), start_ms, end_ms, None)
    found = summaries(db, series_id, start_ms, end_ms)
    if max_points is not None:
        ends = [summary.last_ms for summary in found] + rest.ts_ms.tolist()
        starts = [summary.first_ms for summary in found[:1]] + rest.ts_ms.tolist()
        if not ends:
            width = max(width, buckets.width_for(start_ms, end_ms, max_points))
        else:
            width = max(
                width, buckets.width_for(max(start_ms, min(starts)), min(end_ms, max(ends) + 1), max_points)
            )
    rest = _chosen(rest, start_ms, end_ms, quality)
    rest = rest.take(np.lexsort((rest.rx_ms, rest.ts_ms)))
    whole, packed = _split(found, rest, start_ms, end_ms, width, quality)
    rows = [*(decode_values(blob_of(db, one.id)) for one in packed), (rest.ts_ms, rest.value, rest.quality)]
    ts_ms = np.concatenate([row[0] for row in rows])
    keep = (ts_ms >= start_ms) & (ts_ms < end_ms)
    grade = np.concatenate([row[2] for row in rows])[keep]
    value, ts_ms = np.concatenate([row[1] for row in rows])[keep], ts_ms[keep]
    if quality is not None:
        keep = np.isin(grade, [int(one) for one in quality])
        ts_ms, value, grade = ts_ms[keep], value[keep], grade[keep]
    joined = buckets.join([buckets.of_rows(ts_ms, value, grade, width), buckets.of_summaries(whole, width)])
    return buckets.finished(joined, width), width


def statistics(
    db: apsw.Connection, look: Unsealed, series_id: int, start_ms: int, end_ms: int
) -> SeriesStatistics:
    """Figures of [start_ms, end_ms); only chunks at its ends are unpacked."""
    rest = _chosen(look.of(series_id), start_ms, end_ms, None)
    qualities: dict[Quality, int] = {}
    groups: list[tuple[int, float | None, float | None]] = []
    values: list[FloatArray] = []
    lows: list[float] = []
    highs: list[float] = []
    rows, times = 0, []
    parts = [(rest.ts_ms, rest.value, rest.quality)]
    for one in summaries(db, series_id, start_ms, end_ms):
        if one.first_ms < start_ms or one.last_ms >= end_ms:
            parts.append(decode_values(blob_of(db, one.id)))
            continue
        rows += one.rows
        times += [one.first_ms, one.last_ms]
        for grade, count in one.quality_counts().items():
            qualities[grade] = qualities.get(grade, 0) + count
        if one.count and one.low is not None and one.high is not None:
            groups.append((one.count, one.mean, one.m2))
            lows.append(one.low)
            highs.append(one.high)
    for ts_ms, value, quality in parts:
        keep = (ts_ms >= start_ms) & (ts_ms < end_ms)
        rows += int(keep.sum())
        times += [int(ts_ms[keep].min()), int(ts_ms[keep].max())] if keep.any() else []
        for grade_byte, count in zip(*np.unique(quality[keep], return_counts=True), strict=True):
            grade = Quality(int(grade_byte))
            qualities[grade] = qualities.get(grade, 0) + int(count)
        values.append(value[keep & counted(value, quality)])
    value = np.concatenate(values)
    if len(value):
        groups.append((len(value), *moments(value)))
        lows.append(float(value.min()))
        highs.append(float(value.max()))
    mean, std = _joined_moments(groups)
    return SeriesStatistics(
        rows=rows,
        count=sum(count for count, _, _ in groups),
        low=min(lows, default=None),
        high=max(highs, default=None),
        mean=mean,
        std=std,
        qualities=dict(sorted(qualities.items())),
        first_ms=min(times, default=None),
        last_ms=max(times, default=None),
    )


def _joined_moments(
    groups: list[tuple[int, float | None, float | None]],
) -> tuple[float | None, float | None]:
    """Mean and standard deviation of groups (Chan, Golub, LeVeque 1983); None where a group has none."""
    total = sum(count for count, _, _ in groups)
    if total == 0 or any(mean is None for _, mean, _ in groups):
        return None, None
    mean = math.fsum(count * (part or 0.0) for count, part, _ in groups) / total
    if not math.isfinite(mean) or any(m2 is None for _, _, m2 in groups):
        return (mean if math.isfinite(mean) else None), None
    spread = math.fsum((m2 or 0.0) + count * ((part or 0.0) - mean) ** 2 for count, part, m2 in groups)
    return mean, math.sqrt(spread / total)


def _chosen(columns: Columns, start_ms: int, end_ms: int, quality: Collection[Quality] | None) -> Columns:
    keep = (columns.ts_ms >= start_ms) & (columns.ts_ms < end_ms)
    if quality is not None:
        keep &= np.isin(columns.quality, [int(one) for one in quality])
    return columns if bool(keep.all()) else columns.take(keep)


def _split(
    found: list[Summary],
    rest: Columns,
    start_ms: int,
    end_ms: int,
    width: int,
    quality: Collection[Quality] | None,
) -> tuple[list[Summary], list[Summary]]:
    """Chunks whose summary says all that is needed, and chunks that must be unpacked."""
    whole: list[Summary] = []
    packed: list[Summary] = []
    rest_first = int(rest.ts_ms[0]) if len(rest) else None
    rest_last = int(rest.ts_ms[-1]) if len(rest) else 0
    reached = -(1 << 63)
    for at, one in enumerate(found):
        inside = one.first_ms >= start_ms and one.last_ms < end_ms
        one_bucket = width > 0 and one.first_ms // width == one.last_ms // width
        # Late readings make chunks overlap: then only the rows say which is first and which is last.
        alone = one.first_ms > reached and (at + 1 == len(found) or found[at + 1].first_ms > one.last_ms)
        alone = alone and (rest_first is None or rest_first > one.last_ms or rest_last < one.first_ms)
        reached = max(reached, one.last_ms)
        if not inside or not one_bucket or not alone:
            packed.append(one)
        elif quality is None or one.quality_counts().keys() <= set(quality):
            whole.append(one)
        elif one.quality_counts().keys() & set(quality):
            packed.append(one)
    return whole, packed
