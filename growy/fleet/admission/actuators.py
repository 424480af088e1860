"""Admission of an actuator: pins that can be driven and are nobody else's. Switches nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from growy.fleet.admission.admitted import (
    Admitted,
    Use,
    common_text,
    listed,
    owners,
    refuse_too_many,
    refuse_unusable,
    replaced_actuators,
    said,
    without_partner,
)
from growy.fleet.hardware import Board
from growy.model.control import FULL, OFF
from growy.model.errors import GpioConflict, Invalid
from growy.model.setup import NO_PIN, ActuatorKind, ActuatorSetup, SensorSetup
from growy.wire.config_document import refuse_too_large
from growy.wire.setup import actuator_item

MAX_PWM = 255
MAX_RUNTIME_S = (2**31 - 1) // 1000
"""The device takes milliseconds in 31 bits: 24 days."""
DAY_S = 86_400


def admit_actuator(
    board: Board,
    sensors: Sequence[SensorSetup],
    actuators: Sequence[ActuatorSetup],
    setup: ActuatorSetup,
) -> Admitted[ActuatorSetup]:
    """The actuator as it is to be set up, new or in place of that with its id.

    Args:
        sensors, actuators: all that the device has.

    Raises:
        GpioConflict: one of its pins is taken.
        ConfigTooLarge: no config message could hold it.
        Invalid: everything else that the device would refuse or misunderstand.
    """
    warnings = []
    if setup.kind is not ActuatorKind.VALVE and setup.aux_gpio != NO_PIN:
        warnings.append(f"aux_gpio {setup.aux_gpio} is dropped: only a valve drives a second pin")
        setup = msgspec.structs.replace(setup, aux_gpio=NO_PIN)
    if setup.kind is not ActuatorKind.PWM and (setup.min_value, setup.max_value) != (OFF, FULL):
        warnings.append("min_value and max_value are dropped: only a pwm has values between off and full")
        setup = msgspec.structs.replace(setup, min_value=OFF, max_value=FULL)
    _refuse_numbers(setup)
    _refuse_limits(setup)
    taken = owners(sensors, actuators, without=setup.id)
    if len(set(setup.pins)) < len(setup.pins):
        raise Invalid(f"a valve needs two pins, and both are gpio {setup.gpio}", cure="Give another aux_gpio")
    for pin in setup.pins:
        second = _second_pin(setup, pin)
        try:
            refuse_unusable(board, pin)
        except Invalid as error:
            raise Invalid(f"{error.message}{second}", cure=error.cure) from None
        if pin in board.input_only:
            raise Invalid(
                f"gpio {pin} can only read, and an actuator must be driven{second}",
                cure=f"Use one of {listed(board.safe - board.i2c_pins - board.input_only)}",
            )
        owner = taken.get(pin)
        if owner is not None:
            label = owner.use is Use.LABEL
            raise GpioConflict(
                f"gpio {pin} is taken by {owner.text} ({owner.use.value}){second}",
                cure="Give that I²C sensor its address as label, or use another pin"
                if label
                else "Use another pin",
                details={"gpio": pin},
            )
    setup = msgspec.structs.replace(setup, name=common_text(setup, f"{setup.kind.value} {setup.gpio}"))
    refuse_too_large(said(setup), actuator_item(setup, active=True))
    everyone = replaced_actuators(actuators, setup)
    if setup.enabled:
        enabled = sum(actuator.enabled for actuator in everyone)
        refuse_too_many("actuators", enabled, board.max_actuators, board)
        warnings += _habits(board, setup)
    return Admitted(setup, (*warnings, *without_partner(sensors, everyone)))


def _refuse_numbers(setup: ActuatorSetup) -> None:
    if not 0 <= setup.default_pwm <= MAX_PWM:
        raise Invalid(f"default_pwm {setup.default_pwm} is not from 0 to {MAX_PWM}")
    if setup.max_runtime_s is not None and not 1 <= setup.max_runtime_s <= MAX_RUNTIME_S:
        raise Invalid(f"a running time of {setup.max_runtime_s} s is not from 1 to {MAX_RUNTIME_S}")
    if setup.cooldown_s < 0:
        raise Invalid(f"a cooldown of {setup.cooldown_s} s is negative")


def _refuse_limits(setup: ActuatorSetup) -> None:
    """Limits that only growyd knows: what they allow must be possible, and a budget must be countable."""
    if not OFF <= setup.min_value <= setup.max_value <= FULL or setup.max_value == OFF:
        raise Invalid(
            f"min_value {setup.min_value:g} and max_value {setup.max_value:g} leave nothing that it could do",
            cure="0 <= min_value <= max_value <= 1, and max_value greater than 0; to keep it off, disable it",
        )
    if setup.max_runtime_day_s is not None and not 1 <= setup.max_runtime_day_s <= DAY_S:
        raise Invalid(f"a running time of {setup.max_runtime_day_s} s in a day is not from 1 to {DAY_S}")
    for number, what in (
        (setup.dose_ml_per_s, "a delivery of {:g} ml per second"),
        (setup.dose_budget_ml, "a budget of {:g} ml in a day"),
    ):
        if number is not None and not 0 < number < math.inf:
            raise Invalid(f"{what.format(number)} is not greater than 0")
    if setup.dose_budget_ml is not None and setup.dose_ml_per_s is None:
        raise Invalid(
            "a budget in millilitres can only be kept of a pump whose delivery is known",
            cure="Measure what it delivers in a minute at full output, and say it as dose_ml_per_second",
        )


def _second_pin(setup: ActuatorSetup, pin: int) -> str:
    if pin == setup.gpio:
        return ""
    how = "the pin above the first, as no aux_gpio was given" if setup.aux_gpio == NO_PIN else "aux_gpio"
    return f"; it would be the enable pin of the valve ({how})"


def _habits(board: Board, setup: ActuatorSetup) -> list[str]:
    """What the device will do that a person may not expect."""
    warnings = []
    if setup.inverted_logic:
        warnings.append(
            "inverted_logic: the firmware energises it at every boot and when it is first set up, while it reports it "
            "as off, until it has been switched on and off once"
        )
    moving = board.moves_at_boot & set(setup.pins)
    if moving:
        warnings.append(
            f"gpio {listed(moving)} has a level of the chip's own for a moment at every boot, before the firmware runs"
        )
    return warnings
