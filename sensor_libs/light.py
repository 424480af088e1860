"""Illuminance: raw is lux, the count of a BH1750, or both channels of a TSL2561. Darkness is good data.

ROHM BH1750FVI datasheet: lux = count / 1.2 * (69 / MTreg), in H-resolution mode 2 half of it. TAOS TSL2560/61
datasheet (TAOS059N), "Calculating Lux": empirical ratio polynomial for packages T, FN, CL and for CS, given for gain
16x and 402 ms; raw = channel 1 * 65536 + channel 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sensor_libs import (
    GOOD,
    MISSING,
    SUSPECT,
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

COUNT_MAX = 65535.0
SEGMENTS = {
    "t": ((0.50, 0.0304, 0.062), (0.61, 0.0224, 0.031), (0.80, 0.0128, 0.0153), (1.30, 0.00146, 0.00112)),
    "cs": ((0.52, 0.0315, 0.0593), (0.65, 0.0229, 0.0291), (0.80, 0.0157, 0.0180), (1.30, 0.00338, 0.00260)),
}
"""Up to this ratio channel 1 / channel 0: lux = b * channel 0 - m * channel 1; in the first segment the ratio to the
power 1.4 takes the place of the ratio."""
CHANNEL_FULL = ((14.0, 5047.0), (102.0, 37177.0))
"""Up to this integration time, ms, a channel is full at so many counts; beyond, at 65535."""

LIBRARY = Library(
    name="light",
    version="1.0.0",
    doc="Illuminance: lux, BH1750, TSL2561",
    outputs=(
        Output(
            "light",
            unit="lux",
            quantity="illuminance",
            low=0,
            high=200_000,
            decimals=1,
            aliases={"bh1750": {"sensor": "bh1750"}, "tsl2561": {"sensor": "tsl2561"}, "lux": {}},
            doc="raw: see sensor",
        ),
    ),
    parameters={
        "sensor": Choice(
            ("lux", "bh1750", "tsl2561"),
            default="lux",
            doc="what raw is: lux, BH1750 count, TSL2561 channel 1 * 65536 + channel 0",
        ),
        "mtreg": Number(69, low=31, high=254, doc="BH1750 measurement time register"),
        "mode": Choice(("high", "high2"), default="high", doc="BH1750 resolution mode (low counts as high)"),
        "package": Choice(tuple(SEGMENTS), default="t", doc="TSL2561 package: t (T, FN, CL) or cs"),
        "gain": Number(1, low=1, high=16, doc="TSL2561 gain, 1 or 16"),
        "integration_ms": Number(402, unit="ms", low=13, high=402, doc="TSL2561 integration time"),
    },
    checks=(
        Check(raw=0, value=0.0, quality=GOOD),
        Check(raw=120_000, value=120_000.0, quality=GOOD),
        Check(raw=-1, value=None),
        # ROHM: 1000_0011_1001_0000b = 33680 counts are 28067 lux
        Check(raw=33_680, value=28_066.7, params={"sensor": "bh1750"}, quality=GOOD),
        Check(raw=33_680, value=14_033.3, params={"sensor": "bh1750", "mode": "high2"}),
        Check(raw=33_680, value=15_248.8, params={"sensor": "bh1750", "mtreg": 127}),
        Check(raw=65_535, value=54_612.5, params={"sensor": "bh1750"}, quality=SUSPECT),
        Check(raw=1000, value=30.4, params={"sensor": "tsl2561", "gain": 16}),
        Check(raw=300 * 65536 + 1000, value=18.9, tolerance=0.05, params={"sensor": "tsl2561", "gain": 16}),
        Check(raw=600 * 65536 + 1000, value=3.8, params={"sensor": "tsl2561", "gain": 16}),
        Check(raw=300 * 65536 + 1000, value=303.0, tolerance=0.5, params={"sensor": "tsl2561"}),
        Check(raw=0, value=0.0, params={"sensor": "tsl2561"}, quality=GOOD),
        Check(raw=65_535, value=None, params={"sensor": "tsl2561"}),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    sensor = params.choice("sensor")
    if sensor == "lux":
        return Converted(raw)
    if sensor == "bh1750":
        count = np.where((raw >= 0) & (raw <= COUNT_MAX), raw, MISSING)
        steps = 2.4 if params.choice("mode") == "high2" else 1.2
        return Converted(
            count / steps * (69.0 / params.number("mtreg")), grade(GOOD, (count == COUNT_MAX, SUSPECT))
        )
    return _tsl2561(raw, params)


def _tsl2561(raw: FloatArray, params: Params) -> Converted:
    word = np.where(
        raw < 0, raw + 2.0**32, raw
    )  # both channels bright: bit 31 is set, and the wire calls that negative
    channel1 = np.floor(word / 65536.0)
    channel0 = word - 65536.0 * channel1
    integration = params.number("integration_ms")
    full = np.full(len(raw), COUNT_MAX)
    for until_ms, count in reversed(CHANNEL_FULL):
        full = np.where(integration <= until_ms, count, full)
    scale = (402.0 / integration) * (16.0 / params.number("gain"))
    ratio = np.where(channel0 > 0, channel1 / channel0, 0.0)
    lux = np.zeros(len(raw))
    done: npt.NDArray[np.bool_] = np.zeros(len(raw), np.bool_)
    for number, (until, b, m) in enumerate(SEGMENTS[params.choice("package")]):
        here = ~done & (ratio <= until)
        infrared = channel0 * ratio**1.4 if number == 0 else channel1
        lux = np.where(here, b * channel0 - m * infrared, lux)
        done |= here
    # A full channel is no measurement: the ratio is lost, so the true value may be anything above.
    saturated = (channel0 >= full) | (channel1 >= full)
    return Converted(np.where(saturated, MISSING, np.maximum(lux * scale, 0.0)))
