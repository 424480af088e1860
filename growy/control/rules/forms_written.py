"""Conditions and actions back into JSON, in the one spelling that growyd itself uses. The reverse of `forms`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from growy.model.control import ActuatorKey
from growy.model.rules import (
    Action,
    All,
    Always,
    AnyOf,
    Between,
    Condition,
    Delay,
    Difference,
    Freshness,
    HeldFor,
    Hysteresis,
    Not,
    Notify,
    Photoperiod,
    Pid,
    RateOfChange,
    SensorRef,
    Sequence,
    Step,
    Switch,
    Threshold,
    TimeWindow,
)

JsonObject = dict[str, object]


def write_condition(condition: Condition) -> JsonObject:
    """The JSON that `read_condition` makes the condition of again. What is at its default is left out."""
    match condition:
        case Threshold(operator=operator, value=value):
            return {"type": "sensor", **_sensor(condition), "operator": operator.value, "value": value}
        case Between(low=low, high=high):
            return {"type": "sensor", **_sensor(condition), "operator": "between", "min": low, "max": high}
        case Hysteresis():
            thresholds = {
                "activate_above": condition.on_above,
                "deactivate_below": condition.off_below,
                "activate_below": condition.on_below,
                "deactivate_above": condition.off_above,
            }
            return {"type": "hysteresis", **_sensor(condition), **_there(thresholds)}
        case TimeWindow():
            return _time_window(condition)
        case Difference():
            return {
                "type": "sensor_diff",
                "sensor_a": _ref(condition.a),
                "sensor_b": _ref(condition.b),
                "operator": condition.operator.value,
                "value": condition.value,
                "consecutive_count": condition.consecutive,
                **_there({"max_age_seconds": condition.max_age_s}),
            }
        case RateOfChange(operator=operator, per_min=per_min, window_s=window_s):
            slope: JsonObject = {"operator": operator.value, "value": per_min, "window_seconds": window_s}
            return {"type": "rate_of_change", **_sensor(condition), **slope}
        case Freshness(stale=stale):
            return {"type": "freshness", **_sensor(condition), "stale": stale}
        case Always():
            return {"type": "always"}
        case All(conditions=conditions):
            return {"logic": "AND", "conditions": [write_condition(each) for each in conditions]}
        case AnyOf(conditions=conditions):
            return {"logic": "OR", "conditions": [write_condition(each) for each in conditions]}
        case Not(condition=inner):
            return {"type": "not", "condition": write_condition(inner)}
        case HeldFor(condition=inner, seconds=seconds):
            return {"type": "held_for", "condition": write_condition(inner), "seconds": seconds}
        case _:
            assert_never(condition)


def write_action(action: Action) -> JsonObject:
    """The JSON that `read_action` makes the action of again."""
    match action:
        case Switch():
            return {
                "type": "actuator",
                **_actuator(action.actuator),
                "command": action.command.value,
                "value": action.value,
                "duration_seconds": action.duration_s,
                "is_safety_critical": action.critical,
            }
        case Notify():
            return {
                "type": "notification",
                "channel": action.channel.value,
                "target": action.target,
                "message_template": action.template,
                "severity": action.severity,
            }
        case Delay(seconds=seconds):
            return {"type": "delay", "seconds": seconds}
        case Sequence():
            return {
                "type": "sequence",
                "sequence_id": action.id,
                "description": action.description,
                "max_duration_seconds": action.max_duration_s,
                "steps": [_step(step) for step in action.steps],
            }
        case Pid():
            return _pid(action)
        case Photoperiod():
            return {
                "type": "photoperiod",
                **_actuator(action.actuator),
                "on_hour": action.on_min // 60,
                "on_minute": action.on_min % 60,
                "light_minutes": action.light_min,
                "value": action.value,
                "ramp_minutes": action.ramp_min,
                "timezone": action.timezone,
                "is_safety_critical": action.critical,
            }
        case _:
            assert_never(action)


def _there(fields: Mapping[str, object]) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def _ref(ref: SensorRef) -> JsonObject:
    return {
        "esp_id": ref.esp_id,
        "gpio": ref.gpio,
        **_there({"sensor_type": ref.sensor_type, "address": ref.address}),
    }


def _sensor(condition: Threshold | Between | Hysteresis | RateOfChange | Freshness) -> JsonObject:
    fields = _ref(condition.sensor) | _there({"max_age_seconds": condition.max_age_s})
    if isinstance(condition, Threshold | Between | Hysteresis):
        fields |= _there({"zone_id": condition.zone_id, "subzone_id": condition.subzone_id})
    return fields


def _actuator(actuator: ActuatorKey) -> JsonObject:
    return {"esp_id": actuator.esp_id, "gpio": actuator.gpio}


def _time_window(window: TimeWindow) -> JsonObject:
    return {
        "type": "time",
        "start_hour": window.start_min // 60,
        "start_minute": window.start_min % 60,
        "end_hour": window.end_min // 60,
        "end_minute": window.end_min % 60,
        "timezone": window.timezone,
        **({} if window.days is None else {"days_of_week": sorted(window.days)}),
    }


def _step(step: Step) -> JsonObject:
    done: JsonObject = (
        {"delay_seconds": step.delay_s} if step.action is None else {"action": write_action(step.action)}
    )
    return done | {
        "name": step.name,
        "delay_before_seconds": step.before_s,
        "delay_after_seconds": step.after_s,
        "timeout_seconds": step.timeout_s,
        "retry_count": step.retries,
        "retry_delay_seconds": step.retry_delay_s,
        "on_failure": "abort" if step.abort_on_failure else "continue",
    }


def _pid(loop: Pid) -> JsonObject:
    return {
        "type": "pid",
        **_actuator(loop.actuator),
        "sensor": _ref(loop.sensor),
        "set_point": loop.set_point,
        "kp": loop.kp,
        "ki": loop.ki,
        "kd": loop.kd,
        "reverse": loop.reverse,
        "output_min": loop.output_min,
        "output_max": loop.output_max,
        "window_seconds": loop.window_s,
        **_there({"max_age_seconds": loop.max_age_s}),
        "is_safety_critical": loop.critical,
    }
