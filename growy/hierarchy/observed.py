"""What goes by at God, kept for people: leases that it has told, when each Kaiser was heard, whom it refuses, how long
transfers take. Nothing is decided by any of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import attrs

from growy.hierarchy.effects import Tell
from growy.model.hierarchy import ChainStatus, CommandChain, Node, NodeId, Ownership, TransferStep
from growy.model.time import Moment
from growy.model.tree_messages import Health, NodeRefusal, Orders, Report
from growy.ops.latency import Distribution, Histogram

REFUSED_FOR_S = 60.0
"""A node that is refused says its report every few seconds: one that has not for so long is gone."""
STOPS = 32
TRANSFER_BOUNDS_S = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0, 300.0)


class Refusal(NamedTuple):
    """The newest no to somebody who calls itself by a Kaiser's name."""

    instance: str
    refusal: NodeRefusal
    at: float
    ms: int


@attrs.frozen(kw_only=True)
class KaiserView:
    """A Kaiser, for people."""

    node: Node
    esps: tuple[Ownership, ...]
    health: Health | None
    """What it said last of itself; None: nothing since God's start."""
    heard_ms: int | None = None
    """When it was last heard: Unix ms. After a restart of God up to a quarter of an hour older than the truth."""
    refusal: Refusal | None = None
    """Another node calls itself so, and is refused."""


@attrs.frozen(kw_only=True)
class NodeProof:
    """How far an emergency stop is at one node."""

    node: NodeId
    proven: bool
    """Every device of it that is there stands still, as it has said itself."""
    proof: Mapping[str, object]
    """`Estate.proof`; empty: nothing was heard of it yet."""

    @classmethod
    def of(cls, chain: CommandChain) -> NodeProof:
        """As its command chain has it."""
        proven = chain.status is ChainStatus.DONE
        return cls(node=chain.kaiser_id, proven=proven, proof=chain.response_data)


class _Lease(NamedTuple):
    epoch: int
    until: float


class Observed:
    """Trio thread only."""

    def __init__(self) -> None:
        self._leases: dict[str, _Lease] = {}
        self._heard: dict[NodeId, Moment] = {}
        self._refusals: dict[NodeId, Refusal] = {}
        self._began: dict[str, float] = {}
        self._transfers = Histogram(TRANSFER_BOUNDS_S)
        self.stops: dict[str, dict[NodeId, NodeProof]] = {}
        """By incident and node, how far emergency stops of this start are."""

    # --- told ---------------------------------------------------------------------------------------------------------

    def heard(self, node: Node | None, report: Report, moment: Moment) -> None:
        """Args: node: the Kaiser of that name after the report, if there is one."""
        if node is not None and node.instance == report.instance:
            self._heard[node.kaiser_id] = moment

    def told(self, tell: Tell, moment: Moment) -> None:
        orders = tell.message
        if not isinstance(orders, Orders):
            return
        if orders.refusal is not None:
            self._refusals[tell.to] = Refusal(orders.instance, orders.refusal, moment.clock, moment.wall_ms)
        for grant in orders.grants:
            self._leases[grant.esp_id] = _Lease(grant.epoch, moment.clock + grant.lease_s)

    def chain(self, chain: CommandChain, moment: Moment) -> None:
        """A step of a chain is on the disk. What a person thinks it over for is not part of a transfer."""
        if chain.step is None or chain.step is TransferStep.LEAVE:
            return
        if not chain.status.ended:
            self._began.setdefault(chain.command_id, moment.clock)
            return
        began = self._began.pop(chain.command_id, None)
        if began is not None and chain.status is ChainStatus.DONE:
            self._transfers.add(moment.clock - began)

    def stop(self, incident: str, nodes: Iterable[NodeId]) -> None:
        """An emergency stop has been ordered."""
        self.stops[incident] = {node: NodeProof(node=node, proven=False, proof={}) for node in nodes}
        while len(self.stops) > STOPS:
            del self.stops[next(iter(self.stops))]

    def stopping(self, command_id: str, node: NodeId, *, proven: bool, proof: Mapping[str, object]) -> None:
        """A node says how far a command is; of other commands than emergency stops nothing is kept."""
        found = self.stops.get(command_id.partition(":")[0], {})
        if node in found and not found[node].proven:
            found[node] = NodeProof(node=node, proven=proven, proof=proof)

    # --- asked --------------------------------------------------------------------------------------------------------

    def lease_left_s(self, record: Ownership, moment: Moment) -> float | None:
        """Of the newest lease under this epoch, as its owner counts it or a little more; None: there is none."""
        lease = self._leases.get(record.esp_id)
        if lease is None or lease.epoch != record.epoch or moment.clock >= lease.until:
            return None
        return lease.until - moment.clock

    def heard_ms(self, kaiser_id: NodeId) -> int | None:
        """Unix ms; None: not since God's start."""
        heard = self._heard.get(kaiser_id)
        return None if heard is None else heard.wall_ms

    def refusal(self, kaiser_id: NodeId, moment: Moment) -> Refusal | None:
        """Somebody else calls itself so now, and is refused."""
        found = self._refusals.get(kaiser_id)
        return None if found is None or moment.clock >= found.at + REFUSED_FOR_S else found

    def transfer_times(self) -> Distribution:
        """Of those that succeeded, seconds."""
        return self._transfers.distribution()
