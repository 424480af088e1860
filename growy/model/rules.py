"""Rules in values: conditions, actions, rules. What they mean is `growy.control.rules`' business.

Everything is normalised: lower-case sensor types, one spelling per thing, thresholds as floats. The JSON of clients, in
all its spellings, is read by `growy.control.rules.forms`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

import attrs

from growy.model.control import ActuatorKey


@attrs.frozen(slots=True)
class SensorRef:
    """Names a series the way people do. What it leaves open must be unique on the device."""

    esp_id: str
    gpio: int
    sensor_type: str | None = None
    """The value's type as published (`sht31_temp`), lower case."""
    address: str | None = None
    """I²C address (decimal) or ROM code, where several sensors share the gpio."""

    def __str__(self) -> str:
        kind = f"/{self.sensor_type}" if self.sensor_type else ""
        return f"{self.esp_id}:{self.gpio}{kind}" + (f"@{self.address}" if self.address else "")


class Operator(enum.StrEnum):
    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="
    EQ = "=="
    NE = "!="


# --- conditions ---------------------------------------------------------------------------------------------------
# A condition is true, false or unknown. Unknown - a sensor without a fresh, good value - never acts: NOT unknown is
# unknown, AND and OR follow Kleene.


@attrs.frozen(kw_only=True, slots=True)
class Threshold:
    sensor: SensorRef
    operator: Operator
    value: float
    max_age_s: float | None = None
    """None: three of the sensor's intervals, at least `control.min_max_age`."""
    zone_id: str | None = None
    subzone_id: str | None = None
    """Only while the sensor's device is in this zone, the sensor in this subzone."""


@attrs.frozen(kw_only=True, slots=True)
class Between:
    """Inclusive on both sides."""

    sensor: SensorRef
    low: float
    high: float
    max_age_s: float | None = None
    zone_id: str | None = None
    subzone_id: str | None = None


@attrs.frozen(kw_only=True, slots=True)
class Hysteresis:
    """A latch. Either on above and off below (cooling), or on below and off above (heating); strict on both sides;
    inside the band it stays as it is."""

    sensor: SensorRef
    on_above: float | None = None
    off_below: float | None = None
    on_below: float | None = None
    off_above: float | None = None
    max_age_s: float | None = None
    zone_id: str | None = None
    subzone_id: str | None = None


@attrs.frozen(kw_only=True, slots=True)
class TimeWindow:
    """[start, end) in minutes of the day; a start after the end goes over midnight and belongs to the day it opened."""

    start_min: int
    """0-1439."""
    end_min: int
    """0-1440."""
    days: frozenset[int] | None = None
    """0 Monday ... 6 Sunday; None: every day."""
    timezone: str = "UTC"


@attrs.frozen(kw_only=True, slots=True)
class Difference:
    """b - a."""

    a: SensorRef
    b: SensorRef
    operator: Operator
    value: float
    consecutive: int = 1
    """So many new samples in a row must agree."""
    max_age_s: float | None = None


@attrs.frozen(kw_only=True, slots=True)
class RateOfChange:
    """Slope of the readings of the window by least squares, units per minute."""

    sensor: SensorRef
    operator: Operator
    per_min: float
    window_s: float = 300.0
    max_age_s: float | None = None


@attrs.frozen(kw_only=True, slots=True)
class Freshness:
    """Whether a sensor has a good value that is younger than `max_age_s`: the one condition that is never unknown."""

    sensor: SensorRef
    max_age_s: float | None = None
    stale: bool = False
    """True: holds while it has none. For alarms."""


@attrs.frozen(kw_only=True, slots=True)
class Always:
    """Holds."""


@attrs.frozen(kw_only=True, slots=True)
class All:
    conditions: tuple[Condition, ...]


@attrs.frozen(kw_only=True, slots=True)
class AnyOf:
    conditions: tuple[Condition, ...]


@attrs.frozen(kw_only=True, slots=True)
class Not:
    condition: Condition


@attrs.frozen(kw_only=True, slots=True)
class HeldFor:
    """True when the condition has been true for so long without a break."""

    condition: Condition
    seconds: float


