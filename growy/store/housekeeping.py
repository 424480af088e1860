"""What the store does in the background: sealing, checkpoints, retention.

Must never hold up commits for long (work is cut into short transactions) and never give up: a fault is counted,
shown in the statistics and tried again at the next turn. All of it is safe to be killed at any statement."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import apsw
import trio

from growy.config import StoreConfig
from growy.model.errors import StoreError
from growy.store import sealing
from growy.store.faults import typed
from growy.store.grid import PERIODS_MS, cell_id, slot
from growy.store.opening import Opened
from growy.store.readers import Readers
from growy.store.schema import SERIES_FILE
from growy.store.writer import Writer, transaction

CHECKPOINT_PAGES = 16_384
"""The WAL is copied into the database when it holds this many pages, 17 MB. A journal slot that was written several
times since is copied once, so a larger WAL saves the card; this one holds about an hour of 500 readings a second. Its
file keeps its size and is written again from the start: what counts is what is in it, not how long it is."""
_ROUNDS = 3
_SEAL_GRACE_S = 2.0
"""Sealing waits this long after the cell of the clock has ended, so that nearly all of its readings are in."""
_SEAL_READINGS = 500_000
_SEAL_COMMITS = 5_000
"""Sealing begins early at this much journal: it stands in memory too, some 20 bytes a reading."""
_RETIRE_CHUNKS = 500
_TRIM_SLOTS = 1000
"""Given back in one transaction: after an outage of days a God may have let go of a hundred times as many."""
_RETRY_S = 60.0


class Housekeeping:
    """Background work of one store. `seal`, `checkpoint` and `retire` may also be called directly; they take
    turns."""

    def __init__(
        self,
        config: StoreConfig,
        directory: Path,
        opened: Opened,
        writer: Writer,
        readers: Readers,
        vfs: str | None,
    ) -> None:
        self._config = config
        self._directory = directory
        self._opened = opened
        self._writer = writer
        self._readers = readers
        self._vfs = vfs
        self._turn = trio.Lock()
        self._due = trio.Event()
        self._wal_pages = 0
        opened.series.set_wal_hook(self._wal_has)
        self.sealed_readings = 0
        self.seal_longest_s = 0.0
        self.failures = 0
        self.last_error = ""
        self.checkpoints = 0

    def committed(self) -> None:
        """A commit is done: begin early when the journal or the WAL has grown large."""
        unsealed = self._opened.unsealed
        long_journal = unsealed.readings >= _SEAL_READINGS or len(unsealed) >= _SEAL_COMMITS
        if long_journal or self._wal_pages >= 2 * CHECKPOINT_PAGES:
            self._due.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """At every multiple of `store.seal_interval` of the clock: seal, then checkpoint and retire what is due."""
        task_status.started()
        while True:
            with trio.move_on_after(self._pause_s()):
                await self._due.wait()
            self._due = trio.Event()
            try:
                await self.tend(int(time.time() * 1000))
            except StoreError as error:
                # Counted and shown: a full disk must not end the daemon.
                self.failures += 1
                self.last_error = str(error)
                await trio.sleep(_RETRY_S)

    async def tend(self, now_ms: int) -> None:
        """One turn: seal everything, checkpoint if the WAL has grown large, delete what is too old."""
        await self.seal()
        if self._wal_pages >= CHECKPOINT_PAGES:
            await self.checkpoint()
        await self.retire(now_ms)

    def _pause_s(self) -> float:
        """Until the next grid line of the clock. Never longer than the interval, whatever the clock does."""
        interval = self._config.seal_interval
        return interval - (time.time() - _SEAL_GRACE_S) % interval

    async def seal(self) -> int:
        """Move everything committed so far from the journal into chunks. Returns how many readings moved.

        Raises:
            StoreUnavailable, StoreError: part may be sealed, the rest stays in the journal; nothing is lost or doubled.
        """
        async with self._turn:
            unsealed = self._opened.unsealed
            goal, moved = unsealed.newest, 0
            while unsealed.mark.sealed < goal:  # twice when a broken-off seal has to be finished first
                parts = await trio.to_thread.run_sync(lambda: list(sealing.slices(unsealed.look(), goal)))
                for part in parts:
                    sealed = await self._readers.series(partial(_prepare, part, self._config.chunk_readings))
                    await self._writer.run(partial(self._apply, sealed), self._opened.series)
                    moved += sealed.readings
                    self.sealed_readings += sealed.readings
            return moved

    def _apply(self, sealed: sealing.Sealed) -> None:
        """One slice; in the writer's thread."""
        began = time.perf_counter()
        opened = self._opened
        released = len(opened.journal)
        with transaction(opened.series):
            sealing.apply(opened.series, sealed)
        opened.unsealed.advance(sealed.mark)
        opened.journal.release(sealed.mark.sealed)
        opened.damaged += len(sealed.damaged)
        opened.chunks += len(sealed.rows) - len(sealed.replaced)
        self.seal_longest_s = max(self.seal_longest_s, time.perf_counter() - began)
        released -= len(opened.journal)
        if released:
            self._trim(2 * released)

    def _trim(self, keep: int) -> None:
        """Give back journal slots that the last round did not need."""
        surplus = self._opened.journal.surplus(keep)[:_TRIM_SLOTS]
        if surplus:
            with transaction(self._opened.series):
                self._opened.series.executemany(
                    "DELETE FROM journal WHERE slot = ?", [(slot,) for slot in surplus]
                )
            self._opened.journal.dropped(surplus)

    async def checkpoint(self) -> None:
        """Copy the WAL into series.db, beside the commits that go on meanwhile; the next commit starts the WAL
        anew.

        Raises:
            StoreUnavailable, StoreError: the WAL stays as it is; nothing is lost.
        """
        async with self._turn:
            done = await trio.to_thread.run_sync(self._copy_wal)
            if not done and self._wal_pages >= 2 * CHECKPOINT_PAGES:
                # Commits came too fast for three rounds: hold them for one.
                await self._writer.run(lambda: _passive(self._opened.series), self._opened.series)
            self.checkpoints += 1

    def _wal_has(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        """After each commit, in the writer's thread."""
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _copy_wal(self) -> bool:
        try:
            db = apsw.Connection(
                str(self._directory / SERIES_FILE), flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._vfs
            )
            try:
                db.pragma("synchronous", self._config.synchronous)
                db.wal_autocheckpoint(0)
                return any(_passive(db) for _ in range(_ROUNDS))
            finally:
                db.close(True)
        except (apsw.Error, OSError) as error:
            raise typed(error, self._directory) from error

    async def retire(self, now_ms: int) -> int:
        """Delete chunks whose cell ended before the retention time. Returns how many.

        The first cell of the grid stays: it holds readings stamped before 2020 by a clock that was not set (a Pi
        without a battery boots in 1970), and how old those are nobody knows.

        Raises:
            StoreUnavailable, StoreError: some may be deleted, the rest goes next time.
        """
        days = self._config.retention_days
        if days == 0:
            return 0
        before_ms = now_ms - days * 86_400_000
        gone = 0
        async with self._turn:
            for level in range(len(PERIODS_MS)):
                end = cell_id(level, slot(level, before_ms), 0)
                delete = partial(self._delete, cell_id(level, slot(level, 0) + 1, 0), end)
                while count := await self._writer.run(delete, self._opened.series):
                    gone += count
            if gone:
                await self._writer.run(partial(self._shrink_extents, before_ms), self._opened.series)
        return gone

    def _delete(self, first: int, end: int) -> int:
        db = self._opened.series
        with transaction(db):
            db.execute(
                "DELETE FROM chunk WHERE id IN (SELECT id FROM chunk WHERE id >= ? AND id < ? LIMIT ?)",
                (first, end, _RETIRE_CHUNKS),
            )
            count = db.changes()
        self._opened.chunks -= count
        return count

    def _shrink_extents(self, before_ms: int) -> None:
        db = self._opened.series
        with transaction(db):
            for level in range(len(PERIODS_MS)):
                first = slot(level, before_ms)
                db.execute(
                    "UPDATE extent SET first_slot = ?1 WHERE level = ?2 AND first_slot < ?1 AND first_slot > ?3",
                    (first, level, slot(level, 0)),
                )
            db.execute("DELETE FROM extent WHERE first_slot > last_slot")


def _prepare(part: sealing.Slice, chunk_readings: int, db: apsw.Connection) -> sealing.Sealed:
    return sealing.prepare(db, part, chunk_readings)


def _passive(db: apsw.Connection) -> bool:
    """One pass that waits for nobody; whether it copied everything."""
    frames, copied = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    return frames == copied
