"""A token bucket: so many at once, so many a minute after that. Pure; the caller brings the time."""

from __future__ import annotations

import attrs


@attrs.define
class TokenBucket:
    """Tokens that come back with time.

    Args:
        burst: how many it holds.
        per_s: how many come back in a second.
    """

    burst: float
    per_s: float
    _left: float = attrs.field(init=False)
    _at: float | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst

    def take(self, now: float) -> bool:
        """Takes one; False when none is left. `now` in seconds, only goes forward."""
        if self._at is not None:
            self._left = min(self.burst, self._left + (now - self._at) * self.per_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
