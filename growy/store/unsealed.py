"""Committed readings that are not yet in chunks, in memory, with the mark that says where sealing stands.

The journal's rows are the truth; this is what they hold, so that a query need not unpack six hundred of them. A
reader compares the mark with the one in its own snapshot of the database (`seal` table): equal marks mean that
chunks of the snapshot plus readings from here are everything, once. Any thread; must never show a reading that
is not committed."""

from __future__ import annotations

import threading

import attrs
import numpy as np
import numpy.typing as npt

from growy.model.errors import StoreError
from growy.model.reading import Columns
from growy.store.narrow import NarrowColumns, narrow

MARK_WITHIN_S = 10.0
"""A sealing transaction's mark follows its COMMIT within microseconds; a card that stalls must not make it an error."""


@attrs.frozen(slots=True)
class SealMark:
    """Commits up to `sealed` are in chunks; of those up to `sealing`, the series below `series` are too."""

    sealed: int = 0
    sealing: int = 0
    series: int = 0

    def hides(self, commit_id: int, series_id: int) -> bool:
        return commit_id <= self.sealed or (commit_id <= self.sealing and series_id < self.series)


@attrs.frozen(slots=True, eq=False)
class Chosen:
    """Some of them, known by their rows: counting costs nothing, and none but these are ever widened."""

    parts: tuple[tuple[NarrowColumns, npt.NDArray[np.intp]], ...]

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.parts)

    def widen(self) -> Columns:
        return Columns.concat([columns.widen(rows) for columns, rows in self.parts if len(rows)])


@attrs.frozen(slots=True)
class Unsealed:
    """One consistent look: a mark and the commits after `mark.sealed`, in order."""

    mark: SealMark
    commits: tuple[tuple[int, NarrowColumns], ...]

    def of(self, series_id: int) -> Columns:
        """Readings of one series, in order of receipt."""
        parts = []
        for commit_id, columns in self.commits:
            if not self.mark.hides(commit_id, series_id):
                rows = columns.rows_of(series_id)
                if len(rows):
                    parts.append(columns.widen(rows))
        return Columns.concat(parts)

    def among(self, series_ids: npt.NDArray[np.int64], start_ms: int, end_ms: int) -> Chosen:
        """Readings of some series measured in [start_ms, end_ms), in order of receipt."""
        parts = []
        for commit_id, columns in self.commits:
            ts_ms, series = columns.times_and_series()
            rows = np.flatnonzero((ts_ms >= start_ms) & (ts_ms < end_ms))
            if not len(rows):
                continue
            chosen = np.isin(series[rows], series_ids)
            if commit_id <= self.mark.sealing:
                chosen &= series[rows] >= self.mark.series
            parts.append((columns, rows[chosen]))
        return Chosen(tuple(parts))

    def everything(self) -> Columns:
        """Readings of all series that are not in chunks, in order of receipt."""
        parts = []
        for commit_id, narrow_columns in self.commits:
            columns = narrow_columns.widen()
            partly = commit_id <= self.mark.sealing
            parts.append(columns.take(columns.series >= self.mark.series) if partly else columns)
        return Columns.concat(parts)

    def range(self, up_to: int) -> Columns:
        """Readings of all commits up to `up_to`, sealed in part or not: what sealing works on."""
        return Columns.concat([columns.widen() for commit_id, columns in self.commits if commit_id <= up_to])


class UnsealedCommits:
    """The growing and shrinking set itself. Changed in the writer's thread only, right after COMMIT."""

    def __init__(self, mark: SealMark) -> None:
        self._lock = threading.Condition()
        self._mark = mark
        self._commits: dict[int, NarrowColumns] = {}
        self._rows = 0

    @property
    def mark(self) -> SealMark:
        return self._mark

    @property
    def newest(self) -> int:
        """Id of the last commit."""
        with self._lock:
            return max(self._commits, default=self._mark.sealed)

    @property
    def readings(self) -> int:
        return self._rows

    def __len__(self) -> int:
        return len(self._commits)

    @property
    def nbytes(self) -> int:
        """Memory of the columns."""
        with self._lock:
            return sum(columns.nbytes for columns in self._commits.values())

    def add(self, commit_id: int, columns: Columns) -> None:
        kept = narrow(columns)
        with self._lock:
            self._commits[commit_id] = kept
            self._rows += len(columns)

    def advance(self, mark: SealMark) -> None:
        """A sealing transaction has committed with this mark."""
        with self._lock:
            self._mark = mark
            for commit_id in [key for key in self._commits if key <= mark.sealed]:
                self._rows -= len(self._commits.pop(commit_id))
            self._lock.notify_all()

    def wait_beyond(self, mark: SealMark) -> None:
        """Blocks until a later mark stands here. For readers' threads that see it in the database already.

        Raises:
            StoreError: it does not come; the writer's thread has failed between its COMMIT and here.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: self._mark != mark, MARK_WITHIN_S):
                raise StoreError("The store's memory has not followed its database", cure="Restart growyd")

    def look(self) -> Unsealed:
        with self._lock:
            return Unsealed(self._mark, tuple(self._commits.items()))
