"""When conditions can hold: checked against judging them value by value, minute by minute."""

from __future__ import annotations

import time

import pytest
from forms_rig import ESP, HOT, condition, without
from hypothesis import given, settings
from hypothesis import strategies as st

from growy.control.rules.regions import (
    WHOLE_WEEK,
    Interval,
    Meeting,
    branches,
    meeting,
    minutes_of,
    same_sensor,
)
from growy.control.rules.windows import inside
from growy.model.rules import (
    All,
    AnyOf,
    Between,
    Condition,
    Not,
    Operator,
    SensorRef,
    Threshold,
    TimeWindow,
)

MONDAY_MS = 4 * 86_400_000
"""1970-01-05, UTC."""


def met(a: object, b: object) -> Meeting:
    return meeting(branches(condition(a)), branches(condition(b)))


def at(operator: str, value: float, **more: object) -> dict[str, object]:
    return {**HOT, "operator": operator, "value": value, **more}


def cool(on: float, off: float) -> dict[str, object]:
    return {
        **without(HOT, "operator", "value"),
        "type": "hysteresis",
        "activate_above": on,
        "deactivate_below": off,
    }


def heat(on: float, off: float) -> dict[str, object]:
    return {
        **without(HOT, "operator", "value"),
        "type": "hysteresis",
        "activate_below": on,
        "deactivate_above": off,
    }


def hours(start: int, end: int, **more: object) -> dict[str, object]:
    return {"type": "time", "start_hour": start, "end_hour": end, **more}


# --- meeting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (at(">", 20), at("<", 25), Meeting.SURELY),
        (at(">", 25), at("<", 25), Meeting.NEVER),
        (at(">=", 25), at("<=", 25), Meeting.SURELY),
        (at(">=", 25), at("<", 25), Meeting.NEVER),
        (at("==", 25), at("!=", 25), Meeting.NEVER),
        (at("!=", 25), at("!=", 26), Meeting.SURELY),
        (at(">", 20), at("<", 25, gpio=69), Meeting.PERHAPS),
        (at(">", 20), at("<", 25, sensor_type=None), Meeting.PERHAPS),
        (at(">", 20), at("<", 25, sensor_type="temperature_sht31"), Meeting.SURELY),
        (at(">", 20), at("<", 25, zone_id="tent"), Meeting.PERHAPS),
        (at(">", 20), at("<", 25, **{"for": 60}), Meeting.SURELY),
        (at(">", 20), {"type": "always"}, Meeting.SURELY),
        (at(">", 20), {"type": "not", "condition": at(">", 15)}, Meeting.NEVER),
        (at(">", 20), {"type": "freshness", "esp_id": ESP, "gpio": 4}, Meeting.PERHAPS),
        # Latches: what counts is whether one can begin while the other goes on.
        (cool(30, 25), heat(20, 28), Meeting.NEVER),
        (cool(26, 18), heat(20, 24), Meeting.SURELY),
        (cool(22, 19), heat(20, 24), Meeting.SURELY),
        (cool(28, 24), at("<", 26), Meeting.SURELY),
        (cool(28, 24), at("<", 24), Meeting.NEVER),
        ([cool(28, 24), at("<", 27)], at("<", 26), Meeting.PERHAPS),
        # Time.
        (hours(8, 12), hours(11, 13), Meeting.SURELY),
        (hours(8, 12), hours(12, 13), Meeting.NEVER),
        (hours(22, 6), hours(5, 7), Meeting.SURELY),
        (hours(22, 6, days_of_week=[6]), hours(5, 7, days_of_week=[0]), Meeting.SURELY),
        (hours(22, 6, days_of_week=[6]), hours(5, 7, days_of_week=[6]), Meeting.NEVER),
        (hours(8, 12), hours(12, 13, timezone="Europe/Berlin"), Meeting.PERHAPS),
        (hours(8, 12), at(">", 20), Meeting.PERHAPS),
        ([at(">", 20), hours(8, 12)], at("<", 25), Meeting.SURELY),
        ([at(">", 20), hours(8, 12)], [at("<", 25), hours(13, 14)], Meeting.NEVER),
        (
            [at(">", 20), hours(8, 12)],
            [at(">", 20), hours(13, 14, timezone="Europe/Berlin")],
            Meeting.PERHAPS,
        ),
        ([at(">", 20), at("<", 60, gpio=5)], [at("<", 25), at(">", 70, gpio=5)], Meeting.NEVER),
        ({"logic": "OR", "conditions": [at("<", 5), at(">", 20)]}, at("<", 25), Meeting.SURELY),
        (
            {"logic": "OR", "conditions": [at("<", 5), at(">", 30)]},
            {**at("between", 0), "min": 6, "max": 25},
            Meeting.NEVER,
        ),
    ],
)
def test_two_conditions(a: object, b: object, expected: Meeting) -> None:
    assert met(a, b) is expected
    assert met(b, a) is expected


def test_a_condition_that_contradicts_itself_has_no_branch() -> None:
    assert branches(condition([at(">", 30), at("<", 20)])) == ()
    assert branches(condition([hours(8, 12), hours(13, 14)])) == ()
    assert branches(condition({"type": "not", "condition": {"type": "always"}})) == ()
    assert branches(condition([cool(28, 24), at("<", 23)])) == ()
    assert branches(condition([cool(28, 24), at("<", 27)])) != ()


