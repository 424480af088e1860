"""A latency window reports the percentiles of what was recorded last."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.ops.latency import LatencyWindow


def test_an_empty_window_has_no_figures():
    latency = LatencyWindow(8).statistics()

    assert latency.count == 0
    assert (latency.p50_ms, latency.p99_ms, latency.max_ms) == (None, None, None)


def test_percentiles_of_a_window_that_is_not_full_ignore_the_empty_places():
    window = LatencyWindow(1000)
    for ms in range(1, 102):
        window.add(float(ms))

    latency = window.statistics()

    assert (latency.count, len(window)) == (101, 101)
    assert (latency.p50_ms, latency.p99_ms, latency.max_ms) == (51.0, 100.0, 101.0)


def test_old_durations_leave_the_window_but_stay_counted():
    window = LatencyWindow(4)
    window.extend([1000.0] * 4)
    window.extend([1.0, 2.0, 3.0, 4.0])

    latency = window.statistics()

    assert (latency.count, len(window)) == (8, 4)
    assert (latency.p50_ms, latency.max_ms) == (2.5, 4.0)


@given(st.integers(1, 9), st.lists(st.lists(st.floats(0, 1e6), max_size=25), max_size=6))
def test_a_window_holds_the_last_durations_however_they_were_recorded(size, groups):
    window = LatencyWindow(size)
    for group in groups:
        if len(group) == 1:
            window.add(group[0])
        else:
            window.extend(group)
    recorded = [ms for group in groups for ms in group]

    latency = window.statistics()

    assert latency.count == len(recorded)
    if recorded:
        assert latency.p50_ms == pytest.approx(np.percentile(recorded[-size:], 50))
        assert latency.max_ms == max(recorded[-size:])


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        LatencyWindow(0)
