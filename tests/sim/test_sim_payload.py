"""Byte for byte what the firmware sends."""

from __future__ import annotations

import json

import attrs
import pytest

from growy.sim import payload
from growy.sim.sensing import Sample
from growy.sim.spec import EspSpec, SensorKind, SensorSpec

AIR = SensorSpec(kind=SensorKind.SHT31, gpio=68, subzone_id="bench_a", i2c_address=68)
ROOT = SensorSpec(kind=SensorKind.DS18B20, gpio=4, onewire_address="28FF641E8D3C0CDA")
SPEC = EspSpec(
    esp_id="ESP_EA5484",
    name="Bench",
    zone_id="greenhouse_1",
    master_zone_id="greenhouse",
    sensors=(AIR, ROOT),
    wifi_ip="192.168.4.23",
)


def test_an_i2c_reading():
    sample = Sample("sht31_temp", 26214, 25.0, "°C", "good", 25.0, "°C")
    assert payload.sensor_data(SPEC, AIR, sample, 412, 1767225600).decode() == (
        '{"esp_id":"ESP_EA5484","seq":412,"zone_id":"greenhouse_1","subzone_id":"bench_a","gpio":68,'
        '"sensor_type":"sht31_temp","raw":26214,"value":25.00,"unit":"°C","quality":"good","ts":1767225600,'
        '"time_valid":true,"raw_mode":true,"i2c_address":68}'
    )


def test_a_onewire_reading_before_the_clock_is_known():
    sample = Sample("ds18b20", -24, -1.5, "°C", "good", -1.5, "°C")
    assert payload.sensor_data(SPEC, ROOT, sample, 1, 0).decode() == (
        '{"esp_id":"ESP_EA5484","seq":1,"zone_id":"greenhouse_1","subzone_id":"","gpio":4,'
        '"sensor_type":"ds18b20","raw":-24,"value":-1.50,"unit":"°C","quality":"good","ts":0,'
        '"time_valid":false,"raw_mode":true,"onewire_address":"28FF641E8D3C0CDA"}'
    )


def test_an_analog_reading_has_no_address():
    sensor = SensorSpec(kind=SensorKind.PH, gpio=34)
    sample = Sample("ph", 1861, 1861.0, "raw", "good", 7.0, "pH")
    data = json.loads(payload.sensor_data(SPEC, sensor, sample, 9, 1767225600))
    assert data["value"] == 1861.0
    assert data["unit"] == "raw"
    assert not {"i2c_address", "onewire_address"} & set(data)


def test_a_heartbeat():
    beat = payload.heartbeat(
        SPEC,
        ts=1767225600,
        segment_start_ts=1767225542,
        uptime_s=61,
        boot_count=1,
        reset_reason="POWERON",
        state=payload.SystemState.OPERATIONAL,
        heap_free=118244,
        wifi_rssi=-58,
    )
    assert beat.decode() == (
        '{"esp_id":"ESP_EA5484","zone_id":"greenhouse_1","master_zone_id":"greenhouse","zone_assigned":true,'
        '"ts":1767225600,"time_valid":true,"boot_sequence_id":"ESP_EA5484-b1-r1","reset_reason":"POWERON",'
        '"segment_start_ts":1767225542,"uptime":61,"heap_free":118244,"wifi_rssi":-58,"sensor_count":2,'
        '"actuator_count":0,"wifi_ip":"192.168.4.23","active_handover_epoch":0,"handover_completed_epoch":0,'
        '"persistence_degraded":false,"persistence_degraded_reason":"NONE","runtime_state_degraded":false,'
        '"mqtt_circuit_breaker_open":false,"wifi_circuit_breaker_open":false,"network_degraded":false,'
        '"config_status":{"wifi_configured":true,"zone_assigned":true,"system_configured":true,'
        '"subzone_count":1,"boot_count":1,"state":9}}'
    )


@pytest.mark.parametrize("state", [payload.SystemState.CONFIG_PENDING_AFTER_RESET, payload.SystemState.ERROR])
def test_a_degraded_device_says_so(state: payload.SystemState):
    beat = payload.heartbeat(
        SPEC,
        ts=0,
        segment_start_ts=0,
        uptime_s=1,
        boot_count=1,
        reset_reason="POWERON",
        state=state,
        heap_free=1,
        wifi_rssi=-1,
    )
    assert json.loads(beat)["runtime_state_degraded"] is True
    assert json.loads(beat)["time_valid"] is False


def test_announce_and_will():
    assert payload.announce(SPEC, ts_ms=1767225600123, boot_ts=1767225542) == (
        b'{"esp_id":"ESP_EA5484","handover_epoch":1,"session_epoch":1,"reason":"boot",'
        b'"ts_ms":1767225600123,"boot_ts":"1767225542"}'
    )
    assert payload.will(SPEC, boot_ts=0) == (
        b'{"status":"offline","esp_id":"ESP_EA5484","reason":"unexpected_disconnect","timestamp":0}'
    )


def test_topics_stand_below_the_kaiser_but_the_announce_below_god():
    other = attrs.evolve(SPEC, kaiser_id="kaiser_2")
    assert payload.sensor_data_topic(other, 68) == "kaiser/kaiser_2/esp/ESP_EA5484/sensor/68/data"
    assert payload.heartbeat_topic(other) == "kaiser/kaiser_2/esp/ESP_EA5484/system/heartbeat"
    assert payload.heartbeat_ack_topic(other) == "kaiser/kaiser_2/esp/ESP_EA5484/system/heartbeat/ack"
    assert payload.will_topic(other) == "kaiser/kaiser_2/esp/ESP_EA5484/system/will"
    assert payload.announce_topic(other) == "kaiser/god/esp/ESP_EA5484/session/announce"
