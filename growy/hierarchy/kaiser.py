"""A Kaiser: follows one God, owns what that God has leased to it, and goes safe by its own clock when it is left alone.
Pure.

It must never act on a device without a lease, take a second God for its own, or believe an answer to a question of an
earlier life. Effects are to be carried out in order (`growy.hierarchy.effects`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import attrs

from growy.hierarchy.cross import Cross
from growy.hierarchy.effects import Effects, Note, Obey, Persist, Prepare, StopHere, Tell
from growy.hierarchy.holds import Holds
from growy.hierarchy.leases import Terms
from growy.hierarchy.relay import Relay
from growy.model.audit import AuditSeverity
from growy.model.errors import Invalid
from growy.model.handover import HandedOver
from growy.model.hierarchy import GOD, ChainType, Epoch, NodeId, Stamp
from growy.model.time import Moment
from growy.model.tree_messages import (
    NEVER,
    ChainCommand,
    ChainResponse,
    CrossCommand,
    CrossResponse,
    Documents,
    Found,
    MessageId,
    NodeRefusal,
    Orders,
    Pass,
    PassRequest,
    Petition,
    Prepared,
    RelayCommand,
    Report,
    TreeMessage,
    Withdraw,
    Withdrawn,
)

FOUND_S = 90.0
"""A device that is there says a heartbeat every minute."""
REPORTS_KEPT = 64
ANSWERS_KEPT = 256
K = TypeVar("K")
V = TypeVar("V")


@attrs.frozen(kw_only=True, slots=True)
class Identity:
    """Who a Kaiser is, and whom it follows."""

    kaiser_id: NodeId
    instance: str
    """Of this installation, made once."""
    god_id: str

    def __attrs_post_init__(self) -> None:
        if self.kaiser_id == GOD:
            raise Invalid("a Kaiser cannot be called god", cure="Give it another node.kaiser_id")


class Kaiser:
    """Trio thread only.

    Args:
        boot: `starts.next_count` of what stood on the disk; it is written before anything is sent.
        god_instance: the God that it follows, from the disk; empty: it has not met it yet.
        prepared: device -> version of the documents on the disk.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        boot: int,
        god_instance: str,
        prepared: Mapping[str, str],
        terms: Terms,
        moment: Moment,
    ) -> None:
        self.identity = identity
        self.god_instance = god_instance
        self.refused: NodeRefusal | None = None
        """What God said last: why it will not have this node."""
        self.peers: frozenset[NodeId] = frozenset()
        """Other Kaisers that God hears."""
        self._boot = boot
        self._terms = terms
        self._prepared = dict(prepared)
        self._preparing: dict[str, str] = {}
        self._number = 0
        self._made: dict[int, float] = {}
        """When each report was made: what it is answered with counts from then."""
        self._newest = NEVER
        self._report_at = moment.clock
        self._noted: set[str] = set()
        self._found: dict[str, tuple[NodeId, float]] = {}
        """By device, the kaiser id in its topics, and when it was heard last."""
        self._answers: dict[str, ChainResponse | None] = {}
        self.holds = Holds(terms, boot, moment.clock)
        self.relay = Relay(terms, boot)
        self.cross = Cross(identity.kaiser_id)

    # --- asked ----------------------------------------------------------------------------------------------------

    def stamp(self, esp_id: str, moment: Moment, *, off: bool = False) -> Stamp | None:
        """For a command to the device. None: this node does not own it now, and nothing may be sent."""
        return self.holds.stamp(esp_id, moment.clock, off=off)

    def next_due(self) -> float:
        return min(self._report_at, self.holds.next_due(), self.relay.next_due(), self.cross.next_due())

    # --- events ---------------------------------------------------------------------------------------------------

    def start(self, moment: Moment) -> Effects:
        """First of all."""
        return [Persist(boot=self._boot, settled=True), self._report(moment)]

    def tick(self, moment: Moment) -> Effects:
        """Due at `next_due`; later is safe, but late."""
        out: Effects = []
        news = self.holds.tick(moment.clock, out)
        out += self.relay.tick(moment.clock)
        self.cross.tick(self.peers, moment.clock, out)
        if news or moment.clock >= self._report_at:
            out.append(self._report(moment))
        return out

    def heard(self, sender: NodeId, message: TreeMessage, moment: Moment) -> Effects:
        """A message. Args: sender: from its topic."""
        out: Effects = []
        now = moment.clock
        match message:
            case Orders() if sender == GOD:
                self._orders(message, moment, out)
            case Documents() if sender == GOD and self._follows(message.god_instance):
                self._preparing[message.esp_id] = message.version
                out.append(Prepare(documents=message))
            case ChainCommand() if sender == GOD and self._follows(message.god_instance):
                self._command(message, out)
            case PassRequest():
                out.append(Tell(sender, self.holds.answer(sender, message, now)))
            case Pass():
                self.relay.heard_pass(sender, message)
            case Withdraw():
                out += self.relay.heard_withdraw(sender, message)
            case Withdrawn():
                if self.holds.withdrawn(message.esp_id, message.epoch, sender, now, out):
                    out.append(self._report(moment))
            case RelayCommand():
                out += self.relay.heard_command(sender, message, now)
            case CrossCommand():
                self.cross.heard(sender, message, out)
            case CrossResponse():
                self.cross.answered(message, out)
            case _:
                pass
        return out

    def surveyed(self, esp_id: str, epoch: Epoch, state: HandedOver | None, moment: Moment) -> Effects:
        """The answer to a `Survey`."""
        return [self._report(moment)] if self.holds.surveyed(esp_id, epoch, state) else []

    def adopted(self, esp_id: str, epoch: Epoch, moment: Moment) -> Effects:
        """The answer to a `Take`."""
        return [self._report(moment)] if self.holds.adopted(esp_id, epoch) else []

    def found(self, esp_id: str, moment: Moment, heard_as: NodeId = GOD) -> Effects:
        """A device has begun a session on this node's broker. Args: heard_as: the kaiser id in its topics."""
        self.relay.arrived(esp_id)
        if self.holds.home(esp_id) == self.identity.kaiser_id or self.relay.knows(esp_id):
            return []
        new = esp_id not in self._found
        self._found[esp_id] = heard_as, moment.clock
        return [self._report(moment)] if new else []

    def prepared(self, esp_id: str, version: str, moment: Moment) -> Effects:
        """The answer to a `Prepare`. What God has not named since is no longer wanted."""
        if self._preparing.get(esp_id) != version:
            return []
        del self._preparing[esp_id]
        self._prepared[esp_id] = version
        return [self._report(moment)]

    def answer(
        self,
        command_id: str,
        success: bool | None,
        message: str = "",
        data: Mapping[str, object] | None = None,
    ) -> Effects:
        """What became of a command of God's. Args: success: None: how far it is."""
        response = ChainResponse(
            kaiser_id=self.identity.kaiser_id,
            command_id=command_id,
            success=success,
            message=message,
            data=data or {},
        )
        _keep(self._answers, command_id, response, ANSWERS_KEPT)
        return [Tell(GOD, response)]

    def answer_cross(self, key: str, success: bool, message: str, data: Mapping[str, object]) -> Effects:
        """What became of another Kaiser's command: told to that one, and to God if God has carried it."""
        out = self.cross.answer(key, success, message, data)
        return out + self.answer(key, success, message, data) if key in self._answers else out

    def petition(self, petition_id: str, esp_id: str, to_owner: NodeId, reason: str) -> Effects:
        """Ask God for a transfer, under the id of the chain that it makes of it. To be told again, with the same id."""
        return [
            Tell(
                GOD,
                Petition(
                    kaiser_id=self.identity.kaiser_id,
                    petition_id=petition_id,
                    esp_id=esp_id,
                    to_owner=to_owner,
                    reason=reason,
                ),
            )
        ]

    # --- God ------------------------------------------------------------------------------------------------------

    def _follows(self, instance: str) -> bool:
        return bool(self.god_instance) and instance == self.god_instance

    def _orders(self, orders: Orders, moment: Moment, out: Effects) -> None:
        me = self.identity
        if orders.instance != me.instance:
            self._once(
                out,
                "duplicate",
                f"Another node calls itself {me.kaiser_id} too: God answers to it here",
                AuditSeverity.ERROR,
            )
            return
        if orders.god_id != me.god_id or (self.god_instance and orders.god_instance != self.god_instance):
            self._once(
                out,
                orders.god_instance,
                f"Orders of a God that this node does not follow ({orders.god_id})",
                AuditSeverity.ERROR,
            )
            return
        if orders.refusal is not None:
            if orders.refusal is not self.refused:
                out.append(
                    Note(
                        event_type="kaiser_refused",
                        message=f"God {me.god_id} refuses this node: {orders.refusal}",
                        source_id=me.kaiser_id,
                        severity=AuditSeverity.ERROR,
                    )
                )
            self.refused = orders.refusal
            return
        self.refused = None
        if not self.god_instance:
            self.god_instance = orders.god_instance
            out.append(Persist(god_instance=orders.god_instance))
        self._obey_orders(orders, moment, out)

    def _obey_orders(self, orders: Orders, moment: Moment, out: Effects) -> None:
        now = moment.clock
        news = False
        for ended in orders.ended:
            self.holds.ended(ended.esp_id, ended.epoch, out)
        for revoke in orders.revokes:
            news |= self.holds.revoked(revoke, now, out)
        for offer in orders.offers:
            news |= self.holds.offered(offer, out)
        made = self._made.get(orders.reply_to.number) if orders.reply_to.boot == self._boot else None
        for grant in orders.grants:
            if made is not None and self.holds.granted(grant, made + grant.lease_s, now, out):
                self.relay.ours(grant.esp_id, grant.epoch)
                news = True
        if orders.reply_to > self._newest:
            # What says how things stand, and not what has happened, counts only if it is the newest.
            self._newest = orders.reply_to
            needless = (self._prepared.keys() | self._preparing.keys()) - {
                one.esp_id for one in orders.prepare
            }
            if needless:
                for esp_id in needless:
                    self._prepared.pop(esp_id, None)
                    self._preparing.pop(esp_id, None)
                out.append(Persist(dropped=tuple(sorted(needless))))
            self.peers = frozenset(orders.peers)
            self.relay.owners_are({one.esp_id: (one.owner, one.epoch) for one in orders.away})
            away = {one.esp_id for one in orders.away}
            self._found = {
                esp_id: heard
                for esp_id, heard in self._found.items()
                if esp_id not in away and self.holds.home(esp_id) != self.identity.kaiser_id
            }
        if news:
            out.append(self._report(moment))

    def _command(self, command: ChainCommand, out: Effects) -> None:
        if command.command_id in self._answers:
            response = self._answers[command.command_id]
            if response is not None:
                out.append(Tell(GOD, response))
            return
        if command.cancelled:
            out += self.answer(command.command_id, False, "cancelled before it was heard of")
            return
        _keep(self._answers, command.command_id, None, ANSWERS_KEPT)
        if command.command_type == ChainType.CROSS_KAISER:
            done = self.cross.carried(command, out)
            if done is not None:
                out += self.answer(command.command_id, done.success, done.message, done.data)
        elif command.command_type == ChainType.EMERGENCY_STOP:
            out.append(
                StopHere(
                    command_id=command.command_id,
                    esp_id=command.esp_id,
                    reason=str(command.data.get("reason", "")),
                    issued_by=str(command.data.get("issued_by", "")),
                )
            )
        else:
            out.append(
                Obey(
                    command_id=command.command_id,
                    command_type=command.command_type,
                    esp_id=command.esp_id,
                    data=command.data,
                )
            )

    def _report(self, moment: Moment) -> Tell:
        self._number += 1
        self._made[self._number] = moment.clock
        self._made.pop(self._number - REPORTS_KEPT, None)
        self._report_at = moment.clock + self._terms.report_s
        return Tell(
            GOD,
            Report(
                kaiser_id=self.identity.kaiser_id,
                instance=self.identity.instance,
                god_id=self.identity.god_id,
                god_instance=self.god_instance,
                id=MessageId(self._boot, self._number),
                asks=self.holds.asks(self._prepared),
                released=self.holds.released(),
                prepared=tuple(
                    Prepared(esp_id=esp_id, version=version)
                    for esp_id, version in sorted(self._prepared.items())
                ),
                found=tuple(
                    Found(esp_id=esp_id, heard_as=heard_as)
                    for esp_id, (heard_as, heard_at) in sorted(self._found.items())
                    if moment.clock - heard_at <= FOUND_S  # later it may be elsewhere
                ),
            ),
        )

    def _once(self, out: Effects, key: str, message: str, severity: AuditSeverity) -> None:
        if key not in self._noted and len(self._noted) < ANSWERS_KEPT:
            self._noted.add(key)
            out.append(
                Note(
                    event_type="ownership_conflict",
                    message=message,
                    source_id=self.identity.kaiser_id,
                    severity=severity,
                )
            )


def _keep(memory: dict[K, V], key: K, value: V, at_most: int) -> None:
    memory.pop(key, None)
    memory[key] = value
    while len(memory) > at_most:
        del memory[next(iter(memory))]
