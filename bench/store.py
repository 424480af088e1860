"""What the store costs: bytes per reading on the way to disk and at rest, commits a second, a year's chart, the
tail.

    python -m bench.store [--hours 1] [--directory /var/tmp]

Simulated readings, real time only for the work: 10 devices with 50 sensors each, once a second, as the firmware
sends them (whole-second timestamps, one counter per device, messages spread over the second). One commit per
simulated second, sealing and checkpoints at the production cadence of simulated time. The directory must be on
a disk, not tmpfs. Every figure is printed beside that of a bare table (sensor, ts) in the same SQLite, filled
by one transaction per second."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import apsw
import numpy as np
import trio

from growy.config import StoreConfig
from growy.model.reading import NO_SEQ, Bus, Columns, FloatArray, SeriesKey
from growy.store import Store, open_store

DEVICES, SENSORS = 10, 50
SERIES = DEVICES * SENSORS
START_MS = 1_767_225_600_000
KINDS = ("ds18b20", "sht31_temp", "sht31_humidity", "moisture", "ph")


def convert(kind: str, raw: FloatArray) -> FloatArray:
    """As the shipped libraries do: linear, rounded where the sensor is no better."""
    if kind == "ds18b20":
        return raw / 16.0
    if kind == "sht31_temp":
        return np.round(-45.0 + 175.0 * raw / 65535.0, 2)
    if kind == "sht31_humidity":
        return np.round(100.0 * raw / 65535.0, 2)
    if kind == "moisture":
        return np.round(np.clip((2800.0 - raw) / 16.0, 0.0, 100.0), 1)
    return 7.0 + (raw * 3.3 / 4095.0 - 1.65) * -5.7


class Greenhouse:
    """Random walks with the noise of each sensor: (start, walk, noise) in counts per reading."""

    SHAPES: ClassVar = {
        "ds18b20": (360.0, 0.05, 0.4),
        "sht31_temp": (26_000.0, 1.5, 6.0),
        "sht31_humidity": (38_000.0, 3.0, 12.0),
        "moisture": (2_000.0, 0.3, 5.0),
        "ph": (1_900.0, 0.2, 4.0),
    }

    def __init__(self, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self.kinds = [KINDS[i % len(KINDS)] for i in range(SERIES)]
        self._level = np.array([self.SHAPES[kind][0] for kind in self.kinds]) * self._random.normal(
            1.0, 0.02, SERIES
        )
        self._walk = np.array([self.SHAPES[kind][1] for kind in self.kinds])
        self._noise = np.array([self.SHAPES[kind][2] for kind in self.kinds])
        self._phase = self._random.integers(0, 500, DEVICES)
        self._seq = np.zeros(DEVICES, np.int64)

    def names(self) -> Iterator[SeriesKey]:
        for i, kind in enumerate(self.kinds):
            yield SeriesKey(f"ESP_{i // SENSORS:06X}", Bus.I2C, str(i % SENSORS), kind)

    def second(self, ids: np.ndarray, at: int) -> Columns:
        """All readings of one second, in order of receipt."""
        random = self._random
        self._level += random.normal(0.0, self._walk)
        raw = np.rint(self._level + random.normal(0.0, self._noise))
        value = np.empty(SERIES)
        for number, kind in enumerate(KINDS):
            value[number :: len(KINDS)] = convert(kind, raw[number :: len(KINDS)])
        ts = np.full(SERIES, START_MS + at * 1000, np.int64)
        slot = np.tile(np.arange(SENSORS), DEVICES) * 8
        rx = ts + 30 + np.repeat(self._phase, SENSORS) + slot + random.integers(0, 8, SERIES)
        rx += (random.random(SERIES) < 0.01) * random.integers(20, 200, SERIES)
        seq = np.repeat(self._seq, SENSORS) + np.tile(np.arange(SENSORS), DEVICES)
        self._seq += SENSORS
        kinds = np.arange(SERIES) % len(KINDS) + 1
        ones = np.ones(SERIES, np.int64)
        columns = Columns.of(ids, ts, rx, raw, value, ones, seq, ones * 0, kinds)
        return columns.take(np.argsort(rx, kind="stable"))


def written() -> tuple[int, int]:
    """(bytes this process caused to be sent to the disk, bytes it handed to write())."""
    facts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(facts["write_bytes"]), int(facts["wchar"])


def say(name: str, value: float, unit: str) -> None:
    print(f"store.{name} {value:.6g} {unit}", flush=True)


async def at_rest(directory: Path, seconds: int) -> tuple[float, float]:
    """Fill a store for so many simulated seconds. Returns bytes written and at rest per reading."""
    house = Greenhouse()
    before = written()
    async with open_store(StoreConfig(), directory) as store:
        ids = np.array([store.catalog.intern(key, 0, "", START_MS) for key in house.names()])
        for kind in KINDS:
            store.conversions.intern(kind, "1.0.0", "{}")
        began = time.perf_counter()
        spent = 0.0
        for at in range(seconds):
            columns = house.second(ids, at)
            mark = time.perf_counter()
            store.tail.append(columns)
            await store.commit(columns)
            if at % 600 == 2 and at > 2:
                await store.tend(START_MS)
            spent += time.perf_counter() - mark
        await store.tend(START_MS)
        facts = store.statistics()
        say("simulated_hours", seconds / 3600, "h")
        say("wall_time", time.perf_counter() - began, "s")
        say("cpu_share_at_500_per_s", 100 * spent / seconds, "%")
        say("commit_500_p50", facts.commit_p50_ms, "ms")
        say("commit_500_p99", facts.commit_p99_ms, "ms")
        say("seal_longest_transaction", facts.seal_longest_ms, "ms")
        say("tail_memory", facts.tail_bytes / 1e6, "MB")
        say("checkpoints", facts.checkpoints, "count")
        say("wal_at_end", facts.wal_bytes / 1e6, "MB")
        if facts.readings != seconds * SERIES or facts.journal_readings:
            sys.exit("readings are missing")
    after = written()
    n = seconds * SERIES
    size = sum(path.stat().st_size for path in directory.iterdir())  # noqa: ASYNC240 - nothing else runs
    say("disk_bytes_per_reading", (after[0] - before[0]) / n, "B (write_bytes)")
    say("write_call_bytes_per_reading", (after[1] - before[1]) / n, "B (wchar)")
    say("at_rest_bytes_per_reading", size / n, "B")
    began = time.perf_counter()
    async with open_store(StoreConfig(), directory) as store:
        say("reopen", (time.perf_counter() - began) * 1000, "ms")
        found = await store.query(1, 0, 1 << 60)
        if found.readings is None or len(found.readings) != seconds:
            sys.exit("readings are missing after reopening")
    return (after[0] - before[0]) / n, size / n


def naive(directory: Path, seconds: int) -> tuple[float, float]:
    """The bare table keyed (sensor, ts), one transaction a second, SQLite's own defaults in WAL mode."""
    house = Greenhouse()
    before = written()
    path = directory / "naive.db"
    db = apsw.Connection(str(path))
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "normal")
    db.execute(
        "CREATE TABLE reading (sensor INTEGER, ts INTEGER, rx INTEGER, raw REAL, value REAL, quality INTEGER,"
        " seq INTEGER, PRIMARY KEY (sensor, ts)) WITHOUT ROWID"
    )
    ids = np.arange(1, SERIES + 1)
    for at in range(seconds):
        c = house.second(ids, at)
        rows = zip(
            *(column.tolist() for column in (c.series, c.ts_ms, c.rx_ms, c.raw, c.value, c.quality, c.seq)),
            strict=True,
        )
        with db:
            db.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    db.close()
    after = written()
    n = seconds * SERIES
    say("naive_disk_bytes_per_reading", (after[0] - before[0]) / n, "B (write_bytes)")
    say("naive_write_call_bytes_per_reading", (after[1] - before[1]) / n, "B (wchar)")
    say("naive_at_rest_bytes_per_reading", path.stat().st_size / n, "B")
    return (after[0] - before[0]) / n, path.stat().st_size / n


