"""One turn of the machine: the state while an event works on it, and the effects that come of it. Here messages are
numbered and meet the registration gate.

`step` makes a turn, its parts pass it around, and what they leave behind is frozen again. Nothing keeps a turn.
"""

from __future__ import annotations

import attrs

from growy.sim import payload
from growy.sim.board import Board, Ctx, Reply, TrackedError
from growy.sim.events import Dropped, Effect, Publish
from growy.sim.handover import Handover
from growy.sim.payload_health import system_error
from growy.sim.state import EspState, Session

LIFECYCLE = "system/intent_outcome/lifecycle"
ERROR_THROTTLE_S = 60.0
ERROR_SLOTS = 32


def passes_closed_gate(topic: str) -> bool:
    """The firmware's exceptions, which are tests for parts of the topic."""
    return (
        ("/system/heartbeat" in topic and "/heartbeat/ack" not in topic)
        or any(
            part in topic
            for part in (
                "/config_response",
                "/zone/ack",
                "/subzone/ack",
                "/system/command/response",
                "/error",
            )
        )
        or (("/actuator/" in topic or "/sensor/" in topic) and "/response" in topic)
    )


@attrs.define
class Turn:
    """The state of a device during one step, at device second `now`."""

    state: EspState
    now: float
    effects: list[Effect] = attrs.field(factory=list)

    @property
    def board(self) -> Board:
        return self.state.board

    @board.setter
    def board(self, board: Board) -> None:
        self.state = attrs.evolve(self.state, board=board)

    @property
    def session(self) -> Session:
        return self.state.session

    @session.setter
    def session(self, session: Session) -> None:
        self.state = attrs.evolve(self.state, session=session)

    @property
    def handover(self) -> Handover:
        return self.state.handover

    @handover.setter
    def handover(self, handover: Handover) -> None:
        self.state = attrs.evolve(self.state, handover=handover)

    @property
    def ctx(self) -> Ctx:
        return self.state.ctx(self.now)

    @property
    def ts(self) -> int:
        """Unix seconds for a payload, 0 while the clock is unknown."""
        return int(self.state.unix_time(self.now))

    def next_seq(self) -> int:
        """The number of the message that is being built; it is used up even if the message is lost."""
        self.state = attrs.evolve(self.state, seq=self.state.seq + 1)
        return self.state.seq

    def topic(self, tail: str, *, under_god: bool = False) -> str:
        board = self.state.board
        return payload.device_prefix("god" if under_god else board.kaiser_id, board.esp_id) + tail

    def publish(self, tail: str, body: bytes, qos: int, *, under_god: bool = False) -> bool:
        """Send a message if there is a broker and the gate lets it; whether it was sent."""
        topic = self.topic(tail, under_god=under_god)
        state = self.state
        if not state.session.connected or not (state.gate_open or passes_closed_gate(topic)):
            self.effects.append(Dropped(topic))
            return False
        self._send(topic, body, qos)
        return True

    def bypass(self, tail: str, body: bytes, qos: int, *, under_god: bool = False) -> None:
        """Send a message that does not go through the gate; without a broker it is lost."""
        topic = self.topic(tail, under_god=under_god)
        if self.state.session.connected:
            self._send(topic, body, qos)
        else:
            self.effects.append(Dropped(topic))

    def _send(self, topic: str, body: bytes, qos: int) -> None:
        if self.state.old and qos:
            # The library's third argument is `retained`; the firmware of 2025-12 hands it the QoS.
            self.effects.append(Publish(topic, body, 0, retain=True))
        else:
            self.effects.append(Publish(topic, body, qos))

    def reply(self, reply: Reply) -> None:
        """Send what a part of the board says, numbered now."""
        body = reply.body(self.next_seq() if reply.numbered else 0)
        self.publish(reply.topic_tail, body, reply.qos, under_god=reply.under_god)

    def error(self, error: TrackedError) -> None:
        """Count an error and publish it, at most one a minute per slot, and none in the first minute."""
        state, slot = self.state, error.code % ERROR_SLOTS
        self.state = attrs.evolve(state, error_count=state.error_count + 1)
        if state.old or self.now - state.errors.get(slot, state.boot_at) < ERROR_THROTTLE_S:
            return
        self.state = attrs.evolve(self.state, errors={**state.errors, slot: self.now})
        body = system_error(self.board.esp_id, error, ts=self.ts, uptime_ms=state.uptime_ms(self.now))
        self.publish("system/error", body, 0)
