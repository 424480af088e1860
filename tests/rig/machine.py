"""Drives a virtual ESP32 as a broker, a server and a clock would, in virtual time, and remembers all it did."""

from __future__ import annotations

import json
import math
import random
from typing import Any, TypeVar

import attrs

from growy.sim import esp, events
from growy.sim.board import Board
from growy.sim.flash import Nvs, SystemState
from growy.sim.greenhouse import GreenhouseState
from growy.sim.sensing import read
from growy.sim.spec import EspSpec, default_fleet
from growy.sim.state import EspState

T = TypeVar("T")
SPEC = default_fleet(1)[0]
HOUSE = GreenhouseState(time_s=0.0)
T0 = 1000.0
NOW = 1_767_225_600
"""2026-01-01 00:00 UTC."""


@attrs.define
class Machine:
    """One device. `done` holds what it did, with the device second."""

    spec: EspSpec = SPEC
    nvs: Nvs | None = None
    now: float = T0
    state: EspState = attrs.field(init=False)
    done: list[tuple[float, events.Effect]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.state = esp.boot(self.spec, self.now, self.nvs)

    # Driving it.

    def take(self, *happened: events.Event) -> list[events.Effect]:
        effects: list[events.Effect] = []
        for event in happened:
            self.state, some = esp.step(self.state, event, self.now)
            effects.extend(some)
        self.done.extend((self.now, effect) for effect in effects)
        for effect in list(effects):
            match effect:
                case events.Measure(sensor, number):
                    samples = read(sensor, self.spec.sensors, HOUSE, random.Random(0))
                    effects += self.take(events.Measured(sensor, samples, number))
                case events.Subscribe(topic):
                    effects += self.take(events.Subscribed(topic))
                case events.Restart(reset_reason):
                    self.reset(reset_reason)
        return effects

    def run(self, seconds: float) -> list[events.Effect]:
        """Let time pass: a tick whenever the device asked for one."""
        until, effects = self.now + seconds, []
        while (wake := esp.next_wakeup(self.state)) <= until:
            assert wake < math.inf
            self.now = max(self.now, wake)
            effects += self.take(events.Tick())
            assert esp.next_wakeup(self.state) > self.now, "it would spin"
        self.now = until
        return effects

    def reset(self, reset_reason: str = "POWERON") -> None:
        self.state = esp.boot(self.spec, self.now, self.state.board.nvs, reset_reason=reset_reason)

    def hear(self, tail: str, document: object) -> list[events.Effect]:
        """A message on one of its topics."""
        return self.take(events.Received(self.topic(tail), encoded(document)))

    def ack(self, status: str = "approved", epoch: int = 1, **more: Any) -> list[events.Effect]:
        document = {"status": status, "handover_epoch": epoch, "server_time": NOW, **more}
        return self.hear("system/heartbeat/ack", document)

    def echo(self, status: str = "approved") -> list[events.Effect]:
        """The ACK of a server that obeys the epoch rule."""
        return self.ack(status, self.state.handover.active_epoch or 1)

    def server(self, status: str, **more: Any) -> list[events.Effect]:
        body = encoded({"status": status, **more})
        return self.take(events.Received(f"kaiser/{self.board.kaiser_id}/server/status", body))

    def connect(self) -> list[events.Effect]:
        """CONNACK, and the time that all subscriptions take."""
        return [*self.take(events.Connected()), *self.run(3.0)]

    def register(self, status: str = "approved") -> None:
        self.connect()
        self.echo(status)

    def lose(self, *, wifi_lost: bool = False) -> list[events.Effect]:
        return self.take(events.Disconnected(wifi_lost))

    # Reading it.

    @property
    def board(self) -> Board:
        return self.state.board

    @property
    def system_state(self) -> SystemState:
        return self.state.board.state

    def topic(self, tail: str) -> str:
        return f"kaiser/{self.board.kaiser_id}/esp/{self.spec.esp_id}/{tail}"

    def sent(self, tail: str) -> list[tuple[float, dict[str, Any]]]:
        """When and what it published on one of its topics, since the beginning or `forget`."""
        topic = self.topic(tail)
        return [
            (at, json.loads(effect.payload))
            for at, effect in self.done
            if isinstance(effect, events.Publish | events.PublishReading) and effect.topic == topic
        ]

    def said(self, tail: str) -> list[dict[str, Any]]:
        return [document for _, document in self.sent(tail)]

    def outcomes(self) -> list[tuple[str, str]]:
        """(outcome, code) of everything on `system/intent_outcome`."""
        return [(o["outcome"], o["code"]) for o in self.said("system/intent_outcome")]

    def forget(self) -> None:
        self.done.clear()

    def output(self, gpio: int) -> bool:
        """Whether the device believes this actuator to be on."""
        found = self.board.actuator(gpio)
        assert found is not None
        return found.on


def encoded(document: object) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()


def of_kind(effects: list[events.Effect], kind: type[T]) -> list[T]:
    return [effect for effect in effects if isinstance(effect, kind)]
