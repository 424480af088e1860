"""`kaiser/{k}/server/status`: tells devices that growyd is there. Retained under our own
id, repeated, and the last will.

Not cosmetic: a device whose Pi was slower to start than itself refuses every heartbeat acknowledgement until it has
seen `online` here, so it is said on every connect and again every half minute.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import trio

from growy.broker.engine import Will
from growy.model.errors import PublishFailed
from growy.wire import topics
from growy.wire.encode import server_status

REPEAT_S = 30.0


class Publish(Protocol):
    """As `Link.publish`."""

    async def __call__(self, topic: str, payload: bytes, *, retain: bool = False) -> None: ...


MOST_OTHERS = 32
Said = tuple[str, bytes, bool]
"""Topic, payload, and whether the broker is to keep it."""


class ServerStatus:
    """The messages, and the repetition.

    Args:
        kaiser_id: topic prefix. Devices may have been given others. What is said under those the broker does not keep:
            a connection has one will, and nobody would take back what stands there when growyd dies.
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
        return [(topic, server_status(True, None, self._wall_ms() // 1000), False)]

    def hello(self) -> tuple[str, bytes]:
        """The first word of a connection; to be retained."""
        return self._topic, server_status(True, None, self._wall_ms() // 1000)

    def online(self) -> list[Said]:
        """Under every kaiser id that devices here have in their topics."""
        return self._said(server_status(True, None, self._wall_ms() // 1000))

    def offline(self) -> list[Said]:
        """Said when growyd is stopped on purpose: devices without rules go to their safe state at once."""
        return self._said(server_status(False, "graceful_shutdown", self._wall_ms() // 1000))

    def _said(self, payload: bytes) -> list[Said]:
        return [(self._topic, payload, True), *((topic, payload, False) for topic in self._others)]

    def will(self) -> Will:
        payload = server_status(False, "unexpected_disconnect", self._wall_ms() // 1000)
        return Will(topic=self._topic, payload=payload)

    async def repeat(self, publish: Publish) -> None:
        """Says `online` again and again; never ends. What fails is made up by the next connect."""
        while True:
            await trio.sleep(REPEAT_S)
            with suppress(PublishFailed):
                for topic, payload, retain in self.online():
                    await publish(topic, payload, retain=retain)
