"""What ESP32s report and answer: actuators, emergencies, configuration, intents, faults. Values only, as
`messages` is.

Fields whose set of words the firmware may extend (status, codes, reasons) are text: an unknown word is
information, not an error. Times are Unix seconds as the device gave them unless the name says `_ms` or
`uptime`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from growy.model.messages import GpioNumber, Seq


class ActuatorStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """State of an actuator, on change and every 30 s (`actuator/{gpio}/status`)."""

    gpio: GpioNumber
    state: bool
    ts: float = 0.0
    actuator_type: str = ""
    """pump, valve, pwm or relay."""
    pwm: int | None = None
    """0-255; a switched-on relay says 255, a valve 0, 127 or 254."""
    runtime_ms: int | None = None
    """On-time since boot."""
    emergency: str = "normal"
    """`normal` or `active`."""
    command_source: str | None = None
    """`issued_by` of the last command."""
    seq: Seq | None = None
    zone_id: str = ""
    subzone_id: str = ""


class ActuatorResponse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Last answer to an actuator command (`actuator/{gpio}/response`)."""

    gpio: GpioNumber
    command: str
    success: bool
    ts: float = 0.0
    value: float | None = None
    duration: float | None = None
    """Seconds."""
    message: str = ""
    correlation_id: str | None = None
    issued_by: str | None = None
    seq: Seq | None = None
    zone_id: str = ""


