"""What a rule does with its condition's answer: begin, go on, let go. One turn of one rule; everything in effects.

An execution is one pass through the list of actions. Once begun it is carried through, while the answer is known: a
pulse, a delay, a sequence do not end because the condition has turned false. What lasts as long as the rule holds - a
level, a PID loop, a photoperiod - ends with it. When the answer is unknown, everything ends at once.
"""

from __future__ import annotations

import math

from growy.control.rules import record, regulating, sequences
from growy.control.rules.effects import Result
from growy.control.rules.evaluate import NEVER
from growy.control.rules.running import Running, Turn, is_so
from growy.control.rules.state import HOUR_S, RunMemory
from growy.control.rules.switching import post, value_of
from growy.model.control import OFF, Claim
from growy.model.rules import Action, Delay, Notify, Photoperiod, Pid, Sequence, Switch

ANSWER_S = 30.0
"""So long the history waits for what became of a command. Control itself gives up sooner, and says so."""
LEAST_REST_S = 1.0
"""Between two executions of a rule that goes on holding: one without cool-down must not run without end."""


def step(running: Running, verdict: bool | None, turn: Turn) -> None:
    """One turn.

    Args:
        verdict: what the condition says now.
    """
    memory, anew = running.memory, running.anew
    running.anew = False
    running.drop_expired(turn.now)
    if verdict is not memory.verdict:
        anew = True
        memory.verdict, memory.since = verdict, turn.now
        running.touch()
        if verdict is None:
            stop(running, turn)
        elif verdict:
            memory.owed = True
        else:
            _fall(running, turn)
    if verdict is not None and running.shifting:
        running.rest(turn)
    _go_on(running, turn)
    if verdict and (memory.owed or running.repeats):
        allowed = allowed_at(running, turn.now) <= turn.now
        if not allowed and memory.owed and anew and running.early:
            _switch_off_early(running, turn)
            # It may have taken the place of the pulse that was waited for.
            allowed = allowed_at(running, turn.now) <= turn.now
        if allowed:
            _begin(running, turn)
    if memory.run is not None and memory.run.told and not _runs(running, turn.now):
        memory.run = None
        running.touch()


def stop(running: Running, turn: Turn, result: Result = Result.SUPERSEDED) -> None:
    """Lets go of everything: unknown, switched off, or gone."""
    memory = running.memory
    sequences.cancel(running, turn)
    memory.lights.clear()
    memory.pids.clear()
    running.release_all(turn)
    record.give_up(running, turn, result)
    memory.run, memory.owed = None, False
    running.touch()


def due(running: Running, now: float, wall_ms: int) -> float:
    """When there is something to do though no reading comes and the condition's answer stays."""
    memory, run, first = running.memory, running.memory.run, NEVER
    if memory.sequences:
        first = sequences.due(running)
    if memory.lights or memory.pids:
        first = min(first, regulating.due(running, now, wall_ms))
    if run is not None:
        first = min(first, NEVER if run.resume is None else run.resume, *run.answers_due.values())
    for claim in running.claims.values():
        first = min(first, claim.until)
    if memory.verdict and (memory.owed or running.repeats):
        first = min(first, allowed_at(running, now))
    return first


def answered(running: Running, part: str, result: str, execution: str, turn: Turn) -> None:
    """What a claim led to is known.

    Args:
        part: of the rule that holds the claim: an action, or a step of a sequence.
        execution: that the claim was made by.
    """
    index, _, number = part.partition(".")
    action = int(index)
    if number:
        sequence = running.memory.sequences.get(action)
        if sequence is None or sequence.execution != execution:
            return
        ended = sequences.answered(running, action, int(number), result, turn)
        if ended:
            record.settle(running, action, ended, turn, execution)
        return
    run = running.memory.run
    claim = running.claims.get(part)
    mine = claim is not None and claim.execution == execution
    if run is not None and action in run.answers_due and (mine or execution == run.correlation_id):
        record.settle(running, action, result, turn)


def allowed_at(running: Running, now: float) -> float:
    """From when on the rule may be executed; infinity: when its last run is over."""
    memory, rule = running.memory, running.rule
    if running.only_off and memory.owed:
        return now
    if _runs(running, now):
        return NEVER
    first = -math.inf
    if memory.executed is not None:
        rest_s = rule.cooldown_s if memory.owed else max(rule.cooldown_s, LEAST_REST_S)
        first = memory.executed + rest_s
    if rule.max_per_hour is not None and len(memory.recent) >= rule.max_per_hour:
        first = max(first, memory.recent[-rule.max_per_hour] + HOUR_S)
    return first


def _runs(running: Running, now: float) -> bool:
    """Whether the last run is not over: a delay, a sequence or a pulse of it goes on."""
    memory, run = running.memory, running.memory.run
    if memory.sequences:
        return True
    if run is None:
        return False
    return run.resume is not None or any(
        now < claim.until < math.inf and claim.execution == run.correlation_id
        for claim in running.claims.values()
    )


