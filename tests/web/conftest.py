"""A web server over a real store and a real pool, and a plain socket to talk to it.

Most tests need no conversion: their pool is open but has hired nobody. `processing` tests open a working one.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
import trio
import trio.testing
from rig.control import control_over
from rig.esp import Air, Esp, wall_ms
from rig.logins import no_logins
from rig.people import api_key
from rig.pool import pool_without_workers
from rig.tree import god_alone

from growy.broker.logins import BrokerLogins
from growy.config import StoreConfig, WebConfig
from growy.control.control import Control
from growy.fleet.fleet import Fleet
from growy.fleet.journal import FleetJournal
from growy.fleet.zones import Zones
from growy.hierarchy.god_node import GodNode
from growy.model.audit import AuditEntry
from growy.model.setup import SensorSetup
from growy.sensors.pool import Pool
from growy.store import Store, open_store
from growy.web.accounts.accounts import Accounts, open_accounts
from growy.web.api import ENDPOINTS
from growy.web.app import App
from growy.web.gate import Gate
from growy.web.health import Health, Vitals, assess
from growy.web.limits import Limits
from growy.web.live import LiveHub
from growy.web.router import Endpoint
from growy.web.server import Web, open_web
from growy.web.standing import standing

WELL = Vitals(broker_connected=True, store_state="ok", workers=1, workers_alive=1)


@attrs.define
class House:
    """An App whose health a test can change."""

    store: Store
    pool: Pool
    fleet: Fleet
    control: Control
    zones: Zones
    air: Air
    hub: LiveHub
    tree: GodNode
    accounts: Accounts
    notes: list[AuditEntry]
    """What the accounts tell the audit trail."""
    logins: BrokerLogins = attrs.field(factory=no_logins)
    vitals: Vitals = WELL

    def health(self) -> Health:
        return assess(self.vitals)

    def app(self) -> App:
        return App(
            node="god",
            version="0.2.0",
            started_ms=int(time.time() * 1000),
            store=self.store,
            pool=self.pool,
            fleet=self.fleet,
            control=self.control,
            tree=self.tree,
            zones=self.zones,
            hub=self.hub,
            broker_logins=self.logins,
            accounts=self.accounts,
            gate=Gate(self.accounts),
            health=self.health,
            parts={"fleet": self.fleet.statistics},
        )


@asynccontextmanager
async def open_house(
    directory: Path,
    *,
    auto_approve: bool = True,
    clock: Callable[[], float] = time.monotonic,
    wall_ms: Callable[[], int] = lambda: int(time.time() * 1000),
) -> AsyncIterator[House]:
    """A house without a broker: `air` has what the fleet sends."""
    async with open_store(StoreConfig(min_free_mb=0), directory) as store:
        air = Air()
        hub = LiveHub(store.catalog, recall=store.tail.newest, standing=lambda: standing(fleet, control))
        fleet = Fleet(
            auto_approve=auto_approve,
            send=air.send,
            tell=lambda event, data, correlation_id: hub.publish_event(event, data, correlation_id),
            persist=lambda device: journal.persist(device),
            on_change=lambda esp_id: control.device_changed(esp_id),
            clock=clock,
            wall_ms=wall_ms,
        )
        journal = FleetJournal(fleet, store)
        control = await control_over(store, fleet, air, hub, clock=clock, wall_ms=wall_ms)
        notes: list[AuditEntry] = []
        accounts = await open_accounts(store, directory, note=notes.append, wall_ms=wall_ms)
        tree = await god_alone(store, lambda: fleet, lambda: control, air, hub)
        yield House(
            store, pool_without_workers(), fleet, control, Zones(store), air, hub, tree, accounts, notes
        )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


@pytest.fixture
def new_house() -> Callable[[Path], AbstractAsyncContextManager[House]]:
    """For tests with many examples: fixtures live for all of them together."""
    return open_house


@asynccontextmanager
async def serving(
    house: House,
    config: WebConfig | None = None,
    socket_path: Path | None = None,
    limits: Limits | None = None,
    endpoints: Iterable[Endpoint] = ENDPOINTS,
) -> AsyncIterator[Web]:
    async with (
        open_web(
            config or WebConfig(port=0), socket_path, house.app(), limits=limits, endpoints=endpoints
        ) as web,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(web.run)
        yield web
        nursery.cancel_scope.cancel()


Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[Web]]


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture
async def web(house: House) -> AsyncIterator[Web]:
    async with serving(house) as web:
        yield web


@attrs.frozen
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection. Speaks bytes, so that nothing corrects what a test wants to send."""

    def __init__(self, stream: trio.abc.Stream, key: str = "") -> None:
        """Args:
        key: an API key that `ask` shows unless it is given credentials itself.
        """
        self.stream = stream
        self.key = key
        self.key_line = f"X-API-Key: {key}\r\n".encode()
        self.rest = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def reply(self, head_only: bool = False) -> Reply:
        """The next answer. Raises EOFError when the server has closed instead."""
        while b"\r\n\r\n" not in self.rest:
            await self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked" and not head_only:
            return Reply(int(first.split()[1]), headers, b"".join([piece async for piece in self.chunks()]))
        size = 0 if head_only else int(headers.get("content-length", "0"))
        while len(self.rest) < size:
            await self.more()
        body, self.rest = self.rest[:size], self.rest[size:]
        return Reply(int(first.split()[1]), headers, body)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The pieces of a chunked body. Raises EOFError when it is broken off."""
        while True:
            while b"\r\n" not in self.rest:
                await self.more()
            length, _, self.rest = self.rest.partition(b"\r\n")
            size = int(length, 16)
            while len(self.rest) < size + 2:
                await self.more()
            piece, self.rest = self.rest[:size], self.rest[size + 2 :]
            if not size:
                return
            yield piece

    async def more(self) -> None:
        try:
            got = await self.stream.receive_some()
        except trio.BrokenResourceError:
            got = b""
        if not got:
            raise EOFError(f"closed after {self.rest!r}")
        self.rest += bytes(got)

    async def closed(self) -> bool:
        """Waits for the server to close; False when it says something more instead."""
        try:
            await self.reply()
        except EOFError:
            return not self.rest
        return False

    async def ask(self, method: str, target: str, body: object = None, **headers: str) -> Reply:
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if self.key and not {"X_API_Key", "Authorization"} & headers.keys():
            lines.append(f"X-API-Key: {self.key}")
        if body is not None:
            lines.append(f"Content-Length: {len(data)}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + data)
        return await self.reply(head_only=method == "HEAD")


@asynccontextmanager
async def connected(web: Web, key: str | None = None) -> AsyncIterator[Client]:
    """With an admin's API key; `""` for a stranger."""
    key = await api_key(web) if key is None else key
    async with await trio.open_tcp_stream(web.host, web.port) as stream:
        yield Client(stream, key)


