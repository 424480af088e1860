"""The devices that a Kaiser owns, is about to own, or lets go of: one small state machine each. Pure.

A hold is of one epoch. Under an epoch that was let go of, nothing is ever done again; under one whose lease has run
out, nothing until there is a new lease.
"""

from __future__ import annotations

import enum
import math

import attrs

from growy.hierarchy.effects import Drop, Effects, Fence, Freeze, Survey, Take, Tell
from growy.hierarchy.leases import Terms
from growy.hierarchy.passes import Passes
from growy.model.handover import HandedOver
from growy.model.hierarchy import GOD, Epoch, NodeId, Stamp
from growy.model.tree_messages import Ask, Grant, Offer, Pass, Passed, PassRequest, Released, Revoke, Withdraw

WITHDRAW_AGAIN_S = 1.0


class Phase(enum.Enum):
    OFFERED = "offered"
    """Ours, says God; there is no lease yet."""
    HELD = "held"
    FENCED = "fenced"
    """The lease is over, or so nearly that nothing but OFF is sent. A new one is asked for."""
    CLOSING = "closing"
    """Revoked: frozen here; homes are told to take no more."""
    SURVEYED = "surveyed"
    """The shell has been asked what the outputs are doing."""
    RELEASED = "released"
    """Said to God until it has heard it."""


@attrs.define(slots=True)
class Hold:
    epoch: Epoch
    phase: Phase
    home: NodeId = GOD
    version: str = ""
    until: float = -math.inf
    """The end of the lease."""
    state: HandedOver | None = None
    """Of a release: what we leave. Of an offer after it: what we left."""
    adopted: bool = False
    withdraw_at: float = -math.inf


