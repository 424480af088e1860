"""The tables of conflicts, row by row, as docs/hierarchy.md has them."""

from __future__ import annotations

import pytest

from growy.hierarchy.conflicts import (
    Claimed,
    ClaimVerdict,
    PrefixCase,
    PrefixVerdict,
    WishVerdict,
    contend,
    settle_claim,
    settle_prefix,
    settle_wish,
)
from growy.model.hierarchy import GOD, Ownership

RECORD = Ownership(esp_id="ESP_EA5484", owner="k1", epoch=7)

CLAIMS = [
    # record, claimant, epoch -> verdict
    (RECORD, "k1", 7, ClaimVerdict.KEEPS),
    (RECORD, "k1", 6, ClaimVerdict.ENDED),
    (RECORD, "k2", 6, ClaimVerdict.ENDED),
    (RECORD, "k2", 7, ClaimVerdict.ENDED),
    (RECORD, "k1", 8, ClaimVerdict.AHEAD),
    (RECORD, "k2", 8, ClaimVerdict.AHEAD),
    (None, "k1", 1, ClaimVerdict.AHEAD),
]


@pytest.mark.parametrize(("record", "claimant", "epoch", "verdict"), CLAIMS)
def test_what_god_makes_of_a_claim(
    record: Ownership | None, claimant: str, epoch: int, verdict: ClaimVerdict
) -> None:
    assert settle_claim(record, claimant, epoch) is verdict


CONTENTIONS = [
    # claims -> winner, losers
    ([("k1", 3)], "k1", []),
    ([("k1", 3), ("k2", 4)], "k2", ["k1"]),
    ([("k1", 3), ("k2", 4), (GOD, 2)], "k2", ["k1", GOD]),
    ([("k2", 4), (GOD, 4)], GOD, ["k2"]),
    ([("k2", 4), ("k1", 4)], "k1", ["k2"]),  # the owner on record
    ([("k3", 4), ("k2", 4)], "k2", ["k3"]),  # neither is: the smaller name
    ([("k1", 3), ("k1", 5)], "k1", []),  # one node that has said two things does not lose to itself
]


@pytest.mark.parametrize(("claims", "winner", "losers"), CONTENTIONS)
def test_the_higher_epoch_wins_and_the_others_are_told(
    claims: list[tuple[str, int]], winner: str, losers: list[str]
) -> None:
    for order in (claims, claims[::-1]):
        found = contend([Claimed(*one) for one in order], RECORD)
        assert found is not None
        assert found.winner.node == winner
        assert [one.node for one in found.losers] == losers


def test_without_claims_there_is_no_contention() -> None:
    assert contend([], RECORD) is None


WISHES = [
    # wisher, owner, to, the owner gives to -> verdict
    (GOD, "k1", "k2", (), WishVerdict.GRANTED),
    (GOD, GOD, "k2", (), WishVerdict.GRANTED),
    ("k1", "k1", GOD, (), WishVerdict.GRANTED),
    ("k1", "k1", "k2", (), WishVerdict.NEEDS_LEAVE),
    ("k1", "k1", "k2", ("k2",), WishVerdict.GRANTED),
    ("k1", "k1", "k2", ("k3",), WishVerdict.NEEDS_LEAVE),
    ("k2", "k1", "k2", ("k2",), WishVerdict.GRANTED),
    ("k2", "k1", "k2", (), WishVerdict.NEEDS_LEAVE),
    ("k2", GOD, "k2", ("k2",), WishVerdict.NEEDS_LEAVE),
    ("k2", GOD, "k2", (), WishVerdict.NEEDS_LEAVE),
    ("k3", "k1", "k2", ("k2", "k3"), WishVerdict.REFUSED),
    ("k3", GOD, "k2", (), WishVerdict.REFUSED),
    ("k1", "k1", "k1", ("k1",), WishVerdict.REFUSED),
]


@pytest.mark.parametrize(("wisher", "owner", "to", "gives_to", "verdict"), WISHES)
def test_who_may_have_an_owner_changed(
    wisher: str, owner: str, to: str, gives_to: tuple[str, ...], verdict: WishVerdict
) -> None:
    assert settle_wish(wisher, owner, to, owner_gives_to=gives_to) is verdict


PREFIXES = [
    (PrefixCase(heard=GOD, home=GOD), PrefixVerdict.KEEP),
    (PrefixCase(heard=GOD, home="k1"), PrefixVerdict.KEEP),
    (PrefixCase(heard="k1", home="k1"), PrefixVerdict.KEEP),
    (PrefixCase(heard="k9", home=GOD), PrefixVerdict.RESET),
    (PrefixCase(heard="k1", home=GOD, registered=True, owned=9, max_esps=10), PrefixVerdict.ADOPT),
    (PrefixCase(heard="k1", home=GOD, registered=True, owned=10, max_esps=10), PrefixVerdict.RESET),
    (
        PrefixCase(heard="k1", home=GOD, registered=True, owned=10, max_esps=10, owner="k1"),
        PrefixVerdict.ADOPT,
    ),
    (
        PrefixCase(heard="k1", home="k2", registered=True, owned=0, max_esps=10, owner="k2"),
        PrefixVerdict.RESET,
    ),
    (
        PrefixCase(heard="k1", home=GOD, registered=True, owned=0, max_esps=10, owner=GOD),
        PrefixVerdict.RESET,
    ),
]


@pytest.mark.parametrize(("case", "verdict"), PREFIXES)
def test_what_becomes_of_a_devices_own_kaiser_id(case: PrefixCase, verdict: PrefixVerdict) -> None:
    assert settle_prefix(case) is verdict
