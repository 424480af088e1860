"""How devices, subzones and zones look in answers. Pure: it reads the fleet's memory and nothing else; what nobody has
said is null."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from growy.fleet.device import ZONE_KEY, Device, DeviceStatus, Standing
from growy.fleet.work import parent_zone
from growy.fleet.zones import Zone, ZoneStatus
from growy.model.setup import ItemState, SubzoneSetup
from growy.web.answers import iso
from growy.web.api.series import device_uuid
from growy.web.app import App

METADATA = "metadata"
CAPABILITIES = "capabilities"
ALERT_CONFIG = "alert_config"
"""Keys of a device's notes: what clients keep there and growyd does not act on."""


def note(device: Device, key: str) -> dict[str, object]:
    """A part of a device's notes; empty when nobody has written it."""
    kept = device.record.notes.get(key)
    return dict(kept) if isinstance(kept, Mapping) else {}


def known(app: App) -> list[Device]:
    """All devices but deleted ones, by id."""
    return [device for device in app.fleet.devices() if device.status is not DeviceStatus.DELETED]


def zone_of(device: Device) -> str:
    """Where a device shall be; where nobody has said, where it says that it is. "" for none."""
    return parent_zone(device.state)


def item_state(app: App, device: Device, key: str) -> dict[str, object]:
    """How far an item of the setup has come on its device: `config_status`, and the device's own words when it failed.

    Args:
        key: of a sensor, actuator or subzone, or `ZONE_KEY`.
    """
    state = app.fleet.state_of(device, key)
    said = app.fleet.item(device, key) if state is not ItemState.PENDING else None
    failed = said is not None and said.state is ItemState.FAILED
    return {
        "config_status": state.value,
        "config_error": (said.error or said.error_code or None) if said is not None and failed else None,
        "config_error_code": (said.error_code or None) if said is not None and failed else None,
        "config_error_detail": (said.detail or None) if said is not None and failed else None,
        "config_answered_at": iso(said.at_ms) if said is not None and said.at_ms else None,
    }


def device_record(app: App, device: Device) -> dict[str, object]:
    """A device in the shape that clients know."""
    record, live = device.record, device.live
    beat, series = live.heartbeat, app.store.catalog.find(esp_id=device.esp_id)
    zone_id = zone_of(device)
    zone = app.zones.get(zone_id) if zone_id else None
    deleted = record.standing is Standing.DELETED
    return {
        "id": device_uuid(device.esp_id),
        "device_id": device.esp_id,
        "esp_id": device.esp_id,
        "name": record.name or None,
        "zone_id": zone_id or None,
        "reported_zone_id": record.zone_id or None,
        "zone_name": _zone_name(device, zone),
        "master_zone_id": _master_zone(device) or None,
        "kaiser_id": owner_of(app, device),
        "topic_kaiser_id": device.kaiser_id,
        "is_zone_master": None,
        "ip_address": device.ip,
        "mac_address": record.mac_address or None,
        "firmware_version": record.firmware_version or None,
        "firmware_generation": None if record.generation is None else record.generation.value,
        "hardware_type": record.hardware_type,
        "capabilities": note(device, CAPABILITIES) or None,
        "status": device.status.value,
        "online": device.online,
        "last_seen": iso(device.last_seen_ms),
        "metadata": {**note(device, METADATA), "boot_id": device.boot_id},
        "uptime": device.uptime,
        "heap_free": device.heap_free,
        "wifi_rssi": device.wifi_rssi,
        "sensor_count": _first(device.sensor_count, len(record.sensors) or len(series)),
        "actuator_count": _first(device.actuator_count, len(record.actuators)),
        "configured_sensors": len(record.sensors),
        "configured_actuators": len(record.actuators),
        "auto_heartbeat": None,
        "heartbeat_interval_seconds": None,
        "heartbeat_count": live.heartbeats,
        "reset_reason": (beat.reset_reason or None) if beat is not None else None,
        "boots": record.boots,
        "config_pending": live.config_pending,
        "configured_before": record.configured_before,
        "zone_context": None,
        "zone": item_state(app, device, ZONE_KEY) if record.zone is not None else None,
        "subzones": [subzone_record(app, device, subzone) for subzone in record.subzones],
        **_decision(device),
        "deleted_at": iso(record.decided_ms) if deleted else None,
        "deleted_by": (record.decided_by or None) if deleted else None,
        "created_at": iso(device.first_seen_ms),
        "updated_at": iso(max(device.last_seen_ms, record.decided_ms)),
    }


