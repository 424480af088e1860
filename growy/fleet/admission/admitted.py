"""What an admission ends in, and the questions that sensors and actuators have in common: who uses which gpio, how
many there may be, what a name may be."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import attrs

from growy.fleet.hardware import Board, family_of
from growy.model.errors import Invalid
from growy.model.reading import Bus
from growy.model.setup import ActuatorSetup, SensorSetup
from growy.wire.limits import check_name, check_place_id

T_co = TypeVar("T_co", covariant=True)

RESTORED_SENSORS = 10
"""So many the firmware finds again in its flash after a reboot."""


@attrs.frozen
class Admitted(Generic[T_co]):
    """A setup that can be sent."""

    setup: T_co
    """As it is to be kept: normalised, with what a client left open filled in."""
    warnings: tuple[str, ...] = ()
    """Sentences for the person who wants it."""


class Use(enum.Enum):
    """What a gpio number is used as."""

    LABEL = "label"
    """The number under which the device keeps an I²C sensor; no pin."""
    ONEWIRE = "OneWire bus"
    ANALOG = "analogue input"
    OUTPUT = "output"


@attrs.frozen
class Owner:
    """Who has a gpio number."""

    text: str
    """`sensor 'Air bench A'`."""
    use: Use


def owners(
    sensors: Iterable[SensorSetup], actuators: Iterable[ActuatorSetup], *, without: str
) -> dict[int, Owner]:
    """Gpio number -> who has it, but for the one with the id `without`."""
    found: dict[int, Owner] = {}
    for sensor in sensors:
        if sensor.id != without:
            found[sensor.gpio] = Owner(said(sensor), _USE[family_of(sensor.sensor_type).bus])
    for actuator in actuators:
        if actuator.id != without:
            for pin in actuator.pins:
                found[pin] = Owner(said(actuator), Use.OUTPUT)
    return found


_USE = {Bus.I2C: Use.LABEL, Bus.ONEWIRE: Use.ONEWIRE, Bus.GPIO: Use.ANALOG}


def said(setup: SensorSetup | ActuatorSetup) -> str:
    """How a message names it."""
    kind = "sensor" if isinstance(setup, SensorSetup) else "actuator"
    return f"{kind} {setup.name!r}" + ("" if setup.enabled else " (switched off)")


def refuse_unusable(board: Board, gpio: int) -> None:
    """Nothing, if the pin can be used for something.

    Raises:
        Invalid
    """
    reason = board.why_not(gpio)
    if reason is not None:
        raise Invalid(
            f"gpio {gpio} {reason}",
            cure=f"Usable on {board.name}: {listed(board.safe - board.i2c_pins)}",
        )


def common_text(setup: SensorSetup | ActuatorSetup, fallback: str) -> str:
    """The name to keep; the firmware refuses an item without one, so there is a fallback.

    Raises:
        Invalid: name or subzone id.
    """
    if setup.subzone_id:
        check_place_id("subzone id", setup.subzone_id)
    return check_name("name", setup.name.strip()) or fallback


def without_partner(sensors: Sequence[SensorSetup], actuators: Sequence[ActuatorSetup]) -> list[str]:
    """A warning if the device would come up waiting: with sensors and no actuator, or the reverse."""
    some_sensor = any(sensor.enabled for sensor in sensors)
    some_actuator = any(actuator.enabled for actuator in actuators)
    if some_sensor == some_actuator:
        return []
    has, lacks = ("sensors", "actuator") if some_sensor else ("actuators", "sensor")
    warning = (
        f"the device has {has} and no {lacks}: after a reboot its firmware waits (CONFIG_PENDING) and refuses commands "
        "until growyd has assigned its zone again; one that is in no zone goes on waiting"
    )
    return [warning]


def replaced(existing: Sequence[SensorSetup], new: SensorSetup) -> list[SensorSetup]:
    """All sensors of the device once the new or changed one is among them."""
    return [*(sensor for sensor in existing if sensor.id != new.id), new]


def replaced_actuators(existing: Sequence[ActuatorSetup], new: ActuatorSetup) -> list[ActuatorSetup]:
    """All actuators of the device once the new or changed one is among them."""
    return [*(actuator for actuator in existing if actuator.id != new.id), new]


def refuse_too_many(what: str, enabled: int, limit: int, board: Board) -> None:
    """Nothing, if the board's firmware holds so many.

    Raises:
        Invalid
    """
    if enabled > limit:
        raise Invalid(
            f"the firmware on {board.name} holds {limit} {what}; this would be number {enabled}",
            cure="Remove one, or switch one off",
        )


def listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
