"""`/api/v1/kaiser`: the registry of Kaisers, and what God has them do. On a Kaiser only what it knows itself."""

from __future__ import annotations

import attrs
import msgspec
from attrs import validators as v

from growy.hierarchy.god_node import GodNode
from growy.hierarchy.kaiser_node import KaiserNode
from growy.model.errors import Duplicate
from growy.model.hierarchy import GOD, ChainType
from growy.model.tree_errors import NodeNotFound
from growy.web.answers import Response, answer
from growy.web.api.god import begin_transfer, transfer_answer
from growy.web.api.kaiser_setup import KaiserConfig, node_of
from growy.web.api.records import device_record, known, zone_of, zone_record
from growy.web.api.tree_records import (
    LONGEST_REASON,
    WaitQuery,
    chain_record,
    esp_ids_of_god,
    god_of,
    god_record,
    kaiser_record,
    local_record,
    owner_named,
)
from growy.web.app import App
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shapes import tree as shapes


@attrs.frozen
class EnterBody(KaiserConfig):
    kaiser_id: str = attrs.field(kw_only=True)
    ip_address: str | None = None
    mac_address: str | None = None


@attrs.frozen
class RegisterBody(EnterBody):
    instance: str | None = attrs.field(default=None, validator=v.optional(v.max_len(64)))
    replace: bool = False


@attrs.frozen
class AssignBody:
    esp_id: str
    reason: str = attrs.field(default="", validator=v.max_len(LONGEST_REASON))


@attrs.frozen
class ZonesBody:
    zone_ids: list[str] = attrs.field(validator=v.max_len(1000))


# --- looking ------------------------------------------------------------------------------------------------------


async def kaisers(call: Call) -> Response:
    """All Kaisers; on a Kaiser itself alone, and `complete` is false."""
    app = call.app
    if isinstance(app.tree, KaiserNode):
        data, complete = [local_record(app.tree)], False
    else:
        data, complete = [kaiser_record(app, app.tree, one) for one in app.tree.kaisers()], True
    return answer({"success": True, "complete": complete, "data": data, "total_count": len(data)})


def record_of(call: Call, kaiser_id: str) -> dict[str, object]:
    """Raises NotGod, NodeNotFound."""
    app = call.app
    if isinstance(app.tree, KaiserNode) and kaiser_id == app.tree.me:
        return local_record(app.tree)
    god = god_of(app)
    if owner_named(call, kaiser_id) == GOD:
        return {"kaiser_id": GOD, "status": "online", "zone_ids": [], **god_record(app, god)}
    return kaiser_record(app, god, god.kaiser(kaiser_id))


async def detail(call: Call) -> Response:
    """A Kaiser, or God as `god`, with its devices."""
    record = record_of(call, call.path["kaiser_id"])
    metadata = {name: record.get(name) for name in ("name", "version", "instance")}
    return answer({"success": True, "kaiser_metadata": metadata, **record})


async def zones_below(call: Call) -> Response:
    """The devices of a node by zone."""
    app, kaiser_id = call.app, call.path["kaiser_id"]
    record = record_of(call, kaiser_id)
    own = _esp_ids(app, kaiser_id if isinstance(app.tree, KaiserNode) else owner_named(call, kaiser_id))
    here = {one.esp_id: one for one in known(app)}
    by_zone: dict[str, list[str]] = {}
    for esp_id in own:
        by_zone.setdefault(zone_of(here[esp_id]) if esp_id in here else "", []).append(esp_id)

    def device(esp_id: str) -> dict[str, object]:
        if esp_id in here:
            return device_record(app, here[esp_id])
        return {"device_id": esp_id, "esp_id": esp_id, "status": None, "online": None}

    zones = [
        {
            **zone_record(zone_id, app.zones.get(zone_id), [here[one] for one in esp_ids]),
            "devices": [device(one) for one in esp_ids],
        }
        for zone_id, esp_ids in sorted(by_zone.items())
        if zone_id
    ]
    return answer(
        {
            "success": True,
            "kaiser_id": record["kaiser_id"],
            "status": record["status"],
            "capabilities": record.get("capabilities"),
            "last_seen": record.get("last_seen"),
            "zones": zones,
            "unassigned_devices": [device(one) for one in by_zone.get("", [])],
            "total_devices": len(own),
            "total_zones": len(zones),
        }
    )


def _esp_ids(app: App, owner: str) -> list[str]:
    if isinstance(app.tree, KaiserNode):
        return [one.esp_id for one in app.tree.holdings()]
    if owner == GOD:
        return esp_ids_of_god(app, app.tree)
    return sorted(one.esp_id for one in app.tree.core.records if one.owner == owner)


# --- the registry -------------------------------------------------------------------------------------------------


async def enter(call: Call, body: EnterBody) -> Response:
    """A Kaiser that is not known yet. The first installation that reports under its name is bound to it."""
    god = god_of(call.app)
    if god.node(body.kaiser_id) is not None:
        raise Duplicate(f"There is a Kaiser {body.kaiser_id} already")
    view = await god.add(node_of(god, body.kaiser_id, _config(body)), by=call.by)
    return _registered(call, god, view.node.kaiser_id, 201)


async def register(call: Call, body: RegisterBody) -> Response:
    """Enter a Kaiser if it is not known, and bind its name to an installation, or free it for another one."""
    god = god_of(call.app)
    there = god.node(body.kaiser_id) is not None
    if there and body.instance is None and not body.replace:
        raise Duplicate(
            f"There is a Kaiser {body.kaiser_id} already",
            cure="Say replace if its installation is gone for good, and another one is to have the name",
        )
    node = node_of(god, body.kaiser_id, _config(body))
    if not there:
        await god.add(node, by=call.by)
    if body.instance is not None or (there and body.replace):
        await god.register(body.kaiser_id, body.instance or "", replace=body.replace, by=call.by)
        node = msgspec.structs.replace(node, instance=god.kaiser(body.kaiser_id).node.instance)
    if there and node != god.node(body.kaiser_id):
        await god.add(node, by=call.by)
    return _registered(call, god, body.kaiser_id, 200 if there else 201)


