"""Values that a device has already converted and publishes under a plain name: checked for range, given their unit.

For firmware of one's own. A reading of an unknown chip under such a name that is no such value falls out of the range
and has no value.
"""

from __future__ import annotations

from sensor_libs import Check, Converted, FloatArray, Library, Output, Params

LIBRARY = Library(
    name="passthrough",
    version="1.0.0",
    doc="Temperature, humidity, pressure in their units",
    outputs=(
        Output("temperature", unit="°C", quantity="temperature", low=-60, high=150, doc="raw: °C"),
        Output("humidity", unit="%RH", quantity="humidity", low=0, high=100, doc="raw: %RH"),
        Output("pressure", unit="hPa", quantity="pressure", low=300, high=1200, doc="raw: hPa"),
    ),
    checks=(
        Check(raw=21.5, value=21.5),
        Check(raw=0.0, value=0.0),
        Check(raw=2200, value=None),
        Check(type="humidity", raw=98.0, value=98.0),
        Check(type="humidity", raw=100.1, value=None),
        Check(type="pressure", raw=1013.25, value=1013.25),
        Check(type="pressure", raw=101325, value=None),
    ),
)


def convert(raw: FloatArray, params: Params) -> Converted:
    return Converted(raw)