class Holds:
    """All of them.

    Args:
        boot: how often this node has started.
        now: the clock at its start.
    """

    def __init__(self, terms: Terms, boot: int, now: float) -> None:
        self._terms = terms
        self._boot = boot
        self._number = 0
        self._holds: dict[str, Hold] = {}
        self._over: dict[str, Epoch] = {}
        """Up to this epoch the device is nothing to us any more, whatever old offers and grants are still under way."""
        self.passes = Passes(terms, now)

    # --- asked ----------------------------------------------------------------------------------------------------

    @property
    def esp_ids(self) -> tuple[str, ...]:
        return tuple(self._holds)

    def held_until(self, esp_id: str, now: float) -> tuple[Epoch, float] | None:
        """Epoch and end of the lease under which this node may act on the device now; None: it may not."""
        hold = self._holds.get(esp_id)
        if hold is None or hold.phase not in (Phase.HELD, Phase.FENCED) or now >= hold.until:
            return None
        return hold.epoch, hold.until

    def stamp(self, esp_id: str, now: float, *, off: bool) -> Stamp | None:
        """For a command. None: it must not be given. In the last seconds of a lease only OFF may."""
        held = self.held_until(esp_id, now)
        if held is None or (not off and now >= held[1] - self._terms.fence_s):
            return None
        if self._holds[esp_id].phase is Phase.FENCED and not off:
            return None
        self._number += 1
        return Stamp(held[0], self._boot, self._number)

    def home(self, esp_id: str) -> NodeId | None:
        """On whose broker the device hangs; None: it is not ours."""
        hold = self._holds.get(esp_id)
        return None if hold is None else hold.home

    def next_due(self) -> float:
        due = math.inf
        for esp_id, hold in self._holds.items():
            if hold.phase is Phase.HELD:
                due = min(due, hold.until - self._terms.fence_s)
            elif hold.phase is Phase.CLOSING:
                due = min(due, self.passes.over_at(esp_id), hold.withdraw_at)
        return due

    def asks(self, ready: dict[str, str]) -> tuple[Ask, ...]:
        """What a lease is wanted for. Args: ready: device -> version of the documents that are here."""
        found = []
        for esp_id, hold in self._holds.items():
            if hold.phase in (Phase.HELD, Phase.FENCED) or (
                hold.phase is Phase.OFFERED and hold.version in ("", ready.get(esp_id, ""))
            ):
                held = hold.phase is Phase.HELD
                found.append(Ask(esp_id=esp_id, epoch=hold.epoch, held=held, adopted=held and hold.adopted))
        return tuple(found)

    def released(self) -> tuple[Released, ...]:
        return tuple(
            Released(esp_id=esp_id, epoch=hold.epoch, state=hold.state)
            for esp_id, hold in self._holds.items()
            if hold.phase is Phase.RELEASED
        )

    def answer(self, home: NodeId, request: PassRequest, now: float) -> Pass:
        """To a home that asks until when it may take our commands."""
        passed = []
        for esp_id in request.esp_ids:
            held = self.held_until(esp_id, now)
            if held is not None:
                left_s = self.passes.give(esp_id, home, held[1] - now, now)
                last = Stamp(held[0], self._boot, self._number)
                passed.append(Passed(esp_id=esp_id, epoch=held[0], left_s=left_s, last=last))
        return Pass(reply_to=request.id, passed=tuple(passed))

    # --- told by God ----------------------------------------------------------------------------------------------

    def offered(self, offer: Offer, out: Effects) -> bool:
        """Whether there is something new to ask for."""
        hold = self._holds.get(offer.esp_id)
        if offer.epoch <= self._over.get(offer.esp_id, 0) or (hold is not None and hold.epoch > offer.epoch):
            return False
        if hold is not None and hold.epoch == offer.epoch:
            hold.home = offer.home
            changed = hold.phase is Phase.OFFERED and hold.version != offer.version
            hold.version = offer.version
            return changed
        state = None
        if hold is not None:
            # The very next epoch for the same node: a hand-over that was taken back. What it left is what it finds.
            back = hold.phase is Phase.RELEASED and offer.epoch == hold.epoch + 1
            state = hold.state if back else None
            self._let_go(offer.esp_id, hold, out)
        self._holds[offer.esp_id] = Hold(
            offer.epoch, Phase.OFFERED, home=offer.home, version=offer.version, state=state
        )
        return True

    def granted(self, grant: Grant, until: float, now: float, out: Effects) -> bool:
        """A lease until then, by this node's clock. Whether the device is ours only now."""
        esp_id, epoch = grant.esp_id, grant.epoch
        hold = self._holds.get(esp_id)
        if hold is None or hold.epoch != epoch or hold.phase not in (Phase.OFFERED, Phase.HELD, Phase.FENCED):
            return False
        hold.until, hold.home = max(hold.until, until), grant.home
        if hold.phase is Phase.HELD or now >= hold.until - self._terms.fence_s:
            return False
        state = (grant.state or hold.state) if hold.phase is Phase.OFFERED else None
        hold.phase, hold.state, hold.adopted = Phase.HELD, None, False
        out.append(Take(esp_id=esp_id, epoch=epoch, state=state))
        return True

    def revoked(self, revoke: Revoke, now: float, out: Effects) -> bool:
        """God wants it back. Whether it is let go of by this, which God should hear."""
        if revoke.epoch <= self._over.get(revoke.esp_id, 0):
            return False
        hold = self._holds.get(revoke.esp_id)
        if hold is None or hold.epoch < revoke.epoch:
            # Of an earlier life of this node, or an offer that was never heard. Passes may be about all the same.
            hold = self._holds[revoke.esp_id] = Hold(revoke.epoch, Phase.OFFERED)
        if hold.epoch > revoke.epoch or hold.phase not in (Phase.OFFERED, Phase.HELD, Phase.FENCED):
            return False
        if hold.phase is Phase.HELD:
            out.append(Freeze(esp_id=revoke.esp_id, epoch=hold.epoch, hold_s=self._terms.hold_s))
        else:
            # Nothing is known of what the outputs do now.
            hold.until, hold.state = -math.inf, None
        hold.phase = Phase.CLOSING
        return self._close(revoke.esp_id, hold, now, out)

    def ended(self, esp_id: str, epoch: Epoch, out: Effects) -> None:
        """This epoch and all before it are over; another may have begun elsewhere."""
        self._over[esp_id] = max(self._over.get(esp_id, 0), epoch)
        hold = self._holds.get(esp_id)
        if hold is not None and hold.epoch <= epoch:
            self._let_go(esp_id, hold, out)
            del self._holds[esp_id]

    # --- told by homes, shell and clock ---------------------------------------------------------------------------

    def withdrawn(self, esp_id: str, epoch: Epoch, home: NodeId, now: float, out: Effects) -> bool:
        """The home takes no more under this epoch. Whether the device is now let go of."""
        hold = self._holds.get(esp_id)
        if hold is None or hold.phase is not Phase.CLOSING or epoch < hold.epoch:
            return False
        self.passes.withdrawn(esp_id, home)
        return self._close(esp_id, hold, now, out)

    def surveyed(self, esp_id: str, epoch: Epoch, state: HandedOver | None) -> bool:
        hold = self._holds.get(esp_id)
        if hold is None or hold.epoch != epoch or hold.phase is not Phase.SURVEYED:
            return False
        hold.phase, hold.state = Phase.RELEASED, state
        return True

    def adopted(self, esp_id: str, epoch: Epoch) -> bool:
        hold = self._holds.get(esp_id)
        if hold is None or hold.epoch != epoch or hold.phase is not Phase.HELD or hold.adopted:
            return False
        hold.adopted = True
        return True

    def tick(self, now: float, out: Effects) -> bool:
        """Fences what runs out, goes on with what closes. Whether there is something to tell God."""
        news = False
        for esp_id, hold in self._holds.items():
            if hold.phase is Phase.HELD and now >= hold.until - self._terms.fence_s:
                hold.phase = Phase.FENCED
                out.append(Fence(esp_id=esp_id, epoch=hold.epoch))
                news = True
            elif hold.phase is Phase.CLOSING:
                news |= self._close(esp_id, hold, now, out)
        return news

    def _close(self, esp_id: str, hold: Hold, now: float, out: Effects) -> bool:
        """Released when no home has a pass any more."""
        if now < self.passes.over_at(esp_id):
            if now >= hold.withdraw_at:
                hold.withdraw_at = now + WITHDRAW_AGAIN_S
                out.extend(
                    Tell(home, Withdraw(esp_id=esp_id, epoch=hold.epoch))
                    for home in self.passes.homes(esp_id, now)
                )
            return False
        if hold.until > now:
            hold.phase = Phase.SURVEYED
            out.append(Survey(esp_id=esp_id, epoch=hold.epoch))
            return False
        hold.phase, hold.state = Phase.RELEASED, None
        return True

    def _let_go(self, esp_id: str, hold: Hold, out: Effects) -> None:
        if hold.phase is not Phase.OFFERED:
            out.append(Drop(esp_id=esp_id))
