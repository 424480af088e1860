"""Changes of what is set up on a device, each a pure function of the record: the old one stays what it was.

What may be set up is judged by `growy.fleet.admission`; here it is put in its place, and what is taken away is
remembered until the device has confirmed that it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from growy.fleet.device import Record
from growy.model.errors import ActuatorNotFound, SensorNotFound, SubzoneNotFound
from growy.model.setup import ActuatorSetup, OfflineRule, SensorSetup, SubzoneSetup, ZoneSetup


def put_sensor(record: Record, setup: SensorSetup, now_ms: int) -> Record:
    """Adds a sensor, or replaces the one of the same id."""
    before = next((one for one in record.sensors if one.id == setup.id), None)
    created = now_ms if before is None else before.created_ms
    setup = msgspec.structs.replace(setup, created_ms=created, updated_ms=now_ms)
    # Another kind of sensor at the same place is a new one to the device: the old one goes first.
    removed = tuple(
        one for one in record.removed_sensors if (one.key, one.sensor_type) != (setup.key, setup.sensor_type)
    )
    if before is not None and before.key != setup.key:
        removed = (*removed, before)  # it moved: the device has it at its old place
    others = tuple(one for one in record.sensors if one.id != setup.id)
    return msgspec.structs.replace(record, sensors=(*others, setup), removed_sensors=removed)


def take_sensor(record: Record, esp_id: str, id: str) -> tuple[Record, SensorSetup]:
    """Raises SensorNotFound."""
    found = next((one for one in record.sensors if one.id == id), None)
    if found is None:
        raise SensorNotFound(f"{esp_id} has no sensor {id[:64]!r}")
    record = msgspec.structs.replace(
        record,
        sensors=tuple(one for one in record.sensors if one.id != id),
        removed_sensors=(*(one for one in record.removed_sensors if one.key != found.key), found),
    )
    return record, found


def put_actuator(record: Record, setup: ActuatorSetup, now_ms: int) -> Record:
    """Adds an actuator, or replaces the one of the same id."""
    before = next((one for one in record.actuators if one.id == setup.id), None)
    created = now_ms if before is None else before.created_ms
    setup = msgspec.structs.replace(setup, created_ms=created, updated_ms=now_ms)
    removed = tuple(one for one in record.removed_actuators if one.key != setup.key)
    if before is not None and before.key != setup.key:
        removed = (*removed, before)
    others = tuple(one for one in record.actuators if one.id != setup.id)
    return msgspec.structs.replace(record, actuators=(*others, setup), removed_actuators=removed)


def take_actuator(record: Record, esp_id: str, id: str) -> tuple[Record, ActuatorSetup]:
    """Raises ActuatorNotFound."""
    found = next((one for one in record.actuators if one.id == id), None)
    if found is None:
        raise ActuatorNotFound(f"{esp_id} has no actuator {id[:64]!r}")
    record = msgspec.structs.replace(
        record,
        actuators=tuple(one for one in record.actuators if one.id != id),
        removed_actuators=(*(one for one in record.removed_actuators if one.key != found.key), found),
    )
    return record, found


def put_rules(record: Record, rules: Sequence[OfflineRule]) -> Record:
    """All offline rules of the device at once."""
    return msgspec.structs.replace(record, offline_rules=tuple(rules))


def put_zone(record: Record, zone: ZoneSetup) -> Record:
    """Where the device shall be. Out of every zone, its subzones are gone: the firmware deletes them too."""
    if zone.zone_id:
        return msgspec.structs.replace(record, zone=zone)
    return msgspec.structs.replace(record, zone=zone, subzones=(), removed_subzones=())


def put_subzone(record: Record, subzone: SubzoneSetup) -> Record:
    """Adds a subzone, or replaces the one of the same id."""
    others = tuple(one for one in record.subzones if one.subzone_id != subzone.subzone_id)
    removed = tuple(one for one in record.removed_subzones if one != subzone.subzone_id)
    return msgspec.structs.replace(record, subzones=(*others, subzone), removed_subzones=removed)


def take_subzone(record: Record, esp_id: str, subzone_id: str) -> tuple[Record, SubzoneSetup]:
    """Raises SubzoneNotFound."""
    found = next((one for one in record.subzones if one.subzone_id == subzone_id), None)
    if found is None:
        raise SubzoneNotFound(f"{esp_id} has no subzone {subzone_id[:64]!r}")
    removed = (
        (*record.removed_subzones, subzone_id) if found.key in record.results else record.removed_subzones
    )
    record = msgspec.structs.replace(
        record,
        subzones=tuple(one for one in record.subzones if one.subzone_id != subzone_id),
        removed_subzones=removed,
    )
    return record, found


def send_again(record: Record) -> Record:
    """Forgets what the device has confirmed, so that all of it is sent once more."""
    return msgspec.structs.replace(record, results={})
