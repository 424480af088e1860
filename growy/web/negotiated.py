"""The last step of an answer, by what the client said of itself: CBOR instead of JSON, 304 instead of what it has,
gzip. Streams pass as they are: gzip would hold their pieces back.

Small answers are finished where they are; large ones in a thread, because a megabyte of gzip takes a Raspberry Pi
tens of milliseconds."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping

import attrs
import cbor2
import msgspec
import trio

from growy.web.answers import CBOR, JSON, Response

AT_ONCE = 16_384
"""Bytes that may be hashed and packed without a thread: some 100 us on a PC, some 500 us on a Pi."""
LEAST_PACKED = 1024
"""Less fits into one packet anyway."""
_LEVEL = 3
"""JSON of readings: a tenth of its size at twice the speed of zlib's default level, which saves a further tenth."""
_PACKABLE = (b"application/json", b"application/cbor", b"text/", b"image/svg")
_NOTHING = re.compile(rb"q=0(\.0{0,3})?\s*$")


async def finished(reply: Response, method: str, headers: Mapping[bytes, bytes]) -> Response:
    """The answer as this client is to get it."""
    if reply.stream is not None or not reply.body:
        return reply
    get = method in ("GET", "HEAD")
    to_cbor = reply.content_type == JSON and takes_cbor(headers.get(b"accept", b""))
    packed = (
        get
        and len(reply.body) >= LEAST_PACKED
        and reply.content_type.startswith(_PACKABLE)
        and takes_gzip(headers.get(b"accept-encoding", b""))
    )
    if len(reply.body) > AT_ONCE and (get or to_cbor):
        return await trio.to_thread.run_sync(_finish, reply, get, to_cbor, packed, headers)
    return _finish(reply, get, to_cbor, packed, headers)


def _finish(
    reply: Response, get: bool, to_cbor: bool, packed: bool, headers: Mapping[bytes, bytes]
) -> Response:
    if to_cbor:
        reply = attrs.evolve(reply, body=cbor_of(reply.body), content_type=CBOR)
    if get and reply.status == 200 and not any(name == b"ETag" for name, _ in reply.headers):
        tag = b'W/"%s"' % hashlib.blake2b(reply.body, digest_size=9).hexdigest().encode()
        tagged = (*reply.headers, (b"ETag", tag), (b"Vary", b"Accept, Accept-Encoding"))
        if (theirs := headers.get(b"if-none-match")) is not None and _has(theirs, tag):
            return Response(304, headers=tagged, close=reply.close, cache=reply.cache)
        reply = Response(200, reply.body, reply.content_type, tagged, reply.close, reply.cache)
    if packed:
        body = gzip.compress(reply.body, _LEVEL, mtime=0)
        more = ((b"Content-Encoding", b"gzip"), *(() if _varies(reply) else (_BY_ENCODING,)))
        return attrs.evolve(reply, body=body, headers=(*reply.headers, *more))
    return reply


_BY_ENCODING = (b"Vary", b"Accept-Encoding")


def _varies(reply: Response) -> bool:
    return any(name == b"Vary" and b"Encoding" in value for name, value in reply.headers)


def cbor_of(json: bytes) -> bytes:
    """The same value: what JSON cannot say (NaN) is null here, too."""
    encoded: bytes = cbor2.dumps(msgspec.json.decode(json))
    return encoded


def _has(theirs: bytes, tag: bytes) -> bool:
    """Weak comparison (RFC 9110, 8.8.3.2): whether the client has this very content."""
    opaque = tag.removeprefix(b"W/")
    return theirs.strip() == b"*" or any(
        one.strip().removeprefix(b"W/") == opaque for one in theirs.split(b",")
    )


def takes_cbor(accept: bytes) -> bool:
    """Whether CBOR is asked for by name, and not liked less than JSON."""
    if b"cbor" not in accept:
        return False
    cbor, json = _liking(accept, CBOR), _liking(accept, JSON)
    return cbor > 0 and cbor >= json


def _liking(accept: bytes, media: bytes) -> float:
    """The q of a media type that is named; 0 when it is not."""
    for part in accept.lower().split(b","):
        name, *parameters = (one.strip() for one in part.split(b";"))
        if name == media:
            said = next((one[2:] for one in parameters if one.startswith(b"q=")), b"1")
            return float(said) if re.fullmatch(rb"[01](\.\d{0,3})?", said) else 0.0
    return 0.0


def takes_gzip(accept_encoding: bytes) -> bool:
    """Whether gzip is named and not refused."""
    for part in accept_encoding.lower().split(b","):
        name, _, parameters = part.partition(b";")
        if name.strip() in (b"gzip", b"x-gzip"):
            return not _NOTHING.search(parameters)
    return False
