"""A tree for real: daemons with a Mosquitto each, uplinks over wires that can be cut, ESP32s that obey and remember.

All daemons run on this trio loop: a test may look into any of them, and one clock has seen everything.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import attrs
import paho.mqtt.client as paho
import trio

from growy.config import BrokerUrl, load_config
from growy.daemon import run_daemon
from growy.hierarchy.god_node import GodNode
from growy.hierarchy.kaiser_node import KaiserNode
from growy.model.control import ActuatorKey, Tenure
from growy.model.hierarchy import GOD, CommandChain, Node, NodeState
from growy.model.reading import Reading
from growy.model.setup import ActuatorKind, ActuatorSetup, SensorSetup
from growy.parts import Daemon
from growy.sim.device import SimDevice
from growy.sim.fleet import SimFleet, SimOptions, run_fleet
from growy.sim.greenhouse import Role
from growy.sim.spec import EspSpec, SensorKind, SensorSpec
from rig.brokers import Mosquitto
from rig.daemon import assert_exactly_once
from rig.wires import Wire

HEATER, LAMP = 18, 19
METER = 33
"""Label of a sensor whose readings the test makes up."""
LEASE_S, FENCE_S, REPORT_S = 6.0, 1.0, 1.0
BROKER = "max_inflight_messages 1000\nmax_queued_messages 100000"


async def until(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Waits for it; how long that took."""
    began = trio.current_time()
    while not condition():
        if trio.current_time() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        await trio.sleep(0.02)
    return trio.current_time() - began


@attrs.define(eq=False)
class Place:
    """One Pi: a broker, a folder, and a daemon while it lives."""

    name: str
    folder: Path
    nursery: trio.Nursery
    settings: dict[str, object] = attrs.field(factory=dict)
    wire: Wire | None = None
    """Its uplink."""
    listeners: str = ""
    """Further settings of its Mosquitto."""
    daemon: Daemon | None = None
    broker: Mosquitto = attrs.field(init=False)
    sims: list[SimFleet] = attrs.field(factory=list)
    _scope: trio.CancelScope | None = None
    _ended: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        home = self.folder / "broker"
        home.mkdir(parents=True)
        self.broker = Mosquitto(home, f"{BROKER}\n{self.listeners}")

    @property
    def up(self) -> Daemon:
        assert self.daemon is not None, f"{self.name} does not run"
        return self.daemon

    @property
    def god(self) -> GodNode:
        node = self.up.tree.node
        assert isinstance(node, GodNode)
        return node

    @property
    def kaiser(self) -> KaiserNode:
        node = self.up.tree.node
        assert isinstance(node, KaiserNode)
        return node

    async def start(self) -> None:
        config = load_config(
            None,
            environ={},
            overrides={
                "node.data_dir": str(self.folder),
                "broker.url": f"mqtt://127.0.0.1:{self.broker.port}",
                "broker.reconnect_min": 0.1,
                "broker.reconnect_max": 0.5,
                "broker.breaker_failures": 1000,
                "broker.inflight_window": 1000,
                "web.port": 0,
                "web.socket": str(self.folder / "growyd.sock"),
                "store.commit_interval": 0.2,
                "fleet.auto_approve": True,
                "fleet.discovery_burst": 2000,
                "control.lease": 20,
                "control.adopt": 3.0,
                "sensors.deadline": 30.0,
                "hierarchy.lease": LEASE_S,
                "hierarchy.fence": FENCE_S,
                "hierarchy.report": REPORT_S,
                **self.settings,
            },
        )
        ended = self._ended = trio.Event()

        async def live(task_status: trio.TaskStatus[Daemon]) -> None:
            try:
                with trio.CancelScope() as self._scope:
                    async with trio.open_nursery() as inner:

                        async def run(task_status: trio.TaskStatus[Daemon]) -> None:
                            await run_daemon(config, task_status=task_status)

                        task_status.started(await inner.start(run))
            finally:
                self.daemon = None
                ended.set()

        self.daemon = await self.nursery.start(live)
        await self.up.link.wait_connected()

    async def kill(self) -> None:
        """As a crash: no goodbye."""
        assert self._scope is not None
        self._scope.cancel()
        await self._ended.wait()

    async def stop(self) -> None:
        """As systemd would."""
        self.up.stop.set()
        await self._ended.wait()

    # --- devices ------------------------------------------------------------------------------------------------------

    async def devices(self, *numbers: int) -> list[Esp]:
        """Switches some on at this node's broker."""
        options = SimOptions(
            broker=BrokerUrl.parse(f"mqtt://127.0.0.1:{self.broker.port}"),
            devices=tuple(spec(number) for number in numbers),
            reconnect_s=0.5,
        )
        sim: SimFleet = await self.nursery.start(run_fleet, options)
        self.sims.append(sim)
        return [Esp(device, self, sim) for device in sim.devices]

    # --- looked at ----------------------------------------------------------------------------------------------------

    def tenure(self, esp_id: str) -> Tenure:
        return self.up.tree.node.tenure(esp_id)

    async def stored(self, esp_id: str) -> list[Reading]:
        """Everything that is on this node's disk of what a publisher said in a device's name."""
        found: list[Reading] = []
        for series in self.up.store.catalog.find(esp_id=esp_id):
            if series.key.value_type == "moisture" and series.gpio != METER:
                page = await self.up.store.query(series.id, 0, 1 << 60, resolution="raw", limit=1_000_000)
                assert page.readings is not None
                found += page.readings.rows()
        return found


