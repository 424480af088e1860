"""The queue of config pushes: one is applied, one may wait, a third is refused. Works on a turn.

What has been taken stands in flash until it is applied; after a reset it is taken up again.
"""

from __future__ import annotations

import attrs

from growy.sim import config_2025, config_apply
from growy.sim.answers import carry_out, handled
from growy.sim.board import TrackedError
from growy.sim.flash import Intent, Outcome
from growy.sim.intents import Lane, admit, expired, read_intent, report
from growy.sim.payload_board import config_error
from growy.sim.state import NEVER, Push
from growy.sim.turn import Turn

APPLY_S = 0.3
"""Parsing and the flash of a usual push."""
ROOM = 2
SLOTS = 3
QUEUE_FULL = 4062


def received(turn: Turn, body: bytes) -> None:
    """`config`."""
    if turn.state.old:
        handled(turn, config_2025.apply(turn.board, body, turn.ctx))
        return
    intent = read_intent(turn, body, "cfg", generate_correlation=False)
    refused = config_apply.uncorrelated(turn.board, intent, turn.ctx)
    if refused is not None:
        handled(turn, refused)
        return
    admission = admit(turn, Lane.CONFIG)
    if not admission.accepted:
        reason = f"Config update rejected (reason_code={admission.reason_code})"
        report(turn, _outcome(intent, "rejected", admission.code, reason))
        return
    too_large = config_apply.too_large(turn.board, body, intent)
    if too_large is not None:
        carry_out(turn, too_large)
    elif len(turn.state.pushes) >= ROOM:
        _full(turn, intent)
    else:
        report(turn, _outcome(intent, "accepted", admission.code, "Config update accepted"))
        _store(turn, body)
        _queue(turn, Push(body, intent))


def _outcome(intent: Intent, outcome: str, code: str, reason: str, *, retryable: bool = False) -> Outcome:
    return Outcome(
        flow="config", intent=intent, outcome=outcome, code=code, reason=reason, retryable=retryable
    )


def _full(turn: Turn, intent: Intent) -> None:
    message = "Config queue full/timeout - please retry"
    turn.error(TrackedError(QUEUE_FULL, 2, "Config update queue full/timeout"))
    turn.reply(config_error(turn.board, "system", "QUEUE_FULL", message, intent.correlation_id))
    reason = "Config queue full/timeout"
    report(turn, _outcome(intent, "rejected", "QUEUE_FULL", reason, retryable=True))


def _store(turn: Turn, body: bytes) -> None:
    nvs = turn.board.nvs
    turn.board = attrs.evolve(turn.board, nvs=attrs.evolve(nvs, replay=(*nvs.replay, body)[-SLOTS:]))


def _queue(turn: Turn, push: Push) -> None:
    pushes = (*turn.state.pushes, push)
    done_at = turn.now + APPLY_S if len(pushes) == 1 else turn.state.push_done_at
    turn.state = attrs.evolve(turn.state, pushes=pushes, push_done_at=done_at)


def tick(turn: Turn) -> None:
    """Apply the first push when its time has come."""
    if turn.now < turn.state.push_done_at:
        return
    push, *left = turn.state.pushes
    turn.state = attrs.evolve(
        turn.state, pushes=tuple(left), push_done_at=turn.now + APPLY_S if left else NEVER
    )
    if expired(turn, push.intent):
        report(turn, _outcome(push.intent, "expired", "TTL_EXPIRED", "Config intent expired"))
    else:
        handled(turn, config_apply.apply(turn.board, push.payload, push.intent, turn.ctx))
    nvs = turn.board.nvs
    stored = list(nvs.replay)
    if push.payload in stored:
        stored.remove(push.payload)
    turn.board = attrs.evolve(turn.board, nvs=attrs.evolve(nvs, replay=tuple(stored)))


def resume(turn: Turn) -> None:
    """Take up what a reset has left in flash. Nothing while there is work in the queue."""
    if turn.state.pushes or turn.state.old:
        return
    for body in turn.board.nvs.replay:
        intent = read_intent(turn, body, "cfg")
        report(turn, _outcome(intent, "accepted", "REPLAY", "Config replayed from NVS pending ring"))
        _queue(turn, Push(body, intent))
