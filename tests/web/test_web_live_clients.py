"""Live clients over real sockets: logins that end, batches, storms of them, and what each is told at its end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import cbor2
import pytest
import trio
from rig.people import api_key, key_headers, new_key, remove_key
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from growy.model.people import Caller, Role
from growy.model.reading import NO_SEQ, Bus, Columns, SeriesKey
from growy.web.accounts.accounts import Accounts
from growy.web.feed import MOST_EVENTS
from growy.web.gate import Admission, Peer
from growy.web.limits import Limits

SUBSCRIBE = {"action": "subscribe"}
PING = {"type": "ping", "timestamp": 17}


def publish(house: Any, *readings: tuple[str, float]) -> None:
    """Readings of pH probes by device, as the intake hands them on."""
    ids = [
        house.store.catalog.intern(SeriesKey(esp, Bus.GPIO, "34", "ph"), 34, "pH", 0) for esp, _ in readings
    ]
    n = len(ids)
    values = [value for _, value in readings]
    columns = Columns.of(ids, [0] * n, [0] * n, [1.0] * n, values, [1] * n, [NO_SEQ] * n, [0] * n, [0] * n)
    house.store.tail.append(columns)
    house.hub.publish_readings(columns)


class Talk:
    """A client and the language it speaks."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self.socket = socket
        self.cbor = socket.subprotocol == "growy.cbor"

    async def said(self) -> Any:
        with trio.fail_after(5):
            message = await self.socket.get_message()
        assert isinstance(message, bytes) is self.cbor
        return cbor2.loads(message) if isinstance(message, bytes) else json.loads(message)

    async def say(self, message: object) -> None:
        await self.socket.send_message(cbor2.dumps(message) if self.cbor else json.dumps(message))

    async def ask(self, message: object) -> Any:
        """Say something; the answer, whatever news comes before it."""
        await self.say(message)
        while (said := await self.said())["type"] in ("batch", "sensor_data"):
            pass
        return said

    async def end(self, within_s: float = 10) -> tuple[int, str]:
        """Code and reason of the close that comes."""
        reason = None
        with trio.fail_after(within_s):
            try:
                while True:
                    await self.socket.get_message()
            except ConnectionClosed as closed:
                reason = closed.reason
        # The client library leaves its stream open when the server closes first.
        await trio.aclose_forcefully(self.socket._stream)
        assert reason is not None
        return int(reason.code), str(reason.reason)

    async def vanish(self) -> None:
        """Without a word."""
        await trio.aclose_forcefully(self.socket._stream)
        with suppress(ConnectionClosed):  # what has come is read, or the client library waits for that
            while True:
                await self.socket.get_message()


@asynccontextmanager
async def visit(
    web: Any, path: str = "/api/v1/ws", *speaks: str, headers: Any = None, greeted: bool = True
) -> AsyncIterator[Talk]:
    """Args:
    speaks: subprotocols that the client offers.
    headers: its credentials, else those of a viewer.
    greeted: the welcome is expected, and read.
    """
    headers = await key_headers(web, Role.VIEWER) if headers is None else headers
    url = f"ws://{web.host}:{web.port}{path}"
    async with open_websocket_url(
        url, subprotocols=list(speaks), extra_headers=headers, disconnect_timeout=5
    ) as socket:
        talk = Talk(socket)
        if greeted:
            assert (await talk.said())["type"] == "connection_established"
        yield talk


# --- logins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/ws", "/ws/realtime/tab", "/api/v1/ws/realtime/tab?token=nonsense"])
async def test_without_a_valid_login_a_client_is_accepted_to_be_told_so(
    web: Any, house: Any, path: str
) -> None:
    async with visit(web, path, headers=[], greeted=False) as talk:
        assert await talk.end() == (4001, "log in first")
    assert house.hub.statistics().unauthorized == 1
    assert house.hub.clients == 0


async def test_a_viewer_is_enough(web: Any) -> None:
    async with visit(web, "/api/v1/ws/realtime/tab") as talk:
        assert (await talk.ask(PING))["type"] == "pong"


async def test_a_login_that_is_revoked_closes_what_is_open(web: Any, house: Any) -> None:
    secret = await new_key(web, "panel")
    async with (
        visit(web, headers=[(b"X-API-Key", secret.encode())]) as panel,
        visit(web) as other,
    ):
        await remove_key(web, "panel")
        assert await panel.end() == (4001, "the login was ended")
        assert (await other.ask(PING))["type"] == "pong"
    async with visit(web, headers=[(b"X-API-Key", secret.encode())], greeted=False) as again:
        assert await again.end() == (4001, "log in first")


class Tickets(Accounts):
    """Accounts whose tokens are good for as many seconds as they say."""

    def of_token(self, token: str, peer: Peer) -> Admission:
        return Admission(Caller(token, Role.VIEWER), expires_s=trio.current_time() + float(token))


