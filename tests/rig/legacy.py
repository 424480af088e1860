"""Databases as the old server leaves them, for the tests of the migration."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import apsw
import trio

from growy.config import StoreConfig
from growy.model.reading import Columns, SeriesKey
from growy.store import open_store
from growy.store.legacy import Options, Report, move, open_source

SCHEMA = """CREATE TABLE sensor_data (
    id INTEGER PRIMARY KEY AUTOINCREMENT, esp_id TEXT, gpio INTEGER, sensor_type TEXT, raw_data INTEGER,
    processed_value REAL, timestamp INTEGER, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"""
T0 = 1_735_689_600
"""2025-01-01, seconds."""
NOW_MS = 1_767_225_600_000
ESP = "ESP_00A001"
INSERT = (
    "INSERT INTO sensor_data (esp_id, gpio, sensor_type, raw_data, processed_value, timestamp, created_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


def row(
    timestamp: object = T0,
    *,
    esp_id: object = ESP,
    gpio: object = 4,
    kind: object = "ds18b20",
    raw: object = 360,
    value: object = 22.5,
    created: object = None,
) -> tuple[object, ...]:
    return (esp_id, gpio, kind, raw, value, timestamp, created)


def legacy_file(path: Path, rows: Iterable[tuple[object, ...]], journal_mode: str = "delete") -> Path:
    """Makes the file, or adds to it."""
    db = apsw.Connection(str(path))
    db.pragma("journal_mode", journal_mode)
    if not db.table_exists(None, "sensor_data"):
        db.execute(SCHEMA)
    with db:
        db.executemany(INSERT, rows)
    db.close()
    return path


def migrated(
    path: Path, folder: Path, *, again: bool = False, window_rows: int = 250_000, **store: object
) -> Report:
    with open_source(path, path.parent) as source:
        options = Options(now_ms=NOW_MS, again=again, window_rows=window_rows)
        return move(source, StoreConfig(**store), folder, options)


def stored(folder: Path) -> dict[SeriesKey, Columns]:
    """Everything in the store, by series, as its own queries say it."""

    async def read() -> dict[SeriesKey, Columns]:
        found = {}
        async with open_store(StoreConfig(), folder) as store:
            for series in store.catalog.series():
                result = await store.query(series.id, 0, 1 << 50)
                assert result.readings is not None
                found[series.key] = result.readings
        return found

    return trio.run(read)
