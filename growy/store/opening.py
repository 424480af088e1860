"""Opening the two databases: check, migrate, then rebuild in memory what the journal and the newest chunks
hold.

Blocking; runs in a worker thread. Must never leave a connection open when it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw
import attrs
import numpy as np

from growy.config import StoreConfig
from growy.model.reading import Columns
from growy.store import faults
from growy.store.blob import decode
from growy.store.catalog import Catalog, Conversions, load_catalog, load_conversions
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


@attrs.define(slots=True)
class Opened:
    """What an open store consists of. The connections and the journal belong to the writer's thread."""

    series: apsw.Connection
    registry: apsw.Connection
    journal: Journal
    unsealed: UnsealedCommits
    catalog: Catalog
    conversions: Conversions
    tail: Tail
    chunks: int

    def close(self) -> None:
        """Close both; the last connection copies the WAL into the database and removes it."""
        for db in (self.series, self.registry):
            db.close(True)


def open_files(config: StoreConfig, directory: Path, vfs: str | None, free: Callable[[Path], int]) -> Opened:
    """Open or create both databases in `directory`.

    Raises:
        SchemaError: written by a newer growyd.
        StoreUnavailable: the disk is full or read-only.
        StoreError: a database is damaged.
    """
    opened: list[apsw.Connection] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        faults.check_room(directory, free(directory), config.min_free_mb * 1_048_576)
        series = open_writing(
            directory / SERIES_FILE, synchronous=config.synchronous, migrations=SERIES_MIGRATIONS, vfs=vfs
        )
        opened.append(series)
        registry = open_writing(
            directory / REGISTRY_FILE, synchronous="full", migrations=REGISTRY_MIGRATIONS, vfs=vfs
        )
        opened.append(registry)
        unsealed = load_unsealed(series)
        tail = Tail(config.tail_readings)
        catalog = load_catalog(series)
        _restore_tail(series, tail, catalog, unsealed, config.tail_readings)
        return Opened(
            series=series,
            registry=registry,
            journal=Journal(series),
            unsealed=unsealed,
            catalog=catalog,
            conversions=load_conversions(series),
            tail=tail,
            chunks=series.execute("SELECT count(*) FROM chunk").get,
        )
    except BaseException as error:
        for db in opened:
            db.close(True)
        if isinstance(error, apsw.Error | OSError):
            raise faults.typed(error, directory) from error
        raise


def load_unsealed(db: apsw.Connection) -> UnsealedCommits:
    """The commits of the journal that are not in chunks."""
    mark = SealMark(*db.execute("SELECT sealed, sealing, sealing_series FROM seal").get)
    unsealed = UnsealedCommits(mark)
    rows = (unpack_row(data) for (data,) in db.execute("SELECT data FROM journal"))
    for commit_id, blob in sorted(row for row in rows if row[0] > mark.sealed):
        unsealed.add(commit_id, decode(blob))
    return unsealed


def _restore_tail(
    db: apsw.Connection, tail: Tail, catalog: Catalog, unsealed: UnsealedCommits, readings: int
) -> None:
    """Fill the rings: newest chunks, then the journal, in order of receipt."""
    rest = unsealed.look().everything()
    tail.append(rest.take(np.argsort(rest.rx_ms, kind="stable")))
    _ = (db, catalog, readings, Columns)
