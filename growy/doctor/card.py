"""How long a memory card lives, from what is written to it. Pure.

A card dies of writing. How much it bears its maker seldom says; what is known of it stands in the settings.
"""

from __future__ import annotations

import attrs

from growy.doctor.facts import Written

DAY_S = 86_400.0
YEAR_DAYS = 365.25
LONG_ENOUGH_S = 3600.0
"""Watched for less than this, a rate says more about the start than about the day."""


@attrs.frozen(kw_only=True)
class Wear:
    """What is written in a day, and how long the card bears it."""

    day_bytes: float
    watched_s: float
    whole_disk: bool
    """By all programs; else by growyd alone."""
    own_share: float | None
    """Of that, by growyd: 0 to 1. None where only one of the two is known."""
    years: float | None
    """None where nothing is said of what the card bears, or nothing is written."""

    @property
    def telling(self) -> bool:
        """Watched for long enough to be judged."""
        return self.watched_s >= LONG_ENOUGH_S


def wear(written: Written, endurance_bytes: int) -> Wear | None:
    """None where nothing could be watched."""
    device = _per_day(written.device_bytes, written.device_s)
    own = _per_day(written.own_bytes, written.own_s)
    if device is None and own is None:
        return None
    day = device if device is not None else own
    watched = written.device_s if device is not None else written.own_s
    assert day is not None
    assert watched is not None
    return Wear(
        day_bytes=day,
        watched_s=watched,
        whole_disk=device is not None,
        own_share=min(1.0, own / device) if own is not None and device else None,
        years=endurance_bytes / (day * YEAR_DAYS) if endurance_bytes and day else None,
    )


def _per_day(count: int | None, seconds: float | None) -> float | None:
    if count is None or seconds is None or seconds <= 0:
        return None
    return count / seconds * DAY_S
