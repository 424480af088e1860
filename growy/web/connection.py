"""One HTTP/1.1 connection: h11 between a trio stream and the dispatcher, with a limit on everything a client
can do.

One deadline guards the connection and is moved from phase to phase (idle, headers, body, answer), because a
cancel scope per read would cost more than the read. Nothing that a client sends may raise out of here.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import attrs
import h11
import trio

from growy.model.errors import GrowyError
from growy.model.people import Peer
from growy.web.answers import BadRequest, Response
from growy.web.cors import Cors
from growy.web.dispatch import Dispatcher, Request, request_id_of
from growy.web.heads import REASONS, head_bytes, headers_of
from growy.web.limits import Limits
from growy.web.origin import check_host, check_origin
from growy.web.router import Match
from growy.web.upgrade import Upgrade, upgrade_of

READ_SIZE = 16_384
_FORWARDED = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"}
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# No status of success: that would turn the connection of a CONNECT into something else.
_PLACEHOLDER = h11.Response(status_code=400, headers=[("Content-Length", "0")])
_CLOSED = h11.Response(status_code=400, headers=[("Content-Length", "0"), ("Connection", "close")])


class _Phase(enum.Enum):
    IDLE = enum.auto()
    HEADERS = enum.auto()
    BODY = enum.auto()
    WORKING = enum.auto()
    SENDING = enum.auto()


@attrs.define
class ConnectionCounts:
    """Shared by all connections of a server."""

    answers: dict[int, int] = attrs.field(factory=dict)
    """By status."""
    timeouts: int = 0
    """Clients that were too slow with headers or body, or did not read their answer."""
    bytes_sent: int = 0


class HttpConnection:
    """Serves requests on a stream until either side is done with it."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        peer: Peer,
        dispatcher: Dispatcher,
        limits: Limits,
        counts: ConnectionCounts,
        cors: Cors,
    ) -> None:
        self._peer = peer
        self._stream = stream
        self._dispatcher = dispatcher
        self._limits = limits
        self._counts = counts
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header)
        self._scope = trio.CancelScope()
        self._phase = _Phase.IDLE
        self._cors = cors
        self._forget()

    def _forget(self) -> None:
        """Between two requests nothing is known of the next."""
        self._method = "GET"
        self._headers: dict[bytes, bytes] = {}
        self._request_id = ""
        self._request: Request | None = None

    async def run(self) -> Upgrade | None:
        """An Upgrade when the client has asked for a WebSocket: the caller goes on with the stream. Else the
        conversation is over and the caller closes the stream."""
        self._enter(_Phase.IDLE, self._limits.header_timeout)
        try:
            with self._scope:
                return await self._converse()
            await self._timed_out()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client is gone; there is nobody to tell
        return None

    def _enter(self, phase: _Phase, timeout: float) -> None:
        self._phase = phase
        self._scope.deadline = trio.current_time() + timeout

    async def _converse(self) -> Upgrade | None:
        while True:
            try:
                head = await self._next_head()
                if head is None:
                    return None
                reply = await self._reply_to(head)
            except h11.RemoteProtocolError as error:
                reply = self._refusal(error)
            except BadRequest as error:
                reply = self._refusal(error)
            if isinstance(reply, Upgrade):
                return reply
            if not await self._send(await self._finished(reply)):
                return None
            self._protocol.start_next_cycle()
            self._forget()
            self._enter(_Phase.IDLE, self._limits.idle_timeout)

    async def _finished(self, reply: Response) -> Response:
        return await self._dispatcher.finish(reply, self._method, self._headers, self._request_id)

    async def _next_head(self) -> h11.Request | None:
        """None when the client has closed, politely, between two requests."""
        while True:
            event = self._protocol.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            if self._phase is _Phase.IDLE and self._protocol.trailing_data[0]:
                self._enter(_Phase.HEADERS, self._limits.header_timeout)  # it has begun, and is not yet whole
            data = bytes(await self._stream.receive_some(READ_SIZE))
            if self._phase is _Phase.IDLE and data.startswith(b"\r\n"):
                # Some clients end a body with a line too many; h11 would take it for a request (RFC 9112, 2.2).
                self._enter(_Phase.HEADERS, self._limits.header_timeout)
                data = data[2:] or bytes(await self._stream.receive_some(READ_SIZE))
            self._protocol.receive_data(data)

    async def _reply_to(self, head: h11.Request) -> Response | Upgrade:
        self._headers = headers = dict(head.headers)
        self._method = head.method.decode()
        self._request_id = request_id_of(headers)
        self._request = request = self._understood(head, headers)
        if not head.http_version.startswith(b"1."):
            raise BadRequest(505, "growyd speaks HTTP/1.1")
        try:
            host = headers.get(b"host", b"localhost").decode("latin-1")
            check_host(host)
            origin = headers.get(b"origin")
            wants_upgrade = headers.get(b"upgrade", b"").lower() == b"websocket"
            if origin is not None and (wants_upgrade or self._method not in _SAFE):
                self._check_page(origin.decode("latin-1"), host)
            if self._method == "OPTIONS":
                return await self._after_body(self._dispatcher.options(request))
            match = self._dispatcher.find(request)
            if isinstance(match, Response):
                return await self._after_body(match)
            if match.endpoint.handler is None:
                return self._upgrade(head, request, match)
            admission = self._dispatcher.admit(request, match)
        except BadRequest:
            raise
        except GrowyError as error:
            return await self._after_body(self._dispatcher.refuse(error, self._request_id))
        body = await self._body(headers)
        self._enter(_Phase.WORKING, float("inf"))
        return await self._dispatcher.answer(request, match, admission.caller, body)

    def _upgrade(self, head: h11.Request, request: Request, match: Match) -> Upgrade:
        upgrade = upgrade_of(head, request.headers, match.parameters, self._protocol.trailing_data[0])
        try:
            return attrs.evolve(upgrade, admission=self._dispatcher.admit(request, match))
        except GrowyError as error:
            # A browser does not see how a handshake was refused: it is told when it is connected.
            self._dispatcher.counts.errors[error.code] += 1
            return upgrade

    def _check_page(self, origin: str, host: str) -> None:
        """Raises Forbidden: the page comes from elsewhere, and nobody has named it."""
        if not self._cors.allows(origin):
            check_origin(origin, host)

    def _understood(self, head: h11.Request, headers: dict[bytes, bytes]) -> Request:
        size = sum(map(len, headers)) + sum(map(len, headers.values())) + len(head.target)
        if size > self._limits.header:
            raise BadRequest(431, f"The request's headers are larger than {self._limits.header} bytes")
        target = head.target.decode("ascii")
        if target.startswith("/") or (target == "*" and self._method == "OPTIONS"):
            path, _, query = target.partition("?")
        else:  # the absolute form that proxies send, and nonsense
            try:
                url = urlsplit(target)
            except ValueError:  # brackets that hold no address
                url = urlsplit("")
            path, query = url.path or "/", url.query
            if url.scheme not in ("http", "https"):
                raise BadRequest(400, f"{target[:100]!r} is no path")
        peer = self._peer
        if not _FORWARDED.isdisjoint(headers):
            peer = attrs.evolve(peer, forwarded=True)
        return Request(self._method, path, query, headers, self._request_id, peer)

    async def _body(self, headers: dict[bytes, bytes]) -> bytes:
        limit = self._limits.body
        if b"content-length" in headers and int(headers[b"content-length"]) > limit:
            raise _too_large(limit)
        if self._protocol.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            await self._stream.send_all(self._protocol.send(go_on) or b"")
        parts: list[bytes] = []
        size = 0
        while True:
            event = self._protocol.next_event()
            if isinstance(event, h11.Data):
                size += len(event.data)
                if size > limit:
                    raise _too_large(limit)
                parts.append(bytes(event.data))
            elif event is h11.NEED_DATA:
                if self._phase is not _Phase.BODY:
                    self._enter(_Phase.BODY, self._limits.body_timeout)
                self._protocol.receive_data(bytes(await self._stream.receive_some(READ_SIZE)))
            else:
                return b"".join(parts)

    async def _after_body(self, reply: Response) -> Response:
        """A refusal that keeps the connection when the body is small enough to be read past and not held
        back."""
        if self._protocol.they_are_waiting_for_100_continue:
            return attrs.evolve(reply, close=True)
        await self._body(dict[bytes, bytes]())
        return reply

    def _refusal(self, error: h11.RemoteProtocolError | GrowyError) -> Response:
        # A head that could not be understood has given the request no id.
        self._request_id = self._request_id or request_id_of({})
        if isinstance(error, h11.RemoteProtocolError):
            error = BadRequest(error.error_status_hint, f"The request is not valid HTTP/1.1: {error}")
        return self._dispatcher.refuse(error, self._request_id)

    async def _send(self, reply: Response) -> bool:
        """True when the connection can take another request."""
        if self._protocol.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            if reply.stream is not None:
                await reply.stream.aclose()
            return False
        headers = headers_of(reply, self._request_id, self._cors.headers(self._headers))
        self._counts.answers[reply.status] = self._counts.answers.get(reply.status, 0) + 1
        if reply.stream is None:
            body = b"" if self._method == "HEAD" else reply.body
            await self._write(self._whole_head(reply, headers) + body)
        else:
            reason = REASONS.get(reply.status, b"")
            head = h11.Response(status_code=reply.status, headers=headers, reason=reason)
            data = self._protocol.send(head) or b""
            if reply.body and self._method != "HEAD":
                data += self._protocol.send(h11.Data(data=reply.body)) or b""
            if not await self._send_stream(data, reply.stream):
                return False
        if self._protocol.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            return True
        await linger(self._stream, self._limits.linger)
        return False

    def _whole_head(self, reply: Response, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The head of an answer of known length, written here: h11 checks every header of ours by regular expressions,
        which is a quarter of a small request's cost. What it decides itself - whether the connection goes on - it
        decides by a placeholder, which it sends to nobody."""
        told = (self._protocol.send(_CLOSED if reply.close else _PLACEHOLDER) or b"") + (
            self._protocol.send(h11.EndOfMessage()) or b""
        )
        if not reply.close and b"onnection: close\r\n" in told:
            headers.append((b"Connection", b"close"))
        return head_bytes(reply.status, headers)

    async def _write(self, data: bytes) -> None:
        self._enter(_Phase.SENDING, self._limits.send_timeout + len(data) / 65_536)
        await self._stream.send_all(data)
        self._counts.bytes_sent += len(data)

    async def _send_stream(self, begin: bytes, pieces: AsyncGenerator[bytes, None]) -> bool:
        """The next piece is made when the client has taken the one before. False: the source has failed."""
        whole = False
        try:
            await self._write(begin)
            while self._method != "HEAD":
                self._enter(_Phase.WORKING, float("inf"))
                try:
                    piece = await anext(pieces, None)
                except Exception as error:  # noqa: BLE001 - counted and logged; nobody can be answered any more
                    assert self._request is not None
                    self._dispatcher.broke_off(error, self._request)
                    return False
                if piece is None:
                    break
                if piece:
                    await self._write(self._protocol.send(h11.Data(data=piece)) or b"")
            await self._write(self._protocol.send(h11.EndOfMessage()) or b"")
            whole = True
        finally:
            # Whatever ended it - the source, the client's slowness, the stop of growyd - nobody may take what came for
            # the whole.
            if not whole:
                self._protocol.send_failed()
                reset_at_close(self._stream)
            try:
                await pieces.aclose()
            finally:
                if not whole:
                    await trio.aclose_forcefully(self._stream)  # no goodbye of TLS either
        return True

    async def _timed_out(self) -> None:
        if self._phase is _Phase.IDLE:
            return
        self._counts.timeouts += 1
        if self._phase in (_Phase.HEADERS, _Phase.BODY):
            late = BadRequest(408, "The request took too long to arrive")
            with trio.move_on_after(self._limits.linger):
                await self._send(self._refusal(late))


def _too_large(limit: int) -> BadRequest:
    return BadRequest(
        413, f"The body is larger than {limit} bytes", cure="[web] max_body sets how much growyd takes"
    )


async def linger(stream: trio.abc.Stream, seconds: float) -> None:
    """Let the client read our last words: end our side, and read away what it still sends, for a moment."""
    if isinstance(stream, trio.abc.HalfCloseableStream):
        await stream.send_eof()
    with trio.move_on_after(seconds):
        while await stream.receive_some(READ_SIZE):
            pass


def reset_at_close(stream: trio.abc.Stream) -> None:
    """The client is to see a reset: an orderly close would tell HTTP/1.0, whose bodies end with the connection, that
    this was all."""
    socket_stream = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if isinstance(socket_stream, trio.SocketStream):
        with contextlib.suppress(OSError):  # closed already
            socket_stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
