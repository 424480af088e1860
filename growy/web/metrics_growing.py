"""What /metrics says of devices, sensors and actuators. Two sensors are never told as one: device, gpio, value type and
address are labels. A device that has not said something has no sample of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Protocol

from growy.fleet.device import Device
from growy.model.reading import Bus, Quality, Series
from growy.store import Store
from growy.web.api.records import known
from growy.web.app import App
from growy.web.exposition import Family, Kind, Sample, gauge, number_of

FRESH_S = 3600.0
"""A value older than this is no sample any more: a line that goes on straight would hide that the sensor is dead."""


class Sensing(Protocol):
    """The part of the app that the families of sensors need."""

    @property
    def store(self) -> Store: ...


def families(app: App) -> Iterator[Family]:
    """All of them."""
    devices = known(app)
    yield from _devices(app, devices)
    yield from _averages([device for device in devices if device.online])
    yield from sensor_families(app, {device.esp_id for device in devices})
    yield from _actuators(app)


def _devices(app: App, devices: Sequence[Device]) -> Iterator[Family]:
    def each(name: str, doc: str, tell: Callable[[Device], object], kind: Kind = Kind.GAUGE) -> Family:
        told = ((device.esp_id, number_of(tell(device))) for device in devices)
        samples = tuple(Sample(value, {"esp_id": esp_id}) for esp_id, value in told if value is not None)
        return Family(name, kind, doc, samples)

    def beat(device: Device) -> float | None:
        at = app.fleet.heartbeat_ms(device)
        return None if at is None else at / 1000

    def errors(device: Device) -> int | None:
        return None if device.live.diagnostics is None else device.live.diagnostics.error_count

    yield each(
        "growy_esp_up", "1 for each device that is there, 0 for one that is not.", lambda one: one.online
    )
    yield each(
        "growy_esp_last_seen",
        "When a device was last heard, Unix seconds.",
        lambda one: one.last_seen_ms / 1000,
    )
    yield each(
        "growy_esp_last_heartbeat", "When the last heartbeat of this session came, Unix seconds.", beat
    )
    yield each(
        "growy_esp_boot_count", "Boots of a device since growyd knows it.", lambda one: one.record.boots
    )
    yield each(
        "growy_esp_errors_total", "Errors that a device has tracked since its boot.", errors, Kind.COUNTER
    )
    yield each(
        "growy_esp_safe_mode",
        "1 for a device that says it is in its safe mode.",
        lambda one: one.state.in_safe_mode if one.online else None,
    )
    yield each("growy_esp_clock_skew_seconds", "How far its clock is ahead of ours.", app.fleet.skew_s)
    yield each(
        "growy_esp_heap_free_bytes",
        "Free memory of a device.",
        lambda one: one.heap_free if one.online else None,
    )
    yield each(
        "growy_esp_wifi_rssi_dbm", "Strength of its WiFi.", lambda one: one.wifi_rssi if one.online else None
    )


def _averages(online: Sequence[Device]) -> Iterator[Family]:
    heap = [one.heap_free for one in online if one.heap_free is not None]
    rssi = [one.wifi_rssi for one in online if one.wifi_rssi is not None]
    uptime = [one.uptime for one in online if one.uptime is not None]
    mean: Callable[[list[int]], float | None] = lambda said: fmean(said) if said else None  # noqa: E731
    yield gauge(
        "growy_esp_avg_heap_free_bytes", "Mean free memory of the devices that are there.", mean(heap)
    )
    yield gauge("growy_esp_min_heap_free_bytes", "Least free memory among them.", min(heap, default=None))
    yield gauge("growy_esp_avg_wifi_rssi_dbm", "Mean strength of their WiFi.", mean(rssi))
    yield gauge("growy_esp_avg_uptime_seconds", "Mean time since their boots.", mean(uptime))


def sensor_families(app: Sensing, devices: set[str]) -> Iterator[Family]:
    """Of the devices that are known: a series of one that was deleted is history."""
    newest = app.store.tail.newest()
    values, updates, qualities = [], [], []
    oldest_ms = (time.time() - FRESH_S) * 1000
    for series_id, value, rx_ms, quality in zip(
        newest.series.tolist(),
        newest.value.tolist(),
        newest.rx_ms.tolist(),
        newest.quality.tolist(),
        strict=True,
    ):
        series = app.store.catalog.get(series_id)
        if series.key.esp_id not in devices:
            continue
        labels = _labels(series)
        updates.append(Sample(rx_ms / 1000, labels))
        qualities.append(Sample(1, {**labels, "quality": Quality(quality).word}))
        if value == value and rx_ms >= oldest_ms:  # NaN is no value
            values.append(Sample(value, labels))
    yield Family(
        "growy_sensor_value",
        Kind.GAUGE,
        f"Newest value of a sensor, in its own unit; not when it has none, or none within {FRESH_S / 60:g} minutes.",
        tuple(values),
    )
    yield Family(
        "growy_sensor_last_update",
        Kind.GAUGE,
        "When the newest reading of a sensor was received, Unix seconds.",
        tuple(updates),
    )
    yield Family(
        "growy_sensor_quality",
        Kind.GAUGE,
        "1 for the quality of a sensor's newest reading.",
        tuple(qualities),
    )


def _labels(series: Series) -> dict[str, object]:
    """`address` only where a bus has one: there several sensors share a pin."""
    labels: dict[str, object] = {
        "esp_id": series.key.esp_id,
        "gpio": series.gpio,
        "sensor_type": series.key.value_type,
    }
    return labels if series.key.bus is Bus.GPIO else {**labels, "address": series.key.address}


def _actuators(app: App) -> Iterator[Family]:
    states = app.control.states()
    yield Family(
        "growy_actuator_on",
        Kind.GAUGE,
        "1 for an actuator that is on, 0 for one that is off, as its device says; nothing when nobody knows.",
        tuple(
            Sample(bool(state.reported), {"esp_id": state.actuator.esp_id, "gpio": state.actuator.gpio})
            for state in states
            if state.reported is not None
        ),
    )
