"""Points as people give them: the method, roles and units that are plain are found, the others asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from growy.config import SensorsConfig
from growy.model.errors import CalibrationError
from growy.sensors.points import GivenPoint, complete, measured_of, method_for, points_of
from growy.sensors.pool import Pool, open_pool
from growy.sensors.registry import Registry


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    async with open_pool(SensorsConfig(workers=1), None) as pool:
        yield pool


@pytest.fixture
def registry(pool: Pool) -> Registry:
    return pool.registry


@pytest.mark.parametrize(
    ("sensor_type", "settings", "count", "wanted", "method"),
    [
        ("ph", {}, 1, "", "ph"),
        ("ph", {}, 3, "auto", "ph"),
        # an Atlas EZO sends pH: there is no voltage to calibrate
        ("ph", {"input": "ph"}, 1, "", "offset"),
        ("ec", {}, 2, "", "ec"),
        ("ec", {"input": "us_cm"}, 2, "", "linear_2point"),
        ("soil_moisture", {}, 2, "", "moisture"),
        ("ds18b20", {}, 1, "", "offset"),
        ("sht31_humidity", {}, 2, "", "linear_2point"),
        ("ds18b20", {}, 2, "offset", "offset"),
        ("ds18b20", {}, 2, "Linear", "linear_2point"),
        ("ph", {}, 2, "ph_2point", "ph"),
        ("moisture", {}, 2, "moisture_2point", "moisture"),
    ],
)
async def test_the_method_follows_from_the_sensor(
    registry: Registry, sensor_type: str, settings: dict[str, object], count: int, wanted: str, method: str
) -> None:
    assert method_for(registry.plan(sensor_type, settings), count, wanted) == method


@pytest.mark.parametrize(("count", "wanted", "why"), [(3, "", "3 points"), (2, "spline", "unknown")])
async def test_a_method_that_cannot_be_guessed_is_asked_for(
    registry: Registry, count: int, wanted: str, why: str
) -> None:
    with pytest.raises(CalibrationError, match=why) as caught:
        method_for(registry.plan("ds18b20"), count, wanted)
    assert caught.value.cure


@pytest.mark.parametrize(
    ("method", "given", "roles"),
    [
        ("ph", [(4.0, ""), (7.0, ""), (10.0, "")], ["buffer_low", "buffer_neutral", "buffer_high"]),
        ("ph", [(6.86, ""), (9.18, "")], ["reference", "reference"]),
        # the true pH of a solution that happens to be near a buffer
        ("ph", [(7.0, "reference")], ["reference"]),
        # "low" and "high" as other clients say it: of the two that were used
        ("ph", [(4.01, "buffer_low"), (7.0, "buffer_high")], ["buffer_low", "buffer_neutral"]),
        ("ph", [(10.01, "buffer_high"), (7.0, "buffer_low")], ["buffer_high", "buffer_neutral"]),
        ("ph", [(None, "buffer_low"), (None, "buffer_high")], ["buffer_low", "buffer_high"]),
        # swapped bottles are left for the method to refuse
        ("ph", [(10.01, "buffer_low"), (4.01, "buffer_high")], ["buffer_low", "buffer_high"]),
        ("ec", [(0.0, ""), (1413.0, "")], ["air", "reference"]),
        ("ec", [(None, "air"), (1413.0, "buffer_low"), (12880.0, "buffer_high")], None),
        ("moisture", [(100.0, ""), (0.0, "")], ["wet", "dry"]),
        ("moisture", [(None, "dry"), (None, "wet")], ["dry", "wet"]),
        ("offset", [(21.0, "")], ["reference"]),
    ],
)
async def test_roles_follow_from_the_references(
    method: str, given: list[tuple[float | None, str]], roles: list[str] | None
) -> None:
    points = [GivenPoint(raw=1.0, reference=reference, role=role) for reference, role in given]

    assert [point.role for point in complete(method, points)] == (roles or [role for _, role in given])


@pytest.mark.parametrize(
    ("method", "point", "why"),
    [
        ("ph", GivenPoint(raw=1.0), "no reference"),
        ("ec", GivenPoint(raw=1.0, role="buffer_low"), "no reference"),
        ("moisture", GivenPoint(raw=1.0, reference=50.0), "neither dry nor wet"),
        ("offset", GivenPoint(raw=1.0), "no reference"),
    ],
)
async def test_what_is_not_plain_is_asked_for(method: str, point: GivenPoint, why: str) -> None:
    with pytest.raises(CalibrationError, match=why) as caught:
        complete(method, [point])
    assert caught.value.cure


@pytest.mark.parametrize("adc", ["esp32", "ads1115_4096"])
async def test_counts_become_the_millivolts_that_the_library_sees(pool: Pool, adc: str) -> None:
    """The library itself is the judge: counts and their millivolts must convert to the same value."""
    settings = {"adc": adc, "adc_offset_mv": 7.0}
    counts, plan = 1800.0, pool.registry.plan("ec", settings)
    mv = measured_of("ec", plan, GivenPoint(raw=counts, reference=1413.0, role="reference"), None)
    by_mv = pool.registry.plan("ec", {**settings, "input": "millivolts"})
    values = (await pool.convert([plan, by_mv], np.array([0, 1]), np.array([counts, mv]))).value

    assert values[0] == values[1] > 0


@pytest.mark.parametrize(
    ("method", "settings", "point", "measured"),
    [
        ("ph", {"input": "millivolts"}, GivenPoint(raw=1500.0), 1500.0),
        ("ph", {}, GivenPoint(measured=1500.0), 1500.0),
        ("moisture", {}, GivenPoint(raw=3200.0), 3200.0),
        ("offset", {}, GivenPoint(raw=336.0), 21.0),
        # the zero of the electronics may lie where the converter says nothing of a solution
        ("ec", {}, GivenPoint(raw=0.0, role="air"), 0.0),
    ],
)
async def test_each_method_measures_in_its_own_unit(
    registry: Registry, method: str, settings: dict[str, object], point: GivenPoint, measured: float
) -> None:
    plan = registry.plan("ds18b20" if method == "offset" else method, settings)

    assert measured_of(method, plan, point, 21.0) == measured


@pytest.mark.parametrize(
    ("method", "settings", "point", "why"),
    [
        ("ph", {}, GivenPoint(raw=4095.0), "end of the converter's scale"),
        ("ph", {}, GivenPoint(raw=5000.0), "end of the converter's scale"),
        ("ec", {}, GivenPoint(raw=10.0, reference=1413.0, role="reference"), "end of the converter's scale"),
        ("ph", {"input": "ph"}, GivenPoint(raw=7.0), "does not come as counts"),
        ("offset", {}, GivenPoint(raw=-2032.0), "has no value"),
        ("ph", {}, GivenPoint(), "neither raw nor measured"),
        ("ph", {}, GivenPoint(raw=1.0, measured=1.0), "both"),
    ],
)
async def test_a_point_that_measured_nothing_is_refused(
    registry: Registry, method: str, settings: dict[str, object], point: GivenPoint, why: str
) -> None:
    plan = registry.plan("ds18b20" if method == "offset" else method, settings)

    with pytest.raises(CalibrationError, match=why) as caught:
        measured_of(method, plan, point, None)
    assert caught.value.cure


async def test_completed_points_make_a_calibration(registry: Registry) -> None:
    plan = registry.plan("ph")
    given = complete("ph", [GivenPoint(raw=2522.0, reference=4.0), GivenPoint(raw=1861.0, reference=7.0)])
    points = points_of(given, [measured_of("ph", plan, point, None) for point in given])
    calibration = registry.calibrate("ph", "ph", points)

    assert 85 < calibration.facts["acid_efficiency_percent"] < 105
    assert [point.role for point in calibration.points] == ["buffer_low", "buffer_neutral"]
