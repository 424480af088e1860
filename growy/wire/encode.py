"""Messages from growyd to ESP32s as compact JSON bytes. Never a field more than the
firmware reads: its parser pools are small.

Answers to what a device said; what sets one up is in `setup`, `config_document` and `commands`. What a payload costs
the device is computed in `limits`.
"""

from __future__ import annotations

import math

import msgspec

from growy.model.reading import Quality
from growy.wire.limits import pool_bytes

ACK_POOL = 256
"""Bytes of the firmware's pool for `system/heartbeat/ack`, `server/status` and `actuator/emergency`."""

ack_pool_bytes = pool_bytes

_encode = msgspec.json.Encoder().encode


def server_status(online: bool, reason: str | None, now_s: int) -> bytes:
    """Payload of `server/status` (QoS 1, retained), also of growyd's will.

    Args:
        online: False makes devices without offline rules go to their default state at once.
        reason: of being offline: `graceful_shutdown` or `unexpected_disconnect` (the will).
        now_s: Unix seconds.
    """
    payload: dict[str, object] = {"status": "online" if online else "offline"}
    if reason is not None:
        payload["reason"] = reason
    payload["timestamp"] = now_s
    return _encode(payload)


def heartbeat_ack(
    status: str, handover_epoch: int, server_time: int, config_available: bool = False
) -> bytes:
    """Payload of `system/heartbeat/ack` (QoS 1, never retained): four fields, 124 of the 256 bytes there are.

    Args:
        status: approved, online, pending_approval, rejected or error.
        handover_epoch: the heartbeat's `active_handover_epoch`; below 1 (a fresh boot) 1 is sent, because the
            device ignores anything less.
        server_time: Unix seconds; seeds the device's clock once.
        config_available: shown in the device's log.
    """
    return _encode(
        {
            "status": status,
            "handover_epoch": max(1, handover_epoch),
            "server_time": server_time,
            "config_available": config_available,
        }
    )


def processed(
    value: float | None,
    unit: str,
    quality: Quality,
    ts_ms: int,
    sensor_type: str | None = None,
    raw: float | None = None,
) -> bytes:
    """Payload of `sensor/{gpio}/processed` (QoS 1).

    Args:
        value: in `unit`; None or NaN when there is none, sent as null.
        ts_ms: time of the measurement, Unix milliseconds; sent as `timestamp` in seconds.
        sensor_type: which of the series on that gpio.
        raw: what `value` was made of.
    """
    payload: dict[str, object] = {
        "processed_value": _finite(value),
        "unit": unit,
        "quality": quality.word,
        "timestamp": ts_ms // 1000,
    }
    if sensor_type is not None:
        payload["sensor_type"] = sensor_type
    if raw is not None:
        payload["raw"] = _number(raw)
    return _encode(payload)


def pi_enhanced_response(
    *,
    sensor_type: str,
    ts_ms: int,
    value: float | None = None,
    quantity: str | None = None,
    unit: str = "",
    quality: Quality = Quality.UNKNOWN,
    error: str | None = None,
    gpio: int | None = None,
    request_id: str | None = None,
) -> bytes:
    """Payload of `pi_enhanced/response` (QoS 1): the answer to one `pi_enhanced/request`.

    Args:
        sensor_type: as asked for.
        ts_ms: when growyd answered, Unix milliseconds; sent as `timestamp` in seconds.
        value: None or NaN when there is none, sent as null.
        quantity: also the value under this name (`temperature`), where a library says what it measures.
        error: what went wrong; makes `status` "error".
        gpio, request_id: as in the request.
    """
    number = _finite(value)
    payload: dict[str, object] = {"value": number}
    if quantity and quantity not in _RESPONSE_FIELDS:
        payload[quantity] = number
    payload |= {"unit": unit, "quality": quality.word, "status": "ok" if error is None else "error"}
    if error is not None:
        payload["error"] = error
    payload["sensor_type"] = sensor_type
    if gpio is not None:
        payload["gpio"] = gpio
    if request_id is not None:
        payload["request_id"] = request_id
    payload["timestamp"] = ts_ms // 1000
    return _encode(payload)


_RESPONSE_FIELDS = frozenset(
    {"value", "unit", "quality", "status", "error", "sensor_type", "gpio", "request_id", "timestamp"}
)


def _finite(value: float | None) -> float | None:
    """JSON has no NaN, and no value is null."""
    return None if value is None or not math.isfinite(value) else value


def _number(value: float) -> float | None:
    """Counts without a point, as the device sent them."""
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value
