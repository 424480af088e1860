"""Whatever was sent comes back from a blob to the last bit; what is damaged is never read as readings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from store_readings import readings, same

from growy.model.errors import StoreError
from growy.model.reading import Columns
from growy.store.blob import decode, decode_values, encode
from growy.store.floats import pack_floats, unpack_floats
from growy.store.integers import pack, unpack

EXAMPLES = settings(max_examples=60, deadline=None)
INT64 = st.integers(-(2**63), 2**63 - 1)
SENSOR_FLOATS = st.one_of(
    st.floats(width=64),
    st.integers(-(2**53), 2**53).map(float),
    st.decimals(-1000, 1000, places=2).map(float),
    st.sampled_from([0.0, -0.0, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7e308]),
)


@EXAMPLES
@given(arrays.arrays(np.int64, st.integers(0, 200), elements=st.one_of(INT64, st.integers(-3, 3))))
def test_any_integers_come_back(column: np.ndarray) -> None:
    assert unpack(pack(column), len(column)).tobytes() == column.tobytes()


@EXAMPLES
@given(
    st.integers(0, 300),
    INT64,
    st.integers(-(2**40), 2**40),
    arrays.arrays(np.int64, 300, elements=st.integers(-5, 5)),
)
def test_walks_with_noise_come_back(n: int, start: int, step: int, noise: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        column = (np.int64(start) + np.arange(n) * np.int64(step) + noise[:n]).astype(np.int64)
    assert unpack(pack(column), n).tobytes() == column.tobytes()


@EXAMPLES
@given(arrays.arrays(np.float64, st.integers(0, 120), elements=SENSOR_FLOATS))
def test_any_floats_come_back_with_their_bits(column: np.ndarray) -> None:
    assert unpack_floats(pack_floats(column), len(column)).tobytes() == column.tobytes()


@EXAMPLES
@given(
    arrays.arrays(np.float64, 80, elements=SENSOR_FLOATS),
    arrays.arrays(np.float64, 80, elements=SENSOR_FLOATS),
    arrays.arrays(np.int64, 80, elements=st.integers(0, 3)),
    st.integers(0, 80),
)
def test_floats_with_a_partner_and_groups_come_back(
    column: np.ndarray, partner: np.ndarray, group: np.ndarray, n: int
) -> None:
    column, partner = column[:n], partner[:n]
    group = np.unique(group[:n], return_inverse=True)[1].astype(np.int64)
    packed = pack_floats(column, partner, group)
    assert unpack_floats(packed, n, partner, group).tobytes() == column.tobytes()


@st.composite
def columns(draw: st.DrawFn) -> Columns:
    n = draw(st.integers(0, 150))

    def column(dtype: type, elements: st.SearchStrategy[object]) -> np.ndarray:
        return draw(arrays.arrays(dtype, n, elements=elements))

    return Columns(
        series=column(np.int32, st.integers(0, 2**20)),
        ts_ms=column(np.int64, st.one_of(INT64, st.integers(1_700_000_000_000, 1_700_000_100_000))),
        rx_ms=column(np.int64, INT64),
        raw=column(np.float64, SENSOR_FLOATS),
        value=column(np.float64, SENSOR_FLOATS),
        quality=column(np.uint8, st.integers(0, 255)),
        seq=column(np.int64, st.one_of(INT64, st.integers(-1, 100))),
        source=column(np.uint8, st.integers(0, 255)),
        conversion=column(np.int32, st.integers(0, 2**31 - 1)),
    )


@EXAMPLES
@given(columns())
def test_any_columns_come_back_from_a_journal_blob(some: Columns) -> None:
    assert same(decode(encode(some)), some)


@EXAMPLES
@given(columns())
def test_any_columns_of_one_series_come_back_from_a_chunk_blob(some: Columns) -> None:
    some.series[:] = 77
    blob = encode(some, one_series=True)
    assert same(decode(blob, 77), some)
    ts_ms, value, quality = decode_values(blob)
    assert (ts_ms.tobytes(), value.tobytes(), quality.tobytes()) == (
        some.ts_ms.tobytes(),
        some.value.tobytes(),
        some.quality.tobytes(),
    )


@pytest.mark.parametrize(
    ("name", "convert", "most"),
    [
        ("rounded line", lambda raw: np.round(-45 + 175 * raw / 65535, 2), 1.2),
        ("line in full precision", lambda raw: -45 + 175 * raw / 65535, 1.4),
        ("sixteenths", lambda raw: raw / 16, 1.1),
        ("no value", lambda raw: np.full(len(raw), np.nan), 1.0),
    ],
)
def test_a_chunk_of_a_real_sensor_is_small(name: str, convert: object, most: float) -> None:
    """Given 600 readings whose noise is worth about 5 bits, then a value costs little beside its raw count."""
    random = np.random.default_rng(3)
    raw = np.rint(26_000 + np.cumsum(random.normal(0, 2, 600)) + random.normal(0, 6, 600))
    ts = 1_767_225_600_000 + np.arange(600) * 1000
    some = readings(1, ts, convert(raw), raw=raw, conversion=1)
    assert len(encode(some, one_series=True)) / 600 < most, name


@EXAMPLES
@given(st.data())
def test_a_damaged_blob_is_refused_not_read(data: st.DataObject) -> None:
    blob = bytearray(encode(readings(1, np.arange(100) * 1000, np.arange(100.0))))
    at = data.draw(st.integers(0, 0) | st.integers(1, len(blob) - 1))
    blob[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StoreError, match="damaged"):
        decode(bytes(blob))


def test_a_cut_blob_is_refused() -> None:
    blob = encode(readings(1, np.arange(100) * 1000, 1.0))
    for length in (0, 1, 5, len(blob) - 1):
        with pytest.raises(StoreError, match="damaged"):
            decode(blob[:length])
