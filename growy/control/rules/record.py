"""An execution on its way into the history: it begins, each action comes to an end, then it is told as a whole.

Success means that every action was acknowledged. What was refused, rejected, skipped or never answered says so. Rows
are told while the engine catches up, too: what a saved memory does not contain, the history that was written together
with it does not contain either.
"""

from __future__ import annotations

from growy.control.rules.effects import ActionOutcome, Execution, Happened, Result
from growy.control.rules.running import Running, Turn
from growy.control.rules.state import RunMemory
from growy.model.control import Command, CommandState, RefusalCode
from growy.model.rules import Action, Delay, Notify, Photoperiod, Pid, Rule, Sequence, Switch

_REFUSALS = frozenset(code.value for code in RefusalCode)


def begin(running: Running, turn: Turn) -> RunMemory:
    """A new execution; nothing of it is done yet."""
    memory, around = running.memory, running.around
    memory.count += 1
    around.last_execution += 1
    run = RunMemory(
        id=around.last_execution,
        correlation_id=running.correlation_id(memory.count),
        begun=turn.now,
        begun_ms=turn.moment.wall_ms,
        trigger=running.trigger(turn),
        results=[""] * len(running.rule.actions),
    )
    memory.run = run
    running.touch()
    turn.out.append(
        Execution(
            id=run.id,
            rule_id=running.rule.id,
            rule_name=running.rule.name,
            correlation_id=run.correlation_id,
            trigger=run.trigger,
            actions=running.told,
            begun_ms=run.begun_ms,
        )
    )
    return run


def settle(running: Running, index: int, result: str, turn: Turn, execution: str = "") -> None:
    """One action has come to its end; the first end counts.

    Args:
        execution: the correlation id of the execution that the end belongs to; "": the present one.
    """
    run = running.memory.run
    if run is None or run.told or run.results[index] or (execution and execution != run.correlation_id):
        return
    run.results[index] = result
    run.answers_due.pop(index, None)
    running.touch()
    if all(run.results):
        _end(running, run, turn)


def give_up(running: Running, turn: Turn, result: Result) -> None:
    """Ends what has not ended: actions that have begun with `result`, the others as skipped."""
    run = running.memory.run
    if run is None or run.told:
        return
    for index, known in enumerate(run.results):
        if not known:
            run.results[index] = result if index < run.place else Result.SKIPPED
    run.answers_due.clear()
    _end(running, run, turn)


def _end(running: Running, run: RunMemory, turn: Turn) -> None:
    run.told = True
    running.touch()
    row = _row(running, run, turn.moment.wall_ms)
    turn.out.append(row)
    if running.around.quiet:
        return
    data = {
        "rule_id": row.rule_id,
        "rule_name": row.rule_name,
        "trigger": row.trigger,
        "action": "; ".join(one.what for one in row.actions),
        "actions": [
            {"action_index": one.index, "action": one.what, "result": one.result} for one in row.actions
        ],
        "success": row.success,
        "message": row.error or "executed",
        "timestamp": turn.moment.wall_ms // 1000,
    }
    turn.out.append(Happened("logic_execution", data, row.correlation_id))


def _row(running: Running, run: RunMemory, ended_ms: int) -> Execution:
    """The whole of it."""
    rule = running.rule
    actions = tuple(
        [
            ActionOutcome(index=one.index, what=one.what, result=result)
            for one, result in zip(running.told, run.results, strict=True)
        ]
    )
    failed = [one for one in actions if one.result != Result.ACKNOWLEDGED]
    return Execution(
        id=run.id,
        rule_id=rule.id,
        rule_name=rule.name,
        correlation_id=run.correlation_id,
        trigger=run.trigger,
        actions=actions,
        begun_ms=run.begun_ms,
        ended_ms=ended_ms,
        success=not failed,
        error="; ".join([f"{one.what}: {one.result}" for one in failed]),
    )


def under_way(rule: Rule) -> tuple[ActionOutcome, ...]:
    """Its actions, none of which has come to its end."""
    return tuple(
        ActionOutcome(index=index, what=told(action), result="") for index, action in enumerate(rule.actions)
    )


def told(action: Action) -> str:
    """An action in a few words."""
    match action:
        case Switch():
            value = f" {action.value:g}" if action.command == "PWM" else ""
            spell = f" for {action.duration_s:g} s" if action.duration_s else ""
            return f"switch {action.actuator} {action.command}{value}{spell}"
        case Notify():
            return f"notify by {action.channel}"
        case Delay():
            return f"wait {action.seconds:g} s"
        case Sequence():
            return f"sequence {action.id or 'of ' + str(len(action.steps)) + ' steps'}"
        case Pid():
            return f"hold {action.sensor} at {action.set_point:g} with {action.actuator}"
        case Photoperiod():
            return f"light {action.actuator} for {action.light_min} min of the day"


def result_of(command: Command) -> str:
    """What became of a command, in the words of the history."""
    if command.state is CommandState.ACKNOWLEDGED:
        return Result.ACKNOWLEDGED
    if command.code in _REFUSALS:
        return f"{Result.REFUSED}:{command.code}"
    if command.state is CommandState.REJECTED:
        return f"{Result.REJECTED}:{command.code}" if command.code else Result.REJECTED
    return Result.UNKNOWN
