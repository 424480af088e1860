"""Time windows by the clock on the wall, over midnight and over the changes to and from summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growy.control.rules.windows import FAR_MS, MINUTE_MS, check_zone, inside, next_change
from growy.model.errors import Invalid
from growy.model.rules import TimeWindow

BERLIN = ZoneInfo("Europe/Berlin")
SPRING = datetime(2026, 3, 29, 1, tzinfo=UTC)
"""02:00 in Berlin becomes 03:00."""
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""03:00 in Berlin becomes 02:00."""
MONDAY, TUESDAY = 0, 1


def window(start: str, end: str, days: set[int] | None = None, timezone: str = "Europe/Berlin") -> TimeWindow:
    def minutes(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    return TimeWindow(
        start_min=minutes(start),
        end_min=minutes(end),
        days=None if days is None else frozenset(days),
        timezone=timezone,
    )


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def berlin(text: str, fold: int = 0) -> int:
    return ms(datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold))


def is_open(given: TimeWindow, text: str, fold: int = 0) -> bool:
    return inside(given, berlin(text, fold))


# --- open or not --------------------------------------------------------------------------------------------------


def test_the_start_belongs_to_the_window_and_the_end_does_not() -> None:
    day = window("08:30", "20:15")

    assert not inside(day, berlin("2026-06-01 08:30") - 1)
    assert is_open(day, "2026-06-01 08:30")
    assert inside(day, berlin("2026-06-01 20:15") - 1)
    assert not is_open(day, "2026-06-01 20:15")


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opened() -> None:
    night = window("22:00", "06:00", {MONDAY})

    assert is_open(night, "2026-06-01 22:00")  # a Monday
    assert is_open(night, "2026-06-02 05:59")
    assert not is_open(night, "2026-06-01 05:59")
    assert not is_open(night, "2026-06-02 22:00")


def test_a_window_from_sunday_reaches_into_monday() -> None:
    night = window("22:00", "06:00", {6})

    assert is_open(night, "2026-06-01 03:00")
    assert not is_open(night, "2026-06-02 03:00")


def test_a_window_that_begins_when_it_ends_never_opens() -> None:
    never = window("08:00", "08:00")

    assert not any(inside(never, berlin("2026-06-01 00:00") + hour * 3_600_000) for hour in range(24))
    assert next_change(never, berlin("2026-06-01 07:59")) == FAR_MS


def test_the_whole_day_ends_at_24() -> None:
    always, mondays = window("00:00", "24:00"), window("00:00", "24:00", {MONDAY})

    assert is_open(always, "2026-06-01 00:00")
    assert is_open(always, "2026-06-01 23:59")
    assert next_change(always, berlin("2026-06-01 12:00")) == FAR_MS
    assert is_open(mondays, "2026-06-01 23:59")
    assert not is_open(mondays, "2026-06-02 00:00")
    assert next_change(mondays, berlin("2026-06-01 12:00")) == berlin("2026-06-02 00:00")


def test_all_seven_days_are_every_day() -> None:
    assert next_change(window("00:00", "24:00", set(range(7))), berlin("2026-06-01 12:00")) == FAR_MS


def test_a_window_is_open_by_the_clock_of_its_own_zone() -> None:
    lima = window("08:00", "09:00", timezone="America/Lima")

    assert inside(lima, ms(datetime(2026, 6, 1, 13, tzinfo=UTC)))
    assert not inside(lima, ms(datetime(2026, 6, 1, 8, tzinfo=UTC)))


# --- summer time --------------------------------------------------------------------------------------------------


def test_in_spring_a_window_within_the_hour_that_is_left_out_does_not_happen() -> None:
    lost = window("02:15", "02:45")
    start = ms(SPRING - timedelta(hours=3))

    assert not any(inside(lost, start + minute * MINUTE_MS) for minute in range(360))


def test_in_spring_a_window_that_begins_in_the_hour_that_is_left_out_opens_after_it() -> None:
    early = window("02:30", "04:00")

    assert not inside(early, ms(SPRING) - 1)
    assert inside(early, ms(SPRING))
    assert next_change(early, ms(SPRING) - 60_000) == ms(SPRING)


