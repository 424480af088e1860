"""Chunks: a stretch of one series as a packed blob, with a summary beside it that charts are drawn from.

In a summary only rows that have a value and whose quality is not `error` count as values: an error is never a
minimum. Pure functions over an open transaction; must never change a reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw
import attrs
import numpy as np
import numpy.typing as npt

from growy.model.reading import ByteArray, Columns, FloatArray, Quality
from growy.store.blob import encode
from growy.store.grid import CELL_STEP, PARTS, cell_id, slot
from growy.store.integers import read_varint, varint


@attrs.frozen(slots=True)
class Summary:
    """What a chunk says of itself. The six figures are None when no row counts."""

    id: int
    first_ms: int
    last_ms: int
    rows: int
    count: int
    """Rows that have a value and are not `error`."""
    low: float | None
    high: float | None
    first: float | None
    last: float | None
    mean: float | None
    m2: float | None
    """Sum of squared distances from the mean: standard deviations of chunks can be joined."""
    qualities: bytes

    def quality_counts(self) -> dict[Quality, int]:
        return unpack_qualities(self.qualities)


@attrs.frozen(slots=True)
class Extent:
    """Cells of one level in which a series may have chunks, both ends included."""

    level: int
    first_slot: int
    last_slot: int


_SUMMARY = (
    "c.id, c.first_ms, c.last_ms, c.rows, c.count, c.min, c.max, c.first, c.last, c.mean, c.m2, c.qualities"
)
# The cells of one series lie 2^28 apart: seeking each beats an index, which would scatter the writes of every
# sealing over as many pages as there are series.
_CELLS = (
    "WITH RECURSIVE cell (k, n) AS (SELECT ?1, ?2 UNION ALL SELECT k + ?3, n - 1 FROM cell WHERE n > 1) "
    "SELECT {what} FROM cell CROSS JOIN chunk AS c ON c.id BETWEEN cell.k AND cell.k + 255 "
    "WHERE c.last_ms >= ?4 AND c.first_ms < ?5"
)
_SELECT_SUMMARIES = _CELLS.format(what=_SUMMARY)
_SELECT_DATA = "SELECT data FROM chunk WHERE id = ?"


def counted(value: FloatArray, quality: ByteArray) -> npt.NDArray[np.bool_]:
    """Which rows enter minimum, maximum and mean."""
    usable: npt.NDArray[np.bool_] = ~np.isnan(value) & (quality != Quality.ERROR)
    return usable


def pack_qualities(quality: ByteArray) -> bytes:
    counts = np.bincount(quality)
    return b"".join(bytes((int(q),)) + varint(int(counts[q])) for q in np.flatnonzero(counts))


def unpack_qualities(packed: bytes) -> dict[Quality, int]:
    counts: dict[Quality, int] = {}
    at = 0
    while at < len(packed):
        quality = Quality(packed[at])
        counts[quality], at = read_varint(packed, at + 1)
    return counts


def moments(value: FloatArray) -> tuple[float | None, float | None]:
    """Mean and m2, None where they are not finite numbers (no rows, or infinities among them)."""
    if len(value) == 0:
        return None, None
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(value.mean())
        m2 = float(np.square(value - mean).sum())
    return (None if np.isnan(mean) else mean), (None if np.isnan(m2) else m2)


def chunk_row(chunk_id: int, columns: Columns) -> tuple[object, ...]:
    """The row of table `chunk` for readings of one series, sorted by time."""
    value = columns.value[counted(columns.value, columns.quality)]
    some = len(value) > 0
    return (
        chunk_id,
        int(columns.series[0]),
        int(columns.ts_ms[0]),
        int(columns.ts_ms[-1]),
        len(columns),
        len(value),
        float(value.min()) if some else None,
        float(value.max()) if some else None,
        float(value[0]) if some else None,
        float(value[-1]) if some else None,
        *moments(value),
        pack_qualities(columns.quality),
        encode(columns, one_series=True),
    )


def extents(db: apsw.Connection, series_id: int) -> list[Extent]:
    rows = db.execute("SELECT level, first_slot, last_slot FROM extent WHERE series = ?", (series_id,))
    return [Extent(*row) for row in rows]


def summaries(
    db: apsw.Connection, series_id: int, start_ms: int, end_ms: int, where: Sequence[Extent] | None = None
) -> list[Summary]:
    """Chunks of a series that touch [start_ms, end_ms), by time; no blob is read.

    Args:
        where: its extents, for who has asked for them in this transaction already.
    """
    found: list[Summary] = []
    for extent in extents(db, series_id) if where is None else where:
        low = max(slot(extent.level, start_ms), extent.first_slot)
        high = min(slot(extent.level, end_ms - 1), extent.last_slot)
        if low <= high:
            first = cell_id(extent.level, low, series_id)
            rows = db.execute(_SELECT_SUMMARIES, (first, high - low + 1, CELL_STEP, start_ms, end_ms))
            found.extend(Summary(*row) for row in rows)
    found.sort(key=lambda summary: (summary.first_ms, summary.id))
    return found


def blob_of(db: apsw.Connection, chunk_id: int) -> bytes:
    blob: bytes = db.execute(_SELECT_DATA, (chunk_id,)).get
    return blob


def newest_blobs(db: apsw.Connection, series_id: int, readings: int) -> Iterator[bytes]:
    """Blobs that hold at least the newest `readings` of a series, in no order."""
    for extent in extents(db, series_id):
        found = 0
        for cell in range(extent.last_slot, max(extent.first_slot, extent.last_slot - PARTS) - 1, -1):
            first = cell_id(extent.level, cell, series_id)
            rows = db.execute(
                "SELECT rows, data FROM chunk WHERE id BETWEEN ? AND ?", (first, first + PARTS - 1)
            )
            for count, data in rows:
                found += count
                yield data
            if found >= readings:
                break
