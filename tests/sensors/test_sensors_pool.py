"""The pool with real worker processes: right values, and what every kind of bad library and every death costs (only
its own rows)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio

from growy.config import SensorsConfig
from growy.model.errors import ConversionError
from growy.model.reading import Quality
from growy.sensors.pool import Pool, open_pool

HEAD = """
import math, os, time
import numpy as np
from sensor_libs import Check, Choice, Converted, FloatArray, Library, Number, Output, Params
LIBRARY = Library(
    name="{name}", version="{version}",
    outputs=(Output("{name}", unit="°C", quantity="temperature", low=-1000, high=100000),),
    parameters={{"scale": Number(1.0), "flag": Choice(("a", "b"), default="a")}},
)
def convert(raw, params):
"""
TRIGGER = 666.0
"""The self-test never sends it, so a library may behave until it comes."""


def library(name: str, body: str, version: str = "1.0") -> str:
    lines = "\n".join("    " + line for line in body.splitlines())
    return HEAD.format(name=name, version=version) + lines + "\n"


def on_trigger(action: str) -> str:
    return f"if {TRIGGER} in raw.tolist():\n    {action}\nreturn Converted(raw * 2)"


Opened = Callable[..., AbstractAsyncContextManager[Pool]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "sensor_libs"
    path.mkdir()
    return path


@pytest.fixture
def opened(folder: Path) -> Opened:
    """Opens a pool on the grower's folder; with `running=True` also supervised and watching."""

    @asynccontextmanager
    async def opened(*, running: bool = False, **settings: object) -> AsyncIterator[Pool]:
        config = SensorsConfig(**{"deadline": 0.6, "reload_interval": 0.05, **settings})
        async with open_pool(config, folder) as pool, trio.open_nursery() as nursery:
            if running:
                await nursery.start(lambda task_status: pool.run(task_status=task_status))
            yield pool
            nursery.cancel_scope.cancel()

    return opened


async def values(pool: Pool, type: str, *raw: float) -> tuple[list[float | None], list[int]]:
    columns = await pool.convert([pool.registry.plan(type)], np.zeros(len(raw), np.int64), np.array(raw))
    return [None if np.isnan(v) else v for v in columns.value.tolist()], columns.quality.tolist()


async def until(condition: Callable[[], bool], within: float = 5.0) -> float:
    """Seconds until it held."""
    started = time.monotonic()
    with trio.fail_after(within):
        while not condition():
            await trio.sleep(0.01)
    return time.monotonic() - started


# -- values


async def test_rows_of_many_libraries_types_and_calibrations_come_back_in_place(opened: Opened) -> None:
    async with opened() as pool:
        plan = pool.registry.plan
        plans = [
            plan("ds18b20"),
            plan("DS18B20", {"calibration_offset": 0.5}),
            None,
            plan("sht31_humidity"),
            plan("ph", {"input": "ph"}),
            plan("ph", {"input": "millivolts"}),
        ]
        which = np.array([5, 0, 1, 2, 3, 4, 0, 1])
        raw = np.array([1500.0, 400, 400, 7, 65535, 6.2, -2032, 1360])
        columns = await pool.convert(plans, which, raw)
        assert columns.value.tolist() == pytest.approx(
            [7.0, 25.0, 25.5, np.nan, 100.0, 6.2, np.nan, 85.5], nan_ok=True
        )
        good, fair, unknown, error, suspect = (
            Quality.GOOD, Quality.FAIR, Quality.UNKNOWN, Quality.ERROR, Quality.SUSPECT,
        )  # fmt: skip
        assert columns.quality.tolist() == [fair, good, good, unknown, good, good, error, suspect]
        assert columns.failed == 0
        statistics = pool.statistics()
        assert statistics.conversions == 7
        assert statistics.by_library["ds18b20"] == 4
        assert statistics.p50_ms is not None


async def test_a_batch_larger_than_a_request_is_converted_in_slices(opened: Opened) -> None:
    async with opened() as pool:
        raw = np.arange(150_000.0) % 1000
        columns = await pool.convert([None, pool.registry.plan("ds18b20")], np.ones(len(raw), np.int64), raw)
        assert np.array_equal(columns.value, raw / 16)


