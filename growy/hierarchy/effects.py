"""What the cores want done. Values only.

Effects are in order, and the order is a promise: what stands behind a `Persist` must not be done before that has been
written. If it cannot be written, what stands behind it is dropped and the core is made anew from the disk, as after a
crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from growy.model.audit import AuditSeverity
from growy.model.handover import HandedOver
from growy.model.hierarchy import ChainType, CommandChain, Epoch, Node, NodeId, Ownership
from growy.model.tree_messages import CrossFault, Documents, TreeMessage


@attrs.frozen(kw_only=True, slots=True)
class Persist:
    """Write all of it in one transaction."""

    records: tuple[Ownership, ...] = ()
    nodes: tuple[Node, ...] = ()
    removed_nodes: tuple[NodeId, ...] = ()
    chains: tuple[CommandChain, ...] = ()
    boot: int | None = None
    """How often this node has started."""
    settled: bool = False
    """What a restore may have forgotten is over: the next start need not be told of it."""
    god_instance: str | None = None
    """The God that a Kaiser follows from now on."""
    dropped: tuple[str, ...] = ()
    """Devices whose documents are not needed any more."""


@attrs.frozen(slots=True)
class Tell:
    """Send it. It may get lost: what matters is said again."""

    to: NodeId
    message: TreeMessage
    urgent: bool = False
    """An emergency: before everything else; and if the disk does not answer, without waiting for it."""


@attrs.frozen(kw_only=True, slots=True)
class Ship:
    """Put together what the rules of a device need, and send it as `Documents`."""

    to: NodeId
    esp_id: str


@attrs.frozen(kw_only=True, slots=True)
class Take:
    """This node owns the device from now on: take over its outputs, then let rules and people command it. Answered
    with `adopted`."""

    esp_id: str
    epoch: Epoch
    state: HandedOver | None
    """What its former owner left. None: nobody knows, ask the device."""


@attrs.frozen(kw_only=True, slots=True)
class Freeze:
    """Let no rule and no person command the device any more, and have its outputs stay as they are for `hold_s` at
    most: by the duration that the device itself counts."""

    esp_id: str
    epoch: Epoch
    hold_s: float


@attrs.frozen(kw_only=True, slots=True)
class Survey:
    """The device is frozen and nothing is under way to it any more: end the claims without switching anything, and
    answer with `surveyed` what the outputs are doing."""

    esp_id: str
    epoch: Epoch


@attrs.frozen(kw_only=True, slots=True)
class Fence:
    """The lease runs out. End all claims on the device; only OFF will pass from now on."""

    esp_id: str
    epoch: Epoch


@attrs.frozen(kw_only=True, slots=True)
class Drop:
    """The device is another's. Forget claims and commands without sending anything."""

    esp_id: str


@attrs.frozen(kw_only=True, slots=True)
class Prepare:
    """Keep what the rules of a device need. Answered with `prepared` when it is on the disk; what cannot be read here
    is not answered."""

    documents: Documents


@attrs.frozen(kw_only=True, slots=True)
class Carry:
    """A command from the device's owner, to be published on this node's broker."""

    esp_id: str
    tail: str
    payload: bytes
    epoch: Epoch
    owner: NodeId


@attrs.frozen(kw_only=True, slots=True)
class Obey:
    """God's command to this Kaiser. Answered with `answer`."""

    command_id: str
    command_type: str
    esp_id: str | None
    data: Mapping[str, object]


@attrs.frozen(kw_only=True, slots=True)
class StopHere:
    """Stop everything that hangs on this node's broker or is owned by it."""

    command_id: str
    esp_id: str | None
    reason: str
    issued_by: str


@attrs.frozen(kw_only=True, slots=True)
class ChainTimedOut:
    """`god/command_chain/timeout`."""

    command_id: str
    command_type: ChainType


@attrs.frozen(kw_only=True, slots=True)
class AlternativeRoute:
    """`god/cross_kaiser/alternative_route`."""

    source: NodeId
    target: NodeId
    command_type: str


@attrs.frozen(kw_only=True, slots=True)
class Note:
    """For the audit trail and for whoever watches."""

    event_type: str
    message: str
    source_id: str = ""
    severity: AuditSeverity = AuditSeverity.INFO
    details: Mapping[str, object] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True, slots=True)
class CrossEnded:
    """What became of this Kaiser's own command to another."""

    command_id: str
    success: bool
    message: str
    data: Mapping[str, object]
    fault: CrossFault | None = None
    """None: this is what the other Kaiser answered."""


Effect: TypeAlias = (
    Persist
    | Tell
    | Ship
    | Take
    | Freeze
    | Survey
    | Fence
    | Drop
    | Prepare
    | Carry
    | Obey
    | StopHere
    | ChainTimedOut
    | AlternativeRoute
    | Note
    | CrossEnded
)
Effects: TypeAlias = list[Effect]
