"""One live client's connection, from the handshake that h11 has read to the close that says why: trio-websocket on the
same socket. What is said in between is `session`'s.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from growy.web.events import Dialect
from growy.web.gate import Admission
from growy.web.limits import Limits
from growy.web.live import LiveHub
from growy.web.session import GOING_AWAY, NOT_ADMITTED, TOO_SLOW, Session
from growy.web.stream import ReplayStream

CLIENT_ID = re.compile(r"[A-Za-z0-9_.:~-]{1,64}")


def new_client_id() -> str:
    return f"client-{secrets.token_hex(6)}"


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
    dialect = Dialect.PLAIN
    with trio.move_on_after(limits.handshake_timeout):
        request = await wrap_server_stream(nursery, stream, max_message_size=limits.websocket_message)
        dialect = _dialect(request.proposed_subprotocols)
        socket = await request.accept(subprotocol=dialect.value or None)
        stream.accepted.set()
    if socket is None:
        return
    if admission is None:
        hub.unauthorized += 1
        await _close(socket, NOT_ADMITTED, "log in first", limits.websocket_close)
    elif hub.clients >= limits.websockets:
        hub.refused += 1
        crowd = f"more than {limits.websockets} live clients"
        await _close(socket, TOO_SLOW, crowd, limits.websocket_close)
    else:
        await _serve(socket, limits, Session(socket, stream, client_id, dialect, hub, limits, admission))


def _dialect(proposed: Iterable[str]) -> Dialect:
    """The first that both sides know; plain where the client has asked for none of them."""
    known = {dialect.value: dialect for dialect in Dialect if dialect.batched}
    return next((known[one] for one in proposed if one in known), Dialect.PLAIN)


async def _serve(socket: WebSocketConnection, limits: Limits, session: Session) -> None:
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
