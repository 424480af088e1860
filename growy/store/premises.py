"""The disk and the machine around the databases, for the doctor. Blocking: for a worker thread, or a command.

It looks and leaves nothing behind: a database is opened read-only, and one that no daemon has open without SQLite's
side files, which would belong to whoever asks (root, perhaps) and lock growyd's own user out.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import apsw

from growy.config import Config
from growy.doctor import FileFacts, FileKind, FolderFault, Integrity, MachineFacts, Written
from growy.ops import machine
from growy.store.faults import disk_bytes, free_bytes
from growy.store.schema import OLDEST_SQLITE, REGISTRY_FILE, SERIES_FILE, file_size, open_reading

LOOK_S = 2.0
"""How long a database is looked at: gigabytes on a card take minutes, and a person waits."""
_STEPS = 100
"""Of SQLite's machine between two looks at the clock."""
_NO_BACKUPS = frozenset({"before"})
"""Where the instructions for a restore put the databases aside."""


def look(config: Config, settings_file: Path | None, own_s: float | None = None) -> MachineFacts:
    """Everything that can be known here; what cannot be read is left out.

    Args:
        own_s: seconds since this process began to write, when it is the daemon.
    """
    folder = config.store_dir
    fault = _fault(folder)
    there = fault is None
    return MachineFacts(
        folder=str(folder),
        folder_fault=fault,
        sqlite=apsw.sqlite_lib_version(),
        sqlite_oldest=".".join(map(str, OLDEST_SQLITE)),
        clock_synchronised=machine.clock_synchronised(),
        free_bytes=free_bytes(folder) if there else None,
        disk_bytes=disk_bytes(folder) if there else None,
        least_free_bytes=config.store.min_free_mb * 1_048_576,
        written=Written(
            device_bytes=machine.disk_written_bytes(folder),
            device_s=machine.up_s(),
            own_bytes=None if own_s is None else machine.written_bytes(),
            own_s=own_s,
        ),
        endurance_bytes=round(config.store.card_endurance_tb * 1e12),
        wal_bytes={name: file_size(folder / f"{name}-wal") for name in _names(folder)},
        integrity=tuple(check(folder / name, served=own_s is not None) for name in _names(folder)),
        files=tuple(_guarded(config, settings_file)),
        backup_ages_s=_backups(folder, time.time()) if there else None,
        power=machine.power(),
    )


def check(path: Path, *, served: bool, limit_s: float = LOOK_S) -> Integrity:
    """SQLite's quick check of one database, for so long at most.

    Args:
        served: this very process has the database open, so that its side files are there and stay.
    """
    began = time.monotonic()
    try:
        db = _open(path, served)
        if db is None:
            return Integrity(file=path.name, verdict="ok", complete=False)
        try:
            # True ends the statement.
            db.set_progress_handler(lambda: time.monotonic() - began > limit_s, _STEPS)
            rows = [str(row[0]) for row in db.execute("PRAGMA quick_check(1)")]
            return Integrity(file=path.name, verdict=rows[0] if rows else "no answer")
        finally:
            db.close(True)
    except (apsw.InterruptError, apsw.BusyError):
        return Integrity(file=path.name, verdict="ok", complete=False)
    except (apsw.CantOpenError, apsw.PermissionsError) as error:
        return Integrity(
            file=path.name, verdict="ok" if not os.access(path, os.R_OK) else str(error), complete=False
        )
    except apsw.Error as error:
        return Integrity(file=path.name, verdict=str(error))


def _open(path: Path, served: bool) -> apsw.Connection | None:
    """None: it could only be opened by leaving files of another user behind."""
    if served:
        return open_reading(path)
    if not file_size(path.with_name(f"{path.name}-wal")):
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        return apsw.Connection(f"{path.resolve().as_uri()}?immutable=1", flags=flags)
    return open_reading(path) if path.stat().st_uid == os.geteuid() else None


def _names(folder: Path) -> list[str]:
    return [name for name in (REGISTRY_FILE, SERIES_FILE) if _is_there(folder / name)]


def _fault(folder: Path) -> FolderFault | None:
    try:
        if not folder.is_dir():
            return FolderFault.MISSING
    except OSError:
        return FolderFault.FORBIDDEN
    return None if os.access(folder, os.R_OK | os.X_OK) else FolderFault.FORBIDDEN


def _is_there(path: Path) -> bool:
    """Also in a folder that one may not enter: then nobody here can tell."""
    try:
        return path.exists()
    except OSError:
        return False


def _guarded(config: Config, settings_file: Path | None) -> Iterator[FileFacts]:
    folder = config.store_dir
    wanted = [(folder / name, FileKind.DATA) for name in _names(folder)]
    wanted.append((config.library_dir, FileKind.CODE))
    if _is_there(config.library_dir):
        wanted += [(path, FileKind.CODE) for path in sorted(config.library_dir.glob("*.py"))]
    if settings_file is not None:
        wanted.append((settings_file, FileKind.SETTINGS))
    if config.socket_path is not None:
        wanted.append((config.socket_path, FileKind.DOOR))
    for path, kind in wanted:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        # Who may not pass the folder cannot reach the file in it, whatever its own bits say.
        yield FileFacts(path=str(path), kind=kind, mode=mode if _passable(path.parent) else mode & ~0o007)


def _passable(folder: Path) -> bool:
    """Whether everybody may go through this folder and all above it."""
    try:
        return all(one.stat().st_mode & stat.S_IXOTH for one in (folder, *folder.resolve().parents))
    except OSError:
        return False


def _backups(folder: Path, now_s: float) -> tuple[float, ...]:
    """Ages of the copies of growy.db in folders beside the databases, seconds."""
    ages = []
    for pattern in (f"*/{REGISTRY_FILE}", f"*/*/{REGISTRY_FILE}"):
        for path in folder.glob(pattern):
            if path.parent.name not in _NO_BACKUPS:
                ages.append(now_s - path.stat().st_mtime)
    return tuple(ages)
