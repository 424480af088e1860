"""Small facts about the whole daemon in growy.db, each under its own key. Must never become a place for many: what
there are several of has a table."""

from __future__ import annotations

from collections.abc import Mapping

import apsw


def write_keyed(db: apsw.Connection, facts: Mapping[str, str | None]) -> None:
    """Insert or replace; None deletes. Inside the caller's transaction."""
    for key, value in facts.items():
        if value is None:
            db.execute("DELETE FROM keyed WHERE key = ?", (key,))
        else:
            db.execute(
                "INSERT INTO keyed (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )


def read_keyed(db: apsw.Connection, key: str) -> str | None:
    found = db.execute("SELECT value FROM keyed WHERE key = ?", (key,)).fetchone()
    return None if found is None else str(found[0])
