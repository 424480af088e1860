"""What the world of the tree is made of: names, disks, lives, the weather, and how much has happened."""

from __future__ import annotations

import math

import attrs

from growy.hierarchy.god import God
from growy.hierarchy.kaiser import Kaiser
from growy.hierarchy.leases import Terms
from growy.model.hierarchy import GOD, CommandChain, Node, Ownership

KAISERS = ("k1", "k2", "k3")
NODES = (GOD, *KAISERS)
ESPS = tuple(f"ESP_00000{n}" for n in range(1, 6))
GOD_ID = "god_pi_central"
RATES = (0.99, 1.0, 1.01)
TERMS = Terms(prepare_s=20.0, grant_s=20.0, adopt_s=10.0, leave_s=20.0)
HEALED_S = 180.0
"""Within this, with all up and the network sound, everything has settled."""
TALK = 40.0
"""Steps of all nodes in a second, at most, while nothing happens."""
CHATTER_S = 4.0


@attrs.define
class Counts:
    """How much was really going on: a proof about a world that stands still is none."""

    steps: int = 0
    """Steps of cores while there was trouble."""
    quiet_steps: int = 0
    """Those while all was mended."""
    grants: int = 0
    takes: int = 0
    fences: int = 0
    moves: int = 0
    carried: int = 0
    refused: dict[str, int] = attrs.field(factory=dict)
    handed_over: int = 0
    """Takes with the former owner's last words."""
    ended: dict[str, int] = attrs.field(factory=dict)
    restores: int = 0
    crashes: int = 0
    mid_crashes: int = 0
    """In the midst of the effects of one step."""
    lost: int = 0
    twice: int = 0
    late: int = 0
    """Messages that were under way for longer than a lease."""


@attrs.define
class Disk:
    """What is left after a crash."""

    boot: int = 0
    restored: bool = False
    god_instance: str = ""
    prepared: dict[str, str] = attrs.field(factory=dict)
    nodes: dict[str, Node] = attrs.field(factory=dict)
    records: dict[str, Ownership] = attrs.field(factory=dict)
    chains: dict[str, CommandChain] = attrs.field(factory=dict)


@attrs.define
class Process:
    """One life of a node."""

    name: str
    core: God | Kaiser
    rate: float
    born: float
    offset: float
    boot: int
    stalled_until: float = -math.inf

    def clock(self, true: float) -> float:
        return self.offset + (true - self.born) * self.rate

    def true_of(self, clock: float) -> float:
        return self.born + (clock - self.offset) / self.rate


@attrs.define
class Weather:
    loss: float = 0.0
    twice: float = 0.0
    delay_s: float = 0.05
    stray: float = 0.0
    """How many messages lose their way,"""
    stray_s: float = 45.0
    """and how long they take at most."""
