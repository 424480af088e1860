"""Keeps rules from wearing out an actuator: one that they switch on again and again is held off until it calms down.

Pure: it counts what it is told and says what it is asked. Switching off is never held back, and people are not counted.
"""

from __future__ import annotations

from collections import deque

import attrs

from growy.model.control import ActuatorKey

WINDOW_S = 600.0


@attrs.frozen(kw_only=True)
class GuardStatistics:
    watched: int
    """Actuators that were switched on within the window."""
    held: int
    """Of those, held off."""
    times_held: int
    """Since the start."""


class Guard:
    """Counts switch-ons by rules per actuator, in a sliding window.

    Args:
        max_switches: more than that within the window and the actuator is held off, until so many of them lie behind it
            that one more is allowed.
        window_s: seconds.
    """

    def __init__(self, max_switches: int, window_s: float = WINDOW_S) -> None:
        self._max = max_switches
        self._window_s = window_s
        self._switched: dict[ActuatorKey, deque[float]] = {}
        self._held: dict[ActuatorKey, float] = {}
        self._times_held = 0

    def switched(self, actuator: ActuatorKey, on: bool, at: float) -> float | None:
        """A rule has switched it.

        Returns:
            Until when it is held off from now on, if this was one switch too many; None otherwise.
        """
        if not on:
            return None
        times = self._switched.setdefault(actuator, deque(maxlen=self._max + 1))
        times.append(at)
        self._drop_old(times, at)
        if len(times) <= self._max or self.held(actuator, at) is not None:
            return None
        # With the second oldest out of the window, the count is one below the limit.
        until = self._held[actuator] = times[1] + self._window_s
        self._times_held += 1
        return until

    def held(self, actuator: ActuatorKey, now: float) -> float | None:
        """Until when it may not be switched on by rules; None: it may."""
        until = self._held.get(actuator)
        return until if until is not None and now < until else None

    def recovered(self, now: float) -> list[ActuatorKey]:
        """Actuators that are held off no more, each told once."""
        over = [actuator for actuator, until in self._held.items() if now >= until]
        for actuator in over:
            del self._held[actuator]
        for actuator, times in tuple(self._switched.items()):
            self._drop_old(times, now)
            if not times:
                del self._switched[actuator]
        return over

    def next_end(self) -> float:
        """The clock's time at which the first of them is held off no more; infinity: none is."""
        return min(self._held.values(), default=float("inf"))

    def statistics(self) -> GuardStatistics:
        return GuardStatistics(watched=len(self._switched), held=len(self._held), times_held=self._times_held)

    def _drop_old(self, times: deque[float], now: float) -> None:
        while times and times[0] <= now - self._window_s:
            times.popleft()
