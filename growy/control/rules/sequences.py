"""Sequences: steps one after the other, each waiting for its device. A table of where each stands; nobody blocks.

A sequence is over when its last step is done and what was switched on for a time has run out; then it lets go of what
it still holds. A step that fails lets go of its actuator at once: it must not begin to run when its time is past.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from growy.control.rules.effects import Happened, Result
from growy.control.rules.evaluate import NEVER
from growy.control.rules.running import Running, Turn, is_so
from growy.control.rules.state import Phase, RunMemory, SequenceMemory
from growy.control.rules.switching import post, value_of
from growy.model.rules import Notify, Sequence, Step, Switch

MOST = 20
"""Sequences that run at once, of all rules."""


def start(running: Running, index: int, action: Sequence, run: RunMemory, turn: Turn) -> str:
    """Begins it. Returns what became of it if it is over already, "" if it runs."""
    around = running.around
    if around.sequences >= MOST:
        details = {"message": f"{MOST} sequences run already", "error_code": "TOO_MANY_SEQUENCES"}
        _say(running, index, "sequence_error", turn, run.correlation_id, 0, **details)
        return f"{Result.REFUSED}:TOO_MANY_SEQUENCES"
    around.sequences += 1
    sequence = SequenceMemory(execution=run.correlation_id, begun=turn.now, until=turn.now)
    running.memory.sequences[index] = sequence
    running.touch()
    _say(running, index, "sequence_started", turn, sequence.execution, 0)
    _enter(running, index, sequence, 0, turn)
    return go_on(running, index, turn)


def go_on(running: Running, index: int, turn: Turn) -> str:
    """Does all that is due. Returns what became of it if it is over now, "" if it runs on."""
    sequence = running.memory.sequences[index]
    action = _action(running, index)
    while True:
        if turn.now >= sequence.begun + action.max_duration_s:
            return _abort(running, index, turn, f"{Result.UNKNOWN}:SEQUENCE_TOO_LONG")
        if turn.now < sequence.until:
            return ""
        step = action.steps[sequence.step]
        running.touch()
        match sequence.phase:
            case Phase.BEFORE | Phase.AGAIN:
                _act(running, index, sequence, step, turn)
            case Phase.ACTING if isinstance(step.action, Switch):
                # Nobody answered. What is known of the actuator may tell all the same.
                claim = running.claims.get(f"{index}.{sequence.step}")
                done = claim is not None and is_so(running.around, claim.actuator, claim.value)
                over = _judge(running, index, Result.ACKNOWLEDGED if done else Result.UNKNOWN, turn)
                if over:
                    return over
            case Phase.ACTING:
                _done(running, index, sequence, step, turn)
            case Phase.AFTER if sequence.step + 1 < len(action.steps):
                _enter(running, index, sequence, sequence.step + 1, turn)
            case Phase.AFTER:
                sequence.phase, sequence.until = Phase.ENDING, _runs_out(running, index, turn)
            case Phase.ENDING:
                return _finish(running, index, turn)


def answered(running: Running, index: int, number: int, result: str, turn: Turn) -> str:
    """The command of a step has come to its end. Returns as `go_on`."""
    sequence = running.memory.sequences.get(index)
    if sequence is None or sequence.step != number or sequence.phase is not Phase.ACTING:
        return ""
    return _judge(running, index, result, turn) or go_on(running, index, turn)


def cancel(running: Running, turn: Turn, but: Collection[int] = ()) -> None:
    """Sequences of the rule are over, wherever they stand. Their claims are the caller's to release.

    Args:
        but: those of these actions go on.
    """
    memory = running.memory
    for index, sequence in memory.sequences.items():
        if index in but:
            continue
        running.around.sequences -= 1
        details = {"message": "the rule is off, or no longer knows what it acts upon"}
        _say(running, index, "sequence_cancelled", turn, sequence.execution, sequence.step, **details)
    memory.sequences = {index: one for index, one in memory.sequences.items() if index in but}


def due(running: Running) -> float:
    """When the first of them has something to do."""
    first = NEVER
    for index, sequence in running.memory.sequences.items():
        first = min(first, sequence.until, sequence.begun + _action(running, index).max_duration_s)
    return first


# --- steps --------------------------------------------------------------------------------------------------------


def _enter(running: Running, index: int, sequence: SequenceMemory, number: int, turn: Turn) -> None:
    step = _action(running, index).steps[number]
    sequence.step, sequence.attempt = number, 0
    sequence.phase, sequence.until = Phase.BEFORE, turn.now + step.before_s
    _say_step(running, index, sequence, "starting", turn)


def _act(running: Running, index: int, sequence: SequenceMemory, step: Step, turn: Turn) -> None:
    sequence.phase = Phase.ACTING
    match step.action:
        case Switch() as switch:
            value = value_of(switch, running.around)
            # What an earlier step of this sequence wanted of the same actuator is over.
            part = f"{index}.{sequence.step}"
            before = [
                one for one in _parts(running, index) if running.claims[one].actuator == switch.actuator
            ]
            until = turn.now + switch.duration_s if switch.duration_s else math.inf
            running.hold(turn, part, switch, value, sequence.execution, until)
            for one in before:
                if one != part:
                    running.release(turn, one)
            known = is_so(running.around, switch.actuator, value)
            if known:
                _done(running, index, sequence, step, turn)
            else:
                sequence.until = turn.now + step.timeout_s
        case Notify() as notify:
            post(running, notify, turn, running.trigger(turn))
            _done(running, index, sequence, step, turn)
        case None:
            sequence.until = turn.now + step.delay_s


def _judge(running: Running, index: int, result: str, turn: Turn) -> str:
    """The end of a step's command: on, again, or no further."""
    sequence = running.memory.sequences[index]
    step = _action(running, index).steps[sequence.step]
    running.touch()
    if result == Result.ACKNOWLEDGED:
        _done(running, index, sequence, step, turn)
        return ""
    running.release(turn, f"{index}.{sequence.step}")
    if sequence.attempt < step.retries:
        sequence.attempt += 1
        sequence.phase, sequence.until = Phase.AGAIN, turn.now + step.retry_delay_s
        return ""
    sequence.failure = sequence.failure or result
    _say_step(running, index, sequence, "failed", turn, result=result)
    if step.abort_on_failure:
        return _abort(running, index, turn, result)
    sequence.phase, sequence.until = Phase.AFTER, turn.now + step.after_s
    return ""


