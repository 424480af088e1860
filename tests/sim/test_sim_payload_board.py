"""What the board's messages look like, letter by letter where the firmware puts them together itself."""

from __future__ import annotations

import json

import pytest
from rig.boards import actuator, board, configured, ctx, intent, old_board

from growy.sim import payload_board as pb
from growy.sim.board import Outcome, TrackedError

COMMAND = pb.ActuatorCommand(gpio=18, command="ON", value=0.25, duration_s=30, correlation_id="c-1")


def test_a_number_is_put_in_when_the_message_leaves():
    reply = pb.actuator_alert(board(), 18, "emergency_stop", "Actuator stopped", ctx())
    assert reply.numbered
    assert reply.body(90) == (
        b'{"esp_id":"ESP_00A001","seq":90,"zone_id":"house","ts":1767225600,"gpio":18,'
        b'"alert_type":"emergency_stop","message":"Actuator stopped"}'
    )


def test_hand_made_messages_escape_nothing():
    command = pb.ActuatorCommand(gpio=18, command='O"N', correlation_id="c\\1")
    body = pb.actuator_response(board(), command, ctx(), success=False, message="x").body(1)
    assert b'"command":"O"N"' in body
    assert b'"correlation_id":"c\\1"' in body


def test_messages_of_the_json_library_escape():
    reply = pb.subzone_ack(board(), "error", 's"1', "c\\1", ctx(), message="m")
    assert json.loads(reply.body(1))["subzone_id"] == 's"1'


def test_the_ids_of_emergencies_are_escaped_by_hand():
    body = json.loads(pb.emergency_ack(configured(), intent('e"\\1'), ctx()).body(3))
    assert (body["correlation_id"], body["gpio_count"]) == ('e"\\1', 1)


def test_old_firmware_numbers_and_correlates_nothing():
    on = old_board()
    replies = [
        pb.actuator_alert(on, 18, "a", "m", ctx()),
        pb.actuator_response(on, COMMAND, ctx(), success=True, message="m"),
        pb.emergency_error(on, "e", "m"),
        pb.emergency_response(on, 5),
        pb.config_success(on, "sensor", 1, "m", "c-1"),
        pb.config_error(on, "sensor", "E", "m", "c-1"),
        pb.zone_ack(on, "zone_assigned", "z", "m", "c-1", ctx()),
        pb.zone_error(on, "m", "c-1", ctx()),
        pb.subzone_ack(on, "error", "s", "c-1", ctx(), message="m"),
    ]
    for reply in replies:
        assert not reply.numbered, reply
        assert "correlation_id" not in json.loads(reply.body(0)), reply


def test_old_firmware_has_neither_outcomes_nor_errors():
    reply = pb.emergency_error(board(), "e", "m")
    outcome = Outcome(flow="command", intent=intent(), outcome="applied", code="NONE", reason="r")
    said = (TrackedError(1, 1, "x"), reply, outcome)
    assert pb.spoken(board(), said) == said
    assert pb.spoken(old_board(), said) == (reply,)


def test_a_failed_item_is_echoed_as_far_as_its_pool_reaches():
    item = {f"field_{n}": n for n in range(20)}
    body = json.loads(pb.config_error(board(), "actuator", "E", "m", "c-1", item).body(1))
    assert body["failed_item"] == {f"field_{n}": n for n in range(16)}
    assert body["correlation_id"] == "c-1"


def test_a_command_refused_by_admission_is_answered_from_its_json():
    document = {"command": "PWM", "value": 0.5, "duration": 7, "issued_by": "rule:1"}
    reply = pb.actuator_rejected(board(), 18, document, intent(), "REGISTRATION_PENDING", ctx())
    assert reply.topic_tail == "actuator/18/response"
    assert json.loads(reply.body(4)) == {
        "esp_id": "ESP_00A001",
        "seq": 4,
        "zone_id": "house",
        "ts": 1767225600,
        "gpio": 18,
        "command": "PWM",
        "value": 0.5,
        "duration": 7,
        "success": False,
        "message": "Rejected before execution (reason_code=REGISTRATION_PENDING)",
        "correlation_id": "c-1",
        "issued_by": "rule:1",
    }


@pytest.mark.parametrize("document", [{}, {"command": 5, "value": "1", "duration": True}])
def test_what_was_no_command_is_answered_as_unknown(document: dict[str, object]):
    reply = pb.actuator_rejected(board(), 18, document, intent(), "PENDING_APPROVAL", ctx())
    body = json.loads(reply.body(4))
    assert (body["command"], body["value"], body["duration"]) == ("UNKNOWN", 0, 0)


def test_config_status_tells_what_the_flash_says():
    on = configured(actuator())
    assert json.loads(pb.config_status(on)) == {
        "wifi_configured": True,
        "zone_assigned": True,
        "system_configured": True,
        "subzone_count": 0,
        "boot_count": 0,
        "state": 0,
    }
