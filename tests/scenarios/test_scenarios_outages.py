"""What happens in a greenhouse: power cuts, a Pi that dies, a broker that restarts. Nobody is locked out."""

from __future__ import annotations

import statistics

import trio
from conftest import Scene
from trio.testing import MockClock

from growy.sim.faults import Faults
from growy.sim.fleet import SimFleet
from growy.sim.handover import Mode


def all_open(sim: SimFleet) -> bool:
    return all(device.state.registered for device in sim.devices)


def all_online(sim: SimFleet) -> bool:
    return all(device.state.registered and device.state.mode is Mode.ONLINE for device in sim.devices)


async def test_a_pi_that_is_slower_than_its_devices_after_a_power_cut(scene: Scene, clock: MockClock) -> None:
    """Failed connects make devices rule themselves with no epoch: they refuse every answer until they see `online`."""
    clock.rate = 10
    sim = await scene.simulate(esps=6)
    await scene.until(
        lambda: all(device.state.mode is Mode.OFFLINE_ACTIVE for device in sim.devices),
        120,
        "devices give up",
    )
    clock.rate = 1
    scene.broker.start()
    await scene.start_daemon()
    clock.rate = 5
    await scene.until(lambda: all_online(sim), 60, "every gate is open, every device online")
    assert all(device.state.handover.active_epoch >= 1 for device in sim.devices)
    await scene.until(lambda: scene.fleet.statistics().online == 6, 10, "growyd sees them")


async def test_growyd_is_gone_for_200_seconds_while_the_broker_lives(scene: Scene, clock: MockClock) -> None:
    scene.broker.start()
    await scene.start_daemon()
    sim = await scene.simulate(esps=6)
    await scene.until(lambda: all_open(sim), 20, "gates open")
    await scene.kill_daemon()
    clock.rate = 20
    await trio.sleep(200)
    assert all(device.state.mode is Mode.OFFLINE_ACTIVE for device in sim.devices)
    clock.rate = 1
    await scene.start_daemon()
    clock.rate = 5
    await scene.until(lambda: all_online(sim), 90, "every device is adopted")
    assert all(device.state.handover.active_epoch >= 1 for device in sim.devices)
    assert scene.fleet.statistics().devices == 6


async def test_the_broker_restarts(scene: Scene, clock: MockClock) -> None:
    scene.broker.start()
    await scene.start_daemon()
    sim = await scene.simulate(esps=6)
    await scene.until(lambda: all_open(sim), 20, "gates open")
    connects = [device.statistics().connects for device in sim.devices]
    scene.broker.kill()
    await scene.until(lambda: not any(device.state.connected for device in sim.devices), 10, "all lost")
    scene.broker.start()
    clock.rate = 5
    await scene.until(
        lambda: (
            all(d.statistics().connects > n for d, n in zip(sim.devices, connects, strict=True))
            and all_online(sim)
        ),
        60,
        "all back",
    )
    await scene.until(lambda: scene.fleet.statistics().online == 6, 30, "growyd sees them")


async def test_three_of_ten_heartbeats_are_lost_and_nobody_is_believed_dead(
    scene: Scene, clock: MockClock
) -> None:
    scene.broker.start()
    await scene.start_daemon()
    sim = await scene.simulate(esps=20, faults=Faults(lose_heartbeats=0.3))
    await scene.until(lambda: all_open(sim), 60, "gates open")
    clock.rate = 20
    for _ in range(12):
        await trio.sleep(30)
        assert all_online(sim)
    assert all(device.state.handover.offline_enters == 0 for device in sim.devices)
    fleet = scene.fleet.statistics()
    assert fleet.online == 20
    assert fleet.flapping == 0


async def test_250_devices_come_back_in_the_same_second(scene: Scene, clock: MockClock) -> None:
    scene.broker.start()
    await scene.start_daemon()
    sim = await scene.simulate(esps=250)
    took = await scene.until(lambda: all_open(sim), 10, "all gates open")
    delays = sorted(delay for device in sim.devices for delay in device.ack_delays)
    p99 = statistics.quantiles(delays, n=100)[98]
    print(f"250 devices: all gates open after {took:.1f} s; ACK after its heartbeat p99 {p99 * 1000:.0f} ms")
    assert delays[-1] <= 1.0
    assert scene.fleet.statistics().devices == 250
