"""The lane of a device: one transmission in the air, its answers, its retries. Pure.

The firmware has one place for config, zone and subzone work and answers `CONFIG_LANE_BUSY` when a second comes: so
growyd sends one and waits for its end, with a fresh id for every attempt, because the device reports only the first
end of an id. Answers are matched by that id; only firmware that sends none is matched by being alone in the air.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import msgspec

from growy.fleet import reports
from growy.fleet.device import NEVER, Failure, Flight, Lane, Record, Scope, State
from growy.fleet.effects import Effect, Note, Save, Send, Tell
from growy.fleet.work import REMOVED, TRANSIENT, next_work
from growy.model.errors import GrowyError
from growy.model.events import ConfigResponse, IntentOutcome, SubzoneAck, ZoneAck
from growy.model.messages import Generation
from growy.model.setup import OFFLINE_RULES_KEY, ItemResult, ItemState
from growy.model.time import Moment

BACKOFF_S = (5.0, 10.0, 20.0, 40.0, 60.0)
ATTEMPTS = 5
GRACE_S = 5.0
"""Answers and the outcome of one transmission travel apart; the first waits that long for the others."""
PERMANENT = frozenset(
    {
        "JSON_PARSE_ERROR",
        "PAYLOAD_TOO_LARGE",
        "VALIDATION_FAILED",
        "VALIDATION_FAIL",
        "VALIDATION_ERROR",
        "CONTRACT_MISSING_CORRELATION",
        "CONTRACT_CORRELATION_MISSING",
    }
)
"""Refusals that another attempt would meet again."""


def turn(state: State, moment: Moment, out: list[Effect]) -> State:
    """Begins the next transmission if the lane is free and something is due; ends the one whose time is over."""
    lane = state.live.lane
    if lane.flight is not None:
        if moment.clock < lane.flight.deadline:
            return state
        return _land(state, lane.flight, lane.flight.code or "TIMEOUT", moment, out)
    if moment.clock < lane.not_before:
        return state
    serial = state.live.serial + 1
    try:
        work = next_work(state, moment, f"g{moment.wall_ms:x}-{serial}")
    except GrowyError as fault:
        # What was admitted fits the wire; a record that came another way may not. It must not stop the fleet.
        if lane.last_error != str(fault):
            out.append(Note(reports.unsendable(state, fault, moment)))
        return _with(state, attrs.evolve(lane, idle_for=state.record, last_error=str(fault)))
    if work is None:
        return _with(state, attrs.evolve(lane, idle_for=state.record))
    flight = work.flight
    stuck = state.record.boots if flight.scope is Scope.ZONE else lane.zone_asserted_boot
    lane = attrs.evolve(lane, flight=flight, sent=lane.sent + 1, zone_asserted_boot=stuck)
    out.append(Send(work.topic, work.payload))
    if flight.scope is Scope.CONFIG:
        out.append(Tell("config_published", reports.published(state, flight), flight.correlation_id))
    return _with(state, lane, serial=serial)


def abandon(state: State) -> State:
    """The device or the link is gone: what was in the air may or may not have arrived, and is sent again."""
    lane = state.live.lane
    if lane.flight is None:
        return state
    return _with(state, attrs.evolve(lane, flight=None))


def config_answer(state: State, answer: ConfigResponse, moment: Moment, out: list[Effect]) -> State:
    flight = _matching(state, Scope.CONFIG, answer.correlation_id)
    if flight is None:
        return state
    if answer.scope not in ("sensor", "actuator"):
        return _land_by_code(state, flight, str(answer.error_code or ""), answer.message, moment, out)
    failures, answered = _failures(flight, answer)
    flight = attrs.evolve(
        flight,
        failures={**flight.failures, **failures},
        unnamed=flight.unnamed | ({answer.scope} if _some_unnamed(answer) else frozenset()),
        answers_due=flight.answers_due - ({answer.scope} if answered else frozenset()),
    )
    told_later = state.record.generation in (Generation.APR_2026, None)
    if flight.answers_due and (answered or told_later):
        return _hold(state, flight)
    if not flight.answers_due and (flight.ended is not None or not told_later):
        return _land(state, flight, "", moment, out)
    # The outcome is on its way, or - of a firmware that sends none - more item errors are.
    return _hold(state, _soon(flight, moment))


def outcome(state: State, report: IntentOutcome, moment: Moment, out: list[Effect]) -> State:
    """The end of an intent, if it is the one in the air. The only end that offline rules have."""
    flight = state.live.lane.flight
    if (
        flight is None
        or not report.terminal
        or flight.correlation_id not in (report.intent_id, report.correlation_id)
    ):
        return state
    if report.outcome in ("rejected", "expired"):
        return _land_by_code(state, flight, report.code, report.reason, moment, out)
    flight = attrs.evolve(flight, ended=report.outcome, code=report.code)
    if flight.answers_due:
        return _hold(state, _soon(flight, moment))
    return _land(state, flight, "", moment, out)


def zone_answer(state: State, ack: ZoneAck, moment: Moment, out: list[Effect]) -> State:
    flight = _matching(state, Scope.ZONE, ack.correlation_id)
    if flight is None:
        return state
    if ack.status == "error":
        return _land_by_code(state, flight, ack.reason_code or "REFUSED", ack.message, moment, out)
    wanted = state.record.zone
    if wanted is not None:
        record = msgspec.structs.replace(state.record, zone_id=ack.zone_id or wanted.zone_id)
        # The firmware beats out of turn now: that heartbeat does not mean that it cannot hear us.
        state = state.recording(record).living(attrs.evolve(state.live, heartbeat_at=-NEVER))
    return _land(state, attrs.evolve(flight, ended="persisted"), "", moment, out)


def subzone_answer(state: State, ack: SubzoneAck, moment: Moment, out: list[Effect]) -> State:
    flight = _matching(state, Scope.SUBZONE, ack.correlation_id)
    if flight is None or (not ack.correlation_id and ack.subzone_id not in (flight.subject, "")):
        return state
    if ack.status == "error":
        code = ack.reason_code or str(ack.error_code or "REFUSED")
        if code == "SUBZONE_NOT_FOUND" and REMOVED in flight.items.values():
            return _land(state, attrs.evolve(flight, ended="persisted"), "", moment, out)  # gone is gone
        return _land_by_code(state, flight, code, ack.message, moment, out)
    return _land(state, attrs.evolve(flight, ended="persisted"), "", moment, out)


# --- matching -----------------------------------------------------------------------------------------------------


def _matching(state: State, scope: Scope, correlation_id: str | None) -> Flight | None:
    flight = state.live.lane.flight
    if flight is None or flight.scope is not scope:
        return None
    return flight if correlation_id in (flight.correlation_id, None, "") else None


def _failures(flight: Flight, answer: ConfigResponse) -> tuple[dict[str, Failure], bool]:
    """The items that failed, and whether the scope has been answered whole."""
    prefix = "s:" if answer.scope == "sensor" else "a:"
    keys = [key for key in flight.items if key.startswith(prefix)]
    if answer.status == "success":
        return {}, True
    if answer.scope == "actuator":
        gpio = None if answer.failed_item is None else answer.failed_item.get("gpio")
        named = [f"a:{gpio}"] if f"a:{gpio}" in keys else keys if len(keys) == 1 else []
        failure = Failure(code=str(answer.error_code or "UNKNOWN_ERROR"), error=answer.message)
        # One message per bad actuator and no summary: only when all have failed is it known to be whole.
        known = {*flight.failures, *named}
        return dict.fromkeys(named, failure), all(key in known for key in keys)
    if not answer.failures and answer.status == "error":
        failure = Failure(code=str(answer.error_code or "UNKNOWN_ERROR"), error=answer.message)
        return dict.fromkeys(keys, failure), True
    failures: dict[str, Failure] = {}
    for one in answer.failures:
        for key in keys:
            if key.split(":")[1] == str(one.gpio):
                failures[key] = Failure(
                    code=str(one.error_code or "UNKNOWN_ERROR"), error=one.error, detail=one.detail or ""
                )
    return failures, True


def _some_unnamed(answer: ConfigResponse) -> bool:
    return answer.scope == "sensor" and (answer.failed_count or 0) > len(answer.failures) > 0


def _soon(flight: Flight, moment: Moment) -> Flight:
    return attrs.evolve(flight, deadline=min(flight.deadline, moment.clock + GRACE_S), code="ANSWERED")


# --- landing ------------------------------------------------------------------------------------------------------


def _land_by_code(
    state: State, flight: Flight, code: str, text: str, moment: Moment, out: list[Effect]
) -> State:
    """A refusal of the whole: for good, or to be tried again."""
    if code == "COMMIT_FAILED":
        # Comes beside the answers of the scopes: what they did not name as failed stays applied.
        flight = attrs.evolve(flight, ended="failed", code=code)
        return (
            _hold(state, _soon(flight, moment))
            if flight.answers_due
            else _land(state, flight, "", moment, out)
        )
    if code in PERMANENT or (flight.scope is not Scope.CONFIG and code not in ("CONFIG_LANE_BUSY", "")):
        failure = Failure(code=code, error=text)
        flight = attrs.evolve(flight, failures=dict.fromkeys(flight.items, failure), ended="failed")
        return _land(state, flight, "", moment, out)
    return _land(state, flight, code or "REFUSED", moment, out)


def _land(state: State, flight: Flight, retry: str, moment: Moment, out: list[Effect]) -> State:
    """The end of a transmission. `retry`: why its items without a result are to be tried again; "" for a known end."""
    lane = attrs.evolve(state.live.lane, flight=None)
    results: dict[str, ItemResult] = dict(state.record.results)
    failed: dict[str, Failure] = dict(flight.failures)
    unknown = [key for key in flight.items if key not in failed and not _taken(flight, key)]
    if unknown and lane.attempts + 1 >= ATTEMPTS:
        failed |= dict.fromkeys(
            unknown, Failure(code=retry or "UNNAMED", error="no usable answer to five attempts")
        )
        unknown = []
    for key, fingerprint in flight.items.items():
        if key not in unknown:
            results[key] = _result(
                flight, fingerprint, failed.get(key), state.record.boots, moment, lane.attempts + 1
            )
    if unknown:
        lane = attrs.evolve(
            lane,
            attempts=lane.attempts + 1,
            retried=lane.retried + 1,
            not_before=moment.clock + BACKOFF_S[min(lane.attempts, len(BACKOFF_S) - 1)],
            last_error=retry or "UNNAMED",
        )
    else:
        lane = attrs.evolve(lane, attempts=0, failed=lane.failed + bool(failed))
    state = attrs.evolve(state, record=_settled(state, results, flight.items))
    _say(state, flight, failed, bool(unknown), moment, out)
    return _with(state, lane)


def _taken(flight: Flight, key: str) -> bool:
    """Whether an item that was not named as failed is known to be applied."""
    if flight.ended == "persisted":
        return not (key.startswith("s:") and "sensor" in flight.unnamed)
    if flight.scope is not Scope.CONFIG or key == OFFLINE_RULES_KEY:
        return False  # these have no other end
    if key.startswith("s:"):
        return not flight.unnamed & {"sensor"} and "sensor" not in flight.answers_due
    # Of actuators the firmware names the bad ones, one message each, and says nothing of the good ones beside them.
    return "actuator" not in flight.answers_due or any(one.startswith("a:") for one in flight.failures)


def _result(
    flight: Flight, fingerprint: str, failure: Failure | None, boot: int, moment: Moment, attempts: int
) -> ItemResult:
    return ItemResult(
        fingerprint=fingerprint,
        state=ItemState.APPLIED if failure is None else ItemState.FAILED,
        boot=boot,
        error_code="" if failure is None else failure.code,
        error="" if failure is None else failure.error,
        detail="" if failure is None else failure.detail[:200],
        at_ms=moment.wall_ms,
        correlation_id=flight.correlation_id,
        attempts=attempts,
    )


def _settled(state: State, results: dict[str, ItemResult], sent: Mapping[str, str]) -> Record:
    """The record with the results, and without what the device has confirmed to be gone."""
    record = state.record
    # A device that answers a removal with a fault of its own does not have the item.
    gone = {
        key
        for key, fingerprint in sent.items()
        if fingerprint == REMOVED
        and key in results
        and (results[key].state is ItemState.APPLIED or results[key].error_code not in TRANSIENT)
    }
    wanted = {one.key for one in record.sensors} | {one.key for one in record.actuators}
    wanted |= {one.key for one in record.subzones}
    for key in gone - wanted:
        del results[key]
    return msgspec.structs.replace(
        record,
        results=results,
        removed_sensors=tuple(s for s in record.removed_sensors if s.key not in gone),
        removed_actuators=tuple(a for a in record.removed_actuators if a.key not in gone),
        removed_subzones=tuple(z for z in record.removed_subzones if f"z:{z}" not in gone),
    )


def _say(
    state: State,
    flight: Flight,
    failed: Mapping[str, Failure],
    again: bool,
    moment: Moment,
    out: list[Effect],
) -> None:
    out.append(Save())
    event, data = reports.landed(state, flight, failed, again)
    out.append(Tell(event, data, flight.correlation_id))
    note = reports.landing_note(state, flight, failed, again, moment)
    if note is not None:
        out.append(Note(note))


def _hold(state: State, flight: Flight) -> State:
    return _with(state, attrs.evolve(state.live.lane, flight=flight))


def _with(state: State, lane: Lane, *, serial: int | None = None) -> State:
    live = state.live
    return attrs.evolve(
        state, live=attrs.evolve(live, lane=lane, serial=live.serial if serial is None else serial)
    )
