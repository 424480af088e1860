"""Control never leaves a heater on: gate, claims, accounts, interlocks, stops and outputs against two devices, a bad
network, a disk that loses its last write and a wall clock that jumps. What must hold is in `safety_judge`.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
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

EXAMPLES, LONG_EXAMPLES = 1_060, 40_000
STEPS = 100
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


HOLDERS = ("rule:1/0", "rule:2/0", "rule:3/0", "user:ada")
DEVICES = (A, B)


def one_of(*choices: Sequence[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """One from each. Drawn at once: hypothesis' own work is per draw, and there are many."""
    return st.sampled_from(tuple(itertools.product(*choices)))


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

    @step(seconds=st.sampled_from((6.0, 11.0, 20.0, 45.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    # --- wishes -------------------------------------------------------------------------------------------------------

    @step(
        wish=one_of(
            ACTUATORS,
            HOLDERS,
            (1.0, 1.0, 1.0, 0.5, 0.9, 0.0, 0.1),
            (math.inf, math.inf, 0.5, 7.0, 33.0, 95.0),
            (frozenset(), frozenset({1}), frozenset({1, 2})),
        )
    )
    def somebody_wants_something(self, wish: tuple[ActuatorKey, str, float, float, frozenset[int]]) -> None:
        self._claim(*wish)

    @step(
        wish=one_of(
            HOLDERS,
            [several for n in (2, 3, 5) for several in itertools.combinations(ACTUATORS, n)],
            (frozenset(), frozenset({1})),
        )
    )
    def somebody_wants_several(self, wish: tuple[str, tuple[ActuatorKey, ...], frozenset[int]]) -> None:
        holder, wanted, basis = wish
        for key in wanted:
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

    @step(wish=one_of(HOLDERS, (None,) * 5 + ACTUATORS))
    def somebody_lets_go(self, wish: tuple[str, ActuatorKey | None]) -> None:
        self.world.release(*wish)

    @step(good=st.sampled_from(((1, 2), (1, 2), (1,), ())))
    def sensors_are_read(self, good: tuple[int, ...]) -> None:
        for series in (1, 2):
            self.world.sample(series, series in good)

    # --- trouble ------------------------------------------------------------------------------------------------------

    @step(what=one_of(("actuator", "esp", "all", "", ""), ACTUATORS))
    def somebody_stops_or_clears(self, what: tuple[str, ActuatorKey]) -> None:
        world, (scope, key) = self.world, what
        if not scope:
            world.set_stops({})
            return
        stop = Stop(
            id=f"s{world.now}",
            esp_id=None if scope == "all" else key.esp_id,
            gpio=key.gpio if scope == "actuator" else None,
        )
        world.set_stops({**world.stops, stop.id: stop})

    @step(weather=one_of(DEVICES, (0.0, 0.0, 0.3, 1.0), (0.05, 2.0, 16.0), (0.0, 0.5)))
    def the_weather_changes(self, weather: tuple[str, float, float, float]) -> None:
        esp_id, loss, delay_s, twice = weather
        device = self.world.devices[esp_id]
        device.loss, device.delay_s, device.twice = loss, delay_s, twice

    @step(what=one_of(("cut", "cut and drop", "back", "reboot"), DEVICES))
    def a_device_comes_and_goes(self, what: tuple[str, str]) -> None:
        event, esp_id = what
        match event:
            case "back":
                self.world.reconnect(esp_id)
            case "reboot":
                self.world.reboot(esp_id)
            case _:
                self.world.cut(esp_id, drops=event == "cut and drop")

    @step(what=one_of(("kill", "kill and lose", "lose the broker"), (0.5, 5.0, 25.0, 100.0)))
    def growyd_comes_and_goes(self, what: tuple[str, float]) -> None:
        event, down_s = what
        if event == "lose the broker":
            self.world.link_lost(down_s)
            return
        self.world.kill(lost_write=event == "kill and lose")
        self.world.pass_time(down_s)
        self.world.start()

    @step(hours=st.sampled_from((-30.0, -1.0, 1.0, 30.0)))
    def the_wall_clock_jumps(self, hours: float) -> None:
        self.world.jump(hours)

    @step(what=one_of(("setup", "approval", "button"), ACTUATORS))
    def somebody_changes(self, what: tuple[str, ActuatorKey]) -> None:
        event, key = what
        if event == "setup":
            self.world.enabled[key] = not self.world.enabled[key]
        elif event == "approval":
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
    how = settings(
        max_examples=LONG_EXAMPLES if long_form else EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    # How long an example becomes is hypothesis' choice: again until there are as many steps as promised.
    while COUNTS.steps < PROMISED:
        run_state_machine_as_test(Greenhouse, settings=how)
    print(f"\n{COUNTS}")
    assert COUNTS.steps >= PROMISED
    # A proof about a world in which nothing happens would be none.
    assert min(COUNTS.sent_on, COUNTS.sent_off) >= PROMISED // 50
    assert min(COUNTS.starts, COUNTS.renewals, COUNTS.restarts) >= PROMISED // 100
    assert min(COUNTS.boots, COUNTS.cuts, COUNTS.jumps, COUNTS.lost_writes) >= PROMISED // 200
    assert COUNTS.refusals.keys() >= {
        "EMERGENCY_STOP_ACTIVE",
        "DEVICE_NOT_APPROVED",
        "DEVICE_OFFLINE",
        "ACTUATOR_DISABLED",
        "VALUE_OUT_OF_LIMITS",
        "INTERLOCK",
        "COOLDOWN",
        "MAX_RUNTIME",
    }
