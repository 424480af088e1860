"""Photoperiods: light by the clock on the wall, dawn and dusk inside the light time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growy.control.rules.photoperiod import level, next_change
from growy.control.rules.windows import FAR_MS, MINUTE_MS
from growy.model.control import ActuatorKey
from growy.model.rules import Photoperiod

LAMP = ActuatorKey("ESP_0A1B2C", 25)
BERLIN = ZoneInfo("Europe/Berlin")


def light(on: int, minutes: int, **more: object) -> Photoperiod:
    return Photoperiod(actuator=LAMP, on_min=on, light_min=minutes, **more)


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def berlin(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


def test_eighteen_hours_of_light() -> None:
    veg = light(6 * 60, 18 * 60)

    assert level(veg, utc("2026-06-01 05:59")) == 0.0
    assert level(veg, utc("2026-06-01 06:00")) == 1.0
    assert level(veg, utc("2026-06-01 23:59")) == 1.0
    assert level(veg, utc("2026-06-02 00:00")) == 0.0
    assert next_change(veg, utc("2026-06-01 05:00")) == utc("2026-06-01 06:00")
    assert next_change(veg, utc("2026-06-01 06:00")) == utc("2026-06-02 00:00")


def test_light_that_goes_over_midnight() -> None:
    night = light(20 * 60, 12 * 60, value=0.6)

    assert level(night, utc("2026-06-01 23:00")) == 0.6
    assert level(night, utc("2026-06-02 07:59")) == 0.6
    assert level(night, utc("2026-06-02 08:00")) == 0.0
    assert next_change(night, utc("2026-06-01 21:00")) == utc("2026-06-02 08:00")


def test_light_all_day_never_changes() -> None:
    day = light(6 * 60, 1440)

    assert level(day, utc("2026-06-01 05:59")) == level(day, utc("2026-06-01 06:00")) == 1.0
    assert next_change(day, utc("2026-06-01 00:00")) == FAR_MS


def test_light_is_by_the_clock_on_the_wall() -> None:
    day = light(6 * 60, 60, timezone="Europe/Berlin")

    assert level(day, berlin("2026-03-28 06:30")) == level(day, berlin("2026-03-29 06:30")) == 1.0
    assert berlin("2026-03-29 06:30") - berlin("2026-03-28 06:30") == 23 * 3_600_000
    assert next_change(day, berlin("2026-03-28 12:00")) == berlin("2026-03-29 03:00")  # the clocks go forward
    assert next_change(day, berlin("2026-03-29 03:00")) == berlin("2026-03-29 06:00")


def test_dawn_and_dusk_are_inside_the_light_time() -> None:
    day = light(6 * 60, 600, value=0.8, ramp_min=30)

    assert level(day, utc("2026-06-01 06:00") - 1) == 0.0
    assert 0.0 < level(day, utc("2026-06-01 06:00")) < 0.02
    assert level(day, utc("2026-06-01 06:15")) == pytest.approx(0.4, abs=0.01)
    assert level(day, utc("2026-06-01 06:30")) == 0.8
    assert level(day, utc("2026-06-01 15:30") - 1) == 0.8
    assert level(day, utc("2026-06-01 15:45")) == pytest.approx(0.4, abs=0.01)
    assert 0.0 < level(day, utc("2026-06-01 16:00") - 1) < 0.02
    assert level(day, utc("2026-06-01 16:00")) == 0.0


def test_dawn_rises_and_dusk_falls() -> None:
    day = light(6 * 60, 600, ramp_min=45)
    start = utc("2026-06-01 06:00")
    rising = [level(day, start + minute * MINUTE_MS) for minute in range(46)]
    falling = [level(day, start + (600 - 45 + minute) * MINUTE_MS) for minute in range(46)]

    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert rising[-1] == 1.0
    assert falling[-1] == 0.0


@pytest.mark.parametrize(("ramp_min", "steps"), [(1, 6), (10, 60), (30, 100), (240, 100)])
def test_dawn_has_steps_that_a_device_can_follow(ramp_min: int, steps: int) -> None:
    day = light(6 * 60, 600, ramp_min=ramp_min)
    moment, levels = utc("2026-06-01 06:00"), []
    while moment < utc("2026-06-01 06:00") + ramp_min * MINUTE_MS:
        levels.append(level(day, moment))
        following = next_change(day, moment)
        assert following - moment >= 9_999
        moment = following

    assert len(levels) == steps == len(set(levels))


def test_whoever_waits_for_the_next_change_sees_every_step_of_dusk() -> None:
    day = light(6 * 60, 600, ramp_min=7)
    moment, seen = utc("2026-06-01 12:00"), []
    while moment < utc("2026-06-01 16:00"):
        moment = next_change(day, moment)
        assert level(day, moment) < level(day, moment - 1)
        seen.append(level(day, moment))

    assert len(seen) == 43
    assert seen[-1] == 0.0


LIGHTS = st.builds(
    light,
    st.integers(0, 1439),
    st.integers(1, 1440),
    value=st.floats(0.1, 1),
    ramp_min=st.integers(0, 300),
    timezone=st.sampled_from(("UTC", "Europe/Berlin", "Australia/Lord_Howe")),
)
MOMENTS = st.integers(utc("2026-03-27 00:00"), utc("2026-04-06 00:00")) | st.integers(
    utc("2026-10-02 00:00"), utc("2026-10-27 00:00")
)


@settings(deadline=None)
@given(LIGHTS, MOMENTS)
def test_nothing_changes_before_the_next_change(given: Photoperiod, now: int) -> None:
    then = next_change(given, now)
    assert then > now

    was = level(given, now)
    last = min(then, now + 2 * 1440 * MINUTE_MS)
    assert all(level(given, moment) == was for moment in range(now, last, 30_000))
    assert level(given, last - 1) == was


@given(LIGHTS, MOMENTS)
def test_a_level_is_never_more_than_full(given: Photoperiod, now: int) -> None:
    assert 0.0 <= level(given, now) <= given.value
