"""Sensors set up on devices: put there, changed, taken away.

What growyd acts on becomes a `SensorSetup`; what only clients use is kept beside it as it came. What no firmware can do
is refused here with its reason, or said in `warnings`.
"""

from __future__ import annotations

import enum
import json
import math
import uuid
from collections.abc import Mapping, Sequence

import attrs
import msgspec
from attrs import validators as v

from growy.fleet.conversion import measured
from growy.fleet.hardware import base_type, family_of
from growy.fleet.onewire import rom_code
from growy.model.errors import CalibrationError, ConversionError, DeviceNotApproved, Invalid
from growy.model.reading import Bus
from growy.model.setup import OperatingMode, SensorSetup
from growy.sensors.calibration import Calibration
from growy.sensors.registry import Registry
from growy.web.answers import Response, answer
from growy.web.api.setups import (
    Ambiguous,
    as_kept,
    between,
    check_place,
    need_sensor,
    notes_of,
    sensor_record,
)
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import faults
from growy.web.shapes import sensors as shapes

LONGEST_WAIT_S = 30.0


class ProcessingMode(enum.StrEnum):
    """Who converts. The firmware always publishes raw values, so it is always growyd."""

    PI_ENHANCED = "pi_enhanced"
    LOCAL = "local"
    RAW = "raw"


class Interface(enum.StrEnum):
    I2C = "I2C"
    ONEWIRE = "ONEWIRE"
    ANALOG = "ANALOG"
    DIGITAL = "DIGITAL"


_INTERFACES = {Bus.I2C: Interface.I2C, Bus.ONEWIRE: Interface.ONEWIRE, Bus.GPIO: Interface.ANALOG}


class Scope(enum.StrEnum):
    """Where a device's readings count, as clients sort them."""

    ZONE_LOCAL = "zone_local"
    MULTI_ZONE = "multi_zone"
    MOBILE = "mobile"


class Role(enum.StrEnum):
    INFLOW = "inflow"
    RUNOFF = "runoff"


@attrs.frozen
class SensorBody:
    """Absent: unchanged, and on a new sensor the default."""

    sensor_type: str = attrs.field(validator=[v.min_len(1), v.max_len(50)])
    gpio: int | None = None
    esp_id: str | None = None
    name: str | None = attrs.field(default=None, validator=v.optional(v.max_len(64)))
    enabled: bool | None = None
    interval_ms: int | None = attrs.field(default=None, validator=between(1000, 300_000))
    operating_mode: OperatingMode | None = None
    i2c_address: int | None = attrs.field(default=None, validator=between(0, 127))
    onewire_address: str | None = attrs.field(default=None, validator=v.optional(v.max_len(32)))
    subzone_id: str | None = attrs.field(default=None, validator=v.optional(v.max_len(32)))
    parameters: dict[str, object] | None = None
    calibration: dict[str, object] | None = None
    processing_mode: ProcessingMode | None = None
    interface_type: Interface | None = None
    description: str | None = attrs.field(default=None, validator=v.optional(v.max_len(500)))
    unit: str | None = attrs.field(default=None, validator=v.optional(v.max_len(20)))
    measurement_role: Role | None = None
    provides_values: list[str] | None = None
    threshold_min: float | None = None
    threshold_max: float | None = None
    warning_min: float | None = None
    warning_max: float | None = None
    metadata: dict[str, object] | None = None
    timeout_seconds: int | None = attrs.field(default=None, validator=between(0, 86_400))
    timeout_warning_enabled: bool | None = None
    schedule_config: dict[str, object] | None = None
    measurement_freshness_hours: int | None = attrs.field(default=None, validator=between(1, 8760))
    calibration_interval_days: int | None = attrs.field(default=None, validator=between(1, 365))
    device_scope: Scope | None = None
    assigned_zones: list[str] | None = None
    assigned_subzones: list[str] | None = None


