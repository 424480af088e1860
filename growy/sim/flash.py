"""What a virtual ESP32 board keeps in flash, and the small vocabulary it is written in. Frozen values; no
behaviour, no I/O.

`Nvs` survives a reboot. What only lives in RAM, and what handlers give and take, stands in `board.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

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
    enabled: bool = True
    """False where the value type was too long to keep; such a rule does nothing and covers nothing."""


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
    applied_generation: int = 0
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
