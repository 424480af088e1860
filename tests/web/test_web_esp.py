"""Devices over HTTP: looked at, let in, refused, named, given up. The devices are real to the fleet: they answer it."""

from __future__ import annotations

from typing import Any

import pytest

from growy.fleet.device import DeviceStatus

ESP = "ESP_12AB34CD"
DEVICES = "/api/v1/esp/devices"


async def test_a_new_device_waits_until_it_is_let_in(clock: Any, greenhouse: Any) -> None:
    esp = await greenhouse.new_esp(approved=False)
    said = await greenhouse.get(f"{DEVICES}/pending")
    assert said["count"] == 1
    assert said["devices"][0]["device_id"] == ESP
    assert said["devices"][0]["discovered_at"] is not None

    said = await greenhouse.post(f"{DEVICES}/{ESP}/approve", {"name": "Bench A"})
    assert (said["status"], said["approved_by"]) == ("approved", "key:tests")
    assert said["approved_at"] is not None
    esp.heartbeat()
    said = await greenhouse.get(f"{DEVICES}/{ESP}")
    assert (said["status"], said["online"], said["name"]) == ("online", True, "Bench A")
    assert (await greenhouse.get(f"{DEVICES}/pending"))["count"] == 0


async def test_an_approval_without_a_body_is_one(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(approved=False)
    assert (await greenhouse.post(f"{DEVICES}/{ESP}/approve"))["approved_by"] == "key:tests"


async def test_approval_with_a_zone_puts_the_device_there_and_registers_the_zone(
    clock: Any, greenhouse: Any
) -> None:
    await greenhouse.new_esp(approved=False)
    await greenhouse.post(f"{DEVICES}/{ESP}/approve", {"zone_id": "tent", "zone_name": "The tent"})
    await greenhouse.settled("zone")
    (told,) = greenhouse.air.to(ESP, "zone/assign")
    assert (told["zone_id"], told["zone_name"], told["kaiser_id"]) == ("tent", "The tent", "god")
    said = await greenhouse.get(f"{DEVICES}/{ESP}")
    assert (said["zone_id"], said["reported_zone_id"], said["zone_name"]) == ("tent", "tent", "The tent")
    assert said["zone"]["config_status"] == "applied"
    assert (await greenhouse.get("/api/v1/zones/tent"))["registered"] is True


async def test_a_rejected_device_says_why(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(approved=False)
    said = await greenhouse.post(f"{DEVICES}/{ESP}/reject", {"reason": "not ours"})
    assert (said["status"], said["rejection_reason"], said["rejected_by"]) == (
        "rejected",
        "not ours",
        "key:tests",
    )
    assert said["approved_at"] is None
    said = await greenhouse.post(f"{DEVICES}/{ESP}/set-pending")
    assert (said["status"], said["rejection_reason"]) == ("pending_approval", None)


@pytest.mark.parametrize("body", [None, {}, {"reason": ""}, {"reason": "x" * 501}])
async def test_a_rejection_needs_a_reason(clock: Any, greenhouse: Any, body: Any) -> None:
    await greenhouse.new_esp()
    said = await greenhouse.post(f"{DEVICES}/{ESP}/reject", body, status=400)
    assert said["error"]["details"]["faults"][0].startswith("reason")


async def test_a_deleted_device_is_only_shown_when_asked_for(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    reply = await greenhouse.ask("DELETE", f"{DEVICES}/{ESP}")
    assert (reply.status, reply.body) == (204, b"")
    assert "content-length" not in reply.headers
    assert (await greenhouse.get(DEVICES))["data"] == []
    for query in ("include_deleted=true", "status=deleted"):
        (shown,) = (await greenhouse.get(f"{DEVICES}?{query}"))["data"]
        assert (shown["status"], shown["deleted_by"]) == ("deleted", "key:tests")
        assert shown["deleted_at"] is not None


async def test_devices_are_filtered(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(zone_id="tent")
    await greenhouse.new_esp("ESP_77EE66FF", approved=False)
    await greenhouse.post(DEVICES, {"device_id": "ESP_00AA11", "hardware_type": "XIAO_ESP32_C3"}, status=201)

    async def found(query: str) -> list[str]:
        return [one["device_id"] for one in (await greenhouse.get(f"{DEVICES}?{query}"))["data"]]

    assert await found("") == ["ESP_00AA11", ESP, "ESP_77EE66FF"]
    assert await found("zone_id=tent") == [ESP]
    assert await found("status=pending_approval") == ["ESP_77EE66FF"]
    assert await found("status=online") == [ESP, "ESP_77EE66FF"]
    assert await found("hardware_type=xiao_esp32_c3") == ["ESP_00AA11"]
    assert await found("kaiser_id=elsewhere") == []
    assert await found("kaiser_id=god&page_size=1&page=2") == [ESP]


async def test_a_device_may_be_entered_before_it_is_heard(clock: Any, greenhouse: Any) -> None:
    body = {
        "device_id": ESP,
        "name": "Bench A",
        "mac_address": "AA:BB:CC:12:AB:34",
        "zone_id": "tent",
        "capabilities": {"max_sensors": 12},
        "metadata": {"shelf": 3},
    }
    said = await greenhouse.post(DEVICES, body, status=201)
    assert (said["status"], said["online"], said["approved_by"]) == ("offline", False, "key:tests")
    assert (said["name"], said["mac_address"], said["zone_id"]) == ("Bench A", "AA:BB:CC:12:AB:34", "tent")
    assert said["capabilities"] == {"max_sensors": 12}
    assert said["metadata"] == {"shelf": 3, "boot_id": None}
    assert (await greenhouse.post(DEVICES, body, status=409))["error"]["code"] == "DUPLICATE"
    await greenhouse.new_esp()
    await greenhouse.settled("zone")
    assert greenhouse.house.fleet.need(ESP).status is DeviceStatus.ONLINE


@pytest.mark.parametrize("device_id", ["", "ESP_xyz", "12AB34CD", "ESP_12AB34CD/../x"])
async def test_what_is_no_device_cannot_be_entered(clock: Any, greenhouse: Any, device_id: str) -> None:
    await greenhouse.post(DEVICES, {"device_id": device_id}, status=400)


async def test_editing_changes_what_is_said_and_nothing_else(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    await greenhouse.patch(f"{DEVICES}/{ESP}", {"name": "Bench A", "metadata": {"shelf": 3, "row": 1}})
    said = await greenhouse.patch(f"{DEVICES}/{ESP}", {"metadata": {"shelf": None, "row": 2}})
    assert (said["name"], said["metadata"]["row"]) == ("Bench A", 2)
    assert "shelf" not in said["metadata"]
    said = await greenhouse.patch(f"{DEVICES}/{ESP}", {"zone_id": "tent"})
    assert said["zone_id"] == "tent"
    said = await greenhouse.patch(f"{DEVICES}/{ESP}", {"zone_id": "", "name": ""})
    assert (said["zone_id"], said["name"]) == (None, None)


async def test_alert_settings_are_kept_with_the_device(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    path = f"{DEVICES}/{ESP}/alert-config"
    said = await greenhouse.get(path)
    assert said["alert_config"] == {"alerts_enabled": True, "propagate_to_children": True}
    await greenhouse.patch(path, {"alerts_enabled": False, "suppression_reason": "maintenance"})
    said = await greenhouse.patch(path, {"suppression_reason": ""})
    assert said["alert_config"] == {"alerts_enabled": False, "propagate_to_children": True}
    assert (await greenhouse.get(path))["alert_config"]["alerts_enabled"] is False
    assert (await greenhouse.get(f"{DEVICES}/{ESP}"))["metadata"]["boot_id"] is not None


async def test_discovery_shows_who_is_heard(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    await greenhouse.new_esp("ESP_77EE66FF", approved=False)
    await greenhouse.post(DEVICES, {"device_id": "ESP_00AA11"}, status=201)  # entered, and never heard
    said = await greenhouse.get("/api/v1/esp/discovery")
    assert (said["discovered_count"], said["new_count"]) == (2, 1)
    assert {one["device_id"]: one["is_registered"] for one in said["devices"]} == {
        ESP: True,
        "ESP_77EE66FF": False,
    }
    assert said["devices"][0]["ip_address"] == "192.168.4.23"


async def test_a_device_of_a_pi_that_is_alone_belongs_to_god(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    said = await greenhouse.post(f"{DEVICES}/{ESP}/assign_kaiser", {"kaiser_id": "god"})
    assert (said["kaiser_id"], said["previous_kaiser_id"]) == ("god", "god")
    assert (await greenhouse.get(f"{DEVICES}/{ESP}"))["kaiser_id"] == "god"
    assert (await greenhouse.get(f"{DEVICES}?kaiser_id=pi_two"))["data"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/approve", {}),
        ("POST", "/reject", {"reason": "x"}),
        ("POST", "/set-pending", None),
        ("POST", "/assign_kaiser", {"kaiser_id": "god"}),
        ("POST", "/config", {"resend": True}),
        ("POST", "/restart", None),
        ("POST", "/reset", {"confirm": True}),
        ("POST", "/emergency-token", {}),
        ("POST", "/command", {"command": "status"}),
        ("GET", "/health", None),
        ("GET", "/health/score", None),
        ("GET", "/gpio-status", None),
        ("GET", "/alert-config", None),
        ("PATCH", "/alert-config", {}),
    ],
)
async def test_a_device_that_nobody_knows_is_not_found(
    clock: Any, greenhouse: Any, method: str, path: str, body: Any
) -> None:
    reply = await greenhouse.ask(method, f"{DEVICES}/ESP_00000001{path}", body)
    assert (reply.status, reply.json()["error"]["code"]) == (404, "ESP_NOT_FOUND")
