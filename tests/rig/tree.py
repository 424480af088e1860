"""A God and its Kaisers, whole but for the brokers: each has a store, a fleet, control, a node of the tree and a web
server of its own. What one node tells another is handed over as topic and bytes, without a network.

Their clock is ours, their leases last seconds.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw
import attrs
import trio

from growy.config import StoreConfig, WebConfig
from growy.control.control import Control
from growy.estate import HouseEstate
from growy.fleet.audit_trail import AuditTrail
from growy.fleet.fleet import Fleet
from growy.fleet.journal import FleetJournal
from growy.fleet.zones import Zones
from growy.hierarchy.god_node import GodNode
from growy.hierarchy.god_opening import open_god
from growy.hierarchy.kaiser_node import KaiserNode, open_kaiser
from growy.hierarchy.leases import Terms
from growy.model.control import ActuatorKey
from growy.model.hierarchy import GOD, Node, NodeState
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment
from growy.sensors.pool import Pool
from growy.store import AuditFilter, Store, open_store
from growy.web.accounts.accounts import Accounts, open_accounts
from growy.web.app import App
from growy.web.gate import Gate
from growy.web.health import Vitals, assess
from growy.web.live import LiveHub
from growy.web.server import Web, open_web
from rig.control import control_over
from rig.esp import Air, Esp
from rig.logins import no_logins
from rig.people import api_key
from rig.pool import pool_without_workers

GOD_ID = "god_pi_central"
ESP = "ESP_12AB34CD"
TERMS = Terms(
    lease_s=4.0,
    fence_s=0.5,
    pass_s=0.3,
    report_s=0.2,
    prepare_s=5.0,
    grant_s=5.0,
    adopt_s=5.0,
    hold_s=5.0,
)
WELL = Vitals(broker_connected=True, store_state="ok", workers=1, workers_alive=1)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def moment() -> Moment:
    return Moment(trio.current_time(), wall_ms())


def nobody_else(topic: str, payload: bytes, *, urgent: bool = False) -> bool:
    """The mail of a Pi that is alone."""
    return False


async def god_alone(
    store: Store,
    fleet: Callable[[], Fleet],
    control: Callable[[], Control],
    air: Air,
    hub: LiveHub,
) -> GodNode:
    """For houses that are no tree: a God without Kaisers. It need not run."""
    estate = estate_of(fleet, control, air, hub)
    estate.node = await open_god(GOD_ID, TERMS, store=store, estate=estate, mail=nobody_else, moment=moment)
    return estate.node


def estate_of(
    fleet: Callable[[], Fleet],
    control: Callable[[], Control],
    air: Air,
    hub: LiveHub,
    note: Callable[[Any], None] = lambda entry: None,
) -> HouseEstate:
    return HouseEstate(
        control=control,
        fleet=fleet,
        link=lambda: air,  # type: ignore[arg-type,return-value]
        note=note,
        tell=hub.publish_event,
        changed=lambda: None,
        on_prefix=lambda kaiser_id: None,
        papers_told=trio.lowlevel.checkpoint,
        wall_ms=wall_ms,
    )


@attrs.define
class Post:
    """Between nodes: hands over what is sent, if the way is not cut."""

    nodes: dict[str, GodNode | KaiserNode] = attrs.field(factory=dict)
    away: set[str] = attrs.field(factory=set)
    cut: set[frozenset[str]] = attrs.field(factory=set)
    """Pairs of which neither hears the other."""
    deaf: set[tuple[str, str]] = attrs.field(factory=set)
    """Who is not heard, and by whom."""
    said: list[tuple[str, bytes]] = attrs.field(factory=list)

    def of(self, sender: str) -> Callable[..., bool]:
        def send(topic: str, payload: bytes, *, urgent: bool = False) -> bool:
            if sender in self.away:
                return False
            self.said.append((topic, payload))
            for name, node in self.nodes.items():
                lost = {name, sender} in self.cut or (sender, name) in self.deaf
                if name != sender and name not in self.away and not lost:
                    node.mail(topic.encode(), payload)
            return True

        return send


@attrs.define
class Pi:
    """One node, and a web server in front of it."""

    name: str
    store: Store
    pool: Pool
    fleet: Fleet
    control: Control
    node: GodNode | KaiserNode
    estate: HouseEstate
    air: Air
    hub: LiveHub
    zones: Zones
    audit: AuditTrail
    nursery: trio.Nursery
    accounts: Accounts
    web: Web = None  # type: ignore[assignment]
    key: str = ""
    connect: Any = None

    @property
    def env(self) -> dict[str, str]:
        """For the command line: an administrator's API key."""
        return {"GROWYD_API_KEY": self.key}

    @property
    def url(self) -> str:
        return self.web.url

    @property
    def kaiser(self) -> KaiserNode:
        assert isinstance(self.node, KaiserNode)
        return self.node

    def app(self) -> App:
        return App(
            node=self.name,
            version="0.0.0",
            started_ms=wall_ms(),
            store=self.store,
            pool=self.pool,
            fleet=self.fleet,
            control=self.control,
            tree=self.node,
            zones=self.zones,
            hub=self.hub,
            broker_logins=no_logins(),
            accounts=self.accounts,
            gate=Gate(self.accounts),
            health=lambda: assess(WELL),
            god_at="" if self.name == GOD else "mqtt://god.local:1883",
        )

    async def new_esp(self, esp_id: str = ESP) -> Esp:
        """A device on this node's broker, that is there and hears everything."""
        esp = Esp(self.fleet, self.air, esp_id, warm_up_s=0.1)
        self.node.device_said(esp_id, "system/heartbeat", b"{}", wall_ms())
        await self.node.settled()
        await self.nursery.start(esp.run)
        return esp

    async def actuator(self, gpio: int = 18, *, esp_id: str = ESP) -> ActuatorKey:
        """One that is set up on a device, which has confirmed it."""
        setup, _ = await self.fleet.set_actuator(
            esp_id, ActuatorSetup(id=f"{esp_id}-{gpio}", gpio=gpio, kind=ActuatorKind.RELAY, name="heater")
        )
        assert await self.fleet.settled(esp_id, [setup.key], 10)
        key = ActuatorKey(esp_id, gpio)
        await until(lambda: self.control.state(key).reported is not None)
        return key

    async def audited(self, event_type: str) -> list[Any]:
        """Entries of the audit trail, newest first."""
        await self.audit.flush()
        found = await self.store.audit(AuditFilter(event_types=(event_type,)), limit=100, offset=0)
        return [row.entry for row in found.rows]

    async def call(
        self, method: str, path: str, body: object = None, status: int = 200, key: str | None = None
    ) -> Any:
        async with self.connect(self.web, self.key if key is None else key) as client:
            reply = await client.ask(method, path, body)
        assert reply.status == status, (method, path, reply.status, reply.body)
        return reply.json()

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.call("GET", path, None, status)

    async def post(self, path: str, body: object = None, status: int = 200) -> Any:
        return await self.call("POST", path, {} if body is None else body, status)

    async def put(self, path: str, body: object, status: int = 200) -> Any:
        return await self.call("PUT", path, body, status)

    async def delete(self, path: str, status: int = 200) -> Any:
        return await self.call("DELETE", path, None, status)


