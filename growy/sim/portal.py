"""The configuration portal that a device opens when it has been alone for too long: half a minute without WiFi, or
five minutes in which the broker would not have it. Works on a turn.

While it is open the device goes on trying, and refuses commands. It closes by itself, with the first ACK.
"""

from __future__ import annotations

import attrs

from growy.sim.flash import SystemState
from growy.sim.readiness import entered
from growy.sim.state import NEVER
from growy.sim.turn import Turn

WITHOUT_WIFI_S = 30.0
BREAKER_FAILURES = 5
"""In a row; then the breaker of the MQTT client is open."""
BREAKER_OPEN_S = 300.0


def alone(turn: Turn, *, wifi_lost: bool) -> None:
    """The connection is gone, or an attempt to make it has failed."""
    state, now = turn.state, turn.now
    failures = state.failures + 1
    opens_at = state.portal_at
    if wifi_lost:
        opens_at = min(opens_at, now + WITHOUT_WIFI_S)
    if failures == BREAKER_FAILURES:
        opens_at = min(opens_at, now + BREAKER_OPEN_S)
    turn.state = attrs.evolve(state, failures=failures, portal_at=opens_at)


def reached(turn: Turn) -> None:
    """The broker has the device again."""
    turn.state = attrs.evolve(turn.state, failures=0, portal_at=NEVER)


def answered(turn: Turn) -> None:
    """An ACK was accepted."""
    if turn.state.portal_open:
        turn.state = attrs.evolve(turn.state, portal_open=False)
        if turn.board.state is SystemState.SAFE_MODE_PROVISIONING:
            turn.board, _ = entered(turn.board, SystemState.OPERATIONAL)


def tick(turn: Turn) -> None:
    """Open it when its time has come. A device that waits for something anyhow keeps waiting."""
    if turn.now < turn.state.portal_at:
        return
    turn.state = attrs.evolve(turn.state, portal_at=NEVER)
    if turn.board.state is SystemState.OPERATIONAL:
        turn.state = attrs.evolve(turn.state, portal_open=True)
        turn.board, _ = entered(turn.board, SystemState.SAFE_MODE_PROVISIONING)
