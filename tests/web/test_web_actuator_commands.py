"""Actuators switched over HTTP: what is answered is what the device has done, and nobody is told more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from rig.desk import ESP, Desk, open_desk
from rig.live import events

from growy.model.control import ActuatorKey

ACTUATOR = f"/api/v1/actuators/{ESP}/18"
PWM = f"/api/v1/actuators/{ESP}/25"
KEY = ActuatorKey(ESP, 18)


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, connect) as desk:
        yield desk


async def test_an_actuator_is_switched_and_its_device_has_said_so(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    said = await desk.post(f"{ACTUATOR}/command", {"command": "on"})

    assert (said["success"], said["command_sent"], said["acknowledged"]) == (True, True, True)
    assert (said["command"], said["value"], said["command_state"]) == ("ON", 1.0, "acknowledged")
    assert (said["state"]["value"], said["state"]["is_active"], said["state"]["mode"]) == (
        1.0,
        True,
        "digital",
    )
    assert said["state"]["why"]["rank"] == "person"
    assert esp.outputs.on(18)
    (told,) = [one for one in desk.air.to(ESP, "actuator/18/command") if one["command"] == "ON"]
    assert 1 <= told["duration"] <= 90

    said = await desk.post(f"{ACTUATOR}/command", {"command": "OFF"})
    assert (said["acknowledged"], said["state"]["is_active"], esp.outputs.on(18)) == (True, False, False)


@pytest.mark.parametrize(
    ("body", "step"),
    [
        ({"command": "PWM", "value": 0.4}, 102),
        ({"command": "pwm", "value": 102}, 102),
        ({"command": "ON", "value": 0.4}, 102),
        ({"command": "ON"}, 255),
        ({"command": "on", "value": 255}, 255),
        ({"command": "TOGGLE"}, 255),
        ({"command": "PWM", "value": 0}, 0),
    ],
)
async def test_values_of_a_pwm_are_shares_or_eight_bits(desk: Desk, body: dict[str, Any], step: int) -> None:
    esp = await desk.new_esp()
    await desk.actuator(25, "pwm")
    said = await desk.post(f"{PWM}/command", body)

    assert said["acknowledged"], said
    assert esp.outputs.pwm(25) == step
    assert said["state"]["value"] == pytest.approx(step / 255, abs=0.005)
    assert said["state"]["mode"] == "pwm"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "command: is missing"),
        ({"command": "EXPLODE"}, "command"),
        ({"command": "ON", "value": 0}, "OFF"),
        ({"command": "PWM", "value": 2.5}, "2.5"),
        ({"command": "PWM", "value": 256}, "value"),
        ({"command": "PWM", "value": -1}, "value"),
        ({"command": "ON", "duration": 86_401}, "duration"),
        ({"command": "ON", "duration": -1}, "duration"),
    ],
)
async def test_what_cannot_be_meant_is_refused(desk: Desk, body: dict[str, Any], why: str) -> None:
    await desk.fleet.register(ESP, by="test")
    await desk.post(ACTUATOR, {"actuator_type": "pwm"})
    said = await desk.post(f"{ACTUATOR}/command", body, status=400)

    assert said["error"]["code"] == "VALIDATION_ERROR"
    assert why in str(said["error"])


async def test_a_device_that_does_not_answer_is_not_said_to_have(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    esp.outputs.deaf = True
    said = await desk.post(f"{ACTUATOR}/command?wait=0.1", {"command": "ON"})

    assert (said["success"], said["command_sent"], said["acknowledged"]) == (True, True, False)
    assert (said["command_state"], said["state"]["is_active"]) == ("sent", False)
    assert "not answered" in said["message"]


async def test_what_the_device_refuses_is_no_success(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    esp.outputs.refuses = True
    said = await desk.post(f"{ACTUATOR}/command", {"command": "ON"})

    assert (said["success"], said["acknowledged"], said["command_state"]) == (False, False, "rejected")
    assert "Driver failed" in said["message"]
    assert not esp.outputs.on(18)


async def test_a_duration_ends_by_itself_and_auto_gives_back(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    said = await desk.post(f"{ACTUATOR}/command", {"command": "ON", "duration": 60})
    assert said["state"]["why"]["until"] is not None
    assert "s more" in said["state"]["why"]["text"]
    await desk.until(lambda: not esp.outputs.on(18))

    await desk.post(f"{ACTUATOR}/command", {"command": "ON"})
    said = await desk.post(f"{ACTUATOR}/command", {"command": "AUTO"})
    assert (said["success"], said["command_sent"], said["acknowledged"]) == (True, False, False)
    await desk.until(lambda: not esp.outputs.on(18))
    shown = await desk.get(f"{ACTUATOR}/status")
    assert shown["state"]["why"]["text"] == "nobody claims it"


async def test_the_gate_says_no_with_its_code_and_when_to_ask_again(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator(cooldown_s=600)
    for command in ("ON", "OFF"):
        assert (await desk.post(f"{ACTUATOR}/command", {"command": command}))["acknowledged"]
    said = await desk.post(f"{ACTUATOR}/command", {"command": "ON"}, status=409)

    assert said["error"]["code"] == "SAFETY_REJECTED"
    assert said["error"]["details"]["refusal"] == "COOLDOWN"
    assert 0 < said["error"]["details"]["again_in_s"] <= 600
    shown = (await desk.get(f"{ACTUATOR}/status"))["state"]
    assert (shown["is_active"], shown["wanted_value"]) == (False, 0.0)


async def test_nothing_is_switched_on_a_device_that_is_away_but_off_is_told_later(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    esp.vanish()
    refused = await desk.post(f"{ACTUATOR}/command", {"command": "ON"}, status=409)
    held = await desk.post(f"{ACTUATOR}/command", {"command": "OFF"})

    assert refused["error"]["code"] == "DEVICE_OFFLINE"
    assert (held["success"], held["command_sent"], held["acknowledged"]) == (False, False, False)
    assert "when it is back" in held["message"]


async def test_what_is_not_there(desk: Desk) -> None:
    said = await desk.post("/api/v1/actuators/ESP_77EE66FF/18/command", {"command": "ON"}, status=404)
    assert said["error"]["code"] == "ESP_NOT_FOUND"
    await desk.fleet.register(ESP, by="test")
    for method, path in (
        ("POST", f"{ACTUATOR}/command"),
        ("GET", f"{ACTUATOR}/status"),
        ("GET", f"{ACTUATOR}/history"),
    ):
        said = await desk.call(method, path, {"command": "ON"} if method == "POST" else None, 404)
        assert said["error"]["code"] == "ACTUATOR_NOT_FOUND"


async def test_set_is_the_same_in_other_words(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    await desk.actuator(25, "pwm")
    on = await desk.post(f"{ACTUATOR}/set", {"mode": "digital", "value": 1})
    half = await desk.post(f"{PWM}/set", {"mode": "pwm", "value": 128})
    off = await desk.post(f"{ACTUATOR}/set", {"mode": "digital", "value": False}, status=400)

    assert (on["success"], on["state"]["is_active"], esp.outputs.on(18)) == (True, True, True)
    assert (half["state"]["value"], esp.outputs.pwm(25)) == (pytest.approx(0.5, abs=0.01), 128)
    assert "value" in off["detail"]
    off = await desk.post(f"{ACTUATOR}/set", {"mode": "digital", "value": 0})
    assert (off["acknowledged"], esp.outputs.on(18)) == (True, False)
    wrong = await desk.post(f"{ACTUATOR}/set", {"mode": "digital", "value": 0.5}, status=400)
    assert "0 or 1" in wrong["detail"]


async def test_the_record_tells_what_it_does_and_why(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator()
    idle = await desk.get(ACTUATOR)
    assert (idle["current_value"], idle["is_active"], idle["last_command_at"]) == (0.0, False, None)
    assert (idle["why"]["holder"], idle["why"]["code"]) == ("default", None)

    said = await desk.post(f"{ACTUATOR}/command", {"command": "ON", "duration": 600})
    (busy,) = (await desk.get("/api/v1/actuators"))["data"]
    assert (busy["current_value"], busy["is_active"]) == (1.0, True)
    assert busy["last_command_at"] is not None
    assert busy["lease_until"] is not None
    assert (busy["why"]["rank"], busy["why"]["issued_by"]) == ("person", "key:tests")
    assert said["state"]["claims"][0]["holder"] == busy["why"]["holder"]
    assert busy["run_today_seconds"] >= 0

    shown = await desk.get(f"/api/v1/actuators/{ESP}/{busy['id']}/status?include_config=true")
    assert (shown["config"]["id"], shown["state"]["last_command"]) == (busy["id"], "ON")


async def test_a_refusal_that_explains_the_output_stands_in_the_record(desk: Desk) -> None:
    """A default that the gate refuses: nobody has asked, and still somebody wants to know."""
    await desk.new_esp()
    await desk.actuator(default_state=True)
    await desk.control.stop(reason="flood", by="test")
    shown = await desk.get(ACTUATOR)

    assert shown["why"]["code"] == "EMERGENCY_STOP_ACTIVE"
    assert "flood" in shown["why"]["text"]
    assert shown["why"]["cure"]
    assert shown["emergency"] is True


async def test_what_nobody_claims_is_explained_too(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    await desk.actuator(19, default_state=True)
    await desk.until(lambda: esp.outputs.on(19))
    assert (await desk.get(f"/api/v1/actuators/{ESP}/19"))["why"]["text"] == "its default_state is on"
    await desk.control.stop(esp_id=ESP, gpio=18, reason="leak", by="test")
    assert (await desk.get(ACTUATOR))["why"]["text"] == "in an emergency stop"


async def test_the_history_has_commands_and_switchings_and_what_they_sum_up_to(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator()
    first = await desk.post(f"{ACTUATOR}/command", {"command": "ON"})
    await trio.sleep(0.1)
    await desk.post(f"{ACTUATOR}/command", {"command": "OFF"})
    said = await desk.get(f"{ACTUATOR}/history?include_aggregation=true")

    kinds = [(one["kind"], one["command_type"]) for one in said["entries"]]
    assert sorted(kinds) == [("command", "OFF"), ("command", "ON"), ("switch", "OFF"), ("switch", "ON")]
    (on,) = [one for one in said["entries"] if (one["kind"], one["command_type"]) == ("command", "ON")]
    assert (on["success"], on["issued_by"], on["value"]) == (True, "key:tests", 1.0)
    assert on["metadata"]["correlation_id"] == first["correlation_id"]
    assert said["aggregation"]["total_cycles"] == 1
    assert 1 <= said["aggregation"]["total_runtime_seconds"] < 60
    assert said["total_count"] == 4

    only = await desk.get(f"{ACTUATOR}/history?kind=command&limit=1")
    assert ([one["command_type"] for one in only["entries"]], only["truncated"]) == (["OFF"], True)
    assert only["aggregation"] is None
    wrong = await desk.get(f"{ACTUATOR}/history?start_time=1760000001&end_time=1760000000", status=400)
    assert "start_time" in wrong["detail"]


async def test_a_removed_actuator_is_switched_off_first(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    await desk.post(f"{ACTUATOR}/command", {"command": "ON"})
    assert esp.outputs.on(18)
    said = await desk.delete(f"{ACTUATOR}?wait=10")

    assert said["confirmed"]
    await desk.until(lambda: not esp.outputs.on(18))
    assert [one["command"] for one in desk.air.to(ESP, "actuator/18/command")][-1] == "OFF"
    assert [state.actuator for state in desk.control.states()] == []


async def test_those_who_watch_are_told_with_the_same_correlation_id(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator()
    feed = desk.hub.join("test", lambda: None)
    said = await desk.post(f"{ACTUATOR}/command", {"command": "ON"})
    told = events(desk.hub, feed)
    desk.hub.leave(feed)

    of_it = {one["type"]: one for one in told if one.get("correlation_id") == said["correlation_id"]}
    assert of_it["actuator_command"]["data"]["issued_by"] == "key:tests"
    statuses = [one["data"]["state"] for one in told if one["type"] == "actuator_status"]
    assert statuses[-1] == "on"
