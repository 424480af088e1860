"""What becomes of the outputs when the server or the broker goes and comes, and when their time is over: the seam
between the handover and the actuators. Works on a turn.
"""

from __future__ import annotations

from growy.sim import actuators, handover, offline_rules
from growy.sim.answers import carry_out, handled
from growy.sim.state import NEVER, EspState
from growy.sim.turn import Turn

_HALF_MS = 0.0005
"""The board counts whole milliseconds: half of one later it is surely due."""


def wakeup(state: EspState) -> float:
    """When handover, rules or an output need their next tick."""
    due_ms = actuators.next_due_ms(state.board)
    board_at = NEVER if due_ms is None else state.boot_at + due_ms / 1000.0 + _HALF_MS
    return min(state.handover.wakeup, board_at)


def publish_statuses(turn: Turn) -> None:
    """`actuator/{gpio}/status` of every actuator."""
    carry_out(turn, actuators.statuses(turn.board, turn.ctx))


def transport_lost(turn: Turn) -> None:
    """No broker."""
    handled(turn, actuators.transport_lost(turn.board, turn.ctx))
    turn.handover = handover.lost(turn.handover, turn.now)


def server_lost(turn: Turn) -> None:
    """The broker is there, the server is not: it said so, or it has been silent for too long."""
    handled(turn, actuators.server_lost(turn.board, turn.ctx))
    turn.handover = handover.lost(turn.handover, turn.now)


def tick(turn: Turn) -> None:
    """Runs that end, grace, rules and settling, as they are due."""
    now = turn.now
    due_ms = actuators.next_due_ms(turn.board)
    if due_ms is not None and turn.state.uptime_ms(now) >= due_ms:
        handled(turn, actuators.tick(turn.board, turn.ctx))
    if now >= turn.handover.grace_at:
        turn.handover = handover.go_offline(turn.handover, now)
        handled(turn, offline_rules.activate(turn.board, turn.ctx))
    if now >= turn.handover.settle_at:
        turn.handover = handover.settle(turn.handover)
        turn.board = offline_rules.release(turn.board)
    if now >= turn.handover.evaluate_at:
        turn.handover = handover.evaluated(turn.handover, now)
        handled(turn, offline_rules.evaluate(turn.board, turn.ctx))
