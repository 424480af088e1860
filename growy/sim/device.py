"""The shell around one virtual ESP32: feeds events into the state machine, carries its effects out over MQTT, and
holds what a person could do to a board: its switch, its reset button, its cable.

It decides nothing that a device decides. Counting, the ledger, the greenhouse, the clock and the faults of the
surroundings are its business; the order of messages, the gate and the timing are the state machine's.
"""

from __future__ import annotations

import heapq
import math
import random
import time
from collections import deque
from collections.abc import Callable
from itertools import count

import attrs
import trio

from growy.config import BrokerUrl
from growy.model.errors import PublishFailed
from growy.sim import esp, events, payload
from growy.sim.flash import Nvs
from growy.sim.house import House
from growy.sim.ledger import Ledger
from growy.sim.link import RECONNECT_S, LastWill, SimLink
from growy.sim.report import DeviceReport, LastValue
from growy.sim.sensing import Sample, read
from growy.sim.spec import EspSpec
from growy.sim.state import EspState, Session

ATTEMPTS_2025 = 10
"""Then the firmware of 2025-12 gives up until it is switched off and on."""
DRAIN_S = 5.0
"""How long a stopping device waits for outstanding PUBACKs."""


@attrs.define
class Budget:
    """How many readings may still be published by the devices that share it."""

    left: float = math.inf


@attrs.define
class _Counts:
    boots: int = 0
    published: int = 0
    acked: int = 0
    dropped_offline: int = 0
    dropped_gate: int = 0
    dropped_outbox: int = 0
    dropped_messages: int = 0
    lost_in_reset: int = 0
    heartbeats: int = 0
    acks_accepted: int = 0
    acks_refused: int = 0
    connects: int = 0
    failures: int = 0


