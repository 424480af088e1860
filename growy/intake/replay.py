"""Recognises readings that were delivered before: QoS 1 means "at least once", the store keeps "exactly once".

Duplicates come from the broker (everything unacknowledged, after any reconnect) and from devices (PUBACK lost). Both
come soon after the original, so a bounded memory suffices. No I/O, no clock.
"""

from __future__ import annotations

from growy.model.reading import NO_SEQ, Columns, TimeSource

DEFAULT_MEMORY = 24_576
"""Readings remembered, at least: more than the intake holds unacknowledged (`broker.intake_limit`)."""


class ReplayFilter:
    """Remembers the last `memory` readings, at least, by a 64-bit fingerprint.

    A reading is the same reading when series, `seq`, the device's own time and raw value are all the same. `seq` starts
    again at 1 with each boot, which is why it is not enough; without `seq` (firmware before 2026-02) time and value
    decide. A reading with neither `seq` nor time has no identity: it counts as a duplicate only if the broker says so.

    Two generations of sets: forgetting is dropping the older one, so that no reading pays for it.
    """

    def __init__(self, memory: int = DEFAULT_MEMORY) -> None:
        self._limit = memory
        self._young: set[int] = set()
        self._old: set[int] = set()

    def seen(self, series: int, seq: int, device_ts: int, raw: float, *, dup: bool) -> bool:
        """Whether this reading was here before; remembers it if not.

        Args:
            series: series id.
            seq: the device's counter, NO_SEQ without.
            device_ts: Unix ms by the device's clock, 0 where the server's time stands in.
            raw: as received.
            dup: the DUP flag of the message.
        """
        fingerprint = hash((series, seq, device_ts, raw))
        young = self._young
        if fingerprint in young or fingerprint in self._old:
            if seq != NO_SEQ or device_ts or dup:
                return True
        elif dup and device_ts and self._holds(hash((series, seq, 0, raw))):
            # A clock that ran ahead at the first delivery (our time stood in) may look right at the second.
            return True
        young.add(fingerprint)
        if len(young) >= self._limit:
            self._old = young
            self._young = set()
        return False

    def _holds(self, fingerprint: int) -> bool:
        return fingerprint in self._young or fingerprint in self._old

    def remember(self, columns: Columns) -> None:
        """Takes what the store holds (oldest first), so that a restart recognises what it had committed."""
        for series, seq, ts_ms, source, raw in zip(
            columns.series.tolist(),
            columns.seq.tolist(),
            columns.ts_ms.tolist(),
            columns.source.tolist(),
            columns.raw.tolist(),
            strict=True,
        ):
            self.seen(series, seq, ts_ms if source == TimeSource.DEVICE else 0, raw, dup=False)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
