"""The old server's database into the store: everything that is good, once, beside what is there, however often and
however interrupted."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import apsw
import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.legacy import ESP, NOW_MS, T0, legacy_file, migrated, row, stored
from store_readings import readings

from growy.config import StoreConfig
from growy.model.errors import StoreError, StoreInUse, StoreUnavailable
from growy.model.reading import Bus, Columns, Quality, SeriesKey
from growy.store import Store, open_store
from growy.store.legacy import Options, look_through, move, open_source
from growy.store.legacy.judge import Remark, Why
from growy.store.legacy.moving import LIBRARY

KEY = SeriesKey(ESP, Bus.GPIO, "4", "ds18b20")
ROM = SeriesKey(ESP, Bus.ONEWIRE, "28FF641E8216C3A1", "ds18b20")
CHILD = Path(__file__).with_name("store_legacy_child.py")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return tmp_path / "growy_database.db"


def live(folder: Path, key: SeriesKey, columns: Columns, *, seal: bool = False) -> None:
    """What growyd itself has received before, or receives afterwards."""

    async def main() -> None:
        async with open_store(StoreConfig(), folder) as store:
            number = store.catalog.intern(key, 4, "°C", 1)
            columns.series = np.full(len(columns), number, np.int32)
            await store.commit(columns)
            if seal:
                await store.seal()

    trio.run(main)


def times(columns: Columns) -> list[int]:
    return columns.ts_ms.tolist()


async def read_all(store: Store, series_id: int) -> Columns:
    found = (await store.query(series_id, 0, 1 << 50)).readings
    assert found is not None
    return found


def test_every_good_row_is_a_reading_with_its_origin(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0 + at, raw=360 + at, value=22.5 + at, created=T0 + at + 1) for at in range(9)])

    report = migrated(old, folder)

    assert (report.run.rows, report.run.taken, report.new_series, report.joined_series) == (9, 9, 1, 0)
    found = stored(folder)
    assert list(found) == [KEY]
    assert times(found[KEY]) == [(T0 + at) * 1000 for at in range(9)]
    assert found[KEY].rx_ms.tolist() == [(T0 + at + 1) * 1000 for at in range(9)]
    assert found[KEY].raw.tolist() == [360.0 + at for at in range(9)]
    assert found[KEY].value.tolist() == [22.5 + at for at in range(9)]
    assert set(found[KEY].quality.tolist()) == {Quality.UNKNOWN}
    rows = apsw.Connection(str(folder / "series.db")).execute("SELECT id, library FROM conversion").fetchall()
    assert rows == [(found[KEY].conversion[0], LIBRARY)]


def test_a_row_without_a_value_has_none(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0, value=None), row(T0 + 1, value=float("inf")), row(T0 + 2, value=0.0)])

    report = migrated(old, folder)

    value = stored(folder)[KEY].value
    assert np.isnan(value[:2]).all()
    assert value[2] == 0.0
    assert report.total.remarks == Counter({Remark.NO_VALUE: 1, Remark.VALUE_NOT_FINITE: 1})


async def test_charts_are_drawn_from_summaries_that_are_right(old: Path, folder: Path) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(22, 3, 5000).round(2)
    order = rng.permutation(5000)  # rows need not lie in the order of time
    legacy_file(old, [row(T0 + 30 * int(at), value=float(values[at])) for at in order])
    migrated(old, folder, window_rows=700)

    async with open_store(StoreConfig(), folder) as store:
        [series] = store.catalog.series()
        day = await store.query(series.id, T0 * 1000, (T0 + 150_000) * 1000, resolution="1h")
        figures = await store.series_statistics(series.id, 0, 1 << 50)
        found = await read_all(store, series.id)

    assert times(found) == [(T0 + 30 * at) * 1000 for at in range(5000)]
    assert (found.value == values).all()
    assert day.buckets is not None
    hours = [values[at : at + 120] for at in range(0, 5000, 120)]
    assert day.buckets.low.tolist() == [hour.min() for hour in hours]
    assert day.buckets.high.tolist() == [hour.max() for hour in hours]
    assert day.buckets.mean == pytest.approx([hour.mean() for hour in hours])
    assert day.buckets.first.tolist() == [hour[0] for hour in hours]
    assert day.buckets.last.tolist() == [hour[-1] for hour in hours]
    assert (figures.count, figures.low, figures.high) == (5000, values.min(), values.max())
    assert figures.std == pytest.approx(values.std())


def test_a_second_run_adds_nothing_and_says_so(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0 + at) for at in range(50)])
    first = migrated(old, folder)
    before = stored(folder)

    second = migrated(old, folder)

    assert (second.run.rows, second.run.taken, second.total) == (0, 0, first.total)
    assert times(stored(folder)[KEY]) == times(before[KEY])


def test_reading_from_the_first_row_again_adds_nothing_either(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0 + at) for at in range(50)])
    migrated(old, folder)

    report = migrated(old, folder, again=True)

    assert report.run.why == Counter({Why.STORED_ALREADY: 50})
    assert report.joined_series == 1
    assert len(stored(folder)[KEY]) == 50


def test_a_later_run_takes_what_the_old_server_has_written_since(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0 + at) for at in range(50)])
    migrated(old, folder)
    legacy_file(old, [row(T0 + at) for at in range(50, 60)])

    report = migrated(old, folder)

    assert (report.run.rows, report.run.taken, report.total.taken) == (10, 10, 60)
    assert times(stored(folder)[KEY]) == [(T0 + at) * 1000 for at in range(60)]


@pytest.mark.parametrize(
    "change", ["DELETE FROM sensor_data WHERE id < 20", "UPDATE sensor_data SET id = id + 1000"]
)
def test_a_database_that_is_not_what_it_was_is_read_from_the_start(
    old: Path, folder: Path, change: str
) -> None:
    legacy_file(old, [row(T0 + at) for at in range(50)])
    migrated(old, folder)
    db = apsw.Connection(str(old))
    db.execute(change)
    db.close()
    legacy_file(old, [row(T0 + 50)])

    report = migrated(old, folder)

    assert report.run.rows > 30
    assert report.run.taken == 1
    assert len(stored(folder)[KEY]) == 51


@pytest.mark.parametrize("seal", [False, True])
def test_what_growyd_has_received_itself_stays_and_the_old_rows_fill_the_gaps(
    old: Path, folder: Path, *, seal: bool
) -> None:
    ours = readings(1, [(T0 + at) * 1000 for at in range(10, 20)], [50.0] * 10, quality=Quality.GOOD)
    live(folder, KEY, ours, seal=seal)
    legacy_file(old, [row(T0 + at, value=20.0) for at in range(30)])

    report = migrated(old, folder)

    assert report.run.why == Counter({Why.TAKEN: 20, Why.STORED_ALREADY: 10})
    found = stored(folder)[KEY]
    assert times(found) == [(T0 + at) * 1000 for at in range(30)]
    assert found.value.tolist() == [20.0] * 10 + [50.0] * 10 + [20.0] * 10
    assert (report.new_series, report.joined_series) == (0, 1)


def test_the_history_of_a_sensor_goes_on_under_its_address(old: Path, folder: Path) -> None:
    live(folder, ROM, readings(1, [NOW_MS], [21.0]))
    legacy_file(old, [row(T0), row(T0, gpio=5)])

    report = migrated(old, folder)

    found = stored(folder)
    assert times(found[ROM]) == [T0 * 1000, NOW_MS]
    assert times(found[SeriesKey(ESP, Bus.GPIO, "5", "ds18b20")]) == [T0 * 1000]
    assert (report.new_series, report.joined_series) == (1, 1)


def test_of_two_sensors_on_one_pin_neither_is_given_the_history(old: Path, folder: Path) -> None:
    live(folder, ROM, readings(1, [NOW_MS], [21.0]))
    live(folder, SeriesKey(ESP, Bus.ONEWIRE, "28FF641E8216C3A2", "ds18b20"), readings(1, [NOW_MS], [21.0]))
    legacy_file(old, [row(T0)])

    migrated(old, folder)

    found = stored(folder)
    assert times(found[KEY]) == [T0 * 1000]
    assert len(found) == 3


def test_where_a_series_has_gone_once_it_goes_again(old: Path, folder: Path) -> None:
    live(folder, ROM, readings(1, [NOW_MS], [21.0]))
    legacy_file(old, [row(T0)])
    migrated(old, folder)
    live(folder, SeriesKey(ESP, Bus.ONEWIRE, "28FF641E8216C3A2", "ds18b20"), readings(1, [NOW_MS], [21.0]))
    legacy_file(old, [row(T0 + 1)])

    migrated(old, folder)
    migrated(old, folder, again=True)

    found = stored(folder)
    assert times(found[ROM]) == [T0 * 1000, T0 * 1000 + 1000, NOW_MS]
    assert KEY not in found


def test_of_rows_with_the_same_time_the_first_counts(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0, value=1.0), row(T0 * 1000, value=2.0), row(T0, kind="DS18B20", value=3.0)])

    report = migrated(old, folder, window_rows=2)

    assert report.run.why == Counter({Why.TAKEN: 1, Why.SAME_TIME: 1, Why.STORED_ALREADY: 1})
    assert stored(folder)[KEY].value.tolist() == [1.0]


def test_dirt_is_reported_by_reason_and_by_series_and_costs_the_good_rows_nothing(
    old: Path, folder: Path
) -> None:
    legacy_file(
        old,
        [
            row(T0),
            row(None),
            row("soon"),
            row(5e12),
            row(100),
            row((T0 + 1) * 1_000_000),
            row("2025-01-01T00:00:02+00:00"),
            row(T0, esp_id="kitchen"),
            row(T0, gpio=999),
            row(T0 + 9, esp_id="ESP_00A002", raw=None, value=None),
        ],
    )

    report = migrated(old, folder)

    assert dict(report.total.why) == {
        Why.TAKEN: 3,
        Why.NO_TIME: 1,
        Why.BAD_TIME: 1,
        Why.IN_THE_FUTURE: 1,
        Why.BEFORE_2020: 1,
        Why.BAD_ESP_ID: 1,
        Why.BAD_GPIO: 1,
        Why.NOTHING_MEASURED: 1,
    }
    assert report.total.examples[Why.BAD_ESP_ID] == ["row 8: esp_id 'kitchen'"]
    devices = report.per_device()
    assert (devices[ESP].taken, devices[ESP].refused) == (3, 4)
    assert (devices["ESP_00A002"].taken, devices["ESP_00A002"].refused) == (0, 1)
    said = report.to_dict()
    assert said["devices"][ESP]["first"] == "2025-01-01T00:00:00+00:00"
    assert (
        said["total"]["timestamps"]
        == {
            "seconds": 5,
            "milliseconds": 1,
            "microseconds": 1,
            "text": 1,
            "none": 1,
            "unreadable": 1,
        }
        or sum(said["total"]["timestamps"].values()) == 10
    )
    assert times(stored(folder)[KEY]) == [T0 * 1000, T0 * 1000 + 1000, T0 * 1000 + 2000]


def test_a_dry_run_says_the_same_and_makes_nothing(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0), row(None), row(T0 + 1, esp_id="kitchen"), row(T0 + 2)])
    with open_source(old, old.parent) as source:
        dry = look_through(source, StoreConfig(), folder, Options(now_ms=NOW_MS))
    assert not folder.exists()

    report = migrated(old, folder)

    assert dry.total == report.total
    assert (dry.new_series, dry.joined_series) == (report.new_series, report.joined_series) == (1, 0)


async def test_a_dry_run_beside_a_running_growyd_knows_which_series_would_go_on(
    old: Path, folder: Path
) -> None:
    await trio.to_thread.run_sync(live_all, folder, readings(1, [NOW_MS], [21.0]))
    legacy_file(old, [row(T0), row(T0, gpio=5)])
    async with open_store(StoreConfig(), folder):
        with open_source(old, old.parent) as source:
            dry = look_through(source, StoreConfig(), folder, Options(now_ms=NOW_MS))

    assert (dry.new_series, dry.joined_series) == (1, 1)


def test_rows_that_retention_would_delete_stay_where_they_are(old: Path, folder: Path) -> None:
    day = NOW_MS // 1000
    legacy_file(old, [row(day - 40 * 86_400), row(day - 86_400)])

    report = migrated(old, folder, retention_days=30)

    assert report.run.why == Counter({Why.TAKEN: 1, Why.BEYOND_RETENTION: 1})


async def test_a_running_growyd_is_not_written_beside(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0)])
    async with open_store(StoreConfig(), folder):
        with pytest.raises(StoreInUse):
            await trio.to_thread.run_sync(migrated, old, folder)


def test_too_little_room_is_said_before_anything_is_written(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0)])
    with pytest.raises(StoreUnavailable, match="full"):
        migrated(old, folder, min_free_mb=1_000_000)
    assert not (folder / "series.db").exists()


def test_a_machine_that_does_not_know_the_time_is_told_to_wait(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0)])
    with open_source(old, old.parent) as source, pytest.raises(StoreError, match="clock"):
        move(source, StoreConfig(), folder, Options(now_ms=1000))


def test_of_a_damaged_old_database_everything_before_the_damage_is_taken(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0 + at, raw=at) for at in range(5000)])
    content = bytearray(old.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xa5" * 4096
    old.write_bytes(content)

    for _ in range(2):
        with pytest.raises(StoreError, match=r"damaged behind row \d+") as caught:
            migrated(old, folder)
        last = int(caught.value.message.split("row ")[1].split(":")[0])
        assert 1000 < last < 4000
        assert stored(folder)[KEY].raw.tolist() == list(range(last))


def test_a_damaged_chunk_stops_it_rather_than_being_written_beside(old: Path, folder: Path) -> None:
    live(folder, KEY, readings(1, [(T0 + at) * 1000 for at in range(99)], [50.0] * 99), seal=True)
    db = apsw.Connection(str(folder / "series.db"))
    db.execute("UPDATE chunk SET data = zeroblob(length(data))")
    db.close()
    legacy_file(old, [row(T0 + 5)])

    with pytest.raises(StoreError, match="cannot be told"):
        migrated(old, folder)


async def test_growyd_goes_on_with_a_migrated_store(old: Path, folder: Path) -> None:
    legacy_file(old, [row(T0 + at) for at in range(100)])
    live_before = readings(1, [NOW_MS - 1000], [20.0])
    await trio.to_thread.run_sync(live_all, folder, live_before)
    await trio.to_thread.run_sync(migrated, old, folder)

    async with open_store(StoreConfig(), folder) as store:
        number = store.catalog.intern(KEY, 4, "°C", 1)
        assert store.tail.latest(number).ts_ms == NOW_MS - 1000
        await store.commit(readings(number, [NOW_MS], [21.0]))
        await store.seal()
        found = await read_all(store, number)
        rows = (await store.sql("SELECT count(*), count(DISTINCT timestamp) FROM sensor_data", 9))[1]

    assert times(found) == [*((T0 + at) * 1000 for at in range(100)), NOW_MS - 1000, NOW_MS]
    assert rows == [(102, 102)]


def live_all(folder: Path, columns: Columns) -> None:
    live(folder, KEY, columns)


DIRTY = st.tuples(
    st.integers(0, 40),
    st.sampled_from([T0, T0 * 1000, None, 0, "x"]),
    st.sampled_from([4, 5, 300]),
    st.sampled_from([1.5, None]),
)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(DIRTY, max_size=60), window=st.integers(1, 70), ours=st.sets(st.integers(0, 40)))
def test_however_it_is_cut_the_store_holds_one_reading_per_series_and_time(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple], window: int, ours: set[int]
) -> None:
    base = tmp_path_factory.mktemp("legacy")
    folder, path = base / "growy", base / "old.db"
    if ours:
        live(folder, KEY, readings(1, [(T0 + at) * 1000 for at in sorted(ours)], [99.0] * len(ours)))
    expected = {4: dict.fromkeys(((T0 + at) * 1000 for at in ours), 99.0), 5: {}}
    made = []
    for at, base_time, gpio, value in rows:
        time_written = base_time + at * base_time // T0 if isinstance(base_time, int) else base_time
        made.append(row(time_written, gpio=gpio, value=value))
        if gpio != 300 and isinstance(base_time, int) and base_time:
            expected[gpio].setdefault((T0 + at) * 1000, value)
    legacy_file(path, made)

    report = migrated(path, folder, window_rows=window)

    found = stored(folder)
    for gpio, readings_of in expected.items():
        columns = found.get(SeriesKey(ESP, Bus.GPIO, str(gpio), "ds18b20"), Columns.empty())
        values = [None if np.isnan(value) else value for value in columns.value.tolist()]
        assert list(zip(times(columns), values, strict=True)) == sorted(
            readings_of.items(), key=lambda one: one[0]
        )
    assert report.total.rows == len(rows) == sum(report.total.why.values())


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_every_reading_is_there_once(
    old: Path, folder: Path, request: pytest.FixtureRequest
) -> None:
    kills = 60 if request.config.getoption("--long", default=False) else 8
    dice, series, each = random.Random(7), 10, 1500
    legacy_file(
        old,
        [
            row(T0 + 10 * at, gpio=gpio, raw=at, value=float(at))
            for at in range(each)
            for gpio in range(series)
        ],
    )
    live(folder, KEY, readings(1, [(T0 + 10 * at) * 1000 for at in range(100, 200)], [-1.0] * 100))
    killed = sum(killed_while_moving(old, folder, dice) for _ in range(kills))

    report = migrated(old, folder)

    assert killed > kills // 2
    assert (report.total.rows, report.total.taken) == (series * each, series * each - 100)
    for key, columns in stored(folder).items():
        assert times(columns) == [(T0 + 10 * at) * 1000 for at in range(each)]
        ours = slice(100, 200) if key == KEY else slice(0, 0)
        assert (columns.value[ours] == -1.0).all()
        assert (np.delete(columns.value, ours) == np.delete(np.arange(each), ours)).all()


def killed_while_moving(old: Path, folder: Path, dice: random.Random) -> bool:
    """Lets a process migrate and kills it at a random moment; whether it was still at it."""
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(old), str(folder), str(dice.choice([100, 300, 700]))],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    assert child.stdout.readline(), "the child could not migrate"
    time.sleep(dice.uniform(0.0, 0.06))
    child.kill()
    said = child.stdout.read()
    child.wait()
    child.stdout.close()
    return b"done" not in said
