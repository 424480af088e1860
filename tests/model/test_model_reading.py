"""Readings singly and in columns are the same readings; no value is None at the border, never a number."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from growy.model.reading import QUALITY_BY_WORD, Columns, Quality, Reading, TimeSource

readings = st.builds(
    Reading,
    series_id=st.integers(1, 2**31 - 1),
    ts_ms=st.integers(0, 2**53),
    rx_ms=st.integers(0, 2**53),
    raw=st.floats(allow_nan=False),
    value=st.one_of(st.none(), st.floats(allow_nan=False)),
    quality=st.sampled_from(Quality),
    seq=st.one_of(st.none(), st.integers(0, 2**53)),
    source=st.sampled_from(TimeSource),
    conversion=st.integers(0, 2**31 - 1),
)


@given(st.lists(readings, max_size=20))
def test_rows_become_columns_and_rows_again(rows: list[Reading]) -> None:
    columns = Columns.from_readings(rows)

    assert columns.rows() == rows
    assert Columns.concat([columns.take(slice(0, 7)), columns.take(slice(7, None))]).rows() == rows


def test_no_value_is_nan_inside_and_none_outside() -> None:
    columns = Columns.of([1], [0], [0], [-2032.0], [math.nan], [Quality.ERROR], [-1], [0], [0])

    assert np.isnan(columns.value).all()
    assert columns.row(0).value is None
    assert columns.row(0).seq is None


def test_numbers_of_qualities_are_for_ever() -> None:
    assert {quality.word: int(quality) for quality in Quality} == {
        "unknown": 0,
        "good": 1,
        "fair": 2,
        "poor": 3,
        "suspect": 4,
        "stale": 5,
        "error": 6,
    }
    assert QUALITY_BY_WORD["suspect"] is Quality.SUSPECT
