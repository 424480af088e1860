"""Sensors, actuators and offline rules as the firmware's `config` wants them. Never a field that the firmware would
assume anyway, never one that it does not read.

What is left out is reset to the firmware's default, not kept: an item always says all of itself. Values are taken as
they are; `growy.fleet.admission` has judged them.
"""

from __future__ import annotations

import hashlib

import msgspec

from growy.model.setup import (
    NO_PIN,
    ActuatorSetup,
    OfflineRule,
    OperatingMode,
    SensorSetup,
    TimeFilter,
)

INTERVAL_S = 30
"""The firmware's own measuring interval."""
MAX_RUNTIME_S = 3600
"""The firmware's own limit of an actuator's running time."""
ALL_DAYS = 127

_canonical = msgspec.json.Encoder(order="sorted").encode


def sensor_item(setup: SensorSetup, *, active: bool | None = None) -> dict[str, object]:
    """An entry of `sensors`.

    `i2c_address` is always said: the firmware would forget a stored address at the second push without it, and store
    the sensor twice at the third.

    Args:
        active: False removes the sensor from the device; None does what `setup.enabled` says.
    """
    item: dict[str, object] = {
        "gpio": setup.gpio,
        "sensor_type": setup.sensor_type,
        "sensor_name": setup.name,
    }
    if setup.onewire_address:
        item["onewire_address"] = setup.onewire_address
    if setup.i2c_address is not None:
        item["i2c_address"] = setup.i2c_address
    if not (setup.enabled if active is None else active):
        return item | {"active": False}
    if setup.subzone_id:
        item["subzone_id"] = setup.subzone_id
    if setup.operating_mode is not OperatingMode.CONTINUOUS:
        item["operating_mode"] = setup.operating_mode.value
    if setup.interval_s != INTERVAL_S:
        item["measurement_interval_seconds"] = setup.interval_s
    return item


def actuator_item(setup: ActuatorSetup, *, active: bool | None = None) -> dict[str, object]:
    """An entry of `actuators`.

    Args:
        active: False stops the actuator and removes it from the device; None does what `setup.enabled` says.
    """
    item: dict[str, object] = {
        "gpio": setup.gpio,
        "actuator_type": setup.kind.value,
        "actuator_name": setup.name,
    }
    if setup.aux_gpio != NO_PIN:
        item["aux_gpio"] = setup.aux_gpio
    if not (setup.enabled if active is None else active):
        return item | {"active": False}
    if setup.subzone_id:
        item["subzone_id"] = setup.subzone_id
    for field, wanted in (
        ("critical", setup.critical),
        ("inverted_logic", setup.inverted_logic),
        ("default_state", setup.default_state),
    ):
        if wanted:
            item[field] = True
    if setup.default_pwm:
        item["default_pwm"] = setup.default_pwm
    if setup.max_runtime_s is not None and setup.max_runtime_s != MAX_RUNTIME_S:
        item["max_runtime_ms"] = setup.max_runtime_s * 1000
    return item


def rule_item(rule: OfflineRule) -> dict[str, object]:
    """An entry of `offline_rules`. A threshold of 0 is not said: it is what the firmware assumes."""
    item: dict[str, object] = {"actuator_gpio": rule.actuator_gpio}
    if rule.sensor_gpio != NO_PIN:
        item["sensor_gpio"] = rule.sensor_gpio
    if rule.sensor_value_type:
        item["sensor_value_type"] = rule.sensor_value_type
    for field, threshold in (
        ("activate_below", rule.activate_below),
        ("deactivate_above", rule.deactivate_above),
        ("activate_above", rule.activate_above),
        ("deactivate_below", rule.deactivate_below),
    ):
        if threshold:
            item[field] = threshold
    if rule.current_state_active is not None:
        item["current_state_active"] = rule.current_state_active
    if rule.time_filter is not None:
        item["time_filter"] = _time_filter(rule.time_filter)
    return item


def fingerprint(item: object) -> str:
    """Short stable name of a JSON value: 16 hex digits, the same for equal values whatever the order of their keys."""
    return hashlib.blake2b(_canonical(item), digest_size=8).hexdigest()


def _time_filter(window: TimeFilter) -> dict[str, object]:
    item: dict[str, object] = {
        "enabled": True,
        "start_hour": window.start_hour,
        "start_minute": window.start_minute,
        "end_hour": window.end_hour,
        "end_minute": window.end_minute,
    }
    if window.days_of_week_mask != ALL_DAYS:
        item["days_of_week_mask"] = window.days_of_week_mask
    if window.timezone != "UTC":
        item["timezone"] = window.timezone
    return item
