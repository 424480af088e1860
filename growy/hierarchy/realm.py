"""What God knows: nodes, whose each device is, until when each may be leased out, which transfers are under way. Pure.

`records`, `nodes` and chains stand on the disk; everything else is of this start. What the former start may have
promised is assumed: every lease on record is out, every pass of God's own is out.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

import attrs
import msgspec

from growy.hierarchy.effects import Effects, Note, Persist, Ship, Take, Tell
from growy.hierarchy.leases import Terms
from growy.hierarchy.passes import Passes
from growy.hierarchy.starts import next_count
from growy.model.audit import AuditSeverity
from growy.model.handover import HandedOver
from growy.model.hierarchy import GOD, CommandChain, Epoch, Node, NodeId, NodeState, Ownership, TransferStep
from growy.model.time import Moment
from growy.model.tree_messages import NEVER, Grant, MessageId, NodeRefusal, Offer, Orders

SHIP_AGAIN_S = 5.0


class TransferPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stands in a transfer's `command_data`."""

    from_owner: NodeId
    to_owner: NodeId
    reason: str = ""
    wisher: NodeId = GOD
    forced: bool = False
    """The owner has fallen silent: it is not asked, its lease is waited out."""
    state: HandedOver | None = None
    """What the old owner left, from its release on."""
    ending: str = ""
    """Why it is being rolled back."""


@attrs.define(slots=True)
class Transfer:
    chain: CommandChain
    plan: TransferPlan
    deadline: float
    """Of its step; after a restart it begins anew."""
    released: bool = False
    """The owner has let go."""
    surveying: bool = False
    """Of a device of God's own: its outputs are being asked for."""

    @property
    def id(self) -> str:
        return self.chain.command_id

    @property
    def esp_id(self) -> str:
        assert self.chain.esp_id is not None
        return self.chain.esp_id

    @property
    def revokes(self) -> bool:
        """Whether the owner on record is to let go."""
        return self.chain.step in (TransferStep.REVOKE, TransferStep.ROLL_BACK)


class Seen(NamedTuple):
    """The newest report of a Kaiser."""

    clock: float
    id: MessageId