def spec(number: int) -> EspSpec:
    """A device with an SHT31 and a heater on a relay, fresh from provisioning."""
    return EspSpec(
        esp_id=f"ESP_{0xB00000 + number:06X}",
        name=f"Tent {number}",
        zone_id=f"tent_{number}",
        sensors=(SensorSpec(kind=SensorKind.SHT31, gpio=0x44, i2c_address=0x44, interval_s=1.0),),
        plant={HEATER: Role.HEATER, LAMP: Role.LAMP},
        virgin=True,
    )


@attrs.define(eq=False)
class Esp:
    """A device, and what its heater really did and when, by trio's clock."""

    device: SimDevice
    home: Place
    sim: SimFleet
    moves: list[tuple[float, int, bool]] = attrs.field(factory=list)
    """When, which, and whether on."""

    def __attrs_post_init__(self) -> None:
        house = self.sim.houses[self.device.spec.zone_id]
        drive = house.drive
        last: dict[int, bool] = {}

        def watched(esp_id: str, outputs: Mapping[Role, float], now: float) -> None:
            if esp_id == self.esp_id:
                for gpio, role in ((HEATER, Role.HEATER), (LAMP, Role.LAMP)):
                    on = outputs.get(role, 0.0) > 0.0
                    if on is not last.get(gpio, False):
                        last[gpio] = on
                        self.moves.append((trio.current_time(), gpio, on))
            drive(esp_id, outputs, now)

        house.drive = watched  # type: ignore[method-assign]

    @property
    def esp_id(self) -> str:
        return self.device.spec.esp_id

    @property
    def heater(self) -> ActuatorKey:
        return ActuatorKey(self.esp_id, HEATER)

    @property
    def lamp(self) -> ActuatorKey:
        return ActuatorKey(self.esp_id, LAMP)

    @property
    def heats(self) -> bool:
        return self.on(HEATER)

    @property
    def shines(self) -> bool:
        return self.on(LAMP)

    def on(self, gpio: int) -> bool:
        """By its pin."""
        output = self.device.state.board.actuator(gpio)
        return output is not None and bool(output.level)

    def moved_since(self, clock: float) -> list[tuple[float, int, bool]]:
        return [one for one in self.moves if one[0] >= clock]

    async def set_up(self, owner: Place, **heater: object) -> None:
        """Its sensor and its heater are set up by the owner, and the device has said that it has them."""
        fleet = owner.up.fleet
        await until(lambda: fleet.get(self.esp_id) is not None, 30, f"{owner.name} meets {self.esp_id}")
        await until(lambda: owner.tenure(self.esp_id) is Tenure.OURS, 30, f"{owner.name} owns {self.esp_id}")
        air = SensorSetup(
            id=f"{self.esp_id}-1", gpio=68, sensor_type="sht31", name="Air", i2c_address=68, interval_s=1
        )
        await fleet.set_sensor(self.esp_id, air)
        for gpio, name in ((HEATER, "Heater"), (LAMP, "Lamp")):
            relay = ActuatorSetup(
                id=f"{self.esp_id}-{gpio}", gpio=gpio, kind=ActuatorKind.RELAY, name=name, **heater
            )
            await fleet.set_actuator(self.esp_id, relay)
        assert await fleet.settled(self.esp_id, ["s:68:68", f"a:{HEATER}", f"a:{LAMP}"], 60)

    async def rule(self, owner: Place, **changes: object) -> str:
        """Goes on below 20, off above 40 of what the test says on its meter: between them it stays as it was."""
        document = {
            "name": f"Heating {self.esp_id}",
            "conditions": [
                {
                    "type": "hysteresis",
                    "esp_id": self.esp_id,
                    "gpio": METER,
                    "sensor_type": "moisture",
                    "activate_below": 20,
                    "deactivate_above": 40,
                }
            ],
            "actions": [
                {"type": "actuator", "esp_id": self.esp_id, "gpio": HEATER, "command": "ON", "value": 1.0}
            ],
            "cooldown_seconds": 0,
            **changes,
        }
        written = await owner.up.control.book.add(document, by="tester")
        return written.record.rule.id


