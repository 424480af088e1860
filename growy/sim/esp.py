"""A virtual ESP32 as a pure state machine: `step(state, event, now) -> (state, effects)`.

It obeys the firmware of 2026-04 as far as it goes: announce on every connect, one subscription per 50 ms,
heartbeats every 5 s until an ACK the firmware would accept and every 60 s after it, sensor data only while
the registration gate is open, nothing kept for later while the broker is away. It never does I/O, never
sleeps and never looks at a clock: `now` is the device's own seconds (any monotonic zero).

To grow it, add an event, an effect or a row in `_SUBSCRIPTIONS`; the shell in `device.py` only carries
effects out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import attrs

from growy.sim import payload
from growy.sim.ack import AckRefused, read_ack
from growy.sim.sensing import Sample
from growy.sim.spec import EspSpec

HEARTBEAT_S = 60.0
HEARTBEAT_UNREGISTERED_S = 5.0
SUBSCRIBE_TICK_S = 0.05
SETUP_S = 1.5
"""From power-on to the first pass of the measuring loop: `setup()` sets the clock and connects first."""
NEVER = math.inf

_SUBSCRIPTIONS: tuple[tuple[Callable[[EspSpec], str], int], ...] = ((payload.heartbeat_ack_topic, 1),)
"""In the firmware's order, one per tick."""


# --- what happens to a device ---------------------------------------------------------------------


@attrs.frozen(slots=True)
class Connected:
    """CONNACK arrived."""


@attrs.frozen(slots=True)
class Disconnected:
    """The transport is gone, or could not be made."""


@attrs.frozen(slots=True)
class Subscribed:
    """SUBACK arrived for this topic filter."""

    topic: str


@attrs.frozen(slots=True)
class Received:
    """A message arrived."""

    topic: str
    payload: bytes


@attrs.frozen(slots=True)
class Measured:
    """A sensor was read, as `Measure` asked."""

    index: int
    samples: tuple[Sample, ...]


@attrs.frozen(slots=True)
class ClockSet:
    """SNTP knows the time."""

    unix_s: float


@attrs.frozen(slots=True)
class Tick:
    """Time has passed; `next_wakeup` said until when nothing would happen."""


Event: TypeAlias = Connected | Disconnected | Subscribed | Received | Measured | ClockSet | Tick


# --- what a device wants done ---------------------------------------------------------------------


@attrs.frozen(slots=True)
class PublishReading:
    """Publish a reading, QoS 1, not retained."""

    topic: str
    payload: bytes
    seq: int
    index: int
    """Which sensor of the spec."""
    sample: Sample


@attrs.frozen(slots=True)
class Publish:
    """Publish anything else, not retained."""

    topic: str
    payload: bytes
    qos: int


@attrs.frozen(slots=True)
class Subscribe:
    topic: str
    qos: int


@attrs.frozen(slots=True)
class Measure:
    """Read a sensor and come back with `Measured`."""

    index: int


@attrs.frozen(slots=True)
class DroppedOffline:
    """A reading was lost because there is no broker; the firmware keeps none for later."""


@attrs.frozen(slots=True)
class DroppedAtGate:
    """A reading was lost because the server has not answered a heartbeat yet."""


Effect: TypeAlias = PublishReading | Publish | Subscribe | Measure | DroppedOffline | DroppedAtGate


# --- the device -----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, slots=True)
class EspState:
    """Everything a running device remembers. Times are device seconds."""

    spec: EspSpec
    boot_at: float
    boot_count: int
    reset_reason: str
    due: tuple[float, ...]
    """When each sensor is read next."""
    clock_offset_s: float | None = None
    """Unix time minus device time; None while the clock is unknown."""
    segment_start_ts: int = 0
    """Unix seconds when the clock became known in this boot, 0 before."""
    connected: bool = False
    registered: bool = False
    approved: bool = False
    rejected: bool = False
    seq: int = 0
    to_subscribe: int = len(_SUBSCRIPTIONS)
    """How many subscriptions this connection has yet to ask for."""
    subscribe_at: float = NEVER
    awaiting_suback: frozenset[str] = frozenset()
    heartbeat_at: float = NEVER
    last_heartbeat: float = -NEVER
    acks_accepted: int = 0
    acks_refused: int = 0
    last_ack_refusal: str = "NONE"

    @property
    def gate_open(self) -> bool:
        return self.registered or not self.spec.gate


