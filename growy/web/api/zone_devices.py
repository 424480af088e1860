"""Which device stands in which zone, and what is measured there."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from growy.fleet.device import ZONE_KEY, Device
from growy.fleet.zones import ZoneArchived
from growy.model.setup import ActuatorKind, ItemState, ZoneSetup
from growy.web.answers import Response, answer, iso
from growy.web.api.placing import delivered, register, zone_setup
from growy.web.api.records import device_record, item_state, known, zone_of, zone_record
from growy.web.api.setups import actuator_record, rows
from growy.web.api.zones import need_zone
from growy.web.app import App
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import devices as shapes
from growy.web.shapes import faults


@attrs.frozen
class AssignBody:
    zone_id: str
    master_zone_id: str | None = None
    zone_name: str | None = None


async def assign(call: Call, body: AssignBody) -> Response:
    """The wish is durable before the device is told; a few seconds are given it to confirm."""
    app, esp_id = call.app, call.path["esp_id"]
    app.fleet.need(esp_id)
    zone = zone_setup(app, body.zone_id, body.zone_name, body.master_zone_id)
    await app.fleet.set_zone(esp_id, zone)
    await register(app, zone, call.by)
    return await _told(app, esp_id, zone, f"{esp_id} stands in zone {zone.zone_id}")


async def unassign(call: Call) -> Response:
    app, esp_id = call.app, call.path["esp_id"]
    zone = ZoneSetup(zone_id="")
    await app.fleet.set_zone(esp_id, zone)
    return await _told(app, esp_id, zone, f"{esp_id} stands in no zone")


async def _told(app: App, esp_id: str, zone: ZoneSetup, message: str) -> Response:
    end = await delivered(app, esp_id, ZONE_KEY)
    return answer(
        {
            "success": True,
            "message": message,
            "device_id": esp_id,
            "zone_id": zone.zone_id or None,
            "zone_name": zone.zone_name or None,
            "master_zone_id": zone.master_zone_id or None,
            "mqtt_sent": end.sent,
            "ack_received": end.state is not ItemState.PENDING,
            "warning": end.warning,
            **item_state(app, app.fleet.need(esp_id), ZONE_KEY),
        }
    )


async def place(call: Call) -> Response:
    """Where a device shall be, where it says that it is, and how far the one has become the other."""
    app = call.app
    found = app.fleet.need(call.path["esp_id"])
    shown = device_record(app, found)
    return answer(
        {"success": True} | {name: shown[name] for name in _PLACE} | item_state(app, found, ZONE_KEY)
    )


_PLACE = ("device_id", "zone_id", "reported_zone_id", "zone_name", "master_zone_id", "kaiser_id")


async def devices_of(call: Call) -> Response:
    zone_id = call.path["zone_id"]
    zone, there = need_zone(call.app, zone_id)
    return _devices(call.app, there, zone_record(zone_id, zone, there))


async def unassigned(call: Call) -> Response:
    return _devices(call.app, [one for one in known(call.app) if not zone_of(one)], {})


def _devices(app: App, there: list[Device], more: dict[str, object]) -> Response:
    return answer(
        {
            "success": True,
            **more,
            "devices": [device_record(app, one) for one in there],
            "count": len(there),
        }
    )


# -- what is measured there


async def monitor(call: Call) -> Response:
    """Everything in a zone by subzone: the newest reading of each series, and the actuators. What belongs to no subzone
    comes last, under a null `subzone_id`."""
    app, zone_id = call.app, call.path["zone_id"]
    zone, there = need_zone(app, zone_id)
    groups: dict[str, _Group] = {}
    for device in there:
        for subzone in device.record.subzones:
            group = groups.setdefault(subzone.subzone_id, _Group())
            group.name = group.name or subzone.name
        for subzone_id, sensor in _sensors(app, device):
            groups.setdefault(subzone_id, _Group()).sensors.append(sensor)
        for actuator in device.record.actuators:
            group = groups.setdefault(actuator.subzone_id or _by_pin(device, actuator.gpio), _Group())
            shown = actuator_record(app, device, actuator)
            group.actuators.append({name: shown[name] for name in _SHOWN} | _output(shown))
    ordered = sorted(groups.items(), key=lambda one: (one[0] == "", one[0]))
    return answer(
        {
            "success": True,
            "zone_id": zone_id,
            "zone_name": zone_record(zone_id, zone, there)["zone_name"],
            "subzones": [
                {
                    "subzone_id": subzone_id or None,
                    "subzone_name": group.name or None,
                    "sensors": group.sensors,
                    "actuators": group.actuators,
                }
                for subzone_id, group in ordered
            ],
            "sensor_count": sum(len(group.sensors) for group in groups.values()),
            "actuator_count": sum(len(group.actuators) for group in groups.values()),
            "alarm_count": None,
        }
    )


_SHOWN = ("esp_id", "gpio", "actuator_type", "hardware_type", "name", "enabled")


def _output(shown: Mapping[str, object]) -> dict[str, object]:
    """What an actuator does, as its device has said; null before it has."""
    value = shown["current_value"]
    pwm = shown["hardware_type"] == ActuatorKind.PWM.value
    return {
        "state": shown["is_active"],
        "pwm_value": round(255 * value) if pwm and isinstance(value, float) else None,
        "emergency_stopped": shown["emergency"],
    }


@attrs.define
class _Group:
    name: str = ""
    sensors: list[dict[str, object]] = attrs.field(factory=list)
    actuators: list[dict[str, object]] = attrs.field(factory=list)


def _sensors(app: App, device: Device) -> list[tuple[str, dict[str, object]]]:
    """Each value of each sensor of a device with its subzone ("" for none)."""
    found: list[tuple[str, dict[str, object]]] = []
    for row in rows(app, device.esp_id):
        setup, series = row.setup, row.series
        latest = None if series is None else app.store.tail.latest(series.id)
        value = None if latest is None else latest.value
        subzone_id = "" if setup is None else setup.subzone_id
        found.append(
            (
                subzone_id or _by_pin(device, row.gpio),
                {
                    "esp_id": device.esp_id,
                    "gpio": row.gpio,
                    "sensor_type": row.key.value_type,
                    "series_id": None if series is None else series.id,
                    "name": (setup.name or None) if setup is not None else None,
                    # Dashboards show this one beside the unit, so it is the value; what was counted is `raw`.
                    "raw_value": value,
                    "value": value,
                    "raw": None if latest is None else latest.raw,
                    "unit": None if series is None else series.unit,
                    "quality": None if latest is None else latest.quality.word,
                    "last_read": None if latest is None else iso(latest.ts_ms),
                },
            )
        )
    return found


def _by_pin(device: Device, gpio: int) -> str:
    """The subzone that a pin was put into; "" for none."""
    return next((one.subzone_id for one in device.record.subzones if gpio in one.gpios), "")


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/zone/devices/{esp_id}/assign",
        summary="Put a device into a zone",
        handler=assign,
        body=AssignBody,
        auth=Auth.OPERATOR,
        answers=shapes.PLACED,
        errors=(*faults.SET_UP, ZoneArchived),
    ),
    Endpoint(
        method="DELETE",
        path="/api/v1/zone/devices/{esp_id}/zone",
        summary="Take a device out of its zone",
        handler=unassign,
        auth=Auth.OPERATOR,
        answers=shapes.PLACED,
        errors=faults.SET_UP,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/zone/devices/{esp_id}",
        summary="The zone of a device",
        handler=place,
        answers=shapes.PLACE,
        errors=faults.DEVICE,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/zone/unassigned",
        summary="Devices in no zone",
        handler=unassigned,
        answers=shapes.UNASSIGNED,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/zone/{zone_id}/devices",
        summary="The devices of a zone",
        handler=devices_of,
        answers=shapes.ZONE_DEVICES,
        errors=faults.ZONE,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/zone/{zone_id}/monitor-data",
        summary="What is measured in a zone",
        handler=monitor,
        answers=shapes.MONITOR,
        errors=faults.ZONE,
    ),
)
