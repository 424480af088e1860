"""A Kaiser at work: what is particular about it beside `TreeNode`, and how one is opened."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

import attrs
import trio

from growy.hierarchy import asking
from growy.hierarchy.cross import unanswered
from growy.hierarchy.effects import CrossEnded, Effect, Effects, Obey, Prepare, Tell
from growy.hierarchy.estate import Estate, Mail
from growy.hierarchy.kaiser import Identity, Kaiser
from growy.hierarchy.leases import Terms
from growy.hierarchy.node import TreeNode
from growy.hierarchy.starts import next_count
from growy.hierarchy.writing import BOOT, GOD_INSTANCE, RESTORED, installation_of
from growy.model.control import Tenure
from growy.model.errors import GrowyError, StoreError
from growy.model.hierarchy import GOD, NodeId, Stamp
from growy.model.time import Moment
from growy.model.tree_messages import Documents, NodeRefusal, Orders, ShownCertificate, TreeMessage
from growy.ops.log import get_log
from growy.store.hierarchy import HierarchyBatch
from growy.store.store import Store

log = get_log(__name__)

HEALTH_S = 30.0
PETITION_S = (0.0, 2.0, 10.0)
"""Pauses before each time that a petition is told."""


@attrs.frozen(kw_only=True)
class Holding:
    """A device that this node owns, is about to own, or lets go of."""

    esp_id: str
    tenure: Tenure
    home: NodeId
    epoch: int | None
    """None: there is no lease, and nothing but what the device does by itself happens to it."""
    lease_left_s: float | None


@attrs.frozen(kw_only=True)
class GodView:
    """Its God, as a Kaiser knows it."""

    god_id: str
    instance: str
    """Empty: it has not met it yet."""
    heard_s: float | None
    """Seconds since its last orders; None: none since the start."""
    heard: bool
    """They came lately enough for leases to go on."""
    refusal: NodeRefusal | None
    """Why God will not have this node."""


class KaiserNode(TreeNode[Kaiser]):
    """See `open_kaiser`."""

    terms: Terms
    """Set when it is opened."""
    _ordered_at: float | None = None

    def _take(self, sender: NodeId, message: TreeMessage) -> None:
        super()._take(sender, message)
        if isinstance(message, Orders) and sender == GOD and message.instance == self.core.identity.instance:
            followed = message.god_instance == self.core.god_instance or message.refusal is not None
            if followed and message.god_id == self._god_id:
                self._ordered_at = self._moment().clock

    # --- looking ------------------------------------------------------------------------------------------------------

    def god(self) -> GodView:
        """Whom it follows, and whether that is there."""
        heard_s = None if self._ordered_at is None else self._moment().clock - self._ordered_at
        return GodView(
            god_id=self._god_id,
            instance=self.core.god_instance,
            heard_s=heard_s,
            heard=heard_s is not None and heard_s < self.terms.lease_s - self.terms.fence_s,
            refusal=self.core.refused,
        )

    def certificate(self) -> ShownCertificate | None:
        """That it shows God's broker; None: it shows none."""
        return self._estate.health().certificate

    def holdings(self) -> list[Holding]:
        """By device."""
        now, found = self._moment().clock, []
        for esp_id in sorted(self.core.holds.esp_ids):
            held = self.core.holds.held_until(esp_id, now)
            found.append(
                Holding(
                    esp_id=esp_id,
                    tenure=self.tenure(esp_id),
                    home=self.home(esp_id),
                    epoch=None if held is None else held[0],
                    lease_left_s=None if held is None else held[1] - now,
                )
            )
        return found

    # --- at work ------------------------------------------------------------------------------------------------------

    def owner(self, esp_id: str) -> NodeId:
        away = self.core.relay.owner(esp_id)
        if away is not None:
            return away
        return self.me if self.core.holds.home(esp_id) is not None else ""

    def home(self, esp_id: str) -> NodeId:
        return self.core.holds.home(esp_id) or self.me

    def _hangs_here(self, esp_id: str) -> bool:
        return self.core.holds.home(esp_id) == self.me or self.core.relay.knows(esp_id)

    def acts_on(self, esp_id: str) -> bool:
        return self.core.holds.held_until(esp_id, self._moment().clock) is not None

    def _take_over(self, old: Kaiser, new: Kaiser) -> Effects:
        # It holds nothing, as after a restart; what is still its own God offers again.
        for esp_id, tenure in list(self._tenures.items()):
            if tenure is not Tenure.FOREIGN:
                self._is_now(esp_id, Tenure.FOREIGN)
                self._estate.dropped(esp_id)
        return []

    def _holds(self, esp_id: str, epoch: int) -> bool:
        held = self.core.holds.held_until(esp_id, self._moment().clock)
        return held is not None and held[0] == epoch

    def _stamp(self, esp_id: str, *, off: bool) -> Stamp | None:
        return self.core.stamp(esp_id, self._moment(), off=off)

    async def _god_instance(self) -> str:
        return self.core.god_instance

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(super().run)
            nursery.start_soon(self._say_health)
            task_status.started()

    async def _say_health(self) -> None:
        while True:
            self._tell(Tell(GOD, self._estate.health()))
            await trio.sleep(HEALTH_S)

    async def petition(self, esp_id: str, to_owner: NodeId, reason: str) -> str:
        """Asks God to give a device away, or to get it; under the id of the chain that God makes of it."""
        petition_id = f"p-{secrets.token_hex(6)}"
        self._nursery.start_soon(self._petition, petition_id, esp_id, to_owner, reason)
        return petition_id

    async def _petition(self, petition_id: str, esp_id: str, to_owner: NodeId, reason: str) -> None:
        """Nobody answers a petition, and it may be lost: God grants it once, however often it hears it."""
        for pause_s in PETITION_S:
            await trio.sleep(pause_s)
            self.enqueue(self.core.petition(petition_id, esp_id, to_owner, reason))

    async def ask(
        self,
        target: NodeId,
        command_type: str,
        data: Mapping[str, object],
        timeout_s: float,
        *,
        by: str = "",
    ) -> CrossEnded:
        """Has another Kaiser do something: told at once, directly, and in the end by way of God.

        Args:
            command_type: `sync_data`: how far it is. `transfer_esp`: that it asks God to give `esp_id`, a device of its
                own, to `to_owner`, by default to this node; with a `reason`.
            timeout_s: at most so long; what goes by way of God needs 6 to 10 s.
            by: who wants it.

        Returns:
            What the other has answered; that it refuses is an answer too.

        Raises:
            NodeNotFound: this node itself, no id of a Kaiser, or one that God does not have.
            ChainEnded: a person at God has cancelled what God carried.
            NodeSilent: no answer by then. It may do it all the same.

        When this is cancelled, it is told no more; what was told before may be done all the same.
        """
        asking.need_other(self.me, self._god_id, target)
        command_id = f"x-{secrets.token_hex(6)}"
        answered, answers = trio.Event(), list[CrossEnded]()

        def hear(ended: CrossEnded) -> None:
            answers.append(ended)
            answered.set()

        self._crossing[command_id] = hear
        try:
            self.enqueue(self._send(target, command_id, command_type, {**data, "issued_by": by}, timeout_s))
            with trio.move_on_after(timeout_s):
                await answered.wait()
            if not answers:  # the core notices at its next tick
                answers.append(unanswered(command_id))
            return asking.answer_of(target, command_type, answers[0], god_heard=self.god().heard)
        finally:
            self._crossing.pop(command_id, None)
            self.core.cross.forget(command_id)
            ended, now_ms = answers[0] if answers else None, self._moment().wall_ms
            self._estate.note(asking.asked(target, command_type, data, ended, by=by, ts_ms=now_ms))

    def _send(
        self, target: NodeId, command_id: str, kind: str, data: Mapping[str, object], timeout_s: float
    ) -> Effects:
        now, out = self._moment().clock, Effects()
        self.core.cross.send(target, command_id, kind, data, deadline=now + timeout_s)
        # Who waits for it should not wait for the next tick as well, which may be a second away.
        self.core.cross.tick(self.core.peers, now, out)
        return out

    async def _do(self, effect: Effect) -> None:
        if isinstance(effect, Prepare):
            await self._prepare(effect.documents)
        else:
            await super()._do(effect)

    async def _prepare(self, what: Documents) -> None:
        """Raises StoreError. What this growyd cannot read is not kept, and the device stays where it is."""
        if self.tenure(what.esp_id) is Tenure.FENCED:
            return  # our own word of before it was written here anew; or, once it is another's, it comes again
        try:
            await self._estate.prepare(what.esp_id, what.content)
        except StoreError:
            raise
        except GrowyError as error:
            log.once_per(("papers", what.esp_id)).error(
                "papers of a device cannot be taken", esp_id=what.esp_id, error=str(error)
            )
            return
        kept = HierarchyBatch(documents={what.esp_id: (what.version, what.content)})
        await self._store.write_registry(hierarchy=kept)
        self.enqueue(self.core.prepared(what.esp_id, what.version, self._moment()))

    async def _obey(self, order: Obey) -> None:
        """God's command, or another Kaiser's."""
        done, message, data = await self._carry_through(order)
        if "/" in order.command_id:
            now_ms, kind = self._moment().wall_ms, order.command_type
            self._estate.note(
                asking.obeyed(self.me, kind, order.data, success=done, message=message, ts_ms=now_ms)
            )
            self.enqueue(self.core.answer_cross(order.command_id, done, message, data))
        else:
            self._answer(order.command_id, done, message, data)

    async def _carry_through(self, order: Obey) -> tuple[bool, str, Mapping[str, object]]:
        match order.command_type:
            case "transfer_esp":
                to_owner = str(order.data.get("to_owner") or order.data.get("source_kaiser") or "")
                esp_id = order.esp_id or str(order.data.get("esp_id", ""))
                if self.owner(esp_id) != self.me:
                    return False, f"{esp_id} is not {self.me}'s", {}
                if to_owner == self.me:
                    return False, f"{esp_id} is {self.me}'s already", {}
                asker = order.data.get("source_kaiser")
                if asker is not None and to_owner != asker:
                    # As the owner we may wish what the asker may not.
                    return (
                        False,
                        f"{asker} may ask for a device for itself only; else a person orders it at God",
                        {},
                    )
                petition_id = await self.petition(esp_id, to_owner, str(order.data.get("reason", "")))
                return True, "God has been asked", {"petition_id": petition_id}
            case "sync_data" | "sync_config":
                # Readings and papers travel by themselves; what is asked for is how far they are.
                behind = self._estate.health().backlog
                return True, "", {"esps": sorted(self.core.holds.esp_ids), "backlog": behind}
            case _:
                return False, f"{self.me} knows no command {order.command_type!r:.60}", {}

    def _answer(
        self, command_id: str, success: bool | None, message: str, data: Mapping[str, object]
    ) -> None:
        self.enqueue(self.core.answer(command_id, success, message, data))


async def open_kaiser(
    kaiser_id: NodeId,
    god_id: str,
    terms: Terms,
    *,
    store: Store,
    estate: Estate,
    mail: Mail,
    moment: Callable[[], Moment],
) -> KaiserNode:
    """Reads what the disk holds. Raises StoreError, Invalid."""
    instance = await installation_of(store)
    identity = Identity(kaiser_id=kaiser_id, instance=instance, god_id=god_id)

    async def make() -> Kaiser:
        now, restored = moment(), await store.keyed(RESTORED) is not None
        return Kaiser(
            identity,
            boot=next_count(int(await store.keyed(BOOT) or 0), now.wall_ms, restored=restored),
            god_instance=await store.keyed(GOD_INSTANCE) or "",
            prepared=await store.esp_document_versions(),
            terms=terms,
            moment=now,
        )

    node = KaiserNode(
        kaiser_id,
        god_id,
        await make(),
        make,
        store=store,
        estate=estate,
        mail=mail,
        moment=moment,
        default=Tenure.FOREIGN,
    )
    node.terms = terms
    return node
