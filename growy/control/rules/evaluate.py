"""Conditions at work: each judges true, false or unknown from memory, and says when its answer may change by itself.

One object per condition of a rule, bound to its samples, so that a judgement is a few attribute accesses. Judging twice
at one moment gives one answer and changes nothing the second time. Never asks the database, a clock, or another rule.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, overload

import attrs

from growy.control.rules import windows
from growy.control.rules.slope import Window
from growy.control.rules.state import NodeMemory
from growy.control.samples import Sample
from growy.model.rules import (
    Always,
    Between,
    Condition,
    Freshness,
    Hysteresis,
    Operator,
    SensorRef,
    Threshold,
    TimeWindow,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NEVER = math.inf
A_MOMENT_S = 0.001
"""A value is good until its time is over, and stale a moment after."""
NOTHING: frozenset[int] = frozenset()


class Compare(Protocol):
    """Of one value, or of many at once."""

    @overload
    def __call__(self, a: float, b: float, /) -> bool: ...
    @overload
    def __call__(self, a: npt.NDArray[np.float64], b: float, /) -> npt.NDArray[np.bool_]: ...


COMPARE: Mapping[Operator, Compare] = {
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
}


@attrs.frozen(slots=True, eq=False)
class Bound:
    """A sensor that a rule names, as it is understood now."""

    ref: SensorRef
    sample: Sample
    """Of no series, one that never has a value."""
    max_age_s: float
    series_id: int | None
    reason: str = ""
    """Why there is no series."""
    basis: frozenset[int] = NOTHING

    def trouble(self, now: float) -> str:
        """Why it has no value that may be acted upon; "" if it has."""
        sample = self.sample
        if self.series_id is None:
            return self.reason
        if sample.at == -math.inf:
            return f"{self.ref} has not had a good value yet"
        if now - sample.at > self.max_age_s:
            ago, limit = now - sample.at, self.max_age_s
            return (
                f"{self.ref} is stale: its last good value came {ago:.0f} s ago, the limit is {limit:.0f} s"
            )
        return f"{self.ref}: its newest reading is an error or suspect" if sample.failed else ""


@attrs.frozen(slots=True)
class Explanation:
    """A judgement, for people."""

    details: str
    actual: float | None = None
    """The number that was judged."""


class Builder(Protocol):
    """What evaluators are made with: `growy.control.rules.compile.Compiler`."""

    now: float
    touch: Callable[[], None]
    """A memory has changed. Kept, and called later."""

    def build(self, condition: Condition, path: str) -> Evaluator: ...

    def bind(
        self, sensor: SensorRef, max_age_s: float | None, zone: str | None, subzone: str | None
    ) -> Bound: ...

    def memory(self, condition: Condition, path: str) -> tuple[NodeMemory, bool]:
        """What is remembered of it, and whether that is new."""

    def window(self, bound: Bound, window_s: float) -> Window: ...

    def listen(self, bound: Bound, listener: Listener) -> None:
        """It wants to be told of every sample."""


class Listener(Protocol):
    def sampled(self, now: float, wall_ms: int) -> None: ...


class Evaluator(ABC):
    """One condition of one rule."""

    __slots__ = ()
    basis: frozenset[int]
    """Series without which it is unknown."""

    @abstractmethod
    def __init__(self, node: Condition, builder: Builder, path: str) -> None: ...

    @abstractmethod
    def judge(self, now: float, wall_ms: int) -> bool | None:
        """Whether it holds; None: unknown."""

    def due(self, now: float, wall_ms: int) -> float:
        """When the answer may change without a reading. Asked after `judge`, of the same moment."""
        return NEVER

    def support(self, now: float, wall_ms: int) -> frozenset[int]:
        """The series that the answer rests on: as long as these are good, it is not unknown."""
        return self.basis

    @abstractmethod
    def explain(self, now: float, wall_ms: int) -> Explanation:
        """Why it holds, or why not, for a person."""


class SensorEvaluator(Evaluator):
    """What those have in common that look at one sensor."""

    __slots__ = ("_bound", "_max_age", "_sample", "basis")

    def __init__(
        self,
        node: Threshold | Between | Hysteresis,
        builder: Builder,
        path: str,
    ) -> None:
        self._take(builder.bind(node.sensor, node.max_age_s, node.zone_id, node.subzone_id))

    def _take(self, bound: Bound) -> None:
        self._bound = bound
        self._sample, self._max_age, self.basis = bound.sample, bound.max_age_s, bound.basis

    def due(self, now: float, wall_ms: int) -> float:
        sample = self._sample
        if sample.failed or now - sample.at > self._max_age:
            return NEVER
        return sample.at + self._max_age + A_MOMENT_S

    def explain(self, now: float, wall_ms: int) -> Explanation:
        trouble = self._bound.trouble(now)
        if trouble:
            return Explanation(trouble)
        value = self._sample.value
        return Explanation(f"{self._bound.ref} is {value:g}, {self._wanted(value)}", value)

    @abstractmethod
    def _wanted(self, value: float) -> str:
        """What would make it hold."""


class ThresholdEvaluator(SensorEvaluator):
    __slots__ = ("_compare", "_node", "_value")

    def __init__(self, node: Threshold, builder: Builder, path: str) -> None:
        super().__init__(node, builder, path)
        self._node = node
        self._compare, self._value = COMPARE[node.operator], node.value

    def judge(self, now: float, wall_ms: int) -> bool | None:
        sample = self._sample
        if sample.failed or now - sample.at > self._max_age:
            return None
        return self._compare(sample.value, self._value)

    def _wanted(self, value: float) -> str:
        return f"wanted {self._node.operator} {self._node.value:g}"


class BetweenEvaluator(SensorEvaluator):
    __slots__ = ("_high", "_low")

    def __init__(self, node: Between, builder: Builder, path: str) -> None:
        super().__init__(node, builder, path)
        self._low, self._high = node.low, node.high

    def judge(self, now: float, wall_ms: int) -> bool | None:
        sample = self._sample
        if sample.failed or now - sample.at > self._max_age:
            return None
        return self._low <= sample.value <= self._high

    def _wanted(self, value: float) -> str:
        return f"wanted {self._low:g} to {self._high:g}"


class HysteresisEvaluator(SensorEvaluator):
    """Thresholds that are not given lie where no value is."""

    __slots__ = ("_memory", "_node", "_off_above", "_off_below", "_on_above", "_on_below", "_touch")

    def __init__(self, node: Hysteresis, builder: Builder, path: str) -> None:
        super().__init__(node, builder, path)
        self._node = node
        self._on_above = math.inf if node.on_above is None else node.on_above
        self._off_above = math.inf if node.off_above is None else node.off_above
        self._on_below = -math.inf if node.on_below is None else node.on_below
        self._off_below = -math.inf if node.off_below is None else node.off_below
        self._memory, _ = builder.memory(node, path)
        self._touch = builder.touch

    def judge(self, now: float, wall_ms: int) -> bool | None:
        sample = self._sample
        if sample.failed or now - sample.at > self._max_age:
            return None
        value = sample.value
        if value > self._on_above or value < self._on_below:
            on = True
        elif value < self._off_below or value > self._off_above:
            on = False
        else:
            return self._memory.latch
        if on is not self._memory.latch:
            self._memory.latch = on
            self._touch()
        return on

    def _wanted(self, value: float) -> str:
        node = self._node
        on = f"above {node.on_above:g}" if node.on_above is not None else f"below {self._on_below:g}"
        off = f"above {node.off_above:g}" if node.off_above is not None else f"below {self._off_below:g}"
        return f"on {on}, off {off}; it is {'on' if self._memory.latch else 'off'}"


class FreshnessEvaluator(Evaluator):
    """Never unknown: a sensor that is not there is not fresh."""

    __slots__ = ("_bound", "_stale", "basis")

    def __init__(self, node: Freshness, builder: Builder, path: str) -> None:
        self._bound = builder.bind(node.sensor, node.max_age_s, None, None)
        self._stale = node.stale
        # What rests on a sensor being away must not end because it is. The opposite ends by itself.
        self.basis = NOTHING

    def judge(self, now: float, wall_ms: int) -> bool | None:
        return self._bound.sample.good(now, self._bound.max_age_s) is not self._stale

    def due(self, now: float, wall_ms: int) -> float:
        bound = self._bound
        return (
            bound.sample.at + bound.max_age_s + A_MOMENT_S
            if bound.sample.good(now, bound.max_age_s)
            else NEVER
        )

    def explain(self, now: float, wall_ms: int) -> Explanation:
        trouble = self._bound.trouble(now)
        if trouble:
            return Explanation(trouble)
        age = now - self._bound.sample.at
        return Explanation(f"{self._bound.ref} had a good value {age:.0f} s ago", self._bound.sample.value)


class TimeWindowEvaluator(Evaluator):
    """Remembers its answer for as long as it is sure to stand, by the wall, which may jump both ways."""

    __slots__ = ("_answer", "_from", "_until", "_window", "basis")

    def __init__(self, node: TimeWindow, builder: Builder, path: str) -> None:
        self._window = node
        self._from = self._until = 0
        self._answer = False
        self.basis = NOTHING

    def judge(self, now: float, wall_ms: int) -> bool | None:
        if not self._from <= wall_ms < self._until:
            self._answer = windows.inside(self._window, wall_ms)
            self._from, self._until = wall_ms, windows.next_change(self._window, wall_ms)
        return self._answer

    def due(self, now: float, wall_ms: int) -> float:
        return now + (self._until - wall_ms) / 1000

    def explain(self, now: float, wall_ms: int) -> Explanation:
        window = self._window
        start, end = (f"{at // 60:02}:{at % 60:02}" for at in (window.start_min, window.end_min))
        state = "open" if windows.inside(window, wall_ms) else "closed"
        return Explanation(f"{start}-{end} {window.timezone} is {state}")


class AlwaysEvaluator(Evaluator):
    __slots__ = ("basis",)

    def __init__(self, node: Always, builder: Builder, path: str) -> None:
        self.basis = NOTHING

    def judge(self, now: float, wall_ms: int) -> bool | None:
        return True

    def explain(self, now: float, wall_ms: int) -> Explanation:
        return Explanation("always")
