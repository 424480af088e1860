"""Walks through rules: which sensors they look at, which actuators they drive. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from growy.model.control import ActuatorKey
from growy.model.rules import (
    Action,
    All,
    AnyOf,
    Between,
    Condition,
    Difference,
    Freshness,
    HeldFor,
    Hysteresis,
    Not,
    Notify,
    Photoperiod,
    Pid,
    RateOfChange,
    Rule,
    SensorRef,
    Switch,
    Threshold,
)
from growy.model.rules import Sequence as Steps


def conditions_of(condition: Condition) -> Iterator[Condition]:
    """The condition and all that are nested in it, outer ones first."""
    yield condition
    match condition:
        case All(conditions=inner) | AnyOf(conditions=inner):
            for each in inner:
                yield from conditions_of(each)
        case Not(condition=each) | HeldFor(condition=each):
            yield from conditions_of(each)
        case _:
            pass


def sensors_of(what: Condition | Rule) -> list[SensorRef]:
    """Every sensor that a condition looks at, or a rule in its condition and its actions; in order, each once."""
    if isinstance(what, Rule):
        return list(dict.fromkeys([*sensors_of(what.condition), *(loop.sensor for loop in _loops(what))]))
    found: dict[SensorRef, None] = {}
    for each in conditions_of(what):
        match each:
            case (
                Threshold(sensor=sensor)
                | Between(sensor=sensor)
                | Hysteresis(sensor=sensor)
                | RateOfChange(sensor=sensor)
                | Freshness(sensor=sensor)
            ):
                found[sensor] = None
            case Difference(a=a, b=b):
                found[a] = found[b] = None
            case _:
                pass
    return list(found)


def actions_of(actions: Sequence[Action]) -> Iterator[Switch | Notify | Pid | Photoperiod]:
    """What is done in the end, that of the steps of sequences included."""
    for action in actions:
        if isinstance(action, Steps):
            for step in action.steps:
                if step.action is not None:
                    yield step.action
        elif isinstance(action, Switch | Notify | Pid | Photoperiod):
            yield action


def actuators_of(rule: Rule) -> list[ActuatorKey]:
    """Every actuator that a rule drives, also where it cannot act (its failover actions); in order, each once."""
    return list(
        dict.fromkeys(
            action.actuator
            for action in actions_of([*rule.actions, *_failover(rule)])
            if not isinstance(action, Notify)
        )
    )


def _loops(rule: Rule) -> Iterator[Pid]:
    return (action for action in actions_of(rule.actions) if isinstance(action, Pid))


def _failover(rule: Rule) -> Sequence[Action]:
    actions = (rule.escalation or {}).get("failover_actions", ())
    return actions if isinstance(actions, tuple) else ()
