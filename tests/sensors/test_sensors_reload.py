"""Hot reload: a saved library is in use within two seconds, a broken one never takes the place of a working one."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio

from growy.config import SensorsConfig
from growy.model.errors import ConversionError
from growy.sensors.pool import Pool, open_pool
from growy.sensors.registry import LibraryStatus

PROBE = """
from sensor_libs import Check, Converted, Library, Number, Output
LIBRARY = Library(
    name="{name}", version="{version}",
    outputs=(Output("{type}", unit="°C", quantity="temperature", low=-1000, high=100000),),
    checks=(Check(raw=10, value={expected}),),
)
def convert(raw, params):
    return Converted(raw * {factor})
"""


def probe(
    factor: float, *, name: str = "probe", type: str = "probe", version: str = "1.0", wrong: bool = False
) -> str:
    expected = 10 * factor + wrong
    return PROBE.format(name=name, type=type, version=version, factor=factor, expected=expected)


@asynccontextmanager
async def pool_on(folder: Path, **settings: object) -> AsyncIterator[Pool]:
    config = SensorsConfig(**{"deadline": 0.6, "reload_interval": 0.05, **settings})
    async with open_pool(config, folder) as pool, trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: pool.run(task_status=task_status))
        yield pool
        nursery.cancel_scope.cancel()


async def value(pool: Pool, type: str, raw: float) -> float:
    return float(
        (await pool.convert([pool.registry.plan(type)], np.zeros(1, np.int64), np.array([raw]))).value[0]
    )


def status(pool: Pool, name: str) -> LibraryStatus:
    return next(s for s in pool.registry.describe() if s.name == name)


async def until(condition: Callable[[], bool], within: float = 5.0) -> float:
    started = time.monotonic()
    with trio.fail_after(within):
        while not condition():
            await trio.sleep(0.01)
    return time.monotonic() - started


async def test_a_new_file_a_change_and_a_deletion_are_in_use_within_two_seconds(tmp_path: Path) -> None:
    async with pool_on(tmp_path, reload_interval=1.0) as pool:
        assert pool.registry.resolve("probe") is None
        (tmp_path / "probe.py").write_text(probe(2))
        assert await until(lambda: pool.registry.resolve("PROBE") is not None) < 2
        first = pool.registry.resolve("probe")
        assert first is not None
        assert await value(pool, "probe", 10) == 20
        generation = pool.registry.generation
        (tmp_path / "probe.py").write_text(probe(3))
        assert await until(lambda: pool.registry.generation > generation) < 2
        second = pool.registry.resolve("probe")
        assert second is not None
        assert second.version != first.version, "the same author's version, another content"
        assert await value(pool, "probe", 10) == 30
        (tmp_path / "probe.py").unlink()
        assert await until(lambda: pool.registry.resolve("probe") is None) < 2
        with pytest.raises(ConversionError, match="probe"):
            pool.registry.plan("probe")


async def test_a_plan_made_before_a_reload_is_converted_by_the_version_it_names(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(probe(2))
    async with pool_on(tmp_path) as pool:
        old = pool.registry.plan("probe")
        (tmp_path / "probe.py").write_text(probe(3))
        await until(lambda: pool.registry.plan("probe").version != old.version)
        columns = await pool.convert(
            [old, pool.registry.plan("probe")], np.array([0, 1]), np.array([10.0, 10.0])
        )
        assert columns.value.tolist() == [20.0, 30.0]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("def convert(raw, params:\n", "SyntaxError"),
        ("import nothing_of_that_name\n", "ModuleNotFoundError"),
        ("x = 1\n", "no LIBRARY"),
        (probe(3, wrong=True), "expected"),
        (probe(3, name="other"), "must hold 'probe'"),
        (probe(3).replace("def convert", "def convrt"), "needs a function convert"),
        (probe(3).replace("return", "import time; time.sleep(3600)\n    return"), "longer than"),
        ("while True: pass\n", "longer than"),
        ("import os; os._exit(0)\n", "ends the process"),
        (probe(3).replace("high=100000", "high=-2000"), "not below"),
    ],
    ids=[
        "syntax",
        "import",
        "empty",
        "check",
        "name",
        "convert",
        "hang",
        "hang at import",
        "exit",
        "declaration",
    ],
)
async def test_a_broken_version_is_refused_and_the_old_one_keeps_serving(
    tmp_path: Path, content: str, why: str
) -> None:
    (tmp_path / "probe.py").write_text(probe(2))
    async with pool_on(tmp_path, deadline=0.4) as pool:
        plan, generation = pool.registry.plan("probe"), pool.registry.generation
        (tmp_path / "probe.py").write_text(content)
        await until(lambda: status(pool, "probe").error != "")
        assert why in status(pool, "probe").error
        assert status(pool, "probe").state == "active"
        assert pool.registry.generation == generation
        assert pool.registry.plan("probe") == plan
        assert await value(pool, "probe", 10) == 20
        # and when it is mended, it serves
        (tmp_path / "probe.py").write_text(probe(4))
        await until(lambda: pool.registry.plan("probe") != plan)
        assert await value(pool, "probe", 10) == 40
        assert status(pool, "probe").error == ""


async def test_a_growers_library_wins_over_a_shipped_one_until_it_is_deleted(tmp_path: Path) -> None:
    async with pool_on(tmp_path) as pool:
        shipped = pool.registry.plan("ds18b20")
        assert status(pool, "ds18b20").shipped
        (tmp_path / "ds18b20.py").write_text(probe(2, name="ds18b20", type="ds18b20"))
        await until(lambda: not status(pool, "ds18b20").shipped)
        assert await value(pool, "ds18b20", 160) == 320
        (tmp_path / "ds18b20.py").unlink()
        await until(lambda: status(pool, "ds18b20").shipped)
        assert pool.registry.plan("ds18b20") == shipped
        assert await value(pool, "ds18b20", 160) == 10


async def test_a_growers_library_of_another_name_takes_a_shipped_type(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(probe(2, name="mine", type="ds18b20"))
    async with pool_on(tmp_path) as pool:
        info = pool.registry.resolve("ds18b20")
        assert info is not None
        assert info.library == "mine"
        assert "ds18b20 (mine)" in status(pool, "ds18b20").error


async def test_a_broken_library_of_a_grower_leaves_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "ds18b20.py").write_text("def\n")
    async with pool_on(tmp_path) as pool:
        assert status(pool, "ds18b20").shipped
        assert "SyntaxError" in status(pool, "ds18b20").error
        assert await value(pool, "ds18b20", 160) == 10


async def test_a_file_that_never_worked_is_shown_as_failed(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text("1/0")
    (tmp_path / "_draft.py").write_text("1/0")
    os.mkfifo(tmp_path / "pipe.py")
    async with pool_on(tmp_path) as pool:
        failed = [s for s in pool.registry.describe() if s.state == "failed"]
        assert [s.name for s in failed] == ["probe"]
        assert "ZeroDivisionError" in failed[0].error
        assert "line 1" in failed[0].error


async def test_a_saved_file_gives_a_library_that_was_set_aside_a_new_chance(tmp_path: Path) -> None:
    bad = probe(2).replace(
        "return", "1 / (raw != 666).all().astype(int)\n    if 666 in raw: raise ValueError\n    return"
    )
    (tmp_path / "probe.py").write_text(bad)
    async with pool_on(tmp_path, breaker_failures=1) as pool:
        await value(pool, "probe", 666)
        assert status(pool, "probe").state == "set_aside"
        os.utime(tmp_path / "probe.py", (1, 1))
        await until(lambda: status(pool, "probe").state == "active")
        assert await value(pool, "probe", 10) == 20


async def test_many_reloads_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(probe(1))
    async with pool_on(tmp_path) as pool:
        files = len(os.listdir("/proc/self/fd"))
        plan = oldest = pool.registry.plan("probe")
        for factor in range(2, 8):
            (tmp_path / "probe.py").write_text(probe(factor))
            await pool.reload()
            assert pool.registry.plan("probe") != plan
            plan = pool.registry.plan("probe")
        assert len(os.listdir("/proc/self/fd")) == files
        columns = await pool.convert([oldest], np.zeros(1, np.int64), np.array([1.0]))
        assert columns.failed == 1
        assert "renew the plan" in columns.reasons[0]


async def test_an_unchanged_copy_of_a_shipped_library_may_come_and_go(tmp_path: Path) -> None:
    async with pool_on(tmp_path) as pool:
        shipped = Path(status(pool, "ds18b20").path)
        (tmp_path / "ds18b20.py").write_bytes(await trio.Path(shipped).read_bytes())
        await pool.reload()
        assert (status(pool, "ds18b20").shipped, status(pool, "ds18b20").path) == (
            False,
            str(tmp_path / "ds18b20.py"),
        )
        (tmp_path / "ds18b20.py").unlink()
        await pool.reload()
        assert (status(pool, "ds18b20").shipped, status(pool, "ds18b20").path) == (True, str(shipped))
        assert await value(pool, "ds18b20", 160) == 10
