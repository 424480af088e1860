"""A device's health and its pins over HTTP: what it has said, and nothing that it has not."""

from __future__ import annotations

from typing import Any

import pytest

from growy.fleet.hardware import WROOM, XIAO
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.web.api.esp_health import duration

ESP = "ESP_12AB34CD"
DEVICE = f"/api/v1/esp/devices/{ESP}"
ROM = "28FF641E8D3C0CDA"


async def test_health_is_the_last_heartbeat_and_report(clock: Any, greenhouse: Any) -> None:
    esp = await greenhouse.new_esp()
    said = await greenhouse.get(f"{DEVICE}/health")
    assert (said["status"], said["online"], said["connection_losses"]) == ("online", True, 0)
    assert (said["metrics"]["heap_free"], said["metrics"]["wifi_rssi"]) == (118_244, -58)
    assert said["diagnostics"] is None
    esp.say(
        "system/diagnostics", ts=65, esp_id=ESP, heap_free=90_000, error_count=3, system_state="OPERATIONAL"
    )
    said = await greenhouse.get(f"{DEVICE}/health")
    assert (said["diagnostics"]["error_count"], said["diagnostics"]["boot_reason"]) == (3, None)


async def test_a_device_that_was_never_heard_has_no_metrics(clock: Any, greenhouse: Any) -> None:
    await greenhouse.post("/api/v1/esp/devices", {"device_id": ESP}, status=201)
    said = await greenhouse.get(f"{DEVICE}/health")
    assert (said["metrics"], said["uptime_formatted"]) == (None, None)
    said = await greenhouse.get(f"{DEVICE}/health/score")
    assert said["score"] == 0
    assert {name for name, factor in said["factors"].items() if factor["score"] is not None} == {"presence"}


async def test_a_device_at_ease_scores_full(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    said = await greenhouse.get(f"{DEVICE}/health/score")
    assert said["score"] == 100
    assert said["factors"]["errors"] == {
        "score": None,
        "value": None,
        "says": said["factors"]["errors"]["says"],
    }


@pytest.mark.parametrize(
    ("beat", "factor", "score"),
    [
        ({"heap_free": 40_000}, "heap", 50),
        ({"heap_free": 5_000}, "heap", 0),
        ({"wifi_rssi": -75}, "rssi", 50),
        ({"wifi_rssi": -99}, "rssi", 0),
        ({"wifi_rssi": 31}, "rssi", 100),
    ],
)
async def test_what_is_bad_costs(
    clock: Any, greenhouse: Any, beat: dict[str, object], factor: str, score: float
) -> None:
    await greenhouse.new_esp(beat=beat)
    said = await greenhouse.get(f"{DEVICE}/health/score")
    assert said["factors"][factor]["score"] == score
    # Presence, answers, memory and WiFi are known, and the other three are well.
    assert said["score"] == (300 + score) / 4


async def test_errors_and_refused_items_cost(clock: Any, greenhouse: Any) -> None:
    failure = {"type": "sensor", "gpio": 32, "error_code": 1002, "error": "GPIO_CONFLICT"}
    esp = await greenhouse.new_esp(config_failures=[failure])
    await greenhouse.sensor()
    await greenhouse.settled(*greenhouse.keys())
    esp.say("system/diagnostics", ts=65, esp_id=ESP, error_count=4)
    factors = (await greenhouse.get(f"{DEVICE}/health/score"))["factors"]
    assert (factors["errors"]["score"], factors["errors"]["value"]) == (80, 4)
    assert (factors["configuration"]["score"], factors["configuration"]["value"]) == (0, 1)


async def test_a_device_that_is_away_or_keeps_breaking_off_scores_low(clock: Any, greenhouse: Any) -> None:
    esp = await greenhouse.new_esp()
    esp.vanish()
    assert (await greenhouse.get(f"{DEVICE}/health/score"))["score"] == 0
    esp.reappear()
    assert (await greenhouse.get(f"{DEVICE}/health/score"))["factors"]["presence"]["value"] == "online"
    esp.vanish()
    esp.reappear()
    said = await greenhouse.get(f"{DEVICE}/health/score")
    assert (said["factors"]["presence"]["value"], said["score"]) == ("flapping", 40)
    assert (await greenhouse.get(f"{DEVICE}/health"))["connection_losses"] == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m 0s"),
        (3_725, "1h 2m 5s"),
        (86_400, "1d 0h 0m"),
        (273_905, "3d 4h 5m"),
    ],
)
def test_a_duration_in_words(seconds: int, text: str) -> None:
    assert duration(seconds) == text