@attrs.define
class Tree:
    """A God, and Kaisers that it has heard."""

    folder: Path
    post: Post
    god: Pi
    kaisers: dict[str, Pi]
    _opened: AsyncExitStack
    _nursery: trio.Nursery
    _connect: Any

    @property
    def gods(self) -> GodNode:
        assert isinstance(self.god.node, GodNode)
        return self.god.node

    async def new_kaiser(self, kaiser_id: str, *, folder: str = "", heard: bool = True, **more: Any) -> Pi:
        """Args: heard: God knows of it and hears it before this returns. more: of its entry."""
        if heard:
            await self.gods.add(Node(kaiser_id=kaiser_id, **more))
        place = self.folder / (folder or kaiser_id)
        pi = await open_pi(self._opened, place, kaiser_id, self.post, self._nursery, self._connect)
        self.kaisers[kaiser_id] = pi
        if heard:
            await until(lambda: self.status(kaiser_id) is NodeState.ONLINE)
        return pi

    def status(self, name: str) -> NodeState | None:
        node = self.gods.node(name)
        return None if node is None else node.state

    async def moved(self, esp_id: str, to: str) -> None:
        """God's records say so, and the new owner holds the device."""
        chain = await self.gods.transfer(esp_id, self.gods.owner(esp_id), to, reason="test", by="test")
        ended = await self.gods.wait(chain.command_id, 20)
        assert (ended.status.value, self.gods.owner(esp_id)) == ("done", to), ended


