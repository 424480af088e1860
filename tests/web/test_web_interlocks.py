"""Interlocks and couplings over HTTP: in force when answered, and refused where they make no sense."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rig.desk import ESP, Desk, open_desk

OTHER = "ESP_77EE66FF"
INTERLOCKS = "/api/v1/interlocks"
COUPLINGS = "/api/v1/couplings"


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, connect) as desk:
        yield desk


def command(esp_id: str, gpio: int = 18) -> str:
    return f"/api/v1/actuators/{esp_id}/{gpio}/command"


async def test_two_that_must_never_run_together_do_not(desk: Desk) -> None:
    for esp_id in (ESP, OTHER):
        await desk.new_esp(esp_id)
        await desk.actuator(esp_id=esp_id)
    body = {"kind": "exclusive", "a": f"{ESP}:18", "b": {"esp_id": OTHER, "gpio": 18}, "name": "heat or vent"}
    made = await desk.post(INTERLOCKS, body, status=201)
    assert made["text"] == f"{ESP}:18 and {OTHER}:18 never run together"
    assert (made["a"], made["kind"], made["name"]) == (
        {"esp_id": ESP, "gpio": 18},
        "exclusive",
        "heat or vent",
    )

    await desk.post(command(ESP), {"command": "ON"})
    refused = await desk.post(command(OTHER), {"command": "ON"}, status=409)
    assert refused["error"]["details"]["refusal"] == "INTERLOCK"
    assert f"{ESP}:18" in refused["detail"]

    (shown,) = (await desk.get(INTERLOCKS))["data"]
    assert shown["id"] == made["id"]
    gone = await desk.delete(f"{INTERLOCKS}/{made['id']}")
    assert gone["text"] == made["text"]
    assert (await desk.post(command(OTHER), {"command": "ON"}))["acknowledged"]
    assert (await desk.delete(f"{INTERLOCKS}/{made['id']}", status=404))["error"]["code"] == "NOT_FOUND"


async def test_one_that_needs_another_runs_only_while_it_does(desk: Desk) -> None:
    esp = await desk.new_esp()
    for gpio in (18, 19):
        await desk.actuator(gpio)
    made = await desk.post(INTERLOCKS, {"kind": "Requires", "a": f"{ESP}:18", "b": f"{ESP}:19"}, status=201)
    assert made["text"] == f"{ESP}:19 runs only while {ESP}:18 does"

    await desk.post(command(ESP, 19), {"command": "ON"}, status=409)
    await desk.post(command(ESP, 18), {"command": "ON"})
    assert (await desk.post(command(ESP, 19), {"command": "ON"}))["acknowledged"]
    await desk.post(command(ESP, 18), {"command": "OFF"})
    await desk.until(lambda: not esp.outputs.on(19))


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({}, 400, "kind: is missing"),
        ({"kind": "friends", "a": f"{ESP}:18", "b": f"{ESP}:19"}, 400, "exclusive"),
        ({"kind": "exclusive", "a": f"{ESP}:18", "b": ESP}, 400, "b: is"),
        ({"kind": "exclusive", "a": {"esp_id": ESP}, "b": f"{ESP}:19"}, 400, "a: is"),
        ({"kind": "exclusive", "a": f"{ESP}:18", "b": f"{ESP}:18"}, 400, "same actuator twice"),
        ({"kind": "exclusive", "a": f"{ESP}:21", "b": f"{ESP}:20"}, 409, "says the same"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    desk: Desk, body: dict[str, Any], status: int, why: str
) -> None:
    await desk.post(INTERLOCKS, {"kind": "exclusive", "a": f"{ESP}:20", "b": f"{ESP}:21"}, status=201)
    said = await desk.post(INTERLOCKS, body, status=status)
    assert why in said["detail"]
    assert len((await desk.get(INTERLOCKS))["data"]) == 1


async def test_what_an_actuator_moves_is_said_once_and_taken_back(desk: Desk) -> None:
    body = {
        "actuator": f"{ESP}:18",
        "sensors": [f"{ESP}:68/sht31_temp", {"esp_id": OTHER, "gpio": 4, "address": "28FF"}],
    }
    made = await desk.post(COUPLINGS, body, status=201)
    assert made["text"] == f"{ESP}:18 moves {ESP}:68/sht31_temp, {OTHER}:4@28FF"
    await desk.post(COUPLINGS, {**body, "sensors": [f"{ESP}:68/sht31_humidity"]}, status=201)

    (shown,) = (await desk.get(COUPLINGS))["data"]
    assert shown["actuator"] == {"esp_id": ESP, "gpio": 18}
    assert shown["sensors"] == [{"esp_id": ESP, "gpio": 68, "sensor_type": "sht31_humidity", "address": None}]
    await desk.delete(f"{COUPLINGS}/{ESP}/18")
    assert (await desk.get(COUPLINGS))["count"] == 0
    assert (await desk.delete(f"{COUPLINGS}/{ESP}/18", status=404))["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"actuator": f"{ESP}:18", "sensors": []}, "sensors"),
        ({"actuator": f"{ESP}:18", "sensors": [f"{ESP}:68", 4]}, "sensors[1]: is"),
        ({"actuator": f"{ESP}:18/sht31_temp", "sensors": [f"{ESP}:68"]}, "actuator: is"),
    ],
)
async def test_a_coupling_names_an_actuator_and_sensors(desk: Desk, body: dict[str, Any], why: str) -> None:
    said = await desk.post(COUPLINGS, body, status=400)
    assert why in said["detail"]
