"""A config push on firmware of 2025-12."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.boards import actuator, bodies, ctx, ds18b20, encoded, of, old_board, sensor, sht31

from growy.sim.board import Outcome, TrackedError
from growy.sim.config_2025 import apply


def push(document: object, on=None):
    return apply(on or old_board(), encoded(document), ctx())


def test_both_lists_filled_are_taken_and_answered_without_number_or_correlation():
    taken, replies = push({"sensors": [sensor()], "actuators": [actuator()], "correlation_id": "c"})
    assert bodies(replies, "config_response") == [
        {
            "status": "success",
            "type": "sensor",
            "count": 1,
            "message": "Configured 1 sensor(s) successfully",
        },
        {
            "status": "success",
            "type": "actuator",
            "count": 1,
            "message": "Configured 1 actuator(s) successfully",
        },
    ]
    assert len(taken.sensors) == len(taken.actuators) == 1
    assert of(replies, Outcome) == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, ["Sensor config missing 'sensors' array", "Actuator config missing 'actuators' array"]),
        (
            {"sensors": [], "actuators": []},
            ["Sensor config array is empty", "Actuator config array is empty"],
        ),
    ],
)
def test_a_list_that_is_missing_or_empty_refuses_its_scope(document: object, said: list[str]):
    _, replies = push(document)
    assert [(body["error_code"], body["message"]) for body in bodies(replies)] == [
        ("MISSING_FIELD", text) for text in said
    ]


def test_one_scope_alone_is_applied_and_the_other_complained_about():
    taken, replies = push({"sensors": [sensor()]})
    assert [(body["type"], body["status"]) for body in bodies(replies)] == [
        ("sensor", "success"),
        ("actuator", "error"),
    ]
    assert len(taken.sensors) == 1


def test_each_bad_item_has_its_own_answer_and_there_is_no_summary():
    _, replies = push({"sensors": [sensor(34), {"gpio": 35}, sensor(12)], "actuators": [actuator(34)]})
    assert [(body["type"], body["error_code"], body["failed_item"]["gpio"]) for body in bodies(replies)] == [
        ("sensor", "MISSING_FIELD", 35),
        ("sensor", "UNKNOWN_ERROR", 12),
        ("actuator", "UNKNOWN_ERROR", 34),
    ]
    assert of(replies, TrackedError) == []


def test_a_chip_has_to_have_a_pin_for_a_label():
    _, replies = push({"sensors": [sht31(), sht31(label=21), ds18b20()], "actuators": [actuator()]})
    assert [(body["type"], body.get("error_code")) for body in bodies(replies, "config_response")] == [
        ("sensor", "VALIDATION_FAILED"),
        ("actuator", None),
    ]


def test_what_is_no_json_is_answered_once_per_scope():
    _, replies = push(b'{"sensors":[')
    assert [(body["type"], body["error_code"]) for body in bodies(replies)] == [
        ("sensor", "JSON_PARSE_ERROR"),
        ("actuator", "JSON_PARSE_ERROR"),
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(payload: bytes):
    assert bodies(push(payload)[1])
