"""Time windows: whether one is open, and when that may change next. Pure; asks no clock.

A window is judged by what a clock on the wall of its time zone shows. When clocks are set forward an hour of the window
may not happen at all, when they are set back it happens twice.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from growy.model.errors import Invalid
from growy.model.rules import TimeWindow

MINUTE_MS = 60_000
DAY_MS = 86_400_000
DAY_MIN = 1440
FAR_MS = 253_402_300_799_000
"""The end of the year 9999: never."""
_THURSDAY = 3
"""1970-01-01, where 0 is Monday."""


def check_zone(name: str) -> str:
    """The same name, if it is that of a time zone.

    Raises:
        Invalid: it is not in the IANA database of this machine.
    """
    try:
        zone_of(name)
    except (LookupError, ValueError, OSError):
        raise Invalid(
            f"{name[:40]!r} is no time zone", cure="An IANA name, like Europe/Berlin; or UTC"
        ) from None
    return name


@functools.cache
def zone_of(name: str) -> ZoneInfo:
    """A time zone. Kept for ever: the standard library forgets all but eight and then reads files again."""
    return ZoneInfo(name)


def inside(window: TimeWindow, wall_ms: int) -> bool:
    """Whether the window is open.

    Args:
        wall_ms: Unix ms.
    """
    start, end = window.start_min, window.end_min
    if start == end:
        return False
    weekday, ms_of_day = local_time(zone_of(window.timezone), wall_ms)
    minute = ms_of_day // MINUTE_MS
    days = window.days
    if start < end:
        return start <= minute < end and (days is None or weekday in days)
    if minute >= start:
        return days is None or weekday in days
    # After midnight it is still the window of the day before.
    return minute < end and (days is None or (weekday - 1) % 7 in days)


def next_change(window: TimeWindow, wall_ms: int) -> int:
    """The next moment at which `inside` may give another answer than now, Unix ms, later than `wall_ms`.

    It may be a start or an end on a day on which the window does not open, or a change to summer time.
    """
    start, end = window.start_min, window.end_min
    every_day = window.days is None or len(window.days) == 7
    if start == end or (every_day and start == 0 and end == DAY_MIN):
        return FAR_MS
    return next_local(zone_of(window.timezone), wall_ms, (start * MINUTE_MS, end % DAY_MIN * MINUTE_MS))


# --- local time ---------------------------------------------------------------------------------------------------


def local_time(zone: ZoneInfo, wall_ms: int) -> tuple[int, int]:
    """Weekday (0 Monday ... 6 Sunday) and ms since midnight, as a clock on the wall shows it."""
    day, ms_of_day = divmod(wall_ms + offset_ms(zone, wall_ms), DAY_MS)
    return (day + _THURSDAY) % 7, ms_of_day


def offset_ms(zone: ZoneInfo, wall_ms: int) -> int:
    """What local time is ahead of UTC by, ms."""
    offset = datetime.fromtimestamp(wall_ms // 1000, zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)


def next_local(zone: ZoneInfo, wall_ms: int, times: Iterable[int]) -> int:
    """When a clock on the wall shows one of the times next, or is set forward or back before; Unix ms, later than
    `wall_ms`.

    Args:
        times: ms since midnight, 0 to a day; at least one.
    """
    _, now = local_time(zone, wall_ms)
    # A time that is shown this very moment comes again in a day.
    wait = min((time - now - 1) % DAY_MS + 1 for time in times)
    return _before_a_shift(zone, wall_ms, wall_ms + wait)


def _before_a_shift(zone: ZoneInfo, wall_ms: int, then: int) -> int:
    """`then`, or the moment before it at which the clocks are set forward or back.

    zoneinfo does not tell when that is; but within a day it happens once at most, so that it can be closed in on.
    """
    offset = offset_ms(zone, wall_ms)
    if offset_ms(zone, then) == offset:
        return then
    before, after = wall_ms // 1000, -(-then // 1000)
    while after - before > 1:
        middle = (before + after) // 2
        if offset_ms(zone, middle * 1000) == offset:
            before = middle
        else:
            after = middle
    return min(then, after * 1000)