class Meter:
    """Says over and over what the test wants a device to have measured."""

    def __init__(self, esp: Esp) -> None:
        self._esp_id = esp.esp_id
        self.value = 30.0
        self._seq = 0
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"{esp.esp_id}-hand")
        self._client.connect("127.0.0.1", esp.home.broker.port)

    def says(self, value: float) -> None:
        self.value = value
        self._say()

    def _say(self) -> None:
        self._seq += 1
        reading = {
            "esp_id": self._esp_id, "seq": self._seq, "gpio": METER, "sensor_type": "moisture", "raw": self.value,
            "value": self.value, "unit": "%", "quality": "good", "ts": int(time.time()), "time_valid": True,
            "raw_mode": False,
        }  # fmt: skip
        self._client.publish(f"kaiser/god/esp/{self._esp_id}/sensor/{METER}/data", json.dumps(reading), qos=1)

    async def run(self) -> None:
        self._client.loop_start()
        try:
            while True:
                self._say()
                await trio.sleep(0.5)
        finally:
            self._client.disconnect()
            self._client.loop_stop()


@attrs.define
class Held:
    """A device was one node's to command."""

    esp_id: str
    node: str
    epoch: int
    since: float
    until: float


def overlaps(history: list[Held]) -> list[tuple[Held, Held]]:
    """Two nodes that held one device at one time."""
    return [
        (one, other)
        for index, one in enumerate(history)
        for other in history[index + 1 :]
        if one.esp_id == other.esp_id
        and one.node != other.node
        and one.since <= other.until
        and other.since <= one.until
    ]


