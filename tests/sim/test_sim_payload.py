"""Byte for byte what the firmware sends."""

from __future__ import annotations

import json

import attrs
import pytest

from growy.sim import payload, payload_health, payload_intent
from growy.sim.board import Board, Ctx, TrackedError
from growy.sim.flash import Intent, Nvs, Outcome, OutcomeCounts, SensorConfig, Subzone, SystemState
from growy.sim.handover import Handover
from growy.sim.sensing import Sample

AIR = SensorConfig(gpio=68, sensor_type="sht31", subzone_id="bench_a", i2c_address=68)
ROOT = SensorConfig(gpio=4, sensor_type="ds18b20", onewire_address="28FF641E8D3C0CDA")
BOARD = Board(
    esp_id="ESP_EA5484",
    nvs=Nvs(
        zone_id="greenhouse_1",
        master_zone_id="greenhouse",
        subzones=(Subzone(subzone_id="bench_a"),),
        boot_count=1,
        system_state=SystemState.OPERATIONAL,
    ),
    state=SystemState.OPERATIONAL,
    sensors=(AIR, ROOT),
)
CTX = Ctx(ts=1767225600, uptime_ms=61_400, boot_sequence_id="ESP_EA5484-b1-r1", wifi_ip="192.168.4.23")


def test_an_i2c_reading():
    sample = Sample("sht31_temp", 26214, 25.0, "°C", "good", 25.0, "°C")
    assert payload.sensor_data(BOARD, AIR, sample, 412, 1767225600).decode() == (
        '{"esp_id":"ESP_EA5484","seq":412,"zone_id":"greenhouse_1","subzone_id":"bench_a","gpio":68,'
        '"sensor_type":"sht31_temp","raw":26214,"value":25.00,"unit":"°C","quality":"good","ts":1767225600,'
        '"time_valid":true,"raw_mode":true,"i2c_address":68}'
    )


def test_a_onewire_reading_before_the_clock_is_known():
    sample = Sample("ds18b20", -24, -1.5, "°C", "good", -1.5, "°C")
    assert payload.sensor_data(BOARD, ROOT, sample, 1, 0).decode() == (
        '{"esp_id":"ESP_EA5484","seq":1,"zone_id":"greenhouse_1","subzone_id":"","gpio":4,'
        '"sensor_type":"ds18b20","raw":-24,"value":-1.50,"unit":"°C","quality":"good","ts":0,'
        '"time_valid":false,"raw_mode":true,"onewire_address":"28FF641E8D3C0CDA"}'
    )


def test_an_analog_reading_has_no_address():
    sensor = SensorConfig(gpio=34, sensor_type="ph")
    sample = Sample("ph", 1861, 1861.0, "raw", "good", 7.0, "pH")
    data = json.loads(payload.sensor_data(BOARD, sensor, sample, 9, 1767225600))
    assert data["value"] == 1861.0
    assert data["unit"] == "raw"
    assert not {"i2c_address", "onewire_address"} & set(data)


def test_a_heartbeat():
    beat = payload.heartbeat(BOARD, CTX, Handover(), segment_start_ts=1767225542, reset_reason="POWERON")
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


def test_a_heartbeat_of_2025():
    assert payload.heartbeat_2025(BOARD, CTX) == (
        b'{"esp_id":"ESP_EA5484","zone_id":"greenhouse_1","master_zone_id":"greenhouse","zone_assigned":true,'
        b'"ts":1767225600,"uptime":61,"heap_free":118244,"wifi_rssi":-58,"sensor_count":2,"actuator_count":0}'
    )


@pytest.mark.parametrize("state", [SystemState.CONFIG_PENDING_AFTER_RESET, SystemState.ERROR])
def test_a_degraded_device_says_so(state: SystemState):
    beat = payload.heartbeat(
        attrs.evolve(BOARD, state=state),
        attrs.evolve(CTX, ts=0),
        Handover(active_epoch=3, completed_epoch=2),
        segment_start_ts=0,
        reset_reason="SW",
    )
    said = json.loads(beat)
    assert said["runtime_state_degraded"] is True
    assert said["time_valid"] is False
    assert (said["active_handover_epoch"], said["handover_completed_epoch"]) == (3, 2)
    assert said["config_status"]["state"] == 9, "the state in the flash may lag"


def test_a_reading_of_2025_is_an_unsigned_number_without_an_address():
    sample = Sample("ds18b20", -24, -1.5, "°C", "good", -1.5, "°C")
    assert payload.sensor_data_2025(BOARD, ROOT, sample, 1767225600) == (
        b'{"esp_id":"ESP_EA5484","zone_id":"greenhouse_1","subzone_id":"","gpio":4,"sensor_type":"ds18b20",'
        b'"raw":4294967272,"value":4294967272.00,"unit":"raw","quality":"fair","ts":1767225600,"raw_mode":true}'
    )


