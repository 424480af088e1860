"""What ESP32s say about measurements and about themselves: canonical names, one `msgspec.Struct` per message.

These are values, not parsers: aliases, old generations and malformed bytes are the wire room's business, and
nothing here ever reads a clock or does I/O. Who speaks stands in the topic, so no message carries an
`esp_id`. Times are as the device gave them (`growy.model.time.measured_at` judges them).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, TypeAlias

import msgspec

from growy.model.reading import QUALITY_BY_WORD, Quality

GpioNumber: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=255)]
I2cAddress: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=127)]
Seq: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

FIRMWARE_QUALITY: dict[str, Quality] = {
    "": Quality.UNKNOWN,
    "excellent": Quality.GOOD,
    "bad": Quality.POOR,
    "critical": Quality.SUSPECT,
    **QUALITY_BY_WORD,
}
"""Every quality word that any firmware or document used; other words mean UNKNOWN."""


class Generation(enum.StrEnum):
    """Firmware generations that need different treatment, named by the month in which they began."""

    DEC_2025 = "2025-12"
    """No acknowledgement, no sequence numbers, readings published retained."""
    JAN_2026 = "2026-01"
    """Pin table or sequence number in the heartbeat; still works without an acknowledgement."""
    APR_2026 = "2026-04"
    """Publishes nothing until a heartbeat ack with `handover_epoch` has arrived."""


class SensorData(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One value of one sensor (`sensor/{gpio}/data`, and each reading of a batch)."""

    raw: float
    """What the converter or chip counted; the signed number also where old firmware printed it unsigned."""
    sensor_type: str
    """Canonical spelling: lower case, 1-64 of `a-z 0-9 _ . -`."""
    ts: float = 0.0
    """Time of measurement: 0 (clock unknown), Unix seconds or milliseconds."""
    gpio: GpioNumber | None = None
    """The payload's gpio; always there in a batch. Elsewhere the topic's is the one that counts."""
    value: float | None = None
    """The device's own uncalibrated preview, in `unit`."""
    unit: str = ""
    quality_word: str = msgspec.field(default="", name="quality")
    seq: Seq | None = None
    """Counter of the device's boot, shared by its messages; None before 2026-02."""
    time_valid: bool = True
    raw_mode: bool = True
    i2c_address: I2cAddress | None = None
    """7-bit address, 1-127."""
    onewire_address: str | None = None
    """ROM code, 16 upper-case hex digits."""
    zone_id: str = ""
    subzone_id: str = ""

    @property
    def quality(self) -> Quality:
        return FIRMWARE_QUALITY.get(self.quality_word, Quality.UNKNOWN)


class RefusedReading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A reading of a batch that cannot be used while others can."""

    index: int
    reason: str
    message: str


class SensorBatch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Several readings in one message (`sensor/batch`); every reading has a gpio. At least one reading is
    usable."""

    readings: tuple[SensorData, ...]
    refused: tuple[RefusedReading, ...] = ()


class SensorResponse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Result of a measure command that carried a `request_id` (`sensor/{gpio}/response`)."""

    success: bool
    request_id: str = ""
    command: str = "measure"
    gpio: GpioNumber | None = None
    measurement_ok: bool | None = None
    publish_ok: bool | None = None
    timeout: bool | None = None
    reason_code: str = ""
    quality_word: str = msgspec.field(default="", name="quality")
    sensor_type: str = ""
    raw: float | None = None
    ts: float = 0.0
    seq: Seq | None = None
    intent_id: str = ""
    correlation_id: str = ""
    ttl_ms: int | None = None

    @property
    def quality(self) -> Quality:
        return FIRMWARE_QUALITY.get(self.quality_word, Quality.UNKNOWN)


class PiEnhancedRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A raw value that the sender wants converted and sent back (`pi_enhanced/request`)."""

    raw: float
    sensor_type: str
    gpio: GpioNumber | None = None
    params: Mapping[str, object] = {}
    """Settings of the conversion, e.g. `{"temperature": 24.5}`."""
    request_id: str | None = None
    ts: float = 0.0


class ConfigStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`config_status` of a heartbeat. `state` is a number whose meaning depends on the generation: shown, not
    judged."""

    wifi_configured: bool | None = None
    zone_assigned: bool | None = None
    system_configured: bool | None = None
    subzone_count: int | None = None
    boot_count: int | None = None
    state: int | None = None


class GpioStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line of the pin table that heartbeats from January to April 2026 carry."""

    gpio: int
    owner: str = ""
    component: str = ""
    mode: int | str | None = None
    safe: bool | None = None


class HeartbeatMetrics(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Counters since boot (`system/heartbeat_metrics`, or inside the heartbeat where the firmware does not
    split them)."""

    ts: float = 0.0
    metrics_schema_version: int | None = None
    offline_enter_count: int | None = None
    adopting_enter_count: int | None = None
    adoption_noop_count: int | None = None
    adoption_delta_count: int | None = None
    handover_abort_count: int | None = None
    handover_contract_reject_count: int | None = None
    handover_contract_last_reject: str | None = None
    persistence_drift_count: int | None = None
    critical_outcome_drop_count: int | None = None
    publish_outbox_drop_count: int | None = None
    publish_queue_fill: int | None = None
    publish_queue_hwm: int | None = None
    publish_queue_shed_count: int | None = None
    publish_queue_drop_count: int | None = None
    sensor_command_queue_overflow_count: int | None = None
    safe_publish_retry_count: int | None = None
    emergency_rejected_no_token_total: int | None = None


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Sign of life (`system/heartbeat`). Nothing is required: a device that says little is alive all the
    same."""

    ts: float = 0.0
    time_valid: bool = True
    zone_id: str = ""
    master_zone_id: str = ""
    zone_assigned: bool | None = None
    uptime: int | None = None
    """Seconds; a drop is the surest sign of a reboot."""
    heap_free: int | None = None
    """Bytes."""
    wifi_rssi: int | None = None
    """dBm."""
    wifi_ip: str = ""
    sensor_count: int | None = None
    actuator_count: int | None = None
    boot_sequence_id: str = ""
    """Not unique: the boot counter in it starts over after a minute of uptime."""
    reset_reason: str = ""
    segment_start_ts: float | None = None
    """Unix seconds at which the clock became valid in this boot; 0 before."""
    active_handover_epoch: int | None = None
    handover_completed_epoch: int | None = None
    persistence_degraded: bool | None = None
    persistence_degraded_reason: str = ""
    runtime_state_degraded: bool | None = None
    mqtt_circuit_breaker_open: bool | None = None
    wifi_circuit_breaker_open: bool | None = None
    network_degraded: bool | None = None
    config_status: ConfigStatus | None = None
    gpio_status: tuple[GpioStatus, ...] = ()
    gpio_reserved_count: int | None = None
    seq: Seq | None = None
    metrics: HeartbeatMetrics | None = None
    """Of builds that put the counters into the heartbeat itself."""

    @property
    def generation(self) -> Generation:
        if self.active_handover_epoch is not None:
            return Generation.APR_2026
        if self.seq is not None or self.gpio_reserved_count is not None or self.gpio_status:
            return Generation.JAN_2026
        return Generation.DEC_2025


class SessionAnnounce(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """First message of every MQTT session (`session/announce`)."""

    handover_epoch: int
    session_epoch: int | None = None
    reason: str = ""
    """`boot` or `reconnect`; a first reconnect may also say boot."""
    ts_ms: int = 0
    """Unix milliseconds, or uptime milliseconds while the clock is unknown."""
    boot_ts: int | None = None
    """Unix seconds of the boot."""


class Will(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The broker's word that a device is gone (`system/will`, retained). `ts` is of the connect, often 0."""

    status: str = ""
    reason: str = ""
    ts: float = 0.0
    retained: bool = False
    """The broker's kept copy, not the event itself: set where the message is received, never by the sender."""

    @property
    def cleared(self) -> bool:
        """Whether this is the empty message with which a retained will is taken back."""
        return not self.status
