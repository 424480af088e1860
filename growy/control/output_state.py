"""One actuator's output as growyd knows it: what is wanted, what is known, what is under way. No behaviour of its own:
`growy.control.outputs` acts.

The question that everything here serves is how high the output may be by now. It must never be answered with less than
the truth: what was sent counts from that moment on, what was not answered counts until it can no longer have any
effect, and off is only what was proven to be off.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TypeAlias

import attrs

from growy.control.interlocks import CERTAINLY_OFF, Known
from growy.model.control import FULL, OFF, ActuatorKey, Command, DeviceView, Refusal, Verb
from growy.model.messages import Generation
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.wire.actuation import PWM_STEPS, pwm_step

WAY_S = 92.0
"""How long a command that has left may still arrive: the broker gives a connection up after 1.5 times the device's
keep-alive of 60 s. What has not left when its answer is overdue is not sent any more."""
SETTLE_S = 1.5
"""After a command, before a status that contradicts it is believed to be the last word."""
VALVE_SETTLE_S = 6.0
"""A motor valve needs 2.5 s for each of two steps, and its status lags as long."""
OFF_AGAIN_S = 5.0
BACKOFF_S = (5.0, 10.0, 20.0, 40.0, 60.0)
FORGIVEN_S = 180.0  # failures further apart do not add up
LEASELESS_S = 30.0
"""A PWM whose lease cannot be armed for so long goes off."""
HALF_OPEN = 0.5
"""The middle one of a motor valve's three positions."""
LAPSE_S = 2.0  # slack for the device's own clock when its lease ends
RECENT = 32
EARLY_S = 1.5
"""An OFF of the device's own so shortly before the end of its lease is that end."""


@attrs.frozen(kw_only=True, slots=True)
class Timing:
    """Settings of control, seconds."""

    lease_s: float = 90.0
    covered_lease_s: float = 25.0
    """Where the device has a rule of its own for the actuator. 30 s after it has lost its Pi it takes what runs for
    what its rule has switched on; a lease that ended later would switch off behind that rule's back, for good."""
    answer_timeout_s: float = 8.0
    adopt_s: float = 30.0
    way_s: float = WAY_S

    @property
    def late_s(self) -> float:
        """After which a command has arrived, or never will."""
        return self.answer_timeout_s + self.way_s


@attrs.frozen(kw_only=True, slots=True)
class Want:
    """What an output is to be, after the gate."""

    value: float = OFF
    keep: bool = False
    """Nobody claims it, and it is too early to say that nobody will: it is left as it is."""
    until: float = math.inf
    """End of the claim, by the clock."""
    runs_out: float = math.inf
    """When the limits of its run time are reached, by the clock."""
    holder: str = ""
    issued_by: str = ""
    execution: str = ""
    at_once: bool = False
    """A person waits for it: earlier failures do not hold it back."""

    @property
    def ends(self) -> float:
        return min(self.until, self.runs_out)


NOT_WANTED = Want()


@attrs.define(slots=True)
class Shot:
    """A command under way: nobody knows whether it has been carried out."""

    command: Command
    at: float
    """When it was handed over, by the clock."""
    over_at: float
    """From when on it can have no effect any more: an ON can no longer keep it on, an OFF no longer switch it off."""
    deadline: float
    ended: bool = False
    """Its end has been told; its effect may be yet to come."""


