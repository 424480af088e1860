"""Actuators in growy.db: accounts and claims survive a restart, the history is found by actuator and time, and run
times are counted from it."""

from __future__ import annotations

from pathlib import Path

import apsw
import attrs
import pytest

from growy.model.control import ActuatorKey, Ledger
from growy.model.errors import Invalid, StoreError
from growy.store import ClaimRow, ControlBatch, HistoryKind, HistoryRow, Store
from growy.store.actuators import MESSAGE_KEPT

T0 = 1_767_225_600_000
HEATER = ActuatorKey("ESP_00A001", 26)
PUMP = ActuatorKey("ESP_00A001", 27)
OTHER = ActuatorKey("ESP_00A002", 26)
COMMAND = HistoryRow(
    ts_ms=T0,
    actuator=HEATER,
    kind=HistoryKind.COMMAND,
    command="ON",
    value=1.0,
    duration_s=90.0,
    state="rejected",
    issued_by="user:anna",
    code="INTERLOCK",
    message="Not while the vent is open",
    correlation_id="c1",
)


def switch(
    seconds: float, value: float, actuator: ActuatorKey = HEATER, on_for: float | None = None
) -> HistoryRow:
    return HistoryRow(
        ts_ms=T0 + round(seconds * 1000),
        actuator=actuator,
        kind=HistoryKind.SWITCH,
        value=value,
        duration_s=on_for,
        state="on" if value else "off",
    )


async def write(store: Store, **what: object) -> None:
    await store.write_registry(control=ControlBatch(**what))


async def times(store: Store, actuator: ActuatorKey = HEATER, **wanted: object) -> list[float]:
    return [(row.ts_ms - T0) / 1000 for row in await store.actuator_history(*actuator, **wanted)]


async def test_accounts_come_back_are_replaced_and_deleted(opener) -> None:
    running = Ledger(
        on_since_ms=T0, as_of_ms=T0 + 5, day="2026-01-01", day_on_ms=5, day_dose_ml=1.25, value=0.5
    )
    async with opener() as store:
        await write(store, ledgers={HEATER: Ledger(off_since_ms=T0), PUMP: Ledger(), OTHER: Ledger()})
        await write(store, ledgers={HEATER: running, OTHER: None})
    async with opener() as store:
        assert await store.ledgers() == {HEATER: running, PUMP: Ledger()}


async def test_an_account_that_cannot_be_read_is_named_and_never_an_empty_one(opener, folder: Path) -> None:
    async with opener() as store:
        await write(store, ledgers={HEATER: Ledger(day_on_ms=5)})
    db = apsw.Connection(str(folder / "growy.db"))
    db.execute("""UPDATE ledgers SET ledger = '{"day_on_ms":"much"}'""")
    db.close()
    async with opener() as store:
        with pytest.raises(StoreError, match="ESP_00A001:26"):
            await store.ledgers()


async def test_claims_of_people_survive_a_restart_until_they_are_deleted(opener) -> None:
    by_anna = ClaimRow(actuator=HEATER, holder="user:anna", claim='{"value":1,"until_ms":5}')
    by_ben = ClaimRow(actuator=HEATER, holder="user:ben", claim="{}")
    async with opener() as store:
        await write(store, claims=[attrs.evolve(by_anna, claim="{}"), by_ben])
        await write(store, claims=[by_anna, attrs.evolve(by_anna, actuator=PUMP)])
        await write(store, deleted_claims=[(HEATER, "user:ben"), (OTHER, "user:anna")])
    async with opener() as store:
        assert await store.claims() == [by_anna, attrs.evolve(by_anna, actuator=PUMP)]


async def test_the_history_comes_back_newest_first(opener) -> None:
    async with opener() as store:
        await write(store, history=[COMMAND, switch(1, 1.0)])
        await write(store, history=[switch(2, 0.0, on_for=1.0)])
    async with opener() as store:
        rows = await store.actuator_history(*HEATER)
        assert [attrs.evolve(row, id=0) for row in rows] == [
            switch(2, 0.0, on_for=1.0),
            switch(1, 1.0),
            COMMAND,
        ]
        assert rows[0].id > rows[1].id > rows[2].id


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"limit": 2}, [4, 3]),
        ({"from_ms": T0 + 1000, "to_ms": T0 + 3000}, [2, 1]),
        ({"kind": HistoryKind.COMMAND}, [0]),
        ({"kind": HistoryKind.SWITCH, "to_ms": T0 + 2000}, [1]),
        ({"actuator": OTHER}, []),
    ],
)
async def test_the_history_of_one_actuator_is_found_by_time_and_kind(
    store: Store, wanted: dict[str, object], found: list[float]
) -> None:
    of_it = [COMMAND, *(switch(number, number % 2) for number in range(1, 5))]
    of_another = [switch(number, 1.0, PUMP) for number in range(5)]
    await write(store, history=[row for pair in zip(of_it, of_another, strict=True) for row in pair])

    assert await times(store, **wanted) == found


