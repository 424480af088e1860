"""A config push on a virtual board: what it takes, what it refuses, and what it says of each item."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.boards import (
    OTHER_ROM,
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
    Attached,
    Lifecycle,
    Outcome,
    Reply,
    StateChange,
    SystemState,
    TrackedError,
    Variant,
)
from growy.sim.config_apply import PAYLOAD_LIMIT, apply, too_large, uncorrelated
from growy.sim.spec import ds18b20_rom


def failures(document: object, on: Any = None) -> list[dict[str, Any]]:
    _, replies = push(on or board(), document)
    return [failure for body in bodies(replies) for failure in body.get("failures", [])]


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


# --- sensors --------------------------------------------------------------------------------------


def test_one_bad_sensor_fails_the_push_and_the_good_ones_stay():
    taken, replies = push(board(), {"sensors": [sensor(34), {"gpio": 35}]})
    first, second = bodies(replies)
    assert (first["status"], first["count"], first["failed_count"]) == ("partial_success", 1, 1)
    assert first["message"] == "1 configured, 1 failed"
    assert (second["type"], second["error_code"]) == ("system", "COMMIT_FAILED")
    assert ended(replies) == ("failed", "COMMIT_FAILED")
    assert [s.gpio for s in taken.nvs.sensors] == [34]


@pytest.mark.parametrize(
    ("item", "gpio", "code", "error", "detail"),
    [
        ({}, 0, 2011, "MISSING_FIELD", "Missing required field 'gpio'"),
        ("text", 0, 2011, "MISSING_FIELD", "Missing required field 'gpio'"),
        (sensor(34) | {"gpio": "34"}, 0, 2010, "TYPE_MISMATCH", "Field 'gpio' must be an integer"),
        ({"gpio": 34}, 34, 2011, "MISSING_FIELD", "Missing required field 'sensor_type'"),
        ({"gpio": 34, "sensor_type": 1}, 34, 2010, "TYPE_MISMATCH", "Field 'sensor_type' must be a string"),
        (
            {"gpio": 34, "sensor_type": "ph"},
            34,
            2011,
            "MISSING_FIELD",
            "Missing required field 'sensor_name'",
        ),
        (sensor(40), 40, 2010, "VALIDATION_FAILED", "Sensor validation failed for GPIO 40"),
        (sensor(34, ""), 34, 2010, "VALIDATION_FAILED", "Sensor validation failed for GPIO 34"),
        (sensor(0), 0, 1041, "CONFIG_FAILED", "Failed to configure sensor on GPIO 0"),
        (sensor(12), 12, 1041, "CONFIG_FAILED", "Failed to configure sensor on GPIO 12"),
        (sensor(6), 6, 1041, "CONFIG_FAILED", "Failed to configure sensor on GPIO 6"),
        (sensor(21), 21, 1002, "GPIO_CONFLICT", "GPIO 21 already used by system (I2C_SDA)"),
        (sensor(18), 18, 1002, "GPIO_CONFLICT", "GPIO 18 already used by actuator (relay 18)"),
        (ds18b20(gpio=18), 18, 1002, "GPIO_CONFLICT", "GPIO 18 already used by actuator (relay 18)"),
        (ds18b20(ds18b20_rom(0x9999)), 4, 1041, "CONFIG_FAILED", "Failed to configure sensor on GPIO 4"),
        (ds18b20("28FF"), 4, 1041, "CONFIG_FAILED", "Failed to configure sensor on GPIO 4"),
        (ds18b20("Z" * 16), 4, 1041, "CONFIG_FAILED", "Failed to configure sensor on GPIO 4"),
        (ds18b20(""), 4, 1041, "CONFIG_FAILED", "Failed to configure sensor on GPIO 4"),
        (sht31(label=255), 255, 1041, "CONFIG_FAILED", "Failed to configure sensor on GPIO 255"),
    ],
)
def test_a_sensor_that_will_not_do_is_named_with_the_reason(
    item: object, gpio: int, code: int, error: str, detail: str
):
    assert failures({"sensors": [item]}, configured()) == [
        {"type": "sensor", "gpio": gpio, "error_code": code, "error": error, "detail": detail}
    ]


def test_types_are_taken_in_any_case_and_gpio_numbers_wrap_at_a_byte():
    taken, _ = push(board(), {"sensors": [sensor(34 + 256, "MOISTURE")]})
    assert (taken.sensors[0].gpio, taken.sensors[0].sensor_type) == (34, "moisture")


@pytest.mark.parametrize(("asked", "kept"), [(0, 1), (1, 1), (300, 300), (3600, 300), (12.9, 12), ("9", 30)])
def test_the_interval_is_clamped(asked: object, kept: int):
    taken, _ = push(board(), {"sensors": [sensor(measurement_interval_seconds=asked)]})
    assert taken.sensors[0].interval_s == kept


@pytest.mark.parametrize(
    ("asked", "kept"), [("paused", "paused"), ("never", "continuous"), (3, "continuous")]
)
def test_an_unknown_operating_mode_is_continuous(asked: object, kept: str):
    taken, _ = push(board(), {"sensors": [sensor(operating_mode=asked)]})
    assert taken.sensors[0].operating_mode == kept


def test_all_ds18b20_share_one_pin_and_there_is_one_such_pin():
    on = attrs.evolve(board(), attached=Attached(onewire={4: (ROM, OTHER_ROM), 5: (ds18b20_rom(3),)}))
    taken, _ = push(on, {"sensors": [ds18b20(), ds18b20(OTHER_ROM)]})
    assert len(taken.sensors) == 2
    assert taken.onewire_pin == 4

    _, replies = push(taken, {"sensors": [ds18b20(ds18b20_rom(3), gpio=5)]})
    assert bodies(replies)[0]["failures"][0]["error"] == "CONFIG_FAILED"
    assert TrackedError(1020, 2, "Single-bus conflict") in replies


def test_a_rom_code_with_a_wrong_checksum_is_only_warned_of():
    broken = ROM[:14] + ("00" if ROM[14:] != "00" else "01")
    on = attrs.evolve(board(), attached=Attached(onewire={4: (broken,)}))
    taken, replies = push(on, {"sensors": [ds18b20(broken)]})
    assert len(taken.sensors) == 1
    assert {error.code for error in of(replies, TrackedError)} == {1025}


def test_a_rom_code_is_found_whatever_its_case_and_kept_as_pushed():
    taken, _ = push(board(), {"sensors": [ds18b20(ROM.lower())]})
    assert taken.sensors[0].onewire_address == ROM.lower()


def test_a_chip_that_is_not_there_is_configured_all_the_same():
    taken, replies = push(board(), {"sensors": [sht31(0x40)]})
    assert ended(replies) == ("persisted", "NONE")
    assert taken.sensors[0].i2c_address == 0x40


def test_two_kinds_of_chip_cannot_have_one_address():
    on, _ = push(board(), {"sensors": [sht31()]})
    _, replies = push(on, {"sensors": [sensor(70, "bmp280", i2c_address=0x44)]})
    assert TrackedError(1011, 2, "I2C address conflict") in replies
    assert ended(replies)[0] == "failed"


def test_without_an_address_the_second_push_zeroes_it_and_the_third_doubles_the_sensor():
    item = {"sensors": [sensor(68, "sht31")]}
    first, _ = push(board(), item)
    assert [s.i2c_address for s in first.sensors] == [0x44]
    second, _ = push(first, item)
    assert [s.i2c_address for s in second.sensors] == [0]
    third, _ = push(second, item)
    assert [s.i2c_address for s in third.sensors] == [0, 0x44]


def test_with_its_address_the_same_push_changes_nothing_but_measures_at_once():
    once, _ = push(board(), {"sensors": [sht31()]})
    twice, _ = push(attrs.evolve(once, sensor_due=frozenset()), {"sensors": [sht31()]})
    assert twice.sensors == once.sensors
    assert twice.nvs == once.nvs
    assert twice.sensor_due == {0}


def test_active_false_removes_by_gpio_and_address_and_is_success_either_way():
    on, _ = push(board(), {"sensors": [ds18b20(), ds18b20(OTHER_ROM), sensor(34)]})
    taken, replies = push(on, {"sensors": [ds18b20(active=False), sensor(33, active=0)]})
    assert [s.onewire_address for s in taken.sensors] == [OTHER_ROM, ""]
    assert taken.nvs.sensors == taken.sensors
    assert bodies(replies)[0]["count"] == 2


def test_the_pin_of_the_last_ds18b20_is_free_again():
    on, _ = push(board(), {"sensors": [ds18b20()]})
    _, replies = push(on, {"sensors": [ds18b20(active=False), sensor(4, "ph")]})
    assert ended(replies) == ("persisted", "NONE")


@pytest.mark.parametrize(("variant", "room"), [(Variant.DEV, 20), (Variant.XIAO, 10)])
def test_the_board_has_room_for_so_many_sensors(variant: Variant, room: int):
    on = attrs.evolve(board(), attached=Attached(variant=variant))
    # A push of 21 would not fit its parser.
    for gpio in range(60, 60 + room):
        on, _ = push(on, {"sensors": [sht31(gpio)]})
    assert len(on.sensors) == room
    taken, replies = push(on, {"sensors": [sht31(90)]})
    assert len(taken.sensors) == room
    assert TrackedError(1041, 2, "Maximum sensor count reached") in replies


def test_at_most_ten_failures_are_listed():
    _, replies = push(board(), {"sensors": [{}] * 15})
    answer = bodies(replies)[0]
    assert answer["failed_count"] == 15
    assert answer["message"] == "All 15 item(s) failed to configure"
    assert len(answer["failures"]) == 10


def test_many_long_failures_push_the_correlation_out_of_the_answer():
    items = [
        sensor(gpio, "ds18b20", onewire_address="x" * 3) for gpio in (4, 5, 14, 15, 16, 17, 18, 19, 23, 25)
    ]
    _, replies = push(board(), {"sensors": items}, correlation_id="c" * 36)
    assert len(bodies(replies)[0]["failures"]) == 10
    assert not bodies(replies)[0].get("correlation_id")


def test_an_analog_sensor_on_the_label_of_a_chip_takes_its_entry():
    on, _ = push(board(), {"sensors": [sht31(label=35)]})
    taken, _ = push(on, {"sensors": [sensor(35, "ph")]})
    assert [s.sensor_type for s in taken.sensors] == ["ph"]


# --- actuators ------------------------------------------------------------------------------------


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
