"""Actuators set up over HTTP: the driver is found in the words of several clients, what cannot work is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rig.desk import ESP, Desk, open_desk

ACTUATORS = f"/api/v1/actuators/{ESP}"


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, connect) as desk:
        yield desk


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"actuator_type": "digital"}, ("digital", "relay")),
        ({"actuator_type": "digital", "hardware_type": "pump"}, ("digital", "pump")),
        ({"actuator_type": "pump"}, ("digital", "pump")),
        ({"actuator_type": "Relay"}, ("digital", "relay")),
        ({"actuator_type": "valve"}, ("digital", "valve")),
        ({"hardware_type": "digital", "actuator_type": "pump"}, ("digital", "pump")),
        ({"actuator_type": "pwm"}, ("pwm", "pwm")),
    ],
)
async def test_the_driver_is_found_in_the_words_of_each_client(
    desk: Desk, said: dict[str, Any], kind: tuple[str, str]
) -> None:
    await desk.fleet.register(ESP, by="test")
    shown = await desk.post(f"{ACTUATORS}/18", said)

    assert (shown["actuator_type"], shown["hardware_type"]) == kind


async def test_an_actuator_is_set_up_told_to_the_device_and_confirmed(desk: Desk) -> None:
    await desk.new_esp()
    body = {
        "actuator_type": "relay",
        "name": "Vent",
        "max_runtime_seconds": 600,
        "cooldown_seconds": 30,
        "critical": True,
        "default_state": True,
        "metadata": {"watts": 40},
    }
    said = await desk.post(f"{ACTUATORS}/18?wait=10", body)

    assert (said["config_status"], said["name"], said["gpio"]) == ("applied", "Vent", 18)
    assert {name: said[name] for name in body if name != "actuator_type"} == {
        name: one for name, one in body.items() if name != "actuator_type"
    }
    assert said["created_at"] is not None
    (told,) = desk.air.to(ESP, "config")[0]["actuators"]
    assert (told["actuator_type"], told["max_runtime_ms"], told["critical"]) == ("relay", 600_000, True)


async def test_absent_fields_stay_what_they_are(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    body = {"actuator_type": "pump", "name": "Pump", "max_runtime_seconds": 60, "inverted_logic": True}
    first = await desk.post(f"{ACTUATORS}/18", body)
    second = await desk.post(f"{ACTUATORS}/18", {"actuator_type": "digital", "cooldown_seconds": 5})
    third = await desk.post(f"{ACTUATORS}/18", {"max_runtime_seconds": 0})

    assert second["id"] == first["id"]
    assert (second["hardware_type"], second["name"], second["max_runtime_seconds"]) == ("pump", "Pump", 60)
    assert (second["cooldown_seconds"], second["inverted_logic"]) == (5, True)
    assert third["max_runtime_seconds"] is None
    assert any("energises" in warning for warning in first["warnings"])


async def test_limits_are_kept_and_0_takes_them_away(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    limits = {
        "min_value": 0.2,
        "max_value": 0.8,
        "max_runtime_day_seconds": 7200,
        "dose_ml_per_second": 1.5,
        "dose_budget_ml": 40.0,
    }
    first = await desk.post(f"{ACTUATORS}/18", {"actuator_type": "pwm", **limits})
    renamed = await desk.post(f"{ACTUATORS}/18", {"name": "Dosing"})
    free = await desk.post(
        f"{ACTUATORS}/18", {"min_value": 0, "max_runtime_day_seconds": 0, "dose_budget_ml": 0}
    )

    assert {name: first[name] for name in limits} == limits
    assert {name: renamed[name] for name in limits} == limits
    assert (free["min_value"], free["max_value"]) == (0, 0.8)
    assert (free["max_runtime_day_seconds"], free["dose_budget_ml"], free["dose_ml_per_second"]) == (
        None,
        None,
        1.5,
    )
    assert any("no budget" in warning for warning in free["warnings"])


@pytest.mark.parametrize(
    ("gpio", "body", "why"),
    [
        (18, {"actuator_type": "servo"}, "no driver for a servo"),
        (18, {"actuator_type": "digital", "hardware_type": "servo"}, "no driver for a servo"),
        (18, {"actuator_type": "laser"}, "relay"),
        (18, {}, "actuator_type: is missing"),
        (18, {"actuator_type": "pwm", "hardware_type": "pump"}, "not both"),
        (18, {"actuator_type": "relay", "gpio": 19}, "gpio 19"),
        (18, {"actuator_type": "relay", "cooldown_seconds": 3601}, "cooldown_seconds"),
        (18, {"actuator_type": "pwm", "min_value": 1.5}, "min_value"),
        (18, {"actuator_type": "pwm", "min_value": 0.6, "max_value": 0.4}, "min_value 0.6"),
        (18, {"actuator_type": "pump", "max_runtime_day_seconds": 86_401}, "max_runtime_day_seconds"),
        (18, {"actuator_type": "pump", "dose_budget_ml": 10}, "dose_ml_per_second"),
        (34, {"actuator_type": "relay"}, "can only read"),
        (12, {"actuator_type": "relay"}, "gpio 12"),
        (21, {"actuator_type": "relay"}, "I²C"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(
    desk: Desk, gpio: int, body: dict[str, Any], why: str
) -> None:
    await desk.fleet.register(ESP, by="test")
    said = await desk.post(f"{ACTUATORS}/{gpio}", body, status=400)

    assert said["error"]["code"] == "VALIDATION_ERROR"
    assert why in str(said["error"])


async def test_a_pin_of_a_sensor_is_taken(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    await desk.post(f"/api/v1/sensors/{ESP}/32", {"sensor_type": "moisture", "name": "Bed"})
    said = await desk.post(f"{ACTUATORS}/32", {"actuator_type": "relay"}, status=409)

    assert said["error"]["code"] == "GPIO_CONFLICT"
    assert "Bed" in said["detail"]


async def test_what_the_firmware_does_otherwise_is_said(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    said = await desk.post(f"{ACTUATORS}/18", {"actuator_type": "pwm", "pwm_frequency": 25_000})

    assert said["pwm_frequency"] == 25_000
    assert any("1000 Hz" in warning for warning in said["warnings"])


async def test_actuators_are_listed_filtered_and_found(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    vent = await desk.post(f"{ACTUATORS}/18", {"actuator_type": "relay"})
    await desk.post(f"{ACTUATORS}/19", {"actuator_type": "pwm", "enabled": False})

    async def found(query: str) -> list[int]:
        return [one["gpio"] for one in (await desk.get(f"/api/v1/actuators?{query}"))["data"]]

    assert await found("") == [18, 19]
    assert await found("actuator_type=digital") == [18]
    assert await found("actuator_type=PWM") == [19]
    assert await found("enabled=false") == [19]
    assert await found("config_status=applied") == []
    assert await found("esp_id=ESP_77EE66FF") == []
    by_pin, by_id = await desk.get(f"{ACTUATORS}/18"), await desk.get(f"{ACTUATORS}/{vent['id']}")
    assert by_pin == by_id
    said = await desk.get(f"{ACTUATORS}/20", status=404)
    assert said["error"]["code"] == "ACTUATOR_NOT_FOUND"


async def test_a_removed_actuator_is_taken_off_the_device(desk: Desk) -> None:
    await desk.new_esp()
    await desk.post(f"{ACTUATORS}/18?wait=10", {"actuator_type": "relay", "name": "Vent"})
    said = await desk.delete(f"{ACTUATORS}/18?wait=10")

    assert (said["name"], said["confirmed"]) == ("Vent", True)
    (told,) = desk.air.to(ESP, "config")[-1]["actuators"]
    assert (told["gpio"], told["active"]) == (18, False)
    assert (await desk.get("/api/v1/actuators"))["data"] == []
    await desk.get(f"{ACTUATORS}/18", status=404)
