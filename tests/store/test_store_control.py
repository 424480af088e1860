"""What control writes together is there together, with what the fleet and the audit trail write beside it; older
databases get the tables without losing anything."""

from __future__ import annotations

from pathlib import Path

import apsw
import attrs
import pytest
from store_faults import FaultyDisk

from growy.model.audit import AuditEntry
from growy.model.control import ActuatorKey, Ledger, Stop
from growy.model.errors import StoreUnavailable
from growy.store import (
    ClaimRow,
    ControlBatch,
    DeviceRow,
    ExecutionRow,
    HistoryKind,
    HistoryRow,
    RuleRow,
    RuleState,
    RuleTally,
    StopRow,
    Store,
    ZoneRow,
)
from growy.store.schema import REGISTRY_MIGRATIONS, open_writing

TABLES = (
    "rules",
    "rule_tallies",
    "rule_states",
    "rule_executions",
    "ledgers",
    "claims",
    "actuator_history",
    "stops",
    "owed_clears",
    "interlocks",
    "couplings",
)


def whole_batch(name: str = "one", number: int = 1) -> ControlBatch:
    """Something for every table, all of it called `name`."""
    actuator = ActuatorKey(name, number)
    return ControlBatch(
        rules=[RuleRow(id=name, name=name, document="{}" * 600)],
        tallies={name: RuleTally(execution_count=1)},
        rule_states=[RuleState(rule_id=name, state=b"x" * 600, as_of_ms=1)],
        executions=[ExecutionRow(id=number, rule_id=name, rule_name=name, ts_ms=1)],
        ledgers={actuator: Ledger(day_on_ms=number)},
        claims=[ClaimRow(actuator=actuator, holder="user:anna", claim="{}" * 300)],
        history=[HistoryRow(ts_ms=1, actuator=actuator, kind=HistoryKind.SWITCH, value=1)],
        stops=[StopRow(stop=Stop(id=name, since_ms=number))],
        owed_clears={name: "{}"},
        interlocks={name: "{}"},
        couplings={name: "{}"},
    )


async def names(store: Store) -> list[set[str]]:
    """What is there, by table."""
    history = [
        row.actuator.esp_id for n in range(1, 60) for row in await store.actuator_history(f"{n:02}", n)
    ]
    return [
        {row.name for row in await store.rules() if row.tally.execution_count},
        {row.rule_id for row in await store.rule_states()},
        {row.rule_id for row in (await store.executions()).rows},
        {actuator.esp_id for actuator in await store.ledgers()},
        {row.actuator.esp_id for row in await store.claims()},
        set(history),
        {row.stop.id for row in await store.stops()},
        set(await store.owed_clears()),
        set(await store.interlocks()),
        set(await store.couplings()),
        {row.entry.source_id for row in (await store.audit()).rows},
    ]


def test_a_batch_is_something_as_soon_as_one_of_its_parts_is() -> None:
    assert not ControlBatch()
    whole = whole_batch()
    for field in attrs.fields(ControlBatch):
        part = getattr(whole, field.name)
        assert bool(ControlBatch(**{field.name: part})) is bool(part)
    assert ControlBatch(deleted_rules=["a"])
    assert ControlBatch(deleted_claims=[(ActuatorKey("a", 1), "b")])


async def test_an_empty_batch_does_not_touch_the_disk(opener, disk: FaultyDisk) -> None:
    async with opener(vfs=disk.name) as store:
        disk.fault = lambda: apsw.FullError("injected")
        await store.write_registry(control=ControlBatch())
        disk.fault = None

        assert disk.refused == 0


async def test_a_fault_at_any_write_leaves_all_of_the_batch_or_nothing(opener, disk: FaultyDisk) -> None:
    written: set[str] = set()
    async with opener(vfs=disk.name) as store:
        for nth in range(1, 60):
            writes = iter(range(nth))
            disk.fault = lambda left=writes: (
                None if next(left, None) is not None else apsw.FullError("injected")
            )
            name = f"{nth:02}"
            entry = AuditEntry(ts_ms=5, event_type="emergency_stop", source_id=name)
            try:
                await store.write_registry(control=whole_batch(name, nth), audit=[entry])
                written.add(name)
            except StoreUnavailable:
                pass
            disk.fault = None
            assert all(there == written for there in await names(store))
        assert disk.refused > 10
        assert written


async def test_a_database_of_version_two_keeps_what_it_has_and_gets_the_tables(opener, folder: Path) -> None:
    folder.mkdir()
    old = open_writing(folder / "growy.db", synchronous="full", migrations=REGISTRY_MIGRATIONS[:2], vfs=None)
    old.execute("INSERT INTO devices VALUES ('ESP_1', '{}', 100, 200)")
    old.execute("INSERT INTO device_setups VALUES ('ESP_1', '{\"actuators\":[]}')")
    old.execute("INSERT INTO zones VALUES ('tent', '{}', 3, 4)")
    old.execute("INSERT INTO keyed VALUES ('k', 'v')")
    old.execute(
        "INSERT INTO audit VALUES (7, 1, 'device_online', 0, 'esp32', 'ESP_1', '', 'back', '{}', '', '', 1)"
    )
    old.close()

    async with opener() as store:
        assert await store.device_rows() == [DeviceRow("ESP_1", "{}", 100, 200, '{"actuators":[]}')]
        assert await store.zone_rows() == [ZoneRow("tent", "{}", 3, 4)]
        assert await store.keyed("k") == "v"
        assert [(row.id, row.entry.message) for row in (await store.audit()).rows] == [(7, "back")]
        assert await store.rules() == []
        await store.write_registry(control=whole_batch("01"))
        assert all(there == {"01"} for there in (await names(store))[:-1])


@pytest.mark.parametrize("table", TABLES)
async def test_a_backup_holds_control_too(store: Store, tmp_path: Path, table: str) -> None:
    await store.write_registry(control=whole_batch())
    await store.backup(tmp_path / "copy")

    copy = apsw.Connection(str(tmp_path / "copy" / "growy.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert copy.execute(f"SELECT count(*) FROM {table}").get == 1
    copy.close()


async def test_the_file_keeps_its_size_when_history_comes_and_goes(opener, folder: Path) -> None:
    async def write(store: Store, first: int, rounds: int) -> None:
        for start in range(first, first + rounds):
            ids = range(start * 50 + 1, start * 50 + 51)
            await store.write_registry(
                control=ControlBatch(
                    executions=[
                        ExecutionRow(id=n, rule_id="r", rule_name="r", ts_ms=n, trigger="{}" * 100)
                        for n in ids
                    ],
                    history=[
                        HistoryRow(ts_ms=n, actuator=ActuatorKey("ESP_1", n % 9), kind=HistoryKind.SWITCH)
                        for n in ids
                    ],
                )
            )

    async with opener(history_rows=1000) as store:
        await write(store, 0, 40)
    size = (folder / "growy.db").stat().st_size
    async with opener(history_rows=1000) as store:
        await write(store, 40, 200)

    assert (folder / "growy.db").stat().st_size < 1.2 * size
