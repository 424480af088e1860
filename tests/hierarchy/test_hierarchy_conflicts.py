"""The tables of conflicts, row by row, as docs/hierarchy.md has them."""

from __future__ import annotations

import pytest

from growy.hierarchy.conflicts import (
    ClaimVerdict,
    PrefixCase,
    PrefixVerdict,
    WishVerdict,
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
    (PrefixCase(heard_as=GOD, home=GOD), PrefixVerdict.KEEP),
    (PrefixCase(heard_as=GOD, home="k1"), PrefixVerdict.KEEP),
    (PrefixCase(heard_as="k1", home="k1", registered=True), PrefixVerdict.KEEP),
    (PrefixCase(heard_as="k1", home=GOD, registered=True, roomy=True), PrefixVerdict.ADOPT),
    (PrefixCase(heard_as="k1", home="k2", registered=True, roomy=True), PrefixVerdict.ADOPT),
    (PrefixCase(heard_as="k1", home=GOD, registered=True, owner="k1"), PrefixVerdict.ADOPT),
    (PrefixCase(heard_as="k1", home=GOD, registered=True), PrefixVerdict.RESET),
    (PrefixCase(heard_as="k1", home="k2", registered=True, roomy=True, owner="k2"), PrefixVerdict.RESET),
    (PrefixCase(heard_as="k1", home=GOD, registered=True, roomy=True, owner=GOD), PrefixVerdict.RESET),
    (PrefixCase(heard_as="k9", home="k1"), PrefixVerdict.RESET),
    (PrefixCase(heard_as="k9", home=GOD), PrefixVerdict.STRANGER),
]


@pytest.mark.parametrize(("case", "verdict"), PREFIXES)
def test_what_a_devices_own_kaiser_id_says_about_whose_it_is(
    case: PrefixCase, verdict: PrefixVerdict
) -> None:
    assert settle_prefix(case) is verdict
