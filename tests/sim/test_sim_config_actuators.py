"""Actuators and offline rules of a config push on a virtual board."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from rig.boards import (
    actuator,
    board,
    bodies,
    configured,
    ended,
    of,
    push,
    sht31,
)

from growy.sim.board import (
    Attached,
    Reply,
    TrackedError,
    Variant,
)


def test_each_bad_actuator_has_its_answer_and_there_is_no_summary():
    taken, replies = push(board(), {"actuators": [actuator(), {"gpio": 19, "actuator_type": "relay"}]})
    said = bodies(replies, "config_response")
    assert said == [
        {
            "seq": 7,
            "status": "error",
            "type": "actuator",
            "count": 0,
            "message": "Actuator config missing required field 'actuator_name'",
            "error_code": "MISSING_FIELD",
            "failed_item": {"gpio": 19, "actuator_type": "relay"},
            "correlation_id": "c-1",
        },
        said[1],
    ]
    assert said[1]["error_code"] == "COMMIT_FAILED"
    assert [a.gpio for a in taken.nvs.actuators] == [18]


@pytest.mark.parametrize(
    ("item", "code", "errors"),
    [
        ({}, "MISSING_FIELD", []),
        ({"gpio": "18"}, "TYPE_MISMATCH", []),
        ({"gpio": 18}, "MISSING_FIELD", []),
        ({"gpio": 18, "actuator_type": 5}, "TYPE_MISMATCH", []),
        ({"gpio": 18, "actuator_type": "", "actuator_name": "x"}, "VALIDATION_FAILED", []),
        ({"gpio": 18, "actuator_type": "relay", "actuator_name": 5}, "TYPE_MISMATCH", []),
        (actuator(18, "Relay"), "UNKNOWN_ERROR", []),
        (actuator(18, "solenoid"), "UNKNOWN_ERROR", []),
        (actuator(255), "UNKNOWN_ERROR", []),
        (actuator(34), "UNKNOWN_ERROR", [1004, 1051]),
        (actuator(21), "UNKNOWN_ERROR", [1001, 1051]),
        (actuator(12), "UNKNOWN_ERROR", [1001, 1051]),
        (actuator(68), "UNKNOWN_ERROR", [1002]),
        (actuator(19, "valve", aux_gpio=21), "UNKNOWN_ERROR", [1001, 1051]),
        (actuator(19, "valve"), "UNKNOWN_ERROR", [1001, 1051]),  # 20 is no safe pin
    ],
)
def test_an_actuator_that_will_not_do_is_refused_with_its_item(
    item: dict[str, Any], code: str, errors: list[int]
):
    on, _ = push(board(), {"sensors": [sht31()]})
    taken, replies = push(on, {"actuators": [item]})
    answer = bodies(replies, "config_response")[0]
    assert answer["error_code"] == code
    assert answer.get("failed_item", {}) == item
    assert [error.code for error in of(replies, TrackedError)] == errors
    assert taken.actuators == ()


def test_an_unknown_error_says_which_actuator_and_how_much_memory_was_left():
    _, replies = push(board(), {"actuators": [actuator(34, "pump")]})
    assert bodies(replies)[0]["message"] == (
        "Failed to configure actuator on GPIO 34 type=pump name=pump 34 heap=118244"
    )


def test_a_valve_takes_two_pins():
    on, _ = push(board(), {"actuators": [actuator(18, "valve")]})
    _, replies = push(on, {"actuators": [actuator(19)]})
    assert ended(replies)[0] == "failed"
    on, _ = push(board(), {"actuators": [actuator(18, "valve", aux_gpio=25)]})
    assert ended(push(on, {"actuators": [actuator(19)]})[1]) == ("persisted", "NONE")


def test_the_same_actuator_again_is_skipped_without_a_status():
    _, replies = push(configured(), {"actuators": [actuator()]})
    assert [reply.topic_tail for reply in of(replies, Reply)] == ["config_response"]


def test_a_soft_change_reaches_the_flash_and_not_the_driver():
    taken, replies = push(configured(), {"actuators": [actuator(default_state=True, inverted_logic=True)]})
    assert ended(replies) == ("persisted", "NONE")
    assert not taken.actuators[0].config.default_state
    assert taken.nvs.actuators[0].default_state
    assert taken.nvs.actuators[0].inverted_logic


def test_the_next_actuator_that_is_stored_undoes_a_soft_change():
    on, _ = push(configured(), {"actuators": [actuator(default_state=True)]})
    taken, _ = push(on, {"actuators": [actuator(19)]})
    assert [a.default_state for a in taken.nvs.actuators] == [False, False]


def test_another_type_makes_a_new_driver():
    taken, replies = push(configured(actuator(default_state=True)), {"actuators": [actuator(18, "pwm")]})
    assert (taken.actuators[0].config.actuator_type, taken.actuators[0].on) == ("pwm", False)
    assert bodies(replies, "actuator/18/status")[0]["type"] == "pwm"


def test_active_false_removes_an_actuator():
    taken, replies = push(configured(), {"actuators": [actuator(active=False)]})
    assert taken.actuators == taken.nvs.actuators == ()
    assert ended(replies) == ("persisted", "NONE")


def test_max_runtime_is_not_stored():
    taken, _ = push(board(), {"actuators": [actuator(max_runtime_ms=5000)]})
    assert taken.actuators[0].config.max_runtime_ms == 5000
    assert taken.nvs.actuators[0].max_runtime_ms == 3_600_000


@pytest.mark.parametrize(("variant", "room"), [(Variant.DEV, 12), (Variant.XIAO, 6)])
def test_the_board_has_room_for_so_many_actuators(variant: Variant, room: int):
    pins = (4, 5, 14, 15, 16, 17, 18, 19, 23, 25, 26, 27, 32)
    on = attrs.evolve(board(), attached=Attached(variant=variant))
    taken, replies = push(on, {"actuators": [actuator(pin) for pin in pins[: room + 1]]})
    assert len(taken.actuators) == room
    assert TrackedError(1051, 2, "Actuator slots exhausted") in replies


# --- offline rules --------------------------------------------------------------------------------


def rule(**fields: Any) -> dict[str, Any]:
    return {"actuator_gpio": 18, "sensor_gpio": 68, "sensor_value_type": "sht31_temp", **fields}


def test_offline_rules_are_answered_by_the_outcome_alone():
    taken, replies = push(configured(), {"offline_rules": [rule()]})
    assert bodies(replies) == []
    assert ended(replies) == ("persisted", "NONE")
    assert len(taken.rules) == 1


def test_only_the_first_eight_rules_count():
    taken, _ = push(configured(), {"offline_rules": [rule(actuator_gpio=n) for n in range(10)]})
    assert [r.actuator_gpio for r in taken.rules] == list(range(8))


def test_an_empty_list_clears_and_an_absent_one_keeps():
    on, _ = push(configured(), {"offline_rules": [rule()]})
    assert push(on, {"sensors": []})[0].rules == on.rules
    cleared, _ = push(on, {"offline_rules": []})
    assert cleared.rules == cleared.nvs.offline_rules == ()


def test_a_rule_keeps_its_hysteresis_unless_the_push_brings_one():
    on, _ = push(configured(), {"offline_rules": [rule(current_state_active=True)]})
    assert push(on, {"offline_rules": [rule()]})[0].rules[0].is_active
    assert not push(on, {"offline_rules": [rule(current_state_active=False)]})[0].rules[0].is_active


def test_what_is_wrong_in_a_rule_gets_its_default():
    taken, _ = push(
        configured(),
        {
            "offline_rules": [
                {"actuator_gpio": 300, "activate_below": "18"},
                rule(sensor_value_type="x" * 24),
                5,
            ]
        },
    )
    first, long, none = taken.rules
    assert (first.actuator_gpio, first.activate_below) == (255, 0.0)
    assert not long.enabled
    assert none.actuator_gpio == 255


def test_a_time_filter_counts_only_when_it_is_enabled():
    hours = {"start_hour": 6, "end_hour": 24, "timezone": "CET"}
    taken, _ = push(
        configured(),
        {"offline_rules": [rule(time_filter=hours), rule(time_filter=hours | {"enabled": True})]},
    )
    off, on = (r.time_filter for r in taken.rules)
    assert (off.enabled, off.start_hour) == (False, 0)
    assert (on.start_hour, on.end_hour, on.days_of_week_mask, on.timezone) == (6, 24, 127, "Europe/Berlin")
