"""`growyd rules` against the API: seen, added from a file, tried, replayed, switched off and on, deleted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
import trio
from click.testing import CliRunner, Result
from rig.desk import ESP, Desk, open_desk

from growy.cli import main
from growy.cli.exits import ExitCode
from growy.cli.rules import mock, moment, read

RULE: dict[str, Any] = {
    "name": "Vent",
    "conditions": [
        {"type": "sensor", "esp_id": ESP, "gpio": 34, "sensor_type": "ds18b20", "operator": ">", "value": 25},
        {"type": "time", "start_time": "08:00", "end_time": "20:00"},
    ],
    "logic_operator": "OR",
    "actions": [{"type": "actuator", "esp_id": ESP, "gpio": 18, "command": "ON"}],
    "cooldown_seconds": 0,
    "enabled": False,
}
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def run(desk: Desk) -> Run:
    """A command in a thread of its own: it blocks, and the daemon must answer meanwhile."""

    async def invoke(*arguments: object, input: str | None = None) -> Result:
        words = ["rules", *map(str, arguments), "--url", desk.url]
        return await trio.to_thread.run_sync(
            partial(CliRunner(env=desk.env).invoke, main, words, input=input, catch_exceptions=False)
        )

    return invoke


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vent.json"
    path.write_text(json.dumps(RULE))
    return path


async def measured(desk: Desk, celsius: float) -> None:
    await desk.heard("ds18b20", round(celsius * 16), gpio=34, onewire_address="28FF641E8D3C0CDA")


async def test_a_rule_is_added_from_a_file_listed_and_shown_so_that_it_can_be_added_again(
    run: Run, file: Path
) -> None:
    assert "growyd rules add" in (await run("list")).output
    done = await run("add", file)
    assert done.exit_code == ExitCode.OK, done.output
    assert done.output.startswith("Vent is a rule now [")
    assert "No actuator is set up" in done.stderr

    columns, row = (await run("list")).output.splitlines()
    assert columns.split()[:4] == ["rule", "enabled", "priority", "now"]
    assert row.split()[:4] == ["Vent", "no", "50", "-"]
    shown = await run("show", "vent")
    document = json.loads(shown.stdout)
    assert {name: document[name] for name in RULE} == RULE
    assert "It is disabled." in shown.stderr

    taken = await run("add", "-", input=shown.stdout)
    assert (taken.exit_code, "[DUPLICATE]" in taken.stderr) == (ExitCode.FAILED, True)
    other = await run("add", "-", input=json.dumps({**document, "name": "Vent 2"}))
    assert other.exit_code == ExitCode.OK, other.output
    assert len(json.loads((await run("list", "--json")).output)) == 2


async def test_what_is_wrong_with_a_rule_is_said(run: Run, tmp_path: Path) -> None:
    done = await run("add", "-", input=json.dumps({**RULE, "actions": []}))
    assert (done.exit_code, "actions: is empty" in done.stderr) == (ExitCode.FAILED, True)
    for text in ("{", "[]"):
        assert (await run("add", "-", input=text)).exit_code == ExitCode.CONFIG
    nowhere = await run("add", tmp_path / "nowhere.json")
    assert (nowhere.exit_code, "no such file" in nowhere.stderr) == (ExitCode.CONFIG, True)
    unknown = await run("show", "Sauna")
    assert (unknown.exit_code, "[RULE_NOT_FOUND]" in unknown.stderr) == (ExitCode.FAILED, True)


async def test_a_rule_is_switched_on_and_off_and_deleted(desk: Desk, run: Run, file: Path) -> None:
    await desk.new_esp()
    await desk.actuator()
    await measured(desk, 30)
    await run("add", file)
    assert (await run("enable", "Vent")).output == "Vent is now enabled\n"
    await desk.until(lambda: desk.control.states()[0].reported == 1.0)
    assert "holds" in (await run("list")).output.splitlines()[1]
    assert "Now: holds" in (await run("show", "Vent")).stderr

    (record,) = desk.control.book.records()
    assert (await run("disable", record.rule.id, "--reason", "repair")).output == "Vent is now disabled\n"
    await desk.until(lambda: desk.control.states()[0].reported == 0.0)
    assert (await run("rm", "Vent", input="n\n")).exit_code == ExitCode.FAILED
    assert (await run("rm", "Vent", "--yes")).output == "Vent is deleted\n"
    assert desk.control.book.records() == []


async def test_a_rule_is_tried_on_made_up_values_at_a_made_up_time(desk: Desk, run: Run, file: Path) -> None:
    await desk.new_esp()
    await desk.actuator()
    await measured(desk, 20)
    await run("add", file)
    cold = await run("test", "Vent", "--at", "23:00")
    warm = await run("test", "Vent", "--at", "23:00", "--mock", f"{ESP}:34/ds18b20=30")
    stored = await run("test", "--file", file, "--at", "12:00")

    assert cold.output.startswith("Vent would not act.\n")
    assert warm.output.startswith("Vent would act.\n")
    assert stored.output.startswith("Vent would act.\n")
    rows = [line.split()[:3] for line in warm.output.splitlines() if line.startswith(("sensor", "time"))]
    assert rows == [["sensor", "true", "30"], ["time", "false", "-"]]
    assert json.loads((await run("test", "Vent", "--json")).output)["dry_run"] is True
    for wrong in ((), ("Vent", "--file", file), ("Vent", "--mock", "30")):
        assert (await run("test", *wrong)).exit_code == ExitCode.CONFIG


async def test_rules_are_replayed_into_a_table(desk: Desk, run: Run, file: Path) -> None:
    await desk.new_esp()
    await desk.actuator()
    begin = desk.bench.clock_ms
    for minute in range(30):
        desk.bench.clock_ms = begin + minute * 60_000
        await measured(desk, 30 if 10 <= minute < 20 else 20)
    file.write_text(json.dumps({**RULE, "conditions": RULE["conditions"][:1]}))
    # The tests' readings begin at midnight UTC.
    span = ("--from", "2026-01-01T00:00+00:00", "--to", "2026-01-01T00:30+00:00")
    done = await run("replay", "--file", file, *span)

    assert done.exit_code == ExitCode.OK, done.output
    head, _, columns, row = done.output.splitlines()[:4]
    assert "30 readings" in head
    assert columns.split() == ["rule", "acted", "held", "unknown"]
    assert row.split()[:4] == ["Vent", "1", "10", "min"]
    actuator = next(line for line in done.output.splitlines() if line.startswith(ESP))
    assert actuator.split()[:3] == [ESP, "18", "10"]
    assert any(line.startswith("Vent acted from") for line in done.output.splitlines())

    data = json.loads((await run("replay", "--file", file, *span, "--json")).output)
    assert data["readings"] == 30
    assert (await run("replay", "--last", "1h", "--from", "2026-01-01")).exit_code == ExitCode.CONFIG
    assert (await run("replay", "--from", "yesterday")).exit_code == ExitCode.CONFIG


def test_words_of_the_command_line(tmp_path: Path) -> None:
    assert mock("ESP_12AB34CD:4/sht31_temp=-3.5") == ("ESP_12AB34CD:4/sht31_temp", -3.5)
    for wrong in ("ESP_12AB34CD:4", "23", "ESP_12AB34CD:4=warm", "ESP_12AB34CD:4=nan"):
        with pytest.raises(click.BadParameter):
            mock(wrong)
    assert moment("2026-01-01T01:00+01:00") == 1_767_225_600
    broken = tmp_path / "broken.json"
    broken.write_bytes(b"\xff")
    with pytest.raises(click.BadParameter, match="UTF-8"):
        read(str(broken))