def test_announce_and_will():
    assert payload.announce("ESP_EA5484", epoch=1, ts_ms=1767225600123, boot_ts=1767225542) == (
        b'{"esp_id":"ESP_EA5484","handover_epoch":1,"session_epoch":1,"reason":"boot",'
        b'"ts_ms":1767225600123,"boot_ts":"1767225542"}'
    )
    assert json.loads(payload.announce("ESP_EA5484", epoch=2, ts_ms=1, boot_ts=0))["reason"] == "reconnect"
    assert payload.will("ESP_EA5484", boot_ts=0) == (
        b'{"status":"offline","esp_id":"ESP_EA5484","reason":"unexpected_disconnect","timestamp":0}'
    )
    assert payload.will_2025(boot_ts=0) == (
        b'{"status":"offline","reason":"unexpected_disconnect","timestamp":0}'
    )


def test_counters():
    counted = payload_health.counters(Handover(), outcome_drops=0, no_token=0)
    assert payload_health.heartbeat_metrics("ESP_EA5484", 1767225600, counted) == (
        b'{"esp_id":"ESP_EA5484","ts":1767225600,"metrics_schema_version":1,"offline_enter_count":0,'
        b'"adopting_enter_count":0,"adoption_noop_count":0,"adoption_delta_count":0,"handover_abort_count":0,'
        b'"handover_contract_reject_count":0,"handover_contract_last_reject":"NONE",'
        b'"persistence_drift_count":0,"critical_outcome_drop_count":0,"publish_outbox_drop_count":0,'
        b'"publish_queue_fill":0,"publish_queue_hwm":3,"publish_queue_shed_count":0,'
        b'"publish_queue_drop_count":0,"sensor_command_queue_overflow_count":0,"safe_publish_retry_count":0,'
        b'"emergency_rejected_no_token_total":0}'
    )


def test_diagnostics():
    board = attrs.evolve(BOARD, sensors=(AIR, ROOT, ROOT))
    said = payload_health.diagnostics(
        board, CTX, error_count=2, segment_start_ts=1767225542, reset_reason="POWERON", connected=True
    )
    assert said == (
        b'{"ts":61,"esp_id":"ESP_EA5484","heap_free":118244,"heap_min_free":96012,"heap_fragmentation":18,'
        b'"uptime_seconds":61,"error_count":2,"wifi_connected":true,"wifi_rssi":-58,"mqtt_connected":true,'
        b'"sensor_count":3,"actuator_count":0,"system_state":"OPERATIONAL","boot_reason":"POWERON",'
        b'"boot_sequence_id":"ESP_EA5484-b1-r1","reset_reason":"POWERON","segment_start_ts":1767225542,'
        b'"mqtt_cb_state":"CLOSED","mqtt_cb_failures":0,"wdt_mode":"PRODUCTION","wdt_timeouts_24h":0,'
        b'"wdt_timeout_pending":false,"metrics_schema_version":1,"storage_namespace_conflict_count":0,'
        b'"storage_no_session_access_count":0,"hist_not_found_expected_count":0,'
        b'"hist_not_found_unexpected_count":0}'
    )


def test_an_error_has_a_number_and_a_category():
    error = TrackedError(1060, 2, "DS18B20 fault (-127°C) on GPIO 4 ROM 28FF641E8D3C0C79")
    assert payload_health.system_error("ESP_EA5484", error, ts=1767225600, uptime_ms=734112).decode() == (
        '{"error_code":1060,"severity":2,"category":"HARDWARE",'
        '"message":"DS18B20 fault (-127°C) on GPIO 4 ROM 28FF641E8D3C0C79",'
        '"context":{"esp_id":"ESP_EA5484","uptime_ms":734112},"ts":1767225600}'
    )


INTENT = Intent(intent_id="c-0192", correlation_id="c-0192", created_at_ms=734000)


def test_an_outcome():
    outcome = Outcome(
        flow="command", intent=INTENT, outcome="applied", code="NONE", reason="Actuator command applied"
    )
    said = payload_intent.intent_outcome(outcome, OutcomeCounts(confirmed=12), seq=80, ts=1767225600)
    assert said == (
        b'{"seq":80,"flow":"command","intent_id":"c-0192","correlation_id":"c-0192","generation":0,'
        b'"created_at_ms":734000,"ttl_ms":0,"epoch":0,"outcome":"applied","contract_version":2,'
        b'"semantic_mode":"target","legacy_status":"processing","target_status":"applied","code":"NONE",'
        b'"reason":"Actuator command applied","retryable":false,"critical":true,"retry_limit":5,'
        b'"retry_count":0,"recovered":false,"delivery_mode":"direct","outcome_retry_count":0,'
        b'"outcome_recovered_count":0,"outcome_drop_count_critical":0,"outcome_final_confirmed_count":12,'
        b'"ts":1767225600}'
    )


def test_a_stage():
    said = payload_intent.chain_stage(
        INTENT, "outcome_publish_ok", "NONE", "outcome publish delivered", seq=79, ts=1767225600
    )
    assert said == (
        b'{"seq":79,"event_type":"intent_chain_stage","schema":"intent_chain_stage_v1","flow":"command",'
        b'"stage":"outcome_publish_ok","intent_id":"c-0192","correlation_id":"c-0192","generation":0,"epoch":0,'
        b'"code":"NONE","detail":"outcome publish delivered","ts":1767225600}'
    )


def test_topics_stand_below_the_kaiser():
    assert payload.device_prefix("kaiser_2", "ESP_EA5484") == "kaiser/kaiser_2/esp/ESP_EA5484/"
    assert payload.server_status_topic("kaiser_2") == "kaiser/kaiser_2/server/status"
