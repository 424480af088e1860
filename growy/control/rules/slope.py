"""How fast a value rises: the readings of a while, and the slope of the line through them. Bounded, whatever comes."""

from __future__ import annotations

import operator
from collections import deque

MOST = 256
"""Readings of a window: of more, one per 256th of it counts."""
FEWEST = 3
LEAST_SPAN = 0.5
"""Of the window; over less than that a slope is noise."""


class Window:
    """The good readings of the last `window_s` before the newest. Whether that is too old is not its business."""

    __slots__ = ("_last_slot", "_slope", "_slot_ms", "_times", "_values", "last_ms", "window_s")

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._times: deque[float] = deque()
        self._values: deque[float] = deque()
        self._slot_ms = window_s * 1000 / MOST
        self._last_slot: int | None = None
        self._slope: float | None = None
        self.last_ms = 0
        """Of the last reading that came, Unix ms."""

    def __len__(self) -> int:
        return len(self._times)

    def add(self, at: float, wall_ms: int, value: float) -> None:
        """A reading, later than all before it.

        Args:
            at: by the clock, which slopes are computed by.
            wall_ms: decides which readings of many count, so that it is the same ones after a restart.
        """
        self.last_ms = wall_ms
        slot = int(wall_ms // self._slot_ms)
        if slot == self._last_slot:
            return
        self._last_slot = slot
        times, values = self._times, self._values
        times.append(at)
        values.append(value)
        oldest = at - self.window_s
        while times[0] < oldest or len(times) > 2 * MOST:
            times.popleft()
            values.popleft()
        self._slope = self._fit()

    def per_min(self) -> float | None:
        """Units per minute; None: too few readings, or over too short a time."""
        return self._slope

    def _fit(self) -> float | None:
        times, values = self._times, self._values
        count, first = len(times), times[0]
        if count < FEWEST or times[-1] - first < LEAST_SPAN * self.window_s:
            return None
        # Differences to the first, or the squares of a clock that has run for a year would swallow the slope.
        middle = sum(times) / count - first
        around = [at - first - middle for at in times]
        square = sum(map(operator.mul, around, around))
        base = values[0]
        rise = sum(map(operator.mul, around, [value - base for value in values]))
        return 60.0 * float(rise / square)
