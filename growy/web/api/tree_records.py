"""How God, Kaisers, owners of devices and command chains look in answers. Reads memory only; what is not
known is null."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import validators as v

from growy.hierarchy.god_node import GodNode
from growy.model.hierarchy import GOD, CommandChain, NodeId
from growy.model.tree_errors import NotGod
from growy.model.tree_messages import ShownCertificate
from growy.web.answers import iso
from growy.web.api.records import known
from growy.web.app import App

if TYPE_CHECKING:
    from growy.hierarchy.kaiser_node import Holding, KaiserNode
    from growy.hierarchy.observed import KaiserView
    from growy.web.router import Call


LONGEST_WAIT_S = 30.0
LONGEST_REASON = 500


@attrs.frozen
class WaitQuery:
    """Seconds that an answer waits for the end of what it begins."""

    wait: float = attrs.field(default=0.0, validator=[v.ge(0), v.le(LONGEST_WAIT_S)])


def god_of(app: App) -> GodNode:
    """Raises NotGod on a Kaiser, naming whom to ask."""
    if isinstance(app.tree, GodNode):
        return app.tree
    god = app.tree.god()
    where = f" at {app.god_at}" if app.god_at else ""
    raise NotGod(
        f"This growyd is the Kaiser {app.tree.me}: its God decides that",
        cure=f"Ask your God {god.god_id}{where}",
        details={"god_id": god.god_id, "god_at": app.god_at or None, "god_heard": god.heard},
    )


def owner_named(call: Call, said: str) -> NodeId:
    """An owner as a client names it: God is also meant by its own names."""
    god = god_of(call.app)
    return GOD if said in (GOD, god.god_id, call.app.node) else said


# --- at God -------------------------------------------------------------------------------------------------------


def esp_ids_of_god(app: App, god: GodNode) -> list[str]:
    """Those that God itself owns: on record, or not heard yet but known to people here. Deleted ones are not shown."""
    recorded = {one.esp_id for one in god.core.records if one.owner == GOD}
    here = {one.esp_id for one in known(app)}
    deleted = {one.esp_id for one in app.fleet.devices()} - here
    return sorted((recorded - deleted) | {esp_id for esp_id in here if god.core.record(esp_id) is None})


def esp_record(app: App, god: GodNode, esp_id: str) -> dict[str, object]:
    """A device with its owner."""
    record = god.core.record(esp_id)
    device = app.fleet.get(esp_id)
    moving = next((one for one in god.core.chains if one.esp_id == esp_id and one.step is not None), None)
    # What another node's device says goes to that node, wherever it hangs.
    heard = god.owner(esp_id) == GOD
    return {
        "esp_id": esp_id,
        "name": (device.record.name or None) if device is not None else None,
        "owner": god.owner(esp_id),
        "home": god.home(esp_id),
        "online": device.online if device is not None and heard else None,
        "epoch": None if record is None else record.epoch,
        "lease_left_s": None if record is None else _rounded(god.lease_left_s(record)),
        "owned_since": iso(record.transfer_ms) if record is not None and record.transfer_ms else None,
        "previous_owner": None if record is None else record.previous_owner,
        "reason": (record.transfer_reason or None) if record is not None else None,
        "transfer": None if moving is None else chain_record(moving),
    }


def kaiser_record(app: App, god: GodNode, view: KaiserView) -> dict[str, object]:
    """A Kaiser, with what it said of itself last and the devices that it owns."""
    node, health, refused = view.node, view.health, view.refusal
    return {
        "id": node.kaiser_id,
        "kaiser_id": node.kaiser_id,
        "name": node.name or None,
        "status": node.state.value,
        "esp_count": len(view.esps),
        "max_esps": node.max_esps,
        "last_heartbeat": iso(view.heard_ms),
        "last_seen": iso(view.heard_ms),
        "zone_ids": list(node.zone_ids),
        "capabilities": dict(node.capabilities) or None,
        "stand_in": node.stand_in,
        "failover": node.failover,
        "gives_to": list(node.gives_to),
        "instance": node.instance or None,
        "registered": bool(node.instance),
        "backlog": None if health is None else health.backlog,
        "esps_online": None if health is None else health.esps_online,
        "uptime_s": None if health is None else health.uptime_s,
        "version": (health.version or None) if health is not None else None,
        "cpu_percent": None if health is None else health.cpu_percent,
        "memory_percent": None if health is None else health.memory_percent,
        "certificate": None if health is None else certificate_record(health.certificate),
        "refused": None
        if refused is None
        else {"reason": refused.refusal.value, "instance": refused.instance, "at": iso(refused.ms)},
        "created_at": iso(node.created_ms) if node.created_ms else None,
        "esps": [esp_record(app, god, one.esp_id) for one in view.esps],
    }


def certificate_record(shown: ShownCertificate | None) -> dict[str, object] | None:
    """The client certificate that a Kaiser shows God's broker; None without one."""
    return None if shown is None else {"fingerprint": shown.fingerprint, "expires": iso(shown.expires_ms)}


