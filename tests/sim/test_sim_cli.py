"""`growyd simulate`: its options reach the devices, its exit code says how it went."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result

from growy.cli import main
from growy.cli.simulate import simulate, told
from growy.sim.fleet import SimFleet, SimOptions

ACK = b'{"status":"approved","handover_epoch":1,"server_time":1767225600}'


def run(broker: Any, *arguments: str) -> Result:
    return CliRunner().invoke(simulate, ["--broker", str(broker.url), "--json", *arguments])


def test_virgin_devices_have_nothing_to_publish_and_that_is_no_failure(sim_broker, listen):
    listen(sim_broker, ack=ACK)
    result = run(sim_broker, "--esps", "2", "--virgin", "--for", "2.2s", "--spread", "100ms")
    assert result.exit_code == 0, result.output
    devices = json.loads(result.stdout)["devices"]
    assert [device["registered"] for device in devices] == [False, False], "they have said goodbye"
    assert all(device["acks_accepted"] and device["published"] == 0 for device in devices)
    assert {device["system_state"] for device in devices} == {"OPERATIONAL"}


def test_devices_that_hear_nobody_fail(sim_broker, listen):
    listen(sim_broker, ack=ACK)
    result = run(sim_broker, "--esps", "1", "--interval", "300ms", "--for", "2.2s", "--lose-acks", "1")
    assert result.exit_code == 1
    (device,) = json.loads(result.stdout)["devices"]
    assert device["acks_accepted"] == device["published"] == 0
    assert device["dropped_gate"] > 0


def test_faults_reach_the_devices(sim_broker, listen):
    server = listen(sim_broker, ack=ACK)
    result = run(
        sim_broker,
        *("--esps", "1", "--interval", "200ms", "--for", "3s", "--approved", "--no-clock"),
        *("--duplicate", "1", "--slow-suback", "200ms", "--reboot-every", "2.6s", "--lose-heartbeats", "0"),
    )
    (device,) = json.loads(result.stdout)["devices"]
    assert device["boots"] == 2
    assert device["published"] > 0
    messages = server.taken_so_far()
    beats = [json.loads(m.payload) for m in messages if m.topic.endswith("/system/heartbeat")]
    assert beats[0]["ts"] == 0
    readings = [json.loads(m.payload)["seq"] for m in messages if m.topic.endswith("/data")]
    assert len(readings) > len(set(readings))


def test_a_sensor_is_unplugged_and_plugged_in_again(sim_broker, listen):
    server = listen(sim_broker, ack=ACK)
    result = run(
        sim_broker,
        *("--esps", "1", "--interval", "400ms", "--for", "4.4s", "--no-gate"),
        *("--unplug", "ESP_00A001:68@100ms", "--plug", "ESP_00A001:68/sht31@3.5s"),
        *("--unplug", "ESP_00A001:4@100ms"),
    )
    assert result.exit_code == 0, result.output
    found = [json.loads(m.payload) for m in server.taken_so_far() if m.topic.endswith("/data")]
    assert {one["sensor_type"] for one in found} == {"sht31_temp", "sht31_humidity", "moisture"}
    first = min(one["seq"] for one in found if one["gpio"] == 68)
    assert sum(one["seq"] < first for one in found if one["gpio"] == 34) >= 3, "it was away"


def test_a_sensor_that_is_not_there_cannot_be_unplugged():
    result = CliRunner().invoke(main, ["simulate", "--esps", "1", "--unplug", "ESP_00A001:12@1s"])
    assert result.exit_code == 2
    assert "ESP_00A001 has no sensor on gpio 12: 4 (ds18b20), 34 (moisture), 68 (sht31)" in result.output


def test_old_firmware_announces_nothing(sim_broker, listen):
    server = listen(sim_broker)
    run(sim_broker, "--esps", "1", "--generation", "2025-12", "--for", "1s")
    assert not server.taken_so_far()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--lose-acks", "2"),
        ("--generation", "2024"),
        ("--spread", "soon"),
        ("--unplug", "ESP_00A001:68"),
        ("--plug", "ESP_00A001:68@soon"),
    ],
)
def test_what_cannot_be_is_refused(sim_broker, arguments: tuple[str, str]):
    result = run(sim_broker, *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr


async def test_what_is_amiss_is_told():
    report = SimFleet(SimOptions(esps=2)).statistics()
    assert "\n" not in told(report)
    first, second = report.devices
    lost = attrs.evolve(first, mode="offline_active", lost_in_reset=3, published=3, dropped_gate=7)
    lines = told(attrs.evolve(report, devices=(lost, second))).splitlines()
    assert re.search("7 never published: 7 before growyd's answer", lines[1])
    assert "3 published and forgotten in a reset" in lines[2]
    assert "1 without their server: offline_active" in lines[3]