async def test_an_empty_batch_and_columns_that_do_not_fit(opened: Opened) -> None:
    async with opened() as pool:
        plans = [pool.registry.plan("ds18b20")]
        assert len((await pool.convert(plans, np.zeros(0, np.int64), np.zeros(0))).value) == 0
        for which in ([1], [-1], [0, 0]):
            with pytest.raises(ValueError, match=r"plan number|negative|raw values"):
                await pool.convert(plans, np.array(which), np.array([1.0]))


async def test_a_live_temperature_compensates_row_by_row(opened: Opened) -> None:
    async with opened() as pool:
        plan = pool.registry.plan("ec", {"input": "millivolts", "alpha": 0.02})
        live = {"temperature_c": np.array([25.0, 35.0, np.nan]), "unknown": np.zeros(3)}
        columns = await pool.convert([plan], np.zeros(3, np.int64), np.full(3, 1000.0), live)
        assert columns.value.tolist() == pytest.approx([6097.6, 5081.3, 6097.6])


async def test_vpd_is_derived_from_columns(opened: Opened) -> None:
    async with opened() as pool:
        plan = pool.registry.plan("vpd")
        inputs = {"temperature": np.array([25.0, 20.0]), "humidity": np.array([60.0, 60.0])}
        columns = await pool.derive(plan, inputs)
        assert columns.value.tolist() == pytest.approx([1.2671, 0.9353])
        with pytest.raises(ConversionError, match="temperature, humidity"):
            await pool.derive(plan, {"temperature": np.array([25.0])})


async def test_concurrent_callers_share_the_workers(opened: Opened) -> None:
    async with opened(workers=2, running=True) as pool, trio.open_nursery() as nursery:

        async def one(start: int) -> None:
            for step in range(20):
                raw = float(start * 100 + step)
                assert await values(pool, "ds18b20", raw) == ([raw / 16], [Quality.GOOD])

        for start in range(8):
            nursery.start_soon(one, start)


async def test_workers_stay_small(opened: Opened) -> None:
    async with opened() as pool:
        (pid,) = pool.worker_pids()
        status = await trio.Path(f"/proc/{pid}/status").read_text()
        kilobytes = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
        assert kilobytes < 40 * 1024
        maps = await trio.Path(f"/proc/{pid}/maps").read_text()
        assert "apsw" not in maps


# -- bad libraries


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("raise SystemExit(3)", "SystemExit"),
        ("return Converted(raw[:-1])", "shape"),
        ("return raw", "not Converted"),
        ("return Converted(raw, np.full(len(raw), 9, np.uint8))", "quality 9"),
        ("return Converted(np.array(['x'] * len(raw)))", "ValueError"),
        ("bytearray(1 << 33)", "MemoryError"),
    ],
)
async def test_a_library_that_fails_loses_its_rows_alone(
    opened: Opened, folder: Path, action: str, why: str
) -> None:
    (folder / "bad.py").write_text(library("bad", on_trigger(action)))
    async with opened() as pool:
        pids = pool.worker_pids()
        plans = [pool.registry.plan("bad"), pool.registry.plan("ds18b20")]
        columns = await pool.convert(plans, np.array([1, 0, 0, 1]), np.array([160.0, TRIGGER, 5, 320]))
        assert columns.value.tolist() == pytest.approx([10.0, np.nan, np.nan, 20.0], nan_ok=True)
        assert columns.quality.tolist() == [Quality.GOOD, Quality.ERROR, Quality.ERROR, Quality.GOOD]
        assert columns.failed == 2
        assert why in columns.reasons[0]
        assert pool.worker_pids() == pids, "an exception costs no worker"
        assert await values(pool, "bad", 5.0) == ([10.0], [Quality.GOOD])


async def test_nan_and_infinity_are_no_values(opened: Opened, folder: Path) -> None:
    (folder / "odd.py").write_text(
        library("odd", "return Converted(np.where(raw == 2, np.nan, np.where(raw == 3, np.inf, raw)))")
    )
    async with opened() as pool:
        assert await values(pool, "odd", 1, 2, 3, 1e9) == ([1, None, None, None], [1, 6, 6, 6])


