"""Actuators at work: commands, the timer of `duration`, statuses, and what they do when server or broker are lost.
Pure.

Commands are not parsed as JSON but scanned for `"key":`, so a space before the colon hides a field. `max_runtime_ms`
protects nothing, as in the firmware: only `duration` ends a run.
"""

from __future__ import annotations

import re

import attrs

from growy.sim import drivers
from growy.sim.arduino_json import UINT32, f32
from growy.sim.board import ActuatorOutput, Board, BoardReply, Ctx, Intent, Outcome, Replies, TrackedError
from growy.sim.payload_board import (
    ActuatorCommand,
    actuator_alert,
    actuator_response,
    actuator_status,
    old,
    spoken,
)

STATUS_S = 30.0
"""Between two statuses of all actuators in normal operation."""
QUEUE_BYTES = 511
ACTUATOR_NOT_FOUND, COMMAND_INVALID = 1052, 4020
Controlled = tuple[Board, bool, list[BoardReply]]


# --- text -----------------------------------------------------------------------------------------


def scan(text: str, key: str) -> str:
    """The value after the first `"key":`, without its quotes; empty when there is none."""
    _, found, rest = text.partition(f'"{key}":')
    if not found:
        return ""
    rest = rest.lstrip(" ")
    if rest.startswith('"'):
        value, closed, _ = rest[1:].partition('"')
        return value if closed else ""
    end = rest.find(",")
    if end < 0:
        end = rest.find("}")
    return (rest if end < 0 else rest[:end]).strip().replace('"', "")


