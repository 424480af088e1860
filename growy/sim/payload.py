"""What the firmware writes: topics and JSON of ESP -> server messages, byte for byte.

Strings are put together as the firmware does, in its field order and number formats and without escaping
(the specs admit only characters that need none). growyd's own codecs are deliberately not used here: the
simulator must not share growyd's opinion of the wire.
"""

from __future__ import annotations

import enum

from growy.sim.sensing import Sample
from growy.sim.spec import EspSpec, SensorSpec


class SystemState(enum.IntEnum):
    """States of the firmware of 2026-04 that a device of this simulator can be in."""

    CONFIG_PENDING_AFTER_RESET = 8
    OPERATIONAL = 9
    PENDING_APPROVAL = 10
    ERROR = 14


def _device(spec: EspSpec) -> str:
    return f"kaiser/{spec.kaiser_id}/esp/{spec.esp_id}"


def sensor_data_topic(spec: EspSpec, gpio: int) -> str:
    return f"{_device(spec)}/sensor/{gpio}/data"


def heartbeat_topic(spec: EspSpec) -> str:
    return f"{_device(spec)}/system/heartbeat"


def heartbeat_ack_topic(spec: EspSpec) -> str:
    return f"{_device(spec)}/system/heartbeat/ack"


def will_topic(spec: EspSpec) -> str:
    return f"{_device(spec)}/system/will"


def announce_topic(spec: EspSpec) -> str:
    """Always below `kaiser/god`, whatever the device's kaiser is: the firmware has it hard-wired."""
    return f"kaiser/god/esp/{spec.esp_id}/session/announce"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def sensor_data(spec: EspSpec, sensor: SensorSpec, sample: Sample, seq: int, ts: int) -> bytes:
    """`sensor/{gpio}/data`. `ts` is Unix seconds, 0 while the clock is unknown."""
    text = (
        f'{{"esp_id":"{spec.esp_id}","seq":{seq},"zone_id":"{spec.zone_id}","subzone_id":"{sensor.subzone_id}",'
        f'"gpio":{sensor.gpio},"sensor_type":"{sample.sensor_type}","raw":{sample.raw},"value":{sample.value:.2f},'
        f'"unit":"{sample.unit}","quality":"{sample.quality}","ts":{ts},'
        f'"time_valid":{_flag(ts > 0)},"raw_mode":true'
    )
    if sensor.onewire_address is not None:
        text += f',"onewire_address":"{sensor.onewire_address}"'
    elif sensor.i2c_address is not None:
        text += f',"i2c_address":{sensor.i2c_address}'
    return f"{text}}}".encode()


def heartbeat(
    spec: EspSpec,
    *,
    ts: int,
    segment_start_ts: int,
    uptime_s: int,
    boot_count: int,
    reset_reason: str,
    state: SystemState,
    heap_free: int,
    wifi_rssi: int,
) -> bytes:
    """`system/heartbeat` of an `esp32_dev` build (counters travel in `heartbeat_metrics`). `ts` as in
    `sensor_data`."""
    zoned = _flag(bool(spec.zone_id))
    degraded = state in (SystemState.CONFIG_PENDING_AFTER_RESET, SystemState.ERROR)
    text = (
        f'{{"esp_id":"{spec.esp_id}","zone_id":"{spec.zone_id}","master_zone_id":"{spec.master_zone_id}",'
        f'"zone_assigned":{zoned},"ts":{ts},"time_valid":{_flag(ts > 0)},'
        f'"boot_sequence_id":"{spec.esp_id}-b{boot_count}-r1","reset_reason":"{reset_reason}",'
        f'"segment_start_ts":{segment_start_ts},"uptime":{uptime_s},"heap_free":{heap_free},"wifi_rssi":{wifi_rssi},'
        f'"sensor_count":{len(spec.sensors)},"actuator_count":0,"wifi_ip":"{spec.wifi_ip}",'
        f'"active_handover_epoch":0,"handover_completed_epoch":0,'
        f'"persistence_degraded":false,"persistence_degraded_reason":"NONE","runtime_state_degraded":{_flag(degraded)},'
        f'"mqtt_circuit_breaker_open":false,"wifi_circuit_breaker_open":false,"network_degraded":false,'
        f'"config_status":{{"wifi_configured":true,"zone_assigned":{zoned},"system_configured":true,'
        f'"subzone_count":{spec.subzones},"boot_count":{boot_count},"state":{int(state)}}}}}'
    )
    return text.encode()


def announce(spec: EspSpec, *, ts_ms: int, boot_ts: int) -> bytes:
    """`session/announce`. `ts_ms` is uptime while the clock is unknown; `boot_ts` travels as text."""
    return (
        f'{{"esp_id":"{spec.esp_id}","handover_epoch":1,"session_epoch":1,"reason":"boot",'
        f'"ts_ms":{ts_ms},"boot_ts":"{boot_ts}"}}'
    ).encode()


def will(spec: EspSpec, *, boot_ts: int) -> bytes:
    """`system/will`, the last will. Its time is that of the boot, not of the loss."""
    return (
        f'{{"status":"offline","esp_id":"{spec.esp_id}","reason":"unexpected_disconnect","timestamp":{boot_ts}}}'
    ).encode()
