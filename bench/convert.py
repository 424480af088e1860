"""How fast raw values become readings: inside a worker, and through the pool. Prints measured figures and their ratio
to a bare baseline.

Run: `python bench/convert.py`. Every figure stands beside the same work without growyd, measured in the same run on
the same machine: the plain numpy expression in this process, and the bare echo of a frame of the same size by a
Python process over a pair of pipes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import trio

from growy.config import SensorsConfig
from growy.model.reading import FloatArray
from growy.sensors import frames
from growy.sensors.declarations import settle
from growy.sensors.plan import Plan
from growy.sensors.pool import SHIPPED_DIR, Pool, open_pool
from growy.sensors.worker import load

ROWS = 512
ROUNDS = 3000
VALUES = 65_536
SECONDS = 0.5

ECHO = """
import os
while True:
    frame = b""
    while len(frame) < {size}:
        part = os.read(0, {size})
        if not part:
            os._exit(0)
        frame += part
    os.write(1, frame)
"""


def per_second(work: Callable[[], object], values: int) -> float:
    """Median rate over runs of `work`, which handles `values` values."""
    durations = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        started = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started)
    return values / float(np.median(durations))


def percentiles(seconds: list[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(np.array(seconds) * 1000, (50, 99))
    return float(p50), float(p99)


def inside_a_worker(name: str, output: str, raw: FloatArray, plain: Callable[[], object]) -> None:
    path = SHIPPED_DIR / f"{name}.py"
    loaded = load(str(path), path.read_bytes())
    table, words = settle(loaded.library, {}, {})
    lines = np.array([list(table.values())])
    ours = per_second(lambda: loaded.apply(output, raw, words, lines), len(raw))
    bare = per_second(plain, len(raw))
    print(
        f"  {output:<16} {ours / 1e6:7.1f} M values/s   plain numpy {bare / 1e6:7.1f} M/s   ratio {ours / bare:.2f}"
    )


def echo_of(size: int) -> tuple[float, float]:
    """p50 and p99, ms, of writing `size` bytes to a Python process and reading them back, blocking, without an event
    loop."""
    durations = []
    with subprocess.Popen(
        [sys.executable, "-S", "-c", ECHO.format(size=size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin.fileno(), process.stdout.fileno()
        frame = bytes(size)
        for _ in range(ROUNDS):
            started = time.perf_counter()
            os.write(requests, frame)
            missing = size
            while missing:
                missing -= len(os.read(answers, missing))
            durations.append(time.perf_counter() - started)
        process.stdin.close()
    return percentiles(durations[100:])


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


async def round_trip(pool: Pool, plans: list[Plan], label: str) -> None:
    which = np.arange(ROWS, dtype=np.int64) % len(plans)
    raw = np.linspace(400, 1200, ROWS)
    durations = []
    cpu = time.process_time()
    for _ in range(ROUNDS):
        started = time.perf_counter()
        await pool.convert(plans, which, raw)
        durations.append(time.perf_counter() - started)
    cpu = (time.process_time() - cpu) / ROUNDS * 1000
    p50, p99 = percentiles(durations[100:])
    size = len(frames.floats(raw).value)
    bare50, bare99 = echo_of(size)
    print(
        f"  {label:<44} p50 {p50:.3f} ms  p99 {p99:.3f} ms  daemon CPU {cpu:.3f} ms   "
        f"bare echo p50 {bare50:.3f} p99 {bare99:.3f} ms   ratio {p50 / bare50:.1f}"
    )


async def through_the_pool() -> None:
    started = time.perf_counter()
    async with open_pool(SensorsConfig(), None) as pool:
        opened = 1000 * (time.perf_counter() - started)
        print(f"open_pool: {opened:.0f} ms until all shipped libraries are known and loaded")
        plan = pool.registry.plan
        await round_trip(pool, [plan("ds18b20")], f"{ROWS} values, 1 library, 1 plan")
        calibrated = [plan("ds18b20", {"calibration_offset": i / 1000}) for i in range(300)]
        await round_trip(pool, calibrated, f"{ROWS} values, 1 library, 300 calibrations")
        types = ("ds18b20", "sht31_temp", "sht31_humidity", "ph", "ec", "moisture", "co2", "light")
        mixed = [plan(type, {"calibration_offset": i / 1000}) for i in range(40) for type in types]
        await round_trip(pool, mixed, f"{ROWS} values, {len(types)} outputs, {len(mixed)} calibrations")
        for pid in pool.worker_pids():
            print(f"  worker resident memory: {resident_mib(pid):.1f} MiB")


def main() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(60, 4000, VALUES).astype(np.float64)
    words = rng.integers(0, 65536, VALUES).astype(np.float64)
    print(f"inside a worker, {VALUES} values in one call, with masks, range, rounding and quality:")
    inside_a_worker("ds18b20", "ds18b20", np.floor(counts / 3), lambda: counts / 16.0)
    inside_a_worker("sht31", "sht31_temp", words, lambda: -45.0 + 175.0 * words / 65535.0)
    inside_a_worker("sht31", "sht31_humidity", words, lambda: 100.0 * words / 65535.0)
    inside_a_worker("dht22", "dht22_humidity", counts / 5, lambda: counts / 10.0)
    inside_a_worker("passthrough", "temperature", counts / 50, lambda: counts + 0.0)
    inside_a_worker("moisture", "moisture", counts, lambda: (counts - 3200.0) / (1500.0 - 3200.0) * 100.0)
    inside_a_worker("ph", "ph", counts, lambda: 7.0 + (counts * (3300 / 4095) - 1500) / -177.48)
    print("through the pool, worker process included:")
    trio.run(through_the_pool)


if __name__ == "__main__":
    main()