@attrs.define(eq=False)
class Grove:
    """The whole tree."""

    folder: Path
    nursery: trio.Nursery
    god: Place
    kaisers: dict[str, Place] = attrs.field(factory=dict)

    async def add_kaiser(self, name: str, *, known: bool = True, **settings: object) -> Place:
        """A Kaiser that runs; and God knows of it."""
        place = self.plant(name, **settings)
        if known:
            await self.god.god.add(Node(kaiser_id=name))
        place.broker.start()
        await place.start()
        if known:
            await self.online(name)
        return place

    def plant(self, name: str, *, kaiser_id: str | None = None, **settings: object) -> Place:
        """A Pi that is not yet switched on."""
        wire = Wire(self.god.broker.port)
        place = Place(
            name,
            self.folder / name,
            self.nursery,
            {
                "node.role": "kaiser",
                "node.kaiser_id": kaiser_id or name,
                "uplink.url": f"mqtt://127.0.0.1:{wire.port}",
                "uplink.rate_kb": 10_000,
                **settings,
            },
            wire,
        )
        self.kaisers[name] = place
        self.nursery.start_soon(wire.run)
        return place

    @property
    def places(self) -> list[Place]:
        return [self.god, *self.kaisers.values()]

    def place(self, owner: str) -> Place:
        return self.god if owner == GOD else self.kaisers[owner]

    def state_of(self, name: str) -> NodeState:
        return self.god.god.kaiser(name).node.state

    async def online(self, name: str, seconds: float = 20) -> float:
        return await until(lambda: self.state_of(name) is NodeState.ONLINE, seconds, f"{name} is online")

    async def owned(self, esp_id: str, owner: str, seconds: float = 20) -> float:
        """Until God's record and the owner's own word agree."""
        return await until(
            lambda: (
                (record := self.god.god.core.record(esp_id)) is not None
                and record.owner == owner
                and self.place(owner).daemon is not None
                and self.place(owner).tenure(esp_id) is Tenure.OURS
            ),
            seconds,
            f"{owner} owns {esp_id}",
        )

    async def transfer(self, esp_id: str, to_owner: str, seconds: float = 20) -> tuple[CommandChain, float]:
        """Moves a device; how it ended, and how long it took."""
        node = self.god.god
        began = time.monotonic()
        chain = await node.transfer(esp_id, node.owner(esp_id), to_owner, reason="test", by="tester")
        ended = await node.wait(chain.command_id, seconds)
        return ended, time.monotonic() - began

    def owners(self, esp_id: str) -> list[str]:
        """Nodes that would command the device now."""
        return [
            one.name
            for one in self.places
            if one.daemon and one.up.fleet.get(esp_id) and one.tenure(esp_id) is Tenure.OURS
        ]

    async def settled(self, esp_id: str, seconds: float = 40) -> str:
        """Until nothing is under way about the device any more; its owner."""
        found: list[str] = []

        def still() -> bool:
            if self.god.daemon is None or any(one.esp_id == esp_id for one in self.god.god.core.chains):
                return False
            record = self.god.god.core.record(esp_id)
            found[:] = self.owners(esp_id)
            return record is not None and found == [record.owner]

        await until(still, seconds, f"{esp_id} has one owner")
        await self.god.god.settled()
        return found[0]

    async def meter(self, esp: Esp) -> Meter:
        made = Meter(esp)
        self.nursery.start_soon(made.run)
        return made

    def epoch(self, place: Place, esp_id: str) -> int | None:
        """The epoch under which a node would command the device now."""
        if place.daemon is None or place.tenure(esp_id) is not Tenure.OURS:
            return None
        node = place.up.tree.node
        if isinstance(node, GodNode):
            record = node.core.record(esp_id)
            return record.epoch if record is not None and node.core.commands(esp_id) else None
        held = node.core.holds.held_until(esp_id, trio.current_time())
        return None if held is None else held[0]

    @asynccontextmanager
    async def recorded(self, *esp_ids: str) -> AsyncIterator[list[Held]]:
        """Who held which device under which epoch from when to when, by the one clock that all of them share."""
        history: list[Held] = []
        now: dict[tuple[str, str], Held] = {}

        async def watch() -> None:
            while True:
                clock = trio.current_time()
                for esp_id in esp_ids:
                    for place in self.places:
                        epoch, held = self.epoch(place, esp_id), now.get((esp_id, place.name))
                        if held is not None and held.epoch == epoch:
                            held.until = clock
                        elif epoch is not None:
                            now[esp_id, place.name] = held = Held(esp_id, place.name, epoch, clock, clock)
                            history.append(held)
                        else:
                            now.pop((esp_id, place.name), None)
                await trio.sleep(0.005)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            yield history
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def watched(self, *esp_ids: str) -> AsyncIterator[list[str]]:
        """Looks every few milliseconds whether two nodes would command one device; what it saw, in words."""
        seen: list[str] = []

        async def watch() -> None:
            while True:
                for esp_id in esp_ids:
                    owners = self.owners(esp_id)
                    if len(owners) > 1:
                        seen.append(f"{trio.current_time():.3f} {esp_id} {owners}")
                await trio.sleep(0.005)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            yield seen
            nursery.cancel_scope.cancel()

    async def exactly_once(self, esp_id: str, promised: set[int], seconds: float = 30) -> None:
        """Until God's disk holds every reading of a publisher that its broker has taken, and none twice."""
        stored: list[Reading] = []
        with trio.move_on_after(seconds):
            while len(stored) < len(promised):
                await trio.sleep(0.2)
                stored = await self.god.stored(esp_id)
        assert_exactly_once(stored, promised)


@contextmanager
def _signals_kept():  # type: ignore[no-untyped-def]
    """Daemons that do not end in the order in which they came leave one another's handlers behind."""
    kept = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in kept.items():
            signal.signal(one, handler)


@asynccontextmanager
async def grow(folder: Path, *, listeners: str = "", **god: object) -> AsyncIterator[Grove]:
    """God runs; Kaisers are for the test to add. Args: listeners: more settings of God's Mosquitto."""
    with _signals_kept():
        async with trio.open_nursery() as nursery:
            settings: dict[str, object] = dict(god)
            place = Place("god", folder / "god", nursery, settings, listeners=listeners)
            grove = Grove(folder, nursery, place)
            try:
                place.broker.start()
                await place.start()
                yield grove
            finally:
                nursery.cancel_scope.cancel()
                for one in grove.places:
                    one.broker.stop()
