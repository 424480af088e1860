"""SHT31 (all SHT3x): raw is the 16-bit word of temperature or humidity; its CRC was checked by the firmware.

Sensirion SHT3x-DIS datasheet, version 7, section 4.13 (conversion), table 1 and 2 (accuracy: ±0.2 °C between 0 and 90
°C, ±2 %RH over 0..100 %RH at 25 °C). A reading of 98 %RH is a good measurement of humid air.
"""

from __future__ import annotations

import numpy as np

from sensor_libs import FAIR, GOOD, MISSING, Check, Converted, FloatArray, Library, Output, Params, grade

FULL_SCALE = 65535.0

LIBRARY = Library(
    name="sht31",
    version="1.0.0",
    doc="SHT31 thermometer and hygrometer (I2C 0x44, 0x45)",
    outputs=(
        Output(
            "sht31_temp",
            unit="°C",
            quantity="temperature",
            low=-40,
            high=125,
            aliases=("temperature_sht31",),
            doc="raw: 16-bit word",
        ),
        Output(
            "sht31_humidity",
            unit="%RH",
            quantity="humidity",
            low=0,
            high=100,
            aliases=("humidity_sht31",),
            doc="raw: 16-bit word",
        ),
    ),
    checks=(
        Check(raw=26214.0, value=25.0, tolerance=0.005, quality=GOOD),
        Check(raw=16852, value=0.0, tolerance=0.005),
        Check(raw=65535, value=None),
        Check(raw=-1, value=None),
        Check(type="sht31_humidity", raw=32768, value=50.0, tolerance=0.005),
        Check(type="sht31_humidity", raw=64225, value=98.0, tolerance=0.005, quality=GOOD),
        Check(type="sht31_humidity", raw=65535, value=100.0),
        Check(type="sht31_humidity", raw=0, value=0.0),
        Check(type="sht31_humidity", raw=65536, value=None),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    word = np.where((raw >= 0) & (raw <= FULL_SCALE), raw, MISSING)
    if params.type == "sht31_humidity":
        return Converted(100.0 * word / FULL_SCALE)
    celsius = -45.0 + 175.0 * word / FULL_SCALE
    return Converted(celsius, grade(GOOD, ((celsius < 0) | (celsius > 90), FAIR)))