NOTES = (
    *("description", "unit", "measurement_role", "processing_mode", "provides_values"),
    *("threshold_min", "threshold_max", "warning_min", "warning_max", "metadata"),
    *("timeout_seconds", "timeout_warning_enabled", "schedule_config"),
    *("measurement_freshness_hours", "calibration_interval_days"),
    *("device_scope", "assigned_zones", "assigned_subzones"),
)
"""Fields that growyd keeps and does not act on."""


@attrs.frozen
class WaitQuery:
    wait: float = attrs.field(default=0.0, validator=[v.ge(0), v.le(LONGEST_WAIT_S)])
    """Seconds."""


@attrs.frozen
class RemoveQuery:
    sensor_type: str | None = None
    wait: float = attrs.field(default=0.0, validator=[v.ge(0), v.le(LONGEST_WAIT_S)])


async def put(call: Call, query: WaitQuery, body: SensorBody) -> Response:
    """Set a sensor up, or change it."""
    app, esp_id, gpio = call.app, call.path["esp_id"], call.integer("gpio")
    check_place(esp_id, gpio, body.esp_id, body.gpio)
    device = app.fleet.need(esp_id)
    before = _before(device.record.sensors, gpio, body)
    wanted, warnings = _setup(app.pool.registry, before, gpio, body)
    setup, more = await app.fleet.set_sensor(esp_id, wanted)
    if query.wait:
        await app.fleet.settled(esp_id, [setup.key], query.wait)
    device = app.fleet.need(esp_id)
    record = sensor_record(app, device, as_kept(device.record.sensors, setup))
    return answer({"success": True, **record, "warnings": [*warnings, *more], "request_id": call.request_id})


def _before(sensors: Sequence[SensorSetup], gpio: int, body: SensorBody) -> SensorSetup | None:
    """The sensor that a body speaks of: by address where it has one, else by pin. Another kind of sensor at the same
    place is none: that is a conflict, which the fleet explains. Raises Invalid."""
    family = family_of(body.sensor_type)
    alike = [one for one in sensors if one.sensor_type == family.base]
    at_gpio = [one for one in alike if one.gpio == gpio]
    if family.bus is Bus.ONEWIRE and body.onewire_address:
        rom = rom_code(body.onewire_address)
        found = [one for one in alike if one.onewire_address == rom]
    elif family.bus is Bus.I2C and (body.i2c_address or not at_gpio):
        address = body.i2c_address or family.addresses[0]
        found = [one for one in alike if one.i2c_address == address]
    else:
        found = at_gpio
    return found[0] if len(found) == 1 else None


def _setup(
    registry: Registry, before: SensorSetup | None, gpio: int, body: SensorBody
) -> tuple[SensorSetup, list[str]]:
    """What is wished, and what about it will not be as somebody may expect. Raises Invalid, ConversionError,
    CalibrationError."""
    sensor_type = base_type(body.sensor_type)
    setup = before or SensorSetup(id=str(uuid.uuid4()), gpio=gpio, sensor_type=sensor_type, name="")
    parameters, calibrations, warnings = _conversion(registry, setup, sensor_type, body)
    changes: dict[str, object] = {
        "name": body.name or None,
        "enabled": body.enabled,
        "interval_s": None if body.interval_ms is None else math.ceil(body.interval_ms / 1000),
        "operating_mode": body.operating_mode,
        "i2c_address": body.i2c_address,
        "onewire_address": body.onewire_address or None,
        "subzone_id": body.subzone_id,
    }
    setup = msgspec.structs.replace(
        setup,
        gpio=gpio,
        sensor_type=sensor_type,
        parameters=parameters,
        calibrations=calibrations,
        notes=notes_of(setup.notes, body, NOTES),
        **{name: wish for name, wish in changes.items() if wish is not None},
    )
    return setup, [*warnings, *_surprises(setup, body)]


def _surprises(setup: SensorSetup, body: SensorBody) -> list[str]:
    warnings = []
    if body.processing_mode in (ProcessingMode.LOCAL, ProcessingMode.RAW):
        warnings.append(
            "The firmware always publishes raw values; growyd converts them in every processing_mode"
        )
    if body.interval_ms is not None and body.interval_ms % 1000:
        warnings.append(f"The firmware counts in seconds: every {setup.interval_s} s")
    reads = _INTERFACES[family_of(setup.sensor_type).bus]
    if body.interface_type not in (None, reads):
        warnings.append(f"The firmware reads a {setup.sensor_type} as {reads}, whatever interface_type says")
    return warnings


