"""The head of an answer: its headers, and how they are written. Pure but for the time. No header may become two."""

from __future__ import annotations

import http
import time
from collections.abc import Sequence
from email.utils import formatdate

from growy.web.answers import Response

REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}
_WITHOUT_BODY = frozenset({204, 304})
"""And without a word about it."""


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


def headers_of(
    reply: Response, request_id: str, more: Sequence[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """Everything that stands in the head of an answer."""
    headers: list[tuple[bytes, bytes]] = []
    if reply.status not in _WITHOUT_BODY:
        headers.append((b"Content-Type", reply.content_type))
        if reply.stream is None:
            headers.append((b"Content-Length", b"%d" % len(reply.body)))
    headers += [
        (b"X-Request-ID", request_id.encode()),
        (b"Date", _clock.date()),
        (b"Cache-Control", reply.cache),
        (b"X-Content-Type-Options", b"nosniff"),
        *reply.headers,
        *more,
    ]
    if reply.close:
        headers.append((b"Connection", b"close"))
    return headers


def head_bytes(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The status line and the headers, with the empty line. Raises ValueError: a header that would be two."""
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, b""))]
    lines += [b"%s: %s\r\n" % header for header in headers]
    lines.append(b"\r\n")
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise ValueError("A header of an answer has a line break in it")
    return head
