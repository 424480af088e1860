"""Which entries of the audit trail are written at once, and which are only counted. Pure: time is told.

One dead sensor reports its fault every second. The first report is written; what repeats it within ten minutes is
counted, and the newest of it is written with the count when they are over. Must never keep what a person did waiting,
and never forget a count.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

import attrs

from growy.model.audit import AuditEntry, AuditSeverity, AuditSource

WINDOW_S = 600.0
BURST = 5
"""So many alike are written before they are counted: somebody who switches a device off and on wants to see it. Of a
fault it is one."""
WINDOWS_PER_SOURCE = 64
"""Different things of one source that are told apart within a window; what is beyond is counted by its event type
alone. A device that invents error codes must not fill the card."""
WINDOWS = 8192
"""In all. Beyond, the oldest window ends early."""

_Key: TypeAlias = tuple[str, str, str, str]


@attrs.define
class _Window:
    until: float
    severity: AuditSeverity
    written: int = 0
    counted: int = 0
    newest: AuditEntry | None = None

    def count(self, entry: AuditEntry) -> None:
        self.counted += entry.repeats
        self.newest = entry

    def summary(self) -> list[AuditEntry]:
        """The newest of those that were only counted, with their number."""
        return [] if self.newest is None else [attrs.evolve(self.newest, repeats=self.counted)]


class Repeats:
    """Open windows. `now` is seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self._windows: dict[_Key, _Window] = {}
        """By their end, the next to end first: all are equally long, and a new one goes last."""
        self._of_source: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._windows)

    def admit(self, entry: AuditEntry, now: float) -> list[AuditEntry]:
        """What is to be written, now that this happened: what has ended, then the entry if it is not only counted."""
        out = self.ended(now)
        if entry.source_type is AuditSource.USER:
            return [*out, entry]
        key = self._key(entry)
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= WINDOWS:
                out += self._close(next(iter(self._windows))).summary()
            window = self._open(key, _Window(now + WINDOW_S, entry.severity))
        if window.written < _burst(entry) or entry.severity.rank > window.severity.rank:
            window.written += 1
            window.severity = max(window.severity, entry.severity, key=lambda severity: severity.rank)
            return [*out, entry]
        window.count(entry)
        return out

    def ended(self, now: float) -> list[AuditEntry]:
        """Summaries of the windows that are over. One in which something was counted is followed by another, so that
        what goes on for hours is written once per window."""
        out: list[AuditEntry] = []
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if window.until > now:
                break
            self._close(key)
            if window.newest is not None:
                out += window.summary()
                self._open(key, _Window(now + WINDOW_S, window.severity, window.written))
        return out

    def close(self) -> list[AuditEntry]:
        """End all windows: what was counted, to be written now."""
        out = [entry for window in self._windows.values() for entry in window.summary()]
        self._windows.clear()
        self._of_source.clear()
        return out

    def _key(self, entry: AuditEntry) -> _Key:
        key = (entry.source_id, entry.event_type, entry.error_code, entry.correlation_id)
        if key in self._windows or self._of_source[entry.source_id] < WINDOWS_PER_SOURCE:
            return key
        return (entry.source_id, entry.event_type, "", "")

    def _open(self, key: _Key, window: _Window) -> _Window:
        self._windows[key] = window
        self._of_source[key[0]] += 1
        return window

    def _close(self, key: _Key) -> _Window:
        self._of_source[key[0]] -= 1
        if not self._of_source[key[0]]:
            del self._of_source[key[0]]
        return self._windows.pop(key)


def _burst(entry: AuditEntry) -> int:
    fault = entry.error_code or entry.severity.rank >= AuditSeverity.ERROR.rank
    return 1 if fault else BURST
