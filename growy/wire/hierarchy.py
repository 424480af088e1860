"""What the nodes of a tree say to each other, as topics and bytes. Knows nothing of who is right.

Every kind of message has one topic; who said it, and to whom, is told by the topic alone. JSON, so that a person with
`mosquitto_sub` can read along; CBOR where bytes are carried (documents, relayed messages). Either is understood.
"""

from __future__ import annotations

import enum

import attrs
import cbor2
import msgspec

from growy.model.hierarchy import GOD, NodeId
from growy.model.tree_messages import (
    ChainCommand,
    ChainResponse,
    CrossCommand,
    CrossResponse,
    Documents,
    Health,
    Orders,
    Pass,
    PassRequest,
    Petition,
    RelayAnswer,
    RelayCommand,
    RelayUp,
    Report,
    Reroute,
    TreeMessage,
    Withdraw,
    Withdrawn,
)
from growy.wire.fields import typed
from growy.wire.formats import parse
from growy.wire.reasons import Reason, refuse
from growy.wire.topics import is_esp_id, is_kaiser_id

MAX_TREE_PAYLOAD = 1_048_576
"""Bytes. A Kaiser's whole state is a few kilobytes, a device's documents may be some hundred."""


class TreeTopicKind(enum.Enum):
    """The value is the part of the topic behind `kaiser/{id}/`."""

    STATUS = "kaiser/status"
    HEALTH = "kaiser/health"
    GOD_COMMAND = "god/command"
    GOD_RESPONSE = "god/response"
    CROSS_COMMAND = "cross_kaiser/{target}/command"
    CROSS_RESPONSE = "cross_kaiser/{target}/response"
    ESP_TRANSFER = "esp_transfer"


@attrs.frozen(slots=True)
class TreeTopic:
    """A topic of the tree, taken apart."""

    kind: TreeTopicKind
    sender: NodeId
    target: NodeId


_TYPES: dict[TreeTopicKind, tuple[type[TreeMessage], ...]] = {
    TreeTopicKind.STATUS: (Report,),
    TreeTopicKind.HEALTH: (Health,),
    TreeTopicKind.GOD_COMMAND: (Orders, ChainCommand),
    TreeTopicKind.GOD_RESPONSE: (ChainResponse, Petition, Reroute),
    TreeTopicKind.CROSS_COMMAND: (PassRequest, Withdraw, RelayCommand, RelayUp, CrossCommand),
    TreeTopicKind.CROSS_RESPONSE: (Pass, Withdrawn, RelayAnswer, CrossResponse),
    TreeTopicKind.ESP_TRANSFER: (Documents,),
}
_KIND = {kind: topic for topic, kinds in _TYPES.items() for kind in kinds}
_TAGS: dict[TreeTopicKind, dict[str, type[TreeMessage]]] = {
    topic: {str(kind.__struct_config__.tag): kind for kind in kinds} for topic, kinds in _TYPES.items()
}
_FROM_GOD = (TreeTopicKind.GOD_COMMAND, TreeTopicKind.ESP_TRANSFER)
_CROSS = (TreeTopicKind.CROSS_COMMAND, TreeTopicKind.CROSS_RESPONSE)
_encode = msgspec.json.Encoder().encode

# --- topics -------------------------------------------------------------------------------------------------------


def tree_topic(sender: NodeId, target: NodeId, message: TreeMessage) -> str:
    """Where a message is published.

    Between a Kaiser and God the Kaiser's id stands in the topic, whoever speaks; between two nodes the sender's.

    Raises:
        WireError: unknown_topic: the message does not go from that node to that node.
    """
    kind = _KIND[type(message)]
    if kind in _CROSS:
        if _node(sender) == _node(target):
            raise refuse(Reason.UNKNOWN_TOPIC, f"{sender!r:.80} has nothing to say to itself")
        return f"kaiser/{sender}/{kind.value.replace('{target}', target)}"
    kaiser_id, god = (target, sender) if kind in _FROM_GOD else (sender, target)
    if god != GOD or kaiser_id == GOD:
        raise refuse(Reason.UNKNOWN_TOPIC, f"{kind.value} is between God and a Kaiser")
    return f"kaiser/{_node(kaiser_id)}/{kind.value}"


