"""What a reading costs the rules. `python -m bench.rules`.

The baseline is the least that could be done: comparing the value with the thresholds of the same rules in a list, in
the same process, right beside. The aims are 1 ms for 100 rules on one reading, and for 10,000 rules of which 10 match.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from growy.control.lookup import Found
from growy.control.rules.engine import RuleEngine
from growy.control.samples import Samples
from growy.model.control import ActuatorKey
from growy.model.rules import (
    All,
    Condition,
    HeldFor,
    Hysteresis,
    Operator,
    RateOfChange,
    Rule,
    SensorRef,
    Switch,
    Threshold,
    TimeWindow,
)
from growy.model.time import Moment

READINGS = 2000
INTERVAL_S = 30.0
WALL_MS = 1_790_000_000_000
AIM_MS = 1.0


def threshold(sensor: SensorRef, number: int) -> Condition:
    return Threshold(sensor=sensor, operator=Operator.GT, value=10.0 + number % 20)


def mixed(sensor: SensorRef, number: int) -> Condition:
    """What growers write: a latch or a threshold, within hours of the day, held for a while; some with a slope."""
    hours = TimeWindow(start_min=6 * 60, end_min=22 * 60, timezone="Europe/Berlin")
    match number % 4:
        case 0:
            return Hysteresis(sensor=sensor, on_below=15.0 + number % 10, off_above=17.0 + number % 10)
        case 1:
            return All(conditions=(threshold(sensor, number), hours))
        case 2:
            return HeldFor(condition=threshold(sensor, number), seconds=120.0)
        case _:
            return RateOfChange(sensor=sensor, operator=Operator.GT, per_min=0.5, window_s=300.0)


def engine_with(
    rules: int, sensors: int, condition: Callable[[SensorRef, int], Condition]
) -> tuple[RuleEngine, list[SensorRef]]:
    """So many rules, spread evenly over so many sensors, each with an actuator of its own."""
    refs = [SensorRef(f"ESP_{number:06X}", 68, "sht31_temp") for number in range(sensors)]
    ids = {ref: number for number, ref in enumerate(refs, 1)}
    engine = RuleEngine(Samples(), series_of=lambda ref: Found(ids[ref]), max_age_of=lambda series_id: 90.0)
    for number in range(rules):
        switch = Switch(actuator=ActuatorKey(f"ESP_{number // 10:06X}", number % 10))
        rule = Rule(
            id=f"rule-{number:05}",
            name=f"Rule {number}",
            condition=condition(refs[number % sensors], number),
            actions=(switch,),
        )
        engine.put(rule, Moment(0.0, WALL_MS))
    return engine, refs


def reading_costs(engine: RuleEngine, sensors: int, value_at: Callable[[int], float]) -> list[float]:
    """Milliseconds of each reading of the first sensor; the others send theirs in between."""
    costs = []
    for number in range(READINGS):
        now = number * INTERVAL_S
        moment = Moment(now, WALL_MS + round(now * 1000))
        others = list(range(2, min(sensors, 20) + 1))
        engine.tick(moment)
        engine.readings(others, [20.0] * len(others), moment)
        values = [value_at(number)]
        started = time.perf_counter()
        engine.readings([1], values, moment)
        costs.append((time.perf_counter() - started) * 1000)
    return costs[READINGS // 10 :]


def bare_costs(rules: int, value_at: Callable[[int], float]) -> list[float]:
    limits = [10.0 + number % 20 for number in range(rules)]
    costs = []
    for number in range(READINGS):
        value = value_at(number)
        started = time.perf_counter()
        [value > limit for limit in limits]
        costs.append((time.perf_counter() - started) * 1000)
    return costs[READINGS // 10 :]


def report(name: str, costs: list[float], bare: list[float]) -> None:
    p50, p99 = statistics.median(costs), statistics.quantiles(costs, n=100)[98]
    bare_p50 = statistics.median(bare)
    print(
        f"  {name:<52} p50 {p50 * 1000:7.1f} us  p99 {p99 * 1000:7.1f} us  (aim {AIM_MS * 1000:.0f} us)   "
        f"bare comparisons {bare_p50 * 1000:5.1f} us   ratio {p50 / bare_p50:.0f}"
    )


def steady(number: int) -> float:
    return 20.25 + number % 2 * 0.25


def swinging(number: int) -> float:
    """Every reading turns every threshold."""
    return 5.0 + number % 2 * 30.0


def main() -> None:
    for name, condition in (("thresholds", threshold), ("mixed conditions", mixed)):
        for how, value_at in (("nothing changes", steady), ("all turn", swinging)):
            engine, _ = engine_with(100, 1, condition)
            costs, bare = reading_costs(engine, 1, value_at), bare_costs(100, value_at)
            if value_at is swinging:
                report(f"100 {name} on one reading, all turn true", costs[1::2], bare)
                report(f"100 {name} on one reading, all turn false", costs[::2], bare)
            else:
                report(f"100 {name} on one reading, {how}", costs, bare)
    for name, condition in (("thresholds", threshold), ("mixed conditions", mixed)):
        engine, _ = engine_with(10_000, 1000, condition)
        costs, bare = reading_costs(engine, 1000, steady), bare_costs(10, steady)
        report(f"10,000 {name}, 10 on this reading", costs, bare)
    started = time.perf_counter()
    engine, _ = engine_with(10_000, 1000, mixed)
    print(f"  10,000 rules put: {time.perf_counter() - started:.2f} s")
    moment = Moment(INTERVAL_S, WALL_MS + 30_000)
    engine.readings(list(range(1, 1001)), [20.0] * 1000, moment)
    started = time.perf_counter()
    engine.tick(Moment(INTERVAL_S + 90.001, WALL_MS + 120_001))
    print(f"  10,000 rules whose sensors go stale at once: {(time.perf_counter() - started) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
