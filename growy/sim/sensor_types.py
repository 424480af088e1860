"""The sensor types the firmware knows, and how it reaches them. A table; anything else it reads as an analog pin."""

from __future__ import annotations

import attrs


@attrs.frozen(slots=True)
class SensorType:
    device: str
    """The chip; types of one chip share an address."""
    i2c_address: int = 0
    """Its default address; 0: not on I²C."""
    multi_value: bool = False


_SHT31 = SensorType("sht31", 0x44, multi_value=True)
_BMP280 = SensorType("bmp280", 0x76, multi_value=True)
_BME280 = SensorType("bme280", 0x76, multi_value=True)
_DS18B20 = SensorType("ds18b20")
_PH = SensorType("ph_sensor")
_EC = SensorType("ec_sensor")
_MOISTURE = SensorType("moisture")

_TYPES = {
    "sht31": _SHT31,
    "sht31_temp": _SHT31,
    "sht31_humidity": _SHT31,
    "temperature_sht31": _SHT31,
    "humidity_sht31": _SHT31,
    "bmp280": _BMP280,
    "bmp280_pressure": _BMP280,
    "bmp280_temp": _BMP280,
    "bme280": _BME280,
    "bme280_pressure": _BME280,
    "bme280_temp": _BME280,
    "bme280_humidity": _BME280,
    "ds18b20": _DS18B20,
    "temperature_ds18b20": _DS18B20,
    "ph": _PH,
    "ph_sensor": _PH,
    "ec": _EC,
    "ec_sensor": _EC,
    "moisture": _MOISTURE,
    "soil_moisture": _MOISTURE,
}


def known(sensor_type: str) -> SensorType | None:
    return _TYPES.get(sensor_type)


def is_i2c(sensor_type: str) -> bool:
    found = _TYPES.get(sensor_type)
    return found is not None and found.i2c_address != 0


def is_onewire(sensor_type: str) -> bool:
    return _TYPES.get(sensor_type) is _DS18B20
