"""The store as the other rooms see it: commit readings, remember the newest, answer queries, keep house in the
background.

Must never report a reading as committed before SQLite has, and never wait on the trio thread: writing is the
writer thread's, reading is done by worker threads on read-only connections."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw
import numpy as np
import trio

from growy.config import ControlConfig, StoreConfig
from growy.model.errors import Invalid, StoreError, StoreUnavailable
from growy.model.reading import Columns, Quality, Series
from growy.store import faults, query, scan, walk
from growy.store.backup import copy_database
from growy.store.blob import decode, encode
from growy.store.catalog import Catalog, Conversion, Conversions, write_names
from growy.store.deadletters import DeadLetter, DeadLetterRow, read_dead_letters, write_dead_letters
from growy.store.faults import DiskState, free_bytes
from growy.store.housekeeping import Housekeeping
from growy.store.journal import newest_blobs_of_journal
from growy.store.opening import Opened, open_files
from growy.store.query import RangeResult, SeriesStatistics
from growy.store.readers import READERS, Readers, ReadProbe, read_something
from growy.store.registry import Registry
from growy.store.schema import REGISTRY_FILE, SERIES_FILE, check_sqlite, file_size
from growy.store.shipping import Shipping, Taken, write_taken
from growy.store.sql import Cell, run_sql
from growy.store.statistics import Latencies, StoreStatistics
from growy.store.tail import Tail
from growy.store.writer import Writer, transaction

T = TypeVar("T")
HISTORY_ROWS = ControlConfig().history_rows


class Store(Registry):
    """Open store; made by `open_store`. Trio thread only."""

    def __init__(
        self,
        config: StoreConfig,
        directory: Path,
        opened: Opened,
        writer: Writer,
        registry_writer: Writer,
        readers: Readers,
        vfs: str | None,
        free: Callable[[Path], int],
        history_rows: int,
    ) -> None:
        super().__init__(opened.registry, registry_writer, readers, config.audit_rows, history_rows)
        self._writer = writer
        self.catalog: Catalog = opened.catalog
        self.conversions: Conversions = opened.conversions
        self.tail: Tail = opened.tail
        self.shipping = Shipping(opened, writer, readers)
        self._config = config
        self._directory = self.directory = directory
        self._opened = opened
        self._free = free
        self._least_free = config.min_free_mb * 1_048_576
        self._state = DiskState.OK
        self._last_error = ""
        self._vfs = vfs
        self._housekeeping = Housekeeping(config, directory, opened, writer, readers, vfs)
        self._latencies = Latencies()
        self._readings = self._commits = self._failed = self._letters = self._bytes = 0

    async def commit(
        self, columns: Columns, dead_letters: Sequence[DeadLetter] = (), *, taken: Taken | None = None
    ) -> None:
        """Make readings and dead letters durable in one transaction; returns when it has committed.

        The columns belong to the store from here on: they must not be changed.
        New and changed series and conversions go into the same transaction. Calls commit in the order they were
        made. A call that has begun is finished even when its caller is cancelled.

        Args:
            taken: they come from another node's store, and this is how far we are with it then.

        Raises:
            StoreUnavailable: the disk is full or read-only. Nothing was committed; call again with the same
                later.
            StoreError: anything else. Nothing was committed.
        """
        began = time.perf_counter()
        series, conversions = self.catalog.pending(), self.conversions.pending()
        try:
            packed = await self._writer.run(
                partial(self._write, columns, dead_letters, series, conversions, taken), self._opened.series
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
        self._bytes += packed
        self._housekeeping.committed()

    def _write(
        self,
        columns: Columns,
        letters: Sequence[DeadLetter],
        series: list[Series],
        conversions: list[Conversion],
        taken: Taken | None,
    ) -> int:
        """One commit; in the writer's thread. How many bytes the readings take packed."""
        faults.check_room(self._directory, self._free(self._directory), self._least_free)
        db, journal = self._opened.series, self._opened.journal
        # By series: neighbours are of one device, so that its counter and its clock cost next to nothing.
        blob = encode(columns.take(np.argsort(columns.series, kind="stable"))) if len(columns) else b""
        with transaction(db):
            write_names(db, series, conversions)
            commit_id = journal.append(blob) if blob else 0
            if letters:
                write_dead_letters(db, letters, self._config.dead_letters)
            if taken is not None:
                write_taken(db, taken)
        if blob:
            journal.keep()
            self._opened.unsealed.add(commit_id, columns)
        return len(blob)

    async def ping(self) -> None:
        """Returns when both writers' threads have come to it: they are alive and finish their jobs."""
        await self._writer.run(lambda: None, self._opened.series)
        await self._registry_writer.run(lambda: None, self._opened.registry)

    async def probe(self) -> ReadProbe:
        """Reads something from each database, and says how long that took. Raises StoreError."""
        began = time.perf_counter()
        await self._readers.registry(read_something)
        await self._readers.series(read_something)
        return ReadProbe(
            latency_ms=(time.perf_counter() - began) * 1000.0, connections=READERS, free=self._readers.free
        )

    async def newest_commits(self, readings: int) -> Columns:
        """The commits that hold the newest `readings` readings, oldest first; fewer where no more than the last 32
        are still in the journal.

        For recognising replays: what a crash leaves committed and not acknowledged is in the last commits.
        """

        def read(db: apsw.Connection) -> Columns:
            parts: list[Columns] = []
            with query.snapshot(db, self._opened.unsealed):  # a commit may overwrite a row that is looked at
                for blob in newest_blobs_of_journal(db):
                    if readings <= sum(len(part) for part in parts):
                        break
                    with contextlib.suppress(StoreError):  # damaged, and counted when the store was opened
                        parts.append(decode(blob))
            return Columns.concat(parts[::-1])

        return await self._readers.series(read)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetterRow]:
        """The newest dead letters, newest first."""
        return await self._readers.series(lambda db: read_dead_letters(db, limit))

    async def query(
        self,
        series_id: int,
        start_ms: int,
        end_ms: int,
        *,
        resolution: str = "raw",
        max_points: int | None = None,
        limit: int | None = None,
        quality: Collection[Quality] | None = None,
    ) -> RangeResult:
        """Readings of a series in [start_ms, end_ms), or their buckets.

        Args:
            resolution: raw, 1m, 5m, 1h or 1d: width of the buckets, at least.
            max_points: with it the answer is always in buckets: of the smallest nice width (1 s ... 30 d, and
                doubled from there) of which the readings in the range touch at most so many.
            limit: raw only: the newest so many (at most, and by default, a million).
            quality: only readings of these qualities.

        Raises:
            Invalid: no such resolution, or a limit below 1.
            StoreError: a chunk is damaged, or the disk cannot be read.
        """
        width = query.width_of(resolution)
        if (max_points is not None and max_points < 1) or (limit is not None and limit < 1):
            raise Invalid("max_points and limit must be at least 1")
        unsealed = self._opened.unsealed

        def read(db: apsw.Connection) -> RangeResult:
            answer = partial(RangeResult, series_id, start_ms, end_ms)
            with query.snapshot(db, unsealed) as look:
                if width == 0 and max_points is None:
                    most = min(limit or query.RAW_LIMIT, query.RAW_LIMIT)
                    columns, truncated = query.raw(
                        db, look, series_id, start_ms, end_ms, limit=most, quality=quality
                    )
                    return answer(0, readings=columns, truncated=truncated)
                buckets, wide = query.bucketed(
                    db, look, series_id, start_ms, end_ms, width=width, max_points=max_points, quality=quality
                )
                return answer(wide, buckets=buckets)

        return await self._readers.series(read)

    async def received(self, series_ids: Collection[int], start_ms: int, end_ms: int) -> Columns:
        """All readings of these series measured in [start_ms, end_ms), by time of receipt. However many there are: for
        who goes through a long time piece by piece. Without `seq` and `source`.

        Raises:
            StoreError: a chunk is damaged, or the disk cannot be read.
        """
        unsealed = self._opened.unsealed

        def read(db: apsw.Connection) -> Columns:
            with query.snapshot(db, unsealed) as look:
                return scan.received(db, look, series_ids, start_ms, end_ms)

        return await self._readers.series(read)

    def pieces(
        self,
        series_ids: Collection[int],
        start_ms: int,
        end_ms: int,
        make: Callable[[Columns], T],
        *,
        readings: int,
        quality: Collection[Quality] | None = None,
    ) -> AsyncGenerator[T, None]:
        """All readings of these series measured in [start_ms, end_ms), by time, however many there are, in pieces of
        about `readings`; see `walk.pieces`."""
        going = walk.walk(series_ids, start_ms, end_ms, readings, quality)
        return walk.pieces(self._readers, self._opened.unsealed, going, make)

    async def series_statistics(self, series_id: int, start_ms: int, end_ms: int) -> SeriesStatistics:
        """Minimum, maximum, mean, standard deviation, counts and qualities of [start_ms, end_ms).

        Raises:
            StoreError: a chunk is damaged, or the disk cannot be read.
        """
        unsealed = self._opened.unsealed

        def read(db: apsw.Connection) -> SeriesStatistics:
            with query.snapshot(db, unsealed) as look:
                return query.statistics(db, look, series_id, start_ms, end_ms)

        return await self._readers.series(read)

    async def sql(self, statement: str, limit: int) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
        """Names and at most `limit` rows of a SELECT over `sensor_data` and the tables of series.db; 10 s at most.

        Raises:
            Invalid: not a SELECT, wrong SQL, or too slow.
            StoreError: a chunk is damaged, or the disk cannot be read.
        """
        path = self._directory / SERIES_FILE
        series, unsealed = self.catalog.series(), self._opened.unsealed
        return await self._readers.apart(lambda: run_sql(path, self._vfs, unsealed, series, statement, limit))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sealing, checkpoints and retention, for as long as the store is open. Faults are counted and tried
        again."""
        await self._housekeeping.run(task_status=task_status)

    async def tend(self, now_ms: int) -> None:
        """One turn of `run`, now: seal, checkpoint if the WAL has grown large, retire. Raises StoreError."""
        await self._housekeeping.tend(now_ms)

    async def seal(self) -> int:
        """Move everything committed so far from the journal into chunks, now; how many readings moved.

        Raises:
            StoreUnavailable, StoreError: part may be sealed, the rest stays in the journal.
        """
        return await self._housekeeping.seal()

    async def checkpoint(self) -> None:
        """Copy the WAL into series.db, now. Raises StoreError."""
        await self._housekeeping.checkpoint()

    async def retire(self, now_ms: int) -> int:
        """Delete chunks older than `store.retention_days`, now; how many. Raises StoreError."""
        return await self._housekeeping.retire(now_ms)

    async def backup(self, target: Path) -> None:
        """Copy both databases into the folder `target`, each as of one moment, while commits go on.

        Raises:
            StoreError: the target exists already, or cannot be written.
        """
        for name, run in ((SERIES_FILE, self._readers.series), (REGISTRY_FILE, self._readers.registry)):
            await run(partial(copy_database, target / name))

    def statistics(self) -> StoreStatistics:
        """Where the store stands; reads file sizes and the free space, no database."""
        p50, p99 = self._latencies.percentiles_ms()
        unsealed, keeping = self._opened.unsealed, self._housekeeping
        free = self._free(self._directory)
        return StoreStatistics(
            # A disk that has filled up or turned read-only is known before a commit meets it.
            state=faults.disk_state(self._directory, free, self._least_free)
            if self._state is DiskState.OK
            else self._state,
            last_error=self._last_error or keeping.last_error,
            readings=self._readings,
            commits=self._commits,
            failed_commits=self._failed,
            dead_letters=self._letters,
            commit_p50_ms=p50,
            commit_p99_ms=p99,
            commit_times=self._latencies.distribution(),
            query_times=self._readers.times.distribution(),
            committed_bytes=self._bytes,
            series=len(self.catalog),
            journal_commits=len(unsealed),
            journal_readings=unsealed.readings,
            chunks=self._opened.chunks,
            damaged=self._opened.damaged,
            sealed_readings=keeping.sealed_readings,
            seal_longest_ms=keeping.seal_longest_s * 1000.0,
            seal_failures=keeping.failures,
            checkpoints=keeping.checkpoints,
            wal_bytes=file_size(self._directory / f"{SERIES_FILE}-wal"),
            registry_wal_bytes=file_size(self._directory / f"{REGISTRY_FILE}-wal"),
            db_bytes=file_size(self._directory / SERIES_FILE) + file_size(self._directory / REGISTRY_FILE),
            free_bytes=free,
            disk_bytes=faults.disk_bytes(self._directory),
            tail_bytes=self.tail.nbytes,
        )


@asynccontextmanager
async def open_store(
    config: StoreConfig,
    directory: Path,
    *,
    history_rows: int = HISTORY_ROWS,
    vfs: str | None = None,
    free: Callable[[Path], int] = free_bytes,
    ship: bool = False,
) -> AsyncIterator[Store]:
    """Open the store in `directory`, made if it is not there.

    Args:
        config: [store].
        directory: folder of growy.db and series.db; one daemon at a time.
        history_rows: `control.history_rows`.
        vfs: SQLite file layer, for fault injection; None is the system's.
        free: how much room the disk has, for fault injection.
        ship: its commits go to another node: they are held until they are there (`Store.shipping`).

    Raises:
        SchemaError: SQLite is too old, or a newer growyd wrote the databases.
        StoreUnavailable: the disk is full or read-only.
        StoreError: a database is damaged.
    """
    check_sqlite(apsw.sqlite_lib_version())
    opened = await trio.to_thread.run_sync(partial(open_files, config, directory, vfs, free, ship=ship))
    writer, registry_writer = Writer(directory), Writer(directory, "growyd-registry")
    readers = Readers(directory, vfs)
    try:
        yield Store(config, directory, opened, writer, registry_writer, readers, vfs, free, history_rows)
    finally:
        await writer.close()
        await registry_writer.close()
        readers.close()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(opened.close)
