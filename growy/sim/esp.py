"""A virtual ESP32 as a pure state machine: `step(state, event, now) -> (state, effects)`.

It never does I/O, never sleeps and never looks at a clock: `now` is the device's own seconds (any monotonic zero).
This module is the way in and the order of things; the firmware's parts stand in their own modules and work on one
`Turn`. The shell in `device.py` only carries effects out.
"""

from __future__ import annotations

from growy.sim import commands, health, legacy, measuring, portal, registration, safety, session
from growy.sim.boot import boot
from growy.sim.events import (
    ClockSet,
    Connected,
    Disconnected,
    Effect,
    Event,
    Measured,
    Received,
    Subscribed,
    Tick,
)
from growy.sim.state import EspState
from growy.sim.turn import Turn

__all__ = ("boot", "next_wakeup", "step")


def next_wakeup(state: EspState) -> float:
    """The device second at which the next `Tick` is due; infinity when only an event can change anything."""
    link = state.session
    return min(
        link.subscribe_at,
        link.heartbeat_at,
        session.silence_at(link),
        safety.wakeup(state),
        measuring.next_due(state),
        health.wakeup(state),
        commands.wakeup(state),
        state.portal_at,
    )


def step(state: EspState, event: Event, now: float) -> tuple[EspState, tuple[Effect, ...]]:
    """One event. Total: there is no event that a device in any state cannot take."""
    turn = Turn(state, now)
    match event:
        case Tick():
            _tick(turn)
        case Measured(sensor, samples, number):
            if number:
                commands.measured(turn, number, samples)
            else:
                measuring.measured(turn, sensor, samples)
        case Connected():
            legacy.connected(turn) if state.old else session.connected(turn)
        case Disconnected(wifi_lost):
            if state.old:
                legacy.disconnected(turn)
            else:
                session.disconnected(turn, wifi_lost=wifi_lost)
        case Subscribed(topic):
            session.subscribed(turn, topic)
        case Received():
            _received(turn, event)
        case ClockSet(unix_s):
            registration.set_clock(turn, unix_s)
    return turn.state, tuple(turn.effects)


def _tick(turn: Turn) -> None:
    """The firmware's loops: safety first, then the network, then the sensors."""
    safety.tick(turn)
    if turn.state.old:
        legacy.tick(turn)
    else:
        session.tick(turn)
    portal.tick(turn)
    commands.tick(turn)
    measuring.tick(turn)
    health.tick(turn)


def _received(turn: Turn, message: Received) -> None:
    commands.received(turn, message)
