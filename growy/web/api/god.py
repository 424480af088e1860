"""`/api/god/*`: the tree of God and its Kaisers, transfers, command chains, measured figures. Asks God, decides
nothing: every check is made where it is carried out."""

from __future__ import annotations

import attrs
from attrs import validators as v

from growy.hierarchy.god_node import GodNode
from growy.hierarchy.measuring import COMMIT, PROCESSING, TRANSFER
from growy.model.errors import EspNotFound, GrowyError, Invalid
from growy.model.hierarchy import ChainStatus, CommandChain, NodeId, NodeState
from growy.model.tree_errors import NotGod, TransferRefused
from growy.web.answers import Response, answer
from growy.web.api.kaiser_setup import KaiserConfig, node_of
from growy.web.api.tree_records import (
    LONGEST_REASON,
    WaitQuery,
    chain_record,
    god_of,
    god_record,
    kaiser_record,
    local_record,
    owner_named,
    transfer_record,
)
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import tree as shapes

MOST_ESPS = 1000


@attrs.frozen
class AddBody:
    kaiser_id: str
    esp_devices: list[str] = attrs.field(factory=list, validator=v.max_len(MOST_ESPS))
    kaiser_config: KaiserConfig | None = None


@attrs.frozen
class TransferBody:
    esp_id: str
    to_owner: str
    from_owner: str | None = None
    reason: str = attrs.field(default="", validator=v.max_len(LONGEST_REASON))


@attrs.frozen
class ChainsQuery:
    all: bool = False
    limit: int = attrs.field(default=100, validator=[v.ge(1), v.le(1000)])
    offset: int = attrs.field(default=0, validator=[v.ge(0), v.le(1_000_000)])


# --- the tree -----------------------------------------------------------------------------------------------------


async def hierarchy(call: Call) -> Response:
    """God with everything below it. A Kaiser tells what it knows itself: `complete` is false then."""
    app = call.app
    if isinstance(app.tree, GodNode):
        god = app.tree
        kaisers = [kaiser_record(app, god, one) for one in god.kaisers()]
        return answer({"success": True, "complete": True, "god": god_record(app, god), "kaisers": kaisers})
    mine = local_record(app.tree)
    known = {"id": app.tree.god().god_id, "type": "god", "total_kaisers": None, "total_esps": None}
    return answer({"success": True, "complete": False, "god": known, "kaisers": [mine]})


async def add_kaiser(call: Call, body: AddBody) -> Response:
    """Enter a Kaiser, and begin to move devices to it. What cannot be moved now is in `refused`, with why."""
    app, god = call.app, god_of(call.app)
    wanted = list(dict.fromkeys(body.esp_devices))
    for esp_id in wanted:
        if god.core.record(esp_id) is None:
            app.fleet.need(esp_id)
    node = node_of(god, body.kaiser_id, body.kaiser_config)
    if len(wanted) > node.max_esps:
        raise Invalid(f"{body.kaiser_id} may have {node.max_esps} devices, and these are {len(wanted)}")
    await god.add(node, by=call.by)
    begun, refused = [], []
    for esp_id in wanted:
        if god.owner(esp_id) == node.kaiser_id:
            continue
        try:
            chain = await begin_transfer(call, esp_id, None, node.kaiser_id, "kaiser/add")
            begun.append(transfer_record(god, chain, node.kaiser_id))
        except GrowyError as error:
            refused.append({"esp_id": esp_id, "code": error.code, "message": str(error), **error.details})
    return answer(
        {
            "success": not refused,
            "message": f"{node.kaiser_id} is entered; {len(begun)} devices are on their way to it"
            + (f", {len(refused)} cannot go" if refused else ""),
            "kaiser_id": node.kaiser_id,
            "esp_count": len(wanted) - len(refused),
            "transfers": begun,
            "refused": refused,
            "kaiser": kaiser_record(app, god, god.kaiser(node.kaiser_id)),
        }
    )


# --- transfers ----------------------------------------------------------------------------------------------------


async def begin_transfer(
    call: Call, esp_id: str, from_owner: str | None, to_owner: NodeId, reason: str
) -> CommandChain:
    """Args: from_owner: None: whoever has it. Raises NotGod, EspNotFound, NodeNotFound, TransferRefused."""
    god = god_of(call.app)
    if god.core.record(esp_id) is None:
        call.app.fleet.need(esp_id)
        raise TransferRefused(
            f"{esp_id} was never heard, so nobody knows on which broker it hangs",
            cure="Switch it on first",
            details={"reason": "never_heard", "esp_id": esp_id},
        )
    owner = god.owner(esp_id) if not from_owner else owner_named(call, from_owner)
    return await god.transfer(esp_id, owner, owner_named(call, to_owner), reason=reason, by=call.by)


