"""CO2: raw is ppm (or the PWM high time of an MH-Z19).

Winsen MH-Z19B manual: UART answer HH*256 + LL in ppm, PWM ppm = range * (Th - 2 ms) / (Th + Tl - 4 ms) with a cycle
of 1004 ms, ranges 2000/5000/10000 ppm. Sensirion SCD30 datasheet: 0..40000 ppm on I2C, ±(30 ppm + 3 %) in 400..10000
ppm. Outdoor air holds some 425 ppm: a sensor that reads much less has drifted.
"""

from __future__ import annotations

import numpy as np

from sensor_libs import (
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
    grade,
)

IMPLAUSIBLE_PPM = 350.0
CYCLE_US = 1_004_000.0

LIBRARY = Library(
    name="co2",
    version="1.0.0",
    doc="CO2: MH-Z19, SCD30",
    outputs=(
        Output(
            "co2",
            unit="ppm",
            quantity="co2",
            low=0,
            high=40_000,
            decimals=0,
            aliases={
                "mhz19_co2": {"model": "mhz19"},
                "mhz19": {"model": "mhz19"},
                "scd30_co2": {"model": "scd30"},
                "scd30": {"model": "scd30"},
            },
            doc="raw: see input",
        ),
    ),
    parameters={
        "input": Choice(
            ("ppm", "pwm_us"), default="ppm", doc="what raw is: ppm, or PWM high time in µs (MH-Z19)"
        ),
        "model": Choice(
            {
                "generic": {"range_ppm": 10_000, "accurate_to_ppm": 10_000},
                "mhz19": {"range_ppm": 5000, "accurate_to_ppm": 5000},
                "scd30": {"range_ppm": 40_000, "accurate_to_ppm": 10_000},
            },
            default="generic",
        ),
        "range_ppm": Number(10_000, unit="ppm", low=1000, high=40_000, doc="the sensor's measuring range"),
        "accurate_to_ppm": Number(
            10_000, unit="ppm", low=1000, high=40_000, doc="above, accuracy is not specified"
        ),
    },
    checks=(
        Check(raw=800, value=800, quality=GOOD),
        Check(raw=1400, value=1400, quality=GOOD),
        Check(raw=120, value=120, quality=SUSPECT),
        Check(raw=0, value=None),
        Check(raw=10_001, value=None),
        Check(raw=4999, value=4999, quality=GOOD, params={"model": "mhz19"}),
        Check(raw=5000, value=5000, quality=SUSPECT, params={"model": "mhz19"}),
        Check(raw=12_000, value=12_000, quality=FAIR, params={"model": "scd30"}),
        Check(raw=202_000, value=1000, params={"model": "mhz19", "input": "pwm_us"}),
        Check(raw=82_000, value=800, params={"model": "mhz19", "input": "pwm_us", "range_ppm": 10_000}),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    reach = params.number("range_ppm")
    ppm = reach * (raw - 2000.0) / (CYCLE_US - 4000.0) if params.choice("input") == "pwm_us" else raw
    # 0 is what both models answer before their first measurement: air without CO2 does not exist.
    ppm = np.where((ppm > 0) & (ppm <= reach), ppm, MISSING)
    unlikely = (ppm < IMPLAUSIBLE_PPM) | (ppm >= reach)  # at the end of the range it is "that much or more"
    return Converted(ppm, grade(GOOD, (ppm > params.number("accurate_to_ppm"), FAIR), (unlikely, SUSPECT)))