async def test_two_entries_of_the_same_millisecond_stay_in_their_order(store: Store) -> None:
    await write(store, history=[switch(1, 1.0), switch(1, 0.0)])

    assert [row.value for row in await store.actuator_history(*HEATER)] == [0.0, 1.0]


async def test_the_oldest_of_the_history_go_whoever_they_are_of(opener) -> None:
    async with opener(history_rows=100) as store:
        await write(store, history=[switch(0, 1.0, PUMP)])
        for start in range(0, 260, 20):
            await write(store, history=[switch(number, number % 2) for number in range(start, start + 20)])

        assert await times(store, limit=1000) == list(range(259, 159, -1))
        assert await times(store, PUMP) == []


async def test_what_a_device_says_is_kept_without_what_cannot_be_kept(store: Store) -> None:
    said = attrs.evolve(COMMAND, message="\udfff" + "x" * 5000, code="\ud800", issued_by="rule:°C")
    await write(store, history=[said])

    (row,) = await store.actuator_history(*HEATER)
    assert row.message == "?" + "x" * (MESSAGE_KEPT - 1)
    assert (row.code, row.issued_by) == ("?", "rule:°C")


async def test_the_history_of_one_actuator_is_found_without_reading_that_of_others(
    store: Store, folder: Path
) -> None:
    db = apsw.Connection(str(folder / "growy.db"), flags=apsw.SQLITE_OPEN_READONLY)
    plan = db.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM actuator_history WHERE esp_id = 'a' AND gpio = 1 AND ts_ms >= 1"
        " ORDER BY ts_ms DESC, id DESC LIMIT 5"
    ).fetchall()
    db.close()

    (step,) = plan  # a second one would be a sort
    assert "actuator_history_of (esp_id=? AND gpio=? AND ts_ms>?)" in step[3]


async def test_run_time_and_cycles_are_counted_from_the_switchings_of_one_actuator(store: Store) -> None:
    await write(
        store,
        history=[
            switch(-50, 1.0),
            attrs.evolve(COMMAND, ts_ms=T0 - 20_000, value=0.0),  # refused: it ran on
            switch(10, 0.0),
            switch(20, 0.5, PUMP),
            switch(40, 0.3),
            switch(50, 0.8),
            switch(70, 0.0),
            switch(90, 1.0),
            switch(200, 0.0),
        ],
    )

    usage = await store.actuator_usage(*HEATER, T0, T0 + 100_000)
    assert (usage.run_s, usage.cycles, usage.duty) == (10 + 30 + 10, 2, 0.5)
    usage = await store.actuator_usage(*OTHER, T0, T0 + 100_000)
    assert (usage.run_s, usage.cycles, usage.duty) == (0, 0, 0)


async def test_a_run_whose_beginning_is_no_longer_kept_is_counted_by_what_its_end_says(opener) -> None:
    async with opener(history_rows=100) as store:
        await write(store, history=[switch(0, 1.0)])
        await write(store, history=[attrs.evolve(COMMAND, actuator=PUMP) for _ in range(100)])
        await write(store, history=[switch(60, 0.0, on_for=60.0)])

        assert await times(store) == [60]
        usage = await store.actuator_usage(*HEATER, T0 - 40_000, T0 + 60_001)
        assert (usage.run_s, usage.cycles) == (60, 1)


async def test_a_span_that_is_none_or_a_list_without_length_is_invalid(store: Store) -> None:
    with pytest.raises(Invalid):
        await store.actuator_usage(*HEATER, 1, 0)
    with pytest.raises(Invalid):
        await store.actuator_history(*HEATER, limit=0)
    assert (await store.actuator_usage(*HEATER, 5, 5)).duty == 0.0