class SimDevice:
    """One device of a fleet. `run` is its whole life; the rest may be called at any time, and returns at once."""

    def __init__(
        self,
        spec: EspSpec,
        broker: BrokerUrl,
        house: House,
        ledger: Ledger,
        budget: Budget,
        seed: int,
        reconnect_s: float = RECONNECT_S,
    ) -> None:
        self.spec = spec
        self._broker = broker
        self._house = house
        self._ledger = ledger
        self._budget = budget
        self._seed = seed
        self._reconnect_s = reconnect_s
        self._rng = random.Random(f"{seed}:{spec.esp_id}")
        self._luck = random.Random(f"{seed}:{spec.esp_id}:faults")
        # Totals of the boots that are over; the running one counts in the state and in the link.
        self._counts = _Counts()
        self._last: dict[tuple[int, str, str], LastValue] = {}
        self.ack_delays: deque[float] = deque(maxlen=1000)
        """Seconds from a heartbeat to the ACK that came after it, the newest last."""
        self._unanswered_at: float | None = None
        self._pending: dict[int, int | None] = {}
        """Message id of a reading that waits for its PUBACK -> its ticket in the ledger."""
        self._all_acked = trio.Event()
        self._stop = trio.Event()
        self._nudge = trio.Event()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._powered = True
        self._plugged = True
        self._running = False
        self._over = trio.Event()
        """Set when the running boot is to end without a word: power gone, or a reset."""
        self._next_reset = "POWERON"
        self._nvs = spec.flash
        self._state = esp.boot(spec, trio.current_time(), self._nvs)
        self._link = self._new_link()

    # What a person, or a test, does to it.

    @property
    def state(self) -> EspState:
        """Everything the device remembers now: `board` (flash, sensors, outputs, state), `session`, `handover`."""
        return self._state

    @property
    def nvs(self) -> Nvs:
        """Its flash."""
        return self._state.board.nvs if self._running else self._nvs

    @nvs.setter
    def nvs(self, nvs: Nvs) -> None:
        """Flash it, while its power is off; else it has no effect."""
        self._nvs = nvs

    @property
    def powered(self) -> bool:
        return self._powered

    def stop(self) -> None:
        """Produce no more; `run` then drains and ends."""
        self._stop.set()
        self._nudge.set()

    def reboot(self, reset_reason: str = "SW") -> None:
        """Reset it: RAM and connection are gone, the flash stays. `reset_reason` is one of
        `payload.RESET_REASONS`."""
        if reset_reason not in payload.RESET_REASONS:
            raise ValueError(f"{reset_reason!r} is no reset reason: {', '.join(payload.RESET_REASONS)}")
        self._next_reset = reset_reason
        self._halt()

    def power_off(self) -> None:
        """Take its power away: nothing is said, the broker publishes the last will."""
        self._powered = False
        self._halt()

    def _halt(self) -> None:
        """In the middle of whatever it did."""
        if self._running:
            self._nvs = self._state.board.nvs
            self._running = False
            self._state = attrs.evolve(self._state, session=Session())
            self._link.cut()
        self._over.set()
        self._nudge.set()

    def power_on(self) -> None:
        """Give it power again, if it has none."""
        if not self._powered:
            self._powered = True
            self._next_reset = "POWERON"
            self._nudge.set()

    def pull_cable(self) -> None:
        """Cut it off from the broker, without a goodbye and until `plug_in`; it goes on running."""
        self._plugged = False
        self._link.unplug()

    def plug_in(self) -> None:
        self._plugged = True
        self._link.plug()

    # Its life.

    async def run(self, delay_s: float) -> None:
        """Boot after `delay_s`, connect, measure until `stop`; then wait up to 5 s for PUBACKs and
        disconnect cleanly.

        Cancellation ends it in the same way: what has been published still gets its chance to be
        acknowledged.
        """
        with trio.move_on_after(delay_s):
            await self._stop.wait()
            return
        while not self._stop.is_set():
            if self._powered:
                await self._one_boot()
            else:
                self._nudge = trio.Event()
                await self._nudge.wait()

    async def _one_boot(self) -> None:
        self._over = trio.Event()
        self._state = esp.boot(self.spec, trio.current_time(), self._nvs, reset_reason=self._next_reset)
        self._counts.boots += 1
        self._later.clear()
        self._running = True
        if not self.spec.faults.clock_unknown:
            # The clock came by SNTP while WiFi connected.
            self._take(events.ClockSet(time.time()))
        if self.spec.faults.reboot_every_s is not None:
            self._after(self.spec.faults.reboot_every_s, lambda: self.reboot("PANIC"))
        self._link = self._new_link()
        # Shielded, because draining needs the link; ended below, whatever happens.
        link_scope = trio.CancelScope(shield=True)
        try:
            async with trio.open_nursery() as nursery:
                if self._state.board.nvs.wifi_configured:
                    nursery.start_soon(self._keep_link, link_scope)
                try:
                    await self._produce()
                finally:
                    with trio.move_on_after(DRAIN_S, shield=True):
                        await self._drain()
                    link_scope.cancel()
        finally:
            self._end_boot()

    def _end_boot(self) -> None:
        if self._running:
            self._nvs = self._state.board.nvs
            self._running = False
        counts, state = self._counts, self._state
        counts.acks_accepted += state.acks_accepted
        counts.acks_refused += state.acks_refused
        counts.connects += self._link.connects
        counts.failures += self._link.failures
        self._link.connects = self._link.failures = 0
        self._state = attrs.evolve(state, acks_accepted=0, acks_refused=0, session=Session())

    def _new_link(self) -> SimLink:
        spec, kaiser_id = self.spec, self._nvs.kaiser_id
        boot_ts = 0 if self._state.clock_offset_s is None else int(time.time())
        body = (
            payload.will_2025(boot_ts=boot_ts)
            if self._state.old
            else payload.will(spec.esp_id, boot_ts=boot_ts)
        )
        link = SimLink(
            self._broker,
            spec.esp_id,
            LastWill(topic=payload.device_prefix(kaiser_id, spec.esp_id) + "system/will", payload=body),
            self,
            random.Random(f"{self._seed}:{spec.esp_id}:link:{self._counts.boots}"),
            self._reconnect_s,
            ATTEMPTS_2025 if self._state.old else None,
        )
        if not self._plugged:
            link.unplug()
        return link

    async def _keep_link(self, scope: trio.CancelScope) -> None:
        with scope:
            await self._link.run()

    async def _produce(self) -> None:
        while not (self._stop.is_set() or self._over.is_set()):
            self._nudge = trio.Event()
            due = self._later[0][0] if self._later else math.inf
            with trio.move_on_at(min(due, esp.next_wakeup(self._state))):
                await self._nudge.wait()
            while self._later and self._later[0][0] <= trio.current_time():
                heapq.heappop(self._later)[2]()
            if not (self._stop.is_set() or self._over.is_set()):
                self._take(events.Tick())

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it later, unless the boot has ended by then."""
        heapq.heappush(self._later, (trio.current_time() + seconds, next(self._order), action))
        self._nudge.set()

    async def _drain(self) -> None:
        if not self._running:
            # A reset: what waits for its PUBACK is forgotten.
            self._counts.lost_in_reset += len(self._pending)
            self._pending.clear()
        while self._pending:
            self._all_acked = trio.Event()
            await self._all_acked.wait()

    def _take(self, event: events.Event) -> None:
        """Run an event and what follows from it. Synchronous, because the link's callbacks call it too."""
        now = trio.current_time()
        waiting = deque((event,))
        while waiting:
            self._state, effects = esp.step(self._state, waiting.popleft(), now)
            for effect in effects:
                answer = self._carry_out(effect, now)
                if answer is not None:
                    waiting.append(answer)
        # The timer is now another.
        self._nudge.set()

    def _carry_out(self, effect: events.Effect, now: float) -> events.Event | None:
        match effect:
            case events.PublishReading():
                self._publish_reading(effect, now)
            case events.Publish():
                self._publish(effect)
            case events.Subscribe(topic, qos):
                self._subscribe(topic, qos)
            case events.Unsubscribe(topic):
                self._link.unsubscribe(topic)
            case events.Measure(sensor, number):
                samples = read(sensor, self.spec.sensors, self._house.at(now), self._rng)
                if self._budget.left > 0 or number:
                    return events.Measured(sensor, samples, number)
            case events.DroppedOffline():
                self._counts.dropped_offline += 1
            case events.DroppedAtGate():
                self._counts.dropped_gate += 1
            case events.Dropped():
                self._counts.dropped_messages += 1
            case events.Restart(reset_reason):
                self.reboot(reset_reason)
        return None

    def _subscribe(self, topic: str, qos: int) -> None:
        delay_s = self.spec.faults.suback_delay_s
        if delay_s:
            self._after(delay_s, lambda: self._link.subscribe(topic, qos))
        else:
            self._link.subscribe(topic, qos)

    def _publish_reading(self, effect: events.PublishReading, now: float) -> None:
        if self._budget.left <= 0:
            return
        try:
            mid = self._link.publish(effect.topic, effect.payload, effect.qos, retain=effect.retain)
        except PublishFailed:
            # Either the socket died within this turn or the outbox is full; the firmware loses the reading
            # in both.
            if self._link.connected:
                self._counts.dropped_outbox += 1
            else:
                self._counts.dropped_offline += 1
            return
        self._budget.left -= 1
        self._counts.published += 1
        self._enter(effect, mid, now)
        if effect.qos:
            self._perhaps_twice(effect.topic, effect.payload)

    def _enter(self, effect: events.PublishReading, mid: int, now: float) -> None:
        """Remember what was published, and wait for its PUBACK where one will come."""
        sensor, sample = effect.sensor, effect.sample
        address = sensor.onewire_address or (str(sensor.i2c_address) if sensor.i2c_address else "")
        ticket = self._ledger.record(
            self.spec.esp_id,
            self._counts.boots,
            effect.seq,
            sensor.gpio,
            sample.sensor_type,
            address,
            sample.raw,
            now,
        )
        if effect.qos:
            self._pending[mid] = ticket
        else:
            self._counts.acked += 1
            if ticket is not None:
                self._ledger.acked(ticket, now)
        self._last[sensor.gpio, address, sample.sensor_type] = _last_value(effect, address, sample)

    def _publish(self, effect: events.Publish) -> None:
        beat = effect.topic.endswith("/system/heartbeat")
        if beat:
            self._counts.heartbeats += 1
            if self._struck(self.spec.faults.lose_heartbeats):
                return
        try:
            self._link.publish(effect.topic, effect.payload, effect.qos, retain=effect.retain)
        except PublishFailed:
            self._counts.dropped_messages += 1
            return
        if beat and self._unanswered_at is None:
            self._unanswered_at = trio.current_time()
        if effect.qos:
            self._perhaps_twice(effect.topic, effect.payload)

    def _perhaps_twice(self, topic: str, body: bytes) -> None:
        if not self._struck(self.spec.faults.duplicate):
            return
        try:
            self._link.publish(topic, body, 1)
        except PublishFailed:
            return  # the first one counts

    def _struck(self, share: float) -> bool:
        return share > 0.0 and self._luck.random() < share

    # What the link tells. Nothing of it reaches a device whose boot has ended.

    def on_connected(self) -> None:
        self._unanswered_at = None
        if self._running:
            self._take(events.Connected())

    def on_lost(self) -> None:
        if self._running:
            self._take(events.Disconnected(wifi_lost=not self._plugged))

    def on_failed(self) -> None:
        self.on_lost()

    def on_subscribed(self, topic: str) -> None:
        if self._running:
            self._take(events.Subscribed(topic))

    def on_message(self, topic: str, body: bytes) -> None:
        if not self._running:
            return
        if topic.endswith("/system/heartbeat/ack"):
            if self._struck(self.spec.faults.lose_acks):
                return
            if self._unanswered_at is not None:
                self.ack_delays.append(trio.current_time() - self._unanswered_at)
                self._unanswered_at = None
        self._take(events.Received(topic, body))

    def on_acked(self, mid: int) -> None:
        if mid not in self._pending:
            return
        ticket = self._pending.pop(mid)
        self._counts.acked += 1
        if ticket is not None:
            self._ledger.acked(ticket, trio.current_time())
        if not self._pending:
            self._all_acked.set()

    def statistics(self) -> DeviceReport:
        counts, state = self._counts, self._state
        return DeviceReport(
            esp_id=self.spec.esp_id,
            name=self.spec.name,
            zone_id=state.board.nvs.zone_id,
            powered=self._powered,
            connected=state.connected,
            registered=state.registered,
            system_state=state.board.state.name,
            mode=state.mode.value,
            handover_epoch=state.handover.active_epoch,
            boots=counts.boots,
            published=counts.published,
            acked=counts.acked,
            dropped_offline=counts.dropped_offline,
            dropped_gate=counts.dropped_gate,
            dropped_outbox=counts.dropped_outbox,
            dropped_messages=counts.dropped_messages,
            lost_in_reset=counts.lost_in_reset,
            heartbeats=counts.heartbeats,
            acks_accepted=counts.acks_accepted + state.acks_accepted,
            acks_refused=counts.acks_refused + state.acks_refused,
            last_ack_refusal=state.last_ack_refusal,
            connects=counts.connects + self._link.connects,
            connect_failures=counts.failures + self._link.failures,
            last_error=self._link.last_error,
            last=tuple(self._last.values()),
        )


def _last_value(effect: events.PublishReading, address: str, sample: Sample) -> LastValue:
    return LastValue(
        sensor_type=sample.sensor_type,
        gpio=effect.sensor.gpio,
        address=address,
        raw=sample.raw,
        value=sample.value,
        unit=sample.unit,
        truth=sample.truth,
        truth_unit=sample.truth_unit,
    )
