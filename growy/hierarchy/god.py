"""God: keeps the registry of Kaisers and of owners, leases devices out, moves them, tells its Kaisers what to do. Pure.

It must never give a device to another node while anybody's lease may still run, tell anybody what is not on the disk,
or act itself on a device that it has given away. Effects are to be carried out in order (`growy.hierarchy.effects`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import msgspec

from growy.hierarchy import reports, transfers
from growy.hierarchy.chains import Chains
from growy.hierarchy.effects import AlternativeRoute, Effects, Note, Persist, StopHere, Take, Tell
from growy.hierarchy.leases import Terms
from growy.hierarchy.realm import Realm, TransferPlan
from growy.hierarchy.relay import Relay
from growy.model.audit import AuditSeverity
from growy.model.errors import Duplicate, GrowyError, Invalid, NodeNotFound
from growy.model.handover import HandedOver
from growy.model.hierarchy import (
    GOD,
    ChainType,
    CommandChain,
    Epoch,
    Node,
    NodeId,
    NodeState,
    Ownership,
    Stamp,
)
from growy.model.time import Moment
from growy.model.tree_messages import (
    ChainResponse,
    CrossResponse,
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
REASON_FAILOVER = "failover"
REASON_UNREGISTERED = "unregistered"


class God:
    """Trio thread only.

    Args:
        instance: of this installation, made once and never copied.
        boot: one more than ever stood on the disk; it is written before anything is sent.
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
            moment=moment,
        )
        chains = list(chains)
        self._moving = [one for one in chains if one.step is not None]
        self._chains = Chains(god_id, instance, [one for one in chains if one.step is None], moment)
        self._petitions: set[tuple[NodeId, str]] = set()
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

    def commands(self, esp_id: str) -> bool:
        """Whether God itself may command the device now."""
        return self._realm.commands(esp_id)

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
        out: Effects = [Persist(boot=realm.boot)]
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
            self._presence(moment, out)
            for transfer in list(realm.transfers.values()):
                transfers.advance(realm, transfer, moment, out)
            self._leaving(moment, out)
            for late in self._chains.tick(moment, out):
                self._carried(late, success=False, message="time-out", out=out)
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
                    self._carried(ended, success=bool(message.success), message=message.message, out=out)
            case Petition():
                self._petitioned(sender, message, moment, out)
            case Reroute():
                self._rerouted(sender, message, moment, out)
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

    def found(self, esp_id: str, moment: Moment) -> Effects:
        """A device was heard on God's own broker."""
        out: Effects = []
        reports.found(self._realm, esp_id, GOD, moment, out)
        return self._done(out)

    def configured(self, esp_id: str, version: str) -> None:
        """What the rules of a device need has another version now: whoever owns it gets it."""
        self._realm.versions[esp_id] = version

    # --- ordered by people ----------------------------------------------------------------------------------------

    def add(self, node: Node, moment: Moment) -> Effects:
        """A new Kaiser, or what is to be changed about one.

        Raises:
            Invalid: its id is God's, or its stand-in is itself.
        """
        if node.kaiser_id == GOD:
            raise Invalid("A Kaiser cannot be called god")
        if node.stand_in == node.kaiser_id:
            raise Invalid(f"{node.kaiser_id} cannot stand in for itself")
        known = self._realm.nodes.get(node.kaiser_id)
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
        self._realm.nodes[node.kaiser_id] = node
        return [Persist(nodes=(node,))]

    def register(self, kaiser_id: NodeId, instance: str, moment: Moment, *, replace: bool = False) -> Effects:
        """Bind a Kaiser's id to an installation.

        Args:
            replace: the one that was bound is gone for good.

        Raises:
            NodeNotFound.
            Duplicate: another installation is bound.
        """
        node = self._node(kaiser_id)
        if node.instance not in ("", instance) and not replace:
            raise Duplicate(
                f"Another installation is registered as {kaiser_id}",
                cure="Choose another kaiser_id, or replace it if it is gone for good",
            )
        node = msgspec.structs.replace(node, instance=instance)
        self._realm.nodes[kaiser_id] = node
        return [Persist(nodes=(node,))]

    def unregister(self, kaiser_id: NodeId, moment: Moment, *, issued_by: str = "") -> Effects:
        """Its devices come back to God one by one; when none is left, it is removed.

        Raises:
            NodeNotFound.
        """
        node = msgspec.structs.replace(self._node(kaiser_id), state=NodeState.LEAVING)
        self._realm.nodes[kaiser_id] = node
        out: Effects = [Persist(nodes=(node,))]
        self._leaving(moment, out)
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
        """A person wants a device to change its owner.

        Raises:
            EspNotFound, NodeNotFound, TransferRefused.
        """
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
            self._carried(ended, success=False, message="cancelled", out=out)
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
        self._node(kaiser_id)
        out: Effects = []
        self._chains.open(command_id, kaiser_id, kind, data, moment, out, esp_id=esp_id, issued_by=issued_by)
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
            self._node(kaiser_id)
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

    def _node(self, kaiser_id: NodeId) -> Node:
        node = self._realm.nodes.get(kaiser_id)
        if node is None:
            raise NodeNotFound(f"There is no Kaiser {kaiser_id}", cure="Add it first")
        return node

    def _presence(self, moment: Moment, out: Effects) -> None:
        """Who has been silent for so long that it holds nothing any more: its devices go to whoever stands in."""
        realm = self._realm
        for kaiser_id in list(realm.nodes):
            node, seen = realm.nodes[kaiser_id], realm.seen.get(kaiser_id)
            if seen is None or moment.clock < seen.clock + self._terms.silence_s:
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
                        self._fail_over(record, node, moment, out)

    def _fail_over(self, record: Ownership, node: Node, moment: Moment, out: Effects) -> None:
        to = node.stand_in if node.state is not NodeState.LEAVING else GOD
        stand_in = realm_node = self._realm.nodes.get(to)
        if to != GOD and (
            stand_in is None
            or realm_node is None
            or stand_in.state is not NodeState.ONLINE
            or self._realm.load_of(to) >= stand_in.max_esps
        ):
            to = GOD
        plan = TransferPlan(from_owner=record.owner, to_owner=to, reason=REASON_FAILOVER, forced=True)
        transfers.begin(
            self._realm, self._fresh_id(), record.esp_id, plan, moment, out, kind=ChainType.FAILOVER
        )

    def _leaving(self, moment: Moment, out: Effects) -> None:
        realm = self._realm
        for node in [one for one in realm.nodes.values() if one.state is NodeState.LEAVING]:
            owned = realm.owned_by(node.kaiser_id)
            for record in owned:
                if record.esp_id not in realm.transfers:
                    plan = TransferPlan(from_owner=node.kaiser_id, to_owner=GOD, reason=REASON_UNREGISTERED)
                    transfers.begin(realm, self._fresh_id(), record.esp_id, plan, moment, out)
            bound_for_it = any(one.plan.to_owner == node.kaiser_id for one in realm.transfers.values())
            if not realm.owned_by(node.kaiser_id) and not bound_for_it:
                del realm.nodes[node.kaiser_id]
                realm.seen.pop(node.kaiser_id, None)
                self._chains.node_gone(node.kaiser_id, moment, out)
                out.append(Persist(removed_nodes=(node.kaiser_id,)))
                out.append(
                    Note(
                        event_type="kaiser_removed",
                        message=f"Kaiser {node.kaiser_id} is no longer registered",
                        source_id=node.kaiser_id,
                    )
                )

    def _petitioned(self, sender: NodeId, petition: Petition, moment: Moment, out: Effects) -> None:
        record = self._realm.records.get(petition.esp_id)
        key = (sender, petition.petition_id)
        if record is None or sender not in self._realm.nodes or key in self._petitions:
            return
        self._petitions.add(key)
        plan = TransferPlan(
            from_owner=record.owner,
            to_owner=petition.to_owner,
            reason=petition.reason or "petition",
            wisher=sender,
        )
        try:
            transfers.begin(
                self._realm,
                self._fresh_id(),
                petition.esp_id,
                plan,
                moment,
                out,
                issued_by=f"kaiser:{sender}",
            )
        except GrowyError as error:
            out.append(
                Note(
                    event_type="ownership_conflict",
                    message=f"{sender} wanted {petition.esp_id} to go to {petition.to_owner}: {error}",
                    source_id=petition.esp_id,
                    severity=AuditSeverity.WARNING,
                    details=error.details,
                )
            )

    def _rerouted(self, sender: NodeId, message: Reroute, moment: Moment, out: Effects) -> None:
        """What two Kaisers could not settle directly."""
        chain_id = f"{sender}/{message.command_id}"
        if sender not in self._realm.nodes or any(one.command_id == chain_id for one in self._chains.live):
            return
        if message.target not in self._realm.nodes:
            gone = f"there is no Kaiser {message.target}"
            out.append(
                Tell(sender, CrossResponse(command_id=message.command_id, success=False, message=gone))
            )
            return
        out.append(AlternativeRoute(source=sender, target=message.target, command_type=message.command_type))
        data = {"source_kaiser": sender, "command_type": message.command_type, "data": dict(message.data)}
        self._chains.open(chain_id, message.target, ChainType.CROSS_KAISER, data, moment, out)

    def _carried(self, chain: CommandChain, *, success: bool, message: str, out: Effects) -> None:
        """A command that God carried from one Kaiser to another has ended."""
        if chain.command_type is not ChainType.CROSS_KAISER:
            return
        source, _, command_id = chain.command_id.partition("/")
        response = CrossResponse(
            command_id=command_id, success=success, message=message, data=chain.response_data
        )
        out.append(Tell(source, response))

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