# --- beginning ----------------------------------------------------------------------------------------------------


def _begin(running: Running, turn: Turn) -> None:
    memory = running.memory
    record.give_up(running, turn, Result.UNKNOWN)
    memory.executed, memory.owed = turn.now, False
    memory.recent = [at for at in memory.recent if at > turn.now - HOUR_S]
    if running.rule.max_per_hour is not None:
        memory.recent.append(turn.now)
    _run_on(running, record.begin(running, turn), turn)


def _run_on(running: Running, run: RunMemory, turn: Turn) -> None:
    """The list, from where it stands to its end or to a delay."""
    actions = running.rule.actions
    while run.place < len(actions) and run.resume is None:
        index, run.place = run.place, run.place + 1
        _perform(running, index, actions[index], run, turn)


def _perform(running: Running, index: int, action: Action, run: RunMemory, turn: Turn) -> None:
    result = ""
    match action:
        case Switch():
            result = _switch(running, index, action, run, turn)
        case Notify():
            post(running, action, turn, run.trigger)
            result = Result.ACKNOWLEDGED
        case Delay():
            run.resume = turn.now + action.seconds
            running.touch()
        case Sequence():
            result = sequences.start(running, index, action, run, turn)
        case Pid() | Photoperiod() if running.memory.verdict:
            # What becomes of its many commands stands in the history of the actuator.
            regulating.start(running, index, action, run.correlation_id, turn)
            result = Result.ACKNOWLEDGED
        case _:
            result = Result.SKIPPED
    if result:
        record.settle(running, index, result, turn)


def _switch(running: Running, index: int, action: Switch, run: RunMemory, turn: Turn) -> str:
    if not action.duration_s and not running.memory.verdict:
        return Result.SKIPPED
    value = value_of(action, running.around)
    _claim(running, index, action, value, run.correlation_id, turn)
    if is_so(running.around, action.actuator, value):
        return Result.ACKNOWLEDGED
    run.answers_due[index] = turn.now + ANSWER_S
    return ""


def _claim(running: Running, index: int, action: Switch, value: float, execution: str, turn: Turn) -> None:
    until = turn.now + action.duration_s if action.duration_s else math.inf
    running.hold(turn, str(index), action, value, execution, until)


def _switch_off_early(running: Running, turn: Turn) -> None:
    """What switches off does not wait until the rule may be executed."""
    upcoming = running.correlation_id(running.memory.count + 1)
    for index in running.early:
        action = running.rule.actions[index]
        assert isinstance(action, Switch)
        _claim(running, index, action, OFF, upcoming, turn)


# --- going on -----------------------------------------------------------------------------------------------------


def _go_on(running: Running, turn: Turn) -> None:
    memory = running.memory
    for index in tuple(memory.sequences) if memory.sequences else ():
        execution = memory.sequences[index].execution
        ended = sequences.go_on(running, index, turn)
        if ended:
            record.settle(running, index, ended, turn, execution)
    if memory.lights or memory.pids:
        regulating.go_on(running, turn)
    run = memory.run
    if run is None:
        return
    if run.resume is not None and turn.now >= run.resume:
        run.resume = None
        record.settle(running, run.place - 1, Result.ACKNOWLEDGED, turn)
        _run_on(running, run, turn)
    for index in [index for index, until in run.answers_due.items() if turn.now >= until]:
        claim = running.claims.get(str(index))
        done = claim is not None and is_so(running.around, claim.actuator, claim.value)
        record.settle(running, index, Result.ACKNOWLEDGED if done else Result.UNKNOWN, turn)


# --- ending -------------------------------------------------------------------------------------------------------


def _fall(running: Running, turn: Turn) -> None:
    """The condition has turned false: what lasts as long as it holds is over."""
    memory, run = running.memory, running.memory.run
    memory.owed = False
    if memory.lights or memory.pids:
        regulating.stop(running, turn)
    for part in [part for part, claim in running.claims.items() if _is_level(part, claim)]:
        running.release(turn, part)
        if run is not None and int(part) in run.answers_due:
            record.settle(running, int(part), Result.SUPERSEDED, turn)
    if (
        run is not None
        and run.resume is not None
        and not any(map(_carries_through, running.rule.actions[run.place :]))
    ):
        # Nothing is left that could be done while the rule does not hold.
        run.resume = None
        run.place = len(running.rule.actions)
        for index, known in enumerate(run.results):
            if not known and index not in run.answers_due and index not in memory.sequences:
                record.settle(running, index, Result.SKIPPED, turn)


def _is_level(part: str, claim: Claim) -> bool:
    return "." not in part and claim.until == math.inf


def _carries_through(action: Action) -> bool:
    match action:
        case Switch():
            return action.duration_s > 0
        case Notify() | Sequence():
            return True
        case _:
            return False
