"""What of the rules a device can run by itself while its Pi is away. Pure; sends nothing.

The firmware knows one dead band or one time window per actuator, compares with its own uncalibrated preview, and knows
nothing of priorities, limits and what other rules forbid. So a rule is handed over only where the device would do with
it what growyd does; for every other one it is said why not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import attrs

from growy.control.lookup import SAME_TYPE
from growy.control.rules.findings import Judged, Want
from growy.control.rules.offline_terms import (
    ALL_DAY,
    Unsuitable,
    parts_of,
    thresholds_of,
    time_filter_of,
    window_of,
)
from growy.control.rules.regions import Meeting, meeting
from growy.model.control import OFF, ActuatorKey, Rank
from growy.model.rules import (
    Action,
    Delay,
    Hysteresis,
    Photoperiod,
    Pid,
    Rule,
    SensorRef,
    Switch,
    SwitchCommand,
    Threshold,
)
from growy.model.rules import Sequence as Steps
from growy.model.setup import (
    MAX_OFFLINE_RULES,
    ActuatorKind,
    ActuatorSetup,
    OfflineRule,
    OperatingMode,
    SensorSetup,
)

PREVIEWED: Mapping[str, Mapping[str, float]] = {
    "sht31": {"sht31_temp": 2.0, "sht31_humidity": 5.0},
    "ds18b20": {"ds18b20": 2.0},
}
"""Sensors whose preview on the device is a value and not a raw count: what they publish -> the dead band that a plain
threshold gets. Of everything else - pH, EC, moisture, BMP280, analogue pins - the device knows only counts."""
WINDOW = "__twindow_on"
ON_FROM = 0.5
"""A relay or pump is on from here."""
COVERED_LEASE_S = 25
"""Longest `duration` of an ON to an actuator that has an offline rule. 30 s after it has lost its Pi the device takes
what runs for what its rule has switched on; a duration that ends later switches off behind the rule's back, and the
rule, which believes it on, never switches it on again."""


@attrs.frozen(kw_only=True)
class Derived:
    """What a device is to run by itself."""

    rules: tuple[OfflineRule, ...] = ()
    """The first goes first with growyd, too. No two switch the same actuator."""
    of: tuple[str, ...] = ()
    """Ids of the rules that they were made of, in the same order."""
    notes: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """Rule id -> sentences: why the device does not run it, or what is different when it does."""


def offline_rules(
    rules: Iterable[Rule],
    *,
    esp_id: str,
    sensors: Sequence[SensorSetup],
    actuators: Sequence[ActuatorSetup],
    latched: Callable[[str], bool | None] = lambda rule_id: None,
) -> Derived:
    """What the device can take over of all rules.

    Args:
        rules: all there are, those for other devices too: one of them may forbid what another wants.
        sensors, actuators: all that the device has.
        latched: whether a rule's hysteresis is on, by rule id. None, as always by default: the device begins with what
            the actuator does then. With anything else its configuration changes whenever the latch does.
    """
    judged = sorted(
        (Judged(rule) for rule in rules if rule.enabled),
        key=lambda one: (_first_order(one, esp_id), one.rule.id),
    )
    device = _Device(esp_id, sensors, actuators, judged)
    found: dict[int, tuple[OfflineRule, str]] = {}
    notes: dict[str, list[str]] = {}
    for one in judged:
        for action, delayed in _driving(one.rule.actions, esp_id):
            mine = notes.setdefault(one.rule.id, [])
            try:
                derived, remarks = device.derive(one, action, delayed, latched)
                _refuse_full(found.keys(), derived.actuator_gpio)
            except Unsuitable as reason:
                mine.append(f"{esp_id} does not run {one.name} by itself: {reason}")
            else:
                found[derived.actuator_gpio] = (derived, one.rule.id)
                mine += remarks
    return Derived(
        rules=tuple(rule for rule, _ in found.values()),
        of=tuple(rule_id for _, rule_id in found.values()),
        notes={rule_id: tuple(dict.fromkeys(texts)) for rule_id, texts in notes.items() if texts},
    )


def _refuse_full(taken: Collection[int], gpio: int) -> None:
    if gpio in taken:
        raise Unsuitable(f"another rule for gpio {gpio} goes first, and it takes one")
    if len(taken) >= MAX_OFFLINE_RULES:
        raise Unsuitable(f"it has {MAX_OFFLINE_RULES} rules already")


def _driving(actions: Sequence[Action], esp_id: str) -> Iterable[tuple[Action, bool]]:
    """What may switch something on there, and whether it comes after a delay."""
    delayed = False
    for action in actions:
        match action:
            case Delay():
                delayed = True
            case Switch(actuator=actuator, command=command) if actuator.esp_id == esp_id:
                if command is not SwitchCommand.OFF:
                    yield action, delayed
            case Pid(actuator=actuator) | Photoperiod(actuator=actuator) if actuator.esp_id == esp_id:
                yield action, delayed
            case Steps(steps=steps):
                if any(
                    isinstance(one.action, Switch) and one.action.actuator.esp_id == esp_id for one in steps
                ):
                    yield action, delayed
            case _:
                pass


@attrs.frozen(slots=True)
class _Device:
    esp_id: str
    sensors: Sequence[SensorSetup]
    actuators: Sequence[ActuatorSetup]
    rules: Sequence[Judged]

    def derive(
        self, judged: Judged, action: Action, delayed: bool, latched: Callable[[str], bool | None]
    ) -> tuple[OfflineRule, list[str]]:
        """The rule, and what is different when the device runs it. Raises Unsuitable."""
        if delayed:
            raise Unsuitable("it acts after a delay")
        actuator = self._actuator(action)
        sensed, window = parts_of(judged.rule.condition)
        if isinstance(action, Photoperiod):
            if sensed is not None or window is not None:
                raise Unsuitable("its light depends on more than the time")
            window = window_of(action)
        self._refuse_vetoed(judged, ActuatorKey(self.esp_id, actuator.gpio))
        time_filter = None if window is None else time_filter_of(window)
        if sensed is None:
            return OfflineRule(
                actuator_gpio=actuator.gpio,
                sensor_value_type=WINDOW,
                time_filter=time_filter or time_filter_of(ALL_DAY),
            ), []
        sensor, value_type = self._sensor(sensed)
        rule = OfflineRule(
            actuator_gpio=actuator.gpio,
            sensor_gpio=sensor.gpio,
            sensor_value_type=value_type,
            **thresholds_of(sensed, PREVIEWED[sensor.sensor_type][value_type]),
            current_state_active=latched(judged.rule.id),
            time_filter=time_filter,
        )
        calibrated = f"{self.esp_id} runs {judged.name} by itself without the calibration of {sensor.name!r}"
        return rule, [calibrated] if value_type in sensor.calibrations else []

    def _actuator(self, action: Action) -> ActuatorSetup:
        match action:
            case Pid():
                raise Unsuitable("it has no control loops")
            case Steps():
                raise Unsuitable("it has no sequences")
            case Switch(command=SwitchCommand.TOGGLE):
                raise Unsuitable("it cannot toggle")
            case Switch(duration_s=duration_s) if duration_s:
                raise Unsuitable("it cannot switch on for a time only")
            case Switch(actuator=key, value=value) | Photoperiod(actuator=key, value=value):
                pass
            case _:
                raise Unsuitable("it drives nothing")
        actuator = next((one for one in self.actuators if one.gpio == key.gpio and one.enabled), None)
        if actuator is None:
            raise Unsuitable(f"no actuator is set up on its gpio {key.gpio}")
        if actuator.kind is ActuatorKind.PWM:
            raise Unsuitable(f"{actuator.name!r} is a pwm, and it can only switch on and off")
        if value < (1.0 if actuator.kind is ActuatorKind.VALVE else ON_FROM):
            raise Unsuitable(f"it can only switch {actuator.name!r} fully on")
        if actuator.dose_budget_ml is not None or actuator.max_runtime_day_s is not None:
            raise Unsuitable(f"{actuator.name!r} has a limit for the day, which only growyd keeps")
        return actuator

    def _refuse_vetoed(self, judged: Judged, actuator: ActuatorKey) -> None:
        """A rule that goes first, or as first, may want it off when the device would switch it on."""
        mine = min(_order(judged, want) for want in judged.wants if want.actuator == actuator)
        for other in self.rules:
            if not any(
                want.actuator == actuator and _order(other, want) <= mine and _forbids(want, other is judged)
                for want in other.wants
            ):
                continue
            if meeting(judged.branches, other.branches) is not Meeting.NEVER:
                raise Unsuitable(f"{other.name} may want {actuator} off, which it does not know")

    def _sensor(self, sensed: Threshold | Hysteresis) -> tuple[SensorSetup, str]:
        """The sensor and the value of it that is meant."""
        ref = sensed.sensor
        if ref.esp_id != self.esp_id:
            raise Unsuitable(f"its sensor is on {ref.esp_id}")
        if sensed.zone_id is not None or sensed.subzone_id is not None:
            raise Unsuitable("it does not know zones and subzones of sensors")
        there = [sensor for sensor in self.sensors if sensor.gpio == ref.gpio and sensor.enabled]
        if not there:
            raise Unsuitable(f"no sensor is set up on its gpio {ref.gpio}")
        if len(there) > 1:
            raise Unsuitable(f"it cannot tell the {len(there)} sensors on gpio {ref.gpio} apart")
        sensor = there[0]
        if ref.address is not None and ref.address.upper() not in _addresses(sensor):
            raise Unsuitable(f"the sensor on its gpio {ref.gpio} is not {ref.address}")
        if sensor.operating_mode is not OperatingMode.CONTINUOUS:
            raise Unsuitable(f"{sensor.name!r} measures only when growyd asks")
        return sensor, _value_type(sensor, ref)


def _order(judged: Judged, want: Want) -> tuple[int, int]:
    return want.rank, judged.rule.priority


def _first_order(judged: Judged, esp_id: str) -> tuple[int, int]:
    """Of what it may switch on there."""
    orders = (
        _order(judged, want) for want in judged.wants if want.actuator.esp_id == esp_id and want.can_be_on
    )
    return min(orders, default=(Rank.DEFAULT, 0))


def _forbids(want: Want, own: bool) -> bool:
    """Whether it holds the actuator off at times. A light does so in the dark; a control loop that wants none is no
    reason to be without the rule that stands in for it."""
    return want.value == OFF or (want.value is None and want.loop is None and not own)


def _addresses(sensor: SensorSetup) -> tuple[str, ...]:
    return (str(sensor.onewire_address or "").upper(), str(sensor.i2c_address))


def _value_type(sensor: SensorSetup, ref: SensorRef) -> str:
    values = PREVIEWED.get(sensor.sensor_type)
    if values is None:
        raise Unsuitable(
            f"of {sensor.name!r} ({sensor.sensor_type}) it knows only counts; the rest is done on the Pi"
        )
    wanted = SAME_TYPE.get(ref.sensor_type or "", ref.sensor_type)
    if wanted is None and len(values) == 1:
        return next(iter(values))
    if wanted is None or wanted not in values:
        raise Unsuitable(
            f"{sensor.name!r} has {' and '.join(values)}, and the rule means {wanted or 'one of them'}"
        )
    return wanted