def small(ids: np.ndarray, at: int, rows: int) -> Columns:
    one = np.ones(rows, np.int64)
    ts = START_MS + at * 50 + np.arange(rows)
    return Columns.of(
        ids[:rows], ts, ts + 40, one * 2000.0 + ts % 7, one * 21.5, one, one * NO_SEQ, one * 0, one * 0
    )


async def speed(directory: Path, commits: int) -> None:
    """Small commits one after the other, alone and while the journal is sealed."""
    house = Greenhouse()
    async with open_store(StoreConfig(), directory) as store:
        ids = np.array([store.catalog.intern(key, 0, "", START_MS) for key in house.names()])
        await store.commit(Columns.empty())
        began = time.perf_counter()
        for at in range(commits):
            await store.commit(small(ids, at, 20))
        rate = commits / (time.perf_counter() - began)
        say("commits_of_20", rate, "1/s")
        columns = house.second(ids, 0)
        for _ in range(700):
            store.tail.append(columns)
        hundred = small(ids, 0, 100)
        began = time.perf_counter()
        for _ in range(2000):
            store.tail.append(hundred)
        say("tail_append_100", (time.perf_counter() - began) / 2000 * 1e6, "us")
        say("tail_memory_full", store.statistics().tail_bytes / 1e6, "MB")

        for at in range(600):
            await store.commit(house.second(ids, at))
        worst = 0.0
        async with trio.open_nursery() as nursery:

            async def seal() -> None:
                await store.seal()
                nursery.cancel_scope.cancel()

            nursery.start_soon(seal)
            while True:
                mark = time.perf_counter()
                await store.commit(small(ids, commits, 20))
                worst = max(worst, time.perf_counter() - mark)
                await trio.sleep(0.002)
        say("commit_longest_while_sealing", worst * 1000, "ms")
    path = directory / "autocommit.db"
    db = apsw.Connection(str(path))
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "normal")
    db.execute(
        "CREATE TABLE reading (sensor INTEGER, ts INTEGER, value REAL, PRIMARY KEY (sensor, ts)) WITHOUT ROWID"
    )
    began = time.perf_counter()
    for at in range(commits):
        with db:
            db.executemany("INSERT INTO reading VALUES (?, ?, ?)", [(i, at, 1.0) for i in range(20)])
    bare = commits / (time.perf_counter() - began)
    db.close()
    say("naive_commits_of_20", bare, "1/s")
    say("commits_ratio", rate / bare, "x")


