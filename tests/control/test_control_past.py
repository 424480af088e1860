"""The readings that rules go on from after a restart reach back as far as they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from rules_rig import AIR, SOIL, TANK, above, on, rule

from growy.config import StoreConfig
from growy.control.lookup import Found
from growy.control.past import LATE_MS, WINDOWS, needed, read_past
from growy.model.reading import Bus, Columns, Quality, SeriesKey
from growy.model.rules import All, AnyOf, HeldFor, Not, Operator, Pid, RateOfChange, SensorRef
from growy.store.store import Store, open_store

IDS = {AIR: 1, SOIL: 2}
START_MS = 1_790_000_000_000


def series_of(ref: SensorRef) -> Found:
    series_id = IDS.get(ref)
    return Found(None, "nowhere") if series_id is None else Found(series_id)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(StoreConfig(tail_readings=10), tmp_path / "growy") as one:
        for ref, series_id in IDS.items():
            key = SeriesKey(ref.esp_id, Bus.GPIO, str(ref.gpio), ref.sensor_type or "")
            assert one.catalog.intern(key, ref.gpio, "", 0) == series_id
        yield one


async def heard(store: Store, series_id: int, seconds: range, quality: Quality = Quality.GOOD) -> None:
    count = len(seconds)
    ts = START_MS + np.array(seconds) * 1000
    values = np.array(seconds, float)
    zeros = np.zeros(count, np.int64)
    columns = Columns.of(
        zeros + series_id, ts, ts + 40, values, values, zeros + int(quality), zeros, zeros, zeros
    )
    store.tail.append(columns)
    await store.commit(columns)


def slope(window_s: float, sensor: SensorRef = AIR) -> RateOfChange:
    return RateOfChange(sensor=sensor, operator=Operator.GT, per_min=1.0, window_s=window_s)


def test_a_slope_needs_its_window_everything_else_what_is_newest():
    loop = Pid(actuator=on().actuator, sensor=SOIL, set_point=1.0, kp=1.0)
    rules = [
        rule(All(conditions=(Not(condition=slope(60.0)), above(1.0, TANK)))),
        rule(AnyOf(conditions=(HeldFor(condition=slope(300.0), seconds=5.0), above(2.0)))),
        rule(above(1.0, TANK), loop),
    ]
    assert needed(rules, series_of) == {1: WINDOWS * 300.0, 2: 0.0}
    assert needed([], series_of) == {}


async def test_what_is_not_in_memory_any_more_is_read_from_the_disk(store: Store):
    await heard(store, 1, range(0, 1000, 5))
    await heard(store, 2, range(0, 1000, 20))
    past = await read_past(store, {1: 300.0, 2: 100.0}, START_MS + 950_000)

    air = past.columns.take(past.columns.series == 1)
    # And the one before, which says how the sensor stood then.
    assert (air.rx_ms[0] - START_MS, air.rx_ms[-1] - START_MS) == (645_040, 995_040)
    assert bool((np.diff(air.rx_ms) == 5000).all())
    soil = past.columns.take(past.columns.series == 2)
    assert soil.rx_ms[0] - START_MS == 800_040
    assert bool((np.diff(past.columns.rx_ms) >= 0).all())
    assert past.history(1, START_MS + 980_000) == [
        (START_MS + at * 1000 + 40, float(at)) for at in range(980, 1000, 5)
    ]


async def test_all_since_the_memories_were_saved_is_there_however_fast_the_sensor(store: Store):
    await heard(store, 1, range(400))
    past = await read_past(store, {1: 0.0}, START_MS + 100_000)

    assert past.columns.rx_ms.tolist() == [START_MS + at * 1000 + 40 for at in range(99, 400)]


async def test_only_good_values_are_history(store: Store):
    await heard(store, 1, range(0, 50, 10))
    await heard(store, 1, range(50, 80, 10), Quality.SUSPECT)
    past = await read_past(store, {1: 500.0}, START_MS + 60_000)

    assert [value for _, value in past.history(1, 0)] == [0.0, 10.0, 20.0, 30.0, 40.0]
    assert len(past.columns) == 8


async def test_series_that_no_rule_looks_at_are_not_read(store: Store):
    await heard(store, 1, range(100))
    past = await read_past(store, {2: 500.0}, START_MS + 50_000)

    assert past.columns.rx_ms.tolist() == [START_MS + at * 1000 + 40 for at in range(90, 100)]


async def test_what_was_on_its_way_for_a_while_is_found(store: Store):
    seconds = np.arange(0, 300, 10)
    ts = START_MS + seconds * 1000
    zeros = np.zeros(len(ts), np.int64)
    columns = Columns.of(
        zeros + 1, ts - LATE_MS + 60_000, ts, zeros * 1.0, zeros * 1.0, zeros + 1, zeros, zeros, zeros
    )
    store.tail.append(columns)
    await store.commit(columns)
    past = await read_past(store, {1: 100.0}, START_MS + 200_000)

    assert (past.columns.rx_ms[0] - START_MS) // 1000 == 90