@pytest.mark.parametrize(("action", "kills"), [("time.sleep(3600)", 1), ("os._exit(7)", 0)])
async def test_a_library_that_hangs_or_ends_the_process_is_set_aside_after_three_failures(
    opened: Opened, folder: Path, action: str, kills: int
) -> None:
    (folder / "bad.py").write_text(library("bad", on_trigger(action)))
    async with opened(running=True, deadline=0.3) as pool:
        plans = [
            pool.registry.plan("bad"),
            pool.registry.plan("ds18b20"),
            pool.registry.plan("sht31_humidity"),
        ]
        which, raw = np.array([1, 0, 2]), np.array([160.0, TRIGGER, 65535])
        for failure in (1, 2, 3):
            columns = await pool.convert(plans, which, raw)
            assert columns.value.tolist() == pytest.approx([10.0, np.nan, 100.0], nan_ok=True)
            assert columns.quality.tolist() == [Quality.GOOD, Quality.ERROR, Quality.GOOD]
            assert pool.statistics().deadline_kills == failure * kills
        assert pool.statistics().set_aside == ("bad",)
        (status,) = [s for s in pool.registry.describe() if s.name == "bad"]
        assert status.state == "set_aside"
        assert status.failures == 3
        # when set aside, it costs nobody anything any more
        pids = pool.worker_pids()
        columns = await pool.convert(plans, which, raw)
        assert columns.failed == 1
        assert "set aside" in columns.reasons[0]
        assert pool.worker_pids() == pids
        # re-enabled by hand
        await pool.reload()
        assert pool.statistics().set_aside == ()
        assert await values(pool, "bad", 5.0) == ([10.0], [Quality.GOOD])


async def test_a_hanging_library_delays_no_other_caller_by_its_deadline(opened: Opened, folder: Path) -> None:
    (folder / "bad.py").write_text(library("bad", on_trigger("time.sleep(3600)")))
    async with opened(running=True, deadline=10.0) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(values, pool, "bad", TRIGGER)
        await trio.sleep(0.05)
        with trio.fail_after(5):
            assert await values(pool, "ds18b20", 160.0) == ([10.0], [Quality.GOOD])
        nursery.cancel_scope.cancel()


async def test_a_success_between_failures_keeps_a_library_in(opened: Opened, folder: Path) -> None:
    (folder / "bad.py").write_text(library("bad", on_trigger("raise RuntimeError('boom')")))
    async with opened() as pool:
        for _ in range(4):
            await values(pool, "bad", TRIGGER)
            await values(pool, "bad", TRIGGER)
            await values(pool, "bad", 1.0)
        assert pool.statistics().set_aside == ()


async def test_a_print_does_not_disturb_the_protocol(opened: Opened, folder: Path) -> None:
    (folder / "loud.py").write_text(
        library("loud", "print('x' * 10000)\nos.write(1, b'y' * 999)\nreturn Converted(raw)")
    )
    async with opened() as pool:
        assert await values(pool, "loud", 5.0) == ([5.0], [Quality.GOOD])


# -- deaths


async def test_a_worker_killed_while_idle_is_replaced(opened: Opened) -> None:
    async with opened(running=True) as pool:
        (before,) = pool.worker_pids()
        os.kill(before, signal.SIGKILL)
        assert await values(pool, "ds18b20", 160.0) == ([10.0], [Quality.GOOD])
        (after,) = pool.worker_pids()
        assert after != before
        assert pool.statistics().restarts == 1


async def test_a_worker_killed_in_the_middle_loses_no_conversion(opened: Opened, folder: Path) -> None:
    # given a library that takes its time, and is killed from outside while it converts
    (folder / "slow.py").write_text(library("slow", on_trigger("time.sleep(0.3)")))
    async with opened(running=True, deadline=5.0) as pool, trio.open_nursery() as nursery:

        async def kill() -> None:
            (pid,) = pool.worker_pids()
            await trio.sleep(0.1)
            os.kill(pid, signal.SIGKILL)

        nursery.start_soon(kill)
        plans = [
            pool.registry.plan("ds18b20"),
            pool.registry.plan("slow"),
            pool.registry.plan("sht31_humidity"),
        ]
        columns = await pool.convert(plans, np.array([0, 1, 2]), np.array([160.0, TRIGGER, 65535]))
        assert columns.value.tolist() == [10.0, 2 * TRIGGER, 100.0]
        assert columns.failed == 0
        assert pool.statistics().restarts == 1
        (status,) = [s for s in pool.registry.describe() if s.name == "slow"]
        assert status.failures == 0


