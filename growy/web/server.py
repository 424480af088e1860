"""The web server: opens the doors, gives each connection its task, counts. Everything a client says is
handled elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from growy.config import WebConfig
from growy.model.people import Peer
from growy.ops.log import get_log
from growy.web.accounts.accounts import Accounts
from growy.web.answers import TooBusy, error_answer
from growy.web.api import ENDPOINTS
from growy.web.app import App
from growy.web.connection import ConnectionCounts, HttpConnection, linger
from growy.web.cors import Cors
from growy.web.dispatch import Dispatcher
from growy.web.limits import Limits
from growy.web.listeners import open_tcp, open_unix
from growy.web.origin import is_loopback
from growy.web.router import Endpoint, Router
from growy.web.statistics import WebStatistics
from growy.web.tls import Certificate, TlsListener, certificate_of
from growy.web.websocket import serve_live

log = get_log(__name__)


@attrs.define
class _Door:
    listener: trio.SocketListener
    tls: Certificate | None = None
    local: bool = False
    """The unix socket: who may open its file may do everything."""
    open: int = 0
    turning_away: int = 0

    @property
    def entrance(self) -> trio.abc.Listener[trio.abc.Stream]:
        if self.tls is None:
            return self.listener
        return TlsListener(self.listener, self.tls)

    @contextmanager
    def occupied(self) -> Iterator[None]:
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


class Web:
    """An open web server; see `open_web`."""

    def __init__(
        self, doors: list[_Door], app: App, limits: Limits, endpoints: Iterable[Endpoint], cors: Cors
    ) -> None:
        self._doors = doors
        self._limits = limits
        self._cors = cors
        self._app = attrs.evolve(app, parts={**app.parts, "web": self.statistics})
        self._dispatcher = Dispatcher(self._app, Router(endpoints))
        self._counts = ConnectionCounts()
        self._connections_total = 0
        self._refused = 0
        self._faults = 0
        self._scope = trio.CancelScope()

    @property
    def accounts(self) -> Accounts:
        return self._app.accounts

    @property
    def port(self) -> int:
        """The TCP port, also when the kernel chose it."""
        return int(self._doors[0].listener.socket.getsockname()[1])

    @property
    def host(self) -> str:
        return str(self._doors[0].listener.socket.getsockname()[0])

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._doors[0].tls else 'http'}://{host}:{self.port}"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; live clients are told 1001 then."""
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            for door in self._doors:
                serve: Callable[[Any], Awaitable[None]] = partial(self._serve, door)
                await nursery.start(trio.serve_listeners, serve, [door.entrance])
            if self._doors[0].tls is None and not is_loopback(self.host):
                log.warning(
                    "passwords go through the network in the clear",
                    url=self.url,
                    cure="growyd certs, and [web] cert_file",
                )
            if (certificate := self._doors[0].tls) is not None:
                nursery.start_soon(certificate.run)
            task_status.started()

    def look_at_certificate(self) -> None:
        """Whether there is a newer one, without waiting for the next look. Returns at once."""
        if (certificate := self._doors[0].tls) is not None:
            certificate.look_soon()

    def stop(self) -> None:
        """End `run`: connections are closed, live clients are told."""
        self._scope.cancel()

    def statistics(self) -> WebStatistics:
        dispatched = self._dispatcher.counts
        return WebStatistics(
            connections=sum(door.open for door in self._doors),
            connections_total=self._connections_total,
            refused=self._refused,
            requests=dispatched.requests,
            answers={str(status): count for status, count in sorted(self._counts.answers.items())},
            errors=dict(dispatched.errors),
            timeouts=self._counts.timeouts,
            faults=dispatched.faults + self._faults,
            bytes_sent=self._counts.bytes_sent,
        )

    async def _serve(self, door: _Door, stream: trio.abc.Stream) -> None:
        try:
            async with self._closing(stream):
                if door.open >= self._limits.connections:
                    await self._turn_away(door, stream)
                else:
                    with door.occupied():
                        self._connections_total += 1
                        await self._converse(door, stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client is gone
        except Exception as error:  # noqa: BLE001 - a fault of ours costs one connection, counted and logged
            self._faults += 1
            log.once_per("connection failed").error("connection failed", exc_info=error)

    @asynccontextmanager
    async def _closing(self, stream: trio.abc.Stream) -> AsyncIterator[None]:
        try:
            yield
        finally:
            # TLS says goodbye, and before that its greeting if that is still owed: nobody waits long for either.
            with trio.move_on_after(self._limits.linger):
                await stream.aclose()

    async def _converse(self, door: _Door, stream: trio.abc.Stream) -> None:
        peer = Peer("", local=True) if door.local else Peer(address_of_peer(stream))
        connection = HttpConnection(stream, peer, self._dispatcher, self._limits, self._counts, self._cors)
        upgrade = await connection.run()
        if upgrade is not None:
            hub, limits, admission = self._app.hub, self._limits, upgrade.admission
            await serve_live(
                stream, upgrade.handshake, upgrade.rest, upgrade.client_id, hub, limits, admission
            )

    async def _turn_away(self, door: _Door, stream: trio.abc.Stream) -> None:
        """Say why and close, unless even that has become a crowd."""
        self._refused += 1
        if door.turning_away >= self._limits.connections:
            return
        door.turning_away += 1
        try:
            with trio.move_on_after(self._limits.linger):
                crowd = TooBusy(f"More than {self._limits.connections} clients", cure="Try again in a moment")
                reply = error_answer(crowd, "none")
                head = (
                    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
                    b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(reply.body)
                )
                await stream.send_all(head + reply.body)
                await linger(stream, self._limits.linger)
        finally:
            door.turning_away -= 1


def address_of_peer(stream: trio.abc.Stream) -> str:
    """Of whoever is at the other end. An IPv4 address that came through an IPv6 door is written as the former.

    Raises trio.BrokenResourceError: nobody is there any more.
    """
    plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    assert isinstance(plain, trio.SocketStream)
    try:
        return str(plain.socket.getpeername()[0]).removeprefix("::ffff:")
    except OSError as error:  # ENOTCONN: it has reset the connection before anybody looked
        raise trio.BrokenResourceError("the client is gone") from error


@asynccontextmanager
async def open_web(
    config: WebConfig,
    socket_path: Path | None,
    app: App,
    *,
    limits: Limits | None = None,
    endpoints: Iterable[Endpoint] = ENDPOINTS,
) -> AsyncIterator[Web]:
    """The web server with its doors open; clients wait until `run` is started.

    Args:
        config: [web]; port 0 takes a free port (see `Web.port`).
        socket_path: unix socket for the local command line; None for none.
        limits: default those of the config.
        endpoints: what is served.

    Raises:
        ConfigError: an address or a certificate that cannot be used, a socket path that cannot be.
        PortInUse: the port or the socket is taken.
    """
    async with AsyncExitStack() as stack:
        tls = certificate_of(config)
        doors = [_Door(await stack.enter_async_context(await open_tcp(config)), tls)]
        if socket_path is not None:
            doors.append(_Door(await stack.enter_async_context(open_unix(socket_path)), local=True))
        yield Web(doors, app, limits or Limits.of(config), endpoints, Cors.of(config.allowed_origins))
