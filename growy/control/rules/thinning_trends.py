"""Which readings can change the answer of a difference or of a slope. Pure; part of `thinning`.

Answers are computed here for many readings at once, the engine computes them one by one. Where a slope might come out
differently because it is added up in another order, the reading is kept and the engine decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from growy.control.rules.evaluate import COMPARE
from growy.control.rules.slope import FEWEST, LEAST_SPAN, MOST
from growy.model.reading import FloatArray, IndexArray, IntArray
from growy.model.rules import Difference, RateOfChange

Flags: TypeAlias = npt.NDArray[np.bool_]
Rows: TypeAlias = npt.NDArray[np.intp]

TOLERANCE = 1e-6
"""A slope that near to its limit, relative to what goes into it, is the engine's to judge."""
UNSURE, NONE = 3, 2
"""Answers beside false (0) and true (1)."""


@attrs.define(slots=True, eq=False)
class Piece:
    """Readings of several series in order of receipt, in columns of equal length; `keep` is filled in."""

    series: IndexArray
    at_ms: IntArray
    clock: FloatArray
    """The same moments by the house's clock, seconds."""
    value: FloatArray
    good: Flags
    keep: Flags = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.keep = np.zeros(len(self.series), np.bool_)

    def __len__(self) -> int:
        return len(self.series)


# --- slopes -------------------------------------------------------------------------------------------------------


class Slope:
    """A rate of change, over pieces."""

    def __init__(self, condition: RateOfChange) -> None:
        self.window_s = condition.window_s
        self._compare = COMPARE[condition.operator]
        self._per_min = condition.per_min
        self._slot_ms = condition.window_s * 1000 / MOST
        self._at_ms = np.zeros(0, np.int64)
        self._clock = np.zeros(0)
        self._values = np.zeros(0)
        self._answer = NONE

    def take(self, at_ms: IntArray, clock: FloatArray, values: FloatArray) -> Flags:
        """Good readings of its sensor. At which of them the answer may be another than before."""
        before = len(self._at_ms)
        at_ms, clock, values = (
            np.append(self._at_ms, at_ms),
            np.append(self._clock, clock),
            np.append(self._values, values),
        )
        slots = np.floor_divide(at_ms, self._slot_ms)
        counts = np.append(True, slots[1:] != slots[:-1])
        which = np.flatnonzero(counts)
        answers = self._answers(clock[which], values[which])[np.cumsum(counts) - 1][before:]
        # Twice the window: whether the first of these counts does not matter any more when they are looked at again.
        start = int(np.searchsorted(clock, clock[-1] - 2 * self.window_s - 1.0))
        self._at_ms, self._clock, self._values = at_ms[start:], clock[start:], values[start:]
        changed: Flags = (answers != np.append(self._answer, answers[:-1])) | (answers == UNSURE)
        self._answer = int(answers[-1])
        return changed

    def _answers(self, clock: FloatArray, values: FloatArray) -> npt.NDArray[np.int8]:
        end = np.arange(1, len(clock) + 1)
        start = np.searchsorted(clock, clock - self.window_s)
        count = end - start
        missing = (count < FEWEST) | (clock - clock[start] < LEAST_SPAN * self.window_s)
        time = clock - clock[0]

        def within(column: FloatArray) -> FloatArray:
            sums = np.append(0.0, np.cumsum(column))
            difference: FloatArray = sums[end] - sums[start]
            return difference

        with np.errstate(all="ignore"):
            base = values - values[0]
            mean_time, mean = within(time) / count, within(base) / count
            square = within(time * time) - count * mean_time**2
            slope: FloatArray = 60.0 * (within(time * base) - count * mean_time * mean) / square
            scale = 1.0 + abs(self._per_min) + 60.0 * np.max(np.abs(base), initial=0.0) / self.window_s
            near = np.abs(slope - self._per_min) <= TOLERANCE * scale
            answers = self._compare(slope, self._per_min).astype(np.int8)
        answers[near | ~np.isfinite(slope)] = UNSURE
        answers[missing] = NONE
        return answers


# --- differences --------------------------------------------------------------------------------------------------


@attrs.define(slots=True, eq=False)
class _Last:
    """The end of one sensor's readings so far."""

    failed: bool = True
    value: float = np.nan
    clock: float = -np.inf


class Pair:
    """A difference of two series, over pieces. Both sensors' readings are its samples."""

    def __init__(self, condition: Difference, a: int, b: int, max_age_a_s: float, max_age_b_s: float) -> None:
        self._compare = COMPARE[condition.operator]
        self._value = condition.value
        self._consecutive = condition.consecutive
        self._series = (a, b)
        self._ages_s = (max_age_a_s, max_age_b_s)
        self._last = (_Last(), _Last())
        self._answer = False
        self._run = self._consecutive
        """How many samples have had this answer, as far as that matters."""
        self._partners: tuple[Rows, Flags, FloatArray, FloatArray] | None = None

    def take(self, piece: Piece) -> None:
        """Marks what its count needs."""
        rows = np.flatnonzero(np.isin(piece.series, self._series))
        self._partners = None
        if not len(rows):
            return
        is_a = piece.series[rows] == self._series[0]
        clock, good, values = piece.clock[rows], piece.good[rows], piece.value[rows]
        fresh, newest = [], []
        for mine, age_s, last in zip((is_a, ~is_a), self._ages_s, self._last, strict=True):
            failed, value, at = _filled(mine, good, values, clock, last)
            fresh.append(~failed & (clock - at <= age_s))
            newest.append(value)
        with np.errstate(invalid="ignore"):
            said = self._compare(newest[1] - newest[0], self._value)
        answers = said & fresh[0] & fresh[1]
        begins = answers != np.append(self._answer, answers[:-1])
        # How many samples lie between each and the beginning of its run.
        number = np.arange(len(rows))
        start = np.maximum.accumulate(np.where(begins, number, -self._run))
        since = number - start
        piece.keep[rows] |= since < self._consecutive
        self._answer, self._run = bool(answers[-1]), min(int(since[-1]) + 1, self._consecutive)
        self._partners = (rows, is_a, newest[0], newest[1])

    def partners(self, piece: Piece) -> Iterator[tuple[int, tuple[int, float]]]:
        """(row, (the other series, its value then)) of every reading of the two that is kept."""
        if self._partners is None:
            return
        rows, is_a, a, b = self._partners
        kept = piece.keep[rows]
        other = np.where(is_a, self._series[1], self._series[0])[kept]
        value = np.where(is_a, b, a)[kept]
        for row, series_id, its in zip(rows[kept].tolist(), other.tolist(), value.tolist(), strict=True):
            if its == its:  # it has one
                yield row, (series_id, its)


def _filled(
    mine: Flags, good: Flags, values: FloatArray, clock: FloatArray, last: _Last
) -> tuple[Flags, FloatArray, FloatArray]:
    """At every sample of a pair, of one of its sensors: whether its newest has failed, its last good value, and when
    that was received. Remembers the last of them."""
    number = np.arange(1, len(mine) + 1)
    newest = np.maximum.accumulate(np.where(mine, number, 0))
    newest_good = np.maximum.accumulate(np.where(mine & good, number, 0))
    failed: Flags = np.append(last.failed, ~good)[newest]
    value: FloatArray = np.append(last.value, values)[newest_good]
    at: FloatArray = np.append(last.clock, clock)[newest_good]
    last.failed, last.value, last.clock = bool(failed[-1]), float(value[-1]), float(at[-1])
    return failed, value, at
