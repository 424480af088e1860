"""What a person can do to a running device, and what can be wrong with it, on real brokers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from growy.config import BrokerUrl
from growy.sim.device import SimDevice
from growy.sim.faults import Faults
from growy.sim.flash import Generation, SystemState
from growy.sim.fleet import SimFleet, SimOptions, run_fleet
from growy.sim.handover import Mode

ACK = b'{"status":"approved","handover_epoch":1,"server_time":1767225600}'
ESP = "ESP_00A001"
TOPIC = f"kaiser/god/esp/{ESP}"
ONE = SimOptions(esps=1, interval_s=0.2, reconnect_s=0.1, time_scale=60.0)


async def until(what: Callable[[], bool], timeout_s: float = 120.0) -> None:
    with trio.fail_after(timeout_s):
        while not what():
            await trio.sleep(0.02)


async def arrived(server: Any, tail: str, count: int = 1) -> list[Any]:
    """The messages up to the one that makes `count` of this kind."""

    def enough(taken: list[Any]) -> bool:
        return sum(message.topic.endswith(tail) for message in taken) >= count

    taken = await trio.to_thread.run_sync(server.take, enough)
    return [message for message in taken if message.topic.endswith(tail)]


async def registered(fleet: SimFleet) -> SimDevice:
    device = fleet.device(ESP)
    await until(lambda: device.state.registered)
    return device


async def test_a_reset_forgets_all_but_the_flash(fast, sim_broker, listen):
    listen(sim_broker, ack=ACK)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(ONE, broker=sim_broker.url))
        device = await registered(fleet)
        await until(lambda: fleet.statistics().acked > 3)
        assert device.nvs.approved
        uptime_s = trio.current_time() - device.state.boot_at

        device.reboot("BROWNOUT")

        await until(lambda: device.state.reset_reason == "BROWNOUT")
        assert trio.current_time() - device.state.boot_at < uptime_s
        assert device.state.board.state is SystemState.OPERATIONAL, "its approval is in the flash"
        await until(lambda: device.state.registered)
        assert device.state.boot_id == f"{ESP}-b2-r9"
        published = fleet.statistics().published
        await until(lambda: fleet.statistics().acked > published)
        fleet.stop()
    (report,) = fleet.statistics().devices
    assert (report.boots, report.connects) == (2, 2)
    assert report.unacked == 0
    assert {entry.boot for entry in fleet.ledger.entries()} == {1, 2}


@pytest.mark.parametrize("reset_reason", ["", "power", "SOFTWARE"])
async def test_a_reset_has_one_of_the_chips_reasons(reset_reason: str):
    device = SimFleet(ONE).device(ESP)
    with pytest.raises(ValueError, match="POWERON"):
        device.reboot(reset_reason)


@pytest.mark.mosquitto
async def test_a_device_without_power_is_silent_and_its_will_is_published(fast, start_mosquitto, listen):
    broker = start_mosquitto()
    server = listen(broker, ack=ACK)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(ONE, broker=broker.url))
        device = await registered(fleet)

        device.power_off()

        (will,) = await arrived(server, "/system/will")
        assert json.loads(will.payload)["reason"] == "unexpected_disconnect"
        assert not fleet.statistics().devices[0].powered
        assert not fleet.statistics().devices[0].connected
        server.taken_so_far()
        await trio.sleep(0.5)
        assert not server.taken_so_far()
        device.nvs = attrs.evolve(device.nvs, zone_id="flashed_meanwhile")

        device.power_on()

        await until(lambda: device.powered and device.state.registered)
        assert device.state.reset_reason == "POWERON"
        assert device.state.board.nvs.zone_id == "flashed_meanwhile"
        fleet.stop()


@pytest.mark.mosquitto
async def test_a_pulled_cable_publishes_the_will_and_the_device_runs_on(fast, start_mosquitto, listen):
    broker = start_mosquitto()
    server = listen(broker, ack=ACK)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(ONE, broker=broker.url))
        device = await registered(fleet)
        booted_at = device.state.boot_at

        device.pull_cable()

        await arrived(server, "/system/will")
        assert device.state.mode is Mode.DISCONNECTED
        await until(lambda: fleet.statistics().dropped_offline > 3)
        assert device.state.boot_at == booted_at
        assert fleet.statistics().devices[0].last_error == "the cable is pulled"

        device.plug_in()

        await until(lambda: device.state.registered)
        assert device.state.mode is Mode.ONLINE
        assert device.state.boot_at == booted_at
        fleet.stop()


async def test_a_device_that_is_off_can_be_unplugged_stopped_and_its_fleet_still_ends(fast, sim_broker):
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(ONE, broker=sim_broker.url, gate=False))
        device = fleet.device(ESP)
        await until(lambda: device.state.connected)
        device.power_off()
        device.pull_cable()
        await until(lambda: not fleet.statistics().connected)
        device.power_on()
        await until(lambda: fleet.statistics().devices[0].boots == 2)
        await trio.sleep(0.3)
        assert not device.state.connected, "its cable is still pulled"
        fleet.stop()
    assert fleet.statistics().devices[0].connects == 1


async def test_a_device_may_never_hear_an_ack(fast, sim_broker, listen):
    server = listen(sim_broker, ack=ACK)
    faulty = attrs.evolve(ONE, broker=sim_broker.url, faults=Faults(lose_acks=1.0))
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, faulty)
        await arrived(server, "/system/heartbeat/ack", 2)
        await trio.sleep(0.2)
        fleet.stop()
    (report,) = fleet.statistics().devices
    assert (report.acks_accepted, report.acks_refused, report.published) == (0, 0, 0)


async def test_a_heartbeat_may_never_leave(fast, sim_broker, listen):
    server = listen(sim_broker, ack=ACK)
    options = attrs.evolve(
        ONE, esps=2, broker=sim_broker.url, device_faults={ESP: Faults(lose_heartbeats=1.0)}
    )
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        await until(lambda: fleet.device("ESP_00A002").state.registered)
        await until(lambda: fleet.statistics().devices[0].heartbeats >= 2)
        fleet.stop()
    topics = {message.topic for message in server.taken_so_far()}
    assert f"kaiser/god/esp/{ESP}/session/announce" in topics
    assert f"kaiser/god/esp/{ESP}/system/heartbeat" not in topics


async def test_every_message_may_come_twice(fast, sim_broker, listen):
    server = listen(sim_broker)
    options = attrs.evolve(
        ONE, broker=sim_broker.url, gate=False, readings_limit=10, faults=Faults(duplicate=1.0)
    )
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        messages = await arrived(server, "/data", 20)
        fleet.stop()
    report = fleet.statistics()
    assert report.published == report.acked == 10
    numbers = [json.loads(message.payload)["seq"] for message in messages]
    assert sorted(numbers) == sorted([*set(numbers)] * 2)


async def test_a_slow_suback_delays_the_registration(fast, sim_broker, listen):
    listen(sim_broker, ack=ACK)
    options = attrs.evolve(ONE, broker=sim_broker.url, faults=Faults(suback_delay_s=1.5))
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        device = await registered(fleet)
        assert trio.current_time() - device.state.boot_at > 3.0, "setup, then the delay"
        fleet.stop()


async def test_a_clock_that_nobody_sets_waits_for_the_ack(fast, sim_broker, listen):
    server = listen(sim_broker, ack=ACK)
    options = attrs.evolve(ONE, broker=sim_broker.url, faults=Faults(clock_unknown=True))
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        (beat, *_) = await arrived(server, "/system/heartbeat")
        said = json.loads(beat.payload)
        assert (said["ts"], said["time_valid"], said["segment_start_ts"]) == (0, False, 0)
        (reading, *_) = await arrived(server, "/data")
        assert json.loads(reading.payload)["ts"] >= 1767225600
        fleet.stop()


async def test_a_device_may_reboot_again_and_again(fast, sim_broker, listen):
    listen(sim_broker, ack=ACK)
    options = attrs.evolve(ONE, broker=sim_broker.url, faults=Faults(reboot_every_s=0.5))
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        await until(lambda: fleet.statistics().devices[0].boots >= 4)
        fleet.stop()
    assert fleet.device(ESP).state.reset_reason == "PANIC"
    assert fleet.device(ESP).nvs.boot_count >= 4


async def test_a_virgin_device_waits_for_everything(fast, sim_broker, listen):
    server = listen(sim_broker, ack=ACK.replace(b"approved", b"pending_approval"))
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(ONE, broker=sim_broker.url, virgin=True))
        await registered(fleet)
        (beat, *_) = await arrived(server, "/system/heartbeat")
        said = json.loads(beat.payload)
        assert (said["zone_id"], said["zone_assigned"]) == ("", False)
        assert (said["sensor_count"], said["actuator_count"]) == (0, 0)
        assert fleet.device(ESP).state.board.state is SystemState.PENDING_APPROVAL
        fleet.stop()


async def test_old_firmware_gives_up_after_ten_attempts_until_it_is_switched_on_again(autojump_clock):
    nobody = BrokerUrl.parse("mqtt://127.0.0.1:9")
    options = attrs.evolve(ONE, broker=nobody, generation=Generation.DEC_2025)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        await trio.sleep(600.0)
        (report,) = fleet.statistics().devices
        assert report.connect_failures == 10
        assert report.last_error.startswith("gave up after 10 attempts: cannot reach")
        fleet.device(ESP).reboot("POWERON")
        await trio.sleep(10.0)
        assert fleet.statistics().devices[0].connect_failures > 10
        fleet.stop()


@pytest.mark.mosquitto
async def test_old_firmware_retains_what_it_publishes(fast, start_mosquitto, listen):
    broker = start_mosquitto()
    options = attrs.evolve(ONE, broker=broker.url, generation=Generation.DEC_2025, duration_s=8.0)
    report = await run_fleet(options)
    assert report.published > 0
    assert report.unacked == 0
    late = listen(broker)
    (reading, *_) = await arrived(late, "/data")
    assert reading.retain, "a server that comes later gets an old value as if it were new"


async def test_a_factory_reset_takes_a_device_off_the_network(fast, sim_broker, listen):
    server = listen(sim_broker, ack=ACK)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(ONE, broker=sim_broker.url))
        device = await registered(fleet)
        while device.nvs.wifi_configured:  # the subscription may not stand yet
            server.publish(f"{TOPIC}/system/command", b'{"command":"factory_reset","confirm":true}')
            await trio.sleep(0.5)
        await until(lambda: device.state.board.state is SystemState.SAFE_MODE_PROVISIONING)
        assert not device.state.connected
        assert not device.nvs.wifi_configured

        device.power_off()
        device.nvs = attrs.evolve(device.nvs, wifi_configured=True)  # somebody goes there with a phone
        device.power_on()

        await until(lambda: device.state.registered)
        fleet.stop()


def test_a_fleet_may_be_of_ones_own_devices():
    specs = SimOptions(esps=2, interval_s=7.0).specs()
    mine = attrs.evolve(specs[1], production=True)
    assert SimOptions(devices=(mine,), virgin=True).specs() == [mine]


@pytest.mark.parametrize(
    "faulty",
    [{"lose_acks": 1.1}, {"lose_heartbeats": -0.1}, {"suback_delay_s": -1.0}, {"reboot_every_s": 0.0}],
)
def test_faults_have_limits(faulty: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(faulty))):
        Faults(**faulty)
