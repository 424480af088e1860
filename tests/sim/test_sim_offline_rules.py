"""Offline rules on a virtual board: what a device does while nobody tells it anything."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.boards import NOW, actuator, bodies, configured, ctx, intent

from growy.sim.actuators import execute
from growy.sim.board import Board, CachedValue, Replies
from growy.sim.emergency import stop_all
from growy.sim.offline_rules import activate, evaluate, release

HEATING = {"activate_below": 18.0, "deactivate_above": 22.0}
COOLING = {"activate_above": 28.0, "deactivate_below": 24.0}


def rule(actuator_gpio: int = 18, kind: str = "sht31_temp", **fields: Any) -> dict[str, Any]:
    return {"actuator_gpio": actuator_gpio, "sensor_gpio": 68, "sensor_value_type": kind, **fields}


def ruled(*rules: dict[str, Any], actuators: tuple[dict[str, Any], ...] = ()) -> Board:
    """A board on which the rules have just taken over."""
    return activate(configured(*actuators, rules=list(rules)), ctx())[0]


def seen(on: Board, value: float, at_s: float = 100.0, kind: str = "sht31_temp") -> Board:
    cached = CachedValue(value=value, at_ms=int(at_s * 1000))
    return attrs.evolve(on, values={**on.values, (68, kind): cached})


def passes(on: Board, value: float | None, times: int = 3, **facts: Any) -> tuple[Board, Replies]:
    """So many evaluations with this value fresh."""
    replies: Replies = ()
    for _ in range(times):
        if value is not None:
            on = seen(on, value)
        on, said = evaluate(on, ctx(**facts))
        replies += said
    return on, replies


def is_on(on: Board, gpio: int = 18) -> bool:
    output = on.actuator(gpio)
    assert output is not None
    return output.on


# --- hysteresis -----------------------------------------------------------------------------------


def test_the_third_value_is_the_first_that_counts():
    on, _ = passes(ruled(rule(**HEATING)), 10.0, times=2)
    assert not is_on(on)
    taken, replies = passes(on, 10.0, times=1)
    assert is_on(taken)
    assert [body["state"] for body in bodies(replies)] == [True]


def test_a_gap_in_the_values_starts_the_count_again():
    on, _ = passes(ruled(rule(**HEATING)), 10.0, times=2)
    on, _ = evaluate(attrs.evolve(on, values={}), ctx())
    assert not is_on(passes(on, 10.0, times=2)[0])


@pytest.mark.parametrize(
    ("pair", "values", "states"),
    [
        (HEATING, (17.9, 20.0, 22.0, 22.1, 18.0, 17.9), (True, True, True, False, False, True)),
        (COOLING, (28.1, 26.0, 24.0, 23.9, 28.0, 28.1), (True, True, True, False, False, True)),
    ],
)
def test_between_its_two_limits_a_rule_leaves_things_as_they_are(
    pair: dict[str, float], values: tuple[float, ...], states: tuple[bool, ...]
):
    on, _ = passes(ruled(rule(**pair)), 23.0 if pair is HEATING else 25.0)
    for value, state in zip(values, states, strict=True):
        on, _ = passes(on, value, times=1)
        assert is_on(on) is state, value


def test_a_pair_of_zeros_is_no_pair():
    on, replies = passes(ruled(rule()), -5.0)
    assert not is_on(on)
    assert replies == ()


def test_a_change_of_a_rule_is_stored():
    on, _ = passes(ruled(rule(**HEATING)), 10.0)
    assert on.nvs.offline_rules[0].is_active


def test_a_value_older_than_five_minutes_is_none():
    on, _ = passes(ruled(rule(**HEATING)), 10.0, times=2)
    late, _ = evaluate(on, ctx(400.1))
    assert not is_on(late)
    assert is_on(evaluate(on, ctx(400.0))[0])


def test_the_value_type_must_be_the_published_one():
    on, _ = passes(ruled(rule(kind="sht31_temperature", **HEATING)), 10.0)
    assert not is_on(on)


# --- what the rules find --------------------------------------------------------------------------


def running(*rules: dict[str, Any]) -> Board:
    return execute(configured(rules=list(rules)), "18", b'{"command":"ON"}', intent(), ctx())[0]


def test_the_rules_start_from_what_the_actuators_do():
    on, _ = activate(running(rule(**HEATING)), ctx())
    assert on.rules[0].is_active
    assert is_on(passes(on, 21.0)[0])
    assert not is_on(passes(on, 22.1)[0])


def test_without_rules_everything_goes_to_its_default():
    on, _ = activate(running(), ctx())
    assert not is_on(on)


def test_an_actuator_that_was_commanded_meanwhile_is_left_alone_until_handover():
    on = ruled(rule(**HEATING))
    on, _ = execute(on, "18", b'{"command":"OFF"}', intent(), ctx(offline_active=True))
    assert not is_on(passes(on, 10.0)[0])
    assert is_on(passes(release(on), 10.0)[0])


def test_a_latched_actuator_is_tried_again_at_every_pass():
    on, _ = stop_all(ruled(rule(**HEATING)), ctx(0.1))
    on, _ = passes(on, 10.0)
    assert not is_on(on)
    assert not on.rules[0].is_active


def test_of_two_rules_for_one_actuator_the_last_that_changes_its_mind_wins():
    on, _ = activate(running(rule(**HEATING), rule(**COOLING)), ctx())
    on, _ = passes(on, 10.0)
    assert [r.is_active for r in on.rules] == [True, False]
    assert not is_on(on)


@pytest.mark.parametrize("kind", ["ph", "ec", "moisture", "soil_moisture"])
def test_what_needs_calibration_is_switched_off_and_never_on(kind: str):
    on, _ = activate(running(rule(kind=kind, **HEATING)), ctx())
    on, _ = passes(on, 10.0, times=1)
    assert not is_on(on)
    assert not is_on(passes(seen(on, 1.0, kind=kind), 10.0)[0])


def test_a_rule_whose_value_type_was_too_long_does_nothing():
    on, _ = activate(running(rule(kind="x" * 24)), ctx())
    assert is_on(passes(on, 99.0)[0])


def test_rules_for_actuators_that_are_not_there_do_nothing():
    on, _ = passes(ruled(rule(19, **HEATING)), 10.0)
    assert not on.rules[0].is_active


# --- time -----------------------------------------------------------------------------------------


def at(hour: int, minute: int = 0, day: int = 1, month: int = 1) -> int:
    return int(dt.datetime(2026, month, day, hour, minute, tzinfo=dt.UTC).timestamp())


def window(start: int, end: int, **fields: Any) -> dict[str, Any]:
    return {"time_filter": {"enabled": True, "start_hour": start, "end_hour": end, **fields}}


@pytest.mark.parametrize(
    ("start", "end", "hour", "inside"),
    [
        (8, 20, 7, False),
        (8, 20, 8, True),
        (8, 20, 20, False),
        (20, 6, 23, True),
        (20, 6, 5, True),
        (20, 6, 6, False),
        (0, 24, 23, True),
        (8, 8, 8, False),
    ],
)
def test_a_rule_works_within_its_hours_which_may_cross_midnight(
    start: int, end: int, hour: int, inside: bool
):
    on, _ = passes(ruled(rule(**HEATING, **window(start, end))), 10.0, ts=at(hour))
    assert is_on(on) is inside


def test_when_its_hours_are_over_a_rule_switches_off():
    on, _ = passes(ruled(rule(**HEATING, **window(8, 20))), 10.0, ts=at(19, 59))
    assert is_on(on)
    assert not is_on(passes(on, 10.0, times=1, ts=at(20))[0])


def test_outside_its_hours_a_rule_starts_by_switching_off():
    on, _ = activate(running(rule(**HEATING, **window(8, 20))), ctx(ts=at(3)))
    assert not is_on(on)


def test_without_a_clock_a_rule_with_hours_waits():
    on, _ = activate(running(rule(**HEATING, **window(8, 20))), ctx(ts=0))
    assert is_on(passes(on, 99.0, ts=0)[0])


@pytest.mark.parametrize(("mask", "works"), [(0b0010000, True), (0b1101111, False), (0b0000001, False)])
def test_bit_0_of_the_days_is_sunday(mask: int, works: bool):
    on, _ = passes(ruled(rule(**HEATING, **window(0, 24, days_of_week_mask=mask))), 10.0, ts=NOW)  # Thursday
    assert is_on(on) is works


@pytest.mark.parametrize(
    ("timezone", "ts", "inside"),
    [
        ("UTC", at(7), False),
        ("Europe/Berlin", at(7), True),
        ("CET", at(6, 59), False),
        ("CEST", at(6, 0, day=1, month=7), True),
        ("Europe/Berlin", at(5, 59, day=1, month=7), False),
        ("America/New_York", at(8), True),
        ("Europe/Berlin", at(6, 30, day=28, month=3), False),
        ("Europe/Berlin", at(6, 30, day=29, month=3), True),
        ("Europe/Berlin", at(6, 30, day=24, month=10), True),
        ("Europe/Berlin", at(6, 30, day=25, month=10), False),
    ],
)
def test_hours_are_those_of_utc_or_of_berlin(timezone: str, ts: int, inside: bool):
    on, _ = passes(ruled(rule(**HEATING, **window(8, 20, timezone=timezone))), 10.0, ts=ts)
    assert is_on(on) is inside


@pytest.mark.parametrize(("kind", "inside"), [("__twindow_on", True), ("__twindow_off", False)])
def test_a_pure_time_window_needs_no_value_and_no_patience(kind: str, inside: bool):
    on = ruled(rule(kind=kind, sensor_gpio=255, **window(8, 20)))
    assert is_on(passes(on, None, times=1, ts=at(9))[0]) is inside
    assert not is_on(passes(on, None, times=1, ts=at(21))[0])


# --- anything -------------------------------------------------------------------------------------


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "actuator_gpio": st.sampled_from((18, 19, 33)),
                "sensor_value_type": st.sampled_from(("sht31_temp", "ph", "__twindow_on", "x" * 30)),
                "sensor_gpio": st.just(68),
                "activate_below": st.floats(-50, 50),
                "deactivate_above": st.floats(-50, 50),
                "activate_above": st.floats(-50, 50),
            }
        ),
        max_size=9,
    ),
    st.lists(st.none() | st.floats(-60, 60), max_size=20),
)
def test_any_rules_move_only_actuators_that_they_name(
    rules: list[dict[str, Any]], values: list[float | None]
):
    on = configured(actuator(18), actuator(19), actuator(25, default_state=True), rules=rules)
    on, _ = activate(on, ctx())
    named = {rule.actuator_gpio for rule in on.rules}
    for value in values:
        before = on
        on, _ = passes(on, value, times=1)
        for was, is_now in zip(before.actuators, on.actuators, strict=True):
            assert was.on == is_now.on or is_now.gpio in named
        assert len(on.rule_warmup) == len(on.rules)
