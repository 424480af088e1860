"""The firmware's three actuator drivers: a binary one (pump, relay), a motor valve with three positions, a PWM
output. Pure: an output, a wish and the uptime in, an output out.

The firmware's view (`on`) and the pin (`level`) are kept apart, because they part ways on an inverted relay. The
emergency latch of an output is looked at here; everything else is the caller's decision.
"""

from __future__ import annotations

import attrs

from growy.sim.arduino_json import f32
from growy.sim.board import ActuatorConfig, ActuatorOutput, TrackedError

ACTUATOR_SET_FAILED = 1050
VALVE_STEP_MS = 2_500
VALVE_OPEN = 2
MAX_ACTIVATIONS_PER_HOUR = 60
HOUR_MS = 3_600_000
MAX_RUNTIME_MS = 3_600_000
"""Of a pump since boot; once over, every start needs the pause."""
COOLDOWN_MS = 30_000

Driven = tuple[ActuatorOutput, bool, tuple[TrackedError, ...]]


def begin(config: ActuatorConfig, now_ms: int) -> ActuatorOutput:
    """A driver just started. A binary one writes `default_state` to the pin without inverting it."""
    if config.actuator_type in ("valve", "pwm"):
        return ActuatorOutput(config=config)
    state = config.default_state
    return ActuatorOutput(config=config, on=state, pwm=255 if state else 0, level=state, last_stop_ms=now_ms)


def switch(output: ActuatorOutput, state: bool, now_ms: int, *, force: bool = False) -> Driven:
    """Fully on or off. `force` passes the latch and the limits."""
    match output.config.actuator_type:
        case "valve":
            return _move(output, VALVE_OPEN if state else 0, now_ms), True, ()
        case "pwm":
            return _duty(output, 255 if state else 0, force=force)
        case _:
            return _binary(output, state, now_ms, force=force)


def set_value(output: ActuatorOutput, value: float, now_ms: int) -> Driven:
    """A value from 0 to 1."""
    value = f32(value)
    match output.config.actuator_type:
        case "valve":
            if output.emergency:
                return output, False, ()
            return (
                _move(output, 2 if value >= f32(0.66) else 1 if value >= f32(0.33) else 0, now_ms),
                True,
                (),
            )
        case "pwm":
            return _duty(output, int(f32(value * 255.0)), force=False)
        case _:
            return _binary(output, value >= 0.5, now_ms, force=False)


def stop(output: ActuatorOutput, now_ms: int) -> ActuatorOutput:
    """Emergency: off and latched. A valve believes to be shut wherever it stopped."""
    latched = attrs.evolve(output, emergency=True)
    if output.config.actuator_type == "valve":
        return attrs.evolve(
            latched, on=False, pwm=0, level=False, valve_from=0, valve_target=0, valve_started_ms=None
        )
    return switch(latched, False, now_ms, force=True)[0]


def passed(output: ActuatorOutput, now_ms: int) -> ActuatorOutput:
    """Time has gone by: a valve that has had its time is where it was sent."""
    arrives_ms = arrival_ms(output)
    return _arrived(output) if arrives_ms is not None and now_ms >= arrives_ms else output


def arrival_ms(output: ActuatorOutput) -> int | None:
    """When a moving valve arrives; None at rest."""
    if output.valve_started_ms is None:
        return None
    return output.valve_started_ms + VALVE_STEP_MS * abs(output.valve_target - output.valve_from)


def _move(output: ActuatorOutput, target: int, now_ms: int) -> ActuatorOutput:
    if target == output.valve_from:
        # Also on the way: it stops and takes itself to be where it started.
        return (
            _arrived(attrs.evolve(output, valve_target=target))
            if output.valve_started_ms is not None
            else output
        )
    return attrs.evolve(output, valve_target=target, valve_started_ms=now_ms, level=True)


def _arrived(output: ActuatorOutput) -> ActuatorOutput:
    position = output.valve_target
    return attrs.evolve(
        output,
        valve_from=position,
        valve_started_ms=None,
        level=False,
        on=position > 0,
        pwm=position * 127,
    )


def _duty(output: ActuatorOutput, duty: int, *, force: bool) -> Driven:
    if output.emergency and not force:
        return output, False, ()
    return attrs.evolve(output, pwm=duty, on=duty > 0, level=duty > 0), True, ()


def _binary(output: ActuatorOutput, state: bool, now_ms: int, *, force: bool) -> Driven:
    if output.emergency and not force:
        return output, False, ()
    if state and not force and not _may_start(output, now_ms):
        return (
            output,
            False,
            (TrackedError(ACTUATOR_SET_FAILED, 1, "Pump runtime protection triggered"),),
        )
    output = attrs.evolve(output, level=state != output.config.inverted_logic)
    if state == output.on:
        return output, True, ()
    if state:
        recent = tuple(at for at in output.activations_ms if at > now_ms - HOUR_MS)
        output = attrs.evolve(output, on_since_ms=now_ms, activations_ms=(*recent, now_ms))
    elif output.on_since_ms is not None:
        # A run that began with the boot was never timed, and leaves no trace.
        output = attrs.evolve(
            output,
            runtime_ms=output.runtime_ms + now_ms - output.on_since_ms,
            on_since_ms=None,
            last_stop_ms=now_ms,
        )
    return attrs.evolve(output, on=state, pwm=255 if state else 0), True, ()


def _may_start(output: ActuatorOutput, now_ms: int) -> bool:
    if (
        output.runtime_ms >= MAX_RUNTIME_MS
        and output.last_stop_ms is not None
        and now_ms - output.last_stop_ms < COOLDOWN_MS
    ):
        return False
    recent = sum(at > now_ms - HOUR_MS for at in output.activations_ms)
    return recent < MAX_ACTIVATIONS_PER_HOUR
