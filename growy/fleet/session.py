"""Sessions of a device: when it is there, when it can hear, when it has rebooted. Pure.

Times are judged on a clock of ours that only goes forward; the device's clock and the Pi's may both be wrong.
"""

from __future__ import annotations

import attrs
import msgspec

from growy.fleet import lane, reports
from growy.fleet.device import NEVER, State
from growy.fleet.effects import ClearWill, Effect, Note, Save, SayOnline, Tell
from growy.model.messages import Generation, Heartbeat, SessionAnnounce
from growy.model.time import Moment

SETTLE_S = 3.0
"""From the first heartbeat of a session until its subscriptions stand (up to 1.5 s) and its gate is open."""
DEAF_SETTLE_S = 7.0
"""After a heartbeat of an unregistered device: the next would come after 5 s if this answer is not accepted either."""
UNREGISTERED_BEAT_S = 8.0
"""Heartbeats come every 60 s, every 5 s while the device has accepted no answer."""
FORCED_BEAT_S = 2.5
"""The second heartbeat of a session follows the first as soon as the subscriptions stand."""
DEAF = 2
REBOOT_SLACK_S = 30.0
"""Delivery may be late by that much before a later boot time is taken for another boot."""
LOSSES_KEPT_S = 3600.0


def awake(state: State, moment: Moment, out: list[Effect]) -> State:
    """Any sign of life."""
    live = state.live
    if live.online and live.heard_since_approval:
        return state
    if live.online:
        live = attrs.evolve(live, heard_since_approval=state.approved)
        return state.living(live)
    back = bool(live.heartbeats)
    live = attrs.evolve(
        live,
        online=True,
        heard_since_approval=state.approved,
        ready_at=NEVER,
        deaf=0,
        heartbeat_at=-NEVER,
        ack_due=moment.clock + SETTLE_S,
    )
    state = state.living(live)
    if state.record.will_retained:
        state = take_back_will(state, out)
    out.append(reports.health(state, moment, "heartbeat", is_reconnect=back))
    out.append(Note(reports.entry(state, moment, "device_online", "The device is there")))
    return state


def measured(state: State, moment: Moment) -> State:
    """It sends readings: its gate is open and its session stands, even if no heartbeat has told us of it yet. After a
    restart of ours the next may be a minute away, and the leases of what runs do not wait for it."""
    live = state.live
    return state.living(attrs.evolve(live, deaf=0, ready_at=min(live.ready_at, moment.clock + SETTLE_S)))


def take_back_will(state: State, out: list[Effect]) -> State:
    """The firmware never clears its will; whoever subscribes later would be told of a loss long past."""
    out.append(ClearWill())
    out.append(Save())
    return attrs.evolve(state, record=msgspec.structs.replace(state.record, will_retained=False))


def gone(state: State, moment: Moment, out: list[Effect], *, source: str, reason: str) -> State:
    """Its connection is lost, or it has been silent for too long."""
    live = state.live
    losses = (*(at for at in live.losses if moment.clock - at < LOSSES_KEPT_S), moment.clock)
    live = attrs.evolve(live, online=False, ready_at=NEVER, ack_due=NEVER, deaf=0, losses=losses)
    state = lane.abandon(state.living(live))
    flapping = state.flapping(moment.clock)
    out.append(Save())
    out.append(reports.health(state, moment, source, reason=reason, losses_last_hour=len(losses)))
    text = f"The device is gone ({reason})" + (f", {len(losses)} times within an hour" if flapping else "")
    note = reports.entry(
        state,
        moment,
        "device_offline",
        text,
        severity="warning",
        status="failed",
        details={"source": source, "losses_last_hour": len(losses)},
        # One word for the flapping, so that the trail counts it instead of repeating it.
        error_code="flapping" if flapping else source,
    )
    out.append(Note(note))
    return state


def announced(state: State, announce: SessionAnnounce, moment: Moment) -> State:
    """A new session: the gate is closed, nothing is subscribed yet. Its first heartbeat starts the count."""
    state = lane.abandon(state)
    record = msgspec.structs.replace(state.record, epoch=announce.handover_epoch)
    live = attrs.evolve(state.live, ready_at=NEVER, deaf=0, heartbeat_at=-NEVER)
    if announce.reason == "boot":
        live = attrs.evolve(live, recent=())
    return state.recording(record).living(live)


