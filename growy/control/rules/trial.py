"""Tries a rule: would it act now, at another time of day, or if its sensors said something else? By the very engine.

The engine is a fresh one, with a copy of what is remembered of the rule (latches, timers, cool-down) and of the newest
values of its sensors. Nothing of it is shared with the engine that runs the house, and nothing is switched. A sensor
without a value is unknown here as there; it is never 0.

What time it shall be changes what the clock on the wall shows and nothing else: windows and lights. Values do not grow
older by it, and neither do cool-downs nor timers go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import attrs

from growy.control.claims import order_of
from growy.control.lookup import Found
from growy.control.rules import record, state
from growy.control.rules.compile import Surroundings
from growy.control.rules.effects import Effect, Execution
from growy.control.rules.engine import RuleEngine
from growy.control.rules.forms_actions import ACTION_TYPES
from growy.control.rules.mocking import meant
from growy.control.rules.situation import ConditionResult, RuleSituation
from growy.control.rules.texts import render
from growy.control.rules.walk import sensors_of
from growy.control.samples import Samples
from growy.model.control import OFF, ActuatorKey, Claim, Refusal
from growy.model.rules import Action, Delay, Notify, Rule, SensorRef, Sequence, Switch
from growy.model.time import Moment

TRIED_S = 10.0
"""How long a trial that is not dry does what has no end of its own."""
HOLDER = "trial:"

_NAMES: dict[type, str] = {}
for _name, _type in ACTION_TYPES.items():
    _NAMES.setdefault(_type, _name)


@attrs.frozen(kw_only=True)
class ActionResult:
    """One action of the rule's list."""

    index: int
    type: str
    """As clients call it."""
    would_execute: bool
    """The rule would do it, or does it, and nothing is in its way."""
    details: str


@attrs.frozen(kw_only=True)
class Trial:
    """What came of it."""

    would_trigger: bool
    """The rule holds. Whether it acts at once, its actions say: it may have to wait for its cool-down."""
    conditions: tuple[ConditionResult, ...]
    actions: tuple[ActionResult, ...]
    dry_run: bool = True
    claims: tuple[Claim, ...] = ()
    """Of those actions that would be done."""


@attrs.frozen(kw_only=True)
class Gate:
    """What stands between a rule and its actuators."""

    ask: Callable[[ActuatorKey, float], Refusal | None]
    """The safety gate."""
    winner: Callable[[ActuatorKey], Claim | None] = lambda actuator: None
    """The highest claim on an actuator now."""


def trial(
    rule: Rule,
    memory: bytes | None,
    around: Surroundings,
    gate: Gate,
    *,
    mocks: Mapping[str, float],
    moment: Moment,
    at_ms: int | None = None,
) -> Trial:
    """Tries a rule; one that is disabled as if it were not.

    Args:
        memory: what the engine remembers of it (`RuleEngine.memory_of`); None: nothing.
        around: what rules ask; only looked at.
        mocks: as `mocking.meant` takes them. Each counts as a reading that comes now.
        moment: now.
        at_ms: what time it shall be, Unix ms; None: now.

    Raises:
        Invalid: a mock names no sensor of the rule, or could mean two.
    """
    then = moment if at_ms is None else Moment(moment.clock, at_ms)
    sensors = sensors_of(rule)
    made_up = meant(mocks, sensors)
    found = _found(sensors, made_up, around)
    values = {
        series_id: value for ref, value in made_up.items() if (series_id := found[ref].series_id) is not None
    }
    samples = _copied(found, values, around, then)
    engine = RuleEngine(
        samples,
        series_of=found.__getitem__,
        # A sensor that has never sent anything, and has a made-up value: nobody knows how often it would.
        max_age_of=lambda series_id: math.inf if series_id < 0 else around.max_age_of(series_id),
        place_of=around.place_of,
        output_of=around.output_of,
        history=_History(around, values, moment, then),
    )
    effects = engine.put(attrs.evolve(rule, enabled=True), then, _moved(memory, moment, then))
    if memory is not None and values:
        # A rule that is new has counted what its sensors say already.
        effects += engine.readings(list(values), list(values.values()), then)
    situation = engine.why(rule.id, then)
    looked = _Outcome(rule, situation, effects, gate, then)
    actions = tuple(looked.of(index, action) for index, action in enumerate(rule.actions))
    done = {one.index for one in actions if one.would_execute}
    return Trial(
        would_trigger=situation.holds is True,
        conditions=situation.conditions,
        actions=actions,
        claims=tuple(claim for index, claim in looked.claims.items() if index in done),
    )


