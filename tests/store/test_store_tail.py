"""The tail holds the newest readings of every series in order of receipt, whatever the mix of a batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_readings import T0, readings, same

from growy.model.reading import Columns
from growy.store import Tail


@settings(max_examples=60, deadline=None)
@given(st.integers(10, 100), st.lists(st.lists(st.integers(0, 200), max_size=150), max_size=12))
def test_windows_equal_a_plain_list_of_everything(room: int, batches: list[list[int]]) -> None:
    tail, everything, at = Tail(room), Columns.empty(), 0
    for batch in batches:
        ts = T0 + np.arange(at, at + len(batch))
        at += len(batch)
        columns = readings(batch, ts, ts - T0 + 0.5) if batch else Columns.empty()
        tail.append(columns)
        everything = Columns.concat([everything, columns])
    for series_id in range(201):
        own = everything.take(everything.series == series_id)
        kept = own.take(slice(max(0, len(own) - room), None))
        assert same(tail.window(series_id, -1), kept)
        assert same(tail.window(series_id, T0 + 40), kept.take(kept.ts_ms >= T0 + 40))
        latest = tail.latest(series_id)
        assert latest == (own.row(len(own) - 1) if len(own) else None)
    newest = tail.newest()
    assert newest.series.tolist() == sorted(set(everything.series.tolist()))
    assert all(row == tail.latest(row.series_id) for row in newest.rows())


def test_newest_is_the_latest_of_every_series_whatever_room_it_has() -> None:
    tail = Tail(64)
    assert len(tail.newest()) == 0
    for series, count in ((5, 1), (2, 100), (9, 17)):
        for n in range(count):
            tail.append(readings(series, [T0 + n], [float(n)]))
    columns = tail.newest()
    assert columns.series.tolist() == [2, 5, 9]
    assert [columns.row(at) for at in range(3)] == [tail.latest(series) for series in (2, 5, 9)]


def test_latest_is_by_receipt_even_when_the_measurement_is_older() -> None:
    tail = Tail(20)
    tail.append(readings(1, [T0 + 9000, T0], [1.0, 2.0], rx=[T0 + 9001, T0 + 9002]))
    latest = tail.latest(1)
    assert latest is not None
    assert latest.value == 2.0


def test_no_value_is_none_not_a_number() -> None:
    tail = Tail(20)
    tail.append(readings(3, [T0], float("nan"), quality=6))
    latest = tail.latest(3)
    assert latest is not None
    assert latest.value is None


def test_recent_is_the_newest_over_all_series_by_receipt() -> None:
    tail = Tail(20)
    rx = np.random.default_rng(1).permutation(100) + T0
    tail.append(readings((np.arange(100) % 7).tolist(), rx, 1.0, rx=rx))
    assert tail.recent(30).rx_ms.tolist() == sorted(rx.tolist())[-30:]
    assert len(tail.recent(1000)) == 100
    assert len(tail.recent(0)) == 0


@pytest.mark.parametrize("series_id", [-1, 5, 10**9])
def test_an_unknown_series_has_no_readings(series_id: int) -> None:
    tail = Tail(20)
    tail.append(readings(1, [T0], 1.0))
    assert tail.latest(series_id) is None
    assert len(tail.window(series_id, 0)) == 0


def test_memory_follows_use() -> None:
    """500 full rings of 600 fit 20 MB; ten thousand quiet series cost less than full ones would by far."""
    busy = Tail(600)
    for _ in range(650):
        busy.append(readings(list(range(1, 501)), np.full(500, T0), 1.0))
    assert busy.nbytes <= 20e6
    quiet = Tail(600)
    quiet.append(readings(list(range(10_000)), np.full(10_000, T0), 1.0))
    assert quiet.nbytes <= 12e6
