"""`growyd doctor`: what is wrong comes first with its cure, with a daemon and without one."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result
from rig.desk import Desk, open_desk

from growy.cli import main
from growy.cli.exits import ExitCode
from growy.config import StoreConfig
from growy.store import open_store

Run = Callable[..., Awaitable[Result]]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GROWY")]:
        monkeypatch.delenv(name)


def doctor(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def broker_port() -> Iterator[int]:
    """A port at which somebody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def settings(folder: Path, broker_port: int, more: str = "") -> Path:
    file = folder / "growyd.toml"
    file.write_text(
        f'broker = "mqtt://127.0.0.1:{broker_port}"\n[node]\ndata_dir = "{folder / "data"}"\n[web]\nport = 0\n{more}'
    )
    file.chmod(0o600)
    return file


def open_to_all(folder: Path) -> None:
    """Everyone may pass it, and what is above it, which pytest makes for its user alone."""
    for one in (folder, *folder.parents):
        mode = one.stat().st_mode
        if not mode & 0o001:
            one.chmod(mode | 0o055)


# -- without a daemon


async def stored(folder: Path) -> None:
    async with open_store(StoreConfig(min_free_mb=0), folder):
        pass


def test_without_a_daemon_it_says_so_and_how_to_start_it_and_looks_at_the_rest(
    tmp_path: Path, broker_port: int
) -> None:
    trio.run(stored, tmp_path / "data")

    done = doctor("--config", settings(tmp_path, broker_port))

    first, cure, *rest = done.stdout.splitlines()
    assert done.exit_code == 2
    assert first.startswith("red")
    assert "growyd does not run" in first
    assert f"unix socket {tmp_path}/data/growyd.sock" in first
    assert "systemctl start growyd" in cure
    said = "\n".join(rest)
    assert f"127.0.0.1:{broker_port} answers" in said
    assert "growy.db is sound" in said
    assert "series.db is sound" in said
    assert "No backup" in said


def test_as_json_it_is_what_the_daemon_would_answer(tmp_path: Path, broker_port: int) -> None:
    trio.run(stored, tmp_path / "data")

    said = json.loads(doctor("--config", settings(tmp_path, broker_port), "--json").stdout)

    assert (said["success"], said["running"], said["level"]) == (True, False, "red")
    assert said["counts"]["red"] == sum(one["level"] == "red" for one in said["findings"])
    assert {key for one in said["findings"] for key in one} == {"area", "code", "level", "message", "cure"}


def test_a_broker_that_nobody_answers_at_is_red(tmp_path: Path, broker_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = int(server.getsockname()[1])

    said = json.loads(doctor("--config", settings(tmp_path, closed), "--json").stdout)

    found = {one["code"]: one for one in said["findings"]}
    assert found["broker_disconnected"]["level"] == "red"
    assert "refused" in found["broker_disconnected"]["message"]


def test_settings_that_everyone_may_read_are_told(tmp_path: Path, broker_port: int) -> None:
    file = settings(tmp_path, broker_port)
    open_to_all(tmp_path)
    file.chmod(0o644)

    said = json.loads(doctor("--config", file, "--json").stdout)

    (found,) = [one for one in said["findings"] if one["code"] == "file_readable"]
    assert found["cure"] == f"chmod 640 {file}"


def test_faults_in_the_settings_are_a_finding_with_all_of_them(tmp_path: Path, broker_port: int) -> None:
    done = doctor(
        "--config", settings(tmp_path, broker_port, '[log]\nlevel = "loud"\n[store]\nmin_free_mb = -1\n')
    )

    assert done.exit_code == 2
    assert done.stdout.startswith("red")
    assert "log.level" in done.stdout
    assert "store.min_free_mb" in done.stdout
    assert "growyd config check" in done.stdout


def test_a_daemon_elsewhere_that_does_not_answer_is_no_reason_to_look_here() -> None:
    done = doctor("--url", "http://127.0.0.1:1")
    assert (done.exit_code, done.stdout) == (ExitCode.UNREACHABLE, "")


# -- with one


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def run(desk: Desk) -> Run:
    async def run(*arguments: str) -> Result:
        invoke = partial(
            CliRunner().invoke, main, [*arguments, "--url", desk.url], env=desk.env, catch_exceptions=False
        )
        return await trio.to_thread.run_sync(invoke)

    return run


async def test_amber_ends_with_1_and_the_worst_comes_first(desk: Desk, run: Run) -> None:
    done = await run("doctor")

    lines = [line for line in done.stdout.splitlines() if line and not line.startswith(" ")]
    assert done.exit_code == 1
    assert lines[0].split()[:2] == ["amber", "devices"]
    assert {line.split()[0] for line in lines[1:-1]} == {"green"}
    assert lines[-1] == f"0 red, 1 amber, {len(lines) - 2} green"


async def test_red_ends_with_2(desk: Desk, run: Run) -> None:
    await desk.control.stop(reason="smoke", by="user:ann")

    done = await run("doctor")

    assert done.exit_code == 2
    assert done.stdout.startswith("red")
    assert "everything by user:ann (smoke)" in done.stdout


async def test_all_green_ends_with_0(desk: Desk, run: Run) -> None:
    await desk.new_esp(beat={"ts": int(time.time())})
    await desk.until(lambda: desk.fleet.statistics().heartbeats > 0)

    done = await run("doctor")

    assert (done.exit_code, "0 red, 0 amber" in done.stdout) == (0, True), done.stdout


async def test_what_a_device_is_called_cannot_move_the_cursor(desk: Desk, run: Run) -> None:
    await desk.control.stop(reason="\x1b[2J", by="user:ann")

    done: Any = await run("doctor")

    assert "\x1b" not in done.stdout


async def test_one_who_is_not_let_in_is_told_so_and_not_that_nothing_runs(
    desk: Desk, tmp_path: Path, broker_port: int
) -> None:
    file = tmp_path / "growyd.toml"
    port = desk.url.rpartition(":")[2]
    file.write_text(
        f'broker = "mqtt://127.0.0.1:{broker_port}"\n[node]\ndata_dir = "{tmp_path}"\n'
        f'[web]\nport = {port}\nsocket = "-"\n'
    )

    done = await trio.to_thread.run_sync(partial(doctor, "--config", file))

    assert "growyd does not run" not in done.stdout
    assert "growyd could not be asked" in done.stdout
    assert "sudo -u growy growyd doctor" in done.stdout
    assert "GB free" in done.stdout or "MB free" in done.stdout, "what can be seen without it is looked at"
