"""What devices are told to do over HTTP: the answer says what the device said, or why it was not asked."""

from __future__ import annotations

from typing import Any

import pytest

from growy.fleet.tokens import BROADCAST_TOKEN

ESP = "ESP_12AB34CD"
DEVICE = f"/api/v1/esp/devices/{ESP}"


async def test_the_log_level_is_set_and_confirmed(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    said = await greenhouse.post(f"{DEVICE}/config", {"log_level": "DEBUG"})
    assert (said["config_sent"], said["config_acknowledged"], said["log_level"]) == (True, True, "DEBUG")
    (told,) = greenhouse.air.to(ESP, "system/command")
    assert (told["command"], told["level"]) == ("set_log_level", "DEBUG")


async def test_everything_is_sent_again_and_confirmed(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(zone_id="tent")
    await greenhouse.sensor()
    await greenhouse.settled("zone", *greenhouse.keys())
    sent = len(greenhouse.air.to(ESP, "config"))
    said = await greenhouse.post(f"{DEVICE}/config", {"resend": True})
    assert (said["config_sent"], said["config_acknowledged"], said["warning"]) == (True, True, None)
    assert set(said["items"].values()) == {"applied"}
    assert len(greenhouse.air.to(ESP, "config")) == sent + 1


async def test_a_device_that_is_away_is_sent_everything_later_and_the_answer_says_so(
    clock: Any, greenhouse: Any
) -> None:
    esp = await greenhouse.new_esp()
    await greenhouse.sensor()
    await greenhouse.settled(*greenhouse.keys())
    esp.vanish()
    said = await greenhouse.post(f"{DEVICE}/config", {"resend": True})
    assert (said["config_sent"], said["config_acknowledged"]) == (False, False)
    assert "offline" in said["warning"]
    said = await greenhouse.post(f"{DEVICE}/config", {"log_level": "INFO"}, status=409)
    assert said["error"]["code"] == "DEVICE_OFFLINE"


async def test_a_device_that_says_nothing_is_waited_for_and_not_believed(clock: Any, greenhouse: Any) -> None:
    esp = await greenhouse.new_esp()
    await greenhouse.sensor()
    await greenhouse.settled(*greenhouse.keys())
    esp.mute = True
    said = await greenhouse.post(f"{DEVICE}/config", {"resend": True})
    assert (said["config_sent"], said["config_acknowledged"]) == (True, False)
    assert "not confirmed" in said["warning"]
    said = await greenhouse.post(f"{DEVICE}/command", {"command": "status"}, status=504)
    assert said["error"]["code"] == "GATEWAY_TIMEOUT"


@pytest.mark.parametrize(
    "field",
    [
        "wifi_ssid",
        "wifi_password",
        "mqtt_broker",
        "mqtt_port",
        "mqtt_username",
        "mqtt_password",
        "report_interval_ms",
        "heartbeat_interval_ms",
    ],
)
async def test_what_the_firmware_takes_only_when_provisioned_is_refused_by_name(
    clock: Any, greenhouse: Any, field: str
) -> None:
    await greenhouse.new_esp()
    said = await greenhouse.post(f"{DEVICE}/config", {field: 5000, "log_level": "INFO"}, status=501)
    assert said["error"]["code"] == "COMMAND_NOT_SUPPORTED"
    assert said["error"]["details"]["fields"] == [field]
    assert field in said["detail"]
    assert greenhouse.air.to(ESP, "system/command") == []


@pytest.mark.parametrize("body", [None, {}, {"resend": False}, {"log_level": "LOUD"}])
async def test_a_config_that_says_nothing_usable_is_refused(clock: Any, greenhouse: Any, body: Any) -> None:
    await greenhouse.new_esp()
    await greenhouse.post(f"{DEVICE}/config", body, status=400)


async def test_a_restart_is_not_pretended(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    said = await greenhouse.post(f"{DEVICE}/restart", {"delay_seconds": 5, "reason": "try"}, status=501)
    assert said["error"]["code"] == "COMMAND_NOT_SUPPORTED"
    assert "power" in said["detail"]
    assert greenhouse.air.to(ESP, "system/command") == []


async def test_a_reset_needs_a_deliberate_yes(clock: Any, greenhouse: Any) -> None:
    esp = await greenhouse.new_esp()
    await greenhouse.post(f"{DEVICE}/reset", {}, status=400)
    said = await greenhouse.post(f"{DEVICE}/reset", {"confirm": True, "preserve_wifi": True}, status=501)
    assert "preserve_wifi" in said["detail"]
    assert greenhouse.air.to(ESP, "system/command") == []
    esp.commands["factory_reset"] = {"status": "factory_reset_initiated", "esp_id": ESP}
    said = await greenhouse.post(f"{DEVICE}/reset", {"confirm": True})
    assert (said["command"], said["command_sent"]) == ("reset", True)
    assert said["answer"]["status"] == "factory_reset_initiated"
    (told,) = greenhouse.air.to(ESP, "system/command")
    assert (told["command"], told["confirm"]) == ("factory_reset", True)


@pytest.mark.parametrize("command", ["status", "diagnostics", "get_config"])
async def test_a_device_is_asked_and_its_answer_comes_back(clock: Any, greenhouse: Any, command: str) -> None:
    esp = await greenhouse.new_esp()
    esp.commands[command] = {"command": command, "success": True, "heap_free": 4711}
    said = await greenhouse.post(f"{DEVICE}/command", {"command": command})
    assert (said["command"], said["answer"]["heap_free"]) == (command, 4711)


async def test_the_log_level_goes_by_command_too(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    await greenhouse.post(f"{DEVICE}/command", {"command": "set_log_level", "params": {"level": "ERROR"}})
    assert greenhouse.air.to(ESP, "system/command")[0]["level"] == "ERROR"
    for params in ({}, {"level": "LOUD"}, {"level": ["DEBUG"]}):
        await greenhouse.post(f"{DEVICE}/command", {"command": "set_log_level", "params": params}, status=400)


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        ("safe_mode", 400, "control"),
        ("exit_safe_mode", 400, "control"),
        ("factory_reset", 400, "/reset"),
        ("set_emergency_token", 400, "/emergency-token"),
        ("onewire/scan", 400, "/onewire/scan"),
        ("reboot", 501, "switching it off"),
        ("dance", 501, "no command"),
    ],
)
async def test_other_commands_do_not_pass_and_the_error_says_where_to_go(
    clock: Any, greenhouse: Any, command: str, status: int, says: str
) -> None:
    await greenhouse.new_esp()
    said = await greenhouse.post(f"{DEVICE}/command", {"command": command}, status=status)
    assert says in said["detail"]
    assert greenhouse.air.to(ESP, "system/command") == []


async def test_a_refusal_of_the_device_is_passed_on(clock: Any, greenhouse: Any) -> None:
    esp = await greenhouse.new_esp()
    esp.commands["status"] = {"command": "status", "success": False, "error": "BUSY", "reason_code": "BUSY"}
    said = await greenhouse.post(f"{DEVICE}/command", {"command": "status"}, status=409)
    assert said["error"]["code"] == "DEVICE_REFUSED"
    assert said["error"]["details"]["reason_code"] == "BUSY"


async def test_a_device_that_waits_for_approval_is_not_commanded(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(approved=False)
    said = await greenhouse.post(f"{DEVICE}/command", {"command": "status"}, status=403)
    assert said["error"]["code"] == "DEVICE_NOT_APPROVED"


async def test_a_token_is_made_stored_on_the_device_and_not_shown(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    reply = await greenhouse.ask("POST", f"{DEVICE}/emergency-token", {})
    assert reply.json()["generated"] is True
    (told,) = greenhouse.air.to(ESP, "system/command")
    assert (told["command"], told["token_type"]) == ("set_emergency_token", "esp")
    assert told["token"].encode() not in reply.body
    assert greenhouse.house.fleet.need(ESP).record.emergency_token == told["token"]


async def test_all_devices_get_the_same_broadcast_token(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    await greenhouse.new_esp("ESP_77EE66FF")
    for esp_id in (ESP, "ESP_77EE66FF"):
        await greenhouse.post(f"/api/v1/esp/devices/{esp_id}/emergency-token", {"token_type": "broadcast"})
    (first,) = greenhouse.air.to(ESP, "system/command")
    (second,) = greenhouse.air.to("ESP_77EE66FF", "system/command")
    assert first["token"] == second["token"] == await greenhouse.house.store.keyed(BROADCAST_TOKEN)
    assert greenhouse.house.fleet.need(ESP).record.emergency_token == ""


@pytest.mark.parametrize(
    "body",
    [
        {"token": 'quo"te'},
        {"token": "x" * 65},
        {"token": "", "token_type": "broadcast"},
        {"token": "zelt-süd", "token_type": "broadcast"},
        {"token_type": "all"},
    ],
)
async def test_a_token_that_no_device_takes_is_refused_and_not_kept(
    clock: Any, greenhouse: Any, body: Any
) -> None:
    await greenhouse.new_esp()
    await greenhouse.post(f"{DEVICE}/emergency-token", body, status=400)
    assert greenhouse.air.to(ESP, "system/command") == []
    assert await greenhouse.house.store.keyed(BROADCAST_TOKEN) is None
