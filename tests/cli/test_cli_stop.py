"""`growyd stop` and `growyd clear-stop`: stopping asks nothing and believes only proof; ending it must be meant."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result
from rig.desk import ESP, Desk, open_desk

from growy.cli import main
from growy.cli.exits import ExitCode

Run = Callable[..., Awaitable[Result]]
CLEAR = [sys.executable, "-m", "growy", "clear-stop", "--url", "http://127.0.0.1:1"]


def on_a_terminal(typed: str) -> tuple[int, str]:
    """`growyd clear-stop` at a terminal where somebody types that, and no daemon is anywhere."""
    master, slave = pty.openpty()
    with subprocess.Popen(CLEAR, stdin=slave, stdout=slave, stderr=subprocess.PIPE, text=True) as process:
        os.close(slave)
        os.write(master, f"{typed}\n".encode())
        _, errors = process.communicate(timeout=60)
    os.close(master)
    return process.returncode, errors


def test_ending_a_stop_takes_the_very_word_at_a_terminal() -> None:
    code, errors = on_a_terminal("yes")
    assert (code, "No daemon" in errors) == (ExitCode.FAILED, False)
    code, errors = on_a_terminal("clear")
    assert (code, "No daemon" in errors) == (ExitCode.UNREACHABLE, True)


def test_without_a_terminal_ending_a_stop_needs_yes() -> None:
    done = CliRunner().invoke(main, ["clear-stop", "--url", "http://127.0.0.1:1"], input="clear\n")
    assert (done.exit_code, "--yes" in done.stderr) == (ExitCode.CONFIG, True)
    done = CliRunner().invoke(main, ["clear-stop", "--yes", "--url", "http://127.0.0.1:1"])
    assert done.exit_code == ExitCode.UNREACHABLE


def test_a_stop_that_reaches_no_daemon_says_that_nothing_is_known_to_have_stopped() -> None:
    done = CliRunner().invoke(main, ["stop", "--url", "http://127.0.0.1:1"])

    assert done.exit_code == ExitCode.UNREACHABLE
    assert "NOT KNOWN TO BE STOPPED" in done.stderr


@pytest.mark.parametrize("command", ["stop", "clear-stop"])
def test_a_pin_of_no_device_is_wrong_use(command: str) -> None:
    done = CliRunner().invoke(main, [command, "--gpio", "18"])
    assert (done.exit_code, "--esp" in done.stderr) == (ExitCode.CONFIG, True)


# -- with devices


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def run(desk: Desk) -> Run:
    async def invoke(*arguments: object) -> Result:
        words = [*map(str, arguments), "--url", desk.url]
        return await trio.to_thread.run_sync(
            partial(CliRunner(env=desk.env).invoke, main, words, catch_exceptions=False)
        )

    return invoke


async def running(desk: Desk, esp_id: str = ESP) -> None:
    await desk.new_esp(esp_id)
    await desk.actuator(esp_id=esp_id)
    said = await trio.to_thread.run_sync(
        partial(
            CliRunner(env=desk.env).invoke, main, ["set", esp_id, "18", "on", "--wait", "--url", desk.url]
        )
    )
    assert said.exit_code == ExitCode.OK, said.output


async def test_stop_asks_nothing_and_tells_what_each_device_has_proven(desk: Desk, run: Run) -> None:
    for esp_id in (ESP, "ESP_77EE66FF"):
        await running(desk, esp_id)
    done = await run("stop", "--reason", "flood")

    assert done.exit_code == ExitCode.OK, done.output
    first, *proofs = done.output.splitlines()
    assert first.startswith("Emergency stop of everything is in force.")
    assert sorted(line.partition(": off, proven")[0] for line in proofs) == [ESP, "ESP_77EE66FF"]
    assert [state.reported for state in desk.control.states()] == [0.0, 0.0]
    assert [one.stop.reason for one in desk.control.stops()] == ["flood"]


async def test_stop_fails_while_a_device_that_is_there_has_proven_nothing(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("growy.cli.stop.PROVEN_WITHIN_S", 0.5)
    await running(desk)
    desk.air.esps[ESP].outputs.deaf = True
    done = await run("stop", "--esp", ESP)
    assert (done.exit_code, f"{ESP}: NOT PROVEN" in done.output) == (ExitCode.FAILED, True)

    desk.air.esps[ESP].outputs.deaf = False
    again = await run("stop", "--esp", ESP, "--gpio", 18, "--json")
    said = json.loads(again.output)
    assert (again.exit_code, said["stop"]["devices"][0]["state"]) == (ExitCode.OK, "proven")


async def test_a_device_that_is_away_does_not_count_as_stopped(desk: Desk, run: Run) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    esp.vanish()
    done = await run("stop")
    assert (done.exit_code, "told when it comes back" in done.output) == (ExitCode.FAILED, True)
    assert "NOBODY COULD BE TOLD" in done.output


async def test_a_stop_is_ended_with_yes(desk: Desk, run: Run) -> None:
    await running(desk)
    await run("stop")
    done = await run("clear-stop", "--yes", "--reason", "dry again")

    assert (done.exit_code, done.output.splitlines()[1]) == (ExitCode.OK, f"{ESP}: cleared: answer")
    assert desk.control.stops() == []
    again = await run("clear-stop", "--yes")
    assert (again.exit_code, again.output.splitlines()[0]) == (
        ExitCode.OK,
        "There is no such emergency stop",
    )


async def test_what_is_still_in_force_is_said(desk: Desk, run: Run) -> None:
    await running(desk)
    await run("stop", "--reason", "large")
    await run("stop", "--esp", ESP, "--reason", "small")
    done = await run("clear-stop", "--esp", ESP, "--yes")
    assert "still in force: everything: large" in done.stderr
    assert (await run("clear-stop", "--esp", ESP, "--yes")).exit_code == ExitCode.FAILED
