"""What the devices on this node's own broker say, told to those who own them. Must never say a device's word to a node
that is not its owner: whoever hears a heartbeat answers it.
"""

from __future__ import annotations

from collections.abc import Callable

from growy.hierarchy.estate import Estate
from growy.model.control import Tenure
from growy.model.hierarchy import NodeId
from growy.model.tree_messages import RelayUp

HEARTBEAT = "system/heartbeat"
FRESH_MS = 90_000
"""The firmware says one every 60 s."""


class Home:
    """Trio thread only.

    Args:
        me: this node. owner: whose a device is; empty: nobody has said.
        tell: sends to that node.
    """

    def __init__(
        self,
        me: NodeId,
        *,
        owner: Callable[[str], NodeId],
        tenure: Callable[[str], Tenure],
        tell: Callable[[NodeId, RelayUp], None],
        estate: Estate,
    ) -> None:
        self._me = me
        self._owner = owner
        self._tenure = tenure
        self._tell = tell
        self._estate = estate
        self._beats: dict[str, tuple[NodeId, RelayUp]] = {}
        """Of each device, the last heartbeat, and the node that was told of it."""
        self.relayed = 0

    def keep(self, said: RelayUp) -> bool:
        """Whether it is one by which the device shows that it is here: a heartbeat, or the first word of all."""
        if said.tail != HEARTBEAT and said.esp_id in self._beats:
            return False
        self._beats[said.esp_id] = (self._me, said)
        return True

    def relay(self, said: RelayUp) -> None:
        owner = self._owner(said.esp_id)
        if owner and owner != self._me:
            self.relayed += 1
            self._tell(owner, said)
            if said.tail == HEARTBEAT:
                self._beats[said.esp_id] = (owner, said)

    def show_around(self, now_ms: int) -> None:
        """A new owner of a device here need not wait a minute for the next heartbeat: it hears the last. Not one that
        is so old that the device may be dead, or elsewhere."""
        for esp_id, (told, said) in list(self._beats.items()):
            if not 0 <= now_ms - said.received_ms <= FRESH_MS:
                del self._beats[esp_id]
                continue
            owner = self._owner(esp_id)
            if owner in ("", told) or said.tail != HEARTBEAT:
                continue
            if owner != self._me:
                self.relay(said)
                continue
            self._beats[esp_id] = (owner, said)
            if self._tenure(esp_id) is Tenure.OURS:
                self._estate.heard_again(esp_id, said.tail, said.payload, said.received_ms)
