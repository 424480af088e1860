"""A house that exists in memory only: the very engine, the very claims and gate, and devices that obey at once. Pure.

Devices are taken as online, approved and set up as they are; what is commanded is done in the same moment, and stays
until the next command. Nobody else claims anything, no emergency stop is in force, and everything begins off and
unknown. An actuator that is not set up is refused, as in the real house.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from growy.control import output_knowledge as knowledge
from growy.control.ledger import Day
from growy.control.lookup import Found
from growy.control.output_state import Switched, Timing
from growy.control.outputs import Outputs
from growy.control.rules.effects import Effect, Hold, Release, ReleaseAll, Result
from growy.control.rules.engine import RuleEngine
from growy.control.rules.running import Running, Turn
from growy.control.rules.thinning import Thinned
from growy.control.rules.trends import RateOfChangeEvaluator
from growy.control.samples import Sample, Samples
from growy.control.switch_effects import Contested, Refused, Satisfied, SwitchEffect
from growy.control.switchboard import Switchboard
from growy.model.control import OFF, ActuatorKey, Claim, DeviceView, Interlock
from growy.model.rules import Rule, SensorRef
from growy.model.time import Moment

LEAST_STEP_S = 0.001
"""Time goes on at least so much between two looks at it."""


@attrs.frozen(kw_only=True)
class Limits:
    """What the gate of a simulated house is told."""

    max_runtime_s: float
    """Of a run where an actuator's setup has none."""
    max_switches: int
    """Within ten minutes, by rules."""
    day_of: Callable[[int], Day]
    """The Pi's local day at a Unix ms."""


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a simulated house takes over from the real one."""

    series_of: Callable[[SensorRef], Found]
    max_age_of: Callable[[int], float]
    place_of: Callable[[str, int], tuple[str, str]]
    views: Sequence[DeviceView] = ()
    interlocks: Sequence[Interlock] = ()
    limits: Limits


class LastingSamples(Samples):
    """Values that are known to stay fresh, though the readings that keep them so are not shown."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh_till = -math.inf
        """Of the value that is put next, by the clock."""

    def put(self, series_id: int, value: float | None, at: float) -> Sample:
        return super().put(series_id, value, self.fresh_till)


class Watcher:
    """Told what happens in a simulated house. Times are the house's clock."""

    def judged(self, rule_id: str, verdict: bool | None, at: float) -> None:
        """A rule holds, does not, or does not know, from now on."""

    def happened(self, effect: Effect | SwitchEffect, at: float) -> None:
        """Anything that the engine or the switchboard wanted."""

    def refused(self, actuator: ActuatorKey, code: str, at: float) -> None:
        """The gate said no to a claim."""


class _WatchedEngine(RuleEngine):
    """Tells of verdicts. Can be told of readings that change nothing but what slopes are made of."""

    watcher: Watcher

    def overheard(self, series_id: int, value: float, moment: Moment) -> None:
        """A good reading of earlier, which was not shown; one that is comes next."""
        sample = self._samples.of(series_id)
        sample.value, sample.failed = value, False
        for running in self._rules.by_series.get(series_id, ()):
            for listener in running.compiled.listeners.get(series_id, ()):
                if isinstance(listener, RateOfChangeEvaluator):
                    listener.sampled(moment.clock, moment.wall_ms)

    def _turn(self, running: Running, verdict: bool | None, turn: Turn) -> None:
        before = running.memory.verdict
        super()._turn(running, verdict, turn)
        if running.memory.verdict is not before:
            self.watcher.judged(running.rule.id, running.memory.verdict, turn.now)


class _Obeying(Outputs):
    """Outputs of devices that do at once what they are told, and go on doing it: nothing is in the air, ever."""

    def act(self, key: ActuatorKey, moment: Moment, *, renew: bool = False) -> knowledge.Effects:
        out: knowledge.Effects = []
        output = self._outputs[key]
        value = OFF if output.want.keep else output.want.value
        if not output.same(output.known, value):
            output.known, output.started, output.armed = value, True, value > OFF
            output.lease_from, output.lease_to = math.inf if value > OFF else -math.inf, math.inf
            knowledge.tell_level(output, moment, out)
        return out

    def due(self, key: ActuatorKey, now: float) -> float:
        return math.inf


class _Board(Switchboard):
    """The switchboard of obeying devices."""

    def __init__(self, limits: Limits, basis_good: Callable[[Claim, float], bool]) -> None:
        timing = Timing(adopt_s=0.0)
        super().__init__(
            timing,
            max_runtime_s=limits.max_runtime_s,
            max_switches=limits.max_switches,
            basis_good=basis_good,
            day_of=limits.day_of,
            prefix="",
        )
        self._outputs = _Obeying(timing, self._permit, "")

    def tick(self, moment: Moment) -> list[SwitchEffect]:
        """Claims and limits end. That a sensor is stale the engine knows at the very moment, and lets go."""
        self._dirty |= dict.fromkeys(key for key, due in self._due.items() if due <= moment.clock)
        return self.settle(moment)

    def _switched(self, effect: Switched, moment: Moment, out: list[SwitchEffect]) -> None:
        super()._switched(effect, moment, out)
        if self._told.refusal(effect.actuator) is not None:
            # That it is off changes what the gate says: from now on it rests.
            self._dirty[effect.actuator] = None