def test_a_condition_with_too_many_branches_is_taken_as_possible() -> None:
    either = {"logic": "OR", "conditions": [at(">", 20, gpio=gpio) for gpio in range(9)]}
    either_too = {"logic": "OR", "conditions": [at("<", 10, gpio=gpio) for gpio in range(9)]}

    assert met([either, either_too], at(">", 20)) is Meeting.PERHAPS


def test_a_condition_made_to_keep_us_busy_does_not() -> None:
    either = {"logic": "OR", "conditions": [at("==", value) for value in range(9)]}
    started = time.perf_counter()

    branches(condition([either] * 10))

    assert time.perf_counter() - started < 5.0


# --- value by value, minute by minute -----------------------------------------------------------------------------

SENSORS = (SensorRef(ESP, 4, "ds18b20"), SensorRef(ESP, 5, "ph"))
VALUES = st.integers(0, 6).map(float)
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Threshold, sensor=st.sampled_from(SENSORS), operator=st.sampled_from(Operator), value=VALUES),
    st.builds(
        lambda sensor, a, b: Between(sensor=sensor, low=min(a, b), high=max(a, b)),
        st.sampled_from(SENSORS),
        VALUES,
        VALUES,
    ),
)
LOGIC = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda some: All(conditions=tuple(some))),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: AnyOf(conditions=tuple(some))),
        st.builds(Not, condition=inner),
    ),
    max_leaves=5,
)
GRID = [(a / 2 - 0.5, b / 2 - 0.5) for a in range(16) for b in range(16)]


def holds(condition: Condition, world: tuple[float, float]) -> bool:
    match condition:
        case Threshold(sensor=sensor, operator=operator, value=value):
            is_now = world[SENSORS.index(sensor)]
            return {
                ">": is_now > value,
                ">=": is_now >= value,
                "<": is_now < value,
                "<=": is_now <= value,
                "==": is_now == value,
                "!=": is_now != value,
            }[operator.value]
        case Between(sensor=sensor, low=low, high=high):
            return low <= world[SENSORS.index(sensor)] <= high
        case All(conditions=some):
            return all(holds(each, world) for each in some)
        case AnyOf(conditions=some):
            return any(holds(each, world) for each in some)
        case Not(condition=inner):
            return not holds(inner, world)
    raise AssertionError(condition)


@settings(deadline=None)
@given(LOGIC)
def test_a_condition_has_a_branch_if_it_can_hold(condition: Condition) -> None:
    assert bool(branches(condition)) is any(holds(condition, world) for world in GRID)


@settings(deadline=None)
@given(LOGIC, LOGIC)
def test_conditions_meet_if_some_values_make_both_hold(a: Condition, b: Condition) -> None:
    both = any(holds(a, world) and holds(b, world) for world in GRID)

    if meeting(branches(a), branches(b)) is Meeting.NEVER:
        assert not both
    else:
        assert both


@settings(deadline=None)
@given(
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.none() | st.frozensets(st.integers(0, 6), min_size=1),
)
def test_the_minutes_of_a_window_are_those_in_which_it_is_open(
    start: int, end: int, days: frozenset[int] | None
) -> None:
    window = TimeWindow(start_min=start, end_min=end, days=days)
    minutes = minutes_of(window)

    assert 0 <= minutes <= WHOLE_WEEK
    assert all(
        bool(minutes >> minute & 1) is inside(window, MONDAY_MS + minute * 60_000)
        for minute in range(0, 7 * 1440, 11)
    )


@given(st.floats(-9, 9), st.floats(-9, 9), st.booleans(), st.booleans(), st.floats(-9, 9))
def test_intervals_meet_where_both_are(
    low: float, high: float, with_low: bool, with_high: bool, at: float
) -> None:
    def has(interval: Interval, value: float) -> bool:
        above = value >= interval.low if interval.with_low else value > interval.low
        return above and (value <= interval.high if interval.with_high else value < interval.high)

    one, other = Interval(low, high, with_low, with_high), Interval(low=at, with_low=with_high)

    for value in (low, high, at, (low + high) / 2):
        assert has(one & other, value) is (has(one, value) and has(other, value))
        assert not (one.empty and has(one, value))


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (SensorRef(ESP, 68, "sht31_temp"), SensorRef(ESP, 68, "sht31_temp"), True),
        (SensorRef(ESP, 68, "sht31_temp"), SensorRef(ESP, 68, "temperature_sht31"), True),
        (SensorRef(ESP, 68, "sht31_temp"), SensorRef(ESP, 68), True),
        (SensorRef(ESP, 68, "sht31_temp", "68"), SensorRef(ESP, 68, "sht31_temp"), True),
        (SensorRef(ESP, 68, "sht31_temp", "68"), SensorRef(ESP, 68, "sht31_temp", "69"), False),
        (SensorRef(ESP, 68, "sht31_temp"), SensorRef(ESP, 68, "sht31_humidity"), False),
        (SensorRef(ESP, 68), SensorRef(ESP, 69), False),
    ],
)
def test_names_that_may_mean_the_same_sensor(a: SensorRef, b: SensorRef, same: bool) -> None:
    assert same_sensor(a, b) is same_sensor(b, a) is same