@pytest.fixture
async def client(web: Web) -> AsyncIterator[Client]:
    async with connected(web) as client:
        yield client


Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def connect() -> Connect:
    return connected


# -- devices that answer


@attrs.define
class Greenhouse:
    """A served house with devices that answer the fleet, on a clock that jumps when nothing happens."""

    house: House
    web: Web
    nursery: trio.Nursery
    esps: dict[str, Esp] = attrs.field(factory=dict)

    @property
    def air(self) -> Air:
        return self.house.air

    async def new_esp(self, esp_id: str = "ESP_12AB34CD", *, approved: bool = True, **more: Any) -> Esp:
        """A device that is there, and can be sent everything."""
        esp = self.esps[esp_id] = Esp(self.house.fleet, self.air, esp_id, warm_up_s=20, **more)
        await self.nursery.start(esp.run)
        if approved and not self.house.fleet.need(esp_id).approved:
            await self.house.fleet.approve(esp_id, by="test")
            esp.measured()
        return esp

    async def sensor(self, esp_id: str = "ESP_12AB34CD", **more: Any) -> SensorSetup:
        fields = {"id": "5e2b1c", "gpio": 32, "sensor_type": "moisture", "name": "Bed"}
        setup, _ = await self.house.fleet.set_sensor(esp_id, SensorSetup(**{**fields, **more}))
        return setup

    def keys(self, esp_id: str = "ESP_12AB34CD") -> list[str]:
        return [sensor.key for sensor in self.house.fleet.need(esp_id).record.sensors]

    async def settled(self, *keys: str, esp_id: str = "ESP_12AB34CD") -> None:
        assert await self.house.fleet.settled(esp_id, keys, 60)

    async def ask(self, method: str, path: str, body: object = None) -> Reply:
        """On a connection of its own: the clock jumps past every timeout of an idle one."""
        async with connected(self.web) as client:
            return await client.ask(method, path, body)

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.call("GET", path, None, status)

    async def post(self, path: str, body: object = None, status: int = 200) -> Any:
        return await self.call("POST", path, body, status)

    async def patch(self, path: str, body: object, status: int = 200) -> Any:
        return await self.call("PATCH", path, body, status)

    async def delete(self, path: str, status: int = 200) -> Any:
        return await self.call("DELETE", path, None, status)

    async def call(self, method: str, path: str, body: object, status: int) -> Any:
        reply = await self.ask(method, path, body)
        assert reply.status == status, (method, path, reply.status, reply.body)
        return reply.json()


@pytest.fixture
def clock() -> trio.abc.Clock:
    """Jumps to the next deadline when nothing has happened for a moment: sockets and the disk are real. A test must ask
    for it by itself: pytest-trio looks for a clock among a test's own arguments."""
    return trio.testing.MockClock(autojump_threshold=0.005)


@pytest.fixture
async def greenhouse(tmp_path: Path, clock: trio.abc.Clock) -> AsyncIterator[Greenhouse]:
    async with (
        open_house(tmp_path, auto_approve=False, clock=trio.current_time, wall_ms=wall_ms) as house,
        serving(house) as web,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(house.fleet.run)
        await nursery.start(house.control.run)
        await nursery.start(house.tree.run)
        yield Greenhouse(house, web, nursery)
        nursery.cancel_scope.cancel()