async def transfer_answer(call: Call, chain: CommandChain, wait_s: float) -> dict[str, object]:
    """How far a transfer is that has just begun."""
    god = god_of(call.app)
    if wait_s:
        chain = await god.wait(chain.command_id, wait_s)
    record = transfer_record(god, chain, chain.kaiser_id)
    why = chain.response_data.get("message")
    states = {
        ChainStatus.PENDING: f"{chain.esp_id} waits for leave to go to {chain.kaiser_id}",
        ChainStatus.RUNNING: f"{chain.esp_id} is on its way to {chain.kaiser_id}",
        ChainStatus.DONE: f"{chain.esp_id} belongs to {chain.kaiser_id}",
    }
    said = states.get(chain.status) or f"{chain.esp_id} belongs to {record['owner']}: {chain.status.value}"
    moved = not chain.status.ended or chain.status is ChainStatus.DONE
    return {"success": moved, "message": f"{said} ({why})" if why else said, **record}


async def transfer(call: Call, query: WaitQuery, body: TransferBody) -> Response:
    """Have a device change its owner; answers when that has begun, or with `wait` when it has ended."""
    chain = await begin_transfer(call, body.esp_id, body.from_owner, body.to_owner, body.reason)
    return answer(await transfer_answer(call, chain, query.wait))


# --- command chains -----------------------------------------------------------------------------------------------


async def chains(call: Call, query: ChainsQuery) -> Response:
    """Those under way; with `all` also those that have ended, newest first."""
    found = await god_of(call.app).chains(live_only=not query.all, limit=query.limit, offset=query.offset)
    return answer(
        {"success": True, "command_chains": [chain_record(one) for one in found], "count": len(found)}
    )


async def chain(call: Call) -> Response:
    return answer({"success": True, **chain_record(await god_of(call.app).chain(call.path["command_id"]))})


async def cancel(call: Call) -> Response:
    ended = await god_of(call.app).cancel(call.path["command_id"], by=call.by)
    return answer({"success": True, **chain_record(ended)})


async def approve(call: Call) -> Response:
    """Consent to a transfer that a Kaiser has asked for."""
    begun = await god_of(call.app).approve(call.path["command_id"], by=call.by)
    return answer({"success": True, **chain_record(begun)})


# --- figures ------------------------------------------------------------------------------------------------------


async def performance(call: Call) -> Response:
    """Means of the last hour. Of what nobody has measured in it, null."""
    god = god_of(call.app)
    means = await god.performance()

    def mean(name: str) -> float | None:
        return round(means[name].mean, 3) if name in means else None

    return answer(
        {
            "success": True,
            "avg_processing_time": mean(PROCESSING),
            "avg_commit_time": mean(COMMIT),
            "avg_transfer_time": mean(TRANSFER),
            "cache_hit_ratio": None,
            "active_command_chains": len(god.core.chains),
            "registered_kaisers": len(god.core.nodes),
            "kaisers_online": sum(one.state is NodeState.ONLINE for one in god.core.nodes),
            "unit": "ms",
            "period_s": 3600,
        }
    )


_CHAIN = "/api/god/command-chain/{command_id}"

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/god/hierarchy",
        summary="God, Kaisers, devices",
        handler=hierarchy,
        answers=shapes.HIERARCHY,
    ),
    Endpoint(
        method="POST",
        path="/api/god/kaiser/add",
        summary="Enter a Kaiser, and move devices to it",
        handler=add_kaiser,
        body=AddBody,
        auth=Auth.OPERATOR,
        answers=shapes.ADDED,
        errors=(*shapes.WRITTEN, EspNotFound),
    ),
    Endpoint(
        method="POST",
        path="/api/god/esp/transfer",
        summary="Have a device change its owner",
        handler=transfer,
        query=WaitQuery,
        body=TransferBody,
        auth=Auth.OPERATOR,
        answers=shapes.TRANSFER,
        errors=shapes.MOVED,
    ),
    Endpoint(
        method="GET",
        path="/api/god/command-chains",
        summary="Command chains",
        handler=chains,
        query=ChainsQuery,
        answers=shapes.CHAINS,
        errors=(NotGod,),
    ),
    Endpoint(
        method="GET",
        path=_CHAIN,
        summary="A command chain",
        handler=chain,
        answers=shapes.ONE_CHAIN,
        errors=shapes.CHAINED,
    ),
    Endpoint(
        method="POST",
        path=f"{_CHAIN}/cancel",
        summary="Cancel a command chain",
        handler=cancel,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_CHAIN,
        errors=shapes.DECIDED,
    ),
    Endpoint(
        method="POST",
        path=f"{_CHAIN}/approve",
        summary="Consent to a transfer",
        handler=approve,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_CHAIN,
        errors=shapes.DECIDED,
    ),
    Endpoint(
        method="GET",
        path="/api/god/performance/stats",
        summary="Measured figures",
        handler=performance,
        answers=shapes.PERFORMANCE,
        errors=(NotGod,),
    ),
)
