"""Web pages from elsewhere: which may use growyd, and what a browser is told of it. None, unless `[web] cors_origins`
names them. Pure.

A page that is named may ask and change whatever its token allows; cookies do not exist here, so credentials of the
browser are never let through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from growy.web.answers import Response

_EXPOSED = b"ETag, X-Request-ID, Retry-After, Content-Disposition"
_ASKED = b"Authorization, Content-Type, Accept, If-None-Match, X-API-Key, X-Request-ID"
_REMEMBERED = b"600"
"""Seconds for which a browser need not ask again."""


@attrs.frozen
class Cors:
    """The origins that may."""

    origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, said: Sequence[str]) -> Cors:
        return cls(frozenset(said))

    def allows(self, origin: str) -> bool:
        return origin.lower() in self.origins

    def headers(self, headers: Mapping[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """What every answer to an allowed page says."""
        if not self.origins:
            return ()
        origin = headers.get(b"origin", b"")
        vary = (b"Vary", b"Origin")  # also to others: what a cache keeps for one page is not for another
        if not self.allows(origin.decode("latin-1")):
            return (vary,)
        return (vary, (b"Access-Control-Allow-Origin", origin), (b"Access-Control-Expose-Headers", _EXPOSED))


def options(methods: Sequence[str], headers: Mapping[bytes, bytes]) -> Response:
    """The answer to OPTIONS: what can be done there; of a preflight also what may be asked. Whether the page may do it
    is said by `Cors.headers`."""
    allowed = ", ".join(methods).encode()
    more: tuple[tuple[bytes, bytes], ...] = ((b"Allow", allowed),)
    if b"access-control-request-method" in headers and b"origin" in headers:
        more += (
            (b"Access-Control-Allow-Methods", allowed),
            (b"Access-Control-Allow-Headers", _ASKED),
            (b"Access-Control-Max-Age", _REMEMBERED),
        )
    return Response(204, headers=more)
