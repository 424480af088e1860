"""How sensors and actuators look in answers, and how a request's words find one. Reads memory only.

A row is one value of one sensor: (device, bus, address, value type). It stands from the moment it is set up or first
heard, whichever is first, and keeps its id. The gpio is only a label: several sensors may share it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from attrs import validators as v

from growy.fleet.conversion import canonical, find_sensor, measured
from growy.fleet.device import Device
from growy.fleet.hardware import family_of
from growy.model.control import ActuatorKey
from growy.model.errors import ActuatorNotFound, GrowyError, Invalid, SensorNotFound
from growy.model.reading import Bus, Series, SeriesKey
from growy.model.setup import NO_PIN, ActuatorKind, ActuatorSetup, ItemState, SensorSetup
from growy.sensors.registry import Registry
from growy.web.answers import iso
from growy.web.api.control_records import doing
from growy.web.api.cures import cure_of
from growy.web.api.records import item_state, known
from growy.web.api.series import need_device, place, series_uuid, value_record
from growy.web.app import App

Setup = TypeVar("Setup", SensorSetup, ActuatorSetup)
LONGEST_NOTES = 16_384
"""Characters of JSON that clients may keep with a sensor or an actuator."""


class Ambiguous(GrowyError):
    """Several things fit what was asked for; `details["ids"]` names them."""

    code = "AMBIGUOUS"
    numeric_code = 5419
    http_status = 409


@attrs.frozen
class Row:
    """One value of one sensor."""

    key: SeriesKey
    gpio: int
    series: Series | None
    """None before its first reading."""
    setup: SensorSetup | None
    """None where nobody has set it up."""


def rows(app: App, esp_id: str | None = None) -> list[Row]:
    """Every series by id, then what is set up and has not been heard of."""
    registry = app.pool.registry
    devices = {device.esp_id: device for device in known(app) if esp_id in (None, device.esp_id)}
    heard: list[Row] = []
    seen: dict[str, set[str]] = {}
    for series in app.store.catalog.find(esp_id=esp_id):
        device = devices.get(series.key.esp_id)
        setup = None if device is None else find_sensor(registry, device.record.sensors, series.key)
        heard.append(Row(series.key, series.gpio, series, setup))
        if setup is not None:
            seen.setdefault(setup.id, set()).add(canonical(registry, series.key.value_type))
    silent = [
        Row(key_of(device.esp_id, setup, value_type), setup.gpio, None, setup)
        for device in devices.values()
        for setup in device.record.sensors
        for value_type in family_of(setup.sensor_type).values
        if canonical(registry, value_type) not in seen.get(setup.id, ())
    ]
    return heard + silent


def key_of(esp_id: str, setup: SensorSetup, value_type: str) -> SeriesKey:
    """The series that a sensor's readings will be of."""
    if setup.onewire_address is not None:
        return SeriesKey(esp_id, Bus.ONEWIRE, setup.onewire_address, value_type)
    if setup.i2c_address is not None:
        return SeriesKey(esp_id, Bus.I2C, str(setup.i2c_address), value_type)
    return SeriesKey(esp_id, Bus.GPIO, str(setup.gpio), value_type)


def of_type(registry: Registry, found: Sequence[Row], sensor_type: str) -> list[Row]:
    """Rows of a type: in any case of letters, by the aliases of its library, or by the chip."""
    wanted = sensor_type.lower()
    exact = [row for row in found if row.key.value_type == wanted]
    if exact:
        return exact
    types = measured(registry, wanted) if registry.resolve(wanted) is None else (canonical(registry, wanted),)
    return [row for row in found if canonical(registry, row.key.value_type) in types]


def row_record(app: App, row: Row) -> dict[str, object]:
    """A row with its newest reading and how far its setup has come on the device."""
    record = value_record(app, row.key, row.gpio, row.series, row.setup)
    device = app.fleet.get(row.key.esp_id)
    if row.setup is None or device is None:
        return record | dict.fromkeys(_UNSET)
    return {
        **row.setup.notes,  # first, so that they never hide what growyd itself says
        **record,
        **_setup_fields(app, device, row.setup),
        "calibration": _calibration(app, row),
    }


_UNSET = ("config_status", "config_error", "config_error_detail", "calibration", "updated_at")
"""What only a sensor that is set up has."""


