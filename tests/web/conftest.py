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

from growy.config import SensorsConfig, StoreConfig, WebConfig
from growy.fleet.registry import Fleet
from growy.sensors.pool import SHIPPED_DIR, Pool
from growy.sensors.registry import Registry
from growy.sensors.reload import Reloader
from growy.sensors.staff import Staff
from growy.store import Store, open_store
from growy.web.api import ENDPOINTS
from growy.web.app import App
from growy.web.health import Health, Vitals, assess
from growy.web.limits import Limits
from growy.web.live import LiveHub
from growy.web.router import Endpoint
from growy.web.server import Web, open_web

WELL = Vitals(broker_connected=True, store_state="ok", workers=1, workers_alive=1)


@attrs.define
class House:
    """An App whose health a test can change."""

    store: Store
    pool: Pool
    fleet: Fleet
    hub: LiveHub
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
            hub=self.hub,
            health=self.health,
            parts={"fleet": self.fleet.statistics},
        )


def pool_without_workers() -> Pool:
    config, registry = SensorsConfig(), Registry()
    staff = Staff(config, registry)
    return Pool(config, staff, registry, Reloader(config, registry, staff, SHIPPED_DIR, None))


@asynccontextmanager
async def open_house(directory: Path) -> AsyncIterator[House]:
    async with open_store(StoreConfig(min_free_mb=0), directory) as store:
        fleet = Fleet(auto_approve=True, publish=lambda topic, payload: None)
        yield House(store, pool_without_workers(), fleet, LiveHub(store.catalog))


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

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
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
        size = 0 if head_only else int(headers.get("content-length", "0"))
        while len(self.rest) < size:
            await self.more()
        body, self.rest = self.rest[:size], self.rest[size:]
        return Reply(int(first.split()[1]), headers, body)

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
        if body is not None:
            lines.append(f"Content-Length: {len(data)}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + data)
        return await self.reply(head_only=method == "HEAD")


@asynccontextmanager
async def connected(web: Web) -> AsyncIterator[Client]:
    async with await trio.open_tcp_stream(web.host, web.port) as stream:
        yield Client(stream)


@pytest.fixture
async def client(web: Web) -> AsyncIterator[Client]:
    async with connected(web) as client:
        yield client


Connect: TypeAlias = Callable[[Web], AbstractAsyncContextManager[Client]]


@pytest.fixture
def connect() -> Connect:
    return connected
