"""What a person decides about a device: let it in, refuse it, name it, give it up."""

from __future__ import annotations

import attrs
from attrs import validators as v

from growy.fleet.device import Device
from growy.fleet.zones import ZoneArchived
from growy.model.errors import Duplicate, EspNotFound, Invalid
from growy.model.setup import ZoneSetup
from growy.model.tree_errors import NodeNotFound, NotGod, TransferRefused
from growy.web.answers import Response, answer
from growy.web.api.god import begin_transfer, transfer_answer
from growy.web.api.placing import register, zone_setup
from growy.web.api.records import CAPABILITIES, METADATA, decision_record, device_record, note
from growy.web.api.tree_records import WaitQuery, god_of, owner_named
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shapes import devices as shapes
from growy.web.shapes import faults, tree

NAME = v.optional(v.max_len(100))


@attrs.frozen
class RegisterBody:
    device_id: str
    name: str = attrs.field(default="", validator=v.max_len(100))
    hardware_type: str = "ESP32_WROOM"
    mac_address: str = ""
    firmware_version: str = attrs.field(default="", validator=v.max_len(50))
    zone_id: str | None = None
    zone_name: str | None = None
    master_zone_id: str | None = None
    capabilities: dict[str, object] | None = None
    metadata: dict[str, object] | None = None


@attrs.frozen
class EditBody:
    """Absent: unchanged."""

    name: str | None = attrs.field(default=None, validator=NAME)
    hardware_type: str | None = None
    zone_id: str | None = None
    zone_name: str | None = None
    master_zone_id: str | None = None
    capabilities: dict[str, object] | None = None
    metadata: dict[str, object] | None = None


@attrs.frozen
class ApproveBody:
    name: str | None = attrs.field(default=None, validator=NAME)
    zone_id: str | None = None
    zone_name: str | None = None
    master_zone_id: str | None = None


@attrs.frozen
class RejectBody:
    reason: str = attrs.field(validator=[v.min_len(1), v.max_len(500)])


@attrs.frozen
class KaiserBody:
    kaiser_id: str


def _zone(call: Call, body: RegisterBody | EditBody | ApproveBody) -> ZoneSetup | None:
    """The zone that a body names. None: it names none."""
    if body.zone_id is None or body.zone_id == "":
        return None
    return zone_setup(call.app, body.zone_id, body.zone_name, body.master_zone_id)


async def add(call: Call, body: RegisterBody) -> Response:
    """A device known before it was ever heard; it is approved by that."""
    app = call.app
    zone = _zone(call, body)
    found = await app.fleet.register(
        body.device_id,
        by=call.by,
        name=body.name,
        hardware_type=body.hardware_type,
        mac_address=body.mac_address,
        firmware_version=body.firmware_version,
        zone=zone,
    )
    if zone is not None:
        await register(app, zone, call.by)
    if notes := _notes(found, body):
        found = await app.fleet.edit(found.esp_id, notes=notes)
    return answer({"success": True, **device_record(app, found)}, 201)


async def edit(call: Call, body: EditBody) -> Response:
    app = call.app
    found = app.fleet.need(call.path["esp_id"])
    zone = ZoneSetup(zone_id="") if body.zone_id == "" else _zone(call, body)
    if zone is not None and zone != found.record.zone:
        await app.fleet.set_zone(found.esp_id, zone)
        await register(app, zone, call.by)
    found = await app.fleet.edit(
        found.esp_id, name=body.name, hardware_type=body.hardware_type, notes=_notes(found, body)
    )
    return answer({"success": True, **device_record(app, found)})


def _notes(found: Device, body: RegisterBody | EditBody) -> dict[str, object] | None:
    """A device's notes with what the body says; None: nothing of it. Keys of the metadata that are null go."""
    said: dict[str, object] = {}
    if body.capabilities is not None:
        said[CAPABILITIES] = body.capabilities
    if body.metadata is not None:
        merged = note(found, METADATA) | body.metadata
        merged.pop("boot_id", None)  # ours, and shown beside theirs
        said[METADATA] = {name: value for name, value in merged.items() if value is not None}
    return {**found.record.notes, **said} if said else None


