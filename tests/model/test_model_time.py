"""Whose clock a measurement bears, and that a reading's identity does not depend on ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.reading import TimeSource
from growy.model.time import EARLIEST_S, FUTURE_TOLERANCE_MS, claimed_ms, measured_at

NOW = 1_767_225_600_000


@pytest.mark.parametrize(
    ("ts", "valid", "claimed"),
    [
        (1_767_225_600, True, NOW),
        (1_767_225_600_123, True, NOW + 123),
        (0, True, 0),
        (1_767_225_600, False, 0),
        (EARLIEST_S - 1, True, 0),
        (61, True, 0),
    ],
)
def test_seconds_milliseconds_and_unknown(ts: float, valid: bool, claimed: int) -> None:
    assert claimed_ms(ts, valid) == claimed


@given(st.integers(0, 2**53), st.integers(0, 2**53))
def test_a_time_is_the_devices_or_ours_and_never_far_in_the_future(claimed: int, rx_ms: int) -> None:
    ts_ms, source = measured_at(claimed, rx_ms)

    assert ts_ms == (claimed if source is TimeSource.DEVICE else rx_ms)
    assert ts_ms <= rx_ms + FUTURE_TOLERANCE_MS


def test_a_clock_of_ours_that_is_known_to_be_behind_overrules_nobody() -> None:
    assert measured_at(NOW, NOW - 3_600_000)[1] is TimeSource.SERVER
    assert measured_at(NOW, NOW - 3_600_000, our_clock_is_behind=True) == (NOW, TimeSource.DEVICE)
    assert measured_at(0, NOW, our_clock_is_behind=True) == (NOW, TimeSource.SERVER)
