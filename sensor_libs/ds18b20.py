"""DS18B20 1-Wire thermometer: raw is the signed scratchpad temperature, 1/16 °C.

Maxim/Analog Devices DS18B20 datasheet 19-7487: table 1 (temperature/data relationship), "Configuration register" (the
low 3/2/1 bits are undefined at 9/10/11 bits), -55..125 °C, ±0.5 °C between -10 and 85 °C.
"""

from __future__ import annotations

import numpy as np

from sensor_libs import (
    ERROR,
    FAIR,
    GOOD,
    MISSING,
    SUSPECT,
    Check,
    Converted,
    FloatArray,
    Library,
    Number,
    Output,
    Params,
    grade,
    signed32,
)

DISCONNECTED = -2032.0
"""-127 °C: what Arduino's DallasTemperature says instead of a value when the sensor does not answer."""
OPEN_BUS = -1.0
"""All ones: nobody pulls the bus low. As a temperature it would be -0.06 °C; a real sensor passes through it so
rarely that losing it is cheaper than believing a loose wire."""
POWER_ON = 1360.0
"""85 °C: the register before the first conversion. May be true, cannot be told apart."""

LIBRARY = Library(
    name="ds18b20",
    version="1.0.0",
    doc="DS18B20 1-Wire thermometer",
    outputs=(
        Output(
            "ds18b20",
            unit="°C",
            quantity="temperature",
            low=-55,
            high=125,
            decimals=4,
            aliases=("temperature_ds18b20",),
            doc="raw: signed 1/16 °C",
        ),
    ),
    parameters={"resolution_bits": Number(12, unit="bit", low=9, high=12, doc="the sensor's resolution")},
    checks=(
        Check(raw=2000, value=125.0),
        Check(raw=1360, value=85.0, quality=SUSPECT),
        Check(raw=401, value=25.0625, quality=GOOD),
        Check(raw=407, value=25.0, params={"resolution_bits": 9}),
        Check(raw=8, value=0.5),
        Check(raw=0, value=0.0, quality=GOOD),
        Check(raw=-8, value=-0.5),
        Check(raw=-880, value=-55.0, quality=FAIR),
        Check(raw=-881, value=None),
        Check(raw=-2032, value=None, quality=ERROR),
        Check(raw=4294965264, value=None, quality=ERROR),
        Check(raw=-1, value=None, quality=ERROR),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    raw = signed32(raw)
    step = np.exp2(12.0 - params.number("resolution_bits"))
    celsius = np.floor(raw / step) * (step / 16.0)
    broken = (raw == OPEN_BUS) | (raw == DISCONNECTED)
    rough = (celsius < -10.0) | (celsius > 85.0)
    quality = grade(GOOD, (rough, FAIR), (raw == POWER_ON, SUSPECT), (broken, ERROR))
    return Converted(np.where(broken, MISSING, celsius), quality)
