"""Who is right when two are of different opinion. Pure functions, one table each in `docs/hierarchy.md`; every case of
them is a row of `tests/hierarchy/test_hierarchy_conflicts.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable

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


@attrs.frozen(slots=True)
class Claimed:
    """What a node said about a device."""

    node: NodeId
    epoch: Epoch


@attrs.frozen(slots=True)
class Contention:
    winner: Claimed
    losers: tuple[Claimed, ...]
    """They are told."""


def contend(claims: Iterable[Claimed], record: Ownership | None) -> Contention | None:
    """Several nodes say, after a partition, that a device is theirs. None: nobody does.

    The higher epoch wins; of equal ones God's, then the owner on record, then the smaller name, so that all who judge
    come to the same.
    """

    def weight(claim: Claimed) -> tuple[int, bool, bool, str]:
        owner = record is not None and claim.node == record.owner
        return -claim.epoch, claim.node != GOD, not owner, claim.node

    ranked = sorted(set(claims), key=weight)
    if not ranked:
        return None
    return Contention(ranked[0], tuple(one for one in ranked[1:] if one.node != ranked[0].node))


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
    ADOPT = "adopt"
    """Listen to it under the id that it has. Its topics stay: what moves is who owns it."""
    RESET = "reset"
    """Assign it the id of the node that it hangs on, while its outputs are off: it hears only part of what it is told
    until it has connected again."""


@attrs.frozen(kw_only=True, slots=True)
class PrefixCase:
    """A device that was heard under a kaiser id."""

    heard: NodeId
    """The id in its topics."""
    home: NodeId
    """The node on whose broker it was heard."""
    registered: bool = False
    """`heard` is God, or a Kaiser in the registry."""
    owned: int = 0
    """Devices that `heard` owns."""
    max_esps: int = 0
    owner: NodeId | None = None
    """Who owns the device; None: it is new."""


def settle_prefix(case: PrefixCase) -> PrefixVerdict:
    """What to do about a device's own kaiser id. The firmware's default is `god`, on every node's broker."""
    if case.heard in (case.home, GOD):
        return PrefixVerdict.KEEP
    if not case.registered:
        # Of another fleet, or of a Kaiser that was unregistered: nobody would listen to it.
        return PrefixVerdict.RESET
    if case.owner == case.heard or (case.owner is None and case.owned < case.max_esps):
        return PrefixVerdict.ADOPT
    # It is another's already, or the Kaiser has no room: it stays where it is, under the id of its home.
    return PrefixVerdict.RESET
