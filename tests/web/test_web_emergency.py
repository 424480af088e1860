"""The emergency stop over HTTP: in force at once, said to be proven only when it is, and ended only on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rig.desk import ESP, Desk, open_desk
from rig.live import events

OTHER = "ESP_77EE66FF"
STOP = "/api/v1/actuators/emergency_stop"
STOPS = "/api/v1/actuators/emergency"
CLEAR = "/api/v1/actuators/clear_emergency"
ACTUATOR = f"/api/v1/actuators/{ESP}/18"


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, connect) as desk:
        yield desk


async def test_everything_is_stopped_and_each_device_has_proven_it(desk: Desk) -> None:
    esps = [await desk.new_esp(), await desk.new_esp(OTHER)]
    for esp_id in (ESP, OTHER):
        await desk.actuator(esp_id=esp_id)
        await desk.post(f"/api/v1/actuators/{esp_id}/18/command", {"command": "ON"})
    said = await desk.post(f"{STOP}?wait=5", {"reason": "water on the floor"})

    assert (said["success"], said["devices_stopped"], said["actuators_stopped"]) == (True, 2, 2)
    assert not any(esp.outputs.on(18) for esp in esps)
    assert (said["reason"], said["warnings"], said["stop"]["durable"]) == ("water on the floor", [], True)
    assert [
        (one["esp_id"], one["actuators"][0]["success"], one["actuators"][0]["off"]) for one in said["details"]
    ] == [
        (ESP, True, True),
        (OTHER, True, True),
    ]
    shown = await desk.get(STOPS)
    assert (shown["active"], shown["count"], shown["stops"][0]["id"]) == (
        True,
        1,
        said["incident_correlation_id"],
    )
    assert {one["state"] for one in shown["stops"][0]["devices"]} == {"proven"}

    refused = await desk.post(f"{ACTUATOR}/command", {"command": "ON"}, status=409)
    assert refused["error"]["details"]["refusal"] == "EMERGENCY_STOP_ACTIVE"
    off = await desk.post(f"{ACTUATOR}/command", {"command": "OFF"})
    assert off["success"]
    assert (await desk.get(ACTUATOR))["emergency"] is True


async def test_without_waiting_nothing_is_said_to_be_proven(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    await desk.post(f"{ACTUATOR}/command", {"command": "ON"})
    esp.outputs.deaf = True
    said = await desk.post(STOP, {"reason": "smoke"})

    assert (said["success"], said["devices_stopped"], said["actuators_stopped"]) == (True, 0, 0)
    (device,) = said["stop"]["devices"]
    assert (device["state"], device["sent"], device["proof"]) == ("waiting", True, None)
    (actuator,) = said["details"][0]["actuators"]
    assert (actuator["success"], actuator["off"]) == (True, None)
    assert "not proven" in actuator["message"]

    # It is told again and again, until it hears.
    esp.outputs.deaf = False
    await desk.until(lambda: not esp.outputs.on(18))
    await desk.until(lambda: all(one.proven for one in desk.control.stops()))


async def test_a_stop_that_reaches_nobody_is_no_success_and_in_force_all_the_same(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    desk.air.cut = True
    said = await desk.post(STOP, {"reason": "test"})
    assert (said["success"], said["devices_told"]) == (False, 0)
    assert "NOBODY COULD BE TOLD" in said["message"]
    assert said["details"][0]["actuators"][0]["success"] is False
    assert (await desk.get(STOPS))["active"] is True
    desk.air.cut = False
    await desk.until(lambda: esp.outputs.board.emergency)


async def test_a_device_that_is_away_is_told_when_it_comes_back(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    esp.vanish()
    said = await desk.post(STOP, {"reason": "test", "esp_id": ESP})
    assert (said["success"], said["stop"]["devices"][0]["state"]) == (False, "offline")
    assert "comes back" in said["details"][0]["actuators"][0]["message"]

    esp.reappear()
    await desk.until(lambda: esp.outputs.board.emergency)
    await desk.until(lambda: desk.control.stops()[0].proven)
    assert (await desk.get(STOPS))["stops"][0]["devices"][0]["state"] == "proven"


async def test_one_actuator_is_stopped_and_its_neighbour_runs_on(desk: Desk) -> None:
    esp = await desk.new_esp()
    for gpio in (18, 19):
        await desk.actuator(gpio)
        await desk.post(f"/api/v1/actuators/{ESP}/{gpio}/command", {"command": "ON"})
    said = await desk.post(f"{STOP}?wait=5", {"reason": "pump leaks", "esp_id": ESP, "gpio": 18})

    assert (said["success"], said["stop"]["scope"], said["stop"]["text"]) == (
        True,
        "actuator",
        f"{ESP}:18, by key:tests: pump leaks",
    )
    assert (esp.outputs.on(18), esp.outputs.on(19)) == (False, True)
    assert [one["gpio"] for one in said["details"][0]["actuators"]] == [18]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "VALIDATION_ERROR"),
        ({"reason": ""}, 400, "VALIDATION_ERROR"),
        ({"reason": "x" * 501}, 400, "VALIDATION_ERROR"),
        ({"reason": "x", "gpio": 18}, 400, "VALIDATION_ERROR"),
        ({"reason": "x", "esp_id": "ESP_NOBODY"}, 404, "ESP_NOT_FOUND"),
        ({"reason": "x", "esp_id": ESP, "gpio": 18}, 404, "ACTUATOR_NOT_FOUND"),
    ],
)
async def test_a_stop_of_what_is_not_there_stops_nothing_and_says_so(
    desk: Desk, body: dict[str, Any], status: int, code: str
) -> None:
    await desk.fleet.register(ESP, by="test")
    for path in (STOP, STOP.replace("_", "-")):
        assert (await desk.post(path, body, status=status))["error"]["code"] == code
    assert (await desk.get(STOPS))["active"] is False


async def test_a_stop_is_ended_on_purpose_and_devices_switch_again(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    await desk.post(f"{STOP}?wait=5", {"reason": "test"})
    said = await desk.post(CLEAR, {"reason": "all dry"})

    assert (said["success"], said["devices_cleared"], said["remaining"]) == (True, 1, [])
    assert said["details"] == [{"esp_id": ESP, "state": "cleared", "reason": "answer"}]
    assert "everything" in said["message"]
    assert (await desk.get(STOPS))["stops"] == []
    assert not esp.outputs.board.emergency
    assert (await desk.post(f"{ACTUATOR}/command", {"command": "ON"}))["acknowledged"]


async def test_ending_a_small_stop_does_not_end_the_large_one(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator()
    await desk.post(STOP, {"reason": "large"})
    await desk.post(f"{STOP}?wait=5", {"reason": "small", "esp_id": ESP})
    said = await desk.post(CLEAR.replace("_", "-"), {"esp_id": ESP})

    assert [one["text"] for one in said["remaining"]] == ["everything: large"]
    assert "Still in force: everything" in said["message"]
    again = await desk.post(CLEAR, {"esp_id": ESP})
    assert (again["success"], again["details"]) == (False, [])
    assert "stopped by something else" in again["message"]
    assert (await desk.get(ACTUATOR))["why"]["code"] in (None, "EMERGENCY_STOP_ACTIVE")
    assert (await desk.post(f"{ACTUATOR}/command", {"command": "ON"}, status=409))["error"][
        "code"
    ] == "SAFETY_REJECTED"


async def test_there_is_nothing_to_end(desk: Desk) -> None:
    said = await desk.post(CLEAR, {})
    assert (said["success"], said["message"]) == (True, "There is no such emergency stop")


async def test_those_who_watch_are_told(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator()
    feed = desk.hub.join("test", lambda: None)
    said = await desk.post(f"{STOP}?wait=5", {"reason": "test"})
    told = events(desk.hub, feed)
    desk.hub.leave(feed)

    incident = said["incident_correlation_id"]
    (alert,) = [
        one for one in told if one.get("correlation_id") == incident
    ]  # devices raise alerts of their own
    assert (alert["type"], alert["data"]["alert_type"]) == ("actuator_alert", "emergency_stop")
    assert "emergency_progress" in [one["type"] for one in told]
