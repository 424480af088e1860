"""SQL for people: any SELECT over series.db and `sensor_data`, read only, with a limit of time and of rows.

A connection is opened for each query and closed after it, so that a query that is broken off leaves nothing behind.
Must never write, attach other files or hold a snapshot for long: it would keep the WAL from being reused.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import apsw

from growy.model.errors import Invalid
from growy.model.reading import Series
from growy.store.query import snapshot
from growy.store.schema import open_reading
from growy.store.unsealed import UnsealedCommits
from growy.store.virtual import SensorData

Cell: TypeAlias = int | float | bytes | str | None

TIME_LIMIT_S = 10.0
_VALUE_BYTES = 1_048_576
"""A single value at most: `zeroblob(1e9)` must not take the Pi's memory."""
_CHECK_EVERY = 10_000
_ALLOWED = frozenset(
    {apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE, apsw.SQLITE_PRAGMA}
)
_PRAGMAS = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info"})


def run_sql(
    path: Path,
    vfs: str | None,
    unsealed: UnsealedCommits,
    series: Sequence[Series],
    statement: str,
    limit: int,
    time_limit_s: float = TIME_LIMIT_S,
) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
    """Names of the columns, and at most `limit` rows. Blocking.

    Raises:
        Invalid: not a SELECT, wrong SQL, or too slow.
    """
    deadline = time.monotonic() + time_limit_s

    def late() -> bool:
        return time.monotonic() > deadline

    def check() -> None:
        if late():
            raise _too_slow(time_limit_s)

    db = open_reading(path, vfs=vfs)
    try:
        with snapshot(db, unsealed) as look:
            table: Any = SensorData(db, look, series, check)
            db.create_module("sensor_data", table, eponymous=True, read_only=True)
            db.limit(apsw.SQLITE_LIMIT_LENGTH, max(_VALUE_BYTES, 2 * limit))
            db.set_progress_handler(late, _CHECK_EVERY)
            db.authorizer = _authorize
            try:
                return _rows(db, statement, limit)
            finally:
                db.authorizer = None
                db.set_progress_handler(None)
    except apsw.InterruptError:
        raise _too_slow(time_limit_s) from None
    except (apsw.SQLError, apsw.AuthError, apsw.TooBigError, apsw.MismatchError, apsw.BindingsError) as error:
        raise Invalid(
            f"the query was refused: {error}", cure="One SELECT over sensor_data, series, chunk"
        ) from error
    finally:
        db.close(True)


def _rows(db: apsw.Connection, statement: str, limit: int) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
    names: tuple[str, ...] = ()

    def describe(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        nonlocal names
        if cursor.description:
            names = tuple(column[0] for column in cursor.get_description())
        return True

    cursor = db.cursor()
    cursor.exec_trace = describe
    rows: list[tuple[Cell, ...]] = []
    for row in cursor.execute(statement):
        if len(rows) == limit:
            break
        rows.append(row)
    cursor.close(True)
    return names, rows


def _authorize(
    operation: int, one: str | None, _two: str | None, _database: str | None, _trigger: str | None
) -> int:
    if operation not in _ALLOWED or (operation == apsw.SQLITE_PRAGMA and one not in _PRAGMAS):
        return apsw.SQLITE_DENY
    return apsw.SQLITE_OK


def _too_slow(time_limit_s: float) -> Invalid:
    return Invalid(
        f"the query took longer than {time_limit_s:g} s",
        cure="Name esp_id, sensor_type and a range of timestamp",
    )
