"""What the accounts tell the audit trail. What a stranger can cause without end is noted a few times a minute: it must
not push out of the trail what a grower looks for there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import trio

from growy.fleet.limiter import TokenBucket
from growy.model.audit import AuditEntry, AuditSeverity, AuditSource
from growy.model.people import Peer

_BURST, _PER_MINUTE = 20, 6


class Trail:
    """Notes entries.

    Args:
        note: of the audit trail.
    """

    def __init__(self, note: Callable[[AuditEntry], None], wall_ms: Callable[[], int]) -> None:
        self._note = note
        self._wall_ms = wall_ms
        self._refusals: dict[str, TokenBucket] = {}
        """By kind of event: a flood of wrong keys must not hide a wrong password."""
        self._left_out: Counter[str] = Counter()
        """Since the last entry of that kind."""
        self.left_out = 0
        """Refusals that were not noted, of all kinds."""

    def done(self, event_type: str, who: str, message: str, by: str, peer: Peer | None = None) -> None:
        """Something that somebody did who may.

        Args:
            who: whom or what it is about.
            by: who did it, as `Caller.by` names them.
        """
        self._write(event_type, who, message, by, peer, AuditSeverity.INFO)

    def refused(self, event_type: str, who: str, message: str, by: str, peer: Peer) -> None:
        """Something that somebody tried. An entry after some that were left out says how many those were."""
        bucket = self._refusals.setdefault(event_type, TokenBucket(_BURST, _PER_MINUTE / 60))
        if bucket.take(trio.current_time()):
            self._write(event_type, who, message, by, peer, AuditSeverity.WARNING)
        else:
            self._left_out[event_type] += 1
            self.left_out += 1

    def _write(
        self, event_type: str, who: str, message: str, by: str, peer: Peer | None, severity: AuditSeverity
    ) -> None:
        details: dict[str, object] = {"by": by}
        if peer is not None:
            details["from"] = "unix socket" if peer.local else peer.address
            if peer.forwarded:
                details["forwarded"] = True
        if severity is AuditSeverity.WARNING and (left_out := self._left_out.pop(event_type, 0)):
            details["left_out"] = left_out
        self._note(
            AuditEntry(
                ts_ms=self._wall_ms(),
                event_type=event_type,
                severity=severity,
                source_type=AuditSource.of(by) if by else AuditSource.USER,
                source_id=who,
                status="failed" if severity is AuditSeverity.WARNING else "success",
                message=message,
                details=details,
            )
        )
