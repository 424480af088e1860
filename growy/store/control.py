"""The half of growy.db that is control's: rules, claims, accounts, history, emergency stops, interlocks.

What one turn of control has to remember is one `ControlBatch`, and so one transaction and one forced write of the card.
Must never be asked per reading.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import apsw
import attrs

from growy.model.control import ActuatorKey, Ledger
from growy.model.errors import Invalid
from growy.store import actuators, interlocks, rules, stops
from growy.store.actuators import ClaimRow, HistoryKind, HistoryRow
from growy.store.readers import Readers
from growy.store.rules import ExecutionFilter, ExecutionPage, ExecutionRow, RuleRow, RuleState, RuleTally
from growy.store.stops import StopRow
from growy.store.usage import Usage

ALL_EXECUTIONS = ExecutionFilter()


@attrs.frozen(kw_only=True, slots=True)
class ControlBatch:
    """What is to be written together. Of each kind, what is deleted goes before what is written."""

    rules: Sequence[RuleRow] = ()
    """Inserted or replaced, but for the time at which each was made, and its tally."""
    deleted_rules: Collection[str] = ()
    """Ids. State and tally go too, history stays."""
    tallies: Mapping[str, RuleTally] = {}
    """By rule; those of rules that are gone are dropped, and so are states."""
    rule_states: Sequence[RuleState] = ()
    executions: Sequence[ExecutionRow] = ()
    """Inserted, or replaced by id; the oldest go when there are more than `control.history_rows`."""
    ledgers: Mapping[ActuatorKey, Ledger | None] = {}
    """None deletes one. So it does in all mappings below."""
    claims: Sequence[ClaimRow] = ()
    deleted_claims: Collection[tuple[ActuatorKey, str]] = ()
    """By actuator and holder."""
    history: Sequence[HistoryRow] = ()
    """Appended; the oldest go when there are more than `control.history_rows`."""
    stops: Sequence[StopRow] = ()
    """Inserted or replaced by id; of those that have ended the newest 200 are kept."""
    owed_clears: Mapping[str, str | None] = {}
    """Device -> JSON."""
    interlocks: Mapping[str, str | None] = {}
    """Id -> JSON. So are couplings."""
    couplings: Mapping[str, str | None] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return any(getattr(self, field.name) for field in attrs.fields(ControlBatch))


def write_control(db: apsw.Connection, batch: ControlBatch, history_rows: int) -> None:
    """All of it. Inside the caller's transaction.

    Args:
        history_rows: how many executions, and how many entries of the actuators' history, are kept.

    Raises:
        Duplicate: a rule has the name of another.
    """
    rules.delete_rules(db, batch.deleted_rules)
    rules.write_rules(db, batch.rules)
    rules.write_tallies(db, batch.tallies)
    rules.write_rule_states(db, batch.rule_states)
    if batch.executions:
        rules.write_executions(db, batch.executions, history_rows)
    actuators.write_ledgers(db, batch.ledgers)
    actuators.delete_claims(db, batch.deleted_claims)
    actuators.write_claims(db, batch.claims)
    if batch.history:
        actuators.write_history(db, batch.history, history_rows)
    stops.write_stops(db, batch.stops)
    stops.write_owed_clears(db, batch.owed_clears)
    interlocks.write_documents(db, "interlocks", batch.interlocks)
    interlocks.write_documents(db, "couplings", batch.couplings)


class ControlRegistry:
    """What the store knows for control. Written by `Registry.write_registry(control=...)`. Trio thread only.

    Every method raises StoreError if the disk cannot be read, and beside it what it says itself.
    """

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def rules(self) -> list[RuleRow]:
        """All rules, by priority and name."""
        return await self._readers.registry(rules.read_rules)

    async def rule_states(self) -> list[RuleState]:
        """What the engine remembers of rules; of a rule that never ran there is none."""
        return await self._readers.registry(rules.read_rule_states)

    async def executions(
        self, wanted: ExecutionFilter = ALL_EXECUTIONS, *, limit: int = 100, offset: int = 0
    ) -> ExecutionPage:
        """Executions that fit, newest first, and how many there are in all.

        Raises:
            Invalid: a limit below 1 or a negative offset.
        """
        if limit < 1 or offset < 0:
            raise Invalid("limit must be at least 1, offset at least 0")
        return await self._readers.registry(lambda db: rules.read_executions(db, wanted, limit, offset))

    async def unended_executions(self) -> list[ExecutionRow]:
        """Executions that were under way when they were last written, oldest first."""
        return await self._readers.registry(rules.read_unended_executions)

    async def last_execution_id(self) -> int:
        """The highest id of an execution, 0 if there never was one: the next one's is larger."""
        return await self._readers.registry(rules.read_last_execution_id)

    async def ledgers(self) -> dict[ActuatorKey, Ledger]:
        """The accounts of all actuators. One that cannot be read is a StoreError: limits are judged by it."""
        return await self._readers.registry(actuators.read_ledgers)

    async def claims(self) -> list[ClaimRow]:
        """Claims that were to survive a restart; whether they still live is the reader's to judge."""
        return await self._readers.registry(actuators.read_claims)

    async def actuator_history(
        self,
        esp_id: str,
        gpio: int,
        from_ms: int | None = None,
        to_ms: int | None = None,
        limit: int = 100,
        *,
        kind: HistoryKind | None = None,
    ) -> list[HistoryRow]:
        """What happened to an actuator in [from_ms, to_ms), newest first, at most `limit`.

        Raises:
            Invalid: a limit below 1.
        """
        if limit < 1:
            raise Invalid("limit must be at least 1")
        key = ActuatorKey(esp_id, gpio)
        return await self._readers.registry(
            lambda db: actuators.read_history(db, key, from_ms, to_ms, limit, kind)
        )

    async def actuator_usage(self, esp_id: str, gpio: int, from_ms: int, to_ms: int) -> Usage:
        """How long and how often an actuator ran in [from_ms, to_ms). A run that began before or goes on counts in its
        part.

        Args:
            to_ms: not later than now: so far a run that goes on is counted.

        Raises:
            Invalid: the span ends before it begins.
        """
        if to_ms < from_ms:
            raise Invalid("the span ends before it begins")
        key = ActuatorKey(esp_id, gpio)
        return await self._readers.registry(lambda db: actuators.read_usage(db, key, from_ms, to_ms))

    async def stops(self, open_only: bool = False) -> list[StopRow]:
        """Emergency stops, newest first; with `open_only` those in force. One that cannot be read is a StoreError."""
        return await self._readers.registry(lambda db: stops.read_stops(db, open_only))

    async def owed_clears(self) -> dict[str, str]:
        """Devices that have yet to hear that a stop has ended -> JSON."""
        return await self._readers.registry(stops.read_owed_clears)

    async def interlocks(self) -> dict[str, str]:
        """Id -> JSON."""
        return await self._readers.registry(lambda db: interlocks.read_documents(db, "interlocks"))

    async def couplings(self) -> dict[str, str]:
        """Id -> JSON."""
        return await self._readers.registry(lambda db: interlocks.read_documents(db, "couplings"))
