"""The files of the libraries: which exist, which changed, what is in them. Reads files; never runs them.

Polling by (mtime, ctime, size, inode) of two folders of a dozen files costs less than a tenth of a millisecond and
sees every way of saving a file that an editor has, also over a network file system.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import attrs

MAX_SOURCE_BYTES: Final = 1_000_000
"""A larger file is no sensor library."""
DIGEST_CHARS: Final = 12

Signature: TypeAlias = tuple[int, int, int, int]


@attrs.frozen(slots=True)
class SourceFile:
    """A library file as it was seen. `shipped`: comes with growyd, not from the grower's folder."""

    path: Path
    shipped: bool
    signature: Signature

    @property
    def name(self) -> str:
        return self.path.stem


def scan(shipped_dir: Path, library_dir: Path | None) -> tuple[dict[Path, SourceFile], list[str]]:
    """All library files (regular `*.py` not beginning with `_`), and what could not be looked at.

    A folder that does not exist holds no libraries. A folder that cannot be read is a fault to be told: the caller
    keeps what it has.
    """
    found: dict[Path, SourceFile] = {}
    faults: list[str] = []
    for directory, shipped in ((shipped_dir, True), (library_dir, False)):
        if directory is None:
            continue
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if not entry.name.endswith(".py") or entry.name.startswith(("_", ".")):
                        continue
                    try:
                        status = entry.stat()
                    except FileNotFoundError:  # deleted while we look, or a dangling link
                        continue
                    if stat.S_ISREG(status.st_mode):  # a FIFO would block us
                        path = Path(entry.path)
                        signature = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
                        found[path] = SourceFile(path, shipped, signature)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            faults.append(f"{directory}: {error.strerror}")
    return found, faults


def read(source: SourceFile) -> bytes:
    """The file's content. Raises OSError, also for a file beyond `MAX_SOURCE_BYTES`."""
    with source.path.open("rb") as file:
        content = file.read(MAX_SOURCE_BYTES + 1)
    if len(content) > MAX_SOURCE_BYTES:
        raise OSError(f"larger than {MAX_SOURCE_BYTES} bytes")
    return content


def digest(content: bytes) -> str:
    """Short hash that tells one version of a file from another."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARS]


def changed(before: Mapping[Path, SourceFile], now: Mapping[Path, SourceFile]) -> list[SourceFile]:
    """What is new or different, shipped first, then by name: the order of precedence among equals."""
    fresh = [source for path, source in now.items() if before.get(path) != source]
    return sorted(fresh, key=lambda source: (not source.shipped, source.name))
