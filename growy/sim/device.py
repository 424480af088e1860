"""The shell around one virtual ESP32: feeds events into the state machine, carries its effects out over MQTT, and
holds what a person could do to a board: its switch, its reset button, its cable, the plugs of its sensors.

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
from growy.sim import esp, events, payload, plant
from growy.sim.flash import Nvs
from growy.sim.house import House
from growy.sim.ledger import Ledger
from growy.sim.link import RECONNECT_S, LastWill, SimLink
from growy.sim.outbox import Budget, Counts, Outbox
from growy.sim.report import DeviceReport
from growy.sim.sensing import read
from growy.sim.spec import EspSpec, SensorSpec
from growy.sim.state import EspState, Session

ATTEMPTS_2025 = 10
"""Then the firmware of 2025-12 gives up until it is switched off and on."""
DRAIN_S = 5.0
"""How long a stopping device waits for outstanding PUBACKs."""


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
        self._budget = budget
        self._seed = seed
        self._reconnect_s = reconnect_s
        self._rng = random.Random(f"{seed}:{spec.esp_id}")
        self._luck = random.Random(f"{seed}:{spec.esp_id}:faults")
        # Totals of the boots that are over; the running one counts in the state and in the link.
        self._counts = Counts()
        self._outbox = Outbox(spec, ledger, budget, self._counts, self._luck)
        self.ack_delays = self._outbox.ack_delays
        """Seconds from a heartbeat to the ACK that came after it, the newest last; 1,000 of them."""
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
        self._unplugged: frozenset[SensorSpec] = frozenset()
        self._wired = spec
        """The device without what is unplugged."""
        self._nvs = spec.flash
        self._state = esp.boot(spec, trio.current_time(), self._nvs)
        self._moved_by = self._state.board.actuators
        """Outputs that the house has been told of."""
        self._drive()
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
            self._drive()
            self._state = attrs.evolve(self._state, session=Session())
            self._outbox.forget()
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

    def unplug(self, gpio: int, sensor_type: str | None = None) -> None:
        """Pull a sensor off its pins: one on a bus no longer answers, an analog input floats.

        Args:
            gpio: its label, as it is configured; of several on a wire all go.
            sensor_type: only this type, where they share the gpio.

        Raises:
            ValueError: the device has no such sensor.
        """
        self._wire(self._unplugged.union(plant.on_gpio(self.spec, gpio, sensor_type)))

    def plug(self, gpio: int, sensor_type: str | None = None) -> None:
        """Put it back; as `unplug`. It answers when it is next asked: once in five minutes after ten failures."""
        self._wire(self._unplugged.difference(plant.on_gpio(self.spec, gpio, sensor_type)))

    def _wire(self, unplugged: frozenset[SensorSpec]) -> None:
        self._unplugged = unplugged
        self._wired = plant.wired(self.spec, unplugged)
        board = attrs.evolve(self._state.board, attached=self._wired.attached)
        self._state = attrs.evolve(self._state, board=board)

    def _drive(self) -> None:
        """Tell the house what the actuators do now."""
        self._moved_by = self._state.board.actuators
        outputs = plant.moved(self.spec.plant, self._state.board, running=self._running)
        self._house.drive(self.spec.esp_id, outputs, trio.current_time())

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
        self._state = esp.boot(self._wired, trio.current_time(), self._nvs, reset_reason=self._next_reset)
        self._counts.boots += 1
        self._later.clear()
        self._running = True
        self._drive()
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
                        await self._outbox.drained()
                    link_scope.cancel()
        finally:
            self._end_boot()

    def _end_boot(self) -> None:
        if self._running:
            self._nvs = self._state.board.nvs
            self._running = False
            self._drive()
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
        if self._state.board.actuators is not self._moved_by:
            self._drive()
        # The timer is now another.
        self._nudge.set()

    def _carry_out(self, effect: events.Effect, now: float) -> events.Event | None:
        match effect:
            case events.PublishReading():
                self._outbox.publish_reading(self._link, effect, now)
            case events.Publish():
                self._outbox.publish(self._link, effect)
            case events.Subscribe(topic, qos):
                self._subscribe(topic, qos)
            case events.Unsubscribe(topic):
                self._link.unsubscribe(topic)
            case events.Measure(sensor, number):
                samples = read(sensor, self._wired.sensors, self._house.at(now), self._rng)
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

    def _struck(self, share: float) -> bool:
        return share > 0.0 and self._luck.random() < share

    # What the link tells. Nothing of it reaches a device whose boot has ended.

    def on_connected(self) -> None:
        self._outbox.connected()
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
            self._outbox.answered()
        self._take(events.Received(topic, body))

    def on_acked(self, mid: int) -> None:
        self._outbox.acked(mid)

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
            last=self._outbox.last_values(),
        )
