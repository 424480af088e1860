"""A device's machine on a bench: virtual time, messages as a device would send them, effects to look at."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import attrs

from growy.fleet.device import State
from growy.fleet.effects import Effect, Event, Said, Send, Tick
from growy.fleet.machine import discovered, step
from growy.model.messages import Heartbeat
from growy.model.time import Moment
from growy.wire.decode import decode
from growy.wire.table import Message
from growy.wire.topics import parse_topic

ESP = "ESP_C0FFEE"
T = TypeVar("T")
WALL_MS = 1_790_000_000_000


def said(tail: str, **fields: object) -> Message:
    """A message as the wire room decodes it."""
    return decode(parse_topic(f"kaiser/god/esp/{ESP}/{tail}"), json.dumps(fields).encode())


def beat(uptime: int = 61, **fields: object) -> Heartbeat:
    """A heartbeat of firmware of 2026-04, configured and operational."""
    message = said(
        "system/heartbeat",
        **{
            "ts": 1_790_000_000,
            "uptime": uptime,
            "heap_free": 118_000,
            "wifi_rssi": -58,
            "sensor_count": 0,
            "actuator_count": 0,
            "boot_sequence_id": f"{ESP}-b1-r1",
            "active_handover_epoch": 0,
            "runtime_state_degraded": False,
        }
        | fields,
    )
    assert isinstance(message, Heartbeat)
    return message


@attrs.define
class Bench:
    """One device; `now` in seconds since the bench was set up."""

    now: float = 0.0
    heard_at: float = 0.0
    state: State = attrs.field(factory=lambda: discovered(ESP, "god", Moment(0.0, WALL_MS))[0])
    out: list[Effect] = attrs.field(factory=list)
    """Effects of the last event."""
    sent: list[Send] = attrs.field(factory=list)

    def take(self, event: Event) -> list[Effect]:
        self.state, self.out = step(self.state, event, Moment(self.now, WALL_MS + int(self.now * 1000)))
        self.sent += self.of(Send)
        return self.out

    def hear(self, message: Message | None) -> list[Effect]:
        self.heard_at = self.now
        return self.take(Said(message))

    def tick(self, seconds: float = 0.0) -> list[Effect]:
        self.now += seconds
        return self.take(Tick(self.heard_at, may_send=True))

    def of(self, kind: type[T]) -> list[T]:
        """Effects of this kind of the last event."""
        return [effect for effect in self.out if isinstance(effect, kind)]

    def document(self) -> Any:
        """The payload of what was sent last."""
        return json.loads(self.sent[-1].payload)

    @property
    def flight_id(self) -> str:
        flight = self.state.live.lane.flight
        assert flight is not None
        return flight.correlation_id
