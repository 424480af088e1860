"""JSON as ArduinoJson 6.21 on 32 bits reads and writes it: pools that overflow, strings that end at a NUL, numbers
that wrap, fields that vanish. Pure.

It has to be the firmware's reading and nobody else's, so nothing of growyd's codecs is used here. Not imitated:
the library's tolerance of single quotes and unquoted keys, which no server sends.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from growy.sim.board import SEQ

SLOT_BYTES = 16
NESTING_LIMIT = 10
INT32_MAX = 2_147_483_647
UINT32 = 1 << 32


@attrs.frozen(slots=True)
class ParseFailed:
    """`word` is the library's: EmptyInput, IncompleteInput, InvalidInput, NoMemory or TooDeep."""

    word: str


# --- reading --------------------------------------------------------------------------------------


def c_text(payload: bytes) -> str:
    """A payload as the firmware's C string: it ends at the first NUL. Bytes that are no UTF-8 survive."""
    return payload.split(b"\0", 1)[0].decode(errors="surrogateescape")


def parse(text: str, pool: int, *, zero_copy: bool = False) -> object | ParseFailed:
    """Parse into a pool of `pool` bytes. `zero_copy`: strings stay in the input and cost nothing."""
    stripped = text.lstrip(" \t\r\n")
    if not stripped:
        return ParseFailed("EmptyInput")
    try:
        document, _ = _DECODER.raw_decode(stripped)  # the library, too, does not look behind the value
    except json.JSONDecodeError as error:
        unfinished = error.pos >= len(stripped) or error.msg.startswith("Unterminated")
        return ParseFailed("IncompleteInput" if unfinished else "InvalidInput")
    except ValueError:
        return ParseFailed("InvalidInput")
    except RecursionError:
        return ParseFailed("TooDeep")
    if _depth(document) > NESTING_LIMIT:
        return ParseFailed("TooDeep")
    document = _cut(document)
    if cost(document, zero_copy=zero_copy) > pool:
        return ParseFailed("NoMemory")
    return document


def cost(document: object, *, zero_copy: bool = False) -> int:
    """Bytes of pool: a slot per member and element, and each distinct string once with its NUL."""
    strings: set[str] = set()
    slots = _slots(document, strings)
    if zero_copy:
        return SLOT_BYTES * slots
    return SLOT_BYTES * slots + sum(len(text.encode(errors="surrogateescape")) + 1 for text in strings)


def _slots(node: object, strings: set[str]) -> int:
    if isinstance(node, dict):
        strings.update(node)
        return sum(1 + _slots(child, strings) for child in node.values())
    if isinstance(node, list):
        return sum(1 + _slots(child, strings) for child in node)
    if isinstance(node, str):
        strings.add(node)
    return 0


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 20 else float(digits)


_DECODER = json.JSONDecoder(strict=False, parse_constant=_no_constant, parse_int=_integer)


def _depth(node: object) -> int:
    if isinstance(node, dict):
        return 1 + max((_depth(child) for child in node.values()), default=0)
    if isinstance(node, list):
        return 1 + max((_depth(child) for child in node), default=0)
    return 0


def _cut(node: object) -> object:
    """Strings end at a NUL; halves of surrogate pairs become question marks."""
    if isinstance(node, dict):
        return {_cut_text(key): _cut(child) for key, child in node.items()}
    if isinstance(node, list):
        return [_cut(child) for child in node]
    return _cut_text(node) if isinstance(node, str) else node


def _cut_text(text: str) -> str:
    text = text.split("\0", 1)[0]
    return "".join("?" if "\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" else c for c in text)


JsonObject: TypeAlias = Mapping[str, object]


def as_object(document: object) -> JsonObject:
    """An object, or an empty one: members of anything else are all missing."""
    return document if isinstance(document, dict) else {}


def int32(value: object, default: int = 0) -> int:
    """`doc[...] | 0`: only a JSON integer in range counts."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT32_MAX:
        return value
    return default


def uint8(value: object, default: int) -> int:
    """`doc[...] | uint8_t`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
        return value
    return default


def number(value: object, default: float) -> float:
    """`doc[...] | 0.0f`, in single precision."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return f32(value)


def text(value: object, default: str) -> str:
    """`doc[...] | "…"`."""
    return value if isinstance(value, str) else default


def as_string(value: object) -> str:
    """`doc[...].as<String>()`: null and missing become the word null, anything else its JSON."""
    return value if isinstance(value, str) else serialized(value)


def cast_int(value: object) -> int:
    """`.as<int>()`: also from numbers in strings; out of range is 0."""
    if isinstance(value, str):
        try:
            value = float(value) if "." in value or "e" in value.lower() else int(value)
        except ValueError:
            return 0
    if isinstance(value, int | float) and abs(value) <= INT32_MAX:
        return int(value)
    return 0


def as_bool(value: object) -> bool:
    """`.as<bool>()`: 0, false and null are false, anything else is true."""
    return value not in (None, False, 0)


# The firmware's own helpers for configuration items; None: absent or of the wrong type.


def extract_int(item: JsonObject, key: str) -> int | None:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return cast_int(value)


def extract_string(item: JsonObject, key: str) -> str | None:
    value = item.get(key)
    return value if isinstance(value, str) else None


def extract_bool(item: JsonObject, key: str) -> bool | None:
    value = item.get(key)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value != 0 if abs(value) <= INT32_MAX else None
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
    return None


def f32(value: float) -> float:
    """Rounded to single precision; what does not fit is infinite."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


# --- writing --------------------------------------------------------------------------------------


class Owned(str):
    """Text that a document copies into its pool; a plain str is a literal of the program and costs nothing."""

    __slots__ = ()


class Raw(str):
    """Written as it stands: the place of the session's counter, or JSON that is ready."""

    __slots__ = ()


COUNTER = Raw(SEQ)
Value: TypeAlias = "str | int | float | bool | Mapping[str, Any] | Sequence[Any] | None"


class Document:
    """A document that is filled member by member until its pool is full; what does not fit is not there."""

    def __init__(self, capacity: int) -> None:
        self._free = capacity
        self._owned: set[str] = set()
        self._members: dict[str, Value] = {}

    def put(self, **members: Value) -> Document:
        """Add members in this order."""
        for key, value in members.items():
            if self._slot():
                self._members[key] = self._store(value)
        return self

    def _slot(self) -> bool:
        if self._free < SLOT_BYTES:
            return False
        self._free -= SLOT_BYTES
        return True

    def _store(self, value: Value) -> Value:
        if isinstance(value, Owned):
            size = len(value.encode(errors="surrogateescape")) + 1
            if value in self._owned:
                return value
            if size > self._free:
                return None
            self._free -= size
            self._owned.add(value)
            return value
        if isinstance(value, Mapping):
            return {key: self._store(child) for key, child in value.items() if self._slot()}
        if isinstance(value, list | tuple):
            return [self._store(child) for child in value if self._slot()]
        return value

    @property
    def members(self) -> Mapping[str, Value]:
        return self._members

    def json(self) -> str:
        return serialized(self._members)


def serialized(value: Value | object) -> str:
    """JSON as the library writes it: no spaces, nine decimals, escapes only where JSON needs them."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f'"{_escaped(key)}":{serialized(child)}' for key, child in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(serialized(child) for child in value) + "]"
    return str(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(content: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in content)


def _float(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "null"
    if value and not 1e-5 < abs(value) < 1e7:
        mantissa, exponent = f"{value:.9e}".split("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}"
    return _trimmed(f"{value:.9f}")


def _trimmed(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
