"""Several Pis in values: nodes, who owns a device, what a hand-over carries, command chains. No behaviour.

An owner is a node id: `god`, or a Kaiser's `kaiser_id`. Of every device there is one record, God's; its epoch only
grows, and an epoch belongs to one owner for ever. Times that end in `_ms` are Unix milliseconds.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import msgspec

NodeId: TypeAlias = str
Epoch: TypeAlias = int

GOD: NodeId = "god"
"""The God as an owner and as a party, whatever its `god_id` is. No Kaiser may be called so."""
MAX_ESPS = 10
"""Devices of one Kaiser, unless its entry says otherwise."""


class Role(enum.StrEnum):
    GOD = "god"
    KAISER = "kaiser"


# --- nodes --------------------------------------------------------------------------------------------------------


class NodeState(enum.StrEnum):
    ADDED = "added"
    """Entered by a person, and never heard of since."""
    ONLINE = "online"
    OFFLINE = "offline"
    LEAVING = "leaving"
    """Unregistered; its devices are on their way back to God."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A Kaiser in God's registry."""

    kaiser_id: NodeId
    name: str = ""
    instance: str = ""
    """The installation that answers to this id. Bound at the first contact; another one with the same id is refused
    until a person replaces it. Empty: none yet."""
    state: NodeState = NodeState.ADDED
    max_esps: int = MAX_ESPS
    stand_in: NodeId = GOD
    """Who gets its devices when it has fallen silent."""
    failover: bool = True
    """Whether that happens by itself."""
    gives_to: tuple[NodeId, ...] = ()
    """Kaisers that it may give devices to without asking a person."""
    zone_ids: tuple[str, ...] = ()
    capabilities: Mapping[str, object] = {}
    last_heartbeat_ms: int | None = None
    created_ms: int = 0


# --- owners -------------------------------------------------------------------------------------------------------


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a device is. God's record, on disk before anybody is told."""

    esp_id: str
    owner: NodeId
    epoch: Epoch = 1
    lease_s: float = 0.0
    """Length of every lease under this epoch: what a God that has lost its clock has to wait out."""
    home: NodeId = GOD
    """The node on whose broker the device hangs."""
    previous_owner: NodeId | None = None
    transfer_reason: str = ""
    transfer_ms: int = 0
    created_ms: int = 0


class Stamp(NamedTuple):
    """What every command to a device carries. Of two under one epoch the larger is the later."""

    epoch: Epoch
    boot: int
    number: int


# --- command chains -----------------------------------------------------------------------------------------------


class ChainStatus(enum.StrEnum):
    PENDING = "pending"
    """Waits for leave, or has not been told to anybody."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (ChainStatus.PENDING, ChainStatus.RUNNING)


class ChainType(enum.StrEnum):
    TRANSFER = "transfer_esp"
    FAILOVER = "failover_esp"
    EMERGENCY_STOP = "emergency_stop"
    SYNC_CONFIG = "sync_config"
    SYNC_DATA = "sync_data"
    CROSS_KAISER = "cross_kaiser"
    """God carries what did not get through directly."""


class TransferStep(enum.StrEnum):
    """How far a transfer is. In this order, but for the last."""

    LEAVE = "leave"
    """Waits for a person's consent."""
    PREPARE = "prepare"
    """The new owner gets configuration, calibration and rules."""
    REVOKE = "revoke"
    """The old owner lets go, or its lease runs out."""
    GRANT = "grant"
    """The new epoch is on disk; the new owner has yet to take it."""
    ADOPT = "adopt"
    """The new owner takes over what the outputs are doing."""
    DONE = "done"
    ROLL_BACK = "roll_back"
    """The new owner did not take it: it is revoked in turn."""


class CommandChain(msgspec.Struct, frozen=True, kw_only=True):
    """Something that God wants of others, from the wish to its end. On disk at every step."""

    command_id: str
    god_id: str
    kaiser_id: NodeId
    """Who is to carry it out; of a transfer, the new owner."""
    command_type: ChainType
    esp_id: str | None = None
    command_data: Mapping[str, object] = {}
    status: ChainStatus = ChainStatus.PENDING
    step: TransferStep | None = None
    """Of a transfer only."""
    response_data: Mapping[str, object] = {}
    timeout_s: float | None = None
    """None: it is repeated until it is done."""
    issued_by: str = ""
    created_ms: int = 0
    completed_ms: int | None = None
