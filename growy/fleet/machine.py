"""The state machine of one ESP32: `step(state, event, moment) -> (state, effects)`. Pure, total, no I/O.

unknown -> pending_approval -> approved -> online <-> offline; rejected and deleted come back as pending after a
cool-down. A device publishes nothing until a heartbeat has been answered, so the answer is the first effect of every
heartbeat, whatever is wrong with the device or with the message. Everything else waits until the device can hear it:
its subscriptions take up to two seconds after a connect, and what comes before is lost.
"""

from __future__ import annotations

import attrs
import msgspec

from growy.fleet import lane, reports, session
from growy.fleet.device import NEVER, Record, Standing, State
from growy.fleet.effects import (
    Acknowledge,
    Changed,
    Decided,
    Effect,
    Event,
    LinkBack,
    LinkLost,
    Measured,
    Note,
    Said,
    Save,
    SayOnline,
    Tell,
    Tick,
)
from growy.model.events import (
    ConfigResponse,
    Diagnostics,
    IntentLifecycle,
    IntentOutcome,
    SubzoneAck,
    ZoneAck,
)
from growy.model.messages import Heartbeat, HeartbeatMetrics, SessionAnnounce, Will
from growy.model.time import Moment
from growy.wire.table import Message

KEEP_COMPANY_S = 30.0
"""A device that has no acknowledgement for 120 s believes its Pi dead; one lost heartbeat in 60 s must not do that."""
OFFLINE_AFTER_S = 180.0
"""Three heartbeats (60 s each): one lost heartbeat is ordinary, QoS 0 promises nothing."""
COOLDOWN_MS = 300_000
"""How long a rejected or deleted device stays out of sight."""
RECENT = 32


def discovered(esp_id: str, kaiser_id: str, moment: Moment) -> tuple[State, list[Effect]]:
    """A device that nobody knew."""
    state = State(esp_id=esp_id, record=Record(kaiser_id=kaiser_id))
    data = reports.identity(state, moment) | {
        "discovered_at": moment.wall_ms // 1000,
        "status": state.status.value,
    }
    note = reports.entry(state, moment, "device_discovered", "A device was heard for the first time")
    return state, [Save(), Tell("device_discovered", data), Note(note)]


def step(state: State, event: Event, moment: Moment) -> tuple[State, list[Effect]]:
    """One event. Total: there is no event that a device in any state cannot take."""
    out: list[Effect] = []
    match event:
        case Said(None):
            state = _unreadable(state, moment, out)
        case Said(Heartbeat() as beat):
            state = _heartbeat(state, beat, moment, out)
        case Said(Will() as will):
            state = _will(state, will, moment, out)
        case Said(message) if message is not None:
            state = session.awake(state, moment, out)
            if not _seen_before(state, message):
                state = _said(_remember(state, message), message, moment, out)
        case Measured():
            state = session.measured(session.awake(state, moment, out), moment)
        case Tick():
            state = _tick(state, event, moment, out)
        case LinkLost():
            # A heartbeat after this gap says nothing about whether the last answer was accepted.
            state = lane.abandon(state)
            state = state.living(attrs.evolve(state.live, ready_at=NEVER, heartbeat_at=-NEVER))
        case LinkBack():
            state = _link_back(state, moment, out)
        case Decided():
            state = _decided(state, event, moment, out)
        case Changed(record, note):
            state = state.recording(record)
            state = state.living(
                attrs.evolve(state.live, lane=attrs.evolve(state.live.lane, attempts=0, not_before=-NEVER))
            )
            out.append(Save())
            if note is not None:
                out.append(Note(note))
    return state, out


# --- heartbeats ---------------------------------------------------------------------------------------------------


def ack_status(state: State) -> str:
    """What a heartbeat is answered with. Any word opens the device's gate; some change its approval."""
    match state.record.standing:
        case Standing.APPROVED:
            return "approved"
        case Standing.REJECTED:
            return "rejected"
        case _ if state.record.configured_before:
            # `pending_approval` would demote it on the spot, and with it the fleet of a grower who has only lost a
            # database. The firmware ignores a word that it does not know.
            return "unchanged"
        case _:
            return "pending_approval"


