"""What must never be on together, and what may not run without another."""

from __future__ import annotations

import pytest

from growy.control.interlocks import CERTAINLY_OFF, Interlocks, Known
from growy.model.control import ActuatorKey, Interlock, InterlockKind

HEATER, COOLER, FAN, MIST, LAMP = (ActuatorKey("ESP_00000A", gpio) for gpio in range(16, 21))
ON = Known(may_be_on=True, surely_on=True, off_by=100.0, on_till=90.0)
MAYBE = Known(may_be_on=True, surely_on=False, off_by=100.0)


def exclusive(a: ActuatorKey, b: ActuatorKey, name: str = "x") -> Interlock:
    return Interlock(id=name, kind=InterlockKind.EXCLUSIVE, a=a, b=b)


def requires(needed: ActuatorKey, needing: ActuatorKey, name: str = "r") -> Interlock:
    """`needing` only while `needed` is on."""
    return Interlock(id=name, kind=InterlockKind.REQUIRES, a=needed, b=needing)


def broken(interlock: Interlock, actuator: ActuatorKey, partner: Known) -> bool:
    return any(bond.broken for bond in Interlocks((interlock,)).bonds(actuator, lambda _: partner))


@pytest.mark.parametrize(("partner", "refused"), [(ON, True), (MAYBE, True), (CERTAINLY_OFF, False)])
@pytest.mark.parametrize("actuator", [HEATER, COOLER])
def test_of_two_exclusive_ones_none_may_run_while_the_other_may_be_on(
    actuator: ActuatorKey, partner: Known, refused: bool
):
    assert broken(exclusive(HEATER, COOLER), actuator, partner) is refused


@pytest.mark.parametrize(("partner", "refused"), [(ON, False), (MAYBE, True), (CERTAINLY_OFF, True)])
def test_what_needs_another_may_run_only_while_that_is_known_to_be_on(partner: Known, refused: bool):
    assert broken(requires(FAN, MIST), MIST, partner) is refused


def test_what_is_needed_may_run_without_those_that_need_it():
    assert Interlocks((requires(FAN, MIST),)).bonds(FAN, lambda _: CERTAINLY_OFF) == ()


def test_an_actuator_that_is_named_nowhere_has_no_bonds():
    assert Interlocks((requires(FAN, MIST),)).bonds(LAMP, lambda _: ON) == ()


def test_those_that_need_an_actuator_go_off_before_it_the_farthest_first():
    interlocks = Interlocks(
        (
            requires(FAN, MIST, "1"),
            requires(MIST, LAMP, "2"),
            requires(FAN, HEATER, "3"),
            exclusive(FAN, COOLER),
        )
    )
    order = interlocks.must_go_off_first(FAN)
    assert set(order) == {MIST, LAMP, HEATER}
    assert order.index(LAMP) < order.index(MIST)
    assert interlocks.must_go_off_first(LAMP) == ()


def test_one_that_needs_two_of_a_chain_goes_off_before_both():
    interlocks = Interlocks((requires(FAN, LAMP, "1"), requires(FAN, MIST, "2"), requires(MIST, LAMP, "3")))
    assert interlocks.must_go_off_first(FAN) == (LAMP, MIST)


def test_a_ring_does_not_go_on_for_ever():
    interlocks = Interlocks((requires(FAN, MIST, "1"), requires(MIST, FAN, "2")))
    assert interlocks.must_go_off_first(FAN) == (MIST,)


def test_an_interlock_that_is_replaced_concerns_the_old_and_the_new_partners():
    interlocks = Interlocks((exclusive(HEATER, COOLER),))
    assert interlocks.put(exclusive(HEATER, LAMP)) == {HEATER, COOLER, LAMP}
    assert interlocks.partners(COOLER) == frozenset()
    assert interlocks.partners(HEATER) == {LAMP}
    assert interlocks.drop("x") == {HEATER, LAMP}
    assert interlocks.drop("x") == frozenset()
    assert interlocks.all() == ()
    assert interlocks.of(HEATER) == ()


# --- what makes no sense --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "new", "why"),
    [
        ((), exclusive(HEATER, HEATER, "n"), "twice"),
        ((exclusive(HEATER, COOLER),), exclusive(COOLER, HEATER, "n"), "the same"),
        ((requires(FAN, MIST),), requires(FAN, MIST, "n"), "the same"),
        ((requires(FAN, MIST),), requires(MIST, FAN, "n"), "ring"),
        ((requires(FAN, MIST, "1"), requires(MIST, LAMP, "2")), requires(LAMP, FAN, "n"), "ring"),
        ((requires(FAN, MIST),), exclusive(MIST, FAN, "n"), "never be on together"),
        (
            (requires(FAN, MIST, "1"), exclusive(FAN, LAMP, "2")),
            requires(MIST, LAMP, "n"),
            "never be on together",
        ),
    ],
)
def test_an_interlock_that_could_never_be_kept_is_told(
    there: tuple[Interlock, ...], new: Interlock, why: str
):
    reason = Interlocks(there).why_not(new)
    assert reason is not None
    assert why in reason


@pytest.mark.parametrize(
    ("there", "new"),
    [
        ((), exclusive(HEATER, COOLER)),
        ((exclusive(HEATER, COOLER),), exclusive(COOLER, HEATER)),  # itself, written anew
        ((requires(FAN, MIST),), requires(FAN, HEATER, "n")),
        ((requires(FAN, MIST), exclusive(HEATER, COOLER)), requires(FAN, LAMP, "n")),
    ],
)
def test_an_interlock_that_can_be_kept_is_taken(there: tuple[Interlock, ...], new: Interlock):
    assert Interlocks(there).why_not(new) is None
