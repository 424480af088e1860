"""Commands, config pushes and what is reported of them, in the states that admit them and in those that do not."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from rig.machine import NOW, SPEC, Machine

from growy.sim import config_lane, intents
from growy.sim.events import Publish, Received, Subscribe, Unsubscribe
from growy.sim.faults import Faults
from growy.sim.flash import SystemState

APPROVED = attrs.evolve(SPEC.flash, approved=True)
WAITING = attrs.evolve(SPEC.flash, approved=True, actuators=())
MEASURE = {"command": "measure", "request_id": "r-1", "intent_id": "r-1"}
ON = {"command": "ON", "intent_id": "a-1", "correlation_id": "a-1", "issued_by": "rule:1"}
RELAY = {"gpio": 23, "actuator_type": "relay", "actuator_name": "Light"}


def at_work(nvs: Any = APPROVED) -> Machine:
    machine = Machine(nvs=nvs)
    machine.register()
    machine.forget()
    return machine


def push(name: str, **scopes: Any) -> dict[str, Any]:
    return {"correlation_id": name, "intent_id": name, **scopes}


def stages(machine: Machine) -> list[str]:
    return [s["stage"] for s in machine.said("system/intent_outcome/lifecycle") if "stage" in s]


# --- admission ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nvs", "status", "code", "reason_code"),
    [
        (WAITING, "approved", "CONFIG_PENDING_BLOCKED", "CONFIG_PENDING_AFTER_RESET"),
        (SPEC.flash, "pending_approval", "PENDING_APPROVAL_BLOCKED", "PENDING_APPROVAL"),
        (APPROVED, "rejected", "DEGRADED_MODE_BLOCKED", "DEGRADED_MODE"),
    ],
)
def test_a_device_that_waits_takes_config_and_a_few_system_commands(nvs, status, code, reason_code):
    machine = Machine(nvs=nvs)
    machine.register(status)
    machine.forget()

    machine.hear("actuator/18/command", ON)
    machine.hear("sensor/4/command", MEASURE)
    machine.hear("system/command", {"command": "onewire/scan", "intent_id": "s-1"})
    assert machine.outcomes() == [("rejected", code)] * 3
    (response,) = machine.said("actuator/18/response")
    assert response["success"] is False
    assert response["message"] == f"Rejected before execution (reason_code={reason_code})"
    (refusal,) = machine.said("system/command/response")
    assert (refusal["error"], refusal["reason_code"]) == (code, reason_code)
    assert not machine.said("sensor/4/response")

    machine.forget()
    machine.hear("system/command", {"command": "status", "intent_id": "s-2"})
    assert machine.said("system/command/response")[0]["success"] is True
    machine.hear("config", push("c-1", actuators=[RELAY]))
    machine.run(1.0)
    assert machine.outcomes()[-1] == ("persisted", "NONE")
    assert machine.board.actuator(23) is not None


def test_before_the_ack_commands_are_refused_and_the_refusal_comes_later():
    machine = Machine(nvs=APPROVED)
    machine.connect()
    machine.hear("actuator/18/command", ON)
    assert machine.said("actuator/18/response")[0]["success"] is False, "a response passes the gate"
    assert not machine.outcomes()
    assert len(machine.board.nvs.outcomes) == 1
    machine.ack()
    (late,) = machine.said("system/intent_outcome")
    assert (late["code"], late["recovered"], late["delivery_mode"], late["retry_count"]) == (
        "REGISTRATION_PENDING",
        True,
        "recovered",
        1,
    )
    assert not machine.board.nvs.outcomes


def test_emergency_zone_and_subzone_need_no_admission():
    machine = Machine(nvs=APPROVED)
    machine.connect()
    machine.hear("actuator/emergency", {"command": "emergency_stop"})
    assert machine.board.emergency
    machine.hear("zone/assign", {"zone_id": "z", "master_zone_id": "m", "zone_name": "", "kaiser_id": "god"})
    assert machine.said("zone/ack")[0]["status"] == "zone_assigned"


# --- what is reported -----------------------------------------------------------------------------


def test_a_command_is_accepted_done_answered_and_applied_in_this_order():
    machine = at_work()
    machine.hear("actuator/18/command", ON)
    order = [
        effect.topic.removeprefix(machine.topic(""))
        for _, effect in machine.done
        if isinstance(effect, Publish) and "lifecycle" not in effect.topic
    ]
    assert order == [
        "system/intent_outcome",
        "actuator/18/status",
        "actuator/18/response",
        "system/intent_outcome",
    ]
    assert machine.outcomes() == [("accepted", "COMMAND_ACCEPTED"), ("applied", "NONE")]
    numbers = [
        s["seq"] for tail in ("actuator/18/status", "actuator/18/response") for s in machine.said(tail)
    ]
    numbers += [s["seq"] for s in machine.said("system/intent_outcome")]
    assert len(set(numbers)) == 4


def test_an_intent_id_that_comes_again_is_executed_and_not_reported():
    machine = at_work()
    machine.hear("actuator/18/command", ON)
    machine.hear("actuator/18/command", {**ON, "command": "OFF"})
    assert not machine.output(18)
    assert [outcome for outcome, _ in machine.outcomes()] == ["accepted", "applied", "accepted"]


def test_the_device_remembers_32_intents():
    machine = at_work()
    for number in range(intents.RING + 1):
        machine.hear("actuator/18/command", {**ON, "intent_id": f"a-{number}"})
    machine.forget()
    machine.hear("actuator/18/command", {**ON, "intent_id": "a-0"})
    assert ("applied", "NONE") in machine.outcomes(), "long forgotten"
    machine.hear("actuator/18/command", {**ON, "intent_id": "a-32"})
    assert machine.outcomes().count(("applied", "NONE")) == 1


def test_a_command_without_ids_gets_some():
    machine = at_work()
    machine.hear("actuator/18/command", {"command": "ON"})
    ids = {
        (o["intent_id"].split("_")[0], o["correlation_id"].split("_")[0])
        for o in machine.said("system/intent_outcome")
    }
    assert ids == {("act", "corr")}


def test_ids_may_stand_in_data_and_are_cut_at_63_characters():
    machine = at_work()
    machine.hear("actuator/18/command", {"command": "ON", "data": {"intent_id": "x" * 70}})
    assert machine.said("system/intent_outcome")[0]["intent_id"] == "x" * 63


@pytest.mark.parametrize(
    ("times", "expired"),
    [
        ({"ttl_ms": 500}, False),
        ({"ttl_ms": 500, "created_at_ms": NOW * 1000}, True),
        ({"ttl_ms": 500, "created_at_ms": 1}, True),
        ({"created_at_ms": 1}, False),
    ],
    ids=["from arrival", "Unix time reads as 0", "uptime", "without a ttl"],
)
def test_a_time_to_live_is_measured_against_the_uptime(times: dict[str, int], expired: bool):
    machine = at_work()
    machine.hear("actuator/18/command", {**ON, **times})
    assert (("expired", "TTL_EXPIRED") in machine.outcomes()) is expired
    assert machine.output(18) is not expired
    assert bool(machine.said("actuator/18/response")) is not expired


def test_what_cannot_be_sent_waits_in_the_flash_over_a_reset_and_comes_two_at_a_time():
    machine = Machine(nvs=APPROVED)
    machine.connect()
    for number in range(5):
        machine.hear("actuator/18/command", {**ON, "intent_id": f"a-{number}"})
    machine.reset()
    machine.connect()
    machine.forget()
    machine.ack()
    assert len(machine.outcomes()) == 2
    machine.run(1.0)
    assert [o["intent_id"] for o in machine.said("system/intent_outcome")] == [f"a-{n}" for n in range(5)]
    assert machine.board.nvs.outcome_counts.recovered == 5


def test_the_flash_has_48_places():
    machine = Machine(nvs=APPROVED)
    machine.connect()
    for number in range(50):
        machine.hear("actuator/18/command", {**ON, "intent_id": f"a-{number}"})
    assert len(machine.board.nvs.outcomes) == 48
    assert machine.board.nvs.outcomes[0].intent.intent_id == "a-2"
    machine.ack()
    machine.run(60.0)
    assert machine.said("system/heartbeat_metrics")[0]["critical_outcome_drop_count"] == 2


# --- measure --------------------------------------------------------------------------------------


def test_a_measurement_on_demand_tells_all_its_stages():
    machine = at_work()
    machine.hear("sensor/4/command", MEASURE)
    assert [s for s in stages(machine) if not s.startswith("outcome")] == [
        "ingress_seen",
        "admission_accept",
        "queue_enqueued",
        "execute_started",
        "execute_finished",
    ]
    (response,) = machine.said("sensor/4/response")
    assert (response["request_id"], response["reason_code"]) == ("r-1", "NONE")
    assert response["raw"] == machine.said("sensor/4/data")[-1]["raw"]
    assert machine.outcomes() == [("accepted", "COMMAND_ACCEPTED"), ("applied", "NONE")]


@pytest.mark.parametrize(
    ("gpio", "more", "reason_code", "outcome"),
    [
        (99, {}, "SENSOR_NOT_FOUND", ("failed", "SENSOR_NOT_FOUND")),
        (4, {"timeout_ms": 10}, "MEASURE_TIMEOUT", ("expired", "MEASURE_TIMEOUT")),
    ],
)
def test_a_measurement_that_fails_says_why(gpio, more, reason_code, outcome):
    machine = at_work()
    machine.hear(f"sensor/{gpio}/command", {**MEASURE, **more})
    assert machine.said(f"sensor/{gpio}/response")[0]["reason_code"] == reason_code
    assert machine.outcomes()[-1] == outcome


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"command": "calibrate"}, "UNKNOWN_COMMAND"),
        (b"{", "INVALID_JSON"),
        ({"command": "measure", "x": "y" * 400}, "INVALID_JSON"),
    ],
)
def test_what_is_no_measure_command_is_refused(body: object, code: str):
    machine = at_work()
    machine.hear("sensor/4/command", body)
    assert machine.outcomes() == [("rejected", code)]


# --- config ---------------------------------------------------------------------------------------


def test_a_push_is_accepted_applied_and_its_sensors_measured_at_once():
    machine = at_work()
    machine.run(10.0)
    machine.forget()
    sensor = {"gpio": 35, "sensor_type": "moisture", "sensor_name": "New", "measurement_interval_seconds": 77}
    machine.hear("config", push("c-1", sensors=[sensor]))
    assert machine.outcomes() == [("accepted", "COMMAND_ACCEPTED")]
    machine.run(1.0)
    assert machine.outcomes()[-1] == ("persisted", "NONE")
    (response,) = machine.said("config_response")
    assert (response["status"], response["correlation_id"]) == ("success", "c-1")
    assert len(machine.said("sensor/35/data")) == 1
    assert not machine.said("sensor/34/data"), "what the push did not touch keeps its beat"
    machine.run(77.0)
    assert len(machine.said("sensor/35/data")) == 2


def test_a_push_that_completes_the_configuration_lets_the_device_work():
    machine = at_work(WAITING)
    machine.hear("config", push("c-1", actuators=[RELAY]))
    machine.run(1.0)
    assert machine.system_state is SystemState.OPERATIONAL
    events = [s.get("event_type") for s in machine.said("system/intent_outcome/lifecycle")]
    assert "exited_config_pending" in events


@pytest.mark.parametrize(
    ("document", "error_code", "code"),
    [
        ({"sensors": []}, "CONTRACT_MISSING_CORRELATION", "CONTRACT_CORRELATION_MISSING"),
        ({"correlation_id": "c", "pad": "x" * 4400}, "PAYLOAD_TOO_LARGE", "VALIDATION_FAIL"),
    ],
)
def test_a_push_that_breaks_the_contract_is_refused(document, error_code, code):
    machine = at_work()
    machine.hear("config", document)
    assert machine.said("config_response")[0]["error_code"] == error_code
    assert machine.outcomes()[-1][1] == code


def test_a_third_push_in_flight_is_refused():
    machine = at_work()
    for name in ("c-1", "c-2", "c-3"):
        machine.hear("config", push(name, sensors=[]))
    assert machine.outcomes()[-1] == ("rejected", "QUEUE_FULL")
    assert machine.said("config_response")[0]["error_code"] == "QUEUE_FULL"
    machine.run(1.0)
    ended = [(o["intent_id"], o["outcome"]) for o in machine.said("system/intent_outcome")]
    assert ended[-2:] == [("c-1", "persisted"), ("c-2", "persisted")]


def test_a_push_that_a_reset_interrupts_is_replayed():
    machine = at_work()
    machine.hear("config", push("c-1", actuators=[RELAY]))
    machine.run(config_lane.APPLY_S / 2)
    machine.reset("BROWNOUT")
    assert machine.board.actuator(23) is None
    machine.connect()
    machine.forget()
    machine.ack()
    machine.run(1.0)
    assert machine.outcomes() == [("accepted", "REPLAY"), ("persisted", "NONE")]
    assert machine.board.actuator(23) is not None
    assert machine.board.nvs.replay == ()


def test_a_busy_lane_is_told():
    machine = Machine(attrs.evolve(SPEC, approved=True, faults=Faults(config_lane_busy=True)))
    machine.register()
    machine.hear("zone/assign", {"zone_id": "z", "correlation_id": "z-1"})
    assert machine.said("zone/ack")[0]["reason_code"] == "CONFIG_LANE_BUSY"
    machine.hear("config", push("c-1", sensors=[]))
    machine.run(1.0)
    assert machine.said("config_response")[-1]["error_code"] == "WRITE_TIMEOUT"


# --- zones, system, emergency ---------------------------------------------------------------------


def test_a_zone_is_confirmed_and_shown_by_a_heartbeat_at_once():
    machine = at_work(WAITING)
    zone = {"zone_id": "north", "master_zone_id": "farm", "zone_name": "North", "kaiser_id": "god"}
    machine.hear("zone/assign", {**zone, "correlation_id": "z-1"})
    (ack,) = machine.said("zone/ack")
    assert (ack["status"], ack["zone_id"], ack["correlation_id"]) == ("zone_assigned", "north", "z-1")
    assert machine.said("system/heartbeat")[0]["zone_id"] == "north"
    assert machine.system_state is SystemState.ZONE_CONFIGURED, "also out of CONFIG_PENDING"
    machine.reset()
    assert machine.board.nvs.zone_id == "north"


def test_a_zone_without_a_kaiser_loses_the_device():
    machine = at_work()
    effects = machine.hear("zone/assign", {"zone_id": "z", "master_zone_id": "m", "zone_name": "Z"})
    assert machine.board.kaiser_id == "null"
    moved = {e.topic.split("/", 4)[4] for e in effects if isinstance(e, Subscribe)}
    assert "config" not in moved
    assert "system/heartbeat/ack" in moved
    assert len([e for e in effects if isinstance(e, Unsubscribe)]) == len(moved)
    machine.forget()
    machine.run(61.0)
    assert machine.said("system/heartbeat"), "below kaiser/null"


def test_a_factory_reset_ends_in_the_portal():
    machine = at_work()
    machine.hear("system/command", {"command": "factory_reset", "confirm": True})
    assert machine.said("system/command/response")[0]["status"] == "factory_reset_initiated"
    machine.run(3.1)
    assert machine.system_state is SystemState.SAFE_MODE_PROVISIONING
    assert machine.state.reset_reason == "SW"
    assert len(machine.board.nvs.actuators) == 2, "only WiFi and zone are gone"
    assert machine.board.nvs.zone_id == ""


def test_a_cleared_emergency_is_answered_two_seconds_later_and_nothing_is_heard_meanwhile():
    machine = at_work()
    machine.hear("actuator/emergency", {"command": "emergency_stop", "correlation_id": "e-1"})
    assert machine.said("actuator/emergency/ack")[0]["correlation_id"] == "e-1"
    assert machine.said("actuator/18/alert")[0]["alert_type"] == "emergency_stop"
    machine.run(6.0)
    machine.forget()
    machine.hear("actuator/emergency", {"command": "clear_emergency"})
    machine.hear("actuator/18/command", ON)
    machine.run(1.9)
    assert not machine.said("actuator/emergency/response")
    assert not machine.said("actuator/18/response")
    machine.run(0.2)
    assert machine.said("actuator/emergency/response")[0]["status"] == "emergency_cleared"
    assert machine.said("actuator/recovery_confirm")
    assert machine.said("actuator/18/response")[0]["success"] is True


def test_a_reset_forgets_the_latch():
    machine = at_work()
    machine.hear("actuator/emergency", {"command": "emergency_stop"})
    machine.reset()
    assert not machine.board.emergency


def test_a_broadcast_reaches_it_below_no_kaiser():
    machine = at_work()
    machine.take(Received("kaiser/broadcast/emergency", b'{"command":"stop_all"}'))
    assert machine.board.emergency
    assert ("applied", "BROADCAST_EMERGENCY_STOP_TRIGGERED") in machine.outcomes()
    assert not machine.said("actuator/emergency/ack")


def test_a_duration_switches_off():
    machine = at_work()
    machine.hear("actuator/18/command", {**ON, "duration": 30})
    machine.run(29.9)
    assert machine.output(18)
    machine.run(0.2)
    assert not machine.output(18)
    assert machine.said("actuator/18/status")[-1]["command_source"] == "firmware:auto_duration"


@pytest.mark.parametrize("tail", ["library/install", "actuator/18/config", "config_part", "sensor/x", ""])
def test_what_the_firmware_does_not_know_it_does_not_hear(tail: str):
    machine = at_work()
    before = machine.state
    machine.hear(tail, {})
    assert machine.state == before
