"""Rules in growy.db: what people wrote, how often each has run, what the engine must not forget over a restart, and the
history of executions.

Documents and states are those of whoever wrote them; the store does not look inside. The state of a rule never
outlives the rule.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import apsw
import attrs

from growy.model.errors import Duplicate
from growy.store.bounded import retire_oldest, storable

ERROR_KEPT = 1000
"""Characters of an execution's error that are kept."""
_EXECUTION = "id, rule_id, rule_name, ts_ms, success, trigger, actions, error, duration_ms, correlation_id"


@attrs.frozen(kw_only=True, slots=True)
class RuleTally:
    """How often a rule was executed, and how the last time ended."""

    execution_count: int = 0
    last_triggered_ms: int | None = None
    last_success: bool | None = None


@attrs.frozen(kw_only=True, slots=True)
class RuleRow:
    """One rule. Times are Unix ms of growyd's clock."""

    id: str
    name: str
    """No two rules have the same."""
    document: str
    """JSON, as it was accepted."""
    enabled: bool = True
    priority: int = 50
    created_ms: int = 0
    updated_ms: int = 0
    tally: RuleTally = RuleTally()
    """As read. Writing a rule leaves its tally as it is; that is written by itself."""


@attrs.frozen(kw_only=True, slots=True)
class RuleState:
    """What the engine remembers of a rule: latches, timers, place in a sequence."""

    rule_id: str
    state: bytes
    as_of_ms: int
    """Readings received until then, Unix ms, are contained in it."""


@attrs.frozen(kw_only=True, slots=True)
class ExecutionRow:
    """One execution of a rule. Written when it begins, and again when it has ended."""

    id: int
    """Given by the engine, each one more than the last; `last_execution_id` says from where."""
    rule_id: str
    rule_name: str
    """As it was called then: the history outlives the rule."""
    ts_ms: int
    success: bool | None = None
    """None: under way."""
    trigger: str = "{}"
    """JSON: what made it run."""
    actions: str = "[]"
    """JSON: what became of each action."""
    error: str = ""
    duration_ms: int | None = None
    correlation_id: str = ""


@attrs.frozen(kw_only=True, slots=True)
class ExecutionFilter:
    """Which executions are asked for; what is not set lets everything through."""

    rule_id: str | None = None
    success: bool | None = None
    """With it, those that are under way are left out."""
    from_ms: int | None = None
    to_ms: int | None = None
    """Not included."""


@attrs.frozen(slots=True)
class ExecutionPage:
    rows: tuple[ExecutionRow, ...]
    """Newest first."""
    total: int
    """How many fit the filter in all."""
    ended: int
    """How many of those are not under way."""
    succeeded: int


def write_rules(db: apsw.Connection, rows: Sequence[RuleRow]) -> None:
    """Insert or replace; a rule keeps the time at which it was made. Inside the caller's transaction.

    Raises:
        Duplicate: another rule has the name.
    """
    for row in rows:
        try:
            db.execute(
                "INSERT INTO rules (id, name, document, enabled, priority, created_ms, updated_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET name = excluded.name, document = excluded.document,"
                " enabled = excluded.enabled, priority = excluded.priority, updated_ms = excluded.updated_ms",
                (row.id, row.name, row.document, row.enabled, row.priority, row.created_ms, row.updated_ms),
            )
        except apsw.ConstraintError as error:
            raise Duplicate(
                f"There is a rule called {row.name!r} already",
                cure="Choose another name, or change that rule",
            ) from error


def delete_rules(db: apsw.Connection, rule_ids: Collection[str]) -> None:
    """Those that exist, with state and tally; what they did stays in the history. Inside the caller's transaction."""
    named = [(rule_id,) for rule_id in rule_ids]
    db.executemany("DELETE FROM rules WHERE id = ?", named)
    db.executemany("DELETE FROM rule_tallies WHERE rule_id = ?", named)
    db.executemany("DELETE FROM rule_states WHERE rule_id = ?", named)


def write_tallies(db: apsw.Connection, tallies: Mapping[str, RuleTally]) -> None:
    """Insert or replace, by rule; those of rules that are gone are dropped. Inside the caller's transaction."""
    db.executemany(
        "INSERT INTO rule_tallies (rule_id, execution_count, last_triggered_ms, last_success)"
        " SELECT id, ?, ?, ? FROM rules WHERE id = ?"
        " ON CONFLICT (rule_id) DO UPDATE SET execution_count = excluded.execution_count,"
        " last_triggered_ms = excluded.last_triggered_ms, last_success = excluded.last_success",
        [
            (tally.execution_count, tally.last_triggered_ms, tally.last_success, rule_id)
            for rule_id, tally in tallies.items()
        ],
    )


