"""What a node of the tree counts."""

from __future__ import annotations

import attrs


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
