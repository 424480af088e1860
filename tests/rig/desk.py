"""A whole node but for the broker: intake, fleet and web over one store and one pool, with devices that answer.

The fleet's clock runs twenty times as fast as ours: sockets, disk and workers are real, its waits are not ours.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import attrs
import trio

from growy.config import WebConfig
from growy.fleet.fleet import Fleet
from growy.fleet.journal import FleetJournal
from growy.fleet.zones import Zones
from growy.model.setup import SensorSetup
from growy.web.app import App
from growy.web.health import Vitals, assess
from growy.web.live import LiveHub
from growy.web.server import Web, open_web
from rig.esp import Air, Esp
from rig.intake import Bench, open_bench

FAST = 20.0
ESP = "ESP_12AB34CD"


@attrs.define
class Desk:
    """What a test asks and tells."""

    bench: Bench
    fleet: Fleet
    zones: Zones
    air: Air
    hub: LiveHub
    nursery: trio.Nursery
    url: str = ""
    ask: Any = None

    def app(self) -> App:
        vitals = Vitals(broker_connected=True, store_state="ok", workers=1, workers_alive=1)
        return App(
            node="god",
            version="0.0.0",
            started_ms=int(time.time() * 1000),
            store=self.bench.store,
            pool=self.bench.pool,
            fleet=self.fleet,
            zones=self.zones,
            hub=self.hub,
            health=lambda: assess(vitals),
        )

    async def new_esp(self, esp_id: str = ESP, **more: Any) -> Esp:
        """A device that is there, and hears everything."""
        esp = Esp(self.fleet, self.air, esp_id, warm_up_s=6 / FAST, **more)
        await self.nursery.start(esp.run)
        return esp

    def setups(self, esp_id: str = ESP) -> list[SensorSetup]:
        return list(self.fleet.need(esp_id).record.sensors)

    async def call(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        reply = await self.ask(method, path, body)
        assert reply.status == status, (method, path, reply.status, reply.body)
        return reply.json()

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.call("GET", path, None, status)

    async def post(self, path: str, body: object, status: int = 200) -> Any:
        return await self.call("POST", path, body, status)

    async def delete(self, path: str, status: int = 200) -> Any:
        return await self.call("DELETE", path, None, status)

    async def heard(self, sensor_type: str, raw: float, *, gpio: int, **more: Any) -> None:
        """A reading comes from the device, and is stored."""
        await self.bench.deliver_all(self.bench.reading(sensor_type, raw, esp=ESP, gpio=gpio, **more))


@asynccontextmanager
async def open_desk(
    folder: Path, connect: Callable[[Web], AbstractAsyncContextManager[Any]] | None = None
) -> AsyncIterator[Desk]:
    """Args: the fixture `connect` of the web's tests; without it nothing can be asked by `Desk.ask`."""
    fleet: Fleet

    def sensors_of(esp_id: str) -> tuple[SensorSetup, ...]:
        device = fleet.get(esp_id)
        return () if device is None else device.record.sensors

    async with open_bench(folder, sensors_of=sensors_of) as bench, trio.open_nursery() as nursery:
        air, hub = Air(), LiveHub(bench.store.catalog)
        fleet = Fleet(
            auto_approve=True,
            send=air.send,
            persist=lambda device: journal.persist(device),
            on_setup=bench.intake.settings_changed,
            clock=lambda: FAST * trio.current_time(),
        )
        journal = FleetJournal(fleet, bench.store)
        desk = Desk(bench, fleet, Zones(bench.store), air, hub, nursery)
        nursery.start_soon(_tick, fleet)
        async with open_web(WebConfig(port=0), None, desk.app()) as web:
            await nursery.start(web.run)
            desk.url = web.url
            async with connect(web) if connect is not None else nullcontext() as client:
                desk.ask = getattr(client, "ask", None)
                yield desk
        nursery.cancel_scope.cancel()


async def _tick(fleet: Fleet) -> None:
    while True:
        await trio.sleep(0.5 / FAST)
        fleet.tick()
