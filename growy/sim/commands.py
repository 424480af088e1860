"""Messages from the server: who of the board gets them, and what becomes of the answers. Works on a turn."""

from __future__ import annotations

from growy.sim import payload, registration
from growy.sim.events import Received
from growy.sim.intents import MESSAGE_BYTES, replay
from growy.sim.sensing import Sample
from growy.sim.session import HEARTBEAT_ACK
from growy.sim.state import EspState
from growy.sim.turn import Turn


def wakeup(state: EspState) -> float:
    return min(state.replay_at, state.push_done_at, state.paused_until, state.restart_at)


def tick(turn: Turn) -> None:
    """What is due of what the server asked for."""
    if turn.now >= turn.state.replay_at:
        replay(turn)


def received(turn: Turn, message: Received) -> None:
    """A message arrived."""
    if not turn.session.connected or len(message.payload) >= MESSAGE_BYTES:
        return
    topic, body = message.topic, message.payload
    if topic == payload.server_status_topic(turn.board.kaiser_id):
        registration.server_status(turn, body)
        return
    tail = topic.removeprefix(turn.topic(""))
    if tail == HEARTBEAT_ACK:
        registration.acknowledged(turn, body)


def measured(turn: Turn, number: int, samples: tuple[Sample, ...]) -> None:
    """A read that a command asked for has ended."""
