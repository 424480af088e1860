"""What is committed is there after reopening, with the names it uses; what was refused is not, and may be tried
again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
import trio
from store_readings import T0, key, readings, same

from growy.model.errors import StoreError, StoreUnavailable
from growy.model.reading import Columns, Reading
from growy.store import DeadLetter, DeviceRow, DiskState, Store
from growy.store.journal import KEPT_COMMITS


async def test_committed_readings_are_there_after_reopening(opener) -> None:
    async with opener() as store:
        one = store.catalog.intern(key(1), 4, "°C", T0)
        two = store.catalog.intern(key(2), 5, "", T0)
        sent = readings([two, one, two], [T0, T0, T0 + 1000], [1.5, float("nan"), -0.0], quality=[1, 6, 2])
        await store.commit(sent)
    async with opener() as store:
        for series_id in (one, two):
            found = (await store.query(series_id, 0, 1 << 50)).readings
            assert found is not None
            assert same(found, sent.take(sent.series == series_id))


async def test_a_commit_that_was_not_awaited_to_its_end_by_a_cancelled_caller_is_still_whole(opener) -> None:
    async with opener() as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.commit(readings(one, [T0], 1.0))
        found = (await store.query(one, 0, 1 << 50)).readings
        assert found is not None
        assert len(found) in (0, 1)
        assert store.statistics().journal_readings == len(found)


async def test_series_and_conversions_keep_their_ids_and_facts(opener) -> None:
    async with opener() as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        assert store.catalog.intern(key(1), 4, "", T0 + 5) == one
        made = store.conversions.intern("ds18b20", "1.0.0", '{"decimals":2}')
        await store.commit(readings(one, [T0], 1.0, conversion=made))
        store.catalog.set_unit(one, "°C")
        store.catalog.intern(key(1), 17, "", T0)
        await store.commit(Columns.empty())
    async with opener() as store:
        series = store.catalog.get(one)
        assert (series.key, series.gpio, series.unit, series.created_ms) == (key(1), 17, "°C", T0)
        assert store.catalog.intern(key(1), 17, "", T0) == one
        assert store.catalog.intern(key(2), 4, "", T0) != one
        assert store.conversions.intern("ds18b20", "1.0.0", '{"decimals":2}') == made
        assert store.conversions.get(made).library == "ds18b20"
        assert store.catalog.find(esp_id=key(1).esp_id, gpio=17, value_type="ds18b20") == [series]
        assert store.catalog.find(gpio=99) == []


async def test_a_series_whose_commit_failed_becomes_durable_with_the_next(opener) -> None:
    room = {"free": 10**9}
    async with opener(free=lambda _: room["free"]) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        made = store.conversions.intern("a", "1", "{}")
        room["free"] = 0
        with pytest.raises(StoreUnavailable):
            await store.commit(readings(one, [T0], 1.0, conversion=made))
        room["free"] = 10**9
        await store.commit(readings(one, [T0 + 1], 2.0, conversion=made))
    async with opener() as store:
        assert store.catalog.get(one).key == key(1)
        assert store.conversions.get(made).version == "1"
        found = (await store.query(one, 0, 1 << 50)).readings
        assert found is not None
        assert found.value.tolist() == [2.0]


async def test_dead_letters_come_with_the_commit_and_the_oldest_go(opener) -> None:
    async with opener(dead_letters=3) as store:
        letters = [DeadLetter(T0 + i, f"kaiser/god/{i}", b"x" * 5000, "bad_json", "why") for i in range(5)]
        await store.commit(Columns.empty(), letters[:2])
        await store.commit(Columns.empty(), letters[2:])
        found = await store.dead_letters()
        assert [row.received_ms for row in found] == [T0 + 4, T0 + 3, T0 + 2]
        assert (found[0].size, len(found[0].payload), found[0].reason) == (5000, 4096, "bad_json")
        assert len(await store.dead_letters(limit=1)) == 1
        assert store.statistics().dead_letters == 5


async def test_dead_letters_can_be_switched_off(opener) -> None:
    async with opener(dead_letters=0) as store:
        await store.commit(Columns.empty(), [DeadLetter(T0, "t", b"", "r")])
        assert await store.dead_letters() == []


async def test_devices_are_journalled(opener) -> None:
    async with opener() as store:
        await store.upsert_devices([DeviceRow("ESP_1", '{"a":1}', 100, 200), DeviceRow("ESP_2", "{}", 5, 5)])
        await store.upsert_devices([DeviceRow("ESP_1", '{"a":2}', 150, 300)])
    async with opener() as store:
        assert await store.device_rows() == [
            DeviceRow("ESP_1", '{"a":2}', 100, 300),
            DeviceRow("ESP_2", "{}", 5, 5),
        ]


async def test_commits_of_many_tasks_are_all_there_in_order(store: Store) -> None:
    one = store.catalog.intern(key(1), 4, "", T0)

    async def sender(number: int) -> None:
        for i in range(10):
            await store.commit(readings(one, [T0 + i], float(number)))

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(sender, number)
    found = (await store.query(one, 0, 1 << 50)).readings
    assert found is not None
    assert np.bincount(found.value.astype(np.int64)).tolist() == [10] * 100


async def test_statistics_count_what_happened(store: Store) -> None:
    one = store.catalog.intern(key(1), 4, "", T0)
    for i in range(5):
        await store.commit(readings(one, [T0 + i, T0 + i], 1.0))
    facts = store.statistics()
    assert (facts.state, facts.commits, facts.readings, facts.journal_commits) == (DiskState.OK, 5, 10, 5)
    assert 0.0 < facts.commit_p50_ms <= facts.commit_p99_ms
    assert facts.wal_bytes > 0
    await store.seal()
    facts = store.statistics()
    assert (facts.journal_commits, facts.journal_readings, facts.sealed_readings, facts.chunks) == (
        0,
        0,
        10,
        1,
    )


async def test_the_tail_is_restored_from_chunks_and_journal(opener) -> None:
    async with opener(tail_readings=50) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        for i in range(0, 200, 10):
            await store.commit(readings(one, T0 + 1000 * np.arange(i, i + 10), np.arange(i, i + 10.0)))
            if i == 150:
                await store.seal()
    async with opener(tail_readings=50) as store:
        latest = store.tail.latest(one)
        assert isinstance(latest, Reading)
        assert latest.value == 199.0
        assert store.tail.window(one, 0).value.tolist() == list(range(150, 200))


async def test_a_second_daemon_is_kept_out(opener) -> None:
    async with opener():
        with pytest.raises(StoreError, match="in use by another growyd"):
            async with opener():
                pass


async def test_a_closed_store_refuses(opener) -> None:
    async with opener() as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        await store.commit(Columns.empty())
    with pytest.raises(StoreError, match="closed"):
        await store.query(1, 0, 1)


@pytest.mark.parametrize("word", ["normal", "full"])
async def test_both_kinds_of_synchronous_commit(opener, folder: Path, word: str) -> None:
    async with opener(synchronous=word) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        await store.commit(readings(one, [T0], 1.0))
        with sqlite3.connect(f"file:{folder}/series.db?mode=ro", uri=True) as db:
            assert db.execute("SELECT count(*) FROM journal").fetchone() == (1,)
        db.close()


async def test_a_burst_of_small_commits_gives_its_slots_back(store: Store) -> None:
    one = store.catalog.intern(key(1), 4, "", T0)
    for i in range(60):
        await store.commit(readings(one, [T0 + i], 1.0))
    await store.seal()
    for round_ in range(3):
        await store.commit(readings(one, [T0 + 100 + round_], 1.0))
        await store.seal()
    _, rows = await store.sql("SELECT count(*) FROM journal", 1)
    assert rows[0][0] <= 3 + KEPT_COMMITS


async def test_newest_commits_are_whole_while_others_go_on(store: Store) -> None:
    """Given commits and seals that overwrite journal rows meanwhile, what is remembered is in order and nothing twice,
    and the last commits have no gap."""
    one = store.catalog.intern(key(1), 4, "", T0)

    async def commit(done: trio.Event) -> None:
        for number in range(600):
            await store.commit(readings(one, [T0 + number], float(number)))
            if number % 10 == 9:
                await store.seal()
        done.set()

    done = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit, done)
        while not done.is_set():
            numbers = (await store.newest_commits(10_000)).value
            assert (np.diff(numbers) > 0).all()
            assert (np.diff(numbers[-KEPT_COMMITS:]) == 1).all()
