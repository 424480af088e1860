"""How the house stands, told to who subscribes; and that nobody who watches is told a secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rig.desk import ESP, Desk, open_desk
from rig.live import events

from growy.web.subscription import parse

SUBSCRIBE = parse('{"action":"subscribe"}')
ACTUATOR = f"/api/v1/actuators/{ESP}/18"


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, connect) as desk:
        yield desk


def told(desk: Desk) -> list[dict[str, Any]]:
    """What a client that subscribes to everything now is told of how things stand."""
    feed = desk.hub.join("late", lambda: None)
    desk.hub.obey(feed, SUBSCRIBE)
    desk.hub.replay(feed, SUBSCRIBE)
    found = events(desk.hub, feed)
    desk.hub.leave(feed)
    assert all(one["data"]["replayed"] is True for one in found)
    return found


async def test_who_comes_late_knows_who_is_there_and_what_runs(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator()
    await desk.post(f"{ACTUATOR}/command", {"command": "ON"})
    await desk.until(lambda: told(desk)[1]["data"]["state"] == "on")
    (health, status) = told(desk)
    assert (health["type"], health["data"]["esp_id"], health["data"]["status"]) == (
        "esp_health",
        ESP,
        "online",
    )
    assert (status["type"], status["data"]["esp_id"], status["data"]["gpio"]) == ("actuator_status", ESP, 18)
    assert (status["data"]["state"], status["data"]["value"], status["data"]["emergency"]) == (
        "on",
        1.0,
        "normal",
    )
    await desk.post(f"{ACTUATOR}/command", {"command": "OFF"})
    await desk.until(lambda: told(desk)[1]["data"]["state"] == "off")


async def test_an_emergency_stop_in_force_is_the_first_thing_that_who_comes_late_is_told(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator()
    said = await desk.post("/api/v1/actuators/emergency_stop?wait=5", {"reason": "smoke"})
    alert, *_ = told(desk)
    assert (alert["type"], alert["data"]["alert_type"], alert["data"]["scope"]) == (
        "actuator_alert",
        "emergency_stop",
        "all",
    )
    assert alert["data"]["incident_correlation_id"] == said["incident_correlation_id"]
    assert "smoke" in alert["data"]["message"]
    await desk.post("/api/v1/actuators/clear_emergency?wait=15", {})
    assert "actuator_alert" not in [one["type"] for one in told(desk)]


async def test_a_state_has_no_field_that_its_event_does_not_have(desk: Desk) -> None:
    feed = desk.hub.join("early", lambda: None)
    await desk.new_esp()
    await desk.actuator()
    await desk.post(f"{ACTUATOR}/command", {"command": "ON"})
    shapes: dict[str, set[str]] = {}
    for one in events(desk.hub, feed):
        shapes.setdefault(one["type"], set()).update(one["data"])
    desk.hub.leave(feed)
    for one in told(desk):
        assert set(one["data"]) - {"replayed"} <= shapes[one["type"]]


async def test_secrets_are_not_among_what_viewers_are_told(desk: Desk) -> None:
    feed = desk.hub.join("viewer", lambda: None)
    await desk.new_esp()
    await desk.actuator()
    await desk.ask("POST", f"/api/v1/esp/devices/{ESP}/emergency-token", {"token": "OPEN-SESAME-ESP"})
    await desk.ask(
        "POST",
        f"/api/v1/esp/devices/{ESP}/emergency-token",
        {"token": "OPEN-SESAME-ALL", "token_type": "broadcast"},
    )
    await desk.ask("POST", f"/api/v1/esp/devices/{ESP}/config", {"wifi_password": "OPEN-SESAME-WIFI"})
    await desk.post("/api/v1/actuators/emergency_stop?wait=5", {"reason": "test"})
    seen = json.dumps([*events(desk.hub, feed), *told(desk)])
    desk.hub.leave(feed)
    assert '"emergency_stop"' in seen
    assert "OPEN-SESAME" not in seen
