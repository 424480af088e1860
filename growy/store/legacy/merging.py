"""Which rows of the old database the store has already: one reading per series and time. Blocking, in the caller's
connection; must never look at more chunks than the new rows can touch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import apsw
import numpy as np
import numpy.typing as npt

from growy.model.errors import StoreError
from growy.model.reading import Columns, IndexArray, IntArray
from growy.store.blob import decode_values
from growy.store.chunks import extents
from growy.store.grid import PARTS, cell_id, slots

_SPANS = "SELECT id, first_ms, last_ms FROM chunk WHERE id BETWEEN ? AND ?"


def groups(numbers: IndexArray) -> Iterator[tuple[int, int, int]]:
    """(number, start, end) of each stretch of equal numbers, which are sorted."""
    found, starts = np.unique(numbers, return_index=True)
    ends = [*starts[1:].tolist(), len(numbers)] if len(numbers) else []
    yield from zip(found.tolist(), starts.tolist(), ends, strict=True)


def repeated(columns: Columns) -> npt.NDArray[np.bool_]:
    """Rows that have series and time of the row before; the columns are sorted by both."""
    again = np.zeros(len(columns), np.bool_)
    again[1:] = (columns.series[1:] == columns.series[:-1]) & (columns.ts_ms[1:] == columns.ts_ms[:-1])
    return again


def stored(db: apsw.Connection, columns: Columns) -> npt.NDArray[np.bool_]:
    """Rows whose series has a reading at that time in a chunk; the columns are sorted by series and time.

    Raises:
        StoreError: a chunk is damaged: what it held is not known, so nothing is written beside it.
    """
    there = np.zeros(len(columns), np.bool_)
    for series_id, start, end in groups(columns.series):
        ts_ms = columns.ts_ms[start:end]
        for times in _times(db, series_id, ts_ms):
            there[start:end] |= np.isin(ts_ms, times)
    return there


def _times(db: apsw.Connection, series_id: int, ts_ms: IntArray) -> Iterator[IntArray]:
    """Times of the stored readings that could be among `ts_ms`, which is sorted."""
    for extent in extents(db, series_id):
        cells = np.unique(slots(extent.level, ts_ms))
        for cell in cells[(cells >= extent.first_slot) & (cells <= extent.last_slot)].tolist():
            first = cell_id(extent.level, cell, series_id)
            rows = db.execute(_SPANS, (first, first + PARTS - 1)).fetchall()
            for chunk_id, first_ms, last_ms in cast("list[tuple[int, int, int]]", rows):
                if np.searchsorted(ts_ms, first_ms) < np.searchsorted(ts_ms, last_ms, side="right"):
                    yield _chunk_times(db, chunk_id)


def _chunk_times(db: apsw.Connection, chunk_id: int) -> IntArray:
    try:
        return decode_values(db.execute("SELECT data FROM chunk WHERE id = ?", (chunk_id,)).get)[0]
    except StoreError as error:
        raise StoreError(
            f"{error.message}; whether old readings are in it already cannot be told",
            cure="Restore series.db from a backup, then migrate into that",
        ) from error
