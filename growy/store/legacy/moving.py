"""The old database's rows into series.db, as closed chunks, a window of rows at a time. Blocking; alone with the store.

A window is some hundred thousand rows in columns. One transaction writes its chunks, the names that are new, and how
far the old database has been read: killed at any moment, a later run goes on behind the last window, and every reading
is there once. Memory does not grow with the old database. Must never write over, or beside, a reading that is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import attrs
import numpy as np

from growy.config import StoreConfig
from growy.model.errors import StoreError
from growy.model.reading import NO_SEQ, ByteArray, Columns, IndexArray, IntArray, TimeSource
from growy.model.time import EARLIEST_S
from growy.store import faults, sealing
from growy.store.catalog import load_catalog, write_names
from growy.store.hierarchy import read_nodes, read_records, write_hierarchy
from growy.store.housekeeping import CHECKPOINT_PAGES
from growy.store.legacy import merging, progress
from growy.store.legacy.judge import Bounds, Judged, LegacyName, Names, Why, judge
from growy.store.legacy.ownership import extension_rows, ownership_of_legacy
from growy.store.legacy.report import Report
from growy.store.legacy.source import LegacySource, LegacyUnreadable, Row
from growy.store.legacy.tally import Tally
from growy.store.opening import Opened, open_files
from growy.store.schema import SERIES_FILE, check_sqlite, file_size, open_reading
from growy.store.writer import transaction

PAGE_ROWS = 10_000
WINDOW_ROWS = 250_000
"""Rows that are written together, some 60 MB of memory at the most. With hundreds of series in the old table fewer
would make many small chunks."""
MAX_SERIES = 10_000
"""As many as the intake takes."""
LIBRARY, VERSION = "legacy", "growy_database"
"""What is said to have made the values: some version of the old server."""
BYTES_PER_READING = 16
"""Room that is asked for in advance; compressed it is a third of that, noise included."""


@attrs.frozen(slots=True, kw_only=True)
class Options:
    window_rows: int = attrs.field(default=WINDOW_ROWS, validator=attrs.validators.ge(1))
    again: bool = False
    """Read the old database from its first row, whatever was read before."""
    now_ms: int = attrs.field(factory=lambda: int(time.time() * 1000))


@attrs.frozen(slots=True)
class Advance:
    """Where a run stands."""

    rows: int
    """Read in this run."""
    of_rows: int
    """About how many there are to read in this run."""
    taken: int


Watch = Callable[[Advance], None]


@attrs.frozen(slots=True, eq=False)
class _Page:
    """Rows that can be taken, so far."""

    number: IndexArray
    remarks: ByteArray
    rowid: IntArray
    columns: Columns
    """`series` is the number of the series in the old table."""


def look_through(
    source: LegacySource,
    config: StoreConfig,
    directory: Path,
    options: Options,
    watch: Watch = lambda _: None,
) -> Report:
    """What `move` would do. Writes nothing, also while growyd runs; so what is stored already is not known here.

    Raises:
        StoreError: the old database cannot be read.
    """
    began = time.perf_counter()
    names, tally = Names(MAX_SERIES), Tally()
    bounds = _bounds(config, options)
    for rows in source.pages(source.first_row - 1, PAGE_ROWS):
        judged = judge(rows, names, bounds)
        tally.add_refused(rows, judged, names.names)
        page = _page(rows, judged, 0)
        why = np.zeros(len(page.columns), np.uint8)
        tally.add_judged(page.number, page.columns.ts_ms, why, page.remarks, page.rowid, names.names)
        watch(Advance(tally.rows, source.rows, tally.taken))
    good = [name for name, one in tally.series.items() if one.taken]
    return _report(
        source, tally, tally, began, dry_run=True, homes=_homes_to_be(directory, good, options.now_ms)
    )


def move(
    source: LegacySource,
    config: StoreConfig,
    directory: Path,
    options: Options,
    watch: Watch = lambda _: None,
) -> Report:
    """Take what can be taken and is not there yet.

    Args:
        directory: folder of series.db; made if it is not there.
        watch: told after every page.

    Raises:
        StoreInUse: growyd runs.
        StoreUnavailable: not enough room. What was written stays; a later run goes on.
        StoreError: a database is damaged.
    """
    check_sqlite(apsw.sqlite_lib_version())
    began = time.perf_counter()
    bounds = _bounds(config, options)
    before = file_size(directory / SERIES_FILE)
    with _opened(config, directory) as opened:
        try:
            mover = _Mover(source, config, directory, opened, options, watch)
            mover.run(bounds)
            owned = _own(opened.registry, mover.progress.tally, options.now_ms)
        except (apsw.Error, OSError) as error:
            raise faults.typed(error, directory, opened.series) from error
    return _report(
        source,
        mover.tally,
        mover.progress.tally,
        began,
        stored_bytes=file_size(directory / SERIES_FILE) - before,
        homes=mover.homes(),
        owned_devices=owned,
    )


class _Mover:
    """One run."""

    def __init__(
        self,
        source: LegacySource,
        config: StoreConfig,
        directory: Path,
        opened: Opened,
        options: Options,
        watch: Watch,
    ) -> None:
        self._source, self._config, self._directory = source, config, directory
        self._opened, self._options, self._watch = opened, options, watch
        self._db = opened.series
        self._names = Names(MAX_SERIES)
        self._homes = progress.Homes(self._db, opened.catalog, options.now_ms)
        self._conversion = opened.conversions.intern(LIBRARY, VERSION, "{}")
        self._pages: list[_Page] = []
        self._waiting = self._left = 0
        self.tally = Tally()
        self.progress = progress.load(self._db, source, options.now_ms)
        if options.again:
            self.progress = progress.Progress(source.first_row - 1, Tally(), options.now_ms)

    def homes(self) -> tuple[int, int]:
        """Series that this run made, and those that it went on with."""
        stored = [name for name, one in self.tally.series.items() if one.taken or one.stored_already]
        return self._homes.counted(stored)

    def run(self, bounds: Bounds) -> None:
        """Raises StoreError, and whatever SQLite and the kernel raise."""
        _seal(self._opened, self._config.chunk_readings)
        self._db.wal_autocheckpoint(CHECKPOINT_PAGES)
        source, start = self._source, self.progress.cursor
        self._left = min(source.rows, max(0, source.last_row - start))
        self._check_room(self._left * BYTES_PER_READING)
        try:
            for rows in source.pages(start, min(PAGE_ROWS, self._options.window_rows)):
                self._take(rows, judge(rows, self._names, bounds))
        except LegacyUnreadable:
            self._store()  # what was read before is good
            raise
        self._store()

    def _take(self, rows: list[Row], judged: Judged) -> None:
        """One page; writes the window when it is full."""
        for tally in (self.tally, self.progress.tally):
            tally.add_refused(rows, judged, self._names.names)
        self._pages.append(_page(rows, judged, self._conversion))
        self._waiting += len(rows)
        self.progress.cursor = rows[-1][0]
        if self._waiting >= self._options.window_rows:
            self._store()
        self._watch(Advance(self.tally.rows, self._left, self.tally.taken))

    def _store(self) -> None:
        """The window so far, in one transaction."""
        pages, self._pages, self._waiting = self._pages, [], 0
        if not pages:
            return
        number = np.concatenate([page.number for page in pages])
        remarks = np.concatenate([page.remarks for page in pages])
        rowid = np.concatenate([page.rowid for page in pages])
        columns = Columns.concat([page.columns for page in pages])
        used = np.unique(number)
        home = np.zeros(len(self._names.names), np.int32)
        home[used] = [self._homes.of(self._names.names[one]) for one in used.tolist()]
        columns.series = home[number]
        order = np.lexsort((columns.ts_ms, columns.series))  # stable: of equal times the first row is first
        number, remarks, rowid, columns = number[order], remarks[order], rowid[order], columns.take(order)
        why = np.where(merging.repeated(columns), Why.SAME_TIME, Why.TAKEN).astype(np.uint8)
        why[merging.stored(self._db, columns)] = Why.STORED_ALREADY
        for tally in (self.tally, self.progress.tally):
            tally.add_judged(number, columns.ts_ms, why, remarks, rowid, self._names.names)
        part = sealing.Slice(columns.take(why == Why.TAKEN), self._opened.unsealed.mark)
        sealed = sealing.prepare(self._db, part, self._config.chunk_readings)
        self._check_room(0)
        catalog, conversions = self._opened.catalog, self._opened.conversions
        with transaction(self._db):
            write_names(self._db, catalog.pending(), conversions.pending())
            progress.write_homes(self._db, self._homes.pending())
            sealing.apply(self._db, sealed)
            progress.save(self._db, self._source, self.progress, self._options.now_ms)
        catalog.written(catalog.pending())
        conversions.written(conversions.pending())
        self._homes.written()

    def _check_room(self, wanted: int) -> None:
        free = faults.free_bytes(self._directory) - wanted
        faults.check_room(self._directory, free, self._config.min_free_mb * 1_048_576)


def _own(db: apsw.Connection, tally: Tally, now_ms: int) -> int:
    """The devices whose readings are there belong to god, unless they have an owner; how many that are."""
    esp_ids = [name.esp_id for name, one in tally.series.items() if one.taken or one.stored_already]
    with transaction(db):
        batch = ownership_of_legacy(
            esp_ids,
            now_ms,
            owned=[one.esp_id for one in read_records(db)],
            kaisers=[one.kaiser_id for one in read_nodes(db)],
        )
        write_hierarchy(db, batch)
    return len(batch.records)


def _homes_to_be(directory: Path, names: list[LegacyName], now_ms: int) -> tuple[int, int] | None:
    """Of a dry run: series that would be made, and gone on with; None where nobody may look into the store."""
    path = directory / SERIES_FILE
    try:
        if not path.exists():
            return len(names), 0
        db = open_reading(path)
        try:
            return progress.Homes(db, load_catalog(db), now_ms).counted(names)
        finally:
            db.close(True)
    except (apsw.Error, OSError):
        return None


@contextmanager
def _opened(config: StoreConfig, directory: Path) -> Iterator[Opened]:
    opened = open_files(config, directory, None, faults.free_bytes)
    try:
        yield opened
    finally:
        opened.close()


def _seal(opened: Opened, chunk_readings: int) -> None:
    """What the daemon has left in its journal goes into chunks first: then chunks are all there is to compare with."""
    unsealed = opened.unsealed
    goal = unsealed.newest
    while unsealed.mark.sealed < goal:  # twice when a broken-off seal has to be finished first
        for part in sealing.slices(unsealed.look(), goal):
            sealed = sealing.prepare(opened.series, part, chunk_readings)
            with transaction(opened.series):
                sealing.apply(opened.series, sealed)
            unsealed.advance(sealed.mark)


def _page(rows: list[Row], judged: Judged, conversion: int) -> _Page:
    good = judged.why == Why.TAKEN
    count = int(good.sum())
    return _Page(
        number=judged.name[good],
        remarks=judged.remarks[good],
        rowid=np.array([row[0] for row in rows], np.int64)[good],
        columns=Columns(
            series=judged.name[good],
            ts_ms=judged.ts_ms[good],
            rx_ms=judged.rx_ms[good],
            raw=judged.raw[good],
            value=judged.value[good],
            quality=judged.quality[good],
            seq=np.full(count, NO_SEQ, np.int64),
            source=np.full(count, TimeSource.DEVICE, np.uint8),
            conversion=np.full(count, conversion, np.int32),
        ),
    )


def _bounds(config: StoreConfig, options: Options) -> Bounds:
    """Raises StoreError: this machine does not know the time."""
    if options.now_ms < EARLIEST_S * 1000:
        raise StoreError(
            "the clock of this machine is not set", cure="Wait for NTP, or set it; then run this again"
        )
    days = config.retention_days
    earliest = EARLIEST_S * 1000
    retained = max(earliest, options.now_ms - days * 86_400_000) if days else earliest
    return Bounds(options.now_ms, retained)


def _report(
    source: LegacySource,
    run: Tally,
    total: Tally,
    began: float,
    *,
    dry_run: bool = False,
    stored_bytes: int = 0,
    homes: tuple[int, int] | None = None,
    owned_devices: int = 0,
) -> Report:
    return Report(
        source=str(source.path),
        dry_run=dry_run,
        run=run,
        total=total,
        duration_s=time.perf_counter() - began,
        stored_bytes=stored_bytes,
        new_series=homes[0] if homes else None,
        joined_series=homes[1] if homes else None,
        owned_devices=owned_devices,
        extension=extension_rows(source),
    )
