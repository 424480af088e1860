"""Electrical conductivity, K=1 probes: raw is an ADC count (or millivolts, or µS/cm of an Atlas EZO circuit). Values
at 25 °C.

DFRobot DFR0300 (library DFRobot_EC): raw EC in mS/cm = 1000 * mV / 820 / 200, times the cell factor K, which the
library has twice (below 2.0 and above 2.5 mS/cm, from 1.413 and 12.88 mS/cm). Here K_low holds up to its calibration
point, K_high from its own, and a straight line runs between: the same at both points, and without the jump.
Temperature: EC25 = EC / (1 + alpha * (T - 25 °C)); alpha 1.9..2.0 %/K for nutrient solutions (ISO 7888). Atlas EZO-EC
sends compensated µS/cm.

TDS in ppm is EC by convention: 0.5 ("500 scale", NaCl), 0.64 ("640"), 0.7 ("700", 442).
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
    millivolts,
)

US_CM_PER_MV = 1e6 / 820.0 / 200.0
LEAST_FACTOR = 0.3
"""A compensation that more than triples the value comes of no water temperature."""

LIBRARY = Library(
    name="ec",
    version="1.0.0",
    doc="Electrical conductivity: DFRobot K=1 on ESP32 or ADS1115, Atlas EZO",
    outputs=(
        Output(
            "ec",
            unit="µS/cm",
            quantity="conductivity",
            low=0,
            high=20_000,
            decimals=1,
            aliases=("ec_sensor",),
            doc="raw: see input; at 25 °C",
        ),
        Output("tds", unit="ppm", quantity="tds", low=0, high=14_000, decimals=1, doc="as ec, by tds_scale"),
    ),
    parameters={
        "input": Choice(
            ("counts", "millivolts", "us_cm"),
            default="counts",
            doc="what raw is: ADC counts, millivolts, or compensated µS/cm (Atlas EZO)",
        ),
        "us_cm_per_mv": Number(US_CM_PER_MV, unit="µS/cm/mV", low=0.01, high=1000, doc="of the board, K = 1"),
        "zero_mv": Number(0, unit="mV", low=-500, high=500, doc="with the probe dry, in air"),
        "k_low": Number(1, low=0.1, high=10, doc="cell factor up to k_low_until"),
        "k_high": Number(1, low=0.1, high=10, doc="cell factor from k_high_from"),
        "k_low_until": Number(1413, unit="µS/cm", low=0, high=1e6, doc="uncalibrated µS/cm"),
        "k_high_from": Number(12_880, unit="µS/cm", low=0, high=1e6, doc="uncalibrated µS/cm"),
        "temperature_c": Number(25, unit="°C", low=0, high=60, doc="of the solution"),
        "alpha": Number(
            0.02, unit="1/K", low=0, high=0.05, doc="temperature coefficient; 0: no compensation"
        ),
        "tds_scale": Choice(
            {"500": {"tds_factor": 0.5}, "640": {"tds_factor": 0.64}, "700": {"tds_factor": 0.7}},
            default="500",
            doc="ppm scale of the tds output",
        ),
        "tds_factor": Number(0.5, unit="ppm/(µS/cm)", low=0.3, high=1.0),
        "calibrated": Number(0, low=0, high=1, doc="1: the cell factors are measured"),
        **ADC,
    },
    checks=(
        Check(raw=1000, value=6097.6, tolerance=0.05, params={"input": "millivolts"}, quality=FAIR),
        Check(
            raw=231.732,
            value=1413.0,
            tolerance=0.05,
            params={"input": "millivolts", "calibrated": 1},
            quality=GOOD,
        ),
        Check(raw=1000, value=5081.3, tolerance=0.05, params={"input": "millivolts", "temperature_c": 35}),
        # 1000 counts of a 16-bit converter are 125 mV at ±4.096 V: never taken for 12-bit counts
        Check(raw=1000, value=762.2, tolerance=0.05, params={"adc": "ads1115_4096"}),
        Check(raw=20_000, value=15243.9, tolerance=0.05, params={"adc": "ads1115_4096"}),
        Check(raw=4096, value=None, params={"adc": "esp32"}),
        Check(raw=4000, value=19655.1, tolerance=0.05, quality=FAIR),
        Check(raw=4050, value=19900.8, tolerance=0.05, quality=SUSPECT),
        Check(raw=1413, value=1413.0, params={"input": "us_cm", "temperature_c": 35}, quality=GOOD),
        Check(raw=0, value=0.0, params={"input": "us_cm"}),
        Check(type="tds", raw=1413, value=706.5, params={"input": "us_cm"}),
        Check(type="tds", raw=1413, value=989.1, params={"input": "us_cm", "tds_scale": "700"}),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    factor = params.number("tds_factor") if params.type == "tds" else np.ones(1)
    if params.choice("input") == "us_cm":
        return Converted(raw * factor)
    counts = params.choice("input") == "counts"
    mv = millivolts(raw, params) if counts else raw
    # Below the dry probe's zero there is no conductivity, only the noise of the electronics.
    plain = np.maximum((mv - params.number("zero_mv")) * params.number("us_cm_per_mv"), 0.0)
    divisor = 1.0 + params.number("alpha") * (params.number("temperature_c") - 25.0)
    at_25 = _with_cell_factor(plain, params) / np.where(divisor > LEAST_FACTOR, divisor, MISSING)
    typical = params.number("calibrated") < 1
    off_scale = clipped(raw, params) if counts else np.zeros(len(raw), np.bool_)
    return Converted(at_25 * factor, grade(GOOD, (typical, FAIR), (off_scale, SUSPECT)))


def _with_cell_factor(plain: FloatArray, params: Params) -> FloatArray:
    k_low, k_high = params.number("k_low"), params.number("k_high")
    start, end = params.number("k_low_until"), params.number("k_high_from")
    rise = (k_high * end - k_low * start) / np.maximum(end - start, 1e-9)
    between = k_low * start + (plain - start) * rise
    return np.where(plain <= start, k_low * plain, np.where(plain >= end, k_high * plain, between))
