"""Sensors of a config push: what a virtual board takes, refuses and makes of them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from rig.boards import (
    OTHER_ROM,
    ROM,
    board,
    bodies,
    configured,
    ds18b20,
    ended,
    of,
    push,
    sensor,
    sht31,
)

from growy.sim.board import (
    Attached,
    TrackedError,
    Variant,
)
from growy.sim.spec import ds18b20_rom


def failures(document: object, on: Any = None) -> list[dict[str, Any]]:
    _, replies = push(on or board(), document)
    return [failure for body in bodies(replies) for failure in body.get("failures", [])]


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
