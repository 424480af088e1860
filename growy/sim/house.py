"""The greenhouse of a running simulation: carries the pure model along with a clock that may run faster
than the wall's.

It advances when somebody looks, so an unobserved house costs nothing. It never reads a clock itself.
"""

from __future__ import annotations

import random

from growy.sim.greenhouse import GreenhouseState, Inputs, Parameters, advance, routine

LOOK_S = 60.0
"""Simulated seconds for which the thermostats' and timers' last decision stands."""


class House:
    """One zone's greenhouse.

    Args:
        seed: weather; houses of one seed stand under the same sky.
        zone_id: tells houses of one place apart (they start a little differently).
        start_hour: simulated time of day at `now`.
        time_scale: simulated seconds per second of `now`.
    """

    def __init__(self, seed: int, zone_id: str, *, now: float, start_hour: float, time_scale: float) -> None:
        rng = random.Random(f"{seed}:{zone_id}")
        self.parameters = Parameters(seed=seed)
        self.state = GreenhouseState(
            time_s=start_hour * 3_600.0,
            air_c=rng.uniform(18.0, 22.0),
            vapour_gm3=rng.uniform(10.0, 12.5),
            moisture_pct=rng.uniform(50.0, 68.0),
            ph=rng.uniform(5.7, 6.1),
            ec_us_cm=rng.uniform(1_400.0, 1_900.0),
        )
        self.inputs: Inputs | None = None
        """What actuators do; None leaves the house to its own thermostats and timers."""
        self._now = now
        self._time_scale = time_scale

    def at(self, now: float) -> GreenhouseState:
        """The house at `now`; a moment before the last one asked for gives the present."""
        left = max(0.0, now - self._now) * self._time_scale
        self._now = max(self._now, now)
        while left > 0.0:
            stretch = min(left, LOOK_S)
            inputs = routine(self.state) if self.inputs is None else self.inputs
            self.state = advance(self.state, self.parameters, inputs, stretch)
            left -= stretch
        return self.state
