"""What control must not forget, on a real disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from growy.config import StoreConfig
from growy.control.journal import ControlJournal
from growy.model.control import ActuatorKey, Ledger
from growy.model.errors import StoreUnavailable
from growy.store.actuators import ClaimRow, HistoryKind, HistoryRow
from growy.store.rules import ExecutionRow, RuleState
from growy.store.store import Store, open_store

PUMP = ActuatorKey("ESP_00AA01", 18)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(StoreConfig(), tmp_path / "growy") as one:
        yield one


def switched(ts_ms: int) -> HistoryRow:
    return HistoryRow(ts_ms=ts_ms, actuator=PUMP, kind=HistoryKind.SWITCH, value=1.0)


async def test_what_is_urgent_is_written_at_once_and_takes_the_rest_along(store: Store) -> None:
    journal = ControlJournal(store)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        journal.history(switched(5))
        journal.execution(ExecutionRow(id=1, rule_id="r", rule_name="Heat", ts_ms=5))
        journal.ledger(PUMP, Ledger(on_since_ms=5))
        with trio.fail_after(3):
            while not journal.statistics().writes:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()

    assert (await store.ledgers())[PUMP].on_since_ms == 5
    assert [row.ts_ms for row in await store.actuator_history(*PUMP)] == [5]
    assert (await store.executions()).total == 1


async def test_a_claim_that_is_let_go_is_forgotten(store: Store) -> None:
    journal = ControlJournal(store)
    journal.claim(ClaimRow(actuator=PUMP, holder="user:ann", claim="{}"))
    assert await journal.write()
    journal.forget_claim(PUMP, "user:ann")
    assert await journal.write()

    assert await store.claims() == []


class Refusing:
    """The store in front of a card that refuses a number of times; what it takes goes to the real one."""

    def __init__(self, store: Store, times: int) -> None:
        self._store = store
        self.left = times

    async def write_registry(self, **what: object) -> None:
        if self.left:
            self.left -= 1
            raise StoreUnavailable("the disk is full")
        await self._store.write_registry(**what)


async def test_a_disk_that_refuses_loses_nothing_and_the_newer_of_two_counts(store: Store) -> None:
    states = [RuleState(rule_id="gone", state=b"x", as_of_ms=1)]
    journal = ControlJournal(Refusing(store, 1), states=lambda: [states.pop()] if states else [])
    journal.ledger(PUMP, Ledger(on_since_ms=5))
    journal.claim(ClaimRow(actuator=PUMP, holder="user:ann", claim="{}"))
    journal.history(switched(5))
    assert not await journal.write()
    assert journal.statistics().last_error == "the disk is full"
    journal.ledger(PUMP, Ledger(off_since_ms=9))
    journal.forget_claim(PUMP, "user:ann")
    journal.history(switched(9))
    assert await journal.write()

    assert (await store.ledgers())[PUMP] == Ledger(off_since_ms=9)
    assert await store.claims() == []
    assert [row.ts_ms for row in await store.actuator_history(*PUMP)] == [9, 5]
    assert journal.statistics().last_error == ""


async def test_nothing_to_write_touches_no_disk(store: Store) -> None:
    journal = ControlJournal(Refusing(store, 1))
    assert await journal.write()
    assert journal.statistics().writes == 0
