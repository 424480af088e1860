"""The machines of all outputs: what is wanted of each becomes commands, and what comes back is judged. Pure.

What must never happen here:

* an ON, or a PWM above 0, that the gate has not passed at this very moment, or that has no end: an ON carries its
  duration, and a PWM is followed by an ON with one as soon as the device has acknowledged the value;
* an ON for a PWM or a valve that is not known to be on: it would go to full;
* an OFF that waits for anything but a device that hears, or that is not repeated until the output is known to be off.

One command is in the air per actuator; an OFF goes at once whatever is. Methods return what is to be done, in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from growy.control import output_knowledge as knowledge
from growy.control.output_knowledge import Effects
from growy.control.output_state import (
    LAPSE_S,
    LEASELESS_S,
    NOT_WANTED,
    OFF_AGAIN_S,
    Held,
    Output,
    Shot,
    Timing,
    Transmit,
    Want,
    off_verb,
    output_of,
)
from growy.control.pace import Pace
from growy.model.control import OFF, ActuatorKey, Command, CommandState, DeviceView, Refusal, Verb
from growy.model.events import ActuatorResponse, ActuatorStatus, IntentOutcome
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment

Permit = Callable[[ActuatorKey, float, Moment], Refusal | None]
MAX_SHOTS = 8
"""Unanswered commands of one output, before the older ones are remembered as one."""
LEAST_S = 1.0
"""What is left of a claim that is not worth another ON."""


class Outputs:
    """All outputs. Trio thread only. Methods that are given an actuator that there is not raise KeyError, but for what
    a device says: that may be of anything.

    Args:
        permit: the gate, asked for every command that may switch on.
        prefix: of command ids; with a number after it no id of this or an earlier process.
    """

    def __init__(self, timing: Timing, permit: Permit, prefix: str) -> None:
        self._timing = timing
        self._permit = permit
        self._prefix = prefix
        self._serial = 0
        self._outputs: dict[ActuatorKey, Output] = {}
        self._paces: dict[str, Pace] = {}

    # --- which there are ----------------------------------------------------------------------------------------------

    def add(
        self,
        key: ActuatorKey,
        setup: ActuatorSetup,
        assumed: float = OFF,
        assumed_until: float = -math.inf,
        before_until: float = -math.inf,
    ) -> Output:
        """An actuator of which nothing is known.

        Args:
            assumed: its account has it on, at most so high, until `assumed_until`.
            before_until: what an earlier process sent may be under way, or have it on, until then.
        """
        output = self._outputs[key] = output_of(key, setup)
        output.assumed, output.assumed_until = assumed, assumed_until
        output.before_until = before_until
        output.pin_unproven = output.inverted
        return output

    def forget(self, key: ActuatorKey) -> None:
        """The actuator is gone, and known to be off."""
        del self._outputs[key]

    def get(self, key: ActuatorKey) -> Output | None:
        """To look at."""
        return self._outputs.get(key)

    def __iter__(self) -> Iterator[Output]:
        return iter(self._outputs.values())

    # --- what happens to them -----------------------------------------------------------------------------------------

    def device(self, key: ActuatorKey, view: DeviceView, moment: Moment) -> Effects:
        """Its device has come, gone, booted, or been set up otherwise."""
        out: Effects = []
        knowledge.device(self._outputs[key], view, self._timing, moment, out)
        return out

    def response(self, key: ActuatorKey, answer: ActuatorResponse, moment: Moment) -> Effects:
        """`actuator/{gpio}/response`."""
        out: Effects = []
        if (output := self._outputs.get(key)) is not None:
            knowledge.response(output, answer, moment, out)
        return out

    def outcome(self, key: ActuatorKey, report: IntentOutcome, moment: Moment) -> Effects:
        """`system/intent_outcome` of a command to the actuator."""
        out: Effects = []
        if (output := self._outputs.get(key)) is not None:
            knowledge.outcome(output, report, moment, out)
        return out

    def status(self, key: ActuatorKey, said: ActuatorStatus, moment: Moment) -> Effects:
        """`actuator/{gpio}/status`."""
        out: Effects = []
        if (output := self._outputs.get(key)) is not None:
            knowledge.status(output, said, self._timing, moment, out)
        return out

    def expired(self, key: ActuatorKey, command_id: str, moment: Moment) -> Effects:
        """The link has given the command up: it never left, and never will."""
        out: Effects = []
        if (output := self._outputs.get(key)) is not None:
            knowledge.expired(output, command_id, moment, out)
        return out

    def unlatched(self, key: ActuatorKey) -> None:
        """The device has confirmed that its emergency is over. Its actuators stay off."""
        if (output := self._outputs.get(key)) is not None:
            output.latched = False

    def tick(self, key: ActuatorKey, moment: Moment) -> Effects:
        """Time has passed. To be called before `act`: what is due is done here, also if a message has come first."""
        out: Effects = []
        knowledge.passed(self._outputs[key], self._timing, moment, out)
        return out

    def _lease_s(self, output: Output) -> float:
        timing = self._timing
        return min(timing.lease_s, timing.covered_lease_s) if output.self_driven else timing.lease_s

    def due(self, key: ActuatorKey, now: float) -> float:
        """When `tick` and `act` are worth calling again, if nothing else happens. Later than now."""
        output = self._outputs[key]
        soonest = math.inf
        for time in self._times(output, now):
            if now < time < soonest:
                soonest = time
        return soonest

    def _times(self, output: Output, now: float) -> list[float]:
        times = [
            output.grace_until,
            output.hears_from,
            output.not_before,
            output.assumed_until,
            output.before_until,
            output.off_at + OFF_AGAIN_S,
            output.sent_at + output.settle_s,
        ]
        times += [shot.over_at for shot in output.shots]
        if output.flight is not None:
            times.append(output.flight.deadline)
        if output.leaseless_since is not None:
            times.append(output.leaseless_since + LEASELESS_S)
        if output.known:
            half_s = self._lease_s(output) / 2
            times += [output.lease_to + LAPSE_S, output.lease_from, output.lease_from - half_s]
        pace = self._paces.get(output.key.esp_id)
        if pace is not None and output.want.value > OFF:
            times.append(pace.free_at(now))
        return times

    # --- making it so -------------------------------------------------------------------------------------------------

    def want(self, output: Output, want: Want) -> None:
        """What it is to be from now on; `act` makes it so."""
        before = output.want
        if (before.value, before.execution, before.until) != (want.value, want.execution, want.until):
            output.started = False
            if want.at_once and want.execution != before.execution:
                output.not_before = -math.inf
        output.want = want

    def act(self, key: ActuatorKey, moment: Moment, *, renew: bool = False) -> Effects:
        """Sends what is to be sent now.

        Args:
            renew: a lease is renewed now though there is time: it may not be possible soon.
        """
        out: Effects = []
        output = self._outputs[key]
        if not output.hears:
            return out
        if output.want.keep:
            if output.pin_unproven and output.known == OFF:
                self._off(output, moment, out)
        elif output.want.value == OFF or output.giving_up:
            self._off(output, moment, out)
        else:
            self._on(output, moment, out, renew)
        return out

    def _off(self, output: Output, moment: Moment, out: Effects) -> None:
        now, flight = moment.clock, output.flight
        if flight is not None and flight.command.value == OFF:
            return
        if output.known == OFF and not output.uncertain(now) and not output.pin_unproven:
            output.giving_up = False
            return
        nothing_to_do_with_us = output.known is None and not output.approved and not output.highest(now)
        if nothing_to_do_with_us or now < output.off_at + OFF_AGAIN_S:
            return
        if flight is not None:
            knowledge.end(
                output, flight, CommandState.UNKNOWN, moment, out, "An OFF overtook it", "SUPERSEDED"
            )
        self._send(output, off_verb(output), OFF, 0, False, moment, out)

    def _on(self, output: Output, moment: Moment, out: Effects, renew: bool) -> None:
        now, want, lease_s = moment.clock, output.want, self._lease_s(output)
        if output.flight is not None or now < output.not_before:
            return
        certain = output.certain(now)
        right = certain and output.same(output.known, want.value)
        rest_s = want.ends - now
        duration_s = max(1, math.floor(min(lease_s, rest_s)))
        value, verb = want.value, Verb.ON
        if certain and output.known and not output.armed and output.lease_from == math.inf:
            # A value without a lease: before anything else it gets one, also if it is no longer the value wanted.
            if output.kind is ActuatorKind.VALVE and now < output.sent_at + output.settle_s:
                return
            value = output.known
        else:
            due = renew or now >= output.lease_from - lease_s / 2
            worth_it = due and now + duration_s > output.lease_from + LEAST_S * renew
            # The device was given a rule of its own meanwhile.
            too_long = lease_s + LAPSE_S < output.lease_from - now < math.inf
            if right and output.armed and not (worth_it or too_long):
                return
            if rest_s < LEAST_S and output.started:
                return
            if not output.directly(now):
                verb, duration_s = Verb.PWM, 0
        pace = self._paces.setdefault(output.key.esp_id, Pace())
        if pace.free_at(now) > now:
            return
        refusal = self._permit(output.key, value, moment)
        if refusal is not None:
            output.want = NOT_WANTED
            out.append(Held(output.key, refusal))
            self._off(output, moment, out)
            return
        pace.take(now)
        self._send(output, verb, value, duration_s, right or value != want.value, moment, out)

    def _send(
        self,
        output: Output,
        verb: Verb,
        value: float,
        duration_s: int,
        renewal: bool,
        moment: Moment,
        out: Effects,
    ) -> None:
        now, timing, want = moment.clock, self._timing, output.want
        self._serial += 1
        command = Command(
            id=f"{self._prefix}-{self._serial}",
            actuator=output.key,
            verb=verb,
            value=value,
            duration_s=duration_s,
            holder=want.holder,
            issued_by=want.issued_by,
            execution=want.execution,
            renewal=renewal,
            created_ms=moment.wall_ms,
            state=CommandState.SENT,
        )
        over_at = now + timing.late_s
        if value > OFF:
            ends_by_itself = duration_s > 0 and output.obeys_lease
            over_at = over_at + duration_s if ends_by_itself else math.inf
            output.risen_by = "" if output.highest(now) else command.id
            output.off_at = -math.inf
            if verb is Verb.PWM:
                output.armed = False
                output.leaseless_since = now if output.leaseless_since is None else output.leaseless_since
        else:
            output.off_at = now
        expires_at = now + timing.answer_timeout_s
        output.shots.append(Shot(command, now, over_at, expires_at))
        if len(output.shots) > MAX_SHOTS:
            _condense(output, now)
        output.last, output.sent_at = command, now
        knowledge.tell_level(output, moment, out)
        out.append(Transmit(command, expires_at))


def _condense(output: Output, now: float) -> None:
    """A device that hears and never answers: of what was sent long ago it counts how high and how long it may be on."""
    old, recent = output.shots[:-4], output.shots[-4:]
    alive = [shot for shot in old if shot.command.value > OFF and now < shot.over_at]
    if alive:
        worst = max(alive, key=lambda shot: shot.command.value)
        worst.over_at = max(shot.over_at for shot in alive)
        recent.insert(0, worst)
    output.shots = recent
