"""Frames between pool and worker: what goes in comes out, and what is no frame is refused."""

from __future__ import annotations

import contextlib

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from growy.sensors import frames


@given(
    hnp.arrays(np.float64, st.integers(0, 50)),
    hnp.arrays(np.uint8, st.integers(0, 50)),
    hnp.arrays(np.int32, st.integers(0, 50)),
)
def test_columns_survive_the_way(values: np.ndarray, qualities: np.ndarray, lines: np.ndarray) -> None:
    frame = frames.encode(["x", frames.floats(values), frames.bytes_column(qualities), frames.ints(lines)])
    assert frames.body_length(frame) == len(frame) - frames.PREFIX.size
    name, a, b, c = frames.decode(memoryview(frame)[frames.PREFIX.size :])
    assert name == "x"
    assert frames.array(a, frames.FLOAT64_LE).tobytes() == values.tobytes()
    assert np.array_equal(frames.array(b, frames.UINT8), qualities)
    assert np.array_equal(frames.array(c, frames.INT32_LE), lines)


def test_the_tags_are_those_of_rfc_8746() -> None:
    # section 2.1: 0b010_f_s_e_ll; float64 little-endian, uint8, sint32 little-endian
    assert (frames.FLOAT64_LE, frames.UINT8, frames.INT32_LE) == (
        0b010_1_0_1_10,
        0b010_0_0_0_00,
        0b010_0_1_1_10,
    )
    assert frames.floats(np.array([1.0])).value == b"\x00\x00\x00\x00\x00\x00\xf0\x3f"


@given(st.binary(max_size=64))
def test_noise_is_a_frame_error_or_a_message(noise: bytes) -> None:
    with contextlib.suppress(frames.FrameError):  # anything else fails the test
        frames.decode(noise)


@pytest.mark.parametrize(
    "item",
    [
        None,
        b"12345678",
        cbor2.CBORTag(frames.UINT8, b"12345678"),
        cbor2.CBORTag(frames.FLOAT64_LE, b"1234567"),
    ],
)
def test_what_is_no_float_column_is_refused(item: object) -> None:
    with pytest.raises(frames.FrameError):
        frames.array(item, frames.FLOAT64_LE)


def test_a_frame_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(frames.FrameError, match="exceeds"):
        frames.body_length(frames.PREFIX.pack(frames.MAX_FRAME + 1))
