"""HTTP/1.1 as RFC 9110 and 9112 want it, on raw sockets: framing, pipelining, smuggling, drips, crowds."""

from __future__ import annotations

import json
import resource
from typing import Any

import pytest
import trio
import trio.testing

from growy.config import WebConfig
from growy.web.answers import Response, answer
from growy.web.limits import Limits
from growy.web.router import Auth, Call, Endpoint

LIVE = b"GET /api/v1/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(call: Call, body: dict[str, object]) -> Response:
    return answer(body)


ECHO = [
    Endpoint(method="POST", path="/echo", summary="", handler=echo, body=dict[str, object], auth=Auth.PUBLIC)
]


@pytest.fixture
async def speak(house: Any, serve: Any, connect: Any) -> Any:
    """A connection to a server that repeats what it is told."""
    async with serve(house, endpoints=ECHO) as web, connect(web) as client:
        yield client


def post(body: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"POST /echo HTTP/1.1", b"Host: x", *lines, b"", body])


# --- framing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'9\r\n{"a": 1}\n\r\n0\r\n\r\n',
        b'2\r\n{"\r\n7\r\na": 1}\n\r\n0\r\n\r\n',
        b'9;name=value\r\n{"a": 1}\n\r\n0\r\n\r\n',
        b'009\r\n{"a": 1}\n\r\n0\r\nTrailer: 1\r\n\r\n',
    ],
)
async def test_a_chunked_body_is_put_together(speak: Any, body: bytes) -> None:
    await speak.send(post(body, b"Transfer-Encoding: chunked"))
    assert (await speak.reply()).json() == {"a": 1}


async def test_a_body_may_come_byte_by_byte(speak: Any) -> None:
    for byte in post(b'{"a": 1}', b"Content-Length: 8"):
        await speak.send(bytes([byte]))
    assert (await speak.reply()).json() == {"a": 1}


async def test_pipelined_bodies_are_told_apart(speak: Any) -> None:
    one = post(b'{"a": 1}', b"Content-Length: 8")
    two = post(b'9\r\n{"b": 2}\n\r\n0\r\n\r\n', b"Transfer-Encoding: chunked")
    await speak.send(one + two + one)
    assert [(await speak.reply()).json() for _ in range(3)] == [{"a": 1}, {"b": 2}, {"a": 1}]


async def test_a_hundred_pipelined_requests_are_answered_in_order(client: Any) -> None:
    for at in range(100):
        await client.send(LIVE.replace(b"Host: x", b"Host: x\r\nX-Request-ID: %d" % at))
    for at in range(100):
        assert (await client.reply()).headers["x-request-id"] == str(at)


async def test_an_error_within_a_pipeline_does_not_shift_the_answers(client: Any) -> None:
    await client.send(LIVE + b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n" + LIVE)
    assert [(await client.reply()).status for _ in range(3)] == [200, 404, 200]


async def test_an_empty_line_before_a_request_is_passed_over(client: Any) -> None:
    await client.send(b"\r\n" + LIVE)
    assert (await client.reply()).status == 200
    await client.send(b"\r\n")
    await client.send(LIVE)
    assert (await client.reply()).status == 200


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_says_nothing_of_one(
    house: Any, serve: Any, connect: Any, status: int
) -> None:
    async def nothing(call: Call) -> Response:
        return Response(status)

    endpoints = [Endpoint(method="GET", path="/", summary="", handler=nothing, auth=Auth.PUBLIC)]
    async with serve(house, endpoints=endpoints) as web, connect(web) as client:
        for _ in range(2):
            reply = await client.ask("GET", "/")
            assert reply.status == status
            assert not {"content-length", "content-type", "transfer-encoding"} & reply.headers.keys()


# --- what must be refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 8", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 8"),
    ],
)
async def test_a_request_with_both_lengths_cannot_smuggle_another(speak: Any, lines: Any) -> None:
    """RFC 9112, 6.3: chunked counts; and nothing after it may be taken for a request by anybody else."""
    inner = b"0\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n" + b'{"evil": 1}'
    await speak.send(post(inner, *lines))
    reply = await speak.reply()
    assert reply.status in (200, 400)
    if reply.status == 200:
        assert reply.json() == {}
        assert b"evil" not in reply.body


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 8", b"Content-Length: 9"),
        (b"Content-Length: 8, 9",),
        (b"Content-Length: +8",),
        (b"Content-Length: 0x8",),
        (b"Content-Length: 8 8",),
        (b"Content-Length: ",),
        (b"Content-Length : 8",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding:\x0bchunked",),
        (b" Content-Length: 8",),
        (b"X: a\x00b", b"Content-Length: 8"),
        (b"X: a\rContent-Length: 8",),
        (b"X\x7f: 1",),
        (b"\xc3\xa4: 1",),
        (b"Host: y", b"Content-Length: 8"),
    ],
    ids=lambda lines: repr(lines)[:60],
)
async def test_ambiguous_framing_and_broken_headers_end_the_connection(speak: Any, lines: Any) -> None:
    await speak.send(post(b'{"a": 1}', *lines))
    with trio.fail_after(5):
        try:
            reply = await speak.reply()
        except EOFError:
            return
        assert reply.status in (400, 501), reply
        assert await speak.closed()


