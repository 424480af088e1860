"""Admission of the offline rules of a device: what it can judge and switch by itself. Runs no rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

from growy.fleet.admission.admitted import Admitted, said
from growy.fleet.hardware import ANALOG_UNJUDGED, family_of
from growy.model.errors import Invalid
from growy.model.setup import NO_PIN, ActuatorKind, ActuatorSetup, OfflineRule, SensorSetup, TimeFilter
from growy.wire.config_document import refuse_too_large
from growy.wire.setup import rule_item

MAX_VALUE_TYPE = 23
"""Characters; a rule with a longer one is switched off by the device."""
TIME_WINDOWS = frozenset({"__twindow_on", "__twindow_off"})
TIMEZONES = frozenset({"UTC", "Europe/Berlin", "CET", "CEST"})
"""The firmware takes any other for UTC."""


def admit_rules(
    sensors: Sequence[SensorSetup], actuators: Sequence[ActuatorSetup], rules: Sequence[OfflineRule]
) -> Admitted[tuple[OfflineRule, ...]]:
    """The rules of a device, all of them: they are replaced as one.

    Args:
        sensors, actuators: all that the device has.

    Raises:
        ConfigTooLarge: more than 8, or more than a config message holds.
        Invalid: a rule that the device would not run, or not as it reads.
    """
    warnings: list[str] = []
    switched: set[int] = set()
    for number, rule in enumerate(rules, 1):
        what = f"offline rule {number}"
        _refuse_actuator(what, actuators, rule.actuator_gpio)
        if rule.sensor_value_type in TIME_WINDOWS:
            if rule.time_filter is None:
                raise Invalid(f"{what} is a time window without a time", cure="Give it a time_filter")
        else:
            _refuse_sensor(what, sensors, rule)
            _refuse_thresholds(what, rule)
        if rule.time_filter is not None:
            _refuse_time(what, rule.time_filter)
        if rule.actuator_gpio in switched:
            warnings.append(
                f"{what}: another rule switches gpio {rule.actuator_gpio} too; they may contradict"
            )
        switched.add(rule.actuator_gpio)
    refuse_too_large("the offline rules", [rule_item(rule) for rule in rules])
    return Admitted(tuple(rules), tuple(warnings))


def _refuse_actuator(what: str, actuators: Sequence[ActuatorSetup], gpio: int) -> None:
    actuator = next((each for each in actuators if each.gpio == gpio and each.enabled), None)
    if actuator is None:
        raise Invalid(f"{what} switches gpio {gpio}, and the device has no actuator there")
    if actuator.kind is ActuatorKind.PWM:
        raise Invalid(f"{what} switches {said(actuator)}, a pwm; the firmware's rules only switch on and off")


def _refuse_sensor(what: str, sensors: Sequence[SensorSetup], rule: OfflineRule) -> None:
    if rule.sensor_gpio == NO_PIN:
        raise Invalid(
            f"{what} has no sensor", cure=f"Or is it a time window: {' or '.join(sorted(TIME_WINDOWS))}"
        )
    there = [sensor for sensor in sensors if sensor.gpio == rule.sensor_gpio and sensor.enabled]
    published = {value for sensor in there for value in family_of(sensor.sensor_type).values}
    if rule.sensor_value_type not in published:
        publishes = f"publishes {', '.join(sorted(published))}" if published else "has no sensor"
        raise Invalid(
            f"{what} looks at {rule.sensor_value_type!r:.40} of gpio {rule.sensor_gpio}, which {publishes}"
        )
    if rule.sensor_value_type in ANALOG_UNJUDGED or "soil" in rule.sensor_value_type:
        raise Invalid(
            f"{what} looks at {rule.sensor_value_type}, which the device cannot judge, because the calibration is on "
            "the Pi: it would force the actuator off",
            cure="Leave this rule to growyd",
        )
    if len(rule.sensor_value_type) > MAX_VALUE_TYPE:
        raise Invalid(f"{what}: {rule.sensor_value_type} has more than {MAX_VALUE_TYPE} characters")


def _refuse_thresholds(what: str, rule: OfflineRule) -> None:
    low = (rule.activate_below, rule.deactivate_above)
    high = (rule.activate_above, rule.deactivate_below)
    if not all(math.isfinite(threshold) for threshold in (*low, *high)):
        raise Invalid(f"{what} has a threshold that is no number")
    # Both at 0.0 is how the firmware says "none".
    pairs = [pair for pair in (low, high) if pair != (0.0, 0.0)]
    if len(pairs) != 1:
        raise Invalid(
            f"{what} needs exactly one pair of thresholds, not {len(pairs)}",
            cure="activate_below and deactivate_above, or activate_above and deactivate_below; 0 and 0 is no pair",
        )
    if low in pairs and not rule.activate_below < rule.deactivate_above:
        raise Invalid(f"{what}: activate_below must be less than deactivate_above")
    if high in pairs and not rule.activate_above > rule.deactivate_below:
        raise Invalid(f"{what}: activate_above must be more than deactivate_below")


def _refuse_time(what: str, window: TimeFilter) -> None:
    if not (0 <= window.start_hour <= 23 and 0 <= window.start_minute <= 59):
        raise Invalid(f"{what} begins at {window.start_hour}:{window.start_minute:02}, which is no time")
    end = window.end_hour * 60 + window.end_minute
    if not (0 <= window.end_minute <= 59 and 0 <= end <= 24 * 60):
        raise Invalid(f"{what} ends at {window.end_hour}:{window.end_minute:02}, which is no time")
    if end == window.start_hour * 60 + window.start_minute:
        raise Invalid(f"{what} begins and ends at the same time", cure="The whole day is 0:00 to 24:00")
    if not 1 <= window.days_of_week_mask <= 127:
        raise Invalid(
            f"{what} holds on no day", cure="Bit 0 of days_of_week_mask is Sunday; 127 is every day"
        )
    if window.timezone not in TIMEZONES:
        raise Invalid(
            f"{what}: the firmware does not know the time zone {window.timezone!r:.40} and would take UTC",
            cure=f"One of {', '.join(sorted(TIMEZONES))}",
        )