async def test_a_login_that_expires_closes_what_is_open(
    house: Any, serve: Any, clock: trio.abc.Clock
) -> None:
    house.accounts = Tickets(house.accounts._core)
    async with (
        serve(house) as web,
        visit(web, "/api/v1/ws/realtime/short?token=900", headers=[]) as short,
        visit(web, "/api/v1/ws/realtime/long?token=90000", headers=[]) as long,
    ):
        began = trio.current_time()
        assert await short.end(1000) == (4001, "the login has expired")
        assert 899 < trio.current_time() - began < 905
        assert (await long.ask(PING))["type"] == "pong"


async def test_a_stalled_client_cannot_outlive_its_login(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house, limits=Limits(websocket_close=0.1)) as web, connect(web, "") as stalled:
        secret = await new_key(web, "panel")
        await stalled.send(handshake(secret))
        await until(lambda: house.hub.clients == 1)
        for n in range(MOST_EVENTS // 2):
            house.hub.publish_event("error_event", {"n": n, "message": "x" * 20_000})
            await trio.lowlevel.checkpoint()
        await remove_key(web, "panel")
        await until(lambda: house.hub.clients == 0)


def handshake(secret: str) -> bytes:
    return (
        b"GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"X-API-Key: %b\r\n\r\n" % secret.encode()
    )


async def until(condition: Any) -> None:
    with trio.fail_after(10):
        while not condition():
            await trio.sleep(0.01)


# --- batches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((), None),
        (("growy.cbor",), "growy.cbor"),
        (("growy.json",), "growy.json"),
        (("mqtt", "growy.cbor", "growy.json"), "growy.cbor"),
        (("mqtt",), None),
    ],
)
async def test_the_first_language_that_both_know_is_spoken(
    web: Any, offered: tuple[str, ...], chosen: str | None
) -> None:
    async with visit(web, "/api/v1/ws", *offered) as talk:
        assert talk.socket.subprotocol == chosen


@pytest.mark.parametrize("language", ["growy.cbor", "growy.json"])
async def test_readings_and_events_come_in_one_frame(web: Any, house: Any, language: str) -> None:
    async with visit(web, "/ws/realtime/wall", language) as talk:
        answer = await talk.ask({"action": "subscribe", "filters": {"esp_ids": ["ESP_1", "ESP_2"]}})
        assert (answer["type"], answer["data"]["filters"]["esp_ids"]) == ("subscribed", ["ESP_1", "ESP_2"])
        publish(house, ("ESP_1", 1.0), ("ESP_2", 2.0), ("ESP_3", 3.0))
        house.hub.publish_event("esp_health", {"esp_id": "ESP_2"})
        data = (await talk.said())["data"]
        assert [one["esp_id"] for one in data["series"]] == ["ESP_1", "ESP_2"]
        assert data["readings"]["value"] == [1.0, 2.0]
        assert [one["type"] for one in data["events"]] == ["esp_health"]


@pytest.mark.parametrize("language", ["growy.cbor", "growy.json"])
async def test_a_client_of_batches_gets_ten_frames_a_second_whatever_happens(
    web: Any, house: Any, language: str
) -> None:
    frames, seen, last = 0, [], -1
    async with visit(web, "/api/v1/ws", language) as talk, trio.open_nursery() as nursery:

        async def happen() -> None:
            nonlocal last
            with trio.move_on_after(2):
                for n in range(10_000):
                    publish(house, ("ESP_1", float(n)))
                    house.hub.publish_event("system_event", {"n": n})
                    last = n
                    await trio.sleep(0.002)

        nursery.start_soon(happen)
        with trio.move_on_after(2.5):
            while True:
                data = (await talk.said())["data"]
                frames += 1
                seen += [one["data"]["n"] for one in data.get("events", ())]
        nursery.cancel_scope.cancel()
    assert frames <= 2.5 * 10 + 3
    assert seen == list(range(last + 1))  # and no event is left out


