"""Reference points as a person gives them -> points as a calibration method wants them. Pure.

People and clients leave out what is plain: which method a sensor is calibrated by, what a buffer's role is. What the
device sent (`raw`) becomes what the method measures in by the very function that the libraries use, never by a second
formula here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from growy.model.errors import CalibrationError
from growy.sensors.calibration import METHODS, Point
from growy.sensors.calibration_solve import BUFFER_ROLES, REFERENCE_C, buffer_of
from growy.sensors.declarations import CORRECTION
from growy.sensors.plan import Plan
from sensor_libs import ADC, Params, clipped, millivolts

_ALIASES: Final = {
    "linear": "linear_2point",
    "moisture_2point": "moisture",
    "ph_1point": "ph",
    "ph_2point": "ph",
    "ph_3point": "ph",
    "ec_1point": "ec",
    "ec_2point": "ec",
}
"""Names that other servers and clients have for the same."""
_INPUT_MV: Final = "millivolts"
_FULL: Final = 100.0
"""Percent: the wet end of a moisture scale."""


@attrs.frozen
class GivenPoint:
    """A point as a person gives it: `raw` or `measured`, and what is known of the truth."""

    raw: float | None = None
    """As the device sends it."""
    measured: float | None = None
    """In the method's own unit: mV, counts, or the value's unit."""
    reference: float | None = None
    role: str = ""
    temperature_c: float = REFERENCE_C


def method_for(plan: Plan, count: int, wanted: str = "") -> str:
    """The method that a sensor is calibrated by: the one that was asked for, else the one that fits its library, else
    by the number of points.

    Raises CalibrationError.
    """
    name = _ALIASES.get(wanted.lower(), wanted.lower())
    if name and name != "auto":
        if name not in METHODS:
            known = ", ".join((*METHODS, *_ALIASES))
            raise CalibrationError(
                f"unknown calibration method {wanted[:40]!r}", cure=f"Methods are {known}, or none at all"
            )
        return name
    says, columns = dict(plan.choices).get("input"), set(plan.columns)
    if {"neutral_mv", "acid_slope_mv"} <= columns and says != "ph":
        return "ph"
    if {"us_cm_per_mv", "zero_mv"} <= columns and says != "us_cm":
        return "ec"
    if {"dry", "wet"} <= columns:
        return "moisture"
    if count > 2:
        raise CalibrationError(
            f"{count} points, and {plan.value_type} has no method of its own",
            cure="Give 1 point for an offset, 2 for a line, or name the method offset: it takes the mean",
        )
    return "linear_2point" if count == 2 else "offset"


def without_correction(settings: dict[str, object]) -> dict[str, object]:
    """Settings for the value that an offset or a line is measured against."""
    return {name: setting for name, setting in settings.items() if name not in CORRECTION}


def measured_of(method: str, plan: Plan, point: GivenPoint, value: float | None) -> float:
    """What a point was measured as, in the method's unit.

    Args:
        plan: of the sensor, without calibration.
        point: with either `raw` or `measured`.
        value: `raw` converted by `plan`; None: it has no value. Used by the methods that work on values.

    Raises CalibrationError naming the raw value that means nothing.
    """
    if point.measured is not None and point.raw is not None:
        raise CalibrationError(
            f"a point has both raw {point.raw:g} and measured {point.measured:g}",
            cure="raw is what the device sends, measured is in the method's unit: give one of them",
        )
    if point.measured is not None:
        return point.measured
    if point.raw is None:
        raise CalibrationError(
            "a point has neither raw nor measured", cure="Give what the device sends as raw"
        )
    if method in ("ph", "ec"):
        return _millivolts(plan, point.raw, dry=method == "ec" and point.role == "air")
    if method == "moisture":
        return point.raw
    if value is None:
        raise CalibrationError(
            f"raw {point.raw:g} has no value of {plan.value_type}", cure="Check the sensor and its parameters"
        )
    return value


def _millivolts(plan: Plan, raw: float, *, dry: bool) -> float:
    """By the converter's parameters of this sensor. A dry EC probe may give next to nothing: that is its zero."""
    says = dict(plan.choices).get("input", "counts")
    if says == _INPUT_MV:
        return raw
    numbers = plan.numbers()
    if says != "counts" or not set(ADC) - {"adc"} <= numbers.keys():
        raise CalibrationError(
            f"{plan.value_type} does not come as counts or millivolts here (input is {says})",
            cure="Calibrate it by offset or linear_2point",
        )
    counts = np.array([raw])
    params = Params(plan.value_type, {name: np.array([number]) for name, number in numbers.items()}, {})
    mv = float(millivolts(counts, params)[0])
    if math.isnan(mv) or (bool(clipped(counts, params)[0]) and not dry):
        raise CalibrationError(
            f"raw {raw:g} is at or beyond the end of the converter's scale",
            cure="Check the wiring; or set the converter's parameters (adc) first",
        )
    return mv


def complete(method: str, given: Sequence[GivenPoint]) -> list[GivenPoint]:
    """Roles and references that were left out, where they are plain. Raises CalibrationError where they are not."""
    if method == "ph":
        return _buffers(given)
    if method == "ec":
        return [_of_ec(point) for point in given]
    if method == "moisture":
        return [_of_moisture(point) for point in given]
    return [attrs.evolve(_with_reference(point), role=point.role or "reference") for point in given]


def points_of(given: Sequence[GivenPoint], measured: Sequence[float]) -> list[Point]:
    """Completed points for `Registry.calibrate`."""
    return [
        Point(number, point.reference or 0.0, point.role, point.temperature_c)
        for point, number in zip(given, measured, strict=True)
    ]


def _buffers(given: Sequence[GivenPoint]) -> list[GivenPoint]:
    """A buffer is known by its pH. "low" and "high" of two buffers are also said of 4.01 and 7.00, or 7.00 and 10.01:
    what counts then is the reference, as long as low is below high."""
    completed = []
    for point in given:
        reference = BUFFER_ROLES.get(point.role) if point.reference is None else point.reference
        completed.append(_with_reference(attrs.evolve(point, reference=reference)))
    ends = {point.role: point.reference or 0.0 for point in completed}
    swapped = ends.get("buffer_low", -math.inf) >= ends.get("buffer_high", math.inf)
    roles = [buffer_of(point.reference or 0.0) for point in completed]
    return [
        attrs.evolve(point, role=point.role or role or "reference")
        if role is None or swapped or point.role == "reference"
        else attrs.evolve(point, role=role)
        for point, role in zip(completed, roles, strict=True)
    ]


def _of_ec(point: GivenPoint) -> GivenPoint:
    if point.role == "air" or (not point.role and point.reference == 0):
        return attrs.evolve(point, role="air", reference=0.0)
    return attrs.evolve(_with_reference(point), role=point.role or "reference")


def _of_moisture(point: GivenPoint) -> GivenPoint:
    by_reference = {0.0: "dry", _FULL: "wet"}
    role = point.role or (by_reference.get(point.reference, "") if point.reference is not None else "")
    if role not in by_reference.values():
        raise CalibrationError(
            "a moisture point is neither dry nor wet",
            cure="Give it the role dry or wet, or the reference 0 or 100 (percent)",
        )
    return attrs.evolve(point, role=role, reference=_FULL if role == "wet" else 0.0)


def _with_reference(point: GivenPoint) -> GivenPoint:
    if point.reference is None:
        raise CalibrationError("a point has no reference", cure="Give the true value as reference")
    return point
