"""Subzones over HTTP: groups of pins of a device, which it confirms - its safe mode apart."""

from __future__ import annotations

from typing import Any

import pytest

ESP = "ESP_12AB34CD"
ALL = f"/api/v1/subzone/devices/{ESP}/subzones"
BENCH = {"subzone_id": "bench_a", "subzone_name": "Bench A", "assigned_gpios": [4, 18]}


async def test_a_subzone_is_made_and_confirmed(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(zone_id="tent")
    said = await greenhouse.post(f"{ALL}/assign", BENCH)
    assert (said["mqtt_sent"], said["ack_received"], said["warning"]) == (True, True, None)
    assert (said["subzone_id"], said["assigned_gpios"], said["parent_zone_id"]) == (
        "bench_a",
        [4, 18],
        "tent",
    )
    (told,) = greenhouse.air.to(ESP, "subzone/assign")
    assert (told["parent_zone_id"], told["assigned_gpios"]) == ("tent", [4, 18])
    assert told["safe_mode_active"] is False
    listed = await greenhouse.get(ALL)
    assert (listed["total_count"], listed["zone_id"]) == (1, "tent")
    assert (await greenhouse.get(f"{ALL}/bench_a"))["config_status"] == "applied"
    (shown,) = (await greenhouse.get(f"/api/v1/esp/devices/{ESP}"))["subzones"]
    assert shown["subzone_name"] == "Bench A"


async def test_what_is_not_said_stays_as_it_was(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(zone_id="tent")
    await greenhouse.post(f"{ALL}/assign", {**BENCH, "metadata": {"crop": "basil"}})
    said = await greenhouse.post(f"{ALL}/assign", {"subzone_id": "bench_a", "assigned_gpios": [4]})
    assert (said["subzone_name"], said["assigned_gpios"]) == ("Bench A", [4])
    assert said["metadata"] == {"crop": "basil"}


async def test_a_subzone_counts_what_stands_in_it(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(zone_id="tent")
    await greenhouse.post(f"{ALL}/assign", BENCH | {"assigned_gpios": [32]})
    await greenhouse.sensor()  # on pin 32
    await greenhouse.sensor(id="other", gpio=33, subzone_id="bench_a")
    await greenhouse.sensor(id="label", gpio=68, sensor_type="sht31", i2c_address=68)
    said = await greenhouse.get(f"{ALL}/bench_a")
    assert (said["sensor_count"], said["actuator_count"]) == (2, 0)


async def test_a_subzone_needs_a_zone_and_the_right_one(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    said = await greenhouse.post(f"{ALL}/assign", BENCH, status=400)
    assert "no zone" in said["detail"]
    await greenhouse.post(f"/api/v1/zone/devices/{ESP}/assign", {"zone_id": "tent"})
    said = await greenhouse.post(f"{ALL}/assign", {**BENCH, "parent_zone_id": "hall"}, status=400)
    assert "parent_zone_id" in said["detail"]
    await greenhouse.post(f"{ALL}/assign", {**BENCH, "parent_zone_id": "tent"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"assigned_gpios": [6]},
        {"assigned_gpios": [68]},
        {"assigned_gpios": ["four"]},
        {"assigned_gpios": "418"},
        {"subzone_id": "a b"},
        {"subzone_name": "x" * 65},
    ],
)
async def test_what_no_device_would_take_is_refused(
    clock: Any, greenhouse: Any, wrong: dict[str, object]
) -> None:
    await greenhouse.new_esp(zone_id="tent")
    await greenhouse.post(f"{ALL}/assign", {**BENCH, **wrong}, status=400)
    assert (await greenhouse.get(ALL))["subzones"] == []
    assert greenhouse.air.to(ESP, "subzone/assign") == []


async def test_a_device_that_refuses_a_subzone_is_quoted(clock: Any, greenhouse: Any) -> None:
    refusal = {"error_code": 2506, "message": "parent_zone_id mismatch"}
    await greenhouse.new_esp(zone_id="tent", refuses={"subzone/assign": refusal})
    said = await greenhouse.post(f"{ALL}/assign", BENCH)
    assert (said["ack_received"], said["config_status"]) == (True, "failed")
    assert (said["config_error"], said["config_error_code"]) == ("parent_zone_id mismatch", "2506")


async def test_a_removed_subzone_is_gone_here_and_on_the_device(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(zone_id="tent")
    await greenhouse.post(f"{ALL}/assign", BENCH)
    said = await greenhouse.delete(f"{ALL}/bench_a")
    assert (said["mqtt_sent"], said["ack_received"], said["warning"]) == (True, True, None)
    assert [told["subzone_id"] for told in greenhouse.air.to(ESP, "subzone/remove")] == ["bench_a"]
    assert (await greenhouse.get(f"{ALL}/bench_a", status=404))["error"]["code"] == "SUBZONE_NOT_FOUND"


async def test_a_removal_that_the_device_cannot_hear_is_done_later(clock: Any, greenhouse: Any) -> None:
    esp = await greenhouse.new_esp(zone_id="tent")
    await greenhouse.post(f"{ALL}/assign", BENCH)
    esp.vanish()
    said = await greenhouse.delete(f"{ALL}/bench_a")
    assert (said["mqtt_sent"], said["ack_received"]) == (False, False)
    assert "offline" in said["warning"]
    assert (await greenhouse.get(ALL))["subzones"] == []
    esp.reappear()
    await greenhouse.settled("z:bench_a")
    assert [told["subzone_id"] for told in greenhouse.air.to(ESP, "subzone/remove")] == ["bench_a"]


async def test_notes_are_kept_and_only_a_name_travels(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(zone_id="tent")
    await greenhouse.post(f"{ALL}/assign", BENCH)
    path = f"{ALL}/bench_a/metadata"
    await greenhouse.patch(path, {"metadata": {"crop": "basil", "row": 1}})
    said = await greenhouse.patch(path, {"custom_data": {"row": None}})
    assert (said["metadata"], said["config_status"]) == ({"crop": "basil"}, "applied")
    assert len(greenhouse.air.to(ESP, "subzone/assign")) == 1
    await greenhouse.patch(path, {"subzone_name": "Bench B"})
    await greenhouse.settled("z:bench_a")
    assert greenhouse.air.to(ESP, "subzone/assign")[-1]["subzone_name"] == "Bench B"


async def test_safe_mode_is_sent_and_never_said_to_be_confirmed(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(zone_id="tent")
    await greenhouse.post(f"{ALL}/assign", BENCH)
    said = await greenhouse.post(f"{ALL}/bench_a/safe-mode")
    assert (said["safe_mode_active"], said["mqtt_sent"], said["ack_received"]) == (True, True, False)
    assert "only refusals" in said["warning"]
    assert (await greenhouse.get(f"{ALL}/bench_a"))["safe_mode_active"] is True
    said = await greenhouse.delete(f"{ALL}/bench_a/safe-mode")
    assert said["safe_mode_active"] is False
    assert [told["action"] for told in greenhouse.air.to(ESP, "subzone/safe")] == ["enable", "disable"]
    assert len(greenhouse.air.to(ESP, "subzone/assign")) == 1


async def test_a_refused_safe_mode_is_an_error(clock: Any, greenhouse: Any) -> None:
    esp = await greenhouse.new_esp(zone_id="tent")
    await greenhouse.post(f"{ALL}/assign", BENCH)
    esp.refuses["subzone/safe"] = {"reason_code": "SUBZONE_NOT_FOUND"}
    said = await greenhouse.post(f"{ALL}/bench_a/safe-mode", status=409)
    assert said["error"]["code"] == "DEVICE_REFUSED"
    assert (await greenhouse.get(f"{ALL}/bench_a"))["safe_mode_active"] is False


@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("PATCH", "/metadata"),
        ("POST", "/safe-mode"),
        ("DELETE", "/safe-mode"),
    ],
)
async def test_what_does_not_exist_is_not_found(clock: Any, greenhouse: Any, method: str, tail: str) -> None:
    said = await greenhouse.call(method, f"{ALL}/nowhere{tail}", None, 404)
    assert said["error"]["code"] == "ESP_NOT_FOUND"
    await greenhouse.new_esp(zone_id="tent")
    said = await greenhouse.call(method, f"{ALL}/nowhere{tail}", None, 404)
    assert said["error"]["code"] == "SUBZONE_NOT_FOUND"
