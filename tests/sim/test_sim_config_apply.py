"""A config push on a virtual board: the document, its generation, how it ends, and what it ends."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.boards import (
    ROM,
    actuator,
    board,
    bodies,
    configured,
    ctx,
    ds18b20,
    ended,
    intent,
    of,
    push,
    sensor,
    sht31,
)

from growy.sim.board import (
    Lifecycle,
    Outcome,
    StateChange,
    SystemState,
)
from growy.sim.config_apply import PAYLOAD_LIMIT, apply, too_large, uncorrelated


def rule(**fields: Any) -> dict[str, Any]:
    return {"actuator_gpio": 18, "sensor_gpio": 68, "sensor_value_type": "sht31_temp", **fields}


# --- the document ---------------------------------------------------------------------------------


def test_a_push_of_all_scopes_is_taken_stored_and_answered_scope_by_scope():
    rule = {"actuator_gpio": 18, "sensor_gpio": 68, "sensor_value_type": "sht31_temp", "activate_above": 28.0}
    pushed = {"sensors": [sht31(), ds18b20()], "actuators": [actuator()], "offline_rules": [rule]}
    taken, replies = push(board(), pushed)

    assert bodies(replies, "config_response") == [
        {
            "seq": 7,
            "status": "success",
            "type": "sensor",
            "count": 2,
            "failed_count": 0,
            "message": "Configured 2 item(s) successfully",
            "correlation_id": "c-1",
        },
        {
            "seq": 7,
            "status": "success",
            "type": "actuator",
            "count": 1,
            "message": "Configured 1 actuator(s) successfully",
            "correlation_id": "c-1",
        },
    ]
    assert ended(replies) == ("persisted", "NONE")
    assert [s.gpio for s in taken.nvs.sensors] == [68, 4]
    assert [a.gpio for a in taken.nvs.actuators] == [18]
    assert taken.nvs.offline_rules[0].activate_above == 28.0
    assert taken.sensor_due == {0, 1}


def test_a_push_is_merged_and_replaces_nothing():
    taken, _ = push(configured(), {"sensors": [sensor(34)]})
    assert [s.gpio for s in taken.sensors] == [68, 34]
    assert [a.gpio for a in taken.actuators] == [18]


def test_a_push_without_correlation_is_refused_with_an_id_of_the_devices_own():
    on, replies = uncorrelated(board(), intent(correlation_id=""), ctx(12.5)) or pytest.fail("accepted")
    (answer,) = bodies(replies)
    assert answer["error_code"] == "CONTRACT_MISSING_CORRELATION"
    assert answer["correlation_id"] == "fw_ESP_00A001_12500_1"
    assert ended(replies) == ("failed", "CONTRACT_CORRELATION_MISSING")
    assert on.ids == 1
    assert uncorrelated(board(), intent(), ctx()) is None


def test_4351_bytes_fit_and_one_more_does_not():
    assert too_large(board(), b"x" * (PAYLOAD_LIMIT - 1), intent()) is None
    replies = too_large(board(), b"x" * PAYLOAD_LIMIT, intent()) or pytest.fail("accepted")
    assert bodies(replies)[0]["error_code"] == "PAYLOAD_TOO_LARGE"
    assert ended(replies) == ("rejected", "VALIDATION_FAIL")


def test_480_nodes_fit_and_one_more_does_not():
    assert ended(push(board(), {"filler": [0] * 479})[1]) == ("persisted", "NONE")
    _, replies = push(board(), {"filler": [0] * 480})
    assert bodies(replies)[0]["message"] == "Config JSON parse failed: NoMemory"
    assert ended(replies) == ("failed", "JSON_PARSE_ERROR")


@pytest.mark.parametrize("payload", [b"", b"\0{}"])
def test_an_empty_push_fails(payload: bytes):
    _, replies = push(board(), payload)
    assert bodies(replies)[0]["error_code"] == "VALIDATION_FAILED"
    assert ended(replies) == ("failed", "VALIDATION_FAILED")


def test_a_lane_that_is_taken_for_too_long_refuses_and_asks_to_come_back():
    _, replies = apply(board(), b'{"sensors":[]}', intent(), ctx(lane_busy=True))
    assert bodies(replies)[0]["error_code"] == "WRITE_TIMEOUT"
    assert of(replies, Outcome)[-1].retryable


def test_other_keys_change_nothing():
    on = configured()
    taken, replies = push(on, {"wifi": {"ssid": "x"}, "server": {"port": 1}, "timestamp": 1})
    assert taken == on
    assert bodies(replies) == []
    assert ended(replies) == ("persisted", "NONE")


def test_empty_lists_are_success_and_change_nothing():
    on = configured()
    taken, replies = push(on, {"sensors": [], "actuators": []})
    assert [(b["type"], b["count"], b["message"]) for b in bodies(replies)] == [
        ("sensor", 0, "No sensors configured"),
        ("actuator", 0, "No actuators configured"),
    ]
    assert taken == on


@pytest.mark.parametrize(
    ("document", "responses"),
    [
        ({"sensors": {}}, ["MISSING_FIELD", "COMMIT_FAILED"]),
        ({"offline_rules": "none"}, ["COMMIT_FAILED"]),
    ],
)
def test_a_scope_that_is_no_list_fails_the_push(document: object, responses: list[str]):
    _, replies = push(board(), document)
    assert [body["error_code"] for body in bodies(replies)] == responses
    assert ended(replies) == ("failed", "COMMIT_FAILED")


def test_actuators_that_are_no_list_are_ignored():
    _, replies = push(board(), {"actuators": 7})
    assert bodies(replies) == []
    assert ended(replies) == ("persisted", "NONE")


# --- generations ----------------------------------------------------------------------------------


def test_a_generation_that_is_not_newer_is_stale_as_a_whole():
    on, _ = push(board(), {"actuators": [actuator()], "generation": 10})
    for stale in (9, 10):
        taken, replies = push(on, {"actuators": [actuator(19)], "generation": stale})
        assert taken == on
        assert [o.code for o in of(replies, Outcome)] == ["STALE_SCOPE"]
        assert bodies(replies)[0]["error_code"] == "STALE_SCOPE"
    assert len(push(on, {"actuators": [actuator(19)], "generation": 11})[0].actuators) == 2


def test_sensors_never_go_stale_and_the_stale_scope_is_the_first_outcome_heard():
    on, _ = push(configured(), {"actuators": [actuator()], "offline_rules": [], "generation": 10})
    taken, replies = push(
        on,
        {"sensors": [sensor(34)], "actuators": [actuator(19)], "offline_rules": [rule()], "generation": 10},
    )
    assert [o.code for o in of(replies, Outcome)] == ["STALE_ACTUATOR_SCOPE", "STALE_OFFLINE_SCOPE", "NONE"]
    assert [s.gpio for s in taken.sensors] == [68, 34]
    assert len(taken.actuators) == 1
    assert taken.rules == ()


@pytest.mark.parametrize("generation", [None, 0, 1_767_225_600_000, 10.5, "12"])
def test_a_generation_that_is_no_32_bit_integer_guards_nothing(generation: object):
    on, _ = push(board(), {"actuators": [actuator()], "generation": 10})
    taken, _ = push(on, {"actuators": [actuator(19)], "generation": generation})
    assert len(taken.actuators) == 2


def test_a_push_that_failed_does_not_move_the_generation():
    on, _ = push(board(), {"actuators": [actuator(34)], "generation": 10})
    assert on.nvs.actuator_generation == on.nvs.applied_generation == 0


# --- CONFIG_PENDING -------------------------------------------------------------------------------


def pending(**changes: Any) -> Any:
    on, _ = push(board(), {"sensors": [sht31()]})
    return attrs.evolve(on, state=SystemState.CONFIG_PENDING_AFTER_RESET, pending_enters=1, **changes)


def test_the_missing_actuator_ends_the_wait():
    taken, replies = push(pending(), {"actuators": [actuator()]})
    assert taken.state is taken.nvs.system_state is SystemState.OPERATIONAL
    assert StateChange(SystemState.CONFIG_PENDING_AFTER_RESET, SystemState.OPERATIONAL) in replies
    (event,) = of(replies, Lifecycle)
    said = json.loads(event.reply.body(9))
    assert said["event_type"] == "exited_config_pending"
    assert (said["state_before"], said["state_after"]) == ("CONFIG_PENDING_AFTER_RESET", "OPERATIONAL")
    assert (said["sensor_count"], said["actuator_count"]) == (1, 1)
    assert said["config_pending_exit_count"] == 1


def test_a_device_that_was_never_approved_goes_on_to_wait_for_that():
    on = pending()
    on = attrs.evolve(on, nvs=attrs.evolve(on.nvs, approved=False))
    assert push(on, {"actuators": [actuator()]})[0].state is SystemState.PENDING_APPROVAL


def test_a_push_that_does_not_suffice_says_what_is_missing():
    taken, replies = push(pending(), {"sensors": [sensor(34)]})
    assert taken.state is SystemState.CONFIG_PENDING_AFTER_RESET
    said = json.loads(of(replies, Lifecycle)[0].reply.body(9))
    assert (said["event_type"], said["readiness_decision"]) == (
        "exit_blocked_config_pending",
        "MISSING_ACTUATORS",
    )


def test_offline_rules_without_an_actuator_end_the_wait():
    taken, replies = push(pending(), {"offline_rules": [rule()]})
    assert taken.state is SystemState.OPERATIONAL
    assert json.loads(of(replies, Lifecycle)[0].reply.body(9))["readiness_decision"] == (
        "OFFLINE_RULES_ONLY_AUTO_EXIT"
    )


# --- anything -------------------------------------------------------------------------------------

VALUES = (
    st.none() | st.booleans() | st.integers(-300, 70_000) | st.floats(allow_nan=False) | st.text(max_size=20)
)
ITEMS = st.dictionaries(
    st.sampled_from(
        (
            "gpio", "sensor_type", "sensor_name", "onewire_address", "i2c_address", "active", "actuator_type",
            "actuator_name", "aux_gpio", "actuator_gpio", "time_filter", "measurement_interval_seconds", "type",
        )
    ),
    VALUES
    | st.sampled_from(("sht31", "ds18b20", "ph", "relay", "pump", "valve", "pwm", ROM, 4, 18, 19, 34, 68)),
)  # fmt: skip
SCOPE = st.lists(ITEMS | VALUES, max_size=6) | VALUES
DOCUMENTS = st.dictionaries(
    st.sampled_from(("sensors", "actuators", "offline_rules", "generation")), SCOPE | VALUES
)


@given(st.lists(DOCUMENTS | VALUES, max_size=4))
def test_any_document_ends_in_exactly_one_way_and_leaves_a_sound_board(documents: list[object]):
    on = board()
    for document in documents:
        on, replies = push(on, document)
        assert of(replies, Outcome), document
        assert ended(replies)[0] in ("persisted", "failed", "rejected")
        assert len(bodies(replies)) <= 20
        assert len(on.sensors) <= 20
        assert len(on.actuators) <= 12
        assert len(on.rules) <= 8
        gpios = [output.gpio for output in on.actuators]
        assert len(set(gpios)) == len(gpios)
        assert [a.gpio for a in on.nvs.actuators] == gpios
        assert all(index < len(on.sensors) for index in on.sensor_due)


@given(st.binary(max_size=400))
def test_any_bytes_are_answered(payload: bytes):
    _, replies = push(board(), payload)
    assert of(replies, Outcome)
