"""A Kaiser's report, and God's answer to it: leases are granted here and nowhere else. Pure.

All that God wants of a Kaiser stands in every answer, so an answer that is lost is made good by the next.
"""

from __future__ import annotations

from collections.abc import Hashable

import attrs
import msgspec

from growy.hierarchy import transfers
from growy.hierarchy.conflicts import (
    ClaimVerdict,
    PrefixCase,
    PrefixVerdict,
    settle_claim,
    settle_prefix,
)
from growy.hierarchy.effects import Effects, Note, Persist, Tell
from growy.hierarchy.realm import Realm, Seen
from growy.model.audit import AuditSeverity
from growy.model.hierarchy import GOD, Node, NodeId, NodeState, Ownership, TransferStep
from growy.model.time import Moment
from growy.model.tree_messages import (
    Ask,
    Away,
    Ended,
    Found,
    Grant,
    MessageId,
    NodeRefusal,
    Offer,
    Orders,
    Prepared,
    Released,
    Report,
    Revoke,
)

NOTED = 1000
"""Conflicts of a kind that a person is told of in a life of God."""
RESTLESS, RESTLESS_S = 3, 600.0
"""A device that changes its broker more often in that time is restless."""
HEARTBEAT_WRITTEN_MS = 900_000
"""When a Kaiser was last heard is for people: it is not worth a write each time."""


@attrs.define(slots=True)
class _Answer:
    grants: list[Grant] = attrs.field(factory=list)
    ended: list[Ended] = attrs.field(factory=list)
    held: list[Ask] = attrs.field(factory=list)


def hear(realm: Realm, report: Report, moment: Moment, out: Effects) -> None:
    """Everything that follows from a report; the answer is the last effect."""
    node = realm.nodes.get(report.kaiser_id)
    refusal = _refusal(realm, report)
    if refusal is not None:
        out.append(_noted(report, refusal))
        out.append(realm.refuse(report.kaiser_id, report.instance, refusal, report.id))
        return
    assert node is not None
    seen = realm.seen.get(node.kaiser_id)
    now = moment.clock
    if seen is not None and report.id <= seen.id and now - seen.clock < realm.terms.silence_s:
        # Said before something that is known already. (A Kaiser whose disk is an old copy counts from lower again: it
        # is believed when it has been silent long enough to hold nothing.)
        return
    realm.seen[node.kaiser_id] = Seen(now, report.id)
    _present(realm, node, report, moment, out)
    realm.prepared[node.kaiser_id] = {one.esp_id: one.version for one in report.prepared}
    for one in report.prepared:
        # It has arrived: when the device leaves and comes again, it is sent again at once.
        realm.shipped.pop((node.kaiser_id, one.esp_id), None)
    for device in report.found:
        found(realm, device, node.kaiser_id, moment, out)
    answer = _Answer()
    for released in report.released:
        _released(realm, node.kaiser_id, released, moment, answer, out)
    for ask in report.asks:
        _asked(realm, node.kaiser_id, ask, report.id, moment, answer, out)
    for ask in answer.held:
        transfer = realm.transfers.get(ask.esp_id)
        if transfer is not None and transfer.plan.to_owner == node.kaiser_id:
            transfers.held(realm, transfer, adopted=ask.adopted, moment=moment, out=out)
    for transfer in [one for one in realm.transfers.values() if one.plan.to_owner == node.kaiser_id]:
        transfers.advance(realm, transfer, moment, out)
    for esp_id in _coming(realm, node.kaiser_id):
        realm.ship(node.kaiser_id, esp_id, moment, out)
    out.append(Tell(node.kaiser_id, _orders(realm, node.kaiser_id, report, answer)))


def found(realm: Realm, one: Found, home: NodeId, moment: Moment, out: Effects) -> None:
    """A device was heard on a node's broker. One that is new belongs to the Kaiser that it names, or to that node, if
    there is room, else to God; one that has moved keeps its owner."""
    esp_id, record = one.esp_id, realm.records.get(one.esp_id)
    named = realm.nodes.get(one.heard_as)
    verdict = settle_prefix(
        PrefixCase(
            heard_as=one.heard_as,
            home=home,
            registered=named is not None,
            roomy=realm.roomy(one.heard_as),
            owner=None if record is None else record.owner,
        )
    )
    news = record is None or record.home != home
    if verdict is PrefixVerdict.STRANGER or (verdict is PrefixVerdict.RESET and news):
        _misnamed(realm, one, home, verdict, out)
    if verdict is PrefixVerdict.STRANGER:
        return
    if record is not None:
        if record.home != home:
            _carried(realm, record, home, moment, out)
            record = msgspec.structs.replace(record, home=home)
            realm.records[esp_id] = record
            out.append(Persist(records=(record,)))
        return
    owner = one.heard_as if verdict is PrefixVerdict.ADOPT else home if realm.roomy(home) else GOD
    realm.records[esp_id] = Ownership(
        esp_id=esp_id,
        owner=GOD,
        epoch=realm.first_epoch,
        home=home,
        lease_s=realm.terms.lease_s,
        created_ms=moment.wall_ms,
    )
    if moment.clock < realm.quarantine:
        realm.disputed[esp_id] = realm.quarantine
    realm.move(esp_id, owner, "found", None, moment, out)


