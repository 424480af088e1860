"""A whole node but for the broker: intake, fleet, control, web over one store and one pool, with devices that answer.

The clock of fleet, control and devices runs twenty times as fast as ours: sockets, disk and workers are real, their
waits are not ours.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import attrs
import trio

from growy.config import ControlConfig, WebConfig
from growy.control.control import Control
from growy.fleet.fleet import Fleet
from growy.fleet.journal import FleetJournal
from growy.fleet.zones import Zones
from growy.hierarchy.god_node import GodNode
from growy.model.control import ActuatorKey
from growy.model.setup import ActuatorKind, ActuatorSetup, SensorSetup
from growy.web.accounts.accounts import Accounts, open_accounts
from growy.web.app import App
from growy.web.gate import Gate
from growy.web.health import Vitals, assess
from growy.web.live import LiveHub
from growy.web.server import Web, open_web
from growy.web.standing import standing
from rig.control import control_over
from rig.esp import Air, Esp
from rig.intake import Bench, open_bench
from rig.logins import no_logins
from rig.people import api_key
from rig.tree import god_alone

FAST = 20.0
ESP = "ESP_12AB34CD"


@attrs.define
class Desk:
    """What a test asks and tells."""

    bench: Bench
    fleet: Fleet
    control: Control
    zones: Zones
    air: Air
    hub: LiveHub
    tree: GodNode
    nursery: trio.Nursery
    accounts: Accounts
    url: str = ""
    env: dict[str, str] = attrs.field(factory=dict)
    """For the command line: an administrator's API key."""
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
            control=self.control,
            tree=self.tree,
            zones=self.zones,
            hub=self.hub,
            broker_logins=no_logins(),
            accounts=self.accounts,
            gate=Gate(self.accounts),
            health=lambda: assess(vitals),
            parts={
                "intake": self.bench.intake.statistics,
                "fleet": self.fleet.statistics,
                "control": self.control.statistics,
            },
        )

    async def new_esp(self, esp_id: str = ESP, **more: Any) -> Esp:
        """A device that is there, and hears everything."""
        esp = Esp(self.fleet, self.air, esp_id, warm_up_s=6 / FAST, pace=FAST, **more)
        await self.nursery.start(esp.run)
        return esp

    async def actuator(
        self, gpio: int = 18, kind: str = "relay", *, esp_id: str = ESP, **more: Any
    ) -> ActuatorKey:
        """One that is set up on a device, which has confirmed it."""
        fields = {
            "id": f"{esp_id}-{gpio}",
            "gpio": gpio,
            "kind": ActuatorKind(kind),
            "name": f"{kind} {gpio}",
        }
        setup, _ = await self.fleet.set_actuator(esp_id, ActuatorSetup(**{**fields, **more}))
        assert await self.fleet.settled(esp_id, [setup.key], 10)
        key = ActuatorKey(esp_id, gpio)
        await self.until(lambda: self.control.state(key).reported is not None)
        return key

    async def until(self, true: Callable[[], bool], seconds: float = 10) -> None:
        with trio.fail_after(seconds):
            while not true():
                await trio.sleep(0.01)

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
        air = Air()
        hub = LiveHub(
            bench.store.catalog, recall=bench.store.tail.newest, standing=lambda: standing(fleet, control)
        )
        begin, begin_ms = clock(), time.time_ns() // 1_000_000

        def wall_ms() -> int:
            return begin_ms + round(1000 * (clock() - begin))

        fleet = Fleet(
            auto_approve=True,
            send=air.send,
            tell=hub.publish_event,
            persist=lambda device: journal.persist(device),
            on_setup=bench.intake.settings_changed,
            on_change=lambda esp_id: control.device_changed(esp_id),
            clock=clock,
            wall_ms=wall_ms,
        )
        journal = FleetJournal(fleet, bench.store)
        # A sensor that is read once is good for the whole test.
        config = ControlConfig(min_max_age=86_400)
        control = await control_over(
            bench.store, fleet, air, hub, clock=clock, wall_ms=wall_ms, config=config
        )
        bench.on_readings += [control.take, hub.publish_readings]
        bench.on_committed.append(control.committed)
        accounts = await open_accounts(bench.store, folder, note=lambda entry: None, wall_ms=wall_ms)
        tree = await god_alone(bench.store, lambda: fleet, lambda: control, air, hub)
        desk = Desk(bench, fleet, control, Zones(bench.store), air, hub, tree, nursery, accounts)
        await nursery.start(control.run)
        await nursery.start(tree.run)
        nursery.start_soon(_tick, fleet, control)
        async with open_web(WebConfig(port=0), None, desk.app()) as web:
            await nursery.start(web.run)
            desk.url, desk.env = web.url, {"GROWYD_API_KEY": await api_key(web)}
            async with connect(web) if connect is not None else nullcontext() as client:
                desk.ask = getattr(client, "ask", None)
                yield desk
        nursery.cancel_scope.cancel()


def clock() -> float:
    return FAST * trio.current_time()


async def _tick(fleet: Fleet, control: Control) -> None:
    # Control wakes itself by our clock, too seldom for one that is faster.
    while True:
        await trio.sleep(0.5 / FAST)
        fleet.tick()
        control.tick()