def _float(text: str) -> float:
    number = re.match(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", text)
    return float(number.group()) if number else 0.0


def _seconds(text: str) -> int:
    """As the firmware reads an unsigned number: saturated at 32 bits signed, then wrapped."""
    number = re.match(r"\s*[+-]?\d+", text)
    value = int(number.group()[:12]) if number else 0
    return min(2_147_483_647, max(-2_147_483_648, value)) % UINT32


def read_command(gpio: int, payload: bytes) -> ActuatorCommand:
    """What the firmware sees in a command of at most 511 bytes; longer ones are cut."""
    text = payload.split(b"\0", 1)[0][:QUEUE_BYTES].decode(errors="surrogateescape")
    return ActuatorCommand(
        gpio=gpio,
        command=scan(text, "command"),
        value=f32(_float(scan(text, "value"))),
        duration_s=_seconds(scan(text, "duration")),
        correlation_id=scan(text, "correlation_id"),
        issued_by=scan(text, "issued_by") or "system:unknown",
    )


# --- commands -------------------------------------------------------------------------------------


def execute(board: Board, gpio_text: str, payload: bytes, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """Carry out a command that was admitted. `gpio_text` is the topic level."""
    digits = re.match(r"\s*\d+", gpio_text)
    command = read_command(int(digits.group()) % 256 if digits else 0, payload)
    if command.gpio == 255 or not gpio_text.strip():
        return board, spoken(board, (_outcome(intent, done=False),))
    board, done, replies = _executed(board, command, ctx)
    return board, spoken(board, (*replies, _outcome(intent, done=done)))


def _outcome(intent: Intent, *, done: bool) -> Outcome:
    return Outcome(
        flow="command",
        intent=intent,
        outcome="applied" if done else "failed",
        code="NONE" if done else "EXECUTE_FAIL",
        reason="Actuator command applied" if done else "Actuator command execution failed",
        retryable=not done,
    )


def _executed(board: Board, command: ActuatorCommand, ctx: Ctx) -> Controlled:
    output = board.actuator(command.gpio)
    if output is None:
        message = f"Actuator not configured on GPIO {command.gpio}. Configure via API first."
        return (
            board,
            False,
            [
                actuator_response(board, command, ctx, success=False, message=message),
                TrackedError(ACTUATOR_NOT_FOUND, 2, "Command received for unconfigured actuator"),
            ],
        )
    if output.emergency:
        message = "Actuator in emergency stop state. Clear emergency first."
        return (
            board,
            False,
            [
                actuator_alert(board, command.gpio, "emergency_stop", message, ctx),
                actuator_status(board, output, ctx),
                actuator_response(board, command, ctx, success=False, message=message),
            ],
        )
    # Whatever the command is, it ends the timer, and rules leave the actuator alone.
    if not old(board):
        output = attrs.evolve(output, auto_off_ms=None, source=command.issued_by)
        if ctx.offline_active:
            board = attrs.evolve(board, overridden=board.overridden | {command.gpio})
    board = board.with_actuator(output)
    return _driven(board, command, output, ctx)


def _driven(board: Board, command: ActuatorCommand, before: ActuatorOutput, ctx: Ctx) -> Controlled:
    gpio = command.gpio
    no_op = False
    match command.command.upper():
        case "ON":
            no_op = before.on
            board, done, replies = switch(board, gpio, True, ctx)
            if done and command.duration_s and not old(board):
                ends_ms = (ctx.uptime_ms + command.duration_s * 1000) % UINT32
                board = board.with_actuator(attrs.evolve(_of(board, gpio), auto_off_ms=ends_ms))
            failed = "Failed to turn actuator ON"
        case "OFF":
            no_op = not before.on
            board, done, replies = switch(board, gpio, False, ctx)
            failed = "Failed to turn actuator OFF"
        case "PWM":
            board, done, replies = set_value(board, gpio, command.value, ctx)
            failed = "Failed to set PWM value"
        case "TOGGLE":
            board, done, replies = switch(board, gpio, not before.on, ctx)
            failed = "Failed to toggle actuator"
        case _:
            done, replies, failed = False, [], f"Unknown command: {command.command}"
    message = "Command executed" if done else failed
    replies.append(actuator_response(board, command, ctx, success=done, message=message))
    if done and no_op:
        replies.append(actuator_status(board, _of(board, gpio), ctx))
    return board, done, replies


def _of(board: Board, gpio: int) -> ActuatorOutput:
    output = board.actuator(gpio)
    if output is None:
        raise KeyError(gpio)
    return output


def switch(board: Board, gpio: int, state: bool, ctx: Ctx) -> Controlled:
    """On or off. What already is in the wished state is not touched, pin included."""
    output = board.actuator(gpio)
    if output is None:
        return board, False, [TrackedError(ACTUATOR_NOT_FOUND, 2, "Actuator missing (binary control)")]
    if output.emergency:
        return board, False, []
    if output.on == state:
        return board, True, []
    return _taken(board, drivers.switch(output, state, ctx.uptime_ms), ctx)


def set_value(board: Board, gpio: int, value: float, ctx: Ctx) -> Controlled:
    """A value; beyond 0 to 1 only a PWM output takes it, clamped."""
    output = _of(board, gpio)
    if output.config.actuator_type == "pwm":
        value = min(1.0, max(0.0, value))
    elif not 0.0 <= value <= 1.0:
        return board, False, [TrackedError(COMMAND_INVALID, 2, "Actuator value invalid")]
    return _taken(board, drivers.set_value(output, value, ctx.uptime_ms), ctx)


def _taken(board: Board, driven: drivers.Driven, ctx: Ctx) -> Controlled:
    output, done, errors = driven
    if not done:
        return board, False, list(errors)
    board = board.with_actuator(output)
    return board, True, [*errors, actuator_status(board, output, ctx)]


# --- time -----------------------------------------------------------------------------------------


def next_due_ms(board: Board) -> int | None:
    """Uptime at which `tick` is needed next; None while nothing runs out."""
    times = (
        due_ms
        for output in board.actuators
        for due_ms in (output.auto_off_ms if output.on else None, drivers.arrival_ms(output))
        if due_ms is not None
    )
    return min(times, default=None)


def tick(board: Board, ctx: Ctx) -> tuple[Board, Replies]:
    """Runs that are over end; valves arrive, of which nothing is said."""
    replies: list[BoardReply] = []
    for output in board.actuators:
        if output.auto_off_ms is not None and output.on and ctx.uptime_ms >= output.auto_off_ms:
            ended = attrs.evolve(output, auto_off_ms=None, source="firmware:auto_duration")
            board, _, said = switch(board.with_actuator(ended), output.gpio, False, ctx)
            # The firmware says it twice: once for the change, once for the timer.
            replies += [*said, actuator_status(board, _of(board, output.gpio), ctx)]
        else:
            board = board.with_actuator(drivers.passed(output, ctx.uptime_ms))
    return board, spoken(board, replies)


def statuses(board: Board, ctx: Ctx) -> Replies:
    """Every actuator's status."""
    return tuple(actuator_status(board, output, ctx) for output in board.actuators)


# --- when somebody is lost ------------------------------------------------------------------------


def covered(board: Board, gpio: int) -> bool:
    """Whether an offline rule looks after this actuator."""
    return any(rule.enabled and rule.actuator_gpio == gpio for rule in board.rules)


def transport_lost(board: Board, ctx: Ctx) -> tuple[Board, Replies]:
    """The broker is gone. Without rules everything goes to `default_state`, with rules only what no rule covers."""
    if old(board):
        return board, ()
    if not board.rules:
        return all_to_default(board, ctx)
    replies: list[BoardReply] = []
    for output in board.actuators:
        gpio, critical = output.gpio, " (critical)" if output.config.critical else ""
        if covered(board, gpio):
            if output.on:
                text = "Actuator held ON — offline rule coverage active"
                replies.append(actuator_alert(board, gpio, "offline_rule_hold", text, ctx))
            continue
        board, _, said = switch(board, gpio, output.config.default_state, ctx)
        replies += said
        if output.on:
            text = f"No offline rule — forced to default_state{critical}"
            replies.append(actuator_alert(board, gpio, "safety_forced_off", text, ctx))
    return board, tuple(replies)


def server_lost(board: Board, ctx: Ctx) -> tuple[Board, Replies]:
    """No ACK for 120 s, or the server said it is offline. With rules nothing happens: actuators that no rule covers
    run on."""
    if old(board) or board.rules:
        return board, ()
    return all_to_default(board, ctx)


def all_to_default(board: Board, ctx: Ctx) -> tuple[Board, Replies]:
    replies: list[BoardReply] = []
    for output in board.actuators:
        board, _, said = switch(board, output.gpio, output.config.default_state, ctx)
        replies += said
    return board, tuple(replies)
