"""What the simulator published and what the broker acknowledged: the evidence against which a database is
checked.

Kept in columns, 40 bytes a reading, and bounded: a full ledger stops recording and says so (`overflow`); it
never forgets an entry in silence. It knows no MQTT and no sockets.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

import attrs


@attrs.frozen(slots=True)
class LedgerEntry:
    """One published reading. Times are seconds of the trio clock (`trio.current_time()`)."""

    esp_id: str
    boot: int
    seq: int
    gpio: int
    sensor_type: str
    address: str
    """I²C address in decimal, 1-Wire ROM code, or ""."""
    raw: int
    published_s: float
    acked_s: float | None
    """When PUBACK came; None: never, the reading may be lost."""


@attrs.frozen(slots=True)
class _Source:
    """What all readings of one series share."""

    esp_id: str
    boot: int
    gpio: int
    sensor_type: str
    address: str


class Ledger:
    """Append-only. `limit` 0 records nothing."""

    def __init__(self, limit: int) -> None:
        if limit < 0:
            raise ValueError(f"a ledger holds 0 or more readings, not {limit}")
        self._limit = limit
        self._sources: dict[_Source, int] = {}
        self._source = array("q")
        self._seq = array("q")
        self._raw = array("q")
        self._published = array("d")
        self._acked = array("d")
        self.overflow = 0
        """Readings that were published but no longer fitted in here."""

    def __len__(self) -> int:
        return len(self._seq)

    def record(
        self,
        esp_id: str,
        boot: int,
        seq: int,
        gpio: int,
        sensor_type: str,
        address: str,
        raw: int,
        published_s: float,
    ) -> int | None:
        """Enter a published reading; the ticket for `acked`, or None when it is not recorded."""
        ticket = len(self._seq)
        if ticket >= self._limit:
            self.overflow += 1 if self._limit else 0
            return None
        source = _Source(esp_id, boot, gpio, sensor_type, address)
        self._source.append(self._sources.setdefault(source, len(self._sources)))
        self._seq.append(seq)
        self._raw.append(raw)
        self._published.append(published_s)
        self._acked.append(math.nan)
        return ticket

    def acked(self, ticket: int, acked_s: float) -> None:
        self._acked[ticket] = acked_s

    def entries(self, *, acked_only: bool = False) -> Iterator[LedgerEntry]:
        """All entries in the order of publishing."""
        sources = list(self._sources)
        for i in range(len(self._seq)):
            acked_s = None if math.isnan(self._acked[i]) else self._acked[i]
            if acked_only and acked_s is None:
                continue
            s = sources[self._source[i]]
            yield LedgerEntry(
                s.esp_id,
                s.boot,
                self._seq[i],
                s.gpio,
                s.sensor_type,
                s.address,
                self._raw[i],
                self._published[i],
                acked_s,
            )