def _conversion(
    registry: Registry, setup: SensorSetup, sensor_type: str, body: SensorBody
) -> tuple[Mapping[str, float | str], Mapping[str, str], list[str]]:
    """Parameters and calibrations that the sensor's libraries take. Raises Invalid, ConversionError,
    CalibrationError."""
    types = measured(registry, sensor_type)
    plain, calibration = _calibration(body.calibration)
    given = plain if body.parameters is None else {**body.parameters, **plain}
    parameters = {**setup.parameters, **plain} if body.parameters is None else given
    known = [one for one in types if registry.resolve(one) is not None]
    if not known:
        if given or calibration is not None:
            raise ConversionError(
                f"No sensor library converts {sensor_type!r}, so it has no parameters",
                cure="GET /api/v1/sensors/libraries lists what there is",
            )
        kept = f"No sensor library converts {sensor_type!r}: its readings are kept raw, without a value"
        return setup.parameters, setup.calibrations, [kept]
    shared = sorted({"calibration_gain", "calibration_offset"} & parameters.keys())
    if shared and len(known) > 1:
        raise Invalid(
            f"{', '.join(shared)} would correct {' and '.join(known)} alike",
            cure="Calibrate each of them: POST .../calibrate with its sensor_type",
        )
    for one in known:
        registry.plan(one, parameters)
    calibrations = {name: text for name, text in setup.calibrations.items() if name in types}
    if calibration is not None:
        calibrations[_fitting(registry, known, parameters, calibration)] = calibration.to_json()
    settings: dict[str, float | str] = {
        name: one for name, one in parameters.items() if isinstance(one, int | float | str)
    }
    return settings, calibrations, []


def _calibration(said: dict[str, object] | None) -> tuple[dict[str, object], Calibration | None]:
    """One as growyd writes it, or plain parameters as other servers do. Raises CalibrationError."""
    if not said:
        return {}, None
    return ({}, Calibration.from_json(json.dumps(said))) if "points" in said else (dict(said), None)


def _fitting(
    registry: Registry, types: list[str], parameters: Mapping[str, object], calibration: Calibration
) -> str:
    """The value type that a calibration is of. Raises CalibrationError: it is of none."""
    refusals: list[CalibrationError] = []
    for one in types:
        try:
            registry.plan(one, parameters, calibration)
        except CalibrationError as error:
            refusals.append(error)
        else:
            return one
    raise refusals[0]


async def remove(call: Call, query: RemoveQuery) -> Response:
    """Take a sensor off its device. Its readings stay."""
    app, esp_id = call.app, call.path["esp_id"]
    setup = need_sensor(app, esp_id, call.path["gpio"], query.sensor_type)
    record = sensor_record(app, app.fleet.need(esp_id), setup)
    await app.fleet.remove_sensor(esp_id, setup.id)
    confirmed = bool(query.wait) and await app.fleet.settled(esp_id, [setup.key], query.wait)
    return answer({"success": True, **record, "confirmed": confirmed, "request_id": call.request_id})


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/sensors/{esp_id}/{gpio}",
        summary="Set a sensor up",
        handler=put,
        query=WaitQuery,
        body=SensorBody,
        auth=Auth.OPERATOR,
        answers=shapes.SENSOR_SET_UP,
        errors=(*faults.SET_UP, *faults.CONVERTED),
    ),
    Endpoint(
        method="DELETE",
        path="/api/v1/sensors/{esp_id}/{gpio}",
        summary="Take a sensor off its device",
        handler=remove,
        query=RemoveQuery,
        auth=Auth.OPERATOR,
        answers=shapes.SENSOR_REMOVED,
        errors=(*faults.SENSOR, DeviceNotApproved, Ambiguous),
    ),
)
