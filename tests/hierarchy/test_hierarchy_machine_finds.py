"""The proof is worth something: each fault that is put into the cores on purpose is found by it, soon.

These are the cheap ones, as a watch over the world and the judge: if one of them is not found any more, they look away.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tree_judge import Violated
from tree_moves import MOVES, play
from tree_things import Counts

from growy.hierarchy.effects import Effects, Persist
from growy.hierarchy.god import God
from growy.hierarchy.holds import Hold, Holds, Phase
from growy.hierarchy.leases import Terms
from growy.hierarchy.realm import Realm
from growy.hierarchy.relay import Relay, RelayRefusal
from growy.model.hierarchy import Stamp
from growy.model.tree_messages import Ask, Grant, RelayCommand

Patch = pytest.MonkeyPatch
ENOUGH = 150_000
"""Steps within which each is found; most need a tenth of it."""


def search() -> str | None:
    counts = Counts()
    for number in range(10**6):
        dice = random.Random(number)
        history = [(dice.choice(MOVES), dice.randrange(2**20)) for _ in range(dice.randrange(30, 60))]
        try:
            play(number, history, counts)
        except Violated as violated:
            return str(violated)
        if counts.steps > ENOUGH:
            break
    return None


def the_owner_counts_from_the_receipt(patch: Patch) -> None:
    granted = Holds.granted

    def late(self: Holds, grant: Grant, until: float, now: float, out: Effects) -> bool:
        return granted(self, grant, now + grant.lease_s, now, out)

    patch.setattr(Holds, "granted", late)


def god_forgets_the_drift(patch: Patch) -> None:
    patch.setattr(Terms, "wait_s", lambda self, lease_s: lease_s)


def god_does_not_wait_after_a_restart(patch: Patch) -> None:
    opened = Realm.opened.__func__  # type: ignore[attr-defined]

    def rash(cls: type[Realm], **given: object) -> Realm:
        realm: Realm = opened(cls, **given)
        realm.bounds.clear()
        return realm

    patch.setattr(Realm, "opened", classmethod(rash))


def god_tells_before_it_writes(patch: Patch) -> None:
    done = God._done

    def hasty(self: God, out: Effects) -> Effects:
        return sorted(done(self, out), key=lambda effect: isinstance(effect, Persist))

    patch.setattr(God, "_done", hasty)


def an_owner_commands_after_its_lease(patch: Patch) -> None:
    def stamp(self: Holds, esp_id: str, now: float, *, off: bool) -> Stamp | None:
        hold: Hold | None = self._holds.get(esp_id)
        if hold is None or hold.until < 0:
            return None
        self._number += 1
        return Stamp(hold.epoch, self._boot, self._number)

    patch.setattr(Holds, "stamp", stamp)


def a_home_takes_commands_without_a_pass(patch: Patch) -> None:
    refusal = Relay._refusal

    def lax(self: Relay, owner: str, message: RelayCommand, now: float) -> RelayRefusal | None:
        return refusal(self, owner, message, now - 4.0)

    patch.setattr(Relay, "_refusal", lax)


def a_restored_god_acts_at_once(patch: Patch) -> None:
    opened = Realm.opened.__func__  # type: ignore[attr-defined]

    def rash(cls: type[Realm], **given: object) -> Realm:
        realm: Realm = opened(cls, **given)
        realm.untaken.clear()
        return realm

    patch.setattr(Realm, "opened", classmethod(rash))


def who_was_fenced_asks_no_more(patch: Patch) -> None:
    """A fault of liveness: the device has an owner that does nothing about it."""
    asks = Holds.asks

    def resigned(self: Holds, ready: dict[str, str]) -> tuple[Ask, ...]:
        fenced = {esp_id for esp_id, hold in self._holds.items() if hold.phase is Phase.FENCED}
        return tuple(ask for ask in asks(self, ready) if ask.esp_id not in fenced)

    patch.setattr(Holds, "asks", resigned)


@pytest.mark.parametrize(
    "fault",
    [
        the_owner_counts_from_the_receipt,
        god_forgets_the_drift,
        god_does_not_wait_after_a_restart,
        god_tells_before_it_writes,
        an_owner_commands_after_its_lease,
        a_home_takes_commands_without_a_pass,
        a_restored_god_acts_at_once,
        who_was_fenced_asks_no_more,
    ],
    ids=lambda fault: fault.__name__,
)
def test_the_proof_finds(fault: Callable[[Patch], None], monkeypatch: Patch) -> None:
    fault(monkeypatch)

    found = search()

    assert found is not None
    print(f"\n{found}")