def _done(running: Running, index: int, sequence: SequenceMemory, step: Step, turn: Turn) -> None:
    sequence.phase, sequence.until = Phase.AFTER, turn.now + step.after_s
    _say_step(running, index, sequence, "completed", turn)


# --- ends ---------------------------------------------------------------------------------------------------------


def _runs_out(running: Running, index: int, turn: Turn) -> float:
    """When the last of what was switched on for a time is over."""
    untils = (running.claims[part].until for part in _parts(running, index))
    return max((until for until in untils if until != math.inf), default=turn.now)


def _finish(running: Running, index: int, turn: Turn) -> str:
    sequence = running.memory.sequences[index]
    details = {"success": not sequence.failure, "duration_seconds": round(turn.now - sequence.begun, 3)}
    _say(running, index, "sequence_completed", turn, sequence.execution, sequence.step, **details)
    return _over(running, index, turn, sequence.failure or Result.ACKNOWLEDGED)


def _abort(running: Running, index: int, turn: Turn, result: str) -> str:
    sequence = running.memory.sequences[index]
    code = result.partition(":")[2] or "SEQUENCE_STEP_FAILED"
    details = {"message": f"given up: {result}", "error_code": code}
    _say(running, index, "sequence_error", turn, sequence.execution, sequence.step, **details)
    return _over(running, index, turn, result)


def _over(running: Running, index: int, turn: Turn, result: str) -> str:
    for part in _parts(running, index):
        running.release(turn, part)
    del running.memory.sequences[index]
    running.around.sequences -= 1
    running.touch()
    return result


def _parts(running: Running, index: int) -> list[str]:
    return [part for part in running.claims if part.startswith(f"{index}.")]


def _action(running: Running, index: int) -> Sequence:
    action = running.rule.actions[index]
    assert isinstance(action, Sequence)
    return action


# --- events -------------------------------------------------------------------------------------------------------


def _say_step(
    running: Running, index: int, sequence: SequenceMemory, status: str, turn: Turn, **details: object
) -> None:
    step = _action(running, index).steps[sequence.step]
    details = {"status": status, "step_name": step.name, "attempt": sequence.attempt + 1, **details}
    _say(running, index, "sequence_step", turn, sequence.execution, sequence.step, **details)


def _say(
    running: Running, index: int, event: str, turn: Turn, execution: str, step: int, **details: object
) -> None:
    if running.around.quiet:
        return
    action, rule = _action(running, index), running.rule
    data: dict[str, object] = {
        "sequence_id": action.id or f"{rule.id}/{index}",
        "rule_id": rule.id,
        "rule_name": rule.name,
        "description": action.description,
        "step": step + 1,
        "total_steps": len(action.steps),
        "timestamp": turn.moment.wall_ms // 1000,
        **details,
    }
    turn.out.append(Happened(event, data, execution))
