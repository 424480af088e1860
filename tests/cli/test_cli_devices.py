"""`growyd devices` against the API, with devices that answer: what a person decides, sees and is told to do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result
from rig.desk import ESP, Desk, open_desk

from growy.cli import main
from growy.cli.exits import ExitCode

ROM, OTHER_ROM = "28FF641E8D3C0CDA", "28AA112233445535"
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def run(desk: Desk) -> Run:
    """A command in a thread of its own: it blocks, and the daemon must answer meanwhile."""

    async def invoke(*arguments: object, input: str | None = None) -> Result:
        words = ["devices", *map(str, arguments), "--url", desk.url]
        return await trio.to_thread.run_sync(
            partial(CliRunner(env=desk.env).invoke, main, words, input=input, catch_exceptions=False)
        )

    return invoke


async def sensor(desk: Desk, **more: Any) -> Any:
    from growy.model.setup import SensorSetup

    fields = {"id": "a", "gpio": 34, "sensor_type": "ph", "name": "Tank"}
    setup, _ = await desk.fleet.set_sensor(ESP, SensorSetup(**{**fields, **more}))
    return setup


async def test_devices_are_listed_with_and_without_the_word(desk: Desk, run: Run) -> None:
    await desk.fleet.register(ESP, by="test", name="Bench A")
    bare, named = await run(), await run("list")

    assert bare.exit_code == ExitCode.OK, bare.output
    assert bare.output == named.output
    columns, row = bare.output.splitlines()
    assert columns.split()[:3] == ["device", "status", "online"]
    assert ESP in row
    assert "Bench A" in row
    assert (await run("list", "--zone", "nowhere")).output.startswith("No device fits")
    assert json.loads((await run("--json")).output)[0]["device_id"] == ESP


async def test_options_of_a_subcommand_stand_behind_it(desk: Desk) -> None:
    words = ["devices", "--url", desk.url, "show", ESP]
    done = await trio.to_thread.run_sync(partial(CliRunner(env=desk.env).invoke, main, words))

    assert done.exit_code == ExitCode.CONFIG
    assert "growyd devices show" in done.output


async def test_a_device_is_let_in_refused_and_given_up(desk: Desk, run: Run) -> None:
    await desk.new_esp()
    await desk.fleet.set_pending(ESP, by="test")
    assert f"growyd devices approve {ESP}" in (await run("show", ESP)).output

    done = await run("approve", ESP, "--name", "Bench A", "--zone", "tent")
    assert (done.exit_code, done.output) == (ExitCode.OK, f"{ESP} is approved\n")
    assert desk.fleet.need(ESP).record.zone.zone_id == "tent"
    done = await run("reject", ESP, "--reason", "not ours")
    assert (done.exit_code, desk.fleet.need(ESP).record.reason) == (ExitCode.OK, "not ours")
    assert (await run("reject", ESP)).exit_code == ExitCode.CONFIG

    assert (await run("delete", ESP, input="n\n")).exit_code == ExitCode.FAILED
    assert desk.fleet.need(ESP).status != "deleted"
    done = await run("delete", ESP, "--yes")
    assert (done.exit_code, done.output) == (ExitCode.OK, f"{ESP} is deleted\n")
    assert desk.fleet.need(ESP).status == "deleted"


async def test_a_device_is_put_into_a_zone_and_out_of_it(desk: Desk, run: Run) -> None:
    esp = await desk.new_esp()
    done = await run("zone", ESP, "tent", "--name", "The tent")
    assert done.exit_code == ExitCode.OK, done.output
    assert (esp.zone_id, desk.fleet.need(ESP).record.zone.zone_name) == ("tent", "The tent")
    done = await run("zone", ESP, "")
    assert (done.exit_code, esp.zone_id) == (ExitCode.OK, "")


async def test_show_tells_what_is_set_up_what_it_measured_and_what_to_do(desk: Desk, run: Run) -> None:
    esp = await desk.new_esp()
    esp.config_failures = [{"type": "sensor", "gpio": 34, "error_code": 1041, "error": "CONFIG_FAILED"}]
    setup = await sensor(desk)
    await desk.fleet.settled(ESP, [setup.key], 10)
    await desk.heard("ph", 1861, gpio=34)
    shown = (await run("show", ESP)).output

    assert shown.startswith(f"{ESP} is online\n")
    assert "192.168.4.23" in shown
    reading = next(line for line in shown.splitlines() if line.startswith("ph "))
    assert reading.split()[:5] == ["ph", "34", "34", "7", "pH"]
    item = next(line for line in shown.splitlines() if line.startswith("sensor "))
    assert "failed" in item
    assert "sensor ph at 34 failed: 1041: CONFIG_FAILED" in shown
    assert "check its wiring" in shown


async def test_config_waits_until_the_device_has_answered_for_all(desk: Desk, run: Run) -> None:
    await desk.new_esp()
    await sensor(desk)
    done = await run("config", ESP, "--wait")

    assert done.exit_code == ExitCode.OK, done.output
    assert [line.split()[5] for line in done.output.splitlines() if line.startswith("sensor")] == ["applied"]
    before = len(desk.air.to(ESP, "config"))
    items = json.loads((await run("config", ESP, "--push", "--wait", "--json")).output)
    assert [(one["item"], one["what"], one["state"]) for one in items] == [("sensor", "ph", "applied")]
    assert len(desk.air.to(ESP, "config")) == before + 1


async def test_config_that_failed_or_is_pending_still_ends_with_1(desk: Desk, run: Run) -> None:
    esp = await desk.new_esp()
    esp.vanish()
    await sensor(desk)
    looked, waited = await run("config", ESP), await run("config", ESP, "--wait", "--for", "5s")

    assert (looked.exit_code, waited.exit_code) == (ExitCode.OK, ExitCode.FAILED)
    assert "when it comes back" in waited.output
    assert (await run("config", "ESP_77EE66FF")).exit_code == ExitCode.FAILED


async def test_a_device_with_nothing_on_it_says_so(desk: Desk, run: Run) -> None:
    await desk.fleet.register(ESP, by="test")
    assert (await run("config", ESP)).output == "Nothing is set up on it.\n"


async def test_a_sensor_is_measured(desk: Desk, run: Run) -> None:
    esp = await desk.new_esp(probes={34: 1861.0})
    setup = await sensor(desk)
    await desk.fleet.settled(ESP, [setup.key], 10)
    assert (await run("measure", ESP, 34)).output == "ph at 34: raw 1861, good\n"
    esp.mute = True
    done = await run("measure", ESP, 34, "--no-wait")
    assert (done.exit_code, "was asked" in done.output) == (ExitCode.OK, True)
    esp.vanish()
    done = await run("measure", ESP, 34)
    assert (done.exit_code, "[DEVICE_OFFLINE]" in done.stderr) == (ExitCode.FAILED, True)


async def test_a_bus_is_scanned(desk: Desk, run: Run) -> None:
    esp = await desk.new_esp(bus=(ROM, OTHER_ROM))
    await sensor(desk, gpio=4, sensor_type="ds18b20", onewire_address=ROM, name="Roots")
    lines = (await run("scan", ESP)).output.splitlines()

    assert [line.split() for line in lines[1:]] == [
        [ROM, "ds18b20", "4", "yes", "Roots"],
        [OTHER_ROM, "ds18b20", "4", "no", "-"],
    ]
    esp.bus = ()
    assert "Nothing answers on pin 5" in (await run("scan", ESP, "--pin", 5)).output
