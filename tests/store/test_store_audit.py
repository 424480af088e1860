"""The audit trail in growy.db: what was noted is found again by what a person knows of it, and it never grows beyond
its bound."""

from __future__ import annotations

from pathlib import Path

import apsw
import attrs
import pytest
import trio
from store_faults import FaultyDisk

from growy.model.audit import LONGEST_MESSAGE, AuditEntry, AuditSeverity, AuditSource
from growy.model.errors import Invalid, StoreUnavailable
from growy.store import AuditFilter, DeviceRow, Store
from growy.store.audit import DETAILS_KEPT
from growy.store.bounded import RETIRED_AT_ONCE

T0 = 1_767_225_600_000
FAULT = AuditEntry(
    ts_ms=T0,
    event_type="device_error",
    severity=AuditSeverity.ERROR,
    source_type=AuditSource.ESP32,
    source_id="ESP_00A001",
    status="failed",
    message="SHT31 at 0x44 does not answer",
    details={"category": "SENSOR", "context": {"gpio": 21, "value": None}, "list": [1, 2.5, "°C"]},
    error_code="1007",
    correlation_id="abc:1",
    repeats=17,
)


def note(number: int, **changes: object) -> AuditEntry:
    return attrs.evolve(
        AuditEntry(ts_ms=T0 + number, event_type="device_online", message=str(number)), **changes
    )


async def messages(store: Store, limit: int = 100, offset: int = 0, **wanted: object) -> list[str]:
    page = await store.audit(AuditFilter(**wanted), limit=limit, offset=offset)
    return [row.entry.message for row in page.rows]


async def test_an_entry_comes_back_as_it_was_noted_also_after_a_restart(opener) -> None:
    async with opener() as store:
        await store.write_audit([FAULT, note(1)])
    async with opener() as store:
        page = await store.audit()

        assert page.total == 2
        assert [row.entry for row in page.rows] == [note(1), FAULT]
        assert page.rows[0].id > page.rows[1].id


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "3210"),
        ({"event_types": ("device_approved",)}, "2"),
        ({"event_types": ("device_approved", "device_error")}, "321"),
        ({"at_least": AuditSeverity.INFO}, "3210"),
        ({"at_least": AuditSeverity.WARNING}, "31"),
        ({"at_least": AuditSeverity.CRITICAL}, "3"),
        ({"source_type": "user"}, "2"),
        ({"source_id": "ESP_2"}, "31"),
        ({"correlation_id": "c"}, "2"),
        ({"error_code": "1007"}, "1"),
        ({"since_ms": T0 + 1, "until_ms": T0 + 3}, "21"),
        ({"source_id": "ESP_2", "at_least": AuditSeverity.CRITICAL}, "3"),
        ({"source_id": "ESP_1' OR 1 --"}, ""),
    ],
)
async def test_entries_are_found_by_what_is_known_of_them(
    store: Store, wanted: dict[str, object], found: str
) -> None:
    await store.write_audit(
        [
            note(0, source_id="ESP_1"),
            note(1, event_type="device_error", severity="warning", source_id="ESP_2", error_code="1007"),
            note(2, event_type="device_approved", source_type="user", correlation_id="c"),
            note(3, event_type="device_error", severity="critical", source_id="ESP_2"),
        ]
    )

    assert await messages(store, **wanted) == list(found)
    assert (await store.audit(AuditFilter(**wanted), limit=1)).total == len(found)


async def test_a_list_is_read_page_by_page(store: Store) -> None:
    await store.write_audit([note(number) for number in range(10)])

    assert await messages(store, limit=4) == ["9", "8", "7", "6"]
    assert await messages(store, limit=4, offset=8) == ["1", "0"]
    assert await messages(store, limit=4, offset=100) == []


async def test_a_list_read_from_an_id_does_not_shift_while_entries_are_added(store: Store) -> None:
    await store.write_audit([note(number) for number in range(6)])
    first = await store.audit(limit=3)
    await store.write_audit([note(6), note(7)])

    assert await messages(store, before_id=first.rows[-1].id) == ["2", "1", "0"]


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (-1, 0), (1, -1)])
async def test_no_part_of_a_list_is_invalid(store: Store, limit: int, offset: int) -> None:
    with pytest.raises(Invalid):
        await store.audit(limit=limit, offset=offset)


async def test_the_order_is_that_of_writing_whatever_the_clock_said(store: Store) -> None:
    await store.write_audit([note(0), note(1, ts_ms=0), note(2, ts_ms=-5)])

    assert await messages(store) == ["2", "1", "0"]


async def test_the_oldest_go_when_there_are_too_many(opener) -> None:
    async with opener(audit_rows=100) as store:
        for start in range(0, 260, 20):
            await store.write_audit([note(number) for number in range(start, start + 20)])

        page = await store.audit(limit=1000)
        assert page.total == 100
        assert [row.entry.message for row in page.rows] == [str(number) for number in range(259, 159, -1)]


