"""What a time in the old database means: seconds, milliseconds, microseconds, nanoseconds or an ISO date. Pure.

Each row is judged by itself: an old server that was changed from seconds to milliseconds has both in one table. The
bounds lie a factor of a thousand apart, so between 2020 and the year 5138 no number has two meanings.
Must never guess: what is no time is none.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from growy.model.reading import ByteArray, FloatArray
from growy.model.time import MS_ABOVE

Cell: TypeAlias = int | float | str | bytes | None
"""What SQLite holds in any column, whatever type it was declared with."""
_NUMBERS = frozenset({int, float, type(None)})
_PER_MS = (1.0, 1.0, 1e3, 1e6)


class Unit(enum.IntEnum):
    """How a time was written."""

    SECONDS = 0
    MILLISECONDS = 1
    MICROSECONDS = 2
    NANOSECONDS = 3
    TEXT = 4
    """An ISO date; without an offset it is UTC, as SQLite's CURRENT_TIMESTAMP is."""
    NONE = 5
    """Null or 0: the device did not know the time."""
    UNREADABLE = 6

    @property
    def word(self) -> str:
        return self.name.lower()


def moments(cells: Sequence[Cell]) -> tuple[FloatArray, ByteArray]:
    """Unix ms of each cell (NaN where there is none) and its `Unit`. Whole ms where the cell is a whole number."""
    if _NUMBERS.issuperset(map(type, cells)):
        return _of_numbers(np.array(cells, np.float64))
    ms, unit = _of_numbers(np.array([_number(cell) for cell in cells], np.float64))
    for at, cell in enumerate(cells):
        if isinstance(cell, str):
            written = _date_ms(cell)
            if written is not None:
                ms[at], unit[at] = written, Unit.TEXT
            elif math.isnan(ms[at]) and unit[at] == Unit.NONE and not _is_zero(cell):
                unit[at] = Unit.UNREADABLE
        elif isinstance(cell, bytes):
            unit[at] = Unit.UNREADABLE
    return ms, unit


def numbers(cells: Sequence[Cell]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Each cell as a number (NaN where it is null or none), and which hold something that is no number."""
    if _NUMBERS.issuperset(map(type, cells)):
        found = np.array(cells, np.float64)
        return found, np.zeros(len(cells), np.bool_)
    found = np.array([_number(cell) for cell in cells], np.float64)
    given = np.array([cell is not None for cell in cells], np.bool_)
    return found, given & np.isnan(found)


def _of_numbers(time: FloatArray) -> tuple[FloatArray, ByteArray]:
    step = np.searchsorted(np.array([MS_ABOVE, MS_ABOVE * 1e3, MS_ABOVE * 1e6]), time, side="left")
    unit = step.astype(np.uint8)
    nothing = np.isnan(time) | (time == 0)
    wrong = ~nothing & ~((time > 0) & np.isfinite(time))
    with np.errstate(invalid="ignore", over="ignore"):
        ms = np.floor(time / np.take(_PER_MS, step))
        ms = np.where(step == 0, np.rint(time * 1000.0), ms)
    ms[nothing | wrong] = np.nan
    unit[nothing] = Unit.NONE
    unit[wrong] = Unit.UNREADABLE
    return ms, unit


def _number(cell: Cell) -> float:
    if isinstance(cell, bytes) or cell is None:
        return math.nan
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _is_zero(text: str) -> bool:
    return _number(text) == 0


def _date_ms(text: str) -> int | None:
    """An ISO date with a dash in it: digits alone are a number."""
    text = text.strip()
    if text[4:5] != "-" or not text.isascii():
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return round(moment.timestamp() * 1000)
    except (OverflowError, ValueError):
        return None
