"""`growyd actuators`, `growyd set` and `growyd interlocks` against the API, with devices that answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import click
import pytest
import trio
from click.testing import CliRunner, Result
from rig.desk import ESP, Desk, open_desk

from growy.cli import main
from growy.cli.actuators import Wanted, output, span, wanted
from growy.cli.exits import ExitCode

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def run(desk: Desk) -> Run:
    """A command in a thread of its own: it blocks, and the daemon must answer meanwhile."""

    async def invoke(*arguments: object) -> Result:
        words = [*map(str, arguments), "--url", desk.url]
        return await trio.to_thread.run_sync(
            partial(CliRunner(env=desk.env).invoke, main, words, catch_exceptions=False)
        )

    return invoke


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("on", Wanted("ON")),
        ("OFF", Wanted("OFF")),
        ("auto", Wanted("AUTO")),
        ("Toggle", Wanted("TOGGLE")),
        ("35%", Wanted("PWM", 0.35)),
        ("0.35", Wanted("PWM", 0.35)),
        ("1", Wanted("PWM", 1.0)),
        ("0", Wanted("OFF")),
        ("0%", Wanted("OFF")),
    ],
)
def test_values_are_words_percentages_or_shares(said: str, meant: Wanted) -> None:
    assert wanted(said) == meant


@pytest.mark.parametrize("said", ["", "maybe", "101%", "1.01", "-1", "nan", "inf", "35 %%"])
def test_what_is_no_value(said: str) -> None:
    with pytest.raises(click.BadParameter, match="toggle"):
        wanted(said)


def test_outputs_and_spans_are_short() -> None:
    assert [output(value) for value in (None, 0.0, 1.0, 0.354)] == [None, "off", "on", "35%"]
    assert [span(seconds) for seconds in (None, 0, 119.6, 600, 9000)] == [
        None,
        "0 s",
        "120 s",
        "10 min",
        "2.5 h",
    ]


async def test_actuators_are_switched_and_listed_with_the_reason(desk: Desk, run: Run) -> None:
    esp = await desk.new_esp()
    assert "No actuator is set up" in (await run("actuators")).output
    await desk.actuator()
    await desk.actuator(25, "pwm")
    idle = (await run("actuators")).output.splitlines()
    assert idle[0].split() == ["device", "gpio", "name", "kind", "is", "why", "lease", "today"]
    assert "nobody claims it" in idle[1]

    done = await run("set", ESP, 18, "on", "--for", "10m", "--wait")
    assert (done.exit_code, done.output) == (
        ExitCode.OK,
        f"relay 18 ({ESP}:18) is on, as its device has said\n",
    )
    done = await run("set", ESP, 25, "40%", "--wait")
    assert (done.exit_code, esp.outputs.pwm(25)) == (ExitCode.OK, 102)

    relay, pwm = (await run("actuators", ESP)).output.splitlines()[1:]
    assert ("on" in relay.split(), "key:tests wants on for" in relay) == (True, True)
    assert ("40%" in pwm.split(), "wants 40 %" in pwm) == (True, True)
    assert [one["gpio"] for one in json.loads((await run("actuators", "--json")).output)] == [18, 25]
    assert "on ESP_77EE66FF" in (await run("actuators", "ESP_77EE66FF")).output

    done = await run("set", ESP, 18, "auto", "--wait")
    assert (done.exit_code, "Rules and schedules" in done.output) == (ExitCode.OK, True)
    await desk.until(lambda: not esp.outputs.on(18))


async def test_what_is_not_confirmed_is_no_success_for_who_waits(desk: Desk, run: Run) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    esp.outputs.deaf = True
    told = await run("set", ESP, 18, "on")
    assert (told.exit_code, "not answered" in told.output) == (ExitCode.OK, True)

    esp.outputs.deaf, esp.outputs.refuses = False, True
    await desk.actuator(19)
    waited = await run("set", ESP, 19, "on", "--wait")
    assert (waited.exit_code, "Driver failed" in waited.output) == (ExitCode.FAILED, True)


async def test_what_the_gate_refuses_is_told_with_the_cure(desk: Desk, run: Run) -> None:
    await desk.new_esp()
    await desk.actuator(cooldown_s=600)
    for value in ("on", "off"):
        assert (await run("set", ESP, 18, value, "--wait")).exit_code == ExitCode.OK
    done = await run("set", ESP, 18, "on")
    assert done.exit_code == ExitCode.FAILED
    assert "must stay off" in done.stderr
    assert "[SAFETY_REJECTED]" in done.stderr
    assert (await run("set", ESP, 18, "sometimes")).exit_code == ExitCode.CONFIG
    gone = await run("set", "ESP_77EE66FF", 18, "on")
    assert (gone.exit_code, "[ESP_NOT_FOUND]" in gone.stderr) == (ExitCode.FAILED, True)


async def test_a_refusal_in_the_list_has_its_cure_below(desk: Desk, run: Run) -> None:
    await desk.new_esp()
    await desk.actuator(default_state=True)
    await desk.control.stop(reason="flood", by="test")
    shown = (await run("actuators")).output
    assert "emergency stop: flood" in shown
    assert shown.rstrip().endswith("Clear the emergency stop")


async def test_interlocks_are_made_listed_and_taken_away(desk: Desk, run: Run) -> None:
    assert "No interlocks" in (await run("interlocks", "list")).output
    done = await run("interlocks", "add", "exclusive", f"{ESP}:18", f"{ESP}:19", "--name", "heat or vent")
    assert done.exit_code == ExitCode.OK, done.stderr
    assert done.output.startswith(f"{ESP}:18 and {ESP}:19 never run together [")
    (made,) = json.loads((await run("interlocks", "list", "--json")).output)
    row = (await run("interlocks", "list")).output.splitlines()[1]
    assert ("heat or vent" in row, made["id"] in row) == (True, True)

    twice = await run("interlocks", "add", "exclusive", f"{ESP}:19", f"{ESP}:18")
    assert (twice.exit_code, "says the same" in twice.stderr) == (ExitCode.FAILED, True)
    assert (await run("interlocks", "add", "friends", f"{ESP}:19", f"{ESP}:18")).exit_code == ExitCode.CONFIG
    assert (await run("interlocks", "rm", made["id"])).output.startswith("Gone: ")
    assert (await run("interlocks", "rm", made["id"])).exit_code == ExitCode.FAILED