def _unreadable(state: State, moment: Moment, out: list[Effect]) -> State:
    """A device that is not answered publishes nothing, whatever is wrong with its heartbeat."""
    out.append(Acknowledge(ack_status(state), state.record.epoch))
    state = session.awake(state, moment, out)
    return state.living(attrs.evolve(state.live, ack_due=moment.clock + KEEP_COMPANY_S))


def _heartbeat(state: State, beat: Heartbeat, moment: Moment, out: list[Effect]) -> State:
    back = _comes_back(state, moment)
    if back:
        state = _pending_again(state, moment)
    configured = bool(beat.sensor_count or beat.actuator_count)
    if state.record.standing is Standing.PENDING and not state.record.decided_ms and configured:
        state = attrs.evolve(state, record=msgspec.structs.replace(state.record, configured_before=True))
    out.append(Acknowledge(ack_status(state), beat.active_handover_epoch or 0))
    if back:
        out.append(Save())
        out.append(
            Tell("device_rediscovered", reports.identity(state, moment) | {"status": "pending_approval"})
        )
        out.append(
            Note(reports.entry(state, moment, "device_rediscovered", "A rejected or deleted device is back"))
        )
    state = session.awake(state, moment, out)
    state = session.heartbeat(state, beat, moment, out)
    return state.living(attrs.evolve(state.live, ack_due=moment.clock + KEEP_COMPANY_S))


def _comes_back(state: State, moment: Moment) -> bool:
    """Whether a rejected or deleted device is still there after its cool-down."""
    record = state.record
    # A clock that was set back must not keep a device out for longer.
    return record.standing in (Standing.REJECTED, Standing.DELETED) and not (
        0 <= moment.wall_ms - record.decided_ms < COOLDOWN_MS
    )


def _pending_again(state: State, moment: Moment) -> State:
    record = state.record
    if record.standing is Standing.DELETED:
        # What was deleted stays deleted: the device comes back as one that nobody has set up.
        record = Record(
            kaiser_id=record.kaiser_id,
            hardware_type=record.hardware_type,
            boots=record.boots,
            boot_id=record.boot_id,
            uptime=record.uptime,
            epoch=record.epoch,
            will_retained=record.will_retained,
        )
    record = msgspec.structs.replace(
        record, standing=Standing.PENDING, decided_by="", decided_ms=moment.wall_ms, reason=""
    )
    return state.recording(record)


# --- other messages -----------------------------------------------------------------------------------------------


def _said(state: State, message: Message, moment: Moment, out: list[Effect]) -> State:
    match message:
        case SessionAnnounce():
            return session.announced(state, message, moment)
        case HeartbeatMetrics():
            before = state.live.metrics
            if before is not None and (message.handover_contract_reject_count or 0) > (
                before.handover_contract_reject_count or 0
            ):
                out.append(SayOnline())
            return state.living(attrs.evolve(state.live, metrics=message))
        case Diagnostics():
            reports.received(state, message, moment, out)
            return state.living(
                attrs.evolve(
                    state.live,
                    diagnostics=message,
                    config_pending=message.system_state == "CONFIG_PENDING_AFTER_RESET",
                )
            )
        case ConfigResponse():
            reports.received(state, message, moment, out)
            return lane.config_answer(state, message, moment, out)
        case IntentOutcome():
            reports.received(state, message, moment, out)
            return lane.outcome(state, message, moment, out)
        case ZoneAck():
            return lane.zone_answer(state, message, moment, out)
        case SubzoneAck():
            return lane.subzone_answer(state, message, moment, out)
        case IntentLifecycle(event_type="entered_config_pending" | "exit_blocked_config_pending"):
            reports.received(state, message, moment, out)
            return state.living(attrs.evolve(state.live, config_pending=True))
        case IntentLifecycle(event_type="exited_config_pending"):
            reports.received(state, message, moment, out)
            return state.living(attrs.evolve(state.live, config_pending=False))
        case _:
            reports.received(state, message, moment, out)
            return state


def _fingerprint(message: object) -> int | None:
    """Of a message that QoS 1 may bring twice; None for one without a sequence number."""
    if getattr(message, "seq", None) is None:
        return None
    return hash((type(message).__name__, msgspec.json.encode(message)))


def _seen_before(state: State, message: object) -> bool:
    mark = _fingerprint(message)
    return mark is not None and mark in state.live.recent


