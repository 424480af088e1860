"""Which heartbeat ACKs a device hears."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.sim.ack import Ack, AckRefused, read_ack
from growy.sim.arduino_json import cost

GOOD = {"status": "approved", "handover_epoch": 1, "server_time": 1767225600, "config_available": False}


def test_the_minimal_ack_is_heard():
    assert read_ack(json.dumps(GOOD).encode()) == Ack("approved", 1, 1767225600)


@pytest.mark.parametrize("status", ["pending_approval", "rejected", "error", "whatever"])
def test_the_word_in_it_does_not_matter(status: str):
    assert read_ack(json.dumps({"status": status, "handover_epoch": 7}).encode()) == Ack(status, 7, None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": None}, "MISSING_ACK_STATUS"),
        ({"status": 1}, "MISSING_ACK_STATUS"),
        ({"handover_epoch": None}, "MISSING_HANDOVER_EPOCH"),
        ({"handover_epoch": 0}, "INVALID_HANDOVER_EPOCH"),
        ({"handover_epoch": -3}, "INVALID_HANDOVER_EPOCH"),
        ({"handover_epoch": "1"}, "INVALID_HANDOVER_EPOCH_TYPE"),
        ({"handover_epoch": 1.0}, "INVALID_HANDOVER_EPOCH_TYPE"),
        ({"handover_epoch": True}, "INVALID_HANDOVER_EPOCH_TYPE"),
        ({"handover_epoch": 2**31}, "INVALID_HANDOVER_EPOCH_TYPE"),
        ({"session_id": "x" * 130}, "POOL_OVERFLOW"),
    ],
)
def test_an_ack_that_breaks_the_contract_is_not_heard(change: dict[str, object], reason: str):
    assert read_ack(json.dumps(GOOD | change).encode()) == AckRefused(reason)


@pytest.mark.parametrize("server_time", [0, 1_600_000_000, 1_767_225_600_000, "1767225600"])
def test_an_implausible_time_sets_no_clock(server_time: object):
    assert read_ack(json.dumps(GOOD | {"server_time": server_time}).encode()) == Ack("approved", 1, None)


def test_the_pool_is_counted_as_arduinojson_counts_it():
    assert cost(GOOD) == 124
    assert cost({"a": [1, 2, {"a": "bc"}]}) == 16 * 5 + len("a\0bc\0")


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda node: (
            st.lists(node, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), node, max_size=4)
        ),
    ).map(lambda document: json.dumps(document).encode())
)
def test_no_payload_breaks_the_device(body: bytes):
    assert isinstance(read_ack(body), Ack | AckRefused)