def carried_out(tried: Trial, rule: Rule, *, by: str, execution: str, moment: Moment) -> list[Claim]:
    """The claims of a trial that is not dry: what the rule would switch, for the time that it says, but for `TRIED_S`
    where it would be for as long as it holds.

    They are a person's doing under the rule's rank: what would go before the rule goes before its trial, and the safety
    gate judges it as anything else. They rest on no sensor, whose values may be made up; so each has an end. They do
    not outlive a restart.
    """
    claims = []
    for claim in tried.claims:
        _, _, part = claim.holder.partition("/")
        action = rule.actions[int(part)]
        lasts_s = action.duration_s if isinstance(action, Switch) and action.duration_s else TRIED_S
        claims.append(
            attrs.evolve(
                claim,
                holder=f"{HOLDER}{rule.id}/{part}",
                since=moment.clock,
                until=moment.clock + lasts_s,
                basis=frozenset(),
                issued_by=by,
                execution=execution,
            )
        )
    return claims


# --- the world of a trial -----------------------------------------------------------------------------------------


def _found(
    sensors: list[SensorRef], made_up: Mapping[SensorRef, float], around: Surroundings
) -> dict[SensorRef, Found]:
    """What each sensor means. One that has never sent anything can have a value all the same, if it is made up."""
    found = {ref: around.series_of(ref) for ref in sensors}
    for number, ref in enumerate(made_up):
        if found[ref].series_id is None:
            found[ref] = Found(-1 - number)
    return found


def _copied(
    found: Mapping[SensorRef, Found], values: Mapping[int, float], around: Surroundings, then: Moment
) -> Samples:
    samples = Samples()
    for one in found.values():
        series_id = one.series_id
        if series_id is None:
            continue
        if series_id in values:
            samples.put(series_id, values[series_id], then.clock)
            continue
        live, copy = around.samples.of(series_id), samples.of(series_id)
        copy.value, copy.at, copy.failed = live.value, live.at, live.failed
    return samples


def _moved(memory: bytes | None, moment: Moment, then: Moment) -> bytes | None:
    """The memory, with all its times as far from `then` as they are from now."""
    if memory is None:
        return None
    found = state.load(memory, moment)
    return None if found is None else state.save(found.memory, then, then.wall_ms)


class _History:
    """The readings of the last while, as they would stand on the wall of the trial; what is made up is the last one."""

    def __init__(
        self, around: Surroundings, values: Mapping[int, float], moment: Moment, then: Moment
    ) -> None:
        self._around = around
        self._values = values
        self._then_ms = then.wall_ms
        self._ahead_ms = then.wall_ms - moment.wall_ms

    def __call__(self, series_id: int, since_ms: int) -> list[tuple[int, float]]:
        made_up = self._values.get(series_id)
        stored = [] if series_id < 0 else list(self._around.history(series_id, since_ms - self._ahead_ms))
        found = [(at_ms + self._ahead_ms, value) for at_ms, value in stored]
        return found if made_up is None else [*found, (self._then_ms, made_up)]


# --- what would be done -------------------------------------------------------------------------------------------


