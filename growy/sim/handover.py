"""Who is in charge, server or device: the firmware's offline mode with its epochs. Pure, and nothing but this;
what becomes of the outputs is told by the caller.

Five modes. Away from the server for 30 s the device rules itself (OFFLINE_ACTIVE); it comes back only by a
reconnect or `server/status: online`, which raises the epoch, and an ACK that echoes the raised epoch. A server
that knows neither stays refused, whatever it answers.
"""

from __future__ import annotations

import enum
import math

import attrs

NEVER = math.inf
GRACE_S = 30.0
EVALUATE_S = 5.0
SETTLE_S = 2.0


class Mode(enum.Enum):
    ONLINE = "online"
    DISCONNECTED = "disconnected"
    """Server lost; rules itself when the grace is over."""
    OFFLINE_ACTIVE = "offline_active"
    RECONNECTING = "reconnecting"
    """The server is said to be back; waits for an ACK with the new epoch."""
    ADOPTING = "adopting"
    """The ACK came; outputs stay as they are while the server takes stock."""


@attrs.frozen(kw_only=True, slots=True)
class Handover:
    """Times are device seconds."""

    mode: Mode = Mode.ONLINE
    active_epoch: int = 0
    completed_epoch: int = 0
    grace_at: float = NEVER
    evaluate_at: float = NEVER
    settle_at: float = NEVER
    offline_enters: int = 0
    adopting_enters: int = 0
    noops: int = 0
    deltas: int = 0
    aborts: int = 0
    rejects: int = 0
    last_reject: str = "NONE"

    @property
    def rules_rule(self) -> bool:
        """Offline rules are in charge of the outputs."""
        return self.mode in (Mode.OFFLINE_ACTIVE, Mode.RECONNECTING)

    @property
    def announced_epoch(self) -> int:
        """What `session/announce` says before `onReconnect` has run."""
        return max(1, self.active_epoch + (self.mode is Mode.OFFLINE_ACTIVE))

    @property
    def wakeup(self) -> float:
        return min(self.grace_at, self.evaluate_at, self.settle_at)


def lost(handover: Handover, now: float) -> Handover:
    """The server is gone: transport loss, no ACK for 120 s, or it said so."""
    match handover.mode:
        case Mode.ONLINE:
            return attrs.evolve(handover, mode=Mode.DISCONNECTED, grace_at=now + GRACE_S)
        case Mode.RECONNECTING:
            return attrs.evolve(handover, mode=Mode.OFFLINE_ACTIVE, aborts=handover.aborts + 1)
        case Mode.ADOPTING:
            return attrs.evolve(
                handover,
                mode=Mode.DISCONNECTED,
                grace_at=now + GRACE_S,
                settle_at=NEVER,
                aborts=handover.aborts + 1,
            )
        case Mode.DISCONNECTED | Mode.OFFLINE_ACTIVE:
            return handover


def returned(handover: Handover) -> Handover:
    """The server is said to be back: a reconnect, or `server/status: online`."""
    match handover.mode:
        case Mode.OFFLINE_ACTIVE:
            return attrs.evolve(handover, mode=Mode.RECONNECTING, active_epoch=handover.active_epoch + 1)
        case Mode.DISCONNECTED:
            return attrs.evolve(handover, mode=Mode.ONLINE, grace_at=NEVER)
        case _:
            return handover


def refusal(handover: Handover, epoch: int) -> str | None:
    """Why an ACK with this epoch (1 or more) is ignored in this mode; None: it is accepted."""
    if handover.mode in (Mode.ONLINE, Mode.DISCONNECTED):
        return None
    if handover.active_epoch == 0:
        return "MISSING_ACTIVE_SESSION_EPOCH"
    return None if epoch == handover.active_epoch else "HANDOVER_EPOCH_MISMATCH"


def refused(handover: Handover, reason: str) -> Handover:
    """An ACK broke the contract."""
    return attrs.evolve(handover, rejects=handover.rejects + 1, noops=handover.noops + 1, last_reject=reason)


def accepted(handover: Handover, now: float) -> Handover:
    """An ACK that `refusal` let through."""
    match handover.mode:
        case Mode.DISCONNECTED:
            return attrs.evolve(handover, mode=Mode.ONLINE, grace_at=NEVER)
        case Mode.RECONNECTING | Mode.OFFLINE_ACTIVE:
            if handover.completed_epoch == handover.active_epoch:
                # This epoch's handover is done: only a new one takes the device out of offline mode.
                return attrs.evolve(handover, noops=handover.noops + 1)
            return attrs.evolve(
                handover,
                mode=Mode.ADOPTING,
                completed_epoch=handover.active_epoch,
                deltas=handover.deltas + 1,
                adopting_enters=handover.adopting_enters + 1,
                grace_at=NEVER,
                evaluate_at=NEVER,
                settle_at=now + SETTLE_S,
            )
        case Mode.ADOPTING:
            return attrs.evolve(handover, noops=handover.noops + 1)
        case Mode.ONLINE:
            return handover


def emergency(handover: Handover) -> Handover:
    """An emergency stop forgets every epoch."""
    return attrs.evolve(
        handover,
        mode=Mode.ONLINE,
        active_epoch=0,
        completed_epoch=0,
        grace_at=NEVER,
        evaluate_at=NEVER,
        settle_at=NEVER,
        last_reject="NONE",
    )


def go_offline(handover: Handover, now: float) -> Handover:
    """The grace is over."""
    return attrs.evolve(
        handover,
        mode=Mode.OFFLINE_ACTIVE,
        grace_at=NEVER,
        evaluate_at=now + EVALUATE_S,
        offline_enters=handover.offline_enters + 1,
    )


def settle(handover: Handover) -> Handover:
    """The server has had its 2 s to take stock."""
    return attrs.evolve(handover, mode=Mode.ONLINE, settle_at=NEVER)


def evaluated(handover: Handover, now: float) -> Handover:
    """The offline rules have had their turn."""
    return attrs.evolve(handover, evaluate_at=now + EVALUATE_S)
