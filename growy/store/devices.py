"""Journal of devices in growy.db: what the fleet knew about each ESP32, so that a restart begins where it
ended.

The record is the fleet's own JSON; the store does not look inside. Written in batches, rarely, never per
heartbeat."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import attrs


@attrs.frozen(slots=True)
class DeviceRow:
    """One device. Times are Unix ms of growyd's clock."""

    esp_id: str
    record: str
    """JSON of the fleet: what the device says of itself."""
    first_seen_ms: int
    last_seen_ms: int
    setup: str | None = None
    """JSON of the fleet: what people decided and set up. Written: None leaves it as it is; read: None was never
    written."""


def write_devices(db: apsw.Connection, rows: Sequence[DeviceRow]) -> None:
    """Insert or replace, keeping the earliest first and the latest last sight. Inside the caller's
    transaction."""
    db.executemany(
        "INSERT INTO devices (esp_id, record, first_seen, last_seen) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (esp_id) DO UPDATE SET record = excluded.record,"
        " first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)",
        [(row.esp_id, row.record, row.first_seen_ms, row.last_seen_ms) for row in rows],
    )
    db.executemany(
        "INSERT INTO device_setups (esp_id, setup) VALUES (?, ?)"
        " ON CONFLICT (esp_id) DO UPDATE SET setup = excluded.setup",
        [(row.esp_id, row.setup) for row in rows if row.setup is not None],
    )


def read_devices(db: apsw.Connection) -> list[DeviceRow]:
    return [
        DeviceRow(*row)
        for row in db.execute(
            "SELECT esp_id, record, first_seen, last_seen, setup FROM devices LEFT JOIN device_setups USING (esp_id)"
            " ORDER BY esp_id"
        )
    ]
