"""Sealing: readings leave the journal and enter their series' chunks, in slices, each in one transaction.

The transaction that writes chunks also moves the mark (`seal` table) past what they hold, so that a crash
between any two statements leaves every reading exactly once. A slice takes a bounded number of series, which
bounds how long a commit can wait. Nothing else changes chunks while a seal runs.

A cell that is still filling gets a small chunk at each seal. Chunks no larger than twice what is added are
taken up into the new one, so that a reading is rewritten a few times at most, and a late reading does not
rewrite a full chunk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import apsw
import attrs
import numpy as np

from growy.model.errors import StoreError
from growy.model.reading import Columns
from growy.store.blob import decode
from growy.store.chunks import blob_of, chunk_row, extents
from growy.store.grid import PARTS, PERIODS_MS, SERIES_LIMIT, cell_id, choose_level, slots
from growy.store.unsealed import SealMark, Unsealed

SLICE_SERIES = 256
"""Series per transaction: some 10 ms of writing on a PC, some 40 ms on a Pi."""
_FULLEST = 1.25
_TAKE_UP = 2


@attrs.frozen(slots=True)
class Slice:
    """Readings of the next series to seal, sorted by series and time, and the mark that stands when they are
    sealed."""

    columns: Columns
    mark: SealMark


@attrs.frozen(slots=True)
class Sealed:
    """What one transaction writes."""

    rows: list[tuple[object, ...]]
    replaced: list[tuple[int]]
    extents: list[tuple[int, int, int, int]]
    damaged: list[int]
    """Chunks that could not be read and were left as they are."""
    readings: int
    mark: SealMark


def slices(look: Unsealed, up_to: int) -> Iterator[Slice]:
    """Cut the readings of all commits up to `up_to` into slices. A seal that was broken off is finished
    first."""
    mark = look.mark
    begun = mark.sealing > mark.sealed
    up_to = mark.sealing if begun else up_to
    columns = look.range(up_to)
    if begun:
        columns = columns.take(columns.series >= mark.series)
    # One stable sort after another: by series, within it by time of measurement, then by receipt.
    columns = columns.take(np.lexsort((columns.rx_ms, columns.ts_ms, columns.series)))
    names, starts = np.unique(columns.series, return_index=True)
    ends = np.append(starts[1:], len(columns))
    for first in range(0, len(names), SLICE_SERIES):
        last = min(first + SLICE_SERIES, len(names))
        done = last == len(names)
        yield Slice(
            columns.take(slice(int(starts[first]), int(ends[last - 1]))),
            SealMark(up_to, up_to, 0) if done else SealMark(mark.sealed, up_to, int(names[last - 1]) + 1),
        )
    if len(names) == 0 and up_to > mark.sealed:
        yield Slice(columns, SealMark(up_to, up_to, 0))


def prepare(db: apsw.Connection, part: Slice, chunk_readings: int) -> Sealed:
    """Encode a slice; reads the chunks it adds to. In a worker thread."""
    sealed = Sealed([], [], [], [], len(part.columns), part.mark)
    names, starts = np.unique(part.columns.series, return_index=True)
    ends = [*starts[1:].tolist(), len(part.columns)] if len(names) else []
    for series_id, start, end in zip(names.tolist(), starts.tolist(), ends, strict=True):
        _series(db, part.columns.take(slice(start, end)), series_id, chunk_readings, sealed)
    return sealed


def apply(db: apsw.Connection, sealed: Sealed) -> None:
    """Write a prepared slice, inside the caller's transaction."""
    if sealed.replaced:
        db.executemany("DELETE FROM chunk WHERE id = ?", sealed.replaced)
    db.executemany("INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", sealed.rows)
    db.executemany(
        "INSERT INTO extent VALUES (?, ?, ?, ?) ON CONFLICT (series, level) DO UPDATE SET"
        " first_slot = min(first_slot, excluded.first_slot), last_slot = max(last_slot, excluded.last_slot)",
        sealed.extents,
    )
    mark = sealed.mark
    db.execute(
        "UPDATE seal SET sealed = ?, sealing = ?, sealing_series = ?",
        (mark.sealed, mark.sealing, mark.series),
    )


