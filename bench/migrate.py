"""What moving from the old server costs: rows a second and bytes per reading, beside a bare copy of the table.

    python -m bench.migrate [--rows 1000000] [--directory /var/tmp]

The old database: 50 series every 30 s with the noise of real sensors, in the order of receipt. The copy is one
`INSERT INTO ... SELECT` of the whole table into an equal one in another file, the least that any migration in SQLite
does. Both run three times, by turns; the median counts. The directory must be on a disk, not tmpfs."""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import numpy as np

from bench.store import KINDS, Greenhouse
from growy.config import StoreConfig
from growy.store.legacy import Options, move, open_source

TABLE = (
    "sensor_data (id INTEGER PRIMARY KEY AUTOINCREMENT, esp_id TEXT, gpio INTEGER, sensor_type TEXT, raw_data INTEGER,"
    " processed_value REAL, timestamp INTEGER, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"
)
SERIES, STEP_S, START_S = 50, 30, 1_735_689_600
ROUNDS = 3


def rows(count: int) -> Iterator[tuple[object, ...]]:
    house, ids = Greenhouse(), np.arange(500)
    for at in range(count // SERIES):
        columns = house.second(ids, at)
        first = columns.series < SERIES
        moment = START_S + at * STEP_S
        created = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment + 1))
        for series, raw, value in zip(
            columns.series[first].tolist(),
            columns.raw[first].tolist(),
            columns.value[first].tolist(),
            strict=True,
        ):
            kind = KINDS[series % len(KINDS)]
            yield (f"ESP_{series // 10:06X}", 4 + series % 10, kind, int(raw), value, moment, created)


def old_database(path: Path, count: int) -> None:
    db = apsw.Connection(str(path))
    db.execute(f"CREATE TABLE {TABLE}")
    with db:
        db.executemany(
            "INSERT INTO sensor_data (esp_id, gpio, sensor_type, raw_data, processed_value, timestamp, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows(count),
        )
    db.close()


def copied(old: Path, new: Path) -> float:
    """Seconds of a bare copy."""
    began = time.perf_counter()
    db = apsw.Connection(str(new))
    db.execute(f"ATTACH ? AS old; CREATE TABLE main.{TABLE}", (str(old),))
    with db:
        db.execute("INSERT INTO main.sensor_data SELECT * FROM old.sensor_data")
    db.close()
    return time.perf_counter() - began


def moved(old: Path, folder: Path) -> float:
    """Seconds of `growyd migrate`, without starting the program."""
    began = time.perf_counter()
    with open_source(old, old.parent) as source:
        report = move(source, StoreConfig(), folder, Options())
    assert report.run.taken == report.run.rows
    return time.perf_counter() - began


def say(name: str, value: float, unit: str) -> None:
    print(f"migrate.{name} {value:.6g} {unit}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--directory", default="/var/tmp")
    args = parser.parse_args()
    count = args.rows // SERIES * SERIES
    with tempfile.TemporaryDirectory(dir=args.directory) as temporary:
        base = Path(temporary)
        old = base / "growy_database.db"
        old_database(old, count)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ours, bare = [], []
        for at in range(ROUNDS):
            bare.append(copied(old, base / f"copy{at}.db"))
            ours.append(moved(old, base / f"growy{at}"))
        fast, slow = statistics.median(ours), statistics.median(bare)
        say("rows", count, "rows")
        say("rate", count / fast, "rows/s")
        say("bare_rate", count / slow, "rows/s")
        say("ratio_to_bare", slow / fast, "(1: as fast as a copy)")
        say("at_rest", (base / "growy0" / "series.db").stat().st_size / count, "B/reading")
        say("bare_at_rest", (base / "copy0.db").stat().st_size / count, "B/reading")
        say(
            "memory",
            (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
            "MiB above the start",
        )


if __name__ == "__main__":
    main()
