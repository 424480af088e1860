"""The `config` document as firmware of 2025-12 takes it. Pure.

Both lists must be there and filled, or their scope is refused; each bad item has its own answer, and a summary comes
only when all were good. There is no correlation, no generation, no outcome and no offline rule.
"""

from __future__ import annotations

from growy.sim import arduino_json as aj
from growy.sim.arduino_json import JsonObject, ParseFailed
from growy.sim.board import Board, BoardReply, Ctx, Replies
from growy.sim.config_apply import apply_actuators, apply_sensor
from growy.sim.payload_board import config_error, config_success, spoken

POOL = 4_096
_CODES = {"CONFIG_FAILED": "UNKNOWN_ERROR"}


def apply(board: Board, payload: bytes, ctx: Ctx) -> tuple[Board, Replies]:
    """Apply a push: first the sensors, then the actuators, each scope parsed for itself."""
    document = aj.parse(aj.c_text(payload), POOL)
    if isinstance(document, ParseFailed):
        failed = [
            config_error(
                board,
                kind,
                "JSON_PARSE_ERROR",
                f"Failed to parse {kind} config JSON: {document.word}",
                "",
            )
            for kind in ("sensor", "actuator")
        ]
        return board, tuple(failed)
    root = aj.as_object(document)
    board, sensors = _sensors(board, root)
    refused = _refusal(board, root, "actuator")
    if refused is not None:
        return board, (*sensors, refused)
    board, _, actuators = apply_actuators(board, root, "", ctx)
    return board, (*sensors, *spoken(board, actuators))


def _refusal(board: Board, root: JsonObject, kind: str) -> BoardReply | None:
    items = root.get(f"{kind}s")
    if not isinstance(items, list):
        message = f"{kind.capitalize()} config missing '{kind}s' array"
    elif not items:
        message = f"{kind.capitalize()} config array is empty"
    else:
        return None
    return config_error(board, kind, "MISSING_FIELD", message, "")


def _sensors(board: Board, root: JsonObject) -> tuple[Board, list[BoardReply]]:
    refused = _refusal(board, root, "sensor")
    if refused is not None:
        return board, [refused]
    items = root["sensors"]
    assert isinstance(items, list)
    replies: list[BoardReply] = []
    for item in items:
        entry = aj.as_object(item)
        board, failure, _ = apply_sensor(board, entry)
        if failure is not None:
            code = _CODES.get(failure.name, failure.name)
            replies.append(config_error(board, "sensor", code, failure.detail, "", entry))
    if not replies:
        message = f"Configured {len(items)} sensor(s) successfully"
        replies.append(config_success(board, "sensor", len(items), message, ""))
    return board, replies
