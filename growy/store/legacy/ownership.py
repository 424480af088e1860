"""What the tables of the God/Kaiser extension hold for devices of the old server. Pure: writes nothing.

Every device that the old readings name belongs to god, unless the old database already says whose it is; and there is a
default Kaiser. Applied with OR IGNORE by whoever has these tables: what they hold already wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import attrs

from growy.store.legacy.instants import Cell, moments
from growy.store.legacy.source import LegacySource
from growy.wire.topics import is_esp_id

GOD, REASON = "god", "migration_from_legacy"
KAISER_COLUMNS = (
    *("kaiser_id", "god_id", "kaiser_name", "esp_devices", "status"),
    *("last_heartbeat", "created_at", "updated_at"),
)
OWNER_COLUMNS = (
    *("esp_id", "current_owner", "previous_owner", "transfer_timestamp"),
    *("transfer_reason", "created_at"),
)
COUNTED = ("kaiser_registry", "esp_ownership", "command_chains", "performance_stats")


@attrs.frozen(slots=True)
class OwnerRow:
    """A row of `esp_ownership`. Times are Unix ms."""

    esp_id: str
    current_owner: str
    previous_owner: str | None
    transfer_ms: int | None
    transfer_reason: str
    created_ms: int


@attrs.frozen(slots=True)
class KaiserRow:
    """A row of `kaiser_registry`. Times are Unix ms."""

    kaiser_id: str
    god_id: str
    kaiser_name: str
    esp_devices: str
    """JSON list of esp_ids."""
    status: str
    last_heartbeat_ms: int | None
    created_ms: int


@attrs.frozen(slots=True)
class LegacyHierarchy:
    """Rows to be added where there are none of the same id."""

    kaisers: tuple[KaiserRow, ...]
    owners: tuple[OwnerRow, ...]


def ownership_of_legacy(
    esp_ids: Iterable[str],
    now_ms: int,
    *,
    kaisers: Iterable[Mapping[str, Cell]] = (),
    owners: Iterable[Mapping[str, Cell]] = (),
) -> LegacyHierarchy:
    """The rows there would be.

    Args:
        esp_ids: the devices of the old readings, each valid; in any order, repeated or not.
        now_ms: when the migration runs.
        kaisers: rows of the old `kaiser_registry`, if there was one.
        owners: rows of the old `esp_ownership`, if there was one. Those that name no owner or no device say nothing.
    """
    owned = {
        str(row["esp_id"]): row
        for row in owners
        if is_esp_id(str(row.get("esp_id"))) and row.get("current_owner")
    }
    of_kaisers = {str(row["kaiser_id"]): _kaiser(row, now_ms) for row in kaisers if row.get("kaiser_id")}
    default = KaiserRow("default_kaiser", "god_pi_central", "Default Kaiser", "[]", "online", None, now_ms)
    of_kaisers.setdefault(default.kaiser_id, default)
    every = sorted(owned.keys() | set(esp_ids))
    return LegacyHierarchy(
        kaisers=tuple(of_kaisers.values()),
        owners=tuple(
            _owner(owned[esp_id], now_ms)
            if esp_id in owned
            else OwnerRow(esp_id, GOD, None, now_ms, REASON, now_ms)
            for esp_id in every
        ),
    )


def read_hierarchy(source: LegacySource, esp_ids: Iterable[str], now_ms: int) -> LegacyHierarchy:
    """The same, with what the old database says of kaisers and owners."""
    return ownership_of_legacy(
        esp_ids,
        now_ms,
        kaisers=source.table("kaiser_registry", KAISER_COLUMNS) or (),
        owners=source.table("esp_ownership", OWNER_COLUMNS) or (),
    )


def extension_rows(source: LegacySource) -> dict[str, int]:
    """How many rows the old database has in each table of the extension; only those that are there."""
    counts = {name: source.count(name) for name in COUNTED}
    return {name: count for name, count in counts.items() if count is not None}


def _kaiser(row: Mapping[str, Cell], now_ms: int) -> KaiserRow:
    return KaiserRow(
        kaiser_id=str(row["kaiser_id"]),
        god_id=_text(row, "god_id", "god_pi_central"),
        kaiser_name=_text(row, "kaiser_name", str(row["kaiser_id"])),
        esp_devices=_text(row, "esp_devices", "[]"),
        status=_text(row, "status", "offline"),
        last_heartbeat_ms=_ms(row, "last_heartbeat"),
        created_ms=_ms(row, "created_at") or now_ms,
    )


def _owner(row: Mapping[str, Cell], now_ms: int) -> OwnerRow:
    before = row.get("previous_owner")
    return OwnerRow(
        esp_id=str(row["esp_id"]),
        current_owner=str(row["current_owner"]),
        previous_owner=None if before is None else str(before),
        transfer_ms=_ms(row, "transfer_timestamp"),
        transfer_reason=_text(row, "transfer_reason", REASON),
        created_ms=_ms(row, "created_at") or now_ms,
    )


def _text(row: Mapping[str, Cell], name: str, otherwise: str) -> str:
    cell = row.get(name)
    return otherwise if cell is None else str(cell)


def _ms(row: Mapping[str, Cell], name: str) -> int | None:
    ms = moments([row.get(name)])[0][0]
    return None if math.isnan(ms) else int(ms)
