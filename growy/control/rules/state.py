"""What the engine remembers of a rule, and how that survives a restart: latches, timers, what runs, what is waited for.

While growyd runs, times are seconds of its clock, which does not jump. A saved memory carries the wall's time with it,
so that the next process can put them onto its own clock. One that cannot be read any more is no memory: the rule begins
anew, with everything off.
"""

from __future__ import annotations

import enum
from hashlib import blake2s

import msgspec

from growy.control.rules.pid import PidState
from growy.model.time import Moment

HOUR_S = 3600.0


def print_of(value: object) -> str:
    """A fingerprint of a condition or an action: equal ones have equal ones, in every process."""
    return blake2s(repr(value).encode(), digest_size=9).hexdigest()


class NodeMemory(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Of one condition of a rule. Which of the fields mean something is the condition's business."""

    print: str
    """Of the condition: what another one left at the same place is not taken over."""
    latch: bool = False
    since: float | None = None
    count: int = 0


class ClaimMemory(msgspec.Struct, kw_only=True, omit_defaults=True):
    esp_id: str
    gpio: int
    value: float
    since: float
    until: float | None = None
    """None: it does not run out by itself."""
    execution: str = ""


class RunMemory(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One execution: one pass through the list of actions."""

    id: int
    correlation_id: str
    begun: float
    begun_ms: int
    trigger: dict[str, object]
    results: list[str]
    """By action; "" while its end is not known."""
    place: int = 0
    """The action that is next."""
    resume: float | None = None
    """When a delay is over."""
    answers_due: dict[int, float] = {}
    """Actions whose command has not been answered, and until when that is waited for."""
    told: bool = False
    """Its end stands in the history. Pulses may run on."""


class Phase(enum.StrEnum):
    """Where a step of a sequence stands."""

    BEFORE = "before"
    ACTING = "acting"
    """A command has not been answered; or it is a pause."""
    AGAIN = "again"
    """It failed, and is tried again."""
    AFTER = "after"
    ENDING = "ending"
    """The last step is done; what was switched on for a time runs out."""


class SequenceMemory(msgspec.Struct, kw_only=True, omit_defaults=True):
    execution: str
    begun: float
    until: float
    """When the phase is over, if nothing comes before."""
    step: int = 0
    phase: Phase = Phase.BEFORE
    attempt: int = 0
    failure: str = ""
    """What became of the first step that failed."""


class PidMemory(msgspec.Struct, kw_only=True, omit_defaults=True):
    state: PidState
    begun: float
    """Where time-proportioned windows begin."""
    at: float | None = None
    """Of the last sample."""
    window: int = -1
    output: float = 0.0
    """What this window was begun with."""
    execution: str = ""


class Memory(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All of it."""

    verdict: bool | None = None
    """Whether the condition holds; None: unknown."""
    since: float = 0.0
    executed: float | None = None
    recent: list[float] = []
    """Executions of the last hour, oldest first."""
    count: int = 0
    """Of executions, ever."""
    owed: bool = False
    """It began to hold and has not been executed for that yet."""
    nodes: dict[str, NodeMemory] = {}
    """By place in the condition: `/0/1`."""
    actions: list[str] = []
    """Prints, in the order of the list: what one of them left running goes on only for an equal one."""
    claims: dict[str, ClaimMemory] = {}
    """By action, `0`, or step of a sequence, `0.2`."""
    run: RunMemory | None = None
    sequences: dict[int, SequenceMemory] = {}
    pids: dict[int, PidMemory] = {}
    lights: dict[int, str] = {}
    """Photoperiods that run, and the execution that began them."""

    def rested(self, now: float) -> Memory:
        """What is left of it in a rule that is switched off."""
        return Memory(since=now, executed=self.executed, recent=self.recent, count=self.count)

    def shift(self, seconds: float) -> None:
        """Puts all times onto a clock that is so much ahead."""
        self.since += seconds
        self.executed = _shifted(self.executed, seconds)
        self.recent = [at + seconds for at in self.recent]
        for node in self.nodes.values():
            node.since = _shifted(node.since, seconds)
        for claim in self.claims.values():
            claim.since += seconds
            claim.until = _shifted(claim.until, seconds)
        if self.run is not None:
            self.run.begun += seconds
            self.run.resume = _shifted(self.run.resume, seconds)
            self.run.answers_due = {index: at + seconds for index, at in self.run.answers_due.items()}
        for sequence in self.sequences.values():
            sequence.begun += seconds
            sequence.until += seconds
        for pid in self.pids.values():
            pid.begun += seconds
            pid.at = _shifted(pid.at, seconds)


def _shifted(at: float | None, seconds: float) -> float | None:
    return None if at is None else at + seconds


class Saved(msgspec.Struct, kw_only=True):
    """A memory, and the moment it belongs to."""

    clock: float
    wall_ms: int
    heard_ms: int
    """Receipt of the last reading that is contained in it."""
    memory: Memory


def save(memory: Memory, moment: Moment, heard_ms: int) -> bytes:
    return msgspec.json.encode(
        Saved(clock=moment.clock, wall_ms=moment.wall_ms, heard_ms=heard_ms, memory=memory)
    )


def load(saved: bytes, moment: Moment) -> Saved | None:
    """A saved memory with its times on this process' clock; `clock` too. None: it cannot be read.

    Args:
        moment: now. How long ago something was is judged by the wall, which is all that both processes have.
    """
    try:
        found = msgspec.json.decode(saved, type=Saved)
    except msgspec.MsgspecError:
        return None
    # A Pi without a clock chip may wake up before it fell asleep: then no time has passed.
    ago = max(0.0, (moment.wall_ms - found.wall_ms) / 1000)
    shift = moment.clock - ago - found.clock
    found.memory.shift(shift)
    found.clock += shift
    return found


def is_under_way(saved: bytes, execution_id: int) -> bool:
    """Whether a saved memory goes on with an execution."""
    try:
        run = msgspec.json.decode(saved, type=Saved).memory.run
    except msgspec.MsgspecError:
        return False
    return run is not None and run.id == execution_id and not run.told
