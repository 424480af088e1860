"""What the board's parts want done, done: sent, reported, counted, or put off. Works on a turn."""

from __future__ import annotations

import attrs

from growy.sim import handover, measuring
from growy.sim.board import (
    Board,
    ForceHeartbeat,
    KaiserChanged,
    Lifecycle,
    MeasureRequest,
    Pause,
    QueuesFlushed,
    RebootIn,
    Replies,
    Reply,
    StateChange,
    TrackedError,
)
from growy.sim.events import Measure, Subscribe, Unsubscribe
from growy.sim.flash import Outcome
from growy.sim.heartbeat import beat
from growy.sim.intents import report
from growy.sim.payload import device_prefix
from growy.sim.turn import Turn

MOVED_ALONG = (
    ("system/heartbeat/ack", 1),
    ("actuator/+/command", 2),
    ("zone/assign", 1),
    ("subzone/assign", 1),
    ("subzone/remove", 1),
    ("sensor/+/command", 2),
)
"""Subscriptions that follow a new kaiser at once; the others only with the next connection."""


def handled(turn: Turn, result: tuple[Board, Replies]) -> None:
    """Take over what a part of the board gave: the changed board, then what it wants done."""
    before = turn.board.sensors
    turn.board, replies = result
    if turn.board.sensors is not before or turn.board.sensor_due:
        measuring.rearm(turn)
    carry_out(turn, replies)


def carry_out(turn: Turn, replies: Replies) -> None:
    """One after the other; behind a pause the rest waits."""
    for index, reply in enumerate(replies):
        match reply:
            case Reply():
                turn.reply(reply)
            case Outcome():
                report(turn, reply)
            case TrackedError():
                turn.error(reply)
            case Lifecycle(said):
                turn.bypass(said.topic_tail, said.body(turn.next_seq()), said.qos)
            case ForceHeartbeat():
                beat(turn)
            case RebootIn(seconds):
                turn.state = attrs.evolve(turn.state, restart_at=turn.now + seconds)
            case KaiserChanged(before):
                _move(turn, before)
            case QueuesFlushed():
                turn.handover = handover.emergency(turn.handover)
            case MeasureRequest():
                number = turn.state.asks + 1
                turn.state = attrs.evolve(turn.state, asks=number, asked={**turn.state.asked, number: reply})
                turn.effects.append(Measure(reply.sensor, number))
            case Pause(seconds):
                turn.state = attrs.evolve(
                    turn.state, paused_until=turn.now + seconds, held_back=replies[index + 1 :]
                )
                return
            case StateChange():
                pass  # the board has it already


def _move(turn: Turn, before: str) -> None:
    old, new = (device_prefix(kaiser, turn.board.esp_id) for kaiser in (before, turn.board.kaiser_id))
    for tail, qos in MOVED_ALONG:
        turn.effects.append(Unsubscribe(old + tail))
        turn.effects.append(Subscribe(new + tail, 0 if turn.state.old else qos))