def sensor_record(app: App, device: Device, setup: SensorSetup) -> dict[str, object]:
    """A sensor as it is set up, with its `values`: a chip has several. The newest reading beside them is the first
    value's."""
    values = [row for row in rows(app, device.esp_id) if row.setup is not None and row.setup.id == setup.id]
    each = [row_record(app, row) for row in values]
    first = each[0] if each else {}
    key = key_of(device.esp_id, setup, setup.sensor_type)
    return {
        **setup.notes,
        "id": setup.id,
        "config_id": setup.id,
        "esp_id": device.esp_id,
        "esp_device_id": device.esp_id,
        "gpio": setup.gpio,
        "sensor_type": setup.sensor_type,
        "name": setup.name,
        "enabled": setup.enabled,
        "unit": first.get("unit"),
        "interface_type": first.get("interface_type"),
        **place(key),
        "zone_id": device.zone_id or None,
        "subzone_id": setup.subzone_id or None,
        **{name: first.get(name) for name in first if name.startswith("latest_")},
        **_setup_fields(app, device, setup),
        "calibrations": {row.key.value_type: one for row in values if (one := _calibration(app, row))},
        "values": each,
        "created_at": iso(setup.created_ms) if setup.created_ms else None,
    }


def _setup_fields(app: App, device: Device, setup: SensorSetup) -> dict[str, object]:
    return {
        "interval_ms": 1000 * setup.interval_s,
        "operating_mode": setup.operating_mode.value,
        "parameters": dict(setup.parameters),
        "subzone_warning": _subzone_warning(device, setup.subzone_id),
        **_state(app, device, setup.key),
        "updated_at": iso(setup.updated_ms) if setup.updated_ms else None,
    }


def _state(app: App, device: Device, key: str) -> dict[str, object]:
    said, shown = app.fleet.item(device, key), item_state(app, device, key)
    failed = said is not None and shown["config_status"] == ItemState.FAILED
    return shown | {
        "config_cure": (cure_of(said.error_code, said.error) or None) if said and failed else None,
        "correlation_id": (said.correlation_id or None) if said is not None else None,
    }


def _subzone_warning(device: Device, subzone_id: str) -> str | None:
    if not subzone_id or any(one.subzone_id == subzone_id for one in device.record.subzones):
        return None
    return f"{device.esp_id} has no subzone {subzone_id!r}"


def _calibration(app: App, row: Row) -> object:
    """As it was stored, with its points and facts."""
    if row.setup is None:
        return None
    text = row.setup.calibrations.get(canonical(app.pool.registry, row.key.value_type))
    return None if text is None else json.loads(text)


def actuator_record(app: App, device: Device, setup: ActuatorSetup) -> dict[str, object]:
    """An actuator as it is set up, what it does now, and why."""
    return {
        **setup.notes,
        "id": setup.id,
        "esp_id": device.esp_id,
        "esp_device_id": device.esp_id,
        "gpio": setup.gpio,
        "aux_gpio": setup.pins[1] if len(setup.pins) > 1 else None,
        "actuator_type": "pwm" if setup.kind is ActuatorKind.PWM else "digital",
        "hardware_type": setup.kind.value,
        "name": setup.name,
        "enabled": setup.enabled,
        "critical": setup.critical,
        "inverted_logic": setup.inverted_logic,
        "default_state": setup.default_state,
        "default_pwm": setup.default_pwm,
        "max_runtime_seconds": setup.max_runtime_s,
        "cooldown_seconds": setup.cooldown_s,
        "min_value": setup.min_value,
        "max_value": setup.max_value,
        "max_runtime_day_seconds": setup.max_runtime_day_s,
        "dose_ml_per_second": setup.dose_ml_per_s,
        "dose_budget_ml": setup.dose_budget_ml,
        "zone_id": device.zone_id or None,
        "subzone_id": setup.subzone_id or None,
        "subzone_warning": _subzone_warning(device, setup.subzone_id),
        **doing(app, ActuatorKey(device.esp_id, setup.gpio)),
        **_state(app, device, setup.key),
        "created_at": iso(setup.created_ms) if setup.created_ms else None,
        "updated_at": iso(setup.updated_ms) if setup.updated_ms else None,
    }


# -- found by a request's words


def pin_of(said: str) -> int | None:
    """The gpio that a path says; None where it says an id instead."""
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 9 else None


def rows_at(app: App, esp_id: str, said: str, sensor_type: str | None = None) -> list[Row]:
    """The rows at a pin, or of an id (of a row, or of a setup); at least one, what is set up first.

    Raises EspNotFound, SensorNotFound.
    """
    gpio, everything = pin_of(said), rows(app, esp_id)
    found = [row for row in everything if (row.gpio == gpio if gpio is not None else said in ids_of(row))]
    if sensor_type is not None:
        found = of_type(app.pool.registry, found, sensor_type)
    if found:
        return sorted(found, key=lambda row: row.setup is None)
    need_device(app, esp_id)
    where = f"at gpio {gpio}" if gpio is not None else f"with the id {said[:64]!r}"
    there = sorted({(row.gpio, row.key.value_type) for row in everything})
    raise SensorNotFound(
        f"{esp_id} has no {sensor_type or 'sensor'} {where}",
        cure=f"It has {', '.join(f'{kind} at {pin}' for pin, kind in there[:20])}" if there else "",
        details={"esp_id": esp_id, "gpio": gpio, "sensor_type": sensor_type},
    )


