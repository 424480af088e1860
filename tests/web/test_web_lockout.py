"""The pauses between guesses: they grow, they end, and no clock or stranger makes them endless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.accounts import Strikes
from growy.model.errors import TooManyAttempts
from growy.model.people import Peer
from growy.web.accounts.lockout import BY_ACCOUNT, BY_PEER, REMEMBERED, Lockout

HOUSE, STRANGER, LOCAL = Peer("10.0.0.2"), Peer("10.0.0.66"), Peer("", local=True)


def guesses(lockout: Lockout, peer: Peer, seconds: int, name: str = "ann", at_home: bool = False) -> int:
    """How many attempts somebody gets in that time who tries every second."""
    made = 0
    for second in range(seconds):
        try:
            lockout.begin(name, peer, second * 1000, at_home=at_home)
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
            lockout.begin(f"user{second}", STRANGER, second * 1000, at_home=False)
        except TooManyAttempts:
            continue
        made += 1
    assert made < 80


def test_the_owner_at_home_and_the_socket_do_not_wait_for_strangers() -> None:
    lockout = Lockout({})
    guesses(lockout, STRANGER, 600)
    with pytest.raises(TooManyAttempts):
        lockout.begin("ann", HOUSE, 600_000, at_home=False)
    lockout.begin("ann", HOUSE, 600_000, at_home=True)
    lockout.begin("ann", LOCAL, 600_000, at_home=False)


def test_an_account_of_ones_own_buys_no_guesses_at_others() -> None:
    lockout, made = Lockout({}), 0
    for second in range(600):
        try:
            lockout.begin("ann", STRANGER, second * 1000, at_home=False)
            made += 1
        except TooManyAttempts:
            pass
        try:
            lockout.begin("eve", STRANGER, second * 1000, at_home=False)
        except TooManyAttempts:
            continue
        lockout.succeeded("eve", STRANGER)
    assert made < 25


@given(st.integers(0, 10**6), st.integers(0, 10**13), st.integers(0, 10**13))
def test_no_pause_is_longer_than_the_longest_whatever_the_clock_does(
    failures: int, last_ms: int, now_ms: int
) -> None:
    for pace in (BY_ACCOUNT, BY_PEER):
        assert 0.0 <= pace.wait_s(Strikes(failures, last_ms), now_ms) <= pace.longest_s


def test_memory_is_bounded() -> None:
    lockout = Lockout({})
    for i in range(REMEMBERED + 500):
        lockout.begin(f"user{i}", Peer(f"10.0.{i // 250}.{i % 250}"), i, at_home=False)
    assert len(lockout._accounts) == len(lockout._peers) == REMEMBERED
