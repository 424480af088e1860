"""What is asked of sensors on their devices: to measure now, to say what is on a OneWire bus."""

from __future__ import annotations

import math
import uuid

import attrs
import trio
from attrs import validators as v

from growy.model.errors import SensorNotFound
from growy.model.messages import SensorResponse
from growy.model.reading import Bus
from growy.web.answers import Response, answer
from growy.web.api.setups import Ambiguous, in_use, row_record, rows, rows_at
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import faults
from growy.web.shapes import sensors as shapes

LONGEST_MEASURE_S = 60.0
ONEWIRE_PIN = 4
"""The firmware's own bus."""


@attrs.frozen
class MeasureQuery:
    wait: bool = True
    timeout: float = attrs.field(default=8.0, validator=[v.ge(1), v.le(LONGEST_MEASURE_S)])


@attrs.frozen
class ScanQuery:
    pin: int = attrs.field(default=ONEWIRE_PIN, validator=[v.ge(0), v.le(39)])


async def measure(call: Call, query: MeasureQuery) -> Response:
    """Have a sensor measured now."""
    app, esp_id = call.app, call.path["esp_id"]
    row = rows_at(app, esp_id, call.path["gpio"])[0]
    sharing = {(one.key.bus, one.key.address) for one in in_use(rows_at(app, esp_id, str(row.gpio)))}
    facts: dict[str, object] = {
        "request_id": uuid.uuid4().hex,
        "esp_id": esp_id,
        "gpio": row.gpio,
        "sensor_type": row.key.value_type if row.setup is None else row.setup.sensor_type,
        "config_id": None if row.setup is None else row.setup.id,
        "warnings": [f"The firmware measures only the first of the {len(sharing)} sensors at this gpio"]
        if len(sharing) > 1
        else [],
    }
    said: SensorResponse | None = None
    # The question leaves before the fleet waits for anything: who does not want the answer goes on at once.
    with trio.move_on_after(math.inf if query.wait else 0):
        said = await app.fleet.measure(
            esp_id, row.gpio, request_id=str(facts["request_id"]), timeout_s=query.timeout
        )
    if said is None:
        asked = "The device was asked; its reading comes as any other"
        return answer({"success": True, **facts, "message": asked, "raw": None, "quality": None})
    return answer(
        {"success": True, **facts, "message": "Measured", "raw": said.raw, "quality": said.quality.word}
    )


async def onewire(call: Call) -> Response:
    """What is known on a device's OneWire bus: set up, or heard."""
    app, esp_id = call.app, call.path["esp_id"]
    app.fleet.need(esp_id)
    devices = [
        row_record(app, row) | {"rom_code": row.key.address, "configured": row.setup is not None}
        for row in rows(app, esp_id)
        if row.key.bus is Bus.ONEWIRE
    ]
    return answer({"success": True, "esp_id": esp_id, "devices": devices, "count": len(devices)})


async def scan(call: Call, query: ScanQuery) -> Response:
    """Find what is on a OneWire bus."""
    app, esp_id = call.app, call.path["esp_id"]
    began = trio.current_time()
    found = await app.fleet.scan_onewire(esp_id, query.pin)
    known = {one.onewire_address: one for one in app.fleet.need(esp_id).record.sensors if one.onewire_address}
    devices = [
        {
            "rom_code": one.rom_code,
            "device_type": one.device_type,
            "pin": query.pin if one.pin is None else one.pin,
            "already_configured": one.rom_code in known,
            "sensor_name": known[one.rom_code].name if one.rom_code in known else None,
            "config_id": known[one.rom_code].id if one.rom_code in known else None,
        }
        for one in found
    ]
    return answer(
        {
            "success": True,
            "esp_id": esp_id,
            "pin": query.pin,
            "devices": devices,
            "found_count": len(devices),
            "new_count": sum(not one["already_configured"] for one in devices),
            "scan_duration_ms": round(1000 * (trio.current_time() - began)),
        }
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/sensors/{esp_id}/{gpio}/measure",
        summary="Measure now",
        handler=measure,
        query=MeasureQuery,
        auth=Auth.OPERATOR,
        answers=shapes.MEASURED,
        errors=(*faults.TOLD, SensorNotFound, Ambiguous),
    ),
    Endpoint(
        method="POST",
        path="/api/v1/sensors/esp/{esp_id}/onewire/scan",
        summary="Find what is on a OneWire bus",
        handler=scan,
        query=ScanQuery,
        auth=Auth.OPERATOR,
        answers=shapes.SCANNED,
        errors=faults.TOLD,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/sensors/esp/{esp_id}/onewire",
        summary="What is known on a OneWire bus",
        handler=onewire,
        answers=shapes.ONEWIRE,
        errors=faults.DEVICE,
    ),
)
