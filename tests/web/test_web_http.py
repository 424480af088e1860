"""HTTP/1.1 on raw sockets: what clients do, right and wrong, and what it may cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from growy.config import WebConfig
from growy.web.answers import Response, answer
from growy.web.heads import head_bytes
from growy.web.limits import Limits
from growy.web.router import Auth, Call, Endpoint

GET = b"GET /api/v1/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def fault_of(reply: Any) -> Any:
    """The error of an answer, after checking that it has the one shape."""
    said = reply.json()
    assert said["success"] is False
    assert set(said["error"]) == {"code", "numeric_code", "message", "details", "request_id"}
    assert said["detail"] == said["error"]["message"]
    assert isinstance(said["error"]["numeric_code"], int)
    assert b"Traceback" not in reply.body
    return said["error"]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that the server does on its own time."""
    with trio.fail_after(5):
        while not condition():
            await trio.sleep(0.005)


async def test_a_connection_serves_many_requests(client: Any) -> None:
    for _ in range(3):
        reply = await client.ask("GET", "/api/v1/health/live")
        assert reply.status == 200
        assert reply.json()["alive"] is True
        assert reply.headers["content-type"] == "application/json"
        assert "date" in reply.headers


async def test_pipelined_requests_are_answered_in_order(client: Any) -> None:
    await client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
    assert "mqtt_connected" in (await client.reply()).json()
    assert (await client.reply()).json()["name"] == "growyd"
    assert (await client.reply()).json()["alive"] is True


@pytest.mark.parametrize(
    "path", ["/api/v1/health", "/api/v1/health/", "//api/v1/health", "/api/v1/h%65alth/"]
)
async def test_a_final_slash_does_not_matter(client: Any, path: str) -> None:
    assert (await client.ask("GET", path)).json()["status"] == "healthy"


async def test_head_is_get_without_a_body(client: Any) -> None:
    full = await client.ask("GET", "/")
    short = await client.ask("HEAD", "/")
    assert short.status == 200
    assert short.body == b""
    assert short.headers["content-length"] == str(len(full.body))
    assert (await client.ask("GET", "/")).status == 200


async def test_connection_close_is_honoured(client: Any) -> None:
    reply = await client.ask("GET", "/", Connection="close")
    assert reply.headers["connection"] == "close"
    assert await client.closed()


async def test_http_1_0_gets_its_answer_and_a_close(client: Any) -> None:
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert (await client.reply()).status == 200
    assert await client.closed()


