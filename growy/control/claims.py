"""The live claims of all actuators. A structure, no judgement: whether a claim may have its way is the gate's business.

Of the claims on an actuator the highest counts: the lower rank, then the lower priority, then the smaller holder. A
claim that has ended must never count again, so whoever asks for the winner has called `expire` with the time it is.
"""

from __future__ import annotations

import heapq
import math
from bisect import insort

from growy.model.control import ActuatorKey, Claim

Order = tuple[int, int, str]


def order_of(claim: Claim) -> Order:
    """What claims on an actuator are sorted by; the smallest is the highest."""
    return (claim.rank, claim.priority, claim.holder)


class Claims:
    """By actuator, highest first; found also by holder and by what they rest on. Trio thread only."""

    __slots__ = ("_ends", "_heads", "_held", "_live", "_resting")

    def __init__(self) -> None:
        self._live: dict[ActuatorKey, list[Claim]] = {}
        self._held: dict[str, dict[ActuatorKey, Claim]] = {}
        self._heads: dict[str, set[str]] = {}
        """`rule:{id}/` -> holders: a rule is dropped without looking at those of the others."""
        self._resting: dict[int, dict[ActuatorKey, int]] = {}
        """Series -> how many claims on an actuator rest on it."""
        self._ends: list[tuple[float, ActuatorKey, str]] = []
        """A heap; entries of claims that were replaced or dropped stay until they come up."""

    # --- changes ------------------------------------------------------------------------------------------------------

    def put(self, claim: Claim) -> bool:
        """Holds the claim, in the place of the holder's former one on the actuator. False: it was there already."""
        held = self._held.setdefault(claim.holder, {})
        before = held.get(claim.actuator)
        if before == claim:
            return False
        if before is not None:
            self._take_out(before)
        held[claim.actuator] = claim
        self._heads.setdefault(_head(claim.holder), set()).add(claim.holder)
        insort(self._live.setdefault(claim.actuator, []), claim, key=order_of)
        for series_id in claim.basis:
            resting = self._resting.setdefault(series_id, {})
            resting[claim.actuator] = resting.get(claim.actuator, 0) + 1
        if claim.until < math.inf:
            heapq.heappush(self._ends, (claim.until, claim.actuator, claim.holder))
        return True

    def drop(self, holder: str, actuator: ActuatorKey | None = None) -> set[ActuatorKey]:
        """Ends the holder's claim on the actuator, or all that it holds. The actuators that have lost one."""
        held = self._held.get(holder)
        if held is None:
            return set()
        if actuator is None:
            gone = list(held.values())
        elif actuator in held:
            gone = [held[actuator]]
        else:
            return set()
        for claim in gone:
            self._take_out(claim)
            del held[claim.actuator]
        if not held:
            self._forget(holder)
        return {claim.actuator for claim in gone}

    def drop_prefix(self, prefix: str) -> set[ActuatorKey]:
        """Ends the claims of all holders that begin so; `rule:{id}/` for a rule. The actuators that have lost one."""
        head = _head(prefix)
        known = self._heads.get(head, ()) if head.endswith("/") else self._held
        changed: set[ActuatorKey] = set()
        for holder in [one for one in known if one.startswith(prefix)]:
            changed |= self.drop(holder)
        return changed

    def expire(self, now: float) -> set[ActuatorKey]:
        """Ends the claims whose time is over at `now`. The actuators that have lost one."""
        changed: set[ActuatorKey] = set()
        while self._ends and self._ends[0][0] <= now:
            until, actuator, holder = heapq.heappop(self._ends)
            if self._stands(until, actuator, holder):
                changed |= self.drop(holder, actuator)
        return changed

    # --- questions ----------------------------------------------------------------------------------------------------

    def winner(self, actuator: ActuatorKey) -> Claim | None:
        """The highest claim; None: nobody claims it."""
        live = self._live.get(actuator)
        return live[0] if live else None

    def live(self, actuator: ActuatorKey) -> tuple[Claim, ...]:
        """All claims on the actuator, highest first."""
        return tuple(self._live.get(actuator, ()))

    def claimed(self) -> frozenset[ActuatorKey]:
        """The actuators that somebody claims."""
        return frozenset(self._live)

    def rest_on(self, series_id: int) -> frozenset[ActuatorKey]:
        """The actuators with a claim that rests on the series."""
        return frozenset(self._resting.get(series_id, ()))

    def next_end(self) -> float:
        """When the next claim ends, by the clock; infinity: none does by itself."""
        while self._ends and not self._stands(*self._ends[0]):
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else math.inf

    def __len__(self) -> int:
        return sum(len(live) for live in self._live.values())

    # --- inside -------------------------------------------------------------------------------------------------------

    def _stands(self, until: float, actuator: ActuatorKey, holder: str) -> bool:
        claim = self._held.get(holder, {}).get(actuator)
        return claim is not None and claim.until == until

    def _take_out(self, claim: Claim) -> None:
        live = self._live[claim.actuator]
        live.remove(claim)
        if not live:
            del self._live[claim.actuator]
        for series_id in claim.basis:
            resting = self._resting[series_id]
            resting[claim.actuator] -= 1
            if not resting[claim.actuator]:
                del resting[claim.actuator]
                if not resting:
                    del self._resting[series_id]

    def _forget(self, holder: str) -> None:
        del self._held[holder]
        head = _head(holder)
        self._heads[head].discard(holder)
        if not self._heads[head]:
            del self._heads[head]


def _head(holder: str) -> str:
    """`rule:7/` of `rule:7/0.2`; a holder without a slash is its own."""
    name, slash, _ = holder.partition("/")
    return name + slash
