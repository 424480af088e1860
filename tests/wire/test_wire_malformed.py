"""Any bytes on any topic end in a message or in one WireError with a known reason, quickly, and in nothing else."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import SAMPLES

from growy.model.errors import WireError
from growy.model.messages import SensorData
from growy.wire.decode import decode
from growy.wire.formats import MAX_DEPTH, MAX_PAYLOAD, parse
from growy.wire.reasons import MAX_MESSAGE, Reason
from growy.wire.table import MESSAGE_TYPES
from growy.wire.topics import Topic, TopicKind

TOPICS = tuple(Topic("god", "ESP_EA5484", kind, 4 if kind.has_gpio else None) for kind in TopicKind)
REASONS = {reason.value for reason in Reason}
BY_KIND = {topic.kind: topic for topic in TOPICS}


def outcome(topic: Topic, payload: bytes) -> str:
    """The reason of the refusal, or "" for a message, which can also be sent on as JSON."""
    try:
        message = decode(topic, payload)
    except WireError as error:
        refused = error
    else:
        assert type(message) is MESSAGE_TYPES[topic.kind]
        assert msgspec.json.encode(message)
        if isinstance(message, SensorData):  # what was understood is in canonical form already
            assert decode(topic, msgspec.json.encode(message)) == message
        return ""
    assert refused.reason in REASONS
    assert 0 < len(refused.message) <= MAX_MESSAGE + 3
    return refused.reason


@given(st.sampled_from(TOPICS), st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes(topic: Topic, payload: bytes) -> None:
    outcome(topic, payload)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(SAMPLES), st.data())
@settings(max_examples=300, deadline=None)
def test_any_field_may_hold_anything(sample: object, data: st.DataObject) -> None:
    """Given a firmware message; when one of its fields is replaced by any value, in JSON and in CBOR."""
    said = json.loads(sample.payload)
    field = data.draw(st.sampled_from(sorted(said)))
    said[field] = data.draw(plain)

    outcome(BY_KIND[sample.kind], json.dumps(said).encode())
    outcome(BY_KIND[sample.kind], cbor2.dumps(said))


def mutations(seed: int, count: int) -> Iterator[tuple[Topic, bytes]]:
    """Firmware messages, JSON and CBOR, with bytes flipped, cut out, doubled, inserted, and on the wrong topic."""
    dice = random.Random(seed)
    seeds = [(sample.kind, sample.payload) for sample in SAMPLES]
    seeds += [(kind, cbor2.dumps(json.loads(payload))) for kind, payload in seeds]
    spice = [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b"null",
        b"-",
        b"1e999",
        b"NaN",
        b"\\ud800",
        b"\xff",
        b"\x00",
    ]
    spice += [b"\xbf", b"\x9f", b"\x7f", b"\xd8\x1d\x00", b"\xfb\x7f\xf8", b"\x1b" + b"\xff" * 8, b"9" * 400]
    for _ in range(count):
        kind, payload = dice.choice(seeds)
        damaged = bytearray(payload)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(damaged) + 1)
            match dice.randrange(4):
                case 0 if at < len(damaged):
                    damaged[at] ^= 1 << dice.randrange(8)
                case 1:
                    del damaged[at : at + dice.randint(1, 20)]
                case 2:
                    damaged[at:at] = dice.choice(spice)
                case _:
                    damaged[at:at] = damaged[max(0, at - 10) : at]
        yield BY_KIND[dice.choice((kind, kind, kind, dice.choice(tuple(TopicKind))))], bytes(damaged)


def test_tens_of_thousands_of_damaged_messages() -> None:
    outcomes = Counter(outcome(topic, payload) for topic, payload in mutations(seed=2, count=30_000))

    refused = outcomes.total() - outcomes[""]
    assert refused > 20_000, outcomes
    assert {Reason.BAD_JSON, Reason.BAD_CBOR, Reason.BAD_UTF8, Reason.MISSING_FIELD, Reason.WRONG_TYPE} < set(
        outcomes
    )


def nested(open_: bytes, inner: bytes, close: bytes, depth: int) -> bytes:
    return open_ * depth + inner + close * depth


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (nested(b"[", b"", b"", 60_000), "too_deep"),
        (nested(b'{"a":', b"1", b"}", 10_000), "too_deep"),
        (nested(b"\x81", b"\x00", b"", 60_000), "too_deep"),
        (nested(b"\x9f", b"\x00", b"\xff", 30_000), "too_deep"),
        (nested(b"\xa1\x61a", b"\x00", b"", 20_000), "too_deep"),
        (nested(b"\xbf\x61a", b"\x00", b"\xff", 10_000), "too_deep"),
        (b" " * (MAX_PAYLOAD + 1), "too_large"),
        (b"\xbb" + b"\xff" * 8, "bad_cbor"),  # a map of 2**64 - 1 pairs
        (b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff", "bad_cbor"),  # an array of 2**40 items
        (b"\xa1\x7b\x7f" + b"\xff" * 7, "bad_cbor"),  # a text of 2**63 bytes
        (b"\xa1\x61a\xd8\x1c\xa1\x61b\xd8\x1d\x00", "bad_cbor"),  # a map that holds itself
        (b"\xa1\x61a\xc4\x82\x1b" + b"\x7f" * 8 + b"\x01", "bad_cbor"),  # a decimal with 2**62 digits
        (b"\xa1\x61a\xc2\x42\xff\xff", "bad_cbor"),  # a big integer
        (b"\xa1\x61a\xd8\x23\x63(a+", "bad_cbor"),  # a regular expression
        (b"\xa1\x61a\x41\x00", "bad_cbor"),  # a byte string
        (b"\xa1\x61a\xf0", "bad_cbor"),  # a simple value without meaning
        (b"\xa1\x61a\xf8\x01", "bad_cbor"),
        (b"\xa1\x61a\x1c", "bad_cbor"),  # a reserved length
        (b"\xa1\x61a\xff", "bad_cbor"),  # a break where nothing is open
        (b"\xbf\x61a\xff", "bad_cbor"),  # a key without a value
        (b"\xbf\x7f\x01\xff\x01\xff", "bad_cbor"),  # a number as a piece of text
        (b"\xa1\x62\xff\xff\x01", "bad_cbor"),  # text that is not UTF-8
        (b"\xa1\x61a", "bad_cbor"),
        (b"\xa1\x61a\x01\x01", "bad_cbor"),
        (b"\xa1\x61a\x19\x01", "bad_cbor"),
        (b"\xa1\x01\x02", "wrong_type"),  # a key that is not text
        (b"nope", "bad_json"),
        (b'{"a":NaN}', "bad_json"),
        (b'{"a":-Infinity}', "bad_json"),
        (b'{"a":"\\ud800"}', "bad_json"),
        (b'{"a":"\xff"}', "bad_utf8"),
        (b'{"a":1e999}', "out_of_range"),
        (b'{"a":' + b"9" * 4000 + b"}", "out_of_range"),
        (b'{"a":' + b"9" * 50_000 + b"}", "out_of_range"),
        (b'{"a":1}{"a":1}', "bad_json"),
        (b"\xef\xbb\xbf{}", "bad_json"),
        (b"\x00\x00", "bad_json"),
        (b"null", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"12", "not_an_object"),
    ],
)
def test_what_an_attacker_or_a_broken_sender_would_send(payload: bytes, reason: str) -> None:
    assert {outcome(topic, payload) for topic in TOPICS} == {reason}


def test_nesting_within_the_limit_is_taken() -> None:
    deep = nested(b"[", b"", b"]", MAX_DEPTH)

    assert parse(deep) is not None
    with pytest.raises(WireError, match="nested more than"):
        parse(b"[" + deep + b"]")


def test_of_a_key_said_twice_the_last_counts() -> None:
    topic = BY_KIND[TopicKind.QUEUE_PRESSURE]

    in_json = decode(topic, b'{"event":"a","event":"recovered"}')
    in_cbor = decode(topic, b"\xa2\x65event\x61a\x65event\x69recovered")

    assert in_json == in_cbor
    assert in_json.event == "recovered"


def test_cbor_of_indefinite_length_is_taken() -> None:
    payload = b"\xbf\x65event\x7f\x63rec\x66overed\xff\xff"

    assert decode(BY_KIND[TopicKind.QUEUE_PRESSURE], payload).event == "recovered"


def test_undefined_and_nan_are_null() -> None:
    assert parse(b"\x84\xf7\xf9\x7e\x00\xf9\x7c\x00\xf6") == [None, None, None, None]


def test_a_field_name_of_any_length_makes_a_short_message() -> None:
    with pytest.raises(WireError) as caught:
        parse(json.dumps({"a" * 60_000: 2**70}).encode())
    assert len(caught.value.message) <= MAX_MESSAGE + 3
