"""What the firmware can take in: memory pools, ids, texts, pins. Pure arithmetic and rules; builds no messages.

Most messages to a device are parsed into a memory pool of fixed size. What does not fit is dropped by the device
without a word, so growyd counts beforehand, by the formula of the firmware's own JSON library.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from growy.model.errors import Invalid, TooLargeForDevice
from growy.wire.formats import parse

MEMBER_BYTES = 16
"""What a member or an array element costs on a 32-bit device, whatever it is."""
POOL_USED = 0.8
"""The part of a pool that growyd uses: the rest is for what the formula does not know."""

MAX_ID = 63
"""Characters of a correlation or intent id; the firmware cuts longer ones, and answers with another id."""
MAX_NAME = 64
"""Bytes of a name in UTF-8. The firmware has this limit for zones only; growyd for all names."""
MAX_PLACE_ID = 32
"""Characters of a zone's or subzone's id."""

WROOM_PINS = frozenset({4, 5, *range(14, 20), *range(21, 24), 25, 26, 27, 32, 33, 34, 35, 36, 39})
XIAO_PINS = frozenset({2, 4, 5, 6, 7, 8, 9, 10, 21})
SAFE_PINS = WROOM_PINS | XIAO_PINS
"""Pins that some build of the firmware lets be used. Which of them a board has is `growy.fleet.hardware`'s business."""

_ID = re.compile(rf"[A-Za-z0-9_.:-]{{1,{MAX_ID}}}")
_PLACE_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_PLACE_ID}}}")


def nodes(value: object) -> int:
    """Members and array elements of a JSON value, nested ones included: what it takes of a pool beside its strings."""
    return _weigh(value)[0]


def pool_bytes(payload: bytes) -> int:
    """What a JSON payload costs in an ArduinoJson 6 pool on a 32-bit device.

    16 bytes per member and array element, nested ones included, and length + 1 of every distinct string, keys
    and values alike.

    Raises:
        WireError: the payload is not JSON or CBOR.
    """
    slots, strings = _weigh(parse(payload))
    return MEMBER_BYTES * slots + sum(len(text.encode()) + 1 for text in strings)


def within_pool(what: str, payload: bytes, pool: int) -> bytes:
    """The same payload, if the device can parse it.

    Args:
        what: names the message in the error.
        pool: bytes of the pool into which the firmware parses this message.

    Raises:
        TooLargeForDevice: it costs more than `POOL_USED` of the pool.
    """
    cost, usable = pool_bytes(payload), int(pool * POOL_USED)
    if cost > usable:
        raise TooLargeForDevice(
            f"{what} takes {cost} bytes of the device's memory for it, and may take {usable}",
            cure="Shorten its texts",
            details={"pool_bytes": cost, "of_pool_bytes": usable},
        )
    return payload


def check_id(text: str) -> str:
    """The same correlation, intent or request id, if the device can echo it.

    Raises:
        Invalid: not 1 to 63 of letters, digits and `_.:-`; the firmware cuts longer ones and escapes nothing.
    """
    if not _ID.fullmatch(text):
        raise Invalid(f"id {text!r:.80} is not 1 to {MAX_ID} of letters, digits and _ . : -")
    return text


def check_place_id(what: str, text: str) -> str:
    """The same id of a zone or subzone, if the firmware takes it.

    Raises:
        Invalid: not 1 to 32 of letters, digits, `_` and `-`.
    """
    if not _PLACE_ID.fullmatch(text):
        raise Invalid(f"{what} {text!r:.80} is not 1 to 32 of letters, digits, _ and -")
    return text


def check_name(what: str, text: str) -> str:
    """The same name, if the device can store and echo it. It may be empty.

    The firmware builds its answers without escaping, so a quote in a name would make them unreadable.

    Args:
        what: names the field in the error: `name of the zone`.

    Raises:
        Invalid: a quote, a backslash, a control character, or more than 64 bytes of UTF-8.
    """
    for character in text:
        # Control characters and half surrogates; joiners and other format characters do no harm.
        if character in '"\\' or unicodedata.category(character) in ("Cc", "Cs"):
            raise Invalid(
                f"{what} has a {character!a} in it, and the device cannot echo that",
                cure='Leave out ", \\ and control characters',
            )
    size = len(text.encode())
    if size > MAX_NAME:
        raise Invalid(
            f"{what} has {size} bytes (UTF-8) and may have {MAX_NAME}",
            cure="Shorten it; letters beyond ASCII take 2 to 4 bytes",
        )
    return text


def _weigh(value: object) -> tuple[int, set[str]]:
    """(members and elements, distinct strings) of a JSON value."""
    strings: set[str] = set()
    slots = 0
    waiting: list[object] = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            slots += len(node)
            strings.update(node)
            waiting.extend(node.values())
        elif isinstance(node, (list, tuple)):
            slots += len(node)
            waiting.extend(node)
        elif isinstance(node, str):
            strings.add(node)
    return slots, strings
