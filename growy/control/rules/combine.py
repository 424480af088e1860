"""Conditions of conditions: and, or, not (Kleene's three values), and held for a while.

Every part is judged every time, even where the answer stands already: latches and counters must go on.
"""

from __future__ import annotations

from growy.control.rules.evaluate import NEVER, NOTHING, Builder, Evaluator, Explanation
from growy.model.rules import All, AnyOf, HeldFor, Not

A_HAIR_S = 1e-6
"""What has been held for so much less has been held for long enough: on the clock of another process the same times add
up differently, and a rule that held when its memory was saved must hold when it goes on from there."""


class _Several(Evaluator):
    """What and and or have in common. They differ in the answer that one part alone can decide."""

    __slots__ = ("_parts", "basis")
    _decides: bool

    def __init__(self, node: All | AnyOf, builder: Builder, path: str) -> None:
        self._parts = tuple(
            builder.build(part, f"{path}/{index}") for index, part in enumerate(node.conditions)
        )
        self.basis = NOTHING.union(*(part.basis for part in self._parts))

    def due(self, now: float, wall_ms: int) -> float:
        first = NEVER
        for part in self._parts:
            due = part.due(now, wall_ms)
            if due < first:
                first = due
        return first

    def support(self, now: float, wall_ms: int) -> frozenset[int]:
        """Of one part, if it decides; of all that have an answer, if they all agree."""
        found = NOTHING
        for part in self._parts:
            verdict = part.judge(now, wall_ms)
            if verdict is self._decides:
                return part.support(now, wall_ms)
            if verdict is not None:
                found |= part.support(now, wall_ms)
        return found

    def parts(self) -> tuple[Evaluator, ...]:
        return self._parts

    def explain(self, now: float, wall_ms: int) -> Explanation:
        verdicts = [part.judge(now, wall_ms) for part in self._parts]
        told = f"{verdicts.count(True)} of {len(verdicts)} hold"
        unknown = verdicts.count(None)
        reasons = [
            part.explain(now, wall_ms).details
            for part, one in zip(self._parts, verdicts, strict=True)
            if not one
        ]
        return Explanation("; ".join([told + (f", {unknown} unknown" if unknown else ""), *reasons]))


class AllEvaluator(_Several):
    __slots__ = ()
    _decides = False

    def judge(self, now: float, wall_ms: int) -> bool | None:
        verdict: bool | None = True
        for part in self._parts:
            one = part.judge(now, wall_ms)
            if one is False:
                verdict = False
            elif one is None and verdict is True:
                verdict = None
        return verdict


class AnyOfEvaluator(_Several):
    __slots__ = ()
    _decides = True

    def judge(self, now: float, wall_ms: int) -> bool | None:
        verdict: bool | None = False
        for part in self._parts:
            one = part.judge(now, wall_ms)
            if one is True:
                verdict = True
            elif one is None and verdict is False:
                verdict = None
        return verdict


class NotEvaluator(Evaluator):
    __slots__ = ("_part", "basis")

    def __init__(self, node: Not, builder: Builder, path: str) -> None:
        self._part = builder.build(node.condition, f"{path}/0")
        self.basis = self._part.basis

    def judge(self, now: float, wall_ms: int) -> bool | None:
        verdict = self._part.judge(now, wall_ms)
        return None if verdict is None else not verdict

    def due(self, now: float, wall_ms: int) -> float:
        return self._part.due(now, wall_ms)

    def support(self, now: float, wall_ms: int) -> frozenset[int]:
        return self._part.support(now, wall_ms)

    def explain(self, now: float, wall_ms: int) -> Explanation:
        part = self._part.explain(now, wall_ms)
        return Explanation(f"not: {part.details}", part.actual)


class HeldForEvaluator(Evaluator):
    """Counts from when its condition became true; false and unknown are a break."""

    __slots__ = ("_memory", "_part", "_seconds", "_touch", "basis")

    def __init__(self, node: HeldFor, builder: Builder, path: str) -> None:
        self._part = builder.build(node.condition, f"{path}/0")
        self._seconds = node.seconds
        self.basis = self._part.basis
        self._memory, _ = builder.memory(node, path)
        self._touch = builder.touch

    def judge(self, now: float, wall_ms: int) -> bool | None:
        verdict = self._part.judge(now, wall_ms)
        memory = self._memory
        if verdict is not True:
            if memory.since is not None:
                memory.since = None
                self._touch()
            return verdict
        if memory.since is None:
            memory.since = now
            self._touch()
        return now >= memory.since + self._seconds - A_HAIR_S

    def due(self, now: float, wall_ms: int) -> float:
        due = self._part.due(now, wall_ms)
        since = self._memory.since
        if since is None or now >= since + self._seconds - A_HAIR_S:
            return due
        return min(due, since + self._seconds)

    def support(self, now: float, wall_ms: int) -> frozenset[int]:
        return self._part.support(now, wall_ms)

    def explain(self, now: float, wall_ms: int) -> Explanation:
        self.judge(now, wall_ms)
        part, since = self._part.explain(now, wall_ms), self._memory.since
        if since is None:
            return Explanation(f"for {self._seconds:g} s: {part.details}", part.actual)
        return Explanation(f"for {now - since:.0f} of {self._seconds:g} s: {part.details}", part.actual)
