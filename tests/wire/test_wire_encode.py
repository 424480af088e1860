"""What growyd says fits the device's parser pool and is exactly what the firmware reads."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.reading import Quality
from growy.wire.encode import (
    ACK_POOL,
    heartbeat_ack,
    pi_enhanced_response,
    processed,
    server_status,
)
from growy.wire.limits import pool_bytes

STATUSES = ("approved", "online", "pending_approval", "rejected", "error")


def test_an_ack_has_four_fields_and_no_space() -> None:
    assert heartbeat_ack("approved", 3, 1767225600) == (
        b'{"status":"approved","handover_epoch":3,"server_time":1767225600,"config_available":false}'
    )


@pytest.mark.parametrize("epoch", [0, -1])
def test_an_epoch_that_the_device_would_ignore_becomes_one(epoch: int) -> None:
    assert json.loads(heartbeat_ack("online", epoch, 0))["handover_epoch"] == 1


@given(st.sampled_from(STATUSES), st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.booleans())
def test_every_ack_leaves_a_fifth_of_the_pool_free(status: str, epoch: int, now: int, config: bool) -> None:
    assert pool_bytes(heartbeat_ack(status, epoch, now, config)) <= ACK_POOL * 0.8


@pytest.mark.parametrize(
    ("payload", "cost"),
    [
        # Figures of ArduinoJson 6.21 on a 32-bit device.
        (heartbeat_ack("approved", 1, 1767225600), 124),
        (b"{}", 0),
        (b'{"a":1}', 16 + 2),
        (b'{"a":"a","b":"a"}', 2 * 16 + 2 + 2),
        (b'{"a":[1,2,{"b":null}]}', 5 * 16 + 2 + 2),
        ('{"u":"°C"}'.encode(), 16 + 2 + 4),
    ],
)
def test_the_cost_of_a_payload(payload: bytes, cost: int) -> None:
    assert pool_bytes(payload) == cost


def test_an_ack_of_many_fields_would_overflow() -> None:
    long_winded = json.loads(heartbeat_ack("pending_approval", 1, 1767225600)) | {
        "ack_type": "heartbeat",
        "contract_version": 2,
        "session_id": "ESP_EA5484:handover:1767225600123:1",
    }

    assert pool_bytes(json.dumps(long_winded).encode()) > ACK_POOL


def test_the_server_is_online() -> None:
    assert server_status(True, None, 1767225600) == b'{"status":"online","timestamp":1767225600}'


def test_the_server_is_offline_for_a_reason() -> None:
    payload = server_status(False, "unexpected_disconnect", 1767225600)

    assert json.loads(payload) == {
        "status": "offline",
        "reason": "unexpected_disconnect",
        "timestamp": 1767225600,
    }
    assert pool_bytes(payload) <= ACK_POOL


def test_a_converted_value() -> None:
    payload = processed(7.02, "pH", Quality.GOOD, 1767225600999, sensor_type="ph", raw=2048.0)

    assert json.loads(payload) == {
        "processed_value": 7.02,
        "unit": "pH",
        "quality": "good",
        "timestamp": 1767225600,
        "sensor_type": "ph",
        "raw": 2048,
    }
    assert b'"raw":2048}' in payload


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
def test_no_value_is_null_and_never_zero(nothing: float | None) -> None:
    assert json.loads(processed(nothing, "pH", Quality.ERROR, 0))["processed_value"] is None
    answer = json.loads(pi_enhanced_response(sensor_type="ph", ts_ms=0, value=nothing, quantity="ph"))
    assert (answer["value"], answer["ph"]) == (None, None)


def test_the_answer_to_a_request() -> None:
    answer = pi_enhanced_response(
        sensor_type="sht31_temp",
        ts_ms=1767225600123,
        value=21.5,
        quantity="temperature",
        unit="°C",
        quality=Quality.GOOD,
        gpio=68,
        request_id="q-1",
    )

    assert json.loads(answer) == {
        "value": 21.5,
        "temperature": 21.5,
        "unit": "°C",
        "quality": "good",
        "status": "ok",
        "sensor_type": "sht31_temp",
        "gpio": 68,
        "request_id": "q-1",
        "timestamp": 1767225600,
    }


def test_the_answer_to_a_request_that_cannot_be_met() -> None:
    answer = json.loads(
        pi_enhanced_response(sensor_type="zz", ts_ms=0, quality=Quality.ERROR, error="no library")
    )

    assert (answer["status"], answer["error"], answer["value"], answer["quality"]) == (
        "error",
        "no library",
        None,
        "error",
    )


def test_a_quantity_cannot_overwrite_a_field_of_the_answer() -> None:
    answer = json.loads(pi_enhanced_response(sensor_type="x", ts_ms=0, value=1.0, quantity="status"))

    assert answer["status"] == "ok"
