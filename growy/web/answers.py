"""Answers: JSON bodies, the one error shape, pages of a list. Pure. Nothing internal (a traceback, a path)
may leave through here."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import attrs
import msgspec
import numpy as np

from growy.model.errors import GrowyError

T = TypeVar("T")
JSON = b"application/json"
CBOR = b"application/cbor"
CSV = b"text/csv; charset=utf-8"
JSON_LINES = b"application/x-ndjson"
TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"
PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"


def _plain(value: object) -> object:
    """What msgspec does not know by itself: numpy scalars and arrays (from statistics), paths."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    # What msgspec asks of such a hook; the dispatcher answers 500 and counts it.
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


@attrs.frozen(slots=True)
class Response:
    """An answer; Content-Length, Date and X-Request-ID are added where it is sent."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    close: bool = False
    """The connection cannot be used any further."""
    cache: bytes = b"no-store"
    """Cache-Control. What is measured must never be shown from a cache, and what a login shows must not stay in a
    browser's folder after it; a client that keeps an answer itself has its ETag. Only what is public may be kept."""
    stream: AsyncGenerator[bytes, None] | None = None
    """What follows `body`: pieces that are made while the client takes them. It is closed in any case; when it raises
    half way, the connection is broken off, so that nobody takes the half for the whole."""


class MethodNotAllowed(GrowyError):
    """The path exists, the method does not. `details["allow"]` lists those that do."""

    code = "METHOD_NOT_ALLOWED"
    numeric_code = 5415
    http_status = 405


class Forbidden(GrowyError):
    """A request that growyd refuses to serve, e.g. from a foreign web page."""

    code = "FORBIDDEN"
    numeric_code = 5409
    http_status = 403


class BadRequest(GrowyError):
    """Not HTTP as growyd speaks it; `status` is the one to answer with (400, 408, 413, 426, 431...)."""

    code = "BAD_REQUEST"
    numeric_code = 5416
    http_status = 400

    def __init__(self, status: int, message: str, *, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.status = status


class TooBusy(GrowyError):
    """Too many connections. Try again in a moment."""

    code = "SERVICE_UNAVAILABLE"
    numeric_code = 5410
    http_status = 503


def json_bytes(value: object) -> bytes:
    """NaN and infinity become null; attrs records, enums, numpy scalars and datetimes are known."""
    return _encoder.encode(value)


def answer(value: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(status, _encoder.encode(value))


def error_answer(error: GrowyError, request_id: str) -> Response:
    """Any error of growyd in the one shape; its class says the status."""
    status = error.status if isinstance(error, BadRequest) else error.http_status
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, MethodNotAllowed):
        headers = ((b"Allow", str(error.details.get("allow", "")).encode()),)
    elif status == 401:
        headers = ((b"WWW-Authenticate", b"Bearer"),)
    elif status == 429:
        headers = ((b"Retry-After", str(error.details.get("retry_after_s", 5)).encode()),)
    elif status == 426:
        headers = ((b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", b"13"))
    elif status == 503:
        headers = ((b"Retry-After", b"5"),)
    message = str(error)
    body = {
        "success": False,
        "error": {
            "code": error.code,
            "numeric_code": error.numeric_code,
            "message": message,
            "details": error.details,
            "request_id": request_id,
        },
        "detail": message,
    }
    return Response(
        status, _encoder.encode(body), headers=headers, close=isinstance(error, BadRequest | TooBusy)
    )


def internal_error(request_id: str) -> Response:
    """What a client learns of a fault inside growyd: that it was ours, and the id under which the log has the
    rest."""
    fault = GrowyError(
        "Something went wrong inside growyd", cure=f"Its log has the details under request id {request_id}"
    )
    return error_answer(fault, request_id)


def page_of(items: Sequence[T], page: int, page_size: int, record: Callable[[T], object]) -> Response:
    """One page of a list in the list shape.

    Args:
        items: the whole list, or its part that the filters left.
        record: how an item looks in the answer; made for those on the page only.
        page: from 1; a page beyond the end is empty, not an error.
        page_size: 1..100.
    """
    start = (page - 1) * page_size
    shown = [record(item) for item in items[start : start + page_size]]
    return page_answer(shown, len(items), page, page_size)


def page_answer(data: Sequence[object], total: int, page: int, page_size: int) -> Response:
    """A page in the list shape, of a list that was cut elsewhere.

    Args:
        data: what is on the page.
        total: how long the whole list is.
    """
    pages = math.ceil(total / page_size)
    return answer(
        {
            "success": True,
            "message": f"{total} in all",
            "data": data,
            "pagination": {
                "page": page,
                "page_size": page_size,
                "total_items": total,
                "total_pages": pages,
                "has_next": page < pages,
                "has_prev": page > 1,
            },
        }
    )


def iso(ms: int | None) -> str | None:
    """ISO-8601 in UTC with milliseconds, `2026-01-02T03:04:05.678Z`; None stays None."""
    if ms is None:
        return None
    return f"{datetime.fromtimestamp(ms // 1000, UTC).isoformat()[:19]}.{ms % 1000:03d}Z"