def test_in_autumn_a_window_within_the_hour_that_comes_twice_opens_twice() -> None:
    twice = window("02:15", "02:45")
    moments = [
        berlin("2026-10-25 02:15", 0),
        berlin("2026-10-25 02:45", 0),
        berlin("2026-10-25 02:15", 1),
        berlin("2026-10-25 02:45", 1),
    ]

    assert [inside(twice, moment) for moment in moments] == [True, False, True, False]
    assert moments[2] - moments[0] == 3_600_000
    seen = [moments[0]]
    while seen[-1] < moments[-1]:
        seen.append(next_change(twice, seen[-1]))
    assert set(moments) <= set(seen)


def test_in_autumn_a_window_shuts_when_the_clocks_go_back_to_before_its_start() -> None:
    late = window("02:30", "04:00")

    assert inside(late, ms(AUTUMN) - 1)
    assert not inside(late, ms(AUTUMN))
    assert next_change(late, ms(AUTUMN) - 60_000) == ms(AUTUMN)


def test_the_next_change_is_the_next_start_or_end() -> None:
    day = window("08:00", "20:00")

    assert next_change(day, berlin("2026-06-01 07:00")) == berlin("2026-06-01 08:00")
    assert next_change(day, berlin("2026-06-01 08:00")) == berlin("2026-06-01 20:00")
    assert next_change(day, berlin("2026-06-01 20:00")) == berlin("2026-06-02 08:00")


# --- against the minute hand --------------------------------------------------------------------------------------

ZONES = st.sampled_from(
    ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca")
)
WINDOWS = st.builds(
    TimeWindow,
    start_min=st.integers(0, 1439),
    end_min=st.integers(0, 1440),
    days=st.none() | st.frozensets(st.integers(0, 6), min_size=1),
    timezone=ZONES,
)
DAYS = st.sampled_from(
    [datetime(2026, month, day, tzinfo=UTC) for month, day in ((1, 5), (3, 28), (4, 4), (10, 3), (10, 24))]
)


def by_hand(given: TimeWindow, wall_ms: int) -> bool:
    """What a person with a calendar and a clock would say."""
    local = datetime.fromtimestamp(wall_ms / 1000, ZoneInfo(given.timezone))
    minute = local.hour * 60 + local.minute
    if given.start_min == given.end_min:
        return False
    opened = local.date()
    if given.start_min > given.end_min and minute < given.end_min:
        opened -= timedelta(days=1)
    elif given.start_min > minute or (given.start_min < given.end_min and minute >= given.end_min):
        return False
    return given.days is None or opened.weekday() in given.days


@settings(deadline=None)
@given(WINDOWS, DAYS)
def test_a_window_is_open_when_a_person_with_a_calendar_says_so(given: TimeWindow, day: datetime) -> None:
    start = ms(day)
    for minute in range(0, 2 * 1440, 7):
        moment = start + minute * MINUTE_MS
        assert inside(given, moment) is by_hand(given, moment), moment


@settings(deadline=None)
@given(WINDOWS, DAYS, st.integers(0, 1440 * MINUTE_MS))
def test_nothing_changes_before_the_next_change(given: TimeWindow, day: datetime, into: int) -> None:
    now = ms(day) + into
    then = next_change(given, now)

    assert then > now
    was = inside(given, now)
    last = min(then, now + 2 * 1440 * MINUTE_MS)
    assert all(inside(given, moment) is was for moment in range(now, last, MINUTE_MS))
    assert inside(given, last - 1) is was


@settings(deadline=None)
@given(WINDOWS, DAYS)
def test_whoever_waits_for_the_next_change_misses_none(given: TimeWindow, day: datetime) -> None:
    moment, end = ms(day), ms(day) + 3 * 1440 * MINUTE_MS
    asked = 0
    state = inside(given, moment)
    following = next_change(given, moment)
    for minute in range(1, 3 * 1440):
        now = moment + minute * MINUTE_MS
        while following <= now:
            state, following, asked = inside(given, following), next_change(given, following), asked + 1
        assert state is inside(given, now)
    assert asked <= 8
    assert following > end - 1440 * MINUTE_MS


# --- zones --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_a_time_zone(name: str) -> None:
    assert check_zone(name) == name


@pytest.mark.parametrize(
    "name", ["", "Europe", "../../etc/passwd", "/etc/localtime", "Mars/Olympus", "UTC\0", "Z" * 300]
)
def test_what_is_no_time_zone(name: str) -> None:
    with pytest.raises(Invalid, match="no time zone"):
        check_zone(name)
