"""Answers that are made while the client takes them: ends, breaks, cancellation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import trio

from growy.web.answers import TEXT, Response
from growy.web.limits import Limits
from growy.web.router import Answer, Auth, Call, Endpoint


class Source:
    """Makes pieces; remembers how far it came and whether it was closed."""

    def __init__(self, pieces: int, *, size: int = 10, fail_at: int | None = None) -> None:
        self.pieces, self.size, self.fail_at = pieces, size, fail_at
        self.made = 0
        self.closed = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        try:
            for at in range(self.pieces):
                if at == self.fail_at:
                    raise ZeroDivisionError("half way")
                self.made += 1
                yield b"x" * self.size
                await trio.lowlevel.checkpoint()
        finally:
            self.closed = True

    def endpoint(self) -> Endpoint:
        async def serve(call: Call) -> Response:
            return Response(200, content_type=TEXT, stream=self.stream())

        return Endpoint(
            method="GET",
            path="/stream",
            summary="",
            handler=serve,
            auth=Auth.PUBLIC,
            answers=Answer(media=(TEXT,)),
        )


GET = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"


async def to_the_end(client: Any, *, chunked: bool) -> None:
    """Reads a whole answer. Raises EOFError, BrokenResourceError when it is broken off."""
    if chunked:
        await client.reply()
        return
    while await client.stream.receive_some():  # without a length, an orderly end means "all of it"
        pass


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not condition():
            await trio.sleep(0.005)


async def test_a_stream_ends_and_the_connection_goes_on(house: Any, serve: Any, connect: Any) -> None:
    source = Source(3)
    async with serve(house, endpoints=[source.endpoint()]) as web, connect(web) as client:
        await client.send(GET + GET)
        for _ in range(2):
            reply = await client.reply()
            assert reply.body == b"x" * 30
            assert reply.headers["cache-control"] == "no-store"
            assert "etag" not in reply.headers
        assert source.closed


async def test_gzip_never_holds_a_stream_back(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house, endpoints=[Source(3, size=5000).endpoint()]) as web, connect(web) as client:
        reply = await client.ask("GET", "/stream", Accept_Encoding="gzip")
        assert "content-encoding" not in reply.headers


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_source_that_fails_half_way_breaks_the_connection_off(
    house: Any, serve: Any, connect: Any, version: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(9, fail_at=2)
    async with serve(house, endpoints=[source.endpoint()]) as web, connect(web) as client:
        await client.send(GET.replace(b"1.1", version))
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await to_the_end(client, chunked=version == b"1.1")
        await until(lambda: web.statistics().faults == 1)
        assert source.closed
        async with connect(web) as other:
            assert (await other.ask("GET", "/none")).status == 404
    assert "ZeroDivisionError" in caplog.text


async def test_a_source_that_fails_at_once_is_an_error_answer(house: Any, serve: Any, connect: Any) -> None:
    async with (
        serve(house, endpoints=[Source(9, fail_at=0).endpoint()]) as web,
        connect(web) as client,
    ):
        reply = await client.ask("GET", "/stream")
        assert reply.status == 500
        assert reply.json()["error"]["code"] == "INTERNAL_ERROR"


async def test_an_empty_stream_is_an_empty_answer(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house, endpoints=[Source(0).endpoint()]) as web, connect(web) as client:
        assert (await client.ask("GET", "/stream")).body == b""


async def test_a_client_that_goes_ends_the_source(house: Any, serve: Any, connect: Any) -> None:
    source = Source(1_000_000, size=100_000)
    async with serve(house, endpoints=[source.endpoint()]) as web:
        async with connect(web) as client:
            await client.send(GET)
            await client.more()
        await until(lambda: source.closed)
        assert source.made < 1000
        await until(lambda: web.statistics().connections == 0)
        assert web.statistics().faults == 0


async def rest_of(stream: trio.SocketStream) -> None:
    """Reads to the end. Raises BrokenResourceError when that is no orderly one."""
    while await stream.receive_some():
        pass


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_client_that_does_not_read_ends_the_source(
    house: Any, serve: Any, connect: Any, version: bytes
) -> None:
    source = Source(1_000_000, size=100_000)
    limits = Limits(send_timeout=-1.0)  # a piece is granted 1.5 s on top
    async with serve(house, limits=limits, endpoints=[source.endpoint()]) as web, connect(web) as client:
        await client.send(GET.replace(b"1.1", version))
        await until(lambda: web.statistics().timeouts == 1)
        assert source.closed
        await until(lambda: web.statistics().connections == 0)
        with pytest.raises(trio.BrokenResourceError):
            await rest_of(client.stream)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_the_end_of_the_server_ends_the_source(house: Any, serve: Any, version: bytes) -> None:
    source = Source(1_000_000, size=100_000)
    async with connect_late() as holder:
        async with serve(house, endpoints=[source.endpoint()]) as web:
            stream = await trio.open_tcp_stream(web.host, web.port)
            holder.append(stream)
            await stream.send_all(GET.replace(b"1.1", version))
            await stream.receive_some()
        assert source.closed
        with pytest.raises(trio.BrokenResourceError):
            await rest_of(stream)


async def test_a_whole_stream_to_http_1_0_ends_in_order(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house, endpoints=[Source(3).endpoint()]) as web, connect(web) as client:
        await client.send(GET.replace(b"1.1", b"1.0"))
        await rest_of(client.stream)


class connect_late:  # noqa: N801 - a context manager
    """Closes what a test has opened inside."""

    def __init__(self) -> None:
        self.streams: list[trio.SocketStream] = []

    async def __aenter__(self) -> list[trio.SocketStream]:
        return self.streams

    async def __aexit__(self, *_: object) -> None:
        for stream in self.streams:
            await stream.aclose()