@attrs.define(slots=True)
class Realm:
    god_id: str
    instance: str
    terms: Terms
    boot: int
    started: float
    passes: Passes
    nodes: dict[NodeId, Node]
    records: dict[str, Ownership]
    transfers: dict[str, Transfer]
    """By device: there is one at most."""
    bounds: dict[str, float] = attrs.field(factory=dict)
    """By device: when the leases of its owner are over for certain. None in it: there was none."""
    first_boot: dict[str, int] = attrs.field(factory=dict)
    """By device: which start of its owner got the first lease under its epoch. Later ones may find other outputs than
    its former owner left."""
    disputed: dict[str, float] = attrs.field(factory=dict)
    """By device: until when it is leased to nobody, because a forgotten lease may be about."""
    seen: dict[NodeId, Seen] = attrs.field(factory=dict)
    versions: dict[str, str] = attrs.field(factory=dict)
    prepared: dict[NodeId, dict[str, str]] = attrs.field(factory=dict)
    """By node: device -> version, as its last report said."""
    untaken: set[str] = attrs.field(factory=set)
    """Devices of God's own that it does not act on yet: its disk is an old copy, and they may be another's."""
    shipped: dict[tuple[NodeId, str], tuple[str, float]] = attrs.field(factory=dict)
    quarantine: float = -math.inf
    """After a restore: until when there may be leases that this God knows nothing of."""
    noted: dict[str, set[Hashable]] = attrs.field(factory=dict)
    """Conflicts that a person has been told of, by kind."""
    carried: dict[str, list[float]] = attrs.field(factory=dict)
    """By device: when it has changed its broker lately."""
    number: int = 0
    """Of God's own commands to devices."""

    @classmethod
    def opened(
        cls,
        *,
        god_id: str,
        instance: str,
        terms: Terms,
        boot: int,
        nodes: Iterable[Node],
        records: Iterable[Ownership],
        restored: bool,
        moment: Moment,
    ) -> Realm:
        """As it is after a start. Args: restored: what stands on the disk is an old copy."""
        now = moment.clock
        realm = cls(
            god_id=god_id,
            instance=instance,
            terms=terms,
            boot=boot,
            started=now,
            passes=Passes(terms, now),
            nodes={node.kaiser_id: node for node in nodes},
            records={record.esp_id: record for record in records},
            transfers={},
        )
        if restored:
            longest = max([terms.lease_s, *(record.lease_s for record in realm.records.values())])
            realm.quarantine = now + terms.wait_s(longest)
        for record in list(realm.records.values()):
            if record.owner != GOD:
                realm.bounds[record.esp_id] = now + terms.wait_s(record.lease_s)
            if restored:
                realm.records[record.esp_id] = msgspec.structs.replace(
                    record, epoch=next_count(record.epoch, moment.wall_ms, restored=True)
                )
                realm.disputed[record.esp_id] = realm.quarantine
                if record.owner == GOD:
                    realm.untaken.add(record.esp_id)
        realm.seen = dict.fromkeys(realm.nodes, Seen(now, NEVER))
        return realm

    # --- asked ----------------------------------------------------------------------------------------------------

    def owned_by(self, owner: NodeId) -> list[Ownership]:
        return [record for record in self.records.values() if record.owner == owner]

    def load_of(self, kaiser_id: NodeId) -> int:
        """Devices that it owns or is about to own."""
        coming = sum(
            one.plan.to_owner == kaiser_id and self.records[one.esp_id].owner != kaiser_id
            for one in self.transfers.values()
        )
        return len(self.owned_by(kaiser_id)) + coming

    def roomy(self, kaiser_id: NodeId) -> bool:
        """Whether a Kaiser is there, and has room for one device more."""
        node = self.nodes.get(kaiser_id)
        return node is not None and self.online(kaiser_id) and self.load_of(kaiser_id) < node.max_esps

    def online(self, kaiser_id: NodeId) -> bool:
        node = self.nodes.get(kaiser_id)
        return node is not None and node.state is NodeState.ONLINE

    def refusal(self, kaiser_id: NodeId, instance: str) -> NodeRefusal | None:
        """Why nothing is taken from an installation that answers to this id. One with an id that is free is heard, and
        is bound to it by that."""
        node = self.nodes.get(kaiser_id)
        if node is None:
            return NodeRefusal.UNKNOWN_KAISER
        if node.instance and node.instance != instance:
            return NodeRefusal.DUPLICATE_KAISER
        return None

    def commands(self, esp_id: str) -> bool:
        """Whether God itself may command the device."""
        record = self.records.get(esp_id)
        if record is None or record.owner != GOD or esp_id in self.untaken:
            return False
        transfer = self.transfers.get(esp_id)
        return transfer is None or not transfer.revokes

    def free(self, esp_id: str, now: float) -> bool:
        """Whether nobody can act on the device any more, however the clocks of others run."""
        transfer = self.transfers.get(esp_id)
        if now < self.disputed.get(esp_id, now):
            return False
        if transfer is not None and transfer.released:
            return True
        if self.records[esp_id].owner == GOD:
            # God answers for itself with `surveyed`. If it does not, its passes are over and its outputs go off.
            return transfer is not None and now >= max(
                self.passes.over_at(esp_id), transfer.deadline + self.terms.hold_s
            )
        return now >= self.bounds.get(esp_id, -math.inf)

    def is_prepared(self, kaiser_id: NodeId, esp_id: str) -> bool:
        version = self.versions.get(esp_id, "")
        return version in ("", self.prepared.get(kaiser_id, {}).get(esp_id, ""))

    def ship(self, kaiser_id: NodeId, esp_id: str, moment: Moment, out: Effects) -> None:
        """Send what the rules of the device need, if the Kaiser does not have it and it was not sent just now."""
        version = self.versions.get(esp_id, "")
        sent, at = self.shipped.get((kaiser_id, esp_id), ("", -math.inf))
        again = sent != version or moment.clock >= at + SHIP_AGAIN_S
        if again and not self.is_prepared(kaiser_id, esp_id):
            self.shipped[kaiser_id, esp_id] = version, moment.clock
            out.append(Ship(to=kaiser_id, esp_id=esp_id))

    @property
    def first_epoch(self) -> Epoch:
        """Of a device that is new, or that an old copy of the disk knows nothing of: as large as the count of starts,
        which a restore has made larger than any epoch before it."""
        return self.boot

    # --- changed --------------------------------------------------------------------------------------------------

    def lease(self, record: Ownership, asked: MessageId, now: float) -> Grant:
        """A lease in answer to a question: it counts from now, however late it is sent."""
        esp_id = record.esp_id
        if esp_id not in self.bounds:
            self.first_boot[esp_id] = asked.boot
        until = now + self.terms.wait_s(record.lease_s)
        self.bounds[esp_id] = max(self.bounds.get(esp_id, -math.inf), until)
        transfer = self.transfers.get(esp_id)
        fresh = transfer is not None and self.first_boot.get(esp_id) == asked.boot
        return Grant(
            esp_id=esp_id,
            epoch=record.epoch,
            lease_s=record.lease_s,
            home=record.home,
            state=transfer.plan.state if transfer is not None and fresh else None,
        )

    def move(
        self,
        esp_id: str,
        to: NodeId,
        reason: str,
        state: HandedOver | None,
        moment: Moment,
        out: Effects,
        *,
        chain: CommandChain | None = None,
    ) -> None:
        """A new owner under a new epoch: on disk, then told. The caller has made sure that the device is free, or
        is the same node's."""
        old = self.records[esp_id]
        record = msgspec.structs.replace(
            old,
            owner=to,
            epoch=old.epoch + 1,
            lease_s=self.terms.lease_s,
            previous_owner=old.owner if old.owner != to else old.previous_owner,
            transfer_reason=reason,
            transfer_ms=moment.wall_ms,
        )
        self.records[esp_id] = record
        # What was promised was promised under the old epoch.
        self.bounds.pop(esp_id, None)
        self.first_boot.pop(esp_id, None)
        self.untaken.discard(esp_id)
        out.append(Persist(records=(record,), chains=() if chain is None else (chain,)))
        if to == GOD and moment.clock < self.disputed.get(esp_id, moment.clock):
            self.untaken.add(esp_id)
        elif to == GOD:
            out.append(Take(esp_id=esp_id, epoch=record.epoch, state=state))
        else:
            out.append(self.nudge(to, offers=(self.offer(record),)))
        out.append(
            Note(
                event_type="ownership_changed",
                message=f"{esp_id} belongs to {to} now (before: {old.owner}; {reason})",
                source_id=esp_id,
                details={"owner": to, "previous_owner": old.owner, "epoch": record.epoch, "reason": reason},
            )
        )

    def offer(self, record: Ownership) -> Offer:
        return Offer(
            esp_id=record.esp_id,
            epoch=record.epoch,
            home=record.home,
            version=self.versions.get(record.esp_id, ""),
        )

    def nudge(self, to: NodeId, *, offers: tuple[Offer, ...] = ()) -> Tell:
        """Not an answer: only so that nobody has to wait for the next report."""
        return Tell(
            to,
            Orders(
                kaiser_id=to,
                instance=self.nodes[to].instance,
                god_id=self.god_id,
                god_instance=self.instance,
                offers=offers,
            ),
        )

    def refuse(self, kaiser_id: NodeId, instance: str, refusal: NodeRefusal, reply_to: MessageId) -> Tell:
        return Tell(
            kaiser_id,
            Orders(
                kaiser_id=kaiser_id,
                instance=instance,
                god_id=self.god_id,
                god_instance=self.instance,
                reply_to=reply_to,
                refusal=refusal,
            ),
        )

    def raised(self, esp_id: str, claimant: NodeId, epoch: Epoch, moment: Moment, out: Effects) -> None:
        """A node knows an epoch that God does not: God's disk was lost, or is an old copy. The node has it, once every
        lease is over that the forgotten God, or this one since, may have given."""
        now = moment.clock
        old = self.records.get(esp_id)
        worst = self.terms.wait_s(max(self.terms.lease_s, old.lease_s if old is not None else 0.0))
        until = max(self.bounds.pop(esp_id, -math.inf), self.disputed.get(esp_id, -math.inf))
        self.disputed[esp_id] = max(until, self.started + worst, now + self.terms.pass_s)
        base = old or Ownership(esp_id=esp_id, owner=claimant, created_ms=moment.wall_ms)
        record = msgspec.structs.replace(
            base,
            owner=claimant,
            # Of a claim that is older than a restore nobody knows whether it was the last: it gets an epoch that is.
            epoch=epoch if epoch > self.first_epoch else self.first_epoch + 1,
            lease_s=max(self.terms.lease_s, base.lease_s),
            previous_owner=None if old is None or old.owner == claimant else old.owner,
            transfer_reason="higher_epoch",
            transfer_ms=moment.wall_ms,
        )
        self.records[esp_id] = record
        out.append(Persist(records=(record,)))
        out.append(
            Note(
                event_type="ownership_conflict",
                message=f"{claimant} knows a newer epoch of {esp_id} ({epoch}) than God does: its records are older "
                "than the truth",
                source_id=esp_id,
                severity=AuditSeverity.ERROR,
                details={"owner": claimant, "epoch": epoch, "known": 0 if old is None else old.epoch},
            )
        )


def chain_data(plan: TransferPlan) -> Mapping[str, object]:
    """A plan as it stands in the chain."""
    data: Mapping[str, object] = msgspec.to_builtins(plan)
    return data
