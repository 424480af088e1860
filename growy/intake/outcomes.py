"""What became of every message and every reading: counters that must add up.

`received == sum(outcomes)` holds whenever the intake stands still; a test relies on it.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping

import attrs

from growy.ops.latency import Distribution, Histogram, Latency, LatencyWindow


class MessageOutcome(enum.Enum):
    """The one end of an inbound message."""

    READING = "reading"
    """Held at least one reading that was new."""
    DUPLICATE = "duplicate"
    """All its readings were here before."""
    EVENT = "event"
    """Handed to the fleet."""
    REQUEST = "request"
    """A conversion was asked for; taken, and answered in its turn."""
    RETAINED = "retained"
    """A stale copy that the broker kept (old firmware publishes retained)."""
    DEAD_LETTER = "dead_letter"
    """Could not be used; kept with its reason."""


@attrs.frozen(kw_only=True)
class IntakeStatistics:
    """Snapshot of the counters. Message counts add up to `messages_received`; reading counts to `readings_received`."""

    messages_received: int
    outcomes: Mapping[str, int]
    dead_letters: Mapping[str, int]
    """By reason."""
    readings_received: int
    """New readings, duplicates not counted."""
    readings_duplicate: int
    readings_derived: int
    """Computed from received ones (vpd); committed like them."""
    readings_converted: Mapping[str, int]
    """By value type."""
    readings_unconverted: int
    """No library for their type, or the device had converted them itself."""
    readings_failed: Mapping[str, int]
    """By value type: stored raw, without a value."""
    readings_committed: int
    """Received and derived ones on disk."""
    handler_faults: int
    """Faults of ours in handling messages; each is in the log."""
    pending: int
    """Messages received and not yet committed."""
    commit_latency: Latency
    """Receive to commit, per commit its oldest reading."""
    commit_times: Distribution
    """The same, of all commits."""
    store_waiting: bool
    """True while the disk refuses and nothing is acknowledged."""


class Outcomes:
    """The counters themselves; written by the pipeline only."""

    def __init__(self) -> None:
        self.messages: Counter[MessageOutcome] = Counter()
        self.received = 0
        self.dead_letters: Counter[str] = Counter()
        self.readings_received = 0
        self.readings_duplicate = 0
        self.readings_derived = 0
        self.converted: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.unconverted = 0
        self.handler_faults = 0
        self.committed = 0
        self.latency = LatencyWindow()
        self.times = Histogram()

    def committed_after(self, seconds: float) -> None:
        """A commit is done, so long after its oldest reading was received."""
        self.latency.add(seconds * 1000)
        self.times.add(seconds)

    def snapshot(self, *, pending: int, store_waiting: bool) -> IntakeStatistics:
        return IntakeStatistics(
            messages_received=self.received,
            outcomes={outcome.value: self.messages[outcome] for outcome in MessageOutcome},
            dead_letters=dict(self.dead_letters),
            readings_received=self.readings_received,
            readings_duplicate=self.readings_duplicate,
            readings_derived=self.readings_derived,
            readings_converted=dict(self.converted),
            readings_unconverted=self.unconverted,
            readings_failed=dict(self.failed),
            readings_committed=self.committed,
            handler_faults=self.handler_faults,
            pending=pending,
            commit_latency=self.latency.statistics(),
            commit_times=self.times.distribution(),
            store_waiting=store_waiting,
        )
