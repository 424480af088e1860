"""A memory that was saved at the very moment at which something was due, put onto another clock."""

from __future__ import annotations

import random

import pytest
from rules_restart import Disk, restarted
from rules_rig import Rig, below, on, rule

from growy.control.rules.state import is_under_way
from growy.model.rules import Delay, HeldFor


@pytest.mark.parametrize("seed", range(40))
def test_what_has_been_held_for_long_enough_is_so_on_every_clock(seed: int):
    chance = random.Random(seed)
    one = rule(HeldFor(condition=below(18.0), seconds=130.0), on(), cooldown_s=45.0)
    rig, disk = Rig(now=chance.uniform(-120, -80)), Disk()
    rig.wall_at_0 -= round(rig.now * 1000)
    rig.put(one)
    for _ in range(7):
        rig.read(17.0)
        rig.wait(20.0 if len(rig.stored) < 7 else 10.0)
    assert rig.value() == 1.0
    disk.save(rig)
    rig.wait(chance.uniform(0, 50))

    # The clock of a new process begins at zero: what was long ago lies far before it, and is less exact.
    new = restarted(rig, disk, [one], ahead=-rig.now)
    assert new.value() == 1.0
    assert new.begun() == []


def test_an_execution_that_a_memory_goes_on_with_is_under_way():
    rig, disk = Rig(), Disk()
    one = rule(below(18.0), Delay(seconds=60.0), on())
    rig.put(one)
    rig.read(17.0)
    disk.save(rig)
    (begun,) = rig.begun()
    assert is_under_way(disk.memories[one.id], begun.id)
    assert not is_under_way(disk.memories[one.id], begun.id + 1)
    assert not is_under_way(b"", begun.id)
    assert not is_under_way(b"{}", begun.id)

    rig.keep(25.0, 90.0)
    disk.save(rig)
    assert not is_under_way(disk.memories[one.id], begun.id)
