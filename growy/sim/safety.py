"""What becomes of the outputs when the server or the broker goes and comes: the seam between the handover and the
actuators. Works on a turn.
"""

from __future__ import annotations

from growy.sim import handover
from growy.sim.payload_board import actuator_status
from growy.sim.turn import Turn


def publish_statuses(turn: Turn) -> None:
    """`actuator/{gpio}/status` of every actuator."""
    for output in turn.board.actuators:
        turn.reply(actuator_status(turn.board, output, turn.ctx))


def transport_lost(turn: Turn) -> None:
    """No broker."""
    turn.handover = handover.lost(turn.handover, turn.now)


def server_lost(turn: Turn) -> None:
    """The broker is there, the server is not: it said so, or it has been silent for too long."""
    turn.handover = handover.lost(turn.handover, turn.now)


def tick(turn: Turn) -> None:
    """Grace, rules and settling, as they are due."""
    state, now = turn.handover, turn.now
    if now >= state.grace_at:
        turn.handover = handover.go_offline(state, now)
    if now >= turn.handover.settle_at:
        turn.handover = handover.settle(turn.handover)
    if now >= turn.handover.evaluate_at:
        turn.handover = handover.evaluated(turn.handover, now)