def boot(spec: EspSpec, now: float, *, boot_count: int = 1, reset_reason: str = "POWERON") -> EspState:
    """A device just come up with its configuration from flash. Every sensor is due in its first loop."""
    return EspState(
        spec=spec,
        boot_at=now,
        boot_count=boot_count,
        reset_reason=reset_reason,
        due=(now + SETUP_S,) * len(spec.sensors),
    )


def next_wakeup(state: EspState) -> float:
    """The device second at which the next `Tick` is due; infinity when only an event can change anything."""
    return min(state.heartbeat_at, state.subscribe_at, min(state.due, default=NEVER))


def unix_time(state: EspState, now: float) -> float:
    """The device's idea of Unix time, 0 while it has none."""
    return 0.0 if state.clock_offset_s is None else now + state.clock_offset_s


def system_state(state: EspState) -> payload.SystemState:
    """A device with sensors but no actuator stays in CONFIG_PENDING_AFTER_RESET, whatever the ACK says."""
    if state.rejected:
        return payload.SystemState.ERROR
    if state.spec.sensors:
        return payload.SystemState.CONFIG_PENDING_AFTER_RESET
    return payload.SystemState.OPERATIONAL if state.approved else payload.SystemState.PENDING_APPROVAL


def step(state: EspState, event: Event, now: float) -> tuple[EspState, tuple[Effect, ...]]:
    """One event. Total: there is no event that a device in any state cannot take."""
    match event:
        case Tick():
            return _tick(state, now)
        case Measured(index, samples):
            return _measured(state, index, samples, now)
        case Connected():
            return _connected(state, now)
        case Disconnected():
            return (
                attrs.evolve(
                    state,
                    connected=False,
                    registered=False,
                    subscribe_at=NEVER,
                    heartbeat_at=NEVER,
                    awaiting_suback=frozenset(),
                ),
                (),
            )
        case Subscribed(topic):
            return _subscribed(state, topic, now)
        case Received(topic, body):
            if topic == payload.heartbeat_ack_topic(state.spec):
                return _acknowledged(state, body, now), ()
            return state, ()
        case ClockSet(unix_s):
            return _set_clock(state, unix_s, now), ()


def _set_clock(state: EspState, unix_s: float, now: float) -> EspState:
    start = state.segment_start_ts or int(unix_s)
    return attrs.evolve(state, clock_offset_s=unix_s - now, segment_start_ts=start)


def _connected(state: EspState, now: float) -> tuple[EspState, tuple[Effect, ...]]:
    unix_s = unix_time(state, now)
    ts_ms = int(unix_s * 1000) if unix_s else int((now - state.boot_at) * 1000)
    body = payload.announce(state.spec, ts_ms=ts_ms, boot_ts=_boot_ts(state))
    state = attrs.evolve(
        state,
        connected=True,
        registered=False,
        to_subscribe=len(_SUBSCRIPTIONS),
        subscribe_at=now + SUBSCRIBE_TICK_S,
        awaiting_suback=frozenset(topic(state.spec) for topic, _ in _SUBSCRIPTIONS),
        heartbeat_at=max(now + SUBSCRIBE_TICK_S, state.last_heartbeat + HEARTBEAT_UNREGISTERED_S),
    )
    return state, (Publish(payload.announce_topic(state.spec), body, 1),)


def _boot_ts(state: EspState) -> int:
    return 0 if state.clock_offset_s is None else int(state.boot_at + state.clock_offset_s)


def _subscribed(state: EspState, topic: str, now: float) -> tuple[EspState, tuple[Effect, ...]]:
    if not state.connected or topic not in state.awaiting_suback:
        return state, ()
    state = attrs.evolve(state, awaiting_suback=state.awaiting_suback - {topic})
    if state.awaiting_suback:
        return state, ()
    # The forced heartbeat: only now can the answer arrive.
    return _heartbeat(state, now)


