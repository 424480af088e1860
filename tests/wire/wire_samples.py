"""Messages as the firmware prints them, one or more per topic and generation, and what they are to mean."""

from __future__ import annotations

import inspect

import attrs

from growy.wire import topics
from growy.wire.topics import TopicKind

K = TopicKind


@attrs.frozen
class Sample:
    kind: TopicKind
    payload: bytes
    expected: dict[str, object]
    gpio: int | None = None


def sample(kind: TopicKind, payload: str, topic_gpio: int | None = None, **expected: object) -> Sample:
    return Sample(kind, payload.encode(), expected, topic_gpio)


SHT31 = (
    '{"esp_id":"ESP_EA5484","seq":412,"zone_id":"greenhouse_1","subzone_id":"bench_a","gpio":68,'
    '"sensor_type":"sht31_temp","raw":26214,"value":25.00,"unit":"°C","quality":"good","ts":1767225600,'
    '"time_valid":true,"raw_mode":true,"i2c_address":68}'
)
DS18B20 = (
    '{"esp_id":"ESP_EA5484","seq":431,"zone_id":"greenhouse_1","subzone_id":"","gpio":4,'
    '"sensor_type":"ds18b20","raw":-24,"value":-1.50,"unit":"°C","quality":"good","ts":1767225630,'
    '"time_valid":true,"raw_mode":true,"onewire_address":"28FF641E8D3C0C79"}'
)
DEC_2025_READING = (
    '{"esp_id":"ESP_EA5484","zone_id":"z","subzone_id":"","gpio":34,"sensor_type":"ph","raw":2048,'
    '"value":2048.00,"unit":"raw","quality":"fair","ts":0,"raw_mode":true}'
)
HEARTBEAT = (
    '{"esp_id":"ESP_EA5484","zone_id":"greenhouse_1","master_zone_id":"greenhouse","zone_assigned":true,'
    '"ts":1767225600,"time_valid":true,"boot_sequence_id":"ESP_EA5484-b1-r1","reset_reason":"POWERON",'
    '"segment_start_ts":1767225542,"uptime":61,"heap_free":118244,"wifi_rssi":-58,"sensor_count":3,'
    '"actuator_count":2,"wifi_ip":"192.168.4.23","active_handover_epoch":0,"handover_completed_epoch":0,'
    '"persistence_degraded":false,"persistence_degraded_reason":"NONE","runtime_state_degraded":false,'
    '"mqtt_circuit_breaker_open":false,"wifi_circuit_breaker_open":false,"network_degraded":false,'
    '"config_status":{"wifi_configured":true,"zone_assigned":true,"system_configured":true,'
    '"subzone_count":1,"boot_count":1,"state":9}}'
)
DEC_2025_HEARTBEAT = (
    '{"esp_id":"ESP_EA5484","zone_id":"","master_zone_id":"","zone_assigned":false,"ts":0,"uptime":61,'
    '"heap_free":201000,"wifi_rssi":-58,"sensor_count":0,"actuator_count":0}'
)
JAN_2026_HEARTBEAT = (
    '{"esp_id":"ESP_EA5484","seq":3,"zone_id":"z","master_zone_id":"","zone_assigned":true,"ts":1767900000,'
    '"uptime":61,"free_heap":201000,"wifi_rssi":-58,"active_sensors":2,"active_actuators":1,"gpio_status":'
    '[{"gpio":4,"owner":"bus/onewire/4","component":"ds18b20","mode":1,"safe":false}],"gpio_reserved_count":1}'
)
METRICS = (
    '"metrics_schema_version":1,"offline_enter_count":2,"adopting_enter_count":0,"adoption_noop_count":0,'
    '"adoption_delta_count":0,"handover_abort_count":0,"handover_contract_reject_count":5,'
    '"handover_contract_last_reject":"MISSING_ACTIVE_SESSION_EPOCH","persistence_drift_count":0,'
    '"critical_outcome_drop_count":0,"publish_outbox_drop_count":0,"publish_queue_fill":0,'
    '"publish_queue_hwm":3,"publish_queue_shed_count":0,"publish_queue_drop_count":0,'
    '"sensor_command_queue_overflow_count":0,"safe_publish_retry_count":0,'
    '"emergency_rejected_no_token_total":0'
)
OUTCOME = (
    '{"seq":80,"flow":"command","intent_id":"c-0192","correlation_id":"c-0192","generation":0,'
    '"created_at_ms":734000,"ttl_ms":0,"epoch":0,"outcome":"applied","contract_version":2,'
    '"semantic_mode":"target","legacy_status":"processing","target_status":"applied","code":"NONE",'
    '"reason":"Actuator command applied","retryable":false,"critical":true,"retry_limit":5,"retry_count":0,'
    '"recovered":false,"delivery_mode":"direct","outcome_retry_count":0,"outcome_recovered_count":0,'
    '"outcome_drop_count_critical":0,"outcome_final_confirmed_count":12,"ts":1767225600}'
)
CONFIG_PENDING = (
    '{"seq":5,"event_type":"entered_config_pending","reason_code":"CONFIG_PENDING_AFTER_RESET",'
    '"trigger_source":"boot_runtime_partial","esp_id":"ESP_EA5484","state_before":"OPERATIONAL",'
    '"state_after":"CONFIG_PENDING_AFTER_RESET","sensor_count":3,"actuator_count":0,"offline_rule_count":0,'
    '"runtime_profile":"sensor_required","readiness_decision":"MISSING_ACTUATORS",'
    '"config_pending_enter_count":1,"config_pending_exit_count":0,"config_pending_exit_blocked_count":0,'
    '"ts":0,"boot_sequence_id":"ESP_EA5484-b1-r1","schema":"config_pending_lifecycle_v1"}'
)
CHAIN_STAGE = (
    '{"seq":79,"event_type":"intent_chain_stage","schema":"intent_chain_stage_v1","flow":"command",'
    '"stage":"outcome_publish_ok","intent_id":"c-0192","correlation_id":"c-0192","generation":0,"epoch":0,'
    '"code":"NONE","detail":"outcome publish delivered","ts":1767225600}'
)
DIAGNOSTICS = (
    '{"ts":61,"esp_id":"ESP_EA5484","heap_free":118244,"heap_min_free":96012,"heap_fragmentation":18,'
    '"uptime_seconds":61,"error_count":2,"wifi_connected":true,"wifi_rssi":-58,"mqtt_connected":true,'
    '"sensor_count":3,"actuator_count":2,"system_state":"OPERATIONAL","boot_reason":"POWERON",'
    '"boot_sequence_id":"ESP_EA5484-b1-r1","reset_reason":"POWERON","segment_start_ts":1767225542,'
    '"mqtt_cb_state":"CLOSED","mqtt_cb_failures":0,"wdt_mode":"PRODUCTION","wdt_timeouts_24h":0,'
    '"wdt_timeout_pending":false,"metrics_schema_version":1,"storage_namespace_conflict_count":0,'
    '"storage_no_session_access_count":0,"hist_not_found_expected_count":0,'
    '"hist_not_found_unexpected_count":0}'
)

