"""What the nodes of a tree say to each other. Values only; how they look in bytes is `growy.wire.hierarchy`'s.

A Kaiser says again and again all that it wants and has (`Report`), God answers with all that it grants and wants
(`Orders`). Nothing in them depends on an earlier message having arrived, so losing one costs time and repeating one
costs nothing. Who said it is told by the topic.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from growy.model.handover import HandedOver
from growy.model.hierarchy import GOD, Epoch, NodeId, Stamp


class MessageId(NamedTuple):
    """Of a message that is answered. `boot` counts the starts of the node that sends it, so none is ever used twice."""

    boot: int
    number: int


NEVER = MessageId(0, 0)
LAST_MS = 253_402_300_799_999
"""The end of the year 9999, Unix ms: the last moment that can be written as a date."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    pass


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


# --- Kaiser to God ------------------------------------------------------------------------------------------------


class Ask(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """A lease for the device, please: a first one, or more of it."""

    esp_id: str
    epoch: Epoch
    held: bool = False
    """It holds this epoch now."""
    adopted: bool = False
    """It has taken over what the outputs were doing."""


class Released(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """It will never again act under this epoch."""

    esp_id: str
    epoch: Epoch
    state: HandedOver | None = None
    """None: it does not know; it had restarted, or its lease had run out."""


class Prepared(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that its rules need for the device is on its disk."""

    esp_id: str
    version: str


class Found(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """A device on its broker."""

    esp_id: str
    heard_as: NodeId = GOD
    """The kaiser id in its topics."""


class Report(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="report"):
    """`kaiser/{id}/kaiser/status`."""

    kaiser_id: NodeId
    instance: str
    god_id: str
    id: MessageId
    god_instance: str = ""
    """The God that it follows; empty: it has not met it yet."""
    asks: tuple[Ask, ...] = ()
    released: tuple[Released, ...] = ()
    prepared: tuple[Prepared, ...] = ()
    """All that is on its disk."""
    found: tuple[Found, ...] = ()
    """Devices on its broker that God's last orders did not mention."""


class ShownCertificate(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """The client certificate that a Kaiser shows God's broker."""

    fingerprint: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the certificate (DER)."""
    expires_ms: Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]
    """Unix ms."""


class Health(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="health"):
    """`kaiser/{id}/kaiser/health`: for people and statistics. Nothing is decided by it."""

    kaiser_id: NodeId
    uptime_s: float
    version: str = ""
    esp_count: int = 0
    esps_online: int = 0
    cpu_percent: float | None = None
    memory_percent: float | None = None
    backlog: int = 0
    """Readings that God has yet to get."""
    certificate: ShownCertificate | None = None
    """None: it shows none, or is older than this field."""


# --- God to Kaiser ------------------------------------------------------------------------------------------------


class Grant(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """A lease of this length, counted from when the report that this answers was made."""

    esp_id: str
    epoch: Epoch
    lease_s: float
    home: NodeId = GOD
    state: HandedOver | None = None
    """What the former owner left. Only while nobody has held the device under this epoch before this start of yours."""


class Offer(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """The device is yours under this epoch: ask for it."""

    esp_id: str
    epoch: Epoch
    home: NodeId
    version: str = ""
    """Of what its rules need. Whoever does not have it asks for nothing yet."""


class Revoke(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """Let go of the device, and leave its outputs as they are."""

    esp_id: str
    epoch: Epoch


class Ended(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """This epoch is over."""

    esp_id: str
    epoch: Epoch


class Away(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """A device on your broker that another node owns."""

    esp_id: str
    owner: NodeId
    epoch: Epoch


class NodeRefusal(enum.StrEnum):
    UNKNOWN_KAISER = "unknown_kaiser"
    """Nobody has added it at this God."""
    DUPLICATE_KAISER = "duplicate_kaiser"
    """Another installation answers to this id."""
    FOREIGN_GOD = "foreign_god"
    """It belongs to another God."""
    NOT_MET = "not_met"
    """It has not reported yet, so that nobody knows which installation it is: its readings wait for its report."""


class Orders(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="orders"):
    """`kaiser/{id}/god/command`."""

    kaiser_id: NodeId
    instance: str
    """The installation that is meant: two with one id hear the same topic."""
    god_id: str
    god_instance: str
    reply_to: MessageId = NEVER
    grants: tuple[Grant, ...] = ()
    offers: tuple[Offer, ...] = ()
    revokes: tuple[Revoke, ...] = ()
    ended: tuple[Ended, ...] = ()
    prepare: tuple[Prepared, ...] = ()
    """What it is to be ready for, and in which version. Whatever else it has, it may throw away."""
    away: tuple[Away, ...] = ()
    peers: tuple[NodeId, ...] = ()
    """Kaisers that are there."""
    refusal: NodeRefusal | None = None


class Documents(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="documents"):
    """`kaiser/{id}/esp_transfer`: configuration, calibration and rules of a device."""

    god_instance: str
    esp_id: str
    version: str
    content: bytes = b""


class ChainCommand(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="command"):
    """`kaiser/{id}/god/command`: carry this out, once, however often it is told."""

    god_instance: str
    command_id: str
    command_type: str
    esp_id: str | None = None
    data: Mapping[str, object] = {}
    cancelled: bool = False
    """Do not, if it can still be helped."""


class ChainResponse(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="response"):
    """`kaiser/{id}/god/response`."""

    kaiser_id: NodeId
    command_id: str
    success: bool | None = None
    """None: under way."""
    message: str = ""
    data: Mapping[str, object] = {}


class Petition(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="petition"):
    """`kaiser/{id}/god/response`: a Kaiser would like God to do something, a transfer."""

    kaiser_id: NodeId
    petition_id: str
    esp_id: str
    to_owner: NodeId
    reason: str = ""


class Reroute(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="reroute"):
    """`kaiser/{id}/god/response`: this command did not get through to another Kaiser. Please carry it."""

    kaiser_id: NodeId
    target: NodeId
    command_id: str
    command_type: str
    data: Mapping[str, object] = {}


# --- any node to any other ----------------------------------------------------------------------------------------


class PassRequest(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="pass_request"):
    """The home of devices asks their owner: until when may I take your commands?"""

    id: MessageId
    esp_ids: tuple[str, ...]


class Passed(_Part, frozen=True, kw_only=True, omit_defaults=True):
    esp_id: str
    epoch: Epoch
    left_s: float
    """Of the owner's lease, by its clock, when it answered."""
    last: Stamp
    """The newest command that it has given."""


class Pass(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="pass"):
    """The answer: counted from when the request was made."""

    reply_to: MessageId
    passed: tuple[Passed, ...] = ()


class Withdraw(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="withdraw"):
    """Take no more commands under this epoch or an older one."""

    esp_id: str
    epoch: Epoch


class Withdrawn(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="withdrawn"):
    esp_id: str
    epoch: Epoch


class RelayCommand(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="relay_command"):
    """A command to a device on another node's broker."""

    command_id: str
    esp_id: str
    stamp: Stamp
    tail: str
    """The topic behind the device's id."""
    payload: bytes = b""


class RelayAnswer(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="relay_answer"):
    command_id: str
    refusal: str = ""
    """A `growy.hierarchy.relay.RelayRefusal`; empty: it went to the device's broker."""
    stamp: Stamp | None = None
    """The newest that the home knows of, when it refuses a stale one."""


class RelayUp(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="relay_up"):
    """What a device said, from its home to its owner."""

    esp_id: str
    tail: str
    payload: bytes
    received_ms: int


class CrossFault(enum.StrEnum):
    """Why a command came to nothing without a word of the Kaiser that it was for."""

    NO_KAISER = "no_kaiser"
    """God has no Kaiser of that name."""
    NO_ANSWER = "no_answer"
    """Not in time. It may have done it all the same."""
    CANCELLED = "cancelled"
    """At God, before it was answered; likewise."""


class CrossCommand(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="cross_command"):
    """One Kaiser wants something of another."""

    command_id: str
    command_type: str
    data: Mapping[str, object] = {}


class CrossResponse(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="cross_response"):
    command_id: str
    success: bool
    message: str = ""
    data: Mapping[str, object] = {}
    fault: CrossFault | None = None
    """None: this is what the other Kaiser said."""


FromKaiser: TypeAlias = Report | Health | ChainResponse | Petition | Reroute
FromGod: TypeAlias = Orders | ChainCommand | Documents
Sideways: TypeAlias = (
    PassRequest
    | Pass
    | Withdraw
    | Withdrawn
    | RelayCommand
    | RelayAnswer
    | RelayUp
    | CrossCommand
    | CrossResponse
)
TreeMessage: TypeAlias = FromKaiser | FromGod | Sideways
