"""Sensors set up over HTTP, on devices that answer: what is admitted, what is refused, how far it has come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rig.desk import ESP, Desk, open_desk

ROM, OTHER_ROM = "28FF641E8D3C0CDA", "28AA112233445535"
SENSORS = f"/api/v1/sensors/{ESP}"
CLIMATE = {"sensor_type": "sht31", "name": "Air bench A", "i2c_address": 68}


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, connect) as desk:
        yield desk


async def test_a_sensor_is_set_up_told_to_the_device_and_confirmed(desk: Desk) -> None:
    await desk.new_esp()
    said = await desk.post(
        f"{SENSORS}/68?wait=10", {**CLIMATE, "interval_ms": 60_000, "subzone_id": "bench_a"}
    )

    assert (said["success"], said["config_status"], said["config_error"]) == (True, "applied", None)
    assert (said["esp_device_id"], said["gpio"], said["sensor_type"]) == (ESP, 68, "sht31")
    assert (said["bus"], said["i2c_address"], said["interface_type"]) == ("i2c", 68, "I2C")
    assert (said["name"], said["interval_ms"], said["operating_mode"]) == (
        "Air bench A",
        60_000,
        "continuous",
    )
    assert [one["sensor_type"] for one in said["values"]] == ["sht31_temp", "sht31_humidity"]
    assert said["created_at"] is not None
    assert "no subzone" in said["subzone_warning"]
    (told,) = desk.air.to(ESP, "config")[0]["sensors"]
    assert (told["sensor_type"], told["i2c_address"], told["measurement_interval_seconds"]) == (
        "sht31",
        68,
        60,
    )


async def test_without_waiting_it_is_pending_and_durable(desk: Desk) -> None:
    esp = await desk.new_esp()
    esp.vanish()
    said = await desk.post(f"{SENSORS}/68", CLIMATE)

    assert said["config_status"] == "pending"
    assert (await desk.get(f"/api/v1/sensors/config/{said['id']}"))["config_status"] == "pending"


async def test_a_rejected_sensor_says_why_and_what_to_do(desk: Desk) -> None:
    esp = await desk.new_esp()
    esp.config_failures = [
        {"type": "sensor", "gpio": 4, "error_code": 1041, "error": "CONFIG_FAILED", "detail": "no answer"}
    ]
    said = await desk.post(f"{SENSORS}/4?wait=10", {"sensor_type": "ds18b20", "onewire_address": ROM})

    assert (said["config_status"], said["config_error"]) == ("failed", "CONFIG_FAILED")
    assert said["config_error_detail"] == "no answer"
    assert "wiring" in said["config_cure"]
    (row,) = (await desk.get("/api/v1/sensors?config_status=failed"))["data"]
    assert row["config_id"] == said["id"]


async def test_an_old_clients_i2c_gpio_becomes_the_address_and_is_found_again(desk: Desk) -> None:
    await desk.new_esp()
    first = await desk.post(f"{SENSORS}/0", {"sensor_type": "sht31_temp", "gpio": 0, "esp_id": ESP})
    again = await desk.post(f"{SENSORS}/0", {"sensor_type": "sht31_humidity", "name": "Climate"})

    assert (first["gpio"], first["i2c_address"], first["sensor_type"]) == (68, 68, "sht31")
    assert any("gpio 0 was replaced by 68" in warning for warning in first["warnings"])
    assert (again["id"], again["name"]) == (first["id"], "Climate")
    assert len(desk.setups()) == 1


async def test_absent_fields_stay_what_they_are(desk: Desk) -> None:
    await desk.new_esp()
    body = {
        "sensor_type": "moisture",
        "name": "Bed",
        "interval_ms": 45_000,
        "threshold_min": 20.0,
        "parameters": {"dry": 3100},
    }
    first = await desk.post(f"{SENSORS}/34", body)
    second = await desk.post(f"{SENSORS}/34", {"sensor_type": "soil_moisture", "threshold_max": 80.0})

    assert second["id"] == first["id"]
    assert (second["name"], second["interval_ms"], second["parameters"]) == ("Bed", 45_000, {"dry": 3100})
    assert (second["threshold_min"], second["threshold_max"]) == (20.0, 80.0)
    third = await desk.post(f"{SENSORS}/34", {"sensor_type": "moisture", "parameters": {}, "enabled": False})
    assert (third["parameters"], third["enabled"]) == ({}, False)


async def test_what_growyd_does_not_act_on_is_kept_and_shown(desk: Desk) -> None:
    await desk.new_esp()
    kept = {
        "description": "left",
        "measurement_role": "runoff",
        "warning_min": 1.5,
        "metadata": {"batch": [1, 2]},
        "timeout_seconds": 300,
        "schedule_config": {"cron": "0 * * * *"},
        "device_scope": "multi_zone",
        "assigned_zones": ["a", "b"],
    }
    said = await desk.post(f"{SENSORS}/34", {"sensor_type": "ph", **kept})

    assert {name: said[name] for name in kept} == kept
    (row,) = (await desk.get("/api/v1/sensors"))["data"]
    assert {name: row[name] for name in kept} == kept


async def test_what_the_firmware_does_otherwise_is_said(desk: Desk) -> None:
    await desk.new_esp()
    body = {"sensor_type": "ph", "processing_mode": "local", "interval_ms": 1500, "interface_type": "DIGITAL"}
    said = await desk.post(f"{SENSORS}/34", body)

    assert said["interval_ms"] == 2000
    for word in ("processing_mode", "every 2 s", "ANALOG"):
        assert any(word in warning for warning in said["warnings"]), word


@pytest.mark.parametrize(
    ("gpio", "body", "code", "why"),
    [
        (34, {}, "VALIDATION_ERROR", "sensor_type: is missing"),
        (34, {"sensor_type": "ph", "gpio": 35}, "VALIDATION_ERROR", "the field gpio 35"),
        (34, {"sensor_type": "ph", "esp_id": "ESP_77EE66FF"}, "VALIDATION_ERROR", "ESP_77EE66FF"),
        (34, {"sensor_type": "ph", "processing_mode": "cloud"}, "VALIDATION_ERROR", "processing_mode"),
        (34, {"sensor_type": "ph", "interval_ms": 400}, "VALIDATION_ERROR", "interval_ms"),
        (255, {"sensor_type": "sht31"}, "VALIDATION_ERROR", "255"),
        # ADC2 reads 0 while WiFi is up
        (25, {"sensor_type": "ph"}, "VALIDATION_ERROR", "second ADC"),
        (12, {"sensor_type": "ph"}, "VALIDATION_ERROR", "gpio 12"),
        (4, {"sensor_type": "ds18b20"}, "VALIDATION_ERROR", "ROM code"),
        (68, {"sensor_type": "sht31", "i2c_address": 70}, "VALIDATION_ERROR", "70"),
        (34, {"sensor_type": "ph", "parameters": {"slope": 1}}, "CONVERSION_FAILED", "slope"),
        (34, {"sensor_type": "ph", "parameters": {"profile": "atlas"}}, "CONVERSION_FAILED", "profile"),
        (34, {"sensor_type": "phlogiston", "parameters": {"a": 1}}, "CONVERSION_FAILED", "phlogiston"),
        (68, {"sensor_type": "sht31", "parameters": {"calibration_offset": 1}}, "VALIDATION_ERROR", "alike"),
        (34, {"sensor_type": "ph", "calibration": {"points": []}}, "CALIBRATION_REFUSED", "calibration"),
        (34, {"sensor_type": "ph", "metadata": {"x": "y" * 20_000}}, "VALIDATION_ERROR", "16384"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_before_it_reaches_the_device(
    desk: Desk, gpio: int, body: dict[str, Any], code: str, why: str
) -> None:
    await desk.fleet.register(ESP, by="test")
    said = await desk.post(f"{SENSORS}/{gpio}", body, status=400)

    assert said["error"]["code"] == code
    assert why in said["detail"]
    assert desk.setups() == []


async def test_a_taken_pin_is_a_conflict_that_names_who_has_it(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    await desk.post(f"{SENSORS}/34", {"sensor_type": "ph", "name": "Tank"})
    said = await desk.post(f"{SENSORS}/34", {"sensor_type": "moisture"}, status=409)

    assert said["error"]["code"] == "GPIO_CONFLICT"
    assert "Tank" in said["detail"]


async def test_only_approved_devices_are_set_up(desk: Desk) -> None:
    assert (await desk.post(f"{SENSORS}/34", {"sensor_type": "ph"}, status=404))["error"][
        "code"
    ] == "ESP_NOT_FOUND"
    await desk.fleet.register(ESP, by="test")
    await desk.fleet.reject(ESP, by="test", reason="not ours")
    said = await desk.post(f"{SENSORS}/34", {"sensor_type": "ph"}, status=403)
    assert said["error"]["code"] == "DEVICE_NOT_APPROVED"


async def test_a_row_keeps_its_id_from_the_setup_through_readings_to_the_removal(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    await desk.heard("moisture", 2000, gpio=34)
    setup = await desk.post(f"{SENSORS}/68", CLIMATE)
    before = (await desk.get("/api/v1/sensors"))["data"]
    await desk.heard("sht31_temp", 26214, gpio=68, i2c_address=68)
    after = (await desk.get("/api/v1/sensors"))["data"]
    # what is only heard, what is heard and set up, what is only set up
    assert sorted(one["id"] for one in before) == sorted(one["id"] for one in after)
    assert len({one["id"] for one in after}) == 3
    told = {
        one["sensor_type"]: (one["config_id"], one["config_status"], one["latest_value"]) for one in after
    }
    assert told["moisture"][:2] == (None, None)
    assert told["sht31_temp"] == (setup["id"], "pending", 25.0)
    assert told["sht31_humidity"] == (setup["id"], "pending", None)

    await desk.delete(f"{SENSORS}/68")
    left = (await desk.get("/api/v1/sensors"))["data"]
    assert {one["sensor_type"]: one["config_id"] for one in left} == {"moisture": None, "sht31_temp": None}
    assert {one["id"] for one in left} < {one["id"] for one in after}


async def test_rows_are_filtered(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    await desk.post(f"{SENSORS}/68", CLIMATE)
    await desk.post(f"{SENSORS}/34", {"sensor_type": "ph", "enabled": False})

    async def found(query: str) -> list[str]:
        return [one["sensor_type"] for one in (await desk.get(f"/api/v1/sensors?{query}"))["data"]]

    assert await found("sensor_type=SHT31") == ["sht31_temp", "sht31_humidity"]
    assert await found("sensor_type=temperature_sht31") == ["sht31_temp"]
    assert await found("enabled=false") == ["ph"]
    assert await found("gpio=34") == ["ph"]
    assert await found("config_status=applied") == []
    assert await found("esp_id=ESP_77EE66FF") == []
    assert await found("page_size=1&page=3") == ["ph"]


async def test_one_sensor_is_found_by_pin_and_by_either_id(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    setup = await desk.post(f"{SENSORS}/68", CLIMATE)
    at_pin = await desk.get(f"{SENSORS}/68")
    by_row = await desk.get(f"/api/v1/sensors/config/{at_pin['id']}")
    by_setup = await desk.get(f"/api/v1/sensors/config/{setup['id']}")

    assert (at_pin["sensor_type"], len(at_pin["others"])) == ("sht31_temp", 1)
    assert by_row == by_setup
    assert by_setup["id"] == setup["id"]
    said = await desk.get("/api/v1/sensors/config/5e2b1c", status=404)
    assert said["error"]["code"] == "SENSOR_NOT_FOUND"


async def test_two_on_a_pin_are_told_apart_by_their_ids(desk: Desk) -> None:
    await desk.new_esp()
    for rom in (ROM, OTHER_ROM):
        await desk.post(f"{SENSORS}/4", {"sensor_type": "ds18b20", "onewire_address": rom, "name": rom})
    said = await desk.delete(f"{SENSORS}/4", status=409)
    ids = said["error"]["details"]["ids"]
    assert (said["error"]["code"], sorted(ids)) == ("AMBIGUOUS", sorted(one.id for one in desk.setups()))

    gone = await desk.delete(f"{SENSORS}/{ids[0]}?wait=10")
    assert (gone["id"], gone["confirmed"]) == (ids[0], True)
    assert [one.id for one in desk.setups()] == [ids[1]]
    (left,) = [one for one in (await desk.get("/api/v1/sensors"))["data"] if one["config_id"]]
    assert (await desk.delete(f"{SENSORS}/{left['id']}"))["id"] == ids[1]
    assert (await desk.delete(f"{SENSORS}/4", status=404))["error"]["code"] == "SENSOR_NOT_FOUND"


async def test_what_is_only_heard_cannot_be_removed_and_is_told_how_to_set_it_up(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    await desk.heard("moisture", 2000, gpio=34)
    said = await desk.delete(f"{SENSORS}/34", status=404)

    assert "not set up" in said["detail"]
    assert f"POST {SENSORS}/34" in said["detail"]


async def test_a_setup_with_a_calibration_of_ours_keeps_it_for_the_value_it_is_of(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    point = {"measured": 20.0, "reference": 20.5}
    await desk.post(f"{SENSORS}/68", CLIMATE)
    made = await desk.post(
        f"{SENSORS}/68/calibrate", {"sensor_type": "sht31_temp", "points": [point], "save_to_config": False}
    )
    said = await desk.post(f"{SENSORS}/68", {**CLIMATE, "calibration": made["calibration"]})

    assert list(said["calibrations"]) == ["sht31_temp"]
    plain = await desk.post(f"{SENSORS}/34", {"sensor_type": "ph", "calibration": {"neutral_mv": 1490}})
    assert plain["parameters"] == {"neutral_mv": 1490}


# -- asked of the device


async def test_a_sensor_is_measured_on_demand(desk: Desk) -> None:
    await desk.new_esp(probes={34: 1861.0})
    await desk.post(f"{SENSORS}/34?wait=10", {"sensor_type": "ph"})
    said = await desk.post(f"{SENSORS}/34/measure", {})

    assert (said["success"], said["raw"], said["quality"]) == (True, 1861.0, "good")
    (told,) = desk.air.to(ESP, "sensor/34/command")
    assert (told["command"], told["request_id"], told["timeout_ms"]) == ("measure", said["request_id"], 8000)


async def test_who_does_not_wait_has_asked_all_the_same(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.post(f"{SENSORS}/34?wait=10", {"sensor_type": "ph"})
    esp.mute = True
    said = await desk.post(f"{SENSORS}/34/measure?wait=false", {})

    assert (said["success"], said["raw"]) == (True, None)
    assert [told["request_id"] for told in desk.air.to(ESP, "sensor/34/command")] == [said["request_id"]]


async def test_what_the_device_will_not_measure_is_said_in_its_words(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.post(f"{SENSORS}/34?wait=10", {"sensor_type": "ph"})
    said = await desk.post(f"{SENSORS}/34/measure", {}, status=409)
    assert said["error"]["details"]["reason_code"] == "SENSOR_NOT_FOUND"
    esp.mute = True
    said = await desk.post(f"{SENSORS}/34/measure?timeout=1", {}, status=504)
    assert said["error"]["code"] == "GATEWAY_TIMEOUT"
    esp.vanish()
    assert (await desk.post(f"{SENSORS}/34/measure", {}, status=409))["error"]["code"] == "DEVICE_OFFLINE"
    assert (await desk.post(f"{SENSORS}/35/measure", {}, status=404))["error"]["code"] == "SENSOR_NOT_FOUND"


async def test_of_several_on_a_pin_the_answer_says_that_the_first_is_measured(desk: Desk) -> None:
    await desk.new_esp(probes={4: 400.0})
    for rom in (ROM, OTHER_ROM):
        await desk.post(f"{SENSORS}/4?wait=10", {"sensor_type": "ds18b20", "onewire_address": rom})
    (warning,) = (await desk.post(f"{SENSORS}/4/measure", {}))["warnings"]

    assert "first of the 2" in warning


async def test_a_bus_is_scanned_and_what_is_set_up_is_known(desk: Desk) -> None:
    await desk.new_esp(bus=(ROM, OTHER_ROM))
    await desk.post(
        f"{SENSORS}/4?wait=10", {"sensor_type": "ds18b20", "onewire_address": ROM, "name": "Roots"}
    )
    said = await desk.post(f"/api/v1/sensors/esp/{ESP}/onewire/scan", {})

    assert (said["found_count"], said["new_count"], said["pin"]) == (2, 1, 4)
    assert [(one["rom_code"], one["already_configured"], one["sensor_name"]) for one in said["devices"]] == [
        (ROM, True, "Roots"),
        (OTHER_ROM, False, None),
    ]
    known = await desk.get(f"/api/v1/sensors/esp/{ESP}/onewire")
    assert [(one["rom_code"], one["configured"]) for one in known["devices"]] == [(ROM, True)]


async def test_a_scan_of_a_device_that_is_away_is_refused(desk: Desk) -> None:
    await desk.fleet.register(ESP, by="test")
    said = await desk.post(f"/api/v1/sensors/esp/{ESP}/onewire/scan?pin=5", {}, status=409)
    assert said["error"]["code"] == "DEVICE_OFFLINE"
    await desk.get("/api/v1/sensors/esp/ESP_77EE66FF/onewire", status=404)