@attrs.define(slots=True, eq=False)
class Output:
    """Of one actuator. Mutable; `growy.control.outputs` alone changes it."""

    key: ActuatorKey
    kind: ActuatorKind
    inverted: bool = False
    default_on: bool = False
    obeys_lease: bool = False
    """Whether the device's firmware ends an ON after its duration."""
    self_driven: bool = False
    met: bool = False
    """Its device has been seen; what follows is as it was then."""
    approved: bool = False
    online: bool = False
    hears: bool = False
    hears_from: float = math.inf
    boots: int = 0
    applied: bool = False
    grace_until: float = -math.inf

    want: Want = NOT_WANTED
    started: bool = False
    """What is wanted has been carried out once."""

    known: float | None = None
    """Last proven output in this session; None: nobody has said."""
    off_since: float | None = None
    """When it was first said to be off, and not on since: it has been off for no longer than that, even if something
    under way may yet switch it on. Outlives the session, and a boot begins it anew."""
    assumed: float = OFF
    """While nothing is known: at most this, until `assumed_until`."""
    assumed_until: float = -math.inf
    before_until: float = -math.inf
    """What an earlier process sent may be under way, or have it on, until then. The first answer to a command of this
    process ends that."""
    lease_from: float = -math.inf
    """Until then it is on, if it is on and nobody interferes. Of one without a lease infinity."""
    lease_to: float = math.inf
    """From then on its lease is over."""
    armed: bool = False
    """Its lease has been acknowledged since its value was sent."""
    leaseless_since: float | None = None
    pin_unproven: bool = False
    """The firmware's OFF does not touch the pin of what it takes to be off, and after a boot or a new configuration it
    takes an energised inverted relay to be off. Until a value has been written, nobody knows."""
    energised: bool = False
    """Such a boot or configuration has been seen: the relay draws."""
    latched: bool = False
    reported: float | None = None
    reported_ms: int | None = None
    latest: float | None = None
    """While it does not hear: what was heard of it last, by status or answer."""
    recent: deque[int] = attrs.field(factory=lambda: deque(maxlen=RECENT))
    """Numbers of what was heard of it last."""

    shots: list[Shot] = attrs.field(factory=list)
    """Oldest first. A device carries out what arrives in the order in which it was sent."""
    last: Command | None = None
    sent_at: float = -math.inf
    off_at: float = -math.inf
    """When OFF was sent last, if nothing else was since."""
    risen_by: str = ""
    """The command that alone has made it one that may be on."""
    failures: int = 0
    failed_at: float = -math.inf
    not_before: float = -math.inf
    """No ON sooner."""
    giving_up: bool = False
    """It goes off, though it is wanted, because its lease cannot be armed."""
    level: float | None = None
    """What was told last of how high it may be; None: nothing yet."""
    shown: Known = CERTAINLY_OFF
    """What was told last to its interlocks."""

    # --- questions ----------------------------------------------------------------------------------------------------

    @property
    def flight(self) -> Shot | None:
        """The command in the air."""
        return self.shots[-1] if self.shots and not self.shots[-1].ended else None

    @property
    def settle_s(self) -> float:
        return VALVE_SETTLE_S if self.kind is ActuatorKind.VALVE else SETTLE_S

    @property
    def binary(self) -> bool:
        return self.kind in (ActuatorKind.RELAY, ActuatorKind.PUMP)

    def uncertain(self, now: float, *, but: Shot | None = None) -> bool:
        """Whether something under way, `but` left out, may yet, or still, have it on."""
        shots = (shot for shot in self.shots if shot is not but)
        return now < self.before_until or any(one.command.value > OFF and now < one.over_at for one in shots)

    def going_off(self, now: float) -> bool:
        """Whether an OFF is under way."""
        return any(shot.command.value == OFF and now < shot.over_at for shot in self.shots)

    def certain(self, now: float) -> bool:
        """Whether it is known what it does, and nothing under way could have changed that."""
        return self.known is not None and not self.uncertain(now) and not self.going_off(now)

    def highest(self, now: float) -> float:
        """How high it may be."""
        highest = FULL if self.energised else OFF
        if now < self.assumed_until and (self.known is None or now < self.before_until):
            highest = max(highest, self.assumed)
        if self.known is not None and now < self.lease_to + LAPSE_S:
            highest = max(highest, self.known)
        for shot in self.shots:
            if now < shot.over_at:
                highest = max(highest, shot.command.value)
        return highest

    def off_by(self, now: float) -> float:
        """By when it is off for certain, if nobody switches it on; in the past: it is."""
        if self.energised:
            return math.inf
        if self.known is None:
            by = self.assumed_until
            if self.online or self.self_driven or self.default_on or not self.obeys_lease:
                return math.inf
        else:
            by = self.lease_to + LAPSE_S if self.known > OFF else -math.inf
        by = max(by, self.before_until)
        for shot in self.shots:
            if shot.command.value > OFF:
                by = max(by, shot.over_at)
        return by

    def resting_since(self, now: float) -> float | None:
        """Since when it has been off, if it is off: a pause may not be taken for longer. None: its account knows."""
        going_off = self.going_off(now)
        if self.off_since is None or (going_off and self.known != OFF):
            return now if going_off else None
        lapsed = any(0 < one.command.duration_s <= now - one.at for one in self.shots)
        shot = self.flight
        if shot and shot.command.value > OFF and not lapsed and not self.uncertain(now, but=shot):
            return None  # the gate has passed it; that it is off until it arrives is no new pause
        # It may have gone on since, and off again only now.
        return now if self.uncertain(now) and (going_off or lapsed) else self.off_since

    def on_till(self, now: float) -> float:
        """Until when it is on for certain, if nobody switches it; minus infinity: it is not."""
        if not self.hears or self.latched or not self.known or self.want.keep or self.want.value == OFF:
            return -math.inf
        if self.giving_up or self.going_off(now):
            return -math.inf
        return self.lease_from

    def seen(self, now: float) -> Known:
        """What its interlocks may believe."""
        off_by, on_till = self.off_by(now), self.on_till(now)
        if off_by <= now and on_till <= now:
            return CERTAINLY_OFF
        return Known(may_be_on=now < off_by, surely_on=now < on_till, off_by=off_by, on_till=on_till)

    def running(self) -> float:
        """What the device says it does now; 0 also where it has said nothing."""
        return self.known or OFF

    def in_grace(self, now: float) -> bool:
        return now < self.grace_until

    def same(self, a: float | None, b: float) -> bool:
        """Whether two values are one to the device. Its 8 bits may come out one step off."""
        if a is None:
            return False
        if self.kind is ActuatorKind.PWM:
            return (a > OFF) == (b > OFF) and abs(a - b) * PWM_STEPS < 1.5
        return normal(self.kind, a) == normal(self.kind, b)

    def directly(self, now: float) -> bool:
        """Whether ON alone brings it to what is wanted: of a PWM or a valve only to full, and only from off."""
        if self.binary:
            return True
        return self.want.value == FULL and (
            self.same(self.known, FULL) or (self.known == OFF and not self.uncertain(now))
        )


