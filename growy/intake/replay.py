"""Recognises readings that were delivered before: QoS 1 means "at least once", the store keeps "exactly once".

Duplicates come from the broker (everything unacknowledged, after any reconnect) and from devices (PUBACK lost). Both
come soon after the original, so a bounded memory suffices. No I/O, no clock.
"""

from __future__ import annotations

from growy.model.reading import NO_SEQ, Columns, TimeSource

UNKNOWN_BOOT = -1
"""Boot of what an earlier daemon stored: no device is in it, so only DUP tells its readings again."""


def memory_for(held: int) -> int:
    """Fingerprints to remember when `held` readings can be unacknowledged: they come again in their old order, so
    forgetting one of them is forgetting all. A reading without a device time has two."""
    return 2 * held


MAX_DEVICES = 2000
"""Devices whose boots are counted. Who invents devices must not fill the memory."""


class ReplayFilter:
    """Remembers the last `memory` readings, at least, by 64-bit fingerprints.

    A reading is the same reading when series, `seq`, the device's own time and raw value are all the same. `seq` starts
    again at 1 with each boot, so where the device does not know the time the boot must be the same too, as far as it
    was noticed. Without `seq` (firmware before 2026-02) time and value decide. A reading with neither `seq` nor time
    has no identity: it counts as a duplicate only if the broker says that it may be one.

    Two generations of sets: forgetting is dropping the older one, so that no reading pays for it.
    """

    def __init__(self, memory: int) -> None:
        self._limit = memory
        self._young: set[int] = set()
        self._old: set[int] = set()

    def seen(self, series: int, seq: int, device_ts: int, raw: float, *, dup: bool, boot: int = 0) -> bool:
        """Whether this reading was here before; remembers it if not.

        Args:
            series: series id.
            seq: the device's counter, NO_SEQ without.
            device_ts: what the device says, Unix ms (`claimed_ms`); 0 if it does not know.
            raw: as received.
            dup: the DUP flag of the message.
            boot: counts the device's boots that this daemon noticed.
        """
        fingerprint = hash((series, seq, device_ts, raw))
        if device_ts:
            if self._holds(fingerprint):
                return True
            # Our time stood in at the first delivery, before a restart: the device's clock looked wrong then.
            if dup and self._holds(hash((series, seq, 0, raw))):
                return True
        else:
            if dup and self._holds(fingerprint):
                return True  # the broker repeats itself, perhaps from before a boot or a restart of ours
            this_boot = hash((series, seq, 0, raw, boot))
            if seq != NO_SEQ and self._holds(this_boot):
                return True  # the device repeats itself: it did not get the broker's acknowledgement
            self._young.add(this_boot)
        self._young.add(fingerprint)
        if len(self._young) >= self._limit:
            self._old = self._young
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
            device_ts = ts_ms if source == TimeSource.DEVICE else 0
            self.seen(series, seq, device_ts, raw, dup=False, boot=UNKNOWN_BOOT)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Boots:
    """Counts boots of devices by their uptime. A device heartbeats before it publishes a reading, so in time."""

    def __init__(self) -> None:
        self._uptime: dict[str, int] = {}
        self._count: dict[str, int] = {}

    def heard(self, esp_id: str, uptime_s: int | None) -> None:
        """Takes the uptime of a heartbeat, seconds."""
        if uptime_s is None:
            return
        if uptime_s < self._uptime.get(esp_id, 0):
            self._count[esp_id] = self._count.get(esp_id, 0) + 1
        if esp_id in self._uptime or len(self._uptime) < MAX_DEVICES:
            self._uptime[esp_id] = uptime_s

    def of(self, esp_id: str) -> int:
        return self._count.get(esp_id, 0)
