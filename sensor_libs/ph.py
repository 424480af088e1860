"""pH probes on an amplifier board: raw is an ADC count (or millivolts, or the pH of an Atlas EZO circuit).

Nernst with the isopotential point at pH 7: mV = neutral + slope * (T / 298.15 K) * (pH - 7), slope in mV per pH at 25
°C *at the ADC*, with the board's gain and sign in it. Boards: DFRobot SEN0161-V2 (library DFRobot_PH: 1500 mV at pH
7, 2032.44 mV at pH 4); DFRobot SEN0161 (V1 sample code: pH = 3.5 * V); Atlas Scientific Gravity analog pH (datasheet:
pH = -5.6548 * V + 15.509).

A calibration sets neutral and slope; with three buffers the slope has its own value on each side of pH 7. Without one
the board's typical values
hold and the quality is fair: probes differ by ±30 mV.
"""

from __future__ import annotations

import numpy as np

from sensor_libs import (
    ADC,
    FAIR,
    GOOD,
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

V2_SLOPE = (1500.0 - 2032.44) / 3.0
V1_SLOPE = 1000.0 / 3.5
ATLAS_SLOPE = -1000.0 / 5.6548
KELVIN = 273.15

LIBRARY = Library(
    name="ph",
    version="1.0.0",
    doc="pH probes: DFRobot V1 and V2, Atlas Gravity, Atlas EZO",
    outputs=(
        Output("ph", unit="pH", quantity="ph", low=0, high=14, aliases=("ph_sensor",), doc="raw: see input"),
    ),
    parameters={
        "input": Choice(
            ("counts", "millivolts", "ph"),
            default="counts",
            doc="what raw is: ADC counts, millivolts, or pH already (Atlas EZO)",
        ),
        "profile": Choice(
            {
                "dfrobot_v2": {"neutral_mv": 1500, "acid_slope_mv": V2_SLOPE, "alkaline_slope_mv": V2_SLOPE},
                "dfrobot_v1": {"neutral_mv": 2000, "acid_slope_mv": V1_SLOPE, "alkaline_slope_mv": V1_SLOPE},
                "atlas_gravity": {
                    "neutral_mv": (15.509 - 7.0) / 5.6548 * 1000.0,
                    "acid_slope_mv": ATLAS_SLOPE,
                    "alkaline_slope_mv": ATLAS_SLOPE,
                },
            },
            default="dfrobot_v2",
            doc="the board",
        ),
        "neutral_mv": Number(1500, unit="mV", low=0, high=5000, doc="at the ADC at pH 7"),
        "acid_slope_mv": Number(V2_SLOPE, unit="mV/pH", low=-1000, high=1000, doc="below pH 7, at 25 °C"),
        "alkaline_slope_mv": Number(V2_SLOPE, unit="mV/pH", low=-1000, high=1000, doc="above pH 7, at 25 °C"),
        "temperature_c": Number(25, unit="°C", low=0, high=100, doc="of the solution, for the Nernst slope"),
        "calibrated": Number(0, low=0, high=1, doc="1: the slopes are measured, not typical"),
        **ADC,
    },
    checks=(
        Check(raw=1500, value=7.0, params={"input": "millivolts"}, quality=FAIR),
        Check(raw=2032.44, value=4.0, params={"input": "millivolts"}),
        Check(raw=2032.44, value=4.0, params={"input": "millivolts", "calibrated": 1}, quality=GOOD),
        Check(raw=1000, value=9.82, tolerance=0.005, params={"input": "millivolts"}),
        Check(raw=2000, value=7.0, params={"input": "millivolts", "profile": "dfrobot_v1"}),
        Check(raw=1000, value=3.5, params={"input": "millivolts", "profile": "dfrobot_v1"}),
        Check(
            raw=2000, value=4.2, tolerance=0.005, params={"input": "millivolts", "profile": "atlas_gravity"}
        ),
        # pH = 7 + (4 - 7) * 298.15 / 308.15: the same voltage in a solution of 35 °C
        Check(raw=2032.44, value=4.1, tolerance=0.005, params={"input": "millivolts", "temperature_c": 35}),
        Check(raw=1861.36, value=7.0, tolerance=0.005),
        Check(raw=4095, value=None),
        Check(raw=20, value=None),
        Check(raw=6.18, value=6.18, quality=GOOD, params={"input": "ph"}),
        Check(raw=-1, value=None),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    if params.choice("input") == "ph":
        return Converted(raw)
    counts = params.choice("input") == "counts"
    mv = (millivolts(raw, params) if counts else raw) - params.number("neutral_mv")
    acid, alkaline = params.number("acid_slope_mv"), params.number("alkaline_slope_mv")
    slope = np.where(mv * alkaline >= 0, alkaline, acid)
    ph = 7.0 + mv / slope * ((25.0 + KELVIN) / (params.number("temperature_c") + KELVIN))
    typical = params.number("calibrated") < 1
    off_scale = clipped(raw, params) if counts else np.zeros(len(raw), np.bool_)
    return Converted(ph, grade(GOOD, (typical, FAIR), (off_scale, SUSPECT)))
