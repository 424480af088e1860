"""Rules in growy.db: what was written comes back, what belongs to a rule goes with it, and the history stays small."""

from __future__ import annotations

import attrs
import pytest

from growy.model.errors import Duplicate, Invalid
from growy.store import (
    ControlBatch,
    ExecutionFilter,
    ExecutionRow,
    RuleRow,
    RuleState,
    RuleTally,
    Store,
)
from growy.store.bounded import RETIRED_AT_ONCE
from growy.store.rules import ERROR_KEPT

T0 = 1_767_225_600_000
HEATER = RuleRow(
    id="r-heater",
    name="Heater",
    document='{"name":"Heater","conditions":[{"type":"hysteresis"}],"unknown":"°C"}',
    enabled=True,
    priority=20,
    created_ms=T0,
    updated_ms=T0,
)
VENT = RuleRow(
    id="r-vent", name="Vent", document="{}", enabled=False, priority=80, created_ms=T0, updated_ms=T0
)


def execution(number: int, **changes: object) -> ExecutionRow:
    row = ExecutionRow(id=number, rule_id="r-heater", rule_name="Heater", ts_ms=T0 + number, success=True)
    return attrs.evolve(row, **changes)


async def write(store: Store, **what: object) -> None:
    await store.write_registry(control=ControlBatch(**what))


async def ids(store: Store, limit: int = 100, offset: int = 0, **wanted: object) -> list[int]:
    page = await store.executions(ExecutionFilter(**wanted), limit=limit, offset=offset)
    return [row.id for row in page.rows]


async def test_rules_come_back_as_they_were_accepted_by_priority(opener) -> None:
    async with opener() as store:
        await write(store, rules=[VENT, HEATER])
    async with opener() as store:
        assert await store.rules() == [HEATER, VENT]


async def test_a_rule_that_is_changed_keeps_its_first_day_and_its_tally(store: Store) -> None:
    tally = RuleTally(execution_count=3, last_triggered_ms=T0 + 5, last_success=False)
    await write(store, rules=[HEATER], tallies={"r-heater": tally})
    changed = attrs.evolve(
        HEATER, name="Oven", document="{}", enabled=False, created_ms=T0 + 9, updated_ms=T0 + 9
    )
    await write(store, rules=[changed])

    assert await store.rules() == [attrs.evolve(changed, created_ms=T0, tally=tally)]


async def test_a_tally_is_written_without_its_rule(store: Store) -> None:
    await write(store, rules=[HEATER])
    assert (await store.rules())[0].tally == RuleTally()
    for count in (1, 2):
        tally = RuleTally(execution_count=count, last_triggered_ms=T0 + count, last_success=count == 2)
        await write(store, tallies={"r-heater": tally})
        assert (await store.rules())[0].tally == tally


async def test_a_second_rule_of_the_same_name_is_refused_and_nothing_of_the_write_is_there(
    store: Store,
) -> None:
    await write(store, rules=[HEATER])
    with pytest.raises(Duplicate, match="'Heater'"):
        await write(store, rules=[VENT, attrs.evolve(VENT, id="other", name="Heater")])

    assert await store.rules() == [HEATER]


async def test_a_name_is_free_again_in_the_write_that_deletes_its_rule(store: Store) -> None:
    await write(store, rules=[HEATER])
    heir = attrs.evolve(HEATER, id="heir")
    await write(store, rules=[heir], deleted_rules=["r-heater"])

    assert await store.rules() == [heir]


async def test_a_state_is_replaced_and_goes_with_its_rule(opener) -> None:
    async with opener() as store:
        await write(
            store, rules=[HEATER, VENT], rule_states=[RuleState(rule_id="r-vent", state=b"v", as_of_ms=T0)]
        )
        for state in (b"\x00first", b"\x00second"):
            await write(
                store, rule_states=[RuleState(rule_id="r-heater", state=state, as_of_ms=T0 + len(state))]
            )
    async with opener() as store:
        assert {one.rule_id: one for one in await store.rule_states()} == {
            "r-heater": RuleState(rule_id="r-heater", state=b"\x00second", as_of_ms=T0 + 7),
            "r-vent": RuleState(rule_id="r-vent", state=b"v", as_of_ms=T0),
        }
        await write(store, deleted_rules=["r-heater", "never was"])
        assert [one.rule_id for one in await store.rule_states()] == ["r-vent"]


