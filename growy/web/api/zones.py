"""Zones: what they are called, which are still used. Registered ones, and those that only devices speak of."""

from __future__ import annotations

from collections import defaultdict

import attrs
from attrs import validators as v

from growy.fleet.device import Device
from growy.fleet.zones import Zone, ZoneInUse, ZoneStatus
from growy.model.errors import Duplicate, ZoneNotFound
from growy.web.answers import Response, answer
from growy.web.api.records import known, zone_of, zone_record
from growy.web.app import App
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shapes import devices as shapes
from growy.web.shapes import faults


@attrs.frozen
class ZonesQuery:
    status: str | None = attrs.field(
        default=None, validator=v.optional(v.in_(tuple(status.value for status in ZoneStatus)))
    )


@attrs.frozen
class ZoneBody:
    zone_id: str
    name: str = ""
    description: str = ""
    master_zone_id: str = ""


@attrs.frozen
class ZoneEditBody:
    """Absent: unchanged."""

    name: str | None = None
    description: str | None = None
    master_zone_id: str | None = None


def devices_in(app: App, zone_id: str) -> list[Device]:
    """Those that shall be in it, or are in it still."""
    return [device for device in known(app) if zone_id in (zone_of(device), device.zone_id)]


def all_zones(app: App) -> list[dict[str, object]]:
    """Every zone as an answer shows it, by id."""
    there: defaultdict[str, list[Device]] = defaultdict(list)
    for device in known(app):
        for zone_id in {zone_of(device), device.zone_id} - {""}:
            there[zone_id].append(device)
    registered = {zone.zone_id: zone for zone in app.zones.all()}
    return [
        zone_record(zone_id, registered.get(zone_id), there.get(zone_id, ()))
        for zone_id in sorted(registered.keys() | there.keys())
    ]


def need_zone(app: App, zone_id: str) -> tuple[Zone | None, list[Device]]:
    """A zone, None when it is not registered, and its devices.

    Raises ZoneNotFound when it is neither registered nor has devices.
    """
    zone, there = app.zones.get(zone_id), devices_in(app, zone_id)
    if zone is None and not there:
        raise ZoneNotFound(
            f"No zone {zone_id[:64]!r} is known", cure="GET /api/v1/zones lists those that are"
        )
    return zone, there


async def zones(call: Call, query: ZonesQuery) -> Response:
    found = [zone for zone in all_zones(call.app) if query.status is None or zone["status"] == query.status]
    return answer({"success": True, "zones": found, "total": len(found)})


async def zone(call: Call) -> Response:
    zone_id = call.path["zone_id"]
    registered, there = need_zone(call.app, zone_id)
    return answer(
        {
            "success": True,
            **zone_record(zone_id, registered, there),
            "devices": [device.esp_id for device in there],
        }
    )


async def create(call: Call, body: ZoneBody) -> Response:
    made = await call.app.zones.create(
        body.zone_id,
        by=call.by,
        name=body.name,
        description=body.description,
        master_zone_id=body.master_zone_id,
    )
    return _answer(call, made, 201)


async def edit(call: Call, body: ZoneEditBody) -> Response:
    """Devices learn a new name when they are assigned the next time; what they are called here changes at once."""
    zone_id = await _registered(call)
    changed = await call.app.zones.edit(
        zone_id, by=call.by, name=body.name, description=body.description, master_zone_id=body.master_zone_id
    )
    return _answer(call, changed)


async def archive(call: Call) -> Response:
    return _answer(
        call, await call.app.zones.edit(await _registered(call), by=call.by, status=ZoneStatus.ARCHIVED)
    )


async def reactivate(call: Call) -> Response:
    return _answer(
        call, await call.app.zones.edit(await _registered(call), by=call.by, status=ZoneStatus.ACTIVE)
    )


async def delete(call: Call) -> Response:
    zone_id = call.path["zone_id"]
    _, there = need_zone(call.app, zone_id)
    gone = await call.app.zones.delete(zone_id, by=call.by, devices=[device.esp_id for device in there])
    return answer({"success": True, "message": f"Zone {zone_id} is gone", "zone_id": gone.zone_id})


async def _registered(call: Call) -> str:
    """The zone of the path, entered in the registry if so far only devices speak of it. Raises ZoneNotFound."""
    zone_id = call.path["zone_id"]
    registered, there = need_zone(call.app, zone_id)
    if registered is None:
        shown = zone_record(zone_id, None, there)
        await call.app.zones.adopt(zone_id, by=call.by, name=str(shown["name"]))
    return zone_id


def _answer(call: Call, changed: Zone, status: int = 200) -> Response:
    there = devices_in(call.app, changed.zone_id)
    return answer({"success": True, **zone_record(changed.zone_id, changed, there)}, status)


_ZONE = "/api/v1/zones/{zone_id}"

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/zones",
        summary="All zones",
        handler=zones,
        query=ZonesQuery,
        answers=shapes.ZONES,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/zone/zones",
        summary="All zones, as dashboards ask for them",
        handler=zones,
        query=ZonesQuery,
        answers=shapes.ZONES,
    ),
    Endpoint(
        method="POST",
        path="/api/v1/zones",
        summary="Make a zone",
        handler=create,
        body=ZoneBody,
        auth=Auth.OPERATOR,
        answers=Answer(shapes.ONE_ZONE, 201),
        errors=(Duplicate,),
    ),
    Endpoint(
        method="GET",
        path=_ZONE,
        summary="One zone and its devices",
        handler=zone,
        answers=shapes.ZONE_WITH_DEVICES,
        errors=faults.ZONE,
    ),
    Endpoint(
        method="PATCH",
        path=_ZONE,
        summary="Change a zone's name or description",
        handler=edit,
        body=ZoneEditBody,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_ZONE,
        errors=faults.ZONE,
    ),
    Endpoint(
        method="DELETE",
        path=_ZONE,
        summary="Delete an empty zone",
        handler=delete,
        auth=Auth.OPERATOR,
        answers=shapes.ZONE_GONE,
        errors=(ZoneNotFound, ZoneInUse),
    ),
    Endpoint(
        method="POST",
        path=f"{_ZONE}/archive",
        summary="A zone that is no longer used",
        handler=archive,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_ZONE,
        errors=faults.ZONE,
    ),
    Endpoint(
        method="POST",
        path=f"{_ZONE}/reactivate",
        summary="A zone that is used again",
        handler=reactivate,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_ZONE,
        errors=faults.ZONE,
    ),
)