async def test_a_storm_of_kills_loses_no_conversion(opened: Opened) -> None:
    over = trio.Event()
    async with opened(running=True, workers=2) as pool, trio.open_nursery() as nursery:

        async def storm() -> None:
            for kill in range(5):
                os.kill(pool.worker_pids()[0], signal.SIGKILL)
                await until(lambda kill=kill: pool.statistics().restarts > kill)  # type: ignore[misc]
            over.set()

        nursery.start_soon(storm)
        raw = np.arange(500.0)
        plan = pool.registry.plan("ds18b20")
        while not over.is_set():
            columns = await pool.convert([plan], np.zeros(500, np.int64), raw)
            assert columns.failed == 0
            assert np.array_equal(columns.value, raw / 16)
        assert pool.statistics().restarts == 5


async def test_workers_killed_now_and_then_while_loading_condemn_no_library(
    opened: Opened, folder: Path, tmp_path: Path
) -> None:
    """Given a machine short of memory that kills a worker in the middle of loading, again and again over months."""
    flag = tmp_path / "kill"
    source = library("unlucky", "return Converted(raw * 2)")
    source += (
        f"if os.path.exists({str(flag)!r}):\n    os.remove({str(flag)!r})\n    os.kill(os.getpid(), 9)\n"
    )
    (folder / "unlucky.py").write_text(source)
    async with opened() as pool:
        for _ in range(4):
            flag.touch()
            for pid in pool.worker_pids():
                os.kill(pid, signal.SIGKILL)
            assert await values(pool, "unlucky", 1.0) == ([2.0], [Quality.GOOD])
            assert not flag.exists()


async def test_a_cancelled_caller_leaves_no_answer_for_the_next(opened: Opened, folder: Path) -> None:
    (folder / "slow.py").write_text(library("slow", on_trigger("time.sleep(0.3)")))
    async with opened(running=True, deadline=5.0) as pool:
        with trio.move_on_after(0.1) as scope:
            await values(pool, "slow", TRIGGER)
        assert scope.cancelled_caught
        assert await values(pool, "ds18b20", 160.0) == ([10.0], [Quality.GOOD])


async def test_closing_leaves_no_process(opened: Opened) -> None:
    async with opened(workers=2, running=True) as pool:
        await until(lambda: len(pool.worker_pids()) == 2)
        pids = pool.worker_pids()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_what_a_library_has_started_ends_with_its_worker(
    opened: Opened, folder: Path, tmp_path: Path
) -> None:
    """Given a library that forks and then hangs, its child is killed with the worker at the deadline."""
    told = tmp_path / "child"
    body = (
        f"if {TRIGGER} in raw.tolist():\n"
        f"    if (child := os.fork()) == 0:\n        time.sleep(60)\n        os._exit(0)\n"
        f"    open({str(told)!r}, 'w').write(str(child))\n"
        "    time.sleep(60)\n"
        "return Converted(raw)"
    )
    (folder / "forker.py").write_text(library("forker", body))
    async with opened() as pool:
        assert await values(pool, "forker", TRIGGER) == ([None], [Quality.ERROR])
        child = int(told.read_text())
        try:
            await until(lambda: not running(child))
        finally:
            if running(child):
                os.kill(child, signal.SIGKILL)


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    # given a daemon that is killed outright, while its worker is in the middle of a conversion that never ends
    (tmp_path / "slow.py").write_text(library("slow", on_trigger("time.sleep(3600)")))
    program = f"""
import numpy as np, trio
from growy.config import SensorsConfig
from growy.sensors.pool import open_pool
from pathlib import Path
async def main():
    async with open_pool(SensorsConfig(deadline=60), Path({str(tmp_path)!r})) as pool:
        print(pool.worker_pids()[0], flush=True)
        await pool.convert([pool.registry.plan("slow")], np.zeros(1, np.int64), np.array([{TRIGGER}]))
trio.run(main)
"""
    root = str(Path(__file__).parents[2])
    daemon = await trio.lowlevel.open_process(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    )
    assert daemon.stdout is not None
    worker = int(await daemon.stdout.receive_some())
    await trio.sleep(0.1)
    daemon.kill()
    await daemon.wait()

    def gone() -> bool:
        try:
            return (
                Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z"
            )  # an orphan that init has yet to collect
        except FileNotFoundError:
            return True

    assert await until(gone) < 2