def _config(body: EnterBody) -> KaiserConfig:
    said = {field.name: getattr(body, field.name) for field in attrs.fields(KaiserConfig)}
    addresses = {"ip_address": body.ip_address, "mac_address": body.mac_address}
    noted = {name: value for name, value in addresses.items() if value}
    if noted:
        said["capabilities"] = {**(body.capabilities or {}), **noted}
    return KaiserConfig(**said)


def _registered(call: Call, god: GodNode, kaiser_id: str, status: int) -> Response:
    record = kaiser_record(call.app, god, god.kaiser(kaiser_id))
    bound = "bound to an installation" if record["registered"] else "waits for its first report"
    return answer(
        {
            "success": True,
            "message": f"{kaiser_id} is entered, and {bound}",
            **record,
        },
        status,
    )


async def set_zones(call: Call, body: ZonesBody) -> Response:
    """Which zones a Kaiser is for; says so to people, and moves nothing."""
    god = god_of(call.app)
    node = god.kaiser(call.path["kaiser_id"]).node
    await god.add(msgspec.structs.replace(node, zone_ids=tuple(body.zone_ids)), by=call.by)
    return answer({"success": True, **kaiser_record(call.app, god, god.kaiser(node.kaiser_id))})


async def unregister(call: Call, query: WaitQuery) -> Response:
    """Its devices go back to God one by one; when none is left, it is removed."""
    god = god_of(call.app)
    kaiser_id = call.path["kaiser_id"]
    returning = [one.esp_id for one in god.kaiser(kaiser_id).esps]
    await god.unregister(kaiser_id, by=call.by)
    if query.wait:
        await god.gone(kaiser_id, query.wait)
    left = next((one for one in god.kaisers() if one.node.kaiser_id == kaiser_id), None)
    text = "is removed" if left is None else f"leaves when its {len(left.esps)} devices are back"
    return answer(
        {
            "success": True,
            "message": f"{kaiser_id} {text}",
            "kaiser_id": kaiser_id,
            "removed": left is None,
            "reassigned": returning,
            "left": [] if left is None else [one.esp_id for one in left.esps],
        }
    )


# --- orders -------------------------------------------------------------------------------------------------------


async def assign_esp(call: Call, query: WaitQuery, body: AssignBody) -> Response:
    """Have a device change its owner to this one."""
    chain = await begin_transfer(call, body.esp_id, None, call.path["kaiser_id"], body.reason)
    said = await transfer_answer(call, chain, query.wait)
    return answer({"kaiser_id": chain.kaiser_id, **said})


async def sync_config(call: Call, query: WaitQuery) -> Response:
    """Ask a Kaiser what it has of its devices' configuration; what is newer here is on its way by itself."""
    god, kaiser_id = god_of(call.app), call.path["kaiser_id"]
    if owner_named(call, kaiser_id) == GOD:
        raise NodeNotFound("God's own configuration is where it is needed already")
    chain = await god.order(kaiser_id, ChainType.SYNC_CONFIG, {}, esp_id=None, by=call.by)
    if query.wait:
        chain = await god.wait(chain.command_id, query.wait)
    return answer({"success": True, **chain_record(chain)})


_ALL = "/api/v1/kaiser"
_ONE = f"{_ALL}/{{kaiser_id}}"

ENDPOINTS = (
    *(
        Endpoint(
            method="GET",
            path=path,
            summary="All Kaisers",
            handler=kaisers,
            answers=shapes.KAISERS,
        )
        for path in (_ALL, f"{_ALL}/nodes")
    ),
    Endpoint(
        method="POST",
        path=_ALL,
        summary="Enter a Kaiser",
        handler=enter,
        body=EnterBody,
        auth=Auth.ADMIN,
        answers=Answer(shapes.REGISTERED, 201),
        errors=shapes.WRITTEN,
    ),
    Endpoint(
        method="POST",
        path=f"{_ALL}/register",
        summary="Bind a Kaiser's name to an installation",
        handler=register,
        body=RegisterBody,
        auth=Auth.ADMIN,
        answers=(Answer(shapes.REGISTERED), Answer(shapes.REGISTERED, 201)),
        errors=shapes.WRITTEN,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        summary="A Kaiser with its devices",
        handler=detail,
        answers=shapes.DETAIL,
        errors=shapes.ASKED,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        summary="Unregister a Kaiser",
        handler=unregister,
        query=WaitQuery,
        auth=Auth.ADMIN,
        answers=shapes.REMOVED,
        errors=shapes.ASKED,
    ),
    Endpoint(
        method="GET",
        path=f"{_ONE}/hierarchy",
        summary="A node's devices by zone",
        handler=zones_below,
        answers=shapes.BY_ZONE,
        errors=shapes.ASKED,
    ),
    Endpoint(
        method="PUT",
        path=f"{_ONE}/zones",
        summary="The zones that a Kaiser is for",
        handler=set_zones,
        body=ZonesBody,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_KAISER,
        errors=shapes.WRITTEN,
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}/assign_esp",
        summary="Give a device to a Kaiser",
        handler=assign_esp,
        query=WaitQuery,
        body=AssignBody,
        auth=Auth.OPERATOR,
        answers=shapes.GIVEN,
        errors=shapes.MOVED,
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}/sync_config",
        summary="How far a Kaiser's configuration is",
        handler=sync_config,
        query=WaitQuery,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_CHAIN,
        errors=shapes.ASKED,
    ),
)
