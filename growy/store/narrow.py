"""Columns in as few bytes as they need, in memory: what waits to be sealed is many readings, seldom looked at.

Lossless to the bit (a test round-trips anything). Unlike the journal's blobs this is no format: it never leaves the
process, and one column is widened without touching the others.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from growy.model.reading import Columns, IndexArray, IntArray

_COLUMNS = tuple(field.name for field in attrs.fields(Columns))
_SERIES, _TS_MS = _COLUMNS.index("series"), _COLUMNS.index("ts_ms")
_UNSIGNED = (np.uint8, np.uint16, np.uint32)
_EXACT = 2**53
WORTH_IT = 64
"""Fewer rows save less than the searching costs a small commit."""


@attrs.frozen(slots=True, eq=False)
class _Column:
    """`data + base`, as `dtype`. A column that is constant has no data."""

    data: npt.NDArray[Any] | None
    base: Any
    dtype: np.dtype[Any]

    def widen(self, length: int, rows: npt.NDArray[np.intp] | None) -> npt.NDArray[Any]:
        if self.data is None:
            return np.full(length if rows is None else len(rows), self.base, self.dtype)
        data = self.data if rows is None else self.data[rows]
        wide = data.astype(self.dtype)
        return wide + self.dtype.type(self.base) if self.base else wide


def _integers(column: npt.NDArray[Any], dtype: np.dtype[Any]) -> _Column:
    low, high = int(column.min()), int(column.max())
    if low == high:
        return _Column(None, low, dtype)
    for small in _UNSIGNED:
        if high - low <= np.iinfo(small).max:
            return _Column((column - column.dtype.type(low)).astype(small), low, dtype)
    return _Column(column.copy(), 0, dtype)


def _floats(column: npt.NDArray[np.float64]) -> _Column:
    dtype = column.dtype
    whole = bool(
        np.all(
            (np.abs(column) < _EXACT) & (column == np.rint(column)) & ~((column == 0) & np.signbit(column))
        )
    )
    if whole:
        return _integers(column.astype(np.int64), dtype)
    with np.errstate(over="ignore"):
        half = column.astype(np.float32)
    # Bit for bit: a NaN keeps its payload, a zero its sign.
    if np.array_equal(half.astype(np.float64).view(np.int64), column.view(np.int64)):
        return _Column(half, 0, dtype)
    return _Column(column.copy(), 0, dtype)


@attrs.frozen(slots=True, eq=False)
class NarrowColumns:
    """`Columns`, small. Made by `narrow`."""

    length: int
    _columns: tuple[_Column, ...]

    def __len__(self) -> int:
        return self.length

    def rows_of(self, series_id: int) -> npt.NDArray[np.intp]:
        """Rows of one series."""
        return np.flatnonzero(self._columns[_SERIES].widen(self.length, None) == series_id)

    def times_and_series(self) -> tuple[IntArray, IndexArray]:
        """Two of the columns, by which rows are chosen."""
        ts_ms: IntArray = self._columns[_TS_MS].widen(self.length, None)
        series: IndexArray = self._columns[_SERIES].widen(self.length, None)
        return ts_ms, series

    def widen(self, rows: npt.NDArray[np.intp] | None = None) -> Columns:
        """The columns, whole or of these rows."""
        return Columns(*(column.widen(self.length, rows) for column in self._columns))

    @property
    def nbytes(self) -> int:
        return sum(0 if column.data is None else column.data.nbytes for column in self._columns)


def narrow(columns: Columns, *, at_least: int = WORTH_IT) -> NarrowColumns:
    """A small copy of columns; fewer rows than `at_least` are kept as they are."""
    if len(columns) < at_least:
        plain = (getattr(columns, name) for name in _COLUMNS)
        return NarrowColumns(len(columns), tuple(_Column(column, 0, column.dtype) for column in plain))
    packed = []
    for name in _COLUMNS:
        column = getattr(columns, name)
        if not len(column):
            packed.append(_Column(column, 0, column.dtype))
        elif column.dtype.kind == "f":
            packed.append(_floats(column))
        else:
            packed.append(_integers(column, column.dtype))
    return NarrowColumns(len(columns), tuple(packed))
