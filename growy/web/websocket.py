"""One live client's connection: trio-websocket on a socket that h11 has read the handshake from.

Three tasks: what the client says, what it is sent, and whether it is still there. A client that does not read
can only delay itself: what it is owed waits in its `Feed`, which is bounded.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from growy.model.errors import Invalid
from growy.ops.log import get_log
from growy.web.feed import Feed
from growy.web.gate import Admission
from growy.web.limits import Limits
from growy.web.live import LiveHub
from growy.web.subscription import Clear, PingRequest, Remove, parse

log = get_log(__name__)

TOO_SLOW = 1013
"""RFC 6455 registry: "try again later". Also for one client too many."""
NOT_ADMITTED = 4001
"""The existing frontend's number: no login, or one that counts no longer."""
GOING_AWAY = 1001
CLIENT_ID = re.compile(r"[A-Za-z0-9_.:~-]{1,64}")


def new_client_id() -> str:
    return f"client-{secrets.token_hex(6)}"


class ReplayStream(trio.abc.Stream):
    """A stream whose first bytes have been read already: gives them again, then the rest.

    `head` comes at once, everything else only after `accepted`: trio-websocket reads on while the handshake is being
    answered, and what it reads then is looked at only when the next bytes come.
    """

    def __init__(self, head: bytes, rest: bytes, stream: trio.abc.Stream) -> None:
        self._parts = [part for part in (head, rest) if part]
        self._stream = stream
        self._given = False
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
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


