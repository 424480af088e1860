"""`sensor/{gpio}/command`: measure now, and what is answered. Pure.

Two steps, because a read takes its time: `execute` names the sensor, the session reads it, `finished` answers. Only the
first sensor on a gpio is ever measured. Before admission the session asks `refusal`.
"""

from __future__ import annotations

import re

import attrs

from growy.sim import arduino_json as aj
from growy.sim.arduino_json import COUNTER, Document, Owned, ParseFailed
from growy.sim.board import (
    Board,
    BoardReply,
    Ctx,
    Intent,
    MeasureRequest,
    Outcome,
    Replies,
    Reply,
    TrackedError,
)
from growy.sim.sensor_setup import find
from growy.sim.sensor_types import known

ADMISSION_POOL, EXECUTION_POOL = 384, 512
QUEUE_BYTES = 511
DEFAULT_TIMEOUT_MS, MAX_TIMEOUT_MS = 5_000, 60_000
SENSOR_TIMEOUT = 1043


def refusal(payload: bytes, intent: Intent) -> Outcome | None:
    """What is wrong with a command before anything is asked of the board; None when it is one."""
    document = aj.parse(aj.c_text(payload), ADMISSION_POOL)
    if isinstance(document, ParseFailed):
        return _outcome(intent, "rejected", "INVALID_JSON", "Sensor command payload is not valid JSON")
    command = aj.text(aj.as_object(document).get("command"), "")
    if command != "measure":
        return _outcome(intent, "rejected", "UNKNOWN_COMMAND", f"Unsupported sensor command: {command}")
    return None


def execute(board: Board, gpio_text: str, payload: bytes, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """Find the sensor that is to be read. `gpio_text` is the topic level."""
    digits = re.match(r"\s*[+-]?\d+", gpio_text)
    if digits is None:
        return board, (
            _outcome(intent, "failed", "INVALID_GPIO", "Failed to parse GPIO from topic", retryable=True),
        )
    gpio = int(digits.group()) % 256
    # The queue's slot cuts long commands, and what is left is no JSON.
    document = aj.parse(aj.c_text(payload[:QUEUE_BYTES]), EXECUTION_POOL)
    if isinstance(document, ParseFailed):
        reason = "Failed to parse sensor command JSON"
        return board, (_outcome(intent, "failed", "INVALID_JSON", reason, retryable=True),)
    root = aj.as_object(document)
    request_id = aj.text(root.get("request_id"), "")
    index = find(board.sensors, gpio)
    if index is None:
        measured = _Measured(reason_code="SENSOR_NOT_FOUND")
        return board, _answers(board, gpio, request_id, intent, measured, ctx)
    asked_ms = root.get("timeout_ms")
    timeout_ms = (
        DEFAULT_TIMEOUT_MS if asked_ms is None else min(MAX_TIMEOUT_MS, max(1, aj.cast_int(asked_ms)))
    )
    return board, (MeasureRequest(board.sensors[index], intent, request_id, timeout_ms),)


@attrs.frozen(slots=True)
class Value:
    """The first value of a measurement."""

    sensor_type: str
    raw: int
    quality: str


@attrs.frozen(kw_only=True, slots=True)
class _Measured:
    reason_code: str
    ok: bool = False
    published: bool = False
    timeout: bool = False
    quality: str = "unknown"
    sensor_type: str = ""
    raw: int = 0


def finished(
    board: Board,
    request: MeasureRequest,
    value: Value | None,
    *,
    published: bool,
    elapsed_ms: int,
    ctx: Ctx,
) -> Replies:
    """Answer a measurement. `value` is None when the read failed; `published` says whether its data message went out;
    the time it took is only looked at afterwards."""
    sensor = request.sensor
    kind = known(sensor.sensor_type)
    many = kind is not None and kind.multi_value
    late = elapsed_ms > request.timeout_ms
    if value is None:
        reported = late and many  # of a chip with one value a failed read is never late
        measured = _Measured(
            reason_code="MEASURE_TIMEOUT" if reported else "MEASUREMENT_FAILED",
            timeout=reported,
            sensor_type=sensor.sensor_type,
        )
    else:
        reported = late
        measured = _Measured(
            reason_code="MEASURE_TIMEOUT" if late else "NONE" if published else "PUBLISH_SKIPPED",
            ok=True,
            published=published,
            timeout=late,
            quality="good" if many else value.quality,
            sensor_type=sensor.sensor_type if many else value.sensor_type,
            raw=value.raw,
        )
    errors: tuple[BoardReply, ...] = (
        (TrackedError(SENSOR_TIMEOUT, 1, "Manual measurement exceeded timeout"),) if reported else ()
    )
    return errors + _answers(board, sensor.gpio, request.request_id, request.intent, measured, ctx)


def _answers(
    board: Board, gpio: int, request_id: str, intent: Intent, measured: _Measured, ctx: Ctx
) -> Replies:
    success = measured.ok and measured.published and not measured.timeout
    replies: list[BoardReply] = []
    if request_id:
        body = Document(512).put(
            request_id=Owned(request_id),
            gpio=gpio,
            command="measure",
            success=success,
            measurement_ok=measured.ok,
            publish_ok=measured.published,
            timeout=measured.timeout,
            reason_code=Owned(measured.reason_code),
            quality=Owned(measured.quality),
            sensor_type=Owned(measured.sensor_type),
            raw=measured.raw,
            ts=ctx.ts,
            seq=COUNTER,
            intent_id=Owned(intent.intent_id),
            correlation_id=Owned(intent.correlation_id),
            ttl_ms=intent.ttl_ms,
        )
        replies.append(Reply(f"sensor/{gpio}/response", body.json()))
    if success:
        replies.append(_outcome(intent, "applied", "NONE", "Sensor measurement delivered"))
    elif measured.timeout:
        reason = "Manual measurement exceeded timeout"
        replies.append(_outcome(intent, "expired", "MEASURE_TIMEOUT", reason, retryable=True))
    else:
        reason = "Manual measurement failed before durable delivery"
        replies.append(_outcome(intent, "failed", measured.reason_code, reason, retryable=True))
    return tuple(replies)


def _outcome(intent: Intent, outcome: str, code: str, reason: str, *, retryable: bool = False) -> Outcome:
    return Outcome(
        flow="command", intent=intent, outcome=outcome, code=code, reason=reason, retryable=retryable
    )
