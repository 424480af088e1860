"""The guard against oscillation: counts, holds off, lets go again."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from growy.control.rules.guard import Guard
from growy.model.control import ActuatorKey

FAN = ActuatorKey("ESP_00AA01", 18)
PUMP = ActuatorKey("ESP_00AA01", 19)


def test_as_many_switchings_as_allowed_are_no_trouble():
    guard = Guard(3)
    assert [guard.switched(FAN, True, at) for at in (0.0, 10.0, 20.0)] == [None] * 3
    assert guard.held(FAN, 20.0) is None


def test_one_more_holds_it_off_until_the_count_is_below_the_limit_again():
    guard = Guard(3)
    for at in (0.0, 10.0, 20.0):
        guard.switched(FAN, True, at)
    assert guard.switched(FAN, True, 30.0) == 610.0
    assert guard.held(FAN, 609.9) == 610.0
    assert guard.held(FAN, 610.0) is None


def test_it_is_told_once_that_it_is_held_and_once_that_it_has_recovered():
    guard = Guard(2)
    told = [guard.switched(FAN, True, at) for at in (0.0, 1.0, 2.0, 3.0)]
    assert told == [None, None, 601.0, None]
    assert guard.next_end() == 601.0
    assert guard.recovered(600.0) == []
    assert guard.recovered(601.0) == [FAN]
    assert guard.recovered(602.0) == []
    assert guard.next_end() == math.inf


def test_after_it_has_recovered_one_more_is_allowed_and_the_next_holds_it_off_again():
    guard = Guard(2)
    for at in (0.0, 1.0, 300.0):
        guard.switched(FAN, True, at)
    assert guard.recovered(601.0) == [FAN]
    assert guard.switched(FAN, True, 602.0) is None
    assert guard.switched(FAN, True, 603.0) == 1202.0


def test_it_holds_off_again_though_nobody_asked_whether_it_had_recovered():
    guard = Guard(2)
    for at in (0.0, 1.0, 2.0, 700.0, 701.0):
        guard.switched(FAN, True, at)
    assert guard.held(FAN, 701.0) is None
    assert guard.switched(FAN, True, 702.0) == 1301.0
    assert guard.held(FAN, 703.0) == 1301.0


def test_switching_off_does_not_count():
    guard = Guard(2)
    for at in range(20):
        guard.switched(FAN, False, float(at))
    assert guard.held(FAN, 20.0) is None


def test_switchings_that_lie_apart_never_add_up():
    guard = Guard(2)
    assert [guard.switched(FAN, True, at * 301.0) for at in range(50)] == [None] * 50


def test_actuators_do_not_answer_for_each_other():
    guard = Guard(2)
    for at in (0.0, 1.0, 2.0):
        guard.switched(FAN, True, at)
    assert guard.held(FAN, 3.0) is not None
    assert guard.held(PUMP, 3.0) is None
    assert guard.statistics().held == 1


def test_it_forgets_what_has_calmed_down():
    guard = Guard(2)
    for gpio in range(100):
        guard.switched(ActuatorKey("ESP_00AA01", gpio), True, 0.0)
    guard.recovered(601.0)
    assert guard.statistics().watched == 0


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60), st.integers(2, 5))
def test_whoever_heeds_it_never_switches_more_often_than_allowed_and_once(waits: list[int], most: int):
    guard, now, switchings = Guard(most, window_s=600.0), 0.0, []
    for wait in waits:
        now += wait
        guard.recovered(now)
        if guard.held(FAN, now) is None:
            guard.switched(FAN, True, now)
            switchings.append(now)
    for end in switchings:
        assert sum(end - 600.0 < at <= end for at in switchings) <= most + 1
