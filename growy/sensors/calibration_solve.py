"""The equations behind `growy.sensors.calibration`: points -> parameters, per method. Pure; refuses what no good
sensor gives.

Sources: Nernst slope ln(10)*R/F = 0.198416 mV/K (CODATA); acceptance of a pH electrode: slope 85..105 %, offset
within ±30 mV (usual limits of meter makers); technical buffers by temperature: METTLER TOLEDO buffer group B1 (US,
reference 25 °C); KCl standards 1413 and 12880 µS/cm at 25 °C with 1.91 %/K (ISO 7888); cell factor 0.5..2.0.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from growy.model.errors import CalibrationError

NERNST_MV_PER_K: Final = 0.198416
KELVIN: Final = 273.15
REFERENCE_C: Final = 25.0
EFFICIENCY: Final = (0.85, 1.05)
PH_OFFSET_MV: Final = 30.0
CELL_FACTOR: Final = (0.5, 2.0)
APART: Final = 1.5
"""Two EC solutions must differ by this factor: closer, noise decides the line between them."""
KCL_PER_K: Final = 0.0191
GAIN: Final = (0.5, 2.0)
OFFSET_SHARE: Final = 0.2
"""An offset larger than this share of the sensor's range is a wrong reference or a broken sensor."""
MOISTURE_SPAN: Final = 0.025
"""dry and wet must lie this share of the converter's range apart: less is noise."""
SAME_MEASURED: Final = 1e-9

_BUFFER_C: Final = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0)
BUFFERS: Final[Mapping[float, tuple[float, ...]]] = {
    4.01: (4.00, 4.00, 4.00, 4.00, 4.01, 4.01, 4.02, 4.03),
    7.00: (7.09, 7.06, 7.04, 7.02, 7.00, 6.99, 6.98, 6.97),
    10.01: (10.25, 10.18, 10.12, 10.06, 10.01, 9.97, 9.93, 9.89),
}
"""pH of the technical buffers at `_BUFFER_C`."""
BUFFER_ROLES: Final[Mapping[str, float]] = {"buffer_low": 4.01, "buffer_neutral": 7.00, "buffer_high": 10.01}
_BUFFER_TOLERANCE: Final = 0.02  # bottles say 4.00 or 4.01, 10.00 or 10.01


@attrs.frozen(slots=True)
class Point:
    """One reference point.

    Args:
        measured: in the method's unit.
        reference: what is true; for a pH buffer its name (4.01, 7.00, 10.01): its pH at `temperature_c` is looked up.
        role: reference, dry, wet, air, buffer_low, buffer_neutral, buffer_high.
        temperature_c: of the solution.
    """

    measured: float
    reference: float = 0.0
    role: str = "reference"
    temperature_c: float = REFERENCE_C


@attrs.frozen(slots=True)
class Fitted:
    """Parameters of the library, facts for people, and which nominal numbers went into them."""

    parameters: dict[str, float]
    facts: dict[str, float]
    used: tuple[str, ...]


def refuse(message: str, cure: str) -> CalibrationError:
    return CalibrationError(message, cure=cure)


def buffer_of(reference: float) -> str | None:
    """The role of the buffer that is called so; None for another solution."""
    return next(
        (role for role, known in BUFFER_ROLES.items() if abs(known - reference) < _BUFFER_TOLERANCE), None
    )


