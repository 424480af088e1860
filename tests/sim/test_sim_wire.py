"""growyd's codecs and the simulator understand each other, though neither knows of the other."""

from __future__ import annotations

import random

import attrs
import pytest
from rig.machine import HOUSE, Machine

from growy.model.reading import Bus
from growy.sim.ack import Ack, read_ack
from growy.sim.events import ClockSet, Measured, Publish, PublishReading
from growy.sim.flash import Generation
from growy.sim.sensing import read
from growy.sim.spec import EspSpec, default_fleet
from growy.wire.decode import decode, decode_sensor_data, series_key
from growy.wire.encode import heartbeat_ack
from growy.wire.topics import TopicKind, parse_topic

FLEET = [attrs.evolve(spec, gate=False, approved=True) for spec in default_fleet(6)]
NOW = 1_767_225_600.0


def running(spec: EspSpec) -> Machine:
    machine = Machine(spec)
    machine.take(ClockSet(NOW))
    machine.connect()
    return machine


def readings(machine: Machine) -> list[PublishReading]:
    return [effect for _, effect in machine.done if isinstance(effect, PublishReading)]


@pytest.mark.parametrize("spec", FLEET, ids=lambda spec: spec.name)
def test_every_value_of_a_device_is_a_series_of_its_own(spec: EspSpec):
    keys = []
    for effect in readings(running(spec)):
        topic = parse_topic(effect.topic)
        assert (topic.kind, topic.esp_id, topic.gpio) == (
            TopicKind.SENSOR_DATA,
            spec.esp_id,
            effect.sensor.gpio,
        )
        message = decode_sensor_data(effect.payload)
        assert (message.raw, message.seq) == (effect.sample.raw, effect.seq)
        assert message.ts == NOW + 1
        keys.append(series_key(topic.esp_id, topic.gpio, message))
    assert len(keys) >= len(spec.sensors)
    assert len(set(keys)) == len(keys)


def test_the_fleet_has_series_on_every_bus():
    buses = {
        series_key(spec.esp_id, effect.sensor.gpio, decode_sensor_data(effect.payload)).bus
        for spec in FLEET
        for effect in readings(running(spec))
    }
    assert buses == {Bus.GPIO, Bus.I2C, Bus.ONEWIRE}


def test_a_reading_of_2025_below_zero_is_below_zero():
    spec = attrs.evolve(FLEET[0], generation=Generation.DEC_2025)
    machine = running(spec)
    probe = spec.sensors[1]
    frozen = read(probe.configured("root"), (attrs.evolve(probe, bias=-60.0),), HOUSE, random.Random(0))
    machine.state = attrs.evolve(machine.state, http_failures=5)
    (effect,) = machine.take(Measured(probe.configured("root"), frozen))
    assert decode_sensor_data(effect.payload).raw == frozen[0].raw < 0


@pytest.mark.parametrize("generation", Generation)
def test_whatever_a_device_says_can_be_read(generation: Generation):
    """A whole life: at work, configured, commanded, stopped, lost, rejected."""
    machine = Machine(attrs.evolve(FLEET[3], gate=True, generation=generation))
    machine.take(ClockSet(NOW))
    machine.register()
    machine.run(70.0)
    machine.hear("actuator/18/command", {"command": "ON", "duration": 3, "intent_id": "a1"})
    machine.hear("sensor/4/command", {"command": "measure", "request_id": "r1"})
    machine.hear("config", {"correlation_id": "c", "sensors": [{"gpio": 2}], "actuators": [{"gpio": 18}]})
    zone = {"zone_id": "z", "master_zone_id": "m", "zone_name": "Z", "kaiser_id": "god"}
    machine.hear("zone/assign", zone)
    machine.hear("subzone/assign", {"subzone_id": "s", "parent_zone_id": "z", "assigned_gpios": [18]})
    for command in ("status", "diagnostics", "get_config", "onewire/scan", "nonsense"):
        machine.hear("system/command", {"command": command})
    machine.hear("actuator/emergency", {"command": "emergency_stop", "auth_token": machine.spec.esp_id})
    machine.run(10.0)
    machine.hear("actuator/emergency", {"command": "clear_emergency", "auth_token": machine.spec.esp_id})
    machine.run(3.0)
    machine.lose()
    machine.run(40.0)
    machine.connect()
    machine.echo()
    machine.run(3.0)
    machine.ack("rejected")
    machine.run(100.0)

    kinds = set()
    for _, effect in machine.done:
        if isinstance(effect, Publish | PublishReading):
            topic = parse_topic(effect.topic)
            decode(topic, effect.payload)
            kinds.add(topic.kind)
    silent = {
        TopicKind.SENSOR_BATCH,
        TopicKind.PI_ENHANCED_REQUEST,
        TopicKind.WILL,
        TopicKind.QUEUE_PRESSURE,
        TopicKind.EMERGENCY_ERROR,
    }
    if generation is Generation.APR_2026:
        assert kinds == set(TopicKind) - silent
    else:
        assert kinds == {
            TopicKind.SENSOR_DATA,
            TopicKind.HEARTBEAT,
            TopicKind.ACTUATOR_RESPONSE,
            TopicKind.CONFIG_RESPONSE,
            TopicKind.ZONE_ACK,
            TopicKind.SUBZONE_ACK,
            TopicKind.EMERGENCY_RESPONSE,
        }


@pytest.mark.parametrize("status", ["approved", "pending_approval", "rejected"])
def test_a_device_hears_growyds_ack(status: str):
    assert read_ack(heartbeat_ack(status, 2_147_483_647, int(NOW))) == Ack(status, 2_147_483_647, int(NOW))
