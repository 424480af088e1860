"""How a series looks in answers, and how a request's words find one. Never reads the disk: all of it is in memory."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from growy.fleet.conversion import find_sensor
from growy.fleet.device import DeviceStatus
from growy.model.errors import EspNotFound, SensorNotFound
from growy.model.reading import Bus, Series, SeriesKey
from growy.model.setup import SensorSetup
from growy.web.answers import iso
from growy.web.app import App

_NAMESPACE = uuid.UUID("6f2f6a0e-6c3c-5b0e-9d5c-0a6f9b6f4c11")
"""Ours alone: ids made in it mean the same device and series for ever, on every installation."""
_INTERFACES = {Bus.I2C: "I2C", Bus.ONEWIRE: "ONEWIRE"}


def device_uuid(esp_id: str) -> str:
    """The `id` of a device, for clients that want a UUID."""
    return str(uuid.uuid5(_NAMESPACE, esp_id))


def series_uuid(key: SeriesKey) -> str:
    """The `id` of a series, for clients that want a UUID. Known before its first reading."""
    return str(uuid.uuid5(_NAMESPACE, str(key)))


def identity(series: Series) -> dict[str, object]:
    """What tells a series from its neighbours on the same pin or bus."""
    return {"series_id": series.id, **place(series.key)}


def place(key: SeriesKey) -> dict[str, object]:
    """Where on its device a series comes from."""
    return {
        "bus": key.bus,
        "address": key.address,
        "i2c_address": int(key.address) if key.bus is Bus.I2C else None,
        "onewire_address": key.address if key.bus is Bus.ONEWIRE else None,
    }


def sensors_of(app: App, esp_id: str) -> tuple[SensorSetup, ...]:
    """What is set up on a device; nothing on one that is deleted or unknown."""
    device = app.fleet.get(esp_id)
    return () if device is None or device.status is DeviceStatus.DELETED else device.record.sensors


def describe(app: App, series: Series) -> dict[str, object]:
    """One series with its newest reading."""
    setup = find_sensor(app.pool.registry, sensors_of(app, series.key.esp_id), series.key)
    return value_record(app, series.key, series.gpio, series, setup)


def value_record(
    app: App, key: SeriesKey, gpio: int, series: Series | None, setup: SensorSetup | None
) -> dict[str, object]:
    """One value of one sensor. What growyd does not know is null.

    Args:
        gpio: the pin or label under which it is published.
        series: None before its first reading.
        setup: None where nobody has set it up.
    """
    latest = None if series is None else app.store.tail.latest(series.id)
    device = app.fleet.get(key.esp_id)
    known = app.pool.registry.resolve(key.value_type)
    unit = (known.unit if known is not None else "") if series is None else series.unit
    return {
        "id": series_uuid(key),
        "config_id": None if setup is None else setup.id,
        "esp_id": key.esp_id,
        "esp_device_id": key.esp_id,
        "gpio": gpio,
        "sensor_type": key.value_type,
        "name": None if setup is None else setup.name,
        "enabled": True if setup is None else setup.enabled,
        "unit": unit,
        # The firmware reads every pin that is no bus as an analog one.
        "interface_type": _INTERFACES.get(key.bus, None if setup is None else "ANALOG"),
        "series_id": None if series is None else series.id,
        **place(key),
        "zone_id": (device.zone_id or None) if device is not None else None,
        "subzone_id": (setup.subzone_id or None) if setup is not None else None,
        "latest_value": None if latest is None else latest.value,
        "latest_raw": None if latest is None else latest.raw,
        "latest_quality": None if latest is None else latest.quality.word,
        "latest_timestamp": None if latest is None else iso(latest.ts_ms),
        "max_age_seconds": None if series is None else app.control.max_age_s(series.id),
        "created_at": iso(series.created_ms) if series is not None and series.created_ms else None,
    }


def find(
    app: App, esp_id: str | None = None, gpio: int | None = None, sensor_type: str | None = None
) -> list[Series]:
    """Series that fit; a sensor type is found in any case of letters and by the aliases of its library."""
    found = app.store.catalog.find(esp_id=esp_id, gpio=gpio)
    if sensor_type is None:
        return found
    wanted = sensor_type.lower()
    exact = [series for series in found if series.key.value_type == wanted]
    if exact:
        return exact
    known = app.pool.registry.resolve(wanted)
    if known is None:
        return []
    canonical = known.value_type
    return [
        series
        for series in found
        if (theirs := app.pool.registry.resolve(series.key.value_type)) is not None
        and theirs.value_type == canonical
    ]


def need_device(app: App, esp_id: str) -> None:
    """Raises EspNotFound for a device that has neither been seen nor ever sent a reading."""
    if app.fleet.get(esp_id) is None and not app.store.catalog.find(esp_id=esp_id):
        raise EspNotFound(
            f"No device {esp_id[:64]!r} is known", cure="GET /api/v1/esp/devices lists those that are"
        )


def need(app: App, esp_id: str, gpio: int, sensor_type: str | None) -> Sequence[Series]:
    """The series at a pin; at least one. Raises EspNotFound, SensorNotFound."""
    found = find(app, esp_id, gpio, sensor_type)
    if found:
        return found
    need_device(app, esp_id)
    there = sorted({(one.gpio, one.key.value_type) for one in app.store.catalog.find(esp_id=esp_id)})
    raise SensorNotFound(
        f"{esp_id} has no {sensor_type or 'sensor'} at gpio {gpio}",
        cure=f"It has {', '.join(f'{kind} at {pin}' for pin, kind in there[:20])}" if there else "",
        details={"esp_id": esp_id, "gpio": gpio, "sensor_type": sensor_type},
    )
