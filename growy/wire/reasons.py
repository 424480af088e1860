"""Why a message cannot be used: one short stable word each, and the one way to say it. Never changes a word
that was released.

The words are counted in the metrics and stored with the dead letters, so a grower's dashboards depend on
them.
"""

from __future__ import annotations

import enum

from growy.model.errors import WireError

MAX_MESSAGE = 300


class Reason(enum.StrEnum):
    """`WireError.reason` of everything this room raises."""

    UNKNOWN_TOPIC = "unknown_topic"
    """No message of the protocol has this topic."""
    BAD_ESP_ID = "bad_esp_id"
    """The device id in the topic is neither ESP_ + 6 to 8 upper-case hex digits nor MOCK_ + letters and
    digits."""
    BAD_GPIO = "bad_gpio"
    """The gpio in the topic is not a decimal number from 0 to 255."""
    BAD_UTF8 = "bad_utf8"
    """The topic or a JSON payload is not UTF-8."""
    EMPTY_PAYLOAD = "empty_payload"
    """No bytes at all (a cleared retained message)."""
    TOO_LARGE = "too_large"
    """More bytes, or more readings in a batch, than growyd takes."""
    TOO_DEEP = "too_deep"
    """Objects and arrays nested deeper than any message of the protocol."""
    BAD_JSON = "bad_json"
    """Not JSON (RFC 8259); NaN and Infinity are not JSON either."""
    BAD_CBOR = "bad_cbor"
    """Not CBOR (RFC 8949), or CBOR that JSON could not have said: tags, byte strings, simple values."""
    NOT_AN_OBJECT = "not_an_object"
    """Well-formed, but not an object (a batch may also be an array)."""
    MISSING_FIELD = "missing_field"
    """A field without which the message means nothing is absent or null."""
    WRONG_TYPE = "wrong_type"
    """A field has another type than the protocol says."""
    OUT_OF_RANGE = "out_of_range"
    """A field has the right type and an impossible value."""
    NO_READINGS = "no_readings"
    """A batch without a single reading."""


def refuse(reason: Reason, message: str) -> WireError:
    """The error to raise, at most `MAX_MESSAGE` characters of it: a sender chooses its field names. `message`
    begins with the path of the field where there is one: `$.raw: expected int`."""
    return WireError(reason.value, message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}...")
