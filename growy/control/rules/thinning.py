"""Which of many stored readings can change what rules think. All others need not be shown to the engine. Pure.

For a threshold only the side counts on which a value lies, for a hysteresis only what it makes of its latch;
differences and slopes have their own ways (`thinning_trends`). A reading is of interest when that changes for any
condition, when its quality does, or when the sensor had been silent for so long that it may have been stale. A PID loop
needs every reading.

What is left out must still keep its sensor fresh: with each reading that is kept comes the time of the last one that
followed it without a break. A replay with readings left out must equal one with all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs
import numpy as np

from growy.control.lookup import Found
from growy.control.rules.evaluate import COMPARE
from growy.control.rules.thinning_trends import Flags, Pair, Piece, Rows, Slope
from growy.control.rules.walk import conditions_of
from growy.control.samples import trusted
from growy.model.reading import Columns, FloatArray, IntArray
from growy.model.rules import (
    Between,
    Condition,
    Difference,
    Freshness,
    Hysteresis,
    Pid,
    RateOfChange,
    Rule,
    SensorRef,
    Threshold,
)

Codes: TypeAlias = Callable[[FloatArray, bool], Flags]
"""(values in order, answer to the last one before) -> the condition's answer to each, as far as the value decides."""
MARGIN_MS = 50
"""A silence that comes so near to being too long counts as such: it costs a reading, and no rounding can matter."""
LONG_AGO = -(1 << 60)
Silent: TypeAlias = tuple[tuple[int, float], ...]


@attrs.frozen(slots=True, eq=False)
class Thinned:
    """Readings that are kept, in order of receipt. Times are receipts, Unix ms."""

    series: list[int]
    at_ms: list[int]
    values: list[float | None]
    """None: no value that may be acted upon."""
    fresh_ms: list[int]
    """The last good reading that follows, as far as is known, without a break; of one without a value 0."""
    lengthened: Mapping[int, int]
    """Series whose last good reading of before goes on being followed without a break, and until when."""
    partners: Mapping[int, Silent]
    """By place in the lists: (series, value) that differences are taken to, which was left out."""
    belated: Mapping[int, Silent]
    """By place in the lists: (receipt, value) of readings of the same series before it that its slopes are made of."""

    def __len__(self) -> int:
        return len(self.series)


@attrs.define(slots=True, eq=False)
class _Watch:
    """What the rules want to know of a series, and how it stood at the end of the last piece."""

    least_age_s: float = math.inf
    every: bool = False
    cuts: list[Codes] = attrs.field(factory=list)
    answers: list[bool] = attrs.field(factory=list)
    slopes: list[Slope] = attrs.field(factory=list)
    good: bool | None = None
    at_ms: int = LONG_AGO
    """Of the last good reading."""
    unseen_ms: IntArray = attrs.field(factory=lambda: np.zeros(0, np.int64))
    """Good readings since the last that was kept, which slopes are made of."""
    unseen: FloatArray = attrs.field(factory=lambda: np.zeros(0))


