"""Admission of a sensor: chip, bus, pin or label, address. Decides nothing about its values."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from growy.fleet.admission.admitted import (
    RESTORED_SENSORS,
    Admitted,
    Owner,
    Use,
    common_text,
    listed,
    owners,
    refuse_too_many,
    refuse_unusable,
    replaced,
    said,
    without_partner,
)
from growy.fleet.hardware import ADC_BLIND, Board, Family, base_type, family_of, no_driver
from growy.fleet.onewire import rom_code
from growy.model.errors import GpioConflict, Invalid
from growy.model.reading import Bus
from growy.model.setup import NO_PIN, ActuatorSetup, OperatingMode, SensorSetup
from growy.wire.config_document import refuse_too_large
from growy.wire.setup import sensor_item

MIN_INTERVAL_S, MAX_INTERVAL_S = 1, 300
FREE_LABELS = range(40, NO_PIN)
"""Numbers that can be no pin on any board."""

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,31}")


def admit_sensor(
    board: Board,
    sensors: Sequence[SensorSetup],
    actuators: Sequence[ActuatorSetup],
    setup: SensorSetup,
) -> Admitted[SensorSetup]:
    """The sensor as it is to be set up, new or in place of that with its id.

    Args:
        sensors, actuators: all that the device has.

    Raises:
        GpioConflict: the pin, label, address or ROM code is taken.
        ConfigTooLarge: no config message could hold it.
        Invalid: everything else that the device would refuse or misunderstand.
    """
    family = _family(sensors, setup)
    if not MIN_INTERVAL_S <= setup.interval_s <= MAX_INTERVAL_S:
        raise Invalid(
            f"an interval of {setup.interval_s} s; the firmware measures every {MIN_INTERVAL_S} to {MAX_INTERVAL_S} s"
        )
    others = [sensor for sensor in sensors if sensor.id != setup.id]
    taken = owners(others, actuators, without=setup.id)
    warnings = [family.doubt] if family.doubt else []
    setup = msgspec.structs.replace(setup, sensor_type=family.base)
    match family.bus:
        case Bus.I2C:
            # Who changes something else of it need not know its address.
            known = next((sensor.i2c_address for sensor in sensors if sensor.id == setup.id), None)
            setup, repairs = _on_i2c(board, family, others, taken, setup, known)
            warnings += repairs
        case Bus.ONEWIRE:
            setup = _on_onewire(board, others, taken, setup)
        case _:
            setup = _on_adc(board, taken, setup)
    setup = msgspec.structs.replace(setup, name=common_text(setup, f"{family.base} {setup.gpio}"))
    refuse_too_large(said(setup), sensor_item(setup, active=True))
    everyone = replaced(sensors, setup)
    enabled = sum(sensor.enabled for sensor in everyone)
    if setup.enabled:
        refuse_too_many("sensors", enabled, board.max_sensors, board)
        warnings += _habits(setup, enabled)
    return Admitted(setup, (*warnings, *without_partner(everyone, actuators)))


def _family(sensors: Sequence[SensorSetup], setup: SensorSetup) -> Family:
    family = family_of(setup.sensor_type)
    if not _TYPE.fullmatch(family.base):
        raise Invalid(
            f"{setup.sensor_type!r:.60} is no sensor type", cure="1 to 32 lower-case letters, digits and _"
        )
    reason = no_driver(family.base)
    if reason is not None:
        raise Invalid(
            f"{family.base}: {reason}", cure="Connect it to a device whose own firmware publishes its values"
        )
    for sensor in sensors:
        if sensor.id == setup.id and base_type(sensor.sensor_type) != family.base:
            raise Invalid(
                f"{said(sensor)} is a {sensor.sensor_type} and cannot become a {family.base}",
                cure="Remove it and set up a new one: its readings so far stay what they are",
            )
    return family


def _on_i2c(
    board: Board,
    family: Family,
    others: Sequence[SensorSetup],
    taken: dict[int, Owner],
    setup: SensorSetup,
    known_address: int | None,
) -> tuple[SensorSetup, list[str]]:
    """With its address said, and a label that is its own."""
    address = setup.i2c_address or known_address or family.addresses[0]
    possible = " or ".join(f"{each} (0x{each:02x})" for each in family.addresses)
    if address not in family.addresses:
        raise Invalid(
            f"a {family.base} has no I²C address {address} (0x{address:02x})", cure=f"It has {possible}"
        )
    for other in others:
        if other.i2c_address == address and family_of(other.sensor_type).bus is Bus.I2C:
            raise GpioConflict(
                f"{said(other)} has I²C address {address} (0x{address:02x}) already",
                cure=f"A {family.base} can have {possible}; its ADDR or SDO pin chooses",
                details={"i2c_address": address},
            )
    warnings: list[str] = []
    label = setup.gpio
    if label == 0 or label in board.i2c_pins:
        # Older clients say 0 or SDA for every I²C sensor. The firmware finds a sensor by this number, so only the
        # first of several would ever be read.
        label = address
        warnings.append(
            f"gpio {setup.gpio} was replaced by {label}: an I²C sensor needs a number of its own, and "
            "its address is one"
        )
    if not 0 < label < NO_PIN:
        raise Invalid(
            f"gpio {label} cannot label a sensor", cure=f"Use gpio {address}, its address, as label"
        )
    if label in taken:
        free = next(number for number in (address, *FREE_LABELS) if number not in taken)
        hint = ", its address," if free == address else ""
        raise GpioConflict(
            f"gpio {label} is taken by {taken[label].text}; the number of an I²C sensor is only a label, and must be "
            "its own",
            cure=f"Use gpio {free}{hint} as label",
            details={"gpio": label, "suggested_gpio": free},
        )
    return (
        msgspec.structs.replace(setup, gpio=label, i2c_address=address, onewire_address=None),
        warnings,
    )


def _on_onewire(
    board: Board, others: Sequence[SensorSetup], taken: dict[int, Owner], setup: SensorSetup
) -> SensorSetup:
    """With its ROM code, on the one OneWire pin of the device."""
    rom = rom_code(setup.onewire_address)
    refuse_unusable(board, setup.gpio)
    if setup.gpio in board.input_only:
        raise Invalid(
            f"gpio {setup.gpio} can only read, and a OneWire bus must be driven",
            cure=f"Use one of {listed(board.safe - board.i2c_pins - board.input_only)}",
        )
    owner = taken.get(setup.gpio)
    if owner is not None and owner.use is not Use.ONEWIRE:
        raise _taken(setup.gpio, owner)
    for other in others:
        if family_of(other.sensor_type).bus is not Bus.ONEWIRE:
            continue
        if other.onewire_address == rom:
            raise GpioConflict(
                f"{said(other)} is the sensor with ROM code {rom} already", details={"onewire_address": rom}
            )
        if other.gpio != setup.gpio:
            raise GpioConflict(
                f"the firmware drives one OneWire bus, and {said(other)} has it on gpio {other.gpio}",
                cure=f"Use gpio {other.gpio}: several sensors share a bus",
                details={"gpio": setup.gpio, "suggested_gpio": other.gpio},
            )
    return msgspec.structs.replace(setup, onewire_address=rom, i2c_address=None)


def _on_adc(board: Board, taken: dict[int, Owner], setup: SensorSetup) -> SensorSetup:
    cure = f"Use one of {listed(board.adc1)}"
    if setup.gpio in board.adc2:
        raise Invalid(f"gpio {setup.gpio} {ADC_BLIND}", cure=cure)
    refuse_unusable(board, setup.gpio)
    if setup.gpio not in board.adc1:
        raise Invalid(f"gpio {setup.gpio} cannot read analogue values", cure=cure)
    owner = taken.get(setup.gpio)
    if owner is not None:
        raise _taken(setup.gpio, owner)
    return msgspec.structs.replace(setup, onewire_address=None, i2c_address=None)


def _taken(gpio: int, owner: Owner) -> GpioConflict:
    cure = (
        "Give that I²C sensor its address as label, or use another pin"
        if owner.use is Use.LABEL
        else "Use another pin"
    )
    return GpioConflict(
        f"gpio {gpio} is taken by {owner.text} ({owner.use.value})", cure=cure, details={"gpio": gpio}
    )


def _habits(setup: SensorSetup, enabled: int) -> list[str]:
    """What the device will do that a person may not expect."""
    warnings = []
    if setup.operating_mode is not OperatingMode.CONTINUOUS:
        warnings.append(
            f"operating mode {setup.operating_mode.value}: the device does not read it by itself, only "
            "when asked to measure"
        )
    if enabled > RESTORED_SENSORS:
        warnings.append(
            f"with {enabled} sensors: after a reboot the firmware remembers {RESTORED_SENSORS} of them; the others are "
            "silent until growyd has sent them again"
        )
    return warnings
