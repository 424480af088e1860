"""What rules remember is on disk only together with the readings that it contains."""

from __future__ import annotations

from pathlib import Path

import trio

from growy.config import StoreConfig
from growy.control.journal import ControlJournal
from growy.control.rule_pages import MAX_EXECUTIONS, STATES_S, Page, RulePages
from growy.model.control import ActuatorKey, Ledger
from growy.store.control import ControlBatch
from growy.store.rules import ExecutionRow, RuleRow, RuleState, RuleTally
from growy.store.store import open_store


class Engine:
    """Gives out what has changed since it was asked last."""

    def __init__(self) -> None:
        self.changed: dict[str, bytes] = {}
        self.asked = 0

    def states(self) -> list[RuleState]:
        self.asked += 1
        taken, self.changed = self.changed, {}
        return [RuleState(rule_id=one, state=state, as_of_ms=0) for one, state in taken.items()]


def ran(number: int, success: bool | None = None) -> ExecutionRow:
    return ExecutionRow(id=number, rule_id="r", rule_name="Rule", ts_ms=0, success=success)


def remembering(pages: RulePages, engine: Engine, state: bytes) -> None:
    engine.changed["r"] = state
    pages.changed()


def states(page: Page) -> dict[str, bytes]:
    return {rule_id: one.state for rule_id, one in page.states.items()}


def test_what_contains_no_reading_is_written_at_once():
    engine = Engine()
    pages = RulePages(engine.states)
    remembering(pages, engine, b"1")
    assert states(pages.take(0.0)) == {"r": b"1"}
    assert not pages.take(0.1)


def test_a_memory_waits_for_the_readings_that_it_contains():
    engine = Engine()
    pages = RulePages(engine.states)
    pages.heard(3)
    remembering(pages, engine, b"1")
    pages.execution(ran(1))
    assert not pages.take(0.0)
    assert not pages.committed(2)
    assert not pages.take(0.1)
    assert pages.committed(1)
    page = pages.take(0.2)
    assert (states(page), list(page.executions)) == ({"r": b"1"}, [1])


def test_what_comes_later_waits_for_the_next_page_though_its_readings_never_cease():
    engine = Engine()
    pages = RulePages(engine.states)
    pages.heard(1)
    remembering(pages, engine, b"1")
    pages.execution(ran(1))
    assert not pages.take(0.0)
    pages.heard(1)
    remembering(pages, engine, b"2")
    pages.execution(ran(1, success=True))
    pages.tally("r", RuleTally(execution_count=1))
    assert not pages.take(0.1)
    assert engine.asked == 1

    assert pages.committed(1)
    page = pages.take(0.2)
    assert (states(page), page.executions[1].success, page.tallies) == ({"r": b"1"}, None, {})
    pages.heard(1)
    assert not pages.take(0.3)
    assert pages.committed(1)
    page = pages.take(0.4)
    assert (states(page), page.executions[1].success) == ({"r": b"2"}, True)
    assert page.tallies["r"].execution_count == 1


def test_when_all_is_committed_all_is_written():
    engine = Engine()
    pages = RulePages(engine.states)
    pages.heard(1)
    remembering(pages, engine, b"1")
    pages.take(0.0)
    remembering(pages, engine, b"2")
    pages.execution(ran(1))
    pages.committed(1)
    page = pages.take(0.1)
    assert (states(page), list(page.executions)) == ({"r": b"2"}, [1])


def test_a_commit_that_nothing_waits_for_is_no_news():
    engine = Engine()
    pages = RulePages(engine.states)
    pages.heard(2)
    assert not pages.committed(1)
    remembering(pages, engine, b"1")
    assert not pages.take(0.0)
    assert pages.committed(1)
    assert not pages.committed(0)


def test_an_execution_takes_the_memories_of_its_moment_along():
    engine = Engine()
    pages = RulePages(engine.states)
    pages.take(0.0)
    engine.changed["r"] = b"1"
    assert not pages.take(1.0)
    pages.execution(ran(1))
    page = pages.take(2.0)
    assert (states(page), list(page.executions)) == ({"r": b"1"}, [1])


def test_what_readings_bring_back_is_written_now_and_then():
    engine = Engine()
    pages = RulePages(engine.states)
    pages.take(0.0)
    engine.changed["r"] = b"1"
    assert not pages.take(STATES_S - 1.0)
    assert states(pages.take(STATES_S)) == {"r": b"1"}


def test_what_the_disk_refuses_is_written_later_under_what_is_newer():
    engine = Engine()
    pages = RulePages(engine.states)
    remembering(pages, engine, b"1")
    pages.execution(ran(1))
    pages.execution(ran(2))
    refused = pages.take(0.0)
    pages.put_back(refused)
    assert pages.waiting == 2
    pages.heard(1)
    remembering(pages, engine, b"2")
    pages.execution(ran(2, success=True))
    # The newer memory waits for its reading, the older has nothing to wait for.
    page = pages.take(1.0)
    assert (states(page), page.executions[2].success) == ({"r": b"1"}, None)
    pages.put_back(page)
    pages.committed(1)
    page = pages.take(2.0)
    assert (states(page), page.executions[1].success, page.executions[2].success) == ({"r": b"2"}, None, True)
    assert pages.waiting == 0


def test_executions_that_wait_for_ever_are_given_up_the_oldest_first():
    pages = RulePages(Engine().states)
    for number in range(MAX_EXECUTIONS + 5):
        pages.execution(ran(number))
    assert (pages.waiting, pages.dropped) == (MAX_EXECUTIONS, 5)
    page = pages.take(0.0)
    assert next(iter(page.executions)) == 5
    for number in range(7):
        pages.execution(ran(10_000 + number))
    pages.put_back(page)
    pages.put_back(pages.take(1.0))
    assert (pages.waiting, pages.dropped) == (MAX_EXECUTIONS, 12)


async def test_the_journal_writes_a_memory_as_soon_as_its_readings_are_committed(tmp_path: Path):
    engine = Engine()
    async with open_store(StoreConfig(), tmp_path / "growy") as store, trio.open_nursery() as nursery:
        row = RuleRow(id="r", name="Rule", document="{}")
        await store.write_registry(control=ControlBatch(rules=[row]))
        journal = ControlJournal(store, states=engine.states)
        await nursery.start(journal.run)
        journal.heard(2)
        engine.changed["r"] = b"1"
        journal.states_changed()
        journal.execution(ran(1))
        journal.ledger(ActuatorKey("ESP_00AA01", 18), Ledger(day="2026-06-01"))
        with trio.fail_after(3):
            while not await store.ledgers():
                await trio.sleep(0.01)
        assert (await store.rule_states(), (await store.executions()).total) == ([], 0)

        journal.committed(2)
        with trio.fail_after(3):
            while not await store.rule_states():
                await trio.sleep(0.01)
        assert (await store.executions()).total == 1
        nursery.cancel_scope.cancel()
