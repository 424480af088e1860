"""Killed at any moment and started again, control goes on as if nothing had been: latches, timers, cool-downs, limits
of the hour, counters, slopes, pulses, delays, places in sequences, loops and lights.

One process lives through some hours undisturbed. Another lives through the same hours and is killed with SIGKILL again
and again: before a reading acts, after it has acted and before it is committed, in the middle of the commit, before and
after control's memory is written, in the middle of its start. Each life opens the store that the one before has left,
and what was not acknowledged is delivered again. Who claims what, and what flows, must be the same at every moment.

Time is virtual and stands still while something is worked on, so that what a kill has cut off is done again at the very
moment at which it was done first.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import attrs
import pytest
import trio
from kill_life import ADOPT_S, KINDS, Life
from kill_scenario import START_MS, documents

from growy.config import StoreConfig
from growy.store.rules import ExecutionRow
from growy.store.store import open_store

SOON_MS = ADOPT_S * 1000 + 1000
HURTS = (*KINDS, *("ahead", "written") * 4)
PWM_STEP = 2.1 / 255
HERE = Path(__file__).resolve().parent
ROUND_MS = 3
"""Clocks of several lives: a time in whole ms may come out one beside it."""


@attrs.define
class History:
    """What a log says."""

    wanted: dict[str, list[tuple[int, float]]] = attrs.field(factory=dict)
    """By actuator: (Unix ms, value of the highest claim, 0 for none) at every change."""
    flows: dict[str, list[tuple[int, float]]] = attrs.field(factory=dict)
    """The same of what the device does."""
    births_ms: list[int] = attrs.field(factory=list)
    steps: Counter[str] = attrs.field(factory=Counter)
    """By kind; of the last life."""
    kills: int = 0

    def moment(self, said: dict[str, Any]) -> None:
        for changes, now in ((self.wanted, said["wanted"]), (self.flows, said["flows"])):
            for key in {*changes, *now}:
                _change(changes.setdefault(key, []), said["t"], now.get(key, 0.0))


def _change(changes: list[tuple[int, float]], at_ms: int, value: float) -> None:
    """What was done again at a restart is the same moment."""
    while changes and at_ms - changes[-1][0] <= ROUND_MS:
        changes.pop()
    if value != (changes[-1][1] if changes else 0.0):
        changes.append((at_ms, value))


@contextmanager
def zygote() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported everything and forks lives."""
    paths = (HERE.parents[1], HERE.parent, HERE)
    with subprocess.Popen(
        [sys.executable, str(HERE / "kill_life.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
    ) as process:
        yield process
        process.stdin.close()


def lived(
    process: subprocess.Popen[str],
    folder: Path,
    seed: int,
    *,
    tail_readings: int = 240,
    kills: int = 0,
    steps: Counter[str] | None = None,
) -> History:
    """Lives through the hours, however many lives that takes.

    Args:
        kills: about so many, at random steps.
        steps: how many there are without any.
    """
    folder.mkdir()
    steps = Counter() if steps is None else steps
    chance, history, log = random.Random(seed), History(), folder / "log"
    log.touch()
    life = Life(
        folder=str(folder / "growy"),
        seed=seed,
        hours=HOURS,
        now_ms=START_MS,
        acked=0,
        devices={},
        kill_at=None,
        kill_kind="",
        tail_readings=tail_readings,
        log=str(log),
    )
    with log.open() as lines:
        while True:
            life = attrs.evolve(life, kill_at=None, kill_kind="")
            if history.kills < kills:
                # Half of them anywhere, half where it hurts: a few steps of one kind further on.
                kind = chance.choice(HURTS) if history.kills % 2 else ""
                most = 2 * (steps[kind] if kind else steps.total()) // kills
                life = attrs.evolve(life, kill_kind=kind, kill_at=chance.randrange(max(1, most)))
            history.births_ms.append(life.now_ms)
            process.stdin.write(json.dumps(attrs.asdict(life)) + "\n")
            process.stdin.flush()
            ended = int(process.stdout.readline())
            life = _read(lines, life, history)
            if ended == 0:
                return history
            assert ended == -signal.SIGKILL
            history.kills += 1


def _read(lines: IO[str], life: Life, history: History) -> Life:
    """What the last life has left behind, in the log and for the next."""
    now_ms, acked, devices = life.now_ms, life.acked, dict(life.devices)
    for line in lines:
        said = json.loads(line)
        assert "fault" not in said, said["fault"]
        if "t" in said:
            history.moment(said)
        elif "device" in said:
            devices[said["device"]] = (said["value"], said["off_ms"])
        now_ms, acked = said.get("now", now_ms), said.get("acked", acked)
        history.steps = Counter(said.get("steps", history.steps))
    return attrs.evolve(life, now_ms=now_ms, acked=acked, devices=devices)


def executions(folder: Path) -> dict[tuple[str, str], tuple[bool | None, str]]:
    """By rule and correlation id: how each ended. There is none twice."""

    async def read() -> tuple[ExecutionRow, ...]:
        async with open_store(StoreConfig(), folder / "growy") as store:
            return (await store.executions(limit=100_000)).rows

    rows = trio.run(read)
    found = {(row.rule_id, row.correlation_id): (row.success, row.error) for row in rows}
    assert len(found) == len(rows)
    return found


def assert_equal(
    whole: dict[str, list[tuple[int, float]]], killed: dict[str, list[tuple[int, float]]]
) -> None:
    for key in sorted({*whole, *killed}):
        mine, its = whole.get(key, []), killed.get(key, [])
        for number, (one, other) in enumerate(zip(mine, its, strict=False)):
            near = abs(one[0] - other[0]) <= ROUND_MS and one[1] == pytest.approx(other[1], abs=1e-6)
            assert near, f"{key}, change {number}: {shown(mine, number)} became {shown(its, number)}"
        assert len(mine) == len(its), key


def shown(changes: list[tuple[int, float]], number: int) -> list[tuple[float, float]]:
    around = changes[max(0, number - 2) : number + 3]
    return [((at_ms - START_MS) / 1000, value) for at_ms, value in around]


def assert_flows(history: History) -> None:
    """Devices do what is wanted, soon: a command may wait for its device, and after a start what runs is left as it is
    for a while, so that it can be claimed again."""
    for key, wanted in history.wanted.items():
        for (at_ms, value), (until_ms, _) in pairwise([*wanted, (1 << 60, 0.0)]):
            if until_ms - at_ms > SOON_MS:
                flows = value_at(history.flows.get(key, []), at_ms + SOON_MS)
                assert flows == pytest.approx(value, abs=PWM_STEP), (key, at_ms)


def value_at(changes: list[tuple[int, float]], at_ms: int) -> float:
    return next((value for since_ms, value in reversed(changes) if since_ms <= at_ms), 0.0)


SEEDS = (4, 2, 3, 5, 6, 8, 10, 12, 13, 15)
"""In all of these hours every rule acts; the first is the one that is always lived."""
HOURS = 1.25
USUAL, FAST = 60, 40
"""Kills of each of the two runs."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The long form: a thousand kills, in ten different hours."""
    if "undisturbed" in metafunc.fixturenames:
        seeds = SEEDS if metafunc.config.getoption("--long") else SEEDS[:1]
        metafunc.parametrize("undisturbed", seeds, indirect=True, scope="module")


@attrs.frozen
class Undisturbed:
    seed: int
    history: History
    done: dict[tuple[str, str], tuple[bool | None, str]]


@pytest.fixture(scope="module")
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The hours as they are without any kill."""
    folder, seed = tmp_path_factory.mktemp("kill") / "whole", int(request.param)
    with zygote() as process:
        history = lived(process, folder, seed)
    return Undisturbed(seed, history, executions(folder))


def test_the_hours_are_worth_living(undisturbed: Undisturbed):
    done = undisturbed.done
    assert len({rule_id for rule_id, _ in done}) == len(documents()), "every rule has acted"
    ends = Counter(success for success, _ in done.values())
    assert ends[True] > 0.9 * len(done)
    assert sum(map(len, undisturbed.history.wanted.values())) > 200 * HOURS
    assert_flows(undisturbed.history)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tail_readings", "kills"), [(240, USUAL), (10, FAST)], ids=["usual sensors", "fast sensors"]
)
def test_killed_again_and_again_control_goes_on_as_if_nothing_had_been(
    tmp_path: Path, undisturbed: Undisturbed, tail_readings: int, kills: int
):
    """Of a fast sensor the newest readings in memory are those of a few minutes: the rest comes from the disk."""
    whole, folder = undisturbed.history, tmp_path / "killed"
    with zygote() as process:
        killed = lived(
            process, folder, undisturbed.seed, tail_readings=tail_readings, kills=kills, steps=whole.steps
        )

    assert killed.kills >= 0.6 * kills
    assert_equal(whole.wanted, killed.wanted)
    assert_flows(killed)
    assert executions(folder) == undisturbed.done
