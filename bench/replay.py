"""What a replay costs: rules of every kind over a month of stored readings, and how long others wait for it meanwhile.

    python -m bench.replay [--days 30] [--rules 20] [--directory /var/tmp]

20 sensors on 4 devices every 30 s, with noise, gaps, errors and suspect values; 20 rules of the kinds that growers
write. The ratio is to the same replay with every reading shown to the engine, over one day and scaled up. In a second
run another task asks to be woken every millisecond, as an emergency stop would: its delays are printed beside those
without a replay.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import trio

from growy.config import ControlConfig, StoreConfig
from growy.control.days import LocalDays
from growy.control.lookup import Lookup
from growy.control.rules.replay import replay
from growy.control.rules.simulation import Limits, Surroundings
from growy.model.control import ActuatorKey, DeviceView, Interlock, InterlockKind
from growy.model.reading import Bus, Columns, Quality, SeriesKey
from growy.model.rules import (
    Action,
    All,
    AnyOf,
    Between,
    Condition,
    Delay,
    Difference,
    Freshness,
    HeldFor,
    Hysteresis,
    Not,
    Operator,
    Photoperiod,
    Pid,
    RateOfChange,
    Rule,
    SensorRef,
    Sequence,
    Step,
    Switch,
    SwitchCommand,
    Threshold,
    TimeWindow,
)
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.store import Store, open_store

DAY_MS = 86_400_000
START_MS = 1_767_225_600_000
EVERY_MS = 30_000
DEVICES, SENSORS = 4, 5
KINDS = ("sht31_temp", "sht31_humidity", "moisture", "ph", "ds18b20")
LEVELS = {"sht31_temp": 21.0, "sht31_humidity": 60.0, "moisture": 40.0, "ph": 6.2, "ds18b20": 19.0}
SWINGS = {"sht31_temp": 6.0, "sht31_humidity": 15.0, "moisture": 12.0, "ph": 0.5, "ds18b20": 3.0}


def esp(number: int) -> str:
    return f"ESP_0000{number:02X}"


def sensor(device: int, kind: str) -> SensorRef:
    return SensorRef(esp(device), KINDS.index(kind), kind)


def pump(device: int, gpio: int) -> ActuatorKey:
    return ActuatorKey(esp(device), gpio)


# --- a month ------------------------------------------------------------------------------------------------------


def day_of(ids: list[int], number: int, random: np.random.Generator) -> Columns:
    """The readings of all sensors on one day, by receipt."""
    parts = []
    count = DAY_MS // EVERY_MS
    for at, series_id in enumerate(ids):
        kind = KINDS[at % SENSORS]
        ts = START_MS + number * DAY_MS + np.arange(count) * EVERY_MS + at * 137
        phase = (ts % DAY_MS) / DAY_MS * 2 * np.pi + at
        noise = random.normal(0.0, SWINGS[kind] / 40, count)
        value = np.round(LEVELS[kind] + SWINGS[kind] * np.sin(phase) + noise, 2)
        quality = np.full(count, Quality.GOOD, np.uint8)
        quality[random.random(count) < 0.0005] = Quality.ERROR
        quality[random.random(count) < 0.0005] = Quality.SUSPECT
        value[quality == Quality.ERROR] = np.nan
        there = np.ones(count, np.bool_)
        if random.random() < 0.2:
            gone = int(random.integers(0, count - 40))
            there[gone : gone + 40] = False
        zeros = np.zeros(count, np.int64)
        columns = Columns.of(
            zeros + series_id,
            ts,
            ts + random.integers(20, 90, count),
            value * 16,
            value,
            quality,
            ts,
            zeros,
            zeros,
        )
        parts.append(columns.take(there))
    columns = Columns.concat(parts)
    return columns.take(np.argsort(columns.rx_ms, kind="stable"))


async def fill(store: Store, days: int) -> None:
    random = np.random.default_rng(7)
    ids = [
        store.catalog.intern(SeriesKey(esp(device), Bus.GPIO, str(gpio), kind), gpio, "", START_MS)
        for device in range(DEVICES)
        for gpio, kind in enumerate(KINDS)
    ]
    for number in range(days):
        await store.commit(day_of(ids, number, random))
        await store.seal()


# --- the house ----------------------------------------------------------------------------------------------------


def on(actuator: ActuatorKey, seconds: float = 0.0) -> Switch:
    return Switch(actuator=actuator, duration_s=seconds)


def over(value: float, what: SensorRef) -> Condition:
    return Threshold(sensor=what, operator=Operator.GT, value=value)


def kinds_of_rules(device: int) -> list[tuple[Condition, tuple[Action, ...], float]]:
    """Condition, actions and cool-down of five rules; the last one is another on every device."""
    air, damp, soil, acid, root = (sensor(device, kind) for kind in KINDS)
    heater, vent, valve, mist, special = (pump(device, 16 + number) for number in range(5))
    last: list[tuple[Condition, tuple[Action, ...], float]] = [
        (
            TimeWindow(start_min=0, end_min=1440),
            (Photoperiod(actuator=special, on_min=360, light_min=960),),
            0,
        ),
        (
            Difference(a=root, b=air, operator=Operator.GT, value=4.0, consecutive=3),
            (on(special),),
            60.0,
        ),
        (
            RateOfChange(sensor=air, operator=Operator.LT, per_min=-0.2, window_s=600.0),
            (on(special, 120.0),),
            600.0,
        ),
        (
            TimeWindow(start_min=6 * 60, end_min=22 * 60, timezone="Europe/Berlin"),
            (Pid(actuator=special, sensor=root, set_point=20.0, kp=0.2, ki=0.0005, window_s=120.0),),
            60.0,
        ),
    ]
    return [
        (Hysteresis(sensor=air, on_below=18.0, off_above=20.0), (on(heater),), 60.0),
        (
            AnyOf(conditions=(Hysteresis(sensor=air, on_above=26.0, off_below=24.0), over(72.0, damp))),
            (Switch(actuator=vent, command=SwitchCommand.PWM, value=0.6),),
            60.0,
        ),
        (
            All(
                conditions=(
                    Not(condition=over(34.0, soil)),
                    TimeWindow(start_min=6 * 60, end_min=20 * 60),
                    Freshness(sensor=root, max_age_s=300.0),
                )
            ),
            (
                Sequence(
                    steps=(
                        Step(action=on(valve), after_s=3.0),
                        Step(action=on(mist, 20.0)),
                        Step(delay_s=21.0),
                    )
                ),
            ),
            3600.0,
        ),
        (
            HeldFor(condition=Between(sensor=acid, low=6.4, high=9.0), seconds=600.0),
            (on(mist, 2.0), Delay(seconds=60.0), on(mist, 2.0)),
            3600.0,
        ),
        last[device % len(last)],
    ]


def rules_of(count: int) -> list[Rule]:
    found = [
        (device, number, *one)
        for device in range(DEVICES)
        for number, one in enumerate(kinds_of_rules(device))
    ]
    return [
        Rule(
            id=f"r{at}",
            name=f"{at} {esp(device)} {number}",
            condition=condition,
            actions=actions,
            cooldown_s=cooldown_s,
            priority=20 + number,
        )
        for at in range(count)
        for device, number, condition, actions, cooldown_s in [found[at % len(found)]]
    ]


def views() -> list[DeviceView]:
    kinds = (ActuatorKind.RELAY, ActuatorKind.PWM, ActuatorKind.RELAY, ActuatorKind.PUMP)
    return [
        DeviceView(
            esp_id=esp(device),
            kaiser_id="god",
            approved=True,
            online=True,
            ready=True,
            actuators=tuple(
                ActuatorSetup(
                    id=f"{device}-{number}",
                    gpio=16 + number,
                    kind=kinds[number]
                    if number < 4
                    else (ActuatorKind.PWM if device == 0 else ActuatorKind.RELAY),
                    name=f"Actuator {number}",
                    max_runtime_s=86_400 if number == 4 else None,
                    cooldown_s=30 if number == 0 else 0,
                )
                for number in range(5)
            ),
        )
        for device in range(DEVICES)
    ]


def around(store: Store) -> Surroundings:
    known = {view.esp_id: view for view in views()}
    config = ControlConfig()
    lookup = Lookup(store.catalog, known.get, config.min_max_age)
    return Surroundings(
        series_of=lookup.series_of,
        max_age_of=lookup.max_age_s,
        place_of=lookup.place_of,
        views=list(known.values()),
        interlocks=[
            Interlock(id=f"i{device}", kind=InterlockKind.EXCLUSIVE, a=pump(device, 16), b=pump(device, 17))
            for device in range(DEVICES)
        ],
        limits=Limits(max_runtime_s=config.max_runtime, max_switches=config.max_switches, day_of=LocalDays()),
    )


# --- figures ------------------------------------------------------------------------------------------------------


async def probe(delays: list[float]) -> None:
    """Wants to be woken every millisecond; how late it is."""
    while True:
        due = trio.current_time() + 0.001
        await trio.sleep_until(due)
        delays.append(trio.current_time() - due)


@asynccontextmanager
async def probed(delays: list[float]) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(probe, delays)
        yield
        nursery.cancel_scope.cancel()


def say(name: str, value: float, unit: str) -> None:
    print(f"replay.{name} {value:.6g} {unit}", flush=True)


def say_delays(name: str, delays: list[float]) -> None:
    late = np.array(delays) * 1000.0
    say(f"{name}_p50", float(np.percentile(late, 50)), "ms")
    say(f"{name}_p99", float(np.percentile(late, 99)), "ms")
    say(f"{name}_max", float(late.max()), "ms")


async def measure(directory: Path, days: int, count: int) -> None:
    async with open_store(StoreConfig(), directory) as store:
        began = time.perf_counter()
        await fill(store, days)
        say("filled", time.perf_counter() - began, "s")
        rules, house = rules_of(count), around(store)
        end_ms = START_MS + days * DAY_MS

        began, worked = time.perf_counter(), time.process_time()
        report = await replay(rules, store, house, from_ms=START_MS, to_ms=end_ms)
        took, worked = time.perf_counter() - began, time.process_time() - worked
        idle: list[float] = []
        async with probed(idle):
            await trio.sleep(2.0)
        busy: list[float] = []
        async with probed(busy):
            await replay(rules, store, house, from_ms=START_MS, to_ms=end_ms)
        began = time.perf_counter()
        await replay(
            rules, store, house, from_ms=START_MS + DAY_MS, to_ms=START_MS + 2 * DAY_MS, every_reading=True
        )
        whole = (time.perf_counter() - began) * days
    say("readings", report.readings, "readings")
    say("shown", report.shown, "readings")
    say("executions", sum(one.executions for one in report.rules), "executions")
    say("cycles", sum(one.cycles for one in report.actuators), "cycles")
    say("took", took, "s")
    say("cpu", worked, "s")
    say("every_reading_took", whole, "s, scaled up from a day")
    say("ratio", whole / took, "times faster")
    say_delays("late_without", idle)
    say_delays("late_with", busy)


def main() -> None:
    parser = argparse.ArgumentParser(description="what a replay costs")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rules", type=int, default=20)
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        trio.run(measure, Path(directory) / "growy", arguments.days, arguments.rules)


if __name__ == "__main__":
    sys.exit(main())
