"""The shell around one virtual ESP32: feeds events into the state machine and carries its effects out over
MQTT.

It decides nothing that a device decides. Counting, the ledger, the greenhouse and the clock are its
business; the order of messages, the gate and the timing are the state machine's.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque

import attrs
import trio

from growy.config import BrokerUrl
from growy.model.errors import PublishFailed
from growy.sim import esp, payload
from growy.sim.house import House
from growy.sim.ledger import Ledger
from growy.sim.link import LastWill, SimLink
from growy.sim.report import DeviceReport, LastValue
from growy.sim.sensing import measure
from growy.sim.spec import EspSpec, SensorSpec

DRAIN_S = 5.0
"""How long a stopping device waits for outstanding PUBACKs."""


@attrs.define
class Budget:
    """How many readings may still be published by the devices that share it."""

    left: float = math.inf


@attrs.define
class _Counts:
    published: int = 0
    acked: int = 0
    dropped_offline: int = 0
    dropped_gate: int = 0
    dropped_outbox: int = 0
    heartbeats: int = 0


class SimDevice:
    """One device of a fleet. `run` is its whole life; `statistics` may be asked at any time."""

    def __init__(
        self, spec: EspSpec, broker: BrokerUrl, house: House, ledger: Ledger, budget: Budget, seed: int
    ) -> None:
        self.spec = spec
        self._house = house
        self._ledger = ledger
        self._budget = budget
        self._rng = random.Random(f"{seed}:{spec.esp_id}")
        self._counts = _Counts()
        self._last: dict[tuple[int, str], LastValue] = {}
        self._pending: dict[int, int | None] = {}
        """Message id of a reading that waits for its PUBACK -> its ticket in the ledger."""
        self._all_acked = trio.Event()
        self._stop = trio.Event()
        self._nudge = trio.Event()
        self._state = esp.boot(spec, 0.0)
        body = payload.will(spec, boot_ts=int(time.time()))
        self._link = SimLink(
            broker,
            spec.esp_id,
            LastWill(topic=payload.will_topic(spec), payload=body),
            self,
            random.Random(f"{seed}:{spec.esp_id}:link"),
        )

    def stop(self) -> None:
        """Produce no more; `run` then drains and ends."""
        self._stop.set()
        self._nudge.set()

    async def run(self, delay_s: float) -> None:
        """Boot after `delay_s`, connect, measure until `stop`; then wait up to 5 s for PUBACKs and
        disconnect cleanly.

        Cancellation ends it in the same way: what has been published still gets its chance to be
        acknowledged.
        """
        with trio.move_on_after(delay_s):
            await self._stop.wait()
            return
        self._state = esp.boot(self.spec, trio.current_time())
        # The clock came by SNTP while WiFi connected.
        self._take(esp.ClockSet(time.time()))
        # Shielded, because draining needs the link; ended below, whatever happens.
        link_scope = trio.CancelScope(shield=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_link, link_scope)
            try:
                await self._produce()
            finally:
                with trio.move_on_after(DRAIN_S, shield=True):
                    await self._drain()
                link_scope.cancel()

    async def _keep_link(self, scope: trio.CancelScope) -> None:
        with scope:
            await self._link.run()

    async def _produce(self) -> None:
        while not self._stop.is_set():
            self._nudge = trio.Event()
            with trio.move_on_at(esp.next_wakeup(self._state)):
                await self._nudge.wait()
            if not self._stop.is_set():
                self._take(esp.Tick())

    async def _drain(self) -> None:
        while self._pending:
            self._all_acked = trio.Event()
            await self._all_acked.wait()

    def _take(self, event: esp.Event) -> None:
        """Run an event and what follows from it. Synchronous, because the link's callbacks call it too."""
        now = trio.current_time()
        events = deque((event,))
        while events:
            self._state, effects = esp.step(self._state, events.popleft(), now)
            for effect in effects:
                match effect:
                    case esp.PublishReading():
                        self._publish_reading(effect, now)
                    case esp.Publish(topic, body, qos):
                        self._publish(topic, body, qos)
                    case esp.Subscribe(topic, qos):
                        self._link.subscribe(topic, qos)
                    case esp.Measure(index):
                        if self._budget.left > 0:
                            sensor = self.spec.sensors[index]
                            events.append(
                                esp.Measured(index, measure(sensor, self._house.at(now), self._rng))
                            )
                    case esp.DroppedOffline():
                        self._counts.dropped_offline += 1
                    case esp.DroppedAtGate():
                        self._counts.dropped_gate += 1
        # The timer is now another.
        self._nudge.set()

    def _publish_reading(self, effect: esp.PublishReading, now: float) -> None:
        if self._budget.left <= 0:
            return
        try:
            mid = self._link.publish(effect.topic, effect.payload, 1)
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
        sensor, sample = self.spec.sensors[effect.index], effect.sample
        address = _address(sensor)
        self._pending[mid] = self._ledger.record(
            self.spec.esp_id,
            self._state.boot_count,
            effect.seq,
            sensor.gpio,
            sample.sensor_type,
            address,
            sample.raw,
            now,
        )
        self._last[effect.index, sample.sensor_type] = LastValue(
            sensor_type=sample.sensor_type,
            gpio=sensor.gpio,
            address=address,
            raw=sample.raw,
            value=sample.value,
            unit=sample.unit,
            truth=sample.truth,
            truth_unit=sample.truth_unit,
        )

    def _publish(self, topic: str, body: bytes, qos: int) -> None:
        try:
            self._link.publish(topic, body, qos)
        except PublishFailed:
            return  # the next connect announces and beats again
        self._counts.heartbeats += qos == 0

    # What the link tells.

    def on_connected(self) -> None:
        self._take(esp.Connected())

    def on_lost(self) -> None:
        self._take(esp.Disconnected())

    def on_subscribed(self, topic: str) -> None:
        self._take(esp.Subscribed(topic))

    def on_message(self, topic: str, body: bytes) -> None:
        self._take(esp.Received(topic, body))

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
            zone_id=self.spec.zone_id,
            connected=state.connected,
            registered=state.registered,
            published=counts.published,
            acked=counts.acked,
            dropped_offline=counts.dropped_offline,
            dropped_gate=counts.dropped_gate,
            dropped_outbox=counts.dropped_outbox,
            heartbeats=counts.heartbeats,
            acks_accepted=state.acks_accepted,
            acks_refused=state.acks_refused,
            last_ack_refusal=state.last_ack_refusal,
            connects=self._link.connects,
            connect_failures=self._link.failures,
            last_error=self._link.last_error,
            last=tuple(self._last.values()),
        )


def _address(sensor: SensorSpec) -> str:
    if sensor.onewire_address is not None:
        return sensor.onewire_address
    return "" if sensor.i2c_address is None else str(sensor.i2c_address)
