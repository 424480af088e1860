"""What a grower has set up on a device: sensors, actuators, offline rules, zone, subzones. Values only.

These are wishes. What the device has confirmed stands beside them as `ItemResult`, never inside them. They are
journaled as JSON, so a field that is added later needs a default.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

NO_PIN = 255
"""The firmware's "no pin"."""


class OperatingMode(enum.StrEnum):
    """When a sensor is read. All but `continuous` are never read by the device on its own."""

    CONTINUOUS = "continuous"
    ON_DEMAND = "on_demand"
    PAUSED = "paused"
    SCHEDULED = "scheduled"


class ActuatorKind(enum.StrEnum):
    """Drivers of the firmware. A solenoid valve is a `relay`; `valve` is a motor valve on two pins."""

    PUMP = "pump"
    RELAY = "relay"
    VALVE = "valve"
    PWM = "pwm"


class SensorSetup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One physical sensor of a device; an SHT31 is one, though it publishes two values."""

    id: str
    """UUID, for clients."""
    gpio: int
    """Pin 1-39, or for I²C a label 0-254 that nothing else on the device uses."""
    sensor_type: str
    """What the device is told: lower case, the chip (`sht31`), not one of its values."""
    name: str
    i2c_address: int | None = None
    """7-bit address, 1-127."""
    onewire_address: str | None = None
    """ROM code, 16 upper-case hex digits."""
    subzone_id: str = ""
    enabled: bool = True
    interval_s: int = 30
    """1-300."""
    operating_mode: OperatingMode = OperatingMode.CONTINUOUS
    parameters: Mapping[str, float | str] = {}
    """Settings of the sensor library."""
    calibrations: Mapping[str, str] = {}
    """Value type -> JSON of its calibration."""
    notes: Mapping[str, object] = {}
    """What clients keep here and growyd does not act on: description, thresholds, schedule..."""
    created_ms: int = 0
    updated_ms: int = 0

    @property
    def key(self) -> str:
        """Identity on the device: two sensors may share a pin (OneWire), none a pin and an address."""
        return f"s:{self.gpio}:{self.onewire_address or self.i2c_address or ''}"


class ActuatorSetup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One actuator of a device."""

    id: str
    """UUID, for clients."""
    gpio: int
    kind: ActuatorKind
    name: str
    aux_gpio: int = NO_PIN
    """A motor valve's enable pin; 255: the pin above `gpio`."""
    subzone_id: str = ""
    enabled: bool = True
    critical: bool = False
    inverted_logic: bool = False
    """A relay board that switches on LOW. The firmware energises it at boot and until the first ON and OFF."""
    default_state: bool = False
    """At boot, and where the device goes when it loses its Pi."""
    default_pwm: int = 0
    """0-255; the firmware stores it and does not use it."""
    max_runtime_s: int | None = None
    """Seconds; None: the firmware's own, 3600. The device does not enforce it reliably: growyd must."""
    cooldown_s: int = 0
    """Seconds off before it may go on again; growyd's business, the device is not told. So are the next five."""
    min_value: float = 0.0
    """Of a PWM that is on: less is refused. 0-1."""
    max_value: float = 1.0
    max_runtime_day_s: int | None = None
    """Seconds on in a day, local time of the Pi; None: no limit."""
    dose_ml_per_s: float | None = None
    """What a dosing pump delivers at full output, measured by its owner."""
    dose_budget_ml: float | None = None
    """Millilitres in a day; needs `dose_ml_per_s`. None: no limit."""
    notes: Mapping[str, object] = {}
    created_ms: int = 0
    updated_ms: int = 0

    @property
    def key(self) -> str:
        return f"a:{self.gpio}"

    @property
    def pins(self) -> tuple[int, ...]:
        """Every pin it drives."""
        if self.kind is not ActuatorKind.VALVE:
            return (self.gpio,)
        return (self.gpio, self.gpio + 1 if self.aux_gpio == NO_PIN else self.aux_gpio)


class TimeFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When an offline rule holds. A start after the end goes over midnight."""

    start_hour: int
    start_minute: int = 0
    end_hour: int = 24
    end_minute: int = 0
    days_of_week_mask: int = 127
    """Bit 0 is Sunday."""
    timezone: str = "UTC"
    """UTC, Europe/Berlin, CET or CEST; the firmware knows no other."""


class OfflineRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule that the device runs by itself while its Pi is away: one of two hysteresis pairs, or a time window."""

    actuator_gpio: int
    sensor_gpio: int = NO_PIN
    sensor_value_type: str = ""
    """As the device publishes it (`sht31_temp`), or `__twindow_on` / `__twindow_off`."""
    activate_below: float = 0.0
    deactivate_above: float = 0.0
    activate_above: float = 0.0
    deactivate_below: float = 0.0
    current_state_active: bool | None = None
    time_filter: TimeFilter | None = None


OFFLINE_RULES_KEY = "r"
"""Key of all offline rules of a device together: they are replaced as one."""
MAX_OFFLINE_RULES = 8


class ZoneSetup(msgspec.Struct, frozen=True, kw_only=True):
    """Where a device stands. An empty `zone_id` is no zone."""

    zone_id: str
    master_zone_id: str = ""
    zone_name: str = ""


class SubzoneSetup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group of pins within the zone of a device."""

    subzone_id: str
    name: str = ""
    gpios: tuple[int, ...] = ()
    """Pins only; labels of I²C sensors are not pins."""
    safe_mode: bool = False
    notes: Mapping[str, object] = {}

    @property
    def key(self) -> str:
        return f"z:{self.subzone_id}"


class ItemState(enum.StrEnum):
    """How far an item has come on its device."""

    PENDING = "pending"
    """The device has not confirmed it as it is now."""
    APPLIED = "applied"
    FAILED = "failed"


class ItemResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a device last said of an item, and of which version of it."""

    fingerprint: str
    """Of what was sent (`growy.wire.setup.fingerprint`): a result says nothing of a later version."""
    state: ItemState
    boot: int = 0
    """The device's boot (`Record.boots`) in which it was said: after a reboot it is sent once more."""
    error_code: str = ""
    """The firmware's word or number."""
    error: str = ""
    detail: str = ""
    at_ms: int = 0
    correlation_id: str = ""
    attempts: int = 0
