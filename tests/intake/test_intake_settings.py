"""A changed setup of a device counts from its very next reading on; other devices do not notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rig.intake import Bench, open_bench

from growy.intake.slots import DEAD_PLANS
from growy.model.reading import Quality
from growy.model.setup import SensorSetup
from growy.sensors.calibration import Point, fit

ROM = "28FF641E8D3C0C79"


def offset(degrees: float) -> str:
    """A calibration that adds so much to a DS18B20."""
    nominal = {"low": -55.0, "high": 125.0}
    return fit("offset", [Point(20.0, 20.0 + degrees)], value_unit="°C", nominal=nominal).to_json()


def probe(**more: object) -> SensorSetup:
    fixed = {"id": "a", "gpio": 4, "sensor_type": "ds18b20", "name": "Roots", "onewire_address": ROM}
    return SensorSetup(**(fixed | more))


@pytest.fixture
def setups() -> dict[str, tuple[SensorSetup, ...]]:
    return {"ESP_00AA01": (probe(),), "ESP_00AA02": (probe(),)}


def sensors_of(setups: dict[str, tuple[SensorSetup, ...]]) -> Callable[[str], tuple[SensorSetup, ...]]:
    return lambda esp_id: setups.get(esp_id, ())


def warm(bench: Bench, seq: int, esp: str = "ESP_00AA01") -> object:
    return bench.reading("ds18b20", 400, esp=esp, seq=seq, onewire_address=ROM)


async def test_a_new_calibration_makes_the_next_value_and_leaves_raw_alone(
    tmp_path: Path, setups: dict[str, tuple[SensorSetup, ...]]
) -> None:
    async with open_bench(tmp_path, sensors_of=sensors_of(setups)) as bench:
        await bench.deliver_all(warm(bench, 1))
        setups["ESP_00AA01"] = (probe(calibrations={"ds18b20": offset(0.5)}),)
        bench.intake.settings_changed("ESP_00AA01")
        await bench.deliver_all(warm(bench, 2))
        setups["ESP_00AA01"] = (probe(),)
        bench.intake.settings_changed("ESP_00AA01")
        await bench.deliver_all(warm(bench, 3))
        rows = await bench.stored("ds18b20")
        made_by = [json.loads(bench.store.conversions.get(row.conversion).parameters) for row in rows]

    assert [row.raw for row in rows] == [400.0] * 3
    assert [row.value for row in rows] == [25.0, 25.5, 25.0]
    assert rows[0].conversion == rows[2].conversion != rows[1].conversion
    assert [made["calibration_offset"] for made in made_by] == [0.0, 0.5, 0.0]
    assert made_by[1]["calibration_method"] == "offset"


async def test_parameters_count_too_and_only_for_the_device_that_changed(
    tmp_path: Path, setups: dict[str, tuple[SensorSetup, ...]]
) -> None:
    async with open_bench(tmp_path, sensors_of=sensors_of(setups)) as bench:
        await bench.deliver_all(warm(bench, 1), warm(bench, 1, "ESP_00AA02"))
        for esp_id in setups:
            setups[esp_id] = (probe(parameters={"calibration_offset": 1.0}),)
        bench.intake.settings_changed("ESP_00AA01")
        await bench.deliver_all(warm(bench, 2), warm(bench, 2, "ESP_00AA02"))
        values = [reading.value for reading in await bench.stored("ds18b20")]

    assert values == [25.0, 26.0, 25.0, 25.0]


async def test_a_calibration_that_cannot_be_read_leaves_no_value_rather_than_a_wrong_one(
    tmp_path: Path, setups: dict[str, tuple[SensorSetup, ...]]
) -> None:
    setups["ESP_00AA01"] = (probe(calibrations={"ds18b20": '{"schema": 99}'}),)
    async with open_bench(tmp_path, sensors_of=sensors_of(setups)) as bench:
        await bench.deliver_all(warm(bench, 1))
        (row,) = await bench.stored("ds18b20")

    assert (row.raw, row.value, row.quality) == (400.0, None, Quality.UNKNOWN)


async def test_however_often_a_calibration_changes_the_table_of_plans_stays_small(
    tmp_path: Path, setups: dict[str, tuple[SensorSetup, ...]]
) -> None:
    async with open_bench(tmp_path, sensors_of=sensors_of(setups)) as bench:
        await bench.deliver_all(warm(bench, 1))
        for number in range(3 * DEAD_PLANS):
            setups["ESP_00AA01"] = (probe(parameters={"calibration_offset": number / 100}),)
            bench.intake.settings_changed("ESP_00AA01")
            bench.intake.slots.refresh()
        await bench.deliver_all(warm(bench, 2))
        value = (await bench.stored("ds18b20"))[-1].value

        assert len(bench.intake.slots.plans) < 1.5 * DEAD_PLANS
        assert value == 25.0 + (3 * DEAD_PLANS - 1) / 100
