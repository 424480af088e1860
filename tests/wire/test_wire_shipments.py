"""Shipments and how far they have come: what is written is read, and whatever comes is read or refused."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.errors import WireError
from growy.wire.shipments import (
    MAX_BYTES,
    Commit,
    ConversionName,
    Event,
    Progress,
    SeriesName,
    Shipment,
    decode,
    encode,
)

ids = st.integers(0, 2**53)
words = st.text(max_size=20)


def several(kind: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(kind, max_size=4).map(tuple)


shipments = st.builds(
    Shipment,
    instance=words,
    session=words,
    installation=words,
    commits=several(st.builds(Commit, ids, st.binary(max_size=50))),
    events=several(st.builds(Event, ids, st.binary(max_size=50))),
    series=several(st.builds(SeriesName, ids, words, words, words, words, ids, words)),
    conversions=several(st.builds(ConversionName, ids, words, words, words)),
    all_names=st.booleans(),
)
progresses = st.builds(
    Progress,
    instance=words,
    session=words,
    cursor=ids,
    check=ids,
    events=ids,
    names_wanted=st.booleans(),
    refusal=words,
)


def refused(payload: bytes, kind: type) -> str | None:
    try:
        decode(payload, kind)
    except WireError as error:
        return error.reason
    return None


@given(st.one_of(shipments, progresses))
def test_what_is_written_is_read(message: Shipment | Progress) -> None:
    assert decode(encode(message), type(message)) == message


@given(st.binary(max_size=60))
def test_whatever_comes_is_read_or_refused(payload: bytes) -> None:
    for kind in (Shipment, Progress):
        assert refused(payload, kind) in (None, "bad_cbor", "wrong_type")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"instance": "a"}, "wrong_type"),
        ({"instance": "a", "session": 5}, "wrong_type"),
        ({"instance": "a", "session": "b", "commits": [[1, "text"]]}, "wrong_type"),
        (["instance"], "wrong_type"),
    ],
)
def test_what_is_missing_or_of_another_kind_is_said(said: object, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(cbor2.dumps(said), Shipment)
    assert caught.value.reason == reason


def test_one_too_large_is_not_even_read() -> None:
    with pytest.raises(WireError) as caught:
        decode(bytes(MAX_BYTES + 1), Shipment)
    assert caught.value.reason == "too_large"
