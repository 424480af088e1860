"""What a kill and a new start do to the rule engine: memories as they were saved last, and the readings since."""

from __future__ import annotations

import math

import attrs
from rules_rig import Rig

from growy.control.rules.effects import Execution
from growy.model.rules import Rule


@attrs.define
class Disk:
    """What growy.db holds: written together, so that it is of one moment."""

    memories: dict[str, bytes] = attrs.field(factory=dict)
    executions: dict[int, Execution] = attrs.field(factory=dict)
    values: dict[int, tuple[float, int, bool]] = attrs.field(factory=dict)
    """Newest samples then: value, receipt (Unix ms), failed."""
    at: float = 0.0

    def save(self, rig: Rig) -> None:
        self.executions |= {one.id: one for one in rig.all_of(Execution)}
        taken = rig.engine.take_changed()
        self.at = rig.now
        if not taken:
            return
        self.memories |= taken
        self.values = {
            series_id: (sample.value, rig.moment.ms_of(sample.at), sample.failed)
            for series_id, sample in rig.samples._samples.items()
            if sample.at > -math.inf
        }


def restarted(rig: Rig, disk: Disk, rules: list[Rule], *, ahead: float = 0.0) -> Rig:
    """A new process, at the same time by the wall, that has read the disk and caught up.

    Args:
        ahead: what its clock is ahead of that of the old one, seconds.
    """
    new = Rig(
        now=rig.now + ahead,
        wall_at_0=rig.wall_at_0 - round(ahead * 1000),
        series=rig.series,
        ambiguous=rig.ambiguous,
        places=rig.places,
        outputs=dict(rig.outputs),
        stored=list(rig.stored),
        last_execution=max(disk.executions, default=0),
    )
    for series_id, (value, at_ms, failed) in disk.values.items():
        sample = new.samples.of(series_id)
        sample.value, sample.at, sample.failed = value, new.moment.clock_of(at_ms), failed
    now, disk.at = new.now, disk.at + ahead
    new.engine.catching_up = True
    for rule in rules:
        new.put(rule, disk.memories.get(rule.id))
    contained_ms = new.engine.heard_ms
    for series_id, at_ms, value in rig.stored:
        if at_ms > contained_ms:
            new.now = (at_ms - new.wall_at_0) / 1000
            new.take(new.engine.readings([series_id], [value], new.moment))
    new.now = now
    new.engine.catching_up = False
    new.wait(0.0)
    return new
