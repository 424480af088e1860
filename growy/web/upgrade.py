"""The request that turns an HTTP connection into a WebSocket: checked here, so that wsproto never meets a bad
one. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import attrs
import h11

from growy.web.answers import BadRequest
from growy.web.gate import Admission
from growy.web.websocket import CLIENT_ID, handshake_bytes, new_client_id


@attrs.frozen
class Upgrade:
    """A checked WebSocket handshake."""

    handshake: bytes
    """See `handshake_bytes`."""
    rest: bytes
    """What the client has sent after the handshake."""
    client_id: str
    admission: Admission | None = None
    """None: nobody that may watch. The connection is accepted to say so."""


def upgrade_of(
    head: h11.Request, headers: Mapping[bytes, bytes], parameters: Mapping[str, str], rest: bytes
) -> Upgrade:
    """Raises BadRequest: 426 for a plain request, 400 for a broken handshake.

    Args:
        parameters: of the path; `client_id` names the client where the path has one.
        rest: what the client has sent after the head.
    """
    if headers.get(b"upgrade", b"").lower() != b"websocket":
        raise BadRequest(426, "This is a WebSocket", cure="Ask for it with a WebSocket client (ws://)")
    tokens = {token.strip() for token in headers.get(b"connection", b"").lower().split(b",")}
    if head.http_version != b"1.1" or b"upgrade" not in tokens or b"transfer-encoding" in headers:
        raise BadRequest(400, "The WebSocket handshake is broken")
    if headers.get(b"content-length", b"0") != b"0":
        raise BadRequest(400, "A WebSocket handshake has no body")
    if headers.get(b"sec-websocket-version") != b"13":
        raise BadRequest(426, "Only WebSocket version 13 is known")
    if not _is_key(headers.get(b"sec-websocket-key", b"")):
        raise BadRequest(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    client_id = parameters.get("client_id") or new_client_id()
    if not CLIENT_ID.fullmatch(client_id):
        raise BadRequest(400, "The client id may have 1 to 64 letters, digits and _.:~-")
    return Upgrade(handshake_bytes(head.target, head.headers.raw_items()), rest, client_id)


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
