"""What can be found of rules before they run, and what each rule wants of which actuator. Values, no judgement."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from functools import cached_property

import attrs

from growy.control.rules.regions import Branch, branches
from growy.control.rules.walk import sensors_of
from growy.model.control import OFF, ActuatorKey, Rank
from growy.model.rules import Delay, Photoperiod, Pid, Rule, SensorRef, Sequence, Switch, SwitchCommand


class FindingKind(enum.StrEnum):
    FIGHT = "fight"
    """Two want opposite things of one actuator, and neither goes first."""
    LOOP = "loop"
    """What one does makes another work against it."""
    DUPLICATE = "duplicate"
    NEVER = "never"
    """A condition that contradicts itself."""


@attrs.frozen(kw_only=True, slots=True)
class Finding:
    kind: FindingKind
    rules: tuple[str, ...]
    """Their ids."""
    actuator: ActuatorKey | None = None
    certain: bool = False
    """It needs nothing unusual to happen; else it may."""
    message: str
    """One sentence that names the rules."""
    cure: str = ""


@attrs.frozen(kw_only=True, eq=False)
class Want:
    """What one action of a rule wants of an actuator."""

    actuator: ActuatorKey
    rank: Rank
    """Of its claim."""
    value: float | None
    """0-1; None: that depends (a toggle, a control loop, a light)."""
    duration_s: float = 0.0
    after_s: float = 0.0
    """Delays before it in the rule."""
    in_sequence: bool = False
    loop: Pid | None = None

    @property
    def can_be_on(self) -> bool:
        return self.value is None or self.value > OFF

    @property
    def can_be_off(self) -> bool:
        return self.value is None or self.value == OFF

    @property
    def word(self) -> str:
        if self.value is None:
            return "now on, now off"
        return "off" if self.value == OFF else "on" if self.value == 1.0 else f"at {100 * self.value:.0f} %"


@attrs.frozen(eq=False)
class Judged:
    """A rule with what follows from it; worked out when it is asked for."""

    rule: Rule

    @cached_property
    def wants(self) -> tuple[Want, ...]:
        return tuple(_wants(self.rule))

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        return branches(self.rule.condition)

    @cached_property
    def sensors(self) -> tuple[SensorRef, ...]:
        return tuple(sensors_of(self.rule))

    @property
    def name(self) -> str:
        return repr(self.rule.name)


def _wants(rule: Rule) -> Iterator[Want]:
    after_s = 0.0
    for action in rule.actions:
        match action:
            case Delay(seconds=seconds):
                after_s += seconds
            case Switch():
                yield _want(rule, action, after_s=after_s)
            case Sequence(steps=steps):
                for step in steps:
                    if isinstance(step.action, Switch):
                        yield _want(rule, step.action, in_sequence=True)
            case Pid() | Photoperiod():
                yield Want(
                    actuator=action.actuator,
                    rank=_rank(rule, action.critical, None),
                    value=None,
                    after_s=after_s,
                    loop=action if isinstance(action, Pid) else None,
                )
            case _:
                pass


def _want(rule: Rule, switch: Switch, *, after_s: float = 0.0, in_sequence: bool = False) -> Want:
    value = None if switch.command is SwitchCommand.TOGGLE else switch.value
    return Want(
        actuator=switch.actuator,
        rank=_rank(rule, switch.critical, value),
        value=value,
        duration_s=switch.duration_s,
        after_s=after_s,
        in_sequence=in_sequence,
    )


def _rank(rule: Rule, critical: bool, value: float | None) -> Rank:
    if not (rule.is_critical or critical):
        return Rank.RULE
    return Rank.SAFETY if value == OFF else Rank.CRITICAL
