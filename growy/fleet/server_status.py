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


class ServerStatus:
    """The messages, and the repetition.

    Args:
        kaiser_id: topic prefix.
        wall_ms: Unix ms.
    """

    def __init__(self, kaiser_id: str, wall_ms: Callable[[], int]) -> None:
        self._topic = topics.server_status(kaiser_id)
        self._wall_ms = wall_ms

    def online(self) -> tuple[str, bytes]:
        return self._topic, server_status(True, None, self._wall_ms() // 1000)

    def offline(self) -> tuple[str, bytes]:
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
                await publish(*self.online())
            except PublishFailed:
                continue
