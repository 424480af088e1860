"""The greenhouse of a running simulation: carries the pure model along with a clock that may run faster
than the wall's.

Its actuators are those of the devices that stand in it; what none of them does, its own thermostats and timers do. It
advances when somebody looks or switches, so an unobserved house costs nothing. It never reads a clock itself.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import attrs

from growy.sim.greenhouse import GreenhouseState, Inputs, Parameters, Role, advance, routine

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
        """What actuators do, whatever the devices' do; None leaves the house to them, its thermostats and timers."""
        self._now = now
        self._time_scale = time_scale
        self._outputs: dict[str, Mapping[Role, float]] = {}
        """Device -> what its actuators do."""
        self._driven: dict[str, float] = {}
        """Fields of `Inputs` that devices decide."""
        self.switchings: Counter[tuple[str, Role]] = Counter()
        """How often a device's actuators of a role went from off to on or back."""

    def drive(self, esp_id: str, outputs: Mapping[Role, float], now: float) -> None:
        """From `now` on a device's actuators do this. A role that any device has is no longer the house's own; several
        actuators of one role add up, to full at most.

        Args:
            outputs: each 0 to 1; empty: it has no actuator that matters here.
        """
        before = self._outputs.get(esp_id, {})
        if before == outputs:
            return
        self.at(now)
        for role in before.keys() | outputs.keys():
            if (before.get(role, 0.0) > 0.0) is not (outputs.get(role, 0.0) > 0.0):
                self.switchings[esp_id, role] += 1
        self._outputs[esp_id] = outputs
        self._driven = {}
        for one in self._outputs.values():
            for role, output in one.items():
                self._driven[role] = min(1.0, self._driven.get(role, 0.0) + output)

    def at(self, now: float) -> GreenhouseState:
        """The house at `now`; a moment before the last one asked for gives the present."""
        left = max(0.0, now - self._now) * self._time_scale
        self._now = max(self._now, now)
        while left > 0.0:
            stretch = min(left, LOOK_S)
            self.state = advance(self.state, self.parameters, self._acting(), stretch)
            left -= stretch
        return self.state

    def _acting(self) -> Inputs:
        if self.inputs is not None:
            return self.inputs
        return attrs.evolve(routine(self.state), **self._driven)
