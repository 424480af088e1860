"""The engine of rules: readings, time and answers in, effects out. Deterministic; no I/O, no clock, no waiting.

Everything happens at its own moment. What was due before an event is done before it, as of when it was due, so that it
does not matter when or how often the engine is woken; a new process that is given what was saved and the readings
since comes to the same claims. A reading costs its own rules and no others.

At the start: set `catching_up`, `put` every rule with what was saved of it, feed readings in order at the moments of
their receipt (those up to `heard_ms` only become samples), clear `catching_up`, `tick`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from growy.control.lookup import Found
from growy.control.rules import editing, executing, state
from growy.control.rules.agenda import Agenda, Shelf
from growy.control.rules.compile import Surroundings, fill
from growy.control.rules.effects import Effect
from growy.control.rules.evaluate import A_MOMENT_S
from growy.control.rules.record import result_of
from growy.control.rules.running import Running, Turn
from growy.control.rules.situation import ConditionResult, RuleSituation, RuleStatistics, situation_of
from growy.control.rules.state import Memory
from growy.control.samples import Samples
from growy.model.control import ActuatorKey, Claim, Command
from growy.model.rules import Rule, SensorRef
from growy.model.time import Moment

__all__ = ["ConditionResult", "RuleEngine", "RuleSituation", "RuleStatistics"]

LATE_S = 60.0
"""What is due longer than that is done once, as of now: a process that slept must not make up for what it missed."""
JUMP_S = 1.0
"""A wall clock that has moved so much against ours has been set."""
SOFT_S = 30.0
"""What readings alone would bring back is given out no more often: each time costs the card a forced write."""
MARK_S = 300.0
"""If nothing changes for so long, one memory is given out all the same: so far back a new process has to read."""
HOLDER = "rule:"


class RuleEngine:
    """All rules. Trio thread only.

    Args:
        samples: the newest values. The engine puts readings into them; nobody else may while it runs.
        series_of: what a reference means.
        max_age_of: seconds after which a series is stale, where a condition does not say.
        place_of: (device, gpio) -> its zone, its subzone; "" for none.
        output_of: what an actuator does as far as is known, 0-1; NaN: nothing is known.
        history: (series, since Unix ms) -> (receipt, value) of good readings, in order. Asked when a rule is put.
        last_execution: the highest id in the history.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        series_of: Callable[[SensorRef], Found],
        max_age_of: Callable[[int], float],
        place_of: Callable[[str, int], tuple[str, str]] = lambda esp_id, gpio: ("", ""),
        output_of: Callable[[ActuatorKey], float] = lambda actuator: math.nan,
        history: Callable[[int, int], Iterable[tuple[int, float]]] = lambda series_id, since_ms: (),
        last_execution: int = 0,
    ) -> None:
        self._samples = samples
        self._around = Surroundings(
            samples, series_of, max_age_of, place_of, output_of, history, last_execution
        )
        self._first_execution = last_execution
        self._rules = Shelf()
        self._disabled: dict[str, Memory] = {}
        self._agenda = Agenda()
        self._changed: dict[str, None] = {}
        self._moment = Moment(-math.inf, 0)
        self._heard_ms = self._contained_ms = 0
        self._asleep: list[Running] = []
        self._newcomers: list[tuple[Running, float]] = []
        self._taken_at = -math.inf
        self._evaluations = self._unreadable = 0
        self.urgent = False
        """Something has changed that readings alone would not bring back. Cleared by `take_changed`."""

    # --- events -------------------------------------------------------------------------------------------------------

    def readings(
        self, series: Sequence[int], values: Sequence[float | None], moment: Moment, received_ms: int = 0
    ) -> list[Effect]:
        """Readings in the order of their receipt; None: it has no value that may be acted upon.

        Args:
            received_ms: receipt of the last of them, Unix ms, where that is not now: they had to be converted first.
        """
        out: list[Effect] = []
        if self.catching_up and moment.wall_ms <= self._contained_ms:
            for series_id, value in zip(series, values, strict=True):
                self._samples.put(series_id, value, moment.clock)
            return out
        moment = self._advance(moment, out)
        self._heard_ms = max(self._heard_ms, received_ms or moment.wall_ms)
        now, wall_ms, put, by_series = moment.clock, moment.wall_ms, self._samples.put, self._rules.by_series
        for series_id, value in zip(series, values, strict=True):
            put(series_id, value, now)
            turn = None
            rules = by_series.get(series_id)
            if rules is None:
                continue
            self._evaluations += len(rules)
            for running in rules:
                if running.from_ms >= wall_ms:
                    continue
                listeners = running.compiled.listeners
                if listeners:
                    for listener in listeners.get(series_id, ()):
                        listener.sampled(now, wall_ms)
                root = running.root
                verdict = root.judge(now, wall_ms)
                if running.watchful or verdict is not running.memory.verdict:
                    if turn is None:
                        turn = Turn(self._around, moment, out, "sensor", series_id)
                    self._turn(running, verdict, turn)
                    continue
                running.evaluated = now
                due = root.due(now, wall_ms)
                if due < running.due:
                    self._agenda.put(running, due)
        return out

    def tick(self, moment: Moment) -> list[Effect]:
        """Time has passed."""
        out: list[Effect] = []
        self._advance(moment, out)
        return out

    def next_due(self) -> float:
        """The clock's time of the next `tick` that could do something; infinity: none."""
        return self._agenda.first()

    def command_ended(self, command: Command, moment: Moment) -> list[Effect]:
        """A command has come to its end. Those that are no rule's are left alone, and renewals."""
        if command.renewal or not command.state.ended:
            return []
        return self.answered(command.holder, command.execution, result_of(command), moment)

    def answered(self, holder: str, execution: str, result: str, moment: Moment) -> list[Effect]:
        """What a claim led to is known without a command: a higher claim won, or the gate refused.

        Args:
            result: a `Result`, with its code behind a colon if there is one.
        """
        rule_id, _, part = holder.removeprefix(HOLDER).partition("/")
        running = self._rules.by_id.get(rule_id)
        if not holder.startswith(HOLDER) or not part or running is None:
            return []
        out: list[Effect] = []
        moment = self._advance(moment, out)
        turn = Turn(self._around, moment, out, "time")
        executing.answered(running, part, result, execution, turn)
        self._judge(running, turn)
        self.urgent = True
        return out

    # --- rules --------------------------------------------------------------------------------------------------------

    def put(self, rule: Rule, moment: Moment, saved: bytes | None = None) -> list[Effect]:
        """A new rule, or another version of one. What is equal in it goes on undisturbed.

        Args:
            saved: what `take_changed` gave last for it, of a rule that is new to this process.
        """
        out: list[Effect] = []
        if not self.catching_up:
            moment = self._advance(moment, out)
            self._heard_ms = self._heard_ms or moment.wall_ms
        self.urgent = True
        old = self._rules.by_id.get(rule.id)
        turn = Turn(self._around, moment, out, "edit")
        found = None if saved is None else state.load(saved, moment)
        self._unreadable += saved is not None and found is None
        if not rule.enabled:
            self._disable(rule, old, turn, found)
            return out
        if old is not None:
            changed = editing.retire(old, rule, turn)
            self._install(rule, old.memory, old, turn, anew=changed)
            return out
        memory = self._disabled.pop(rule.id, None) or Memory(since=moment.clock)
        if found is None:
            memory.actions = editing.prints_of(rule)
            self._install(rule, memory, None, turn)
            return out
        changed = editing.prune(found.memory, rule)
        self._around.sequences += len(found.memory.sequences)
        self._install(rule, found.memory, None, turn, anew=changed, saved=found)
        return out

    def remove(self, rule_id: str, moment: Moment) -> list[Effect]:
        """The rule is gone, and everything that it held."""
        out: list[Effect] = []
        moment = self._advance(moment, out)
        self._disabled.pop(rule_id, None)
        running = self._rules.by_id.get(rule_id)
        if running is not None:
            executing.stop(running, Turn(self._around, moment, out, "edit"))
            self._rules.remove(running)
        self._changed.pop(rule_id, None)
        return out

    def met(self, esp_id: str, moment: Moment) -> list[Effect]:
        """Something about a device's sensors is new: a series or its label, an interval, a place. What rules name is
        looked up anew."""
        out: list[Effect] = []
        if not self.catching_up:
            moment = self._advance(moment, out)
        turn = Turn(self._around, moment, out, "edit")
        for running in self._rules.naming(esp_id):
            self._install(running.rule, running.memory, running, turn)
        return out

    def take_changed(self) -> dict[str, bytes]:
        """Rules whose memory has changed, and that memory; each once. To be written in one transaction: together with
        what was written before, it is the memory of all rules at this moment. Nothing if it can wait."""
        ago = self._moment.clock - self._taken_at
        if math.isinf(self._moment.clock) or (ago < SOFT_S and not self.urgent):
            return {}
        if not self._changed and len(self._rules) and ago >= MARK_S:
            self._changed[next(iter(self._rules)).rule.id] = None
        taken = {}
        for rule_id in self._changed:
            running = self._rules.by_id.get(rule_id)
            memory = self._disabled.get(rule_id) if running is None else running.remembered()
            if memory is not None:
                taken[rule_id] = state.save(memory, self._moment, self._heard_ms)
        if taken:
            self._taken_at = self._moment.clock
        self._changed.clear()
        self.urgent = False
        return taken

    def memory_of(self, rule_id: str) -> bytes | None:
        """What is remembered of a rule now, as `put` takes it: for a trial on a copy."""
        running = self._rules.by_id.get(rule_id)
        return None if running is None else state.save(running.remembered(), self._moment, self._heard_ms)

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    def surroundings(self) -> Surroundings:
        """What its rules ask: for a trial, which only looks."""
        return self._around

    @property
    def catching_up(self) -> bool:
        """What happens has happened before: claims come to life and the history is completed, but nobody is told."""
        return self._around.quiet

    @catching_up.setter
    def catching_up(self, on: bool) -> None:
        self._around.quiet = on
        if not on:
            self._wake()
            newcomers, self._newcomers = self._newcomers, []
            for running, since in newcomers:
                running.from_ms = 0
                if self._rules.by_id.get(running.rule.id) is running:
                    self._agenda.put(running, since)

    @property
    def heard_ms(self) -> int:
        """Receipt of the last reading that the memories contain, Unix ms; 0: none."""
        return self._heard_ms

    def why(self, rule_id: str, moment: Moment) -> RuleSituation:
        """How a rule stands; one that is disabled or unknown here is not running."""
        running = self._rules.by_id.get(rule_id)
        if running is not None:
            return situation_of(running, moment, self._moment)
        waiting = "the rule is disabled" if rule_id in self._disabled else "the rule is not in force"
        return RuleSituation(running=False, waiting=waiting)

    def basis_good(self, claim: Claim, now: float) -> bool:
        """Whether every series that a claim rests on is good, by the ages that its rule allows."""
        running = self._rules.by_id.get(claim.holder.removeprefix(HOLDER).partition("/")[0])
        return not claim.basis if running is None else running.is_good(claim.basis, now)

    def statistics(self) -> RuleStatistics:
        verdicts = [running.memory.verdict for running in self._rules]
        return RuleStatistics(
            rules=len(self._rules) + len(self._disabled),
            enabled=len(self._rules),
            holding=verdicts.count(True),
            unknown=verdicts.count(None),
            sequences=self._around.sequences,
            evaluations=self._evaluations,
            executions=self._around.last_execution - self._first_execution,
            unreadable=self._unreadable,
        )

    # --- turns --------------------------------------------------------------------------------------------------------

    def _advance(self, moment: Moment, out: list[Effect]) -> Moment:
        """Does what was due before the moment. Returns the moment, which is not before the last one."""
        if self._asleep:
            self._wake()
        last = self._moment
        if moment.clock < last.clock:
            moment = last
        elif abs((moment.wall_ms - last.wall_ms) / 1000 - (moment.clock - last.clock)) > JUMP_S:
            self._wall_was_set(moment)
        while (one := self._agenda.take(moment.clock)) is not None:
            at, running = one
            if moment.clock - at > LATE_S and not self.catching_up:
                at = moment.clock
            self._judge(running, Turn(self._around, Moment(at, moment.ms_of(at)), out, "time"))
        self._moment = moment
        return moment

    def _wall_was_set(self, moment: Moment) -> None:
        for running in self._rules:
            if running.timed:
                self._agenda.put(running, moment.clock)

    def _judge(self, running: Running, turn: Turn) -> None:
        self._evaluations += 1
        self._turn(running, running.root.judge(turn.now, turn.moment.wall_ms), turn)

    def _turn(self, running: Running, verdict: bool | None, turn: Turn) -> None:
        """What follows from a judgement of this moment."""
        memory, now, wall_ms = running.memory, turn.now, turn.moment.wall_ms
        executed = memory.count
        executing.step(running, verdict, turn)
        running.evaluated = now
        running.watchful = bool(memory.pids) or (running.shifting and bool(running.claims))
        if memory.count != executed:
            self.urgent = True
        due = min(running.root.due(now, wall_ms), executing.due(running, now, wall_ms))
        # The agenda must not come back to this moment without end.
        self._agenda.put(running, due if due > now else now + A_MOMENT_S)

    # --- in and out ---------------------------------------------------------------------------------------------------

    def _install(
        self,
        rule: Rule,
        memory: Memory,
        old: Running | None,
        turn: Turn,
        *,
        anew: bool = False,
        saved: state.Saved | None = None,
    ) -> None:
        """Compiles a rule with what is remembered of it, and puts it in the place of the old one."""
        moment = turn.moment
        touch = partial(self._changed.__setitem__, rule.id, None)
        heard_ms = moment.wall_ms if saved is None or not self.catching_up else saved.heard_ms
        running = editing.compiled(rule, self._around, memory, old, moment, heard_ms, touch)
        running.anew = anew
        if old is None:
            running.recall(turn)
        else:
            running.claims, running.evaluated = old.claims, old.evaluated
            running.basis = old.basis if running.shifting else running.basis
            running.renew(turn)
            self._rules.remove(old)
        if saved is None or anew:
            touch()
        self._rules.add(running)
        if not self.catching_up:
            self._judge(running, turn)
        elif saved is not None:
            self._asleep.append(running)
            self._moment = max(self._moment, Moment(saved.clock, saved.wall_ms), key=lambda one: one.clock)
            self._heard_ms = self._contained_ms = max(self._heard_ms, saved.heard_ms)
        else:
            running.from_ms = moment.wall_ms
            self._newcomers.append((running, moment.clock))

    def _wake(self) -> None:
        """Restored rules go on from the moment at which they were saved, which is the latest that was saved of any."""
        asleep, self._asleep = self._asleep, []
        for running in asleep:
            for (series_id, _), window in running.compiled.windows.items():
                fill(window, series_id, self._around, self._moment, self._heard_ms)
            if self._rules.by_id.get(running.rule.id) is running:
                self._agenda.put(running, self._moment.clock)

    def _disable(self, rule: Rule, old: Running | None, turn: Turn, saved: state.Saved | None) -> None:
        """Everything is let go of, latches too; cool-down and the count of executions stay."""
        memory = self._disabled.get(rule.id)
        if old is not None:
            executing.stop(old, turn)
            self._rules.remove(old)
            memory = old.memory
        elif memory is None and saved is not None:
            memory = saved.memory
        self._disabled[rule.id] = Memory(since=turn.now) if memory is None else memory.rested(turn.now)
        self._changed[rule.id] = None
