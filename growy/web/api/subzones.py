"""Subzones: groups of pins within the zone of a device."""

from __future__ import annotations

from typing import TypeVar

import attrs
import msgspec
from attrs import validators as v

from growy.fleet.device import Device
from growy.model.errors import Invalid, SubzoneNotFound
from growy.model.setup import ItemState, SubzoneSetup
from growy.web.answers import Response, answer
from growy.web.api.placing import delivered, delivery
from growy.web.api.records import subzone_record, zone_of
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import devices as shapes
from growy.web.shapes import faults

T = TypeVar("T")


@attrs.frozen
class SubzoneBody:
    subzone_id: str
    assigned_gpios: tuple[int, ...] = ()
    subzone_name: str | None = attrs.field(default=None, validator=v.optional(v.max_len(64)))
    parent_zone_id: str | None = None
    safe_mode_active: bool | None = None
    metadata: dict[str, object] | None = None


@attrs.frozen
class MetadataBody:
    """Absent: unchanged."""

    subzone_name: str | None = attrs.field(default=None, validator=v.optional(v.max_len(64)))
    metadata: dict[str, object] | None = None
    custom_data: dict[str, object] | None = None


async def subzones(call: Call) -> Response:
    app = call.app
    found = app.fleet.need(call.path["esp_id"])
    shown = [subzone_record(app, found, subzone) for subzone in found.record.subzones]
    return answer(
        {
            "success": True,
            "device_id": found.esp_id,
            "zone_id": zone_of(found) or None,
            "subzones": shown,
            "total_count": len(shown),
        }
    )


async def subzone(call: Call) -> Response:
    found, wanted = _need(call)
    return answer({"success": True, "device_id": found.esp_id, **subzone_record(call.app, found, wanted)})


async def assign(call: Call, body: SubzoneBody) -> Response:
    """A new subzone, or other pins for one that is there. What is not said stays as it was."""
    app = call.app
    found = app.fleet.need(call.path["esp_id"])
    zone_id = zone_of(found)
    if not zone_id:
        raise Invalid(
            f"{found.esp_id} stands in no zone, and a subzone is a part of one",
            cure=f"First POST /api/v1/zone/devices/{found.esp_id}/assign",
        )
    if body.parent_zone_id and body.parent_zone_id != zone_id:
        raise Invalid(
            f"parent_zone_id: {found.esp_id} stands in zone {zone_id}, not in {body.parent_zone_id[:64]!r}"
        )
    before = _find(found, body.subzone_id)
    wanted = SubzoneSetup(
        subzone_id=body.subzone_id,
        name=_otherwise(body.subzone_name, "" if before is None else before.name),
        gpios=tuple(dict.fromkeys(body.assigned_gpios)),
        safe_mode=_otherwise(body.safe_mode_active, False if before is None else before.safe_mode),
        notes=_otherwise(body.metadata, {} if before is None else dict(before.notes)),
    )
    kept, warnings = await app.fleet.set_subzone(found.esp_id, wanted)
    return await _told(call, kept, f"Subzone {kept.subzone_id} has {len(kept.gpios)} pins", list(warnings))


async def remove(call: Call) -> Response:
    """Gone here at once; the device is told until it has confirmed."""
    app = call.app
    found, _ = _need(call)
    gone = await app.fleet.remove_subzone(found.esp_id, call.path["subzone_id"])
    await app.fleet.settled(found.esp_id, [gone.key], 5.0)
    found = app.fleet.need(found.esp_id)
    pending = gone.subzone_id in found.record.removed_subzones
    end = delivery(app, found, gone.key)
    return answer(
        {
            "success": True,
            "message": f"Subzone {gone.subzone_id} is gone",
            "device_id": found.esp_id,
            "subzone_id": gone.subzone_id,
            "mqtt_sent": end.sent or not pending,
            "ack_received": not pending,
            "warning": end.warning if pending else None,
        }
    )


async def edit_metadata(call: Call, body: MetadataBody) -> Response:
    """Notes are growyd's alone; a new name is told to the device."""
    app = call.app
    found, wanted = _need(call)
    said = {**(body.custom_data or {}), **(body.metadata or {})}
    notes = {name: value for name, value in {**wanted.notes, **said}.items() if value is not None}
    changed = msgspec.structs.replace(wanted, name=_otherwise(body.subzone_name, wanted.name), notes=notes)
    kept, _ = await app.fleet.set_subzone(found.esp_id, changed)
    found = app.fleet.need(found.esp_id)
    return answer({"success": True, "device_id": found.esp_id, **subzone_record(app, found, kept)})