async def test_the_absolute_form_of_proxies_is_understood(client: Any) -> None:
    await client.send(b"GET http://localhost/health?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await client.reply()).status == 200


async def test_a_request_id_is_echoed(client: Any) -> None:
    reply = await client.ask("GET", "/nothing", X_Request_ID="tab-7/req.1")
    assert reply.headers["x-request-id"] == "tab-7/req.1"
    assert fault_of(reply)["request_id"] == "tab-7/req.1"


@pytest.mark.parametrize("wish", ["<script>", "x" * 129, "a b", '"'])
async def test_a_request_id_that_could_do_harm_is_replaced(client: Any, wish: str) -> None:
    reply = await client.ask("GET", "/", X_Request_ID=wish)
    assert reply.headers["x-request-id"] != wish
    assert len(reply.headers["x-request-id"]) == 16


async def test_an_unknown_path_is_404(client: Any) -> None:
    reply = await client.ask("GET", "/api/v2/health")
    assert reply.status == 404
    assert fault_of(reply)["code"] == "NOT_FOUND"


async def test_a_wrong_method_is_405_and_says_which_are_right(client: Any) -> None:
    reply = await client.ask("DELETE", "/api/v1/sensors/process")
    assert reply.status == 405
    assert reply.headers["allow"] == "OPTIONS, POST"
    assert "POST" in fault_of(reply)["message"]
    assert (await client.ask("POST", "/health", body={})).headers["allow"] == "GET, HEAD, OPTIONS"


async def test_an_error_does_not_cost_the_connection(client: Any) -> None:
    assert (await client.ask("POST", "/nothing", body={"some": "body"})).status == 404
    assert (await client.ask("GET", "/")).status == 200


async def test_a_chunked_body_is_read(client: Any) -> None:
    head = b"POST /api/v1/sensors/process HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    await client.send(head + client.key_line + b"\r\n" + b'9\r\n{"sensor_\r\n')
    await client.send(b'c\r\ntype": "no"}\r\n0\r\n\r\n')
    reply = await client.reply()
    assert reply.status == 404
    assert fault_of(reply)["code"] == "SENSOR_TYPE_UNKNOWN"


async def test_a_client_that_asks_first_is_told_to_go_on(client: Any) -> None:
    head = (
        b"POST /api/v1/sensors/process HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
    )
    await client.send(head + client.key_line + b"\r\n")
    assert (await client.reply()).status == 100
    await client.send(b"{}")
    reply = await client.reply()
    assert reply.status == 400
    assert "sensor_type: is missing" in fault_of(reply)["details"]["faults"]


async def test_a_client_that_asks_first_is_spared_a_useless_upload(client: Any) -> None:
    await client.send(
        b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\nExpect: 100-continue\r\n\r\n"
    )
    assert (await client.reply()).status == 404


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_413(house: Any, serve: Any, connect: Any, chunked: bool) -> None:
    async with serve(house, WebConfig(port=0, max_body=2000)) as web, connect(web) as client:
        await client.send(b"POST /api/v1/sensors/process HTTP/1.1\r\nHost: x\r\n" + client.key_line)
        if chunked:
            await client.send(b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n")
            await client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        else:
            await client.send(b"Content-Length: 2001\r\n\r\n" + b"x" * 500)
        reply = await client.reply()
        assert reply.status == 413
        assert "2000 bytes" in fault_of(reply)["message"]
        assert await client.closed()


@pytest.mark.parametrize("whole", [False, True])
async def test_headers_that_are_too_large_are_431(house: Any, serve: Any, connect: Any, whole: bool) -> None:
    async with serve(house, WebConfig(port=0, max_header=1024)) as web, connect(web) as client:
        await client.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 5000 + (b"\r\n\r\n" if whole else b"")
        )
        reply = await client.reply()
        assert reply.status == 431
        fault_of(reply)
        assert await client.closed()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnothex\r\n",
        b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400_in_the_one_shape(client: Any, nonsense: bytes) -> None:
    await client.send(nonsense)
    reply = await client.reply()
    assert reply.status == 400
    fault_of(reply)


async def test_a_slow_head_is_408(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house, limits=Limits(header_timeout=0.2)) as web, connect(web) as client:
        await client.send(b"GET / HTTP/1.1\r\nHo")
        reply = await client.reply()
        assert reply.status == 408
        fault_of(reply)
        assert await client.closed()
        assert web.statistics().timeouts == 1


async def test_a_slow_body_is_408(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house, limits=Limits(body_timeout=0.2)) as web, connect(web) as client:
        await client.send(b"POST /api/v1/sensors/process HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert (await client.reply()).status == 408


async def test_a_head_in_drops_does_not_stretch_its_time(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house, limits=Limits(header_timeout=0.3)) as web, connect(web) as client:
        with trio.fail_after(5):
            try:
                for byte in b"GET / HTTP/1.1\r\nX: " + b"y" * 2000:
                    await client.send(bytes([byte]))
                    await trio.sleep(0.02)
            except trio.BrokenResourceError:
                pass  # closed in the middle, as it should be
    assert web.statistics().answers == {"408": 1}


async def test_an_idle_connection_is_closed_without_a_word(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house, limits=Limits(idle_timeout=0.1)) as web, connect(web) as client:
        await client.ask("GET", "/")
        assert await client.closed()
        assert web.statistics().timeouts == 0


async def test_a_client_that_does_not_read_is_cut_off(house: Any, serve: Any, connect: Any) -> None:
    async def large(call: Call) -> Response:
        return answer("x" * 20_000_000)

    endpoints = [Endpoint(method="GET", path="/large", summary="", handler=large, auth=Auth.PUBLIC)]
    limits = Limits(send_timeout=-305)  # the 20 MB are granted 305 s on top
    async with serve(house, limits=limits, endpoints=endpoints) as web, connect(web) as client:
        await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: web.statistics().timeouts == 1)
        async with connect(web) as other:
            assert (await other.ask("GET", "/none")).status == 404


async def test_one_connection_too_many_is_told_so(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house, WebConfig(port=0, max_connections=2)) as web:
        async with connect(web) as one, connect(web) as two:
            assert (await one.ask("GET", "/")).status == 200
            assert (await two.ask("GET", "/")).status == 200
            async with connect(web) as three:
                reply = await three.reply()
                assert reply.status == 503
                assert "retry-after" in reply.headers
                fault_of(reply)
                assert await three.closed()
            assert (await one.ask("GET", "/")).status == 200
        await until(lambda: web.statistics().connections == 0)
        async with connect(web) as four:
            assert (await four.ask("GET", "/")).status == 200
        assert web.statistics().refused == 1


async def test_a_fault_in_a_handler_is_500_without_its_inside(
    house: Any, serve: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(call: Call) -> Response:
        raise ZeroDivisionError("the secret inside")

    endpoints = [Endpoint(method="GET", path="/broken", summary="", handler=broken)]
    async with serve(house, endpoints=endpoints) as web, connect(web) as client:
        reply = await client.ask("GET", "/broken", X_Request_ID="find-me")
        assert reply.status == 500
        assert fault_of(reply)["code"] == "INTERNAL_ERROR"
        assert fault_of(reply)["request_id"] == "find-me"
        assert b"secret" not in reply.body
        assert (await client.ask("GET", "/broken")).status == 500
        assert web.statistics().faults == 2
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
        ("growpi", 200),
        ("growpi.local:8000", 200),
        ("192.168.1.7", 200),
        ("rebound.evil.example", 403),
        ("localhost.evil.example:8000", 403),
    ],
)
async def test_a_name_that_a_stranger_could_own_is_not_ours(client: Any, host: str, status: int) -> None:
    await client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (await client.reply()).status == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:5173", 404),
        ("http://127.0.0.1", 404),
        ("http://[::1]:80", 404),
        ("https://evil.example", 403),
        ("http://127.evil.example", 403),
        ("null", 403),
    ],
)
async def test_a_foreign_page_may_not_change_anything(client: Any, origin: str, status: int) -> None:
    reply = await client.ask("POST", "/api/v1/sensors/process", body={"sensor_type": "none"}, Origin=origin)
    assert reply.status == status
    assert (await client.ask("GET", "/", Origin=origin)).status == 200


