"""Whether the firmware would accept a heartbeat ACK. Pure; the rules are those that make a real device deaf
without a word.

The device parses into a pool of 256 bytes and wants a `status` string and an integer `handover_epoch` >= 1;
anything else is ignored, and the device stays unregistered.
"""

from __future__ import annotations

import attrs
import msgspec

POOL_BYTES = 256
SLOT_BYTES = 16
"""ArduinoJson 6 on 32 bits: a slot per member and array element; each distinct string once, with its NUL."""
INT32_MAX = 2_147_483_647
EARLIEST_SERVER_TIME = 1_700_000_000
"""Unix seconds; with an older one the firmware does not set its clock."""


@attrs.frozen(slots=True)
class Ack:
    """An ACK the device accepts."""

    status: str
    handover_epoch: int
    server_time: int | None
    """Unix seconds, where it is plausible enough to set a clock by."""


@attrs.frozen(slots=True)
class AckRefused:
    """An ACK the device ignores; `reason` is the word of its `heartbeat_metrics`, or POOL_OVERFLOW /
    JSON_PARSE_ERROR."""

    reason: str


def pool_bytes(document: object) -> int:
    """Bytes of ArduinoJson pool that a parsed document costs."""
    strings: set[str] = set()
    return SLOT_BYTES * _slots(document, strings) + sum(len(text.encode()) + 1 for text in strings)


def _slots(node: object, strings: set[str]) -> int:
    if isinstance(node, dict):
        strings.update(node)
        return sum(1 + _slots(child, strings) for child in node.values())
    if isinstance(node, list):
        return sum(1 + _slots(child, strings) for child in node)
    if isinstance(node, str):
        strings.add(node)
    return 0


def _int32(value: object) -> int | None:
    """What ArduinoJson's `is<int>()` accepts: no float, no string, not `true` (an int to Python)."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT32_MAX:
        return value
    return None


def read_ack(payload: bytes) -> Ack | AckRefused:
    """Judge an ACK as the firmware does."""
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return AckRefused("JSON_PARSE_ERROR")
    if not isinstance(document, dict):
        return AckRefused("MISSING_ACK_STATUS")
    if pool_bytes(document) > POOL_BYTES:
        return AckRefused("POOL_OVERFLOW")
    status = document.get("status")
    if not isinstance(status, str):
        return AckRefused("MISSING_ACK_STATUS")
    if document.get("handover_epoch") is None:
        return AckRefused("MISSING_HANDOVER_EPOCH")
    epoch = _int32(document["handover_epoch"])
    if epoch is None:
        return AckRefused("INVALID_HANDOVER_EPOCH_TYPE")
    if epoch < 1:
        return AckRefused("INVALID_HANDOVER_EPOCH")
    server_time = _int32(document.get("server_time"))
    plausible = server_time is not None and server_time >= EARLIEST_SERVER_TIME
    return Ack(status, epoch, server_time if plausible else None)
