"""Times of the old database: seconds to nanoseconds, dates, and what is none."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.store.legacy.instants import Unit, moments, numbers

SECONDS = st.integers(1_577_836_800, 4_102_444_800)
"""2020 to 2100."""


def one(cell: object) -> tuple[float | None, Unit]:
    ms, unit = moments([cell])
    return (None if math.isnan(ms[0]) else float(ms[0])), Unit(int(unit[0]))


@given(SECONDS)
def test_the_same_moment_is_understood_in_every_unit(seconds: int) -> None:
    for unit, number in (
        (Unit.SECONDS, seconds),
        (Unit.MILLISECONDS, seconds * 1000),
        (Unit.MICROSECONDS, seconds * 1_000_000),
        (Unit.NANOSECONDS, seconds * 1_000_000_000),
    ):
        assert one(number) == (seconds * 1000, unit)
        assert one(str(number)) == (seconds * 1000, unit)


@given(SECONDS, st.integers(0, 999))
def test_milliseconds_are_kept_where_they_are_written(seconds: int, ms: int) -> None:
    moment = seconds * 1000 + ms

    assert one(moment) == (moment, Unit.MILLISECONDS)
    assert one(moment * 1000 + 999) == (moment, Unit.MICROSECONDS)
    assert one(moment / 1000) == (moment, Unit.SECONDS)
    text = datetime.fromtimestamp(seconds, UTC).replace(microsecond=ms * 1000)
    assert one(text.isoformat()) == (moment, Unit.TEXT)


@given(SECONDS, st.integers(-14, 14))
def test_a_date_without_an_offset_is_utc_and_one_with_an_offset_is_not(seconds: int, hours: int) -> None:
    there = datetime.fromtimestamp(seconds, timezone(timedelta(hours=hours)))
    utc = datetime.fromtimestamp(seconds, UTC)

    assert one(there.isoformat(" ")) == (seconds * 1000, Unit.TEXT)
    assert one(utc.strftime("%Y-%m-%d %H:%M:%S")) == (seconds * 1000, Unit.TEXT)
    assert one(utc.strftime("%Y-%m-%dT%H:%M:%SZ")) == (seconds * 1000, Unit.TEXT)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(), st.binary())))
def test_whatever_stands_there_has_a_unit_and_a_time_only_if_it_is_one(cells: list[object]) -> None:
    ms, unit = moments(cells)

    assert len(ms) == len(unit) == len(cells)
    assert ((unit <= Unit.TEXT) == ~np.isnan(ms)).all()
    for cell, time, written in zip(cells, ms, unit, strict=True):
        alone = moments([cell])
        assert alone[0][0] == time or np.isnan(time)
        assert alone[1][0] == written


@pytest.mark.parametrize("cell", [None, 0, 0.0, "0"])
def test_null_and_zero_are_no_time(cell: object) -> None:
    assert one(cell) == (None, Unit.NONE)


@pytest.mark.parametrize(
    "cell", ["", "soon", "now", -5, math.inf, "2025-13-01", "nan", b"1735689600", "2025-01-01 25:00"]
)
def test_what_cannot_be_read_is_said_to_be_so(cell: object) -> None:
    assert one(cell) == (None, Unit.UNREADABLE)


def test_seconds_end_where_milliseconds_of_the_seventies_begin() -> None:
    assert one(100_000_000_000) == (100_000_000_000_000, Unit.SECONDS)
    assert one(100_000_000_001) == (100_000_000_001, Unit.MILLISECONDS)


def test_numbers_in_quotes_are_numbers_and_words_are_not() -> None:
    found, wrong = numbers([1, 2.5, "3", None, "x", b"4"])

    assert found[:3].tolist() == [1.0, 2.5, 3.0]
    assert np.isnan(found[3:]).all()
    assert wrong.tolist() == [False, False, False, False, True, True]
