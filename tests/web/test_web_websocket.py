"""Live clients over real sockets: the dialects, the pace, and what one client's trouble costs the others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from rig.people import key_headers
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from growy.model.reading import NO_SEQ, Bus, Columns, SeriesKey
from growy.web.feed import MOST_EVENTS
from growy.web.limits import Limits

SUBSCRIBE = '{"action":"subscribe","filters":{}}'
HANDSHAKE = (
    b"GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def handshake_of(client: Any) -> bytes:
    """With the client's credentials."""
    return HANDSHAKE[:-2] + client.key_line + b"\r\n"


def publish(house: Any, *readings: tuple[str, float]) -> None:
    """Readings of pH probes by device."""
    ids = [
        house.store.catalog.intern(SeriesKey(esp, Bus.GPIO, "34", "ph"), 34, "pH", 0) for esp, _ in readings
    ]
    n = len(ids)
    values = [value for _, value in readings]
    house.hub.publish_readings(
        Columns.of(ids, [0] * n, [0] * n, [1.0] * n, values, [1] * n, [NO_SEQ] * n, [0] * n, [0] * n)
    )


@asynccontextmanager
async def live(web: Any, path: str = "/api/v1/ws", **options: Any) -> AsyncIterator[WebSocketConnection]:
    """A client that has read its welcome."""
    url = f"ws://{web.host}:{web.port}{path}"
    async with open_websocket_url(
        url, disconnect_timeout=5, extra_headers=await key_headers(web), **options
    ) as socket:
        assert (await said(socket))["event_type"] == "connection_established"
        yield socket


async def said(socket: WebSocketConnection) -> Any:
    with trio.fail_after(5):
        return json.loads(await socket.get_message())


async def tell(socket: WebSocketConnection, message: str) -> Any:
    """Say something and get the answer."""
    await socket.send_message(message)
    return await said(socket)


async def close_code(socket: WebSocketConnection) -> int:
    reason = None
    with trio.fail_after(10):
        try:
            while True:
                await socket.get_message()
        except ConnectionClosed as closed:
            reason = closed.reason
    # The client library leaves its stream open when the server closes first.
    await trio.aclose_forcefully(socket._stream)
    assert reason is not None
    return int(reason.code)


@pytest.mark.parametrize(
    ("path", "client_id"),
    [
        ("/api/v1/ws/realtime/tab-1", "tab-1"),
        ("/ws/realtime/wall_panel", "wall_panel"),
        ("/api/v1/ws/realtime/tab-2?token=abc", "tab-2"),
        ("/api/v1/ws", None),
    ],
)
async def test_every_known_address_greets(web: Any, path: str, client_id: str | None) -> None:
    async with open_websocket_url(
        f"ws://127.0.0.1:{web.port}{path}", extra_headers=await key_headers(web)
    ) as socket:
        welcome = await said(socket)
        assert (welcome["type"], welcome["event_type"]) == ("connection_established",) * 2
        assert welcome["client_id"] == client_id or (client_id is None and welcome["client_id"])
        assert welcome["message"]


async def test_readings_come_at_once(web: Any, house: Any) -> None:
    async with live(web) as socket:
        await tell(socket, SUBSCRIBE)
        began = trio.current_time()
        publish(house, ("ESP_1", 6.5))
        message = await said(socket)
        assert trio.current_time() - began < 0.1
        assert message["type"] == "sensor_data"
        assert (message["data"]["esp_id"], message["data"]["value"], message["data"]["unit"]) == (
            "ESP_1",
            6.5,
            "pH",
        )


async def test_only_what_was_subscribed_comes(web: Any, house: Any) -> None:
    async with live(web) as socket:
        answer = await tell(socket, '{"action":"subscribe","filters":{"esp_ids":["ESP_2"]}}')
        assert answer["type"] == "subscribed"
        assert answer["data"]["filters"]["esp_ids"] == ["ESP_2"]
        publish(house, ("ESP_1", 1.0), ("ESP_2", 2.0))
        assert (await said(socket))["data"]["esp_id"] == "ESP_2"
        answer = await tell(socket, '{"action":"unsubscribe"}')
        assert answer["type"] == "unsubscribed"
        publish(house, ("ESP_2", 3.0))
        assert (await tell(socket, '{"type":"ping"}'))["type"] == "pong"


async def test_a_ping_is_answered_with_its_timestamp(web: Any) -> None:
    async with live(web) as socket:
        pong = await tell(socket, '{"type":"ping","timestamp":1735818000}')
        assert (pong["type"], pong["event_type"], pong["data"]) == ("pong", "pong", {"timestamp": 1735818000})


async def test_nonsense_gets_an_error_and_keeps_the_connection(web: Any) -> None:
    async with live(web) as socket:
        error = await tell(socket, "{nonsense")
        assert (error["type"], error["data"]["code"]) == ("error", "VALIDATION_ERROR")
        assert (await tell(socket, '{"type":"ping"}'))["type"] == "pong"


