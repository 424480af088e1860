"""Devices, to look at: what the fleet knows of each ESP32. What no device has said is null, never a guess."""

from __future__ import annotations

import attrs
from attrs import validators as v

from growy.fleet.device import Device, DeviceStatus
from growy.web.answers import Response, answer, iso, page_of
from growy.web.api.records import ALERT_CONFIG, device_record, known, note, owner_of, zone_of
from growy.web.api.series import describe
from growy.web.api.setups import actuator_record, sensor_record
from growy.web.app import App
from growy.web.router import Auth, Call, Endpoint
from growy.web.shape import many
from growy.web.shapes import devices as shapes
from growy.web.shapes import faults
from growy.web.shapes.control import ACTUATOR
from growy.web.shapes.sensors import SENSOR, SERIES


@attrs.frozen
class DevicesQuery:
    zone_id: str | None = None
    status: str | None = None
    kaiser_id: str | None = None
    hardware_type: str | None = None
    include_deleted: bool = False
    page: int = attrs.field(default=1, validator=[v.ge(1), v.le(1_000_000)])
    page_size: int = attrs.field(default=20, validator=[v.ge(1), v.le(100)])


def _fits(app: App, device: Device, query: DevicesQuery) -> bool:
    if device.status is DeviceStatus.DELETED and not (
        query.include_deleted or query.status == DeviceStatus.DELETED
    ):
        return False
    # A device that waits for approval, or is in its error state, is online or offline beside that.
    words = (device.status, "online" if device.online else "offline")
    return (
        (query.zone_id is None or zone_of(device) == query.zone_id)
        and (query.kaiser_id is None or owner_of(app, device) == query.kaiser_id)
        and (query.status is None or query.status in words)
        and (
            query.hardware_type is None or device.record.hardware_type.lower() == query.hardware_type.lower()
        )
    )


async def devices(call: Call, query: DevicesQuery) -> Response:
    """All devices; also those that wait for approval, so that a new one is seen at once."""
    app = call.app
    fitting = [device for device in app.fleet.devices() if _fits(app, device, query)]
    return page_of(fitting, query.page, query.page_size, lambda device: device_record(app, device))


async def pending(call: Call) -> Response:
    """Devices that wait for approval."""
    app = call.app
    waiting = [
        device_record(app, device) | {"discovered_at": iso(device.first_seen_ms)}
        for device in app.fleet.devices()
        if device.status is DeviceStatus.PENDING_APPROVAL
    ]
    return answer({"success": True, "devices": waiting, "count": len(waiting)})


async def device(call: Call) -> Response:
    """One device with what is set up on it, and every series that it has ever sent."""
    app = call.app
    found = app.fleet.need(call.path["esp_id"])
    record = found.record
    return answer(
        {
            "success": True,
            **device_record(app, found),
            "sensors": [sensor_record(app, found, setup) for setup in record.sensors],
            "actuators": [actuator_record(app, found, setup) for setup in record.actuators],
            "series": [describe(app, series) for series in app.store.catalog.find(esp_id=found.esp_id)],
        }
    )


async def discovery(call: Call) -> Response:
    """Devices that can be heard now. Nothing is scanned: a device announces itself with its first heartbeat."""
    heard = [one for one in known(call.app) if one.online]
    new = sum(not one.approved for one in heard)
    return answer(
        {
            "success": True,
            "message": f"{len(heard)} devices are heard, {new} of them wait for approval",
            "discovered_count": len(heard),
            "new_count": new,
            "devices": [
                {
                    "device_id": one.esp_id,
                    "ip_address": one.ip,
                    "mac_address": one.record.mac_address or None,
                    "firmware_version": one.record.firmware_version or None,
                    "hardware_type": one.record.hardware_type,
                    "status": one.status.value,
                    "is_registered": one.approved,
                }
                for one in heard
            ],
            "scan_duration_ms": 0,
        }
    )


# -- what alerts a grower wants of a device


@attrs.frozen
class AlertBody:
    """Absent: unchanged."""

    alerts_enabled: bool | None = None
    propagate_to_children: bool | None = None
    suppression_reason: str | None = None
    suppression_note: str | None = None
    suppression_until: str | None = None
    severity_override: str | None = None
    custom_thresholds: dict[str, object] | None = None


def _alerts(found: Device) -> Response:
    kept = note(found, ALERT_CONFIG)
    return answer(
        {
            "success": True,
            "device_id": found.esp_id,
            "alert_config": {"alerts_enabled": True, "propagate_to_children": True} | kept,
        }
    )


async def alert_config(call: Call) -> Response:
    return _alerts(call.app.fleet.need(call.path["esp_id"]))


async def edit_alert_config(call: Call, body: AlertBody) -> Response:
    """Kept with the device; an empty text takes a setting back."""
    app = call.app
    found = app.fleet.need(call.path["esp_id"])
    said = {name: value for name, value in attrs.asdict(body).items() if value is not None}
    kept = {name: value for name, value in (note(found, ALERT_CONFIG) | said).items() if value != ""}
    return _alerts(await app.fleet.edit(found.esp_id, notes={**found.record.notes, ALERT_CONFIG: kept}))


DEVICE_IN_FULL = shapes.ONE_DEVICE.plus(sensors=many(SENSOR), actuators=many(ACTUATOR), series=many(SERIES))

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/esp/devices",
        summary="All devices",
        handler=devices,
        query=DevicesQuery,
        answers=shapes.DEVICES,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/esp/devices/pending",
        summary="Devices that wait for approval",
        handler=pending,
        auth=Auth.OPERATOR,
        answers=shapes.PENDING,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/esp/devices/{esp_id}",
        summary="One device with its sensors and actuators",
        handler=device,
        answers=DEVICE_IN_FULL,
        errors=faults.DEVICE,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/esp/discovery",
        summary="Devices that can be heard",
        handler=discovery,
        answers=shapes.DISCOVERY,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/esp/devices/{esp_id}/alert-config",
        summary="Alert settings of a device",
        handler=alert_config,
        answers=shapes.ALERTS,
        errors=faults.DEVICE,
    ),
    Endpoint(
        method="PATCH",
        path="/api/v1/esp/devices/{esp_id}/alert-config",
        summary="Change the alert settings of a device",
        handler=edit_alert_config,
        body=AlertBody,
        auth=Auth.OPERATOR,
        answers=shapes.ALERTS,
        errors=faults.DEVICE,
    ),
)