def handshake_bytes(target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The request as h11 has parsed and checked it, for wsproto to read."""
    lines = [b"GET %b HTTP/1.1" % target, *(b"%b: %b" % header for header in headers), b"", b""]
    return b"\r\n".join(lines)


async def serve_live(
    stream: trio.abc.Stream,
    handshake: bytes,
    rest: bytes,
    client_id: str,
    hub: LiveHub,
    limits: Limits,
    admission: Admission | None,
) -> None:
    """Serve one live client until it goes, is given up, or the server is cancelled (it is told 1001 then).

    Args:
        stream: the socket; closed on return.
        handshake: see `handshake_bytes`; must be a valid WebSocket upgrade.
        rest: what the client has sent after it.
        admission: the client's; None: it may not watch, and is told so by close code 4001.
    """
    try:
        async with trio.open_nursery() as nursery:
            try:
                await _greet(
                    nursery, ReplayStream(handshake, rest, stream), client_id, hub, limits, admission
                )
            finally:
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(stream)
                nursery.cancel_scope.cancel()
    except* ConnectionClosed:
        pass  # gone in the middle of a greeting, or of being told of its own broken frame


async def _greet(
    nursery: trio.Nursery,
    stream: ReplayStream,
    client_id: str,
    hub: LiveHub,
    limits: Limits,
    admission: Admission | None,
) -> None:
    socket: WebSocketConnection | None = None
    with trio.move_on_after(limits.handshake_timeout):
        request = await wrap_server_stream(nursery, stream, max_message_size=limits.websocket_message)
        socket = await request.accept()
        stream.accepted.set()
    if socket is None:
        return
    if admission is None:
        await _close(socket, NOT_ADMITTED, "log in first", limits.websocket_close)
    else:
        await _serve(socket, client_id, hub, limits)


async def _serve(socket: WebSocketConnection, client_id: str, hub: LiveHub, limits: Limits) -> None:
    if hub.clients >= limits.websockets:
        hub.refused += 1
        await _close(socket, TOO_SLOW, f"more than {limits.websockets} live clients", limits.websocket_close)
        return
    session = _Session(socket, client_id, hub, limits)
    # When growyd stops, trio-websocket's reader is cancelled too and cannot see the client's answer: no waiting then.
    code, reason, patience = GOING_AWAY, "growyd stops", 0.05
    try:
        code, reason = await session.run()
        patience = limits.websocket_close
    finally:
        await _close(socket, code, reason, patience)


async def _close(socket: WebSocketConnection, code: int, reason: str, patience: float) -> None:
    # Shielded: this also runs when the server is being cancelled, and the client should learn why it is cut off.
    with trio.move_on_after(patience, shield=True):
        await socket.aclose(code, reason)


class _Session:
    def __init__(self, socket: WebSocketConnection, client_id: str, hub: LiveHub, limits: Limits) -> None:
        self._socket = socket
        self._hub = hub
        self._limits = limits
        self._news = trio.Event()
        self._scope = trio.CancelScope()
        self._end = (1000, "")
        self._feed: Feed = hub.join(client_id, self._wake)

    async def run(self) -> tuple[int, str]:
        """Close code and reason for the client."""
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._listen)
                nursery.start_soon(self._send)
                nursery.start_soon(self._keep_alive)
        finally:
            self._hub.leave(self._feed)
        return self._end

    def _wake(self) -> None:
        self._news.set()
        if self._feed.overflowed:
            self._give_up("too slow: it does not read its events")

    def _give_up(self, why: str) -> None:
        if self._scope.cancel_called:
            return
        self._hub.too_slow += 1
        log.warning("live client closed", client_id=self._feed.client_id, reason=why)
        self._end = (TOO_SLOW, "too slow")
        self._scope.cancel()

    async def _say(self, text: str) -> None:
        """Send, or give the client up. A send that was cut off half way leaves the connection unusable."""
        with trio.move_on_after(self._limits.send_timeout) as scope:
            try:
                await self._socket.send_message(text)
            except ConnectionClosed:
                self._scope.cancel()
        if scope.cancelled_caught:
            self._give_up("too slow: it does not read")
            await trio.lowlevel.checkpoint()

    async def _listen(self) -> None:
        hub, feed = self._hub, self._feed
        welcome = {"client_id": feed.client_id, "message": "Connected to growyd"}
        # The welcome is read by its top-level fields, every other message by its envelope: it has both.
        text = hub.envelope("connection_established", welcome)
        await self._say(f'{text[:-1]},"client_id":"{feed.client_id}","message":"{welcome["message"]}"}}')
        try:
            while True:
                await self._say(self._answer(await self._socket.get_message()))
        except ConnectionClosed:
            self._scope.cancel()

    def _answer(self, said: str | bytes) -> str:
        hub, feed = self._hub, self._feed
        try:
            message = parse(said)
            if isinstance(message, PingRequest):
                return hub.envelope("pong", {"timestamp": message.timestamp})
            hub.obey(feed, message)
        except Invalid as error:
            told = {"code": error.code, "numeric_code": error.numeric_code, "message": str(error)}
            return hub.envelope("error", told | {"details": error.details})
        kind = "unsubscribed" if isinstance(message, Clear | Remove) else "subscribed"
        return hub.envelope(kind, feed.subscription.describe())

    async def _send(self) -> None:
        """Events at once; readings at most every `flush_interval`, the first after a quiet time at once."""
        feed, limits = self._feed, self._limits
        next_flush = 0.0
        while True:
            await self._send_events()
            if not feed.readings_waiting:
                feed.listening = True
                await self._wait_for_news()
                continue
            if (now := trio.current_time()) >= next_flush:
                next_flush = now + limits.flush_interval
                for text in self._hub.take(feed, limits.flush_readings):
                    await self._say(text)
                    await self._send_events()
                continue
            feed.listening = False  # only an event may end this pause
            with trio.move_on_at(next_flush):
                await self._wait_for_news()

    async def _send_events(self) -> None:
        while (text := self._feed.next_event()) is not None:
            await self._say(text)
            self._hub.events_sent += 1

    async def _wait_for_news(self) -> None:
        # No checkpoint between the look at the feed and this: what came in between has set the old event.
        if self._feed.events_waiting:
            return
        self._news = trio.Event()
        await self._news.wait()

    async def _keep_alive(self) -> None:
        """A ping for each half idle time, a pong within the other half, or the peer is gone."""
        half = self._limits.idle_timeout / 2
        while True:
            await trio.sleep(half)
            try:
                with trio.fail_after(half):
                    await self._socket.ping()
            except trio.TooSlowError:
                log.info("live client closed", client_id=self._feed.client_id, reason="no answer to ping")
                self._end = (GOING_AWAY, "no answer to ping")
                self._scope.cancel()
                return
            except ConnectionClosed:
                self._scope.cancel()
                return
