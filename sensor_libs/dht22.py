"""DHT22 (AM2302) and DHT11: raw is the 16-bit word of temperature or humidity; the firmware checked the sum.

Aosong AM2302 datasheet, section 6: humidity and temperature in tenths, temperature as sign (bit 15) and magnitude,
-40..80 °C, 0..99.9 %RH. Aosong DHT11 datasheet: integral byte, then decimal byte; 0..50 °C, 20..90 %RH.
"""

from __future__ import annotations

import numpy as np

from sensor_libs import FAIR, GOOD, MISSING, Check, Converted, FloatArray, Library, Output, Params, grade

SIGN = 32768.0

LIBRARY = Library(
    name="dht22",
    version="1.0.0",
    doc="DHT22/AM2302 and DHT11 thermometers and hygrometers",
    outputs=(
        Output(
            "dht22_temp",
            unit="°C",
            quantity="temperature",
            low=-40,
            high=80,
            decimals=1,
            aliases=("dht22", "temperature_dht22", "am2302_temp"),
            doc="raw: 16-bit word, tenths, sign in bit 15",
        ),
        Output(
            "dht22_humidity",
            unit="%RH",
            quantity="humidity",
            low=0,
            high=100,
            decimals=1,
            aliases=("humidity_dht22", "am2302_humidity"),
            doc="raw: 16-bit word, tenths",
        ),
        Output(
            "dht11_temp",
            unit="°C",
            quantity="temperature",
            low=-20,
            high=60,
            decimals=1,
            aliases=("dht11", "temperature_dht11"),
            doc="raw: integral byte * 256 + decimal byte",
        ),
        Output(
            "dht11_humidity",
            unit="%RH",
            quantity="humidity",
            low=0,
            high=100,
            decimals=1,
            aliases=("humidity_dht11",),
            doc="raw: integral byte * 256 + decimal byte",
        ),
    ),
    checks=(
        Check(raw=351, value=35.1, quality=GOOD),
        Check(raw=0x8065, value=-10.1),
        Check(raw=-101, value=-10.1),
        Check(raw=0, value=0.0),
        Check(raw=0xFFFF, value=None),
        Check(type="dht22_humidity", raw=652, value=65.2, quality=GOOD),
        Check(type="dht22_humidity", raw=0xFFFF, value=None),
        Check(type="dht11_temp", raw=0x1803, value=24.3, quality=GOOD),
        Check(type="dht11_humidity", raw=0x3500, value=53.0, quality=GOOD),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    if params.type == "dht22_temp":
        # A driver that already applied the sign sends small negative tenths; bit 15 as sign is at 32768 and above.
        tenths = np.where(raw >= SIGN, SIGN - raw, raw)
        return Converted(tenths / 10.0)
    if params.type == "dht22_humidity":
        return Converted(raw / 10.0)
    integral = np.floor(raw / 256.0)
    decimal = raw - 256.0 * integral
    value = np.where((raw >= 0) & (decimal <= 9), integral + decimal / 10.0, MISSING)
    if params.type == "dht11_temp":
        return Converted(value, grade(GOOD, ((value < 0) | (value > 50), FAIR)))
    return Converted(value, grade(GOOD, ((value < 20) | (value > 90), FAIR)))
