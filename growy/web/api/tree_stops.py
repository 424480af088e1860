"""Emergency stop of a node, or of every node: from God, with proof collected up the tree. Must never say that a node
has stopped before it has said so.

A Kaiser that is asked to stop itself does it, whoever its God is; others it cannot stop.
"""

from __future__ import annotations

import attrs
import trio
from attrs import validators as v

from growy.hierarchy.god_node import GodNode
from growy.hierarchy.kaiser_node import KaiserNode
from growy.hierarchy.observed import NodeProof
from growy.model.hierarchy import GOD
from growy.model.tree_errors import ChainNotFound, NotGod
from growy.web.answers import Response, answer
from growy.web.api.tree_records import LONGEST_REASON, WaitQuery, god_of, owner_named
from growy.web.app import App
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import tree as shapes

LOOK_S = 0.2


@attrs.frozen
class StopBody:
    reason: str = attrs.field(validator=[v.min_len(1), v.max_len(LONGEST_REASON)])


async def stop_everything(call: Call, query: WaitQuery, body: StopBody) -> Response:
    """In force at each node as soon as it hears it; told again until it has proven it."""
    if isinstance(call.app.tree, KaiserNode):
        try:
            god_of(call.app)
        except NotGod as error:
            raise NotGod(
                error.message,
                cure=f"{error.cure}; what is here, POST /api/v1/actuators/emergency_stop (`growyd stop`) stops",
                details=error.details,
            ) from None
    incident = await god_of(call.app).stop(None, reason=body.reason, by=call.by)
    return answer(await stop_answer(call.app, incident, query.wait))


async def stop_node(call: Call, query: WaitQuery, body: StopBody) -> Response:
    """Everything that a node owns or has on its broker."""
    app, said = call.app, call.path["kaiser_id"]
    if isinstance(app.tree, KaiserNode) and said == app.tree.me:
        ordered = await app.control.emergencies.stop(esp_id=None, gpio=None, reason=body.reason, by=call.by)
        return answer(await stop_answer(app, ordered.report.stop.id, query.wait))
    god, node = god_of(app), owner_named(call, said)
    if node != GOD:
        god.kaiser(node)
    incident = await god.stop(node, reason=body.reason, by=call.by)
    return answer(await stop_answer(app, incident, query.wait))


async def stop_proof(call: Call, query: WaitQuery) -> Response:
    return answer(await stop_answer(call.app, call.path["incident"], query.wait))


async def stop_answer(app: App, incident: str, wait_s: float) -> dict[str, object]:
    """What each node has proven; with a wait, when all have, or after that. Raises ChainNotFound."""
    proofs = await _proofs(app, incident)
    with trio.move_on_after(wait_s):
        while not all(one.proven for one in proofs):
            await trio.sleep(LOOK_S)
            proofs = await _proofs(app, incident)
    left = [one.node for one in proofs if not one.proven]
    silent = [one.node for one in proofs if not one.proven and not one.proof]
    said = f"Emergency stop of {', '.join(one.node for one in proofs)}: "
    said += f"not proven yet by {', '.join(left)}" if left else "proven by all"
    return {
        "success": True,
        "message": said + (f"; nothing heard from {', '.join(silent)} yet" if silent else ""),
        "incident": incident,
        "proven": not left,
        "nodes": [proof_record(app, one) for one in proofs],
    }


async def _proofs(app: App, incident: str) -> list[NodeProof]:
    if isinstance(app.tree, GodNode):
        return await app.tree.stopped(incident)
    report = next((one for one in app.control.emergencies.core.report() if one.stop.id == incident), None)
    if report is None:
        raise ChainNotFound(f"There is no emergency stop {incident[:64]!r} of this node")
    devices = {
        one.esp_id: {"proven": one.proof is not None, "online": one.online, "told": one.told}
        for one in report.devices
    }
    proven = all(one.proof is not None for one in report.devices if one.online)
    return [NodeProof(node=app.tree.me, proven=proven, proof={"devices": devices, "stop_id": incident})]


def proof_record(app: App, one: NodeProof) -> dict[str, object]:
    """What one node has proven of an emergency stop."""
    node = app.tree.node(one.node) if isinstance(app.tree, GodNode) else None
    devices = one.proof.get("devices")
    said = devices.items() if isinstance(devices, dict) else ()
    return {
        "node": one.node,
        "status": "online" if one.node == app.tree.me else None if node is None else node.state.value,
        "proven": one.proven,
        "heard": bool(one.proof),
        "stop_id": one.proof.get("stop_id"),
        "devices": [{"esp_id": esp_id, **more} for esp_id, more in said if isinstance(more, dict)],
    }


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/god/emergency_stop",
        summary="Emergency stop at every node",
        handler=stop_everything,
        query=WaitQuery,
        body=StopBody,
        auth=Auth.OPERATOR,
        answers=shapes.STOPPED,
        errors=(NotGod,),
    ),
    Endpoint(
        method="GET",
        path="/api/god/emergency_stop/{incident}",
        summary="What each node has proven of an emergency stop",
        handler=stop_proof,
        query=WaitQuery,
        answers=shapes.STOPPED,
        errors=(ChainNotFound,),
    ),
    Endpoint(
        method="POST",
        path="/api/v1/kaiser/{kaiser_id}/emergency_stop",
        summary="Emergency stop at a node",
        handler=stop_node,
        query=WaitQuery,
        body=StopBody,
        auth=Auth.OPERATOR,
        answers=shapes.STOPPED,
        errors=shapes.ASKED,
    ),
)
