"""The registry of Kaisers: who may be there, who is there, who has fallen silent, who leaves. Pure.

Silence is judged by God's clock, and only when it has lasted so long that the silent one holds nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from growy.hierarchy import transfers
from growy.hierarchy.effects import Effects, Note, Persist
from growy.hierarchy.realm import Realm, TransferPlan
from growy.model.audit import AuditSeverity
from growy.model.errors import Duplicate, Invalid
from growy.model.hierarchy import GOD, ChainType, Node, NodeId, NodeState, Ownership
from growy.model.time import Moment
from growy.model.tree_errors import NodeNotFound


def node_of(realm: Realm, kaiser_id: NodeId) -> Node:
    """Raises NodeNotFound."""
    node = realm.nodes.get(kaiser_id)
    if node is None:
        raise NodeNotFound(f"There is no Kaiser {kaiser_id}", cure="Add it first")
    return node


def add(realm: Realm, node: Node, moment: Moment) -> Effects:
    """A new Kaiser, or what is to be changed about one.

    Raises:
        Invalid: its id is God's, or its stand-in is itself.
    """
    if node.kaiser_id == GOD:
        raise Invalid("A Kaiser cannot be called god")
    if node.stand_in == node.kaiser_id:
        raise Invalid(f"{node.kaiser_id} cannot stand in for itself")
    known = realm.nodes.get(node.kaiser_id)
    if known is not None:
        node = msgspec.structs.replace(
            node,
            instance=known.instance,
            state=known.state,
            last_heartbeat_ms=known.last_heartbeat_ms,
            created_ms=known.created_ms,
        )
    else:
        node = msgspec.structs.replace(node, created_ms=moment.wall_ms)
    realm.nodes[node.kaiser_id] = node
    return [Persist(nodes=(node,))]


def register(realm: Realm, kaiser_id: NodeId, instance: str, replace: bool) -> Effects:
    """Bind a Kaiser's id to an installation.

    Args:
        replace: the one that was bound is gone for good.

    Raises:
        NodeNotFound.
        Duplicate: another installation is bound.
    """
    node = node_of(realm, kaiser_id)
    if node.instance not in ("", instance) and not replace:
        raise Duplicate(
            f"Another installation is registered as {kaiser_id}",
            cure="Choose another kaiser_id, or replace it if it is gone for good",
        )
    node = msgspec.structs.replace(node, instance=instance)
    realm.nodes[kaiser_id] = node
    return [Persist(nodes=(node,))]


def leave(realm: Realm, kaiser_id: NodeId, out: Effects) -> None:
    """Raises NodeNotFound."""
    node = msgspec.structs.replace(node_of(realm, kaiser_id), state=NodeState.LEAVING)
    realm.nodes[kaiser_id] = node
    out.append(Persist(nodes=(node,)))


def presence(realm: Realm, fresh_id: Callable[[], str], moment: Moment, out: Effects) -> None:
    """Who has been silent for so long that it holds nothing any more: its devices go to whoever stands in."""
    for kaiser_id in list(realm.nodes):
        node, seen = realm.nodes[kaiser_id], realm.seen.get(kaiser_id)
        if seen is None or moment.clock < seen.clock + realm.terms.silence_s:
            continue
        if node.state is NodeState.ONLINE:
            node = msgspec.structs.replace(node, state=NodeState.OFFLINE)
            realm.nodes[node.kaiser_id] = node
            out.append(Persist(nodes=(node,)))
            out.append(
                Note(
                    event_type="kaiser_offline",
                    message=f"Kaiser {node.kaiser_id} is silent; whatever it owned, it has let go of",
                    source_id=node.kaiser_id,
                    severity=AuditSeverity.WARNING,
                )
            )
        if node.failover or node.state is NodeState.LEAVING:
            for record in realm.owned_by(node.kaiser_id):
                if record.esp_id not in realm.transfers:
                    _fail_over(realm, fresh_id, record, node, moment, out)


def leaving(realm: Realm, fresh_id: Callable[[], str], moment: Moment, out: Effects) -> list[NodeId]:
    """Fetches the devices of those who leave. Those who have none any more, and are not in the registry any more."""
    removed = []
    for node in [one for one in realm.nodes.values() if one.state is NodeState.LEAVING]:
        kaiser_id = node.kaiser_id
        for record in realm.owned_by(kaiser_id):
            if record.esp_id not in realm.transfers:
                plan = TransferPlan(from_owner=kaiser_id, to_owner=GOD, reason="unregistered")
                transfers.begin(realm, fresh_id(), record.esp_id, plan, moment, out)
        bound_for_it = any(one.plan.to_owner == kaiser_id for one in realm.transfers.values())
        if realm.owned_by(kaiser_id) or bound_for_it:
            continue
        del realm.nodes[kaiser_id]
        for memory in (realm.seen, realm.prepared):
            memory.pop(kaiser_id, None)
        out.append(Persist(removed_nodes=(kaiser_id,)))
        out.append(
            Note(
                event_type="kaiser_removed",
                message=f"Kaiser {kaiser_id} is no longer registered",
                source_id=kaiser_id,
            )
        )
        removed.append(kaiser_id)
    return removed


def _fail_over(
    realm: Realm, fresh_id: Callable[[], str], record: Ownership, node: Node, moment: Moment, out: Effects
) -> None:
    """To its stand-in if that can take the device, else to God."""
    stand_in = realm.nodes.get(node.stand_in)
    fit = (
        node.state is not NodeState.LEAVING
        and stand_in is not None
        and stand_in.state is NodeState.ONLINE
        and realm.load_of(stand_in.kaiser_id) < stand_in.max_esps
    )
    plan = TransferPlan(
        from_owner=record.owner, to_owner=node.stand_in if fit else GOD, reason="failover", forced=True
    )
    transfers.begin(realm, fresh_id(), record.esp_id, plan, moment, out, kind=ChainType.FAILOVER)
