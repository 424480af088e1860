"""Emergency stops in growy.db: those in force, those that have ended, and devices that have yet to hear of an end.

A stop that cannot be read is an error, never none: a restart must not undo it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw
import attrs
import msgspec

from growy.model.control import Stop
from growy.model.errors import StoreError

ENDED_KEPT = 200
"""Stops that have ended; of those in force none is ever deleted."""


@attrs.frozen(kw_only=True, slots=True)
class StopRow:
    """One emergency stop. In force until `cleared_ms` is set."""

    stop: Stop
    cleared_ms: int | None = None
    cleared_by: str = ""
    report: str = "{}"
    """JSON: what each device has proven."""


def write_stops(db: apsw.Connection, rows: Sequence[StopRow]) -> None:
    """Insert or replace; of those that have ended only the newest are kept. Inside the caller's transaction."""
    if not rows:
        return
    db.executemany(
        "INSERT INTO stops (id, stop, since_ms, cleared_ms, cleared_by, report) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET stop = excluded.stop, since_ms = excluded.since_ms,"
        " cleared_ms = excluded.cleared_ms, cleared_by = excluded.cleared_by, report = excluded.report",
        [
            (
                row.stop.id,
                msgspec.json.encode(row.stop).decode(),
                row.stop.since_ms,
                row.cleared_ms,
                row.cleared_by,
                row.report,
            )
            for row in rows
        ],
    )
    if all(row.cleared_ms is None for row in rows):
        return  # none has ended: a new stop waits for as little as may be
    db.execute(
        "DELETE FROM stops WHERE cleared_ms IS NOT NULL AND id NOT IN"
        " (SELECT id FROM stops WHERE cleared_ms IS NOT NULL ORDER BY cleared_ms DESC, since_ms DESC, id LIMIT ?)",
        (ENDED_KEPT,),
    )


def read_stops(db: apsw.Connection, open_only: bool) -> list[StopRow]:
    """Newest first.

    Raises:
        StoreError: one cannot be read.
    """
    where = "WHERE cleared_ms IS NULL" if open_only else ""
    rows: list[StopRow] = []
    for stop_id, text, cleared_ms, cleared_by, report in db.execute(
        f"SELECT id, stop, cleared_ms, cleared_by, report FROM stops {where} ORDER BY since_ms DESC, id"
    ):
        try:
            stop = msgspec.json.decode(text, type=Stop)
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"Emergency stop {stop_id} in growy.db cannot be read: {error}",
                cure="Restore growy.db from a backup, or start the newer growyd that wrote it",
            ) from error
        rows.append(StopRow(stop=stop, cleared_ms=cleared_ms, cleared_by=cleared_by, report=report))
    return rows


def write_owed_clears(db: apsw.Connection, owed: Mapping[str, str | None]) -> None:
    """By device, insert or replace; None deletes. Inside the caller's transaction."""
    for esp_id, document in owed.items():
        if document is None:
            db.execute("DELETE FROM owed_clears WHERE esp_id = ?", (esp_id,))
        else:
            db.execute(
                "INSERT INTO owed_clears (esp_id, document) VALUES (?, ?)"
                " ON CONFLICT (esp_id) DO UPDATE SET document = excluded.document",
                (esp_id, document),
            )


def read_owed_clears(db: apsw.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT esp_id, document FROM owed_clears ORDER BY esp_id"))
