"""The old server's SQLite file, read and never touched: no byte of it is written, no file appears beside it.

Which way it is opened depends on what state it was left in (see `_way_in`). The old server may still run, but then
what it writes after the last page is not seen: run the migration again.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import quote

import apsw
import attrs

from growy.model.errors import StoreError
from growy.store.faults import check_room, free_bytes
from growy.store.legacy.instants import Cell

TABLE = "sensor_data"
COLUMNS = ("esp_id", "gpio", "sensor_type", "raw_data", "processed_value", "timestamp", "created_at")
_NEEDED = ("esp_id", "gpio", "sensor_type", "timestamp")
_BUSY_MS = 10_000
_WAL_VERSION_AT, _WAL = 18, 2
"""https://sqlite.org/fileformat2.html#file_format_version_numbers"""
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510
"""Bytes of a database that whoever has it open keeps locked (os_unix.c); in WAL mode as long as it is open."""
_SMALLEST_ROW = 16
"""Bytes that a row takes at least: bounds how many a file of a given size can have."""

Row = tuple[int, Cell, Cell, Cell, Cell, Cell, Cell, Cell]
"""rowid, then COLUMNS."""


class LegacyUnreadable(StoreError):
    """The old database cannot be read any further."""


@attrs.define(eq=False)
class LegacySource:
    """The old database, open for reading. One thread."""

    path: Path
    db: apsw.Connection
    columns: frozenset[str]
    first_row: int
    """Smallest and largest rowid; `first_row > last_row` where the table is empty."""
    last_row: int
    identity: str
    """Tells this database from another, wherever the file lies: how far an earlier run came is kept under it."""
    _frozen: tuple[int, int] | None = None
    _select: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._select = (
            f"SELECT rowid, {', '.join(map(self._column, COLUMNS))} FROM {TABLE}"
            " WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
        )

    @property
    def rows(self) -> int:
        """How many rows there are, at most: counting them would mean to read the whole file once more."""
        pages: int = self.db.pragma("page_count")
        size: int = self.db.pragma("page_size")
        return min(self.last_row - self.first_row + 1, pages * size // _SMALLEST_ROW)

    def pages(self, after: int, rows: int) -> Iterator[list[Row]]:
        """All rows behind rowid `after`, `rows` at a time, each page in a read transaction of its own.

        Raises:
            LegacyUnreadable: the file is damaged (all rows before have been given out), or was changed while it was
                read as one that nobody uses.
        """
        while True:
            try:
                page = self._page(after, rows)
            except LegacyUnreadable as error:
                if rows == 1 or not isinstance(error.__cause__, apsw.CorruptError):
                    raise
                rows = max(1, rows // 10)  # up to the very row
                continue
            self._check_unchanged()
            if not page:
                return
            yield page
            after = page[-1][0]

    def fingerprint(self, rowid: int) -> str:
        """Of one row's content; "" where there is no such row. Shows that a row is still the one it was."""
        found = self._page(rowid - 1, 1, rowid)
        return hashlib.blake2b(repr(found[0]).encode(), digest_size=12).hexdigest() if found else ""

    def count(self, name: str) -> int | None:
        """Rows of a table, None where there is no such table."""
        if not _columns_of(self.db, name):
            return None
        found: int = self.db.execute(f"SELECT count(*) FROM {name}").get
        return found

    def _column(self, name: str) -> str:
        if name not in self.columns:
            return "NULL"
        if name != "created_at":
            return name
        # By far the most of them are dates: SQLite reads them ten times faster than Python.
        return (
            "CASE WHEN typeof(created_at) = 'text' AND created_at GLOB '[12][0-9][0-9][0-9]-*'"
            " THEN unixepoch(created_at, 'subsec') ELSE created_at END"
        )

    def _page(self, after: int, rows: int, until: int | None = None) -> list[Row]:
        bounds = (after, self.last_row if until is None else until, rows)
        try:
            try:
                return cast("list[Row]", self.db.execute(self._select, bounds).fetchall())
            except UnicodeDecodeError:
                return [_readable(row) for row in self.db.execute(self._as_bytes(), bounds)]
        except apsw.CorruptError as error:
            raise LegacyUnreadable(
                f"{self.path} is damaged behind row {after}: {error}",
                cure="What comes before it is taken. Save the rest with `sqlite3 FILE .recover | sqlite3 NEW.db`, "
                "then migrate NEW.db",
            ) from error
        except apsw.Error as error:
            raise LegacyUnreadable(
                f"{self.path} cannot be read behind row {after}: {error}",
                cure="Stop the old server, then run this again: it goes on where it was",
            ) from error

    def _as_bytes(self) -> str:
        """Text that is no UTF-8: as bytes, to be read with replacement characters."""
        names = ("esp_id", "gpio", "sensor_type", "raw_data", "processed_value", "timestamp")
        texts = [
            f"CASE typeof({self._column(n)}) WHEN 'text' THEN CAST({n} AS BLOB) ELSE {self._column(n)} END"
            if n in self.columns
            else "NULL"
            for n in names
        ]
        return self._select.replace(", ".join(map(self._column, names)), ", ".join(texts))

    def _check_unchanged(self) -> None:
        if self._frozen is not None and self._frozen != _state(self.path):
            raise LegacyUnreadable(
                f"{self.path} was changed while it was read", cure="Stop the old server, then run this again"
            )


@contextmanager
def open_source(path: Path, aside: Path) -> Iterator[LegacySource]:
    """Open the old database.

    Args:
        path: the file.
        aside: a folder that is there and can be written. Used, and cleared, only where the old server has crashed:
            what stands in its journal can be read only by writing, so a copy is opened there.

    Raises:
        StoreError: no database, not the old server's, or it cannot be read.
    """
    with ExitStack() as stack:
        try:
            db, frozen = _way_in(path, aside, stack)
            stack.callback(db.close, True)
            db.set_busy_timeout(_BUSY_MS)
            columns = frozenset(_columns_of(db, TABLE))
            _check_table(path, columns)
            first, last = (db.execute(f"SELECT {which}(rowid) FROM {TABLE}").get for which in ("min", "max"))
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read: {error.strerror}",
                cure="Give the right file, and see that this user may read it",
            ) from error
        except apsw.Error as error:
            raise StoreError(f"{path} is not a database that can be read: {error}") from error
        empty = first is None
        source = LegacySource(path, db, columns, 1 if empty else first, 0 if empty else last, "", frozen)
        source.identity = "" if empty else f"{first}:{source.fingerprint(first)}"
        yield source


def _way_in(path: Path, aside: Path, stack: ExitStack) -> tuple[apsw.Connection, tuple[int, int] | None]:
    """A read-only connection, and the file's state where nobody may change it meanwhile.

    In use by the old server, or not in WAL mode: SQLite's own locks do. In WAL mode and in use by nobody: SQLite would
    make a -shm beside it, which `immutable` keeps it from. Left by a crash: the journal must be played back, on a copy.
    """
    with path.open("rb") as file:
        head = file.read(100)
        used = _is_used(file.fileno())
    if not head.startswith(b"SQLite format 3\0"):
        raise StoreError(f"{path} is not a SQLite database", cure="Give the old server's growy_database.db")
    journals = [path.with_name(path.name + end) for end in ("-wal", "-journal")]
    left = [one for one in journals if one.exists() and one.stat().st_size > 0]
    if used or (head[_WAL_VERSION_AT] != _WAL and not left):
        return _connect(path, "mode=ro"), None
    if not left:
        return _connect(path, "immutable=1"), _state(path)
    size = sum(one.stat().st_size for one in (path, *left))
    check_room(aside, free_bytes(aside) - size, 0)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="legacy-", dir=aside)))
    for one in (path, *left):
        shutil.copyfile(one, folder / one.name)
    return _connect(folder / path.name, "mode=rw"), None


