"""Admission of a device's zone and subzones: ids that the firmware takes, pins that it can group."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from growy.fleet.admission.admitted import Admitted, listed, refuse_unusable
from growy.fleet.hardware import Board, family_of
from growy.model.errors import GpioConflict, Invalid
from growy.model.reading import Bus
from growy.model.setup import SensorSetup, SubzoneSetup, ZoneSetup
from growy.wire.limits import check_name, check_place_id

FORGOTTEN_SUBZONES = 8
"""So many the firmware removes with their zone."""


def admit_zone(zone: ZoneSetup) -> Admitted[ZoneSetup]:
    """The zone of a device; one without an id takes the device out of its zone.

    Raises:
        Invalid
    """
    if zone.zone_id:
        check_place_id("zone id", zone.zone_id)
    if zone.master_zone_id:
        check_place_id("master zone id", zone.master_zone_id)
    name = check_name("name of the zone", zone.zone_name.strip())
    return Admitted(msgspec.structs.replace(zone, zone_name=name))


def admit_subzone(
    board: Board,
    sensors: Sequence[SensorSetup],
    subzones: Sequence[SubzoneSetup],
    zone_id: str,
    setup: SubzoneSetup,
) -> Admitted[SubzoneSetup]:
    """The subzone as it is to be set up, new or in place of that with its id. Labels of I²C sensors are left out.

    Args:
        sensors, subzones: all that the device has.
        zone_id: the zone in which the device is, or is to be.

    Raises:
        GpioConflict: a pin belongs to another subzone.
        Invalid: everything else that the device would refuse.
    """
    check_place_id("subzone id", setup.subzone_id)
    name = check_name("name of the subzone", setup.name.strip()) or setup.subzone_id
    if not zone_id:
        raise Invalid(
            f"subzone {setup.subzone_id} needs a zone, and the device is in none",
            cure="Assign its zone first",
        )
    labels = {sensor.gpio for sensor in sensors if family_of(sensor.sensor_type).bus is Bus.I2C}
    # Older clients say 0 or SDA where they mean an I²C sensor.
    no_pins = labels | {0} | board.i2c_pins
    pins = sorted(set(setup.gpios) - no_pins)
    owned = {pin: other for other in subzones if other.subzone_id != setup.subzone_id for pin in other.gpios}
    for pin in pins:
        refuse_unusable(board, pin)
        if pin in owned:
            raise GpioConflict(
                f"gpio {pin} belongs to subzone {owned[pin].subzone_id}",
                cure="Take it out of that one first",
                details={"gpio": pin},
            )
    warnings = []
    dropped = set(setup.gpios) & no_pins
    if dropped:
        warnings.append(
            f"gpio {listed(dropped)} is left out: an I²C sensor is no pin, it names its subzone in its own setup"
        )
    if not pins:
        warnings.append("the subzone has no pins")
    if len({setup.subzone_id, *(other.subzone_id for other in subzones)}) > FORGOTTEN_SUBZONES:
        warnings.append(
            f"more than {FORGOTTEN_SUBZONES} subzones: when the device is taken out of its zone, its firmware "
            f"forgets only {FORGOTTEN_SUBZONES} of them"
        )
    return Admitted(msgspec.structs.replace(setup, name=name, gpios=tuple(pins)), tuple(warnings))
