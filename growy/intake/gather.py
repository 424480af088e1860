"""Messages -> columns. Synchronous and lean: this runs for every message, on the trio thread."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import attrs
import msgspec

from growy.broker.link import Delivery
from growy.intake.outcomes import MessageOutcome, Outcomes
from growy.intake.replay import Boots, ReplayFilter
from growy.intake.slots import Slots
from growy.model.errors import WireError
from growy.model.messages import Heartbeat, PiEnhancedRequest, SensorBatch, SensorData, Will
from growy.model.reading import NO_SEQ
from growy.model.time import claimed_ms, measured_at
from growy.ops.log import get_log
from growy.store.deadletters import DeadLetter
from growy.wire.decode import decode, decode_sensor_data
from growy.wire.table import Message
from growy.wire.topics import Topic, TopicKind, device_topic, parse_topic

log = get_log(__name__)

MAX_ROUTES = 10_000
"""Topics remembered. Who invents topics must not fill the memory; beyond, topics are parsed each time."""

DONE = b""
"""The topic of a message that somebody else has dealt with: only its acknowledgement waits, in its place."""
MAX_LETTERS = 1000
"""Dead letters carried to one commit; in a flood the rest is only counted, as the table would drop them again."""

OnEvent: TypeAlias = Callable[[Topic, Message | None, int], None]
"""Takes what is not a reading: (topic, message, Unix ms of receipt). Must not block. None instead of a message is a
heartbeat that cannot be read: it is a dead letter, and yet must be answered."""
OnRequest: TypeAlias = Callable[[Topic, PiEnhancedRequest], bool]
"""Takes a conversion request; False when it cannot take any more now."""
OnSeen: TypeAlias = Callable[[Topic, int], object]
"""Told that a device sent readings: (a topic of it, Unix ms of receipt)."""


@attrs.define(slots=True, eq=False)
class Gathered:
    """Readings on their way to conversion, as lists of equal length, with what is to be acknowledged after them."""

    series: list[int] = attrs.Factory(list)
    ts_ms: list[int] = attrs.Factory(list)
    rx_ms: list[int] = attrs.Factory(list)
    raw: list[float] = attrs.Factory(list)
    seq: list[int] = attrs.Factory(list)
    source: list[int] = attrs.Factory(list)
    local: list[float] = attrs.Factory(list)
    """The device's own value where it says that it converted itself; NaN where we convert."""
    quality: list[int] = attrs.Factory(list)
    """The device's verdict."""
    letters: list[DeadLetter] = attrs.Factory(list)
    acks: list[tuple[int, list[int]]] = attrs.Factory(list)
    """(connection epoch, packet ids), in order of receipt."""
    messages: int = 0
    since: float = math.inf
    """Clock of trio when the oldest of it was received."""


