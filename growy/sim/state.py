"""Everything a running virtual ESP32 remembers. Frozen values, no I/O; all times are device seconds (any monotonic
zero) unless the name says otherwise.

What outlives a reboot is `EspState.board.nvs` and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

from growy.sim.board import Board, BoardReply, Ctx, MeasureRequest
from growy.sim.events import Received
from growy.sim.flash import Generation, Intent, SensorConfig, SystemState
from growy.sim.handover import Handover, Mode
from growy.sim.spec import EspSpec

NEVER = math.inf
SETUP_S = 1.5
"""From power-on to the first pass of the loops that subscribe, beat and measure."""
STATUS_S = 30.0
DIAGNOSTICS_S = 60.0
STABLE_S = 60.0
"""Uptime after which the boot counter starts over."""
HTTP_FAILURES = 5
"""Firmware of 2025-12 publishes raw numbers after so many failed calls of the server's HTTP port."""


@attrs.frozen(kw_only=True, slots=True)
class Session:
    """The connection to the broker and the registration at the server."""

    connected: bool = False
    connects: int = 0
    """In this boot."""
    connected_at: float = -NEVER
    registered: bool = False
    """The server has answered a heartbeat of this connection with an ACK the firmware accepts."""
    to_subscribe: tuple[tuple[str, int], ...] = ()
    """Topic filters and QoS that this connection has yet to ask for."""
    subscribe_at: float = NEVER
    awaiting_suback: frozenset[str] = frozenset()
    """Before the forced heartbeat."""
    heartbeat_at: float = NEVER
    last_heartbeat: float = -NEVER
    heard_at: float = NEVER
    """Last valid ACK, or connect."""
    silence_told: bool = False
    """The 120 s without an ACK have had their effect."""
    metrics: str | None = None
    """The counters as last published on this connection."""
    metrics_skipped: int = 0


@attrs.frozen(slots=True)
class Beat:
    """When a configured sensor is read next."""

    sensor: SensorConfig
    due: float
    failures: int = 0
    """In a row."""


@attrs.frozen(slots=True)
class Push:
    """A config push that waits for, or is in, the worker."""

    payload: bytes
    intent: Intent


@attrs.frozen(kw_only=True, slots=True)
class Diagnosed:
    """What the last diagnostics said of the things whose change matters."""

    heap_free: int
    wifi_rssi: int
    sensors: int
    actuators: int
    state: SystemState


@attrs.frozen(kw_only=True, slots=True)
class EspState:
    """A running device."""

    spec: EspSpec
    board: Board
    boot_at: float
    boot_id: str
    """`boot_sequence_id`."""
    reset_reason: str
    session: Session = attrs.field(factory=Session)
    handover: Handover = attrs.field(factory=Handover)
    clock_offset_s: float | None = None
    """Unix time minus device time; None while the clock is unknown."""
    segment_start_ts: int = 0
    """Unix seconds when the clock became known in this boot, 0 before."""
    seq: int = 0
    """Of the last message that was built."""
    beats: tuple[Beat, ...] = ()
    asked: Mapping[int, MeasureRequest] = attrs.field(factory=dict)
    """Number of a `Measure` that a command asked for -> the request."""
    asks: int = 0
    paused_until: float = NEVER
    """The task that serves MQTT sleeps; NEVER: it does not."""
    held_back: tuple[BoardReply, ...] = ()
    """What it does when it wakes."""
    inbox: tuple[Received, ...] = ()
    """What arrives meanwhile."""
    pushes: tuple[Push, ...] = ()
    """The config lane; the first one is being applied."""
    push_done_at: float = NEVER
    final: tuple[str, ...] = ()
    """intent_ids with a terminal outcome in this boot; the last 32."""
    replay_at: float = NEVER
    no_token: int = 0
    errors: Mapping[int, float] = attrs.field(factory=dict)
    """Throttle slot of `system/error` -> when it last spoke."""
    error_count: int = 0
    backlog: tuple[bytes, ...] = ()
    """Lifecycle events from before the first connection."""
    status_at: float = NEVER
    diagnostics_at: float = NEVER
    diagnosed: Diagnosed | None = None
    stable_at: float = NEVER
    restart_at: float = NEVER
    failures: int = 0
    """Losses and failed attempts to connect since the last connection."""
    portal_at: float = NEVER
    portal_open: bool = False
    http_failures: int = 0
    acks_accepted: int = 0
    acks_refused: int = 0
    last_ack_refusal: str = "NONE"

    @property
    def connected(self) -> bool:
        return self.session.connected

    @property
    def registered(self) -> bool:
        return self.session.registered

    @property
    def gate_open(self) -> bool:
        return self.session.registered or not self.spec.gate or self.old

    @property
    def old(self) -> bool:
        """Firmware of 2025-12."""
        return self.board.generation is Generation.DEC_2025

    @property
    def mode(self) -> Mode:
        return self.handover.mode

    def unix_time(self, now: float) -> float:
        """The device's idea of Unix time, 0 while it has none."""
        return 0.0 if self.clock_offset_s is None else now + self.clock_offset_s

    def uptime_ms(self, now: float) -> int:
        return max(0, int((now - self.boot_at) * 1000))

    def ctx(self, now: float) -> Ctx:
        """What the board's handlers may know of the session."""
        uptime_s = now - self.boot_at
        return Ctx(
            ts=int(self.unix_time(now)),
            uptime_ms=self.uptime_ms(now),
            boot_sequence_id=self.boot_id,
            # Free heap breathes with the buffers of the last messages, the signal with people walking by.
            heap_free=118_244 - 16 * (self.seq % 64),
            wifi_ip=self.spec.wifi_ip,
            wifi_rssi=self.spec.wifi_rssi + round(3.0 * math.sin(uptime_s / 300.0)),
            offline_active=self.handover.mode is Mode.OFFLINE_ACTIVE,
            lane_busy=self.spec.faults.config_lane_busy,
        )
