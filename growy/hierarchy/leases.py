"""The arithmetic of leases: the only place where one clock's seconds are made into another's.

Every right in the tree is counted by its holder from when it ASKED, and by its giver from when it ANSWERED. To ask
comes first, so delays of any length only shorten a right; what is left is that one clock may run fast and the other
slow, and that is a factor. `docs/hierarchy.md` has the argument in full.
"""

from __future__ import annotations

import attrs
from attrs import validators as v


@attrs.frozen(kw_only=True, slots=True)
class Terms:
    """The lengths that all nodes of a tree live by. Seconds."""

    lease_s: float = attrs.field(default=30.0, validator=v.gt(0))
    drift: float = attrs.field(default=0.01, validator=[v.ge(0), v.lt(0.5)])
    """How much faster or slower than true time any node's clock may run. Quartz is a thousand times better."""
    fence_s: float = attrs.field(default=3.0, validator=v.ge(0))
    """An owner goes safe this long before its lease is over: it must have switched off while it still may."""
    pass_s: float = attrs.field(default=5.0, validator=v.gt(0))
    """Longest time for which a home may take an owner's commands unasked."""
    report_s: float = attrs.field(default=5.0, validator=v.gt(0))
    """Between two reports, and so between renewals of a lease."""
    prepare_s: float = 60.0
    """For the new owner to get ready."""
    grant_s: float = 60.0
    """For the new owner to take the epoch that was made for it."""
    adopt_s: float = 30.0
    leave_s: float = 3600.0
    """For a person to consent."""
    hold_s: float = 60.0
    """How long outputs are kept as they are while a device changes its owner; after that they go off by themselves."""
    failover_s: float | None = None
    """Silence after which a Kaiser loses its devices; None, and whatever is shorter: as soon as its leases are over."""

    def __attrs_post_init__(self) -> None:
        if self.fence_s + self.report_s >= self.lease_s:
            raise ValueError(
                "a lease must be longer than fence_s and report_s together, or it can never be renewed"
            )

    def wait_s(self, lease_s: float) -> float:
        """By the giver's clock, from its answer on: the holder's lease is over then, however the clocks run.

        The holder counts `lease_s` from its question. Its clock at its slowest makes that lease_s / (1 - drift) of true
        time; the giver's at its fastest has then counted (1 + drift) times as much.
        """
        return lease_s * (1 + self.drift) / (1 - self.drift)

    def within_s(self, left_s: float) -> float:
        """By the asker's clock, from its question on: for so long the giver still has what it said it had.

        The same the other way round: the giver's clock at its fastest, the asker's at its slowest.
        """
        return left_s * (1 - self.drift) / (1 + self.drift)

    @property
    def silence_s(self) -> float:
        """Silence, by God's clock, after which a Kaiser can hold nothing any more."""
        return max(self.wait_s(self.lease_s), self.failover_s or 0.0)