def heartbeat(state: State, beat: Heartbeat, moment: Moment, out: list[Effect]) -> State:
    """What a heartbeat teaches."""
    state = _boot(state, beat, moment, out)
    live, record = state.live, state.record
    gap = moment.clock - live.heartbeat_at
    ready_at, deaf = live.ready_at, live.deaf
    if gap > UNREGISTERED_BEAT_S:
        # The first of a session (the gap is endless then), or the next of a device that hears us.
        ready_at, deaf = min(ready_at, moment.clock + SETTLE_S), 0
    elif gap > FORCED_BEAT_S and beat.generation is Generation.APR_2026:
        ready_at, deaf = moment.clock + DEAF_SETTLE_S, deaf + 1
    if deaf >= DEAF:
        out.append(SayOnline())
    before = record
    record = msgspec.structs.replace(
        record,
        zone_id=beat.zone_id,
        ip=beat.wifi_ip or record.ip,
        uptime=beat.uptime if beat.uptime is not None else record.uptime,
        epoch=beat.active_handover_epoch or 0,
        generation=beat.generation,
        segment_start_ts=int(beat.segment_start_ts or 0) or record.segment_start_ts,
        boot_id=beat.boot_sequence_id or record.boot_id,
    )
    live = attrs.evolve(
        live,
        heartbeat=beat,
        heartbeat_at=moment.clock,
        heartbeats=live.heartbeats + 1,
        booted_at=live.booted_at if beat.uptime is None else moment.clock - beat.uptime,
        metrics=beat.metrics or live.metrics,
        ready_at=ready_at,
        deaf=deaf,
        config_pending=_config_pending(live.config_pending, beat),
    )
    state = state.recording(record).living(live)
    if (before.zone_id, before.ip, before.boot_id) != (record.zone_id, record.ip, record.boot_id):
        out.append(Save())
    out.append(reports.health(state, moment, "heartbeat"))
    return state


def _config_pending(before: bool, beat: Heartbeat) -> bool:
    """A device that counts both sensors and actuators, or is not degraded, does not wait for its configuration."""
    if beat.runtime_state_degraded is False:
        return False
    if beat.runtime_state_degraded and beat.generation is Generation.APR_2026:
        return bool(beat.sensor_count) != bool(beat.actuator_count)
    return before


def _boot(state: State, beat: Heartbeat, moment: Moment, out: list[Effect]) -> State:
    """Counts the boot when this is another one than the last heartbeat's."""
    record, live = state.record, state.live
    first = record.boots == 0
    if not first and not rebooted(state, beat, moment):
        return state
    record = msgspec.structs.replace(
        record, boots=record.boots + 1, segment_start_ts=0, boot_id=beat.boot_sequence_id or None
    )
    state = state.recording(record)
    out.append(Save())
    if first:
        return state
    state = lane.abandon(state)
    live = attrs.evolve(live, lane=state.live.lane, recent=(), heartbeat_at=-NEVER, ready_at=NEVER, deaf=0)
    bad = beat.reset_reason in ("PANIC", "INT_WDT", "TASK_WDT", "WDT", "BROWNOUT")
    text = f"The device has rebooted ({beat.reset_reason or 'reason unknown'})"
    out.append(
        Note(
            reports.entry(
                state,
                moment,
                "device_rebooted",
                text,
                severity="warning" if bad else "info",
                details={"boots": record.boots, "uptime": beat.uptime},
                error_code=beat.reset_reason or None,
            )
        )
    )
    out.append(
        Tell("system_event", reports.identity(state, moment) | {"message": text, "boots": record.boots})
    )
    return state.living(live)


def rebooted(state: State, beat: Heartbeat, moment: Moment) -> bool:
    """Whether the device has booted since its last heartbeat.

    Its boot id that changed says so; one that is equal says nothing, because the counter in it starts over after a
    minute of uptime. So do the moment at which its clock became valid, an uptime that fell, and a boot time, by our
    clock, that moved - the last is all there is to see a reboot during a long absence of a device without a clock.
    """
    record, live = state.record, state.live
    if beat.boot_sequence_id and record.boot_id and beat.boot_sequence_id != record.boot_id:
        return True
    start = int(beat.segment_start_ts or 0)
    if start and record.segment_start_ts and start != record.segment_start_ts:
        return True
    if beat.uptime is None:
        return False
    if record.uptime is not None and beat.uptime < record.uptime:
        return True
    return live.booted_at is not None and moment.clock - beat.uptime > live.booted_at + REBOOT_SLACK_S