def buffer_ph(name: float, temperature_c: float) -> float:
    """pH of a technical buffer (4.01, 7.00 or 10.01) at 5..40 °C, interpolated. Raises CalibrationError."""
    nominal = next((known for known in BUFFERS if abs(known - name) < _BUFFER_TOLERANCE), None)
    if nominal is None:
        raise refuse(
            f"pH {name:g} is none of the buffers 4.01, 7.00, 10.01", "Give other solutions the role reference"
        )
    if not _BUFFER_C[0] <= temperature_c <= _BUFFER_C[-1]:
        raise refuse(
            f"the buffer is at {temperature_c:g} °C; its pH is known for 5..40 °C",
            "Bring it to room temperature",
        )
    row = BUFFERS[nominal]
    step = _BUFFER_C[1] - _BUFFER_C[0]
    index = min(int((temperature_c - _BUFFER_C[0]) // step), len(row) - 2)
    share = (temperature_c - _BUFFER_C[index]) / step
    return row[index] + share * (row[index + 1] - row[index])


def offset(points: Sequence[Point], nominal: Mapping[str, float]) -> Fitted:
    """value + offset; the mean over the points."""
    if not points:
        raise refuse("an offset needs at least 1 point", "Measure against a reference")
    low, high = _in_range(points, nominal)
    mean = sum(point.reference - point.measured for point in points) / len(points)
    if abs(mean) > OFFSET_SHARE * (high - low):
        raise refuse(
            f"an offset of {mean:g} is more than {OFFSET_SHARE:.0%} of the sensor's range",
            "Check the reference; replace the sensor when it is right",
        )
    return Fitted({"calibration_gain": 1.0, "calibration_offset": mean}, {"offset": mean}, ("low", "high"))


def linear(points: Sequence[Point], nominal: Mapping[str, float]) -> Fitted:
    """gain * value + offset through two points."""
    if len(points) != 2:
        raise refuse(f"a two-point calibration needs 2 points, not {len(points)}", "Give two references")
    _in_range(points, nominal)
    first, second = points
    _distinct(first, second)
    gain = (second.reference - first.reference) / (second.measured - first.measured)
    if gain <= 0:
        raise refuse(
            "the values fall while the references rise (or the references are equal)",
            "Check for swapped points",
        )
    if not GAIN[0] <= gain <= GAIN[1]:
        raise refuse(
            f"a gain of {gain:.3g} is outside {GAIN[0]}..{GAIN[1]}",
            "Check the references and the sensor type",
        )
    shift = first.reference - gain * first.measured
    return Fitted(
        {"calibration_gain": gain, "calibration_offset": shift},
        {"gain": gain, "offset": shift},
        ("low", "high"),
    )


def ph(points: Sequence[Point], nominal: Mapping[str, float]) -> Fitted:
    """mV = neutral + slope * (T/298.15 K) * (pH - 7), the slope of its own on each side of pH 7 with three points.

    1 point moves `neutral_mv`; 2 fit neutral and one slope; 3 fit neutral, acid and alkaline slope.
    """
    if not 1 <= len(points) <= 3:
        raise refuse(
            f"a pH calibration has 1 to 3 points, not {len(points)}", "Use buffers 7.00, 4.01 and 10.01"
        )
    known = sorted(((_buffer(point), point) for point in points), key=lambda pair: pair[0])
    roles = [point.role for point in points if point.role != "reference"]
    if len(set(roles)) != len(roles):
        raise refuse("two points have the same role", "Measure each buffer once")
    board = nominal["acid_slope_mv"]
    if board == 0:
        raise refuse("the board's slope acid_slope_mv is 0 mV per pH", "Set the board's profile")
    neutral_nominal = nominal["neutral_mv"]
    # Per pH unit away from 7, as the probe would give it at 25 °C: what remains is linear in neutral and slope.
    distance = [
        (true - 7.0) * (point.temperature_c + KELVIN) / (REFERENCE_C + KELVIN) for true, point in known
    ]
    mv = [point.measured for _, point in known]
    if len(known) == 1:
        acid = alkaline = board
        neutral = mv[0] - board * distance[0]
    else:
        for (true_a, a), (true_b, b) in itertools.pairwise(known):
            _distinct(a, b)
            if true_b - true_a < 1.0:
                raise refuse(
                    f"pH {true_a:.2f} and {true_b:.2f} are too close together",
                    "Use buffers 7.00, 4.01, 10.01",
                )
        if len(known) == 2:
            acid = alkaline = (mv[1] - mv[0]) / (distance[1] - distance[0])
            neutral = mv[0] - acid * distance[0]
        else:
            neutral, acid, alkaline = _three_points(mv, distance)
    gain = abs(board) / (NERNST_MV_PER_K * (REFERENCE_C + KELVIN))
    facts = {"offset_mv": (neutral - neutral_nominal) / gain}
    for side, slope in (("acid", acid), ("alkaline", alkaline)):
        efficiency = slope / board
        facts[f"{side}_efficiency_percent"] = 100 * efficiency
        if efficiency <= 0:
            raise refuse(
                "the voltage changes in the wrong direction for this board",
                "Check the profile; swapped buffers?",
            )
        if not EFFICIENCY[0] <= efficiency <= EFFICIENCY[1]:
            raise refuse(
                f"a slope of {100 * efficiency:.1f} % of Nernst is outside 85..105 %",
                "Check board profile and buffers; a probe below 85 % is worn out",
            )
    if abs(facts["offset_mv"]) > PH_OFFSET_MV:
        raise refuse(
            f"the probe is {facts['offset_mv']:+.1f} mV off at pH 7, more than ±30 mV",
            "Clean the probe, use fresh buffer, or set neutral_mv to the board's own midpoint",
        )
    parameters = {"neutral_mv": neutral, "acid_slope_mv": acid, "alkaline_slope_mv": alkaline}
    return Fitted(parameters, facts, ("neutral_mv", "acid_slope_mv"))


def _three_points(mv: Sequence[float], distance: Sequence[float]) -> tuple[float, float, float]:
    """Neutral, acid and alkaline slope through three points, continuous at pH 7. The middle one lies on one side of
    7."""
    low, middle, high = distance
    if not low < 0 < high:
        raise refuse("three points need one below and one above pH 7", "Use buffers 4.01, 7.00 and 10.01")
    if middle < 0:
        acid = (mv[1] - mv[0]) / (middle - low)
        neutral = mv[1] - acid * middle
        return neutral, acid, (mv[2] - neutral) / high
    alkaline = (mv[2] - mv[1]) / (high - middle)
    neutral = mv[1] - alkaline * middle
    return neutral, (mv[0] - neutral) / low, alkaline


def ec(points: Sequence[Point], nominal: Mapping[str, float]) -> Fitted:
    """µS/cm = K(r) * r, r = us_cm_per_mv * (mV - zero_mv): one cell factor, or two with a straight line between their
    points."""
    air = [point for point in points if point.role == "air"]
    solutions = sorted((point for point in points if point.role != "air"), key=lambda point: point.reference)
    if len(air) > 1 or not 1 <= len(solutions) <= 2:
        raise refuse(
            "an EC calibration has 1 or 2 solutions, and air once at most", "Use KCl 1413 and 12880 µS/cm"
        )
    strange = {point.role for point in solutions} - {"reference", "buffer_low", "buffer_high"}
    if strange:
        raise refuse(
            f"role {', '.join(sorted(strange))} means nothing for EC",
            "Roles: air, reference, buffer_low, buffer_high",
        )
    if [point.role for point in solutions] == ["buffer_high", "buffer_low"]:
        raise refuse("buffer_low has the higher conductivity", "Swap the roles or the references")
    zero = air[0].measured if air else nominal["zero_mv"]
    raw: list[float] = []
    factors: list[float] = []
    for point in solutions:
        if not 10 <= point.reference <= 200_000:
            raise refuse(
                f"a reference of {point.reference:g} µS/cm is outside 10..200000", "Give it in µS/cm at 25 °C"
            )
        if not 0 <= point.temperature_c <= 50:
            raise refuse(f"a solution at {point.temperature_c:g} °C", "Bring it to room temperature")
        raw.append(nominal["us_cm_per_mv"] * (point.measured - zero))
        true = point.reference * (1 + KCL_PER_K * (point.temperature_c - REFERENCE_C))
        factor = true / raw[-1] if raw[-1] > 0 else 0.0
        if not CELL_FACTOR[0] <= factor <= CELL_FACTOR[1]:
            raise refuse(
                f"a cell factor of {factor:.2f} at {point.reference:g} µS/cm is outside 0.5..2.0",
                "Check probe (K=1), converter range and solution; is the probe in the liquid?",
            )
        factors.append(factor)
    if len(solutions) == 2 and not raw[1] > raw[0]:
        raise refuse("the stronger solution gives no higher voltage", "Measure both again")
    if len(solutions) == 2 and solutions[1].reference < APART * solutions[0].reference:
        raise refuse(
            f"{solutions[0].reference:g} and {solutions[1].reference:g} µS/cm are too close together",
            "Use KCl 1413 and 12880 µS/cm",
        )
    parameters = {
        "zero_mv": zero,
        "k_low": factors[0],
        "k_high": factors[-1],
        "k_low_until": raw[0],
        "k_high_from": raw[-1] if len(raw) == 2 else raw[0] + 1.0,
    }
    return Fitted(parameters, {"k_low": factors[0], "k_high": factors[-1]}, ("us_cm_per_mv", "zero_mv"))


def moisture(points: Sequence[Point], nominal: Mapping[str, float]) -> Fitted:
    """Counts in dry and in wet medium; which is larger depends on the probe, which is which on the role alone."""
    by_role = {point.role: point for point in points}
    if len(points) != 2 or by_role.keys() != {"dry", "wet"}:
        raise refuse(
            "a moisture calibration needs one point dry and one point wet", "Give each point its role"
        )
    full = nominal["adc_counts"]
    dry, wet = by_role["dry"].measured, by_role["wet"].measured
    for role, counts in (("dry", dry), ("wet", wet)):
        if not 0 <= counts <= full:
            raise refuse(
                f"{role} = {counts:g} is outside 0..{full:g} counts", "Give the raw counts of the converter"
            )
    if abs(dry - wet) < MOISTURE_SPAN * full:
        raise refuse(
            f"dry {dry:g} and wet {wet:g} are the same within noise", "Check the probe and its wiring"
        )
    return Fitted({"dry": dry, "wet": wet}, {"span_counts": abs(dry - wet)}, ("adc_counts",))


def _buffer(point: Point) -> float:
    """True pH of a point at its temperature. Raises CalibrationError."""
    if not 0 <= point.temperature_c <= 100:
        raise refuse(f"a solution at {point.temperature_c:g} °C", "Give its temperature in °C")
    if point.role == "reference":
        if not 0 <= point.reference <= 14:
            raise refuse(f"pH {point.reference:g} is outside 0..14", "Give the pH of the solution")
        return point.reference
    if point.role not in BUFFER_ROLES:
        raise refuse(
            f"role {point.role} means nothing for pH", f"Roles: reference, {', '.join(BUFFER_ROLES)}"
        )
    nominal = BUFFER_ROLES[point.role]
    if abs(point.reference - nominal) >= _BUFFER_TOLERANCE:
        raise refuse(
            f"{point.role} is the buffer {nominal:.2f}, not {point.reference:g}",
            "Use the role reference for others",
        )
    return buffer_ph(point.reference, point.temperature_c)


def _in_range(points: Sequence[Point], nominal: Mapping[str, float]) -> tuple[float, float]:
    low, high = nominal["low"], nominal["high"]
    for point in points:
        if not low <= point.reference <= high:
            raise refuse(f"a reference of {point.reference:g} is outside {low:g}..{high:g}", "Check its unit")
    return low, high


def _distinct(a: Point, b: Point) -> None:
    if abs(a.measured - b.measured) < SAME_MEASURED:
        raise refuse(
            f"two points were measured as the same value {a.measured:g}", "Measure both references again"
        )