def _carried(realm: Realm, record: Ownership, home: NodeId, moment: Moment, out: Effects) -> None:
    """Nobody carries a device about so often: two are called the same, or two brokers are one."""
    times = [at for at in realm.carried.get(record.esp_id, ()) if moment.clock - at < RESTLESS_S]
    realm.carried[record.esp_id] = times = [*times[-RESTLESS:], moment.clock]
    if len(times) > RESTLESS:
        _conflict(
            realm,
            "device",
            (record.esp_id, "restless"),
            f"{record.esp_id} is heard by turns on the brokers of {record.home} and {home}: are there two devices of "
            "this name, or are the brokers bridged?",
            record.esp_id,
            {"homes": [record.home, home], "verdict": "restless"},
            out,
        )


def _misnamed(realm: Realm, one: Found, home: NodeId, verdict: PrefixVerdict, out: Effects) -> None:
    """A person is told, once in a life of this God."""
    stranger = verdict is PrefixVerdict.STRANGER
    done = (
        "it is not listened to: add that Kaiser if it is yours"
        if stranger
        else "that does not make it its own"
    )
    _conflict(
        realm,
        "device",
        (one.esp_id, home, one.heard_as),
        f"{one.esp_id} on the broker of {home} names the Kaiser {one.heard_as} in its topics; {done}",
        one.esp_id,
        {"heard_as": one.heard_as, "home": home, "verdict": verdict.value},
        out,
    )


def _overruled(realm: Realm, kaiser_id: NodeId, ask: Ask, record: Ownership | None, out: Effects) -> None:
    """A Kaiser took a device for its own that has become another's: it is told with the answer, and a person here."""
    if record is None or record.owner == kaiser_id or not (ask.held or record.previous_owner == kaiser_id):
        return
    _conflict(
        realm,
        "claim",
        (kaiser_id, ask.esp_id, ask.epoch),
        f"{kaiser_id} took {ask.esp_id} for its own by epoch {ask.epoch}; it is {record.owner}'s by {record.epoch}",
        ask.esp_id,
        {
            "claimant": kaiser_id,
            "epoch": ask.epoch,
            "owner": record.owner,
            "known": record.epoch,
            "verdict": ClaimVerdict.ENDED.value,
        },
        out,
    )


def _conflict(
    realm: Realm,
    kind: str,
    key: Hashable,
    message: str,
    esp_id: str,
    details: dict[str, object],
    out: Effects,
) -> None:
    """A person is told once of each. Args: kind: anybody on the broker can make many of one kind."""
    noted = realm.noted.setdefault(kind, set())
    if key in noted or len(noted) > NOTED:
        return
    noted.add(key)
    if len(noted) > NOTED:
        message += "; of further ones nothing is told until the next start"
    out.append(
        Note(
            event_type="ownership_conflict",
            message=message,
            source_id=esp_id,
            severity=AuditSeverity.WARNING,
            details=details,
        )
    )


def _refusal(realm: Realm, report: Report) -> NodeRefusal | None:
    if report.god_id != realm.god_id or (report.god_instance and report.god_instance != realm.instance):
        return NodeRefusal.FOREIGN_GOD
    return realm.refusal(report.kaiser_id, report.instance)


def _noted(report: Report, refusal: NodeRefusal) -> Note:
    return Note(
        event_type="kaiser_refused",
        message=f"A node that calls itself {report.kaiser_id} was refused: {refusal}",
        source_id=report.kaiser_id,
        severity=AuditSeverity.ERROR,
        details={"instance": report.instance, "refusal": refusal.value},
    )


def _present(realm: Realm, node: Node, report: Report, moment: Moment, out: Effects) -> None:
    state = NodeState.LEAVING if node.state is NodeState.LEAVING else NodeState.ONLINE
    back = state is not node.state
    fresh = msgspec.structs.replace(
        node, instance=report.instance, state=state, last_heartbeat_ms=moment.wall_ms
    )
    old = node.last_heartbeat_ms
    if back or not node.instance or old is None or moment.wall_ms - old >= HEARTBEAT_WRITTEN_MS:
        out.append(Persist(nodes=(fresh,)))
    else:
        fresh = msgspec.structs.replace(fresh, last_heartbeat_ms=old)
    realm.nodes[node.kaiser_id] = fresh
    if back:
        guest = not realm.owned_by(node.kaiser_id)
        out.append(
            Note(
                event_type="kaiser_online",
                message=f"Kaiser {node.kaiser_id} is there" + (", and owns no device" if guest else ""),
                source_id=node.kaiser_id,
            )
        )


