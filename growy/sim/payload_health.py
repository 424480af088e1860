"""What the firmware writes about its health: counters, diagnostics, tracked errors. Byte for byte, like
`payload.py`.
"""

from __future__ import annotations

from growy.sim.board import Board, Ctx, TrackedError
from growy.sim.handover import Handover

_CATEGORIES = ((1000, "HARDWARE"), (2000, "SERVICE"), (3000, "COMMUNICATION"), (4000, "APPLICATION"))


def counters(handover: Handover, *, outcome_drops: int, no_token: int) -> str:
    """The part of `heartbeat_metrics` that counts; the message is sent when this has changed.

    Args:
        outcome_drops: terminal outcomes evicted from the flash.
        no_token: emergency stops refused for want of a stored token.
    """
    return (
        f'"offline_enter_count":{handover.offline_enters},"adopting_enter_count":{handover.adopting_enters},'
        f'"adoption_noop_count":{handover.noops},"adoption_delta_count":{handover.deltas},'
        f'"handover_abort_count":{handover.aborts},"handover_contract_reject_count":{handover.rejects},'
        f'"handover_contract_last_reject":"{handover.last_reject}","persistence_drift_count":0,'
        f'"critical_outcome_drop_count":{outcome_drops},"publish_outbox_drop_count":0,"publish_queue_fill":0,'
        f'"publish_queue_hwm":3,"publish_queue_shed_count":0,"publish_queue_drop_count":0,'
        f'"sensor_command_queue_overflow_count":0,"safe_publish_retry_count":0,'
        f'"emergency_rejected_no_token_total":{no_token}'
    )


def heartbeat_metrics(esp_id: str, ts: int, counted: str) -> bytes:
    """`system/heartbeat_metrics`; `counted` is what `counters` gave."""
    return f'{{"esp_id":"{esp_id}","ts":{ts},"metrics_schema_version":1,{counted}}}'.encode()


def diagnostics(
    board: Board,
    ctx: Ctx,
    *,
    error_count: int,
    segment_start_ts: int,
    reset_reason: str,
    connected: bool,
) -> bytes:
    """`system/diagnostics`. Its `ts` is uptime in seconds."""
    uptime_s = ctx.uptime_ms // 1000
    link = "true" if connected else "false"
    return (
        f'{{"ts":{uptime_s},"esp_id":"{board.esp_id}","heap_free":{ctx.heap_free},'
        f'"heap_min_free":{ctx.heap_min},"heap_fragmentation":18,"uptime_seconds":{uptime_s},'
        f'"error_count":{error_count},"wifi_connected":{link},"wifi_rssi":{ctx.wifi_rssi},'
        f'"mqtt_connected":{link},"sensor_count":{len(board.sensors)},'
        f'"actuator_count":{len(board.actuators)},"system_state":"{board.state.name}",'
        f'"boot_reason":"{reset_reason}","boot_sequence_id":"{ctx.boot_sequence_id}",'
        f'"reset_reason":"{reset_reason}","segment_start_ts":{segment_start_ts},"mqtt_cb_state":"CLOSED",'
        f'"mqtt_cb_failures":0,"wdt_mode":"PRODUCTION","wdt_timeouts_24h":0,"wdt_timeout_pending":false,'
        f'"metrics_schema_version":1,"storage_namespace_conflict_count":0,'
        f'"storage_no_session_access_count":0,"hist_not_found_expected_count":0,'
        f'"hist_not_found_unexpected_count":0}}'
    ).encode()


def system_error(esp_id: str, error: TrackedError, *, ts: int, uptime_ms: int) -> bytes:
    """`system/error`. The code is a number, the device's name only in the context."""
    category = next((name for start, name in _CATEGORIES if start <= error.code < start + 1000), "UNKNOWN")
    return (
        f'{{"error_code":{error.code},"severity":{error.severity},"category":"{category}",'
        f'"message":"{error.message}","context":{{"esp_id":"{esp_id}","uptime_ms":{uptime_ms}}},"ts":{ts}}}'
    ).encode()
