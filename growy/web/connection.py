"""One HTTP/1.1 connection: h11 between a trio stream and the dispatcher, with a limit on everything a client
can do.

One deadline guards the connection and is moved from phase to phase (idle, headers, body, answer), because a
cancel scope per read would cost more than the read. Nothing that a client sends may raise out of here.
"""

from __future__ import annotations

import enum
import http
import time
from email.utils import formatdate
from urllib.parse import urlsplit

import attrs
import h11
import trio

from growy.model.errors import GrowyError
from growy.model.people import Peer
from growy.web.answers import BadRequest, Response
from growy.web.dispatch import Dispatcher, Request, request_id_of
from growy.web.limits import Limits
from growy.web.origin import check_host, check_origin
from growy.web.router import Match
from growy.web.upgrade import Upgrade, upgrade_of

READ_SIZE = 16_384
_REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}
_FORWARDED = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"}
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


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


class _Clock:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def date(self) -> bytes:
        if (now := int(time.time())) != self._second:
            self._second = now
            self._text = formatdate(now, usegmt=True).encode()
        return self._text


_clock = _Clock()


class HttpConnection:
    """Serves requests on a stream until either side is done with it."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        peer: Peer,
        dispatcher: Dispatcher,
        limits: Limits,
        counts: ConnectionCounts,
    ) -> None:
        self._peer = peer
        self._stream = stream
        self._dispatcher = dispatcher
        self._limits = limits
        self._counts = counts
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header)
        self._scope = trio.CancelScope()
        self._phase = _Phase.IDLE
        self._method = "GET"
        self._request_id = request_id_of({})

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
                reply = self._dispatcher.refuse(error, self._request_id)
            if isinstance(reply, Upgrade):
                return reply
            if not await self._send(reply):
                return None
            self._protocol.start_next_cycle()
            self._method, self._request_id = "GET", request_id_of({})
            self._enter(_Phase.IDLE, self._limits.idle_timeout)

    async def _next_head(self) -> h11.Request | None:
        """None when the client has closed, politely, between two requests."""
        while True:
            event = self._protocol.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            if self._phase is _Phase.IDLE and self._protocol.trailing_data[0]:
                self._enter(_Phase.HEADERS, self._limits.header_timeout)  # pipelined, and not yet whole
            data = await self._stream.receive_some(READ_SIZE)
            if self._phase is _Phase.IDLE:
                self._enter(_Phase.HEADERS, self._limits.header_timeout)
            self._protocol.receive_data(bytes(data))

    async def _reply_to(self, head: h11.Request) -> Response | Upgrade:
        headers = dict(head.headers)
        self._method = head.method.decode()
        self._request_id = request_id_of(headers)
        request = self._request(head, headers)
        try:
            host = headers.get(b"host", b"localhost").decode("latin-1")
            check_host(host)
            origin = headers.get(b"origin")
            wants_upgrade = headers.get(b"upgrade", b"").lower() == b"websocket"
            if origin is not None and (wants_upgrade or self._method not in _SAFE):
                check_origin(origin.decode("latin-1"), host)
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

    def _request(self, head: h11.Request, headers: dict[bytes, bytes]) -> Request:
        if (
            sum(len(name) + len(value) for name, value in headers.items()) + len(head.target)
            > self._limits.header
        ):
            raise BadRequest(431, f"The request's headers are larger than {self._limits.header} bytes")
        target = head.target.decode("ascii")
        if target.startswith("/"):
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
        too_large = BadRequest(
            413, f"The body is larger than {limit} bytes", cure="[web] max_body sets how much growyd takes"
        )
        if int(headers.get(b"content-length", b"0")) > limit:
            raise too_large
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
                    raise too_large
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

    def _refusal(self, error: h11.RemoteProtocolError) -> Response:
        told = BadRequest(error.error_status_hint, f"The request is not valid HTTP/1.1: {error}")
        return self._dispatcher.refuse(told, self._request_id)

    async def _send(self, reply: Response) -> bool:
        """True when the connection can take another request."""
        protocol = self._protocol
        if protocol.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return False
        headers = [
            *(() if reply.status == 204 else _content(reply)),  # which has none, and must not speak of it
            (b"X-Request-ID", self._request_id.encode()),
            (b"Date", _clock.date()),
            (b"Cache-Control", b"no-store"),
            (b"X-Content-Type-Options", b"nosniff"),
            *reply.headers,
        ]
        if reply.close:
            headers.append((b"Connection", b"close"))
        reason = _REASONS.get(reply.status, b"")
        data = protocol.send(h11.Response(status_code=reply.status, headers=headers, reason=reason)) or b""
        if reply.body and self._method != "HEAD":
            data += protocol.send(h11.Data(data=reply.body)) or b""
        data += protocol.send(h11.EndOfMessage()) or b""
        self._enter(_Phase.SENDING, self._limits.send_timeout + len(data) / 65_536)
        self._counts.answers[reply.status] = self._counts.answers.get(reply.status, 0) + 1
        await self._stream.send_all(data)
        self._counts.bytes_sent += len(data)
        if self._protocol.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            return True
        await linger(self._stream, self._limits.linger)
        return False

    async def _timed_out(self) -> None:
        if self._phase is _Phase.IDLE:
            return
        self._counts.timeouts += 1
        if self._phase in (_Phase.HEADERS, _Phase.BODY):
            late = BadRequest(408, "The request took too long to arrive")
            with trio.move_on_after(self._limits.linger):
                await self._send(self._dispatcher.refuse(late, self._request_id))


def _content(reply: Response) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"Content-Type", reply.content_type), (b"Content-Length", b"%d" % len(reply.body)))


async def linger(stream: trio.abc.Stream, seconds: float) -> None:
    """Let the client read our last words: end our side, and read away what it still sends, for a moment."""
    if isinstance(stream, trio.abc.HalfCloseableStream):
        await stream.send_eof()
    with trio.move_on_after(seconds):
        while await stream.receive_some(READ_SIZE):
            pass
