"""Who sees all nodes, all disks and true time at once, and says what must never be: two owners, a command of one who
has lost the device, something told that is not on the disk, an output that a hand-over has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from growy.hierarchy.effects import Carry, Persist, Take
from growy.hierarchy.god import God
from growy.hierarchy.holds import Phase
from growy.hierarchy.kaiser import Kaiser
from growy.model.hierarchy import GOD, Ownership, Stamp
from growy.model.tree_messages import Orders, RelayAnswer, TreeMessage

if TYPE_CHECKING:
    from tree_things import Process
    from tree_world import World


START_MS = 1_780_000_000_000
LONGEST_MS = 150_000
"""A transfer takes no longer, whatever happens to it."""


TERMS_PASS_S = 5.0 / 0.98


class Violated(AssertionError):
    pass


@attrs.define(slots=True)
class Right:
    """A Kaiser's lease, in true time. It outlives a crash of its holder."""

    epoch: int
    until: float


class Judge:
    def __init__(self, world: World) -> None:
        self.world = world
        self.rights: dict[str, dict[str, Right]] = {}
        """By device and Kaiser."""
        self.last: dict[tuple[str, str], Stamp] = {}
        self.former: dict[str, Right] = {}
        """God's own, before its disk was replaced."""
        self.newest: dict[str, dict[str, int]] = {}
        """By device and node: the newest epoch under which it ever could act."""

    # --- after every step ---------------------------------------------------------------------------------------------

    def look(self, process: Process) -> None:
        core = process.core
        if isinstance(core, Kaiser):
            self._kaiser(process, core)
        else:
            for record in core.records:
                if record.owner == GOD and core.commands(record.esp_id):
                    self._alone(record.esp_id, GOD, record.epoch)

    def _kaiser(self, process: Process, core: Kaiser) -> None:
        now, name = self.world.now, process.name
        for esp_id, hold in core.holds._holds.items():
            rights = self.rights.setdefault(esp_id, {})
            if hold.phase is Phase.RELEASED:
                right = rights.get(name)
                if right is not None and right.epoch <= hold.epoch:
                    del rights[name]
            elif hold.phase is not Phase.OFFERED and hold.until > process.clock(now):
                rights[name] = Right(hold.epoch, process.true_of(hold.until))
                self._alone(esp_id, name, hold.epoch)

    def _alone(self, esp_id: str, name: str, epoch: int) -> None:
        now = self.world.now
        for other, right in self.rights.get(esp_id, {}).items():
            if other != name and right.until > now:
                raise Violated(
                    f"{now:.3f}: {name} (epoch {epoch}) has {esp_id}, and so has {other} (epoch {right.epoch}) "
                    f"for {right.until - now:.3f} s more"
                )
        record = self.record(esp_id)
        if name != GOD and record is not None and record.owner == GOD and not self._untaken(esp_id):
            raise Violated(f"{now:.3f}: {name} (epoch {epoch}) has {esp_id}, and so has God ({record.epoch})")
        newest = self.newest.setdefault(esp_id, {})
        newest[name] = max(newest.get(name, 0), epoch)

    def record(self, esp_id: str) -> Ownership | None:
        """God's, or what God left on the disk."""
        god = self.world.god
        if god is not None and isinstance(god.core, God):
            return god.core.record(esp_id)
        return self.world.disks[GOD].records.get(esp_id)

    def _untaken(self, esp_id: str) -> bool:
        """God's by its record, which is an old copy; God waits until nobody else can have it."""
        god = self.world.god
        if god is None:
            return self.world.disks[GOD].restored
        assert isinstance(god.core, God)
        return esp_id in god.core._realm.untaken

    def restoring(self) -> None:
        """God's disk is about to be an old copy. What it was entitled to until now may still be under way."""
        for record in self.world.disks[GOD].records.values():
            if record.owner == GOD:
                self.former[record.esp_id] = Right(record.epoch, self.world.now + TERMS_PASS_S)

    # --- single things ------------------------------------------------------------------------------------------------

    def carried(self, carry: Carry, *, local: bool = False) -> None:
        """A command reaches the device."""
        now, esp_id, owner = self.world.now, carry.esp_id, carry.owner
        text = f"{now:.3f}: a command of {owner} (epoch {carry.epoch}) reached {esp_id}"
        if owner == GOD:
            record = self.record(esp_id)
            former = self.former.get(esp_id)
            forgotten = former is not None and now < former.until and carry.epoch == former.epoch
            if not forgotten and (record is None or record.owner != GOD or record.epoch != carry.epoch):
                raise Violated(f"{text}, which is not God's: {record}")
        else:
            right = self.rights.get(esp_id, {}).get(owner)
            if right is None or right.until <= now or right.epoch < carry.epoch:
                raise Violated(f"{text}, which it has lost: {right}")
        for other, right in self.rights.get(esp_id, {}).items():
            if other != owner and right.until > now:
                raise Violated(f"{text}, while {other} has it")
        for other, epoch in self.newest.get(esp_id, {}).items():
            if other != owner and epoch > carry.epoch:
                raise Violated(f"{text}, after {other} had it under epoch {epoch}")

    def in_order(self, esp_id: str, owner: str, stamp: Stamp) -> None:
        """Of one owner, the later command is the last word, and none comes twice."""
        last = self.last.get((esp_id, owner))
        if last is not None and stamp <= last:
            raise Violated(f"{self.world.now:.3f}: {stamp} of {owner} reached {esp_id} after {last}")
        self.last[esp_id, owner] = stamp

    def taking(self, process: Process, take: Take) -> None:
        counts = self.world.counts
        counts.takes += 1
        if take.state is not None:
            counts.handed_over += 1
            left, found = take.state.outputs[0].value, self.world.levels[take.esp_id]
            if left != found:
                raise Violated(
                    f"{self.world.now:.3f}: {process.name} takes {take.esp_id} at {left}, but it is at {found}"
                )

    def telling(self, name: str, message: TreeMessage) -> None:
        if not isinstance(message, Orders):
            return
        disk = self.world.disks[GOD].records
        for one in (*message.grants, *message.offers):
            record = disk.get(one.esp_id)
            if record is None or (record.owner, record.epoch) != (message.kaiser_id, one.epoch):
                raise Violated(f"{one} is told to {message.kaiser_id}, and on the disk stands {record}")
        self.world.counts.grants += len(message.grants)

    def delivering(self, sender: str, to: str, message: TreeMessage) -> None:
        if isinstance(message, RelayAnswer) and message.refusal:
            refused = self.world.counts.refused
            refused[message.refusal] = refused.get(message.refusal, 0) + 1

    def writing(self, records: dict[str, Ownership], what: Persist) -> None:
        for record in what.records:
            old = records.get(record.esp_id)
            if old is not None and record.epoch < old.epoch:
                raise Violated(f"epoch of {record.esp_id} falls: {old} -> {record}")
            if old is not None and record.epoch == old.epoch and record.owner != old.owner:
                raise Violated(f"one epoch of {record.esp_id}, two owners: {old} -> {record}")
            self.world.counts.moves += old is not None and record.owner != old.owner

    # --- when all is mended -------------------------------------------------------------------------------------------

    def unsettled(self) -> str | None:
        """What is wrong: a device without exactly one owner, the one that God's record names; a transfer that does not
        end. None: nothing."""
        world = self.world
        god = world.god
        assert god is not None
        assert isinstance(god.core, God)
        for record in god.core.records:
            acting = [GOD] if god.core.commands(record.esp_id) else []
            for name, process in world.alive.items():
                core = process.core
                if isinstance(core, Kaiser) and core.stamp(record.esp_id, world.moment(process)) is not None:
                    acting.append(name)
            if acting != [record.owner]:
                return f"{record} is acted on by {acting}"
        begun = START_MS + int(world.now * 1000) - LONGEST_MS
        stuck = [one for one in god.core.chains if one.step is not None and one.created_ms < begun]
        return f"under way all the same: {stuck}" if stuck else None
