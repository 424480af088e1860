"""The audit trail in growy.db: what happened, newest last. Append only, and bounded: the oldest rows go first.

No index beside the row's id: the table is small by its bound (20,000 rows: some 4 MB, read through in a few
milliseconds), and an index would add a page to every forced write of the card. Freed pages are used again, so the file
keeps its size without VACUUM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import attrs
import msgspec

from growy.model.audit import AuditEntry, AuditSeverity
from growy.store.bounded import retire_oldest, storable

DETAILS_KEPT = 4096
"""Characters of the details' JSON that are kept: a device's longest report."""
_FIELDS = tuple(field.name for field in attrs.fields(AuditEntry))
_COLUMNS = ", ".join(_FIELDS)


@attrs.frozen(kw_only=True, slots=True)
class AuditFilter:
    """Which entries are asked for; what is not set lets everything through."""

    event_types: tuple[str, ...] = ()
    at_least: AuditSeverity = AuditSeverity.INFO
    source_type: str | None = None
    source_id: str | None = None
    correlation_id: str | None = None
    error_code: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    """Not included."""
    before_id: int | None = None
    """Only entries older than this one: a list read in this way does not shift while entries are added."""


@attrs.frozen(slots=True)
class AuditRow:
    """An entry as it is stored. Ids rise in the order of storing."""

    id: int
    entry: AuditEntry


@attrs.frozen(slots=True)
class AuditPage:
    rows: tuple[AuditRow, ...]
    """Newest first."""
    total: int
    """How many fit the filter in all."""


def write_audit(db: apsw.Connection, entries: Sequence[AuditEntry], keep: int) -> None:
    """Append, then delete what is older than the newest `keep` (at least 1). Inside the caller's transaction."""
    db.executemany(
        f"INSERT INTO audit ({_COLUMNS}) VALUES ({', '.join('?' * len(_FIELDS))})",
        [
            (
                entry.ts_ms,
                storable(entry.event_type),
                entry.severity.rank,
                entry.source_type.value,
                storable(entry.source_id),
                storable(entry.status),
                storable(entry.message),
                _details(entry),
                storable(entry.error_code),
                storable(entry.correlation_id),
                entry.repeats,
            )
            for entry in entries
        ],
    )
    retire_oldest(db, "audit", keep, len(entries))


def read_audit(db: apsw.Connection, wanted: AuditFilter, limit: int, offset: int) -> AuditPage:
    """At most `limit` entries, newest first, after the first `offset`; and how many there are. One snapshot."""
    conditions, values = _conditions(wanted)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    with db:
        total = int(db.execute(f"SELECT count(*) FROM audit {where}", values).get)
        found = db.execute(
            f"SELECT id, {_COLUMNS} FROM audit {where} ORDER BY id DESC LIMIT ? OFFSET ?",
            (*values, limit, offset),
        ).fetchall()
    return AuditPage(tuple(_row(row) for row in found), total)


def read_audit_after(db: apsw.Connection, after_id: int, limit: int) -> list[AuditRow]:
    """The entries after that one, oldest first."""
    found = db.execute(
        f"SELECT id, {_COLUMNS} FROM audit WHERE id > ? ORDER BY id LIMIT ?", (after_id, limit)
    )
    return [_row(row) for row in found]


def read_event_types(db: apsw.Connection) -> dict[str, int]:
    """Kinds of event in the table, and how often: repeats counted."""
    return dict(
        db.execute("SELECT event_type, sum(repeats) FROM audit GROUP BY event_type ORDER BY event_type")
    )


def _details(entry: AuditEntry) -> str:
    """JSON of the details. What has no JSON form, or is too long, is kept as the beginning of a text: the entry itself
    must never be lost for it."""
    try:
        text = msgspec.json.encode(entry.details).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        text = ""
    if not text or len(text) > DETAILS_KEPT:
        beginning = storable(text or repr(dict(entry.details)))[: DETAILS_KEPT // 4]
        text = msgspec.json.encode({"cut": beginning}).decode()
    return text


def _conditions(wanted: AuditFilter) -> tuple[list[str], tuple[str | int, ...]]:
    conditions: list[str] = []
    values: list[str | int] = []
    for condition, value in (
        ("source_type = ?", wanted.source_type),
        ("source_id = ?", wanted.source_id),
        ("correlation_id = ?", wanted.correlation_id),
        ("error_code = ?", wanted.error_code),
        ("ts_ms >= ?", wanted.since_ms),
        ("ts_ms < ?", wanted.until_ms),
        ("id < ?", wanted.before_id),
        ("severity >= ?", wanted.at_least.rank or None),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(storable(value) if isinstance(value, str) else value)
    if wanted.event_types:
        conditions.append(f"event_type IN ({', '.join('?' * len(wanted.event_types))})")
        values += map(storable, wanted.event_types)
    return conditions, tuple(values)


def _row(row: tuple[Any, ...]) -> AuditRow:
    """One row of `id` and `_COLUMNS`, which are AuditEntry's fields."""
    said = dict(zip(_FIELDS, row[1:], strict=True))
    said["severity"] = AuditSeverity.of_rank(said["severity"])
    said["details"] = msgspec.json.decode(said["details"])
    return AuditRow(row[0], AuditEntry(**said))
