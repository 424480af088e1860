"""Emergency stop and clear, per device and by broadcast: tokens, the latch, the answers. Pure.

The latch lives in RAM. It is each actuator's own: one that is configured afterwards is free. A stop works in every
state, also before the server has answered; a message too large for its pool stops nothing.
"""

from __future__ import annotations

import attrs

from growy.sim import arduino_json as aj
from growy.sim import drivers
from growy.sim.arduino_json import JsonObject, ParseFailed
from growy.sim.board import (
    Board,
    BoardReply,
    Ctx,
    Intent,
    Outcome,
    Pause,
    QueuesFlushed,
    Replies,
    TrackedError,
)
from growy.sim.payload_board import (
    actuator_alert,
    actuator_status,
    emergency_ack,
    emergency_error,
    emergency_response,
    old,
    recovery_confirm,
    spoken,
)

POOL, BROADCAST_POOL = 256, 512
CLEAR_AFTER_MS = 5_000
RESUME_S = 2.0
WRONG_TOKEN, NO_TOKEN, PAYLOAD_INVALID = 3500, 3501, 3016
BROADCAST_STOPS = frozenset(("stop_all", "emergency_stop"))


def command(board: Board, payload: bytes, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """`actuator/emergency`."""
    document = aj.parse(aj.c_text(payload), POOL)
    if isinstance(document, ParseFailed):
        reason = f"Emergency command parse error: {document.word}"
        return board, spoken(board, (_outcome(intent, "failed", "EMERGENCY_PARSE_ERROR", reason),))
    root = aj.as_object(document)
    token = aj.as_string(root.get("auth_token"))
    refused = _esp_refusal(board, token, intent)
    if refused:
        return board, spoken(board, refused)
    match aj.as_string(root.get("command")):
        case "emergency_stop":
            said: list[BoardReply] = []
            if not old(board):
                reason = "ESP emergency stop accepted and dispatched"
                said.append(_outcome(intent, "applied", "EMERGENCY_STOP_TRIGGERED", reason))
                said.append(emergency_ack(board, intent, ctx))
            board, stopped = stop_all(board, ctx)
            return board, (*said, *stopped)
        case "clear_emergency":
            return _clear_and_resume(board, intent, ctx)
        case other:
            reason = f"Unsupported emergency command: {other}"
            return board, spoken(board, (_outcome(intent, "rejected", "VALIDATION_FAIL", reason),))


def _outcome(intent: Intent, outcome: str, code: str, reason: str) -> Outcome:
    return Outcome(flow="command", intent=intent, outcome=outcome, code=code, reason=reason)


def _esp_refusal(board: Board, token: str, intent: Intent) -> tuple[BoardReply, ...]:
    # Firmware of 2025-12 always has a token: its own id until another is set.
    stored = board.nvs.emergency_token or (board.esp_id if old(board) else "")
    if stored and token != stored:
        return (
            TrackedError(WRONG_TOKEN, 3, "ESP emergency-stop rejected: invalid auth_token"),
            emergency_error(board, "unauthorized", "Invalid auth_token"),
            _outcome(intent, "rejected", "UNAUTHORIZED", "ESP emergency rejected: invalid auth_token"),
        )
    if not stored and board.production:
        reason = "ESP emergency rejected: no token configured (prod fail-closed)"
        return (
            TrackedError(NO_TOKEN, 3, "ESP emergency rejected: no token configured (fail-closed)"),
            _outcome(intent, "rejected", "NO_TOKEN_CONFIGURED", reason),
        )
    return ()


# --- stop and clear -------------------------------------------------------------------------------


def stop_all(board: Board, ctx: Ctx) -> tuple[Board, Replies]:
    """Everything off and latched. What waits in queues expires, and offline rules start over."""
    board = attrs.evolve(
        board,
        emergency=True,
        emergency_at_ms=ctx.uptime_ms,
        safety_epoch=board.safety_epoch + 1,
        overridden=frozenset(),
        rules=tuple(attrs.evolve(rule, is_active=False) for rule in board.rules),
    )
    replies: list[BoardReply] = [QueuesFlushed()]
    for output in board.actuators:
        stopped = drivers.stop(output, ctx.uptime_ms)
        board = board.with_actuator(stopped)
        replies.append(actuator_alert(board, output.gpio, "emergency_stop", "Actuator stopped", ctx))
        replies.append(actuator_status(board, stopped, ctx))
    return board, tuple(replies)


def clear(board: Board, ctx: Ctx) -> tuple[Board, bool, Replies]:
    """Open the latch; not within 5 s of the stop. Actuators stay off, and nothing is said of them."""
    if board.emergency_at_ms and ctx.uptime_ms - board.emergency_at_ms < CLEAR_AFTER_MS:
        return board, False, (actuator_alert(board, 255, "verification_failed", "clear_emergency", ctx),)
    free = tuple(attrs.evolve(output, emergency=False) for output in board.actuators)
    return attrs.evolve(board, emergency=False, actuators=free), True, ()


def _clear_and_resume(board: Board, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    board, cleared, said = clear(board, ctx)
    if not cleared:
        reason = "ESP emergency clear rejected by safety verification"
        return board, spoken(
            board,
            (
                *said,
                emergency_error(board, "clear_failed", "Safety verification failed"),
                _outcome(intent, "failed", "EMERGENCY_CLEAR_REJECTED", reason),
            ),
        )
    replies: list[BoardReply] = [
        Pause(RESUME_S),
        emergency_response(board, ctx.uptime_ms + int(RESUME_S * 1000)),
    ]
    if not old(board):
        reason = "ESP emergency clear applied"
        replies.append(_outcome(intent, "applied", "EMERGENCY_CLEAR_APPLIED", reason))
        replies.append(recovery_confirm(board, intent, ctx))
    return board, (*said, *replies)


# --- broadcast ------------------------------------------------------------------------------------


def broadcast(board: Board, payload: bytes, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """`kaiser/broadcast/emergency`. It can only stop. Some mistakes in it stop without asking for the token."""
    document = aj.parse(aj.c_text(payload), BROADCAST_POOL)
    if isinstance(document, ParseFailed):
        if old(board):
            return board, ()
        counted = attrs.evolve(board, parse_errors=board.parse_errors + 1)
        reason = (
            f"Broadcast emergency parse error: {document.word} (code=EMERGENCY_PARSE_ERROR, class=malformed, "
            f"count={counted.parse_errors}, class_count={counted.parse_errors})"
        )
        return counted, (
            TrackedError(PAYLOAD_INVALID, 2, reason),
            _outcome(intent, "failed", "EMERGENCY_PARSE_ERROR", reason),
        )
    if old(board):
        return stop_all(board, ctx)
    root = aj.as_object(document)
    wrong = _mismatch(root)
    if wrong:
        return _mismatched(board, wrong, intent, ctx)
    refused = _broadcast_refusal(board, aj.text(root.get("auth_token"), ""), intent)
    if refused:
        return board, refused
    what = aj.text(root.get("command", root.get("action")), "")
    reason = f"Broadcast emergency accepted and dispatched: command={what}"
    board, stopped = stop_all(board, ctx)
    return board, (
        _outcome(intent, "applied", "BROADCAST_EMERGENCY_STOP_TRIGGERED", reason),
        *stopped,
    )


def _mismatch(root: JsonObject) -> str:
    """The word for what breaks the contract; empty when nothing does."""
    for field in ("command", "action", "auth_token", "reason", "issued_by", "timestamp"):
        if field in root and not isinstance(root[field], str):
            return f"FIELD_TYPE_{field.upper()}"
    if "command" in root and "action" in root and root["command"] != root["action"]:
        return "CONFLICTING_COMMAND_FIELDS"
    what = root.get("command", root.get("action"))
    if not what:
        return "MISSING_COMMAND_FIELD"
    return "" if what in BROADCAST_STOPS else "UNKNOWN_COMMAND_VALUE"


_CLASSES = {
    "UNKNOWN_COMMAND_VALUE": "unsupported",
    "MISSING_COMMAND_FIELD": "malformed",
    "FIELD_TYPE_ACTION": "malformed",
    "FIELD_TYPE_REASON": "malformed",
    "FIELD_TYPE_ISSUED_BY": "malformed",
    "FIELD_TYPE_TIMESTAMP": "malformed",
}


def _mismatched(board: Board, wrong: str, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    kind = _CLASSES.get(wrong, "critical_unknown")
    board = attrs.evolve(board, parse_errors=board.parse_errors + 1)
    reason = (
        f"Broadcast emergency contract mismatch: detail={wrong} (code=EMERGENCY_CONTRACT_MISMATCH, "
        f"class={kind}, count={board.parse_errors}, class_count={board.parse_errors})"
    )
    told: Replies = (
        TrackedError(PAYLOAD_INVALID, 2, reason),
        _outcome(intent, "failed", "EMERGENCY_CONTRACT_MISMATCH", reason),
    )
    if kind != "critical_unknown":
        return board, told
    # Nobody can say what this was meant to be: it stops, token or not.
    board, stopped = stop_all(board, ctx)
    return board, (*told, *stopped)


def _broadcast_refusal(board: Board, token: str, intent: Intent) -> Replies:
    stored = board.nvs.broadcast_token
    if stored and token != stored:
        return (
            TrackedError(WRONG_TOKEN, 3, "Broadcast emergency-stop rejected: invalid auth_token"),
            _outcome(intent, "rejected", "UNAUTHORIZED", "Broadcast emergency rejected: invalid auth_token"),
        )
    if not stored and board.production:
        reason = "Broadcast emergency rejected: no token configured (prod fail-closed)"
        return (
            TrackedError(NO_TOKEN, 3, "Broadcast emergency rejected: no token configured (fail-closed)"),
            _outcome(intent, "rejected", "NO_TOKEN_CONFIGURED", reason),
        )
    return ()
