"""The firmware of 2025-12: what it says, what it hears, and what it does not know."""

from __future__ import annotations

import attrs
import pytest
from rig.machine import SPEC, T0, Machine, of_kind

from growy.sim.events import Connected, Publish, PublishReading, Subscribe
from growy.sim.flash import Generation
from growy.sim.measuring import INTERVAL_2025_S
from growy.sim.spec import default_fleet
from growy.sim.state import HTTP_FAILURES

OLD = attrs.evolve(SPEC, generation=Generation.DEC_2025)
SENSOR = {"gpio": 34, "sensor_type": "moisture", "sensor_name": "Soil"}
RELAY = {"gpio": 18, "actuator_type": "relay", "actuator_name": "Vent"}


def test_it_subscribes_at_once_and_only_with_the_first_connection_of_a_boot():
    machine = Machine(OLD)
    effects = machine.take(Connected())
    assert len(of_kind(effects, Subscribe)) == 9
    assert {subscribe.qos for subscribe in of_kind(effects, Subscribe)} == {0}
    assert not of_kind(effects, Publish), "it does not announce itself"
    machine.lose()
    assert not machine.take(Connected())
    machine.reset()
    assert of_kind(machine.take(Connected()), Subscribe)


def test_its_first_heartbeat_comes_after_a_minute_and_has_ten_fields():
    machine = Machine(OLD)
    machine.take(Connected())
    machine.run(59.9)
    assert not machine.said("system/heartbeat")
    machine.run(121.0)
    assert [round(at - T0) for at, _ in machine.sent("system/heartbeat")] == [60, 120, 180]
    beat = machine.said("system/heartbeat")[0]
    assert list(beat) == [
        "esp_id",
        "zone_id",
        "master_zone_id",
        "zone_assigned",
        "ts",
        "uptime",
        "heap_free",
        "wifi_rssi",
        "sensor_count",
        "actuator_count",
    ]
    assert beat["actuator_count"] == 0, "it does not load its actuators at boot"


def test_it_publishes_without_waiting_for_anybody_but_not_before_five_failed_calls():
    machine = Machine(OLD)
    machine.take(Connected())
    machine.run(60.0)
    sent = [(at, effect) for at, effect in machine.done if isinstance(effect, PublishReading)]
    readings = [effect for _, effect in sent]
    rounds = int((60.0 - 1.5) / INTERVAL_2025_S) + 1
    assert HTTP_FAILURES == 5, "three sensors of the first round, two of the second"
    assert sent[0] == (pytest.approx(T0 + 1.5 + INTERVAL_2025_S), readings[0])
    assert readings[0].sample.sensor_type == "moisture"
    assert len(readings) == 1 + 4 * (rounds - 2)
    assert {(reading.qos, reading.retain, reading.seq) for reading in readings} == {(0, True, 0)}
    said = machine.said("sensor/34/data")[-1]
    assert (said["unit"], said["quality"]) == ("raw", "fair")
    assert "seq" not in said
    assert "time_valid" not in said


def test_an_ack_means_nothing_to_it():
    machine = Machine(OLD)
    machine.take(Connected())
    before = machine.state
    machine.ack()
    machine.server("offline")
    assert machine.state == before


def test_it_answers_commands_without_numbers_and_without_outcomes():
    machine = Machine(OLD)
    machine.take(Connected())
    machine.hear("config", {"sensors": [SENSOR], "actuators": [RELAY]})
    assert {r["type"]: r["status"] for r in machine.said("config_response")} == {
        "sensor": "success",
        "actuator": "success",
    }
    machine.hear("actuator/18/command", {"command": "ON", "intent_id": "a", "correlation_id": "a"})
    (response,) = machine.said("actuator/18/response")
    assert response["success"] is True
    assert not {"seq", "correlation_id", "issued_by"} & set(response)
    assert not machine.said("system/intent_outcome")
    assert not machine.said("system/intent_outcome/lifecycle")
    published = [effect for _, effect in machine.done if isinstance(effect, Publish)]
    assert all((effect.qos, effect.retain) == (0, True) for effect in published)


@pytest.mark.parametrize("document", [{"sensors": [SENSOR]}, {"sensors": [SENSOR], "actuators": []}])
def test_a_push_needs_both_lists(document: dict):
    machine = Machine(OLD)
    machine.take(Connected())
    machine.hear("config", {"correlation_id": "c-1", **document})
    answers = {r["type"]: r for r in machine.said("config_response")}
    assert answers["actuator"]["status"] == "error"
    assert "correlation_id" not in answers["actuator"]


def test_it_knows_one_system_command():
    machine = Machine(OLD)
    machine.take(Connected())
    machine.hear("system/command", {"command": "status"})
    assert not machine.said("system/command/response")
    machine.hear("system/command", {"command": "factory_reset", "confirm": True})
    assert machine.said("system/command/response")
    machine.run(3.1)
    assert machine.state.session.connects == 0
    assert not machine.board.nvs.wifi_configured


def test_its_emergency_token_is_its_own_name():
    machine = Machine(OLD)
    machine.take(Connected())
    machine.hear("actuator/emergency", {"command": "emergency_stop"})
    assert not machine.board.emergency
    machine.hear("actuator/emergency", {"command": "emergency_stop", "auth_token": OLD.esp_id})
    assert machine.board.emergency


def test_it_leaves_its_outputs_alone_when_the_broker_goes():
    machine = Machine(OLD)
    machine.take(Connected())
    machine.hear("config", {"sensors": [SENSOR], "actuators": [RELAY]})
    machine.hear("actuator/18/command", {"command": "ON"})
    machine.lose()
    machine.run(600.0)
    assert machine.output(18)


def test_a_fleet_of_old_devices_comes_up():
    for spec in default_fleet(6):
        machine = Machine(attrs.evolve(spec, generation=Generation.DEC_2025))
        machine.take(Connected())
        machine.run(30.0)
        assert any(isinstance(effect, PublishReading) for _, effect in machine.done), spec.name
