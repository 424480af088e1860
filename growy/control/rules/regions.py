"""When a condition can hold, as far as that can be known without any sensor: intervals of values, minutes of the week.

For judging rules before they run. What cannot be known from here - slopes, differences, whether a sensor is fresh - is
taken to be possible, and never to be certain.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Iterable, Mapping

import attrs

from growy.control.lookup import SAME_TYPE
from growy.control.rules.windows import DAY_MIN
from growy.model.rules import (
    All,
    Always,
    AnyOf,
    Between,
    Condition,
    HeldFor,
    Hysteresis,
    Not,
    Operator,
    SensorRef,
    Threshold,
    TimeWindow,
)

MOST_BRANCHES = 32
"""A condition with more ways to hold is not taken apart: their number grows with the product of its parts."""
WEEK_MIN = 7 * DAY_MIN
WHOLE_WEEK = (1 << WEEK_MIN) - 1


@attrs.frozen(slots=True)
class Interval:
    low: float = -math.inf
    high: float = math.inf
    with_low: bool = False
    with_high: bool = False

    @property
    def empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and not (self.with_low and self.with_high))

    def __and__(self, other: Interval) -> Interval:
        # Of two bounds at the same place the one counts that leaves the place out.
        low, without_low = max((self.low, not self.with_low), (other.low, not other.with_low))
        high, with_high = min((self.high, self.with_high), (other.high, other.with_high))
        return Interval(low, high, not without_low, with_high)


@attrs.frozen(slots=True)
class Reach:
    """Values of a sensor at which a condition can begin to hold, and at which it can go on. They differ by the dead
    band of a hysteresis."""

    begins: Interval
    lasts: Interval

    @classmethod
    def of(cls, interval: Interval) -> Reach:
        return cls(interval, interval)


@attrs.frozen(kw_only=True, slots=True)
class Branch:
    """One way for a condition to hold: all of this at once."""

    sensors: Mapping[SensorRef, Reach] = attrs.field(factory=dict)
    minutes: int | None = None
    """A bit for each minute of the week that begins with Monday; None: any."""
    timezone: str = "UTC"
    vague: bool = False
    """It needs something else, too."""

    @property
    def empty(self) -> bool:
        return self.minutes == 0 or any(reach.lasts.empty for reach in self.sensors.values())

    @property
    def unconditional(self) -> bool:
        return not self.sensors and self.minutes is None and not self.vague


class Meeting(enum.IntEnum):
    """Whether two conditions can hold at once."""

    NEVER = 0
    PERHAPS = 1
    SURELY = 2
    """There are values and a time at which both hold."""


def branches(condition: Condition) -> tuple[Branch, ...]:
    """All ways in which the condition can hold; none: it never can."""
    return _few(_branches(condition))


def meeting(a: Iterable[Branch], b: Iterable[Branch]) -> Meeting:
    """Of two conditions, by their branches."""
    return max((_meeting(one, other) for one in a for other in b), default=Meeting.NEVER)


def same_sensor(a: SensorRef, b: SensorRef) -> bool:
    """Whether they may mean the same: what one leaves open fits everything."""
    a, b = plain(a), plain(b)
    return (
        (a.esp_id, a.gpio) == (b.esp_id, b.gpio)
        and (a.sensor_type == b.sensor_type or None in (a.sensor_type, b.sensor_type))
        and (a.address == b.address or None in (a.address, b.address))
    )


def plain(ref: SensorRef) -> SensorRef:
    """The reference with the sensor type as devices publish it."""
    if ref.sensor_type in SAME_TYPE:
        return attrs.evolve(ref, sensor_type=SAME_TYPE[ref.sensor_type])
    return ref


def narrowed(branch: Branch, sensor: SensorRef, interval: Interval) -> Branch:
    """The branch while the sensor's value is in the interval."""
    return _both(branch, Branch(sensors={plain(sensor): Reach.of(interval)}))


# --- taking a condition apart -------------------------------------------------------------------------------------


def _few(ways: Iterable[Branch]) -> tuple[Branch, ...]:
    found = tuple(way for way in ways if not way.empty)
    return found if len(found) <= MOST_BRANCHES else (Branch(vague=True),)


def _branches(condition: Condition) -> Iterable[Branch]:
    match condition:
        case Threshold():
            return [_at(condition, Reach.of(each)) for each in _values(condition.operator, condition.value)]
        case Between(low=low, high=high):
            return [_at(condition, Reach.of(Interval(low, high, True, True)))]
        case Hysteresis():
            return [_at(condition, _latched(condition))]
        case TimeWindow():
            return [Branch(minutes=minutes_of(condition), timezone=condition.timezone)]
        case Always():
            return [Branch()]
        case All(conditions=conditions):
            ways: tuple[Branch, ...] = (Branch(),)
            for each in conditions:
                further = branches(each)
                ways = _few(_both(one, other) for one in ways for other in further)
            return ways
        case AnyOf(conditions=conditions):
            return itertools.chain.from_iterable(branches(each) for each in conditions)
        case HeldFor(condition=inner):
            return branches(inner)
        case Not(condition=inner):
            return _not(inner)
        case _:
            return [Branch(vague=True)]


