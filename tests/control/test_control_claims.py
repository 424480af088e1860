"""Live claims: whose goes first, when they end, and how they are found again."""

from __future__ import annotations

import math

import attrs
import hypothesis.strategies as st
from hypothesis import given

from growy.control.claims import Claims, order_of
from growy.model.control import ActuatorKey, Claim, Rank

HEATER, FAN = ActuatorKey("ESP_00000A", 16), ActuatorKey("ESP_00000A", 17)


def claim(holder: str = "rule:1/0", actuator: ActuatorKey = HEATER, **changes: object) -> Claim:
    return attrs.evolve(Claim(actuator=actuator, holder=holder, rank=Rank.RULE, value=1.0), **changes)  # type: ignore[arg-type]


def held(*several: Claim) -> Claims:
    claims = Claims()
    for one in several:
        assert claims.put(one)
    return claims


def test_an_actuator_that_nobody_claims_has_no_winner():
    assert Claims().winner(HEATER) is None
    assert Claims().live(HEATER) == ()


def test_the_lower_rank_goes_first_then_the_lower_priority_then_the_smaller_holder():
    person = claim("user:ada", rank=Rank.PERSON, priority=99)
    urgent, plain, other = (
        claim("rule:9/0", priority=10),
        claim("rule:1/0"),
        claim("rule:2/0"),
    )
    claims = held(other, plain, urgent, person)
    assert claims.live(HEATER) == (person, urgent, plain, other)
    assert claims.winner(HEATER) == person


def test_a_claim_that_ends_lets_the_next_one_through():
    claims = held(claim("user:ada", rank=Rank.PERSON, until=10.0), claim("rule:1/0"))
    assert claims.expire(9.9) == set()
    assert claims.expire(10.0) == {HEATER}
    assert claims.winner(HEATER) == claim("rule:1/0")


def test_a_holder_has_one_claim_on_an_actuator():
    claims = held(claim(value=1.0))
    assert claims.put(claim(value=0.0))
    assert claims.live(HEATER) == (claim(value=0.0),)
    assert len(claims) == 1


def test_the_same_claim_again_changes_nothing():
    claims = held(claim())
    assert not claims.put(claim())


def test_a_claim_that_was_lengthened_does_not_end_at_its_first_time():
    claims = held(claim(until=10.0))
    claims.put(claim(until=20.0))
    assert claims.next_end() == 20.0
    assert claims.expire(15.0) == set()
    assert claims.expire(20.0) == {HEATER}


def test_a_claim_that_was_shortened_ends_at_its_new_time():
    claims = held(claim(until=20.0))
    claims.put(claim(until=10.0))
    assert claims.next_end() == 10.0
    assert claims.expire(10.0) == {HEATER}
    assert claims.next_end() == math.inf


def test_a_claim_without_an_end_never_ends_by_itself():
    claims = held(claim())
    assert claims.next_end() == math.inf
    assert claims.expire(1e12) == set()


def test_a_holder_lets_go_of_one_actuator_or_of_all():
    claims = held(claim(), claim(actuator=FAN), claim("rule:2/0", FAN))
    assert claims.drop("rule:1/0", HEATER) == {HEATER}
    assert claims.winner(FAN) == claim(actuator=FAN)
    assert claims.drop("rule:1/0") == {FAN}
    assert claims.winner(FAN) == claim("rule:2/0", FAN)
    assert claims.drop("rule:1/0") == set()
    assert claims.drop("rule:2/0", HEATER) == set()


def test_all_claims_of_a_rule_end_with_it_and_nobody_elses():
    claims = held(
        claim("rule:1/0"), claim("rule:1/1.2", FAN), claim("rule:11/0"), claim("user:ada", rank=Rank.PERSON)
    )
    assert claims.drop_prefix("rule:1/") == {HEATER, FAN}
    assert {one.holder for one in claims.live(HEATER)} == {"rule:11/0", "user:ada"}
    assert claims.live(FAN) == ()
    assert claims.drop_prefix("rule:") == {HEATER}
    assert claims.winner(HEATER) == claim("user:ada", rank=Rank.PERSON)


def test_what_rests_on_a_series_is_found():
    claims = held(claim(basis=frozenset({7, 8})), claim("rule:2/0", FAN, basis=frozenset({8})))
    assert claims.rest_on(7) == {HEATER}
    assert claims.rest_on(8) == {HEATER, FAN}
    assert claims.rest_on(9) == frozenset()
    claims.put(claim(basis=frozenset({9})))
    assert claims.rest_on(7) == frozenset()
    assert claims.rest_on(8) == {FAN}
    assert claims.rest_on(9) == {HEATER}


def test_a_series_is_kept_while_one_of_two_claims_rests_on_it():
    claims = held(claim(basis=frozenset({7})), claim("rule:2/0", basis=frozenset({7})))
    claims.drop("rule:1/0")
    assert claims.rest_on(7) == {HEATER}
    claims.drop("rule:2/0")
    assert claims.rest_on(7) == frozenset()


# --- against a plain list -------------------------------------------------------------------------------------------

holders = st.sampled_from(("rule:1/0", "rule:1/1", "rule:2/0", "user:ada"))
any_claim = st.builds(
    Claim,
    actuator=st.sampled_from((HEATER, FAN)),
    holder=holders,
    rank=st.sampled_from(tuple(Rank)),
    value=st.sampled_from((0.0, 1.0)),
    priority=st.integers(1, 3),
    until=st.sampled_from((5.0, 10.0, math.inf)),
    basis=st.sampled_from((frozenset(), frozenset({1}), frozenset({1, 2}))),
)
changes = st.one_of(
    any_claim,
    st.tuples(st.just("drop"), holders, st.sampled_from((None, HEATER, FAN))),
    st.tuples(st.just("prefix"), st.sampled_from(("rule:1/", "rule:", "user:ada", "rule:1/1"))),
    st.tuples(st.just("expire"), st.sampled_from((4.0, 5.0, 10.0))),
)


@given(st.lists(changes, max_size=30))
def test_whatever_happens_the_claims_are_those_of_a_plain_list(happened: list[object]):
    claims, plain = Claims(), dict[tuple[str, ActuatorKey], Claim]()
    for change in happened:
        before = dict(plain)
        match change:
            case Claim():
                name = (change.holder, change.actuator)
                assert claims.put(change) == (plain.get(name) != change)
                plain[name] = change
                continue
            case ("drop", holder, actuator):
                plain = {
                    name: one
                    for name, one in plain.items()
                    if name[0] != holder or actuator not in (None, name[1])
                }
                told = claims.drop(holder, actuator)
            case ("prefix", prefix):
                plain = {name: one for name, one in plain.items() if not name[0].startswith(prefix)}
                told = claims.drop_prefix(prefix)
            case ("expire", now):
                plain = {name: one for name, one in plain.items() if one.until > now}
                told = claims.expire(now)
        assert told == {name[1] for name in before.keys() - plain.keys()}
    for actuator in (HEATER, FAN):
        live = sorted((one for one in plain.values() if one.actuator == actuator), key=order_of)
        assert claims.live(actuator) == tuple(live)
        assert claims.winner(actuator) == (live[0] if live else None)
    for series_id in (1, 2):
        assert claims.rest_on(series_id) == {one.actuator for one in plain.values() if series_id in one.basis}
    assert claims.next_end() == min((one.until for one in plain.values()), default=math.inf)
    assert claims.claimed() == {one.actuator for one in plain.values()}
    assert len(claims) == len(plain)
