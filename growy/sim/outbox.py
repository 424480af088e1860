"""What a device sends, on its way to the link: faults strike, losses are counted, readings enter the ledger and wait
for their PUBACK.

It decides nothing that a device decides.
"""

from __future__ import annotations

import math
import random
from collections import deque

import attrs
import trio

from growy.model.errors import PublishFailed
from growy.sim.events import Publish, PublishReading
from growy.sim.ledger import Ledger
from growy.sim.link import SimLink
from growy.sim.report import LastValue
from growy.sim.spec import EspSpec


@attrs.define
class Budget:
    """How many readings may still be published by the devices that share it."""

    left: float = math.inf


@attrs.define
class Counts:
    """Totals of a device over all its boots."""

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


class Outbox:
    """One device's. `counts` is shared with the device."""

    def __init__(
        self, spec: EspSpec, ledger: Ledger, budget: Budget, counts: Counts, luck: random.Random
    ) -> None:
        self._spec = spec
        self._ledger = ledger
        self._budget = budget
        self._counts = counts
        self._luck = luck
        self._last: dict[tuple[int, str, str], LastValue] = {}
        self._pending: dict[int, int | None] = {}
        """Message id of a reading that waits for its PUBACK -> its ticket in the ledger."""
        self._all_acked = trio.Event()
        self.ack_delays: deque[float] = deque(maxlen=1000)
        """Seconds from a heartbeat to the ACK that came after it, the newest last."""
        self._unanswered_at: float | None = None

    def last_values(self) -> tuple[LastValue, ...]:
        """The newest reading of each series."""
        return tuple(self._last.values())

    def publish_reading(self, link: SimLink, effect: PublishReading, now: float) -> None:
        """Send a reading, unless the budget is spent."""
        if self._budget.left <= 0:
            return
        try:
            mid = link.publish(effect.topic, effect.payload, effect.qos, retain=effect.retain)
        except PublishFailed:
            # Either the socket died within this turn or the outbox is full; the firmware loses the reading
            # in both.
            if link.connected:
                self._counts.dropped_outbox += 1
            else:
                self._counts.dropped_offline += 1
            return
        self._budget.left -= 1
        self._counts.published += 1
        self._enter(effect, mid, now)
        if effect.qos:
            self._perhaps_twice(link, effect.topic, effect.payload)

    def _enter(self, effect: PublishReading, mid: int, now: float) -> None:
        """Remember what was published, and wait for its PUBACK where one will come."""
        sensor, sample = effect.sensor, effect.sample
        address = sensor.onewire_address or (str(sensor.i2c_address) if sensor.i2c_address else "")
        ticket = self._ledger.record(
            self._spec.esp_id,
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
        self._last[sensor.gpio, address, sample.sensor_type] = LastValue(
            sensor_type=sample.sensor_type,
            gpio=sensor.gpio,
            address=address,
            raw=sample.raw,
            value=sample.value,
            unit=sample.unit,
            truth=sample.truth,
            truth_unit=sample.truth_unit,
        )

    def publish(self, link: SimLink, effect: Publish) -> None:
        """Send anything else."""
        beat = effect.topic.endswith("/system/heartbeat")
        if beat:
            self._counts.heartbeats += 1
            if self._struck(self._spec.faults.lose_heartbeats):
                return
        try:
            link.publish(effect.topic, effect.payload, effect.qos, retain=effect.retain)
        except PublishFailed:
            self._counts.dropped_messages += 1
            return
        if beat and self._unanswered_at is None:
            self._unanswered_at = trio.current_time()
        if effect.qos:
            self._perhaps_twice(link, effect.topic, effect.payload)

    def connected(self) -> None:
        """A new connection: no heartbeat of the old one is answered any more."""
        self._unanswered_at = None

    def answered(self) -> None:
        """A heartbeat ACK arrived."""
        if self._unanswered_at is not None:
            self.ack_delays.append(trio.current_time() - self._unanswered_at)
            self._unanswered_at = None

    def _perhaps_twice(self, link: SimLink, topic: str, body: bytes) -> None:
        if not self._struck(self._spec.faults.duplicate):
            return
        try:
            link.publish(topic, body, 1)
        except PublishFailed:
            return  # the first one counts

    def _struck(self, share: float) -> bool:
        return share > 0.0 and self._luck.random() < share

    def acked(self, mid: int) -> None:
        """A PUBACK."""
        if mid not in self._pending:
            return
        ticket = self._pending.pop(mid)
        self._counts.acked += 1
        if ticket is not None:
            self._ledger.acked(ticket, trio.current_time())
        if not self._pending:
            self._all_acked.set()

    def forget(self) -> None:
        """A reset: nobody waits any longer for what was on its way."""
        self._counts.lost_in_reset += len(self._pending)
        self._pending.clear()

    async def drained(self) -> None:
        """Until every reading has its PUBACK."""
        while self._pending:
            self._all_acked = trio.Event()
            await self._all_acked.wait()
