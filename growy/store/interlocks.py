"""Interlocks and couplings in growy.db: what two actuators must never be together, and which sensors an actuator moves.

JSON of whoever wrote it; the store does not look inside. An interlock that its reader cannot understand is that
reader's to refuse: it is handed out all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import apsw

Table = Literal["interlocks", "couplings"]


def write_documents(db: apsw.Connection, table: Table, documents: Mapping[str, str | None]) -> None:
    """By id, insert or replace; None deletes. Inside the caller's transaction."""
    for name, document in documents.items():
        if document is None:
            db.execute(f"DELETE FROM {table} WHERE id = ?", (name,))
        else:
            db.execute(
                f"INSERT INTO {table} (id, document) VALUES (?, ?)"
                " ON CONFLICT (id) DO UPDATE SET document = excluded.document",
                (name, document),
            )


def read_documents(db: apsw.Connection, table: Table) -> dict[str, str]:
    return dict(db.execute(f"SELECT id, document FROM {table} ORDER BY id"))