def parse_tree_topic(topic: bytes | str) -> TreeTopic:
    """Take a topic of the tree apart.

    Raises:
        WireError: unknown_topic, bad_utf8.
    """
    if isinstance(topic, bytes):
        try:
            topic = topic.decode()
        except UnicodeDecodeError:
            raise refuse(Reason.BAD_UTF8, f"topic {topic!r:.200} is not UTF-8") from None
    parts = topic.split("/")
    unknown = refuse(Reason.UNKNOWN_TOPIC, f"topic {topic!r:.200} is not one of the tree")
    if len(parts) < 3 or parts[0] != "kaiser" or not is_kaiser_id(parts[1]):
        raise unknown
    node, tail = parts[1], parts[2:]
    if len(tail) == 3 and tail[0] == "cross_kaiser" and is_kaiser_id(tail[1]) and tail[1] != node:
        for kind in _CROSS:
            if tail[2] == kind.value.rpartition("/")[2]:
                return TreeTopic(kind, node, tail[1])
        raise unknown
    for kind in TreeTopicKind:
        if kind not in _CROSS and "/".join(tail) == kind.value and node != GOD:
            return TreeTopic(kind, GOD, node) if kind in _FROM_GOD else TreeTopic(kind, node, GOD)
    raise unknown


def god_subscriptions() -> tuple[tuple[str, int], ...]:
    """(filter, QoS) of what God listens to. No two match the same topic."""
    return (
        ("kaiser/+/kaiser/status", 1),
        ("kaiser/+/kaiser/health", 0),
        ("kaiser/+/god/response", 1),
        (f"kaiser/+/cross_kaiser/{GOD}/+", 1),
    )


def kaiser_subscriptions(kaiser_id: NodeId) -> tuple[tuple[str, int], ...]:
    """(filter, QoS) of what a Kaiser listens to on God's broker."""
    own = _node(kaiser_id)
    return (
        (f"kaiser/{own}/god/command", 1),
        (f"kaiser/{own}/esp_transfer", 1),
        (f"kaiser/+/cross_kaiser/{own}/+", 1),
    )


def command_chain_timeout() -> str:
    """QoS 1, not retained."""
    return "god/command_chain/timeout"


def alternative_route() -> str:
    """QoS 1, not retained."""
    return "god/cross_kaiser/alternative_route"


def esp_emergency(esp_id: str) -> str:
    """`kaiser/god/esp/{id}/emergency`, QoS 1: tells the tree that a device is stopped. The firmware does not subscribe
    to it; the stop itself goes by `actuator/emergency`."""
    if not is_esp_id(esp_id):
        raise refuse(Reason.BAD_ESP_ID, f"{esp_id!r:.80} is not a device id (ESP_ and 6 to 8 hex digits)")
    return f"kaiser/{GOD}/esp/{esp_id}/emergency"


def esp_of_emergency(topic: str) -> str | None:
    """The device in a topic of `esp_emergency`; None: it is another topic."""
    parts = topic.split("/")
    fits = len(parts) == 5 and parts[:3] == ["kaiser", GOD, "esp"] and parts[4] == "emergency"
    return parts[3] if fits and is_esp_id(parts[3]) else None


def _node(node: NodeId) -> NodeId:
    # A wildcard or a slash in an id would turn one node's topic into another altogether.
    if not is_kaiser_id(node):
        raise refuse(Reason.UNKNOWN_TOPIC, f"{node!r:.80} is not a node id")
    return node


# --- payloads -----------------------------------------------------------------------------------------------------


def encode_tree(message: TreeMessage) -> bytes:
    """Payload of a message: JSON, or CBOR if it carries bytes. What has its default is left out."""
    if isinstance(message, (Documents, RelayCommand, RelayUp)):
        carried: bytes = cbor2.dumps(msgspec.to_builtins(message, builtin_types=(bytes,)))
        return carried
    return _encode(message)


def decode_tree(topic: TreeTopic, payload: bytes) -> TreeMessage:
    """The message in a payload.

    Raises:
        WireError: any reason that is about payloads; unknown_topic: that kind of message does not belong there, or
            calls itself another node's.
    """
    fields = parse(payload, MAX_TREE_PAYLOAD, take_bytes=True)
    if not isinstance(fields, dict):
        raise refuse(Reason.NOT_AN_OBJECT, "$: expected an object")
    tag = fields.get("type")
    kind = _TAGS[topic.kind].get(tag) if isinstance(tag, str) else None
    if kind is None:
        known = ", ".join(_TAGS[topic.kind])
        raise refuse(Reason.UNKNOWN_TOPIC, f"$.type: {topic.kind.value} carries {known}, got {tag!r:.40}")
    message = typed(fields, kind)
    node = getattr(message, "kaiser_id", None)
    if node is not None and node not in (topic.sender, topic.target):
        raise refuse(Reason.UNKNOWN_TOPIC, f"$.kaiser_id: {node!r:.80} in a topic of {topic.sender}")
    return message
