"""The gate: who makes this request, and may they call this endpoint. Every request passes here, over HTTP or as a
WebSocket handshake, on whichever door it came; what is not allowed is refused.

Answers from memory, without a query: it is asked before the body of a request is read. Never logs a credential.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol
from urllib.parse import parse_qsl

import attrs
import trio

from growy.model.errors import AccessDenied, Unauthorized
from growy.model.people import ANYBODY, LOCAL, Caller, Peer, Role
from growy.web.router import Endpoint

NOT_VALID = "Could not validate credentials"
_LONGEST_CREDENTIAL = 4096


@attrs.frozen(eq=False)
class Admission:
    """Somebody was let in, and for how long."""

    caller: Caller
    expires_s: float = math.inf
    """By the trio clock: what outlives its request must end then."""
    ended: trio.Event = attrs.field(factory=trio.Event)
    """Set when the credentials are revoked: what outlives its request must end at once."""


_LOCAL, _ANYBODY = Admission(LOCAL), Admission(ANYBODY)
"""Nobody can revoke these."""


class Credentials(Protocol):
    """What knows tokens and keys. Never waits."""

    def of_token(self, token: str, peer: Peer) -> Admission:
        """Of an access token, or a key where only a token can be sent. Raises Unauthorized."""
        ...

    def of_key(self, key: str, peer: Peer) -> Admission:
        """Raises Unauthorized."""
        ...

    def denied(self, caller: Caller, what: str, peer: Peer) -> None:
        """Told of somebody who asked for what they may not do."""
        ...


class Gate:
    """Admits or refuses.

    Args:
        credentials: who knows them.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def admit(self, endpoint: Endpoint, headers: Mapping[bytes, bytes], query: str, peer: Peer) -> Admission:
        """Lets a request pass.

        Args:
            headers: lower-case names.
            query: as sent; a WebSocket may carry its token there, because browsers cannot set its headers.

        Raises:
            Unauthorized: not without credentials, or not with these.
            AccessDenied: not with this role or this key.
        """
        needed = endpoint.auth.role
        if needed is None:
            return self._anybody(endpoint, headers, peer)
        admission = self._who(headers, query if endpoint.handler is None else "", peer)
        try:
            check(admission.caller, endpoint, needed)
        except AccessDenied:
            self._credentials.denied(admission.caller, f"{endpoint.method} {endpoint.path}", peer)
            raise
        return admission

    def _anybody(self, endpoint: Endpoint, headers: Mapping[bytes, bytes], peer: Peer) -> Admission:
        """Of a public endpoint: credentials are looked at only where its handler wants to know, and need not count."""
        if peer.trusted:
            return _LOCAL
        if endpoint.knows_caller:
            with suppress(Unauthorized):
                return self._who(headers, "", peer)
        return _ANYBODY

    def _who(self, headers: Mapping[bytes, bytes], query: str, peer: Peer) -> Admission:
        if peer.trusted:
            return _LOCAL
        if (said := headers.get(b"authorization")) is not None:
            scheme, _, token = said.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthorized(NOT_VALID)
            return self._credentials.of_token(_short(token.strip()), peer)
        if (said := headers.get(b"x-api-key")) is not None:
            return self._credentials.of_key(_short(said.decode("latin-1").strip()), peer)
        if query and (token := dict(parse_qsl(query)).get("token", "")):
            return self._credentials.of_token(_short(token), peer)
        raise Unauthorized(NOT_VALID)


def check(caller: Caller, endpoint: Endpoint, needed: Role) -> None:
    """Raises AccessDenied naming what is missing."""
    if caller.role is None or caller.role < needed:
        raise AccessDenied(
            f"{endpoint.method} {endpoint.path} needs the role {needed.value}",
            cure=f"{caller.by} has the role {caller.role.value}" if caller.role is not None else "",
            details={"role": needed.value},
        )
    if caller.scopes is not None and endpoint.scope not in caller.scopes:
        allowed = ", ".join(sorted(scope.value for scope in caller.scopes))
        raise AccessDenied(
            f"The API key {caller.name} is not for {endpoint.method} {endpoint.path}",
            cure=f"It is for: {allowed}",
            details={"role": needed.value, "scopes": sorted(scope.value for scope in caller.scopes)},
        )


def _short(credential: str) -> str:
    if len(credential) > _LONGEST_CREDENTIAL:
        raise Unauthorized(NOT_VALID)
    return credential
