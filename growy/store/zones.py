"""Zones in growy.db: rooms, tents and beds that devices stand in. The record is JSON of whoever wrote it; the store
does not look inside."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import apsw
import attrs


@attrs.frozen(slots=True)
class ZoneRow:
    """One zone. Times are Unix ms of growyd's clock."""

    zone_id: str
    record: str
    """JSON."""
    created_ms: int
    updated_ms: int


def write_zones(db: apsw.Connection, rows: Sequence[ZoneRow]) -> None:
    """Insert or replace; a zone keeps the time at which it was made. Inside the caller's transaction."""
    db.executemany(
        "INSERT INTO zones (zone_id, record, created_ms, updated_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (zone_id) DO UPDATE SET record = excluded.record, updated_ms = excluded.updated_ms",
        [(row.zone_id, row.record, row.created_ms, row.updated_ms) for row in rows],
    )


def delete_zones(db: apsw.Connection, zone_ids: Collection[str]) -> None:
    """Those that exist. Inside the caller's transaction."""
    db.executemany("DELETE FROM zones WHERE zone_id = ?", [(zone_id,) for zone_id in zone_ids])


def read_zones(db: apsw.Connection) -> list[ZoneRow]:
    """By id."""
    return [
        ZoneRow(*row)
        for row in db.execute("SELECT zone_id, record, created_ms, updated_ms FROM zones ORDER BY zone_id")
    ]