async def test_a_rule_that_was_deleted_gets_no_state_and_no_tally_from_a_late_write(store: Store) -> None:
    await write(store, rules=[HEATER], tallies={"r-heater": RuleTally(execution_count=9)})
    await write(store, deleted_rules=["r-heater"])
    await write(
        store,
        rule_states=[RuleState(rule_id="r-heater", state=b"late", as_of_ms=T0)],
        tallies={"r-heater": RuleTally(execution_count=10)},
    )
    assert await store.rule_states() == []
    await write(store, rules=[HEATER])

    assert await store.rules() == [HEATER]


async def test_an_execution_is_written_when_it_begins_and_again_when_it_has_ended(opener) -> None:
    begun = execution(1, success=None, trigger='{"esp_id":"ESP_1"}', correlation_id="c1")
    ended = attrs.evolve(
        begun, success=False, actions='[{"state":"rejected"}]', error="interlock", duration_ms=250
    )
    async with opener() as store:
        await write(store, executions=[begun])
        assert await store.unended_executions() == [begun]
    async with opener() as store:
        assert await store.unended_executions() == [begun]
        await write(store, executions=[ended])
        assert await store.unended_executions() == []
        assert (await store.executions()).rows == (ended,)


async def test_the_next_execution_s_number_is_known_after_a_restart(opener) -> None:
    async with opener() as store:
        assert await store.last_execution_id() == 0
        await write(store, executions=[execution(7), execution(8)])
    async with opener() as store:
        assert await store.last_execution_id() == 8


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"rule_id": "r-vent"}, [4, 2]),
        ({"success": True}, [3, 1]),
        ({"success": False}, [4, 2]),
        ({"from_ms": T0 + 2, "to_ms": T0 + 4}, [3, 2]),
        ({"rule_id": "r-vent", "success": False, "from_ms": T0 + 3}, [4]),
        ({"rule_id": "r' OR 1 --"}, []),
    ],
)
async def test_executions_are_found_by_rule_success_and_time(
    store: Store, wanted: dict[str, object], found: list[int]
) -> None:
    await write(
        store,
        executions=[
            execution(1),
            execution(2, rule_id="r-vent", success=False),
            execution(3),
            execution(4, rule_id="r-vent", success=False),
            execution(5, success=None),
        ],
    )

    assert await ids(store, **wanted) == found
    assert (await store.executions(ExecutionFilter(**wanted), limit=1)).total == len(found)


async def test_a_page_tells_how_many_have_succeeded(store: Store) -> None:
    empty = await store.executions()
    assert (empty.rows, empty.total, empty.ended, empty.succeeded) == ((), 0, 0, 0)
    await write(store, executions=[execution(1), execution(2, success=False), execution(3, success=None)])

    page = await store.executions(limit=1)
    assert (page.total, page.ended, page.succeeded) == (3, 2, 1)


async def test_executions_are_read_page_by_page(store: Store) -> None:
    await write(store, executions=[execution(number) for number in range(1, 11)])

    assert await ids(store, limit=4) == [10, 9, 8, 7]
    assert await ids(store, limit=4, offset=8) == [2, 1]
    with pytest.raises(Invalid):
        await store.executions(limit=0)
    with pytest.raises(Invalid):
        await store.executions(offset=-1)


async def test_the_oldest_executions_go_and_one_that_went_does_not_come_back(opener) -> None:
    async with opener(history_rows=100) as store:
        for start in range(1, 261, 20):
            await write(store, executions=[execution(number) for number in range(start, start + 20)])
        assert await ids(store, limit=1000) == list(range(260, 160, -1))

        await write(store, executions=[execution(5)])  # it had been under way since then
        assert await ids(store, limit=1000) == list(range(260, 160, -1))


async def test_a_lowered_bound_of_executions_is_reached_step_by_step(opener) -> None:
    async with opener() as store:
        await write(store, executions=[execution(number) for number in range(1, 3001)])
    async with opener(history_rows=500) as store:
        totals = []
        for number in range(3001, 3005):
            await write(store, executions=[execution(number)])
            totals.append((await store.executions()).total)

        assert totals == [3000 - RETIRED_AT_ONCE, 3000 - 2 * RETIRED_AT_ONCE, 500, 500]


async def test_an_execution_outlives_its_rule(store: Store) -> None:
    await write(store, rules=[HEATER], executions=[execution(1)])
    await write(store, deleted_rules=["r-heater"])

    assert (await store.executions()).rows == (execution(1),)


async def test_an_error_that_is_long_or_broken_does_not_cost_the_row(store: Store) -> None:
    await write(store, executions=[execution(1, error="\ud800" + "x" * 5000)])

    (row,) = (await store.executions()).rows
    assert row.error == "?" + "x" * (ERROR_KEPT - 1)