def _connect(path: Path, how: str) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_URI
    flags |= apsw.SQLITE_OPEN_READWRITE if how == "mode=rw" else apsw.SQLITE_OPEN_READONLY
    return apsw.Connection(f"file:{quote(str(path.absolute()))}?{how}", flags=flags)


def _is_used(descriptor: int) -> bool:
    """Whether another process has the database open (POSIX locks; ours do not count)."""
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, _SHARED_FIRST, _SHARED_SIZE, 0)
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, asked)
    except OSError:  # a file system without locks: nobody can have one there
        return False
    kind: int = struct.unpack("hhqqi4x", answer)[0]
    return kind != fcntl.F_UNLCK


def _state(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def _columns_of(db: apsw.Connection, table: str) -> list[str]:
    return [name.lower() for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))]


def _check_table(path: Path, columns: frozenset[str]) -> None:
    if not columns:
        raise StoreError(f"{path} has no table {TABLE}", cure="Give the old server's growy_database.db")
    missing = [name for name in _NEEDED if name not in columns]
    if not columns & {"raw_data", "processed_value"}:
        missing.append("raw_data or processed_value")
    if missing:
        raise StoreError(f"table {TABLE} of {path} has no column {', '.join(missing)}")


def _readable(row: tuple[Cell, ...]) -> Row:
    rowid, *cells = row
    assert isinstance(rowid, int)
    esp, gpio, kind, raw, value, time, created = (
        cell.decode(errors="replace") if isinstance(cell, bytes) else cell for cell in cells
    )
    return (rowid, esp, gpio, kind, raw, value, time, created)
