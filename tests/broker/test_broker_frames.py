"""Frames: whatever the broker sends, however TCP cuts it, comes out as the same messages."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.broker.frames import MAX_FRAME, FrameSplitter, Inbound, ProtocolViolation, pubacks


def remaining_length(length: int) -> bytes:
    encoded = bytearray()
    while True:
        byte, length = length & 0x7F, length >> 7
        encoded.append(byte | 0x80 if length else byte)
        if not length:
            return bytes(encoded)


def publish(topic: bytes, payload: bytes, mid: int, dup: bool = False, retain: bool = False) -> bytes:
    flags = (0x02 if mid else 0) | (0x08 if dup else 0) | retain
    body = struct.pack(">H", len(topic)) + topic + (struct.pack(">H", mid) if mid else b"") + payload
    return bytes((0x30 | flags,)) + remaining_length(len(body)) + body


messages = st.builds(
    Inbound,
    topic=st.binary(min_size=1, max_size=200),
    payload=st.one_of(st.binary(max_size=300), st.integers(0, 20_000).map(lambda n: b"x" * n)),
    mid=st.integers(0, 65535),
    dup=st.booleans(),
    retain=st.booleans(),
)
controls = st.sampled_from([b"\x20\x02\x00\x00", b"\xd0\x00", b"\x40\x02\x12\x34", b"\x90\x03\x00\x01\x01"])


@given(st.lists(st.one_of(messages, controls), max_size=20), st.lists(st.integers(1, 5000), max_size=30))
def test_any_cut_of_the_stream_gives_the_same_frames(sent: list[Inbound | bytes], cuts: list[int]) -> None:
    stream = b"".join(one if isinstance(one, bytes) else publish(*one) for one in sent)

    splitter = FrameSplitter()
    got: list[Inbound] = []
    control = b""
    for size in [*cuts, len(stream) or 1]:
        part, stream = stream[:size], stream[size:]
        inbound, others = splitter.feed(part)
        got += inbound
        control += others

    assert got == [one for one in sent if isinstance(one, Inbound)]
    assert control == b"".join(one for one in sent if isinstance(one, bytes))


@given(st.binary(max_size=400))
def test_arbitrary_bytes_give_frames_or_a_protocol_violation(data: bytes) -> None:
    with contextlib.suppress(ProtocolViolation):
        inbound, control = FrameSplitter().feed(data)
        assert sum(len(one.topic) + len(one.payload) for one in inbound) + len(control) <= len(data)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x30\xff\xff\xff\xff\x01", "four bytes"),
        (b"\x90" + remaining_length(MAX_FRAME + 1), "control frame"),
        (b"\x34\x06\x00\x01t\x00\x01x", "QoS 2"),
        (b"\x32\x03\x00\x05t", "shorter"),
        (b"\x30\x03\x00\x05t", "shorter"),
        (b"\x30\x01\x00", "shorter"),
    ],
)
def test_what_mqtt_forbids_is_named(data: bytes, what: str) -> None:
    with pytest.raises(ProtocolViolation, match=what):
        FrameSplitter().feed(data)


@given(st.lists(st.integers(1, 65535), max_size=50))
def test_acknowledgements_keep_their_order(mids: list[int]) -> None:
    assert pubacks(mids) == b"".join(b"\x40\x02" + struct.pack(">H", mid) for mid in mids)


def test_a_message_too_large_to_keep_is_cut_handed_on_and_nothing_behind_it_is_lost() -> None:
    large = publish(b"t/large", b"x" * (3 * MAX_FRAME), 7)
    stream = publish(b"t/before", b"1", 6) + large + b"\xd0\x00" + publish(b"t/behind", b"2", 8)
    for size in (1000, 131_072, len(stream)):
        splitter = FrameSplitter()
        got: list[Inbound] = []
        control = b""
        for start in range(0, len(stream), size):
            inbound, others = splitter.feed(stream[start : start + size])
            got += inbound
            control += others

        assert [(one.topic, one.mid) for one in got] == [(b"t/before", 6), (b"t/large", 7), (b"t/behind", 8)]
        assert 512 * 1024 < len(got[1].payload) <= MAX_FRAME
        assert control == b"\xd0\x00"


def test_it_is_handed_on_only_when_all_of_it_has_come() -> None:
    large = publish(b"t/large", b"x" * (2 * MAX_FRAME), 7)
    splitter = FrameSplitter()

    assert splitter.feed(large[:-1]) == ([], b"")
    assert len(splitter.feed(large[-1:])[0]) == 1
