"""What a virtual ESP32 board is: what hangs on its pins, what survives a reboot, what is only in RAM, and what
its parts want done. Frozen values; no behaviour but small look-ups, no I/O, no clock.

`Nvs` is the flash, `Board` the flash and the RAM. A handler takes a board, the facts of one message and a `Ctx`
and gives a new board and replies, in the order in which the firmware acts. Sending, gating, numbering and
storing them is the session's business: a `Reply` has a NUL where the session's message counter comes in,
because only the session knows what else it has numbered in between. A NUL cannot come from a message: the
firmware's strings end there.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

import attrs

SEQ = "\0"
"""Where a payload has its `seq`, until the session numbers it."""
NO_PIN = 255


class SystemState(enum.IntEnum):
    """States of the firmware of 2026-04. Firmware of 2025-12 has neither 8 nor 10 and counts on without them."""

    BOOT = 0
    WIFI_SETUP = 1
    WIFI_CONNECTED = 2
    MQTT_CONNECTING = 3
    MQTT_CONNECTED = 4
    AWAITING_USER_CONFIG = 5
    ZONE_CONFIGURED = 6
    SENSORS_CONFIGURED = 7
    CONFIG_PENDING_AFTER_RESET = 8
    OPERATIONAL = 9
    PENDING_APPROVAL = 10
    LIBRARY_DOWNLOADING = 11
    SAFE_MODE = 12
    SAFE_MODE_PROVISIONING = 13
    ERROR = 14


class Variant(enum.StrEnum):
    """Hardware build; decides how much may be configured."""

    DEV = "dev"
    XIAO = "xiao"

    @property
    def max_sensors(self) -> int:
        return 20 if self is Variant.DEV else 10

    @property
    def max_actuators(self) -> int:
        return 12 if self is Variant.DEV else 6


class Generation(enum.StrEnum):
    """The two firmwares in the field."""

    DEC_2025 = "2025-12"
    APR_2026 = "2026-04"


@attrs.frozen(kw_only=True)
class Attached:
    """What is physically there, whatever the configuration claims."""

    variant: Variant = Variant.DEV
    i2c: Mapping[int, str] = attrs.field(factory=dict)
    """I²C address -> chip: sht31, bmp280, bme280, …"""
    onewire: Mapping[int, tuple[str, ...]] = attrs.field(factory=dict)
    """Pin -> ROM codes that answer there, 16 upper-case hex digits."""


# --- what is configured ---------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class SensorConfig:
    gpio: int
    sensor_type: str
    """Lower case, as configured."""
    sensor_name: str = ""
    subzone_id: str = ""
    onewire_address: str = ""
    i2c_address: int = 0
    """0: none stored."""
    raw_mode: bool = True
    operating_mode: str = "continuous"
    interval_s: float = 30
    """A push can set whole seconds from 1 to 300; a load test writes less straight into the flash."""


@attrs.frozen(kw_only=True)
class ActuatorConfig:
    gpio: int
    actuator_type: str
    """pump, relay, valve or pwm."""
    actuator_name: str = ""
    aux_gpio: int = NO_PIN
    subzone_id: str = ""
    critical: bool = False
    inverted_logic: bool = False
    default_state: bool = False
    default_pwm: int = 0
    max_runtime_ms: int = 3_600_000
    """Not stored in flash: after a reboot it is 3,600,000 again."""


@attrs.frozen(kw_only=True)
class TimeFilter:
    enabled: bool = False
    start_hour: int = 0
    start_minute: int = 0
    end_hour: int = 0
    end_minute: int = 0
    days_of_week_mask: int = 127
    """Bit 0 is Sunday."""
    timezone: str = "UTC"


@attrs.frozen(kw_only=True)
class OfflineRule:
    actuator_gpio: int = NO_PIN
    sensor_gpio: int = NO_PIN
    sensor_value_type: str = ""
    activate_below: float = 0.0
    deactivate_above: float = 0.0
    activate_above: float = 0.0
    deactivate_below: float = 0.0
    is_active: bool = False
    """The hysteresis state; seeded by `current_state_active`."""
    time_filter: TimeFilter = TimeFilter()


@attrs.frozen(kw_only=True)
class Subzone:
    subzone_id: str
    subzone_name: str = ""
    parent_zone_id: str = ""
    gpios: tuple[int, ...] = ()
    safe_mode_active: bool = True


# --- intents and outcomes -------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Intent:
    """What identifies a command. The session reads or generates it and hands it in."""

    intent_id: str
    correlation_id: str
    generation: int = 0
    created_at_ms: int = 0
    """Uptime, ms."""
    ttl_ms: int = 0
    epoch: int = 0
    """Safety epoch at admission."""


@attrs.frozen(kw_only=True)
class Outcome:
    """`system/intent_outcome`; the session builds, sends or stores it."""

    flow: str
    intent: Intent
    outcome: str
    """accepted, rejected, applied, persisted, failed or expired."""
    code: str
    reason: str
    retryable: bool = False


# --- flash ----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class OutcomeCounts:
    """Totals of `system/intent_outcome`, kept over reboots. The session's."""

    retried: int = 0
    recovered: int = 0
    dropped: int = 0
    """Evicted from the 48 slots."""
    confirmed: int = 0


