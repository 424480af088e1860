"""All devices, held in memory: hands each what happens to it, carries out what its machine wants.

The only state is here and in the machines; the only ways out are the functions given. Nothing here waits: a heartbeat
is answered within the call that brought it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import attrs
import msgspec
import trio

from growy.fleet.asks import Asks
from growy.fleet.device import NEVER, Device, DeviceStatus, Standing
from growy.fleet.effects import (
    Acknowledge,
    ClearWill,
    Decided,
    Effect,
    Event,
    LinkBack,
    LinkLost,
    Measured,
    Note,
    Said,
    Save,
    SayOnline,
    Send,
    Tell,
    Tick,
)
from growy.fleet.limiter import TokenBucket
from growy.fleet.machine import discovered, next_wakeup, step
from growy.fleet.statistics import FleetStatistics
from growy.fleet.views import differs, view_of
from growy.model.audit import AuditEntry
from growy.model.control import DeviceView
from growy.model.errors import EspNotFound
from growy.model.messages import Heartbeat, Will
from growy.model.setup import SensorSetup
from growy.model.time import Moment, claimed_ms
from growy.ops.log import get_log
from growy.wire import topics as topic_names
from growy.wire.encode import heartbeat_ack
from growy.wire.table import Message
from growy.wire.topics import HARD_WIRED_TO_GOD, Topic, TopicKind

log = get_log(__name__)

MAX_DEVICES = 2000
"""A broker that invents devices must not fill the memory."""
TICK_S = 1.0
TRANSMISSIONS_PER_S = 20.0
"""Configs and assignments begun in a second, all devices together: acknowledgements go first after a power cut."""
SAY_ONLINE_EVERY_S = 2.0


class Outlet(Protocol):
    """`Link.send`."""

    def __call__(self, topic: str, payload: bytes, *, retain: bool = False) -> bool: ...


async def nowhere(device: Device) -> None:
    """Keeps nothing: for a fleet in memory."""


class Registry:
    """All devices.

    Args:
        auto_approve: approve new devices by themselves.
        send: publishes, without waiting for it to arrive; False when it cannot.
        say_online: publishes `server/status online`, retained.
        tell: takes (event name, data, correlation id), for those who watch.
        note: takes entries of the audit trail.
        discovery: limits how fast new devices are taken in.
        known: devices from the journal.
        persist: makes a device durable before a person is answered (`FleetJournal.persist`).
        on_setup: told of a device on which sensors were set up anew.
        on_change: told of a device that control would see otherwise than before (`view`).
        clock: seconds, only goes forward.
        wall_ms: Unix ms.
    """

    def __init__(
        self,
        *,
        auto_approve: bool,
        send: Outlet,
        say_online: Callable[[], object] = lambda: None,
        tell: Callable[[str, Mapping[str, object], str | None], None] = lambda event, data, correlation_id: (
            None
        ),
        note: Callable[[AuditEntry], None] = lambda entry: None,
        discovery: TokenBucket | None = None,
        known: Sequence[Device] = (),
        persist: Callable[[Device], Awaitable[None]] = nowhere,
        on_setup: Callable[[str], None] = lambda esp_id: None,
        on_change: Callable[[str], None] = lambda esp_id: None,
        clock: Callable[[], float] = time.monotonic,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._auto_approve = auto_approve
        self._send = send
        self._say_online = say_online
        self._tell = tell
        self._note = note
        self._discovery = discovery or TokenBucket(MAX_DEVICES, MAX_DEVICES)
        self._persist = persist
        self._on_setup = on_setup
        self._on_change = on_change
        self._clock = clock
        self._wall_ms = wall_ms
        self._devices = {device.esp_id: device for device in known}
        self._dirty: set[str] = set()
        self._pace = TokenBucket(TRANSMISSIONS_PER_S, TRANSMISSIONS_PER_S)
        self._changes: dict[str, trio.Event] = {}
        self._asks = Asks()
        self._events: Counter[str] = Counter()
        self._reports: Counter[str] = Counter()
        self._said_online_at = -SAY_ONLINE_EVERY_S
        self._heartbeats = self._acknowledged = self._unacknowledged = self._kept_company = self._refused = 0

    # --- looking ---------------------------------------------------------------------------------------------------

    def devices(self) -> list[Device]:
        """All of them by id, deleted ones too."""
        return sorted(self._devices.values(), key=lambda device: device.esp_id)

    def get(self, esp_id: str) -> Device | None:
        return self._devices.get(esp_id)

    def need(self, esp_id: str) -> Device:
        """Raises EspNotFound."""
        device = self._devices.get(esp_id)
        if device is None:
            raise EspNotFound(
                f"No device {esp_id[:64]!r} is known", cure="GET /api/v1/esp/devices lists those that are"
            )
        return device

    def sensors_of(self, esp_id: str) -> Sequence[SensorSetup]:
        """What is set up on a device; nothing on one that nobody knows."""
        device = self._devices.get(esp_id)
        return () if device is None else device.record.sensors

    def zone_of(self, esp_id: str) -> str | None:
        """The zone that a device is in now; None where it is in none."""
        device = self._devices.get(esp_id)
        return None if device is None else device.zone_id or None

    def view(self, esp_id: str) -> DeviceView | None:
        """A device as control sees it; None where nobody knows it, or it was deleted."""
        device = self._devices.get(esp_id)
        if device is None or device.record.standing is Standing.DELETED:
            return None
        return view_of(device.state, self._clock())

    def views(self) -> list[DeviceView]:
        """All of them that are not deleted, by id."""
        now = self._clock()
        return [
            view_of(device.state, now)
            for device in self.devices()
            if device.record.standing is not Standing.DELETED
        ]

    def flapping(self, device: Device) -> bool:
        """Whether it has lost its connection more than once within the last minutes."""
        return device.state.flapping(self._clock())

    def heartbeat_ms(self, device: Device) -> int | None:
        """When its last heartbeat came, Unix ms by our clock; None: not since it is there."""
        age_s = self._clock() - device.live.heartbeat_at
        return self._wall_ms() - round(1000 * age_s) if math.isfinite(age_s) else None

    def skew_s(self, device: Device) -> float | None:
        """How far its clock was ahead of ours at its last heartbeat, seconds; None: not known, or it says itself
        that it does not know the time. The heartbeat's way to us counts as lag; it says whole seconds."""
        beat, came_ms = device.live.heartbeat, self.heartbeat_ms(device)
        claimed = 0 if beat is None else claimed_ms(beat.ts, beat.time_valid)
        return (claimed - came_ms) / 1000 if claimed and came_ms is not None else None

    def statistics(self) -> FleetStatistics:
        devices = [one for one in self._devices.values() if one.status is not DeviceStatus.DELETED]
        now = self._clock()
        lanes = [device.live.lane for device in devices]
        return FleetStatistics(
            devices=len(devices),
            online=sum(device.online for device in devices),
            offline=sum(not device.online for device in devices),
            pending_approval=sum(device.status is DeviceStatus.PENDING_APPROVAL for device in devices),
            rejected=sum(device.status is DeviceStatus.REJECTED for device in devices),
            flapping=sum(device.state.flapping(now) for device in devices),
            heartbeats=self._heartbeats,
            acknowledged=self._acknowledged,
            unacknowledged=self._unacknowledged,
            kept_company=self._kept_company,
            refused_devices=self._refused,
            events=dict(self._events),
            reports=dict(self._reports),
            transmissions=sum(lane.sent for lane in lanes),
            transmissions_retried=sum(lane.retried for lane in lanes),
            transmissions_failed=sum(lane.failed for lane in lanes),
            in_flight=sum(lane.flight is not None for lane in lanes),
            asked=self._asks.asked,
            asks_unanswered=self._asks.unanswered,
        )

    # --- what happens ----------------------------------------------------------------------------------------------

    def handle(self, topic: Topic, message: Message | None, now_ms: int) -> None:
        """Takes any message of a device that is not a reading. None: a heartbeat that cannot be read."""
        moment = Moment(self._clock(), now_ms)
        beat = message is None or isinstance(message, Heartbeat)
        device = self._devices.get(topic.esp_id)
        if device is None:
            if isinstance(message, Will):
                return
            device = self._discover(topic, moment)
            if device is None:
                if beat:
                    self._answer_stranger(topic, message, moment)
                return
        self._heartbeats += beat
        self._reports[topic.kind.name.lower()] += 1
        if not isinstance(message, Will):
            device.last_seen_ms = now_ms
            device.heard_at = moment.clock
        if isinstance(message, Heartbeat) and topic.kaiser_id != device.kaiser_id:
            record = msgspec.structs.replace(device.record, kaiser_id=topic.kaiser_id)
            device.state = attrs.evolve(device.state, record=record)
        self._happen(device, Said(message), moment)
        if message is not None:
            self._asks.offer(topic.esp_id, message)

    def seen(self, topic: Topic, now_ms: int) -> None:
        """It sent readings. Called for every delivery: where nothing changes it costs two assignments."""
        device = self._devices.get(topic.esp_id)
        clock = self._clock()
        if device is None:
            device = self._discover(topic, Moment(clock, now_ms))
            if device is None:
                return
        device.last_seen_ms = now_ms
        device.heard_at = clock
        live = device.state.live
        if not live.online or live.deaf or not live.heard_since_approval or live.ready_at == NEVER:
            self._happen(device, Measured(), Moment(clock, now_ms))

    def link_lost(self) -> None:
        """growyd's connection to the broker is gone."""
        self._to_all(LinkLost())

    def link_back(self) -> None:
        """It stands again."""
        self._to_all(LinkBack())

    def tick(self) -> None:
        """To be called every second: silence ends in offline, company is kept, what is due is sent."""
        moment = Moment(self._clock(), self._wall_ms())
        for device in list(self._devices.values()):
            if next_wakeup(device.state, device.heard_at) <= moment.clock:
                lane = device.live.lane
                may_send = (
                    lane.flight is None
                    and lane.idle_for is not device.record
                    and self._pace.take(moment.clock)
                )
                self._happen(device, Tick(device.heard_at, may_send), moment)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ticks until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(TICK_S)
            self.tick()

    def _to_all(self, event: Event) -> None:
        moment = Moment(self._clock(), self._wall_ms())
        for device in list(self._devices.values()):
            self._happen(device, event, moment)

    def _discover(self, topic: Topic, moment: Moment) -> Device | None:
        """None when there are too many devices to take another, or too many new ones at once."""
        if len(self._devices) >= MAX_DEVICES or not self._discovery.take(moment.clock):
            self._refused += 1
            log.once_per("too many devices").warning(
                "device not taken in yet", esp_id=topic.esp_id, known=len(self._devices), limit=MAX_DEVICES
            )
            return None
        kaiser_id = "god" if topic.kind in HARD_WIRED_TO_GOD else topic.kaiser_id
        state, effects = discovered(topic.esp_id, kaiser_id, moment)
        device = Device(first_seen_ms=moment.wall_ms, last_seen_ms=moment.wall_ms, state=state)
        self._devices[topic.esp_id] = device
        log.info("device discovered", esp_id=topic.esp_id)
        if self._auto_approve:
            # Before anybody is told, so that it is never seen to wait.
            state, more = step(state, Decided(Standing.APPROVED, "auto_approve"), moment)
            device.state = state
            effects += more
        self._carry_out(device, effects, moment)
        self._on_change(device.esp_id)
        return device

    def _answer_stranger(self, topic: Topic, message: Message | None, moment: Moment) -> None:
        """A device that is not taken in yet is answered all the same: it would beat every 5 s and publish nothing."""
        epoch = message.active_handover_epoch or 0 if isinstance(message, Heartbeat) else 0
        payload = heartbeat_ack("unchanged", epoch, moment.wall_ms // 1000)
        self._heartbeats += 1
        if self._send(topic_names.heartbeat_ack(topic.kaiser_id, topic.esp_id), payload):
            self._acknowledged += 1
        else:
            self._unacknowledged += 1

    # --- what is done ----------------------------------------------------------------------------------------------

    def _happen(self, device: Device, event: Event, moment: Moment) -> None:
        before = device.state
        if (
            self._auto_approve
            and device.record.standing is Standing.PENDING
            and isinstance(event, Said | Measured)
        ):
            device.state, effects = step(device.state, Decided(Standing.APPROVED, "auto_approve"), moment)
            self._carry_out(device, effects, moment)
        device.state, effects = step(device.state, event, moment)
        self._carry_out(device, effects, moment, asked=isinstance(event, Said))
        if differs(before, device.state):
            self._on_change(device.esp_id)
        if device.state.record is not before.record:
            waiting = self._changes.pop(device.esp_id, None)
            if waiting is not None:
                waiting.set()

    def _carry_out(
        self, device: Device, effects: Sequence[Effect], moment: Moment, *, asked: bool = False
    ) -> None:
        for effect in effects:
            match effect:
                case Acknowledge(status, epoch):
                    self._acknowledge(device, status, epoch, moment, asked)
                case Send(topic, payload):
                    # One that finds no room is like one that was lost: its flight ends, and it is tried again.
                    self._send(topic, payload)
                case ClearWill():
                    will = Topic(device.kaiser_id, device.esp_id, TopicKind.WILL, None)
                    self._send(topic_names.device_topic(will), b"", retain=True)
                case SayOnline():
                    if moment.clock - self._said_online_at >= SAY_ONLINE_EVERY_S:
                        self._said_online_at = moment.clock
                        self._say_online()
                case Tell(event, data, correlation_id):
                    self._events[event] += 1
                    self._tell(event, data, correlation_id)
                case Note(entry):
                    self._note(entry)
                case Save():
                    self._dirty.add(device.esp_id)

    def _acknowledge(self, device: Device, status: str, epoch: int, moment: Moment, asked: bool) -> None:
        topic = topic_names.heartbeat_ack(device.kaiser_id, device.esp_id)
        sent = self._send(topic, heartbeat_ack(status, epoch, moment.wall_ms // 1000))
        if not asked:
            self._kept_company += sent
        elif sent:
            self._acknowledged += 1
        else:
            self._unacknowledged += 1

    # --- the journal's side ----------------------------------------------------------------------------------------

    def take_dirty(self) -> list[Device]:
        """Devices that changed since the last call."""
        dirty = [self._devices[esp_id] for esp_id in sorted(self._dirty)]
        self._dirty.clear()
        return dirty

    def mark_dirty(self, devices: Sequence[Device]) -> None:
        """Puts devices back that could not be journaled."""
        self._dirty.update(device.esp_id for device in devices)
