"""Soil moisture, capacitive and resistive probes: raw is an ADC count; the value is relative wetness between dry (0
%) and wet (100 %).

Capacitive (v1.2/v2.0 boards): more water, more permittivity, more capacitance, less output voltage: linear in the
count between the two calibration points, as usual; it is not volumetric water content. Resistive (voltage divider):
the logarithm of the resistance is taken as linear in wetness; ln(count / (full - count)) is that logarithm up to sign
and offset, which the two points take out, so that the divider's orientation and resistor need not be known. `gamma`
bends either scale.
"""

from __future__ import annotations

import numpy as np

from sensor_libs import (
    ADC,
    FAIR,
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
    clipped,
    grade,
    signed32,
)

BEYOND = 0.2
"""So far outside the calibrated span, in shares of it, the probe is not in the medium it was calibrated for."""

LIBRARY = Library(
    name="moisture",
    version="1.0.0",
    doc="Soil moisture: capacitive and resistive probes",
    outputs=(
        Output(
            "moisture",
            unit="%",
            quantity="moisture",
            low=0,
            high=100,
            decimals=1,
            aliases=("soil_moisture",),
            doc="raw: ADC counts",
        ),
    ),
    parameters={
        "probe": Choice(("capacitive", "resistive"), default="capacitive"),
        "dry": Number(3200, unit="counts", low=0, high=2**24, doc="in dry medium, or air"),
        "wet": Number(1500, unit="counts", low=0, high=2**24, doc="in saturated medium, or water"),
        "gamma": Number(1, low=0.2, high=5, doc="exponent of the scale; 1: straight"),
        "calibrated": Number(0, low=0, high=1, doc="1: dry and wet are measured"),
        **ADC,
    },
    checks=(
        Check(raw=3200, value=0.0, quality=FAIR),
        Check(raw=1500, value=100.0, quality=FAIR),
        Check(raw=2350, value=50.0, params={"calibrated": 1}, quality=GOOD),
        Check(raw=2350, value=50.0, params={"dry": 1500, "wet": 3200}),
        Check(raw=3300, value=0.0),
        Check(raw=3800, value=0.0, quality=SUSPECT),
        Check(raw=2350, value=None, params={"dry": 2000, "wet": 2000}),
        Check(raw=4096, value=None),
        # 1365 and 2730 of 4095 are R:2R and 2R:R: the middle of their logarithms is R:R, half scale
        Check(raw=2047.5, value=50.0, params={"probe": "resistive", "dry": 2730, "wet": 1365}),
        Check(raw=2350, value=25.0, params={"gamma": 2}),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    raw = signed32(raw)
    full = params.number("adc_counts")
    dry, wet = params.number("dry"), params.number("wet")
    possible = (raw >= 0) & (raw <= full)
    if params.choice("probe") == "resistive":
        share = (_log_ratio(raw, full) - _log_ratio(dry, full)) / (
            _log_ratio(wet, full) - _log_ratio(dry, full)
        )
    else:
        share = (raw - dry) / (wet - dry)
    share = np.where(possible & (dry != wet), share, MISSING)
    percent = 100.0 * np.clip(share, 0.0, 1.0) ** params.number("gamma")
    beyond = (share < -BEYOND) | (share > 1.0 + BEYOND)
    typical = params.number("calibrated") < 1
    quality = grade(GOOD, (typical, FAIR), (beyond | clipped(raw, params), SUSPECT))
    return Converted(percent, quality, "dry and wet are equal" if bool(np.any(dry == wet)) else "")


def _log_ratio(counts: FloatArray, full: FloatArray) -> FloatArray:
    inside = np.clip(
        counts, 1.0, full - 1.0
    )  # an open or shorted probe is as dry or wet as can be, not infinite
    ratio: FloatArray = np.log(inside / (full - inside))
    return ratio