async def test_readings_are_paced_and_the_newest_wins(web: Any, house: Any) -> None:
    async with live(web) as socket:
        await tell(socket, SUBSCRIBE)
        received: list[float] = []
        with trio.move_on_after(1.05):
            async with trio.open_nursery() as nursery:

                async def grow() -> None:
                    for i in range(1000):
                        publish(house, ("ESP_1", float(i)))
                        await trio.sleep(0.001)

                nursery.start_soon(grow)
                while True:
                    received.append((await said(socket))["data"]["value"])
        assert 5 <= len(received) <= 13  # ten a second, and three at once at first
        assert received == sorted(received)
        assert house.hub.statistics().coalesced > 100


async def test_a_flush_is_bounded_and_every_series_has_its_turn(web: Any, house: Any) -> None:
    async with live(web) as socket:
        await tell(socket, SUBSCRIBE)
        publish(house, *((f"ESP_{i}", 1.0) for i in range(120)))
        seen = [(await said(socket))["data"]["esp_id"] for _ in range(50)]
        publish(house, *((f"ESP_{i}", 2.0) for i in range(50)))
        seen += [(await said(socket))["data"]["esp_id"] for _ in range(70)]
        assert len(set(seen)) == 120


async def test_events_overtake_readings_that_wait(web: Any, house: Any) -> None:
    async with live(web) as socket:
        await tell(socket, SUBSCRIBE)
        publish(house, ("ESP_1", 1.0))
        await said(socket)
        publish(house, ("ESP_1", 2.0))  # has to wait for the next flush
        house.hub.publish_event("actuator_alert", {"esp_id": "ESP_1", "alert_type": "emergency_stop"}, "c-1")
        first, second = await said(socket), await said(socket)
        assert (first["type"], first["correlation_id"]) == ("actuator_alert", "c-1")
        assert second["data"]["value"] == 2.0


async def test_a_stalled_client_delays_nobody_and_keeps_no_memory(web: Any, house: Any, connect: Any) -> None:
    async with connect(web) as stalled, live(web) as socket:
        await stalled.send(handshake_of(stalled))  # and never reads
        await tell(socket, SUBSCRIBE)
        waits = []
        for i in range(300):
            publish(house, *((f"ESP_{n}", float(i)) for n in range(40)))
            if i % 30 == 0:
                began = trio.current_time()
                house.hub.publish_event("esp_health", {"n": i})
                while (await said(socket))["type"] != "esp_health":
                    pass
                waits.append(trio.current_time() - began)
            await trio.lowlevel.checkpoint()
        assert max(waits) < 0.5
        assert house.hub.statistics().waiting <= 80


async def test_a_client_that_lets_events_pile_up_is_closed(house: Any, serve: Any, connect: Any) -> None:
    async with (
        serve(house, limits=Limits(websocket_close=0.1)) as web,
        connect(web) as stalled,
        live(web) as socket,
    ):
        await stalled.send(handshake_of(stalled))
        await tell(socket, SUBSCRIBE)
        with trio.fail_after(20):
            n = 0
            while house.hub.statistics().too_slow == 0:
                for _ in range(50):
                    house.hub.publish_event("error_event", {"n": n, "message": "x" * 5000})
                    n += 1
                for _ in range(50):
                    assert (await said(socket))["type"] == "error_event"
        assert n > MOST_EVENTS
        assert (await tell(socket, '{"type":"ping"}'))["type"] == "pong"
        assert house.hub.statistics().clients == 1


async def test_a_client_that_never_reads_its_readings_is_closed_too(
    house: Any, serve: Any, connect: Any
) -> None:
    limits = Limits(
        websocket_close=0.1, send_timeout=0.3, frame_interval=0.001, gather=0.0, flush_readings=500
    )
    async with serve(house, limits=limits) as web, connect(web) as stalled:
        await stalled.send(handshake_of(stalled))
        with trio.fail_after(20):
            while house.hub.statistics().too_slow == 0:
                publish(house, *((f"ESP_{n}", 1.0) for n in range(500)))
                await trio.sleep(0.002)
        while house.hub.clients:
            await trio.sleep(0.01)


async def test_one_client_too_many_is_told_to_come_back(house: Any, serve: Any) -> None:
    async with serve(house, limits=Limits(websockets=2)) as web, live(web), live(web) as second:
        async with open_websocket_url(
            f"ws://127.0.0.1:{web.port}/api/v1/ws", extra_headers=await key_headers(web)
        ) as third:
            assert await close_code(third) == 1013
        assert (await tell(second, '{"type":"ping"}'))["type"] == "pong"
        assert house.hub.statistics().refused == 1


