"""Device time. The firmware's clock may be unknown (0), in seconds (all firmware) or in milliseconds (other senders).

Receive time is what growyd itself lives by (presence, freshness); device time is when the measurement was taken, kept
when it is plausible.
"""

from __future__ import annotations

from growy.model.reading import TimeSource

EARLIEST_S = 1_577_836_800
"""2020-01-01: an ESP32 with an unset clock counts from 1970; nothing older is a measurement."""
MS_ABOVE = 100_000_000_000
"""Larger numbers are milliseconds: as seconds they would lie in the year 5138."""
FUTURE_TOLERANCE_MS = 300_000
"""A device clock this far ahead is wrong, not fast: its reading is kept under our own time."""


def measured_at(ts: float, time_valid: bool, rx_ms: int) -> tuple[int, TimeSource]:
    """Unix ms of a measurement and whose clock it is.

    Args:
        ts: the message's `ts`: 0 (unknown), Unix seconds or Unix milliseconds.
        time_valid: the message's `time_valid` (True where the firmware does not send it).
        rx_ms: when growyd received the message, Unix ms.
    """
    if not time_valid or ts < EARLIEST_S:
        return rx_ms, TimeSource.SERVER
    ts_ms = int(ts) if ts > MS_ABOVE else int(ts * 1000)
    if ts_ms > rx_ms + FUTURE_TOLERANCE_MS:
        return rx_ms, TimeSource.SERVER
    return ts_ms, TimeSource.DEVICE
