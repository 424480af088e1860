"""Exactly once: what was delivered before is recognised, also by the next daemon; what only looks alike is kept."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rig.intake import START_MS, Bench, open_bench

from growy.broker.frames import Inbound
from growy.intake.replay import ReplayFilter
from growy.model.reading import NO_SEQ

readings = st.tuples(st.integers(1, 3), st.integers(0, 5), st.sampled_from([0, START_MS]), st.integers(0, 3))


@given(st.lists(readings, max_size=60))
def test_each_distinct_reading_passes_once(sequence: list[tuple[int, int, int, int]]) -> None:
    replay = ReplayFilter(memory=1000)
    passed = [reading for reading in sequence if not replay.seen(*reading, dup=False, boot=1)]

    assert len(passed) == len(set(passed))
    assert set(passed) == set(sequence)


def test_memory_is_bounded_and_holds_at_least_what_it_says() -> None:
    replay = ReplayFilter(memory=100)
    for seq in range(1000):
        assert not replay.seen(1, seq, START_MS, 0.0, dup=False)

    assert len(replay) <= 200
    assert all(replay.seen(1, seq, START_MS, 0.0, dup=True) for seq in range(900, 1000))


def test_without_counter_and_clock_only_the_broker_can_tell() -> None:
    replay = ReplayFilter(memory=1000)
    assert not replay.seen(1, NO_SEQ, 0, 4095.0, dup=False)
    assert not replay.seen(1, NO_SEQ, 0, 4095.0, dup=False), "a sensor at its rail says the same for hours"
    assert replay.seen(1, NO_SEQ, 0, 4095.0, dup=True)


def test_without_a_clock_a_new_boot_is_not_a_replay_of_the_last() -> None:
    replay = ReplayFilter(memory=1000)
    assert not replay.seen(1, 5, 0, 4095.0, dup=False, boot=0)
    assert replay.seen(1, 5, 0, 4095.0, dup=False, boot=0), (
        "the device says it again: its acknowledgement was lost"
    )
    assert not replay.seen(1, 5, 0, 4095.0, dup=False, boot=1)
    assert replay.seen(1, 5, 0, 4095.0, dup=True, boot=2), "the broker says that it may be a repetition"


async def test_a_device_without_a_clock_that_reboots_loses_nothing(bench: Bench) -> None:
    def heartbeat(uptime: int) -> Inbound:
        payload = {"ts": 0, "uptime": uptime, "heap_free": 1, "wifi_rssi": -50}
        return bench.message("kaiser/god/esp/ESP_00AA01/system/heartbeat", payload, qos=0)

    for _ in range(3):
        readings = [bench.reading("moisture", 2000, seq=seq, ts=0) for seq in (1, 2)]
        await bench.deliver_all(heartbeat(5), *readings, heartbeat(65))

    assert len(await bench.stored("moisture")) == 6


async def test_a_power_cut_for_both_is_no_replay_either(tmp_path: Path) -> None:
    for _ in range(3):
        async with open_bench(tmp_path) as bench:
            readings = [bench.reading("moisture", 2000, seq=seq, ts=0) for seq in (1, 2)]
            await bench.deliver_all(*readings)
            stored = await bench.stored("moisture")

    assert len(stored) == 6


async def test_as_much_as_the_intake_holds_is_recognised_when_it_all_comes_again(tmp_path: Path) -> None:
    async with open_bench(tmp_path, limit=2000) as bench:
        batches = []
        for first in range(0, 2000, 100):
            readings = [
                {"gpio": 32, "sensor_type": "moisture", "raw": 7, "seq": first + n} for n in range(100)
            ]
            batches.append(bench.message("kaiser/god/esp/ESP_00AA01/sensor/batch", {"readings": readings}))
        await bench.deliver_all(*batches)
        await bench.deliver_all(*(batch._replace(dup=True) for batch in batches), epoch=2)

        assert bench.intake.statistics().readings_duplicate == 2000
        assert len(await bench.stored("moisture")) == 2000


async def test_identity_does_not_depend_on_our_clock(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as before:
        reading = before.reading("ds18b20", 400, seq=1)
        await before.deliver_all(reading)

    async with open_bench(tmp_path) as after:
        after.clock_ms -= 2_400_000  # a Pi without a clock chip wakes up in the past
        await after.deliver_all(
            reading._replace(dup=True), after.reading("ds18b20", 401, seq=2, ts=START_MS // 1000 + 60)
        )
        stored = await after.stored("ds18b20")

    assert [(one.raw, one.ts_ms - START_MS) for one in stored] == [(400.0, 0), (401.0, 60_000)]


async def test_a_large_batch_redelivered_after_a_restart_is_recognised_whole(tmp_path: Path) -> None:
    readings = [{"gpio": 32, "sensor_type": "moisture", "raw": n % 7, "seq": n} for n in range(1000)]
    payload = {"readings": readings, "ts": START_MS // 1000}
    async with open_bench(tmp_path) as before:
        batch = before.message("kaiser/god/esp/ESP_00AA01/sensor/batch", payload)
        await before.deliver_all(batch)

    async with open_bench(tmp_path) as after:
        statistics = await after.deliver_all(batch._replace(dup=True))
        assert statistics.readings_duplicate == 1000


async def test_a_replay_is_dropped_and_acknowledged(bench: Bench) -> None:
    first = bench.reading("ds18b20", 400, seq=1)
    await bench.deliver_all(first)
    statistics = await bench.deliver_all(first._replace(mid=77, dup=True), epoch=2)

    assert len(await bench.stored("ds18b20")) == 1
    assert bench.acknowledged[-1] == (2, 77)
    assert statistics.readings_duplicate == 1


async def test_a_restarted_daemon_recognises_what_the_last_one_committed(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as before:
        sent = [before.reading("ds18b20", 400 + n % 3, seq=n) for n in range(700)]
        await before.deliver_all(*sent)
        await before.store.seal()

    async with open_bench(tmp_path) as after:
        again = [message._replace(dup=True) for message in sent[-300:]]
        statistics = await after.deliver_all(*again, after.reading("ds18b20", 400, seq=700))
        assert statistics.readings_duplicate == 300
        assert len(await after.stored("ds18b20")) == 701


async def test_a_reboot_begins_its_counter_anew_and_nothing_is_taken_for_a_replay(bench: Bench) -> None:
    await bench.deliver_all(bench.reading("ds18b20", 400, seq=1))
    bench.clock_ms += 60_000
    await bench.deliver_all(bench.reading("ds18b20", 400, seq=1))

    assert len(await bench.stored("ds18b20")) == 2


async def test_old_firmware_without_a_counter_is_recognised_by_time_and_value(bench: Bench) -> None:
    first = bench.reading("ph", 2000)
    await bench.deliver_all(first, bench.reading("ph", 2001), first._replace(mid=50))

    assert sorted(reading.raw for reading in await bench.stored("ph")) == [2000.0, 2001.0]


async def test_a_clock_that_ran_ahead_and_looks_right_at_the_redelivery(bench: Bench) -> None:
    ahead = bench.reading("ds18b20", 400, seq=1, ts=START_MS // 1000 + 400)
    await bench.deliver_all(ahead)
    bench.clock_ms += 200_000
    await bench.deliver_all(ahead._replace(dup=True))

    assert len(await bench.stored("ds18b20")) == 1