async def test_the_figures_of_the_server_are_true(web: Any, client: Any) -> None:
    await client.ask("GET", "/")
    await client.ask("GET", "/nothing")
    figures = web.statistics()
    assert (figures.connections, figures.requests) == (1, 1)
    assert figures.answers == {"200": 1, "404": 1}
    assert figures.errors == {"NOT_FOUND": 1}
    assert figures.bytes_sent > 300


ATOMS: list[bytes] = [
    b"GET / HTTP/1.1\r\n",
    b"POST /api/v1/sensors/process HTTP/1.1\r\n",
    b"Host: x\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b'{"sensor_type":"x"}',
]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    talks=st.lists(
        st.lists(st.sampled_from(ATOMS) | st.binary(max_size=50), max_size=12), min_size=1, max_size=4
    )
)
async def test_random_bytes_never_harm_the_server(
    new_house: Any, serve: Any, connect: Any, talks: list[list[bytes]]
) -> None:
    with TemporaryDirectory() as folder:
        async with new_house(Path(folder)) as house, serve(house) as web:
            for talk in talks:
                async with connect(web) as client:
                    await babble(client, talk)
            async with connect(web) as client:
                assert (await client.ask("GET", "/health")).status == 200
            assert web.statistics().faults == 0


async def babble(client: Any, talk: list[bytes]) -> None:
    """Say it all and read all answers until the server closes, as it must."""
    with trio.fail_after(5):
        try:
            for part in talk:
                await client.send(part)
            await client.stream.send_eof()
            while True:
                reply = await client.reply()
                assert reply.status != 500
                if reply.body:
                    json.loads(reply.body)
        except (EOFError, trio.BrokenResourceError):
            pass


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: b", b"a\nb", b"a\rb", b"a\0b"])
def test_no_header_of_an_answer_becomes_two(value: bytes) -> None:
    with pytest.raises(ValueError, match="line break"):
        head_bytes(200, [(b"X-Request-ID", value)])
