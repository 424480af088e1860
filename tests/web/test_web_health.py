"""Health in detail, of all devices, and the doctor over HTTP: figures that were measured, and causes with names."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from rig.desk import ESP, open_desk
from rig.people import api_key

from growy.broker.link_state import LinkStatistics
from growy.doctor import BrokerFacts, MachineFacts, WebFacts
from growy.model.audit import AuditEntry
from growy.model.control import ActuatorKey, Interlock, InterlockKind
from growy.model.setup import ActuatorKind, ActuatorSetup, SensorSetup
from growy.web.app import App
from growy.web.health import RuntimeMode, Vitals, assess
from growy.web.premises import Premises

WELL = Vitals(broker_connected=True, store_state="ok", workers=1, workers_alive=1)


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> Any:
    async with open_desk(tmp_path, connect) as desk:
        desk.bench.clock_ms = time.time_ns() // 1_000_000
        yield desk


# --- live and ready are two questions


@pytest.mark.parametrize(
    ("trouble", "check", "code", "mode"),
    [
        ({"standing_still": ("control",)}, "control", "part_stands_still", RuntimeMode.DEGRADED_OPERATION),
        ({"standing_still": ("writer",)}, "store", "part_stands_still", RuntimeMode.DEGRADED_OPERATION),
        ({"standing_still": ("link",)}, "broker", "part_stands_still", RuntimeMode.DEGRADED_OPERATION),
        ({"standing_still": ("workers",)}, "conversion", "part_stands_still", RuntimeMode.DEGRADED_OPERATION),
        ({"broker_connected": False}, "broker", "broker_disconnected", RuntimeMode.DEGRADED_OPERATION),
        (
            {"broker_connected": False, "was_connected": False},
            "broker",
            "broker_disconnected",
            RuntimeMode.WARMING_UP,
        ),
        ({"stopping": True}, "", "stopping", RuntimeMode.SHUTDOWN_DRAIN),
    ],
)
def test_what_keeps_growyd_from_being_ready_is_named(
    trouble: dict[str, Any], check: str, code: str, mode: RuntimeMode
) -> None:
    health = assess(attrs.evolve(WELL, **trouble))

    assert not health.ready
    assert [name for name, passed in health.checks.items() if not passed] == ([check] if check else [])
    assert [cause.code for cause in health.causes] == [code]
    assert health.mode is mode


def test_a_growyd_that_lacks_nothing_is_in_normal_operation() -> None:
    health = assess(WELL)
    assert (health.ready, health.mode, health.causes) == (True, RuntimeMode.NORMAL_OPERATION, ())


async def test_alive_and_not_ready_is_200_and_503(house: Any, client: Any) -> None:
    house.vitals = attrs.evolve(house.vitals, standing_still=("control",))

    assert (await client.ask("GET", "/api/v1/health/live")).status == 200
    ready = await client.ask("GET", "/api/v1/health/ready")
    assert (ready.status, ready.json()["runtime_mode"]) == (503, "DEGRADED_OPERATION")
    assert ready.json()["degraded_reason_codes"] == ["part_stands_still"]
    assert (await client.ask("GET", "/api/v1/health")).status == 503


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/api/v1/health", "/api/v1/health/live"])
async def test_a_stranger_may_ask_how_it_is(web: Any, connect: Any, path: str) -> None:
    async with connect(web, "") as stranger:
        assert (await stranger.ask("GET", path)).status == 200


@pytest.mark.parametrize("path", ["/api/v1/health/detailed", "/api/v1/health/esp", "/api/v1/doctor"])
async def test_a_stranger_learns_no_details(web: Any, connect: Any, path: str) -> None:
    async with connect(web, "") as stranger:
        assert (await stranger.ask("GET", path)).status == 401


# --- in detail


async def test_the_database_is_read_for_the_answer_and_its_figures_are_its_own(desk: Any) -> None:
    await desk.new_esp()
    await desk.heard("moisture", 2000, gpio=32)

    said = await desk.get("/api/v1/health/detailed")

    database = said["database"]
    assert (database["connected"], database["writable"], database["database_type"]) == (True, True, "sqlite")
    assert 0 < database["latency_ms"] < 5000
    assert (database["pool_size"], database["pool_available"]) == (3, 3)
    assert database["commit_p99_ms"] > 0
    assert database["size_bytes"] > 0
    assert said["components"] == [
        {"name": name, "status": "healthy", "healthy": True}
        for name in ("broker", "store", "conversion", "control", "database")
    ]
    assert said["system"]["memory_total_mb"] > said["system"]["process_memory_mb"] > 1
    assert said["warnings"] == []


async def test_the_disk_is_the_one_that_holds_the_databases(house: Any, client: Any, tmp_path: Path) -> None:
    system = (await client.ask("GET", "/api/v1/health/detailed")).json()["system"]

    facts = os.statvfs(tmp_path)
    assert system["disk_percent"] == pytest.approx(100 * (1 - facts.f_bavail / facts.f_blocks), abs=1)
    assert system["disk_free_gb"] == pytest.approx(facts.f_bavail * facts.f_frsize / 1e9, rel=0.05)


async def test_a_database_that_cannot_be_read_is_not_called_connected(
    tmp_path: Path, new_house: Any, serve: Any, connect: Any
) -> None:
    async with new_house(tmp_path) as house:
        app, key = house.app(), await api_key(house)
    # Its store is closed from here on.
    async with serve(Served(app)) as web, connect(web, key) as client:
        said = (await client.ask("GET", "/api/v1/health/detailed")).json()

    database = said["database"]
    assert (database["connected"], database["latency_ms"], database["pool_size"]) == (False, None, None)
    assert "closed" in database["error"]
    assert {"name": "database", "status": "unhealthy", "healthy": False} in said["components"]


@attrs.frozen
class Served:
    """An app as it is served."""

    changed: App

    def app(self) -> App:
        return self.changed


def link_statistics(**figures: Any) -> LinkStatistics:
    numbers = dict.fromkeys((field.name for field in attrs.fields(LinkStatistics)), 0)
    return LinkStatistics(**{**numbers, **figures})


async def test_figures_of_the_link_are_those_that_it_counted(house: Any, serve: Any, connect: Any) -> None:
    said = link_statistics(
        state="connected",
        broker="mqtt://pi:1883",
        host="pi",
        port=1883,
        subscriptions=24,
        messages_received=7,
        publishes_acknowledged=2,
        publishes_handed_over=3,
        breaker="open",
        failures=5,
        breaker_after=5,
        last_error="refused",
        last_message_ms=1_767_225_600_123,
    )
    app = house.app()
    changed = Served(attrs.evolve(app, parts={**app.parts, "broker": lambda: said}))
    async with serve(changed) as web, connect(web) as client:
        body = (await client.ask("GET", "/api/v1/health/detailed")).json()

    assert body["mqtt"] == {
        "connected": True,
        "broker_host": "pi",
        "broker_port": 1883,
        "subscriptions": 24,
        "messages_received": 7,
        "messages_published": 5,
        "last_error": "refused",
        "last_message_at": "2026-01-01T00:00:00.123Z",
    }
    assert body["resilience"]["healthy"] is False
    assert body["resilience"]["breakers"]["mqtt"] == {
        "state": "open",
        "failures": 5,
        "failure_threshold": 5,
        "last_failure": "refused",
        "forced_open": False,
    }
    assert body["resilience"]["summary"]["open"] == 1


# --- all devices


async def test_means_are_of_what_is_known_and_a_device_that_never_spoke_counts_for_nothing(desk: Any) -> None:
    await desk.new_esp()
    await desk.until(lambda: desk.fleet.need(ESP).live.heartbeat is not None)
    await desk.post("/api/v1/esp/devices", {"device_id": "ESP_000000EE"}, status=201)
    await desk.heard("moisture", 2000, gpio=32)
    await desk.bench.store.write_audit(
        [
            AuditEntry(
                ts_ms=1_767_225_600_000,
                event_type="device_error",
                severity="error",
                source_id=ESP,
                message="I2C",
            )
        ]
    )

    said = await desk.get("/api/v1/health/esp")

    assert (said["total_devices"], said["online_count"], said["offline_count"], said["unknown_count"]) == (
        2,
        1,
        0,
        1,
    )
    assert (said["avg_heap_free"], said["avg_wifi_rssi"]) == (118_244, -58)
    assert (said["total_sensors"], said["total_actuators"], said["error_count"]) == (1, 0, 0)
    silent, heard = said["devices"]
    assert (silent["device_id"], silent["heap_free"], silent["recent_errors"]) == ("ESP_000000EE", None, [])
    assert (heard["device_id"], heard["sensor_count"]) == (ESP, 1)
    assert [error["message"] for error in heard["recent_errors"]] == ["I2C"]
    assert heard["recent_errors"][0] == {
        "timestamp": "2026-01-01T00:00:00.000Z",
        "severity": "error",
        "category": "device_error",
        "message": "I2C",
    }


async def test_without_devices_there_is_no_mean(desk: Any) -> None:
    said = await desk.get("/api/v1/health/esp")
    assert (said["total_devices"], said["avg_heap_free"], said["avg_wifi_rssi"]) == (0, None, None)


# --- the doctor


async def found(desk: Any) -> dict[str, tuple[str, str]]:
    said = await desk.get("/api/v1/doctor")
    assert said["counts"] == {
        level: sum(one["level"] == level for one in said["findings"]) for level in ("green", "amber", "red")
    }
    return {one["code"]: (one["level"], one["message"]) for one in said["findings"]}


async def test_a_quiet_house_has_nothing_but_its_empty_fleet(desk: Any) -> None:
    said = await found(desk)
    assert {code for code, (level, _) in said.items() if level != "green"} == {"no_devices"}


async def test_the_doctor_sees_what_is_wrong_with_devices_sensors_actuators_and_rules(desk: Any) -> None:
    await desk.new_esp(up_s=600)
    await desk.until(lambda: desk.fleet.need(ESP).live.ready_at < 1e300)
    for gpio in (25, 26, 27):
        guard = {"max_runtime_s": 600} if gpio == 26 else {}
        await desk.fleet.set_actuator(
            ESP,
            ActuatorSetup(id=f"a{gpio}", gpio=gpio, kind=ActuatorKind.RELAY, name=f"Relay {gpio}", **guard),
        )
    lock = Interlock(id="l", kind=InterlockKind.EXCLUSIVE, a=ActuatorKey(ESP, 27), b=ActuatorKey(ESP, 26))
    await desk.control.interlocking.put_interlock(lock, by="test")
    setup = SensorSetup(id="s", gpio=32, sensor_type="moisture", name="Bed", interval_s=30)
    await desk.fleet.set_sensor(ESP, setup)
    desk.bench.clock_ms -= 600_000
    await desk.heard("moisture", 2000, gpio=32)
    await desk.bench.deliver_all(desk.bench.message(f"kaiser/god/esp/{ESP}/sensor/32/data", b"not json"))
    await desk.control.stop(esp_id=ESP, reason="leak", by="user:ann")

    said = await found(desk)

    assert said["actuator_unguarded"][0] == "amber"
    assert f"{ESP}:25." in said["actuator_unguarded"][1]
    assert said["sensor_stale"][0] == "amber"
    assert f"{ESP}:32/moisture (for 10 min)" in said["sensor_stale"][1]
    assert said["dead_letters"][0] == "amber"
    assert said["emergency_stop"][0] == "red"
    assert f"{ESP} by user:ann (leak)" in said["emergency_stop"][1]


async def test_a_silent_sensor_that_a_rule_looks_at_is_worse(desk: Any) -> None:
    await desk.new_esp(up_s=600)
    await desk.fleet.set_sensor(ESP, SensorSetup(id="s", gpio=32, sensor_type="moisture", name="Bed"))
    await desk.fleet.set_actuator(
        ESP, ActuatorSetup(id="a", gpio=25, kind=ActuatorKind.RELAY, name="Valve", max_runtime_s=60)
    )
    rule = {
        "name": "Water",
        "priority": 5,
        "logic_operator": "AND",
        "conditions": [
            {
                "type": "sensor_threshold",
                "esp_id": ESP,
                "gpio": 32,
                "sensor_type": "moisture",
                "operator": "<",
                "value": 30,
            }
        ],
        "actions": [
            {"type": "actuator_command", "esp_id": ESP, "gpio": 25, "command": "ON", "duration_seconds": 30}
        ],
    }
    await desk.post("/api/v1/logic/rules", rule, status=201)

    said = await found(desk)

    assert said["sensor_stale_in_rule"][0] == "red"
    assert "never heard, in Water" in said["sensor_stale_in_rule"][1]
    assert said["rule_degraded"][0] == "amber"


async def test_a_device_whose_clock_is_off_is_named_by_how_much(desk: Any) -> None:
    await desk.new_esp(beat={"ts": int(time.time()) + 4 * 3600})
    await desk.until(lambda: desk.fleet.need(ESP).live.heartbeat is not None)

    level, message = (await found(desk))["devices_skewed"]

    assert level == "amber"
    assert f"{ESP} 4 h ahead" in message or f"{ESP} 3 h ahead" in message


async def test_a_device_that_says_it_does_not_know_the_time_has_no_wrong_clock(desk: Any) -> None:
    await desk.new_esp(beat={"ts": 65, "time_valid": False})
    await desk.until(lambda: desk.fleet.need(ESP).live.heartbeat is not None)

    assert "devices_skewed" not in await found(desk)


async def test_what_only_the_daemon_knows_comes_from_the_premises(
    house: Any, serve: Any, connect: Any
) -> None:
    async def premises() -> Premises:
        return Premises(
            machine=MachineFacts(clock_synchronised=False),
            broker=BrokerFacts(connected=True, place="mqtt://pi:1883", advice=("Set it.",), measured=True),
            web=WebFacts(host="0.0.0.0", port=8000, loopback=False),
        )

    app = house.app()
    changed = Served(attrs.evolve(app, premises=premises))
    async with serve(changed) as web, connect(web) as client:
        said = (await client.ask("GET", "/api/v1/doctor")).json()

    codes = {one["code"] for one in said["findings"] if one["level"] == "amber"}
    assert codes >= {"clock_not_synchronised", "broker_settings", "web_exposed"}


async def test_visits_take_turns(house: Any, serve: Any, connect: Any) -> None:
    at_once = most = 0

    async def premises() -> Premises:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.sleep(0.01)
        at_once -= 1
        return Premises()

    app = house.app()
    changed = Served(attrs.evolve(app, premises=premises))

    async def visit(web: Any) -> None:
        async with connect(web) as client:
            assert (await client.ask("GET", "/api/v1/doctor")).status == 200

    async with serve(changed) as web, trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(visit, web)
    assert most == 1


async def test_a_device_that_has_just_started_is_not_blamed_for_its_silence(desk: Any) -> None:
    await desk.new_esp(up_s=60)
    await desk.fleet.set_sensor(ESP, SensorSetup(id="s", gpio=32, sensor_type="moisture", name="Bed"))
    said = await found(desk)
    assert {"sensor_stale", "sensor_stale_in_rule"}.isdisjoint(said)