async def test_a_message_that_is_too_large_ends_the_connection(web: Any) -> None:
    async with live(web) as socket:
        await socket.send_message("x" * 70_000)
        assert await close_code(socket) == 1009


async def test_a_dead_peer_is_found_by_ping(house: Any, serve: Any, connect: Any) -> None:
    limits = Limits(websocket_idle=0.2, websocket_close=0.1)
    async with serve(house, limits=limits) as web, connect(web) as dead, live(web) as alive:
        await dead.send(handshake_of(dead))  # reads nothing, so answers no ping
        await trio.sleep(0.6)
        assert house.hub.clients == 1
        assert (await tell(alive, '{"type":"ping"}'))["type"] == "pong"


async def test_a_client_that_leaves_is_forgotten(web: Any, house: Any) -> None:
    async with live(web) as socket:
        await tell(socket, SUBSCRIBE)
        assert house.hub.clients == 1
    with trio.fail_after(5):
        while house.hub.clients:
            await trio.sleep(0.01)
    publish(house, ("ESP_1", 1.0))


async def test_clients_are_told_when_growyd_stops(house: Any, serve: Any) -> None:
    async with serve(house) as web:
        url = f"ws://127.0.0.1:{web.port}/api/v1/ws"
        async with (
            open_websocket_url(url, extra_headers=await key_headers(web)) as socket,
            trio.open_nursery() as nursery,
        ):
            await said(socket)
            codes: list[int] = []

            async def listen() -> None:
                codes.append(await close_code(socket))

            nursery.start_soon(listen)
            web.stop()
        assert codes == [1001]


async def test_a_message_sent_with_the_handshake_is_not_lost(web: Any, connect: Any) -> None:
    frame = bytes([0x81, 0x8F, 0, 0, 0, 0]) + b'{"type":"ping"}'
    async with connect(web) as client:
        await client.send(handshake_of(client) + frame)
        reply = await client.reply()
        assert reply.status == 101
        with trio.fail_after(5):
            while b'"pong"' not in client.rest:
                await client.more()


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /api/v1/ws HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (HANDSHAKE.replace(b"13", b"8"), 426),
        (HANDSHAKE.replace(b"dGhl", b"d"), 400),
        (HANDSHAKE.replace(b"Connection: Upgrade", b"Connection: close"), 400),
        (HANDSHAKE.replace(b"/api/v1/ws", b"/api/v1/ws/realtime/%3Cscript%3E"), 400),
        (HANDSHAKE.replace(b"/api/v1/ws", b"/nowhere"), 404),
        (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nOrigin: https://evil.example\r\n\r\n"), 403),
        (HANDSHAKE.replace(b"localhost", b"evil.example"), 403),
        (HANDSHAKE.replace(b"GET", b"POST"), 405),
    ],
)
async def test_a_handshake_that_is_wrong_is_refused_in_the_one_shape(
    web: Any, connect: Any, request_head: bytes, status: int
) -> None:
    async with connect(web) as client:
        await client.send(request_head)
        reply = await client.reply()
        assert reply.status == status
        assert reply.json()["success"] is False
        assert reply.headers.get("upgrade") == ("websocket" if status == 426 else None)


async def test_an_upgrade_to_anything_else_is_ignored(web: Any, connect: Any) -> None:
    async with connect(web) as client:
        reply = await client.ask("GET", "/", Upgrade="h2c", Connection="Upgrade")
        assert reply.status == 200
        assert (await client.ask("GET", "/")).status == 200


@pytest.mark.parametrize(
    "frames",
    [
        b"\xff" * 40,
        bytes([0x81, 0x05]) + b"hello",  # not masked
        bytes([0x83, 0x80, 0, 0, 0, 0]),  # a reserved opcode
        bytes([0x81, 0x82, 0, 0, 0, 0]) + b"\xff\xfe",  # not UTF-8
        bytes([0x80, 0x80, 0, 0, 0, 0]),  # a continuation of nothing
        bytes([0x88, 0x81, 0, 0, 0, 0, 1]),  # a close code of one byte
        bytes([0x89, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0]) + b"x" * 100,  # a ping that is too long
        bytes([0x88, 0x80, 0, 0, 0, 0]) * 3,  # closed three times
    ],
)
async def test_broken_frames_harm_only_their_sender(
    web: Any, house: Any, connect: Any, frames: bytes
) -> None:
    async with live(web) as good:
        async with connect(web) as bad:
            await bad.send(handshake_of(bad))
            assert (await bad.reply()).status == 101
            await bad.send(frames)
            with trio.fail_after(5):
                try:
                    while await bad.stream.receive_some():
                        pass
                except trio.BrokenResourceError:
                    pass
        with trio.fail_after(5):
            while house.hub.clients > 1:
                await trio.sleep(0.01)
        assert (await tell(good, '{"type":"ping"}'))["type"] == "pong"
    assert web.statistics().faults == 0
