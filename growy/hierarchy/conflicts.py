"""Who is right when two are of different opinion. Pure functions, one table each in `docs/hierarchy.md`; every case of
them is a row of `tests/hierarchy/test_hierarchy_conflicts.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Collection

import attrs

from growy.model.hierarchy import GOD, Epoch, NodeId, Ownership

# --- a node says that a device is its own -------------------------------------------------------------------------


class ClaimVerdict(enum.StrEnum):
    KEEPS = "keeps"
    """It is."""
    ENDED = "ended"
    """It was. It is told, and drops the device."""
    AHEAD = "ahead"
    """It knows an epoch that God has not given, or has forgotten: God's disk was lost or is an old copy. The higher
    epoch wins, once every lease that may be about has run out."""


def settle_claim(record: Ownership | None, claimant: NodeId, epoch: Epoch) -> ClaimVerdict:
    """What God makes of a Kaiser's claim to a device."""
    if record is None or epoch > record.epoch:
        return ClaimVerdict.AHEAD
    if epoch < record.epoch or claimant != record.owner:
        # The same epoch and another owner: nobody was ever told so. God's record is right.
        return ClaimVerdict.ENDED
    return ClaimVerdict.KEEPS


# --- a node wants a device to change its owner --------------------------------------------------------------------


class WishVerdict(enum.StrEnum):
    GRANTED = "granted"
    NEEDS_LEAVE = "needs_leave"
    """A person has to consent."""
    REFUSED = "refused"


def settle_wish(
    wisher: NodeId, owner: NodeId, to: NodeId, *, owner_gives_to: Collection[NodeId]
) -> WishVerdict:
    """Whether a node may have the owner of a device changed.

    Args:
        wisher: who asks; GOD also for a person who asks God.
        owner_gives_to: nodes that the owner may give devices to without asking.
    """
    if wisher == GOD:
        return WishVerdict.GRANTED
    if wisher not in (owner, to) or owner == to:
        return WishVerdict.REFUSED
    if wisher == owner and to == GOD:
        return WishVerdict.GRANTED
    # Nobody but a person takes a device from God; between Kaisers there may be a standing leave.
    return WishVerdict.GRANTED if to in owner_gives_to and owner != GOD else WishVerdict.NEEDS_LEAVE


# --- a device speaks under a kaiser id ----------------------------------------------------------------------------


class PrefixVerdict(enum.StrEnum):
    KEEP = "keep"
    """It names nobody but the node that it hangs on."""
    ADOPT = "adopt"
    """The Kaiser that it names owns it."""
    RESET = "reset"
    """What it names does not count: whose it is is settled as if it named its home. A person is told."""
    STRANGER = "stranger"
    """It is of another fleet, whose God uses this broker too: it is not listened to. A person is told."""


@attrs.frozen(kw_only=True, slots=True)
class PrefixCase:
    """A device that was heard under a kaiser id."""

    heard_as: NodeId
    """The id in its topics."""
    home: NodeId
    """The node on whose broker it was heard."""
    registered: bool = False
    """That id is a Kaiser's in the registry."""
    roomy: bool = False
    """That Kaiser is online, and has room for one device more."""
    owner: NodeId | None = None
    """Who owns the device; None: it is new."""


def settle_prefix(case: PrefixCase) -> PrefixVerdict:
    """What the id in a device's own topics says about whose it is. The firmware's default is `god`, on every node's
    broker. The id itself is left as it is: firmware that is given another hears only part of what it is told until it
    connects again.
    """
    if case.heard_as in (case.home, GOD):
        return PrefixVerdict.KEEP
    if case.owner == case.heard_as or (case.owner is None and case.roomy):
        return PrefixVerdict.ADOPT
    if case.home == GOD and case.owner is None and not case.registered:
        return PrefixVerdict.STRANGER
    return PrefixVerdict.RESET
