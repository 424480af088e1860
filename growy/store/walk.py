"""A long time of many series, piece by piece in the order of time: for exports, whose memory must not grow with what
they export.

Each piece is a whole time, [start, until), looked at in one snapshot: what is sealed or joined between two pieces is
neither lost nor told twice. `Walk` blocks; `pieces` runs it on read-only connections in
worker threads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

import apsw
import attrs
import numpy as np
import numpy.typing as npt

from growy.model.reading import Columns, Quality
from growy.store.blob import decode
from growy.store.chunks import Extent, Summary, blob_of, extents, summaries
from growy.store.grid import slot
from growy.store.query import snapshot
from growy.store.readers import Readers
from growy.store.unsealed import Unsealed, UnsealedCommits

T = TypeVar("T")
A_SERIES = 64
"""Readings of each series that a piece should have at least: a chunk holds some 600, and each piece that touches one
may have to unpack it again."""
MOST_A_PIECE = 65_536
"""4 MB of columns, whatever the number of series."""
MOST_KEPT = 32_768
"""Readings of unpacked chunks that are kept for the next piece: 2 MB. All of up to some 50 series."""
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
    _kept: dict[Summary, Columns] = attrs.field(init=False, factory=dict)
    """Chunks that reach beyond the last piece. A chunk that has been joined or has grown has another summary."""
    _ids: npt.NDArray[np.int64] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ids = np.array(self.series_ids, np.int64)

    @property
    def done(self) -> bool:
        return self.start_ms >= self.end_ms

    def step(self, db: apsw.Connection, look: Unsealed) -> Columns:
        """The next piece, by time of measurement; often empty. Raises StoreError: a chunk is damaged."""
        wanted = max(self.readings, min(MOST_A_PIECE, A_SERIES * len(self.series_ids)))
        where = {series_id: extents(db, series_id) for series_id in self.series_ids}
        while True:
            until_ms = min(self.end_ms, self.start_ms + self.width_ms)
            rest = look.among(self._ids, self.start_ms, until_ms)
            if self._cells(where, until_ms) > max(MOST_CELLS, 2 * len(self.series_ids)):
                most, found = 1 << 62, []
            else:
                found = self._touched(db, where, until_ms)
                most = len(rest) + self._share(found, until_ms)
            if self.width_ms == 1 or most <= 2 * wanted:
                break
            self.width_ms = max(1, self.width_ms // 2)
        columns = self._piece(db, rest.widen(), found, until_ms)
        self.start_ms = until_ms
        if 4 * len(columns) < wanted:
            self.width_ms = min(LONGEST_MS, 4 * self.width_ms)
        return columns

    def _cells(self, where: Mapping[int, Sequence[Extent]], until_ms: int) -> int:
        return sum(
            max(
                0,
                min(slot(one.level, until_ms - 1), one.last_slot)
                - max(slot(one.level, self.start_ms), one.first_slot)
                + 1,
            )
            for extents_ in where.values()
            for one in extents_
        )

    def _touched(
        self, db: apsw.Connection, where: Mapping[int, Sequence[Extent]], until_ms: int
    ) -> list[tuple[int, Summary]]:
        return [
            (series_id, one)
            for series_id, known in where.items()
            for one in summaries(db, series_id, self.start_ms, until_ms, known)
        ]

    def _share(self, found: Sequence[tuple[int, Summary]], until_ms: int) -> int:
        """How many readings of chunks there may be until then: chunks are counted by the share that lies before it."""
        return int(
            sum(
                one.rows
                * (min(one.last_ms + 1, until_ms) - max(one.first_ms, self.start_ms))
                / (one.last_ms + 1 - one.first_ms)
                for _, one in found
            )
        )

    def _piece(
        self, db: apsw.Connection, rest: Columns, found: Sequence[tuple[int, Summary]], until_ms: int
    ) -> Columns:
        parts = [self._chosen(rest, until_ms)]
        kept: dict[Summary, Columns] = {}
        readings = 0
        for series_id, one in found:
            whole = self._kept.get(one)
            if whole is None:
                whole = decode(blob_of(db, one.id), series_id)
            if one.last_ms >= until_ms and readings + len(whole) <= MOST_KEPT:
                kept[one] = whole
                readings += len(whole)
            part = self._chosen(whole, until_ms)
            if len(part):
                parts.append(part)
        self._kept = kept
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

    def step(db: apsw.Connection) -> Columns | None:
        # A few steps at a time where there is nothing: a thread for each would cost more than the looking.
        for _ in range(8):
            with snapshot(db, unsealed) as look:
                columns = going.step(db, look)
            if len(columns):
                return columns
            if going.done:
                break
        return None

    def first(db: apsw.Connection) -> tuple[Columns, T] | None:
        columns = step(db)
        return None if columns is None else (columns, make(columns.take(slice(0, most))))

    # Many series make large pieces; what is made of them stays small, and no thread is long at it.
    most = 2 * going.readings
    while not going.done:
        found = await readers.series(first)
        if found is None:
            continue
        columns, made = found
        yield made
        for at in range(most, len(columns), most):
            yield await readers.series(partial(_made, make, columns.take(slice(at, at + most))))


def _made(make: Callable[[Columns], T], columns: Columns, _: apsw.Connection) -> T:
    return make(columns)
