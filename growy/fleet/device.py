"""What growyd knows of one ESP32: what must outlive a restart (`Record`), what a session teaches (`Live`). Values only.

`growy.fleet.machine.step` is the only place that makes new ones of the old.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping

import attrs
import msgspec

from growy.model.events import Diagnostics
from growy.model.messages import Generation, Heartbeat, HeartbeatMetrics
from growy.model.setup import (
    ActuatorSetup,
    ItemResult,
    OfflineRule,
    SensorSetup,
    SubzoneSetup,
    ZoneSetup,
)

GOD = "god"
NEVER = math.inf
FLAPS_WITHIN_S = 300.0
FLAPS = 2
"""Losses of connection within that time which make a device one that flaps."""
SAFE_STATES, ERROR_STATE = (12, 13), 14
"""SystemStates of the firmware of 2026-04; older ones number differently."""


class Standing(enum.StrEnum):
    """What a person decided about a device."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    DELETED = "deleted"


class DeviceStatus(enum.StrEnum):
    """Standing and presence in one word, as clients know it."""

    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    """Approved, and not heard of since."""
    ONLINE = "online"
    OFFLINE = "offline"
    REJECTED = "rejected"
    ERROR = "error"
    """Online, but the firmware says that it is in its error state."""
    DELETED = "deleted"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of a device outlives a restart. Fields of a newer version are ignored, missing ones have defaults."""

    kaiser_id: str = GOD
    standing: Standing = Standing.PENDING
    decided_by: str = ""
    decided_ms: int = 0
    reason: str = ""
    """Of the last decision."""
    configured_before: bool = False
    """It reported sensors or actuators when growyd met it: another server, or a lost database, had set it up."""
    name: str = ""
    hardware_type: str = "ESP32_WROOM"
    mac_address: str = ""
    firmware_version: str = ""
    notes: Mapping[str, object] = {}
    """What clients keep here: metadata, alert settings."""

    zone: ZoneSetup | None = None
    """Where it shall be; None: nobody has said, what the device reports stands."""
    subzones: tuple[SubzoneSetup, ...] = ()
    sensors: tuple[SensorSetup, ...] = ()
    actuators: tuple[ActuatorSetup, ...] = ()
    offline_rules: tuple[OfflineRule, ...] | None = None
    """None: never set, the device keeps what it has."""
    removed_sensors: tuple[SensorSetup, ...] = ()
    """To be removed from the device yet."""
    removed_actuators: tuple[ActuatorSetup, ...] = ()
    removed_subzones: tuple[str, ...] = ()
    results: Mapping[str, ItemResult] = {}
    """What the device said, by key of the item (`ZONE_KEY` for the zone)."""
    emergency_token: str = ""

    zone_id: str = ""
    """As the device reports it."""
    ip: str | None = None
    boot_id: str | None = None
    uptime: int | None = None
    """Seconds since boot, of the last heartbeat."""
    segment_start_ts: int = 0
    """Unix seconds at which the device's clock became valid in its boot; 0 unknown."""
    boots: int = 0
    """Boots counted since growyd knows it."""
    epoch: int = 0
    """Handover epoch reported last; 0 on a fresh boot."""
    generation: Generation | None = None
    will_retained: bool = False
    """The broker keeps a last will of it, to be taken back when it is here."""


SAID_BY_DEVICE = frozenset(
    {
        "zone_id",
        "ip",
        "boot_id",
        "uptime",
        "segment_start_ts",
        "boots",
        "epoch",
        "generation",
        "will_retained",
        "kaiser_id",
    }
)
"""Fields of `Record` that the device says itself; people have decided and set up all others."""

ZONE_KEY = "zone"


class Scope(enum.StrEnum):
    """What a flight carries."""

    CONFIG = "config"
    ZONE = "zone"
    SUBZONE = "subzone"


@attrs.frozen(kw_only=True)
class Failure:
    """What a device said of an item that it did not take."""

    code: str
    error: str = ""
    detail: str = ""


@attrs.frozen(kw_only=True)
class Flight:
    """A message to the device whose end is awaited. One at a time per device: its firmware has one lane for them."""

    scope: Scope
    correlation_id: str
    started_ms: int
    deadline: float
    items: Mapping[str, str]
    """Key -> fingerprint of what was sent."""
    answers_due: frozenset[str] = frozenset()
    """`sensor`, `actuator`: scopes of a config that have not been answered."""
    failures: Mapping[str, Failure] = attrs.field(factory=dict)
    unnamed: frozenset[str] = frozenset()
    """Scopes of which some items failed and the device did not say which."""
    ended: str | None = None
    """Its terminal outcome has come; answers may still be under way."""
    code: str = ""
    subject: str = ""
    """The subzone, for its answer."""


@attrs.frozen(kw_only=True)
class Lane:
    """Work for the device: what is in the air, when to try again."""

    flight: Flight | None = None
    not_before: float = -math.inf
    attempts: int = 0
    """Of the work at the head that failed for reasons which may pass."""
    sent: int = 0
    retried: int = 0
    failed: int = 0
    last_error: str = ""
    zone_asserted_boot: int = -1
    """The boot in which the zone was repeated to lift a device out of CONFIG_PENDING."""
    idle_for: Record | None = attrs.field(default=None, eq=False, repr=False)
    """The very record for which nothing was left to do: planning is not repeated until there is another."""


