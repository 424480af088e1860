"""A God and a Kaiser on a table: whatever they say is picked up and looked at."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from growy.hierarchy.effects import Effect, Effects, Persist, Tell
from growy.hierarchy.god import God
from growy.hierarchy.kaiser import Identity, Kaiser
from growy.hierarchy.leases import Terms
from growy.model.handover import HandedOver, HeldOutput
from growy.model.hierarchy import GOD, CommandChain, Node, NodeState, Ownership
from growy.model.time import Moment
from growy.model.tree_messages import MessageId, Orders, Report, TreeMessage

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


ONLINE = (
    Node(kaiser_id="k1", instance="i-k1", state=NodeState.ONLINE),
    Node(kaiser_id="k2", instance="i-k2", state=NodeState.ONLINE),
)
LAST_WORDS = HandedOver(taken_ms=1, outputs=(HeldOutput(gpio=26, value=1.0),))


def owned(owner: str = "k1", epoch: int = 7, esp_id: str = ESP) -> Ownership:
    return Ownership(esp_id=esp_id, owner=owner, epoch=epoch, lease_s=30.0, home=GOD)


def written(effects: Effects) -> list[tuple[str, int]]:
    """Owner and epoch of the records that go to the disk."""
    return [(record.owner, record.epoch) for one in of(effects, Persist) for record in one.records]


def reports(one: God, kaiser_id: str, number: int, clock: float, **what: object) -> Effects:
    given = {
        "kaiser_id": kaiser_id,
        "instance": f"i-{kaiser_id}",
        "god_id": GOD_ID,
        "god_instance": "god-1",
        "id": MessageId(1, number),
    }
    return one.heard(kaiser_id, msgspec.convert({**given, **what}, Report, from_attributes=True), at(clock))