def _released(
    realm: Realm, kaiser_id: NodeId, one: Released, moment: Moment, answer: _Answer, out: Effects
) -> None:
    record = realm.records.get(one.esp_id)
    match settle_claim(record, kaiser_id, one.epoch):
        case ClaimVerdict.ENDED:
            answer.ended.append(Ended(esp_id=one.esp_id, epoch=one.epoch))
        case ClaimVerdict.AHEAD:
            transfers.abandon(realm, one.esp_id, moment, out)
            realm.raised(one.esp_id, kaiser_id, one.epoch, moment, out)
        case ClaimVerdict.KEEPS:
            transfer = realm.transfers.get(one.esp_id)
            if transfer is not None and transfer.revokes:
                transfers.released(realm, transfer, one.state, moment, out)
            else:
                # God has forgotten why. Its owner is the same, but this epoch is dead.
                realm.move(one.esp_id, kaiser_id, "released", one.state, moment, out)
            answer.ended.append(Ended(esp_id=one.esp_id, epoch=one.epoch))


def _asked(
    realm: Realm,
    kaiser_id: NodeId,
    ask: Ask,
    asked: MessageId,
    moment: Moment,
    answer: _Answer,
    out: Effects,
) -> None:
    record = realm.records.get(ask.esp_id)
    match settle_claim(record, kaiser_id, ask.epoch):
        case ClaimVerdict.ENDED:
            _overruled(realm, kaiser_id, ask, record, out)
            answer.ended.append(Ended(esp_id=ask.esp_id, epoch=ask.epoch))
        case ClaimVerdict.AHEAD:
            transfers.abandon(realm, ask.esp_id, moment, out)
            realm.raised(ask.esp_id, kaiser_id, ask.epoch, moment, out)
            if realm.records[ask.esp_id].epoch != ask.epoch:
                answer.ended.append(Ended(esp_id=ask.esp_id, epoch=ask.epoch))
        case ClaimVerdict.KEEPS:
            assert record is not None
            transfer = realm.transfers.get(ask.esp_id)
            disputed = moment.clock < realm.disputed.get(ask.esp_id, moment.clock)
            if disputed or (transfer is not None and transfer.revokes):
                return
            answer.grants.append(realm.lease(record, asked, moment.clock))
            if ask.held:
                answer.held.append(ask)


def _coming(realm: Realm, kaiser_id: NodeId) -> list[str]:
    """Devices that the Kaiser is to be prepared for: its own, and those that are on their way."""
    found = [record.esp_id for record in realm.owned_by(kaiser_id)]
    for transfer in realm.transfers.values():
        coming = transfer.chain.step in (TransferStep.PREPARE, TransferStep.REVOKE)
        if coming and transfer.plan.to_owner == kaiser_id:
            found.append(transfer.esp_id)
    return found


def _orders(realm: Realm, kaiser_id: NodeId, report: Report, answer: _Answer) -> Orders:
    settled = {one.esp_id: one.epoch for one in answer.grants}
    offers: list[Offer] = []
    revokes: list[Revoke] = []
    for record in realm.owned_by(kaiser_id):
        transfer = realm.transfers.get(record.esp_id)
        if transfer is not None and transfer.revokes:
            revokes.append(Revoke(esp_id=record.esp_id, epoch=record.epoch))
        elif settled.get(record.esp_id) != record.epoch:
            offers.append(realm.offer(record))
    return Orders(
        kaiser_id=kaiser_id,
        instance=report.instance,
        god_id=realm.god_id,
        god_instance=realm.instance,
        reply_to=report.id,
        grants=tuple(answer.grants),
        offers=tuple(offers),
        revokes=tuple(revokes),
        ended=tuple(answer.ended),
        prepare=tuple(
            Prepared(esp_id=esp_id, version=realm.versions.get(esp_id, ""))
            for esp_id in _coming(realm, kaiser_id)
        ),
        away=tuple(
            Away(esp_id=record.esp_id, owner=record.owner, epoch=record.epoch)
            for record in realm.records.values()
            if record.home == kaiser_id and record.owner != kaiser_id
        ),
        peers=tuple(other for other in realm.nodes if other != kaiser_id and realm.online(other)),
    )