# -- pins


async def test_pins_are_free_until_something_is_set_up_on_them(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    before = await greenhouse.get(f"{DEVICE}/gpio-status")
    assert before["available"] == sorted(WROOM.safe - {21, 22})
    assert (before["reserved"], before["last_esp_report"]) == ([], None)
    assert 6 in before["system"]
    assert "flash" in before["system_reasons"]["6"]
    assert set(before["available_input_only"]) == {34, 35, 36, 39}

    fleet = greenhouse.house.fleet
    await greenhouse.sensor()
    await greenhouse.sensor(id="air", gpio=68, sensor_type="sht31", i2c_address=68, name="Air")
    await greenhouse.sensor(id="root", gpio=4, sensor_type="ds18b20", onewire_address=ROM, name="Root")
    await fleet.set_actuator(ESP, ActuatorSetup(id="v", gpio=25, kind=ActuatorKind.VALVE, name="Valve"))
    said = await greenhouse.get(f"{DEVICE}/gpio-status")
    assert said["reserved_gpios"] == [4, 25, 26, 32]
    assert not set(said["available"]) & {4, 25, 26, 32}
    assert [(used["gpio"], used["owner"], used["component"]) for used in said["reserved"]] == [
        (4, "sensor", "ds18b20"),
        (25, "actuator", "valve"),
        (26, "actuator", "valve"),
        (32, "sensor", "moisture"),
    ]
    assert {used["source"] for used in said["reserved"]} == {"database"}
    (air,) = said["i2c_bus"]["devices"]
    assert (air["i2c_address"], air["name"], said["i2c_bus"]["sda_pin"]) == (68, "Air", 21)
    (bus,) = said["onewire_buses"]
    assert (bus["gpio"], bus["devices"][0]["rom_code"]) == (4, ROM)


async def test_pins_that_the_device_reports_are_taken_too(clock: Any, greenhouse: Any) -> None:
    lines = [
        {"gpio": 18, "owner": "actuator", "component": "pump_1", "mode": 1, "safe": False},
        {"gpio": 21, "owner": "system", "component": "I2C_SDA", "mode": 0, "safe": False},
    ]
    await greenhouse.new_esp(beat={"gpio_status": lines, "gpio_reserved_count": 2})
    said = await greenhouse.get(f"{DEVICE}/gpio-status")
    (used,) = said["reserved"]
    assert (used["gpio"], used["owner"], used["source"]) == (18, "actuator", "esp_reported")
    assert 18 not in said["available"]
    assert said["last_esp_report"] is not None


async def test_another_board_has_other_pins(clock: Any, greenhouse: Any) -> None:
    await greenhouse.post(
        "/api/v1/esp/devices", {"device_id": ESP, "hardware_type": "XIAO_ESP32_C3"}, status=201
    )
    said = await greenhouse.get(f"{DEVICE}/gpio-status")
    assert (said["hardware_type"], said["i2c_bus"]["sda_pin"]) == ("XIAO_ESP32_C3", 4)
    assert said["available"] == sorted(XIAO.safe - {4, 5})


# -- the whole device


async def test_a_device_shows_what_is_set_up_on_it_and_how_far_that_has_come(
    clock: Any, greenhouse: Any
) -> None:
    failure = {"type": "sensor", "gpio": 32, "error_code": 1002, "error": "GPIO_CONFLICT", "detail": "taken"}
    await greenhouse.new_esp(config_failures=[failure])
    await greenhouse.sensor()
    pump = ActuatorSetup(id="p", gpio=18, kind=ActuatorKind.PUMP, name="Pump")
    await greenhouse.house.fleet.set_actuator(ESP, pump)
    await greenhouse.settled(*greenhouse.keys(), "a:18")
    said = await greenhouse.get(DEVICE)
    (sensor,), (actuator,) = said["sensors"], said["actuators"]
    assert (sensor["name"], sensor["config_status"], sensor["config_error"]) == (
        "Bed",
        "failed",
        "GPIO_CONFLICT",
    )
    assert (sensor["config_error_code"], sensor["config_error_detail"]) == ("1002", "taken")
    assert (actuator["name"], actuator["config_status"], actuator["config_error"]) == (
        "Pump",
        "applied",
        None,
    )
    assert (said["configured_sensors"], said["configured_actuators"]) == (1, 1)
