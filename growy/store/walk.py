"""A long time of many series, piece by piece in the order of time: for exports, whose memory must not grow with what
they export.

Each piece is a whole time, [start, until), looked at in one snapshot: what is sealed or joined between two pieces is
neither lost nor told twice. `Walk` blocks; `pieces` runs it on read-only connections in
worker threads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from typing import TypeVar

import apsw
import attrs
import numpy as np

from growy.model.reading import Columns, Quality
from growy.store.blob import decode
from growy.store.chunks import blob_of, extents, summaries
from growy.store.grid import slot
from growy.store.query import snapshot
from growy.store.readers import Readers
from growy.store.unsealed import Unsealed, UnsealedCommits

T = TypeVar("T")
FEW = 16
"""Series that are looked up one by one in what is not in chunks yet; for more, going through it once is cheaper."""
FIRST_MS = 3_600_000
LONGEST_MS = 3_652 * 86_400_000
MOST_CELLS = 20_000
"""Cells of the chunk table that one piece may seek: 40 ms. Times without readings are crossed in steps of this."""


@attrs.define
class Walk:
    """Where an export stands."""

    series_ids: tuple[int, ...]
    start_ms: int
    """Where the next piece begins."""
    end_ms: int
    """Not included."""
    readings: int
    """How many a piece should have, about: judged by what chunks say of themselves."""
    quality: frozenset[Quality] | None = None
    width_ms: int = FIRST_MS

    @property
    def done(self) -> bool:
        return self.start_ms >= self.end_ms

    def step(self, db: apsw.Connection, look: Unsealed) -> Columns:
        """The next piece, by time of measurement; often empty. Raises StoreError: a chunk is damaged."""
        rest = self._unsealed(look)
        while True:
            until_ms = min(self.end_ms, self.start_ms + self.width_ms)
            most = self._at_most(db, rest, until_ms)
            if self.width_ms == 1 or most <= 2 * self.readings:
                break
            self.width_ms = max(1, self.width_ms // 2)
        columns = self._piece(db, rest, until_ms)
        self.start_ms = until_ms
        if 4 * len(columns) < self.readings:
            self.width_ms = min(LONGEST_MS, 4 * self.width_ms)
        return columns

    def _unsealed(self, look: Unsealed) -> Columns:
        if len(self.series_ids) <= FEW:
            rest = Columns.concat([look.of(series_id) for series_id in self.series_ids])
            return rest.take(rest.ts_ms >= self.start_ms)
        rest = look.everything()
        return rest.take(np.isin(rest.series, self.series_ids) & (rest.ts_ms >= self.start_ms))

    def _at_most(self, db: apsw.Connection, rest: Columns, until_ms: int) -> int:
        """How many readings there may be until then; chunks are counted by the share of them that lies before it."""
        cells = 0
        for series_id in self.series_ids:
            for extent in extents(db, series_id):
                low = max(slot(extent.level, self.start_ms), extent.first_slot)
                high = min(slot(extent.level, until_ms - 1), extent.last_slot)
                cells += max(0, high - low + 1)
        if cells > max(MOST_CELLS, 2 * len(self.series_ids)):
            return 1 << 62
        total = float((rest.ts_ms < until_ms).sum())
        for series_id in self.series_ids:
            for one in summaries(db, series_id, self.start_ms, until_ms):
                inside = min(one.last_ms + 1, until_ms) - max(one.first_ms, self.start_ms)
                total += one.rows * inside / (one.last_ms + 1 - one.first_ms)
        return int(total)

    def _piece(self, db: apsw.Connection, rest: Columns, until_ms: int) -> Columns:
        parts = [self._chosen(rest, until_ms)]
        for series_id in self.series_ids:
            for one in summaries(db, series_id, self.start_ms, until_ms):
                part = self._chosen(decode(blob_of(db, one.id), series_id), until_ms)
                if len(part):
                    parts.append(part)
        columns = Columns.concat(parts)
        return columns.take(np.lexsort((columns.rx_ms, columns.series, columns.ts_ms)))

    def _chosen(self, columns: Columns, until_ms: int) -> Columns:
        keep = (columns.ts_ms >= self.start_ms) & (columns.ts_ms < until_ms)
        if self.quality is not None:
            keep &= np.isin(columns.quality, [int(one) for one in self.quality])
        return columns.take(keep)


def walk(
    series_ids: Collection[int],
    start_ms: int,
    end_ms: int,
    readings: int,
    quality: Collection[Quality] | None = None,
) -> Walk:
    chosen = None if quality is None else frozenset(quality)
    return Walk(tuple(sorted(set(series_ids))), start_ms, end_ms, readings, chosen)


async def pieces(
    readers: Readers, unsealed: UnsealedCommits, going: Walk, make: Callable[[Columns], T]
) -> AsyncGenerator[T, None]:
    """Everything that the walk comes by, each piece made into something by `make` in the reader's thread. What is
    measured within the time while this goes on comes if its piece has not.

    Raises:
        StoreError: a chunk is damaged, or the disk cannot be read.
    """

    def step(db: apsw.Connection) -> T | None:
        # A few steps at a time where there is nothing: a thread for each would cost more than the looking.
        for _ in range(8):
            with snapshot(db, unsealed) as look:
                columns = going.step(db, look)
            if len(columns):
                return make(columns)
            if going.done:
                break
        return None

    while not going.done:
        made = await readers.series(step)
        if made is not None:
            yield made
