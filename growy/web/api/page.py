"""The page, and its files. A browser that asks for `/` gets the page, a program gets a hint where to begin."""

from __future__ import annotations

from growy.model.errors import NotFound
from growy.web.answers import HTML, JSON, Response, answer
from growy.web.page import INDEX, KINDS, POLICY, StaticFile, page
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shapes import operation as shapes

FOR_EVER = b"public, max-age=31536000, immutable"
ASK_AGAIN = b"no-cache"
"""Kept, but asked about each time: an answer without content says that it is still the same."""
_GUARDS = (
    (b"Content-Security-Policy", POLICY.encode()),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
)


async def root(call: Call) -> Response:
    """The page for browsers; for all others where the API begins."""
    if b"text/html" in call.headers.get(b"accept", b""):
        return _served(call, page().files[INDEX], ASK_AGAIN, (b"Vary", b"Accept"))
    begin = answer(
        {
            "name": "growyd",
            "version": call.app.version,
            "node": call.app.node,
            "api": "/api/v1",
            "health": "/api/v1/health/",
            "websocket": "/api/v1/ws",
        }
    )
    return Response(begin.status, begin.body, headers=((b"Vary", b"Accept"),))


async def static(call: Call) -> Response:
    """One of the page's files; under the address of another version, the one that there is now."""
    name = call.path["file"]
    found = page().files.get(name)
    if found is None or name == INDEX:
        raise NotFound(
            f"The page has no file {name[:64]!r}", cure="Load the page again: it may be an old one"
        )
    return _served(call, found, FOR_EVER if call.path["build"] == page().build else ASK_AGAIN)


def _served(call: Call, file: StaticFile, cache: bytes, *more: tuple[bytes, bytes]) -> Response:
    headers = ((b"ETag", file.etag), *_GUARDS, *more)
    if file.is_known(call.headers.get(b"if-none-match", b"")):
        return Response(304, headers=headers, cache=cache)
    return Response(200, file.body, file.content_type, headers, cache=cache)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/",
        summary="The page",
        handler=root,
        auth=Auth.PUBLIC,
        answers=Answer(shapes.ROOT, media=(JSON, HTML)),
    ),
    Endpoint(
        method="GET",
        path="/static/{build}/{file}",
        summary="Files of the page",
        handler=static,
        auth=Auth.PUBLIC,
        answers=Answer(media=KINDS),
        errors=(NotFound,),
    ),
)