SAMPLES: tuple[Sample, ...] = (
    sample(
        K.SENSOR_DATA, SHT31, 68, raw=26214, value=25.0, unit="°C", seq=412, i2c_address=68, ts=1767225600
    ),
    sample(K.SENSOR_DATA, DS18B20, 4, raw=-24, onewire_address="28FF641E8D3C0C79", i2c_address=None),
    sample(K.SENSOR_DATA, DEC_2025_READING, 34, raw=2048, seq=None, ts=0, time_valid=True, unit="raw"),
    sample(
        K.SENSOR_BATCH,
        '{"readings":[{"gpio":34,"sensor_type":"ph","raw":2048},{"gpio":35,"sensor_type":"ec","raw":900}]}',
        refused=(),
    ),
    sample(
        K.SENSOR_RESPONSE,
        '{"request_id":"r-9","gpio":4,"command":"measure","success":true,"measurement_ok":true,'
        '"publish_ok":true,"timeout":false,"reason_code":"NONE","quality":"good","sensor_type":"ds18b20",'
        '"raw":344,"ts":1767225600,"seq":61,"intent_id":"r-9","correlation_id":"r-9","ttl_ms":0}',
        4,
        request_id="r-9",
        success=True,
        raw=344,
        reason_code="NONE",
    ),
    sample(
        K.HEARTBEAT, HEARTBEAT, uptime=61, heap_free=118244, active_handover_epoch=0, generation="2026-04"
    ),
    sample(K.HEARTBEAT, DEC_2025_HEARTBEAT, heap_free=201000, zone_assigned=False, generation="2025-12"),
    sample(
        K.HEARTBEAT,
        JAN_2026_HEARTBEAT,
        heap_free=201000,
        sensor_count=2,
        actuator_count=1,
        gpio_reserved_count=1,
        generation="2026-01",
        metrics=None,
    ),
    sample(
        K.HEARTBEAT_METRICS, '{"esp_id":"ESP_EA5484","ts":1767225600,' + METRICS + "}", offline_enter_count=2
    ),
    sample(
        K.SESSION_ANNOUNCE,
        '{"esp_id":"ESP_EA5484","handover_epoch":1,"session_epoch":1,"reason":"boot","ts_ms":1767225600123,'
        '"boot_ts":"1767225542"}',
        handover_epoch=1,
        reason="boot",
        ts_ms=1767225600123,
        boot_ts=1767225542,
    ),
    sample(
        K.WILL,
        '{"status":"offline","esp_id":"ESP_EA5484","reason":"unexpected_disconnect","timestamp":0}',
        status="offline",
        cleared=False,
    ),
    sample(K.WILL, '{"status":"offline","reason":"unexpected_disconnect","timestamp":5}', ts=5),
    sample(
        K.ACTUATOR_STATUS,
        '{"esp_id":"ESP_EA5484","seq":77,"zone_id":"greenhouse_1","subzone_id":"bench_a","ts":1767225600,'
        '"gpio":18,"type":"relay","state":true,"pwm":255,"runtime_ms":1250,"emergency":"normal",'
        '"command_source":"rule:12"}',
        18,
        gpio=18,
        state=True,
        pwm=255,
        actuator_type="relay",
        command_source="rule:12",
    ),
    sample(
        K.ACTUATOR_STATUS,
        '{"gpio":18,"actuator_type":"Relay","state":"off","value":0,"runtime_ms":1,"emergency":"active"}',
        18,
        state=False,
        pwm=0,
        actuator_type="relay",
        emergency="active",
    ),
    sample(
        K.ACTUATOR_RESPONSE,
        '{"esp_id":"ESP_EA5484","seq":78,"zone_id":"greenhouse_1","ts":1767225600,"gpio":18,"command":"ON",'
        '"value":1.000,"duration":30,"success":true,"message":"Command executed","correlation_id":"c-0192",'
        '"issued_by":"rule:12"}',
        18,
        command="ON",
        success=True,
        duration=30,
        correlation_id="c-0192",
    ),
    sample(
        K.ACTUATOR_ALERT,
        '{"esp_id":"ESP_EA5484","seq":90,"zone_id":"g","ts":1767225600,"gpio":255,'
        '"alert_type":"verification_failed","message":"clear_emergency"}',
        255,
        gpio=255,
        alert_type="verification_failed",
    ),
    sample(K.ACTUATOR_ALERT, '{"type":"emergency_stop","gpio":18,"ts":1}', 18, alert_type="emergency_stop"),
    sample(
        K.EMERGENCY_ACK,
        '{"ts":1767225600,"esp_id":"ESP_EA5484","correlation_id":"emg-1","command":"emergency_stop",'
        '"gpio_count":2,"outcome":"executed","seq":91}',
        gpio_count=2,
        outcome="executed",
    ),
    sample(
        K.EMERGENCY_RESPONSE,
        '{"status":"emergency_cleared","timestamp":734112,"seq":95}',
        status="emergency_cleared",
        uptime_ms=734112,
    ),
    sample(
        K.EMERGENCY_ERROR,
        '{"error":"unauthorized","message":"Invalid auth_token","seq":9}',
        error="unauthorized",
    ),
    sample(
        K.RECOVERY_CONFIRM,
        '{"ts":1767225600,"esp_id":"ESP_EA5484","correlation_id":"clr-1","command":"clear_emergency",'
        '"state":"cleared","seq":97}',
        state="cleared",
        correlation_id="clr-1",
    ),
    sample(
        K.CONFIG_RESPONSE,
        '{"seq":17,"status":"success","type":"sensor","count":3,"failed_count":0,'
        '"message":"Configured 3 item(s) successfully","correlation_id":"cfg-77"}',
        status="success",
        scope="sensor",
        count=3,
        correlation_id="cfg-77",
    ),
    sample(
        K.CONFIG_RESPONSE,
        '{"seq":18,"status":"partial_success","type":"sensor","count":2,"failed_count":1,"message":"m",'
        '"failures":[{"type":"sensor","gpio":5,"error_code":1002,"error":"GPIO_CONFLICT","detail":"d"}],'
        '"correlation_id":"cfg-77"}',
        failed_count=1,
    ),
    sample(
        K.CONFIG_RESPONSE,
        '{"seq":19,"status":"error","type":"actuator","count":0,"message":"m","error_code":"MISSING_FIELD",'
        '"failed_item":{"gpio":18,"actuator_type":"relay"},"correlation_id":"cfg-77"}',
        error_code="MISSING_FIELD",
        failed_item={"gpio": 18, "actuator_type": "relay"},
    ),
    sample(
        K.ZONE_ACK,
        '{"esp_id":"ESP_EA5484","status":"zone_assigned","zone_id":"greenhouse_1",'
        '"master_zone_id":"greenhouse","ts":1767225600,"seq":42,"correlation_id":"z-1"}',
        status="zone_assigned",
        zone_id="greenhouse_1",
    ),
    sample(
        K.SUBZONE_ACK,
        '{"esp_id":"ESP_EA5484","status":"error","subzone_id":"bench_a","timestamp":1767225600,'
        '"error_code":2506,"message":"parent_zone_id mismatch","seq":45,"correlation_id":"s-2"}',
        status="error",
        ts=1767225600,
        error_code=2506,
    ),
    sample(
        K.COMMAND_RESPONSE,
        '{"command":"status","success":true,"esp_id":"ESP_EA5484","state":9,"uptime":61,"heap_free":1,'
        '"wifi_rssi":-58,"sensor_count":3,"actuator_count":2,"zone_id":"z","zone_assigned":true,'
        '"ts":1767225600,"seq":46}',
        command="status",
        success=True,
        failed=False,
    ),
    sample(
        K.COMMAND_RESPONSE,
        '{"error":"OneWire pin not available","pin":4,"seq":47}',
        command=None,
        success=None,
        error="OneWire pin not available",
        failed=True,
    ),
    sample(
        K.COMMAND_RESPONSE,
        '{"command":"onewire/scan","success":false,"esp_id":"ESP_EA5484","error":4022,'
        '"reason_code":"CONFIG_PENDING_BLOCKED","state":"CONFIG_PENDING_AFTER_RESET","ts":0,"seq":48}',
        error=4022,
        reason_code="CONFIG_PENDING_BLOCKED",
        failed=True,
    ),
    sample(
        K.ONEWIRE_SCAN_RESULT,
        '{"devices":[{"rom_code":"28ff641e8d3c0c79","device_type":"ds18b20","pin":4}],"found_count":1,"seq":50}',
        found_count=1,
    ),
    sample(
        K.SYSTEM_ERROR,
        '{"error_code":1060,"severity":2,"category":"HARDWARE","message":"DS18B20 fault (-127°C) on GPIO 4",'
        '"context":{"esp_id":"ESP_EA5484","uptime_ms":734112},"ts":1767225600}',
        error_code=1060,
        severity=2,
        context={"esp_id": "ESP_EA5484", "uptime_ms": 734112},
    ),
    sample(K.DIAGNOSTICS, DIAGNOSTICS, uptime=61, heap_min_free=96012, system_state="OPERATIONAL"),
    sample(K.INTENT_OUTCOME, OUTCOME, intent_id="c-0192", outcome="applied", terminal=True, code="NONE"),
    sample(
        K.INTENT_LIFECYCLE,
        CONFIG_PENDING,
        readiness_decision="MISSING_ACTUATORS",
        is_trace=False,
        sensor_count=3,
    ),
    sample(K.INTENT_LIFECYCLE, CHAIN_STAGE, stage="outcome_publish_ok", is_trace=True),
    sample(
        K.QUEUE_PRESSURE,
        '{"event":"entered_pressure","fill_level":6,"high_watermark":7,"shed_count":3,"drop_count":0,'
        '"threshold":6,"ts":1767225600}',
        event="entered_pressure",
        fill_level=6,
    ),
    sample(
        K.PI_ENHANCED_REQUEST,
        '{"gpio":34,"sensor_type":"pH","raw_data":2048,"metadata":{"temperature":24.5},'
        '"request_id":"q-1","timestamp":1767225600}',
        raw=2048,
        sensor_type="ph",
        gpio=34,
        params={"temperature": 24.5},
        request_id="q-1",
        ts=1767225600,
    ),
)


def builders() -> list[tuple[object, tuple[object, ...]]]:
    """Every public builder of a topic on which growyd speaks, with arguments that fit it."""
    given_for = {"kaiser_id": "god", "esp_id": "ESP_EA5484", "gpio": 4}
    return [
        (build, tuple(given_for[name] for name in inspect.signature(build).parameters))
        for name, build in vars(topics).items()
        if inspect.isfunction(build)
        and build.__module__ == topics.__name__
        and not name.startswith("_")
        and set(inspect.signature(build).parameters) <= set(given_for)
        and inspect.signature(build).return_annotation == "str"
    ]
