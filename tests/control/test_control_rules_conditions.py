"""Conditions: true, false or unknown; latches, counters, windows of time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_rig import AIR, SOIL, TANK, WALL_MS, Rig, above, below, cold, rule

from growy.control.rules.compile import EVALUATORS
from growy.control.rules.effects import Hold
from growy.control.rules.forms import CONDITION_TYPES
from growy.model.rules import (
    All,
    Always,
    AnyOf,
    Between,
    Condition,
    Difference,
    Freshness,
    HeldFor,
    Hysteresis,
    Not,
    Operator,
    RateOfChange,
    Threshold,
    TimeWindow,
)


def watched(condition: Condition) -> Rig:
    rig = Rig()
    rig.put(rule(condition))
    return rig


def verdict(rig: Rig, rule_id: str = "r1") -> bool | None:
    return rig.engine.why(rule_id, rig.moment).holds


def reason(rig: Rig) -> str:
    return rig.engine.why("r1", rig.moment).waiting


# --- the table ----------------------------------------------------------------------------------------------------


def test_every_condition_that_can_be_written_has_an_evaluator_and_the_other_way_round():
    assert set(EVALUATORS) == set(Condition.__args__)
    assert set(CONDITION_TYPES.values()) <= set(EVALUATORS)
    # A compound is written in one of three ways; each of the others has a type of its own.
    assert set(EVALUATORS) - set(CONDITION_TYPES.values()) <= {AnyOf, Not}


# --- one sensor ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "at_19", "at_20", "at_21"),
    [
        (Operator.GT, False, False, True),
        (Operator.GE, False, True, True),
        (Operator.LT, True, False, False),
        (Operator.LE, True, True, False),
        (Operator.EQ, False, True, False),
        (Operator.NE, True, False, True),
    ],
)
def test_a_threshold_compares_as_it_says(operator: Operator, at_19: bool, at_20: bool, at_21: bool):
    rig = watched(Threshold(sensor=AIR, operator=operator, value=20.0))
    for value, expected in ((19.0, at_19), (20.0, at_20), (21.0, at_21)):
        rig.read(value)
        assert verdict(rig) is expected


def test_between_holds_on_both_its_limits():
    rig = watched(Between(sensor=AIR, low=18.0, high=20.0))
    for value, expected in ((17.9, False), (18.0, True), (20.0, True), (20.1, False)):
        rig.read(value)
        assert verdict(rig) is expected


def test_a_sensor_that_never_had_a_value_is_unknown():
    rig = watched(above(20.0))
    assert verdict(rig) is None
    assert "has not had a good value yet" in reason(rig)


def test_a_bad_reading_makes_it_unknown_at_once():
    rig = watched(above(20.0))
    rig.read(25.0)
    assert verdict(rig) is True
    rig.read(None)
    assert verdict(rig) is None
    assert "error or suspect" in reason(rig)


def test_a_value_is_good_until_its_age_is_over_and_unknown_a_moment_later():
    rig = watched(above(20.0))
    rig.read(25.0)
    rig.wait(90.0)
    assert verdict(rig) is True
    rig.wait(0.001)
    assert verdict(rig) is None
    assert "stale" in reason(rig)


def test_a_condition_is_judged_good_up_to_the_very_end_of_its_age():
    for condition in (above(20.0), Between(sensor=AIR, low=20.0, high=30.0), cold(30.0, 40.0)):
        rig = watched(condition)
        rig.read(25.0)
        rig.wait(90.0)
        assert rig.engine.why("r1", rig.moment).conditions[0].result is True


def test_a_condition_may_allow_another_age_than_the_sensor():
    rig = watched(above(20.0, max_age_s=600.0))
    rig.read(25.0)
    rig.wait(600.0)
    assert verdict(rig) is True
    rig.wait(1.0)
    assert verdict(rig) is None


def test_each_reading_lengthens_the_time_for_which_it_is_known():
    rig = watched(above(20.0))
    for _ in range(10):
        rig.read(25.0)
        rig.wait(80.0)
        assert verdict(rig) is True


# --- names --------------------------------------------------------------------------------------------------------


def test_a_name_that_fits_no_series_is_unknown_until_one_appears():
    rig = Rig()
    del rig.series[SOIL]
    rig.put(rule(below(30.0, SOIL)))
    assert verdict(rig) is None
    assert "no reading of" in reason(rig)
    rig.series[SOIL] = 7
    rig.take(rig.engine.met(SOIL.esp_id, rig.moment))
    rig.read({SOIL: 20.0})
    assert verdict(rig) is True
    assert rig.value() == 1.0


def test_a_name_that_fits_several_series_is_unknown_and_says_so():
    rig = Rig(ambiguous={SOIL})
    rig.put(rule(below(30.0, SOIL)))
    rig.read({SOIL: 20.0})
    assert verdict(rig) is None
    assert "could be several" in reason(rig)


def test_a_second_sensor_of_the_same_name_makes_a_rule_let_go():
    rig = watched(below(30.0, SOIL))
    rig.read({SOIL: 20.0})
    assert rig.value() == 1.0
    rig.ambiguous.add(SOIL)
    rig.take(rig.engine.met(SOIL.esp_id, rig.moment))
    assert rig.value() is None


def test_meeting_something_that_changes_nothing_disturbs_nothing():
    rig = watched(HeldFor(condition=cold(), seconds=60.0))
    rig.keep(15.0, 90.0)
    claim = rig.claim()
    assert claim is not None
    rig.take(rig.engine.met(AIR.esp_id, rig.moment))
    assert rig.out == []
    assert rig.claim() is claim


def test_a_sensor_counts_only_in_its_zone_and_subzone():
    rig = Rig(places={(AIR.esp_id, AIR.gpio): ("veg", "bench_a")})
    rig.put(rule(above(20.0, zone_id="veg", subzone_id="bench_a")))
    rig.put(rule(above(20.0, zone_id="bloom"), id="r2"))
    rig.put(rule(above(20.0, subzone_id="bench_b"), id="r3"))
    rig.read(25.0)
    assert [verdict(rig, one) for one in ("r1", "r2", "r3")] == [True, None, None]
    rig.places[AIR.esp_id, AIR.gpio] = ("bloom", "bench_b")
    rig.take(rig.engine.met(AIR.esp_id, rig.moment))
    assert [verdict(rig, one) for one in ("r1", "r2", "r3")] == [None, True, True]


# --- hysteresis ---------------------------------------------------------------------------------------------------


def test_heating_latches_strictly_below_and_lets_go_strictly_above():
    rig = watched(cold(18.0, 20.0))
    expected = [
        (19.0, False),
        (18.0, False),
        (17.9, True),
        (19.0, True),
        (20.0, True),
        (20.1, False),
        (19.0, False),
    ]
    for value, holds in expected:
        rig.read(value)
        assert verdict(rig) is holds, value


def test_cooling_latches_strictly_above_and_lets_go_strictly_below():
    rig = watched(Hysteresis(sensor=AIR, on_above=28.0, off_below=26.0))
    for value, holds in [(28.0, False), (28.1, True), (26.0, True), (25.9, False), (27.0, False)]:
        rig.read(value)
        assert verdict(rig) is holds, value


def test_the_latch_outlives_unknown_but_gives_unknown_meanwhile():
    rig = watched(cold(18.0, 20.0))
    rig.read(17.0)
    rig.read(None)
    assert verdict(rig) is None
    rig.read(19.0)
    assert verdict(rig) is True


def test_every_reading_of_a_batch_moves_the_latch():
    rig = watched(cold(18.0, 20.0))
    rig.take(rig.engine.readings([1, 1], [17.0, 19.0], rig.moment))
    assert verdict(rig) is True


# --- time ---------------------------------------------------------------------------------------------------------


def test_a_time_window_opens_and_closes_by_itself():
    # It is 14:13:20 UTC.
    rig = watched(TimeWindow(start_min=14 * 60 + 15, end_min=14 * 60 + 20))
    assert verdict(rig) is False
    rig.wait(99.0)
    assert verdict(rig) is False
    rig.wait(1.0)
    assert verdict(rig) is True
    rig.wait(299.0)
    assert verdict(rig) is True
    rig.wait(1.0)
    assert verdict(rig) is False


def test_a_wall_clock_that_is_set_opens_the_window_at_the_next_event():
    rig = watched(TimeWindow(start_min=16 * 60, end_min=17 * 60))
    assert verdict(rig) is False
    rig.wall_at_0 += 2 * 3600 * 1000
    rig.wait(1.0)
    assert verdict(rig) is True
    rig.wall_at_0 -= 2 * 3600 * 1000
    rig.wait(1.0)
    assert verdict(rig) is False


def test_held_for_counts_from_the_moment_at_which_it_became_true():
    rig = watched(HeldFor(condition=above(20.0), seconds=100.0))
    rig.read(25.0)
    rig.wait(60.0)
    rig.read(26.0)
    rig.wait(39.999)
    assert verdict(rig) is False
    rig.wait(0.001)
    assert verdict(rig) is True


def test_held_for_ends_its_time_by_itself_though_no_answer_changed_when_it_began():
    rig = watched(HeldFor(condition=above(20.0), seconds=60.0))
    rig.read(15.0)
    rig.wait(10.0)
    rig.read(25.0)
    assert rig.engine.next_due() == rig.now + 60.0
    rig.wait(60.0)
    assert verdict(rig) is True


@pytest.mark.parametrize("broken_by", [15.0, None])
def test_false_and_unknown_break_the_time_it_was_held(broken_by: float | None):
    rig = watched(HeldFor(condition=above(20.0), seconds=60.0))
    rig.read(25.0)
    rig.wait(50.0)
    rig.read(broken_by)
    rig.read(25.0)
    rig.wait(59.0)
    assert verdict(rig) is False
    rig.wait(1.0)
    assert verdict(rig) is True


def test_a_sensor_that_goes_stale_breaks_the_time_it_was_held():
    rig = watched(HeldFor(condition=above(20.0), seconds=120.0))
    rig.read(25.0)
    rig.wait(91.0)
    assert verdict(rig) is None
    rig.read(25.0)
    rig.wait(80.0)
    rig.read(25.0)
    rig.wait(39.0)
    assert verdict(rig) is False
    rig.wait(1.0)
    assert verdict(rig) is True


# --- several readings ---------------------------------------------------------------------------------------------


def difference(consecutive: int = 1) -> Difference:
    return Difference(a=AIR, b=SOIL, operator=Operator.GT, value=5.0, consecutive=consecutive)


def test_a_difference_is_b_minus_a():
    rig = watched(difference())
    rig.read({AIR: 10.0, SOIL: 16.0})
    assert verdict(rig) is True
    rig.read({AIR: 16.0, SOIL: 10.0})
    assert verdict(rig) is False


def test_a_difference_is_unknown_while_one_of_them_is():
    rig = watched(difference())
    rig.read({AIR: 10.0})
    assert verdict(rig) is None
    rig.read({SOIL: 16.0})
    assert verdict(rig) is True
    rig.read({AIR: None})
    assert verdict(rig) is None


def test_so_many_new_samples_of_either_must_agree_in_a_row():
    rig = watched(difference(consecutive=4))
    rig.read({AIR: 10.0, SOIL: 16.0})  # the first of them has nothing to agree with
    rig.read({AIR: 10.0})
    rig.read({SOIL: 17.0})
    assert verdict(rig) is False
    rig.read({AIR: 10.0})
    assert verdict(rig) is True
    rig.read({AIR: 15.0})
    assert verdict(rig) is False


def test_time_that_passes_is_no_new_sample():
    rig = watched(difference(consecutive=3))
    rig.read({AIR: 10.0, SOIL: 16.0})
    for _ in range(20):
        rig.wait(1.0)
    assert verdict(rig) is False


def test_what_both_sensors_say_when_the_rule_is_written_is_the_first_sample_of_the_row():
    rig = Rig()
    rig.read({AIR: 10.0, SOIL: 16.0})
    rig.put(rule(difference(consecutive=1)))
    rig.put(rule(difference(consecutive=2), id="r2"))
    assert [verdict(rig, one) for one in ("r1", "r2")] == [True, False]
    rig.put(rule(difference(consecutive=2), id="r2", description="edited"))
    assert verdict(rig, "r2") is False
    rig.read({AIR: 10.0})
    assert verdict(rig, "r2") is True


def test_two_rules_with_the_same_difference_count_for_themselves():
    rig = watched(difference(consecutive=3))
    rig.read({AIR: 10.0, SOIL: 16.0})
    rig.read({AIR: 10.0})
    rig.put(rule(difference(consecutive=3), id="r2"))
    rig.read({AIR: 10.0})
    assert [verdict(rig, one) for one in ("r1", "r2")] == [True, False]


def rising(window_s: float = 300.0) -> RateOfChange:
    return RateOfChange(sensor=AIR, operator=Operator.GT, per_min=0.5, window_s=window_s)


def test_a_slope_is_that_of_the_line_through_the_window_in_units_per_minute():
    rig = watched(rising())
    for step in range(8):
        rig.read(20.0 + step * 0.3)  # 0.6 a minute
        rig.wait(30.0)
    assert verdict(rig) is True
    actual = rig.engine.why("r1", rig.moment).conditions[0].actual_value
    assert actual == pytest.approx(0.6)


def test_a_slope_needs_three_readings_over_half_of_its_window():
    rig = watched(rising())
    seen = []
    for step in range(7):
        rig.read(20.0 + step)
        seen.append(verdict(rig))
        rig.wait(30.0)
    assert seen == [None] * 5 + [True] * 2  # 150 s of 300


def test_two_conditions_on_one_slope_see_the_same_readings():
    rig = watched(All(conditions=(rising(), Not(condition=rising()))))
    for step in range(8):
        rig.read(20.0 + step)
        rig.wait(30.0)
    assert [one.result for one in rig.engine.why("r1", rig.moment).conditions] == [True, False]


def test_old_readings_leave_the_slope():
    rig = watched(rising())
    for step in range(11):
        rig.read(20.0 + step)
        rig.wait(30.0)
    assert verdict(rig) is True
    rig.keep(30.0, 270.0)
    assert verdict(rig) is False


def test_bad_readings_are_no_readings_of_a_slope():
    rig = watched(rising())
    for step in range(8):
        rig.read(20.0 + step)
        rig.wait(30.0)
    rig.read(None)
    assert verdict(rig) is None
    rig.wait(30.0)
    rig.read(29.0)
    assert rig.engine.why("r1", rig.moment).conditions[0].actual_value == pytest.approx(2.0)


def test_a_slope_of_a_new_rule_knows_what_is_stored():
    rig = Rig()
    for step in range(8):
        rig.read(20.0 + step)
        rig.wait(30.0)
    rig.put(rule(rising()))
    assert verdict(rig) is True


def test_a_slope_over_a_flood_of_readings_keeps_few_of_them():
    rig = watched(rising(window_s=60.0))
    for step in range(5000):
        rig.now += 0.05
        rig.read(20.0 + step * 0.05 / 60)
    actual = rig.engine.why("r1", rig.moment).conditions[0].actual_value
    assert actual == pytest.approx(1.0)
    window = next(iter(rig.engine._rules.by_id["r1"].compiled.windows.values()))
    assert len(window) <= 257


# --- freshness ----------------------------------------------------------------------------------------------------


def test_freshness_is_never_unknown():
    rig = watched(Freshness(sensor=AIR, stale=True))
    rig.put(rule(Freshness(sensor=AIR), id="r2"))
    assert [verdict(rig, one) for one in ("r1", "r2")] == [True, False]
    rig.read(20.0)
    assert [verdict(rig, one) for one in ("r1", "r2")] == [False, True]
    rig.wait(91.0)
    assert [verdict(rig, one) for one in ("r1", "r2")] == [True, False]
    rig.read(20.0)
    rig.read(None)
    assert [verdict(rig, one) for one in ("r1", "r2")] == [True, False]


def test_what_rests_on_a_sensor_being_away_does_not_rest_on_the_sensor():
    rig = watched(Freshness(sensor=AIR, stale=True))
    claim = rig.claim()
    assert claim is not None
    assert claim.basis == frozenset()


# --- and, or, not -------------------------------------------------------------------------------------------------

THREE = (True, False, None)


def three_valued(rig: Rig, values: tuple[bool | None, ...]) -> dict[object, float | None]:
    """Readings that make `above(0)` of the three sensors what is wanted."""
    said = {True: 1.0, False: -1.0, None: None}
    return {ref: said[value] for ref, value in zip((AIR, SOIL, TANK), values, strict=False)}


def kleene_and(a: bool | None, b: bool | None) -> bool | None:
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def negated(a: bool | None) -> bool | None:
    return None if a is None else not a


A, B, C = (above(0.0, sensor) for sensor in (AIR, SOIL, TANK))


@pytest.mark.parametrize(("a", "b"), list(itertools.product(THREE, THREE)))
def test_and_or_and_not_are_kleenes(a: bool | None, b: bool | None):
    rig = Rig()
    rig.put(rule(All(conditions=(A, B)), id="and"))
    rig.put(rule(AnyOf(conditions=(A, B)), id="or"))
    rig.put(rule(Not(condition=A), id="not"))
    rig.read(three_valued(rig, (a, b)))
    assert verdict(rig, "and") is kleene_and(a, b)
    assert verdict(rig, "or") is negated(kleene_and(negated(a), negated(b)))
    assert verdict(rig, "not") is negated(a)


@given(st.tuples(*[st.sampled_from(THREE)] * 3))
def test_laws_of_kleenes_logic_hold(values: tuple[bool | None, ...]):
    def either(*parts: Condition) -> Condition:
        return AnyOf(conditions=parts)

    def both(*parts: Condition) -> Condition:
        return All(conditions=parts)

    def no(part: Condition) -> Condition:
        return Not(condition=part)

    laws = [
        (both(A, B), both(B, A)),
        (either(A, B), either(B, A)),
        (both(A, both(B, C)), both(both(A, B), C)),
        (either(A, either(B, C)), either(either(A, B), C)),
        (both(A, either(B, C)), either(both(A, B), both(A, C))),
        (either(A, both(B, C)), both(either(A, B), either(A, C))),
        (no(both(A, B)), either(no(A), no(B))),
        (no(either(A, B)), both(no(A), no(B))),
        (no(no(A)), A),
        (both(A, A), A),
        (either(A, both(A, B)), A),
        (both(A, Always()), A),
        (either(A, no(Always())), A),
        (both(A, B, C), both(A, both(B, C))),
    ]
    rig = Rig()
    for number, (left, right) in enumerate(laws):
        rig.put(rule(left, id=f"{number} left"))
        rig.put(rule(right, id=f"{number} right"))
    rig.read(three_valued(rig, values))
    for number in range(len(laws)):
        assert verdict(rig, f"{number} left") is verdict(rig, f"{number} right"), laws[number]


def test_latches_go_on_in_parts_that_do_not_decide():
    rig = watched(All(conditions=(above(50.0, SOIL), cold(18.0, 20.0))))
    rig.read({SOIL: 40.0, AIR: 17.0})
    rig.read({AIR: 19.0})
    assert verdict(rig) is False
    rig.read({SOIL: 60.0})
    assert verdict(rig) is True


def test_of_several_that_would_do_a_claim_rests_on_one_that_does():
    rig = watched(AnyOf(conditions=(above(20.0), above(50.0, SOIL))))
    rig.read({AIR: 25.0, SOIL: 60.0})
    claim = rig.claim()
    assert claim is not None
    assert claim.basis == {1}
    rig.read({AIR: None})
    assert rig.value() == 1.0
    claim = rig.claim()
    assert claim is not None
    assert claim.basis == {2}


def test_a_claim_of_all_rests_on_all():
    rig = watched(All(conditions=(above(20.0), above(50.0, SOIL), TimeWindow(start_min=0, end_min=1440))))
    rig.read({AIR: 25.0, SOIL: 60.0})
    claim = rig.claim()
    assert claim is not None
    assert claim.basis == {1, 2}
    assert rig.engine.basis_good(claim, rig.now)
    assert not rig.engine.basis_good(claim, rig.now + 91.0)


# --- for people ---------------------------------------------------------------------------------------------------


def test_every_condition_explains_itself():
    conditions = (
        above(20.0),
        Between(sensor=AIR, low=18.0, high=20.0),
        cold(),
        TimeWindow(start_min=0, end_min=720),
        difference(2),
        rising(),
        Freshness(sensor=AIR),
        Always(),
        AnyOf(conditions=(above(30.0), below(10.0, SOIL))),
        Not(condition=above(30.0)),
        HeldFor(condition=above(20.0), seconds=60.0),
        All(conditions=(Always(),)),
    )
    assert {type(one) for one in conditions} == set(EVALUATORS)
    rig = watched(All(conditions=conditions))
    rig.read({AIR: 25.0, SOIL: 40.0})
    rig.wait(10.0)
    results = rig.engine.why("r1", rig.moment).conditions
    assert [one.condition_index for one in results] == list(range(len(conditions)))
    told = [one.details for one in results]
    assert told[0] == "ESP_00AA01:68/sht31_temp is 25, wanted > 20"
    assert told[3] == "00:00-12:00 UTC is closed"
    assert "is 15, wanted > 5, 1 of 2 samples in a row" in told[4]
    assert "too few readings" in told[5]
    assert "10 s ago" in told[6]
    assert "0 of 2 hold" in told[8]
    assert told[10].startswith("for 10 of 60 s")
    assert [one.result for one in results][:5] == [True, False, False, False, False]
    assert results[0].condition_type == "sensor"
    assert results[0].actual_value == 25.0


def test_looking_at_a_rule_changes_nothing_even_if_the_engine_is_woken_late():
    rig = watched(HeldFor(condition=TimeWindow(start_min=14 * 60 + 14, end_min=15 * 60), seconds=60.0))
    rig.now += 70.0  # the window has been open for 30 s, and nobody has said so yet
    assert verdict(rig) is False
    rig.wait(29.9)
    assert verdict(rig) is False
    rig.wait(0.1)
    assert verdict(rig) is True
    assert rig.now == 1000.0 + 100.0
    assert rig.wall_at_0 == WALL_MS - 1_000_000
    assert [hold.claim.since for hold in rig.all_of(Hold)] == [1100.0]
