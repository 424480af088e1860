"""Calibrations: reference points in fixed units -> the parameters that `convert` applies. Validated when made,
refused with the reason.

Pure. One code path calibrates and applies: `fit` solves the very formula of the library for its parameters, and never
anything else; the library knows no calibration points, and this module converts no readings. What a point is measured
in is fixed per method:

* offset: `measured` is the value without calibration, in the value's unit, `reference` the true one; 1 or more points
  of any role, their mean counts;
* linear_2point: as offset, 2 points;
* ph: `measured` in mV at the ADC; `reference` is the buffer (roles buffer_low, buffer_neutral, buffer_high), or the
  true pH (role reference); 1 to 3 points;
* ec: `measured` in mV at the ADC; `reference` in µS/cm at 25 °C; 1 point of role reference, or buffer_low and
  buffer_high, each also with a point of role air (dry probe: the electronics' zero);
* moisture: `measured` in ADC counts; roles dry (0 %) and wet (100 %).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from growy.model.errors import CalibrationError
from growy.sensors.calibration_solve import Fitted, Point, ec, linear, moisture, offset, ph

SCHEMA: Final = 1
"""Of `Calibration.to_json`."""

_Solver = Callable[[Sequence[Point], Mapping[str, float]], Fitted]
_METHODS: Final[Mapping[str, tuple[_Solver, str | None]]] = {
    "offset": (offset, None),
    "linear_2point": (linear, None),
    "ph": (ph, "mV"),
    "ec": (ec, "mV"),
    "moisture": (moisture, "counts"),
}
METHODS: Final = tuple(_METHODS)


@attrs.frozen(slots=True)
class Calibration:
    """A calibration that was accepted. Made by `fit` or `from_json`, which refuses what `fit` would not have made."""

    method: str
    value_unit: str
    """Unit of the converted value."""
    measured_unit: str
    """Unit of the points' `measured`: mV, counts, or the value's own."""
    points: tuple[Point, ...]
    nominal: tuple[tuple[str, float], ...]
    """What was known of the sensor without calibration: the board's slope, the converter's range."""
    parameters: Mapping[str, float] = attrs.field(eq=False)
    """Parameters of the library that this calibration sets. Follow from the points."""
    facts: Mapping[str, float] = attrs.field(eq=False)
    """For people: slope efficiency in percent, offset in mV..."""

    def to_json(self) -> str:
        return json.dumps(
            {
                "schema": SCHEMA,
                "method": self.method,
                "value_unit": self.value_unit,
                "measured_unit": self.measured_unit,
                "points": [attrs.asdict(point) for point in self.points],
                "nominal": dict(self.nominal),
                "parameters": dict(self.parameters),
                "facts": dict(self.facts),
            },
            sort_keys=True,
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Raises CalibrationError when it is no calibration, of a newer schema, or its parameters do not follow from
        its points."""
        try:
            plain = json.loads(text)
            schema = plain["schema"]
            if schema != SCHEMA:
                raise CalibrationError(
                    f"the calibration has schema {schema}, this growyd knows {SCHEMA}",
                    cure="Use the growyd that wrote it, or calibrate again",
                )
            calibration = fit(
                plain["method"],
                [Point(**point) for point in plain["points"]],
                value_unit=plain["value_unit"],
                nominal=plain["nominal"],
            )
            stored = {str(name): float(number) for name, number in plain["parameters"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
            raise CalibrationError(
                f"not a calibration: {error}", cure="Calibrate the sensor again"
            ) from error
        follows = stored.keys() == calibration.parameters.keys() and all(
            math.isclose(stored[name], number, rel_tol=1e-9, abs_tol=1e-9)
            for name, number in calibration.parameters.items()
        )
        if not follows:
            raise CalibrationError(
                "the calibration's parameters do not follow from its points: it was changed by hand",
                cure="Calibrate the sensor again",
            )
        return calibration


def fit(
    method: str,
    points: Sequence[Point],
    *,
    value_unit: str = "",
    nominal: Mapping[str, float] | None = None,
) -> Calibration:
    """Solve for the parameters; `Registry.calibrate` knows `value_unit` and `nominal` of a sensor.

    Args:
        method: one of `METHODS`.
        points: in any order: what counts is their role and reference.
        value_unit: of the converted value.
        nominal: numbers of the sensor without calibration; what the method does not use is left out.

    Raises:
        CalibrationError: the reason (unknown method, too few points, equal points, wrong sign, implausible slope...).
    """
    if method not in _METHODS:
        raise CalibrationError(
            f"unknown calibration method {method!r}", cure=f"Methods are {', '.join(METHODS)}"
        )
    for number, point in enumerate(points, 1):
        if not all(map(math.isfinite, (point.measured, point.reference, point.temperature_c))):
            raise CalibrationError(f"point {number} holds a value that is no number", cure="Measure it again")
    solver, measured_unit = _METHODS[method]
    known = {name: float(number) for name, number in (nominal or {}).items() if math.isfinite(number)}
    try:
        fitted = solver(points, known)
    except KeyError as missing:
        raise CalibrationError(
            f"a {method} calibration needs the sensor's {missing.args[0]}",
            cure="Use a method that fits the sensor",
        ) from missing
    return Calibration(
        method=method,
        value_unit=value_unit,
        measured_unit=measured_unit or value_unit,
        points=tuple(points),
        nominal=tuple(sorted((name, known[name]) for name in fitted.used if name in known)),
        parameters=fitted.parameters,
        facts=fitted.facts,
    )


__all__ = ["METHODS", "SCHEMA", "Calibration", "Point", "fit"]
