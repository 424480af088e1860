"""growyd's codecs and the simulator understand each other, though neither knows of the other."""

from __future__ import annotations

import random

import attrs
import pytest

from growy.model.reading import Bus
from growy.sim import esp
from growy.sim.ack import Ack, read_ack
from growy.sim.greenhouse import GreenhouseState
from growy.sim.sensing import measure
from growy.sim.spec import EspSpec, default_fleet
from growy.wire.decode import decode, decode_sensor_data, series_key
from growy.wire.encode import heartbeat_ack
from growy.wire.topics import TopicKind, parse_topic

FLEET = [attrs.evolve(spec, gate=False) for spec in default_fleet(6)]
HOUSE = GreenhouseState(time_s=0.0)
NOW = 1_767_225_600.0


@pytest.mark.parametrize("spec", FLEET, ids=lambda spec: spec.name)
def test_every_value_of_a_device_is_a_series_of_its_own(spec: EspSpec):
    state, _ = esp.step(esp.boot(spec, 0.0), esp.ClockSet(NOW), 0.0)
    state, _ = esp.step(state, esp.Connected(), 0.0)
    keys = []
    for index, sensor in enumerate(spec.sensors):
        samples = measure(sensor, HOUSE, random.Random(0))
        state, effects = esp.step(state, esp.Measured(index, samples), 1.0)
        for effect in effects:
            topic = parse_topic(effect.topic)
            assert (topic.kind, topic.esp_id, topic.gpio) == (TopicKind.SENSOR_DATA, spec.esp_id, sensor.gpio)
            message = decode_sensor_data(effect.payload)
            assert (message.raw, message.seq, message.ts) == (effect.sample.raw, effect.seq, NOW + 1)
            keys.append(series_key(topic.esp_id, topic.gpio, message))
    assert len(keys) >= len(spec.sensors)
    assert len(set(keys)) == len(keys)


def test_the_fleet_has_series_on_every_bus():
    buses = set()
    for spec in FLEET:
        state, _ = esp.step(esp.boot(spec, 0.0), esp.Connected(), 0.0)
        for index, sensor in enumerate(spec.sensors):
            _, effects = esp.step(state, esp.Measured(index, measure(sensor, HOUSE, random.Random(0))), 1.0)
            buses |= {
                series_key(spec.esp_id, sensor.gpio, decode_sensor_data(e.payload)).bus for e in effects
            }
    assert buses == {Bus.GPIO, Bus.I2C, Bus.ONEWIRE}


def test_heartbeat_and_announce_are_understood():
    state, (announce,) = esp.step(esp.boot(FLEET[0], 0.0), esp.Connected(), 0.0)
    assert decode(parse_topic(announce.topic), announce.payload).handover_epoch == 1
    _, effects = esp.step(state, esp.Tick(), 61.0)
    (beat,) = [e for e in effects if isinstance(e, esp.Publish)]
    heartbeat = decode(parse_topic(beat.topic), beat.payload)
    assert (heartbeat.uptime, heartbeat.sensor_count, heartbeat.zone_id) == (61, 3, "greenhouse_1")


@pytest.mark.parametrize("status", ["approved", "pending_approval", "rejected"])
def test_a_device_hears_growyds_ack(status: str):
    assert read_ack(heartbeat_ack(status, 2_147_483_647, int(NOW))) == Ack(status, 2_147_483_647, int(NOW))