def _acknowledged(state: EspState, body: bytes, now: float) -> EspState:
    if not state.connected:
        return state
    ack = read_ack(body)
    if isinstance(ack, AckRefused):
        return attrs.evolve(state, acks_refused=state.acks_refused + 1, last_ack_refusal=ack.reason)
    if state.clock_offset_s is None and ack.server_time is not None:
        state = _set_clock(state, ack.server_time, now)
    # Any valid ACK opens the gate, whatever its status; the status only decides about approval.
    decided = {
        "approved": (True, False),
        "online": (True, False),
        "pending_approval": (False, False),
        "rejected": (False, True),
    }
    approved, rejected = decided.get(ack.status, (state.approved, state.rejected))
    return attrs.evolve(
        state,
        registered=True,
        approved=approved,
        rejected=rejected,
        heartbeat_at=state.last_heartbeat + HEARTBEAT_S if not state.registered else state.heartbeat_at,
        acks_accepted=state.acks_accepted + 1,
    )


def _tick(state: EspState, now: float) -> tuple[EspState, tuple[Effect, ...]]:
    effects: list[Effect] = []
    if now >= state.subscribe_at:
        topic, qos = _SUBSCRIPTIONS[len(_SUBSCRIPTIONS) - state.to_subscribe]
        effects.append(Subscribe(topic(state.spec), qos))
        left = state.to_subscribe - 1
        state = attrs.evolve(state, to_subscribe=left, subscribe_at=now + SUBSCRIBE_TICK_S if left else NEVER)
    if now >= state.heartbeat_at:
        state, sent = _heartbeat(state, now)
        effects.extend(sent)
    if now >= min(state.due, default=NEVER):
        effects.extend(Measure(index) for index, due in enumerate(state.due) if now >= due)
        state = attrs.evolve(
            state,
            due=tuple(
                _following(due, state.spec.sensors[i].interval_s, now) for i, due in enumerate(state.due)
            ),
        )
    return state, tuple(effects)


def _following(due: float, interval_s: float, now: float) -> float:
    """The next time on the sensor's own beat; a device that stood still skips what it missed."""
    if now < due:
        return due
    return due + interval_s if due + interval_s > now else now + interval_s


def _heartbeat(state: EspState, now: float) -> tuple[EspState, tuple[Effect, ...]]:
    uptime_s = int(now - state.boot_at)
    body = payload.heartbeat(
        state.spec,
        ts=int(unix_time(state, now)),
        segment_start_ts=state.segment_start_ts,
        uptime_s=uptime_s,
        boot_count=state.boot_count,
        reset_reason=state.reset_reason,
        state=system_state(state),
        # Free heap breathes with the buffers of the last messages, the signal with people walking by.
        heap_free=118_244 - 16 * (state.seq % 64),
        wifi_rssi=state.spec.wifi_rssi + round(3.0 * math.sin(uptime_s / 300.0)),
    )
    beat = HEARTBEAT_S if state.registered else HEARTBEAT_UNREGISTERED_S
    state = attrs.evolve(state, last_heartbeat=now, heartbeat_at=now + beat)
    return state, (Publish(payload.heartbeat_topic(state.spec), body, 0),)


def _measured(
    state: EspState, index: int, samples: tuple[Sample, ...], now: float
) -> tuple[EspState, tuple[Effect, ...]]:
    if not state.connected:
        return state, (DroppedOffline(),) * len(samples)
    if not state.gate_open:
        return state, (DroppedAtGate(),) * len(samples)
    sensor = state.spec.sensors[index]
    topic = payload.sensor_data_topic(state.spec, sensor.gpio)
    ts = int(unix_time(state, now))
    effects = tuple(
        PublishReading(topic, payload.sensor_data(state.spec, sensor, sample, seq, ts), seq, index, sample)
        for seq, sample in enumerate(samples, state.seq + 1)
    )
    return attrs.evolve(state, seq=state.seq + len(samples)), effects
