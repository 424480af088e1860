"""Photoperiods: how bright a light is to be, and when that changes next. Pure; asks no clock.

Dawn and dusk go in steps, so that between two steps there is nothing to do: a lamp that is dimmed by ten commands
a second keeps its device from hearing anything else.
"""

from __future__ import annotations

import itertools

from growy.control.rules.windows import DAY_MS, FAR_MS, MINUTE_MS, local_time, next_local, zone_of
from growy.model.rules import Photoperiod

STEP_MS = 10_000
"""No step of dawn or dusk is shorter."""
MOST_STEPS = 100
"""An 8-bit PWM has 255; the eye sees none of a hundred over half an hour."""


def level(photoperiod: Photoperiod, wall_ms: int) -> float:
    """What the light is to be set to, 0-1. `photoperiod.value`, its full brightness, is contained in it already.

    Dawn begins with the light time and dusk ends with it: in all of it there is some light.

    Args:
        wall_ms: Unix ms.
    """
    light, ramp = photoperiod.light_min * MINUTE_MS, photoperiod.ramp_min * MINUTE_MS
    since = _since_on(photoperiod, wall_ms)
    if since >= light:
        return 0.0
    if not ramp:
        return photoperiod.value
    steps = _steps(ramp)
    rising = since * steps // ramp + 1
    falling = -((since - light) * steps // ramp)
    return photoperiod.value * min(1.0, rising / (steps + 1), falling / (steps + 1))


def next_change(photoperiod: Photoperiod, wall_ms: int) -> int:
    """The next moment at which `level` may give another answer than now, Unix ms, later than `wall_ms`."""
    light, ramp = photoperiod.light_min * MINUTE_MS, photoperiod.ramp_min * MINUTE_MS
    if light >= DAY_MS and not ramp:
        return FAR_MS
    since = _since_on(photoperiod, wall_ms)
    times = [0, light]
    if ramp and since < light:
        steps = _steps(ramp)
        # A step is due with the first ms that has reached it: rounded up after the start, down before the end.
        rises = (-(-step * ramp // steps) for step in range(1, steps + 1))
        falls = (light - step * ramp // steps for step in range(steps, 0, -1))
        times += itertools.islice((time for time in rises if time > since), 1)
        times += itertools.islice((time for time in falls if time > since), 1)
    on = photoperiod.on_min * MINUTE_MS
    return next_local(zone_of(photoperiod.timezone), wall_ms, [(on + time) % DAY_MS for time in times])


def _since_on(photoperiod: Photoperiod, wall_ms: int) -> int:
    """Ms since the light time began, by the clock on the wall; that it began yesterday makes no difference."""
    _, now = local_time(zone_of(photoperiod.timezone), wall_ms)
    return (now - photoperiod.on_min * MINUTE_MS) % DAY_MS


def _steps(ramp_ms: int) -> int:
    return max(1, min(MOST_STEPS, ramp_ms // STEP_MS))
