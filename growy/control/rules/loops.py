"""Rules that move each other's sensors: heating against cooling, and round trips. Part of `conflicts`.

growyd does not know which actuator moves which sensor; people declare it. Which way it moves it is taken from the
rules: whoever switches on because a value is low expects it to rise.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import attrs

from growy.control.rules.findings import Finding, FindingKind, Judged, Want
from growy.control.rules.regions import Branch, Interval, Meeting, meeting, narrowed, plain, same_sensor
from growy.model.control import OFF, ActuatorKey
from growy.model.rules import SensorRef

LONGEST = 10
"""Rules in a round trip."""
_APART = "Leave a gap between their thresholds, or give both a condition that rules the other out"


@attrs.frozen(slots=True)
class Coupling:
    """What somebody has declared: the actuator moves these sensors."""

    actuator: ActuatorKey
    sensors: tuple[SensorRef, ...]


@attrs.frozen(slots=True, eq=False)
class _Pull:
    """A rule that switches something on to move a sensor's value."""

    judged: Judged
    want: Want
    branch: Branch
    sensor: SensorRef
    up: bool


@attrs.frozen(slots=True, eq=False)
class _Edge:
    """What a rule does is seen by a sensor that another looks at."""

    want: Want
    sensor: SensorRef
    to: Judged


def loops(rules: Sequence[Judged], couplings: Sequence[Coupling]) -> Iterator[Finding]:
    """All loops over the declared couplings."""
    moved: dict[ActuatorKey, list[SensorRef]] = defaultdict(list)
    for coupling in couplings:
        moved[coupling.actuator] += map(plain, coupling.sensors)
    if moved:
        yield from _counteractions(rules, moved)
        edges = _edges(rules, moved)
        yield from _undone(rules, edges)
        yield from _round_trips(rules, edges)


# --- one raises what the other lowers -----------------------------------------------------------------------------


def _counteractions(
    rules: Sequence[Judged], moved: Mapping[ActuatorKey, Sequence[SensorRef]]
) -> Iterator[Finding]:
    pulls: dict[tuple[str, int], list[_Pull]] = defaultdict(list)
    for judged in rules:
        for want in judged.wants:
            for pull in _pulls(judged, want, moved.get(want.actuator, ())):
                pulls[pull.sensor.esp_id, pull.sensor.gpio].append(pull)
    worst: dict[tuple[str, str], tuple[Meeting, _Pull, _Pull]] = {}
    for at in pulls.values():
        for up, down in itertools.product(at, at):
            if not up.up or down.up or up.judged is down.judged or up.want.actuator == down.want.actuator:
                continue
            if same_sensor(up.sensor, down.sensor):
                both = meeting((up.branch,), (down.branch,))
                pair = (up.judged.rule.id, down.judged.rule.id)
                if both > worst.get(pair, (Meeting.NEVER,))[0]:
                    worst[pair] = (both, up, down)
    for both, up, down in worst.values():
        at_times = any(pull.want.in_sequence or pull.want.after_s for pull in (up, down))
        yield Finding(
            kind=FindingKind.LOOP,
            rules=(up.judged.rule.id, down.judged.rule.id),
            actuator=up.want.actuator,
            certain=both is Meeting.SURELY and not at_times,
            message=f"{up.judged.name} raises {up.sensor} with {up.want.actuator} while {down.judged.name} lowers it "
            f"with {down.want.actuator}",
            cure=_APART,
        )


def _pulls(judged: Judged, want: Want, sensors: Sequence[SensorRef]) -> Iterator[_Pull]:
    if not sensors or not (want.loop is not None or (want.value is not None and want.value > OFF)):
        return
    for branch in map(partial(_while_pulling, want), judged.branches):
        for sensor, reach in branch.sensors.items():
            below, above = math.isfinite(reach.begins.high), math.isfinite(reach.begins.low)
            if below is not above and any(same_sensor(sensor, one) for one in sensors):
                yield _Pull(judged, want, branch, sensor, up=below)


