"""Where the link to the broker stands, in one word and in figures. Values only."""

from __future__ import annotations

import enum

import attrs


class LinkState(enum.Enum):
    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DRAINING = "draining"
    """Reads no more; acknowledges and publishes what is left."""


@attrs.frozen(kw_only=True)
class LinkStatistics:
    state: str
    broker: str
    host: str
    port: int
    connects: int
    failures: int
    breaker: str
    breaker_after: int
    """Failures in a row that open it."""
    last_error: str | None
    session_present: bool
    sessions_lost: int
    """Reconnects at which the broker had forgotten us, and what it had queued."""
    subscriptions: int
    messages_received: int
    bytes_received: int
    last_message_ms: int | None
    """When the last one came, Unix ms; None before the first."""
    messages_acknowledged: int
    publishes_waiting: int
    publishes_acknowledged: int
    publishes_handed_over: int
    """QoS 0."""
    publishes_expired: int
    publishes_unknown: int
    sends_refused: int
    """Messages of `send` that were not taken because too much waited."""
    paused: bool
    """True while the receiver makes the link wait (back-pressure)."""
