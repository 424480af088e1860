"""The store as the other rooms see it: commit readings, remember the newest, answer queries, keep house in the
background.

Must never report a reading as committed before SQLite has, and never wait on the trio thread: writing is the
writer thread's, reading is done by worker threads on read-only connections."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import apsw
import trio

from growy.config import StoreConfig
from growy.model.errors import StoreError, StoreUnavailable
from growy.model.reading import Columns, Series
from growy.store import faults
from growy.store.blob import encode
from growy.store.catalog import Catalog, Conversion, Conversions, write_names
from growy.store.deadletters import DeadLetter, DeadLetterRow, read_dead_letters, write_dead_letters
from growy.store.devices import DeviceRow, read_devices, write_devices
from growy.store.faults import DiskState, free_bytes
from growy.store.opening import Opened, open_files
from growy.store.readers import Readers
from growy.store.schema import REGISTRY_FILE, SERIES_FILE, check_sqlite
from growy.store.statistics import Latencies, StoreStatistics
from growy.store.tail import Tail
from growy.store.writer import Writer, transaction


class Store:
    """Open store; made by `open_store`. Trio thread only."""

    def __init__(
        self,
        config: StoreConfig,
        directory: Path,
        opened: Opened,
        writer: Writer,
        readers: Readers,
        free: Callable[[Path], int],
    ) -> None:
        self.catalog: Catalog = opened.catalog
        self.conversions: Conversions = opened.conversions
        self.tail: Tail = opened.tail
        self._config = config
        self._directory = directory
        self._opened = opened
        self._writer = writer
        self._readers = readers
        self._free = free
        self._least_free = config.min_free_mb * 1_048_576
        self._state = DiskState.OK
        self._last_error = ""
        self._latencies = Latencies()
        self._readings = self._commits = self._failed = self._letters = 0

    async def commit(self, columns: Columns, dead_letters: Sequence[DeadLetter] = ()) -> None:
        """Make readings and dead letters durable in one transaction; returns when it has committed.

        New and changed series and conversions go into the same transaction. Calls commit in the order they were
        made. A call that has begun is finished even when its caller is cancelled.

        Raises:
            StoreUnavailable: the disk is full or read-only. Nothing was committed; call again with the same
                later.
            StoreError: anything else. Nothing was committed.
        """
        began = time.perf_counter()
        series, conversions = self.catalog.pending(), self.conversions.pending()
        try:
            await self._writer.run(
                partial(self._write, columns, dead_letters, series, conversions), self._opened.series
            )
        except StoreError as error:
            self._failed += 1
            self._last_error = str(error)
            if isinstance(error, StoreUnavailable):
                self._state = faults.state_of(error)
            raise
        self.catalog.written(series)
        self.conversions.written(conversions)
        self._state = DiskState.OK
        self._latencies.add(time.perf_counter() - began)
        self._commits += 1
        self._readings += len(columns)
        self._letters += len(dead_letters)

    def _write(
        self,
        columns: Columns,
        letters: Sequence[DeadLetter],
        series: list[Series],
        conversions: list[Conversion],
    ) -> None:
        """One commit; in the writer's thread."""
        faults.check_room(self._directory, self._free(self._directory), self._least_free)
        db, journal = self._opened.series, self._opened.journal
        blob = encode(columns) if len(columns) else b""
        with transaction(db):
            write_names(db, series, conversions)
            commit_id = journal.append(blob) if blob else 0
            if letters:
                write_dead_letters(db, letters, self._config.dead_letters)
        if blob:
            journal.keep()
            self._opened.unsealed.add(commit_id, columns)

    async def upsert_devices(self, rows: Sequence[DeviceRow]) -> None:
        """Write what the fleet knows about devices to growy.db. Rare: per change of state, not per heartbeat.

        Raises:
            StoreUnavailable, StoreError: nothing was written.
        """
        db = self._opened.registry

        def write() -> None:
            with transaction(db):
                write_devices(db, rows)

        await self._writer.run(write, db)

    async def device_rows(self) -> list[DeviceRow]:
        """All devices ever written, by id."""
        return await self._readers.registry(read_devices)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetterRow]:
        """The newest dead letters, newest first."""
        return await self._readers.series(lambda db: read_dead_letters(db, limit))

    def statistics(self) -> StoreStatistics:
        """Where the store stands; reads two file sizes and the free space, no database."""
        p50, p99 = self._latencies.percentiles_ms()
        unsealed = self._opened.unsealed
        return StoreStatistics(
            state=self._state,
            last_error=self._last_error,
            readings=self._readings,
            commits=self._commits,
            failed_commits=self._failed,
            dead_letters=self._letters,
            commit_p50_ms=p50,
            commit_p99_ms=p99,
            series=len(self.catalog),
            journal_commits=len(unsealed),
            journal_readings=unsealed.readings,
            chunks=self._opened.chunks,
            sealed_readings=0,
            seal_longest_ms=0.0,
            seal_failures=0,
            checkpoints=0,
            wal_bytes=_size(self._directory / f"{SERIES_FILE}-wal"),
            db_bytes=_size(self._directory / SERIES_FILE) + _size(self._directory / REGISTRY_FILE),
            free_bytes=free_bytes(self._directory),
            tail_bytes=self.tail.nbytes,
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@asynccontextmanager
async def open_store(
    config: StoreConfig,
    directory: Path,
    *,
    vfs: str | None = None,
    free: Callable[[Path], int] = free_bytes,
) -> AsyncIterator[Store]:
    """Open the store in `directory`, made if it is not there.

    Args:
        config: [store].
        directory: folder of growy.db and series.db; one daemon at a time.
        vfs: SQLite file layer, for fault injection; None is the system's.
        free: how much room the disk has, for fault injection.

    Raises:
        SchemaError: SQLite is too old, or a newer growyd wrote the databases.
        StoreUnavailable: the disk is full or read-only.
        StoreError: a database is damaged.
    """
    check_sqlite(apsw.sqlite_lib_version())
    opened = await trio.to_thread.run_sync(open_files, config, directory, vfs, free)
    writer = Writer(directory)
    readers = Readers(directory, vfs)
    try:
        yield Store(config, directory, opened, writer, readers, free)
    finally:
        await writer.close()
        readers.close()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(opened.close)
