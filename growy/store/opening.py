"""Opening the two databases: check, migrate, then rebuild in memory what the journal and the newest chunks
hold.

Blocking; runs in a worker thread. Must never leave a connection open when it fails.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import apsw
import attrs
import numpy as np

from growy.config import StoreConfig
from growy.model.errors import StoreError, StoreInUse
from growy.model.reading import Columns
from growy.store import faults
from growy.store.blob import decode
from growy.store.catalog import Catalog, Conversions, load_catalog, load_conversions
from growy.store.chunks import newest_blobs
from growy.store.journal import Journal, unpack_row
from growy.store.schema import (
    REGISTRY_FILE,
    REGISTRY_MIGRATIONS,
    SERIES_FILE,
    SERIES_MIGRATIONS,
    open_writing,
)
from growy.store.tail import Tail
from growy.store.unsealed import SealMark, UnsealedCommits

LOCK_FILE = "store.lock"
REGISTRY_WAL_PAGES = 1000
"""growy.db's WAL is copied into it by the write that finds so many pages in it (1 MB). It would grow for years else."""


@attrs.define(slots=True)
class Opened:
    """What an open store consists of. The connections and the journal belong to the writer's thread."""

    lock: int
    """File descriptor that keeps a second daemon out."""
    series: apsw.Connection
    registry: apsw.Connection
    journal: Journal
    unsealed: UnsealedCommits
    catalog: Catalog
    conversions: Conversions
    tail: Tail
    chunks: int
    damaged: int
    """Blocks of readings that could not be read at open; the daemon goes on without them."""

    def close(self) -> None:
        """Close both; the last connection copies the WAL into the database and removes it. The small one last: what its
        WAL frees, a full card has when the store is opened again."""
        for db in (self.series, self.registry):
            db.close(True)
        os.close(self.lock)


def _lock(directory: Path) -> int:
    """Where each journal slot stands is known to one process only: a second one would overwrite readings."""
    lock = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreInUse(
            f"{directory} is in use by another growyd",
            cure="Stop that one, or give this one another store.path",
        ) from None
    return lock


def keep_from_others(path: Path) -> None:
    """The file, made if it is not there, is for its owner and group only: growy.db has the hashes of passwords. SQLite
    gives its WAL the same mode. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        mode = stat.S_IMODE(os.fstat(file).st_mode)
        if mode & stat.S_IRWXO:
            os.fchmod(file, mode & ~stat.S_IRWXO)
    finally:
        os.close(file)


def open_files(
    config: StoreConfig, directory: Path, vfs: str | None, free: Callable[[Path], int], *, ship: bool = False
) -> Opened:
    """Open or create both databases in `directory`.

    Args:
        ship: commits are held until they have been shipped.

    Raises:
        SchemaError: written by a newer growyd.
        StoreUnavailable: the disk is full or read-only.
        StoreError: a database is damaged.
    """
    opened: list[apsw.Connection] = []
    lock = -1
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = _lock(directory)
        faults.check_room(directory, free(directory), config.min_free_mb * 1_048_576)
        series = open_writing(
            directory / SERIES_FILE, synchronous=config.synchronous, migrations=SERIES_MIGRATIONS, vfs=vfs
        )
        opened.append(series)
        keep_from_others(directory / REGISTRY_FILE)
        registry = open_writing(
            directory / REGISTRY_FILE, synchronous="full", migrations=REGISTRY_MIGRATIONS, vfs=vfs
        )
        opened.append(registry)
        # Small and rare writes: whichever finds the WAL long copies it. series.db has its housekeeping for that.
        registry.wal_autocheckpoint(REGISTRY_WAL_PAGES)
        # What a migration added has its room in the file from now on, not only when the daemon ends.
        registry.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        unsealed, damaged = load_unsealed(series)
        tail = Tail(config.tail_readings)
        damaged += _restore_tail(series, tail, unsealed, config.tail_readings)
        return Opened(
            lock=lock,
            series=series,
            registry=registry,
            journal=Journal(series, hold=ship),
            unsealed=unsealed,
            catalog=load_catalog(series),
            conversions=load_conversions(series),
            tail=tail,
            damaged=damaged,
            chunks=series.execute("SELECT count(*) FROM chunk").get,
        )
    except BaseException as error:
        for db in opened:
            db.close(True)
        if lock >= 0:
            os.close(lock)
        if isinstance(error, apsw.Error | OSError):
            raise faults.typed(error, directory) from error
        raise


def load_unsealed(db: apsw.Connection) -> tuple[UnsealedCommits, int]:
    """The commits of the journal that are not in chunks, and how many of them are damaged."""
    mark = SealMark(*db.execute("SELECT sealed, sealing, sealing_series FROM seal").get)
    unsealed = UnsealedCommits(mark)
    damaged = 0
    rows = (unpack_row(data) for (data,) in db.execute("SELECT data FROM journal"))
    for commit_id, blob in sorted(row for row in rows if row[0] > mark.sealed):
        try:
            unsealed.add(commit_id, decode(blob))
        except StoreError:  # a card that loses bits must not keep the daemon from starting; counted
            damaged += 1
    return unsealed, damaged


def _restore_tail(db: apsw.Connection, tail: Tail, unsealed: UnsealedCommits, readings: int) -> int:
    """Fill the rings from the newest chunks, then the journal, in order of receipt; how many chunks are damaged.

    The journal comes in the order of its commits: the clock that stamped them may have been set back since the chunks.
    """
    parts: list[Columns] = []
    damaged = 0
    names: list[int] = [series_id for (series_id,) in db.execute("SELECT DISTINCT series FROM extent")]
    for series_id in names:
        for blob in newest_blobs(db, series_id, readings):
            try:
                parts.append(decode(blob, series_id))
            except StoreError:  # as above; a query of its range says so
                damaged += 1
    rows = Columns.concat(parts)
    tail.append(rows.take(np.argsort(rows.rx_ms, kind="stable")))
    tail.append(unsealed.look().everything())
    return damaged