async def test_a_folded_header_is_no_second_one(speak: Any) -> None:
    await speak.send(post(b'{"a": 1}', b"X: 1", b" Content-Length: 99", b"Content-Length: 8"))
    reply = await speak.reply()
    assert reply.status in (200, 400)


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.11",
        b"GET / http/1.1",
        b"GET /",
        b"G@T / HTTP/1.1",
        b"GET\t/\tHTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"\xff\xfe / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"CONNECT evil.example:443 HTTP/1.1",
    ],
)
async def test_a_broken_request_line_is_refused_and_the_connection_ended(client: Any, line: bytes) -> None:
    await client.send(line + b"\r\nHost: x\r\n\r\n")
    reply = await client.reply()
    assert reply.status in (400, 505)
    assert json.loads(reply.body)["success"] is False
    assert await client.closed()


@pytest.mark.parametrize("method", [b"TRACE", b"PROPFIND", b"get", b"X" * 200])
async def test_an_unknown_method_is_405(client: Any, method: bytes) -> None:
    await client.send(method + b" /health HTTP/1.1\r\nHost: x\r\n\r\n")
    reply = await client.reply()
    assert reply.status == 405
    assert "GET" in reply.headers["allow"]


async def test_what_a_client_sends_never_becomes_a_header(client: Any) -> None:
    for path in ("/%0d%0aSet-Cookie:%20a=b", "/api/v1/zones/%0d%0aX-Evil:1", "/health?%0d%0aX-Evil:1"):
        reply = await client.ask("GET", path)
        assert not {"set-cookie", "x-evil"} & reply.headers.keys()
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: a%0d%0aX-Evil: 1\r\n\r\n")
    assert "x-evil" not in (await client.reply()).headers


@pytest.mark.parametrize("size", [b"F" * 21, b"-1", b"", b"1 1", b"0x1"])
async def test_an_absurd_chunk_is_refused(speak: Any, size: bytes) -> None:
    await speak.send(post(size + b"\r\nx", b"Transfer-Encoding: chunked"))
    reply = await speak.reply()
    assert reply.status in (400, 413)
    assert await speak.closed()


async def test_a_chunk_extension_without_end_is_refused(speak: Any) -> None:
    await speak.send(post(b"1;" + b"x" * 40_000, b"Transfer-Encoding: chunked"))
    assert (await speak.reply()).status in (400, 413, 431)


async def test_a_thousand_headers_are_within_the_limit_or_refused(client: Any) -> None:
    await client.send(
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(3000)) + b"\r\n"
    )
    assert (await client.reply()).status == 431


# --- 100-continue, HTTP/1.0, keep-alive ---------------------------------------------------------------------------


async def test_http_1_0_may_keep_the_connection_only_by_asking(client: Any) -> None:
    await client.send(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (await client.reply()).status == 200
    assert await client.closed()  # h11 does not offer it, which is always right


async def test_http_1_0_needs_no_host_and_expects_no_100(speak: Any) -> None:
    await speak.send(
        b"POST /echo HTTP/1.0\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n" + b'{"a": 1}'
    )
    assert (await speak.reply()).status == 200


async def test_a_client_that_does_not_wait_for_100_is_served_too(speak: Any) -> None:
    await speak.send(post(b'{"a": 1}', b"Content-Length: 8", b"Expect: 100-continue"))
    reply = await speak.reply()
    if reply.status == 100:
        reply = await speak.reply()
    assert reply.json() == {"a": 1}


async def test_close_in_the_middle_of_a_pipeline_ends_it(client: Any) -> None:
    await client.send(LIVE.replace(b"Host: x", b"Host: x\r\nConnection: close") + LIVE)
    assert (await client.reply()).headers["connection"] == "close"
    assert await client.closed()


async def test_a_client_that_ends_its_side_still_gets_its_answer(client: Any) -> None:
    await client.send(LIVE)
    await client.stream.send_eof()
    assert (await client.reply()).status == 200


# --- slow and many ------------------------------------------------------------------------------------------------


async def test_a_body_in_drops_does_not_stretch_its_time(house: Any, serve: Any, connect: Any) -> None:
    limits = Limits(body_timeout=0.3)
    async with serve(house, limits=limits, endpoints=ECHO) as web, connect(web) as client:
        with trio.fail_after(5):
            try:
                await client.send(post(b"", b"Content-Length: 2000"))
                for _ in range(2000):
                    await client.send(b" ")
                    await trio.sleep(0.02)
            except trio.BrokenResourceError:
                pass  # closed in the middle, as it should be
        assert web.statistics().timeouts == 1


async def test_a_thousand_idle_connections_leave_the_server_answering(
    house: Any, serve: Any, connect: Any
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    async with serve(house, WebConfig(port=0, max_connections=1100)) as web, trio.open_nursery() as nursery:
        idle: list[trio.SocketStream] = []

        async def open_some(count: int) -> None:
            for _ in range(count):
                idle.append(await trio.open_tcp_stream(web.host, web.port))

        for _ in range(10):
            nursery.start_soon(open_some, 100)
        with trio.fail_after(30):
            while web.statistics().connections < 1000:
                await trio.sleep(0.01)
        async with connect(web) as client:
            with trio.fail_after(5):
                assert (await client.ask("GET", "/health")).status == 200
        for stream in idle:
            await stream.aclose()
        with trio.fail_after(10):
            while web.statistics().connections:
                await trio.sleep(0.01)


async def test_idle_connections_are_closed_by_the_clock(
    house: Any, serve: Any, connect: Any, clock: trio.testing.MockClock
) -> None:
    async with serve(house) as web, connect(web) as client:
        assert (await client.ask("GET", "/health")).status == 200
        before = trio.current_time()
        assert await client.closed()
        assert 60 <= trio.current_time() - before < 61
        assert web.statistics().timeouts == 0
