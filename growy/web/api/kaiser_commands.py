"""`/api/v1/kaiser/{kaiser_id}/command`: what a person has another Kaiser do. A Kaiser asks the other itself, God orders
it. Must never say that a Kaiser has refused which has only not answered."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs
from attrs import validators as v

from growy.hierarchy.asking import PERHAPS, silent
from growy.hierarchy.god_node import GodNode
from growy.hierarchy.kaiser_node import KaiserNode
from growy.model.errors import Invalid
from growy.model.hierarchy import GOD, ChainStatus, ChainType, NodeId
from growy.model.tree_errors import ChainEnded, NodeNotFound, OrderRefused
from growy.web.answers import Response, answer
from growy.web.api.god import begin_transfer, transfer_answer
from growy.web.api.tree_records import LONGEST_REASON, LONGEST_WAIT_S, owner_named
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import tree as shapes
from growy.wire.topics import is_kaiser_id

WAIT_S = 20.0
"""Three attempts directly and one by way of God take ten seconds at most."""
LONGEST_ID = 64


class Command(enum.StrEnum):
    SYNC_DATA = "sync_data"
    """How far it is: its devices, and what God has yet to get of its readings."""
    TRANSFER_ESP = "transfer_esp"
    """That a device of its own is given away."""


@attrs.frozen
class CommandBody:
    command: Command
    esp_id: str | None = attrs.field(default=None, validator=v.optional(v.max_len(LONGEST_ID)))
    to_owner: str | None = attrs.field(default=None, validator=v.optional(v.max_len(LONGEST_ID)))
    reason: str = attrs.field(default="", validator=v.max_len(LONGEST_REASON))


@attrs.frozen
class AnswerQuery:
    """Seconds that the Kaiser's answer is waited for."""

    wait: float = attrs.field(default=WAIT_S, validator=[v.gt(0), v.le(LONGEST_WAIT_S)])


async def command(call: Call, query: AnswerQuery, body: CommandBody) -> Response:
    """Have a Kaiser do something, and tell what it answers."""
    if body.command is Command.TRANSFER_ESP and not body.esp_id:
        raise Invalid("esp_id is missing: transfer_esp is about a device", cure="Name the device")
    tree, kaiser_id = call.app.tree, call.path["kaiser_id"]
    if isinstance(tree, KaiserNode):
        message, data = await _ask(call, tree, kaiser_id, body, query.wait)
    elif body.command is Command.TRANSFER_ESP:
        message, data = await _transfer(call, tree, kaiser_id, body)
    else:
        message, data = await _order(call, tree, kaiser_id, query.wait)
    return answer(
        {
            "success": True,
            "kaiser_id": kaiser_id,
            "command": body.command.value,
            "message": message,
            "data": data,
        }
    )


# --- on a Kaiser --------------------------------------------------------------------------------------------------


async def _ask(
    call: Call, node: KaiserNode, kaiser_id: NodeId, body: CommandBody, wait_s: float
) -> tuple[str, Mapping[str, object]]:
    """Raises NodeNotFound, NodeSilent, OrderRefused, ChainEnded."""
    data: dict[str, object] = {}
    if body.command is Command.TRANSFER_ESP:
        to_owner = node.me if body.to_owner is None else body.to_owner
        to_owner = GOD if to_owner == node.god().god_id else to_owner
        if not is_kaiser_id(to_owner):
            raise NodeNotFound(f"No node can be called {to_owner!r}", cure="Write god, or the id of a Kaiser")
        data = {"esp_id": body.esp_id, "to_owner": to_owner, "reason": body.reason}
    said = await node.ask(kaiser_id, body.command.value, data, wait_s, by=call.by)
    if not said.success:
        raise refused(kaiser_id, body.command, said.message)
    if body.command is Command.SYNC_DATA:
        return progress(kaiser_id, said.data), said.data
    message = f"{kaiser_id} has asked God to give {body.esp_id} to {data['to_owner']}"
    return f"{message}. What becomes of it, `growyd chains` shows at God", said.data


# --- at God -------------------------------------------------------------------------------------------------------


def _kaiser_named(call: Call, god: GodNode, said: str) -> NodeId:
    """Raises NodeNotFound."""
    if owner_named(call, said) == GOD:
        raise NodeNotFound(f"{said} is this God itself and no Kaiser", cure="`growyd kaisers` lists them")
    return god.kaiser(said).node.kaiser_id


async def _transfer(
    call: Call, god: GodNode, said: str, body: CommandBody
) -> tuple[str, Mapping[str, object]]:
    """Raises NodeNotFound, EspNotFound, TransferRefused."""
    kaiser_id = _kaiser_named(call, god, said)
    chain = await begin_transfer(call, body.esp_id or "", kaiser_id, body.to_owner or GOD, body.reason)
    begun = await transfer_answer(call, chain, 0)
    return str(begun["message"]), {
        name: one for name, one in begun.items() if name not in ("success", "message")
    }


async def _order(call: Call, god: GodNode, said: str, wait_s: float) -> tuple[str, Mapping[str, object]]:
    """Raises NodeNotFound, NodeSilent, OrderRefused, ChainEnded."""
    kaiser_id = _kaiser_named(call, god, said)
    chain = await god.order(kaiser_id, ChainType.SYNC_DATA, {}, esp_id=None, by=call.by)
    chain = await god.wait(chain.command_id, wait_s)
    if not chain.status.ended or chain.status is ChainStatus.TIMEOUT:
        raise silent(
            kaiser_id,
            Command.SYNC_DATA,
            cure=f"`growyd kaisers` shows whether it is there, `growyd chains` what becomes of {chain.command_id}",
            command_id=chain.command_id,
        )
    if chain.status is ChainStatus.CANCELLED:
        raise ChainEnded(f"{chain.command_id} was cancelled before {kaiser_id} had answered", cure=PERHAPS)
    if chain.status is not ChainStatus.DONE:
        raise refused(
            kaiser_id, Command.SYNC_DATA, str(chain.response_data.get("message") or chain.status.value)
        )
    return progress(kaiser_id, chain.response_data), {"command_id": chain.command_id, **chain.response_data}


def refused(kaiser_id: NodeId, what: Command, why: str) -> OrderRefused:
    return OrderRefused(
        f"{kaiser_id} refuses {what}: {why or 'it says no more'}",
        cure="`growyd hierarchy` at God shows whose every device is" if what is Command.TRANSFER_ESP else "",
        details={"kaiser_id": kaiser_id, "command": what.value, "reason": why},
    )


def progress(kaiser_id: NodeId, data: Mapping[str, object]) -> str:
    """How far a Kaiser is, in a sentence."""
    esps, backlog = data.get("esps"), data.get("backlog")
    count = len(esps) if isinstance(esps, list) else 0
    has = f"{kaiser_id} has {count} device{'' if count == 1 else 's'}"
    if backlog is None:
        return has
    readings = f"has yet to get {backlog} commits of its readings" if backlog else "has all its readings"
    return f"{has}, and God {readings}"


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/kaiser/{kaiser_id}/command",
        summary="Have another Kaiser do something",
        handler=command,
        query=AnswerQuery,
        body=CommandBody,
        auth=Auth.OPERATOR,
        answers=shapes.COMMANDED,
        errors=shapes.ORDERED,
    ),
)