@attrs.frozen(kw_only=True)
class Nvs:
    """What survives a reboot."""

    approved: bool = False
    approved_ts: int = 0
    """Unix seconds of the ACK that approved."""
    zone_id: str = ""
    master_zone_id: str = ""
    zone_name: str = ""
    kaiser_id: str = "god"
    wifi_configured: bool = True
    subzones: tuple[Subzone, ...] = ()
    sensors: tuple[SensorConfig, ...] = ()
    """All that were saved; only the first 10 come back at boot."""
    actuators: tuple[ActuatorConfig, ...] = ()
    offline_rules: tuple[OfflineRule, ...] = ()
    actuator_generation: int = 0
    offline_generation: int = 0
    """Last applied `generation`. That of the sensors is never stored: its key is too long."""
    emergency_token: str = ""
    broadcast_token: str = ""
    log_level: str = "INFO"
    boot_count: int = 0
    system_state: SystemState = SystemState.BOOT
    """May lag the live one; the heartbeat's `config_status.state`."""
    outcomes: tuple[Outcome, ...] = ()
    """Terminal outcomes that could not be sent; 48 slots, the session's."""
    outcome_counts: OutcomeCounts = OutcomeCounts()
    replay: tuple[bytes, ...] = ()
    """Config pushes not finished before a reboot; 3 slots, the session's."""


# --- RAM ------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ActuatorOutput:
    """One actuator as it runs. Times are uptime in ms."""

    config: ActuatorConfig
    on: bool = False
    """What the firmware believes and reports."""
    pwm: int = 0
    """0-255; binary on is 255; valve 0, 127, 254 by position."""
    level: bool = False
    """What the pin really does; differs from `on` on an inverted relay."""
    emergency: bool = False
    source: str = ""
    """`issued_by` of the last command; "" before the first."""
    on_since_ms: int | None = None
    runtime_ms: int = 0
    """Accumulated on-time of finished runs since boot; pump and relay only."""
    activations_ms: tuple[int, ...] = ()
    """Of the last hour."""
    last_stop_ms: int | None = None
    auto_off_ms: int | None = None
    """When `duration` switches it off."""
    valve_target: int = 0
    """0, 1 or 2."""
    valve_from: int = 0
    valve_started_ms: int | None = None
    """When the motor last started; None: at rest."""
    server_override: bool = False
    """A command came while offline rules ruled: its rule rests until handover ends."""

    @property
    def gpio(self) -> int:
        return self.config.gpio


@attrs.frozen(kw_only=True)
class CachedValue:
    """The last preview value of a series, for the offline rules."""

    value: float
    at_ms: int


