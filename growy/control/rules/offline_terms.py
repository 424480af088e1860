"""Conditions and times as the firmware's offline rules can say them. Part of `offline`."""

from __future__ import annotations

from collections.abc import Iterable

from growy.control.rules.windows import DAY_MIN
from growy.model.rules import All, Always, Condition, Hysteresis, Operator, Photoperiod, Threshold, TimeWindow
from growy.model.setup import TimeFilter

TIMEZONES = frozenset({"UTC", "Europe/Berlin", "CET", "CEST"})
"""The firmware takes any other for UTC."""
ALL_DAYS = 127
ALL_DAY = TimeWindow(start_min=0, end_min=DAY_MIN)


class Unsuitable(Exception):
    """The device cannot run it; the message is the rest of a sentence that says why. Never leaves `offline`."""


# --- conditions ---------------------------------------------------------------------------------------------------


def parts_of(condition: Condition) -> tuple[Threshold | Hysteresis | None, TimeWindow | None]:
    """The one sensor condition and the one time window of it. Raises Unsuitable if there is more to it."""
    sensed: list[Threshold | Hysteresis] = []
    windows: list[TimeWindow] = []
    for part in _conjuncts(condition):
        match part:
            case Threshold() | Hysteresis():
                sensed.append(part)
            case TimeWindow():
                windows.append(part)
            case Always():
                pass
            case _:
                raise Unsuitable("it knows only a threshold or a hysteresis, and a time window")
    if len(sensed) > 1:
        raise Unsuitable("it can look at one sensor only")
    if len(windows) > 1:
        raise Unsuitable("it can have one time window only")
    return next(iter(sensed), None), next(iter(windows), None)


def _conjuncts(condition: Condition) -> Iterable[Condition]:
    if isinstance(condition, All):
        for each in condition.conditions:
            yield from _conjuncts(each)
    else:
        yield condition


def thresholds_of(sensed: Threshold | Hysteresis, dead_band: float) -> dict[str, float]:
    """One of the firmware's two pairs; a plain threshold gets a dead band on the side where it lets go."""
    match sensed:
        case Threshold(operator=Operator.GT | Operator.GE, value=value):
            return {"activate_above": value, "deactivate_below": value - dead_band}
        case Threshold(operator=Operator.LT | Operator.LE, value=value):
            return {"activate_below": value, "deactivate_above": value + dead_band}
        case Hysteresis(on_above=on, off_below=off) if on is not None and off is not None:
            return {"activate_above": on, "deactivate_below": off}
        case Hysteresis(on_below=on, off_above=off) if on is not None and off is not None:
            return {"activate_below": on, "deactivate_above": off}
        case _:
            raise Unsuitable("it knows only more and less")


# --- time ---------------------------------------------------------------------------------------------------------


def window_of(action: Photoperiod) -> TimeWindow:
    if action.light_min >= DAY_MIN:
        return ALL_DAY
    off = (action.on_min + action.light_min) % DAY_MIN
    return TimeWindow(start_min=action.on_min, end_min=off or DAY_MIN, timezone=action.timezone)


def time_filter_of(window: TimeWindow) -> TimeFilter:
    if window.timezone not in TIMEZONES:
        raise Unsuitable(f"it does not know the time zone {window.timezone}")
    if window.start_min == window.end_min:
        raise Unsuitable("its time window never opens")
    over_midnight = window.start_min > window.end_min > 0
    if over_midnight and window.days is not None and len(window.days) < 7:
        # The firmware asks for the day that it is, not for the day on which the window opened.
        raise Unsuitable("it would take a window over midnight on some days for other nights")
    mask = ALL_DAYS if window.days is None else sum(1 << (day + 1) % 7 for day in window.days)
    end = window.end_min or DAY_MIN
    return TimeFilter(
        start_hour=window.start_min // 60,
        start_minute=window.start_min % 60,
        end_hour=end // 60,
        end_minute=end % 60,
        days_of_week_mask=mask,
        timezone=window.timezone,
    )
