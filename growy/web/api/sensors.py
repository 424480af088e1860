"""Sensors to look at: what is set up and what has ever sent a reading, with newest values, statistics, libraries."""

from __future__ import annotations

import time

import attrs
from attrs import validators as v

from growy.model.errors import Invalid, SensorNotFound
from growy.model.people import Scope
from growy.model.setup import ItemState
from growy.web.answers import Response, answer, iso, page_of
from growy.web.api.series import identity, need
from growy.web.api.setups import Row, ids_of, of_type, row_record, rows, rows_at, sensor_record
from growy.web.app import App
from growy.web.inputs import Moment
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shape import either
from growy.web.shapes import faults
from growy.web.shapes import sensors as shapes

DAY_MS = 86_400_000


@attrs.frozen
class SensorsQuery:
    esp_id: str | None = None
    gpio: int | None = None
    sensor_type: str | None = None
    enabled: bool | None = None
    config_status: ItemState | None = None
    page: int = attrs.field(default=1, validator=[v.ge(1), v.le(1_000_000)])
    page_size: int = attrs.field(default=20, validator=[v.ge(1), v.le(100)])


@attrs.frozen
class SensorQuery:
    sensor_type: str | None = None


@attrs.frozen
class StatsQuery:
    sensor_type: str | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None


async def sensors(call: Call, query: SensorsQuery) -> Response:
    """One row for each value of each sensor, set up or only heard."""
    app = call.app
    found = rows(app, query.esp_id)
    if query.sensor_type is not None:
        found = of_type(app.pool.registry, found, query.sensor_type)
    fitting = [row for row in found if _fits(app, row, query)]
    return page_of(fitting, query.page, query.page_size, lambda row: row_record(app, row))


def _fits(app: App, row: Row, query: SensorsQuery) -> bool:
    if query.gpio is not None and row.gpio != query.gpio:
        return False
    if query.enabled is not None and query.enabled != (row.setup is None or row.setup.enabled):
        return False
    if query.config_status is None:
        return True
    device = app.fleet.get(row.key.esp_id)
    return (
        device is not None
        and row.setup is not None
        and app.fleet.state_of(device, row.setup.key) is query.config_status
    )


async def sensor(call: Call, query: SensorQuery) -> Response:
    """The first row at a pin in full, and the others that share it."""
    app = call.app
    found = rows_at(app, call.path["esp_id"], str(call.integer("gpio")), query.sensor_type)
    first, *others = (row_record(app, row) for row in found)
    return answer({"success": True, **first, "others": others})


async def configured(call: Call) -> Response:
    """A sensor as it is set up, by its id or that of one of its values."""
    app, id = call.app, call.path["id"]
    found = [row for row in rows(app) if id in ids_of(row)]
    if not found:
        raise SensorNotFound(f"No sensor has the id {id[:64]!r}", cure="GET /api/v1/sensors lists them")
    row = found[0]
    device = app.fleet.get(row.key.esp_id)
    if row.setup is None or device is None:
        return answer({"success": True, **row_record(app, row)})
    return answer({"success": True, **sensor_record(app, device, row.setup)})


async def stats(call: Call, query: StatsQuery) -> Response:
    """Figures over a time, the last 24 hours unless said otherwise."""
    app = call.app
    found = need(app, call.path["esp_id"], call.integer("gpio"), query.sensor_type)
    end_ms = query.end_time if query.end_time is not None else int(time.time() * 1000) + 1
    start_ms = query.start_time if query.start_time is not None else end_ms - DAY_MS
    if start_ms >= end_ms:
        raise Invalid("start_time is not before end_time")
    each: list[dict[str, object]] = []
    for series in found:
        figures = await app.store.series_statistics(series.id, start_ms, end_ms)
        each.append(
            {
                "esp_id": series.key.esp_id,
                "gpio": series.gpio,
                "sensor_type": series.key.value_type,
                "unit": series.unit,
                **identity(series),
                "stats": {
                    "min_value": figures.low,
                    "max_value": figures.high,
                    "avg_value": figures.mean,
                    "std_dev": figures.std,
                    "reading_count": figures.rows,
                    "value_count": figures.count,
                    "quality_distribution": {word.word: count for word, count in figures.qualities.items()},
                    "first_timestamp": iso(figures.first_ms),
                    "last_timestamp": iso(figures.last_ms),
                },
            }
        )
    first, *others = each
    span = {"start": iso(start_ms), "end": iso(end_ms)}
    return answer({"success": True, **first, "others": others, "time_range": span})


async def libraries(call: Call) -> Response:
    found = call.app.pool.registry.describe()
    return answer({"success": True, "libraries": found, "count": len(found)})


async def reload(call: Call) -> Response:
    """Look at the library files now; every library that was set aside gets a new chance."""
    found = await call.app.pool.reload()
    return answer({"success": True, "libraries": found, "count": len(found)})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/sensors",
        summary="All sensors",
        handler=sensors,
        query=SensorsQuery,
        answers=shapes.SENSORS,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/sensors/libraries",
        summary="Sensor libraries",
        handler=libraries,
        answers=shapes.LIBRARIES,
    ),
    Endpoint(
        method="POST",
        path="/api/v1/sensors/libraries/reload",
        summary="Reload the sensor libraries",
        handler=reload,
        auth=Auth.OPERATOR,
        answers=shapes.LIBRARIES,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/sensors/config/{id}",
        summary="One sensor as it is set up",
        handler=configured,
        answers=(Answer(either(shapes.ONE_SENSOR, shapes.ONE_VALUE))),
        errors=(SensorNotFound,),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/sensors/{esp_id}/{gpio}",
        summary="The sensors at a pin",
        handler=sensor,
        query=SensorQuery,
        answers=shapes.AT_PIN,
        errors=faults.SENSOR,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/sensors/{esp_id}/{gpio}/stats",
        scope=Scope.READINGS,
        summary="Minimum, maximum, mean over a time",
        handler=stats,
        query=StatsQuery,
        answers=shapes.STATS,
        errors=faults.SENSOR,
    ),
)
