"""Which sensor a series comes from, and what a grower has set for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from growy.config import SensorsConfig
from growy.fleet.conversion import ConversionSetups, find_sensor
from growy.model.errors import CalibrationError
from growy.model.reading import Bus, SeriesKey
from growy.model.setup import SensorSetup
from growy.sensors.calibration import Point
from growy.sensors.pool import open_pool
from growy.sensors.registry import Registry

ESP = "ESP_00AA01"


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with open_pool(SensorsConfig(workers=1), None) as pool:
        yield pool.registry


def sensor(id: str, sensor_type: str, gpio: int, **more: object) -> SensorSetup:
    return SensorSetup(id=id, gpio=gpio, sensor_type=sensor_type, name=id, **more)


SENSORS = (
    sensor("climate", "sht31", 68, i2c_address=68),
    sensor("climate 2", "sht31", 69, i2c_address=69),
    sensor("air", "bme280", 118, i2c_address=118),
    sensor("roots", "ds18b20", 4, onewire_address="28FF641E8D3C0C79"),
    sensor("water", "ds18b20", 4, onewire_address="28FF641E8D3C0C80"),
    sensor("tank", "ph_sensor", 34),
    sensor("odd", "phlogiston", 35),
)


@pytest.mark.parametrize(
    ("bus", "address", "value_type", "found"),
    [
        (Bus.I2C, "68", "sht31_temp", "climate"),
        (Bus.I2C, "68", "sht31_humidity", "climate"),
        (Bus.I2C, "69", "sht31_humidity", "climate 2"),
        (Bus.I2C, "70", "sht31_temp", None),
        (Bus.I2C, "118", "bme280_pressure", "air"),
        # a chip that was replaced by another at its address
        (Bus.I2C, "118", "bmp280_pressure", None),
        (Bus.ONEWIRE, "28FF641E8D3C0C80", "ds18b20", "water"),
        # two on the wire, and a reading that does not say which
        (Bus.GPIO, "4", "ds18b20", None),
        # firmware that does not send the address: its label will do
        (Bus.GPIO, "68", "sht31_temp", "climate"),
        (Bus.GPIO, "34", "ph", "tank"),
        (Bus.GPIO, "34", "moisture", None),
        (Bus.GPIO, "35", "phlogiston", "odd"),
        (Bus.DERIVED, "i2c:68", "vpd", None),
    ],
)
async def test_a_series_is_found_by_address_else_by_pin(
    registry: Registry, bus: Bus, address: str, value_type: str, found: str | None
) -> None:
    setup = find_sensor(registry, SENSORS, SeriesKey(ESP, bus, address, value_type))

    assert (setup and setup.id) == found


async def test_each_value_of_a_chip_has_its_own_calibration_and_all_share_the_parameters(
    registry: Registry,
) -> None:
    warmer = registry.calibrate("sht31_temp", "offset", [Point(20.0, 20.5)])
    setup = sensor(
        *("climate", "sht31", 68),
        i2c_address=68,
        calibrations={"sht31_temp": warmer.to_json()},
        parameters={"calibration_gain": 1.0},
    )
    setups = ConversionSetups(registry, lambda esp_id: (setup,) if esp_id == ESP else ())

    assert setups.setup_of(SeriesKey(ESP, Bus.I2C, "68", "sht31_temp")) == (setup.parameters, warmer)
    # a name that means the same
    assert setups.setup_of(SeriesKey(ESP, Bus.I2C, "68", "temperature_sht31"))[1] == warmer
    assert setups.setup_of(SeriesKey(ESP, Bus.I2C, "68", "sht31_humidity")) == (setup.parameters, None)
    assert setups.setup_of(SeriesKey("ESP_00AA02", Bus.I2C, "68", "sht31_temp")) == (None, None)


async def test_what_is_no_calibration_is_told_and_not_passed_over(registry: Registry) -> None:
    setup = sensor("tank", "ph", 34, calibrations={"ph": "{}"})
    setups = ConversionSetups(registry, lambda esp_id: (setup,))

    with pytest.raises(CalibrationError):
        setups.setup_of(SeriesKey(ESP, Bus.GPIO, "34", "ph"))