class ActuatorAlert(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something safety did (`actuator/{gpio}/alert`). gpio 255: the whole device."""

    gpio: GpioNumber
    alert_type: str
    ts: float = 0.0
    message: str = ""
    seq: Seq | None = None
    zone_id: str = ""


class EmergencyAck(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An emergency stop for one device was dispatched, not finished (`actuator/emergency/ack`)."""

    command: str
    ts: float = 0.0
    correlation_id: str | None = None
    gpio_count: int | None = None
    outcome: str = ""
    seq: Seq | None = None


class EmergencyResponse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An emergency was cleared (`actuator/emergency/response`)."""

    status: str
    uptime_ms: int | None = None
    seq: Seq | None = None


class EmergencyError(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An emergency command was refused (`actuator/emergency/error`)."""

    error: str
    message: str = ""
    seq: Seq | None = None


class RecoveryConfirm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A device is out of the emergency (`actuator/recovery_confirm`)."""

    command: str
    state: str
    ts: float = 0.0
    correlation_id: str | None = None
    seq: Seq | None = None


class ConfigFailure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One item of a config push that the device did not take."""

    scope: str = ""
    gpio: int | None = None
    error_code: int | str | None = None
    error: str = ""
    detail: str | None = None
    sensor_type: str | None = None
    i2c_address: int | str | None = None
    onewire_address: str | None = None


class ConfigResponse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Result of one scope of a config push (`config_response`). Long failure lists lose their last fields on
    the device."""

    status: str
    """success, partial_success or error."""
    scope: str = ""
    """sensor, actuator or system."""
    count: int | None = None
    failed_count: int | None = None
    message: str = ""
    error_code: int | str | None = None
    failed_item: Mapping[str, object] | None = None
    failures: tuple[ConfigFailure, ...] = ()
    failures_truncated: bool | None = None
    total_failures: int | None = None
    correlation_id: str | None = None
    seq: Seq | None = None


class ZoneAck(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Answer to a zone assignment (`zone/ack`)."""

    status: str
    """zone_assigned, zone_removed or error."""
    ts: float = 0.0
    zone_id: str = ""
    master_zone_id: str = ""
    message: str = ""
    reason_code: str | None = None
    correlation_id: str | None = None
    seq: Seq | None = None


class SubzoneAck(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Answer to a subzone command (`subzone/ack`). `ts` is uptime seconds on 2025-12 firmware."""

    status: str
    """subzone_assigned, subzone_removed or error."""
    subzone_id: str = ""
    ts: float = 0.0
    message: str = ""
    reason_code: str | None = None
    error_code: int | str | None = None
    correlation_id: str | None = None
    seq: Seq | None = None


class CommandResponse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Answer to a system command (`system/command/response`). Each command answers differently: `details` has
    it all."""

    details: Mapping[str, object]
    """The whole answer as it came."""
    command: str | None = None
    success: bool | None = None
    status: str | None = None
    error: int | str | None = None
    reason_code: str | None = None
    correlation_id: str | None = None
    ts: float = 0.0
    seq: Seq | None = None

    @property
    def failed(self) -> bool:
        return self.success is False or (self.success is None and self.error is not None)


class OnewireDevice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A device found on the wire."""

    rom_code: str
    """16 upper-case hex digits."""
    device_type: str = "unknown"
    pin: int | None = None


class OnewireScanResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Devices on a OneWire bus, at most ten (`onewire/scan_result`)."""

    devices: tuple[OnewireDevice, ...]
    found_count: int | None = None
    seq: Seq | None = None


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A tracked error, at most one a minute per code slot (`system/error`)."""

    error_code: int | str
    """1000-4999; old documents have names."""
    severity: int | str | None = None
    """1 warning, 2 error, 3 critical."""
    category: str = ""
    message: str = ""
    context: Mapping[str, object] = {}
    ts: float = 0.0


class Diagnostics(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Health of a device, on change (`system/diagnostics`). Its clock is the uptime."""

    uptime: int | None = None
    """Seconds."""
    heap_free: int | None = None
    heap_min_free: int | None = None
    heap_fragmentation: int | None = None
    error_count: int | None = None
    wifi_connected: bool | None = None
    wifi_rssi: int | None = None
    mqtt_connected: bool | None = None
    sensor_count: int | None = None
    actuator_count: int | None = None
    system_state: str = ""
    boot_reason: str = ""
    boot_sequence_id: str = ""
    reset_reason: str = ""
    segment_start_ts: float | None = None
    mqtt_cb_state: str = ""
    mqtt_cb_failures: int | None = None
    wdt_mode: str = ""
    wdt_timeouts_24h: int | None = None
    wdt_timeout_pending: bool | None = None
    metrics_schema_version: int | None = None
    storage_namespace_conflict_count: int | None = None
    storage_no_session_access_count: int | None = None
    hist_not_found_expected_count: int | None = None
    hist_not_found_unexpected_count: int | None = None


class IntentOutcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a command or config push (`system/intent_outcome`). Only the first terminal outcome per
    id is sent."""

    intent_id: str
    outcome: str
    """accepted, rejected, applied, persisted, failed or expired."""
    flow: str = ""
    correlation_id: str = ""
    code: str = ""
    reason: str = ""
    generation: int | None = None
    created_at_ms: int | None = None
    ttl_ms: int | None = None
    epoch: int | None = None
    contract_version: int | None = None
    semantic_mode: str = ""
    legacy_status: str = ""
    target_status: str = ""
    retryable: bool | None = None
    critical: bool | None = None
    retry_limit: int | None = None
    retry_count: int | None = None
    recovered: bool = False
    """Kept over a time without connection and sent afterwards."""
    delivery_mode: str = ""
    outcome_retry_count: int | None = None
    outcome_recovered_count: int | None = None
    outcome_drop_count_critical: int | None = None
    outcome_final_confirmed_count: int | None = None
    ts: float = 0.0
    seq: Seq | None = None

    @property
    def terminal(self) -> bool:
        return self.outcome != "accepted"


class IntentLifecycle(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A step of the device's own life (`system/intent_outcome/lifecycle`), in one of two schemas.

    `config_pending_lifecycle_v1` tells why a device waits for configuration; `intent_chain_stage_v1` traces a
    command through the device's queues.
    """

    event_type: str
    schema: str = ""
    ts: float = 0.0
    seq: Seq | None = None
    reason_code: str = ""
    trigger_source: str = ""
    state_before: str = ""
    state_after: str = ""
    sensor_count: int | None = None
    actuator_count: int | None = None
    offline_rule_count: int | None = None
    runtime_profile: str = ""
    readiness_decision: str = ""
    config_pending_enter_count: int | None = None
    config_pending_exit_count: int | None = None
    config_pending_exit_blocked_count: int | None = None
    boot_sequence_id: str = ""
    flow: str = ""
    stage: str = ""
    intent_id: str = ""
    correlation_id: str = ""
    generation: int | None = None
    epoch: int | None = None
    code: str = ""
    detail: str = ""

    @property
    def is_trace(self) -> bool:
        """Whether this is one of the two or three traces of every command, of no use to a server."""
        return self.event_type == "intent_chain_stage"


class QueuePressure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The device's publish queue fills or has recovered (`system/queue_pressure`)."""

    event: str
    """entered_pressure or recovered."""
    fill_level: int | None = None
    high_watermark: int | None = None
    shed_count: int | None = None
    drop_count: int | None = None
    threshold: int | None = None
    ts: float = 0.0
