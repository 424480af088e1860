"""Actuators in growy.db: their accounts, the claims of people that outlive a restart, and the history of commands and
switchings.

A claim is JSON of whoever wrote it; the store does not look inside. An account that cannot be read is an error, never
an empty one: limits of run time and doses are judged by it.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import apsw
import attrs
import msgspec

from growy.model.control import ActuatorKey, Ledger
from growy.model.errors import StoreError
from growy.store.bounded import retire_oldest, storable
from growy.store.usage import Usage, used

MESSAGE_KEPT = 1000
"""Characters of a message that are kept; what a device says can be long."""


class HistoryKind(enum.StrEnum):
    COMMAND = "command"
    """A command has ended, or was refused."""
    SWITCH = "switch"
    """The output has changed."""


@attrs.frozen(kw_only=True, slots=True)
class ClaimRow:
    """A claim that must survive a restart."""

    actuator: ActuatorKey
    holder: str
    claim: str
    """JSON; its end is in Unix ms."""


@attrs.frozen(kw_only=True, slots=True)
class HistoryRow:
    """Something that happened to an actuator."""

    ts_ms: int
    actuator: ActuatorKey
    kind: HistoryKind
    command: str = ""
    value: float = 0.0
    """What was commanded, or what the output is now: 0 to 1."""
    duration_s: float | None = None
    """Of a command, what it carried. Of a switch to 0, how long it had been on: a run whose beginning is no longer kept
    is counted by it."""
    state: str = ""
    issued_by: str = ""
    code: str = ""
    message: str = ""
    correlation_id: str = ""
    id: int = 0
    """Given when it is stored; rises."""


_HISTORY = (
    "ts_ms, esp_id, gpio, kind, command, value, duration_s, state, issued_by, code, message, correlation_id"
)


def write_ledgers(db: apsw.Connection, ledgers: Mapping[ActuatorKey, Ledger | None]) -> None:
    """Insert or replace; None deletes. Inside the caller's transaction."""
    for (esp_id, gpio), ledger in ledgers.items():
        if ledger is None:
            db.execute("DELETE FROM ledgers WHERE esp_id = ? AND gpio = ?", (esp_id, gpio))
        else:
            db.execute(
                "INSERT INTO ledgers (esp_id, gpio, ledger) VALUES (?, ?, ?)"
                " ON CONFLICT (esp_id, gpio) DO UPDATE SET ledger = excluded.ledger",
                (esp_id, gpio, msgspec.json.encode(ledger).decode()),
            )


def read_ledgers(db: apsw.Connection) -> dict[ActuatorKey, Ledger]:
    """Raises StoreError: one cannot be read."""
    decode = msgspec.json.Decoder(Ledger).decode
    found: dict[ActuatorKey, Ledger] = {}
    for esp_id, gpio, text in db.execute("SELECT esp_id, gpio, ledger FROM ledgers"):
        actuator = ActuatorKey(esp_id, gpio)
        try:
            found[actuator] = decode(text)
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"The account of actuator {actuator} in growy.db cannot be read: {error}",
                cure="Restore growy.db from a backup, or start the newer growyd that wrote it",
            ) from error
    return found


def write_claims(db: apsw.Connection, rows: Sequence[ClaimRow]) -> None:
    """Insert or replace. Inside the caller's transaction."""
    db.executemany(
        "INSERT INTO claims (esp_id, gpio, holder, claim) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (esp_id, gpio, holder) DO UPDATE SET claim = excluded.claim",
        [(*row.actuator, row.holder, row.claim) for row in rows],
    )


def delete_claims(db: apsw.Connection, claims: Collection[tuple[ActuatorKey, str]]) -> None:
    """By actuator and holder, those that exist. Inside the caller's transaction."""
    db.executemany(
        "DELETE FROM claims WHERE esp_id = ? AND gpio = ? AND holder = ?",
        [(*actuator, holder) for actuator, holder in claims],
    )


def read_claims(db: apsw.Connection) -> list[ClaimRow]:
    return [
        ClaimRow(actuator=ActuatorKey(esp_id, gpio), holder=holder, claim=claim)
        for esp_id, gpio, holder, claim in db.execute("SELECT esp_id, gpio, holder, claim FROM claims")
    ]


def write_history(db: apsw.Connection, rows: Sequence[HistoryRow], keep: int) -> None:
    """Append, then delete what is older than the newest `keep` (at least 1). Inside the caller's transaction."""
    db.executemany(
        f"INSERT INTO actuator_history ({_HISTORY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row.ts_ms,
                *row.actuator,
                row.kind.value,
                row.command,
                float(row.value),
                row.duration_s,
                storable(row.state),
                storable(row.issued_by),
                storable(row.code[:MESSAGE_KEPT]),
                storable(row.message[:MESSAGE_KEPT]),
                storable(row.correlation_id),
            )
            for row in rows
        ],
    )
    retire_oldest(db, "actuator_history", keep, len(rows))


def read_history(
    db: apsw.Connection,
    actuator: ActuatorKey,
    from_ms: int | None,
    to_ms: int | None,
    limit: int,
    kind: HistoryKind | None,
) -> list[HistoryRow]:
    """At most `limit` of [from_ms, to_ms), newest first."""
    named = (("ts_ms >= ?", from_ms), ("ts_ms < ?", to_ms), ("kind = ?", kind))
    also = "".join(f" AND {condition}" for condition, value in named if value is not None)
    values = tuple(value for _, value in named if value is not None)
    return [
        _history(row)
        for row in db.execute(
            f"SELECT id, {_HISTORY} FROM actuator_history WHERE esp_id = ? AND gpio = ?{also}"
            " ORDER BY ts_ms DESC, id DESC LIMIT ?",
            (*actuator, *values, limit),
        )
    ]


def read_usage(db: apsw.Connection, actuator: ActuatorKey, from_ms: int, to_ms: int) -> Usage:
    """What [from_ms, to_ms) saw of the actuator's runs. One snapshot."""
    of_it = "FROM actuator_history WHERE esp_id = ? AND gpio = ? AND kind = 'switch'"
    with db:
        before = db.execute(
            f"SELECT value > 0 {of_it} AND ts_ms < ? ORDER BY ts_ms DESC, id DESC LIMIT 1",
            (*actuator, from_ms),
        ).fetchone()
        within: list[tuple[Any, ...]] = db.execute(
            f"SELECT ts_ms, value > 0, duration_s {of_it} AND ts_ms >= ? AND ts_ms < ? ORDER BY ts_ms, id",
            (*actuator, from_ms, to_ms),
        ).fetchall()
    return used(
        [(ts_ms, bool(on), duration_s) for ts_ms, on, duration_s in within],
        from_ms,
        to_ms,
        on_before=None if before is None else bool(before[0]),
    )


def _history(row: tuple[Any, ...]) -> HistoryRow:
    """One row of `id` and `_HISTORY`."""
    said = dict(zip(("id", *_HISTORY.split(", ")), row, strict=True))
    actuator = ActuatorKey(said.pop("esp_id"), said.pop("gpio"))
    return HistoryRow(actuator=actuator, kind=HistoryKind(said.pop("kind")), **said)