def god_record(app: App, god: GodNode) -> dict[str, object]:
    own = esp_ids_of_god(app, god)
    owned_elsewhere = sum(one.owner != GOD for one in god.core.records)
    return {
        "id": god.god_id,
        "type": "god",
        "total_kaisers": len(god.core.nodes),
        "total_esps": len(own) + owned_elsewhere,
        "esp_count": len(own),
        "instance": god.instance,
        "esps": [esp_record(app, god, esp_id) for esp_id in own],
    }


def chain_record(chain: CommandChain) -> dict[str, object]:
    return {
        "command_id": chain.command_id,
        "god_id": chain.god_id,
        "kaiser_id": chain.kaiser_id,
        "esp_id": chain.esp_id,
        "command_type": chain.command_type.value,
        "command_data": chain.command_data,
        "status": chain.status.value,
        "step": None if chain.step is None else chain.step.value,
        "response_data": chain.response_data,
        "message": chain.response_data.get("message"),
        "issued_by": chain.issued_by or None,
        "timeout_s": chain.timeout_s,
        "created_at": iso(chain.created_ms),
        "completed_at": iso(chain.completed_ms),
    }


def transfer_record(god: GodNode, chain: CommandChain, to_owner: NodeId) -> dict[str, object]:
    """A transfer that has begun, and whose the device is now."""
    ended = chain.status.ended
    owner = god.owner(chain.esp_id or "")
    return {
        "esp_id": chain.esp_id,
        "new_owner": owner if ended else to_owner,
        "owner": owner,
        "command_id": chain.command_id,
        "status": chain.status.value,
        "step": None if chain.step is None else chain.step.value,
    }


# --- at a Kaiser --------------------------------------------------------------------------------------------------


def local_record(node: KaiserNode) -> dict[str, object]:
    """A Kaiser as it knows itself."""
    god = node.god()
    held = node.holdings()
    status = "refused" if god.refusal is not None else "online" if god.heard else "offline"
    return {
        "id": node.me,
        "kaiser_id": node.me,
        "status": status,
        "esp_count": len(held),
        "last_heartbeat": None,
        "last_seen": None,
        "zone_ids": None,
        "capabilities": None,
        "instance": node.core.identity.instance,
        "certificate": certificate_record(node.certificate()),
        "god": {
            "id": god.god_id,
            "instance": god.instance or None,
            "heard": god.heard,
            "heard_seconds_ago": _rounded(god.heard_s),
            "refusal": None if god.refusal is None else god.refusal.value,
        },
        "esps": [holding_record(node, one) for one in held],
    }


def holding_record(node: KaiserNode, one: Holding) -> dict[str, object]:
    return {
        "esp_id": one.esp_id,
        "owner": node.owner(one.esp_id) or None,
        "home": one.home,
        "tenure": one.tenure.value,
        "epoch": one.epoch,
        "lease_left_s": _rounded(one.lease_left_s),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