class Gatherer:
    """Decodes deliveries into a `Gathered`.

    Args:
        on_event, on_request: where the other messages go.
        on_seen: told of each device that sent readings, once per delivery.
        not_before_ms: a time that has certainly been, Unix ms. While our clock shows an earlier one it is behind.
    """

    def __init__(
        self,
        slots: Slots,
        replay: ReplayFilter,
        outcomes: Outcomes,
        on_event: OnEvent,
        on_request: OnRequest,
        on_seen: OnSeen,
        not_before_ms: int = 0,
    ) -> None:
        self._not_before_ms = not_before_ms
        self._slots = slots
        self._replay = replay
        self._outcomes = outcomes
        self._on_event = on_event
        self._on_request = on_request
        self._on_seen = on_seen
        self._routes: dict[bytes, Topic] = {}
        self._boots = Boots()

    def gather(self, delivery: Delivery, into: Gathered) -> int:
        """Every message of the delivery ends in exactly one outcome; none raises.

        Returns how many of them must be kept until a commit: those with a packet id, and those with something to
        store. The others, heartbeats above all, are done with, and must never wait for a disk.
        """
        outcomes = self._outcomes
        messages = outcomes.messages
        routes = self._routes
        rx_ms = delivery.received_ms
        mids: list[int] = []
        speakers: dict[str, Topic] = {}
        kept = 0
        done = 0
        for topic_bytes, payload, mid, dup, retain in delivery.messages:
            if not topic_bytes:
                mids.append(mid)
                done += 1
                continue
            before = len(into.series) + len(into.letters)
            try:
                topic = routes.get(topic_bytes)
                if topic is None:
                    topic = self._route(topic_bytes)
                if retain:
                    if topic.kind is TopicKind.WILL:
                        self._retained_will(topic, payload, rx_ms)
                    messages[MessageOutcome.RETAINED] += 1
                elif topic.kind is TopicKind.SENSOR_DATA:
                    reading = decode_sensor_data(payload)
                    speakers[topic.esp_id] = topic
                    new = self._reading(topic_bytes, topic, topic.gpio or 0, reading, dup, rx_ms, into)
                    messages[MessageOutcome.READING if new else MessageOutcome.DUPLICATE] += 1
                else:
                    messages[self._other(topic_bytes, topic, payload, dup, rx_ms, into)] += 1
            except WireError as error:
                messages[MessageOutcome.DEAD_LETTER] += 1
                self._refuse(topic_bytes, payload, rx_ms, error, into)
            if mid:
                mids.append(mid)
                kept += 1
            elif len(into.series) + len(into.letters) > before:
                kept += 1
        kept += done
        outcomes.received += len(delivery.messages) - done
        into.messages += kept
        if mids:
            into.acks.append((delivery.epoch, mids))
        if kept:
            into.since = min(into.since, delivery.received_at)
        for topic in speakers.values():
            self._guarded(self._on_seen, topic, rx_ms)
        return kept

    def _route(self, topic_bytes: bytes) -> Topic:
        topic = parse_topic(topic_bytes)
        if len(self._routes) < MAX_ROUTES:
            self._routes[topic_bytes] = topic
        return topic

    def _reading(
        self,
        topic_bytes: bytes,
        topic: Topic,
        gpio: int,
        m: SensorData,
        dup: bool,
        rx_ms: int,
        into: Gathered,
    ) -> bool:
        """Appends a reading, unless it was here before."""
        slot = self._slots.find(topic_bytes, topic.esp_id, gpio, m, rx_ms)
        claimed = claimed_ms(m.ts, m.time_valid)
        ts_ms, source = measured_at(claimed, rx_ms, our_clock_is_behind=rx_ms < self._not_before_ms)
        seq = NO_SEQ if m.seq is None else m.seq
        raw = m.raw
        boot = 0 if claimed else self._boots.of(topic.esp_id)
        if self._replay.seen(slot.series, seq, claimed, raw, dup=dup, boot=boot):
            self._outcomes.readings_duplicate += 1
            return False
        self._outcomes.readings_received += 1
        into.series.append(slot.series)
        into.ts_ms.append(ts_ms)
        into.rx_ms.append(rx_ms)
        into.raw.append(raw)
        into.seq.append(seq)
        into.source.append(source)
        into.quality.append(m.quality)
        into.local.append(math.nan if m.raw_mode or m.value is None else m.value)
        return True

    def _other(
        self, topic_bytes: bytes, topic: Topic, payload: bytes, dup: bool, rx_ms: int, into: Gathered
    ) -> MessageOutcome:
        try:
            message = decode(topic, payload)
        except WireError:
            if topic.kind is TopicKind.HEARTBEAT:
                self._tell(topic, None, rx_ms)
            raise
        if isinstance(message, SensorBatch):
            self._guarded(self._on_seen, topic, rx_ms)
            return self._batch(topic_bytes, topic, message, payload, dup, rx_ms, into)
        if isinstance(message, PiEnhancedRequest):
            if not self._on_request(topic, message):
                raise WireError("busy", "too many conversion requests wait already")
            return MessageOutcome.REQUEST
        if isinstance(message, Heartbeat):
            self._boots.heard(topic.esp_id, message.uptime)
        self._tell(topic, message, rx_ms)
        return MessageOutcome.EVENT

    def _batch(
        self,
        topic_bytes: bytes,
        topic: Topic,
        batch: SensorBatch,
        payload: bytes,
        dup: bool,
        rx_ms: int,
        into: Gathered,
    ) -> MessageOutcome:
        """A bad reading of a batch costs the others nothing."""
        for refused in batch.refused:
            error = WireError(refused.reason, f"reading {refused.index}: {refused.message}")
            self._refuse(topic_bytes, payload, rx_ms, error, into)
        new = 0
        for reading in batch.readings:
            try:
                new += self._reading(topic_bytes, topic, reading.gpio or 0, reading, dup, rx_ms, into)
            except WireError as error:
                self._refuse(topic_bytes, payload, rx_ms, error, into)
        return MessageOutcome.READING if new else MessageOutcome.DUPLICATE

    def _retained_will(self, topic: Topic, payload: bytes, rx_ms: int) -> None:
        """Old news, but it is there to be taken back: whoever subscribes later would be told of it again."""
        will = decode(topic, payload)
        if isinstance(will, Will):
            self._tell(topic, msgspec.structs.replace(will, retained=True), rx_ms)

    def _tell(self, topic: Topic, message: Message | None, rx_ms: int) -> None:
        if not self._guarded(self._on_event, topic, message, rx_ms):
            raise WireError("handler_fault", "growyd has a fault in handling it; the log has the trace")

    def _guarded(self, take: Callable[..., object], topic: Topic, *more: object) -> bool:
        try:
            take(topic, *more)
        except Exception as error:  # noqa: BLE001
            # One message must never end the intake, whatever is wrong with the code that takes it: the fault is
            # counted and logged with its trace.
            self._outcomes.handler_faults += 1
            log.once_per(("fault", type(error))).error(
                "a message could not be handled", topic=device_topic(topic), exc_info=error
            )
            return False
        return True

    def _refuse(self, topic: bytes, payload: bytes, rx_ms: int, error: WireError, into: Gathered) -> None:
        self._outcomes.dead_letters[error.reason] += 1
        name = topic.decode("utf-8", "replace")
        log.once_per(device_of(name)).warning(
            "message cannot be used", topic=name, reason=error.reason, error=error.message
        )
        if len(into.letters) < MAX_LETTERS:
            into.letters.append(DeadLetter.of(rx_ms, name, payload, error.reason, error.message))


def device_of(topic: str) -> str:
    """The part of a topic that names its sender, for what is said once per source: `kaiser/god/esp/ESP_0A1B2C`."""
    return "/".join(topic.split("/", 4)[:4])
