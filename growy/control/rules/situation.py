"""How a rule stands, for people: whether it holds and why, whether it acts, and if it does not, what it waits for.

Looks and changes nothing: the answer is that of the last turn, or of now where nothing can have changed since.
"""

from __future__ import annotations

import math

import attrs

from growy.control.rules import executing
from growy.control.rules.combine import AllEvaluator, AnyOfEvaluator
from growy.control.rules.forms_conditions import CONDITION_TYPES
from growy.control.rules.running import Running
from growy.model.control import Claim
from growy.model.rules import All, AnyOf, Condition
from growy.model.time import Moment

_NAMES: dict[type, str] = {}
for _name, _type in CONDITION_TYPES.items():
    _NAMES.setdefault(_type, _name)


@attrs.frozen(kw_only=True)
class ConditionResult:
    """One condition of the rule's list, judged."""

    condition_index: int
    condition_type: str
    result: bool | None
    """None: unknown."""
    details: str
    actual_value: float | None


@attrs.frozen(kw_only=True)
class RuleSituation:
    """Times are Unix ms; None: never."""

    running: bool
    """The engine has it and it is enabled."""
    holds: bool | None = None
    """None: unknown."""
    since_ms: int | None = None
    """Since when it has been so."""
    evaluated_ms: int | None = None
    executed_ms: int | None = None
    executions: int = 0
    active: bool = False
    """It holds a claim, or an execution of it is under way."""
    waiting: str = ""
    """Why it does nothing, or not yet; "" if it acts."""
    conditions: tuple[ConditionResult, ...] = ()
    claims: tuple[Claim, ...] = ()
    due_ms: int | None = None
    """When it is looked at again, if no reading comes before."""


@attrs.frozen(kw_only=True)
class RuleStatistics:
    rules: int
    enabled: int
    holding: int
    unknown: int
    """Rules with a sensor they cannot do without."""
    sequences: int
    """Under way."""
    evaluations: int
    """Since the start."""
    executions: int
    unreadable: int
    """Memories that could not be read: those rules began anew."""


def situation_of(running: Running, moment: Moment, last: Moment) -> RuleSituation:
    """How it stands.

    Args:
        last: the engine's last event; the rule has been judged up to then.
    """
    memory = running.memory
    # Up to here nothing can have happened to the rule that it does not know: judging it then changes nothing.
    moment = moment if last.clock <= moment.clock < running.due else last
    conditions = _conditions_of(running, moment)
    return RuleSituation(
        running=True,
        holds=memory.verdict,
        since_ms=_ms(memory.since, moment),
        evaluated_ms=_ms(running.evaluated, moment),
        executed_ms=_ms(memory.executed, moment),
        executions=memory.count,
        active=bool(running.claims) or memory.run is not None,
        waiting=_waiting(running, conditions, moment),
        conditions=conditions,
        claims=tuple(running.claims.values()),
        due_ms=_ms(running.due, moment),
    )


def _conditions_of(running: Running, moment: Moment) -> tuple[ConditionResult, ...]:
    """The conditions of the rule's list; a rule of one condition has one."""
    root, condition = running.root, running.rule.condition
    parts, nodes = [root], [condition]
    if isinstance(root, AllEvaluator | AnyOfEvaluator) and isinstance(condition, All | AnyOf):
        parts, nodes = list(root.parts()), list(condition.conditions)
    results = []
    for index, (part, node) in enumerate(zip(parts, nodes, strict=True)):
        verdict = part.judge(moment.clock, moment.wall_ms)
        told = part.explain(moment.clock, moment.wall_ms)
        results.append(
            ConditionResult(
                condition_index=index,
                condition_type=name_of(node),
                result=verdict,
                details=told.details,
                actual_value=told.actual,
            )
        )
    return tuple(results)


def name_of(condition: Condition) -> str:
    """Its type as clients call it."""
    return _NAMES.get(type(condition), _NAMES[All])


def _waiting(running: Running, conditions: tuple[ConditionResult, ...], moment: Moment) -> str:
    memory, rule = running.memory, running.rule
    if memory.verdict is None:
        return "; ".join(one.details for one in conditions if one.result is None) or "not judged yet"
    if not memory.verdict:
        return "; ".join(one.details for one in conditions if not one.result)
    if not memory.owed and not running.repeats:
        return ""
    allowed = executing.allowed_at(running, moment.clock)
    if allowed == math.inf:
        return "its last execution is not over yet" if memory.owed else ""
    if allowed <= moment.clock:
        return ""
    seconds = math.ceil(allowed - moment.clock)
    if memory.executed is not None and allowed > memory.executed + max(
        rule.cooldown_s, executing.LEAST_REST_S
    ):
        return f"has run {rule.max_per_hour} times in the last hour; may run again in {seconds} s"
    return f"cool-down: may run again in {seconds} s"


def _ms(clock: float | None, moment: Moment) -> int | None:
    return None if clock is None or math.isinf(clock) else moment.ms_of(clock)
