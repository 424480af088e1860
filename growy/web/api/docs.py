"""The API's own description: the OpenAPI document for programs, and the same as a page for people, which needs no
network and no script."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import trio

from growy import __version__
from growy.web.answers import HTML, Response, json_bytes
from growy.web.manual import manual
from growy.web.openapi import document
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shape import OBJECT

_POLICY = (
    b"Content-Security-Policy",
    b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
)
_PUBLIC = b"no-cache"
"""The same for everybody: may be kept, and is asked about each time."""


def described(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """The endpoints with two more, which describe them all. The descriptions are made when somebody first asks."""
    made: list[
        tuple[bytes, bytes]
    ] = []  # both at once: the thread that makes them is seen half way otherwise
    making = threading.Lock()

    def make() -> None:
        with making:
            if not made:
                whole = document(every, __version__)
                made.append((json_bytes(whole), manual(whole).encode()))

    async def openapi(call: Call) -> Response:
        """This document."""
        if not made:
            await trio.to_thread.run_sync(make)
        return Response(200, made[0][0], cache=_PUBLIC)

    async def page(call: Call) -> Response:
        """The same for people."""
        if not made:
            await trio.to_thread.run_sync(make)
        return Response(200, made[0][1], HTML, (_POLICY,), cache=_PUBLIC)

    every = (
        *endpoints,
        Endpoint(
            method="GET",
            path="/api/v1/openapi.json",
            summary="This API as OpenAPI 3.1",
            handler=openapi,
            auth=Auth.PUBLIC,
            answers=OBJECT,
        ),
        Endpoint(
            method="GET",
            path="/docs",
            summary="This API as a page to read",
            handler=page,
            auth=Auth.PUBLIC,
            answers=Answer(media=(HTML,)),
        ),
    )
    return every
