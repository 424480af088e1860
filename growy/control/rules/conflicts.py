"""Rules that work against each other, found before they run. Static: looks at what is written, at no sensor.

A finding that is certain is refused when a rule is written; the others are told to whoever wrote it. What only shows
when rules run - an actuator that goes to and fro - is the guard's business.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from growy.control.rules.findings import Finding, FindingKind, Judged, Want
from growy.control.rules.loops import Coupling, loops
from growy.control.rules.regions import Meeting, meeting
from growy.model.control import OFF, ActuatorKey
from growy.model.rules import Rule

__all__ = ["Coupling", "Finding", "FindingKind", "find"]

SAME_LEVEL = 0.01
"""Outputs that differ by less are no quarrel."""


def find(
    rules: Iterable[Rule], couplings: Sequence[Coupling] = (), *, about: str | None = None
) -> list[Finding]:
    """All findings about the rules that are enabled, certain ones first.

    Args:
        couplings: which actuators move which sensors. Without any no loops are found.
        about: id of a rule: only what concerns it is looked for, which is much less work.
    """
    judged = [Judged(rule) for rule in rules if rule.enabled]
    found = [
        *_never(judged, about),
        *_fights(judged, about),
        *loops(judged, couplings),
        *_duplicates(judged),
    ]
    if about is not None:
        found = [finding for finding in found if about in finding.rules]
    return sorted(found, key=lambda finding: not finding.certain)


def _never(rules: Sequence[Judged], about: str | None) -> Iterator[Finding]:
    for judged in rules:
        if about in (None, judged.rule.id) and not judged.branches:
            yield Finding(
                kind=FindingKind.NEVER,
                rules=(judged.rule.id,),
                certain=True,
                message=f"The conditions of {judged.name} can never hold at once",
                cure="Is OR meant instead of AND?",
            )


def _duplicates(rules: Sequence[Judged]) -> Iterator[Finding]:
    first: dict[object, Judged] = {}
    for judged in rules:
        before = first.setdefault((judged.rule.condition, judged.rule.actions), judged)
        if before is not judged:
            yield Finding(
                kind=FindingKind.DUPLICATE,
                rules=(before.rule.id, judged.rule.id),
                message=f"{judged.name} has the same conditions and actions as {before.name}",
                cure="One of them is enough",
            )


# --- fights over one actuator -------------------------------------------------------------------------------------


def _fights(rules: Sequence[Judged], about: str | None) -> Iterator[Finding]:
    over: dict[ActuatorKey, list[tuple[Judged, Want]]] = defaultdict(list)
    for judged in rules:
        for want in judged.wants:
            over[want.actuator].append((judged, want))
    for wants in over.values():
        worst: dict[frozenset[str], Finding] = {}
        for (a, mine), (b, other) in itertools.combinations(wants, 2):
            ids = frozenset((a.rule.id, b.rule.id))
            if (about is not None and about not in ids) or (ids in worst and worst[ids].certain):
                continue
            fight = _within(a, mine, other) if a is b else _between(a, mine, b, other)
            if fight is not None and (fight.certain or ids not in worst):
                worst[ids] = fight
        yield from worst.values()


def _between(a: Judged, mine: Want, b: Judged, other: Want) -> Finding | None:
    if (mine.rank, a.rule.priority) != (other.rank, b.rule.priority) or not _differ(mine, other):
        return None
    both = meeting(a.branches, b.branches)
    if both is Meeting.NEVER:
        return None
    steady = not any(want.in_sequence or want.after_s for want in (mine, other))
    certain = both is Meeting.SURELY and steady and _opposite(mine, other)
    return Finding(
        kind=FindingKind.FIGHT,
        rules=(a.rule.id, b.rule.id),
        actuator=mine.actuator,
        certain=certain,
        message=f"{a.name} wants {mine.actuator} {mine.word} and {b.name} wants it {other.word}, and they "
        f"{'hold' if certain else 'may hold'} at the same time with the same priority, {a.rule.priority}",
        cure="Give the one that shall win a smaller priority number, or both conditions that rule each other out",
    )


def _within(judged: Judged, first: Want, second: Want) -> Finding | None:
    """One rule that claims the same actuator twice: of equal claims the first in its list goes first, for as long as
    it lives. Steps of a sequence let go of what the step before has switched."""
    if first.in_sequence and second.in_sequence:
        return None
    if first.rank != second.rank or not _opposite(first, second):
        return None
    if first.duration_s and not first.in_sequence and first.duration_s <= second.after_s - first.after_s:
        return None
    overlaps = not (first.in_sequence or second.in_sequence)
    return Finding(
        kind=FindingKind.FIGHT,
        rules=(judged.rule.id,),
        actuator=first.actuator,
        certain=overlaps,
        message=f"{judged.name} wants {first.actuator} {first.word} and {second.word}; what comes first in its list "
        "lasts, and the other has no effect",
        cure="Give the first a duration_seconds, or make it a sequence",
    )


def _opposite(a: Want, b: Want) -> bool:
    """One wants it off, the other on, whatever may be."""
    return a.value is not None and b.value is not None and (a.value == OFF) is not (b.value == OFF)


def _differ(a: Want, b: Want) -> bool:
    """Whether they can want different things."""
    if a.value is not None and b.value is not None:
        return abs(a.value - b.value) > SAME_LEVEL
    return (a.can_be_on and b.can_be_off) or (a.can_be_off and b.can_be_on)
