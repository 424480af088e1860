"""Devices: what the fleet knows of each ESP32. What no device has said is null, never a guess."""

from __future__ import annotations

import attrs
from attrs import validators as v

from growy.model.errors import EspNotFound
from growy.web.answers import Response, answer, iso, page_of
from growy.web.api.series import describe, device_uuid
from growy.web.app import App, DeviceView
from growy.web.router import Auth, Call, Endpoint

PENDING = "pending_approval"


@attrs.frozen
class DevicesQuery:
    zone_id: str | None = None
    status: str | None = None
    kaiser_id: str | None = None
    page: int = attrs.field(default=1, validator=[v.ge(1), v.le(1_000_000)])
    page_size: int = attrs.field(default=20, validator=[v.ge(1), v.le(100)])


def record(app: App, device: DeviceView) -> dict[str, object]:
    """A device in the shape that the existing clients know."""
    known_series = app.store.catalog.find(esp_id=device.esp_id)
    return {
        "id": device_uuid(device.esp_id),
        "device_id": device.esp_id,
        "esp_id": device.esp_id,
        "name": None,
        "zone_id": device.zone_id or None,
        "zone_name": None,
        "kaiser_id": device.kaiser_id,
        "is_zone_master": None,
        "ip_address": device.ip,
        "mac_address": None,
        "firmware_version": None,
        "hardware_type": None,
        "capabilities": None,
        "status": device.status,
        "online": device.online,
        "last_seen": iso(device.last_seen_ms),
        "metadata": {"boot_id": device.boot_id},
        "uptime": device.uptime,
        "heap_free": device.heap_free,
        "wifi_rssi": device.wifi_rssi,
        "sensor_count": len(known_series) if device.sensor_count is None else device.sensor_count,
        "actuator_count": device.actuator_count,
        "auto_heartbeat": None,
        "heartbeat_interval_seconds": None,
        "zone_context": None,
        "subzones": [],
        "deleted_at": None,
        "deleted_by": None,
        "created_at": iso(device.first_seen_ms),
        "updated_at": iso(device.last_seen_ms),
    }


async def devices(call: Call, query: DevicesQuery) -> Response:
    """All devices; also those that wait for approval, so that a new one is seen at once."""
    app = call.app
    fitting = [
        device
        for device in app.fleet.devices()
        if (query.zone_id is None or device.zone_id == query.zone_id)
        and (query.kaiser_id is None or device.kaiser_id == query.kaiser_id)
        and (query.status is None or query.status in _words(device))
    ]
    return page_of(fitting, query.page, query.page_size, lambda device: record(app, device))


def _words(device: DeviceView) -> tuple[str, ...]:
    """A device that waits for approval is online or offline beside that."""
    return (device.status, "online" if device.online else "offline")


async def pending(call: Call) -> Response:
    """Devices that wait for approval."""
    app = call.app
    waiting = [record(app, device) for device in app.fleet.devices() if device.status == PENDING]
    for one in waiting:
        one["discovered_at"] = one["created_at"]
    return answer({"success": True, "devices": waiting, "count": len(waiting)})


async def device(call: Call) -> Response:
    """One device with its sensors."""
    app = call.app
    esp_id = call.path["esp_id"]
    known = app.fleet.get(esp_id)
    if known is None:
        raise EspNotFound(
            f"No device {esp_id[:64]!r} is known", cure="GET /api/v1/esp/devices lists those that are"
        )
    sensors = [describe(app, series) for series in app.store.catalog.find(esp_id=esp_id)]
    return answer({"success": True, **record(app, known), "sensors": sensors})


ENDPOINTS = (
    Endpoint(
        method="GET", path="/api/v1/esp/devices", summary="All devices", handler=devices, query=DevicesQuery
    ),
    Endpoint(
        method="GET",
        path="/api/v1/esp/devices/pending",
        summary="Devices that wait for approval",
        handler=pending,
        auth=Auth.OPERATOR,
    ),
    Endpoint(
        method="GET", path="/api/v1/esp/devices/{esp_id}", summary="One device, its sensors", handler=device
    ),
)
