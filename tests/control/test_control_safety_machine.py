"""Control never leaves a heater on: gate, claims, accounts, interlocks, stops and outputs against two devices, a bad
network, a disk that loses its last write and a wall clock that jumps. What must hold is in `safety_judge`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from safety_devices import ACTUATORS, A, B
from safety_rig import Counts, World

from growy.model.control import ActuatorKey, Claim, Rank, Stop

EXAMPLES, LONG_EXAMPLES = 200, 60_000
STEPS = 50
PROMISED = 100_000
COUNTS = Counts()


def step(**strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule whose every execution is counted."""

    def counted(body: Callable[..., None]) -> Any:
        @functools.wraps(body)
        def execute(self: Greenhouse, **drawn: Any) -> None:
            COUNTS.steps += 1
            body(self, **drawn)

        return rule(**strategies)(execute)

    return counted


keys = st.sampled_from(ACTUATORS)
devices = st.sampled_from((A, B))
holders = st.sampled_from(("rule:1/0", "rule:2/0", "rule:3/0", "user:ada"))


class Greenhouse(RuleBasedStateMachine):
    world: World

    @initialize(seed=st.integers(0, 2**20))
    def begin(self, seed: int) -> None:
        self.world = World(seed, COUNTS)
        self.world.pass_time(12.0)

    # --- time ---------------------------------------------------------------------------------------------------------

    @step(seconds=st.sampled_from((0.2, 1.0, 4.0)))
    def a_moment_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @step(seconds=st.sampled_from((11.0, 20.0, 46.0, 100.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    # --- wishes -------------------------------------------------------------------------------------------------------

    @step(
        key=keys,
        holder=holders,
        value=st.sampled_from((1.0, 1.0, 1.0, 0.5, 0.9, 0.0, 0.1)),
        lasts_s=st.sampled_from((math.inf, math.inf, 0.5, 7.0, 33.0, 95.0)),
        basis=st.sampled_from((frozenset(), frozenset({1}), frozenset({1, 2}))),
    )
    def somebody_wants_something(
        self, key: ActuatorKey, holder: str, value: float, lasts_s: float, basis: frozenset[int]
    ) -> None:
        self._claim(key, holder, value, lasts_s, basis)

    @step(
        holder=holders, wanted=st.sets(keys, min_size=2), basis=st.sampled_from((frozenset(), frozenset({1})))
    )
    def somebody_wants_several(self, holder: str, wanted: set[ActuatorKey], basis: frozenset[int]) -> None:
        for key in sorted(wanted):
            self._claim(key, holder, 0.7, math.inf, basis)

    def _claim(
        self, key: ActuatorKey, holder: str, value: float, lasts_s: float, basis: frozenset[int]
    ) -> None:
        now = self.world.now
        self.world.claim(
            Claim(
                actuator=key,
                holder=holder,
                rank=Rank.PERSON if holder.startswith("user:") else Rank.RULE,
                value=value,
                since=now,
                until=now + lasts_s,
                basis=basis,
                issued_by=holder.replace("/", "_"),
                execution=f"e{now:.3f}",
            )
        )

    @step(holder=holders, key=st.one_of(st.none(), keys))
    def somebody_lets_go(self, holder: str, key: ActuatorKey | None) -> None:
        self.world.release(holder, key)

    @step(good=st.sampled_from(((1, 2), (1, 2), (1,), ())))
    def sensors_are_read(self, good: tuple[int, ...]) -> None:
        for series in (1, 2):
            self.world.sample(series, series in good)

    # --- trouble ------------------------------------------------------------------------------------------------------

    @step(key=keys, scope=st.sampled_from(("actuator", "esp", "all", "", "")))
    def somebody_stops_or_clears(self, key: ActuatorKey, scope: str) -> None:
        world = self.world
        if not scope:
            world.set_stops({})
            return
        stop = Stop(
            id=f"s{world.now}",
            esp_id=None if scope == "all" else key.esp_id,
            gpio=key.gpio if scope == "actuator" else None,
        )
        world.set_stops({**world.stops, stop.id: stop})

    @step(
        esp_id=devices,
        loss=st.sampled_from((0.0, 0.3, 1.0)),
        delay_s=st.sampled_from((0.05, 2.0, 16.0)),
        twice=st.sampled_from((0.0, 0.5)),
    )
    def the_weather_changes(self, esp_id: str, loss: float, delay_s: float, twice: float) -> None:
        device = self.world.devices[esp_id]
        device.loss, device.delay_s, device.twice = loss, delay_s, twice

    @step(esp_id=devices, what=st.sampled_from(("cut", "cut and drop", "back", "reboot")))
    def a_device_comes_and_goes(self, esp_id: str, what: str) -> None:
        match what:
            case "back":
                self.world.reconnect(esp_id)
            case "reboot":
                self.world.reboot(esp_id)
            case _:
                self.world.cut(esp_id, drops=what == "cut and drop")

    @step(
        what=st.sampled_from(("kill", "kill and lose", "lose the broker")),
        down_s=st.sampled_from((0.5, 5.0, 40.0, 200.0)),
    )
    def growyd_comes_and_goes(self, what: str, down_s: float) -> None:
        if what == "lose the broker":
            self.world.link_lost(down_s)
            return
        self.world.kill(lost_write=what == "kill and lose")
        self.world.pass_time(down_s)
        self.world.start()

    @step(hours=st.sampled_from((-30.0, -1.0, 1.0, 30.0)))
    def the_wall_clock_jumps(self, hours: float) -> None:
        COUNTS.jumps += 1
        self.world.wall_off_ms += int(hours * 3_600_000)

    @step(key=keys, what=st.sampled_from(("setup", "approval", "button")))
    def somebody_changes(self, key: ActuatorKey, what: str) -> None:
        if what == "setup":
            self.world.enabled[key] = not self.world.enabled[key]
        elif what == "approval":
            self.world.approved[key.esp_id] = not self.world.approved[key.esp_id]
        else:
            self.world.devices[key.esp_id].press(self.world.now)
        self.world.refresh()

    @step()
    def all_is_mended(self) -> None:
        self.world.mend()

    @step()
    def all_is_mended_and_some_time_passes(self) -> None:
        self.world.mend()
        self.world.pass_time(15.0)

    @step()
    def everybody_lets_go_and_nothing_is_on(self) -> None:
        self.world.calm()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.end()


@pytest.mark.slow
def test_control_is_safe_whatever_happens(long_form: bool) -> None:
    run_state_machine_as_test(
        Greenhouse,
        settings=settings(
            max_examples=LONG_EXAMPLES if long_form else EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(COUNTS)
    assert COUNTS.steps >= PROMISED