async def test_one_write_that_is_larger_than_the_bound_keeps_the_newest(opener) -> None:
    async with opener(audit_rows=100) as store:
        await store.write_audit([note(number) for number in range(5000)])

        assert (await store.audit()).total == 100
        assert await messages(store, limit=1) == ["4999"]


async def test_a_bound_that_was_lowered_is_reached_step_by_step(opener) -> None:
    async with opener() as store:
        await store.write_audit([note(number) for number in range(3000)])
    async with opener(audit_rows=500) as store:
        totals = []
        for number in range(3000, 3004):
            await store.write_audit([note(number)])
            totals.append((await store.audit()).total)

        assert totals == [3000 - RETIRED_AT_ONCE, 3000 - 2 * RETIRED_AT_ONCE, 500, 500]
        assert await messages(store, limit=2) == ["3003", "3002"]


async def test_the_file_keeps_its_size_when_rows_come_and_go(opener, folder: Path) -> None:
    async def write(store: Store, rounds: int) -> None:
        for start in range(rounds):
            await store.write_audit([attrs.evolve(FAULT, ts_ms=T0 + start) for _ in range(100)])

    async with opener(audit_rows=1000) as store:
        await write(store, 20)
    size = (folder / "growy.db").stat().st_size
    async with opener(audit_rows=1000) as store:
        await write(store, 100)
        assert (folder / "growy.db-wal").stat().st_size < 3_000_000

    assert (folder / "growy.db").stat().st_size < 1.2 * size


async def test_the_write_ahead_log_of_the_registry_does_not_grow_while_the_daemon_runs(
    store: Store, folder: Path
) -> None:
    for seen in range(60):
        await store.upsert_devices([DeviceRow(f"ESP_{n:06X}", f"{seen:200}", 1, 2) for n in range(250)])

    assert (folder / "growy.db-wal").stat().st_size < 3_000_000
    assert (folder / "growy.db").stat().st_size > 50_000


@pytest.mark.parametrize(
    "details",
    [
        {"half": "\ud800"},
        {"huge": 1 << 80},
        {"thing": object()},
        {"long": "x" * (DETAILS_KEPT + 1)},
        {("a", "b"): 1},
    ],
)
async def test_details_that_cannot_be_kept_do_not_cost_the_entry(
    store: Store, details: dict[str, object]
) -> None:
    await store.write_audit([note(1, details=details, source_id="ESP_\udfff", error_code="\ud83d")])

    (row,) = (await store.audit()).rows
    assert row.entry.message == "1"
    assert row.entry.source_id == "ESP_?"
    (beginning,) = row.entry.details.values()
    assert 0 < len(str(beginning)) <= DETAILS_KEPT // 4
    assert [found.id for found in (await store.audit(AuditFilter(source_id="ESP_\udfff"))).rows] == [row.id]


async def test_a_value_that_is_no_number_is_null_in_the_details(store: Store) -> None:
    await store.write_audit([note(1, details={"value": float("nan")})])

    assert (await store.audit()).rows[0].entry.details == {"value": None}


async def test_kinds_of_event_are_counted_with_their_repeats(store: Store) -> None:
    assert await store.audit_event_types() == {}
    await store.write_audit([FAULT, FAULT, note(1)])

    assert await store.audit_event_types() == {"device_error": 34, "device_online": 1}


async def test_a_disk_that_refuses_stores_nothing_and_the_same_can_be_written_again(
    opener, disk: FaultyDisk
) -> None:
    async with opener(vfs=disk.name) as store:
        await store.write_audit([note(0)])
        disk.fault = lambda: apsw.FullError("injected")
        with pytest.raises(StoreUnavailable):
            await store.write_audit([note(1), note(2)])
        disk.fault = None

        assert await messages(store) == ["0"]
        await store.write_audit([note(1), note(2)])
        assert await messages(store) == ["2", "1", "0"]


async def test_readers_and_the_writer_do_not_wait_for_each_other(store: Store) -> None:
    seen: list[int] = []

    async def read() -> None:
        for _ in range(20):
            page = await store.audit(limit=1000)
            assert page.total == len(page.rows)
            seen.append(page.total)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for number in range(50):
            await store.write_audit([note(number)])

    assert seen == sorted(seen)
    assert (await store.audit()).total == 50


def test_an_entry_of_an_unknown_severity_or_source_is_refused() -> None:
    with pytest.raises(ValueError, match="dreadful"):
        note(1, severity="dreadful")
    with pytest.raises(ValueError, match="gnome"):
        note(1, source_type="gnome")
    with pytest.raises(ValueError, match="repeats"):
        note(1, repeats=0)


def test_a_long_message_is_cut() -> None:
    entry = note(1, message="x" * 5000)

    assert len(entry.message) == LONGEST_MESSAGE
    assert entry.message.endswith("...")


@pytest.mark.parametrize(
    ("number", "severity"), [(0, "info"), (1, "warning"), (2, "error"), (3, "critical"), (9, "critical")]
)
def test_the_firmware_s_numbers_of_severity_are_understood(number: int, severity: str) -> None:
    assert AuditSeverity.of_rank(number) == severity
