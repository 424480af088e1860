"""Calibrations: fitting recovers what made the points, applying reproduces the references, the implausible is refused
with its reason."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import sensor_libs
from growy.model.errors import CalibrationError
from growy.sensors.calibration import Calibration, Point, fit
from growy.sensors.calibration_solve import BUFFERS, buffer_ph
from growy.sensors.declarations import numbers, settle
from growy.sensors.worker import load

FOLDER = Path(sensor_libs.__file__).parent
LOADED = {
    name: load(f"{name}.py", (FOLDER / f"{name}.py").read_bytes())
    for name in ("ph", "ec", "moisture", "sht31")
}
RANGE = {"low": -40.0, "high": 125.0}
V2 = settle(LOADED["ph"].library, {}, {})[0]
EC = settle(LOADED["ec"].library, {}, {})[0]
ADC = {"adc_counts": 4095.0}


def applied(name: str, type: str, raw: float, calibration: Calibration, **settings: float | str) -> float:
    """A raw value through the library with a calibration, as a worker does it."""
    words = {key: word for key, word in settings.items() if isinstance(word, str)}
    given_ = {key: float(number) for key, number in settings.items() if not isinstance(number, str)}
    table, chosen = settle(LOADED[name].library, words, {**given_, **calibration.parameters})
    value, _, _ = LOADED[name].apply(type, np.array([raw]), chosen, np.array([list(table.values())]))
    return float(value[0])


def refused(method: str, points: list[Point], why: str, nominal: dict[str, float]) -> None:
    with pytest.raises(CalibrationError, match=why) as caught:
        fit(method, points, nominal=nominal)
    assert caught.value.cure


# -- offset and two points


@given(offset=st.floats(-20, 20), measured=st.floats(-10, 60))
def test_an_offset_is_recovered_and_reproduces_its_reference(offset: float, measured: float) -> None:
    calibration = fit("offset", [Point(measured, measured + offset)], value_unit="°C", nominal=RANGE)
    assert calibration.parameters["calibration_offset"] == pytest.approx(offset)
    assert calibration.measured_unit == "°C"


@given(gain=st.floats(0.51, 1.99), offset=st.floats(-5, 5), a=st.floats(0, 15), b=st.floats(20, 40))
def test_a_line_is_recovered_in_either_order(gain: float, offset: float, a: float, b: float) -> None:
    points = [Point(a, gain * a + offset), Point(b, gain * b + offset)]
    assume(all(RANGE["low"] <= point.reference <= RANGE["high"] for point in points))
    for order in (points, points[::-1]):
        calibration = fit("linear_2point", order, value_unit="°C", nominal=RANGE)
        assert calibration.parameters["calibration_gain"] == pytest.approx(gain)
        assert calibration.parameters["calibration_offset"] == pytest.approx(offset, abs=1e-6)


def test_two_points_correct_an_sht31() -> None:
    calibration = fit("linear_2point", [Point(20, 21), Point(30, 32)], value_unit="°C", nominal=RANGE)
    raw = (20 + 45) / 175 * 65535
    assert applied("sht31", "sht31_temp", raw, calibration) == 21.0


def test_implausible_offsets_and_lines_are_refused() -> None:
    refused("offset", [], "at least 1", RANGE)
    refused("offset", [Point(20, 60)], "20% of the sensor's range", RANGE)
    refused("offset", [Point(20, 200)], "outside -40..125", RANGE)
    refused("offset", [Point(math.nan, 20)], "no number", RANGE)
    refused("offset", [Point(20, 21)], "needs the sensor's low", {})
    refused("linear_2point", [Point(20, 20)], "needs 2 points", RANGE)
    refused("linear_2point", [Point(20, 20), Point(20, 30)], "same value", RANGE)
    refused("linear_2point", [Point(20, 30), Point(30, 20)], "fall while", RANGE)
    refused("linear_2point", [Point(20, 20), Point(21, 30)], "gain", RANGE)
    refused("magic", [Point(20, 20)], "unknown calibration method", RANGE)


# -- pH


def probe_mv(
    ph: float, celsius: float, neutral: float, efficiency: float, alkaline: float | None = None
) -> float:
    """What a probe of this neutral point and slope gives at a DFRobot V2 board."""
    share = alkaline if alkaline is not None and ph > 7 else efficiency
    return neutral + V2["acid_slope_mv"] * share * (celsius + 273.15) / 298.15 * (ph - 7)


BUFFER_OF = {"buffer_low": 4.01, "buffer_neutral": 7.00, "buffer_high": 10.01}


@given(
    neutral=st.floats(1412, 1588),
    efficiency=st.floats(0.86, 1.04),
    alkaline=st.floats(0.86, 1.04),
    celsius=st.floats(5, 40),
    roles=st.permutations(list(BUFFER_OF)).flatmap(lambda r: st.integers(1, 3).map(lambda n: r[:n])),
)
def test_a_ph_probe_is_recovered_from_any_buffers_at_any_temperature(
    neutral: float, efficiency: float, alkaline: float, celsius: float, roles: list[str]
) -> None:
    if len(roles) == 1:
        efficiency = alkaline = 1.0
    elif len(roles) == 2:
        alkaline = efficiency
    points = []
    for role in roles:
        ph = buffer_ph(BUFFER_OF[role], celsius)
        points.append(
            Point(probe_mv(ph, celsius, neutral, efficiency, alkaline), BUFFER_OF[role], role, celsius)
        )
    calibration = fit("ph", points, value_unit="pH", nominal=V2)
    assert calibration.measured_unit == "mV"
    assert calibration.parameters["neutral_mv"] == pytest.approx(neutral)
    assert calibration.facts["acid_efficiency_percent"] == pytest.approx(100 * efficiency)
    assert calibration.facts["alkaline_efficiency_percent"] == pytest.approx(100 * alkaline)
    for point, role in zip(points, roles, strict=True):
        value = applied("ph", "ph", point.measured, calibration, input="millivolts", temperature_c=celsius)
        assert value == pytest.approx(buffer_ph(BUFFER_OF[role], celsius), abs=0.0051)


def test_buffers_have_their_ph_at_their_temperature() -> None:
    assert [buffer_ph(name, 25) for name in BUFFERS] == [4.01, 7.00, 10.01]
    assert [buffer_ph(name, 20) for name in BUFFERS] == [4.00, 7.02, 10.06]
    assert buffer_ph(7.0, 22.5) == pytest.approx(7.01)
    assert buffer_ph(10.0, 40) == 9.89
    with pytest.raises(CalibrationError, match=r"5\.\.40"):
        buffer_ph(7.0, 60)
    with pytest.raises(CalibrationError, match="none of the buffers"):
        buffer_ph(8.0, 25)


def test_a_real_dfrobot_probe_is_accepted_and_a_worn_one_is_not() -> None:
    seven = Point(1500, 7.00, "buffer_neutral")
    fit("ph", [seven, Point(2032.44, 4.01, "buffer_low")], nominal=V2)
    refused("ph", [seven, Point(1500 + 177.48 * 2.4, 4.01, "buffer_low")], "outside 85..105", V2)
    refused("ph", [seven, Point(1500 + 177.48 * 3.3, 4.01, "buffer_low")], "outside 85..105", V2)


def test_implausible_ph_calibrations_are_refused() -> None:
    seven, four = Point(1500, 7.00, "buffer_neutral"), Point(2030, 4.01, "buffer_low")
    refused("ph", [], "1 to 3 points", V2)
    refused("ph", [seven, Point(970, 4.01, "buffer_low")], "wrong direction", V2)
    refused("ph", [seven, Point(1500, 4.01, "buffer_low")], "same value", V2)
    refused("ph", [seven, seven], "same role", V2)
    refused("ph", [Point(1500, 7.0), Point(1490, 7.1)], "too close", V2)
    refused("ph", [seven, Point(2030, 6.86, "buffer_low")], "is the buffer 4.01", V2)
    refused("ph", [seven, Point(2030, 4.01, "dry")], "means nothing for pH", V2)
    refused("ph", [Point(1650, 7.00, "buffer_neutral")], "off at pH 7", V2)
    refused("ph", [seven, four, Point(2200, 3.0)], "below and one above", V2)
    refused("ph", [Point(1500, 15)], "outside 0..14", V2)
    refused("ph", [seven, four], "needs the sensor's acid_slope_mv", ADC)


# -- EC


@given(k=st.floats(0.55, 1.9), zero=st.floats(0, 20), celsius=st.floats(10, 40), with_air=st.booleans())
def test_one_solution_gives_the_cell_factor(k: float, zero: float, celsius: float, with_air: bool) -> None:
    zero = zero if with_air else 0.0
    true = 1413 * (1 + 0.0191 * (celsius - 25))
    points = [Point(true / k / EC["us_cm_per_mv"] + zero, 1413, "reference", celsius)]
    points += [Point(zero, 0, "air")] if with_air else []
    calibration = fit("ec", points, value_unit="µS/cm", nominal=EC)
    assert calibration.facts["k_low"] == pytest.approx(k)
    value = applied(
        "ec", "ec", points[0].measured, calibration, input="millivolts", temperature_c=celsius, alpha=0.0191
    )
    assert value == pytest.approx(1413, abs=0.06)


@given(k_low=st.floats(0.6, 1.6), change=st.floats(0.85, 1.15))
def test_two_solutions_give_two_cell_factors_and_a_monotonous_scale(k_low: float, change: float) -> None:
    mv = [reference / k / EC["us_cm_per_mv"] for reference, k in ((1413, k_low), (12_880, k_low * change))]
    points = [Point(mv[1], 12_880, "buffer_high"), Point(mv[0], 1413, "buffer_low")]
    calibration = fit("ec", points, value_unit="µS/cm", nominal=EC)
    scale = [
        applied("ec", "ec", m, calibration, input="millivolts") for m in (0.0, mv[0] / 2, *mv, mv[1] * 1.2)
    ]
    assert scale[0] == 0
    assert scale[1:4] == pytest.approx([1413 / 2, 1413, 12_880], abs=0.06)
    assert scale == sorted(scale)


def test_implausible_ec_calibrations_are_refused() -> None:
    good = Point(231.7, 1413)
    refused("ec", [], "1 or 2 solutions", EC)
    refused("ec", [Point(0, 1413)], "cell factor of 0.00", EC)
    refused("ec", [Point(231.7, 12_880)], "cell factor", EC)
    refused("ec", [Point(231.7, 1.413)], "outside 10..200000", EC)
    refused("ec", [Point(231.7, 1413, temperature_c=80)], "80 °C", EC)
    refused("ec", [good, Point(231.7, 1500)], "no higher voltage", EC)
    refused(
        "ec",
        [Point(231.7, 1413, "buffer_high"), Point(2112, 12_880, "buffer_low")],
        "higher conductivity",
        EC,
    )
    refused("ec", [Point(231.7, 1413, "wet")], "means nothing for EC", EC)
    refused("ec", [good, Point(0, 0, "air"), Point(1, 0, "air")], "air once", EC)


# -- moisture


@given(dry=st.integers(0, 4095), wet=st.integers(0, 4095), first=st.booleans())
def test_moisture_honours_roles_and_never_the_order(dry: int, wet: int, first: bool) -> None:
    points = [Point(dry, role="dry"), Point(wet, role="wet")]
    if abs(dry - wet) < 0.025 * 4095:
        refused("moisture", points, "same within noise", ADC)
        return
    calibration = fit("moisture", points if first else points[::-1], value_unit="%", nominal=ADC)
    assert applied("moisture", "moisture", dry, calibration) == 0
    assert applied("moisture", "moisture", wet, calibration) == 100


def test_implausible_moisture_calibrations_are_refused() -> None:
    refused("moisture", [Point(3000, role="dry")], "one point dry and one point wet", ADC)
    refused(
        "moisture", [Point(3000, role="dry"), Point(1500, role="dry")], "one point dry and one point wet", ADC
    )
    refused("moisture", [Point(3000, 0), Point(1500, 100)], "one point dry and one point wet", ADC)
    refused("moisture", [Point(5000, role="dry"), Point(1500, role="wet")], "outside 0..4095", ADC)


# -- as stored


def test_a_stored_calibration_is_the_same_and_holds_its_schema() -> None:
    points = [Point(1500, 7.00, "buffer_neutral", 20.0), Point(2020, 4.01, "buffer_low", 20.0)]
    calibration = fit("ph", points, value_unit="pH", nominal=V2)
    text = calibration.to_json()
    again = Calibration.from_json(text)
    assert again == calibration
    assert again.parameters == calibration.parameters
    assert json.loads(text)["schema"] == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": 2}, "schema 2"),
        ({"method": "magic"}, "unknown"),
        ({"parameters": {"neutral_mv": 1.0}}, "changed by hand"),
        ({"points": [{"measured": "x"}]}, "not a calibration"),
        ({"points": []}, "1 to 3"),
        ({"nominal": None}, "not a calibration|needs"),
    ],
)
def test_a_stored_calibration_that_was_tampered_with_is_refused(change: dict[str, object], why: str) -> None:
    plain = json.loads(fit("ph", [Point(1500, 7.0, "buffer_neutral")], value_unit="pH", nominal=V2).to_json())
    with pytest.raises(CalibrationError, match=why):
        Calibration.from_json(json.dumps({**plain, **change}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}"])
def test_what_is_no_calibration_is_refused(text: str) -> None:
    with pytest.raises(CalibrationError, match="not a calibration"):
        Calibration.from_json(text)


def test_every_calibration_parameter_exists_in_its_library() -> None:
    for name, method, points, nominal in (
        ("ph", "ph", [Point(1500, 7.0, "buffer_neutral")], V2),
        ("ec", "ec", [Point(231.7, 1413)], EC),
        ("moisture", "moisture", [Point(3000, role="dry"), Point(1500, role="wet")], ADC),
    ):
        assert set(fit(method, points, nominal=nominal).parameters) <= set(numbers(LOADED[name].library))


def test_a_board_without_slope_is_refused_and_breaks_nothing() -> None:
    refused("ph", [Point(1500.0, 7.0)], "slope", {**V2, "acid_slope_mv": 0.0})


def test_a_ph_of_frozen_or_impossible_temperature_is_refused() -> None:
    points = [Point(2032.0, 4.0, temperature_c=-273.15), Point(1500.0, 7.0, temperature_c=-273.15)]
    refused("ph", points, "-273", V2)


def test_two_equal_ec_solutions_are_refused() -> None:
    refused("ec", [Point(232.0, 1413.0), Point(240.0, 1413.0)], "too close", EC)


def test_a_number_too_large_for_a_float_is_no_calibration() -> None:
    stored = json.loads(fit("offset", [Point(20.0, 21.0)], nominal=RANGE).to_json())
    stored["points"][0]["measured"] = 10**400
    with pytest.raises(CalibrationError, match="not a calibration"):
        Calibration.from_json(json.dumps(stored))
