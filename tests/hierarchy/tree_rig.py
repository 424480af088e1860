"""A God and a Kaiser on a table: whatever they say is picked up and looked at."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TypeVar

from growy.hierarchy.effects import Effect, Effects, Tell
from growy.hierarchy.god import God
from growy.hierarchy.kaiser import Identity, Kaiser
from growy.hierarchy.leases import Terms
from growy.model.hierarchy import CommandChain, Node, Ownership
from growy.model.time import Moment
from growy.model.tree_messages import Orders, Report, TreeMessage

E = TypeVar("E", bound=Effect)
M = TypeVar("M", bound=TreeMessage)
WALL_MS = 1_780_000_000_000
GOD_ID = "god_pi_central"
ESP, OTHER = "ESP_EA5484", "ESP_EA5485"
TERMS = Terms()


def at(clock: float) -> Moment:
    return Moment(clock, WALL_MS + round(clock * 1000))


def god(
    *,
    nodes: Iterable[Node] = (Node(kaiser_id="k1"), Node(kaiser_id="k2")),
    records: Iterable[Ownership] = (),
    chains: Iterable[CommandChain] = (),
    boot: int = 1,
    restored: bool = False,
    clock: float = 0.0,
) -> God:
    numbers = itertools.count(1)
    return God(
        god_id=GOD_ID,
        instance="god-1",
        boot=boot,
        nodes=nodes,
        records=records,
        chains=chains,
        terms=TERMS,
        fresh_id=lambda: f"auto-{next(numbers)}",
        moment=at(clock),
        restored=restored,
    )


def kaiser(*, god_instance: str = "", boot: int = 1, clock: float = 0.0, **prepared: str) -> Kaiser:
    return Kaiser(
        Identity(kaiser_id="k1", instance="i-1", god_id=GOD_ID),
        boot=boot,
        god_instance=god_instance,
        prepared=prepared,
        terms=TERMS,
        moment=at(clock),
    )


def of(effects: Effects, kind: type[E]) -> list[E]:
    return [one for one in effects if isinstance(one, kind)]


def said(effects: Effects, kind: type[M]) -> list[M]:
    return [one.message for one in effects if isinstance(one, Tell) and isinstance(one.message, kind)]


def report(effects: Effects) -> Report:
    """The last one."""
    return said(effects, Report)[-1]


def orders(effects: Effects) -> Orders:
    """The last ones."""
    return said(effects, Orders)[-1]