# --- effects ------------------------------------------------------------------------------------------------------


@attrs.frozen(slots=True)
class Transmit:
    """Publish the command. Every ON, and every PWM above 0, has passed the gate at this very moment."""

    command: Command
    expires_at: float
    """By the clock: not to be sent after that."""

    @property
    def urgent(self) -> bool:
        """An OFF: not to wait behind anything."""
        return self.command.value == OFF


@attrs.frozen(slots=True)
class Ended:
    """The command has come to its end; `state`, `code` and `message` say to which."""

    command: Command


@attrs.frozen(slots=True)
class Switched:
    """How high an output may be has changed: what accounts are kept by. Comes before the `Transmit` that does it."""

    actuator: ActuatorKey
    value: float
    """At most; 0: it is off for certain."""
    at: float
    found: bool = False
    """It is the first that is known of it, and this process has sent it nothing."""
    undone: bool = False
    """The device has refused to switch it on: it never was."""

    @property
    def on(self) -> bool:
        return self.value > OFF


@attrs.frozen(slots=True)
class Reported:
    """The device says something else of an output than before."""

    actuator: ActuatorKey
    value: float
    before: float | None
    source: str
    """What made it so, in the device's words: `issued_by` of the last command, `firmware:auto_duration`."""


@attrs.frozen(slots=True)
class Held:
    """The gate has refused what was allowed when it was decided: it is not sent, and no longer wanted."""

    actuator: ActuatorKey
    refusal: Refusal


OutputEffect: TypeAlias = Transmit | Ended | Switched | Reported | Held


# --- values -------------------------------------------------------------------------------------------------------


def normal(kind: ActuatorKind, value: float) -> float:
    """What an actuator of that kind makes of a value from 0 to 1. A PWM that would come out at 0 of 255 is off."""
    match kind:
        case ActuatorKind.VALVE:
            return OFF if value < 0.33 else HALF_OPEN if value < 0.66 else FULL
        case ActuatorKind.PWM:
            return value if pwm_step(value) else OFF
        case _:
            return FULL if value >= 0.5 else OFF


def reported_value(kind: ActuatorKind, state: bool, pwm: int | None) -> float:
    """A status as a value. On without saying how high is full."""
    if kind is ActuatorKind.PWM and pwm:
        return min(FULL, pwm / PWM_STEPS)
    if kind is ActuatorKind.VALVE and pwm is not None:
        return normal(kind, pwm / 254)
    return FULL if state else OFF


def output_of(key: ActuatorKey, setup: ActuatorSetup) -> Output:
    """Of an actuator of which nothing is known but its setup."""
    return Output(
        key=key,
        kind=setup.kind,
        inverted=setup.inverted_logic and setup.kind in (ActuatorKind.RELAY, ActuatorKind.PUMP),
        default_on=setup.default_state,
    )


def obeys_lease(generation: Generation | None) -> bool:
    """Whether firmware of that generation ends an ON after its duration. It does so since 2026-03-24."""
    return generation is Generation.APR_2026


def unwatched_s(timing: Timing, setup: ActuatorSetup, view: DeviceView, written_within_s: float) -> float:
    """How long an actuator may have been on after its ledger was written last, seconds: the lost writing of a command
    that came a lease later, its lease and its way. Infinity where nothing ends a run: a PWM or a valve may have been
    left between its value and its lease, and some outputs a device switches by itself.

    Args:
        written_within_s: how long a ledger may wait to be written.
    """
    always_leased = setup.kind in (ActuatorKind.RELAY, ActuatorKind.PUMP) and obeys_lease(view.generation)
    if not always_leased or setup.default_state or setup.gpio in view.self_driven:
        return math.inf
    return 2 * timing.lease_s + timing.late_s + written_within_s


def off_verb(output: Output) -> Verb:
    """The OFF that writes the pin: of an inverted relay the value 0, which the firmware never takes for done."""
    return Verb.PWM if output.inverted else Verb.OFF
