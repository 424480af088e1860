"""What SQLite and the kernel say, as the store's errors. Must never turn a fault into success or into an
untyped error.

`StoreUnavailable` means: nothing was committed, the same may be tried again when the disk has room or is
writable. Everything else is `StoreError`."""

from __future__ import annotations

import enum
import errno
import os
from pathlib import Path

import apsw

from growy.model.errors import StoreError, StoreUnavailable

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class DiskState(enum.StrEnum):
    """Whether commits go through. Leaves `OK` with the first refused commit and returns with the next good
    one."""

    OK = "ok"
    FULL = "full"
    READ_ONLY = "readonly"
    FAILED = "failed"


def free_bytes(directory: Path) -> int:
    """Room on the disk for this process; root's reserve is not counted."""
    facts = os.statvfs(directory)
    return facts.f_bavail * facts.f_frsize


def disk_bytes(directory: Path) -> int:
    """Size of the file system that holds a folder."""
    facts = os.statvfs(directory)
    return facts.f_blocks * facts.f_frsize


def disk_state(directory: Path, free: int, least: int) -> DiskState:
    """How the disk stands without anything being written to it: the kernel remounts one that fails read-only."""
    if free < least:
        return DiskState.FULL
    return DiskState.READ_ONLY if os.statvfs(directory).f_flag & os.ST_RDONLY else DiskState.OK


def full(directory: Path, free: int) -> StoreUnavailable:
    return StoreUnavailable(
        f"the disk that holds {directory} is full ({free // 1_048_576} MB free)",
        cure="Free some space, or lower store.min_free_mb; growyd goes on by itself",
        details={"state": DiskState.FULL.value, "free_bytes": free},
    )


def check_room(directory: Path, free: int, least: int) -> None:
    """Raises StoreUnavailable: fewer than `least` bytes are free."""
    if free < least:
        raise full(directory, free)


def read_only(directory: Path, reason: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{directory} cannot be written ({reason})",
        cure="Check its owner and mount: a worn SD card is remounted read-only by the kernel (see dmesg)",
        details={"state": DiskState.READ_ONLY.value},
    )


def typed(
    error: apsw.Error | OSError, directory: Path, connection: apsw.Connection | None = None
) -> StoreError:
    """The store's error for one of SQLite's or the kernel's. The original goes along as its cause (`raise ...
    from`)."""
    number = error.errno if isinstance(error, OSError) else 0
    if isinstance(error, apsw.IOError) and connection is not None:
        number = connection.system_errno
    if isinstance(error, apsw.FullError) or number in _NO_ROOM:
        return full(directory, free_bytes(directory))
    if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError) or number in _READ_ONLY:
        return read_only(directory, str(error))
    if isinstance(error, apsw.CantOpenError):
        return read_only(directory, f"{error}: the database cannot be opened")
    if isinstance(error, apsw.IOError):
        return StoreUnavailable(
            f"reading or writing {directory} failed: {error}",
            cure="Check the card and the file system (see dmesg)",
            details={"state": DiskState.FAILED.value, "errno": number},
        )
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return StoreError(
            f"a database in {directory} is damaged: {error}",
            cure="Move it aside and restore a backup; growyd starts a new one where none is",
        )
    return StoreError(f"database error in {directory}: {error}")


def state_of(error: StoreError) -> DiskState:
    """Which state a refused commit puts the store in."""
    word = error.details.get("state")
    return DiskState(word) if isinstance(word, str) else DiskState.FAILED
