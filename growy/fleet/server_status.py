"""`kaiser/{k}/server/status`: tells devices that growyd is there. Retained, repeated, and the last will.

Not cosmetic: a device whose Pi was slower to start than itself refuses every heartbeat acknowledgement until it has
seen `online` here, so it is said on every connect and again every half minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from growy.broker.engine import Will
from growy.model.errors import PublishFailed
from growy.wire import topics
from growy.wire.encode import server_status

REPEAT_S = 30.0


MOST_OTHERS = 32
Said = tuple[str, bytes]
"""Topic and payload."""


class ServerStatus:
    """The messages, and the repetition.

    Args:
        kaiser_id: topic prefix. Devices may have been given others; of those only what is said, not the will.
        wall_ms: Unix ms.
    """

    def __init__(self, kaiser_id: str, wall_ms: Callable[[], int]) -> None:
        self._topic = topics.server_status(kaiser_id)
        self._others: dict[str, None] = {}
        self._wall_ms = wall_ms

    def joins(self, kaiser_id: str) -> list[Said]:
        """There is a device with that id in its topics; what is to be said because of it."""
        topic = topics.server_status(kaiser_id)
        if topic == self._topic or topic in self._others or len(self._others) >= MOST_OTHERS:
            return []
        self._others[topic] = None
        return [(topic, self.online()[1])]

    def online(self) -> Said:
        return self._topic, server_status(True, None, self._wall_ms() // 1000)

    def online_to_all(self) -> list[Said]:
        """For every kaiser id that devices here have in their topics."""
        _, payload = self.online()
        return [(topic, payload) for topic in (self._topic, *self._others)]

    def offline(self) -> Said:
        """Said when growyd is stopped on purpose: devices without rules go to their safe state at once."""
        return self._topic, server_status(False, "graceful_shutdown", self._wall_ms() // 1000)

    def will(self) -> Will:
        payload = server_status(False, "unexpected_disconnect", self._wall_ms() // 1000)
        return Will(topic=self._topic, payload=payload)

    async def repeat(self, publish: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Says `online` again and again, retained; never ends. What fails is made up by the next connect."""
        while True:
            await trio.sleep(REPEAT_S)
            try:
                for said in self.online_to_all():
                    await publish(*said)
            except PublishFailed:
                continue