@attrs.frozen(kw_only=True)
class Board:
    """Flash and RAM of one board. Handlers change it with `attrs.evolve`."""

    esp_id: str
    attached: Attached = Attached()
    generation: Generation = Generation.APR_2026
    production: bool = False
    """An `esp32_prod` build: no emergency without a stored token."""
    nvs: Nvs = Nvs()
    state: SystemState = SystemState.BOOT
    """The live state."""
    sensors: tuple[SensorConfig, ...] = ()
    """Those that run: after a boot at most 10 of the stored ones."""
    actuators: tuple[ActuatorOutput, ...] = ()
    onewire_pin: int | None = None
    """The bus that is initialised; one per board. None: not yet."""
    values: Mapping[tuple[int, str], CachedValue] = attrs.field(factory=dict)
    """(gpio, published sensor_type) -> last preview."""
    rule_evaluations: int = 0
    """Valid evaluations since the rules took over; the first three do nothing."""
    safe_gpios: frozenset[int] = frozenset()
    """Pins that a subzone in safe mode holds as INPUT_PULLUP."""
    emergency: bool = False
    """The latch. RAM: a reboot clears it."""
    emergency_at_ms: int = 0
    safety_epoch: int = 0
    """Grows with each emergency stop; what was queued under an older one expires."""
    sensor_due: frozenset[int] = frozenset()
    """Indices into `sensors` that a config push made due at once; the session takes and empties them."""
    pending_enters: int = 0
    pending_exits: int = 0
    pending_blocks: int = 0
    """Counters of CONFIG_PENDING_AFTER_RESET."""
    ids: int = 0
    """Counter of generated ids, `{prefix}_{ms}_{n}`."""

    def actuator(self, gpio: int) -> ActuatorOutput | None:
        return next((output for output in self.actuators if output.gpio == gpio), None)

    def with_actuator(self, output: ActuatorOutput) -> Board:
        """The same board with this actuator's output in place of the one on its gpio."""
        return attrs.evolve(
            self, actuators=tuple(output if a.gpio == output.gpio else a for a in self.actuators)
        )


# --- what a handler needs and gives ---------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Ctx:
    """What handlers need to know from the session."""

    ts: int
    """Unix seconds, 0 while the clock is unknown."""
    uptime_ms: int
    boot_sequence_id: str = ""
    heap_free: int = 118_244
    heap_min: int = 96_012
    wifi_ip: str = "192.168.4.20"
    wifi_rssi: int = -58
    wifi_ssid: str = "greenhouse"
    rules_rule: bool = False
    """Offline rules are in charge (OFFLINE_ACTIVE or RECONNECTING)."""
    lane_busy: bool = False
    """The config lane is taken for longer than a zone message waits."""


@attrs.frozen(slots=True)
class Reply:
    """Publish, not retained. `topic_tail` is what follows `kaiser/{kaiser_id}/esp/{esp_id}/`."""

    topic_tail: str
    payload: str
    qos: int = 1
    under_god: bool = False
    """Hard-wired to `kaiser/god`, whatever the device's kaiser."""

    @property
    def numbered(self) -> bool:
        """Whether it takes a number of the session's counter."""
        return SEQ in self.payload

    def body(self, seq: int) -> bytes:
        """The payload with its `seq`."""
        return self.payload.replace(SEQ, str(seq)).encode()


@attrs.frozen(slots=True)
class TrackedError:
    """`system/error`, subject to the session's throttle. `severity` 1 warning, 2 error, 3 critical."""

    code: int
    severity: int
    message: str


@attrs.frozen(slots=True)
class StateChange:
    """The live state is another; already in the board."""

    before: SystemState
    after: SystemState


@attrs.frozen(slots=True)
class Lifecycle:
    """A CONFIG_PENDING event on `system/intent_outcome/lifecycle`; it passes a closed gate."""

    reply: Reply
    event_type: str


@attrs.frozen(slots=True)
class ForceHeartbeat:
    """A heartbeat at once."""


@attrs.frozen(slots=True)
class RebootIn:
    seconds: float
    into_portal: bool = False
    """WiFi is forgotten: it comes up as an access point and never connects."""


@attrs.frozen(slots=True)
class KaiserChanged:
    """The device has a new topic prefix; the session re-subscribes what the firmware re-subscribes."""

    before: str


@attrs.frozen(slots=True)
class QueuesFlushed:
    """An emergency stop: what waits in the command queues expires with SAFETY_QUEUE_FLUSHED, handover resets."""


@attrs.frozen(slots=True)
class MeasureRequest:
    """Read this sensor now, then call `sensor_commands.finished` with the request."""

    sensor: SensorConfig
    intent: Intent
    request_id: str
    timeout_ms: int


BoardReply: TypeAlias = (
    Reply
    | Outcome
    | TrackedError
    | StateChange
    | Lifecycle
    | ForceHeartbeat
    | RebootIn
    | KaiserChanged
    | QueuesFlushed
    | MeasureRequest
)
Replies: TypeAlias = tuple[BoardReply, ...]
