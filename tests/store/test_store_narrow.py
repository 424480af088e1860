"""Columns kept small in memory come back to the bit."""

from __future__ import annotations

import attrs
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from growy.model.reading import Columns
from growy.store.narrow import narrow

floats = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(2**53), 2**53).map(float),
    st.sampled_from([-0.0, 0.0, 25.0625, -2032.0]),
)
rows = st.tuples(
    st.integers(1, 2**31 - 1),
    st.integers(-(2**62), 2**62),
    st.integers(0, 2**62),
    floats,
    floats,
    st.integers(0, 6),
    st.integers(-1, 2**53),
    st.integers(0, 1),
    st.integers(0, 2**31 - 1),
)


@given(st.lists(rows, max_size=40), st.data())
def test_any_columns_come_back_to_the_bit(sent: list[tuple[float, ...]], data: st.DataObject) -> None:
    columns = Columns.of(*(list(column) for column in zip(*sent, strict=True))) if sent else Columns.empty()
    small = narrow(columns, at_least=0)
    wanted = sorted(data.draw(st.sets(st.integers(0, len(sent) - 1)))) if sent else []
    some = np.asarray(wanted, np.intp)

    for whole, part in ((columns, small.widen()), (columns.take(some), small.widen(some))):
        for field in attrs.fields(Columns):
            before, after = getattr(whole, field.name), getattr(part, field.name)
            assert before.dtype == after.dtype
            assert before.tobytes() == after.tobytes()
    for series_id in set(columns.series.tolist()):
        assert small.rows_of(series_id).tolist() == np.flatnonzero(columns.series == series_id).tolist()


def test_ordinary_readings_need_less_than_half() -> None:
    count = 500
    ts = 1_767_225_600_000 + np.zeros(count, np.int64)
    columns = Columns.of(
        range(1, count + 1), ts, ts + np.arange(count), np.arange(count) + 300.0, np.arange(count) / 16, [1] * count,
        np.arange(count) + 70_000, [0] * count, [3] * count,
    )  # fmt: skip

    assert narrow(columns).nbytes <= 16 * count
