"""A node of the tree at work: the pure core of a God or a Kaiser, its disk, its mail and its devices.

What the core wants is done in order, in one task: nothing that stands behind a `Persist` is done before that is on the
disk. If the disk refuses, the core is made anew from what is there, as after a crash; only emergency stops are taken
over from the old one. Must never let a device be commanded that the core has not given leave for: `tenure` is what the
rest of the house goes by.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

import msgspec
import trio

from growy.hierarchy.agenda import Agenda
from growy.hierarchy.effects import (
    AlternativeRoute,
    Carry,
    ChainTimedOut,
    CrossEnded,
    Drop,
    Effect,
    Effects,
    Fence,
    Freeze,
    Note,
    Obey,
    Persist,
    Ship,
    StopHere,
    Survey,
    Take,
    Tell,
)
from growy.hierarchy.estate import Estate, Mail
from growy.hierarchy.god import God
from growy.hierarchy.home import Home
from growy.hierarchy.kaiser import Kaiser
from growy.hierarchy.node_events import EVENTS, NodeStatistics, entry_of, event_of
from growy.hierarchy.writing import batch_of, facts_of
from growy.model.control import Tenure
from growy.model.errors import StoreError, WireError
from growy.model.hierarchy import GOD, NodeId, Stamp
from growy.model.time import Moment
from growy.model.tree_messages import Documents, RelayAnswer, RelayCommand, RelayUp, TreeMessage
from growy.ops.log import get_log
from growy.store.store import Store
from growy.wire import hierarchy as wire

log = get_log(__name__)

REMAKE_S = 5.0
SETTLE_S = 10.0
PROOF_S = 1.0
LEAST_S = 0.01
ANNOUNCE = "session/announce"
C = TypeVar("C", bound=God | Kaiser)


class TreeNode(ABC, Generic[C]):
    """Trio thread only. `GodNode` and `KaiserNode` add what people may ask of them.

    Args:
        me: the id in topics.
        make: the core, from the disk. Raises StoreError.
        default: whose a device is of which the core has said nothing.
    """

    def __init__(
        self,
        me: NodeId,
        god_id: str,
        core: C,
        make: Callable[[], Awaitable[C]],
        *,
        store: Store,
        estate: Estate,
        mail: Mail,
        moment: Callable[[], Moment],
        default: Tenure,
    ) -> None:
        self.me = me
        self.core: C = core
        self._god_id = god_id
        self._make: Callable[[], Awaitable[C]] = make
        self._store = store
        self._estate = estate
        self._mail = mail
        self._moment = moment
        self._default = default
        self._tenures: dict[str, Tenure] = {}
        self._agenda = Agenda()
        self._home = Home(
            me,
            owner=self.owner,
            tenure=self.tenure,
            tell=lambda owner, said: self._tell(Tell(owner, said)),
            estate=estate,
        )
        self._crossing: dict[str, Callable[[CrossEnded], None]] = {}
        self._serial = 0
        self._heard = self._told = self._unsent = self._unreadable = 0
        self._carried = self._relay_refusals = 0

    # --- asked --------------------------------------------------------------------------------------------------------

    def tenure(self, esp_id: str) -> Tenure:
        """Whether this node may command the device."""
        return self._tenures.get(esp_id, self._default)

    def listens_to(self, esp_id: str, heard_as: NodeId) -> bool:
        """Whether a device with this kaiser id in its topics may be of this tree. A person is told if not."""
        return True

    @abstractmethod
    def owner(self, esp_id: str) -> NodeId:
        """Whose it is, as far as is known here; empty: nobody has said."""

    @abstractmethod
    def home(self, esp_id: str) -> NodeId:
        """On whose broker a device of ours hangs."""

    def knows(self, esp_id: str) -> bool:
        """Whether it is known whose the device is, or others will say it."""
        return True

    @abstractmethod
    def _hangs_here(self, esp_id: str) -> bool:
        """Whether the core has it that the device hangs on this node's broker."""

    @abstractmethod
    def acts_on(self, esp_id: str) -> bool:
        """Whether this node may act on the device by now, be it only by an OFF: asked of the clock."""

    @abstractmethod
    def _holds(self, esp_id: str, epoch: int) -> bool:
        """Whether this node commands the device, and by this epoch."""

    @abstractmethod
    def _stamp(self, esp_id: str, *, off: bool) -> Stamp | None:
        """The right that goes with a relayed command; None: there is none."""

    # --- told ---------------------------------------------------------------------------------------------------------

    def mail(self, topic: bytes, payload: bytes) -> bool:
        """A message from God's broker; whether it is one of the tree's."""
        try:
            place = wire.parse_tree_topic(topic)
        except WireError:
            return False
        if place.target != self.me or place.sender == self.me:
            return True
        self._heard += 1
        try:
            message = wire.decode_tree(place, payload)
        except WireError as error:
            self._unreadable += 1
            log.once_per(("tree", place.sender)).warning(
                "a message of another node cannot be read", sender=place.sender, error=str(error)
            )
            return True
        self._take(place.sender, message)
        return True

    def _take(self, sender: NodeId, message: TreeMessage) -> None:
        match message:
            case RelayUp():
                if self.tenure(message.esp_id) is not Tenure.FOREIGN:
                    said = (message.esp_id, message.tail, message.payload, message.received_ms)
                    self._estate.heard_from_afar(*said)
            case RelayAnswer():
                self._relay_refusals += bool(message.refusal)
            case _:
                self.enqueue(self.core.heard(sender, message, self._moment()))

    def device_said(
        self, esp_id: str, tail: str, payload: bytes, received_ms: int, heard_as: NodeId | None = GOD
    ) -> bool:
        """A device on this node's own broker has said something. Whether it is another node's, and was told to it.
        Args: heard_as: the kaiser id in its topic; None: a topic that says nothing of that."""
        said = RelayUp(esp_id=esp_id, tail=tail, payload=payload, received_ms=received_ms)
        if heard_as is not None and self._home.keep(said) and not self._hangs_here(esp_id):
            # It is new, or comes from elsewhere; or the disk has refused to know of it.
            self.enqueue(self.core.found(esp_id, self._moment(), heard_as))
        if tail == ANNOUNCE:
            self.core.relay.arrived(esp_id)
        if self.tenure(esp_id) is not Tenure.FOREIGN:
            return False
        self._home.relay(said)
        return True

    def command(self, esp_id: str, tail: str, payload: bytes, *, off: bool) -> bool:
        """To a device of ours on another node's broker. False: nothing may be sent to it now."""
        stamp = self._stamp(esp_id, off=off)
        if stamp is None:
            return False
        self._serial += 1
        command_id = f"{self.me}-{stamp.boot}-{self._serial}"
        relayed = RelayCommand(command_id=command_id, esp_id=esp_id, stamp=stamp, tail=tail, payload=payload)
        self._tell(Tell(self.home(esp_id), relayed))
        return True

    def enqueue(self, effects: Effects) -> None:
        """To be done, after what waits already. Fences and emergencies do not wait: the disk may be what is slow."""
        rest: Effects = []
        for effect in effects:
            match effect:
                case Fence():
                    self._is_now(effect.esp_id, Tenure.FENCED)
                    self._estate.dropped(effect.esp_id)
                case Tell(urgent=True):
                    self._tell(effect)
                case StopHere():
                    self._nursery.start_soon(self._stop_here, effect)
                case _:
                    rest.append(effect)
        self._agenda.add(rest)

    async def settled(self) -> None:
        """Everything that was wanted until now is done. Raises StoreUnavailable: the disk has refused, or is slow."""
        await self._agenda.settled(SETTLE_S)

    # --- at work ------------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. What the core wants first is on the disk when this has started."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await self._carry_out(self.core.start(self._moment()))
            nursery.start_soon(self._keep_time)
            task_status.started()
            while True:
                try:
                    await self._carry_out(await self._agenda.next())
                except StoreError as error:
                    await self._remake(error)
                else:
                    self._agenda.done()

    async def _keep_time(self) -> None:
        while True:
            moment = self._moment()
            self.enqueue(self.core.tick(moment))
            self._home.show_around(moment.wall_ms)
            await trio.sleep(min(max(self.core.next_due() - moment.clock, LEAST_S), 1.0))

    async def _remake(self, error: StoreError) -> None:
        """The disk has refused: begin again from what is on it. Until then nothing of ours is commanded but off."""
        log.once_per("remake").error(
            "ownership could not be written; beginning anew from the disk", error=str(error)
        )
        self._agenda.shut()
        for esp_id, tenure in list(self._tenures.items()):
            if tenure in (Tenure.OURS, Tenure.FROZEN):
                self._is_now(esp_id, Tenure.FENCED)
                self._estate.dropped(esp_id)
        while True:
            await trio.sleep(REMAKE_S)
            try:
                core = await self._make()
            except StoreError:
                continue
            taken_over = self._take_over(self.core, core)
            self.core = core
            self._agenda.reopen()
            self.enqueue(core.start(self._moment()) + taken_over)
            return

    def _take_over(self, old: C, new: C) -> Effects:
        """What the disk does not know and must not be lost with the old core."""
        return []

    async def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, Persist):
                await self._persist(effect)
            else:
                await self._do(effect)

    async def _persist(self, what: Persist) -> None:
        now_ms = self._moment().wall_ms
        await self._store.write_registry(
            hierarchy=batch_of(what, self._god_id, now_ms), keyed=dict(facts_of(what))
        )

    async def _do(self, effect: Effect) -> None:
        match effect:
            case Tell():
                self._tell(effect)
            case Ship(to=to, esp_id=esp_id):
                await self._ship(to, esp_id)
            case Take(esp_id=esp_id, epoch=epoch, state=state):
                if not self._holds(esp_id, epoch):
                    return  # the disk was slow, and it is over already
                self._tenures[esp_id] = Tenure.OURS
                # Whoever looks at it next must find the claims in their places: what nobody claims is switched off.
                self._estate.take(esp_id, state)
                self._estate.changed(esp_id)
                self.enqueue(self.core.adopted(esp_id, epoch, self._moment()))
            case Freeze(esp_id=esp_id):
                self._estate.freeze(esp_id)
                self._is_now(esp_id, Tenure.FROZEN)
            case Survey(esp_id=esp_id, epoch=epoch):
                self._nursery.start_soon(self._survey, esp_id, epoch)
            case Drop(esp_id=esp_id):
                self._is_now(esp_id, Tenure.FOREIGN)
                self._estate.dropped(esp_id)
            case Carry(esp_id=esp_id, tail=tail, payload=payload):
                self._carried += self._estate.publish(esp_id, tail, payload)
            case Obey():
                self._nursery.start_soon(self._obey, effect)
            case ChainTimedOut(command_id=command_id):
                self._say(wire.command_chain_timeout(), {"command_id": command_id})
            case AlternativeRoute(source=source, target=target, command_type=kind):
                said = {"source_kaiser": source, "target_kaiser": target, "command_type": kind}
                self._say(wire.alternative_route(), said)
            case Note():
                self._note(effect)
            case CrossEnded():
                done = self._crossing.pop(effect.command_id, None)
                if done is not None:
                    done(effect)

    def _is_now(self, esp_id: str, tenure: Tenure) -> None:
        self._tenures[esp_id] = tenure
        self._estate.changed(esp_id)

    def _tell(self, tell: Tell) -> None:
        try:
            topic = wire.tree_topic(self.me, tell.to, tell.message)
            sent = self._mail(topic, wire.encode_tree(tell.message), urgent=tell.urgent)
        except WireError as error:
            log.error("a message to another node cannot be written", to=tell.to, error=str(error))
            return
        self._told += sent
        self._unsent += not sent

    def _say(self, topic: str, said: Mapping[str, object]) -> None:
        self._mail(topic, msgspec.json.encode({**said, "timestamp": self._moment().wall_ms // 1000}))

    def _note(self, note: Note) -> None:
        entry = entry_of(note, self._moment().wall_ms)
        self._estate.note(entry)
        event = EVENTS.get(note.event_type)
        if event is not None:
            self._estate.tell(event, event_of(note, entry))

    async def _ship(self, to: NodeId, esp_id: str) -> None:
        papers = await self._papers(esp_id)
        if papers is not None:
            god = await self._god_instance()
            told = Documents(god_instance=god, esp_id=esp_id, version=papers[0], content=papers[1])
            self._tell(Tell(to, told))

    async def _papers(self, esp_id: str) -> tuple[str, bytes] | None:
        return await self._estate.papers(esp_id)

    @abstractmethod
    async def _god_instance(self) -> str:
        """Of the God of this tree."""

    async def _survey(self, esp_id: str, epoch: int) -> None:
        state = await self._estate.survey(esp_id)
        self.enqueue(self.core.surveyed(esp_id, epoch, state, self._moment()))

    async def _stop_here(self, order: StopHere) -> None:
        """Tells how far it is until every device has proven that it stands still."""
        stop_id = await self._estate.stop(order.esp_id, order.reason, order.issued_by or GOD)
        while True:
            proof = self._estate.proof(stop_id)
            proven = bool(proof.get("proven"))
            self._answer(order.command_id, True if proven else None, "", proof)
            if proven:
                return
            await trio.sleep(PROOF_S)

    @abstractmethod
    async def _obey(self, order: Obey) -> None:
        """Another node has ordered something."""

    def _answer(
        self, command_id: str, success: bool | None, message: str, data: Mapping[str, object]
    ) -> None:
        """To whoever ordered it."""

    def statistics(self) -> NodeStatistics:
        return NodeStatistics(
            heard=self._heard,
            told=self._told,
            unsent=self._unsent,
            unreadable=self._unreadable,
            carried=self._carried,
            relayed=self._home.relayed,
            relay_refusals=self._relay_refusals,
            remade=self._agenda.shuts,
        )
