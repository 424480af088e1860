"""Heartbeats and the counters that travel behind them. Works on a turn."""

from __future__ import annotations

import attrs

from growy.sim import payload
from growy.sim.payload_health import counters, heartbeat_metrics
from growy.sim.turn import Turn

HEARTBEAT_S = 60.0
HEARTBEAT_UNREGISTERED_S = 5.0
METRICS_EVERY = 5
"""Heartbeats after which the counters are told even if nothing has changed."""


def beat(turn: Turn) -> None:
    """Send a heartbeat now, and the counters after it where they are due; nothing without a broker."""
    state = turn.state
    if not state.session.connected:
        return
    if state.old:
        body = payload.heartbeat_2025(turn.board, turn.ctx)
    else:
        body = payload.heartbeat(
            turn.board,
            turn.ctx,
            turn.handover,
            segment_start_ts=state.segment_start_ts,
            reset_reason=state.reset_reason,
        )
    turn.publish("system/heartbeat", body, 0)
    slow = state.session.registered or state.old
    turn.session = attrs.evolve(
        turn.session,
        last_heartbeat=turn.now,
        heartbeat_at=turn.now + (HEARTBEAT_S if slow else HEARTBEAT_UNREGISTERED_S),
    )
    if state.session.registered:
        _metrics(turn)


def _metrics(turn: Turn) -> None:
    session = turn.session
    counted = counters(
        turn.handover,
        outcome_drops=turn.board.nvs.outcome_counts.dropped,
        no_token=turn.state.no_token,
    )
    skipped = session.metrics_skipped + 1
    if counted == session.metrics and skipped < METRICS_EVERY:
        turn.session = attrs.evolve(session, metrics_skipped=skipped)
        return
    turn.session = attrs.evolve(session, metrics=counted, metrics_skipped=0)
    turn.publish("system/heartbeat_metrics", heartbeat_metrics(turn.board.esp_id, turn.ts, counted), 0)