def write_rule_states(db: apsw.Connection, states: Sequence[RuleState]) -> None:
    """Insert or replace; those of rules that are gone are dropped. Inside the caller's transaction."""
    db.executemany(
        "INSERT INTO rule_states (rule_id, state, as_of_ms) SELECT id, ?, ? FROM rules WHERE id = ?"
        " ON CONFLICT (rule_id) DO UPDATE SET state = excluded.state, as_of_ms = excluded.as_of_ms",
        [(one.state, one.as_of_ms, one.rule_id) for one in states],
    )


def read_rules(db: apsw.Connection) -> list[RuleRow]:
    """By priority, then name."""
    return [
        RuleRow(
            id=rule_id,
            name=name,
            document=document,
            enabled=bool(enabled),
            priority=priority,
            created_ms=created_ms,
            updated_ms=updated_ms,
            tally=RuleTally(
                execution_count=count or 0, last_triggered_ms=last_ms, last_success=_truth(last_success)
            ),
        )
        for rule_id, name, document, enabled, priority, created_ms, updated_ms, count, last_ms, last_success in (
            db.execute(
                "SELECT id, name, document, enabled, priority, created_ms, updated_ms,"
                " execution_count, last_triggered_ms, last_success"
                " FROM rules LEFT JOIN rule_tallies ON rule_id = id ORDER BY priority, name"
            )
        )
    ]


def read_rule_states(db: apsw.Connection) -> list[RuleState]:
    return [
        RuleState(rule_id=rule_id, state=state, as_of_ms=as_of_ms)
        for rule_id, state, as_of_ms in db.execute("SELECT rule_id, state, as_of_ms FROM rule_states")
    ]


def write_executions(db: apsw.Connection, rows: Sequence[ExecutionRow], keep: int) -> None:
    """Insert, or replace those that have gone on; then delete what is older than the newest `keep` (at least 1). Inside
    the caller's transaction."""
    db.executemany(
        f"INSERT OR REPLACE INTO rule_executions ({_EXECUTION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row.id,
                row.rule_id,
                row.rule_name,
                row.ts_ms,
                row.success,
                row.trigger,
                row.actions,
                storable(row.error[:ERROR_KEPT]),
                row.duration_ms,
                row.correlation_id,
            )
            for row in rows
        ],
    )
    retire_oldest(db, "rule_executions", keep, len(rows))


def read_executions(db: apsw.Connection, wanted: ExecutionFilter, limit: int, offset: int) -> ExecutionPage:
    """At most `limit` executions, newest first, after the first `offset`; and how many there are. One snapshot.

    There is no index but the id, for the reasons that the audit trail has none.
    """
    named = (
        ("rule_id = ?", wanted.rule_id),
        ("success = ?", wanted.success),
        ("ts_ms >= ?", wanted.from_ms),
        ("ts_ms < ?", wanted.to_ms),
    )
    where = " AND ".join(condition for condition, value in named if value is not None)
    where = f"WHERE {where}" if where else ""
    values = tuple(value for _, value in named if value is not None)
    with db:
        total, ended, succeeded = db.execute(
            f"SELECT count(*), count(success), coalesce(sum(success), 0) FROM rule_executions {where}", values
        ).get
        found = db.execute(
            f"SELECT {_EXECUTION} FROM rule_executions {where} ORDER BY id DESC LIMIT ? OFFSET ?",
            (*values, limit, offset),
        ).fetchall()
    return ExecutionPage(tuple(_execution(row) for row in found), total, ended, succeeded)


def read_unended_executions(db: apsw.Connection) -> list[ExecutionRow]:
    """Those that are under way, or were when growyd ended; oldest first."""
    return [
        _execution(row)
        for row in db.execute(f"SELECT {_EXECUTION} FROM rule_executions WHERE success IS NULL ORDER BY id")
    ]


def read_last_execution_id(db: apsw.Connection) -> int:
    """0 if there never was one."""
    return int(db.execute("SELECT coalesce(max(id), 0) FROM rule_executions").get)


def _execution(row: tuple[Any, ...]) -> ExecutionRow:
    """One row of `_EXECUTION`, which are ExecutionRow's fields in their order."""
    said = dict(zip(_EXECUTION.split(", "), row, strict=True))
    said["success"] = _truth(said["success"])
    return ExecutionRow(**said)


def _truth(stored: object) -> bool | None:
    return None if stored is None else bool(stored)
