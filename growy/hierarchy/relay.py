"""The gate of devices that hang on this node's broker and belong to another node: whose commands go on to them. Pure.

It takes a command only while it has a pass of the command's owner and epoch, which is a part of that owner's lease, and
never one that is older than the last. So a command may be delayed for as long as it likes: when its owner has lost the
device, or may have, it is refused.
"""

from __future__ import annotations

import enum
import math

import attrs

from growy.hierarchy.effects import Carry, Effects, Tell
from growy.hierarchy.leases import Terms
from growy.model.hierarchy import Epoch, NodeId, Stamp
from growy.model.tree_messages import (
    MessageId,
    Pass,
    PassRequest,
    RelayAnswer,
    RelayCommand,
    Withdraw,
    Withdrawn,
)

REQUESTS_KEPT = 64
ASK_AGAIN = 3.0
"""Requests in the time of one pass."""


class RelayRefusal(enum.StrEnum):
    NO_PASS = "no_pass"
    """Nobody has vouched for the sender lately; it is asked at once, and may try again."""
    STALE_EPOCH = "stale_epoch"
    """The sender has lost the device."""
    NOT_OWNER = "not_owner"
    OLD_COMMAND = "old_command"
    """A newer one went before, or it is here for the second time."""


@attrs.define(slots=True)
class Away:
    """A device that another node owns, as far as is known here."""

    owner: NodeId
    epoch: Epoch
    until: float = -math.inf
    """Of the pass."""
    last: Stamp | None = None
    """The newest command that went on; None: of this session it is not known yet, a pass will say."""
    since: int = 0
    """Passes that answer this question, or an earlier one, are of a time when the device was elsewhere."""