def _not(condition: Condition) -> Iterable[Branch]:
    match condition:
        case Threshold(operator=operator):
            return branches(attrs.evolve(condition, operator=_OPPOSITE[operator]))
        case Between(low=low, high=high):
            return [_at(condition, Reach.of(each)) for each in (Interval(high=low), Interval(low=high))]
        case TimeWindow():
            return [Branch(minutes=WHOLE_WEEK & ~minutes_of(condition), timezone=condition.timezone)]
        case Always():
            return []
        case All(conditions=conditions):
            return branches(AnyOf(conditions=tuple(Not(condition=each) for each in conditions)))
        case AnyOf(conditions=conditions):
            return branches(All(conditions=tuple(Not(condition=each) for each in conditions)))
        case Not(condition=inner):
            return branches(inner)
        case _:
            return [Branch(vague=True)]


_OPPOSITE = {
    Operator.GT: Operator.LE,
    Operator.GE: Operator.LT,
    Operator.LT: Operator.GE,
    Operator.LE: Operator.GT,
    Operator.EQ: Operator.NE,
    Operator.NE: Operator.EQ,
}


def _values(operator: Operator, value: float) -> tuple[Interval, ...]:
    match operator:
        case Operator.GT:
            return (Interval(low=value),)
        case Operator.GE:
            return (Interval(low=value, with_low=True),)
        case Operator.LT:
            return (Interval(high=value),)
        case Operator.LE:
            return (Interval(high=value, with_high=True),)
        case Operator.EQ:
            return (Interval(value, value, True, True),)
        case Operator.NE:
            return (Interval(high=value), Interval(low=value))


def _latched(condition: Hysteresis) -> Reach:
    if condition.on_above is not None and condition.off_below is not None:
        return Reach(Interval(low=condition.on_above), Interval(low=condition.off_below, with_low=True))
    if condition.on_below is not None and condition.off_above is not None:
        return Reach(Interval(high=condition.on_below), Interval(high=condition.off_above, with_high=True))
    return Reach.of(Interval())


def _at(condition: Threshold | Between | Hysteresis, reach: Reach) -> Branch:
    # A sensor that counts only in some place can be elsewhere.
    somewhere = condition.zone_id is not None or condition.subzone_id is not None
    return Branch(sensors={plain(condition.sensor): reach}, vague=somewhere)


def minutes_of(window: TimeWindow) -> int:
    """A bit for each minute of the week, from Monday 0:00, in which the window is open."""
    length = (window.end_min - window.start_min) % DAY_MIN
    if window.start_min == 0 and window.end_min == DAY_MIN:
        length = DAY_MIN
    minutes = 0
    for day in range(7) if window.days is None else window.days:
        minutes |= ((1 << length) - 1) << (day * DAY_MIN + window.start_min)
    # What a window of Sunday has of Monday stands behind the end of the week.
    return (minutes & WHOLE_WEEK) | (minutes >> WEEK_MIN)


def _both(a: Branch, b: Branch) -> Branch:
    sensors = dict(a.sensors)
    vague = a.vague or b.vague
    for sensor, reach in b.sensors.items():
        mine = sensors.get(sensor)
        if mine is None:
            sensors[sensor] = reach
            continue
        # Once a latch is set, the rest of the condition may begin to hold anywhere.
        vague = vague or mine.begins != mine.lasts or reach.begins != reach.lasts
        sensors[sensor] = Reach.of(mine.lasts & reach.lasts)
    minutes, timezone = a.minutes, a.timezone
    if minutes is None:
        minutes, timezone = b.minutes, b.timezone
    elif b.minutes is not None:
        if a.timezone == b.timezone:
            minutes &= b.minutes
        else:
            vague = True
    return Branch(sensors=sensors, minutes=minutes, timezone=timezone, vague=vague)


def _meeting(a: Branch, b: Branch) -> Meeting:
    for sensor in a.sensors.keys() & b.sensors.keys():
        mine, other = a.sensors[sensor], b.sensors[sensor]
        if (mine.begins & other.lasts).empty and (mine.lasts & other.begins).empty:
            return Meeting.NEVER
    comparable = None in (a.minutes, b.minutes) or a.timezone == b.timezone
    if comparable and a.minutes is not None and b.minutes is not None and not a.minutes & b.minutes:
        return Meeting.NEVER
    # Two sensors can be anywhere at once; whether they ever are is another question.
    alike = a.sensors.keys() == b.sensors.keys() or a.unconditional or b.unconditional
    certain = comparable and alike and not a.vague and not b.vague
    return Meeting.SURELY if certain else Meeting.PERHAPS