def owner_of(app: App, device: Device) -> str:
    """The node that commands the device. What stands in its topics may be another: that never changes."""
    return app.tree.owner(device.esp_id) or device.kaiser_id


def decision_record(device: Device) -> dict[str, object]:
    """What a person decided about a device, as the answer to that decision."""
    return {"device_id": device.esp_id, "status": device.status.value, **_decision(device)}


def _decision(device: Device) -> dict[str, object]:
    record = device.record
    approved, rejected = record.standing is Standing.APPROVED, record.standing is Standing.REJECTED
    at = iso(record.decided_ms) if record.decided_ms else None
    return {
        "approved_by": (record.decided_by or None) if approved else None,
        "approved_at": at if approved else None,
        "rejection_reason": (record.reason or None) if rejected else None,
        "rejected_by": (record.decided_by or None) if rejected else None,
        "rejected_at": at if rejected else None,
    }


def subzone_record(app: App, device: Device, subzone: SubzoneSetup) -> dict[str, object]:
    """A subzone of a device, with what stands in it: sensors and actuators that name it, or sit on its pins."""
    record = device.record
    pins = set(subzone.gpios)
    sensors = [
        sensor
        for sensor in record.sensors
        if sensor.subzone_id == subzone.subzone_id
        or (not sensor.subzone_id and sensor.i2c_address is None and sensor.gpio in pins)
    ]
    actuators = [
        actuator
        for actuator in record.actuators
        if actuator.subzone_id == subzone.subzone_id
        or (not actuator.subzone_id and not pins.isdisjoint(actuator.pins))
    ]
    return {
        "subzone_id": subzone.subzone_id,
        "subzone_name": subzone.name or None,
        "parent_zone_id": zone_of(device) or None,
        "assigned_gpios": list(subzone.gpios),
        "safe_mode_active": subzone.safe_mode,
        "is_active": True,
        "sensor_count": len(sensors),
        "actuator_count": len(actuators),
        "metadata": dict(subzone.notes),
        **item_state(app, device, subzone.key),
    }


def zone_record(zone_id: str, zone: Zone | None, devices: Iterable[Device]) -> dict[str, object]:
    """A zone: registered, or one that only devices speak of (`registered` is false then).

    Args:
        devices: those that are in it.
    """
    there = list(devices)
    said = (name for device in there if zone_of(device) == zone_id and (name := _said_name(device)))
    title = next(said, zone_id) if zone is None else zone.title
    return {
        "id": zone_id,
        "zone_id": zone_id,
        "name": title,
        "zone_name": title,
        "description": (zone.description or None) if zone is not None else None,
        "master_zone_id": (zone.master_zone_id or None) if zone is not None else None,
        "status": (zone.status if zone is not None else ZoneStatus.ACTIVE).value,
        "registered": zone is not None,
        "device_count": len(there),
        "sensor_count": sum(_first(one.sensor_count, len(one.record.sensors)) for one in there),
        "actuator_count": sum(_first(one.actuator_count, len(one.record.actuators)) for one in there),
        "created_at": iso(zone.created_ms) if zone is not None else None,
        "updated_at": iso(zone.updated_ms) if zone is not None else None,
    }


def _zone_name(device: Device, zone: Zone | None) -> str | None:
    if zone is not None and zone.name:
        return zone.name
    return _said_name(device) or None


def _said_name(device: Device) -> str:
    """What the zone was called when the device was put into it."""
    wanted = device.record.zone
    return "" if wanted is None else wanted.zone_name


def _master_zone(device: Device) -> str:
    if device.record.zone is not None:
        return device.record.zone.master_zone_id
    return "" if device.live.heartbeat is None else device.live.heartbeat.master_zone_id


def _first(said: int | None, otherwise: int) -> int:
    return otherwise if said is None else said
