"""What actuators must never be together, whichever devices they are on. Pure.

What is not known of an output counts as what is dangerous: one that may be on is on for `exclusive`, one that may be
off is off for `requires`. An interlock only ever switches off, or keeps off: it must never be a reason to be on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import attrs

from growy.model.control import ActuatorKey, Interlock, InterlockKind


@attrs.frozen(slots=True)
class Known:
    """What is known of an output at a moment. Off for certain: neither."""

    may_be_on: bool
    surely_on: bool
    off_by: float = math.inf
    """Of one that may be on: when it is off for certain, if nobody switches it on. Infinity: nobody knows."""
    on_till: float = -math.inf
    """Of one that is on for certain: until when, if nobody switches it."""


CERTAINLY_OFF = Known(may_be_on=False, surely_on=False, off_by=-math.inf)


@attrs.frozen(slots=True)
class Bond:
    """An interlock as it stands for one of its two, which is to be on."""

    interlock: Interlock
    partner: ActuatorKey
    known: Known
    """Of the partner."""

    @property
    def broken(self) -> bool:
        """Whether the one that is to be on must be off."""
        if self.interlock.kind is InterlockKind.EXCLUSIVE:
            return self.known.may_be_on
        return not self.known.surely_on


class Interlocks:
    """All of them, by actuator. Trio thread only."""

    __slots__ = ("_all", "_of")

    def __init__(self, interlocks: Iterable[Interlock] = ()) -> None:
        self._all: dict[str, Interlock] = {}
        self._of: dict[ActuatorKey, list[Interlock]] = {}
        for interlock in interlocks:
            self.put(interlock)

    def put(self, interlock: Interlock) -> frozenset[ActuatorKey]:
        """Adds it, or replaces the one with its id. The actuators that it concerns, or concerned."""
        concerned = self.drop(interlock.id)
        self._all[interlock.id] = interlock
        for actuator in {interlock.a, interlock.b}:
            self._of.setdefault(actuator, []).append(interlock)
        return concerned | {interlock.a, interlock.b}

    def drop(self, interlock_id: str) -> frozenset[ActuatorKey]:
        """Takes it away. The actuators that it concerned."""
        interlock = self._all.pop(interlock_id, None)
        if interlock is None:
            return frozenset()
        for actuator in {interlock.a, interlock.b}:
            self._of[actuator].remove(interlock)
            if not self._of[actuator]:
                del self._of[actuator]
        return frozenset({interlock.a, interlock.b})

    def all(self) -> tuple[Interlock, ...]:
        return tuple(self._all.values())

    def of(self, actuator: ActuatorKey) -> tuple[Interlock, ...]:
        """Those that name the actuator."""
        return tuple(self._of.get(actuator, ()))

    def partners(self, actuator: ActuatorKey) -> frozenset[ActuatorKey]:
        """The actuators whose being on or off may depend on this one's, and the other way round."""
        return frozenset(_other(one, actuator) for one in self._of.get(actuator, ()))

    def bonds(self, actuator: ActuatorKey, known: Callable[[ActuatorKey], Known]) -> tuple[Bond, ...]:
        """What must hold while the actuator is on; empty if nothing must.

        Args:
            known: what is known of another's output now.
        """
        found = self._of.get(actuator)
        if not found:
            return ()
        return tuple(
            Bond(one, partner, known(partner))
            for one in found
            if one.kind is InterlockKind.EXCLUSIVE or one.b == actuator
            for partner in (_other(one, actuator),)
        )

    def must_go_off_first(self, actuator: ActuatorKey) -> tuple[ActuatorKey, ...]:
        """Those that may not run without the actuator, nor without one of these: off in this order before it is."""
        order: list[ActuatorKey] = []
        self._dependents(actuator, {actuator}, order)
        return tuple(order)

    def why_not(self, interlock: Interlock) -> str | None:
        """Why the interlock makes no sense beside those that there are (but for the one with its id); None if it does.

        The rest of a sentence that begins with the interlock.
        """
        if interlock.a == interlock.b:
            return "names the same actuator twice"
        others = Interlocks(one for one in self._all.values() if one.id != interlock.id)
        for one in others.of(interlock.a):
            same = (one.a, one.b) == (interlock.a, interlock.b)
            crosswise = (one.a, one.b) == (interlock.b, interlock.a)
            if one.kind is interlock.kind and (same or (crosswise and one.kind is InterlockKind.EXCLUSIVE)):
                return f"says the same as {one.id}"
        others.put(interlock)
        if interlock.kind is InterlockKind.REQUIRES and interlock.a in others.must_go_off_first(interlock.b):
            return "closes a ring of actuators that need each other: none could ever go on"
        for one in others.all():
            if one.kind is InterlockKind.EXCLUSIVE:
                for needed, other in ((one.a, one.b), (one.b, one.a)):
                    if other in others._needed(needed):
                        return f"would have {needed} need {other}, though the two may never be on together"
        return None

    def _dependents(self, actuator: ActuatorKey, met: set[ActuatorKey], order: list[ActuatorKey]) -> None:
        for one in self._of.get(actuator, ()):
            if one.kind is InterlockKind.REQUIRES and one.a == actuator and one.b not in met:
                met.add(one.b)
                self._dependents(one.b, met, order)
                order.append(one.b)

    def _needed(self, actuator: ActuatorKey) -> set[ActuatorKey]:
        """What must be on for the actuator to be on."""
        met: set[ActuatorKey] = set()
        todo = [actuator]
        while todo:
            here = todo.pop()
            for one in self._of.get(here, ()):
                if one.kind is InterlockKind.REQUIRES and one.b == here and one.a not in met:
                    met.add(one.a)
                    todo.append(one.a)
        return met


def _other(interlock: Interlock, actuator: ActuatorKey) -> ActuatorKey:
    return interlock.b if interlock.a == actuator else interlock.a
