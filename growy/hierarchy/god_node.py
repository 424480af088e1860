"""God at work: what is particular about it beside `TreeNode`, and what people may order. `god_opening` opens one."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

import msgspec
import trio

from growy.hierarchy.effects import Effects, Obey, Persist, Tell
from growy.hierarchy.estate import Estate, Mail
from growy.hierarchy.god import God
from growy.hierarchy.node import TreeNode
from growy.hierarchy.node_events import CHAIN_EVENT, chain_event
from growy.hierarchy.observed import KaiserView, NodeProof, Observed
from growy.model.audit import AuditEntry, AuditSource
from growy.model.control import Tenure
from growy.model.errors import Duplicate, GrowyError, Invalid, StoreError
from growy.model.hierarchy import (
    GOD,
    ChainType,
    CommandChain,
    Node,
    NodeId,
    NodeState,
    Ownership,
    Stamp,
)
from growy.model.time import Moment
from growy.model.tree_errors import ChainEnded, ChainNotFound, NodeNotFound
from growy.model.tree_messages import ChainResponse, Health, Report, TreeMessage
from growy.ops.latency import Distribution
from growy.ops.log import get_log
from growy.store.hierarchy import HierarchyBatch, Mean, Measurement
from growy.store.store import Store
from growy.wire.topics import is_kaiser_id

log = get_log(__name__)

HOUR_MS = 3_600_000
LOOK_S = 0.05
PATIENCE_S = 0.5
MOST_CHAINS = 500
"""Looked through for those of one emergency stop."""


class GodNode(TreeNode[God]):
    """See `open_god`."""

    def __init__(
        self,
        instance: str,
        god_id: str,
        core: God,
        make: Callable[[], Awaitable[God]],
        *,
        store: Store,
        estate: Estate,
        mail: Mail,
        moment: Callable[[], Moment],
    ) -> None:
        super().__init__(
            GOD,
            god_id,
            core,
            make,
            store=store,
            estate=estate,
            mail=mail,
            moment=moment,
            default=Tenure.OURS,
        )
        self.instance = instance
        self._healths: dict[NodeId, Health] = {}
        self._observed = Observed()

    @property
    def god_id(self) -> str:
        return self._god_id

    def listens_to(self, esp_id: str, heard_as: NodeId) -> bool:
        if heard_as == GOD or self.node(heard_as) is not None or self.core.record(esp_id) is not None:
            return True
        self.enqueue(self.core.found(esp_id, self._moment(), heard_as))
        return False

    def owner(self, esp_id: str) -> NodeId:
        record = self.core.record(esp_id)
        return GOD if record is None else record.owner

    def home(self, esp_id: str) -> NodeId:
        record = self.core.record(esp_id)
        return GOD if record is None else record.home

    def tenure(self, esp_id: str) -> Tenure:
        record = self.core.record(esp_id)
        if record is not None and record.owner != GOD:
            return Tenure.FOREIGN
        return Tenure.FENCED if self.core.untaken(esp_id) else super().tenure(esp_id)

    def knows(self, esp_id: str) -> bool:
        return self.core.record(esp_id) is not None

    def _hangs_here(self, esp_id: str) -> bool:
        record = self.core.record(esp_id)
        return record is not None and record.home == GOD

    def acts_on(self, esp_id: str) -> bool:
        return self.owner(esp_id) == GOD and not self.core.untaken(esp_id)

    def _holds(self, esp_id: str, epoch: int) -> bool:
        record = self.core.record(esp_id)
        return record is not None and record.epoch == epoch and self.core.commands(esp_id)

    def _stamp(self, esp_id: str, *, off: bool) -> Stamp | None:
        return self.core.stamp(esp_id)

    async def _god_instance(self) -> str:
        return self.instance

    def _take(self, sender: NodeId, message: TreeMessage) -> None:
        if not isinstance(message, Health):
            super()._take(sender, message)
        if isinstance(message, ChainResponse):
            proven = bool(message.success)
            self._observed.stopping(message.command_id, sender, proven=proven, proof=message.data)
        if not isinstance(message, Health | Report):
            return
        node = self.node(sender)
        if isinstance(message, Report):
            self._observed.heard(node, message, self._moment())
        elif node is not None:
            self._healths[sender] = message
            self._estate.tell("kaiser_health", msgspec.to_builtins(message))

    def _tell(self, tell: Tell) -> None:
        self._observed.told(tell, self._moment())
        super()._tell(tell)

    async def _persist(self, what: Persist) -> None:
        await super()._persist(what)
        for chain in what.chains:
            self._observed.chain(chain, self._moment())
            self._estate.tell(CHAIN_EVENT, chain_event(chain))

    def _take_over(self, old: God, new: God) -> Effects:
        return new.follow(old, self._moment())

    def _answer(
        self, command_id: str, success: bool | None, message: str, data: Mapping[str, object]
    ) -> None:
        # God stops its own devices by its own order: there is no chain for it.
        self._observed.stopping(command_id, GOD, proven=bool(success), proof=data)

    # --- looking ------------------------------------------------------------------------------------------------------

    def kaisers(self) -> list[KaiserView]:
        """By id."""
        return [
            KaiserView(
                node=node,
                esps=tuple(one for one in self.core.records if one.owner == node.kaiser_id),
                health=self._healths.get(node.kaiser_id),
                heard_ms=self._observed.heard_ms(node.kaiser_id) or node.last_heartbeat_ms,
                refusal=self._observed.refusal(node.kaiser_id, self._moment()),
            )
            for node in sorted(self.core.nodes, key=lambda node: node.kaiser_id)
        ]

    def node(self, kaiser_id: NodeId) -> Node | None:
        return next((one for one in self.core.nodes if one.kaiser_id == kaiser_id), None)

    def kaiser(self, kaiser_id: NodeId) -> KaiserView:
        """Raises NodeNotFound."""
        found = next((one for one in self.kaisers() if one.node.kaiser_id == kaiser_id), None)
        if found is None:
            raise NodeNotFound(f"There is no Kaiser {kaiser_id[:64]!r}", cure="`growyd kaisers` lists them")
        return found

    async def chains(
        self, *, live_only: bool = False, limit: int = 100, offset: int = 0
    ) -> list[CommandChain]:
        """Newest first; those under way with what has been heard of them so far. Raises StoreError."""
        live = {one.command_id: one for one in self.core.chains}
        if live_only:
            return sorted(live.values(), key=lambda one: -one.created_ms)[offset : offset + limit]
        kept = await self._store.command_chains(limit=limit, offset=offset)
        return [live.get(one.command_id, one) for one in kept]

    async def chain(self, command_id: str) -> CommandChain:
        """Raises ChainNotFound, StoreError."""
        live = next((one for one in self.core.chains if one.command_id == command_id), None)
        if (found := live or await self._store.command_chain(command_id)) is None:
            raise ChainNotFound(f"There is no command chain {command_id[:64]!r}")
        return found

    def lease_left_s(self, record: Ownership) -> float | None:
        """Of the newest lease that was told; None: there is none, as for God's own."""
        return self._observed.lease_left_s(record, self._moment())

    def transfer_times(self) -> Distribution:
        """Of those that succeeded since the start."""
        return self._observed.transfer_times()

    async def performance(self) -> Mapping[str, Mean]:
        """Means of the last hour."""
        return await self._store.performance(self._moment().wall_ms - HOUR_MS)

    async def measured(self, figures: Mapping[str, float]) -> None:
        """Keeps figures. Raises StoreError."""
        ts_ms = self._moment().wall_ms
        rows = [Measurement(name=name, value=value, ts_ms=ts_ms) for name, value in figures.items()]
        await self._store.write_registry(hierarchy=HierarchyBatch(measurements=rows))

    # --- ordered by people --------------------------------------------------------------------------------------------

    async def _order(self, effects: Effects) -> None:
        self.enqueue(effects)
        await self.settled()

    def _ordered(self, event_type: str, source_id: str, message: str, by: str, **details: object) -> None:
        """For the audit trail: who wanted it."""
        self._estate.note(
            AuditEntry(
                ts_ms=self._moment().wall_ms,
                event_type=event_type,
                source_type=AuditSource.of(by),
                source_id=source_id,
                message=f"{message} (by {by or 'nobody named'})",
                details={**details, "by": by},
            )
        )

    async def add(self, node: Node, *, by: str = "") -> KaiserView:
        """A Kaiser, or what is to be changed about one. On disk when this returns.
        Raises Invalid: its id cannot be one; Duplicate: it is being unregistered."""
        if not is_kaiser_id(node.kaiser_id):
            raise Invalid(
                f"A Kaiser cannot be called {node.kaiser_id[:80]!r}",
                cure="Write 1 to 63 letters, digits, - and _",
            )
        known = self.node(node.kaiser_id)
        if known is not None and known.state is NodeState.LEAVING:
            raise Duplicate(f"{node.kaiser_id} is being unregistered", cure="Wait until it is gone")
        await self._order(self.core.add(node, self._moment()))
        done = "added" if known is None else "changed"
        self._ordered(f"kaiser_{done}", node.kaiser_id, f"Kaiser {node.kaiser_id} was {done}", by)
        return self.kaiser(node.kaiser_id)

    async def register(
        self, kaiser_id: NodeId, instance: str, *, replace: bool = False, by: str = ""
    ) -> KaiserView:
        """Args: instance: empty, with `replace`: whoever reports first under this id.

        Raises:
            NodeNotFound.
            Duplicate: another installation is bound, or the one to be replaced is heard.
        """
        known = self.kaiser(kaiser_id).node
        if replace and known.state in (NodeState.ONLINE, NodeState.LEAVING) and known.instance != instance:
            # While it can be heard it may act: two would hold the same epoch.
            raise Duplicate(
                f"{kaiser_id} cannot be replaced: the installation that is registered so is heard, or was just now",
                cure="Switch it off, and try again when it is offline",
            )
        await self._order(self.core.register(kaiser_id, instance, replace=replace))
        self._ordered(
            "kaiser_registered", kaiser_id, f"Kaiser {kaiser_id} was registered", by, replace=replace
        )
        return self.kaiser(kaiser_id)

    async def unregister(self, kaiser_id: NodeId, *, by: str) -> None:
        """Raises NodeNotFound."""
        await self._order(self.core.unregister(kaiser_id, self._moment()))
        self._ordered("kaiser_leaving", kaiser_id, f"Kaiser {kaiser_id} is to be unregistered", by)

    async def gone(self, kaiser_id: NodeId, timeout_s: float) -> None:
        """Returns when the Kaiser is no longer registered, or after that time."""
        with trio.move_on_after(timeout_s):
            while self.node(kaiser_id) is not None:  # noqa: ASYNC110 - as in `wait`
                await trio.sleep(LOOK_S)

    async def transfer(
        self, esp_id: str, from_owner: NodeId, to_owner: NodeId, *, reason: str, by: str, command_id: str = ""
    ) -> CommandChain:
        """Begins it. Raises EspNotFound, NodeNotFound, TransferRefused."""
        command_id = command_id or f"t-{secrets.token_hex(6)}"
        if self.owner(esp_id) == GOD:
            await self._offer_papers(esp_id)
        begin = partial(self.core.transfer, command_id, esp_id, from_owner, to_owner, self._moment())
        await self._order(begin(reason=reason, issued_by=by))
        message = f"Transfer of {esp_id} from {from_owner} to {to_owner} has begun"
        self._ordered("transfer_begun", esp_id, message, by, command_id=command_id, reason=reason)
        return await self.chain(command_id)

    async def wait(self, command_id: str, timeout_s: float) -> CommandChain:
        """The chain when it has ended, or after that time. Raises ChainNotFound."""
        with trio.move_on_after(timeout_s):
            # It ends in many ways, and only people wait for it.
            while any(one.command_id == command_id for one in self.core.chains):  # noqa: ASYNC110
                await trio.sleep(LOOK_S)
        await self.settled()
        return await self.chain(command_id)

    async def approve(self, command_id: str, *, by: str = "") -> CommandChain:
        """Raises ChainNotFound, TransferRefused."""
        waiting = await self.chain(command_id)
        await self._order(self.core.approve(command_id, self._moment()))
        message = f"Transfer {command_id} was consented to"
        self._ordered("transfer_approved", waiting.esp_id or "", message, by, command_id=command_id)
        return await self.chain(command_id)

    async def cancel(self, command_id: str, *, by: str = "") -> CommandChain:
        """Raises ChainNotFound, ChainEnded."""
        known = await self.chain(command_id)
        if known.status.ended:
            raise ChainEnded(f"{command_id} has ended: {known.status.value}")
        await self._order(self.core.cancel(command_id, self._moment()))
        source = known.esp_id or known.kaiser_id
        self._ordered("chain_cancelled", source, f"{command_id} was cancelled", by, command_id=command_id)
        return await self.chain(command_id)

    async def order(
        self, kaiser_id: NodeId, kind: ChainType, data: dict[str, object], *, esp_id: str | None, by: str
    ) -> CommandChain:
        """Has a Kaiser do something. Raises NodeNotFound."""
        command_id = f"c-{secrets.token_hex(6)}"
        order = partial(self.core.command, command_id, kaiser_id, kind, data, self._moment())
        await self._order(order(esp_id=esp_id, issued_by=by))
        message = f"{kaiser_id} was told: {kind.value}"
        self._ordered("chain_begun", esp_id or kaiser_id, message, by, command_id=command_id)
        return await self.chain(command_id)

    async def stop(self, node: NodeId | None, *, reason: str, by: str) -> str:
        """Stops the devices of one node, or of all; `stopped` tells the proof of the incident whose id this returns.
        Raises NodeNotFound."""
        incident = f"em-{secrets.token_hex(6)}"
        stop = self.core.emergency_stop(incident, node, self._moment(), reason=reason, issued_by=by)
        nodes = [node] if node is not None else [GOD, *(one.kaiser_id for one in self.core.nodes)]
        self._observed.stop(incident, nodes)
        # All are told at once; only the record of it waits for the disk, and without one they are told until they stop.
        with trio.move_on_after(PATIENCE_S), suppress(StoreError):
            await self._order(stop)
        where = "every node" if node is None else f"node {node}"
        self._ordered(
            "emergency_stop", node or "", f"Emergency stop of {where}: {reason}", by, incident=incident
        )
        return incident

    async def stopped(self, incident: str) -> list[NodeProof]:
        """What each node has proven, God first. Raises ChainNotFound, StoreError."""
        found = dict(self._observed.stops.get(incident, {}))
        for chain in () if found else await self.chains(limit=MOST_CHAINS):  # ordered before God's last start
            if chain.command_id.startswith(f"{incident}:"):
                found[chain.kaiser_id] = NodeProof.of(chain)
        if not found:
            raise ChainNotFound(f"There is no emergency stop {incident[:64]!r}")
        return sorted(found.values(), key=lambda one: (one.node != GOD, one.node))

    async def took_papers(self, sender: NodeId, esp_id: str, version: str, content: bytes) -> None:
        """What the owner of a device has written of it: whoever gets the device next gets this. God itself may be that
        without a warning, so it is prepared at once. Raises StoreError.
        """
        if self.owner(esp_id) != sender:
            return  # of a time when it was the sender's
        await self._store.write_registry(hierarchy=HierarchyBatch(documents={esp_id: (version, content)}))
        self.core.configured(esp_id, version)
        try:
            await self._estate.prepare(esp_id, content)
        except StoreError:
            raise
        except GrowyError as error:
            log.once_per(("papers", esp_id)).error(
                "papers of a device cannot be taken", esp_id=esp_id, error=str(error)
            )

    async def _offer_papers(self, esp_id: str) -> None:
        papers = await self._estate.papers(esp_id)
        if papers is not None:
            self.core.configured(esp_id, papers[0])

    async def _papers(self, esp_id: str) -> tuple[str, bytes] | None:
        if self.owner(esp_id) == GOD:
            await self._offer_papers(esp_id)  # they may have changed since the transfer began
            return await self._estate.papers(esp_id)
        return await self._store.esp_documents(esp_id) or await self._estate.papers(esp_id)

    async def _obey(self, order: Obey) -> None:
        """Nobody orders God about."""