def in_use(found: Sequence[Row]) -> list[Row]:
    """Those that are set up; all of them where none is. What was there before a sensor was replaced is history."""
    return [row for row in found if row.setup is not None] or list(found)


def ids_of(row: Row) -> tuple[str, ...]:
    """What a row can be called: its own id, or that of the sensor it is a value of."""
    own = series_uuid(row.key)
    return (own,) if row.setup is None else (own, row.setup.id)


def the_sensor(found: Sequence[Row]) -> SensorSetup | None:
    """The one sensor that rows are of; None where nobody has set it up. Raises Ambiguous naming the ids."""
    places = {(row.key.bus, row.key.address) for row in found}
    if len(places) > 1:
        named = {row.setup.id if row.setup is not None else series_uuid(row.key): row for row in found}
        shown = "; ".join(f"{one.key.value_type} {one.key.address}: {id}" for id, one in named.items())
        raise Ambiguous(
            f"{len(places)} sensors are at gpio {found[0].gpio} of {found[0].key.esp_id}: {shown}",
            cure="Put the id in place of the gpio",
            details={"ids": sorted(named)},
        )
    return next((row.setup for row in found if row.setup is not None), None)


def need_sensor(app: App, esp_id: str, said: str, sensor_type: str | None = None) -> SensorSetup:
    """The sensor that is set up at a pin or has an id. Raises EspNotFound, SensorNotFound, Ambiguous."""
    found = rows_at(app, esp_id, said, sensor_type)
    setup = the_sensor(in_use(found))
    if setup is None:
        raise SensorNotFound(
            f"{found[0].key.value_type} of {esp_id} at {said[:64]} sends readings, but is not set up here",
            cure=f"POST /api/v1/sensors/{esp_id}/{found[0].gpio} sets it up",
            details={"esp_id": esp_id},
        )
    return setup


def need_actuator(app: App, esp_id: str, said: str) -> ActuatorSetup:
    """The actuator at a pin or with an id. Raises EspNotFound, ActuatorNotFound."""
    gpio = pin_of(said)
    actuators = app.fleet.need(esp_id).record.actuators
    for setup in actuators:
        if (setup.gpio == gpio) if gpio is not None else (setup.id == said):
            return setup
    there = ", ".join(f"{one.kind} at {one.gpio}" for one in actuators)
    raise ActuatorNotFound(
        f"{esp_id} has no actuator at {said[:64]}",
        cure=f"It has {there}" if there else "",
        details={"esp_id": esp_id, "gpio": gpio},
    )


def as_kept(setups: Sequence[Setup], admitted: Setup) -> Setup:
    """What was just set up, as it stands in its device's record, with its dates; as it was admitted where it is gone
    again."""
    return next((one for one in setups if one.id == admitted.id), admitted)


# -- what a body says


def between(low: float, high: float) -> Callable[[Any, Any, Any], Any]:
    """Validator of an optional number: both ends are possible."""
    return v.optional(v.and_(v.ge(low), v.le(high)))


def check_place(esp_id: str, gpio: int, said_esp: str | None, said_gpio: int | None) -> None:
    """A body may repeat what the path says, but not contradict it. Raises Invalid."""
    if said_esp not in (None, "", esp_id):
        raise Invalid(f"The path says {esp_id[:64]!r}, the field esp_id {said_esp!r:.64}")
    if said_gpio not in (None, gpio):
        raise Invalid(f"The path says gpio {gpio}, the field gpio {said_gpio}")
    if not 0 <= gpio < NO_PIN:
        raise Invalid(f"gpio {gpio} is outside 0 to {NO_PIN - 1}")


def notes_of(before: Mapping[str, object], body: object, names: Iterable[str]) -> dict[str, object]:
    """What growyd keeps for clients and does not act on: absent fields stay what they were. Raises Invalid."""
    said = {name: value for name in names if (value := getattr(body, name)) is not None}
    notes = {**before, **said}
    if len(json.dumps(notes)) > LONGEST_NOTES:
        raise Invalid(
            f"More than {LONGEST_NOTES} characters of JSON to keep", cure="Shorten metadata and description"
        )
    return notes
