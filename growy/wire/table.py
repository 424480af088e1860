"""The one table of what each topic carries: message type, field aliases of all firmware generations, fixes.
No bytes here.

Documents, tests and the decoder read this table; a kind that is missing here cannot be decoded.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from growy.model.events import (
    ActuatorAlert,
    ActuatorResponse,
    ActuatorStatus,
    CommandResponse,
    ConfigFailure,
    ConfigResponse,
    Diagnostics,
    EmergencyAck,
    EmergencyError,
    EmergencyResponse,
    ErrorReport,
    IntentLifecycle,
    IntentOutcome,
    OnewireDevice,
    OnewireScanResult,
    QueuePressure,
    RecoveryConfirm,
    SubzoneAck,
    ZoneAck,
)
from growy.model.messages import (
    Heartbeat,
    HeartbeatMetrics,
    PiEnhancedRequest,
    SensorBatch,
    SensorData,
    SensorResponse,
    SessionAnnounce,
    Will,
)
from growy.wire import fields
from growy.wire.fields import Fields, Shape
from growy.wire.topics import TopicKind

Message: TypeAlias = (
    SensorData
    | SensorBatch
    | SensorResponse
    | Heartbeat
    | HeartbeatMetrics
    | SessionAnnounce
    | Will
    | ActuatorStatus
    | ActuatorResponse
    | ActuatorAlert
    | EmergencyAck
    | EmergencyResponse
    | EmergencyError
    | RecoveryConfirm
    | ConfigResponse
    | ZoneAck
    | SubzoneAck
    | CommandResponse
    | OnewireScanResult
    | ErrorReport
    | Diagnostics
    | IntentOutcome
    | IntentLifecycle
    | QueuePressure
    | PiEnhancedRequest
)
"""Whatever a device can say."""

_TS = ("timestamp",)
_RAW = ("raw_value", "raw_data")

READING: Shape[SensorData] = Shape(
    SensorData, {"raw": _RAW, "ts": _TS, "sensor_type": ("type",)}, fields.reading
)
"""A reading, alone in its message or in a batch."""


def _heartbeat(given: Fields, path: str) -> None:
    for name in ("uptime", "heap_free", "wifi_rssi", "sensor_count", "actuator_count"):
        fields.integral(given, name)
    # Builds that do not split the counters off carry them in the heartbeat itself.
    metrics = fields.canonical(METRICS, given, path)
    if any(name in metrics for name in _COUNTERS):
        given["metrics"] = {name: metrics[name] for name in _METRIC_FIELDS if name in metrics}
    else:
        given.pop("metrics", None)


def _announce(given: Fields, path: str) -> None:
    for name in ("boot_ts", "ts_ms", "handover_epoch", "session_epoch"):
        fields.integral(given, name)
    if isinstance(given.get("boot_ts"), str):
        del given["boot_ts"]  # the firmware writes it as text, "" before it knows the time


def _actuator_status(given: Fields, path: str) -> None:
    fields.on_off(given, path, "state")
    fields.integral(given, "pwm")
    fields.lower_word(given, "actuator_type")
    fields.lower_word(given, "emergency")


def _config_response(given: Fields, path: str) -> None:
    fields.lower_word(given, "status")
    fields.nested(given, "failures", CONFIG_FAILURE, path)


def _scan_result(given: Fields, path: str) -> None:
    fields.nested(given, "devices", ONEWIRE_DEVICE, path)


def _onewire_device(given: Fields, path: str) -> None:
    fields.onewire_address(given, path, "rom_code")
    fields.lower_word(given, "device_type")


def _command_response(given: Fields, path: str) -> None:
    # Some answers use `status` for a number or an object; those stay in `details`.
    given["details"] = {name: value for name, value in given.items() if name != "details"} | (
        {"details": given["details"]} if "details" in given else {}
    )
    for name in ("status", "command", "reason_code"):
        if not isinstance(given.get(name), str):
            given.pop(name, None)


def _sensor_response(given: Fields, path: str) -> None:
    fields.raw(given, path)
    fields.lower_word(given, "sensor_type")
    fields.lower_word(given, "quality")


def _pi_enhanced(given: Fields, path: str) -> None:
    fields.raw(given, path)
    fields.sensor_type(given, path)
    if isinstance(given.get("request_id"), int) and not isinstance(given["request_id"], bool):
        given["request_id"] = str(given["request_id"])


def _will(given: Fields, path: str) -> None:
    given.pop("retained", None)  # the broker's flag, not the device's word


def _event_word(given: Fields, path: str) -> None:
    fields.lower_word(given, "event")


METRICS: Shape[HeartbeatMetrics] = Shape(HeartbeatMetrics, {"ts": _TS})
CONFIG_FAILURE: Shape[ConfigFailure] = Shape(ConfigFailure, {"scope": ("type",), "error": ("message",)})
ONEWIRE_DEVICE: Shape[OnewireDevice] = Shape(
    OnewireDevice, {"rom_code": ("onewire_address", "address"), "device_type": ("type",)}, _onewire_device
)
_METRIC_FIELDS = HeartbeatMetrics.__struct_fields__
_COUNTERS = tuple(name for name in _METRIC_FIELDS if name not in ("ts", "metrics_schema_version"))

SHAPES: dict[TopicKind, Shape[Any]] = {
    TopicKind.SENSOR_DATA: READING,
    TopicKind.SENSOR_RESPONSE: Shape(SensorResponse, {"raw": _RAW, "ts": _TS}, _sensor_response),
    TopicKind.HEARTBEAT: Shape(
        Heartbeat,
        {
            "ts": _TS,
            "heap_free": ("free_heap",),
            "sensor_count": ("active_sensors",),
            "actuator_count": ("active_actuators",),
            "active_handover_epoch": ("handover_epoch",),
            "uptime": ("uptime_seconds",),
            "wifi_ip": ("ip_address", "ip"),
        },
        _heartbeat,
    ),
    TopicKind.HEARTBEAT_METRICS: METRICS,
    TopicKind.SESSION_ANNOUNCE: Shape(
        SessionAnnounce, {"handover_epoch": ("session_epoch", "active_handover_epoch")}, _announce
    ),
    TopicKind.WILL: Shape(Will, {"ts": _TS}, _will),
    TopicKind.ACTUATOR_STATUS: Shape(
        ActuatorStatus, {"ts": _TS, "actuator_type": ("type",), "pwm": ("value",)}, _actuator_status
    ),
    TopicKind.ACTUATOR_RESPONSE: Shape(ActuatorResponse, {"ts": _TS}),
    TopicKind.ACTUATOR_ALERT: Shape(ActuatorAlert, {"ts": _TS, "alert_type": ("type",)}),
    TopicKind.EMERGENCY_ACK: Shape(EmergencyAck, {"ts": _TS}),
    TopicKind.EMERGENCY_RESPONSE: Shape(EmergencyResponse, {"uptime_ms": ("timestamp",)}),
    TopicKind.EMERGENCY_ERROR: Shape(EmergencyError),
    TopicKind.RECOVERY_CONFIRM: Shape(RecoveryConfirm, {"ts": _TS}),
    TopicKind.CONFIG_RESPONSE: Shape(ConfigResponse, {"scope": ("type",)}, _config_response),
    TopicKind.ZONE_ACK: Shape(ZoneAck, {"ts": _TS}),
    TopicKind.SUBZONE_ACK: Shape(SubzoneAck, {"ts": _TS}),
    TopicKind.COMMAND_RESPONSE: Shape(CommandResponse, {"ts": _TS}, _command_response),
    TopicKind.ONEWIRE_SCAN_RESULT: Shape(OnewireScanResult, {}, _scan_result),
    TopicKind.SYSTEM_ERROR: Shape(ErrorReport, {"ts": _TS}),
    TopicKind.DIAGNOSTICS: Shape(
        Diagnostics, {"uptime": ("uptime_seconds", "ts"), "heap_free": ("free_heap",)}
    ),
    TopicKind.INTENT_OUTCOME: Shape(IntentOutcome, {"ts": _TS}),
    TopicKind.INTENT_LIFECYCLE: Shape(IntentLifecycle, {"ts": _TS}),
    TopicKind.QUEUE_PRESSURE: Shape(
        QueuePressure,
        {"ts": _TS, "fill_level": ("queue_fill",), "high_watermark": ("queue_hwm",)},
        _event_word,
    ),
    TopicKind.PI_ENHANCED_REQUEST: Shape(
        PiEnhancedRequest,
        {
            "raw": ("raw_data", "raw_value"),
            "params": ("metadata",),
            "request_id": ("correlation_id",),
            "ts": _TS,
        },
        _pi_enhanced,
    ),
}
"""Every kind but the batch, which is a list of readings (`batch`)."""

MESSAGE_TYPES: dict[TopicKind, type[Message]] = {
    **{kind: shape.type for kind, shape in SHAPES.items()},
    TopicKind.SENSOR_BATCH: SensorBatch,
}
"""What `decode` returns for each kind."""
