"""God at work: what is particular about it beside `TreeNode`, what people may order, and how it is opened."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import attrs
import msgspec
import trio

from growy.hierarchy.effects import Effects, Obey
from growy.hierarchy.estate import Estate, Mail
from growy.hierarchy.god import God
from growy.hierarchy.leases import Terms
from growy.hierarchy.node import TreeNode
from growy.hierarchy.starts import next_count
from growy.hierarchy.writing import BOOT, INSTANCE, RESTORED
from growy.model.control import Tenure
from growy.model.errors import ChainNotFound, NodeNotFound
from growy.model.hierarchy import GOD, ChainType, CommandChain, Node, NodeId, Ownership, Stamp
from growy.model.time import Moment
from growy.model.tree_messages import Health, TreeMessage
from growy.store.hierarchy import HierarchyBatch, Mean, Measurement
from growy.store.store import Store

HOUR_MS = 3_600_000
LOOK_S = 0.05


@attrs.frozen(kw_only=True)
class KaiserView:
    """A Kaiser, for people."""

    node: Node
    esps: tuple[Ownership, ...]
    health: Health | None
    """What it said last of itself; None: nothing since God's start."""
    refusal: str = ""


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
        return super().tenure(esp_id)

    def _holds(self, esp_id: str, epoch: int) -> bool:
        record = self.core.record(esp_id)
        return record is not None and record.epoch == epoch and self.core.commands(esp_id)

    def _stamp(self, esp_id: str, *, off: bool) -> Stamp | None:
        return self.core.stamp(esp_id)

    async def _god_instance(self) -> str:
        return self.instance

    def _take(self, sender: NodeId, message: TreeMessage) -> None:
        if isinstance(message, Health):
            self._healths[sender] = message
            self._estate.tell("kaiser_health", msgspec.to_builtins(message))
            return
        super()._take(sender, message)

    # --- looking ------------------------------------------------------------------------------------------------------

    def kaisers(self) -> list[KaiserView]:
        """By id."""
        return [
            KaiserView(
                node=node,
                esps=tuple(one for one in self.core.records if one.owner == node.kaiser_id),
                health=self._healths.get(node.kaiser_id),
            )
            for node in sorted(self.core.nodes, key=lambda node: node.kaiser_id)
        ]

    def kaiser(self, kaiser_id: NodeId) -> KaiserView:
        """Raises NodeNotFound."""
        found = next((one for one in self.kaisers() if one.node.kaiser_id == kaiser_id), None)
        if found is None:
            raise NodeNotFound(f"There is no Kaiser {kaiser_id[:64]!r}", cure="`growyd kaisers` lists them")
        return found

    async def chains(
        self, *, live_only: bool = False, limit: int = 100, offset: int = 0
    ) -> list[CommandChain]:
        """Newest first. Raises StoreError."""
        return await self._store.command_chains(live_only=live_only, limit=limit, offset=offset)

    async def chain(self, command_id: str) -> CommandChain:
        """Raises ChainNotFound, StoreError."""
        found = await self._store.command_chain(command_id)
        if found is None:
            raise ChainNotFound(f"There is no command chain {command_id[:64]!r}")
        return found

    async def performance(self) -> Mapping[str, Mean]:
        """Means of the last hour."""
        return await self._store.performance(self._moment().wall_ms - HOUR_MS)

    async def measured(self, name: str, value: float) -> None:
        """Keeps a figure."""
        row = Measurement(name=name, value=value, ts_ms=self._moment().wall_ms)
        await self._store.write_registry(hierarchy=HierarchyBatch(measurements=[row]))

    # --- ordered by people --------------------------------------------------------------------------------------------

    async def _order(self, effects: Effects) -> None:
        self.enqueue(effects)
        await self.settled()

    async def add(self, node: Node) -> KaiserView:
        """A Kaiser, or what is to be changed about one. On disk when this returns. Raises Invalid."""
        await self._order(self.core.add(node, self._moment()))
        return self.kaiser(node.kaiser_id)

    async def register(self, kaiser_id: NodeId, instance: str, *, replace: bool = False) -> KaiserView:
        """Raises NodeNotFound, Duplicate."""
        await self._order(self.core.register(kaiser_id, instance, replace=replace))
        return self.kaiser(kaiser_id)

    async def unregister(self, kaiser_id: NodeId, *, by: str) -> None:
        """Raises NodeNotFound."""
        await self._order(self.core.unregister(kaiser_id, self._moment()))

    async def transfer(
        self, esp_id: str, from_owner: NodeId, to_owner: NodeId, *, reason: str, by: str, command_id: str = ""
    ) -> CommandChain:
        """Begins it. Raises EspNotFound, NodeNotFound, TransferRefused."""
        command_id = command_id or f"t-{secrets.token_hex(6)}"
        if self.owner(esp_id) == GOD:
            await self._offer_papers(esp_id)
        begin = partial(self.core.transfer, command_id, esp_id, from_owner, to_owner, self._moment())
        await self._order(begin(reason=reason, issued_by=by))
        return await self.chain(command_id)

    async def wait(self, command_id: str, timeout_s: float) -> CommandChain:
        """The chain when it has ended, or after that time."""
        began = time.monotonic()
        with trio.move_on_after(timeout_s):
            # It ends in many ways, and only people wait for it.
            while any(one.command_id == command_id for one in self.core.chains):  # noqa: ASYNC110
                await trio.sleep(LOOK_S)
        await self.settled()
        chain = await self.chain(command_id)
        if chain.status.ended:
            await self.measured("transfer_s", time.monotonic() - began)
        return chain

    async def approve(self, command_id: str) -> CommandChain:
        """Raises TransferRefused."""
        await self._order(self.core.approve(command_id, self._moment()))
        return await self.chain(command_id)

    async def cancel(self, command_id: str) -> CommandChain:
        """Raises ChainNotFound, ChainEnded."""
        await self._order(self.core.cancel(command_id, self._moment()))
        return await self.chain(command_id)

    async def order(
        self, kaiser_id: NodeId, kind: ChainType, data: dict[str, object], *, esp_id: str | None, by: str
    ) -> CommandChain:
        """Has a Kaiser do something. Raises NodeNotFound."""
        self.kaiser(kaiser_id)
        command_id = f"c-{secrets.token_hex(6)}"
        effects = self.core.command(
            command_id, kaiser_id, kind, data, self._moment(), esp_id=esp_id, issued_by=by
        )
        await self._order(effects)
        return await self.chain(command_id)

    async def stop(self, node: NodeId | None, *, reason: str, by: str) -> list[CommandChain]:
        """Stops the devices of one node, or of all; its chains tell the proof. Raises NodeNotFound."""
        incident = f"em-{secrets.token_hex(6)}"
        await self._order(
            self.core.emergency_stop(incident, node, self._moment(), reason=reason, issued_by=by)
        )
        return [one for one in await self.chains(limit=200) if one.command_id.startswith(f"{incident}:")]

    async def took_papers(self, esp_id: str, version: str, content: bytes) -> None:
        """What the owner of a device has written of it: whoever gets the device next gets this."""
        await self._store.write_registry(hierarchy=HierarchyBatch(documents={esp_id: (version, content)}))
        self.core.configured(esp_id, version)

    async def _offer_papers(self, esp_id: str) -> None:
        papers = await self._estate.papers(esp_id)
        if papers is not None:
            self.core.configured(esp_id, papers[0])

    async def _papers(self, esp_id: str) -> tuple[str, bytes] | None:
        if self.owner(esp_id) == GOD:
            return await self._estate.papers(esp_id)
        return await self._store.esp_documents(esp_id) or await self._estate.papers(esp_id)

    async def _obey(self, order: Obey) -> None:
        """Nobody orders God about."""


async def open_god(
    god_id: str,
    terms: Terms,
    *,
    store: Store,
    estate: Estate,
    mail: Mail,
    moment: Callable[[], Moment],
) -> GodNode:
    """Reads what the disk holds. Raises StoreError."""
    instance = await store.keyed(INSTANCE)
    if instance is None:
        instance = secrets.token_hex(8)
        await store.set_keyed(INSTANCE, instance)

    async def make() -> God:
        now, restored = moment(), await store.keyed(RESTORED) is not None
        god = God(
            god_id=god_id,
            instance=instance,
            boot=next_count(int(await store.keyed(BOOT) or 0), now.wall_ms, restored=restored),
            nodes=await store.kaisers(),
            records=await store.ownerships(),
            chains=await store.command_chains(live_only=True),
            terms=terms,
            fresh_id=lambda: f"c-{secrets.token_hex(6)}",
            moment=now,
            restored=restored,
        )
        for esp_id, version in (await store.esp_document_versions()).items():
            god.configured(esp_id, version)
        return god

    return GodNode(instance, god_id, await make(), make, store=store, estate=estate, mail=mail, moment=moment)