@contextmanager
def refused(folder: Path, table: str) -> Iterator[None]:
    """Nothing can be written to the table."""
    disk = apsw.Connection(str(folder / "growy.db"))
    disk.set_busy_timeout(5000)
    for name, event in (("no_more", "INSERT"), ("no_change", "UPDATE")):
        disk.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'the disk is ill'); END"
        )
    try:
        yield
    finally:
        disk.execute("DROP TRIGGER no_more; DROP TRIGGER no_change")
        disk.close()


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    with trio.fail_after(seconds):
        while not true():
            await trio.sleep(0.01)


async def open_pi(
    opened: AsyncExitStack, folder: Path, name: str, post: Post, nursery: trio.Nursery, connect: Any
) -> Pi:
    store = await opened.enter_async_context(open_store(StoreConfig(min_free_mb=0), folder))
    air, hub, audit = Air(), LiveHub(store.catalog), AuditTrail(store)
    estate = estate_of(lambda: fleet, lambda: control, air, hub, audit.note)
    fleet = Fleet(
        auto_approve=True,
        send=estate.send,
        tell=hub.publish_event,
        persist=lambda device: journal.persist(device),
        on_change=lambda esp_id: control.device_changed(esp_id),
        clock=trio.current_time,
        wall_ms=wall_ms,
    )
    journal = FleetJournal(fleet, store)
    node: GodNode | KaiserNode
    more: dict[str, Any] = {
        "store": store,
        "estate": estate,
        "mail": post.of(name),
        "moment": moment,
    }
    if name == GOD:
        node = await open_god(GOD_ID, TERMS, **more)
    else:
        node = await open_kaiser(name, GOD_ID, TERMS, **more)
    estate.node = post.nodes[name] = node
    control = await control_over(
        store, fleet, air, hub, clock=trio.current_time, wall_ms=wall_ms, note=audit.note, estate=estate
    )
    for run in (audit.run, fleet.run, control.run, node.run):
        await nursery.start(run)
    accounts = await open_accounts(store, folder, note=audit.note, wall_ms=wall_ms)
    pi = Pi(
        name,
        store,
        pool_without_workers(),
        fleet,
        control,
        node,
        estate,
        air,
        hub,
        Zones(store),
        audit,
        nursery,
        accounts,
        connect=connect,
    )
    pi.web = await opened.enter_async_context(open_web(WebConfig(port=0), None, pi.app()))
    await nursery.start(pi.web.run)
    pi.key = await api_key(pi.web)
    return pi


@asynccontextmanager
async def open_tree(
    folder: Path, connect: Callable[..., AbstractAsyncContextManager[Any]] | None = None
) -> AsyncIterator[Tree]:
    """A God without Kaisers yet. Args: connect: the fixture of the web's tests."""
    post = Post()
    async with AsyncExitStack() as opened, trio.open_nursery() as nursery:
        god = await open_pi(opened, folder / GOD, GOD, post, nursery, connect)
        yield Tree(folder, post, god, {}, opened, nursery, connect)
        nursery.cancel_scope.cancel()
