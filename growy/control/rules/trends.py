"""Conditions on more than one reading: the difference of two sensors, and how fast one rises."""

from __future__ import annotations

from growy.control.rules.evaluate import (
    A_MOMENT_S,
    COMPARE,
    NEVER,
    Builder,
    Evaluator,
    Explanation,
)
from growy.model.rules import Difference, RateOfChange


class DifferenceEvaluator(Evaluator):
    """b - a. Counts samples of either sensor that agree in a row, one by one as they come."""

    __slots__ = ("_a", "_b", "_compare", "_memory", "_node", "_touch", "basis")

    def __init__(self, node: Difference, builder: Builder, path: str) -> None:
        self._node = node
        self._a = builder.bind(node.a, node.max_age_s, None, None)
        self._b = builder.bind(node.b, node.max_age_s, None, None)
        self._compare = COMPARE[node.operator]
        self.basis = self._a.basis | self._b.basis
        self._touch = builder.touch
        self._memory, new = builder.memory(node, path)
        builder.listen(self._a, self)
        if self._b.series_id != self._a.series_id:
            builder.listen(self._b, self)
        if new:
            # What both sensors say at the moment is the first sample of the row.
            self._count(builder.now)

    def judge(self, now: float, wall_ms: int) -> bool | None:
        if not self._good(now):
            return None
        return self._memory.count >= self._node.consecutive

    def sampled(self, now: float, wall_ms: int) -> None:
        self._count(now)

    def _count(self, now: float) -> None:
        memory, before = self._memory, self._memory.count
        if not self._good(now) or not self._compare(self._difference(), self._node.value):
            memory.count = 0
        elif before < self._node.consecutive:
            memory.count = before + 1
        if memory.count != before:
            self._touch()

    def _good(self, now: float) -> bool:
        a, b = self._a, self._b
        return a.sample.good(now, a.max_age_s) and b.sample.good(now, b.max_age_s)

    def _difference(self) -> float:
        return self._b.sample.value - self._a.sample.value

    def due(self, now: float, wall_ms: int) -> float:
        if not self._good(now):
            return NEVER
        a, b = self._a, self._b
        return min(a.sample.at + a.max_age_s, b.sample.at + b.max_age_s) + A_MOMENT_S

    def explain(self, now: float, wall_ms: int) -> Explanation:
        trouble = self._a.trouble(now) or self._b.trouble(now)
        if trouble:
            return Explanation(trouble)
        node, difference = self._node, self._difference()
        details = f"{node.b} - {node.a} is {difference:g}, wanted {node.operator} {node.value:g}"
        if node.consecutive > 1:
            details += f", {self._memory.count} of {node.consecutive} samples in a row"
        return Explanation(details, difference)


class RateOfChangeEvaluator(Evaluator):
    __slots__ = ("_bound", "_compare", "_node", "_window", "basis")

    def __init__(self, node: RateOfChange, builder: Builder, path: str) -> None:
        self._node = node
        self._bound = builder.bind(node.sensor, node.max_age_s, None, None)
        self._compare = COMPARE[node.operator]
        self.basis = self._bound.basis
        self._window = builder.window(self._bound, node.window_s)
        builder.listen(self._bound, self)

    def judge(self, now: float, wall_ms: int) -> bool | None:
        slope = self._window.per_min()
        if slope is None or not self._bound.sample.good(now, self._bound.max_age_s):
            return None
        return self._compare(slope, self._node.per_min)

    def sampled(self, now: float, wall_ms: int) -> None:
        sample = self._bound.sample
        if not sample.failed:
            self._window.add(now, wall_ms, sample.value)

    def due(self, now: float, wall_ms: int) -> float:
        bound = self._bound
        if not bound.sample.good(now, bound.max_age_s):
            return NEVER
        return bound.sample.at + bound.max_age_s + A_MOMENT_S

    def explain(self, now: float, wall_ms: int) -> Explanation:
        trouble = self._bound.trouble(now)
        if trouble:
            return Explanation(trouble)
        node, slope = self._node, self._window.per_min()
        if slope is None:
            return Explanation(f"{node.sensor} has too few readings in {node.window_s:g} s for a slope")
        return Explanation(
            f"{node.sensor} changes by {slope:.4g} per minute, wanted {node.operator} {node.per_min:g}", slope
        )
