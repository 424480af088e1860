"""Pairing for vpd: any pair of one place, whichever comes first, never across places, never with a bad or old
partner."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.reading import Bus, Quality, SeriesKey
from growy.sensors.derived import Pairing, Pairs

T, H, OTHER_T, OTHER_H = 3, 4, 70, 71


def key(address: str, type: str) -> SeriesKey:
    return SeriesKey("ESP_12AB34CD", Bus.I2C, address, type)


@pytest.fixture
def pairing() -> Pairing:
    """Two SHT31 on one bus."""
    pairing = Pairing()
    assert pairing.watch(T, key("68", "sht31_temp"), "temperature")
    assert pairing.watch(H, key("68", "sht31_humidity"), "humidity")
    assert pairing.watch(OTHER_T, key("69", "sht31_temp"), "temperature")
    assert pairing.watch(OTHER_H, key("69", "sht31_humidity"), "humidity")
    return pairing


def feed(pairing: Pairing, *rows: tuple[int, int, float, Quality]) -> Pairs:
    series, ts, value, quality = zip(*rows, strict=True)
    return pairing.feed(
        np.array(series, np.int32), np.array(ts, np.int64), np.array(value), np.array(quality, np.uint8)
    )


GOOD = Quality.GOOD


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_pair_is_complete_whichever_half_comes_first(pairing: Pairing, order: tuple[int, int]) -> None:
    rows = [(T, 1000, 25.0, GOOD), (H, 1500, 60.0, GOOD)]
    pairs = feed(pairing, *(rows[i] for i in order))
    assert (pairs.temperature.tolist(), pairs.humidity.tolist(), pairs.ts_ms.tolist()) == (
        [25.0],
        [60.0],
        [1500],
    )
    assert pairing.keys[pairs.place[0]] == SeriesKey("ESP_12AB34CD", Bus.DERIVED, "i2c:68", "vpd")


def test_halves_may_come_in_different_batches(pairing: Pairing) -> None:
    assert len(feed(pairing, (T, 1000, 25.0, GOOD))) == 0
    assert len(feed(pairing, (H, 2000, 60.0, GOOD))) == 1


def test_two_sensors_on_one_bus_never_mix(pairing: Pairing) -> None:
    assert len(feed(pairing, (T, 1000, 25.0, GOOD), (OTHER_H, 1000, 40.0, GOOD))) == 0
    pairs = feed(pairing, (OTHER_T, 1000, 20.0, GOOD))
    assert (pairs.temperature[0], pairs.humidity[0]) == (20.0, 40.0)


def test_each_reading_makes_one_pair_at_most(pairing: Pairing) -> None:
    pairs = feed(
        pairing, (T, 0, 25.0, GOOD), (H, 0, 60.0, GOOD), (T, 30_000, 26.0, GOOD), (H, 30_000, 61.0, GOOD)
    )
    assert pairs.temperature.tolist() == [25.0, 26.0]
    assert pairs.humidity.tolist() == [60.0, 61.0]


def test_a_partner_older_than_a_minute_does_not_count(pairing: Pairing) -> None:
    assert len(feed(pairing, (T, 0, 25.0, GOOD), (H, 60_001, 60.0, GOOD))) == 0
    assert len(feed(pairing, (T, 60_001, 25.5, GOOD))) == 1


@pytest.mark.parametrize("quality", [Quality.UNKNOWN, Quality.POOR, Quality.STALE, Quality.ERROR])
def test_a_half_of_bad_quality_makes_no_pair(pairing: Pairing, quality: Quality) -> None:
    assert len(feed(pairing, (T, 0, 25.0, quality), (H, 0, 60.0, GOOD))) == 0


def test_a_half_without_value_makes_no_pair(pairing: Pairing) -> None:
    assert len(feed(pairing, (T, 0, np.nan, Quality.ERROR), (H, 0, 60.0, GOOD))) == 0


@pytest.mark.parametrize("quality", [Quality.FAIR, Quality.SUSPECT])
def test_a_pair_is_as_good_as_its_worse_half(pairing: Pairing, quality: Quality) -> None:
    assert feed(pairing, (T, 0, 25.0, quality), (H, 0, 60.0, GOOD)).quality.tolist() == [quality]


def test_replays_and_older_readings_change_nothing(pairing: Pairing) -> None:
    feed(pairing, (T, 5000, 25.0, GOOD), (H, 5000, 60.0, GOOD))
    assert len(feed(pairing, (T, 5000, 25.0, GOOD), (H, 5000, 60.0, GOOD))) == 0
    assert len(feed(pairing, (T, 4000, 24.0, GOOD), (H, 4000, 50.0, GOOD))) == 0


def test_only_temperature_and_humidity_are_watched(pairing: Pairing) -> None:
    assert not pairing.watch(9, key("118", "bmp280_pressure"), "pressure")
    assert not pairing.watch(9, SeriesKey("ESP_12AB34CD", Bus.DERIVED, "x", "t"), "temperature")
    assert not pairing.watch(9, key("68", "another_temp"), "temperature"), "its place has a temperature"
    assert pairing.watch(T, key("68", "sht31_temp"), "temperature"), "again is no fault"
    assert len(feed(pairing, (9, 0, 1.0, GOOD), (100_000, 0, 1.0, GOOD))) == 0


@given(st.lists(st.tuples(st.sampled_from([T, H, OTHER_T, OTHER_H]), st.integers(0, 200_000)), max_size=40))
def test_a_pair_is_always_of_one_place_and_a_minute_apart_at_most(rows: list[tuple[int, int]]) -> None:
    pairing = Pairing()
    for series, address, quantity in (
        (T, "68", "temperature"), (H, "68", "humidity"), (OTHER_T, "69", "temperature"), (OTHER_H, "69", "humidity"),
    ):  # fmt: skip
        pairing.watch(series, key(address, quantity), quantity)
    for series, ts in rows:
        # when every reading carries its own time as its value
        pairs = feed(pairing, (series, ts, float(ts), GOOD))
        for place, when, t, h in zip(
            pairs.place, pairs.ts_ms, pairs.temperature, pairs.humidity, strict=True
        ):
            assert abs(t - h) <= 60_000
            assert when == max(t, h)
            assert ((T, H), (OTHER_T, OTHER_H))[place][0] in {row[0] for row in rows if row[1] == t}
            assert ((T, H), (OTHER_T, OTHER_H))[place][1] in {row[0] for row in rows if row[1] == h}
