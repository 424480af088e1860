"""What comes from the broker, sorted: mail of the tree, words of devices that are another node's, and what is ours.

A message of a device costs a look into a set. Must never keep a reading from the intake: the node on whose broker a
device hangs stores what it measures, whoever owns it.
"""

from __future__ import annotations

from collections.abc import Callable

from growy.broker.frames import Inbound
from growy.broker.link import Delivery
from growy.hierarchy.god_node import GodNode
from growy.hierarchy.kaiser_node import KaiserNode
from growy.intake.gather import DONE
from growy.model.errors import WireError
from growy.model.hierarchy import GOD, NodeId
from growy.wire.topics import HARD_WIRED_TO_GOD, Topic, TopicKind, parse_topic

MAX_TOPICS = 20_000
MEASURED = (TopicKind.SENSOR_DATA, TopicKind.SENSOR_BATCH)
NEWS = (TopicKind.HEARTBEAT, TopicKind.SESSION_ANNOUNCE)
"""The node looks at each of them: where the device hangs may have changed."""


class Sorter:
    """Trio thread only.

    Args:
        prefix: kaiser id in the topics of this node's own devices.
        mail: takes a message that is no device's; whether it was one of the tree's.
        speaks: told under which kaiser id a device speaks.
    """

    def __init__(
        self,
        node: GodNode | KaiserNode,
        prefix: str,
        mail: Callable[[bytes, bytes], bool],
        speaks: Callable[[str, str], None],
    ) -> None:
        self._node = node
        self._prefix = prefix
        self._mail = mail
        self._speaks = speaks
        self._ours: set[bytes] = set()
        """Topics whose messages concern nobody else."""
        self._topics: dict[bytes, Topic] = {}

    def changed(self) -> None:
        """A device has changed hands."""
        self._ours.clear()

    def sort(self, delivery: Delivery) -> Delivery:
        """What is for the intake. What is not is done when this returns; its place is kept, without topic and payload:
        MQTT wants acknowledgements in the order of the messages, and a broker may break with who does not keep it.
        """
        ours = self._ours
        if all(message.topic in ours for message in delivery.messages):
            return delivery
        kept: list[Inbound] = []
        for message in delivery.messages:
            if message.topic in ours or self._stays(message, delivery.received_ms):
                kept.append(message)
            elif message.mid:
                kept.append(Inbound(DONE, b"", message.mid, False, False))
        return Delivery(delivery.epoch, kept, delivery.received_ms, delivery.received_at)

    def _stays(self, message: Inbound, received_ms: int) -> bool:
        topic = self._topic(message.topic)
        if topic is None:
            return not self._mail(message.topic, message.payload)
        heard_as = self._named(topic)
        if heard_as is None:
            # Of another God on the same broker; or of whom nobody can say whose it is before it has said more.
            if topic.kind not in HARD_WIRED_TO_GOD or not self._node.knows(topic.esp_id):
                return False
        elif not self._node.listens_to(topic.esp_id, heard_as):
            return False
        if message.retain:
            return True  # it may be of long ago
        if heard_as is not None:
            self._speaks(topic.esp_id, topic.kaiser_id)
        tail = message.topic.split(b"/", 4)[4].decode()
        away = self._node.device_said(topic.esp_id, tail, message.payload, received_ms, heard_as)
        if not away and topic.kind not in NEWS and len(self._ours) < MAX_TOPICS:
            self._ours.add(message.topic)
        return not away or topic.kind in MEASURED

    def _named(self, topic: Topic) -> NodeId | None:
        """Whom a device names in its topic: `god` for this node itself. None: nobody."""
        if topic.kind in HARD_WIRED_TO_GOD:
            return None
        if topic.kaiser_id == self._prefix:
            return GOD
        return None if topic.kaiser_id == GOD else topic.kaiser_id

    def _topic(self, name: bytes) -> Topic | None:
        found = self._topics.get(name)
        if found is None:
            try:
                found = parse_topic(name)
            except WireError:
                return None
            if len(self._topics) < MAX_TOPICS:
                self._topics[name] = found
        return found
