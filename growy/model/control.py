"""Control in values: actuators, claims on them, refusals of the safety gate, commands and their ends. No behaviour.

An actuator's output is a number from 0 (off) to 1 (full). Times without a unit in their name are seconds of a clock
that only goes forward; `_ms` are Unix milliseconds.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import NamedTuple

import attrs
import msgspec

from growy.model.messages import Generation
from growy.model.setup import ActuatorKind, ActuatorSetup, OfflineRule, SensorSetup

OFF = 0.0
FULL = 1.0


class ActuatorKey(NamedTuple):
    """Which actuator. A tuple, because it is a key on every path of control."""

    esp_id: str
    gpio: int

    def __str__(self) -> str:
        return f"{self.esp_id}:{self.gpio}"


# --- claims -------------------------------------------------------------------------------------------------------


class Rank(enum.IntEnum):
    """Whose claim goes before whose, whatever its priority. Lower goes first."""

    SAFETY = 0
    """A critical rule that wants it off."""
    PERSON = 1
    CRITICAL = 2
    """A critical rule that wants it on."""
    RULE = 3
    DEFAULT = 9
    """Nobody claims it: what `default_state` of its setup says."""


@attrs.frozen(kw_only=True, slots=True)
class Claim:
    """Somebody wants an actuator to have a value, for as long as the claim lives."""

    actuator: ActuatorKey
    holder: str
    """`rule:{id}/{number of the action}`, `user:{name}`, `default`. One holder has one claim on an actuator."""
    rank: Rank
    value: float
    priority: int = 50
    """1 to 100, lower goes first. Among equals the smaller holder."""
    since: float = 0.0
    until: float = math.inf
    basis: frozenset[int] = frozenset()
    """Series it rests on: when one of them goes stale or fails, the claim ends."""
    issued_by: str = ""
    """What the device and the history are told: `rule:{name}`, `user:{name}`."""
    execution: str = ""
    """Execution of a rule, or request of a person, that made it: the correlation id of what follows."""

    def __attrs_post_init__(self) -> None:
        if not OFF <= self.value <= FULL:  # nor NaN
            raise ValueError(f"a claim is for {OFF:g} to {FULL:g}, not {self.value}")


# --- refusals -----------------------------------------------------------------------------------------------------


class RefusalCode(enum.StrEnum):
    """Why the safety gate refuses. In the order in which it asks."""

    EMERGENCY_STOP_ACTIVE = "EMERGENCY_STOP_ACTIVE"
    DEVICE_NOT_APPROVED = "DEVICE_NOT_APPROVED"
    DEVICE_NOT_OWNED = "DEVICE_NOT_OWNED"
    """Another node commands it, or nobody may for now."""
    DEVICE_OFFLINE = "DEVICE_OFFLINE"
    ACTUATOR_NOT_CONFIGURED = "ACTUATOR_NOT_CONFIGURED"
    ACTUATOR_DISABLED = "ACTUATOR_DISABLED"
    PWM_OUT_OF_RANGE = "PWM_OUT_OF_RANGE"
    VALUE_OUT_OF_LIMITS = "VALUE_OUT_OF_LIMITS"
    GPIO_CONFLICT = "GPIO_CONFLICT"
    INTERLOCK = "INTERLOCK"
    COOLDOWN = "COOLDOWN"
    MAX_RUNTIME = "MAX_RUNTIME"
    """Of one activation, of a day, or the dose of a day."""
    SENSOR_STALE = "SENSOR_STALE"


@attrs.frozen(kw_only=True, slots=True)
class Refusal:
    """The gate's no."""

    code: RefusalCode
    message: str
    """One sentence that names the thing."""
    cure: str = ""
    again_at: float = math.inf
    """When to ask again: the cooldown is over, a new day begins. Infinity: when something else changes."""


# --- commands -----------------------------------------------------------------------------------------------------


class CommandState(enum.StrEnum):
    """How far a command has come. The last four are its end."""

    QUEUED = "queued"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    """By the gate, or by the device; `code` says which and why."""
    EXPIRED = "expired"
    """It was never sent, and never will be."""
    UNKNOWN = "unknown"
    """Sent, and nothing was heard: it may have happened. The next status tells."""

    @property
    def ended(self) -> bool:
        return self not in (CommandState.QUEUED, CommandState.SENT)


class Verb(enum.StrEnum):
    """What the firmware understands. growyd resolves a toggle itself."""

    ON = "ON"
    OFF = "OFF"
    PWM = "PWM"


@attrs.frozen(kw_only=True, slots=True)
class Command:
    """A command to an actuator, and what became of it."""

    id: str
    """Correlation and intent id, fresh for each: 1 to 63 characters of the wire's alphabet."""
    actuator: ActuatorKey
    verb: Verb
    value: float
    duration_s: int = 0
    """Seconds after which the device switches off by itself; only ON has one, and every ON has one."""
    holder: str = ""
    issued_by: str = ""
    execution: str = ""
    renewal: bool = False
    """It only lengthens the time of one that runs: not shown in the history."""
    created_ms: int = 0
    state: CommandState = CommandState.QUEUED
    code: str = ""
    """Of a refusal: a `RefusalCode`, or the device's word."""
    message: str = ""
    ended_ms: int = 0


