"""A rule in force: its compiled condition, its memory, and the claims it holds. What it does is `executing`'s business.

A claim of a rule never leaves this module but as an effect, so that what the rule believes to hold and what the claims
of the actuators say is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs

from growy.control.rules.compile import Compiler, Surroundings
from growy.control.rules.effects import ActionOutcome, Effect, Hold, Release, ReleaseAll
from growy.control.rules.evaluate import NEVER, Bound, Evaluator
from growy.control.rules.state import ClaimMemory, Memory
from growy.model.control import OFF, ActuatorKey, Claim, Rank
from growy.model.rules import Action, Delay, Photoperiod, Pid, Rule, Sequence, Switch, SwitchCommand
from growy.model.time import Moment

NEAR = 0.003
"""Outputs that a PWM of 8 bits cannot tell apart."""


class Turn:
    """One event."""

    __slots__ = ("around", "cause", "moment", "now", "out", "series_id")

    def __init__(
        self,
        around: Surroundings,
        moment: Moment,
        out: list[Effect],
        cause: str,
        series_id: int | None = None,
    ) -> None:
        self.around = around
        self.moment = moment
        self.now = moment.clock
        self.out = out
        self.cause = cause
        """`sensor`, `time` (an answer, too) or `edit`."""
        self.series_id = series_id
        """The sensor whose reading it is."""


class Running:
    """One rule. Times are the clock's."""

    __slots__ = (
        "anew",
        "around",
        "basis",
        "bounds",
        "claims",
        "compiled",
        "devices",
        "due",
        "early",
        "evaluated",
        "from_ms",
        "issued_by",
        "memory",
        "only_off",
        "pid_bounds",
        "prefix",
        "repeats",
        "root",
        "rule",
        "shifting",
        "told",
        "touch",
        "watchful",
    )

    def __init__(
        self,
        rule: Rule,
        around: Surroundings,
        memory: Memory,
        compiled: Compiler,
        pid_bounds: dict[int, Bound],
        told: tuple[ActionOutcome, ...],
    ) -> None:
        self.rule = rule
        self.around = around
        self.memory = memory
        self.compiled = compiled
        self.touch = compiled.touch
        """Something has changed that is to be remembered."""
        self.root: Evaluator = compiled.build(rule.condition)
        memory.nodes = compiled.nodes
        self.prefix = f"rule:{rule.id}/"
        self.issued_by = f"rule:{rule.name}"
        self.claims: dict[str, Claim] = {}
        """By action, or step of a sequence; those that have run out are dropped with the next turn."""
        self.basis = self.root.basis
        """Series that its answer rests on."""
        self.pid_bounds = pid_bounds
        """By action."""
        self.bounds: dict[int, Bound] = {
            bound.series_id: bound
            for bound in (*pid_bounds.values(), *compiled.bounds)
            if bound.series_id is not None
        }
        self.devices = {bound.ref.esp_id for bound in (*pid_bounds.values(), *compiled.bounds)}
        """Whose sensors it names, whether they are there or not."""
        switches = [one for one in rule.actions if isinstance(one, Switch)]
        self.only_off = bool(rule.actions) and all(is_off(one) for one in rule.actions)
        """It may act at once, always."""
        self.repeats = any(isinstance(one, Delay | Sequence) for one in rule.actions) or any(
            one.duration_s > 0 for one in switches
        )
        """While it holds it acts again and again."""
        self.told = told
        """Its actions in words, under way."""
        self.early = tuple(_early(rule.actions))
        self.shifting = compiled.choice or (self.repeats and len(self.root.basis) > 1)
        """Whether what its claims rest on can change while its answer does not."""
        self.watchful = False
        """Whether there may be something to do though the answer has not changed."""
        self.anew = False
        """Its list of actions has been changed since the last turn."""
        self.due = NEVER
        self.evaluated = -math.inf
        self.from_ms = 0
        """Of a rule that remembers nothing: what was heard before does not concern it."""

    @property
    def timed(self) -> bool:
        return self.compiled.timed or bool(self.memory.lights)

    def correlation_id(self, number: int) -> str:
        return f"{self.rule.id}-{number}"

    # --- claims -------------------------------------------------------------------------------------------------------

    def hold(
        self,
        turn: Turn,
        part: str,
        action: Switch | Pid | Photoperiod,
        value: float,
        execution: str,
        until: float = math.inf,
    ) -> None:
        """Claims the action's actuator. A claim that says the same already stays as it is."""
        before = self.claims.get(part)
        if (
            before is not None
            and before.value == value
            and before.until == until
            and before.actuator == action.actuator
        ):
            return
        claim = Claim(
            actuator=action.actuator,
            holder=self.prefix + part,
            rank=rank_of(self.rule, action, value),
            value=value,
            priority=self.rule.priority,
            since=turn.now,
            until=until,
            basis=self._basis_of(part),
            issued_by=self.issued_by,
            execution=execution,
        )
        self.claims[part] = claim
        turn.out.append(Hold(claim))
        self.touch()

    def release(self, turn: Turn, part: str) -> None:
        """Lets go of it, if it is held."""
        claim = self.claims.pop(part, None)
        if claim is None:
            return
        if claim.until > turn.now:
            turn.out.append(Release(claim.holder, claim.actuator))
        self.touch()

    def release_all(self, turn: Turn) -> None:
        if self.claims:
            self.claims.clear()
            turn.out.append(ReleaseAll(self.prefix))
            self.touch()

    def drop_expired(self, now: float) -> None:
        """Forgets the claims that have run out."""
        if not self.claims:
            return
        over = [part for part, claim in self.claims.items() if claim.until <= now]
        for part in over:
            del self.claims[part]
            self.touch()

    def rest(self, turn: Turn) -> None:
        """Says what the claims rest on, if that has changed."""
        basis = self.root.support(turn.now, turn.moment.wall_ms)
        if basis != self.basis:
            self.basis = basis
            self.renew(turn)

    def is_good(self, basis: frozenset[int], now: float) -> bool:
        """Whether all of these series are good, by the ages that the rule allows."""
        bounds = self.bounds
        return all(
            series_id in bounds and bounds[series_id].sample.good(now, bounds[series_id].max_age_s)
            for series_id in basis
        )

    def renew(self, turn: Turn) -> None:
        """Says those claims again that say something else now: the rule was edited, or rests on other sensors."""
        for part, claim in self.claims.items():
            action = self._action_of(part)
            said = attrs.evolve(
                claim,
                rank=rank_of(self.rule, action, claim.value),
                priority=self.rule.priority,
                basis=self._basis_of(part),
                issued_by=self.issued_by,
            )
            if said != claim:
                self.claims[part] = said
                turn.out.append(Hold(said))

    def _basis_of(self, part: str) -> frozenset[int]:
        bound = self.pid_bounds.get(int(part)) if "." not in part else None
        return self.basis if bound is None else self.basis | bound.basis

    def _action_of(self, part: str) -> Switch | Pid | Photoperiod:
        index, _, step = part.partition(".")
        action = self.rule.actions[int(index)]
        if isinstance(action, Sequence):
            within = action.steps[int(step)].action
            assert isinstance(within, Switch)
            return within
        assert isinstance(action, Switch | Pid | Photoperiod)
        return action

    # --- memory -------------------------------------------------------------------------------------------------------

    def remembered(self) -> Memory:
        """The memory with everything in it."""
        self.memory.claims = {
            part: ClaimMemory(
                esp_id=claim.actuator.esp_id,
                gpio=claim.actuator.gpio,
                value=claim.value,
                since=claim.since,
                until=None if claim.until == math.inf else claim.until,
                execution=claim.execution,
            )
            for part, claim in self.claims.items()
        }
        return self.memory

    def recall(self, turn: Turn) -> None:
        """Holds again what the memory says it held."""
        for part, one in self.memory.claims.items():
            action = self._action_of(part)
            claim = Claim(
                actuator=ActuatorKey(one.esp_id, one.gpio),
                holder=self.prefix + part,
                rank=rank_of(self.rule, action, one.value),
                value=one.value,
                priority=self.rule.priority,
                since=one.since,
                until=math.inf if one.until is None else one.until,
                basis=self._basis_of(part),
                issued_by=self.issued_by,
                execution=one.execution,
            )
            self.claims[part] = claim
            turn.out.append(Hold(claim))

    # --- for people ---------------------------------------------------------------------------------------------------

    def trigger(self, turn: Turn) -> dict[str, object]:
        """What made it act: the reading that came, or else the first of its sensors that has a good value."""
        said: dict[str, object] = {"type": turn.cause, "timestamp": turn.moment.wall_ms // 1000}
        bound = self.bounds.get(turn.series_id) if turn.series_id is not None else None
        if bound is None:
            good = (one for one in self.compiled.bounds if one.sample.good(turn.now, one.max_age_s))
            bound = next(good, None)
        if bound is not None:
            said["esp_id"], said["gpio"] = bound.ref.esp_id, bound.ref.gpio
            said["sensor_type"] = bound.ref.sensor_type or ""
            if bound.sample.good(turn.now, bound.max_age_s):
                said["sensor_value"] = bound.sample.value
        return said


def rank_of(rule: Rule, action: Switch | Pid | Photoperiod, value: float) -> Rank:
    if not (rule.is_critical or action.critical):
        return Rank.RULE
    return Rank.SAFETY if value == OFF else Rank.CRITICAL


def is_off(action: Action) -> bool:
    """Whether it switches off, whatever may be."""
    if not isinstance(action, Switch):
        return False
    return action.command is SwitchCommand.OFF or (
        action.command is SwitchCommand.PWM and action.value == OFF
    )


def is_so(around: Surroundings, actuator: ActuatorKey, value: float) -> bool:
    """Whether the actuator is known to do that."""
    return abs(around.output_of(actuator) - value) <= NEAR


def _early(actions: tuple[Action, ...]) -> Iterator[int]:
    """Those that switch off and do not come after a delay."""
    for index, action in enumerate(actions):
        if isinstance(action, Delay):
            return
        if is_off(action):
            yield index
