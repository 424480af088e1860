"""Payload bytes -> plain objects, from JSON or CBOR. Never raises anything but WireError, and never returns
what JSON cannot say.

The first byte tells the format: 0x80-0xbf begins a CBOR array or map and cannot begin JSON. Whatever comes
out is made of dict, list, str, bool, None, finite float and int of 64 bits, at most `MAX_DEPTH` deep, so that
it can be stored and sent on as JSON.
"""

from __future__ import annotations

import math

import cbor2
import msgspec

from growy.wire.reasons import Reason, refuse

MAX_PAYLOAD = 65_536
"""Bytes. The firmware's own limit is 1,535; the rest is room for batches."""
MAX_DEPTH = 32
"""The protocol nests three deep."""

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1

_INDEFINITE = -1
_BYTES, _ARRAY, _MAP, _TAG, _SIMPLE = 2, 4, 5, 6, 7


def parse(payload: bytes, limit: int = MAX_PAYLOAD, *, take_bytes: bool = False) -> object:
    """The object in a payload.

    Args:
        take_bytes: CBOR byte strings of definite length are taken as they are. No device sends any.

    Raises:
        WireError: empty_payload, too_large, too_deep, bad_utf8, bad_json, bad_cbor, out_of_range (integers
            over 64 bits).
    """
    if not payload:
        raise refuse(Reason.EMPTY_PAYLOAD, "empty payload")
    if len(payload) > limit:
        raise refuse(Reason.TOO_LARGE, f"{len(payload)} bytes; at most {limit} are taken")
    if 0x80 <= payload[0] <= 0xBF:
        return _plain(_from_cbor(payload, take_bytes), "$", 0)
    try:
        parsed = msgspec.json.decode(payload)
    except UnicodeDecodeError as error:
        raise refuse(
            Reason.BAD_UTF8, f"payload is not UTF-8 ({error.reason} at byte {error.start} of a string)"
        ) from None
    except RecursionError:
        raise refuse(Reason.TOO_DEEP, f"nested more than {MAX_DEPTH} deep") from None
    except msgspec.ValidationError as error:
        # The untyped decoder validates nothing but the range of numbers.
        raise refuse(Reason.OUT_OF_RANGE, str(error)) from None
    except msgspec.DecodeError as error:
        raise refuse(Reason.BAD_JSON, str(error)) from None
    return _plain(parsed, "$", 0)


def _from_cbor(payload: bytes, take_bytes: bool) -> object:
    _check_cbor(payload, take_bytes)
    try:
        return cbor2.loads(payload)
    except cbor2.CBORDecodeError as error:
        raise refuse(Reason.BAD_CBOR, f"CBOR is malformed: {error}") from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        # Older cbor2 lets some of these through bare: text that is not UTF-8, map keys that cannot be keys.
        raise refuse(Reason.BAD_CBOR, f"CBOR is malformed: {error}") from None


def _check_cbor(payload: bytes, take_bytes: bool) -> None:
    """Walk the heads of all items before the library may build anything.

    Tags are where a CBOR decoder can be made to work without end or to build cycles (shared references, big
    decimals, regular expressions), and a declared length may promise more than memory: both are refused here,
    as are byte strings, which no field of a device's message is.
    """
    barred = (_TAG,) if take_bytes else (_BYTES, _TAG)
    end = len(payload)
    position = 0
    open_items: list[int] = []  # items still to come in each open container; _INDEFINITE until a break
    while True:
        if position >= end:
            raise refuse(Reason.BAD_CBOR, "CBOR is truncated")
        head = payload[position]
        position += 1
        major, info = head >> 5, head & 0x1F
        if head == 0xFF:
            if not open_items or open_items[-1] != _INDEFINITE:
                raise refuse(
                    Reason.BAD_CBOR, f"CBOR has a break outside an indefinite item at byte {position - 1}"
                )
            open_items.pop()
        else:
            argument = info
            if info >= 24:
                if info > 27 and (info != 31 or major not in (3, _ARRAY, _MAP)):
                    raise refuse(
                        Reason.BAD_CBOR, f"CBOR has a reserved head 0x{head:02x} at byte {position - 1}"
                    )
                size = 0 if info == 31 else 1 << (info - 24)
                argument = int.from_bytes(payload[position : position + size]) if size else _INDEFINITE
                position += size
            if major in barred or (major == _SIMPLE and not (20 <= info <= 23 or 25 <= info <= 27)):
                raise refuse(
                    Reason.BAD_CBOR,
                    f"CBOR item 0x{head:02x} at byte {position - 1} has no place in a message",
                )
            if major in (_BYTES, 3) and argument != _INDEFINITE:
                position += argument
            elif argument == _INDEFINITE and major != _SIMPLE:
                open_items.append(_INDEFINITE)
                if len(open_items) > MAX_DEPTH:
                    raise refuse(Reason.TOO_DEEP, f"nested more than {MAX_DEPTH} deep")
                continue
            elif major in (_ARRAY, _MAP) and argument:
                items = argument * (major - 3)
                if items > end - position:
                    raise refuse(Reason.BAD_CBOR, f"CBOR declares {items} items in {end - position} bytes")
                open_items.append(items)
                if len(open_items) > MAX_DEPTH:
                    raise refuse(Reason.TOO_DEEP, f"nested more than {MAX_DEPTH} deep")
                continue
        # An item is complete: so may be the containers around it.
        while open_items and open_items[-1] != _INDEFINITE:
            open_items[-1] -= 1
            if open_items[-1]:
                break
            open_items.pop()
        if not open_items:
            break
    if position > end:
        raise refuse(Reason.BAD_CBOR, "CBOR is truncated")
    if position < end:
        raise refuse(Reason.BAD_CBOR, f"CBOR is followed by {end - position} more bytes")


def _plain(node: object, path: str, depth: int) -> object:
    """The same tree with what JSON cannot say made null (NaN, Infinity, undefined), within the limits of the
    module.

    A CBOR sender says NaN where a JSON sender has no value; a NaN in a reading would poison every mean above
    it.
    """
    if node is None or isinstance(node, (str, bool, bytes)):
        return node
    if isinstance(node, float):
        return node if math.isfinite(node) else None
    if isinstance(node, int):
        if not _INT_MIN <= node <= _INT_MAX:
            raise refuse(Reason.OUT_OF_RANGE, f"{path}: integer of more than 64 bits")
        return node
    if depth >= MAX_DEPTH:
        raise refuse(Reason.TOO_DEEP, f"nested more than {MAX_DEPTH} deep")
    if isinstance(node, dict):
        plain: dict[str, object] = {}
        for key, value in node.items():
            if not isinstance(key, str):
                raise refuse(Reason.WRONG_TYPE, f"{path}: expected str as key, got {type(key).__name__}")
            plain[key] = _plain(value, f"{path}.{key}", depth + 1)
        return plain
    if isinstance(node, list):
        return [_plain(value, f"{path}[{index}]", depth + 1) for index, value in enumerate(node)]
    return None  # undefined, the one CBOR value left that JSON has no word for
