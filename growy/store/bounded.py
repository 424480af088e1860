"""Tables that are written for ever and stay small: ids rise, the oldest rows go, their pages are used again.

Must never delete the newest row: it says which id comes next.
"""

from __future__ import annotations

import apsw

RETIRED_AT_ONCE = 1000
"""Surplus rows that one write deletes, beside as many as it brings: a bound that was lowered must not hold up the
writer."""


def retire_oldest(db: apsw.Connection, table: str, keep: int, brought: int) -> None:
    """Delete what is older than the newest `keep` (at least 1). Inside the caller's transaction.

    Args:
        table: one with a rising `id INTEGER PRIMARY KEY`.
        brought: rows that this transaction has added.
    """
    db.execute(
        f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?"
        f" AND id < (SELECT min(id) FROM {table}) + ?",
        (keep, brought + RETIRED_AT_ONCE),
    )


def storable(text: str) -> str:
    """Without half surrogates, which a device can send and SQLite cannot hold."""
    return text.encode(errors="replace").decode()