def _series(
    db: apsw.Connection, columns: Columns, series_id: int, chunk_readings: int, sealed: Sealed
) -> None:
    known = extents(db, series_id)
    # The level a series was sealed at last is the one that reaches furthest.
    newest = max(known, key=lambda extent: extent.last_slot * PERIODS_MS[extent.level], default=None)
    level = choose_level(columns.ts_ms, chunk_readings, newest.level if newest else None)
    cells = slots(level, columns.ts_ms)
    cuts = [0, *(np.flatnonzero(np.diff(cells)) + 1).tolist(), len(columns)]
    for start, end in pairwise(cuts):
        first = cell_id(level, int(cells[start]), series_id)
        _fill(db, first, columns.take(slice(start, end)), chunk_readings, sealed)
    sealed.extents.append((series_id, level, int(cells[0]), int(cells[-1])))
    if newest is not None and newest.level == level and newest.last_slot < cells[0]:
        _tidy(db, cell_id(level, newest.last_slot, series_id), chunk_readings, sealed)


def _fill(db: apsw.Connection, first: int, columns: Columns, chunk_readings: int, sealed: Sealed) -> None:
    """Add readings to the cell whose ids begin at `first`."""
    present = _present(db, first)
    total, taken = len(columns), []
    for chunk_id, rows in present:
        if rows > _TAKE_UP * total:
            break
        taken.append(chunk_id)
        total += rows
    pieces = -(-total // int(_FULLEST * chunk_readings))
    if len(present) - len(taken) + pieces > PARTS:
        # A series far faster than the grid is made for: larger chunks.
        taken = [chunk_id for chunk_id, _ in present]
        pieces = PARTS // 2
    _rewrite(db, first, columns, taken, pieces, {chunk_id for chunk_id, _ in present} - set(taken), sealed)


def _tidy(db: apsw.Connection, first: int, chunk_readings: int, sealed: Sealed) -> None:
    """The series has moved on: join the chunks that its last cell was filled with, but not the full ones of a
    fast series."""
    fullest = int(_FULLEST * chunk_readings)
    present = _present(db, first)
    whole = sum(rows for _, rows in present) <= fullest
    small = [(chunk_id, rows) for chunk_id, rows in present if whole or rows < fullest // 2]
    if len(small) > 1:
        taken = [chunk_id for chunk_id, _ in small]
        pieces = -(-sum(rows for _, rows in small) // fullest)
        _rewrite(db, first, None, taken, pieces, {chunk_id for chunk_id, _ in present} - set(taken), sealed)


def _present(db: apsw.Connection, first: int) -> list[tuple[int, int]]:
    """(id, readings) of a cell's chunks, smallest first."""
    rows = db.execute(
        "SELECT id, rows FROM chunk WHERE id BETWEEN ? AND ? ORDER BY rows", (first, first + PARTS - 1)
    )
    return [(chunk_id, count) for chunk_id, count in rows]


def _rewrite(
    db: apsw.Connection,
    first: int,
    columns: Columns | None,
    taken: list[int],
    pieces: int,
    kept: set[int],
    sealed: Sealed,
) -> None:
    """Chunks `taken` and new `columns` become `pieces` chunks under free ids of the cell."""
    if taken:
        series_id = (first >> 8) % SERIES_LIMIT
        parts = [] if columns is None else [columns]
        for chunk_id in taken:
            try:
                parts.append(decode(blob_of(db, chunk_id), series_id))
                sealed.replaced.append((chunk_id,))
            except StoreError:  # it stays as it is: one damaged chunk must not stop all sealing
                sealed.damaged.append(chunk_id)
                kept.add(chunk_id)
        columns = Columns.concat(parts)
        columns = columns.take(np.lexsort((columns.rx_ms, columns.ts_ms)))
    if columns is None or len(columns) == 0:
        return
    free = (chunk_id for chunk_id in range(first, first + PARTS) if chunk_id not in kept)
    bounds = np.linspace(0, len(columns), pieces + 1).astype(np.int64).tolist()
    for start, end in pairwise(bounds):
        if end > start:
            sealed.rows.append(chunk_row(next(free), columns.take(slice(start, end))))
