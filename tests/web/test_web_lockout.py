"""The pauses between guesses: they grow, they end, and no clock or stranger makes them endless."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.accounts import Strikes
from growy.model.errors import TooManyAttempts
from growy.model.people import Peer
from growy.web.accounts.lockout import BY_ACCOUNT, BY_PEER, REMEMBERED, Lockout, place_of

HOUSE, STRANGER, LOCAL = Peer("10.0.0.2"), Peer("10.0.0.66"), Peer("", local=True)


def guesses(lockout: Lockout, peer: Peer, seconds: int, name: str = "ann", at_home: bool = False) -> int:
    """How many attempts somebody gets in that time who tries every second."""
    made = 0
    for second in range(seconds):
        try:
            lockout.begin(name, peer, second * 1000, known=True, at_home=at_home)
        except TooManyAttempts:
            continue
        made += 1
    return made


def test_mistyping_a_few_times_costs_nothing() -> None:
    assert guesses(Lockout({}), HOUSE, 5) == 5


def test_a_day_of_guessing_is_a_few_hundred_guesses() -> None:
    assert guesses(Lockout({}), STRANGER, 86_400) < 320


def test_one_address_guesses_slowly_whatever_names_it_tries() -> None:
    lockout, made = Lockout({}), 0
    for second in range(3600):
        try:
            lockout.begin(f"user{second}", STRANGER, second * 1000, known=False, at_home=False)
        except TooManyAttempts:
            continue
        made += 1
    assert made < 80


def test_the_owner_at_home_and_the_socket_do_not_wait_for_strangers() -> None:
    lockout = Lockout({})
    guesses(lockout, STRANGER, 600)
    with pytest.raises(TooManyAttempts):
        lockout.begin("ann", HOUSE, 600_000, known=True, at_home=False)
    lockout.begin("ann", HOUSE, 600_000, known=True, at_home=True)
    lockout.begin("ann", LOCAL, 600_000, known=True, at_home=False)


def test_an_account_of_ones_own_buys_no_guesses_at_others() -> None:
    lockout, made = Lockout({}), 0
    for second in range(600):
        try:
            lockout.begin("ann", STRANGER, second * 1000, known=True, at_home=False)
            made += 1
        except TooManyAttempts:
            pass
        try:
            lockout.begin("eve", STRANGER, second * 1000, known=True, at_home=False)
        except TooManyAttempts:
            continue
        lockout.succeeded("eve", STRANGER)
        lockout.succeeded("eve", attrs.evolve(STRANGER, forwarded=True))  # a header of one's own making
    assert made < 25


@given(st.integers(0, 10**6), st.integers(0, 10**13), st.integers(0, 10**13))
def test_no_pause_is_longer_than_the_longest_whatever_the_clock_does(
    failures: int, last_ms: int, now_ms: int
) -> None:
    for pace in (BY_ACCOUNT, BY_PEER):
        assert 0.0 <= pace.wait_s(Strikes(failures, last_ms), now_ms) <= pace.longest_s


def test_memory_is_bounded_and_made_up_names_push_no_account_out() -> None:
    lockout = Lockout({})
    guesses(lockout, HOUSE, 600)
    for i in range(REMEMBERED + 500):
        for known in (False, True):
            place = Peer(f"10.{int(known)}.{i // 250}.{i % 250}")
            if not known or i < 200:
                lockout.begin(f"user{i}", place, 600_000, known=known, at_home=False)
    assert len(lockout._unknown) == len(lockout._places) == REMEMBERED
    assert len(lockout._accounts) == 201
    with pytest.raises(TooManyAttempts):
        lockout.begin("ann", Peer("10.9.9.9"), 600_000, known=True, at_home=False)


def test_addresses_that_one_machine_makes_up_are_one_place() -> None:
    lockout, made = Lockout({}), 0
    for second in range(3600):
        try:
            peer = Peer(f"2001:db8:1:2::{second + 1:x}")
            lockout.begin(f"user{second}", peer, second * 1000, known=False, at_home=False)
        except TooManyAttempts:
            continue
        made += 1
    assert made < 80
    lockout.begin("user0", Peer("2001:db8:1:3::1"), 3_600_000, known=False, at_home=False)
    assert place_of("fe80::1%eth0") == "fe80::/64"


@pytest.mark.parametrize("proxied", [Peer("127.0.0.1"), Peer("::1"), Peer("10.0.0.9", forwarded=True)])
def test_behind_a_proxy_nobody_holds_off_others_and_nobody_is_at_home(proxied: Peer) -> None:
    lockout = Lockout({})
    for second in range(600):
        lockout.begin(f"made up {second}", proxied, second * 1000, known=False, at_home=False)
    lockout.begin("bob", proxied, 600_000, known=True, at_home=False)
    assert guesses(lockout, proxied, 86_400, at_home=True) < 320


def test_what_is_to_be_written_is_what_the_disk_does_not_know() -> None:
    lockout = Lockout({"bob": Strikes(7, 0)})
    lockout.begin("ann", HOUSE, 0, known=True, at_home=False)
    lockout.succeeded("ann", HOUSE)
    assert lockout.unsaved() == {}  # a login that succeeds costs no write
    guesses(lockout, STRANGER, 5)
    assert lockout.unsaved() == {"ann": Strikes(5, 4000)}
    lockout.saved(lockout.unsaved())
    assert lockout.unsaved() == {}
    lockout.succeeded("ann", HOUSE)
    lockout.forgive("bob")
    assert lockout.unsaved() == {"ann": None, "bob": None}
    lockout.saved({"ann": None, "bob": None})
    assert lockout.unsaved() == {}