def _remember(state: State, message: object) -> State:
    mark = _fingerprint(message)
    return (
        state
        if mark is None
        else state.living(attrs.evolve(state.live, recent=(*state.live.recent[1 - RECENT :], mark)))
    )


# --- coming and going ---------------------------------------------------------------------------------------------


def _will(state: State, will: Will, moment: Moment, out: list[Effect]) -> State:
    if will.cleared:
        return state
    record = msgspec.structs.replace(state.record, will_retained=True)
    state = state.recording(record)
    if will.retained:
        # A copy that the broker kept says that the device was gone once, not when: its heartbeats decide.
        if state.live.online:
            return session.take_back_will(state, out)
        return state
    if not state.live.online:
        return state
    return session.gone(state, moment, out, source="lwt", reason=will.reason or "unexpected_disconnect")


def _tick(state: State, tick: Tick, moment: Moment, out: list[Effect]) -> State:
    live = state.live
    if not live.online:
        return state
    if moment.clock - tick.heard_at > OFFLINE_AFTER_S:
        return session.gone(state, moment, out, source="heartbeat_timeout", reason="silent")
    if moment.clock >= live.ack_due:
        # A rejected device is told so once per heartbeat; each time costs it an error report.
        if state.record.standing in (Standing.APPROVED, Standing.PENDING):
            out.append(Acknowledge(ack_status(state), state.record.epoch))
        state = state.living(attrs.evolve(state.live, ack_due=moment.clock + KEEP_COMPANY_S))
    if state.approved and moment.clock >= live.ready_at and (tick.may_send or live.lane.flight is not None):
        return lane.turn(state, moment, out)
    return state


def _link_back(state: State, moment: Moment, out: list[Effect]) -> State:
    """Devices that stayed connected to the broker have been without an answer for as long as we were away."""
    if not state.approved:
        return state
    out.append(Acknowledge(ack_status(state), state.record.epoch))
    if not state.live.online:
        return state
    return state.living(
        attrs.evolve(
            state.live, ready_at=moment.clock + session.SETTLE_S, ack_due=moment.clock + KEEP_COMPANY_S
        )
    )


def _decided(state: State, event: Decided, moment: Moment, out: list[Effect]) -> State:
    record = msgspec.structs.replace(
        state.record,
        standing=event.standing,
        decided_by=event.by,
        decided_ms=moment.wall_ms,
        reason=event.reason,
        configured_before=False,
    )
    state = lane.abandon(state).recording(record)
    state = state.living(
        attrs.evolve(state.live, heard_since_approval=False, lane=attrs.evolve(state.live.lane, attempts=0))
    )
    out.append(Save())
    if state.live.online and event.standing is not Standing.DELETED:
        # The device learns of it now, not with its next heartbeat.
        out.append(Acknowledge(ack_status(state), record.epoch))
    words = {
        Standing.APPROVED: "device_approved",
        Standing.REJECTED: "device_rejected",
        Standing.PENDING: "device_set_pending",
        Standing.DELETED: "device_deleted",
    }
    name = words[event.standing]
    now_s = moment.wall_ms // 1000
    data: dict[str, object] = reports.identity(state, moment) | {"status": state.status.value}
    if event.standing is Standing.APPROVED:
        data |= {"approved_by": event.by, "approved_at": now_s}
    elif event.standing is Standing.REJECTED:
        data |= {
            "rejection_reason": event.reason,
            "rejected_at": now_s,
            "cooldown_until": now_s + COOLDOWN_MS // 1000,
        }
    out.append(Tell(name, data))
    text = f"{name.replace('_', ' ')} by {event.by}" + (f": {event.reason}" if event.reason else "")
    details = {"by": event.by, "reason": event.reason}
    out.append(Note(reports.entry(state, moment, name, text, source_type="user", details=details)))
    return state


def next_wakeup(state: State, heard_at: float) -> float:
    """The clock's time of the next `Tick` that could do something."""
    live = state.live
    if not live.online:
        return NEVER
    due = min(live.ack_due, heard_at + OFFLINE_AFTER_S)
    if not state.approved:
        return due
    if live.lane.flight is not None:
        return min(due, live.lane.flight.deadline)
    if live.lane.idle_for is state.record:
        return due
    return min(due, max(live.ready_at, live.lane.not_before))
