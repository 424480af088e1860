"""What a device does by the clock, whatever else happens: actuator statuses, diagnostics, the boot counter. Works on
a turn.
"""

from __future__ import annotations

import attrs

from growy.sim import safety
from growy.sim.flash import SystemState
from growy.sim.payload_health import diagnostics
from growy.sim.state import DIAGNOSTICS_S, NEVER, STATUS_S, Diagnosed, EspState
from growy.sim.turn import Turn

HEAP_CHANGE = 0.2
RSSI_CHANGE_DB = 10
MANY_ERRORS = 5
_NO_STATUS = (
    SystemState.PENDING_APPROVAL,
    SystemState.CONFIG_PENDING_AFTER_RESET,
    SystemState.SAFE_MODE_PROVISIONING,
)


def wakeup(state: EspState) -> float:
    return min(state.status_at, state.diagnostics_at, state.stable_at)


def tick(turn: Turn) -> None:
    """Whatever of it is due."""
    state, now = turn.state, turn.now
    if now >= state.stable_at:
        # So the counter runs 1, 2, 1, 2, … on a device that is switched off once a day.
        board = turn.board
        if board.nvs.boot_count > 1:
            turn.board = attrs.evolve(board, nvs=attrs.evolve(board.nvs, boot_count=0))
        turn.state = attrs.evolve(turn.state, stable_at=NEVER)
    if now >= state.status_at:
        turn.state = attrs.evolve(turn.state, status_at=now + STATUS_S)
        if state.session.connected and turn.board.state not in _NO_STATUS:
            safety.publish_statuses(turn)
    if now >= state.diagnostics_at:
        turn.state = attrs.evolve(turn.state, diagnostics_at=now + DIAGNOSTICS_S)
        if not state.old:
            _diagnose(turn)


def _diagnose(turn: Turn) -> None:
    """`system/diagnostics`, when something worth telling has changed."""
    state, ctx = turn.state, turn.ctx
    fresh = Diagnosed(
        heap_free=ctx.heap_free,
        wifi_rssi=ctx.wifi_rssi,
        sensors=len(turn.board.sensors),
        actuators=len(turn.board.actuators),
        state=turn.board.state,
    )
    if not (_changed(state.diagnosed, fresh) or state.error_count > MANY_ERRORS):
        return
    turn.state = attrs.evolve(state, diagnosed=fresh)
    body = diagnostics(
        turn.board,
        ctx,
        error_count=state.error_count,
        segment_start_ts=state.segment_start_ts,
        reset_reason=state.reset_reason,
        connected=state.session.connected,
    )
    turn.publish("system/diagnostics", body, 0)


def _changed(old: Diagnosed | None, fresh: Diagnosed) -> bool:
    if old is None:
        return True
    return (
        abs(fresh.heap_free - old.heap_free) > HEAP_CHANGE * old.heap_free
        or abs(fresh.wifi_rssi - old.wifi_rssi) > RSSI_CHANGE_DB
        or (fresh.sensors, fresh.actuators, fresh.state) != (old.sensors, old.actuators, old.state)
    )