async def safe_on(call: Call) -> Response:
    return await _safe(call, True)


async def safe_off(call: Call) -> Response:
    return await _safe(call, False)


async def _safe(call: Call, enable: bool) -> Response:
    found, wanted = _need(call)
    await call.app.fleet.set_safe_mode(found.esp_id, wanted.subzone_id, enable)
    return answer(
        {
            "success": True,
            "message": f"{found.esp_id} was told to switch the safe mode of {wanted.subzone_id} "
            f"{'on' if enable else 'off'}",
            "device_id": found.esp_id,
            "subzone_id": wanted.subzone_id,
            "safe_mode_active": enable,
            "mqtt_sent": True,
            "ack_received": False,
            "warning": "The firmware confirms only refusals: that none came is all that can be known. "
            "Pins of actuators are not touched",
        }
    )


async def _told(call: Call, kept: SubzoneSetup, message: str, warnings: list[str]) -> Response:
    app, esp_id = call.app, call.path["esp_id"]
    end = await delivered(app, esp_id, kept.key)
    return answer(
        {
            "success": True,
            "message": message,
            "device_id": esp_id,
            **subzone_record(app, app.fleet.need(esp_id), kept),
            "mqtt_sent": end.sent,
            "ack_received": end.state is not ItemState.PENDING,
            "warning": end.warning,
            "warnings": warnings,
        }
    )


def _find(device: Device, subzone_id: str) -> SubzoneSetup | None:
    return next((one for one in device.record.subzones if one.subzone_id == subzone_id), None)


def _need(call: Call) -> tuple[Device, SubzoneSetup]:
    """The device and the subzone of the path. Raises EspNotFound, SubzoneNotFound."""
    found = call.app.fleet.need(call.path["esp_id"])
    wanted = _find(found, call.path["subzone_id"])
    if wanted is None:
        there = ", ".join(one.subzone_id for one in found.record.subzones[:20])
        raise SubzoneNotFound(
            f"{found.esp_id} has no subzone {call.path['subzone_id'][:64]!r}",
            cure=f"It has {there}" if there else "It has none",
        )
    return found, wanted


def _otherwise(said: T | None, before: T) -> T:
    return before if said is None else said


_ALL = "/api/v1/subzone/devices/{esp_id}/subzones"
_ONE = f"{_ALL}/{{subzone_id}}"

ENDPOINTS = (
    Endpoint(
        method="GET",
        path=_ALL,
        summary="The subzones of a device",
        handler=subzones,
        answers=shapes.SUBZONES,
        errors=faults.DEVICE,
    ),
    Endpoint(
        method="POST",
        path=f"{_ALL}/assign",
        summary="Make a subzone, or give it other pins",
        handler=assign,
        body=SubzoneBody,
        auth=Auth.OPERATOR,
        answers=shapes.SUBZONE_SET,
        errors=faults.SET_UP,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        summary="One subzone",
        handler=subzone,
        answers=shapes.ONE_SUBZONE,
        errors=faults.SUBZONE,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        summary="Take a subzone away",
        handler=remove,
        auth=Auth.OPERATOR,
        answers=shapes.SUBZONE_GONE,
        errors=faults.SUBZONE,
    ),
    Endpoint(
        method="PATCH",
        path=f"{_ONE}/metadata",
        summary="Change a subzone's name or notes",
        handler=edit_metadata,
        body=MetadataBody,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_SUBZONE,
        errors=(*faults.SET_UP, SubzoneNotFound),
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}/safe-mode",
        summary="Put a subzone's pins into safe mode",
        handler=safe_on,
        auth=Auth.OPERATOR,
        answers=shapes.SAFE_MODE,
        errors=(*faults.TOLD, SubzoneNotFound),
    ),
    Endpoint(
        method="DELETE",
        path=f"{_ONE}/safe-mode",
        summary="Take a subzone's pins out of safe mode",
        handler=safe_off,
        auth=Auth.OPERATOR,
        answers=shapes.SAFE_MODE,
        errors=(*faults.TOLD, SubzoneNotFound),
    ),
)
