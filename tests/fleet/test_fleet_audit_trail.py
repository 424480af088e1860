"""What was noted is on disk some seconds later; a disk that refuses costs nobody anything but time, up to a bound."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import attrs
import pytest
import trio
import trio.testing
from store.store_faults import FaultyDisk

from growy.config import StoreConfig
from growy.fleet.audit_repeats import WINDOW_S
from growy.fleet.audit_trail import MAX_WAITING, PERIOD_S, AuditTrail
from growy.model.audit import AuditEntry
from growy.model.errors import StoreUnavailable
from growy.store import DeviceRow, Store, open_store


@pytest.fixture
def disk() -> object:
    faulty = FaultyDisk()
    yield faulty
    faulty.unregister()


@pytest.fixture
async def store(tmp_path: Path, disk: FaultyDisk) -> AsyncIterator[Store]:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path, vfs=disk.name) as store:
        yield store
        disk.fault = None


def decision(number: int) -> AuditEntry:
    return AuditEntry(ts_ms=number, event_type="device_approved", source_type="user", message=str(number))


def fault(number: int) -> AuditEntry:
    return attrs.evolve(decision(number), event_type="device_error", source_type="esp32", error_code="1007")


def refused() -> Exception:
    return apsw.FullError("injected")


async def stored(store: Store) -> list[str]:
    """Oldest first, repeats as `3x7`."""
    rows = (await store.audit(limit=10_000)).rows
    return [
        row.entry.message if row.entry.repeats == 1 else f"{row.entry.message}x{row.entry.repeats}"
        for row in reversed(rows)
    ]


async def passes(seconds: float, clock: trio.testing.MockClock, store: Store) -> None:
    """Time; and whoever has woken up has written what it wanted to: the store writes in the order of the calls."""
    clock.jump(seconds)
    await trio.testing.wait_all_tasks_blocked()
    with contextlib.suppress(StoreUnavailable):
        await store.set_keyed("time", str(clock.current_time()))
    await trio.testing.wait_all_tasks_blocked()


async def test_what_was_noted_is_written_by_itself(
    store: Store, mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    trail = AuditTrail(store)
    await nursery.start(trail.run)
    trail.note(decision(1))
    trail.note(decision(2))
    await passes(PERIOD_S / 2, mock_clock, store)
    assert await stored(store) == []
    await passes(PERIOD_S, mock_clock, store)

    assert await stored(store) == ["1", "2"]


async def test_what_repeats_is_written_when_its_window_ends(
    store: Store, mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    trail = AuditTrail(store)
    await nursery.start(trail.run)
    for number in range(100):
        trail.note(fault(number))
    await passes(PERIOD_S, mock_clock, store)
    assert await stored(store) == ["0"]
    await passes(WINDOW_S - PERIOD_S - 1, mock_clock, store)
    assert await stored(store) == ["0"]
    await passes(PERIOD_S, mock_clock, store)

    assert await stored(store) == ["0", "99x99"]


async def test_noting_touches_no_disk(store: Store, disk: FaultyDisk) -> None:
    disk.fault = refused
    trail = AuditTrail(store)
    trail.note(decision(1))

    assert (trail.statistics().waiting, disk.refused) == (1, 0)


async def test_nothing_to_write_touches_no_disk(
    store: Store, disk: FaultyDisk, mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk.fault = refused
    trail = AuditTrail(store)
    await nursery.start(trail.run)
    for _ in range(20):
        mock_clock.jump(PERIOD_S)
        await trio.testing.wait_all_tasks_blocked()

    assert (trail.statistics().failed_writes, disk.refused) == (0, 0)


async def test_a_disk_that_refuses_delays_the_entries_and_keeps_their_order(
    store: Store, disk: FaultyDisk, mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk.fault = refused
    trail = AuditTrail(store)
    await nursery.start(trail.run)
    trail.note(decision(1))
    await passes(PERIOD_S, mock_clock, store)
    await passes(PERIOD_S, mock_clock, store)
    trail.note(decision(2))
    await passes(PERIOD_S, mock_clock, store)
    facts = trail.statistics()
    assert (facts.failed_writes, facts.waiting, facts.written) == (3, 2, 0)
    assert "is full" in facts.last_error
    disk.fault = None
    await passes(PERIOD_S, mock_clock, store)

    assert await stored(store) == ["1", "2"]
    facts = trail.statistics()
    assert (facts.waiting, facts.written, facts.last_error) == (0, 2, "")


async def test_beyond_the_bound_the_oldest_are_given_up_and_counted(store: Store, disk: FaultyDisk) -> None:
    disk.fault = refused
    trail = AuditTrail(store)
    for number in range(MAX_WAITING):
        trail.note(decision(number))
    await trail.write()
    for number in range(MAX_WAITING, MAX_WAITING + 10):
        trail.note(decision(number))
    await trail.write()
    facts = trail.statistics()
    assert (facts.waiting, facts.dropped, facts.noted) == (MAX_WAITING, 10, MAX_WAITING + 10)
    disk.fault = None
    await trail.write()

    assert await stored(store) == [str(number) for number in range(10, MAX_WAITING + 10)]


async def test_what_is_noted_while_a_write_is_under_way_is_in_the_next_one(store: Store) -> None:
    trail = AuditTrail(store)
    trail.note(decision(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trail.write)
        await trio.testing.wait_all_tasks_blocked()
        trail.note(decision(2))
    assert trail.statistics().written == 1
    await trail.write()

    assert await stored(store) == ["1", "2"]


async def test_the_stop_writes_everything_also_what_was_only_counted(store: Store) -> None:
    trail = AuditTrail(store)
    for number in range(8):
        trail.note(fault(number))
    trail.note(decision(8))
    await trail.flush()

    assert sorted(await stored(store)) == ["0", "7x7", "8"]
    facts = trail.statistics()
    assert (facts.noted, facts.written, facts.repeats) == (9, 3, 7)
    assert (facts.waiting, facts.windows, facts.dropped) == (0, 0, 0)


async def test_a_stop_on_a_disk_that_refuses_ends_and_says_what_is_lost(
    store: Store, disk: FaultyDisk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.fault = refused
    trail = AuditTrail(store)
    trail.note(decision(1))
    await trail.flush()

    assert "audit entries lost" in caplog.text


async def test_entries_can_be_written_together_with_something_else(store: Store) -> None:
    trail = AuditTrail(store)
    trail.note(decision(1))
    async with trail.batch() as entries:
        await store.write_registry(devices=[DeviceRow("ESP_1", "{}", 1, 2)], audit=entries)

    assert await stored(store) == ["1"]
    assert [row.esp_id for row in await store.device_rows()] == ["ESP_1"]
    assert trail.statistics().waiting == 0


async def test_what_could_not_be_written_together_waits_again(store: Store, disk: FaultyDisk) -> None:
    disk.fault = refused
    trail = AuditTrail(store)
    trail.note(decision(1))
    with pytest.raises(StoreUnavailable):
        async with trail.batch() as entries:
            await store.write_registry(devices=[DeviceRow("ESP_1", "{}", 1, 2)], audit=entries)
    disk.fault = None
    trail.note(decision(2))
    await trail.write()

    assert await stored(store) == ["1", "2"]
    assert await store.device_rows() == []


async def test_a_cancelled_writer_loses_nothing_and_doubles_nothing(store: Store) -> None:
    trail = AuditTrail(store)
    trail.note(decision(1))
    with trio.CancelScope() as scope:
        scope.cancel()
        await trail.write()
    await trail.flush()

    assert await stored(store) == ["1"]
