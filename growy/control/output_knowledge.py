"""What is known of an output, and how it changes: by its device's coming and going, by what it says, by time. Pure.

Off is only what is proven: a status or an answer says so and nothing that could switch it on is under way, or its lease
is certainly over. Messages come twice and late; a device carries out what arrives in the order in which it was sent, so
an answer to one command is also the end of all that were sent before it.
"""

from __future__ import annotations

import math

import attrs

from growy.control.output_state import (
    BACKOFF_S,
    EARLY_S,
    FORGIVEN_S,
    LAPSE_S,
    LEASELESS_S,
    Ended,
    Output,
    OutputEffect,
    Reported,
    Shot,
    Switched,
    Timing,
    obeys_lease,
    reported_value,
)
from growy.model.control import FULL, OFF, CommandState, DeviceView, Verb
from growy.model.events import ActuatorResponse, ActuatorStatus, IntentOutcome
from growy.model.setup import ActuatorKind
from growy.model.time import Moment

Effects = list[OutputEffect]
NOT_THERE = "Actuator not configured"
"""How the firmware begins its answer for a pin that it does not drive."""
DONE = ("applied", "persisted")


# --- the device ---------------------------------------------------------------------------------------------------


def device(output: Output, view: DeviceView, timing: Timing, moment: Moment, out: Effects) -> None:
    """Its device has come, gone, booted, or been set up otherwise."""
    gpio = output.key.gpio
    setup = view.actuator(gpio)
    if setup is not None:
        if setup.kind is not output.kind:
            output.kind, output.known, output.off_since = setup.kind, None, None
        output.inverted = setup.inverted_logic and output.binary
        output.default_on = setup.default_state
    output.approved, output.online = view.approved, view.online
    output.obeys_lease = obeys_lease(view.generation)
    output.self_driven = gpio in view.self_driven
    output.hears_from = (-math.inf if view.ready else view.ready_at) if view.online else math.inf
    if output.hears and moment.clock < output.hears_from:
        _broken(output, moment, out)
    if output.met and output.boots not in (0, view.boots):
        _booted(output, timing, moment)
    output.boots = view.boots
    applied = gpio in view.applied
    if output.met and applied and not output.applied and output.inverted:
        output.pin_unproven = output.energised = True
    output.applied, output.met = applied, True
    _begin_to_hear(output, timing, moment)
    tell_level(output, moment, out)


def _begin_to_hear(output: Output, timing: Timing, moment: Moment) -> None:
    if output.hears or moment.clock < output.hears_from:
        return
    output.hears = True
    output.grace_until = moment.clock + timing.adopt_s
    output.failures, output.not_before, output.off_at = 0, -math.inf, -math.inf
    if output.latest is not None:
        # What a broker has kept comes in the first seconds, and the last of it counts.
        _believe(output, output.latest, timing, moment.clock)
        output.latest = None


def _broken(output: Output, moment: Moment, out: Effects) -> None:
    """The session is over. What was in the air may have happened, and its lease runs out by itself."""
    output.hears = False
    if output.flight is not None:
        end(
            output, output.flight, CommandState.UNKNOWN, moment, out, "The device was gone before it answered"
        )
    if output.known is not None:
        if moment.clock >= output.before_until:
            output.assumed, output.assumed_until = OFF, -math.inf
        if output.known > OFF:
            output.assumed = max(output.assumed, output.known)
            output.assumed_until = max(output.assumed_until, output.lease_to + LAPSE_S)
    output.known = output.reported = output.latest = output.leaseless_since = None
    output.armed = output.giving_up = False


def _booted(output: Output, timing: Timing, moment: Moment) -> None:
    """It is as its firmware starts it, until it says more, or does what was sent before and comes only now."""
    output.known = output.reported = output.latest = output.leaseless_since = None
    output.off_since = None if output.default_on and output.binary else moment.clock
    output.lease_from, output.lease_to, output.armed = -math.inf, math.inf, False
    output.latched = output.giving_up = False
    if output.default_on and output.binary:
        output.assumed, output.assumed_until = FULL, math.inf
    elif moment.clock >= output.before_until:
        output.assumed, output.assumed_until = OFF, -math.inf
    output.recent.clear()
    output.grace_until = moment.clock + timing.adopt_s
    if output.inverted:
        output.pin_unproven, output.energised = True, not output.default_on


# --- what it says -------------------------------------------------------------------------------------------------


