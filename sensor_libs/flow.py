"""Water flow: raw is pulses in a time window, a pulse frequency, or litres per minute.

YF-S201 datasheet: f = 7.5 * Q (Hz, L/min), that is 450 pulses per litre; 1..30 L/min, ±10 %. Other turbine meters:
their pulses per litre.
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

LIBRARY = Library(
    name="flow",
    version="1.0.0",
    doc="Water flow: YF-S201 and other pulse meters",
    outputs=(
        Output(
            "flow",
            unit="L/min",
            quantity="flow",
            low=0,
            high=1000,
            aliases={"yfs201": {"sensor": "yfs201"}},
            doc="raw: see input",
        ),
    ),
    parameters={
        "input": Choice(("pulses", "hertz", "l_min"), default="pulses", doc="what raw is"),
        "sensor": Choice(
            {
                "generic": {"pulses_per_litre": 450, "rated_low": 0, "rated_high": 1000},
                "yfs201": {"pulses_per_litre": 450, "rated_low": 1, "rated_high": 30},
            },
            default="generic",
        ),
        "pulses_per_litre": Number(
            450, unit="1/L", low=0.1, high=100_000, doc="K; pulses counted / litres measured"
        ),
        "window_s": Number(unit="s", low=0.01, high=3600, doc="time in which the pulses were counted"),
        "rated_low": Number(0, unit="L/min", low=0, high=1000, doc="below, accuracy is not specified"),
        "rated_high": Number(1000, unit="L/min", low=0, high=1000, doc="above, accuracy is not specified"),
    },
    checks=(
        Check(raw=75, value=10.0, params={"input": "hertz"}, quality=GOOD),
        Check(raw=450, value=60.0, params={"window_s": 1}),
        Check(raw=450, value=1.0, params={"window_s": 60}, quality=GOOD),
        Check(raw=450, value=60.0, quality=FAIR),
        Check(raw=0, value=0.0, params={"input": "hertz", "sensor": "yfs201"}, quality=GOOD),
        Check(raw=3.75, value=0.5, params={"input": "hertz", "sensor": "yfs201"}, quality=FAIR),
        Check(raw=300, value=40.0, params={"input": "hertz", "sensor": "yfs201"}, quality=FAIR),
        Check(raw=12.5, value=12.5, params={"input": "l_min"}, quality=GOOD),
        Check(raw=-1, value=None),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    if params.choice("input") == "l_min":
        flow, guessed = raw, np.zeros(len(raw), np.bool_)
    else:
        window = params.number("window_s")
        guessed = np.isnan(window) & (params.choice("input") == "pulses")
        # No window said: one second, which is what counters usually report; the quality says that it is a guess.
        seconds = (
            np.where(np.isnan(window), 1.0, window) if params.choice("input") == "pulses" else np.ones(1)
        )
        flow = raw / seconds * 60.0 / params.number("pulses_per_litre")
    flow = np.where(flow >= 0, flow, MISSING)
    moving = flow > 0
    outside = moving & ((flow < params.number("rated_low")) | (flow > params.number("rated_high")))
    return Converted(flow, grade(GOOD, (outside | (guessed & moving), FAIR)))
