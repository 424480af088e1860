"""Fleets on real brokers: what was acknowledged arrived, and what did not arrive was counted."""

from __future__ import annotations

import functools
import json
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import pytest
import trio

from growy.config import BrokerUrl
from growy.sim.fleet import SimFleet, SimOptions, run_fleet

ACK = b'{"status":"approved","handover_epoch":1,"server_time":1767225600,"config_available":false}'
QUICK = SimOptions(esps=6, interval_s=0.2, duration_s=2.4, time_scale=60.0, gate=False, reconnect_s=0.5)


def identities(messages: Iterable[Any]) -> set[tuple[str, int, int, str, int]]:
    """(device, seq, gpio, type, raw) of all readings among the messages."""
    found = set()
    for message in messages:
        if message.topic.endswith("/data"):
            m = json.loads(message.payload)
            found.add((m["esp_id"], m["seq"], m["gpio"], m["sensor_type"], m["raw"]))
    return found


async def until(fleet: SimFleet, want: Callable[[Any], bool], timeout_s: float = 60.0) -> None:
    """Watch a fleet as its users do: by asking for its statistics."""
    with trio.fail_after(timeout_s):
        while not want(fleet.statistics()):
            await trio.sleep(0.02)


@pytest.fixture
def unused_url() -> Iterator[BrokerUrl]:
    """A port where nobody listens, and which nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield BrokerUrl.parse(f"mqtt://127.0.0.1:{taken.getsockname()[1]}")


@pytest.fixture
def silent_url() -> Iterator[BrokerUrl]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield BrokerUrl.parse(f"mqtt://127.0.0.1:{silent.getsockname()[1]}")


async def check_that_acked_is_arrived(broker: Any, listen: Any) -> None:
    server = listen(broker)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(QUICK, broker=broker.url))
    report = fleet.statistics()
    acked = {(e.esp_id, e.seq, e.gpio, e.sensor_type, e.raw) for e in fleet.ledger.entries(acked_only=True)}
    assert report.published > 100
    assert report.unacked == report.dropped_outbox == report.ledger_overflow == 0
    assert len(acked) == report.acked == report.published
    arrived = await trio.to_thread.run_sync(server.take, lambda taken: len(identities(taken)) >= report.acked)
    assert identities(arrived) == acked
    assert not any("/system/will" in message.topic for message in arrived), "they said goodbye"
    assert report.connected == 0


async def test_every_acknowledged_reading_arrived(sim_broker, listen):
    await check_that_acked_is_arrived(sim_broker, listen)


@pytest.mark.mosquitto
async def test_every_acknowledged_reading_arrived_with_mosquitto(start_mosquitto, listen):
    await check_that_acked_is_arrived(start_mosquitto(), listen)


async def test_behind_the_gate_nothing_flows_until_a_server_answers(fast, sim_broker, listen):
    server = listen(sim_broker)
    options = attrs.evolve(QUICK, broker=sim_broker.url, gate=True, duration_s=None, esps=2)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        await until(fleet, lambda report: report.dropped_gate > 10)
        assert fleet.statistics().published == 0
        assert {message.topic.split("/", 3)[3].split("/", 1)[-1] for message in server.taken_so_far()} <= {
            "session/announce",
            "system/heartbeat",
        }

        listen(sim_broker, ack=ACK)  # growyd starts: the next heartbeats are answered

        await until(fleet, lambda report: report.registered == 2 and report.acked > 20)
        fleet.stop()
    report = fleet.statistics()
    assert report.unacked == 0
    assert all(device.acks_accepted and not device.acks_refused for device in report.devices)
    assert report.devices[0].last, "the table has something to show"


async def test_a_fleet_survives_the_restart_of_its_broker(fast, sim_broker, listen):
    options = attrs.evolve(QUICK, broker=sim_broker.url, duration_s=None, esps=3)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        await until(fleet, lambda report: report.acked > 20)
        await trio.to_thread.run_sync(sim_broker.stop)
        await until(fleet, lambda report: report.connected == 0 and report.dropped_offline > 10)
        assert all(
            "lost" in device.last_error or "reach" in device.last_error
            for device in fleet.statistics().devices
        )
        before = fleet.statistics().published

        await trio.to_thread.run_sync(sim_broker.start)

        await until(fleet, lambda report: report.connected == 3 and report.published > before + 20)
        fleet.stop()
    report = fleet.statistics()
    assert report.unacked == 0, "what hung in the dead connection was sent again"
    assert report.acked == len(list(fleet.ledger.entries(acked_only=True)))
    assert all(device.connects == 2 for device in report.devices)


async def test_cancelling_drains_and_says_goodbye(sim_broker, listen):
    server = listen(sim_broker)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(QUICK, broker=sim_broker.url, duration_s=None))
        await until(fleet, lambda report: report.published > 50)
        nursery.cancel_scope.cancel()
    report = fleet.statistics()
    assert report.unacked == 0
    assert report.connected == 0
    arrived = await trio.to_thread.run_sync(server.take, lambda taken: len(identities(taken)) >= report.acked)
    assert not any("/system/will" in message.topic for message in arrived)


async def test_a_limit_of_readings_is_kept_to_the_reading(sim_broker):
    report = await run_fleet(attrs.evolve(QUICK, broker=sim_broker.url, readings_limit=37, duration_s=2.0))
    assert report.published == report.acked == report.ledger_entries == 37


async def test_a_fleet_without_a_broker_waits_and_loses_nothing_in_silence(unused_url):
    report = await run_fleet(attrs.evolve(QUICK, broker=unused_url, duration_s=1.9))
    assert report.published == report.connected == 0
    assert report.dropped_offline > 0
    assert all(device.connect_failures >= 1 for device in report.devices)
    assert all("cannot reach mqtt://127.0.0.1" in device.last_error for device in report.devices)


@pytest.mark.mosquitto
async def test_a_refused_device_says_why_and_keeps_the_password_to_itself(start_mosquitto):
    broker = start_mosquitto("allow_anonymous false")
    url = BrokerUrl.parse(f"mqtt://esp:s3cret@127.0.0.1:{broker.port}")
    report = await run_fleet(attrs.evolve(QUICK, esps=1, broker=url, duration_s=0.3))
    (device,) = report.devices
    assert "refused the device: Not authorized" in device.last_error
    assert device.connect_failures >= 1
    assert "s3cret" not in repr(report) + repr(attrs.evolve(QUICK, broker=url))


@pytest.mark.mosquitto
async def test_a_device_that_dies_leaves_its_last_will(start_mosquitto, listen):
    broker = start_mosquitto()
    server = listen(broker)
    program = (
        "import trio; from growy.config import BrokerUrl; from growy.sim.fleet import *\n"
        f"trio.run(run_fleet, SimOptions(esps=1, broker=BrokerUrl.parse('mqtt://127.0.0.1:{broker.port}')))"
    )
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            functools.partial(trio.run_process, [sys.executable, "-c", program], check=False)
        )
        await trio.to_thread.run_sync(server.take, lambda taken: any("announce" in m.topic for m in taken))
        process.kill()
    await trio.to_thread.run_sync(server.take, lambda taken: any("/system/will" in m.topic for m in taken))

    (will,) = listen(broker).take(lambda taken: len(taken) == 1)
    assert will.retain, "a server that starts later still learns of it"
    assert will.topic == "kaiser/god/esp/ESP_00A001/system/will"
    assert json.loads(will.payload)["status"] == "offline"


async def test_a_listener_that_is_no_broker_is_given_up_and_tried_again(silent_url, autojump_clock):
    report = await run_fleet(attrs.evolve(QUICK, esps=1, broker=silent_url, duration_s=30.0))
    (device,) = report.devices
    assert device.connect_failures == 2, "10 s of patience, 1.5 s of pause, 10 s again"
    assert "did not answer CONNECT" in device.last_error


async def test_250_devices_that_come_in_the_same_second_live_in_one_process(sim_broker, listen):
    listen(sim_broker, ack=ACK)
    options = SimOptions(esps=250, interval_s=1.0, broker=sim_broker.url)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        await until(fleet, lambda report: report.connected == 250)
        await until(fleet, lambda report: all(device.acked for device in report.devices))
        fleet.stop()
    report = fleet.statistics()
    assert report.unacked == report.dropped_outbox == 0
    assert all(device.connects == 1 for device in report.devices)


@pytest.mark.parametrize("url", ["embedded", "mqtts://pi:8883"])
def test_a_device_needs_a_plain_listener(url: str):
    with pytest.raises(ValueError, match="nothing but plain TCP"):
        SimOptions(broker=BrokerUrl.parse(url))


def test_options_describe_the_devices():
    specs = SimOptions(esps=7, interval_s=2.0, kaiser_id="kaiser_2", gate=False).specs()
    assert len(specs) == 7
    assert {spec.kaiser_id for spec in specs} == {"kaiser_2"}
    assert not any(spec.gate for spec in specs)
    assert {sensor.interval_s for spec in specs for sensor in spec.sensors} == {2.0}
    assert {sensor.interval_s for spec in SimOptions().specs() for sensor in spec.sensors} == {
        10.0,
        30.0,
        60.0,
    }