class _Outcome:
    """Says of each action what would become of it."""

    def __init__(
        self, rule: Rule, situation: RuleSituation, effects: list[Effect], gate: Gate, then: Moment
    ) -> None:
        self._rule = rule
        self._situation = situation
        self._gate = gate
        self._then = then
        self._begun = next((one for one in effects if isinstance(one, Execution)), None)
        self._prefix = f"rule:{rule.id}/"
        self.claims = {
            int(part): claim
            for claim in situation.claims
            if "." not in (part := claim.holder.removeprefix(self._prefix))
        }
        """By action; those of sequences are left out."""
        delays = [index for index, action in enumerate(rule.actions) if isinstance(action, Delay)]
        self._first_delay = delays[0] if delays else len(rule.actions)

    def of(self, index: int, action: Action) -> ActionResult:
        would, details = self._judged(index, action)
        return ActionResult(
            index=index,
            type=_NAMES[type(action)],
            would_execute=would,
            details=f"{record.told(action)}: {details}",
        )

    def _judged(self, index: int, action: Action) -> tuple[bool, str]:
        situation, claim = self._situation, self.claims.get(index)
        if not situation.holds:
            if claim is not None:
                return False, f"it was executed before and goes on for {self._left_s(claim):.0f} s"
            return (
                False,
                "the rule does not hold" if situation.holds is False else "whether the rule holds is unknown",
            )
        if claim is not None:
            return self._claimed(claim)
        if self._begun is None:
            return False, situation.waiting or self._idle(action)
        if index > self._first_delay:
            return self._later(index, action)
        match action:
            case Notify():
                return True, render(action.template, {**self._begun.trigger, **self._named()})
            case Delay():
                return True, "what follows comes so much later"
            case Sequence():
                return self._sequence(action)
            case _:
                return False, "its sensor has no value that may be acted upon"

    def _claimed(self, claim: Claim) -> tuple[bool, str]:
        in_the_way = self._in_the_way(claim.actuator, claim.value)
        if in_the_way:
            return False, in_the_way
        other = self._gate.winner(claim.actuator)
        if (
            other is not None
            and not other.holder.startswith((self._prefix, HOLDER))
            and (order_of(other) < order_of(claim))
        ):
            return False, f"{other.issued_by or other.holder} goes before it"
        lasts = "" if claim.until == float("inf") else f" for {self._left_s(claim):.0f} s"
        return True, f"{'off' if claim.value == OFF else f'on, at {claim.value:g}'}{lasts}"

    def _in_the_way(self, actuator: ActuatorKey, value: float) -> str:
        """The gate's no, as far as it knows now; "" if it has nothing against it."""
        refusal = self._gate.ask(actuator, value)
        if refusal is None:
            return ""
        return f"the safety gate says no, {refusal.code}: {refusal.message}" + (
            f". {refusal.cure}" if refusal.cure else ""
        )

    def _sequence(self, action: Sequence) -> tuple[bool, str]:
        told = [f"{len(action.steps)} steps"]
        for number, step in enumerate(action.steps, 1):
            if isinstance(step.action, Switch):
                no = self._in_the_way(step.action.actuator, step.action.value)
                told += [f"step {number}, as things are now: {no}"] if no else []
        return True, "; ".join(told)

    def _later(self, index: int, action: Action) -> tuple[bool, str]:
        seconds = sum(one.seconds for one in self._rule.actions[:index] if isinstance(one, Delay))
        carries_through = isinstance(action, Notify | Sequence | Delay) or (
            isinstance(action, Switch) and action.duration_s > 0
        )
        unless = "" if carries_through else ", if the rule still holds then"
        return True, f"{seconds:g} s later{unless}"

    def _idle(self, action: Action) -> str:
        if isinstance(action, Switch | Sequence) and self._situation.active:
            return "its turn in the execution that is under way is over, or yet to come"
        return "it was done when the rule began to hold"

    def _named(self) -> dict[str, object]:
        return {"rule_name": self._rule.name, "rule_id": self._rule.id}

    def _left_s(self, claim: Claim) -> float:
        return claim.until - self._then.clock