@attrs.frozen(kw_only=True)
class Live:
    """What is known only while growyd runs. Times are of a clock that only goes forward, in seconds."""

    online: bool = False
    heard_since_approval: bool = False
    heartbeat: Heartbeat | None = None
    heartbeat_at: float = -math.inf
    heartbeats: int = 0
    metrics: HeartbeatMetrics | None = None
    diagnostics: Diagnostics | None = None
    booted_at: float | None = None
    """When it booted, by our clock: what tells a reboot after a long absence."""
    deaf: int = 0
    """Heartbeats in a row that came as from a device which has accepted no acknowledgement."""
    ready_at: float = NEVER
    """From when it can be sent more than acknowledgements: its subscriptions stand, its gate is open."""
    ack_due: float = NEVER
    """When the next unsolicited acknowledgement goes out."""
    losses: tuple[float, ...] = ()
    """Losses of connection within the last hour."""
    config_pending: bool = False
    recent: tuple[int, ...] = ()
    """Hashes of the last messages with a sequence number: QoS 1 may bring them twice."""
    lane: Lane = attrs.field(factory=Lane)
    serial: int = 0
    """Of correlation ids."""


@attrs.frozen(kw_only=True)
class State:
    """The whole of a device, as its machine sees it."""

    esp_id: str
    record: Record
    live: Live = attrs.field(factory=Live)

    @property
    def approved(self) -> bool:
        return self.record.standing is Standing.APPROVED

    @property
    def status(self) -> DeviceStatus:
        live = self.live
        match self.record.standing:
            case Standing.PENDING:
                return DeviceStatus.PENDING_APPROVAL
            case Standing.REJECTED:
                return DeviceStatus.REJECTED
            case Standing.DELETED:
                return DeviceStatus.DELETED
            case Standing.APPROVED:
                pass
        if not live.online:
            return (
                DeviceStatus.OFFLINE
                if live.heard_since_approval or not live.heartbeats
                else DeviceStatus.APPROVED
            )
        if not live.heard_since_approval:
            return DeviceStatus.APPROVED
        return DeviceStatus.ERROR if self.in_error else DeviceStatus.ONLINE

    @property
    def in_error(self) -> bool:
        """Whether the device says that it is in its error state; only firmware whose numbers are known."""
        return self.system_state == ERROR_STATE

    @property
    def in_safe_mode(self) -> bool | None:
        """Whether it says that it is in its safe mode; None: older firmware, or it has not said."""
        return None if self.system_state is None else self.system_state in SAFE_STATES

    @property
    def system_state(self) -> int | None:
        beat = self.live.heartbeat
        if beat is None or beat.generation is not Generation.APR_2026 or beat.config_status is None:
            return None
        return beat.config_status.state

    def living(self, live: Live) -> State:
        return attrs.evolve(self, live=live)

    def recording(self, record: Record) -> State:
        return attrs.evolve(self, record=record)

    def flapping(self, now: float) -> bool:
        return sum(now - at <= FLAPS_WITHIN_S for at in self.live.losses) >= FLAPS


@attrs.define(kw_only=True, eq=False)
class Device:
    """A device as other rooms see it: its state, and when it was heard, which changes with every reading."""

    first_seen_ms: int
    last_seen_ms: int
    """By receive time, never by the device's clock. To be shown: the Pi's own clock may jump, so presence is judged by
    `heard_at`."""
    heard_at: float = -math.inf
    state: State

    @property
    def esp_id(self) -> str:
        return self.state.esp_id

    @property
    def record(self) -> Record:
        return self.state.record

    @property
    def live(self) -> Live:
        return self.state.live

    @property
    def status(self) -> DeviceStatus:
        return self.state.status

    @property
    def online(self) -> bool:
        return self.state.live.online

    @property
    def approved(self) -> bool:
        return self.state.approved

    @property
    def kaiser_id(self) -> str:
        return self.record.kaiser_id

    @property
    def zone_id(self) -> str:
        """Where it is; before it has reported, where it shall be. "" for none."""
        if self.record.zone_id or self.record.zone is None:
            return self.record.zone_id
        return self.record.zone.zone_id

    @property
    def ip(self) -> str | None:
        return self.record.ip

    @property
    def boot_id(self) -> str | None:
        return self.record.boot_id

    @property
    def uptime(self) -> int | None:
        return self.record.uptime

    @property
    def heap_free(self) -> int | None:
        return None if self.live.heartbeat is None else self.live.heartbeat.heap_free

    @property
    def wifi_rssi(self) -> int | None:
        return None if self.live.heartbeat is None else self.live.heartbeat.wifi_rssi

    @property
    def sensor_count(self) -> int | None:
        """As the device reports it."""
        return None if self.live.heartbeat is None else self.live.heartbeat.sensor_count

    @property
    def actuator_count(self) -> int | None:
        return None if self.live.heartbeat is None else self.live.heartbeat.actuator_count