async def delete(call: Call) -> Response:
    """It is shown no more; heard again, it waits for approval like a new one."""
    await call.app.fleet.delete(call.path["esp_id"], by=call.by)
    return Response(204)


async def approve(call: Call, body: ApproveBody) -> Response:
    app = call.app
    app.fleet.need(call.path["esp_id"])
    zone = _zone(call, body)
    found = await app.fleet.approve(call.path["esp_id"], by=call.by, name=body.name, zone=zone)
    if zone is not None:
        await register(app, zone, call.by)
    return _decided(found, "approved")


async def reject(call: Call, body: RejectBody) -> Response:
    return _decided(
        await call.app.fleet.reject(call.path["esp_id"], by=call.by, reason=body.reason), "rejected"
    )


async def set_pending(call: Call) -> Response:
    return _decided(
        await call.app.fleet.set_pending(call.path["esp_id"], by=call.by), "to be decided about again"
    )


def _decided(found: Device, what: str) -> Response:
    return answer({"success": True, "message": f"{found.esp_id} is {what}", **decision_record(found)})


async def assign_kaiser(call: Call, query: WaitQuery, body: KaiserBody) -> Response:
    """Have the device change its owner. To the one that has it already, nothing is done."""
    app = call.app
    if not body.kaiser_id:
        raise Invalid("kaiser_id is empty")
    god, owner = god_of(app), owner_named(call, body.kaiser_id)
    esp_id = call.path["esp_id"]
    if god.core.record(esp_id) is None:
        app.fleet.need(esp_id)
    before = god.owner(esp_id)
    if owner == before:
        said: dict[str, object] = {"success": True, "message": f"{esp_id} belongs to {before}"}
    else:
        chain = await begin_transfer(call, esp_id, None, owner, "assign_kaiser")
        said = await transfer_answer(call, chain, query.wait)
    return answer({**said, "device_id": esp_id, "kaiser_id": owner, "previous_kaiser_id": before})


_DEVICE = "/api/v1/esp/devices/{esp_id}"

ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/esp/devices",
        summary="Enter a device before it is heard",
        handler=add,
        body=RegisterBody,
        auth=Auth.OPERATOR,
        answers=Answer(shapes.ONE_DEVICE, 201),
        errors=(Duplicate, ZoneArchived),
    ),
    Endpoint(
        method="PATCH",
        path=_DEVICE,
        summary="Change a device's name, board, zone or notes",
        handler=edit,
        body=EditBody,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_DEVICE,
        errors=(*faults.SET_UP, ZoneArchived),
    ),
    Endpoint(
        method="DELETE",
        path=_DEVICE,
        summary="Give a device up",
        handler=delete,
        auth=Auth.OPERATOR,
        answers=Answer(status=204, media=()),
        errors=faults.DEVICE,
    ),
    Endpoint(
        method="POST",
        path=f"{_DEVICE}/approve",
        summary="Let a device in",
        handler=approve,
        body=ApproveBody,
        auth=Auth.OPERATOR,
        answers=shapes.DECIDED,
        errors=(*faults.SET_UP, ZoneArchived),
    ),
    Endpoint(
        method="POST",
        path=f"{_DEVICE}/reject",
        summary="Refuse a device",
        handler=reject,
        body=RejectBody,
        auth=Auth.OPERATOR,
        answers=shapes.DECIDED,
        errors=faults.DEVICE,
    ),
    Endpoint(
        method="POST",
        path=f"{_DEVICE}/set-pending",
        summary="Let a device wait for approval again",
        handler=set_pending,
        auth=Auth.OPERATOR,
        answers=shapes.DECIDED,
        errors=faults.DEVICE,
    ),
    Endpoint(
        method="POST",
        path=f"{_DEVICE}/assign_kaiser",
        summary="Have a device change its owner",
        handler=assign_kaiser,
        query=WaitQuery,
        body=KaiserBody,
        auth=Auth.OPERATOR,
        answers=tree.ASSIGNED,
        errors=(NotGod, EspNotFound, NodeNotFound, TransferRefused),
    ),
)
