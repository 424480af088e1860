"""Vapour pressure deficit, derived from temperature and humidity of one place at one time.

FAO Irrigation and Drainage Paper 56, equation 11 (Tetens): es = 0.6108 kPa * exp(17.27 T / (T + 237.3)); VPD =
es(T_leaf) - es(T) * RH / 100. With `leaf_offset_c` 0 it is the deficit of the air; leaves in light are usually 1..3 K
colder. Negative: dew on the leaf.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sensor_libs import Check, Converted, FloatArray, Library, Number, Output, Params

LIBRARY = Library(
    name="vpd",
    version="1.0.0",
    doc="Vapour pressure deficit of any temperature and humidity pair",
    outputs=(
        Output(
            "vpd",
            unit="kPa",
            quantity="vpd",
            low=-5,
            high=50,
            decimals=4,
            inputs=("temperature", "humidity"),
            doc="°C and %RH",
        ),
    ),
    parameters={
        "leaf_offset_c": Number(0, unit="°C", low=-10, high=10, doc="leaf temperature minus air temperature"),
    },
    checks=(
        Check(raw={"temperature": 20, "humidity": 60}, value=0.9353, tolerance=5e-5),
        Check(raw={"temperature": 25, "humidity": 60}, value=1.2671, tolerance=5e-5),
        Check(raw={"temperature": 30, "humidity": 60}, value=1.6972, tolerance=5e-5),
        Check(raw={"temperature": 25, "humidity": 100}, value=0.0, tolerance=1e-9),
        # es(23 °C) 2.8094 kPa - es(25 °C) 3.1678 kPa * 0.6
        Check(
            raw={"temperature": 25, "humidity": 60},
            value=0.9088,
            tolerance=5e-5,
            params={"leaf_offset_c": -2},
        ),
        Check(raw={"temperature": 25, "humidity": 101}, value=None),
        Check(raw={"temperature": 90, "humidity": 50}, value=None),
    ),
)


def derive(inputs: Mapping[str, FloatArray], params: Params) -> Converted:
    air, humidity = inputs["temperature"], inputs["humidity"]
    valid = (air >= -40) & (air <= 80) & (humidity >= 0) & (humidity <= 100)
    deficit = _saturation(air + params.number("leaf_offset_c")) - _saturation(air) * humidity / 100.0
    return Converted(np.where(valid, deficit, np.nan))


def _saturation(celsius: FloatArray) -> FloatArray:
    kilopascals: FloatArray = 0.6108 * np.exp(17.27 * celsius / (celsius + 237.3))
    return kilopascals