async def year(directory: Path) -> None:
    """A year of one series at 30 s, drawn with 1,500 points."""
    random = np.random.default_rng(7)
    count = 365 * 2880
    raw = np.rint(26_000 + np.cumsum(random.normal(0.0, 2.0, count)) + random.normal(0.0, 6.0, count))
    value = convert("sht31_temp", raw)
    ts = START_MS + np.arange(count, dtype=np.int64) * 30_000
    async with open_store(StoreConfig(), directory) as store:
        key = SeriesKey("ESP_YEAR", Bus.I2C, "68", "sht31_temp")
        series_id = store.catalog.intern(key, 21, "°C", START_MS)
        for day in range(365):
            at = slice(day * 2880, (day + 1) * 2880)
            one = np.ones(2880, np.int64)
            columns = Columns.of(
                one * series_id, ts[at], ts[at] + 40, raw[at], value[at], one, one * NO_SEQ, one * 0, one * 0
            )
            await store.commit(columns)
            await store.seal()
        await store.checkpoint()
        await chart(store, series_id, ts, value)


async def chart(store: Store, series_id: int, ts: np.ndarray, value: FloatArray) -> None:
    end = int(ts[-1]) + 1
    times = []
    for _ in range(7):
        began = time.perf_counter()
        result = await store.query(series_id, START_MS, end, max_points=1500)
        times.append(time.perf_counter() - began)
    say("year_chart", sorted(times)[3] * 1000, "ms")
    began = time.perf_counter()
    bucket = ts // result.width_ms
    starts = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1]))
    low, high = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    brute = time.perf_counter() - began
    assert result.buckets is not None
    if not (np.array_equal(result.buckets.low, low) and np.array_equal(result.buckets.high, high)):
        sys.exit("the chart differs from brute force")
    say("year_chart_points", len(result.buckets), "count")
    say("year_in_memory_reduce", brute * 1000, "ms (numpy over all readings, already unpacked)")
    for name, days in (("month", 30), ("day", 1)):
        began = time.perf_counter()
        await store.query(series_id, end - days * 86_400_000, end, max_points=1500)
        say(f"{name}_chart", (time.perf_counter() - began) * 1000, "ms")
    began = time.perf_counter()
    _, rows = await store.sql(
        f"SELECT count(*) FROM sensor_data WHERE esp_id = 'ESP_YEAR' AND timestamp >= {end - 86_400_000}", 10
    )
    say("sql_count_of_a_day", (time.perf_counter() - began) * 1000, "ms")
    if rows != [(2880,)]:
        sys.exit("SQL counts wrong")


async def main(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="growy-bench-") as name:
        folder = Path(name)
        await speed(folder / "speed", 3000)
        await year(folder / "year")
        disk, rest = await at_rest(folder / "rest", int(arguments.hours * 3600))
        naive_disk, naive_rest = naive(folder, min(int(arguments.hours * 3600), 900))
        say("disk_ratio", naive_disk / disk, "x less than the bare table")
        say("at_rest_ratio", naive_rest / rest, "x less than the bare table")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--directory", default="/var/tmp")
    trio.run(main, parser.parse_args())
