"""A copy of a database while it is in use, by SQLite's backup API. Must never touch a file that exists already.

The copy is one moment's database, checked before it is called done; it is opened like any other.
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from growy.model.errors import StoreError

_PAGES = 4096
"""Pages per step: the snapshot is held for all of them, the interpreter is free between."""


def copy_database(target: Path, source: apsw.Connection) -> None:
    """Copy `source` into the new file `target`. Blocking.

    Raises:
        StoreError: the target exists, or the copy is not sound.
        apsw.Error, OSError: it cannot be written.
    """
    if target.exists():
        raise StoreError(f"{target} exists already", cure="Give each backup a folder of its own")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    # Before SQLite makes it, so that others never see what is in it: growy.db has the hashes of passwords.
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640))
    try:
        copy = apsw.Connection(str(partial))
        try:
            # A transaction around it: otherwise each commit of the writer begins the copy anew.
            source.execute("BEGIN")
            try:
                source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
                with copy.backup("main", source, "main") as backup:
                    while not backup.done:
                        backup.step(_PAGES)
            finally:
                source.execute("ROLLBACK")
            verdict = copy.pragma("quick_check")
            if verdict != "ok":
                raise StoreError(f"the copy {partial} is not sound: {verdict}", cure="Check the card (dmesg)")
        finally:
            copy.close(True)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
