"""When to try the broker again: exponential backoff with jitter, and a breaker that makes a dead broker visible.

A pure state machine; the link asks it after every failure how long to wait.
"""

from __future__ import annotations

import enum

import attrs


class Breaker(enum.Enum):
    CLOSED = "closed"
    OPEN = "open"
    """Too many failures in a row: waiting out the pause before one more attempt."""
    HALF_OPEN = "half_open"
    """The one attempt after the pause is under way."""


@attrs.frozen(slots=True)
class Backoff:
    """State between attempts.

    `failures` counts failed attempts in a row. The n-th failure waits `minimum * 2**(n-1)`, at most `maximum`, times a
    jitter in [0.5, 1] so that a site's clients do not all come back in the same instant. Every `breaker_after`-th
    failure in a row opens the breaker: the wait is then at least `breaker_pause`.
    """

    minimum_s: float
    maximum_s: float
    breaker_after: int
    breaker_pause_s: float
    failures: int = 0
    breaker: Breaker = Breaker.CLOSED

    def failed(self, random: float) -> tuple[Backoff, float]:
        """The state after one more failure, and how long to wait, seconds. `random` is uniform in [0, 1)."""
        failures = self.failures + 1
        wait = min(self.maximum_s, self.minimum_s * 2.0 ** min(failures - 1, 30)) * (0.5 + random / 2)
        if self.breaker is Breaker.HALF_OPEN or failures >= self.breaker_after:
            opened = attrs.evolve(self, failures=failures, breaker=Breaker.OPEN)
            return opened, max(wait, self.breaker_pause_s)
        return attrs.evolve(self, failures=failures), wait

    def retrying(self) -> Backoff:
        """The state when the wait is over and an attempt begins."""
        return attrs.evolve(self, breaker=Breaker.HALF_OPEN) if self.breaker is Breaker.OPEN else self

    def connected(self) -> Backoff:
        return attrs.evolve(self, failures=0, breaker=Breaker.CLOSED)
