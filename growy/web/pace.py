"""How often a live client may be sent something. Pure: times come in, times go out.

A bucket of frames that fills at a steady rate: over any stretch of time at most `rate x seconds + burst` go out, and
after a quiet moment a few may follow each other at once, so that readings of several devices that come within a tenth
of a second do not have to wait for each other.
"""

from __future__ import annotations

import math

import attrs


@attrs.define
class Pace:
    """One client's.

    Args:
        interval_s: seconds between frames in the long run.
        burst: frames that may follow each other at once.
    """

    interval_s: float
    burst: int
    _full_at: float = attrs.field(default=-math.inf, init=False)
    """When as many frames as ever may go out at once again."""

    def next_at(self) -> float:
        """When the next frame may go out; a time past means now."""
        return self._full_at - (self.burst - 1) * self.interval_s

    def spend(self, now: float) -> None:
        """A frame goes out."""
        self._full_at = max(self._full_at, now) + self.interval_s
