"""A replay that leaves out what can change nothing comes to the very same as one with every reading."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replay_rig import (
    FROM_MS,
    Diary,
    columns,
    pasts,
    replayed,
    rule_lists,
    rules_of_trends,
    series_of,
    smooth,
)
from rules_rig import AIR, HEATER, SOIL, above, cold, on, rule

from growy.control.rules.thinning import Thinner
from growy.model.reading import Columns, Quality
from growy.model.rules import (
    Between,
    Condition,
    Difference,
    Freshness,
    Hysteresis,
    Operator,
    Photoperiod,
    Pid,
    RateOfChange,
    Rule,
    SensorRef,
)

NOBODY = SensorRef("ESP_00AA07", 1, "ph")


def numbered(rules: list[Rule]) -> list[Rule]:
    return [attrs.evolve(one, id=f"r{number}") for number, one in enumerate(rules)]


def rounds(rules: list[Rule]) -> bool:
    """Whether what is due at one moment may be so in two ways: a time-proportioned loop takes what comes within 1 ms as
    come, so that a reading may wake it too early; steps of a light come with all else that comes every 10 s.
    """
    actions = [action for one in rules for action in one.actions]
    return any(isinstance(one, Photoperiod) or (isinstance(one, Pid) and one.window_s) for one in actions)


def exactly(diary: Diary) -> list[list[object]]:
    """Times to a microsecond: sums of floats may come out differently."""
    return [[round(what, 6) if isinstance(what, float) else what for what in line] for line in diary.lines]


def roughly(diary: Diary) -> list[str]:
    """Times to 10 ms, which all readings are multiples of, and those that are equal in any order."""

    def cut(what: object) -> object:
        return math.floor(what * 100 + 0.05) if isinstance(what, float) and math.isfinite(what) else what

    return sorted(repr([cut(what) for what in line]) for line in diary.lines if line[1] != "execution")


def same(thinned: Diary, whole: Diary, rules: list[Rule]) -> None:
    for rule_id, tally in thinned.rules.items():
        assert tally.executions == whole.rules[rule_id].executions
        assert tally.held_s == pytest.approx(whole.rules[rule_id].held_s, abs=0.1)
        assert tally.unknown_s == pytest.approx(whole.rules[rule_id].unknown_s, abs=0.1)
    for key, one in thinned.actuators.items():
        assert (one.cycles, one.refusals) == (whole.actuators[key].cycles, whole.actuators[key].refusals)
        assert one.on_s == pytest.approx(whole.actuators[key].on_s, abs=0.1)
    if rounds(rules):
        assert roughly(thinned) == roughly(whole)
    else:
        assert exactly(thinned) == exactly(whole)


MANY = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
where_cut = st.lists(st.integers(0, 100), max_size=4)


@MANY
@given(rule_lists.map(numbered), pasts(), where_cut, st.booleans())
def test_leaving_out_what_changes_nothing_changes_nothing(
    rules: list[Rule], past: Columns, cuts: list[int], interlocked: bool
):
    whole = replayed(rules, past, every=True, interlocked=interlocked)
    same(replayed(rules, past, cuts=cuts, interlocked=interlocked), whole, rules)


@MANY
@given(rules_of_trends.map(numbered), pasts(smooth, 4), where_cut)
def test_differences_and_slopes_are_the_same_though_most_readings_are_left_out(
    rules: list[Rule], past: Columns, cuts: list[int]
):
    whole = replayed(rules, past, every=True)
    same(replayed(rules, past, cuts=cuts), whole, rules)


def shown(rules: list[Rule], past: Columns) -> int:
    thinner = Thinner(rules, series_of, lambda series_id: 90.0, FROM_MS)
    return len(thinner.take(past.take(np.isin(past.series, list(thinner.series)))))


def steady(seconds: int, *values: float, series_id: int = 1) -> list[tuple[int, int, float, Quality]]:
    """A reading every 30 s, going round through these values."""
    return [
        (series_id, at * 1000, values[at // 30 % len(values)], Quality.GOOD) for at in range(0, seconds, 30)
    ]


@pytest.mark.parametrize(
    ("condition", "most"),
    [
        (above(20.0), 2),
        (cold(18.0, 20.0), 3),
        (Difference(a=AIR, b=SOIL, operator=Operator.GT, value=4.0, consecutive=3), 10),
        (RateOfChange(sensor=AIR, operator=Operator.GT, per_min=5.0, window_s=300.0), 6),
    ],
)
def test_of_a_day_that_changes_nothing_next_to_nothing_is_shown(condition: Condition, most: int):
    day = 86_400
    past = columns([*steady(day, 18.5, 19.0, 19.5), *steady(day, 20.0, 20.5, series_id=2)])

    assert shown([rule(condition, on())], past) <= most


def test_a_loop_is_shown_every_reading_and_who_does_not_care_none():
    past = columns([*steady(3600, 18.5, 19.0), *steady(3600, 20.0, series_id=2)])
    loop = Pid(actuator=HEATER, sensor=AIR, set_point=20.0, kp=0.1)

    assert shown([rule(above(0.0), loop)], past) == 120
    thinner = Thinner([rule(above(0.0), loop)], series_of, lambda series_id: 90.0, FROM_MS)
    assert thinner.series == {1}


def test_a_sensor_that_is_not_there_is_no_reason_to_read_anything():
    thinner = Thinner([rule(above(0.0, NOBODY))], series_of, lambda series_id: 90.0, FROM_MS)
    assert thinner.series == frozenset()


def test_a_gap_is_a_gap_though_the_value_is_the_same():
    readings = [(1, at, 25.0, Quality.GOOD) for at in (0, 30_000, 60_000, 200_000, 230_000)]
    diary = replayed([rule(above(20.0), on())], columns(readings), end_s=400.0)

    verdicts = [line[3] for line in diary.lines if line[1] == "verdict"]
    assert verdicts == [True, None, True, None]
    assert diary.rules["r1"].unknown_s == pytest.approx((200.0 - 150.001) + (400.0 - 320.001))


def test_an_error_ends_a_claim_at_once_and_a_good_value_brings_it_back():
    readings = [(1, 0, 25.0, Quality.GOOD), (1, 30_000, 25.0, Quality.ERROR), (1, 40_000, 25.0, Quality.FAIR)]
    diary = replayed([rule(above(20.0), on())], columns(readings), end_s=60.0)

    assert [(line[0], line[3]) for line in diary.lines if line[1] == "verdict"] == [
        (0.0, True), (30.0, None), (40.0, True),
    ]  # fmt: skip


# --- where it is cut, and what lies on the edge ---------------------------------------------------------------------

WAVE = (25.0, 19.0, 19.0, 15.0, 19.0, 19.0, 25.0, 25.0, 19.0, 15.0, 15.0, 15.0, 25.0, 19.0, 19.0, 19.0, 15.0)


@pytest.mark.parametrize(
    "condition",
    [
        above(20.0),
        Hysteresis(sensor=AIR, on_above=24.0, off_below=16.0),
        Hysteresis(sensor=AIR, on_below=16.0, off_above=24.0),
        Between(sensor=AIR, low=18.0, high=20.0),
        Difference(a=SOIL, b=AIR, operator=Operator.GT, value=0.0, consecutive=2),
        Difference(a=AIR, b=SOIL, operator=Operator.GE, value=1.0, consecutive=4),
        RateOfChange(sensor=AIR, operator=Operator.GT, per_min=2.0, window_s=120.0),
        RateOfChange(sensor=AIR, operator=Operator.GT, per_min=-90.0, window_s=120.0, max_age_s=2000.0),
        Freshness(sensor=AIR, max_age_s=30.0),
    ],
)
def test_it_does_not_matter_where_the_past_is_cut_into_pieces(condition: Condition):
    readings = [(1, number * 30_000, value, Quality.GOOD) for number, value in enumerate(WAVE)]
    readings += [(2, 10_000 + number * 45_000, 20.0 - number % 2, Quality.GOOD) for number in range(10)]
    readings += [(1, 1_000_000 + number * 30_000, value, Quality.GOOD) for number, value in enumerate(WAVE)]
    readings += [(1, 1_600_000 + number * 30_000, 25.0, Quality.GOOD) for number in (0, 1, 5, 6, 9)]
    readings += [(1, 1_600_000 + number * 30_000, 25.0, Quality.ERROR) for number in (2, 3, 4, 7, 8)]
    readings += [(2, 1_610_000 + number * 30_000, 20.0, Quality(1 + number % 6)) for number in range(10)]
    blinks = [Quality.GOOD, Quality.ERROR, Quality.GOOD, Quality.SUSPECT, Quality.ERROR, Quality.POOR] * 2
    readings += [(1, 2_500_000 + number * 10_000, 25.0, one) for number, one in enumerate(blinks)]
    readings += [(2, 2_505_000 + number * 20_000, 20.0, one) for number, one in enumerate(blinks)]
    rules, past = [rule(condition, on())], columns(readings)

    whole = replayed(rules, past, every=True)
    assert len(whole.lines) > 4
    for cut in range(len(past)):
        same(replayed(rules, past, cuts=[cut]), whole, rules)
    same(replayed(rules, past, cuts=range(len(past))), whole, rules)


@pytest.mark.parametrize("operator", list(Operator))
@pytest.mark.parametrize("base", [0.0, 17.3, 1e6])
def test_a_slope_that_lies_on_its_limit_is_the_engines_to_judge(operator: Operator, base: float):
    limit = RateOfChange(sensor=AIR, operator=operator, per_min=0.6, window_s=60.0)
    past = columns([(1, number * 10_000, base + number * 0.1, Quality.GOOD) for number in range(200)])

    same(replayed([rule(limit, on())], past), replayed([rule(limit, on())], past, every=True), [])


@pytest.mark.parametrize("apart_ms", [50, 100, 235, 400])
def test_a_slope_is_made_of_the_readings_that_the_engine_takes(apart_ms: int):
    limit = RateOfChange(sensor=AIR, operator=Operator.GT, per_min=0.0, window_s=60.0)
    past = columns(
        [
            (1, number * apart_ms, math.sin(number * apart_ms / 7000) + number % 7, Quality.GOOD)
            for number in range(900)
        ]
    )

    whole = replayed([rule(limit, on())], past, every=True)
    for cuts in ([], [100, 101, 500]):
        same(replayed([rule(limit, on())], past, cuts=cuts), whole, [])


def test_an_age_that_lies_on_its_limit_is_the_engines_to_judge():
    limit = Difference(a=AIR, b=SOIL, operator=Operator.GT, value=0.0, consecutive=2)
    readings = []
    for number in range(300):
        start = number * 200_100
        readings += [(2, start, 30.0, Quality.GOOD)]
        readings += [(1, start + after, 10.0, Quality.GOOD) for after in (70_000, 80_000, 90_000, 100_000)]
    past = columns(readings)

    same(replayed([rule(limit, on())], past), replayed([rule(limit, on())], past, every=True), [])
