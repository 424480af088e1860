"""The newest value of every series, as control judges it: is there one, is it good, how old is it by our own clock.

A value is good when a library or the device vouches for it: quality good, fair or poor. `suspect` values (a rail, an
implausible jump) and errors are no values here: no rule ever sees them, and what rests on them ends.
"""

from __future__ import annotations

import math

import numpy as np

from growy.model.reading import ByteArray, Columns, Quality

TRUSTED: frozenset[int] = frozenset({Quality.GOOD, Quality.FAIR, Quality.POOR})
_TRUSTED = np.zeros(256, np.bool_)
_TRUSTED[list(TRUSTED)] = True


def trusted(quality: ByteArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which of the readings may be acted upon."""
    return _TRUSTED[quality]


class Sample:
    """The last good value of a series, and whether something worse has come since. One object per series, kept."""

    __slots__ = ("at", "failed", "value")

    def __init__(self) -> None:
        self.value = math.nan
        self.at = -math.inf
        """Receipt of the last good value, by the clock."""
        self.failed = True
        """The newest reading is no good one, or there is none yet."""

    def good(self, now: float, max_age_s: float) -> bool:
        """Whether it may be acted upon now."""
        return not self.failed and now - self.at <= max_age_s


class Samples:
    """By series id. Trio thread only."""

    def __init__(self) -> None:
        self._samples: dict[int, Sample] = {}

    def of(self, series_id: int) -> Sample:
        """The same object for the same series, for ever: hold it instead of asking again."""
        sample = self._samples.get(series_id)
        if sample is None:
            sample = self._samples[series_id] = Sample()
        return sample

    def take(self, columns: Columns, at: float) -> None:
        """A batch, in order of receipt; received at `at` by the clock."""
        good = trusted(columns.quality) & ~np.isnan(columns.value)
        for series_id, value, fine in zip(
            columns.series.tolist(), columns.value.tolist(), good.tolist(), strict=True
        ):
            self.put(series_id, value if fine else None, at)

    def put(self, series_id: int, value: float | None, at: float) -> Sample:
        """One reading; None: it has no value that may be acted upon."""
        sample = self.of(series_id)
        if value is None:
            sample.failed = True
        else:
            sample.value, sample.at, sample.failed = value, at, False
        return sample