class Thinner:
    """Takes the readings of a long time, piece by piece.

    Args:
        series_of: what a sensor means.
        max_age_of: as the engine is told.
        from_ms: when the house's clock begins.
        every: keeps every reading, to prove that it makes no difference.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        series_of: Callable[[SensorRef], Found],
        max_age_of: Callable[[int], float],
        from_ms: int,
        *,
        every: bool = False,
    ) -> None:
        self._series_of = series_of
        self._max_age_of = max_age_of
        self._from_ms = from_ms
        self._every = every
        self._watches: dict[int, _Watch] = {}
        self._pairs: list[Pair] = []
        for rule in rules:
            for condition in conditions_of(rule.condition):
                self._add(condition)
            for action in rule.actions:
                if isinstance(action, Pid) and (watch := self._watch(action.sensor, action.max_age_s)):
                    watch.every = True

    @property
    def series(self) -> frozenset[int]:
        """Those that the rules look at."""
        return frozenset(self._watches)

    def take(self, columns: Columns) -> Thinned:
        """The next piece: readings of these series, by receipt."""
        piece = Piece(
            columns.series,
            columns.rx_ms,
            (columns.rx_ms - self._from_ms) / 1000,
            columns.value,
            trusted(columns.quality) & ~np.isnan(columns.value),
        )
        if self._every:
            piece.keep[:] = True
            return _kept(piece, columns.rx_ms, {}, {}, {})
        fresh_ms = np.zeros(len(columns), np.int64)
        lengthened: dict[int, int] = {}
        for series_id, rows in _by_series(piece):
            until_ms = _thin(self._watches[series_id], rows, piece, fresh_ms)
            if until_ms is not None:
                lengthened[series_id] = until_ms
        for pair in self._pairs:
            pair.take(piece)
        partners: dict[int, Silent] = {}
        for pair in self._pairs:
            for row, found in pair.partners(piece):
                partners[row] = (*partners.get(row, ()), found)
        belated: dict[int, Silent] = {}
        for series_id, rows in _by_series(piece):
            belated |= _belated(self._watches[series_id], rows, piece)
        return _kept(piece, fresh_ms, lengthened, partners, belated)

    # --- what is looked at --------------------------------------------------------------------------------------------

    def _add(self, condition: Condition) -> None:
        match condition:
            case Threshold():
                self._watch(condition.sensor, condition.max_age_s, _threshold(condition))
            case Between():
                self._watch(condition.sensor, condition.max_age_s, _between(condition))
            case Hysteresis():
                self._watch(condition.sensor, condition.max_age_s, _hysteresis(condition))
            case Freshness():
                self._watch(condition.sensor, condition.max_age_s)
            case RateOfChange():
                watch = self._watch(condition.sensor, condition.max_age_s)
                if watch is not None:
                    watch.slopes.append(Slope(condition))
            case Difference():
                self._add_pair(condition)
            case _:
                pass

    def _add_pair(self, condition: Difference) -> None:
        for sensor in (condition.a, condition.b):
            self._watch(sensor, condition.max_age_s)
        a, b = (self._series_of(sensor).series_id for sensor in (condition.a, condition.b))
        if a is not None and b is not None and a != b:
            ages = [
                self._max_age_of(one) if condition.max_age_s is None else condition.max_age_s
                for one in (a, b)
            ]
            self._pairs.append(Pair(condition, a, b, *ages))
        elif a is not None and a == b:
            self._watches[a].every = True

    def _watch(self, sensor: SensorRef, max_age_s: float | None, cut: Codes | None = None) -> _Watch | None:
        series_id = self._series_of(sensor).series_id
        if series_id is None:
            return None
        watch = self._watches.setdefault(series_id, _Watch())
        age_s = self._max_age_of(series_id) if max_age_s is None else max_age_s
        watch.least_age_s = min(watch.least_age_s, age_s)
        if cut is not None:
            watch.cuts.append(cut)
            watch.answers.append(False)
        return watch


# --- one series ---------------------------------------------------------------------------------------------------


def _by_series(piece: Piece) -> Iterator[tuple[int, Rows]]:
    order = np.argsort(piece.series, kind="stable")
    names, starts = np.unique(piece.series[order], return_index=True)
    if len(names):
        yield from zip(names.tolist(), np.split(order, starts[1:]), strict=True)


def _thin(watch: _Watch, rows: Rows, piece: Piece, fresh_ms: IntArray) -> int | None:
    """Marks what is to be kept of one series. Returns until when the run of before goes on; None: it does not."""
    fine = piece.good[rows]
    before = np.append(fine[0] if watch.good is None else watch.good, fine[:-1])
    kept = (fine != before) | watch.every
    kept[0] |= watch.good is None
    watch.good = bool(fine[-1])
    which = np.flatnonzero(fine)
    if not len(which):
        piece.keep[rows] |= kept
        return None
    mine = rows[which]
    at_ms, clock, values = piece.at_ms[mine], piece.clock[mine], piece.value[mine]
    silent_ms = np.diff(at_ms, prepend=watch.at_ms)
    begins = (silent_ms > watch.least_age_s * 1000 - MARGIN_MS) | ~before[which]
    watch.at_ms = int(at_ms[-1])
    changed = begins.copy()
    for number, cut in enumerate(watch.cuts):
        answers = cut(values, watch.answers[number])
        changed |= answers != np.append(watch.answers[number], answers[:-1])
        watch.answers[number] = bool(answers[-1])
    for slope in watch.slopes:
        changed |= slope.take(at_ms, clock, values)
    kept[which] |= changed
    piece.keep[rows] |= kept
    # Each run ends before the next begins.
    run = np.cumsum(begins)
    last = np.append(np.flatnonzero(begins[1:]), len(which) - 1)
    goes_on = not begins[0]
    fresh_ms[rows[which]] = at_ms[last][run if goes_on else run - 1]
    return int(at_ms[last[0]]) if goes_on else None


def _belated(watch: _Watch, rows: Rows, piece: Piece) -> dict[int, Silent]:
    """Readings that were left out and that the slope at a reading which is kept is made of, by that one's row."""
    if not watch.slopes:
        return {}
    longest_ms = math.ceil(1000 * max(slope.window_s for slope in watch.slopes)) + 1
    rows = rows[piece.good[rows]]
    at_ms = np.append(watch.unseen_ms, piece.at_ms[rows])
    values = np.append(watch.unseen, piece.value[rows])
    first = len(watch.unseen_ms)
    found: dict[int, Silent] = {}
    begin = 0
    for place in np.flatnonzero(piece.keep[rows]).tolist():
        end = first + place
        start = max(begin, int(np.searchsorted(at_ms[:end], at_ms[end] - longest_ms)))
        if start < end:
            found[int(rows[place])] = tuple(
                zip(at_ms[start:end].tolist(), values[start:end].tolist(), strict=True)
            )
        begin = end + 1
    if len(at_ms):
        begin = max(begin, int(np.searchsorted(at_ms, at_ms[-1] - longest_ms)))
    watch.unseen_ms, watch.unseen = at_ms[begin:], values[begin:]
    return found


