"""The connection: announce, staged subscriptions, heartbeats, and the patience with a silent server. Works on a
turn. The answer to a heartbeat is judged in `registration.py`.

Firmware of 2025-12 has no such session; see `legacy.py`.
"""

from __future__ import annotations

import attrs

from growy.sim import handover, payload, portal, safety
from growy.sim.events import Subscribe
from growy.sim.flash import SystemState
from growy.sim.heartbeat import HEARTBEAT_UNREGISTERED_S, beat
from growy.sim.state import NEVER, SETUP_S, Session
from growy.sim.turn import LIFECYCLE, Turn

SUBSCRIBE_TICK_S = 0.05
SUBSCRIBE_TICK_WAITING_S = 0.1
"""The loop is slower while the device waits for approval or configuration."""
SILENCE_S = 120.0
"""P1: so long without a valid ACK, and the server counts as lost."""
HEARTBEAT_ACK = "system/heartbeat/ack"
CONFIG = "config"
SUBSCRIPTIONS: tuple[tuple[str, int], ...] = (
    (HEARTBEAT_ACK, 1),
    (CONFIG, 2),
    ("system/command", 2),
    (payload.BROADCAST_EMERGENCY, 2),
    ("actuator/+/command", 2),
    ("actuator/emergency", 1),
    ("zone/assign", 1),
    ("subzone/assign", 1),
    ("subzone/remove", 1),
    ("subzone/safe", 1),
    ("sensor/+/command", 2),
    ("server/status", 1),
)
"""In the firmware's order, one per tick; those that are not whole topics stand below the device."""
_WAITING = (SystemState.PENDING_APPROVAL, SystemState.CONFIG_PENDING_AFTER_RESET)


def topic_filter(turn: Turn, tail: str) -> str:
    """The whole topic filter of a row of `SUBSCRIPTIONS`."""
    if tail == payload.BROADCAST_EMERGENCY:
        return tail
    if tail == "server/status":
        return payload.server_status_topic(turn.board.kaiser_id)
    return turn.topic(tail)


def connected(turn: Turn) -> None:
    """CONNACK."""
    state, now = turn.state, turn.now
    first = state.session.connects == 0
    portal.reached(turn)
    epoch = state.handover.announced_epoch
    turn.session = Session(
        connected=True,
        connects=state.session.connects + 1,
        connected_at=now,
        to_subscribe=tuple((topic_filter(turn, tail), qos) for tail, qos in SUBSCRIPTIONS),
        subscribe_at=max(now + _subscribe_tick(turn), state.boot_at + SETUP_S),
        awaiting_suback=frozenset((turn.topic(HEARTBEAT_ACK), turn.topic(CONFIG))),
        heartbeat_at=max(
            now + _subscribe_tick(turn),
            state.boot_at + SETUP_S,
            state.session.last_heartbeat + HEARTBEAT_UNREGISTERED_S,
        ),
        last_heartbeat=state.session.last_heartbeat,
        heard_at=now,
    )
    unix_s = state.unix_time(now)
    boot_ts = 0 if state.clock_offset_s is None else int(state.boot_at + state.clock_offset_s)
    body = payload.announce(
        turn.board.esp_id,
        epoch=epoch,
        ts_ms=int(unix_s * 1000) or state.uptime_ms(now),
        boot_ts=boot_ts,
    )
    turn.bypass("session/announce", body, 1, under_god=True)
    for event in turn.state.backlog:
        turn.bypass(LIFECYCLE, event, 1)
    turn.state = attrs.evolve(turn.state, backlog=())
    if not first:
        # Not on the first connection of a boot: that is how a device that booted before its broker locks
        # itself out.
        turn.handover = handover.returned(turn.handover)
        safety.publish_statuses(turn)


def _subscribe_tick(turn: Turn) -> float:
    return SUBSCRIBE_TICK_WAITING_S if turn.board.state in _WAITING else SUBSCRIBE_TICK_S


def disconnected(turn: Turn, *, wifi_lost: bool) -> None:
    """The transport is gone, or an attempt to make it has failed."""
    session = turn.session
    portal.alone(turn, wifi_lost=wifi_lost)
    turn.session = Session(connects=session.connects, last_heartbeat=session.last_heartbeat)
    safety.transport_lost(turn)


def subscribed(turn: Turn, topic: str) -> None:
    """SUBACK."""
    session = turn.session
    if not session.connected or topic not in session.awaiting_suback:
        return
    turn.session = attrs.evolve(session, awaiting_suback=session.awaiting_suback - {topic})
    if not turn.session.awaiting_suback:
        # The forced heartbeat: only now can the answer arrive.
        beat(turn)


def tick(turn: Turn) -> None:
    """Subscriptions, heartbeats and the silence of the server, as they are due."""
    session, now = turn.session, turn.now
    if now >= session.subscribe_at:
        (topic, qos), *left = session.to_subscribe
        turn.effects.append(Subscribe(topic, qos))
        turn.session = attrs.evolve(
            session,
            to_subscribe=tuple(left),
            subscribe_at=now + _subscribe_tick(turn) if left else NEVER,
        )
    if now >= turn.session.heartbeat_at:
        beat(turn)
    session = turn.session
    if now >= silence_at(session):
        turn.session = attrs.evolve(session, silence_told=True)
        safety.server_lost(turn)


def silence_at(session: Session) -> float:
    """When the server counts as lost for want of an ACK."""
    if not session.connected or session.silence_told:
        return NEVER
    return session.heard_at + SILENCE_S
