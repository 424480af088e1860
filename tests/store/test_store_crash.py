"""`kill -9` at any moment of committing, sealing and checkpointing: what was committed is there, each reading
once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio
from store_readings import T0

from growy.config import StoreConfig
from growy.store import open_store

SERIES = 40
CHILD = Path(__file__).with_name("store_crash_child.py")


@pytest.mark.slow
def test_every_committed_reading_exactly_once_after_kills(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kills = 100 if request.config.getoption("--long", default=False) else 10
    dice = random.Random(4)
    folder, there = tmp_path / "growy", 0
    for _ in range(kills):
        promised = run_and_kill(folder, there, dice.uniform(0.0, 0.25))
        there = trio.run(whole_commits, folder)
        # One more than was said may be there: the kill came between COMMIT and the word.
        assert promised <= there <= promised + 2
    assert there > kills


def run_and_kill(folder: Path, begin: int, after_s: float) -> int:
    """Let a child commit, seal and checkpoint, kill it; how many commits it has said are done."""
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), str(begin), str(SERIES), str(T0)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    assert first, "the child could not open the store"
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    said = child.stdout.read()
    child.wait()
    child.stdout.close()
    # A number that was cut off by the kill is no promise.
    return int([first.strip(), *said[: said.rfind(b"\n") + 1].split()][-1])


async def whole_commits(folder: Path) -> int:
    """How many commits the store holds; every series must have each of them exactly once."""
    async with open_store(StoreConfig(chunk_readings=60), folder) as store:
        lengths = set()
        for series in store.catalog.series():
            found = (await store.query(series.id, 0, 1 << 50)).readings
            assert found is not None
            numbers = found.seq.tolist()
            assert numbers == list(range(len(numbers)))
            assert found.raw.tolist() == numbers
            lengths.add(len(numbers))
        assert len(lengths) == 1
        return lengths.pop()
