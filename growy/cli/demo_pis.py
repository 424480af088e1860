"""The nodes of a demo with several Pis: which devices hang on which, and how they start and end.

Each has a broker, a disk and devices of its own, as in a house. What happens with them is the business of others.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import attrs
import trio

from growy.cli.demo_control import LOOK_S
from growy.cli.demo_run import HOST, DemoOptions, Witness, tell, tell_login
from growy.cli.demo_view import MAX_ROWS, DemoMove
from growy.config import BrokerScheme, BrokerUrl
from growy.daemon import run_daemon
from growy.hierarchy.god_node import GodNode
from growy.model.errors import BrokerError, ConfigError
from growy.model.hierarchy import GOD, MAX_ESPS, Node, NodeId, NodeState
from growy.parts import Daemon
from growy.sim.fleet import SimFleet, run_fleet
from growy.sim.greenhouse import Role
from growy.sim.spec import EspSpec

BY = "user:demo"
LEASE = {"hierarchy.lease": 20.0, "hierarchy.report": 1.0}
"""Shorter than in a house: all of them are in one process, and nobody pulls a cable."""
ONLINE_S = 20.0
"""How long a Kaiser may take to be heard by God."""


@attrs.frozen(kw_only=True)
class Pi:
    """One node that runs."""

    node: NodeId
    daemon: Daemon
    witness: Witness
    broker: BrokerUrl
    specs: tuple[EspSpec, ...]
    """Of the devices that hang on its broker."""


@attrs.define(eq=False, kw_only=True)
class DemoTree:
    """All nodes and all devices, while they run."""

    options: DemoOptions
    pis: tuple[Pi, ...]
    """God first."""
    fleets: Mapping[NodeId, SimFleet]
    began: float
    moves: list[DemoMove] = attrs.field(factory=list)
    told: trio.Event = attrs.field(factory=trio.Event)
    """The device has been moved, or it has been said why not."""

    @property
    def god(self) -> GodNode:
        return god_of(self.pis[0].daemon)

    @property
    def stopping(self) -> bool:
        return any(fleet.stopping for fleet in self.fleets.values())

    def stop(self) -> None:
        for fleet in self.fleets.values():
            fleet.stop()

    def pi(self, node: NodeId) -> Pi:
        return next(one for one in self.pis if one.node == node)

    def owner(self, esp_id: str) -> Pi:
        """By God's record."""
        return self.pi(self.god.owner(esp_id))

    def tell(self, line: str) -> None:
        tell(f"{trio.current_time() - self.began:4.0f} s: {line}")


def shares(specs: Sequence[EspSpec], kaisers: int) -> dict[NodeId, tuple[EspSpec, ...]]:
    """Which devices hang on which node's broker. The one that will be moved, which has a heater, is a Kaiser's.

    Raises:
        ConfigError: there are too few for that.
    """
    heated = [spec for spec in specs if Role.HEATER in spec.plant.values()][:1]
    if not heated or len(specs) <= kaisers:
        raise ConfigError(
            f"--kaisers {kaisers}: {len(specs)} devices are too few, one of them with a heater",
            cure=f"Take --esps {max(3, kaisers + 1)} or more; the third has the heater",
        )
    nodes = [*(f"k{number}" for number in range(1, kaisers + 1)), GOD]
    found: dict[NodeId, tuple[EspSpec, ...]] = {GOD: ()}
    for index, spec in enumerate([*heated, *(one for one in specs if one is not heated[0])]):
        node = nodes[index % len(nodes)]
        # Each Pi has a house of its own.
        placed = spec if node == GOD else attrs.evolve(spec, zone_id=f"{spec.zone_id}_{node}")
        found[node] = (*found.get(node, ()), placed)
    return found


@asynccontextmanager
async def running(
    options: DemoOptions, shared: Mapping[NodeId, tuple[EspSpec, ...]]
) -> AsyncIterator[tuple[Pi, ...]]:
    """God and its Kaisers, who have found it. They end in order, Kaisers first.

    Raises:
        GrowyError.
    """
    async with AsyncExitStack() as opened:
        pis: list[Pi] = []
        for node, specs in shared.items():
            port = options.broker_port if node == GOD else free_port()
            if node != GOD:
                room = max(MAX_ESPS, len(specs) + 1)
                await god_of(pis[0].daemon).add(Node(kaiser_id=node, max_esps=room), by=BY)
            witness = Witness()
            daemon = await opened.enter_async_context(one_running(options, node, port, witness))
            witness.watch(daemon)
            broker = BrokerUrl(BrokerScheme.MQTT, HOST, port)
            pis.append(Pi(node=node, daemon=daemon, witness=witness, broker=broker, specs=specs))
            if node != GOD:
                await online(god_of(pis[0].daemon), node, daemon)
                tell(f"{node} follows God: broker {broker}, HTTP {daemon.web.url}; on it {_names(specs)}")
            await tell_login(daemon)
        yield tuple(pis)


@asynccontextmanager
async def one_running(
    options: DemoOptions, node: NodeId, port: int, witness: Witness
) -> AsyncIterator[Daemon]:
    more: dict[str, object] = {**LEASE, "broker.embedded_listen": f"{HOST}:{port}"}
    if node != GOD:
        more |= {
            "node.role": "kaiser",
            "node.kaiser_id": node,
            "node.data_dir": options.data_dir / node,
            "uplink.url": str(BrokerUrl(BrokerScheme.MQTT, HOST, options.broker_port)),
            "web.port": 0,
        }
    async with trio.open_nursery() as nursery:
        run = partial(run_daemon, options.config(more), on_committed=witness.committed)
        daemon: Daemon = await nursery.start(run)
        yield daemon
        daemon.stop.set()


def free_port() -> int:
    """A port of loopback on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def god_of(daemon: Daemon) -> GodNode:
    node = daemon.tree.node
    assert isinstance(node, GodNode)  # its settings say so
    return node


async def online(god: GodNode, kaiser: NodeId, daemon: Daemon) -> None:
    """Raises BrokerError: it is not heard. KeyboardInterrupt: somebody wants no more of it."""
    with trio.move_on_after(ONLINE_S):
        while god.kaiser(kaiser).node.state is not NodeState.ONLINE:
            if daemon.stop.is_set():  # by a signal, which comes to the daemon that began last
                raise KeyboardInterrupt
            await trio.sleep(LOOK_S)
        return
    why = god.kaiser(kaiser).refusal
    raise BrokerError(
        f"God has not heard {kaiser} within {ONLINE_S:g} s" + (f": {why}" if why else ""),
        cure="Try it without --data-dir, so that nothing is left of an earlier demo",
    )


async def fly(
    options: DemoOptions, pi: Pi, *, task_status: trio.TaskStatus[SimFleet] = trio.TASK_STATUS_IGNORED
) -> None:
    """The devices on one broker, until they are stopped."""
    here = {spec.esp_id for spec in pi.specs}
    simulation = attrs.evolve(
        options.simulation(),
        broker=pi.broker,
        duration_s=None,
        devices=pi.specs,
        plug_changes=tuple(change for change in options.plug_changes if change.esp_id in here),
    )
    await run_fleet(simulation, task_status=task_status)


def _names(specs: Sequence[EspSpec]) -> str:
    listed = ", ".join(spec.name for spec in specs[:MAX_ROWS])
    return listed if len(specs) <= MAX_ROWS else f"{listed} and {len(specs) - MAX_ROWS} more"