# --- emergency stop -----------------------------------------------------------------------------------------------


class StopScope(enum.StrEnum):
    ALL = "all"
    ESP = "esp"
    ACTUATOR = "actuator"


class Stop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An emergency stop that is in force, as it stands in growy.db."""

    id: str
    """Also the incident's correlation id."""
    esp_id: str | None = None
    """None: everything."""
    gpio: int | None = None
    """None: the whole device."""
    reason: str = ""
    by: str = ""
    since_ms: int = 0

    @property
    def scope(self) -> StopScope:
        if self.esp_id is None:
            return StopScope.ALL
        return StopScope.ESP if self.gpio is None else StopScope.ACTUATOR

    def covers(self, actuator: ActuatorKey) -> bool:
        return self.esp_id in (None, actuator.esp_id) and self.gpio in (None, actuator.gpio)


# --- interlocks ---------------------------------------------------------------------------------------------------


class InterlockKind(enum.StrEnum):
    EXCLUSIVE = "exclusive"
    """Never both on."""
    REQUIRES = "requires"
    """`b` only while `a` is on."""


class Interlock(msgspec.Struct, frozen=True, kw_only=True):
    """What two actuators must never be together. They may be on different devices."""

    id: str
    kind: InterlockKind
    a: ActuatorKey
    b: ActuatorKey
    name: str = ""
    created_ms: int = 0


# --- devices, as control sees them --------------------------------------------------------------------------------


class Tenure(enum.StrEnum):
    """Whether this node may command a device. Of a Pi that is alone all are its own."""

    OURS = "ours"
    FROZEN = "frozen"
    """It is being handed over: everything stays as it is."""
    FENCED = "fenced"
    """The right to it is running out: only OFF."""
    FOREIGN = "foreign"
    """It is another node's. Nothing is sent."""


@attrs.frozen(kw_only=True, slots=True)
class DeviceView:
    """What control must know of a device. Made by the fleet; whoever holds one holds a moment, not the device."""

    esp_id: str
    kaiser_id: str
    approved: bool
    online: bool
    ready: bool
    """It hears commands now: its session stands and its gate is open."""
    ready_at: float = math.inf
    """From when on; infinity: nobody knows."""
    boots: int = 0
    generation: Generation | None = None
    emergency_token: str = ""
    zone_id: str = ""
    name: str = ""
    sensors: tuple[SensorSetup, ...] = ()
    actuators: tuple[ActuatorSetup, ...] = ()
    applied: frozenset[int] = frozenset()
    """Pins of actuators that the device has confirmed as they are set up now."""
    self_driven: frozenset[int] = frozenset()
    """Pins of actuators that the device may switch by itself while its Pi is away: those of its offline rules."""
    offline_rules: tuple[OfflineRule, ...] | None = None
    """None: nobody has ever set any."""
    tenure: Tenure = Tenure.OURS
    owner: str = ""
    """Where `tenure` is not OURS: the node that commands it, if that is known."""

    def actuator(self, gpio: int) -> ActuatorSetup | None:
        for one in self.actuators:  # no generator: asked several times at every decision
            if one.gpio == gpio:
                return one
        return None


# --- what is known of an actuator ---------------------------------------------------------------------------------


class Ledger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An actuator's account, as it stands in growy.db: what limits of run time, pauses and doses are judged by."""

    on_since_ms: int | None = None
    """For people, as `off_since_ms` is: limits are judged by the durations below. None: it is off."""
    off_since_ms: int = 0
    as_of_ms: int = 0
    """Until when the durations and the dose are counted."""
    day: str = ""
    """ISO date, local time of the Pi, that the next two belong to."""
    day_on_ms: int = 0
    day_dose_ml: float = 0.0
    value: float = 0.0
    run_ms: int = 0
    """How long it has been on without a break."""
    rest_ms: int = 0
    """How long it has been off without a break."""
    spent: bool = False
    """Its last run was ended by the limit of a run: it must rest."""


@attrs.frozen(kw_only=True, slots=True)
class ActuatorState:
    """An actuator as people and programs are shown it."""

    actuator: ActuatorKey
    kind: ActuatorKind
    wanted: float
    """What the highest claim wants."""
    output: float
    """What growyd has it do: `wanted`, or 0 where the gate refuses."""
    reported: float | None
    """What the device said last; None: nothing yet in this session."""
    claim: Claim | None
    refusal: Refusal | None
    claims: tuple[Claim, ...] = ()
    """All that live, highest first."""
    emergency: bool = False
    command: Command | None = None
    """The last one."""
    lease_until_ms: int | None = None
    """When the device switches off by itself if nobody renews it."""
    reported_ms: int | None = None
    on_since_ms: int | None = None
    details: Mapping[str, object] = attrs.field(factory=dict)
