"""Now, and device time. The firmware's clock may be unknown (0), in seconds (all firmware) or in milliseconds (other
senders).

Receive time is what growyd itself lives by (presence, freshness); device time is when the measurement was taken, kept
when it is plausible.
"""

from __future__ import annotations

import attrs

from growy.model.reading import TimeSource

EARLIEST_S = 1_577_836_800
"""2020-01-01: an ESP32 with an unset clock counts from 1970; nothing older is a measurement."""
MS_ABOVE = 100_000_000_000
"""Larger numbers are milliseconds: as seconds they would lie in the year 5138."""
FUTURE_TOLERANCE_MS = 300_000
"""A device clock this far ahead is wrong, not fast: its reading is kept under our own time."""


@attrs.frozen(slots=True)
class Moment:
    """Now, on both clocks."""

    clock: float
    """Seconds, only goes forward: what is judged by."""
    wall_ms: int
    """Unix ms: what is shown, sent and kept. May jump."""

    def ms_of(self, clock: float) -> int:
        """Unix ms of a moment of the clock, by what the wall says now."""
        return self.wall_ms + round((clock - self.clock) * 1000)

    def clock_of(self, ms: int) -> float:
        """The clock at a Unix ms, by what the wall says now."""
        return self.clock + (ms - self.wall_ms) / 1000


def claimed_ms(ts: float, time_valid: bool) -> int:
    """What the device says about when it measured, Unix ms; 0 when it says that it does not know.

    Part of a reading's identity: it does not depend on our own clock, which may have jumped since the first delivery.

    Args:
        ts: the message's `ts`: 0 (unknown), Unix seconds or Unix milliseconds.
        time_valid: the message's `time_valid` (True where the firmware does not send it).
    """
    if not time_valid or ts < EARLIEST_S:
        return 0
    return int(ts) if ts > MS_ABOVE else int(ts * 1000)


def measured_at(claimed: int, rx_ms: int, *, our_clock_is_behind: bool = False) -> tuple[int, TimeSource]:
    """Unix ms of a measurement and whose clock it is.

    Args:
        claimed: `claimed_ms`.
        rx_ms: when growyd received the message, Unix ms.
        our_clock_is_behind: known to be; a Pi without a clock chip wakes up in the past. Then the device is believed.
    """
    if not claimed or (claimed > rx_ms + FUTURE_TOLERANCE_MS and not our_clock_is_behind):
        return rx_ms, TimeSource.SERVER
    return claimed, TimeSource.DEVICE