def _while_pulling(want: Want, branch: Branch) -> Branch:
    """A control loop pulls on its side of the set point only."""
    if want.loop is None:
        return branch
    goal = want.loop.set_point
    return narrowed(
        branch, want.loop.sensor, Interval(low=goal) if want.loop.reverse else Interval(high=goal)
    )


# --- there and back again -----------------------------------------------------------------------------------------


def _edges(
    rules: Sequence[Judged], moved: Mapping[ActuatorKey, Sequence[SensorRef]]
) -> dict[str, list[_Edge]]:
    looking: dict[tuple[str, int], list[tuple[SensorRef, Judged]]] = defaultdict(list)
    for judged in rules:
        for ref in judged.sensors:
            looking[ref.esp_id, ref.gpio].append((ref, judged))
    edges: dict[str, list[_Edge]] = defaultdict(list)
    for judged in rules:
        for want in judged.wants:
            for sensor in moved.get(want.actuator, ()):
                edges[judged.rule.id] += [
                    _Edge(want, sensor, to)
                    for ref, to in looking.get((sensor.esp_id, sensor.gpio), ())
                    if to is not judged and same_sensor(ref, sensor)
                ]
    return edges


def _undone(rules: Sequence[Judged], edges: Mapping[str, Sequence[_Edge]]) -> Iterator[Finding]:
    """What a rule switches, another switches back because of what came of it."""
    seen: set[frozenset[str]] = set()
    for judged in rules:
        for edge in edges.get(judged.rule.id, ()):
            back = next((want for want in edge.to.wants if _opposite(edge.want, want)), None)
            pair = frozenset((judged.rule.id, edge.to.rule.id))
            if back is None or pair in seen or meeting(judged.branches, edge.to.branches) is Meeting.NEVER:
                continue
            if (edge.want.rank, judged.rule.priority) == (back.rank, edge.to.rule.priority):
                continue  # neither goes first: that is a fight, and said to be one
            seen.add(pair)
            yield Finding(
                kind=FindingKind.LOOP,
                rules=(judged.rule.id, edge.to.rule.id),
                actuator=back.actuator,
                message=f"{judged.name} switches {back.actuator} {edge.want.word}, which moves {edge.sensor}, and "
                f"that may make {edge.to.name} switch it {back.word} again",
                cure="Give the second one a hysteresis, so that they do not alternate all the time",
            )


def _opposite(a: Want, b: Want) -> bool:
    if a.actuator != b.actuator or a.value is None or b.value is None:
        return False
    return (a.value == OFF) is not (b.value == OFF)


def _round_trips(rules: Sequence[Judged], edges: Mapping[str, Sequence[_Edge]]) -> Iterator[Finding]:
    """Rules that make each other act over several sensors. Over one sensor that is what a rule and its limits do."""
    seen: set[frozenset[str]] = set()
    for judged in rules:
        trip = _back_to(judged, edges)
        ids = frozenset(edge.to.rule.id for edge in trip)
        if not trip or ids in seen or len({edge.sensor for edge in trip}) < 2:
            continue
        seen.add(ids)
        way = ", ".join(
            f"{edge.want.actuator} moves {edge.sensor}, which {edge.to.name} looks at" for edge in trip
        )
        yield Finding(
            kind=FindingKind.LOOP,
            rules=tuple(edge.to.rule.id for edge in trip),
            actuator=trip[0].want.actuator,
            message=f"{judged.name} may set itself off again: {way}",
            cure="Watch whether they calm down; a hysteresis in each of them helps",
        )


def _back_to(start: Judged, edges: Mapping[str, Sequence[_Edge]]) -> list[_Edge]:
    """The shortest way from a rule back to itself; empty if there is none."""
    came_by: dict[str, list[_Edge]] = {}
    waiting: deque[list[_Edge]] = deque([edge] for edge in edges.get(start.rule.id, ()))
    while waiting:
        way = waiting.popleft()
        here = way[-1].to
        if here is start:
            return way
        if here.rule.id in came_by or len(way) >= LONGEST:
            continue
        came_by[here.rule.id] = way
        waiting.extend([*way, edge] for edge in edges.get(here.rule.id, ()))
    return []
