"""How fast one device is commanded. Bursts of commands exhaust an ESP32's memory, and it panics."""

from __future__ import annotations

from collections import deque

PER_S = 5


class Pace:
    """At most `PER_S` commands in any second. An OFF and an emergency do not ask it."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: deque[float] = deque(maxlen=PER_S)

    def free_at(self, now: float) -> float:
        """When the next command may go, by the clock; not later than now: it may."""
        return now if len(self._sent) < PER_S else self._sent[0] + 1.0

    def take(self, now: float) -> None:
        """A command goes."""
        self._sent.append(now)
