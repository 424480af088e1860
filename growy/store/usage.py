"""How much an actuator ran in a span of time, from the moments at which it was switched. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen(slots=True)
class Usage:
    """Runs of an actuator in [from_ms, to_ms), Unix ms. At which output it ran does not matter."""

    from_ms: int
    to_ms: int
    run_s: float
    """Seconds on. Of a run that began before or still goes on, the part that lies within."""
    cycles: int
    """How often it was switched on within: usages of adjoining spans add up."""

    @property
    def duty(self) -> float:
        """Share of the time that it was on, 0 to 1."""
        span_s = (self.to_ms - self.from_ms) / 1000
        return self.run_s / span_s if span_s > 0 else 0.0


def used(
    switches: Sequence[tuple[int, bool, float | None]],
    from_ms: int,
    to_ms: int,
    *,
    on_before: bool | None,
) -> Usage:
    """What ran in [from_ms, to_ms).

    Args:
        switches: Unix ms, whether it was on from then, and of a switch to off how many seconds it had been on, where
            known. Those within the span, in the order of time; one that says what was already so changes nothing.
        to_ms: not later than now, since a run that goes on is counted to there.
        on_before: whether it was on when the span began; None: nobody knows. Then a first switch to off tells by its
            seconds.
    """
    run_ms = 0.0
    cycles = 0
    since: int | None = from_ms if on_before else None
    known = on_before is not None
    for ts_ms, on, duration_s in switches:
        if on and since is None:
            since = ts_ms
            cycles += 1
        elif not on and since is not None:
            run_ms += ts_ms - since
            since = None
        elif not on and not known and duration_s:
            run_ms += min(duration_s * 1000, ts_ms - from_ms)
            cycles += ts_ms - duration_s * 1000 >= from_ms
        known = True
    if since is not None:
        run_ms += max(to_ms - since, 0)
    return Usage(from_ms, to_ms, run_ms / 1000, cycles)
