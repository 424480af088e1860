"""A house whose past is made up: rules and readings of every kind, and what a replay of them comes to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from rules_rig import AIR, HEATER, LAMP, MAX_AGE_S, PUMP, SOIL, TANK, VALVE

from growy.control.ledger import Day
from growy.control.lookup import Found
from growy.control.output_state import Switched
from growy.control.rules.effects import Effect, Execution, Hold, Release, ReleaseAll
from growy.control.rules.simulation import House, Limits, Surroundings
from growy.control.rules.tallies import Tallies
from growy.control.rules.thinning import Thinner
from growy.control.switch_effects import SwitchEffect
from growy.model.control import ActuatorKey, DeviceView, Interlock, InterlockKind
from growy.model.reading import Columns, Quality
from growy.model.rules import (
    Action,
    All,
    Always,
    AnyOf,
    Between,
    Channel,
    Condition,
    Delay,
    Difference,
    Freshness,
    HeldFor,
    Hysteresis,
    Not,
    Notify,
    Operator,
    Photoperiod,
    Pid,
    RateOfChange,
    Rule,
    SensorRef,
    Step,
    Switch,
    SwitchCommand,
    Threshold,
    TimeWindow,
)
from growy.model.rules import (
    Sequence as Steps,
)
from growy.model.setup import ActuatorKind, ActuatorSetup

FROM_MS = 1_790_000_000_000
"""A Monday, 14:13:20 UTC."""
OPEN_AT = 14 * 60 + 14
DAY_MS = 86_400_000
ODD_S = 0.374
"""More than whole seconds, so that no limit ends in the very ms in which something else is due: which of the two comes
first would be a matter of rounding."""
SERIES = {AIR: 1, SOIL: 2, TANK: 3}
SETUPS = {
    HEATER: ActuatorSetup(
        id="h", gpio=18, kind=ActuatorKind.RELAY, name="Heater", max_runtime_s=120 + ODD_S, cooldown_s=20 + ODD_S
    ),
    PUMP: ActuatorSetup(
        id="p", gpio=19, kind=ActuatorKind.PUMP, name="Pump", dose_ml_per_s=1.0, dose_budget_ml=90 + ODD_S
    ),
    VALVE: ActuatorSetup(id="v", gpio=21, kind=ActuatorKind.VALVE, name="Valve", max_runtime_day_s=600 + ODD_S),
    LAMP: ActuatorSetup(id="l", gpio=25, kind=ActuatorKind.PWM, name="Lamp", max_value=0.9, max_runtime_s=86_400),
}  # fmt: skip
NOWHERE = ActuatorKey("ESP_00AA09", 4)


def series_of(ref: SensorRef) -> Found:
    found = SERIES.get(ref)
    return Found(None, f"no reading of {ref} has come yet") if found is None else Found(found)


def surroundings(interlocked: bool = True) -> Surroundings:
    views = [
        DeviceView(
            esp_id=esp_id,
            kaiser_id="god",
            approved=False,
            online=False,
            ready=False,
            actuators=tuple(setup for key, setup in SETUPS.items() if key.esp_id == esp_id),
        )
        for esp_id in sorted({key.esp_id for key in SETUPS})
    ]
    interlocks = [
        Interlock(id="i", kind=InterlockKind.EXCLUSIVE, a=HEATER, b=LAMP),
        Interlock(id="j", kind=InterlockKind.REQUIRES, a=VALVE, b=PUMP),
    ]
    return Surroundings(
        series_of=series_of,
        max_age_of=lambda series_id: MAX_AGE_S,
        place_of=lambda esp_id, gpio: ("", ""),
        views=views,
        interlocks=interlocks if interlocked else [],
        limits=Limits(
            max_runtime_s=300.0 + ODD_S,
            max_switches=20,
            day_of=lambda ms: Day(f"{ms // DAY_MS:06d}", (ms // DAY_MS + 1) * DAY_MS),
        ),
    )


class Diary(Tallies):
    """Everything that matters to the house, with its time."""

    def __init__(self, rules: Sequence[Rule], most: int = 1000) -> None:
        super().__init__(rules, most)
        self.lines: list[tuple[object, ...]] = []

    def judged(self, rule_id: str, verdict: bool | None, at: float) -> None:
        super().judged(rule_id, verdict, at)
        self.lines.append((at, "verdict", rule_id, verdict))

    def refused(self, actuator: ActuatorKey, code: str, at: float) -> None:
        super().refused(actuator, code, at)
        self.lines.append((at, "refused", actuator, code))

    def happened(self, effect: Effect | SwitchEffect, at: float) -> None:
        super().happened(effect, at)
        match effect:
            case Hold(claim):
                self.lines.append((at, "hold", claim.holder, claim.value, claim.until, sorted(claim.basis)))
            case Release(holder, actuator):
                self.lines.append((at, "release", holder, actuator))
            case ReleaseAll(prefix):
                self.lines.append((at, "release all", prefix))
            case Switched(actuator=actuator, value=value):
                self.lines.append((at, "switched", actuator, value))
            case Execution():
                results = [one.result for one in effect.actions]
                self.lines.append((at, "execution", effect.correlation_id, effect.ended_ms, results))
            case _:
                pass


def columns(readings: Sequence[tuple[int, int, float, Quality]]) -> Columns:
    """(series, receipt in ms of the house's clock, value, quality) -> as the store gives them."""
    count = len(readings)
    at_ms = [FROM_MS + at for _, at, _, _ in readings]
    values = [value for _, _, value, _ in readings]
    found = Columns.of(
        [series_id for series_id, _, _, _ in readings], at_ms, at_ms, values, values,
        [int(quality) for _, _, _, quality in readings], [0] * count, [0] * count, [0] * count,
    )  # fmt: skip
    return found.take(np.lexsort((found.series, found.rx_ms)))


def replayed(
    rules: Sequence[Rule],
    readings: Columns,
    *,
    every: bool = False,
    cuts: Sequence[int] = (),
    end_s: float | None = None,
    interlocked: bool = True,
    diary: Diary | None = None,
) -> Diary:
    """What a replay of the readings comes to.

    Args:
        cuts: where the readings are cut into pieces.
        end_s: of the replay, by the house's clock; else some minutes after the last reading.
    """
    around = surroundings(interlocked)
    diary = Diary(rules) if diary is None else diary
    house = House(around, diary, FROM_MS)
    house.put(rules)
    thinner = Thinner(rules, around.series_of, around.max_age_of, FROM_MS, every=every)
    wanted = np.isin(readings.series, list(thinner.series))
    starts = [0, *sorted(min(cut, len(readings)) for cut in cuts), len(readings)]
    for start, end in itertools.pairwise(starts):
        piece = readings.take(slice(start, end))
        for _ in house.play(thinner.take(piece.take(wanted[start:end]))):
            pass
    last = float(readings.rx_ms.max() - FROM_MS) / 1000 if len(readings) else 0.0
    end_s = last + 400.0 if end_s is None else end_s
    for _ in house.pass_until(end_s):
        pass
    diary.end(end_s)
    return diary


# --- rules and readings, as they come -----------------------------------------------------------------------------

sensors = st.sampled_from(list(SERIES))
actuators = st.sampled_from([*SETUPS, NOWHERE])
seconds = st.sampled_from([1.0, 5.0, 30.0, 45.0, 100.0])
levels = st.sampled_from([10.0, 15.0, 20.0, 25.0])
ages = st.sampled_from([None, None, 20.0, 45.0, 200.0])
operators = st.sampled_from(list(Operator))
leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Threshold, sensor=sensors, operator=operators, value=levels, max_age_s=ages),
    st.builds(
        lambda low, **more: Between(low=low, high=low + 5.0, **more), levels, sensor=sensors, max_age_s=ages
    ),
    st.builds(
        lambda low, **more: Hysteresis(on_below=low, off_above=low + 5.0, **more),
        levels,
        sensor=sensors,
        max_age_s=ages,
    ),
    st.builds(
        lambda low, **more: Hysteresis(off_below=low, on_above=low + 5.0, **more),
        levels,
        sensor=sensors,
        max_age_s=ages,
    ),
    st.builds(
        Difference,
        a=sensors,
        b=sensors,
        operator=operators,
        value=st.sampled_from([-5.0, 0.0, 5.0]),
        consecutive=st.integers(1, 4),
        max_age_s=ages,
    ),
    st.builds(
        RateOfChange,
        sensor=sensors,
        operator=operators,
        per_min=st.sampled_from([-5.0, 0.0, 5.0, 10.0]),
        window_s=st.sampled_from([30.0, 60.0, 200.0]),
        max_age_s=ages,
    ),
    st.builds(Freshness, sensor=sensors, stale=st.booleans(), max_age_s=ages),
    st.builds(
        lambda start, long: TimeWindow(start_min=start, end_min=start + long),
        st.integers(OPEN_AT, OPEN_AT + 10),
        st.integers(1, 5),
    ),
    st.just(Always()),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: All(conditions=tuple(parts)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: AnyOf(conditions=tuple(parts)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: Not(condition=part), inner),
        st.builds(lambda part, long: HeldFor(condition=part, seconds=long), inner, seconds),
    ),
    max_leaves=4,
)
switches = st.builds(
    Switch,
    actuator=actuators,
    command=st.sampled_from(list(SwitchCommand)),
    value=st.sampled_from([0.0, 0.5, 1.0]),
    duration_s=st.sampled_from([0.0, 0.0, 5.0, 45.0]),
)
steps = st.one_of(
    st.builds(
        Step,
        action=switches,
        after_s=st.sampled_from([0.0, 2.0, 40.0]),
        retries=st.integers(0, 1),
        abort_on_failure=st.booleans(),
    ),
    st.builds(lambda long: Step(delay_s=long), seconds),
)
actions: st.SearchStrategy[Action] = st.one_of(
    switches,
    switches,
    st.just(Notify(channel=Channel.WEBSOCKET, template="{sensor_value}")),
    st.builds(lambda long: Delay(seconds=long), seconds),
    st.builds(
        lambda each: Steps(steps=tuple(each), max_duration_s=200.0), st.lists(steps, min_size=1, max_size=3)
    ),
    st.builds(
        Pid,
        actuator=actuators,
        sensor=sensors,
        set_point=levels,
        kp=st.just(0.125),
        ki=st.sampled_from([0.0, 0.0078125]),
        window_s=st.sampled_from([0.0, 16.0]),
        max_age_s=ages,
    ),
    st.builds(
        # Its steps come every 10 s: on an actuator that must rest for a minute some would come just when that is over.
        lambda ramp: Photoperiod(actuator=LAMP, on_min=OPEN_AT, light_min=9, ramp_min=ramp),
        st.integers(0, 3),
    ),
)
rule_lists = st.lists(
    st.builds(
        Rule,
        id=st.just(""),
        name=st.just("Rule"),
        condition=conditions,
        actions=st.lists(actions, min_size=1, max_size=3).map(tuple),
        cooldown_s=st.sampled_from([0.0, 10.0, 100.0]),
        max_per_hour=st.sampled_from([None, None, 3]),
        priority=st.sampled_from([20, 50]),
        is_critical=st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
waits_ms = st.sampled_from([0, 10, 5000, 20_010, 30_000, 44_990, 90_000, 90_010, 250_000])
every_ms = st.sampled_from([0, 10, 5000, 10_000, 20_000, 30_000, 30_000, 45_000, 45_010, 90_000])
qualities = st.sampled_from(
    [Quality.GOOD] * 8 + [Quality.FAIR, Quality.SUSPECT, Quality.ERROR, Quality.UNKNOWN]
)
values = st.sampled_from([5.0, 9.0, 10.0, 12.0, 15.0, 17.0, 17.0, 20.0, 22.0, 25.0, 30.0, math.nan, math.inf])
stretches = st.tuples(
    waits_ms, every_ms, st.integers(1, 12), values, st.sampled_from([0.0, 0.0, 0.1, 1.0, -2.5]), qualities
)


smooth = st.tuples(
    st.sampled_from([0, 30_000, 100_000]),
    st.sampled_from([5000, 10_000, 30_000]),
    st.integers(4, 30),
    st.sampled_from([10.0, 15.0, 20.0]),
    st.sampled_from([0.0, 0.1, -0.1, 0.5, 1.0, -1.0]),
    st.sampled_from([Quality.GOOD] * 6 + [Quality.ERROR]),
)


@st.composite
def pasts(
    draw: st.DrawFn,
    kind: st.SearchStrategy[tuple[int, int, int, float, float, Quality]] = stretches,
    most: int = 5,
) -> Columns:
    """Readings of the three sensors: steady and drifting stretches, gaps, errors, moments at which several come."""
    rows = []
    for series_id in SERIES.values():
        at = 0
        for wait, every, count, value, step, quality in draw(st.lists(kind, max_size=most)):
            at += wait
            for number in range(count):
                rows.append((series_id, at, value + number * step, quality))
                at += every
    return columns(rows)


trends = st.one_of(
    st.builds(
        Difference,
        a=st.just(AIR),
        b=sensors,
        operator=operators,
        value=st.sampled_from([-5.0, 0.0, 5.0]),
        consecutive=st.integers(1, 5),
        max_age_s=ages,
    ),
    st.builds(
        RateOfChange,
        sensor=sensors,
        operator=operators,
        per_min=st.sampled_from([0.0, 0.6, 3.0, -1.0]),
        window_s=st.sampled_from([60.0, 200.0]),
        max_age_s=ages,
    ),
)
rules_of_trends = st.lists(
    st.builds(
        lambda condition, other: Rule(
            id="",
            name="Rule",
            condition=condition if other is None else AnyOf(conditions=(condition, other)),
            actions=(Switch(actuator=LAMP),),
            cooldown_s=0.0,
        ),
        trends,
        st.none() | leaves,
    ),
    min_size=1,
    max_size=3,
)
