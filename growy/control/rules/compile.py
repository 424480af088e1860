"""From a condition as people wrote it to evaluators bound to samples. Done when a rule is written, never per reading.

The table of evaluators is the list of conditions that can run; what may be written is checked against it by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping

import attrs

from growy.control.lookup import Found
from growy.control.rules.combine import AllEvaluator, AnyOfEvaluator, HeldForEvaluator, NotEvaluator
from growy.control.rules.evaluate import (
    AlwaysEvaluator,
    BetweenEvaluator,
    Bound,
    Evaluator,
    FreshnessEvaluator,
    HysteresisEvaluator,
    Listener,
    ThresholdEvaluator,
    TimeWindowEvaluator,
)
from growy.control.rules.slope import Window
from growy.control.rules.state import NodeMemory, print_of
from growy.control.rules.trends import DifferenceEvaluator, RateOfChangeEvaluator
from growy.control.samples import Sample, Samples
from growy.model.control import ActuatorKey
from growy.model.rules import (
    All,
    Always,
    AnyOf,
    Between,
    Condition,
    Difference,
    Freshness,
    HeldFor,
    Hysteresis,
    Not,
    RateOfChange,
    SensorRef,
    Threshold,
    TimeWindow,
)
from growy.model.time import Moment

EVALUATORS: Mapping[type, type[Evaluator]] = {
    Threshold: ThresholdEvaluator,
    Between: BetweenEvaluator,
    Hysteresis: HysteresisEvaluator,
    TimeWindow: TimeWindowEvaluator,
    Difference: DifferenceEvaluator,
    RateOfChange: RateOfChangeEvaluator,
    Freshness: FreshnessEvaluator,
    Always: AlwaysEvaluator,
    All: AllEvaluator,
    AnyOf: AnyOfEvaluator,
    Not: NotEvaluator,
    HeldFor: HeldForEvaluator,
}


@attrs.define(slots=True, eq=False)
class Surroundings:
    """What rules can ask. Asked when a rule is compiled or acts, never to judge one."""

    samples: Samples
    series_of: Callable[[SensorRef], Found]
    max_age_of: Callable[[int], float]
    """Seconds, by series."""
    place_of: Callable[[str, int], tuple[str, str]]
    """Zone of a device, subzone of a sensor of it; "" for none."""
    output_of: Callable[[ActuatorKey], float]
    """What the actuator does as far as is known, 0-1; NaN: nothing is known."""
    history: Callable[[int, int], Iterable[tuple[int, float]]]
    """(series, since Unix ms) -> (receipt Unix ms, value) of its good readings, in order."""
    last_execution: int = 0
    sequences: int = 0
    """How many run, of all rules."""
    quiet: bool = False
    """What happens has happened before: nobody is told again."""


class Compiler:
    """Compiles the condition of one rule, once; afterwards holds what came of it.

    Args:
        before: what is remembered of the rule's conditions. A condition takes over what an equal one left at its place.
        windows: those the rule has, by series and seconds; the same ones go on.
        heard_ms: readings received until then belong into new windows, later ones will come.
        touch: called whenever something changes that is to be remembered.
    """

    def __init__(
        self,
        around: Surroundings,
        before: Mapping[str, NodeMemory],
        windows: Mapping[tuple[int, float], Window],
        moment: Moment,
        heard_ms: int,
        touch: Callable[[], None],
    ) -> None:
        self._around = around
        self._before = before
        self._windows_before = windows
        self._moment = moment
        self._heard_ms = heard_ms
        self.touch = touch
        self.now = moment.clock
        self.nodes: dict[str, NodeMemory] = {}
        self.windows: dict[tuple[int, float], Window] = {}
        self.bounds: list[Bound] = []
        self.listeners: MutableMapping[int, list[Listener]] = {}
        self.timed = False
        """Whether the time of day matters."""
        self.choice = False
        """Whether a true answer may rest on other sensors at other times."""

    def build(self, condition: Condition, path: str = "") -> Evaluator:
        self.timed |= isinstance(condition, TimeWindow)
        self.choice |= isinstance(condition, AnyOf | Not)
        return EVALUATORS[type(condition)](condition, self, path)

    def bind(
        self, sensor: SensorRef, max_age_s: float | None, zone: str | None, subzone: str | None
    ) -> Bound:
        bound = bind(self._around, sensor, max_age_s, zone, subzone)
        self.bounds.append(bound)
        return bound

    def memory(self, condition: Condition, path: str) -> tuple[NodeMemory, bool]:
        mark = print_of(condition)
        known = self._before.get(path)
        new = known is None or known.print != mark
        self.nodes[path] = memory = NodeMemory(print=mark) if known is None or new else known
        return memory, new

    def window(self, bound: Bound, window_s: float) -> Window:
        if bound.series_id is None:
            return Window(window_s)
        key = (bound.series_id, window_s)
        window = self.windows.get(key, self._windows_before.get(key))
        if window is None:
            window = Window(window_s)
            fill(window, bound.series_id, self._around, self._moment, self._heard_ms)
        self.windows[key] = window
        return window

    def listen(self, bound: Bound, listener: Listener) -> None:
        if bound.series_id is not None:
            self.listeners.setdefault(bound.series_id, []).append(listener)


def fill(window: Window, series_id: int, around: Surroundings, moment: Moment, until_ms: int) -> None:
    """Adds to a window what the history has of its time, up to a receipt (Unix ms)."""
    # The window ends with the newest reading, which may be some time ago: what is too old it drops by itself.
    for at_ms, value in around.history(series_id, until_ms - round(2100 * window.window_s)):
        if window.last_ms < at_ms <= until_ms:
            window.add(moment.clock_of(at_ms), at_ms, value)


def bind(
    around: Surroundings, sensor: SensorRef, max_age_s: float | None, zone: str | None, subzone: str | None
) -> Bound:
    """What a reference means now. One that means nothing is bound to a sample that never has a value."""
    found = around.series_of(sensor)
    reason = found.reason or _elsewhere(around, sensor, zone, subzone)
    if found.series_id is None or reason:
        return Bound(sensor, Sample(), 0.0, None, reason or f"{sensor} is not known")
    max_age = around.max_age_of(found.series_id) if max_age_s is None else max_age_s
    series_id = found.series_id
    return Bound(sensor, around.samples.of(series_id), max_age, series_id, basis=frozenset({series_id}))


def _elsewhere(around: Surroundings, sensor: SensorRef, zone: str | None, subzone: str | None) -> str:
    """Why a sensor does not count, where a rule wants it in a certain place; "" if it does."""
    if zone is None and subzone is None:
        return ""
    is_zone, is_subzone = around.place_of(sensor.esp_id, sensor.gpio)
    if zone is not None and is_zone != zone:
        return f"{sensor} is in {f'zone {is_zone}' if is_zone else 'no zone'}, not in zone {zone}"
    if subzone is not None and is_subzone != subzone:
        return f"{sensor} is in {f'subzone {is_subzone}' if is_subzone else 'no subzone'}, not in subzone {subzone}"
    return ""
