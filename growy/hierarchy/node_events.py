"""What a node of the tree counts, and tells those who watch."""

from __future__ import annotations

import attrs

EVENTS = {
    "ownership_changed": "esp_ownership_changed",
    "transfer_ended": "esp_transfer_ended",
    "kaiser_online": "kaiser_status",
    "kaiser_offline": "kaiser_status",
    "ownership_conflict": "ownership_conflict",
    "kaiser_refused": "kaiser_refused",
}
"""Notes that those who watch are told of, and under which name."""


@attrs.frozen(kw_only=True)
class NodeStatistics:
    """Counted since start."""

    heard: int
    told: int
    unsent: int
    """Messages that the way to God's broker could not take."""
    unreadable: int
    carried: int
    """Commands of other nodes that went to devices here."""
    relayed: int
    """What devices here said to other nodes."""
    relay_refusals: int
    """Commands of ours that a device's home refused."""
    remade: int
    """How often the disk refused, and everything began anew from what is on it."""