def response(output: Output, answer: ActuatorResponse, moment: Moment, out: Effects) -> None:
    """`actuator/{gpio}/response`."""
    index = _index(output, answer.correlation_id)
    flight = output.flight
    if answer.correlation_id is None and not output.obeys_lease and flight is not None:
        # Firmware that echoes no id: matched by being alone in the air.
        alone = flight.command.verb.value == answer.command.upper()
        index = len(output.shots) - 1 if alone else None
    fresh = _first_time(output, answer.seq)
    if index is not None and answer.success:
        _done(output, index, fresh, moment, out)
    elif index is not None:
        _refused(output, index, "DEVICE", answer.message, moment, out)


def outcome(output: Output, report: IntentOutcome, moment: Moment, out: Effects) -> None:
    """`system/intent_outcome`. One that was kept over a time without connection says nothing of now."""
    index = _index(output, report.intent_id)
    if index is None or not report.terminal or report.recovered:
        return
    if report.outcome in DONE:
        _done(output, index, True, moment, out)
    else:
        _refused(output, index, report.code, report.reason, moment, out)


def status(output: Output, said: ActuatorStatus, timing: Timing, moment: Moment, out: Effects) -> None:
    """`actuator/{gpio}/status`."""
    if not _first_time(output, said.seq):
        return
    now, value = moment.clock, reported_value(output.kind, said.state, said.pwm)
    if output.reported != value:
        out.append(Reported(output.key, value, output.reported, said.command_source or ""))
    output.reported, output.reported_ms = value, moment.wall_ms
    output.latched = said.emergency == "active"
    if not output.hears:
        # It may be old: that it is on is believed at once, that it is off not until the last of what was kept is in.
        output.latest = value
        if value == OFF:
            output.off_since = now
        else:
            _believe(output, value, timing, now)
            tell_level(output, moment, out)
        return
    if output.kind is ActuatorKind.VALVE and now < output.sent_at + output.settle_s:
        return  # it lags behind what it was told
    _contradicted(output, value, now)
    _believe(output, value, timing, now)
    tell_level(output, moment, out)


def _believe(output: Output, value: float, timing: Timing, now: float) -> None:
    """What the device says it does, it does."""
    if value > OFF:
        if not output.known or now >= output.lease_to + LAPSE_S or not output.same(output.known, value):
            output.lease_from, output.lease_to, output.armed = -math.inf, math.inf, False
        output.known, output.off_since = value, None
    else:
        _is_off(output, now)
        if output.latched:
            output.pin_unproven = output.energised = False  # an emergency stop always writes the pin
    # What had time to arrive, and its status to come back, is in it.
    output.shots = [shot for shot in output.shots if now < shot.at + 2 * timing.late_s]


def expired(output: Output, command_id: str, moment: Moment, out: Effects) -> None:
    """The link has given the command up: it never left, and never will."""
    index = _index(output, command_id)
    if index is None:
        return
    shot = output.shots.pop(index)
    if not shot.ended:
        end(output, shot, CommandState.EXPIRED, moment, out, "It could not be sent in time")
        _failed(output, shot, moment.clock)
    tell_level(output, moment, out, undone=shot.command.id == output.risen_by)


def _done(output: Output, index: int, fresh: bool, moment: Moment, out: Effects) -> None:
    """Carried out, and so whatever was sent before it: done, or lost.

    Args:
        fresh: nothing younger has been heard of the output.
    """
    shot, now = output.shots[index], moment.clock
    del output.shots[: index + 1]
    command = shot.command
    if not shot.ended:
        end(output, shot, CommandState.ACKNOWLEDGED, moment, out)
    output.pin_unproven = output.energised = False
    output.before_until = -math.inf
    if not output.hears:
        # Of a session that is over: so it was left.
        leased = command.duration_s > 0 and output.obeys_lease
        output.known, output.latest = None, command.value
        output.assumed = command.value
        output.assumed_until = now + command.duration_s + LAPSE_S if leased else math.inf
    elif fresh and command.value == OFF:
        _is_off(output, now)
    elif fresh:
        lease_only = command.verb is Verb.ON and command.value < FULL
        # One that was found off by it has gone to full; the status that said so came first.
        output.known = (output.known or FULL) if lease_only else command.value
        output.started, output.off_since, output.not_before = True, None, -math.inf
        output.armed = command.verb is Verb.ON or not output.obeys_lease
        output.lease_from = output.lease_to = math.inf
        if command.verb is Verb.ON and output.obeys_lease:
            output.lease_from, output.lease_to = shot.at + command.duration_s, now + command.duration_s
        if output.armed:
            output.leaseless_since = None
        elif output.leaseless_since is None:
            output.leaseless_since = now
    tell_level(output, moment, out)


