"""One item of a configuration push as the firmware reads it: required fields, types, defaults, clamps. Pure.

An item is a JSON object or nothing; whatever it is, the answer is a configuration or the reason against it.
"""

from __future__ import annotations

import attrs

from growy.sim import arduino_json as aj
from growy.sim.arduino_json import JsonObject
from growy.sim.board import NO_PIN, ActuatorConfig, OfflineRule, SensorConfig, TimeFilter
from growy.sim.payload_board import ItemFailure

CONFIG_INVALID, CONFIG_MISSING = 2010, 2011
OPERATING_MODES = frozenset(("continuous", "on_demand", "paused", "scheduled"))
VALUE_TYPE_CHARS = 23
BERLIN = frozenset(("Europe/Berlin", "CET", "CEST"))


@attrs.frozen(slots=True)
class SensorItem:
    config: SensorConfig
    active: bool
    """False: to be removed."""


def sensor(item: JsonObject) -> SensorItem | ItemFailure:
    """Read one entry of `sensors`."""
    gpio = 0
    texts: dict[str, str] = {}
    if "gpio" not in item:
        return ItemFailure(0, CONFIG_MISSING, "MISSING_FIELD", "Missing required field 'gpio'")
    number = aj.extract_int(item, "gpio")
    if number is None:
        return ItemFailure(0, CONFIG_INVALID, "TYPE_MISMATCH", "Field 'gpio' must be an integer")
    gpio = number % 256
    for field in ("sensor_type", "sensor_name"):
        if field not in item:
            return ItemFailure(gpio, CONFIG_MISSING, "MISSING_FIELD", f"Missing required field '{field}'")
        text = aj.extract_string(item, field)
        if text is None:
            return ItemFailure(gpio, CONFIG_INVALID, "TYPE_MISMATCH", f"Field '{field}' must be a string")
        texts[field] = text
    mode = aj.extract_string(item, "operating_mode") or "continuous"
    interval_s = aj.extract_int(item, "measurement_interval_seconds")
    config = SensorConfig(
        gpio=gpio,
        sensor_type=_lower(texts["sensor_type"]),
        sensor_name=texts["sensor_name"],
        subzone_id=aj.extract_string(item, "subzone_id") or "",
        onewire_address=aj.extract_string(item, "onewire_address") or "",
        i2c_address=(aj.extract_int(item, "i2c_address") or 0) % 256,
        raw_mode=aj.extract_bool(item, "raw_mode") is not False,
        operating_mode=mode if mode in OPERATING_MODES else "continuous",
        interval_s=30 if interval_s is None else min(300, max(1, interval_s)),
    )
    return SensorItem(config, aj.extract_bool(item, "active") is not False)


def _lower(text: str) -> str:
    """ASCII only, as the firmware's strings do it."""
    return "".join(c.lower() if "A" <= c <= "Z" else c for c in text)


@attrs.frozen(slots=True)
class ActuatorItem:
    config: ActuatorConfig
    active: bool


@attrs.frozen(slots=True)
class Refusal:
    """Why an actuator was not even tried."""

    code: str
    message: str


def actuator(item: JsonObject) -> ActuatorItem | Refusal:
    """Read one entry of `actuators`."""
    if "gpio" not in item:
        return Refusal("MISSING_FIELD", "Actuator config missing required field 'gpio'")
    number = aj.extract_int(item, "gpio")
    if number is None:
        return Refusal("TYPE_MISMATCH", "Actuator field 'gpio' must be an integer")
    kind = _either(item, "actuator_type", "type")
    if isinstance(kind, Refusal):
        return kind
    if not kind:
        return Refusal("VALIDATION_FAILED", "Actuator type cannot be empty")
    name = _either(item, "actuator_name", "name")
    if isinstance(name, Refusal):
        return name
    aux = aj.extract_int(item, "aux_gpio")
    inverted = aj.extract_bool(item, "inverted_logic")
    if inverted is None:
        inverted = aj.extract_bool(item, "inverted")
    max_runtime_ms = aj.extract_int(item, "max_runtime_ms") or 0
    config = ActuatorConfig(
        gpio=number % 256,
        actuator_type=kind,
        actuator_name=name,
        aux_gpio=NO_PIN if aux is None else aux % 256,
        subzone_id=aj.extract_string(item, "subzone_id") or "",
        critical=aj.extract_bool(item, "critical") is True,
        inverted_logic=inverted is True,
        default_state=aj.extract_bool(item, "default_state") is True,
        default_pwm=min(255, max(0, aj.extract_int(item, "default_pwm") or 0)),
        max_runtime_ms=max_runtime_ms if max_runtime_ms > 0 else 3_600_000,
    )
    return ActuatorItem(config, aj.extract_bool(item, "active") is not False)


def _either(item: JsonObject, field: str, alias: str) -> str | Refusal:
    for key in (field, alias):
        if key in item:
            text = aj.extract_string(item, key)
            return (
                text
                if text is not None
                else Refusal("TYPE_MISMATCH", f"Actuator field '{key}' must be a string")
            )
    return Refusal("MISSING_FIELD", f"Actuator config missing required field '{field}'")


def offline_rule(item: JsonObject, before: OfflineRule | None) -> OfflineRule:
    """Read one entry of `offline_rules`; nothing is refused, what is wrong gets its default. `before` is the rule
    that had this place: its hysteresis state stays unless the push brings one."""
    value_type = aj.text(item.get("sensor_value_type"), "")
    active = before.is_active if before is not None else False
    if "current_state_active" in item:
        active = aj.as_bool(item["current_state_active"])
    return OfflineRule(
        actuator_gpio=aj.uint8(item.get("actuator_gpio"), NO_PIN),
        sensor_gpio=aj.uint8(item.get("sensor_gpio"), NO_PIN),
        sensor_value_type=value_type[:VALUE_TYPE_CHARS],
        activate_below=aj.number(item.get("activate_below"), 0.0),
        deactivate_above=aj.number(item.get("deactivate_above"), 0.0),
        activate_above=aj.number(item.get("activate_above"), 0.0),
        deactivate_below=aj.number(item.get("deactivate_below"), 0.0),
        is_active=active,
        time_filter=_time_filter(aj.as_object(item.get("time_filter"))),
        enabled=len(value_type) <= VALUE_TYPE_CHARS,
    )


def _time_filter(item: JsonObject) -> TimeFilter:
    if item.get("enabled") is not True:
        return TimeFilter()
    timezone = aj.text(item.get("timezone"), "UTC")
    return TimeFilter(
        enabled=True,
        start_hour=aj.uint8(item.get("start_hour"), 0),
        start_minute=aj.uint8(item.get("start_minute"), 0),
        end_hour=aj.uint8(item.get("end_hour"), 0),
        end_minute=aj.uint8(item.get("end_minute"), 0),
        days_of_week_mask=aj.uint8(item.get("days_of_week_mask"), 127),
        timezone="Europe/Berlin" if timezone in BERLIN else "UTC",
    )
