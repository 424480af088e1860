"""The newest readings of every series, in memory: latest values, short windows and replay detection never touch
the disk.

One structured row per reading, rings of a few size classes: a series starts with room for 16 readings and moves
up when it is full, so that ten thousand quiet series cost little. Trio thread only; must never wait.

"Newest" is by receipt: the last appended. A late reading of an older measurement counts as newest, because it
is what the device said last; `ts_ms` says when it was taken."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from growy.model.reading import NO_SEQ, Columns, IntArray, Quality, Reading, TimeSource

_FIRST_ROOM = 16
_GROWTH = 4

ROW = np.dtype(
    [
        ("series", "<i4"),
        ("ts_ms", "<i8"),
        ("rx_ms", "<i8"),
        ("raw", "<f8"),
        ("value", "<f8"),
        ("quality", "u1"),
        ("seq", "<i8"),
        ("source", "u1"),
        ("conversion", "<i4"),
    ]
)
FIELDS = ("series", "ts_ms", "rx_ms", "raw", "value", "quality", "seq", "source", "conversion")
Rows = npt.NDArray[np.void]


def to_columns(rows: Rows) -> Columns:
    """A copy of the rows as columns."""
    return Columns(*(np.ascontiguousarray(rows[name]) for name in FIELDS))


class _Rings:
    """Rings of one size: `data[ring, position]`. Grows by doubling; a ring given back is used again."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.data = np.zeros((0, room), ROW)
        self._used = 0
        self._free: list[int] = []

    def take(self) -> int:
        if self._free:
            return self._free.pop()
        if self._used == len(self.data):
            grown = np.zeros((max(8, self._used + self._used // 4), self.room), ROW)
            grown[: self._used] = self.data
            self.data = grown
        self._used += 1
        return self._used - 1

    def give_back(self, ring: int) -> None:
        self._free.append(ring)
        if len(self._free) == self._used:
            self.data, self._used = np.zeros((0, self.room), ROW), 0
            self._free.clear()


class Tail:
    """Rings of the newest readings of each series, at most `readings` each."""

    def __init__(self, readings: int) -> None:
        rooms = []
        room = _FIRST_ROOM
        while room < readings:
            rooms.append(room)
            room *= _GROWTH
        self._rings = [_Rings(room) for room in (*rooms, readings)]
        self._level = np.full(64, -1, np.int64)
        self._ring = np.zeros(64, np.int64)
        self._count = np.zeros(64, np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of memory set aside."""
        return sum(rings.data.nbytes for rings in self._rings)

    def append(self, columns: Columns) -> None:
        """Take in readings of any series in order of receipt; a series may occur any number of times."""
        n = len(columns)
        if n == 0:
            return
        rows = np.empty(n, ROW)
        for name in FIELDS:
            rows[name] = getattr(columns, name)
        series = columns.series.astype(np.int64)
        top = int(series.max())
        if top >= len(self._level):
            self._widen(top + 1)
        order = np.argsort(series, kind="stable")
        rows, series = rows[order], series[order]
        fresh = np.empty(n, np.bool_)
        fresh[0] = True
        np.not_equal(series[1:], series[:-1], out=fresh[1:])
        starts = np.flatnonzero(fresh)
        names = series[starts]
        counts = np.diff(np.append(starts, n))
        nth = np.arange(n) - np.repeat(starts, counts)
        self._make_room(names, counts)
        before = self._count[series]
        self._count[names] += counts
        level = self._level[series]
        for at, rings in enumerate(self._rings):
            here = level == at
            if not here.any():
                continue
            # Of more readings than a ring holds only the last are written: an index must not occur twice.
            here &= before + nth >= self._count[series] - rings.room
            one = series[here]
            rings.data[self._ring[one], (before[here] + nth[here]) % rings.room] = rows[here]

    def latest(self, series_id: int) -> Reading | None:
        """The reading received last, None if there is none."""
        if not self._has(series_id):
            return None
        rings = self._rings[self._level[series_id]]
        row = rings.data[self._ring[series_id], (self._count[series_id] - 1) % rings.room]
        series, ts_ms, rx_ms, raw, value, quality, seq, source, conversion = row.item()
        return Reading(
            series,
            ts_ms,
            rx_ms,
            raw,
            None if math.isnan(value) else value,
            Quality(quality),
            None if seq == NO_SEQ else seq,
            TimeSource(source),
            conversion,
        )

    def newest(self) -> Columns:
        """The reading received last of every series that has one, by series: a handful of numpy calls for all."""
        parts = []
        for level, rings in enumerate(self._rings):
            names = np.flatnonzero((self._level == level) & (self._count > 0))
            parts.append(rings.data[self._ring[names], (self._count[names] - 1) % rings.room])
        rows = np.concatenate(parts)
        return to_columns(rows[np.argsort(rows["series"], kind="stable")])

    def window(self, series_id: int, since_ms: int) -> Columns:
        """The remembered readings of a series measured at `since_ms` or later, in order of receipt."""
        if not self._has(series_id):
            return Columns.empty()
        rows = self._rows(series_id)
        return to_columns(rows[rows["ts_ms"] >= since_ms])

    def recent(self, limit: int) -> Columns:
        """The newest `limit` readings over all series by time of receipt, oldest first."""
        parts = [self._rows(int(series_id)) for series_id in np.flatnonzero(self._count)]
        if not parts or limit <= 0:
            return Columns.empty()
        rows = np.concatenate([part[-limit:] for part in parts])
        return to_columns(rows[np.argsort(rows["rx_ms"], kind="stable")[-limit:]])

    def _has(self, series_id: int) -> bool:
        return 0 <= series_id < len(self._count) and bool(self._count[series_id])

    def _rows(self, series_id: int) -> Rows:
        rings = self._rings[self._level[series_id]]
        count = int(self._count[series_id])
        ring = rings.data[self._ring[series_id]]
        if count <= rings.room:
            oldest: Rows = ring[:count]
            return oldest
        return np.concatenate([ring[count % rings.room :], ring[: count % rings.room]])

    def _widen(self, wanted: int) -> None:
        size = max(wanted, 2 * len(self._level))
        more = size - len(self._level)
        self._level = np.concatenate([self._level, np.full(more, -1, np.int64)])
        self._ring = np.concatenate([self._ring, np.zeros(more, np.int64)])
        self._count = np.concatenate([self._count, np.zeros(more, np.int64)])

    def _make_room(self, names: IntArray, counts: IntArray) -> None:
        """Give each series a ring that holds what it has and gets, up to the largest."""
        wanted = self._count[names] + counts
        level = self._level[names]
        rooms = np.array([rings.room for rings in self._rings])
        tight = (level < 0) | ((level < len(rooms) - 1) & (wanted > rooms[level]))
        for series_id, need in zip(names[tight].tolist(), wanted[tight].tolist(), strict=True):
            to = min(int(np.searchsorted(rooms, need)), len(rooms) - 1)
            ring = self._rings[to].take()
            old = int(self._level[series_id])
            if old >= 0:
                kept = self._rows(series_id)
                self._rings[to].data[ring, : len(kept)] = kept
                self._rings[old].give_back(int(self._ring[series_id]))
            self._level[series_id], self._ring[series_id] = to, ring