def _refused(output: Output, index: int, code: str, text: str, moment: Moment, out: Effects) -> None:
    shot = output.shots.pop(index)
    if not shot.ended:
        end(output, shot, CommandState.REJECTED, moment, out, text, code)
        _failed(output, shot, moment.clock)
    if shot.command.value == OFF and text.startswith(NOT_THERE):
        output.shots.clear()
        output.pin_unproven = output.energised = False
        _is_off(output, moment.clock)
    elif output.known:
        # Even a command that fails stops the timer of the one before.
        output.lease_to, output.armed = math.inf, False
        output.leaseless_since = moment.clock if output.leaseless_since is None else output.leaseless_since
    tell_level(output, moment, out, undone=shot.command.id == output.risen_by)


def _is_off(output: Output, now: float) -> None:
    # The command in the air is usually yet to arrive: a status that was under way before it says nothing of its end.
    if output.known != OFF or output.off_since is None or output.uncertain(now, but=output.flight):
        output.off_since = now  # what is under way may have had it on until now
    output.known = OFF
    output.lease_from, output.lease_to, output.armed = -math.inf, math.inf, False
    output.leaseless_since = None
    if not output.uncertain(now):
        output.giving_up = False


def _contradicted(output: Output, value: float, now: float) -> None:
    """A device that does not do what it has acknowledged is not hammered."""
    want = output.want
    if output.flight is not None or output.known is None or output.same(output.known, value):
        return
    if want.value == OFF or want.keep or output.same(value, want.value):
        return
    if value == OFF and output.armed and output.lease_from - now < EARLY_S:
        return  # as it was told to
    hold_back(output, now)
    output.not_before = max(output.not_before, output.sent_at + output.settle_s)


# --- time ---------------------------------------------------------------------------------------------------------


def passed(output: Output, timing: Timing, moment: Moment, out: Effects) -> None:
    """What time alone does: answers are overdue, leases are over, sessions begin to hear."""
    now = moment.clock
    _begin_to_hear(output, timing, moment)
    flight = output.flight
    if flight is not None and now >= flight.deadline:
        end(output, flight, CommandState.UNKNOWN, moment, out, "The device did not answer in time")
        _failed(output, flight, now)
    if output.leaseless_since is not None and now >= output.leaseless_since + LEASELESS_S:
        output.leaseless_since = None
        output.giving_up = True
        hold_back(output, now)
    tell_level(output, moment, out)


# --- what all of them do ------------------------------------------------------------------------------------------


def end(
    output: Output,
    shot: Shot,
    state: CommandState,
    moment: Moment,
    out: Effects,
    message: str = "",
    code: str = "",
) -> None:
    """Tells the command's end. What it may yet do is another matter."""
    shot.ended = True
    ended = attrs.evolve(shot.command, state=state, message=message, code=code, ended_ms=moment.wall_ms)
    if output.last is not None and output.last.id == ended.id:
        output.last = ended
    out.append(Ended(ended))


def tell_level(output: Output, moment: Moment, out: Effects, *, undone: bool = False) -> None:
    """Says how high it may be, if that has changed.

    Args:
        undone: a command has been refused, and before it was off.
    """
    level = output.highest(moment.clock)
    if level == output.level:
        return
    if output.level is None and output.known is None and level == OFF:
        return  # nothing is known, and nothing is assumed: the account goes on as it was opened
    found = output.level is None and output.last is None
    output.level = level
    out.append(Switched(output.key, level, moment.clock, found=found, undone=undone and level == OFF))


def hold_back(output: Output, now: float) -> None:
    """No ON for a while, longer with each failure in a row."""
    if now - output.failed_at > FORGIVEN_S:
        output.failures = 0
    output.not_before = now + BACKOFF_S[min(output.failures, len(BACKOFF_S) - 1)]
    output.failures += 1
    output.failed_at = now


def _failed(output: Output, shot: Shot, now: float) -> None:
    if shot.command.value > OFF:
        hold_back(output, now)


def _index(output: Output, command_id: str | None) -> int | None:
    return next((i for i, shot in enumerate(output.shots) if shot.command.id == command_id), None)


def _first_time(output: Output, seq: int | None) -> bool:
    """Whether a message was not heard before. The device numbers what it sends, anew with each boot, and QoS 1 may
    bring a message again, also after others. A lower number is no sign of age: it may be of a new boot."""
    if seq is None:
        return True
    if seq in output.recent:
        return False
    output.recent.append(seq)
    return True
