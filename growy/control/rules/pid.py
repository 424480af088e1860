"""PID control, and relays that are on for a share of the time. Pure: state in, state out, no clock.

What PID loops are known to do wrong in greenhouses is ruled out here: a kick when the set point is moved, a heater that
runs on for an hour because the integral had grown while it could not heat any more than it did, a jump after a sensor
was away, and a relay that is pulsed to death.
"""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec

from growy.model.rules import Pid

LONGEST_GAP_S = 900.0
"""Three of the longest interval that the firmware knows: a step over more than that is no step."""
GAP_INTERVALS = 5.0
"""So many of the usual intervals are a gap."""
_LEARN = 0.2
"""How fast the usual interval follows, so that one that was lengthened for good is not a gap for ever."""
SHORTEST_PULSE_S = 1.0
SHORTEST_PULSE_SHARE = 0.02
"""Of the window: no relay is switched for less."""
_NOW_S = 0.001
"""What is nearer than that has come: else a caller that asks again then might ask without end."""


class PidState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a PID knows between two readings. Begins empty whenever the rule begins to hold."""

    integral: float = 0.0
    """In units of the output: it stays meaningful when gains are changed."""
    value: float | None = None
    """The reading before."""
    interval_s: float = 0.0
    """What usually lies between two readings; 0: not known yet."""
    output: float = 0.0


def step(pid: Pid, state: PidState, value: float, dt_s: float) -> tuple[float, PidState]:
    """The output for a new reading, within the limits of `pid`, and the state after it.

    The derivative is that of the reading, not of the error: moving the set point does not kick. The integral stands
    still while the output is at a limit that the error pushes against. A reading after a gap moves the proportional
    part only.

    Args:
        value: of the sensor. One that is no finite number changes nothing.
        dt_s: seconds since the reading before; what is not above 0 counts as the same moment. The first call has none.
    """
    sign = -1.0 if pid.reverse else 1.0
    error = sign * (pid.set_point - value)
    first = state.value is None
    steady = not first and 0.0 < dt_s <= _longest(state)
    slope = 0.0 if state.value is None or not steady else sign * (value - state.value) / dt_s
    immediate = pid.kp * error - pid.kd * slope
    integral = state.integral
    if steady:
        integral = _grown(pid, integral, pid.ki * error * dt_s, immediate)
    unlimited = immediate + integral
    if not math.isfinite(value) or math.isnan(unlimited):
        return _limited(pid, state.output), state
    output = _limited(pid, unlimited)
    interval = state.interval_s
    if not first and dt_s > 0.0:
        usual = interval or dt_s
        # A gap teaches as little as the longest step that is none.
        interval = usual + _LEARN * (min(dt_s, GAP_INTERVALS * usual) - usual)
    return output, PidState(integral=integral, value=value, interval_s=interval, output=output)


def _longest(state: PidState) -> float:
    """Seconds that may lie between two readings without being a gap."""
    return min((GAP_INTERVALS * state.interval_s) or LONGEST_GAP_S, LONGEST_GAP_S)


def _grown(pid: Pid, integral: float, change: float, immediate: float) -> float:
    """The integral after a step: it goes as far as the output's limit and no further, so that it need not be unlearned.

    A limit that is passed already, because of `immediate`, does not pull it back either.
    """
    grown = integral + change
    if change > 0.0:
        grown = min(grown, max(integral, pid.output_max - immediate))
    else:
        grown = max(grown, min(integral, pid.output_min - immediate))
    # At rest the integral is the whole output, so what lies beyond the output's range is of no use.
    return min(max(grown, 0.0), pid.output_max)


def _limited(pid: Pid, output: float) -> float:
    return min(max(output, pid.output_min), pid.output_max)


# --- time-proportioned output -------------------------------------------------------------------------------------


def window_number(window_s: float, at_s: float) -> int:
    """Which window it is. `proportioned` wants the output that stood when it began."""
    return math.floor((at_s + _NOW_S) / window_s)


def proportioned(output: float, window_s: float, at_s: float) -> tuple[bool, float]:
    """Whether a relay is to be on now, and in how many seconds to ask again.

    Each window begins with the time on. What is shorter than 1 s or 2 % of the window, on or off, is rounded to nothing
    or to that.

    Args:
        output: 0-1, the same for the whole window: one that changes within it would switch more than once.
        window_s: above 0.
        at_s: seconds of any clock; windows begin at its multiples of `window_s`.
    """
    into = at_s - math.floor((at_s + _NOW_S) / window_s) * window_s
    if into < 0.0:
        into = 0.0
    on_s = on_for_s(output, window_s)
    if into + _NOW_S < on_s:
        return True, on_s - into
    return False, window_s - into


@lru_cache(maxsize=4096)
def on_for_s(output: float, window_s: float) -> float:
    """How long of a window a relay is on. Remembered: it is asked for at every reading, and changes once a window."""
    shortest = min(max(SHORTEST_PULSE_S, SHORTEST_PULSE_SHARE * window_s), window_s)
    on_s = output * window_s
    if on_s < shortest / 2:
        return 0.0
    if window_s - on_s < shortest / 2:
        return window_s
    return min(max(on_s, shortest), max(window_s - shortest, shortest))
