"""BMP280 and BME280: raw is the uncompensated register word; it means nothing without the chip's own trim constants.

Bosch BST-BMP280-DS001 section 3.11.3 and 8.1, BST-BME280-DS002 section 4.2.3 and 8.1 (double precision formulas,
copied symbol for symbol). The firmware publishes temperature and pressure as the three register bytes, the 20-bit ADC
value << 4, and humidity as its 16-bit ADC value; it does not publish the trim constants (registers 0x88..0xA1,
0xE1..0xE7): enter them once per chip as dig_t1...dig_h6. Pressure and humidity also need the temperature, as
`temperature_c`. Without them there is no value: never a wrong one.

`input=value` takes degC, hPa, %RH that the device has compensated itself; `input=driver` takes the integers of
Bosch's 64-bit driver (1/100 degC, Pa in Q24.8, %RH in Q22.10). `altitude_m` reduces pressure to sea level: p0 = p /
(1 - h / 44330)^5.255.
"""

from __future__ import annotations

import numpy as np

from sensor_libs import (
    FAIR,
    GOOD,
    MISSING,
    Check,
    Choice,
    Converted,
    FloatArray,
    Library,
    Number,
    Output,
    Params,
    grade,
)

SKIPPED_20, SKIPPED_16 = float(0x80000), float(0x8000)
"""What the registers hold when a measurement is switched off (memory map, section 4.3.6 and following)."""
RAIL_16 = float(0xFFFF)
"""All ones, like all zeros, is what a dead bus reads. The compensation would clip it to a humidity of 100 or 0 %."""
STATION_LOW, STATION_HIGH = 300.0, 1100.0

UNSIGNED = Number(low=0, high=65535)
SIGNED = Number(low=-32768, high=32767)
BYTE = Number(low=0, high=255)
EXAMPLE = {
    "dig_t1": 27504,
    "dig_t2": 26435,
    "dig_t3": -1000,
    "dig_p1": 36477,
    "dig_p2": -10685,
    "dig_p3": 3024,
    "dig_p4": 2855,
    "dig_p5": 140,
    "dig_p6": -7,
    "dig_p7": 15500,
    "dig_p8": -14600,
    "dig_p9": 6000,
}
"""BST-BMP280-DS001 section 3.12: adc_T 519888, adc_P 415148 are 25.08 degC and 100653 Pa."""


def _temperature(name: str) -> Output:
    aliases = (f"temperature_{name}",)
    doc = "raw: see input; 20-bit ADC << 4"
    return Output(f"{name}_temp", "°C", "temperature", -40, 85, aliases=aliases, doc=doc)


def _pressure(name: str) -> Output:
    # Sea-level pressure may exceed what the chip measures at its own height.
    aliases = (f"pressure_{name}",)
    doc = "raw: see input; 20-bit ADC << 4"
    return Output(f"{name}_pressure", "hPa", "pressure", 300, 1200, aliases=aliases, doc=doc)


