"""Calibrations of sensors on their devices: made of reference points, kept with the sensor, taken back.

What calibrates is what converts: raw values go through the sensor's own library, and the fit is the sensors room's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import attrs
import msgspec
import numpy as np
from attrs import validators as v

from growy.fleet.conversion import canonical
from growy.model.errors import CalibrationError, ConversionError, Invalid, NotFound, SensorNotFound
from growy.model.setup import SensorSetup
from growy.sensors.calibration import Calibration
from growy.sensors.calibration_solve import REFERENCE_C
from growy.sensors.plan import Plan
from growy.sensors.points import (
    GivenPoint,
    complete,
    measured_of,
    method_for,
    points_of,
    without_correction,
)
from growy.web.answers import Response, answer
from growy.web.api.series import sensors_of
from growy.web.api.setups import Ambiguous, Row, in_use, pin_of, row_record, rows_at, the_sensor
from growy.web.app import App
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import faults
from growy.web.shapes import sensors as shapes

MOST_POINTS = 10


class NotCalibrated(NotFound):
    """The sensor has no calibration that could be taken back."""

    code = "CALIBRATION_NOT_FOUND"
    numeric_code = 5424


@attrs.frozen
class PointBody:
    """One reference point; see docs/sensors.md for what is measured in which unit."""

    raw: float | None = None
    measured: float | None = None
    reference: float | None = None
    role: str | None = None
    temperature: float | None = None


@attrs.frozen
class CalibrateBody:
    sensor_type: str | None = None
    method: str = attrs.field(default="", validator=v.max_len(40))
    calibration_points: list[PointBody] | None = None
    points: list[PointBody] | None = None
    """The same by a shorter name."""
    save_to_config: bool = True
    esp_id: str | None = None
    gpio: int | None = None


@attrs.frozen
class TakeBackQuery:
    sensor_type: str | None = None


@attrs.frozen
class Target:
    """One value of one sensor, and what is set for it now."""

    row: Row
    setup: SensorSetup | None
    settings: dict[str, object]
    before: Calibration | None

    @property
    def value_type(self) -> str:
        return self.row.key.value_type


async def calibrate_at(call: Call, body: CalibrateBody) -> Response:
    """Calibrate the sensor of the path."""
    esp_id, said = call.path["esp_id"], call.path["gpio"]
    if body.esp_id not in (None, "", esp_id):
        raise Invalid(f"The path says {esp_id[:64]!r}, the field esp_id {body.esp_id!r:.64}")
    if body.gpio not in (None, pin_of(said)) and pin_of(said) is not None:
        raise Invalid(f"The path says gpio {said}, the field gpio {body.gpio}")
    return await _calibrate(call, esp_id, said, body)


async def calibrate(call: Call, body: CalibrateBody) -> Response:
    """Calibrate the sensor that the body names."""
    if not body.esp_id or body.gpio is None:
        raise Invalid(
            "esp_id and gpio must name the sensor", details={"faults": ["esp_id, gpio: are missing"]}
        )
    return await _calibrate(call, body.esp_id, str(body.gpio), body)


async def _calibrate(call: Call, esp_id: str, said: str, body: CalibrateBody) -> Response:
    app = call.app
    target = _target(app, esp_id, said, body.sensor_type)
    if body.save_to_config and target.setup is None:
        raise SensorNotFound(
            f"{target.value_type} of {esp_id} sends readings, but is not set up here: nowhere to keep a calibration",
            cure=f"POST /api/v1/sensors/{esp_id}/{target.row.gpio} sets it up; or say save_to_config false",
        )
    given = _points(body)
    registry = app.pool.registry
    plan = registry.plan(target.value_type, without_correction(target.settings))
    method = method_for(plan, len(given), body.method)
    given = complete(method, given)
    values = await _convert(app, [plan] * len(given), [point.raw for point in given])
    measured = [measured_of(method, plan, point, value) for point, value in zip(given, values, strict=True)]
    calibration = registry.calibrate(target.value_type, method, points_of(given, measured), target.settings)
    after = registry.plan(target.value_type, target.settings, calibration)
    saved = body.save_to_config and target.setup is not None
    if saved:
        await _keep(app, target, calibration.to_json())
    raws = [point.raw for point in given]
    shown = [
        {"raw": point.raw, **attrs.asdict(fitted), "before": before, "after": now}
        for point, fitted, before, now in zip(
            given,
            calibration.points,
            await _before(app, target, raws),
            await _convert(app, [after] * len(raws), raws),
            strict=True,
        )
    ]
    return answer(
        {
            "success": True,
            **_named(target),
            "method": method,
            "value_unit": calibration.value_unit,
            "measured_unit": calibration.measured_unit,
            "parameters": calibration.parameters,
            "facts": calibration.facts,
            "points": shown,
            "latest": await _latest(app, target, after),
            "calibration": json.loads(calibration.to_json()),
            "saved": saved,
            "message": "In use from the next reading on" if saved else "Not saved",
        }
    )


def _points(body: CalibrateBody) -> list[GivenPoint]:
    said = body.calibration_points if body.calibration_points is not None else body.points
    if not said or len(said) > MOST_POINTS:
        raise Invalid(
            f"calibration_points must be 1 to {MOST_POINTS} points",
            details={"faults": [f"calibration_points: must be 1 to {MOST_POINTS} points"]},
        )
    return [
        GivenPoint(
            point.raw,
            point.measured,
            point.reference,
            (point.role or "").lower(),
            REFERENCE_C if point.temperature is None else point.temperature,
        )
        for point in said
    ]


def _target(app: App, esp_id: str, said: str, sensor_type: str | None) -> Target:
    """Raises EspNotFound, SensorNotFound, Ambiguous, Invalid, ConversionError."""
    found = in_use(rows_at(app, esp_id, said, sensor_type))
    setup = the_sensor(found)
    registry = app.pool.registry
    types = sorted({canonical(registry, row.key.value_type) for row in found})
    if len(types) > 1:
        raise Invalid(
            f"The sensor measures {' and '.join(types)}, and each has its own calibration",
            cure="Say which as sensor_type",
            details={"sensor_types": types},
        )
    if setup is None:
        return Target(found[0], None, {}, None)
    text = setup.calibrations.get(types[0])
    before = None if text is None else Calibration.from_json(text)
    return Target(found[0], setup, dict(setup.parameters), before)


async def _keep(app: App, target: Target, text: str | None) -> None:
    """Durable, and in use, when it returns. None takes the calibration away. Raises SensorNotFound."""
    assert target.setup is not None
    esp_id, id = target.row.key.esp_id, target.setup.id
    # As it is now: while the points were converted, somebody may have changed it.
    setup = next((one for one in sensors_of(app, esp_id) if one.id == id), None)
    if setup is None:
        raise SensorNotFound(f"{target.setup.name!r} of {esp_id} was taken away meanwhile")
    name = canonical(app.pool.registry, target.value_type)
    others = {key: one for key, one in setup.calibrations.items() if key != name}
    kept = others if text is None else {**others, name: text}
    await app.fleet.set_sensor(esp_id, msgspec.structs.replace(setup, calibrations=kept))


async def _convert(app: App, plans: Sequence[Plan], raws: Sequence[float | None]) -> list[float | None]:
    """None where there is no raw value, or no value of it."""
    raw = np.array([math.nan if one is None else one for one in raws])
    converted = await app.pool.convert(plans, np.arange(len(raw)), raw)
    return [
        None if one is None or math.isnan(value) else value
        for one, value in zip(raws, converted.value.tolist(), strict=True)
    ]


async def _before(app: App, target: Target, raws: Sequence[float | None]) -> list[float | None]:
    """What the points came to until now; None where what was set until now converts nothing."""
    try:
        plan = app.pool.registry.plan(target.value_type, target.settings, target.before)
    except (ConversionError, CalibrationError):
        return [None] * len(raws)
    return await _convert(app, [plan] * len(raws), raws)


async def _latest(app: App, target: Target, after: Plan) -> Mapping[str, object] | None:
    """The newest reading as it was before and would have been with the new calibration."""
    reading = None if target.row.series is None else app.store.tail.latest(target.row.series.id)
    if reading is None:
        return None
    (before,), (now,) = await _before(app, target, [reading.raw]), await _convert(app, [after], [reading.raw])
    return {"raw": reading.raw, "before": before, "after": now}


def _named(target: Target) -> dict[str, object]:
    return {
        "esp_id": target.row.key.esp_id,
        "gpio": target.row.gpio,
        "sensor_type": target.value_type,
        "config_id": None if target.setup is None else target.setup.id,
    }


async def take_back(call: Call, query: TakeBackQuery) -> Response:
    """Go on without calibration. Readings that were stored keep what made them."""
    app, esp_id, said = call.app, call.path["esp_id"], call.path["gpio"]
    found = in_use(rows_at(app, esp_id, said, query.sensor_type))
    setup, registry = the_sensor(found), app.pool.registry
    kept = {} if setup is None else setup.calibrations
    calibrated = [row for row in found if canonical(registry, row.key.value_type) in kept]
    if not calibrated:
        raise NotCalibrated(f"{found[0].key.value_type} of {esp_id} at {said[:64]} has no calibration")
    target = _target(app, esp_id, said, query.sensor_type or _only(calibrated))
    await _keep(app, target, None)
    row = rows_at(app, esp_id, said, target.value_type)[0]
    return answer({"success": True, **row_record(app, row), "message": "In use from the next reading on"})


def _only(calibrated: Sequence[Row]) -> str | None:
    """The value type that is calibrated, where it is only one."""
    types = {row.key.value_type for row in calibrated}
    return types.pop() if len(types) == 1 else None


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/sensors/{esp_id}/{gpio}/calibrate",
        summary="Calibrate a sensor",
        handler=calibrate_at,
        body=CalibrateBody,
        auth=Auth.OPERATOR,
        answers=shapes.CALIBRATED,
        errors=(*faults.SENSOR, *faults.SET_UP, *faults.CONVERTED, Ambiguous),
    ),
    Endpoint(
        method="DELETE",
        path="/api/v1/sensors/{esp_id}/{gpio}/calibrate",
        summary="Take a calibration back",
        handler=take_back,
        query=TakeBackQuery,
        auth=Auth.OPERATOR,
        answers=shapes.TAKEN_BACK,
        errors=(*faults.SENSOR, *faults.SET_UP, *faults.CONVERTED, Ambiguous, NotCalibrated),
    ),
    Endpoint(
        method="POST",
        path="/api/v1/sensors/calibrate",
        summary="Calibrate a sensor that the body names",
        handler=calibrate,
        body=CalibrateBody,
        auth=Auth.OPERATOR,
        answers=shapes.CALIBRATED,
        errors=(*faults.SENSOR, *faults.SET_UP, *faults.CONVERTED, Ambiguous),
    ),
)