class House:
    """One simulated house.

    Args:
        from_ms: when it begins, Unix ms; its clock begins at 0.
    """

    def __init__(self, around: Surroundings, watcher: Watcher, from_ms: int) -> None:
        self._from_ms = from_ms
        self._watcher = watcher
        self._samples = LastingSamples()
        self._engine = _WatchedEngine(
            self._samples,
            series_of=around.series_of,
            max_age_of=around.max_age_of,
            place_of=around.place_of,
            output_of=self._output_of,
        )
        self._engine.watcher = watcher
        self._board = _Board(around.limits, self._engine.basis_good)
        self._queue: deque[Effect | SwitchEffect] = deque()
        self._now = self._moment_of(0.0)
        self._board_due = math.inf
        for interlock in around.interlocks:
            self._perform(self._board.interlock(interlock, self._now))
        for view in around.views:
            # Actuators that a known device did not have before have never been on.
            for known in (attrs.evolve(view, actuators=()), view):
                self._perform(self._board.device(_obedient(known), self._now))
        self._there = frozenset(self._board.actuators())

    def put(self, rules: Iterable[Rule]) -> None:
        """Rules that are in force from now on."""
        for rule in rules:
            self._perform(self._engine.put(attrs.evolve(rule, enabled=True), self._now))

    # --- time ---------------------------------------------------------------------------------------------------------

    def play(self, thinned: Thinned) -> Iterator[None]:
        """The next readings, in order. Stops for breath after each event."""
        for series_id, until_ms in thinned.lengthened.items():
            self._samples.of(series_id).at = self._clock_of(until_ms)
        readings, next_due, samples = self._engine.readings, self._engine.next_due, self._samples
        partners, belated, from_ms = thinned.partners, thinned.belated, self._from_ms
        for number, (series_id, at_ms, value, fresh_ms) in enumerate(
            zip(thinned.series, thinned.at_ms, thinned.values, thinned.fresh_ms, strict=True)
        ):
            clock = (at_ms - from_ms) / 1000
            if next_due() <= clock or self._board_due <= clock:
                yield from self.pass_until(clock)
            for partner, its in partners.get(number, ()) if partners else ():
                samples.of(partner).value = its
            for before_ms, its in belated.get(number, ()) if belated else ():
                self._engine.overheard(series_id, its, Moment(self._clock_of(before_ms), before_ms))
            samples.fresh_till = (fresh_ms - from_ms) / 1000
            now = self._now = Moment(clock, at_ms)
            effects = readings((series_id,), (value,), now)
            if effects:
                self._perform(effects)
            yield

    def pass_until(self, clock: float) -> Iterator[None]:
        """Time goes on without readings; what is due by then is done when it is due."""
        engine = self._engine
        while (due := min(engine.next_due(), self._board_due)) <= clock:
            now = self._now = self._moment_of(max(due, self._now.clock))
            self._perform(engine.tick(now))
            if self._board_due <= now.clock:
                self._perform(self._board.tick(now))
                self._board_due = max(self._board.next_due(), now.clock + LEAST_STEP_S)
            yield

    def _clock_of(self, ms: int) -> float:
        return (ms - self._from_ms) / 1000

    def _moment_of(self, clock: float) -> Moment:
        return Moment(clock, self._from_ms + round(clock * 1000))

    # --- what follows -------------------------------------------------------------------------------------------------

    def _perform(self, effects: Iterable[Effect | SwitchEffect]) -> None:
        """As `growy.control.performing` does it; the devices obey."""
        queue, now = self._queue, self._now
        queue.extend(effects)
        if not queue:
            return
        while queue:
            effect = queue.popleft()
            self._watcher.happened(effect, now.clock)
            queue.extend(self._follows(effect, now))
        self._board_due = max(self._board.next_due(), now.clock)

    def _follows(self, effect: Effect | SwitchEffect, now: Moment) -> Iterable[Effect | SwitchEffect]:
        board, engine = self._board, self._engine
        match effect:
            case Hold(claim):
                return board.hold(claim, now) if claim.actuator in self._there else self._no_such(claim, now)
            case Release(holder, actuator):
                return board.release(holder, actuator, now)
            case ReleaseAll(prefix):
                return board.release_all(prefix, now)
            case Satisfied(claim):
                return engine.answered(claim.holder, claim.execution, Result.ACKNOWLEDGED, now)
            case Refused(claim, refusal):
                return self._refused(claim, refusal.code.value, now)
            case Contested(_, loser):
                return engine.answered(loser.holder, loser.execution, Result.SUPERSEDED, now)
            case _:
                return ()

    def _no_such(self, claim: Claim, now: Moment) -> list[Effect]:
        refusal = self._board.ask(claim.actuator, claim.value, now)
        return [] if refusal is None else self._refused(claim, refusal.code.value, now)

    def _refused(self, claim: Claim, code: str, now: Moment) -> list[Effect]:
        self._watcher.refused(claim.actuator, code, now.clock)
        return self._engine.answered(claim.holder, claim.execution, f"{Result.REFUSED}:{code}", now)

    def _output_of(self, actuator: ActuatorKey) -> float:
        output = self._board.output(actuator)
        return math.nan if output is None or output.known is None else output.known


def _obedient(view: DeviceView) -> DeviceView:
    """The device as a simulated house has it: there, approved, and without leases, which nobody would see."""
    return attrs.evolve(
        view,
        approved=True,
        online=True,
        ready=True,
        generation=None,
        applied=frozenset(setup.gpio for setup in view.actuators),
        self_driven=frozenset(),
    )