class Relay:
    """Args: boot: how often this node has started."""

    def __init__(self, terms: Terms, boot: int) -> None:
        self._terms = terms
        self._boot = boot
        self._number = 0
        self._asked: dict[int, tuple[NodeId, float]] = {}
        self._away: dict[str, Away] = {}
        self._closed: dict[str, Epoch] = {}
        """Up to this epoch nothing is taken any more."""
        self._ask_at = -math.inf

    def owners_are(self, owners: dict[str, tuple[NodeId, Epoch]]) -> None:
        """All devices here that are others', as God's records say."""
        for esp_id, (owner, epoch) in owners.items():
            self._learn(esp_id, owner, epoch)
        for esp_id in [one for one in self._away if one not in owners]:
            # It is ours now, or gone; or God's words were under way while it changed hands: then its owner's next
            # command brings it back.
            away = self._away.pop(esp_id)
            self._closed[esp_id] = max(self._closed.get(esp_id, 0), away.epoch - 1)

    def ours(self, esp_id: str, epoch: Epoch) -> None:
        """This node owns the device under this epoch: no older one counts."""
        self._closed[esp_id] = max(self._closed.get(esp_id, 0), epoch - 1)
        if (away := self._away.get(esp_id)) is not None and away.epoch < epoch:
            del self._away[esp_id]

    def arrived(self, esp_id: str) -> None:
        """The device has begun a session here. Commands may have reached it elsewhere, so those that are still under
        way to this node may be older than what it did last: nothing goes on before its owner has said where it stands.
        """
        away = self._away.get(esp_id)
        if away is not None:
            self._away[esp_id] = Away(away.owner, away.epoch, since=self._number)
            self._ask_at = -math.inf

    def knows(self, esp_id: str) -> bool:
        """Whether the device is another node's, as far as is known here."""
        return esp_id in self._away

    def owner(self, esp_id: str) -> NodeId | None:
        """The node that owns the device, as far as is known here; None: this one, or nobody knows."""
        away = self._away.get(esp_id)
        return None if away is None else away.owner

    def next_due(self) -> float:
        return self._ask_at if self._away else math.inf

    def tick(self, now: float) -> Effects:
        """Asks the owners for passes, well before they run out."""
        if not self._away or now < self._ask_at:
            return []
        self._ask_at = now + self._terms.pass_s / ASK_AGAIN
        by_owner: dict[NodeId, list[str]] = {}
        for esp_id, away in self._away.items():
            by_owner.setdefault(away.owner, []).append(esp_id)
        return [self._ask(owner, esp_ids, now) for owner, esp_ids in by_owner.items()]

    def heard_pass(self, owner: NodeId, message: Pass) -> None:
        asked = self._asked.get(message.reply_to.number)
        if message.reply_to.boot != self._boot or asked is None or asked[0] != owner:
            return
        for one in message.passed:
            away = self._away.get(one.esp_id)
            if away is None or message.reply_to.number <= away.since:
                continue
            if one.epoch <= self._closed.get(one.esp_id, 0):
                continue
            if one.epoch < away.epoch or (one.epoch == away.epoch and owner != away.owner):
                continue
            if one.epoch > away.epoch or away.last is None:
                last = one.last if away.last is None else max(one.last, away.last)
                self._learn(one.esp_id, owner, one.epoch)
                away = self._away[one.esp_id]
                away.last = last
            away.until = max(away.until, asked[1] + self._terms.within_s(one.left_s))

    def heard_withdraw(self, owner: NodeId, message: Withdraw) -> Effects:
        self._closed[message.esp_id] = max(self._closed.get(message.esp_id, 0), message.epoch)
        away = self._away.get(message.esp_id)
        if away is not None and away.epoch <= message.epoch:
            away.until = -math.inf
        return [Tell(owner, Withdrawn(esp_id=message.esp_id, epoch=message.epoch))]

    def heard_command(self, owner: NodeId, message: RelayCommand, now: float) -> Effects:
        """Carried out or refused; the sender is told which."""
        refusal = self._refusal(owner, message, now)
        away = self._away.get(message.esp_id)
        if refusal is None:
            assert away is not None
            away.last = message.stamp
            carry = Carry(
                esp_id=message.esp_id,
                tail=message.tail,
                payload=message.payload,
                epoch=message.stamp.epoch,
                owner=owner,
            )
            return [carry, Tell(owner, RelayAnswer(command_id=message.command_id))]
        out: Effects = []
        if refusal is RelayRefusal.NO_PASS:
            self._learn(message.esp_id, owner, message.stamp.epoch)
            out.append(self._ask(owner, [message.esp_id], now))
        known = away.last if away is not None else None
        out.append(Tell(owner, RelayAnswer(command_id=message.command_id, refusal=refusal, stamp=known)))
        return out

    def _refusal(self, owner: NodeId, message: RelayCommand, now: float) -> RelayRefusal | None:
        epoch = message.stamp.epoch
        away = self._away.get(message.esp_id)
        if epoch <= self._closed.get(message.esp_id, 0) or (away is not None and epoch < away.epoch):
            return RelayRefusal.STALE_EPOCH
        if away is None or epoch > away.epoch:
            return RelayRefusal.NO_PASS
        if owner != away.owner:
            return RelayRefusal.NOT_OWNER
        if now >= away.until:
            return RelayRefusal.NO_PASS
        if away.last is not None and message.stamp <= away.last:
            return RelayRefusal.OLD_COMMAND
        return None

    def _learn(self, esp_id: str, owner: NodeId, epoch: Epoch) -> None:
        """Somebody says so: enough to ask that node, never to take its commands."""
        away = self._away.get(esp_id)
        if epoch <= self._closed.get(esp_id, 0) or (away is not None and epoch <= away.epoch):
            return
        self._closed[esp_id] = epoch - 1
        # What was asked before it was known here may be answered of a time when it was elsewhere.
        self._away[esp_id] = Away(owner, epoch, since=self._number if away is None else away.since)
        self._ask_at = -math.inf

    def _ask(self, owner: NodeId, esp_ids: list[str], now: float) -> Tell:
        self._number += 1
        self._asked[self._number] = (owner, now)
        self._asked.pop(self._number - REQUESTS_KEPT, None)
        return Tell(owner, PassRequest(id=MessageId(self._boot, self._number), esp_ids=tuple(esp_ids)))