LIBRARY = Library(
    name="bmx280",
    version="1.0.0",
    doc="BMP280 and BME280 (I2C 0x76, 0x77)",
    outputs=(
        _temperature("bmp280"),
        _pressure("bmp280"),
        _temperature("bme280"),
        _pressure("bme280"),
        Output(
            "bme280_humidity",
            unit="%RH",
            quantity="humidity",
            low=0,
            high=100,
            aliases=("humidity_bme280",),
            doc="raw: see input; 16-bit ADC",
        ),
    ),
    parameters={
        "input": Choice(("raw", "value", "driver"), default="raw", doc="what raw is"),
        "temperature_c": Number(
            unit="°C", low=-40, high=85, doc="of the same chip, for raw pressure and humidity"
        ),
        "altitude_m": Number(0, unit="m", low=-500, high=9000, doc="reduces pressure to sea level"),
        "dig_t1": UNSIGNED,
        **{f"dig_t{i}": SIGNED for i in (2, 3)},
        "dig_p1": UNSIGNED,
        **{f"dig_p{i}": SIGNED for i in range(2, 10)},
        "dig_h1": BYTE,
        "dig_h2": SIGNED,
        "dig_h3": BYTE,
        **{f"dig_h{i}": SIGNED for i in (4, 5, 6)},
    },
    checks=(
        Check(raw=519888 << 4, value=25.08, params=EXAMPLE, quality=GOOD),
        Check(raw=0x80000 << 4, value=None, params=EXAMPLE),
        Check(raw=519888 << 4, value=None),
        Check(
            type="bmp280_pressure",
            raw=415148 << 4,
            value=1006.53,
            tolerance=0.005,
            params={**EXAMPLE, "temperature_c": 25.0825},
        ),
        Check(type="bmp280_pressure", raw=415148 << 4, value=None, params=EXAMPLE),
        Check(type="bmp280_pressure", raw=1013.25, value=1013.25, params={"input": "value"}),
        # International barometric formula: 1000 hPa at 111 m is 1013.25 hPa at sea level
        Check(
            type="bmp280_pressure",
            raw=1000.0,
            value=1013.25,
            tolerance=0.05,
            params={"input": "value", "altitude_m": 111},
        ),
        Check(
            type="bme280_pressure", raw=24674867, value=963.86, tolerance=0.005, params={"input": "driver"}
        ),
        Check(type="bme280_humidity", raw=47445, value=46.33, tolerance=0.005, params={"input": "driver"}),
        Check(type="bme280_temp", raw=5123, value=51.23, params={"input": "driver"}),
        Check(type="bme280_temp", raw=-12.5, value=-12.5, params={"input": "value"}, quality=FAIR),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    _, _, what = params.type.partition("_")
    value, reason = _SCALES[what](raw, params)
    if what == "pressure":
        station = np.where((value >= STATION_LOW) & (value <= STATION_HIGH), value, MISSING)
        return Converted(station / (1.0 - params.number("altitude_m") / 44330.0) ** 5.255, reason=reason)
    if what == "temp":
        return Converted(value, grade(GOOD, ((value < 0) | (value > 65), FAIR)), reason)
    return Converted(value, reason=reason)


def _celsius(raw: FloatArray, params: Params) -> tuple[FloatArray, str]:
    if params.choice("input") != "raw":
        return (raw / 100.0 if params.choice("input") == "driver" else raw), ""
    adc = np.floor(raw / 16.0)
    t1, t2, t3 = _trim(params, "t", 3)
    var1 = (adc / 16384.0 - t1 / 1024.0) * t2
    var2 = (adc / 131072.0 - t1 / 8192.0) ** 2 * t3
    celsius = (var1 + var2) / 5120.0
    return np.where(adc == SKIPPED_20, MISSING, celsius), _needs({"dig_t1..dig_t3": t1 + t2 + t3})


def _hectopascals(raw: FloatArray, params: Params) -> tuple[FloatArray, str]:
    if params.choice("input") != "raw":
        return (raw / 25600.0 if params.choice("input") == "driver" else raw), ""
    adc = np.floor(raw / 16.0)
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = _trim(params, "p", 9)
    temperature = params.number("temperature_c")
    var1 = temperature * 5120.0 / 2.0 - 64000.0
    var2 = var1 * var1 * p6 / 32768.0
    var2 = var2 + var1 * p5 * 2.0
    var2 = var2 / 4.0 + p4 * 65536.0
    var1 = (p3 * var1 * var1 / 524288.0 + p2 * var1) / 524288.0
    var1 = (1.0 + var1 / 32768.0) * p1
    p = (1048576.0 - adc - var2 / 4096.0) * 6250.0 / np.where(var1 == 0.0, MISSING, var1)
    p = p + (p9 * p * p / 2147483648.0 + p * p8 / 32768.0 + p7) / 16.0
    missing = {"dig_p1..dig_p9": p1 + p2 + p3 + p4 + p5 + p6 + p7 + p8 + p9, "temperature_c": temperature}
    return np.where(adc == SKIPPED_20, MISSING, p / 100.0), _needs(missing)


def _humidity(raw: FloatArray, params: Params) -> tuple[FloatArray, str]:
    if params.choice("input") != "raw":
        return (raw / 1024.0 if params.choice("input") == "driver" else raw), ""
    h1, h2, h3, h4, h5, h6 = _trim(params, "h", 6)
    temperature = params.number("temperature_c")
    h = temperature * 5120.0 - 76800.0
    h = (raw - (h4 * 64.0 + h5 / 16384.0 * h)) * (
        h2 / 65536.0 * (1.0 + h6 / 67108864.0 * h * (1.0 + h3 / 67108864.0 * h))
    )
    h = h * (1.0 - h1 * h / 524288.0)
    missing = {"dig_h1..dig_h6": h1 + h2 + h3 + h4 + h5 + h6, "temperature_c": temperature}
    counted = (raw > 0) & (raw < RAIL_16) & (raw != SKIPPED_16)
    return np.where(counted, np.clip(h, 0.0, 100.0), MISSING), _needs(missing)


_SCALES = {"temp": _celsius, "pressure": _hectopascals, "humidity": _humidity}


def _trim(params: Params, letter: str, count: int) -> tuple[FloatArray, ...]:
    return tuple(params.number(f"dig_{letter}{i}") for i in range(1, count + 1))


def _needs(numbers: dict[str, FloatArray]) -> str:
    missing = [name for name, column in numbers.items() if bool(np.any(np.isnan(column)))]
    return f"raw values need {' and '.join(missing)} of the chip" if missing else ""
