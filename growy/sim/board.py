"""What a virtual ESP32 board is while it runs, what handlers need to know and what they want done. Frozen values;
no behaviour but small look-ups, no I/O, no clock.

`Nvs` is the flash, `Board` the flash and the RAM. A handler takes a board, the facts of one message and a `Ctx`
and gives a new board and replies, in the order in which the firmware acts. Sending, gating, numbering and
storing them is the session's business: a `Reply` has a NUL where the session's message counter comes in,
because only the session knows what else it has numbered in between. A NUL cannot come from a message: the
firmware's strings end there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from growy.sim.flash import (
    NO_PIN,
    ActuatorConfig,
    Attached,
    Generation,
    Intent,
    Nvs,
    OfflineRule,
    Outcome,
    OutcomeCounts,
    SensorConfig,
    Subzone,
    SystemState,
    TimeFilter,
    Variant,
)

__all__ = (
    "NO_PIN",
    "SEQ",
    "ActuatorConfig",
    "ActuatorOutput",
    "Attached",
    "Board",
    "BoardReply",
    "CachedValue",
    "Ctx",
    "ForceHeartbeat",
    "Generation",
    "Intent",
    "KaiserChanged",
    "Lifecycle",
    "MeasureRequest",
    "Nvs",
    "OfflineRule",
    "Outcome",
    "OutcomeCounts",
    "Pause",
    "QueuesFlushed",
    "RebootIn",
    "Replies",
    "Reply",
    "SensorConfig",
    "StateChange",
    "Subzone",
    "SystemState",
    "TimeFilter",
    "TrackedError",
    "Variant",
)

SEQ = "\0"
"""Where a payload has its `seq`, until the session numbers it."""


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

    @property
    def gpio(self) -> int:
        return self.config.gpio

    @property
    def energised(self) -> bool:
        """Whether current flows, whatever the firmware believes: an inverted relay draws on a low pin."""
        return self.level != self.config.inverted_logic

    @property
    def flow(self) -> float:
        """How much gets through, 0 to 1, whatever the firmware believes: of a PWM the duty that its load sees, of a
        valve the place where it last came to rest."""
        if self.config.actuator_type == "valve":
            return self.valve_from / 2
        if self.config.actuator_type == "pwm":
            duty = self.pwm / 255
            return 1.0 - duty if self.config.inverted_logic else duty
        return float(self.energised)


@attrs.frozen(kw_only=True)
class CachedValue:
    """The last preview value of a series, for the offline rules."""

    value: float
    at_ms: int


@attrs.frozen(kw_only=True)
class Board:
    """Flash and RAM of one board. Handlers change it with `attrs.evolve`."""

    esp_id: str
    attached: Attached = attrs.field(factory=Attached)
    generation: Generation = Generation.APR_2026
    production: bool = False
    """An `esp32_prod` build: no emergency without a stored token."""
    nvs: Nvs = attrs.field(factory=Nvs)
    kaiser_id: str = "god"
    """The prefix in use; removing a zone changes only the one in flash."""
    state: SystemState = SystemState.BOOT
    """The live state."""
    sensors: tuple[SensorConfig, ...] = ()
    """Those that run: after a boot at most 10 of the stored ones."""
    actuators: tuple[ActuatorOutput, ...] = ()
    onewire_pin: int | None = None
    """The bus that is initialised; one per board. None: not yet."""
    onewire_released: bool = False
    """Its last sensor was removed: the pin is free again although the bus still runs on it."""
    values: Mapping[tuple[int, str], CachedValue] = attrs.field(factory=dict)
    """(gpio, published sensor_type) -> last preview."""
    rules: tuple[OfflineRule, ...] = ()
    """The offline rules that run, at most 8."""
    rule_warmup: tuple[int, ...] = ()
    """For each rule: values seen since the rules took over, up to three."""
    overridden: frozenset[int] = frozenset()
    """Actuators that were commanded while offline rules ruled: their rules rest until handover ends."""
    subzone_pins: Mapping[str, tuple[int, ...]] = attrs.field(factory=dict)
    """Which pins a subzone holds. It only grows: a pin that a new assignment leaves out stays until a reboot."""
    safe_gpios: frozenset[int] = frozenset()
    """Pins that a subzone in safe mode holds as INPUT_PULLUP."""
    emergency: bool = False
    """The latch. RAM: a reboot clears it."""
    emergency_at_ms: int = 0
    safety_epoch: int = 0
    """Grows with each emergency stop; what was queued under an older one expires."""
    parse_errors: int = 0
    """Broadcast emergencies that could not be understood; told in the outcome's reason."""
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
    offline_active: bool = False
    """Offline rules are in charge (OFFLINE_ACTIVE)."""
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
        return self.payload.replace(SEQ, str(seq)).encode(errors="surrogateescape")


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
class Pause:
    """The task that serves MQTT sleeps: what follows is sent so much later, and nothing is received meanwhile."""

    seconds: float


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
    | Pause
    | MeasureRequest
)
Replies: TypeAlias = tuple[BoardReply, ...]
