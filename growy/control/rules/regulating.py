"""Actions that go on for as long as the rule holds: PID loops and photoperiods. Each keeps one claim up to date.

A loop whose sensor is stale lets go of its actuator and takes it up again with the next good reading; it never runs on
with the last output.
"""

from __future__ import annotations

from growy.control.rules import photoperiod, pid
from growy.control.rules.evaluate import A_MOMENT_S, NEVER
from growy.control.rules.pid import PidState
from growy.control.rules.running import Running, Turn
from growy.control.rules.state import PidMemory
from growy.model.control import FULL, OFF
from growy.model.rules import Photoperiod, Pid


def start(running: Running, index: int, action: Pid | Photoperiod, execution: str, turn: Turn) -> None:
    """Begins it; one that runs already goes on."""
    memory = running.memory
    if isinstance(action, Photoperiod):
        memory.lights.setdefault(index, execution)
        _light(running, index, action, turn)
    elif index not in memory.pids:
        memory.pids[index] = PidMemory(state=PidState(), begun=turn.now, execution=execution)
        _sampled(running, index, action, turn)
    running.touch()


def go_on(running: Running, turn: Turn) -> None:
    """Everything that the time, or the reading of this turn, asks for."""
    memory = running.memory
    for index in memory.lights:
        _light(running, index, _photoperiod(running, index), turn)
    for index in memory.pids:
        action, bound = _pid(running, index), running.pid_bounds[index]
        if turn.series_id is not None and turn.series_id == bound.series_id:
            _sampled(running, index, action, turn)
        elif not bound.sample.good(turn.now, bound.max_age_s):
            running.release(turn, str(index))
        elif action.window_s > 0.0:
            _proportion(running, index, action, turn)


def stop(running: Running, turn: Turn) -> None:
    """They end with the rule's holding."""
    memory = running.memory
    for index in (*memory.lights, *memory.pids):
        running.release(turn, str(index))
    memory.lights.clear()
    memory.pids.clear()


def due(running: Running, now: float, wall_ms: int) -> float:
    """When the first of them has something to do without a reading."""
    memory, first = running.memory, NEVER
    for index in memory.lights:
        change_ms = photoperiod.next_change(_photoperiod(running, index), wall_ms)
        first = min(first, now + (change_ms - wall_ms) / 1000)
    for index, one in memory.pids.items():
        action, bound = _pid(running, index), running.pid_bounds[index]
        if not bound.sample.good(now, bound.max_age_s):
            continue
        first = min(first, bound.sample.at + bound.max_age_s + A_MOMENT_S)
        if action.window_s > 0.0:
            _, wait_s = pid.proportioned(one.output, action.window_s, now - one.begun)
            first = min(first, now + max(wait_s, A_MOMENT_S))
    return first


def _light(running: Running, index: int, action: Photoperiod, turn: Turn) -> None:
    value = photoperiod.level(action, turn.moment.wall_ms)
    running.hold(turn, str(index), action, value, running.memory.lights[index])


def _sampled(running: Running, index: int, action: Pid, turn: Turn) -> None:
    """A reading of the loop's sensor has come, good or not."""
    memory, bound = running.memory.pids[index], running.pid_bounds[index]
    if not bound.sample.good(turn.now, bound.max_age_s):
        running.release(turn, str(index))
        return
    value = bound.sample.value
    if memory.at is None:
        memory.state = _taken_over(action, value, running.around.output_of(action.actuator))
    dt_s = 0.0 if memory.at is None else turn.now - memory.at
    output, memory.state = pid.step(action, memory.state, value, dt_s)
    memory.at = turn.now
    running.touch()
    if action.window_s > 0.0:
        _proportion(running, index, action, turn)
    else:
        running.hold(turn, str(index), action, output, memory.execution)


def _taken_over(action: Pid, value: float, output: float) -> PidState:
    """Without a bump: where something runs already, the integral begins with what it takes to go on so."""
    if not (action.ki and output > OFF):
        return PidState()
    error = action.set_point - value
    integral = output - action.kp * (-error if action.reverse else error)
    return PidState(integral=min(max(integral, 0.0), action.output_max))


def _proportion(running: Running, index: int, action: Pid, turn: Turn) -> None:
    """A relay, on for a share of each window; the share is that of the output with which the window began."""
    memory = running.memory.pids[index]
    at_s = turn.now - memory.begun
    window = pid.window_number(action.window_s, at_s)
    if window != memory.window:
        memory.window, memory.output = window, memory.state.output
        running.touch()
    on, _ = pid.proportioned(memory.output, action.window_s, at_s)
    running.hold(turn, str(index), action, FULL if on else OFF, memory.execution)


def _pid(running: Running, index: int) -> Pid:
    action = running.rule.actions[index]
    assert isinstance(action, Pid)
    return action


def _photoperiod(running: Running, index: int) -> Photoperiod:
    action = running.rule.actions[index]
    assert isinstance(action, Photoperiod)
    return action
