"""A holder's right is over before its giver believes so: for any clocks within the drift, and any delays."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from growy.hierarchy.leases import Terms
from growy.hierarchy.passes import Passes
from growy.hierarchy.starts import next_count

DRIFT = 0.01
TERMS = Terms(drift=DRIFT)
rates = st.sampled_from((1 - DRIFT, 1.0, 1 + DRIFT)) | st.floats(1 - DRIFT, 1 + DRIFT)
delays = st.sampled_from((0.0, 29.0, 1e6)) | st.floats(0, 1e6)
HAIR = 1e-6
"""Floating point, at times of a million seconds."""


@given(rates, rates, delays, delays, st.floats(0.1, 1e5))
def test_an_owner_has_lost_its_lease_before_god_gives_the_device_away(
    owner: float, god: float, there: float, back: float, lease_s: float
) -> None:
    """True time 0: the owner asks. God answers `there` later, the owner hears of it `back` after that."""
    over_for_the_owner = lease_s / owner
    free_for_god = there + TERMS.wait_s(lease_s) / god

    assert over_for_the_owner <= free_for_god + HAIR
    # Counted from the receipt it would not be so: the drift alone takes the difference up.
    assert there + back + lease_s / owner >= over_for_the_owner


@given(rates, rates, delays, st.floats(0, 100))
def test_a_home_takes_no_command_after_its_owner_has_lost_the_device(
    home: float, owner: float, there: float, left_s: float
) -> None:
    """True time 0: the home asks. The owner answers `there` later that it has `left_s` left by its clock."""
    closed_at_home = TERMS.within_s(left_s) / home
    lost_by_owner = there + left_s / owner

    assert closed_at_home <= lost_by_owner + HAIR


@given(rates, rates, delays, st.floats(0, 100), st.floats(0, 1e6))
def test_an_owner_that_waits_for_its_passes_waits_long_enough(
    home: float, owner: float, there: float, left_s: float, now: float
) -> None:
    passes = Passes(TERMS, now - 100.0)
    told_s = passes.give("ESP_EA5484", "k2", left_s, now)

    over_for_owner = there + (passes.over_at("ESP_EA5484") - now) / owner

    assert TERMS.within_s(told_s) / home <= over_for_owner + HAIR


def test_after_a_start_there_may_be_passes_that_nobody_remembers() -> None:
    assert Passes(TERMS, 7.0).over_at("ESP_EA5484") == 7.0 + TERMS.pass_s


def test_a_pass_that_was_given_back_is_not_waited_for() -> None:
    passes = Passes(TERMS, 0.0)
    passes.give("ESP_EA5484", "k2", 30.0, 100.0)
    assert passes.homes("ESP_EA5484", 101.0) == ["k2"]
    assert passes.over_at("ESP_EA5484") == 105.0

    passes.withdrawn("ESP_EA5484", "k2")

    assert passes.homes("ESP_EA5484", 101.0) == []
    assert passes.over_at("ESP_EA5484") <= 101.0


def test_terms_under_which_no_lease_could_be_renewed_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        Terms(lease_s=8.0, fence_s=3.0, report_s=5.0)


def test_silence_is_never_shorter_than_a_lease() -> None:
    assert Terms(failover_s=1.0).silence_s == TERMS.wait_s(30.0)
    assert Terms(failover_s=300.0).silence_s == 300.0


@given(st.integers(0, 10**6), st.integers(1, 100), st.integers(1_700_000_000_000, 1_900_000_000_000))
def test_a_count_of_starts_never_comes_twice_however_often_one_old_copy_is_restored(
    copied: int, starts: int, wall_ms: int
) -> None:
    lived = next_count(copied + starts, wall_ms, restored=False)
    first = next_count(copied, wall_ms + 1000, restored=True)
    second = next_count(copied, wall_ms + 5000, restored=True)

    assert lived < first < second
