"""What a rule takes over from the one it replaces, or from its memory after a restart. Bumpless: what is equal goes on.

A condition keeps what an equal one at the same place remembered (`compile`). An action keeps what an equal one at the
same place left running; what was left by one that is no longer there ends.
"""

from __future__ import annotations

from collections.abc import Callable

from growy.control.rules import record, sequences
from growy.control.rules.compile import Compiler, Surroundings, bind
from growy.control.rules.effects import Result
from growy.control.rules.running import Running, Turn
from growy.control.rules.state import Memory, print_of
from growy.model.rules import Pid, Rule
from growy.model.time import Moment


def compiled(
    rule: Rule,
    around: Surroundings,
    memory: Memory,
    old: Running | None,
    moment: Moment,
    heard_ms: int,
    touch: Callable[[], None],
) -> Running:
    """The rule, ready to run, with what is remembered of it. Claims come later.

    Args:
        old: what it takes the place of; its windows of readings go on.
        heard_ms: readings received until then belong into new windows.
    """
    windows = {} if old is None else old.compiled.windows
    compiler = Compiler(around, memory.nodes, windows, moment, heard_ms, touch)
    loops = {
        index: bind(around, action.sensor, action.max_age_s, None, None)
        for index, action in enumerate(rule.actions)
        if isinstance(action, Pid)
    }
    return Running(rule, around, memory, compiler, loops, record.under_way(rule))


def prints_of(rule: Rule) -> list[str]:
    return [print_of(action) for action in rule.actions]


def retire(old: Running, rule: Rule, turn: Turn) -> bool:
    """Ends what the new version of a rule has no equal action for. Returns whether its actions are others."""
    memory, prints = old.memory, prints_of(rule)
    if memory.actions == prints:
        return False
    record.give_up(old, turn, Result.SUPERSEDED)
    kept = _kept(memory, prints) | _same_loops(old.rule, rule)
    sequences.cancel(old, turn, kept)
    for part in [part for part in old.claims if int(part.partition(".")[0]) not in kept]:
        old.release(turn, part)
    _forget(memory, kept, prints)
    return True


def prune(memory: Memory, rule: Rule) -> bool:
    """As `retire`, of a memory that was written by another version of the rule."""
    prints = prints_of(rule)
    if memory.actions == prints:
        return False
    kept = _kept(memory, prints)
    memory.claims = {part: one for part, one in memory.claims.items() if int(part.partition(".")[0]) in kept}
    memory.sequences = {index: one for index, one in memory.sequences.items() if index in kept}
    _forget(memory, kept, prints)
    return True


def _kept(memory: Memory, prints: list[str]) -> set[int]:
    return {index for index, (a, b) in enumerate(zip(memory.actions, prints, strict=False)) if a == b}


def _same_loops(before: Rule, after: Rule) -> set[int]:
    """PID loops of which only numbers were changed: what they have learnt holds."""
    return {
        index
        for index, (a, b) in enumerate(zip(before.actions, after.actions, strict=False))
        if isinstance(a, Pid)
        and isinstance(b, Pid)
        and (a.actuator, a.sensor) == (b.actuator, b.sensor)
        and bool(a.window_s) is bool(b.window_s)
    }


def _forget(memory: Memory, kept: set[int], prints: list[str]) -> None:
    memory.pids = {index: one for index, one in memory.pids.items() if index in kept}
    memory.lights = {index: one for index, one in memory.lights.items() if index in kept}
    memory.run = None
    memory.actions = prints
    # What is new in the list is done as soon as the rule may, if it holds.
    memory.owed = memory.verdict is True