async def test_a_client_may_speak_cbor_or_json_whatever_it_is_told(web: Any) -> None:
    async with visit(web, "/api/v1/ws", "growy.cbor") as talk:
        await talk.socket.send_message(json.dumps(PING))
        assert (await talk.said())["data"] == {"timestamp": 17}
        await talk.socket.send_message(cbor2.dumps(PING))
        assert (await talk.said())["data"] == {"timestamp": 17}
    async with visit(web) as talk:
        await talk.socket.send_message(cbor2.dumps(PING))
        assert (await talk.said())["data"] == {"timestamp": 17}


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"\xff\x00\x01",
        b"\xa1",
        b"\xbf" * 1000,
        b"\x9f" * 60_000,
        b"\xbb" + b"\xff" * 8,
        cbor2.dumps({"action": cbor2.CBORTag(35, "(a+)+$")}),
        cbor2.dumps({"action": "subscribe", "filters": {"types": [1.5]}}),
        "pH °".encode("utf-16"),
        b"{" * 60_000,
        b'{"action":"subscribe","filters":{"types":"all"}}',
        b'{"type":"ping","timestamp":1e999}',
        b'{"action":"authenticate","token":"x"}',
    ],
)
@pytest.mark.parametrize("language", ["growy.cbor", "growy.json"])
async def test_garbage_gets_an_error_and_changes_nothing(
    web: Any, house: Any, language: str, nonsense: bytes
) -> None:
    async with visit(web, "/api/v1/ws", language) as talk:
        before = await talk.ask({"type": "subscribe", "topic": "sensor_data/ESP_1"})
        await talk.socket.send_message(nonsense)
        error = await talk.said()
        assert (error["type"], error["event_type"], error["data"]["code"]) == (
            "error",
            "error",
            "VALIDATION_ERROR",
        )
        after = await talk.ask({"type": "subscribe", "topic": "sensor_data/ESP_1"})
        assert after["data"] == before["data"]
    assert web.statistics().faults == 0


# --- crowds -------------------------------------------------------------------------------------------------------


async def test_a_storm_of_clients_that_come_back_is_served_and_leaves_nothing(web: Any, house: Any) -> None:
    publish(house, *((f"ESP_{n}", float(n)) for n in range(100)))
    ids = [series.id for series in house.store.catalog.series()]
    headers = await key_headers(web, Role.VIEWER)

    async def come_and_go(n: int) -> None:
        for time in range(5):
            async with visit(web, f"/ws/realtime/c{n}", "growy.cbor", headers=headers) as talk:
                await talk.ask(SUBSCRIBE)
                while "replayed" not in (data := (await talk.said())["data"]):
                    pass
                replayed = data["replayed"]
                told = dict(zip(replayed["series_id"], replayed["value"], strict=True))
                assert [told[ids[n]] for n in range(100)] == [float(n) for n in range(100)]
                if time % 2:
                    await talk.vanish()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for n in range(20):
                nursery.start_soon(come_and_go, n)
            for n in range(50):
                publish(house, ("ESP_NEW", float(n)))
                await trio.sleep(0.01)
    await until(lambda: house.hub.clients == 0)
    figures = house.hub.statistics()
    assert (figures.clients_total, figures.refused, figures.waiting) == (100, 0, 0)
    assert web.statistics().faults == 0


async def test_the_hundred_and_first_waits_until_somebody_leaves(house: Any, serve: Any) -> None:
    async with serve(house, limits=Limits(websockets=3)) as web, visit(web), visit(web):
        async with visit(web), visit(web, greeted=False) as fourth:
            assert await fourth.end() == (1013, "more than 3 live clients")
        await until(lambda: house.hub.clients == 2)
        async with visit(web) as fourth:
            assert (await fourth.ask(PING))["type"] == "pong"


async def test_who_does_not_read_is_closed_with_the_reason_and_others_have_every_event(
    house: Any, serve: Any, connect: Any
) -> None:
    async with (
        serve(house, limits=Limits(websocket_close=2.0)) as web,
        connect(web, await api_key(web, Role.VIEWER)) as lazy,
        visit(web) as reader,
    ):
        await lazy.send(handshake(lazy.key))
        await until(lambda: house.hub.clients == 2)
        n = 0
        while house.hub.statistics().too_slow == 0:
            for _ in range(100):
                house.hub.publish_event("error_event", {"n": n, "message": "x" * 5000})
                n += 1
            for at in range(n - 100, n):
                assert (await reader.said())["data"]["n"] == at
        # Now it reads: all that had been written, whole, in order, and nothing of the rest.
        told = b""
        with trio.move_on_after(5):
            while data := await lazy.stream.receive_some(1 << 20):
                told += data
        assert told.count(b'"type":"error_event"') < n
        assert (await reader.ask(PING))["type"] == "pong"


async def test_the_living_stay_and_the_dead_go_within_the_idle_time(
    house: Any, serve: Any, connect: Any, clock: trio.abc.Clock
) -> None:
    async with (
        serve(house) as web,
        connect(web, await api_key(web, Role.VIEWER)) as dead,
        visit(web) as alive,
    ):
        await dead.send(handshake(dead.key))  # reads nothing, so answers no ping
        await until(lambda: house.hub.clients == 2)
        began = trio.current_time()
        while house.hub.clients == 2:
            await trio.sleep(1)
        assert 29 < trio.current_time() - began <= 302
        await trio.sleep(3600)
        assert (await alive.ask(PING))["type"] == "pong"
