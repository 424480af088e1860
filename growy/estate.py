"""The devices of this node, for the hierarchy: what it wants of control, fleet, link and intake, made of them.

No rules of its own: who owns a device is decided in `growy.hierarchy`, what is switched in `growy.control`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

import attrs
import msgspec
import trio

from growy import __version__
from growy.broker.frames import Inbound
from growy.broker.link import Delivery, Link
from growy.broker.outbox import Lane
from growy.control.control import Control
from growy.control.stops.effects import StopReport
from growy.fleet.fleet import Fleet
from growy.fleet.journal import from_row, to_row
from growy.hierarchy.god_node import GodNode
from growy.hierarchy.kaiser_node import KaiserNode
from growy.hierarchy.sending import no_wait
from growy.model.audit import AuditEntry
from growy.model.control import DeviceView, Tenure
from growy.model.errors import Invalid
from growy.model.handover import DeviceDocuments, HandedOver
from growy.model.tree_messages import Health, ShownCertificate
from growy.store.devices import DeviceRow
from growy.wire.shipments import Paper
from growy.wire.topics import device_topic_of

HERE = (Tenure.OURS, Tenure.FROZEN)
PAPERS_S = 3.0
"""A device is not held back any longer because God has not heard of its last change."""
WAITING = 1000
"""Messages of devices on other nodes' brokers that wait for the intake; beyond, they are left out: their home keeps
the readings, and the device says the rest again."""


class HouseEstate:
    """`growy.hierarchy.estate.Estate`. Trio thread only.

    Args:
        hear_here, hear_afar: take a message of a device as if it came from the broker now; the readings in the second
            are kept by another node.
        changed: told of a device that has changed hands.
        behind: commits that God has yet to get.
        papers_told: returns when God has what was set up here last.
        certificate: that God's broker is shown.
    """

    node: GodNode | KaiserNode

    def __init__(
        self,
        *,
        control: Callable[[], Control],
        fleet: Callable[[], Fleet],
        link: Callable[[], Link],
        note: Callable[[AuditEntry], None],
        tell: Callable[[str, Mapping[str, object]], None],
        changed: Callable[[], None],
        on_prefix: Callable[[str], None],
        wall_ms: Callable[[], int],
        behind: Callable[[], int] = lambda: 0,
        papers_told: Callable[[], Awaitable[None]] = no_wait,
        certificate: Callable[[], ShownCertificate | None] = lambda: None,
    ) -> None:
        self._control = control
        self._fleet = fleet
        self._link = link
        self.note = note
        self.tell = tell
        self._changed = changed
        self._on_prefix = on_prefix
        self._wall_ms = wall_ms
        self._behind = behind
        self._papers_told = papers_told
        self._certificate = certificate
        self._started = time.monotonic()
        self._prefixes: dict[str, str] = {}
        """By device, the kaiser id in its topics."""
        send, self.afar = trio.open_memory_channel[Inbound](WAITING)
        again, self.again = trio.open_memory_channel[Inbound](WAITING)
        self._afar_in, self._again_in = send, again
        self.left_out = 0

    # --- what others go by --------------------------------------------------------------------------------------------

    def view(self, esp_id: str) -> DeviceView | None:
        """A device as control sees it."""
        found = self._fleet().view(esp_id)
        return None if found is None else self._owned(found)

    def views(self) -> Iterable[DeviceView]:
        return [self._owned(one) for one in self._fleet().views()]

    def _owned(self, view: DeviceView) -> DeviceView:
        tenure = self.node.tenure(view.esp_id)
        if tenure is Tenure.OURS:
            return view
        return attrs.evolve(view, tenure=tenure, owner=self.node.owner(view.esp_id))

    def send(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        timeout_s: float = 10.0,
        lane: Lane = Lane.NORMAL,
    ) -> bool:
        """As `Link.send`, to wherever the device hangs. What is another node's hears from here in an emergency only."""
        link, place = self._link(), device_topic_of(topic)
        if place is None:
            return link.send(topic, payload, retain=retain, timeout_s=timeout_s, lane=lane)
        esp_id, tail = place
        tenure, urgent = self.node.tenure(esp_id), lane is Lane.EMERGENCY
        if not urgent and (
            tenure is Tenure.FOREIGN or (tenure is Tenure.FENCED and not self.node.acts_on(esp_id))
        ):
            return False
        if tenure is not Tenure.FOREIGN and self.node.home(esp_id) != self.node.me:
            off = not tail.startswith("actuator/") or b'"OFF"' in payload or urgent
            relayed = self.node.command(esp_id, tail, payload, off=off)
            if not urgent:
                return relayed
            # It may hang here again by now, and nobody knows it yet.
        return link.send(topic, payload, retain=retain, timeout_s=timeout_s, lane=lane)

    async def papers_of_all(self) -> list[Paper]:
        """Of all devices that are ours."""
        found = []
        for view in self._fleet().views():
            if self.node.tenure(view.esp_id) in HERE and view.approved:
                papers = await self.papers(view.esp_id)
                if papers is not None:
                    found.append(Paper(view.esp_id, *papers))
        return found

    # --- what the hierarchy wants -------------------------------------------------------------------------------------

    def changed(self, esp_id: str) -> None:
        self._changed()
        self._control().device_changed(esp_id)

    def freeze(self, esp_id: str) -> None:
        self._control().tenancy.freeze(esp_id)

    async def survey(self, esp_id: str) -> HandedOver | None:
        with trio.move_on_after(PAPERS_S):
            await self._papers_told()
        return await self._control().tenancy.survey(esp_id)

    def take(self, esp_id: str, state: HandedOver | None) -> None:
        self._control().tenancy.take(esp_id, state)

    def dropped(self, esp_id: str) -> None:
        self._control().tenancy.dropped(esp_id)

    async def papers(self, esp_id: str) -> tuple[str, bytes] | None:
        device = self._fleet().get(esp_id)
        if device is None:
            return None
        row, tenancy = to_row(device), self._control().tenancy
        rules, interlocks = tenancy.rules_of(esp_id), tenancy.interlocks_of(esp_id)
        documents = DeviceDocuments(
            esp_id=esp_id,
            record=row.record,
            setup=row.setup or "{}",
            first_seen_ms=row.first_seen_ms,
            last_seen_ms=row.last_seen_ms,
            rules=rules,
            interlocks=interlocks,
        )
        # What the device says of itself is no other version.
        mark = hashlib.sha256(msgspec.json.encode([documents.setup, rules, interlocks])).hexdigest()[:16]
        return mark, msgspec.json.encode(documents)

    async def prepare(self, esp_id: str, content: bytes) -> None:
        try:
            documents = msgspec.json.decode(content, type=DeviceDocuments)
        except msgspec.MsgspecError as error:
            raise Invalid(f"What another node says of {esp_id} cannot be read: {error}") from error
        if documents.esp_id != esp_id:
            raise Invalid(f"Papers of {documents.esp_id} came for {esp_id}")
        if self.node.tenure(esp_id) in HERE:
            return  # our own word, come back to us
        row = DeviceRow(
            esp_id, documents.record, documents.first_seen_ms, documents.last_seen_ms, documents.setup
        )
        await self._fleet().adopt(from_row(row))
        await self._control().tenancy.prepare(documents)

    async def stop(self, esp_id: str | None, reason: str, by: str) -> str:
        ordered = await self._control().stop(esp_id=esp_id, reason=reason, by=by)
        return ordered.report.stop.id

    def proof(self, stop_id: str) -> Mapping[str, object]:
        report = next((one for one in self._control().stops() if one.stop.id == stop_id), None)
        return {"stop_id": stop_id, "proven": True, "devices": {}} if report is None else _proof(report)

    def publish(self, esp_id: str, tail: str, payload: bytes) -> bool:
        prefix = self._prefixes.get(esp_id)
        if prefix is None:
            device = self._fleet().get(esp_id)
            prefix = device.kaiser_id if device is not None else "god"
        return self._link().send(f"kaiser/{prefix}/esp/{esp_id}/{tail}", payload)

    def speaks(self, esp_id: str, kaiser_id: str) -> None:
        """A device on this node's own broker has that id in its topics."""
        if self._prefixes.get(esp_id) != kaiser_id:
            self._prefixes[esp_id] = kaiser_id
            self._on_prefix(kaiser_id)

    def heard_from_afar(self, esp_id: str, tail: str, payload: bytes, received_ms: int) -> None:
        self._put(self._afar_in, esp_id, tail, payload)

    def heard_again(self, esp_id: str, tail: str, payload: bytes, received_ms: int) -> None:
        self._put(self._again_in, esp_id, tail, payload)

    def _put(self, into: trio.MemorySendChannel[Inbound], esp_id: str, tail: str, payload: bytes) -> None:
        device = self._fleet().get(esp_id)
        prefix = self._prefixes.get(esp_id) or (device.kaiser_id if device is not None else "god")
        topic = f"kaiser/{prefix}/esp/{esp_id}/{tail}".encode()
        try:
            into.send_nowait(Inbound(topic, payload, 0, False, False))
        except trio.WouldBlock:
            self.left_out += 1

    def health(self) -> Health:
        views = [one for one in self.views() if one.tenure is not Tenure.FOREIGN]
        return Health(
            kaiser_id=self.node.me,
            uptime_s=round(time.monotonic() - self._started, 1),
            version=__version__,
            esp_count=len(views),
            esps_online=sum(one.online for one in views),
            backlog=self._behind(),
            certificate=self._certificate(),
        )

    # --- at work ------------------------------------------------------------------------------------------------------

    async def pass_on(
        self,
        messages: trio.MemoryReceiveChannel[Inbound],
        deliver: Callable[[Delivery], Awaitable[None]],
    ) -> None:
        """Gives messages that did not come from the broker to an intake, for ever."""
        async for message in messages:
            await deliver(Delivery(0, [message], self._wall_ms(), trio.current_time()))


def _proof(report: StopReport) -> Mapping[str, object]:
    devices = {
        one.esp_id: {"proven": one.proof is not None, "online": one.online, "told": one.told}
        for one in report.devices
    }
    proven = all(one.proof is not None for one in report.devices if one.online)
    return {"stop_id": report.stop.id, "proven": proven, "devices": devices}
