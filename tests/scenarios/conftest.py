"""The running daemon, a real Mosquitto and simulated ESP32s, in one place, at a speed that can be chosen.

The clock is trio's own with another rate: at 20, an hour of the fleet's life takes three minutes, while every byte goes
over real sockets through the real broker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from rig.brokers import Mosquitto

from growy.config import BrokerUrl, load_config
from growy.daemon import run_daemon
from growy.fleet.fleet import Fleet
from growy.parts import Daemon
from growy.sim.fleet import SimFleet, SimOptions, run_fleet


@attrs.define
class Scene:
    """What a scenario is played with."""

    folder: Path
    broker: Mosquitto
    clock: trio.testing.MockClock
    nursery: trio.Nursery
    auto_approve: bool = True
    settings: dict[str, object] = attrs.field(factory=dict)
    """Further settings of the daemon, by path."""
    _scope: trio.CancelScope | None = None
    _ended: trio.Event = attrs.field(factory=trio.Event)
    daemon: Daemon | None = None

    @property
    def fleet(self) -> Fleet:
        assert self.daemon is not None
        return self.daemon.fleet

    async def start_daemon(self) -> Daemon:
        """Opens growyd on the scene's folder; at real speed, because workers are processes."""
        rate = self.clock.rate
        self.clock.rate = 1.0
        config = load_config(
            None,
            environ={},
            overrides={
                "node.data_dir": str(self.folder),
                "broker.url": f"mqtt://127.0.0.1:{self.broker.port}",
                "broker.reconnect_min": 0.2,
                "broker.reconnect_max": 1.0,
                "broker.breaker_failures": 1000,
                "web.port": 0,
                "web.socket": str(self.folder / "growyd.sock"),
                "fleet.auto_approve": self.auto_approve,
                "fleet.discovery_burst": 2000,
                "sensors.deadline": 30.0,
                **self.settings,
            },
        )
        started: trio.Event = trio.Event()

        ended = self._ended = trio.Event()

        async def live() -> None:
            with trio.CancelScope() as self._scope:

                async def run(task_status: trio.TaskStatus[Daemon]) -> None:
                    await run_daemon(config, task_status=task_status)

                async with trio.open_nursery() as inner:
                    self.daemon = await inner.start(run)
                    started.set()
            ended.set()

        self.nursery.start_soon(live)
        await started.wait()
        assert self.daemon is not None
        await self.daemon.link.wait_connected()
        self.clock.rate = rate
        return self.daemon

    async def kill_daemon(self) -> None:
        """As a crash: no goodbye, the broker speaks its will."""
        assert self._scope is not None
        self._scope.cancel()
        await self._gone()

    async def stop_daemon(self) -> None:
        """As systemd would: everything is written, the broker is told."""
        assert self.daemon is not None
        self.daemon.stop.set()
        await self._gone()

    async def _gone(self) -> None:
        rate, self.clock.rate = self.clock.rate, 1.0
        await self._ended.wait()
        self.clock.rate = rate
        self.daemon = None

    async def simulate(self, **options: object) -> SimFleet:
        options.setdefault("reconnect_s", 1.0)
        chosen = SimOptions(broker=BrokerUrl.parse(f"mqtt://127.0.0.1:{self.broker.port}"), **options)  # type: ignore[arg-type]
        sim: SimFleet = await self.nursery.start(run_fleet, chosen)
        return sim

    async def until(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Waits, at most so many seconds of the scene; how long it took."""
        began = trio.current_time()
        while not condition():
            if trio.current_time() - began > seconds:
                raise AssertionError(f"{what}: not within {seconds:g} s")
            await trio.sleep(0.02)
        return trio.current_time() - began


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """pytest-trio runs a test that asks for it on it. Its `rate`: seconds of the scene per real second."""
    return trio.testing.MockClock(rate=1.0)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, "max_inflight_messages 1000\nmax_queued_messages 100000")
    yield broker
    broker.stop()


@pytest.fixture
async def scene(tmp_path: Path, mosquitto: Mosquitto, clock: trio.testing.MockClock) -> AsyncIterator[Scene]:
    async with play(tmp_path, mosquitto, clock) as made:
        yield made


@asynccontextmanager
async def play(folder: Path, broker: Mosquitto, clock: trio.testing.MockClock) -> AsyncIterator[Scene]:
    async with trio.open_nursery() as nursery:
        yield Scene(folder=folder, broker=broker, clock=clock, nursery=nursery)
        clock.rate = 1.0
        nursery.cancel_scope.cancel()
