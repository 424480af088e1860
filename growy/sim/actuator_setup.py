"""How the firmware takes an actuator into service, changes and removes it. Pure.

A change of name, `default_state` or `inverted_logic` goes into flash and not into the running driver; the next
thing stored for any actuator overwrites it with what the driver has. So it takes a reboot, and luck.
"""

from __future__ import annotations

import attrs

from growy.sim import drivers
from growy.sim.board import ActuatorConfig, Board, BoardReply, Ctx, Replies, TrackedError
from growy.sim.payload_board import actuator_status
from growy.sim.pins import INPUT_ONLY_PINS, can_be_requested, valve_enable_pin

GPIO_RESERVED, GPIO_CONFLICT, GPIO_INVALID_MODE, ACTUATOR_INIT_FAILED = 1001, 1002, 1004, 1051
STORED_MAX_RUNTIME_MS = 3_600_000
TYPES = frozenset(("pump", "relay", "valve", "pwm"))


def configure(board: Board, config: ActuatorConfig, ctx: Ctx) -> tuple[Board, bool, Replies]:
    """Take an actuator into service or change it; False when its pins or its type will not do."""
    if config.gpio == 255 or not config.actuator_type:
        return board, False, ()
    if any(sensor.gpio == config.gpio for sensor in board.sensors):
        # The label of an I²C sensor counts as its pin.
        return board, False, (TrackedError(GPIO_CONFLICT, 2, "GPIO conflict sensor vs actuator"),)
    running = board.actuator(config.gpio)
    if running is not None:
        before = running.config
        if before == config:
            return board, True, ()
        if (before.actuator_type, before.aux_gpio) == (config.actuator_type, config.aux_gpio):
            board = _stored(board, changed=config)
            return board, True, (actuator_status(board, running, ctx),)
        board = remove(board, config.gpio)
    return _start(board, config, ctx)


def remove(board: Board, gpio: int) -> Board:
    """Stop an actuator and forget it."""
    if board.actuator(gpio) is None:
        return board
    left = tuple(output for output in board.actuators if output.gpio != gpio)
    return _stored(attrs.evolve(board, actuators=left))


def _start(board: Board, config: ActuatorConfig, ctx: Ctx) -> tuple[Board, bool, Replies]:
    if len(board.actuators) >= board.attached.variant.max_actuators:
        return board, False, (TrackedError(ACTUATOR_INIT_FAILED, 2, "Actuator slots exhausted"),)
    if config.actuator_type not in TYPES:
        return board, False, ()
    errors = _pin_errors(board, config)
    if errors:
        return board, False, (*errors, TrackedError(ACTUATOR_INIT_FAILED, 2, "Driver init failed"))
    output = drivers.begin(config, ctx.uptime_ms)
    board = _stored(attrs.evolve(board, actuators=(*board.actuators, output)))
    return board, True, (actuator_status(board, output, ctx),)


def _pin_errors(board: Board, config: ActuatorConfig) -> list[BoardReply]:
    valve = config.actuator_type == "valve"
    names = {"valve": "Valve direction GPIO busy", "pwm": f"PWM GPIO busy: {config.gpio}"}
    if not can_be_requested(board, config.gpio):
        return [
            TrackedError(GPIO_RESERVED, 2, names.get(config.actuator_type, f"Pump GPIO busy: {config.gpio}"))
        ]
    pins = {config.gpio}
    if valve:
        enable = valve_enable_pin(config)
        if enable == config.gpio or not can_be_requested(board, enable):
            return [TrackedError(GPIO_RESERVED, 2, "Valve enable GPIO busy")]
        pins.add(enable)
    if pins & INPUT_ONLY_PINS:
        what = "Valve pinMode failed" if valve else f"pump pinMode failed: {config.gpio}"
        return [TrackedError(GPIO_INVALID_MODE, 2, what)]
    return []


def _stored(board: Board, changed: ActuatorConfig | None = None) -> Board:
    """Write all running configurations to flash, one of them as just pushed. `max_runtime_ms` is not kept."""
    configs = (
        changed if changed is not None and output.gpio == changed.gpio else output.config
        for output in board.actuators
    )
    saved = tuple(attrs.evolve(config, max_runtime_ms=STORED_MAX_RUNTIME_MS) for config in configs)
    return attrs.evolve(board, nvs=attrs.evolve(board.nvs, actuators=saved))
