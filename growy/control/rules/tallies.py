"""Counts what happens in a simulated house: when rules held and acted, how long actuators ran, what was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import attrs

from growy.control.output_state import Switched
from growy.control.rules.effects import Effect, Execution, Hold, Release, ReleaseAll
from growy.control.rules.simulation import Watcher
from growy.control.switch_effects import SwitchEffect
from growy.model.control import OFF, ActuatorKey
from growy.model.rules import Rule


@attrs.define(slots=True, eq=False)
class RuleTally:
    """Of one rule, seconds of the house's clock."""

    verdict: bool | None = None
    since: float = 0.0
    held_s: float = 0.0
    unknown_s: float = 0.0
    executions: int = 0
    firings: list[tuple[float, float]] = attrs.field(factory=list)
    begun: float | None = None
    """Of the firing that is under way, or was last."""
    over: float = 0.0
    open: dict[str, float] = attrs.field(factory=dict)
    """Claims that live, and when each ends by itself."""

    def judged(self, verdict: bool | None, at: float) -> None:
        if self.verdict is True:
            self.held_s += at - self.since
        elif self.verdict is None:
            self.unknown_s += at - self.since
        self.verdict, self.since = verdict, at

    def fired(self, at: float, most: int) -> None:
        """An execution has begun; the firing of the one before is over, whatever of it goes on."""
        self.executions += 1
        self._close(at, most)
        self.begun = self.over = at

    def held(self, holder: str, until: float) -> None:
        self.open[holder] = until

    def released(self, holder: str, at: float) -> None:
        until = self.open.pop(holder, None)
        if until is not None:
            self.over = max(self.over, min(until, at))

    def end(self, at: float, most: int) -> None:
        """It is all over."""
        self.judged(None, at)
        self._close(at, most)

    def _close(self, at: float, most: int) -> None:
        for holder, until in tuple(self.open.items()):
            self.over = max(self.over, min(until, at))
            if until <= at:
                del self.open[holder]
        if self.begun is not None and len(self.firings) < most:
            self.firings.append((self.begun, self.over))


@attrs.define(slots=True, eq=False)
class ActuatorTally:
    on_since: float | None = None
    on_s: float = 0.0
    cycles: int = 0
    refusals: Counter[str] = attrs.field(factory=Counter)

    def switched(self, on: bool, at: float) -> None:
        if on and self.on_since is None:
            self.on_since, self.cycles = at, self.cycles + 1
        elif not on and self.on_since is not None:
            self.on_s += at - self.on_since
            self.on_since = None


class Tallies(Watcher):
    """Counts. Keeps of each rule at most `most` firings."""

    def __init__(self, rules: Iterable[Rule], most: int) -> None:
        self._most = most
        self.rules = {rule.id: RuleTally() for rule in rules}
        self.actuators: dict[ActuatorKey, ActuatorTally] = {}

    def judged(self, rule_id: str, verdict: bool | None, at: float) -> None:
        self.rules[rule_id].judged(verdict, at)

    def refused(self, actuator: ActuatorKey, code: str, at: float) -> None:
        self._actuator(actuator).refusals[code] += 1

    def happened(self, effect: Effect | SwitchEffect, at: float) -> None:
        match effect:
            case Hold(claim):
                self._actuator(claim.actuator)
                self._of(claim.holder).held(claim.holder, claim.until)
            case Release(holder, _):
                self._of(holder).released(holder, at)
            case ReleaseAll(prefix):
                tally = self._of(prefix)
                for holder in tuple(tally.open):
                    tally.released(holder, at)
            case Execution(rule_id=rule_id, ended_ms=None):
                self.rules[rule_id].fired(at, self._most)
            case Execution(rule_id=rule_id):
                self.rules[rule_id].over = max(self.rules[rule_id].over, at)
            case Switched(actuator=actuator, value=value) if value > OFF or actuator in self.actuators:
                self._actuator(actuator).switched(value > OFF, at)
            case _:
                pass

    def end(self, at: float) -> None:
        """The time is over."""
        for rule in self.rules.values():
            rule.end(at, self._most)
        for actuator in self.actuators.values():
            actuator.switched(False, at)

    def _of(self, holder: str) -> RuleTally:
        return self.rules[holder.removeprefix("rule:").partition("/")[0]]

    def _actuator(self, key: ActuatorKey) -> ActuatorTally:
        tally = self.actuators.get(key)
        if tally is None:
            tally = self.actuators[key] = ActuatorTally()
        return tally
