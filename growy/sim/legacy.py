"""The firmware of 2025-12: no gate, no ACK, no announce. Works on a turn.

It subscribes once, in its setup, and never again: after a broken connection it hears nothing until it is switched
off and on. Its first heartbeat comes after a minute.
"""

from __future__ import annotations

import attrs

from growy.sim import payload
from growy.sim.events import Subscribe
from growy.sim.heartbeat import HEARTBEAT_S, beat
from growy.sim.state import NEVER, Session
from growy.sim.turn import Turn

SUBSCRIPTIONS = (
    "system/command",
    "config",
    payload.BROADCAST_EMERGENCY,
    "actuator/+/command",
    "actuator/emergency",
    "zone/assign",
    "subzone/assign",
    "subzone/remove",
    "subzone/safe",
)
"""QoS 0, all of them, synchronously."""


def connected(turn: Turn) -> None:
    """CONNACK: subscriptions with the first one of a boot, nothing with any other."""
    state = turn.state
    first = state.session.connects == 0
    beat_at = state.boot_at + HEARTBEAT_S if first else state.session.last_heartbeat + HEARTBEAT_S
    turn.session = Session(
        connected=True,
        connects=state.session.connects + 1,
        connected_at=turn.now,
        last_heartbeat=state.session.last_heartbeat,
        heartbeat_at=max(turn.now, beat_at),
    )
    if first:
        for tail in SUBSCRIPTIONS:
            topic = tail if tail == payload.BROADCAST_EMERGENCY else turn.topic(tail)
            turn.effects.append(Subscribe(topic, 0))


def disconnected(turn: Turn) -> None:
    """The transport is gone. Outputs stay as they are: this firmware has no fail-safe."""
    turn.session = attrs.evolve(turn.session, connected=False, heartbeat_at=NEVER)


def tick(turn: Turn) -> None:
    """Heartbeats."""
    if turn.now >= turn.session.heartbeat_at:
        beat(turn)
