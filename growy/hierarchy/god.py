"""God: keeps the registry of Kaisers and of owners, leases devices out, moves them, tells its Kaisers what to do. Pure.

It must never give a device to another node while anybody's lease may still run, tell anybody what is not on the disk,
or act itself on a device that it has given away. Effects are to be carried out in order (`growy.hierarchy.effects`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from growy.hierarchy import reports, roster, transfers
from growy.hierarchy.chains import Chains
from growy.hierarchy.effects import Effects, Persist, StopHere, Take, Tell
from growy.hierarchy.leases import Terms
from growy.hierarchy.realm import Realm, TransferPlan
from growy.hierarchy.relay import Relay
from growy.hierarchy.wishes import Wishes
from growy.model.handover import HandedOver
from growy.model.hierarchy import (
    GOD,
    ChainType,
    CommandChain,
    Epoch,
    Node,
    NodeId,
    Ownership,
    Stamp,
)
from growy.model.time import Moment
from growy.model.tree_messages import (
    ChainResponse,
    Found,
    NodeRefusal,
    Pass,
    Passed,
    PassRequest,
    Petition,
    RelayCommand,
    Report,
    Reroute,
    TreeMessage,
    Withdraw,
    Withdrawn,
)

TICK_S = 1.0


class God:
    """Trio thread only.

    Args:
        instance: of this installation, made once and never copied.
        boot: `starts.next_count` of what stood on the disk; it is written before anything is sent.
        restored: what is on the disk is an old copy, and no `Persist` has said `settled` since it was put there.
        nodes, records, chains: from the disk; of the chains those that have not ended.
        fresh_id: makes ids of command chains that nobody named.
    """

    def __init__(
        self,
        *,
        god_id: str,
        instance: str,
        boot: int,
        nodes: Iterable[Node],
        records: Iterable[Ownership],
        chains: Iterable[CommandChain],
        terms: Terms,
        fresh_id: Callable[[], str],
        moment: Moment,
        restored: bool = False,
    ) -> None:
        self._terms = terms
        self._fresh_id = fresh_id
        self._realm = Realm.opened(
            god_id=god_id,
            instance=instance,
            terms=terms,
            boot=boot,
            nodes=nodes,
            records=records,
            restored=restored,
            moment=moment,
        )
        self._restored = restored
        chains = list(chains)
        self._moving = [one for one in chains if one.step is not None]
        self._chains = Chains(god_id, instance, [one for one in chains if one.step is None], moment)
        self._wishes = Wishes(self._realm, self._chains)
        self.relay = Relay(terms, boot)
        self._tick_at = moment.clock

    # --- asked ----------------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self._realm.nodes.values())

    @property
    def records(self) -> tuple[Ownership, ...]:
        return tuple(self._realm.records.values())

    @property
    def chains(self) -> tuple[CommandChain, ...]:
        """Under way."""
        return (*(one.chain for one in self._realm.transfers.values()), *self._chains.live)

    def record(self, esp_id: str) -> Ownership | None:
        return self._realm.records.get(esp_id)

    def refusal(self, kaiser_id: NodeId, instance: str) -> NodeRefusal | None:
        """Why the readings of an installation are not taken: only those of one that has reported and was accepted."""
        node = self._realm.nodes.get(kaiser_id)
        if node is not None and not node.instance:
            return NodeRefusal.NOT_MET
        return self._realm.refusal(kaiser_id, instance)

    def commands(self, esp_id: str) -> bool:
        """Whether God itself may command the device now."""
        return self._realm.commands(esp_id)

    def untaken(self, esp_id: str) -> bool:
        """Whether it is God's on record, and may be another's in truth: the record is an old copy."""
        return esp_id in self._realm.untaken

    def stamp(self, esp_id: str) -> Stamp | None:
        """For a command to the device. None: it is not God's now, and nothing may be sent."""
        if not self._realm.commands(esp_id):
            return None
        self._realm.number += 1
        return Stamp(self._realm.records[esp_id].epoch, self._realm.boot, self._realm.number)

    def next_due(self) -> float:
        return min(self._tick_at, self.relay.next_due())

    # --- events ---------------------------------------------------------------------------------------------------

    def start(self, moment: Moment) -> Effects:
        """First of all."""
        realm = self._realm
        out: Effects = [Persist(boot=realm.boot, records=self.records if self._restored else ())]
        for chain in self._moving:
            transfers.resume(realm, chain, moment, out)
        for record in realm.owned_by(GOD):
            if realm.commands(record.esp_id):
                # The last words of its former owner may be out of date: God may have taken it before it stopped.
                out.append(Take(esp_id=record.esp_id, epoch=record.epoch, state=None))
        return self._done(out)

    def tick(self, moment: Moment) -> Effects:
        """Due at `next_due`; later is safe, but late."""
        out: Effects = []
        realm = self._realm
        if moment.clock >= self._tick_at:
            self._tick_at = moment.clock + TICK_S
            roster.presence(realm, self._fresh_id, moment, out)
            self._take(moment, out)
            for transfer in list(realm.transfers.values()):
                transfers.advance(realm, transfer, moment, out)
            self._removed(moment, out)
            for late in self._chains.tick(moment, out):
                self._wishes.carried(late, success=False, message="time-out", out=out)
        out += self.relay.tick(moment.clock)
        return self._done(out)

    def heard(self, sender: NodeId, message: TreeMessage, moment: Moment) -> Effects:
        """A message. Args: sender: from its topic."""
        out: Effects = []
        realm = self._realm
        match message:
            case Report() if sender == message.kaiser_id:
                reports.hear(realm, message, moment, out)
            case ChainResponse():
                ended = self._chains.heard(sender, message, moment, out)
                if ended is not None:
                    self._wishes.carried(
                        ended, success=bool(message.success), message=message.message, out=out
                    )
            case Petition():
                self._wishes.petitioned(sender, message, moment, out)
            case Reroute():
                self._wishes.rerouted(sender, message, moment, out)
            case PassRequest():
                out.append(Tell(sender, self._pass(sender, message, moment.clock)))
            case Pass():
                self.relay.heard_pass(sender, message)
            case Withdraw():
                out += self.relay.heard_withdraw(sender, message)
            case Withdrawn():
                realm.passes.withdrawn(message.esp_id, sender)
                transfer = realm.transfers.get(message.esp_id)
                if transfer is not None:
                    transfers.advance(realm, transfer, moment, out)
            case RelayCommand():
                out += self.relay.heard_command(sender, message, moment.clock)
            case _:
                pass
        return self._done(out)

    def surveyed(self, esp_id: str, epoch: Epoch, state: HandedOver | None, moment: Moment) -> Effects:
        """The answer to a `Survey`."""
        out: Effects = []
        realm = self._realm
        transfer, record = realm.transfers.get(esp_id), realm.records.get(esp_id)
        if transfer is not None and record is not None and record.epoch == epoch and transfer.surveying:
            transfers.released(realm, transfer, state, moment, out)
        return self._done(out)

    def adopted(self, esp_id: str, epoch: Epoch, moment: Moment) -> Effects:
        """The answer to a `Take`."""
        out: Effects = []
        realm = self._realm
        transfer, record = realm.transfers.get(esp_id), realm.records.get(esp_id)
        if transfer is not None and record is not None and record.epoch == epoch and record.owner == GOD:
            transfers.held(realm, transfer, adopted=True, moment=moment, out=out)
        return self._done(out)

    def found(self, esp_id: str, moment: Moment, heard_as: NodeId = GOD) -> Effects:
        """A device has begun a session on God's own broker. Args: heard_as: the kaiser id in its topics."""
        out: Effects = []
        self.relay.arrived(esp_id)
        reports.found(self._realm, Found(esp_id=esp_id, heard_as=heard_as), GOD, moment, out)
        return self._done(out)

    def configured(self, esp_id: str, version: str) -> None:
        """What the rules of a device need has another version now: whoever owns it gets it."""
        self._realm.versions[esp_id] = version

    # --- ordered by people ----------------------------------------------------------------------------------------

    def add(self, node: Node, moment: Moment) -> Effects:
        """A new Kaiser, or what is to be changed about one. Raises Invalid: its id or its stand-in cannot be."""
        return roster.add(self._realm, node, moment)

    def register(self, kaiser_id: NodeId, instance: str, *, replace: bool = False) -> Effects:
        """Bind a Kaiser's id to an installation.

        Args:
            replace: the one that was bound is gone for good.

        Raises:
            NodeNotFound.
            Duplicate: another installation is bound.
        """
        return roster.register(self._realm, kaiser_id, instance, replace)

    def unregister(self, kaiser_id: NodeId, moment: Moment) -> Effects:
        """Its devices come back to God one by one; when none is left, it is removed. Raises NodeNotFound."""
        out: Effects = []
        roster.leave(self._realm, kaiser_id, out)
        self._removed(moment, out)
        return self._done(out)

    def transfer(
        self,
        command_id: str,
        esp_id: str,
        from_owner: NodeId,
        to_owner: NodeId,
        moment: Moment,
        *,
        reason: str = "",
        issued_by: str = "",
    ) -> Effects:
        """A person wants a device to change its owner. Raises EspNotFound, NodeNotFound, TransferRefused."""
        out: Effects = []
        plan = TransferPlan(from_owner=from_owner, to_owner=to_owner, reason=reason or "manual")
        transfers.begin(self._realm, command_id, esp_id, plan, moment, out, issued_by=issued_by)
        return self._done(out)

    def approve(self, command_id: str, moment: Moment) -> Effects:
        """Consent to a transfer that a Kaiser has asked for. Raises TransferRefused."""
        out: Effects = []
        transfers.approve(self._realm, command_id, moment, out)
        return self._done(out)

    def cancel(self, command_id: str, moment: Moment) -> Effects:
        """Raises ChainNotFound, ChainEnded."""
        out: Effects = []
        transfer = transfers.find(self._realm, command_id)
        if transfer is not None:
            transfers.cancel(self._realm, transfer, moment, out)
        else:
            ended = self._chains.cancel(command_id, moment, out)
            self._wishes.carried(ended, success=False, message="cancelled", out=out)
        return self._done(out)

    def command(
        self,
        command_id: str,
        kaiser_id: NodeId,
        kind: ChainType,
        data: dict[str, object],
        moment: Moment,
        *,
        esp_id: str | None = None,
        issued_by: str = "",
    ) -> Effects:
        """Have a Kaiser do something. Raises NodeNotFound."""
        roster.node_of(self._realm, kaiser_id)
        out: Effects = []
        self._chains.open(command_id, kaiser_id, kind, data, moment, out, esp_id=esp_id, issued_by=issued_by)
        return self._done(out)

    def ended(self, chain_ids: Iterable[str]) -> None:
        """Chains that ended before this God was made: a petition for one of them is an old one."""
        self._wishes.remember(chain_ids)

    def follow(self, before: God, moment: Moment) -> Effects:
        """After a God whose disk has refused. Emergency stops, of which the disk may not know, are told until they are
        proven; what it had heard is not heard anew."""
        out: Effects = []
        self._wishes.remember((), before._wishes)
        stops = (one for one in before._chains.live if one.command_type is ChainType.EMERGENCY_STOP)
        self._chains.again(stops, moment, out)
        return self._done(out)

    def emergency_stop(
        self, incident: str, node: NodeId | None, moment: Moment, *, reason: str, issued_by: str
    ) -> Effects:
        """Stop one node's devices, or those of all. Args: node: None: all. Raises NodeNotFound."""
        out: Effects = []
        targets = [node] if node not in (None, GOD) else []
        if node is None:
            targets = list(self._realm.nodes)
        for kaiser_id in targets:
            assert kaiser_id is not None
            roster.node_of(self._realm, kaiser_id)
            self._chains.open(
                f"{incident}:{kaiser_id}",
                kaiser_id,
                ChainType.EMERGENCY_STOP,
                {"reason": reason, "issued_by": issued_by, "incident": incident},
                moment,
                out,
                timeout_s=None,
                issued_by=issued_by,
            )
        if node in (None, GOD):
            out.append(
                StopHere(command_id=f"{incident}:{GOD}", esp_id=None, reason=reason, issued_by=issued_by)
            )
        return _urgent_first(out)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _take(self, moment: Moment, out: Effects) -> None:
        """After a restore: what is God's own, when nobody else can be acting on it any more."""
        realm = self._realm
        for esp_id in [one for one in realm.untaken if moment.clock >= realm.disputed.get(one, -math.inf)]:
            realm.untaken.discard(esp_id)
            if realm.commands(esp_id):
                out.append(Take(esp_id=esp_id, epoch=realm.records[esp_id].epoch, state=None))
        if self._restored and moment.clock >= realm.quarantine:
            self._restored = False
            out.append(Persist(settled=True))

    def _removed(self, moment: Moment, out: Effects) -> None:
        for kaiser_id in roster.leaving(self._realm, self._fresh_id, moment, out):
            self._chains.node_gone(kaiser_id, moment, out)

    def _pass(self, home: NodeId, request: PassRequest, now: float) -> Pass:
        realm = self._realm
        passed = []
        for esp_id in request.esp_ids:
            if realm.commands(esp_id):
                epoch = realm.records[esp_id].epoch
                left_s = realm.passes.give(esp_id, home, math.inf, now)
                last = Stamp(epoch, realm.boot, realm.number)
                passed.append(Passed(esp_id=esp_id, epoch=epoch, left_s=left_s, last=last))
        return Pass(reply_to=request.id, passed=tuple(passed))

    def _done(self, out: Effects) -> Effects:
        """God's own gate follows its records at once."""
        if any(isinstance(one, Persist) and one.records for one in out) or self._tick_at == -math.inf:
            self._gate()
        return out

    def _gate(self) -> None:
        records = self._realm.records.values()
        for record in records:
            if record.home == GOD and record.owner == GOD:
                self.relay.ours(record.esp_id, record.epoch)
        self.relay.owners_are(
            {
                record.esp_id: (record.owner, record.epoch)
                for record in records
                if record.home == GOD and record.owner != GOD
            }
        )


def _urgent_first(out: Effects) -> Effects:
    """All chains of a stop in one write, then everybody is told."""
    chains = tuple(chain for one in out if isinstance(one, Persist) for chain in one.chains)
    first: Effects = [Persist(chains=chains)] if chains else []
    return first + [one for one in out if not isinstance(one, Persist)]
