"""Days of the Pi's local time: what limits per day are counted by."""

from __future__ import annotations

from datetime import datetime, timedelta

from growy.control.ledger import Day


class LocalDays:
    """Which day it is. Remembers the last answer: it stands until the day ends, or the wall is set."""

    __slots__ = ("_begins_ms", "_day")

    def __init__(self) -> None:
        self._begins_ms = 0
        self._day = Day("", 0)

    def __call__(self, wall_ms: int) -> Day:
        if not self._begins_ms <= wall_ms < self._day.ends_ms:
            now = datetime.fromtimestamp(wall_ms / 1000).astimezone()
            # Naive midnights: the zone decides anew what each of them is in UTC, summer time included.
            begins = datetime(now.year, now.month, now.day)  # noqa: DTZ001
            self._begins_ms = int(begins.timestamp() * 1000)
            ends_ms = int((begins + timedelta(days=1)).timestamp() * 1000)
            self._day = Day(begins.date().isoformat(), max(ends_ms, wall_ms + 1))
        return self._day
