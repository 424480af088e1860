"""One raw value -> its converted value, by the very libraries that convert the readings. Stores nothing.

Two request forms are in the field: `{esp_id, gpio, sensor_type, raw_value, ...}` and `{raw_data, sensor_type,
metadata}`. Both get the same answer; a failed conversion is `success` false with `processed_value` null, never 0 and
never the raw count.
"""

from __future__ import annotations

import difflib
import json
import math
import time
from collections.abc import Mapping

import attrs
import numpy as np

from growy.model.errors import ConversionError, Invalid, NotFound
from growy.model.people import Scope
from growy.model.reading import Quality
from growy.sensors.calibration import Calibration
from growy.sensors.plan import OutputInfo
from growy.web.answers import Response, answer
from growy.web.app import App
from growy.web.router import Call, Endpoint
from growy.web.shapes import faults
from growy.web.shapes import sensors as shapes


@attrs.frozen
class ProcessBody:
    """Either form. `raw_data` of a derived type (vpd) is an object of its inputs."""

    sensor_type: str
    raw_value: float | None = None
    raw_data: object = None
    esp_id: str | None = None
    gpio: int | None = None
    calibration: dict[str, object] | None = None
    params: dict[str, object] | None = None
    timestamp: object = None
    metadata: object = None


class UnknownSensorType(NotFound):
    """No library converts the type; the nearest names are in the message."""

    code = "SENSOR_TYPE_UNKNOWN"
    numeric_code = 5212


def _output(app: App, sensor_type: str) -> OutputInfo:
    found = app.pool.registry.resolve(sensor_type)
    if found is not None:
        return found
    known = sorted({kind for library in app.pool.registry.describe() for kind in library.types})
    near = difflib.get_close_matches(sensor_type[:64].lower(), known, n=5, cutoff=0.5)
    raise UnknownSensorType(
        f"No sensor library converts {sensor_type[:64]!r}",
        cure=f"Did you mean {', '.join(near)}?" if near else f"Known: {', '.join(known)}",
        details={"sensor_type": sensor_type[:64], "nearest": near, "known": known},
    )


def _raw(body: ProcessBody) -> float:
    said = body.raw_value if body.raw_value is not None else body.raw_data
    if said is None:
        raise Invalid("raw_value is missing", details={"faults": ["raw_value: is missing"]})
    number = _number(said)
    if number is None:
        raise Invalid("raw_data is not a number", details={"faults": ["raw_data: is not a number"]})
    return number


def _number(said: object) -> float | None:
    """None for what is no finite number, also for an integer that no float can hold."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    try:
        number = float(said)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _inputs(output: OutputInfo, body: ProcessBody) -> dict[str, float]:
    given = body.raw_data if isinstance(body.raw_data, Mapping) else {}
    inputs: dict[str, float] = {}
    for name in output.inputs:
        number = _number(given.get(name))
        if number is None:
            raise Invalid(
                f"{output.value_type} is computed from {' and '.join(output.inputs)}; {name} is missing",
                cure='Send "raw_data": {' + ", ".join(f'"{one}": ...' for one in output.inputs) + "}",
            )
        inputs[name] = number
    return inputs


def _calibration(said: Mapping[str, object] | None) -> tuple[Calibration | None, dict[str, object]]:
    """A calibration as growyd writes it, or plain parameters as other servers do. Raises CalibrationError."""
    if not said:
        return None, {}
    if "points" in said:
        return Calibration.from_json(json.dumps(said)), {}
    return None, dict(said)


async def process(call: Call, body: ProcessBody) -> Response:
    """Convert one value."""
    app = call.app
    output = _output(app, body.sensor_type)
    calibration, settings = _calibration(body.calibration)
    plan = app.pool.registry.plan(body.sensor_type, {**settings, **(body.params or {})}, calibration)
    began = time.perf_counter()
    if output.inputs:
        inputs = {name: np.array([number]) for name, number in _inputs(output, body).items()}
        converted = await app.pool.derive(plan, inputs)
    else:
        converted = await app.pool.convert([plan], np.zeros(1, np.int64), np.array([_raw(body)]))
    took_ms = (time.perf_counter() - began) * 1000
    value = float(converted.value[0])
    known = not math.isnan(value)
    shown = value if known else None
    return answer(
        {
            "success": known,
            "processed_value": shown,
            "value": shown,
            output.quantity: shown,
            "unit": plan.unit,
            "quality": Quality(int(converted.quality[0])).word,
            "status": "success" if known else "error",
            "processing_time_ms": round(took_ms, 3),
            "error": None if known else "; ".join(converted.reasons) or _why(output),
            "metadata": {
                "sensor_type": plan.value_type,
                "quantity": output.quantity,
                "library": plan.library,
                "library_version": plan.version,
                "parameters": json.loads(plan.parameters),
                "esp_id": body.esp_id,
                "gpio": body.gpio,
                "timestamp": body.timestamp,
                "request": body.metadata,
            },
        }
    )


def _why(output: OutputInfo) -> str:
    """Where the library says nothing itself: what a missing value always means."""
    error = ConversionError(
        f"{output.value_type} has no value for this raw value",
        cure=f"{output.library} gives {output.low:g} to {output.high:g} {output.unit}; check sensor and parameters",
    )
    return str(error)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/sensors/process",
        scope=Scope.PROCESS,
        summary="Convert one raw value",
        handler=process,
        body=ProcessBody,
        answers=shapes.PROCESSED,
        errors=(UnknownSensorType, *faults.CONVERTED),
    ),
)
