"""What the firmware writes about itself and its sensors: topics and JSON, byte for byte, of both generations.

Strings are put together as the firmware does, in its field order and number formats and without escaping.
growyd's own codecs are deliberately not used here: the simulator must not share growyd's opinion of the wire.
Answers to commands stand in `payload_board.py`, counters and errors in `payload_health.py`, intents in
`payload_intent.py`.
"""

from __future__ import annotations

from growy.sim.board import Board, Ctx
from growy.sim.flash import SensorConfig, SystemState
from growy.sim.handover import Handover
from growy.sim.sensing import Sample

RESET_REASONS = {
    "UNKNOWN": 0,
    "POWERON": 1,
    "EXT": 2,
    "SW": 3,
    "PANIC": 4,
    "INT_WDT": 5,
    "TASK_WDT": 6,
    "WDT": 7,
    "DEEPSLEEP": 8,
    "BROWNOUT": 9,
    "SDIO": 10,
}
"""With the chip's own numbers, which stand in `boot_sequence_id`."""
DEGRADED = frozenset(
    (
        SystemState.CONFIG_PENDING_AFTER_RESET,
        SystemState.LIBRARY_DOWNLOADING,
        SystemState.SAFE_MODE,
        SystemState.SAFE_MODE_PROVISIONING,
        SystemState.ERROR,
    )
)
BROADCAST_EMERGENCY = "kaiser/broadcast/emergency"


def device_prefix(kaiser_id: str, esp_id: str) -> str:
    """What all of a device's topics begin with, slash included."""
    return f"kaiser/{kaiser_id}/esp/{esp_id}/"


def server_status_topic(kaiser_id: str) -> str:
    return f"kaiser/{kaiser_id}/server/status"


def boot_sequence_id(esp_id: str, boot_count: int, reset_reason: str) -> str:
    return f"{esp_id}-b{boot_count}-r{RESET_REASONS[reset_reason]}"


def flag(value: bool) -> str:
    return "true" if value else "false"


def sensor_data(board: Board, sensor: SensorConfig, sample: Sample, seq: int, ts: int) -> bytes:
    """`sensor/{gpio}/data`. `ts` is Unix seconds, 0 while the clock is unknown."""
    text = (
        f'{{"esp_id":"{board.esp_id}","seq":{seq},"zone_id":"{board.nvs.zone_id}",'
        f'"subzone_id":"{sensor.subzone_id}","gpio":{sensor.gpio},"sensor_type":"{sample.sensor_type}",'
        f'"raw":{sample.raw},"value":{sample.value:.2f},"unit":"{sample.unit}","quality":"{sample.quality}",'
        f'"ts":{ts},"time_valid":{flag(ts > 0)},"raw_mode":true'
    )
    if sensor.onewire_address:
        text += f',"onewire_address":"{sensor.onewire_address}"'
    elif sensor.i2c_address:
        text += f',"i2c_address":{sensor.i2c_address}'
    return f"{text}}}".encode()


def sensor_data_2025(board: Board, sensor: SensorConfig, sample: Sample, ts: int) -> bytes:
    """`sensor/{gpio}/data` of 2025-12, with nobody on the server's HTTP port: the raw number passed through,
    as unsigned 32 bits."""
    raw = sample.raw % (1 << 32)
    return (
        f'{{"esp_id":"{board.esp_id}","zone_id":"{board.nvs.zone_id}","subzone_id":"{sensor.subzone_id}",'
        f'"gpio":{sensor.gpio},"sensor_type":"{sample.sensor_type}","raw":{raw},"value":{raw:.2f},'
        f'"unit":"raw","quality":"fair","ts":{ts},"raw_mode":true}}'
    ).encode()


def heartbeat(
    board: Board, ctx: Ctx, handover: Handover, *, segment_start_ts: int, reset_reason: str
) -> bytes:
    """`system/heartbeat` of an `esp32_dev` build (counters travel in `heartbeat_metrics`)."""
    nvs = board.nvs
    zoned = flag(bool(nvs.zone_id))
    return (
        f'{{"esp_id":"{board.esp_id}","zone_id":"{nvs.zone_id}","master_zone_id":"{nvs.master_zone_id}",'
        f'"zone_assigned":{zoned},"ts":{ctx.ts},"time_valid":{flag(ctx.ts > 0)},'
        f'"boot_sequence_id":"{ctx.boot_sequence_id}","reset_reason":"{reset_reason}",'
        f'"segment_start_ts":{segment_start_ts},"uptime":{ctx.uptime_ms // 1000},"heap_free":{ctx.heap_free},'
        f'"wifi_rssi":{ctx.wifi_rssi},"sensor_count":{len(board.sensors)},'
        f'"actuator_count":{len(board.actuators)},"wifi_ip":"{ctx.wifi_ip}",'
        f'"active_handover_epoch":{handover.active_epoch},'
        f'"handover_completed_epoch":{handover.completed_epoch},'
        f'"persistence_degraded":false,"persistence_degraded_reason":"NONE",'
        f'"runtime_state_degraded":{flag(board.state in DEGRADED)},'
        f'"mqtt_circuit_breaker_open":false,"wifi_circuit_breaker_open":false,"network_degraded":false,'
        f'"config_status":{{"wifi_configured":{flag(nvs.wifi_configured)},"zone_assigned":{zoned},'
        f'"system_configured":true,"subzone_count":{len(nvs.subzones)},"boot_count":{nvs.boot_count},'
        f'"state":{int(nvs.system_state)}}}}}'
    ).encode()


def heartbeat_2025(board: Board, ctx: Ctx) -> bytes:
    """`system/heartbeat` of 2025-12."""
    nvs = board.nvs
    return (
        f'{{"esp_id":"{board.esp_id}","zone_id":"{nvs.zone_id}","master_zone_id":"{nvs.master_zone_id}",'
        f'"zone_assigned":{flag(bool(nvs.zone_id))},"ts":{ctx.ts},"uptime":{ctx.uptime_ms // 1000},'
        f'"heap_free":{ctx.heap_free},"wifi_rssi":{ctx.wifi_rssi},"sensor_count":{len(board.sensors)},'
        f'"actuator_count":{len(board.actuators)}}}'
    ).encode()


def announce(esp_id: str, *, epoch: int, ts_ms: int, boot_ts: int) -> bytes:
    """`session/announce`. `ts_ms` is uptime while the clock is unknown; `boot_ts` travels as text."""
    reason = "boot" if epoch <= 1 else "reconnect"
    return (
        f'{{"esp_id":"{esp_id}","handover_epoch":{epoch},"session_epoch":{epoch},"reason":"{reason}",'
        f'"ts_ms":{ts_ms},"boot_ts":"{boot_ts}"}}'
    ).encode()


def will(esp_id: str, *, boot_ts: int) -> bytes:
    """`system/will`, the last will. Its time is that of the boot, not of the loss."""
    return (
        f'{{"status":"offline","esp_id":"{esp_id}","reason":"unexpected_disconnect","timestamp":{boot_ts}}}'
    ).encode()


def will_2025(*, boot_ts: int) -> bytes:
    """`system/will` of 2025-12 does not say whose it is; the topic does."""
    return f'{{"status":"offline","reason":"unexpected_disconnect","timestamp":{boot_ts}}}'.encode()
