"""The stream under a live client's WebSocket: it gives the handshake again that h11 has read, and lets several tasks
write whole frames."""

from __future__ import annotations

import trio


class ReplayStream(trio.abc.Stream):
    """A stream whose first bytes have been read already: gives them again, then the rest.

    `head` comes at once, everything else only after `accepted`: trio-websocket reads on while the handshake is being
    answered, and what it reads then is looked at only when the next bytes come.
    """

    def __init__(self, head: bytes, rest: bytes, stream: trio.abc.Stream) -> None:
        self._parts = [part for part in (head, rest) if part]
        self._stream = stream
        self._given = False
        self._turn = trio.Lock()
        self.accepted = trio.Event()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._given:
            await self.accepted.wait()
        self._given = True
        if self._parts:
            await trio.lowlevel.checkpoint()
            return self._parts.pop(0)
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """One task's frames after the other's."""
        try:
            self._turn.acquire_nowait()  # `acquire` would let all other tasks run first
        except trio.WouldBlock:
            await self._turn.acquire()
        try:
            await self._stream.send_all(data)
        finally:
            self._turn.release()

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
