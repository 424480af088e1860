"""The grid that chunks are cut on: cells of the wall clock (UTC), wider for slower series. Pure arithmetic.

Chunks that begin and end with the clock let a chart's buckets be answered from summaries: a six-hour bucket is
one chunk of a series that reports every 30 seconds. A series may change its level at any time; every chunk says
in its id where it belongs."""

from __future__ import annotations

import numpy as np

from growy.model.reading import IntArray

PERIODS_MS = (600_000, 3_600_000, 21_600_000, 86_400_000)
"""Length of a cell by level: 10 minutes, 1, 6 and 24 hours."""
PARTS = 256
"""Chunks that one cell can hold: a fast series fills several, late readings add small ones."""
SERIES_LIMIT = 1 << 20
CELL_STEP = 1 << 28
"""Distance between the ids of one series' neighbouring cells."""
_FIRST_MS, _LAST_MS = 1_577_836_800_000, 4_102_444_800_000
"""2020 and 2100. Bounded so that a reading with a mad time does not make queries seek through a million empty
cells."""
_FULLEST = 1.25
"""A cell may expect this many times `store.chunk_readings`: 720 for 600, which is one reading every 5 s for an
hour."""
_STRETCH = 1.5
"""A level once chosen is kept up to here, so that a jittering clock does not change it back and forth."""


def slots(level: int, ts_ms: IntArray) -> IntArray:
    """Cell numbers of times. Times outside 2020..2100 share the first and the last cell."""
    cells: IntArray = np.clip(ts_ms, _FIRST_MS, _LAST_MS) // PERIODS_MS[level]
    return cells


def slot(level: int, ts_ms: int) -> int:
    return min(max(ts_ms, _FIRST_MS), _LAST_MS) // PERIODS_MS[level]


def cell_id(level: int, cell: int, series_id: int) -> int:
    """Id of the first chunk a cell can hold; its others follow up to + 255."""
    return level << 56 | cell << 28 | series_id << 8


def choose_level(ts_ms: IntArray, chunk_readings: int, before: int | None) -> int:
    """The widest cell that a series' readings do not overfill.

    Args:
        ts_ms: sorted times of new readings; their median distance is the series' rate.
        chunk_readings: about how many a chunk should hold.
        before: the level used last, if any; kept while it fits about as well.
    """
    if len(ts_ms) < 2:
        return len(PERIODS_MS) - 1 if before is None else before
    apart = max(float(np.median(np.diff(ts_ms))), 1.0)
    level = max(
        (at for at, period in enumerate(PERIODS_MS) if period / apart <= _FULLEST * chunk_readings), default=0
    )
    if before is None or before == level:
        return level
    if level < before:
        return before if PERIODS_MS[before] / apart <= _STRETCH * chunk_readings else level
    return before if PERIODS_MS[level] / apart > chunk_readings else level
