"""What the store knows of itself, as frozen records. Figures are counted or measured, never estimated."""

from __future__ import annotations

from collections import deque

import attrs

from growy.ops.latency import Distribution, Histogram
from growy.store.faults import DiskState

_LATENCIES = 1000


@attrs.frozen(slots=True, kw_only=True)
class StoreStatistics:
    """State of the store since it was opened."""

    state: DiskState
    last_error: str
    """Text of the last refused commit, "" if there was none."""
    readings: int
    """Committed since open."""
    commits: int
    failed_commits: int
    dead_letters: int
    commit_p50_ms: float
    """Over the last 1000 commits, from the call to its return; 0.0 before the first."""
    commit_p99_ms: float
    commit_times: Distribution
    """Of all commits."""
    query_times: Distribution
    """Of all reads of the databases, waiting for a free connection included."""
    committed_bytes: int
    """Packed readings handed to SQLite; what reaches the card is more (`machine.written_bytes`)."""
    series: int
    journal_commits: int
    """Committed but not yet sealed into chunks."""
    journal_readings: int
    chunks: int
    damaged: int
    """Blocks of readings found damaged at open or while sealing. Queries of their range say so."""
    sealed_readings: int
    """Moved from the journal into chunks since open."""
    seal_longest_ms: float
    """The longest that one sealing transaction kept the writer."""
    seal_failures: int
    checkpoints: int
    wal_bytes: int
    """Of series.db."""
    registry_wal_bytes: int
    """Of growy.db."""
    db_bytes: int
    """series.db and growy.db."""
    free_bytes: int
    disk_bytes: int
    """Size of the file system, free or not."""
    tail_bytes: int


class Latencies:
    """The last 1000 durations, for percentiles, and all of them by class."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_LATENCIES)
        self._all = Histogram()

    def add(self, seconds: float) -> None:
        self._last.append(seconds)
        self._all.add(seconds)

    def distribution(self) -> Distribution:
        return self._all.distribution()

    def percentiles_ms(self) -> tuple[float, float]:
        """(p50, p99) in milliseconds; zeros before the first."""
        if not self._last:
            return 0.0, 0.0
        ordered = sorted(self._last)
        last = len(ordered) - 1
        return ordered[last // 2] * 1000.0, ordered[round(last * 0.99)] * 1000.0
