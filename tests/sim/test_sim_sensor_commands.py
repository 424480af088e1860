"""Measuring on demand, on a virtual board."""

from __future__ import annotations

from typing import Any

import pytest
from rig.boards import board, bodies, ctx, ds18b20, encoded, ended, intent, of, push, sensor, sht31

from growy.sim.board import Board, MeasureRequest, Outcome, TrackedError
from growy.sim.sensor_commands import Value, execute, finished, refusal

COMMAND = {"command": "measure", "request_id": "r-9"}
GOOD = Value("ds18b20", 344, "good")


def with_sensors(*items: dict[str, Any]) -> Board:
    return push(board(), {"sensors": list(items)})[0]


def asked(on: Board, gpio: str, document: object = COMMAND) -> MeasureRequest:
    (request,) = execute(on, gpio, encoded(document), intent("r-9"), ctx())[1]
    assert isinstance(request, MeasureRequest)
    return request


def answered(request: MeasureRequest, value: Value | None = GOOD, **facts: Any):
    facts = {"published": True, "elapsed_ms": 10, **facts}
    return finished(board(), request, value, ctx=ctx(), **facts)


def test_a_measurement_is_answered_and_applied():
    request = asked(with_sensors(ds18b20()), "4")
    replies = answered(request)
    assert bodies(replies, "sensor/4/response") == [
        {
            "request_id": "r-9",
            "gpio": 4,
            "command": "measure",
            "success": True,
            "measurement_ok": True,
            "publish_ok": True,
            "timeout": False,
            "reason_code": "NONE",
            "quality": "good",
            "sensor_type": "ds18b20",
            "raw": 344,
            "ts": ctx().ts,
            "seq": 7,
            "intent_id": "r-9",
            "correlation_id": "r-9",
            "ttl_ms": 0,
        }
    ]
    assert ended(replies) == ("applied", "NONE")


def test_without_a_request_id_only_the_outcome_is_told():
    replies = answered(asked(with_sensors(ds18b20()), "4", {"command": "measure"}))
    assert bodies(replies) == []
    assert ended(replies) == ("applied", "NONE")


def test_the_first_sensor_on_a_gpio_is_measured_whatever_its_mode():
    on = with_sensors(sht31(0x44, label=70, operating_mode="paused"), sht31(0x45, label=70))
    assert asked(on, "70").sensor.i2c_address == 0x44


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", "INVALID_JSON"),
        (encoded(COMMAND | {"filler": "x" * 384}), "INVALID_JSON"),
        (b"{}", "UNKNOWN_COMMAND"),
        (b'{"command":"MEASURE"}', "UNKNOWN_COMMAND"),
        (b'{"command":"calibrate"}', "UNKNOWN_COMMAND"),
    ],
)
def test_what_is_no_measure_command_is_refused_before_it_is_admitted(payload: bytes, code: str):
    refused = refusal(payload, intent())
    assert refused is not None
    assert (refused.outcome, refused.code) == ("rejected", code)


def test_a_measure_command_is_not_refused():
    assert refusal(encoded(COMMAND), intent()) is None


def test_a_gpio_without_a_sensor_is_answered_at_once():
    _, replies = execute(board(), "33", encoded(COMMAND), intent(), ctx())
    (answer,) = bodies(replies)
    assert (answer["reason_code"], answer["quality"], answer["sensor_type"]) == (
        "SENSOR_NOT_FOUND",
        "unknown",
        "",
    )
    assert ended(replies) == ("failed", "SENSOR_NOT_FOUND")


def test_a_topic_without_a_number_fails():
    assert ended(execute(board(), "x", encoded(COMMAND), intent(), ctx())[1]) == ("failed", "INVALID_GPIO")


def test_a_command_longer_than_the_queues_slot_is_cut_and_unreadable():
    spaced = b'{"command":"measure","request_id":"r-9"' + b" " * 480 + b"}"
    assert refusal(spaced, intent()) is None
    assert ended(execute(board(), "4", spaced, intent(), ctx())[1]) == ("failed", "INVALID_JSON")


@pytest.mark.parametrize(
    ("asked_ms", "kept"), [(None, 5000), (0, 1), (-5, 1), (8000, 8000), (90_000, 60_000), ("250", 250)]
)
def test_the_timeout_is_clamped(asked_ms: object, kept: int):
    request = asked(with_sensors(sensor()), "34", COMMAND | {"timeout_ms": asked_ms})
    assert request.timeout_ms == kept


def test_a_read_that_took_too_long_expires_although_it_was_published():
    replies = answered(asked(with_sensors(ds18b20()), "4"), elapsed_ms=5001)
    (answer,) = bodies(replies)
    assert (answer["success"], answer["measurement_ok"], answer["timeout"]) == (False, True, True)
    assert ended(replies) == ("expired", "MEASURE_TIMEOUT")
    assert [error.code for error in of(replies, TrackedError)] == [1043]


def test_a_failed_read_is_answered_with_the_configured_type():
    replies = answered(asked(with_sensors(ds18b20()), "4"), None)
    (answer,) = bodies(replies)
    assert (answer["reason_code"], answer["sensor_type"], answer["raw"]) == (
        "MEASUREMENT_FAILED",
        "ds18b20",
        0,
    )
    assert ended(replies) == ("failed", "MEASUREMENT_FAILED")
    assert of(replies, Outcome)[-1].retryable


def test_a_value_that_could_not_be_published_is_no_success():
    replies = answered(asked(with_sensors(ds18b20()), "4"), published=False)
    assert bodies(replies)[0]["reason_code"] == "PUBLISH_SKIPPED"
    assert ended(replies) == ("failed", "PUBLISH_SKIPPED")


def test_a_chip_with_several_values_answers_with_its_configured_type():
    replies = answered(asked(with_sensors(sht31()), "68"), Value("sht31_temp", 26_214, "suspect"))
    (answer,) = bodies(replies)
    assert (answer["sensor_type"], answer["raw"], answer["quality"]) == ("sht31", 26_214, "good")