def _kept(
    piece: Piece,
    fresh_ms: IntArray,
    lengthened: Mapping[int, int],
    partners: Mapping[int, Silent],
    belated: Mapping[int, Silent],
) -> Thinned:
    kept = np.flatnonzero(piece.keep)
    place = {row: number for number, row in enumerate(kept.tolist())} if partners or belated else {}
    return Thinned(
        piece.series[kept].tolist(),
        piece.at_ms[kept].tolist(),
        [
            value if fine else None
            for value, fine in zip(piece.value[kept].tolist(), piece.good[kept].tolist(), strict=True)
        ],
        fresh_ms[kept].tolist(),
        lengthened,
        {place[row]: found for row, found in partners.items()},
        {place[row]: found for row, found in belated.items()},
    )


# --- conditions on one value --------------------------------------------------------------------------------------


def _threshold(condition: Threshold) -> Codes:
    compare, value = COMPARE[condition.operator], condition.value
    return lambda values, before: compare(values, value)


def _between(condition: Between) -> Codes:
    low, high = condition.low, condition.high
    return lambda values, before: (low <= values) & (values <= high)


def _hysteresis(condition: Hysteresis) -> Codes:
    on_above = math.inf if condition.on_above is None else condition.on_above
    on_below = -math.inf if condition.on_below is None else condition.on_below
    off_below = -math.inf if condition.off_below is None else condition.off_below
    off_above = math.inf if condition.off_above is None else condition.off_above

    def latch(values: FloatArray, before: bool) -> Flags:
        on = (values > on_above) | (values < on_below)
        says = on | (values < off_below) | (values > off_above)
        # In the band it is what it was made by the last value outside of it.
        place = np.maximum.accumulate(np.where(says, np.arange(1, len(values) + 1), 0))
        answers: Flags = np.append(before, on)[place]
        return answers

    return latch