Condition: TypeAlias = (
    Threshold
    | Between
    | Hysteresis
    | TimeWindow
    | Difference
    | RateOfChange
    | Freshness
    | Always
    | All
    | AnyOf
    | Not
    | HeldFor
)


# --- actions ------------------------------------------------------------------------------------------------------


class SwitchCommand(enum.StrEnum):
    ON = "ON"
    OFF = "OFF"
    PWM = "PWM"
    TOGGLE = "TOGGLE"


@attrs.frozen(kw_only=True, slots=True)
class Switch:
    """A claim on an actuator: while the rule holds, or for `duration_s` from each execution."""

    actuator: ActuatorKey
    command: SwitchCommand = SwitchCommand.ON
    value: float = 1.0
    duration_s: float = 0.0
    """0: while the rule holds."""
    critical: bool = False
    """Goes before all that are not; one that wants OFF also before people."""


class Channel(enum.StrEnum):
    WEBSOCKET = "websocket"
    WEBHOOK = "webhook"


@attrs.frozen(kw_only=True, slots=True)
class Notify:
    channel: Channel
    template: str
    """With {sensor_value} {esp_id} {gpio} {sensor_type} {timestamp} {rule_name} {rule_id}, replaced as text."""
    target: str = ""
    """A webhook's URL."""
    severity: str = "info"


@attrs.frozen(kw_only=True, slots=True)
class Delay:
    """What follows in the rule comes that much later; nobody waits for it."""

    seconds: float


@attrs.frozen(kw_only=True, slots=True)
class Step:
    """One step of a sequence: an action, or a pause."""

    action: Switch | Notify | None = None
    delay_s: float = 0.0
    """A pause, if there is no action."""
    before_s: float = 0.0
    after_s: float = 0.0
    timeout_s: float = 30.0
    """How long a command may take until the device has confirmed it."""
    retries: int = 0
    retry_delay_s: float = 1.0
    abort_on_failure: bool = True
    name: str = ""


@attrs.frozen(kw_only=True, slots=True)
class Sequence:
    """Steps one after the other. An actuator that a step switched without a duration stays so until a later step, the
    end of the sequence, or the end of the rule."""

    steps: tuple[Step, ...]
    id: str = ""
    description: str = ""
    max_duration_s: float = 3600.0


@attrs.frozen(kw_only=True, slots=True)
class Pid:
    """Holds a sensor at a set point with an actuator, while the rule holds."""

    actuator: ActuatorKey
    sensor: SensorRef
    set_point: float
    kp: float
    """Output (0-1) per unit of the sensor."""
    ki: float = 0.0
    """Per unit and second."""
    kd: float = 0.0
    """Per unit per second."""
    reverse: bool = False
    """True: more output makes the value fall (cooling)."""
    output_min: float = 0.0
    output_max: float = 1.0
    window_s: float = 0.0
    """Time-proportioned: on for the output's share of each window. 0: the output goes to the actuator as it is."""
    max_age_s: float | None = None
    critical: bool = False


@attrs.frozen(kw_only=True, slots=True)
class Photoperiod:
    """Light: on from `on_min` for `light_min` minutes of each day, while the rule holds."""

    actuator: ActuatorKey
    on_min: int
    """0-1439, of the local day."""
    light_min: int
    """1-1440."""
    value: float = 1.0
    ramp_min: int = 0
    """Minutes to rise and to fall, inside the light time; for dimmable lights (pwm)."""
    timezone: str = "UTC"
    critical: bool = False


Action: TypeAlias = Switch | Notify | Delay | Sequence | Pid | Photoperiod


# --- rules --------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, slots=True)
class Rule:
    id: str
    """UUID."""
    name: str
    condition: Condition
    actions: tuple[Action, ...]
    description: str = ""
    enabled: bool = True
    priority: int = 50
    """1-100, lower goes first."""
    cooldown_s: float = 60.0
    """Between two executions. What switches off does not wait for it."""
    max_per_hour: int | None = None
    is_critical: bool = False
    escalation: Mapping[str, object] | None = None
    document: Mapping[str, object] = attrs.field(factory=dict, eq=False, repr=False)
    """The JSON it was read from, for clients."""
    created_ms: int = 0
    updated_ms: int = 0
