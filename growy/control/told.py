"""What has been told of each actuator, so that it is told once: refusals, contests, wishes that came true. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from growy.control.output_state import Output, normal
from growy.control.switch_effects import Contested, Oscillates, Refused, Satisfied, SwitchEffect
from growy.model.control import OFF, ActuatorKey, Claim, Refusal


class Told:
    """By actuator. Trio thread only."""

    def __init__(self) -> None:
        self._refusals: dict[ActuatorKey, tuple[Claim, Refusal]] = {}
        self._contests: dict[ActuatorKey, frozenset[tuple[str, str]]] = {}
        self._satisfied: dict[ActuatorKey, tuple[str, str]] = {}
        self._held_off: set[ActuatorKey] = set()

    def forget(self, key: ActuatorKey) -> None:
        """The actuator is gone."""
        self._refusals.pop(key, None)
        self._contests.pop(key, None)
        self._satisfied.pop(key, None)
        self._held_off.discard(key)

    def refusal(self, key: ActuatorKey) -> Refusal | None:
        """What the gate says to the highest claim."""
        found = self._refusals.get(key)
        return None if found is None else found[1]

    def refused(self, key: ActuatorKey, claim: Claim, refusal: Refusal, out: list[SwitchEffect]) -> None:
        before = self._refusals.get(key)
        self._refusals[key] = (claim, refusal)
        if before is None or (before[0].holder, before[0].execution, before[1].code) != (
            claim.holder,
            claim.execution,
            refusal.code,
        ):
            out.append(Refused(claim, refusal))

    def allowed(self, key: ActuatorKey) -> None:
        """The gate has nothing against the highest claim, or there is none."""
        self._refusals.pop(key, None)

    def contested(
        self, key: ActuatorKey, winner: Claim | None, live: Sequence[Claim], out: list[SwitchEffect]
    ) -> None:
        """Claims that do not have their way, once per winner and loser."""
        if winner is None or len(live) < 2:
            self._contests.pop(key, None)
            return
        losers = [
            one
            for one in live
            if one is not winner and one.value != winner.value and not _of_one_sequence(one, winner)
        ]
        known = self._contests.get(key, frozenset())
        out.extend(Contested(winner, one) for one in losers if (winner.holder, one.holder) not in known)
        self._contests[key] = frozenset((winner.holder, one.holder) for one in losers)

    def satisfied(
        self, key: ActuatorKey, claim: Claim | None, output: Output, out: list[SwitchEffect]
    ) -> None:
        """The highest claim has its way, once per execution."""
        if claim is None:
            self._satisfied.pop(key, None)
            return
        wish = (claim.holder, claim.execution)
        if key in self._refusals or output.flight is not None or self._satisfied.get(key) == wish:
            return
        if output.same(output.known, normal(output.kind, claim.value)) and (
            output.known == OFF or output.armed
        ):
            self._satisfied[key] = wish
            out.append(Satisfied(claim))

    def oscillates(self, key: ActuatorKey, until: float | None, out: list[SwitchEffect]) -> None:
        """Whether rules are held off from it."""
        if until is None and key in self._held_off:
            self._held_off.discard(key)
            out.append(Oscillates(key, None))
        elif until is not None and key not in self._held_off:
            self._held_off.add(key)
            out.append(Oscillates(key, until))


def _of_one_sequence(one: Claim, other: Claim) -> bool:
    """A step takes over from an earlier one: for a moment both live, so that nothing goes off in between."""
    (mine, dot, _), (its, _, _) = one.holder.rpartition("."), other.holder.rpartition(".")
    return bool(dot) and mine == its
