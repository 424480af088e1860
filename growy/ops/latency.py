"""How long things take: percentiles over the last N durations, and histograms of all of them. Never an average, never a
figure nobody measured."""

from __future__ import annotations

from bisect import bisect_left

import attrs
import numpy as np
import numpy.typing as npt

DEFAULT_WINDOW = 4096
"""Durations kept: 32 KiB, and enough that p99 stands on forty of them."""


@attrs.frozen(slots=True)
class Latency:
    """What a window held when it was asked. All percentiles are None until something has been recorded."""

    count: int
    """Durations recorded since the start, not only those still in the window."""
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    """Longest in the window."""


NOTHING_RECORDED = Latency(count=0, p50_ms=None, p99_ms=None, max_ms=None)


class LatencyWindow:
    """Ring of the last `size` durations in milliseconds.

    Recording costs one array store; the percentiles are computed when somebody asks. Not for use from several threads
    at once.
    """

    def __init__(self, size: int = DEFAULT_WINDOW) -> None:
        if size < 1:
            raise ValueError(f"a latency window holds at least 1 duration, not {size}")
        self._ring = np.zeros(size, np.float64)
        self._count = 0

    def add(self, ms: float) -> None:
        """Record one duration, milliseconds."""
        self._ring[self._count % len(self._ring)] = ms
        self._count += 1

    def extend(self, ms: npt.ArrayLike) -> None:
        """Record many durations at once, oldest first: one-dimensional, milliseconds."""
        durations = np.asarray(ms, np.float64).ravel()
        size = len(self._ring)
        kept = durations[-size:]
        first = self._count + len(durations) - len(kept)
        self._ring[(first + np.arange(len(kept))) % size] = kept
        self._count += len(durations)

    def __len__(self) -> int:
        """Durations in the window now."""
        return min(self._count, len(self._ring))

    def statistics(self) -> Latency:
        if not self._count:
            return NOTHING_RECORDED
        window = self._ring[: len(self)]
        p50, p99 = np.percentile(window, (50, 99))
        return Latency(count=self._count, p50_ms=float(p50), p99_ms=float(p99), max_ms=float(window.max()))


BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the classes of a histogram, seconds: from a commit into the page cache to a card that hangs."""


@attrs.frozen(slots=True)
class Distribution:
    """How many durations there were, by class. Only ever grows while the program runs."""

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    """Per class, not summed up; one more than there are bounds: the last has no upper end."""
    sum_s: float

    @property
    def count(self) -> int:
        return sum(self.counts)


class Histogram:
    """Counts durations by class, for those who watch over a long time. Adding one is a binary search in 13 numbers.

    Not for use from several threads at once.
    """

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        if not bounds_s or list(bounds_s) != sorted(set(bounds_s)):
            raise ValueError(f"the bounds of a histogram rise, not {bounds_s}")
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Record one duration."""
        self._counts[bisect_left(self._bounds_s, seconds)] += 1
        self._sum_s += seconds

    def distribution(self) -> Distribution:
        return Distribution(self._bounds_s, tuple(self._counts), self._sum_s)
