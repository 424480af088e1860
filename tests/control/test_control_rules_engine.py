"""The engine as a whole: the same events make the same effects, whenever it is woken and however often it is killed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_restart import Disk, restarted
from rules_rig import AIR, HEATER, LAMP, PUMP, SOIL, TANK, VALVE, Rig, above, below, cold, off, on, rule

from growy.control.rules.effects import Execution, Happened, Hold, Post
from growy.model.control import CommandState
from growy.model.rules import (
    Action,
    All,
    Always,
    AnyOf,
    Between,
    Channel,
    Condition,
    Delay,
    Difference,
    Freshness,
    HeldFor,
    Not,
    Notify,
    Operator,
    Photoperiod,
    Pid,
    RateOfChange,
    Rule,
    Sequence,
    Step,
    Switch,
    SwitchCommand,
    TimeWindow,
)

Event: TypeAlias = tuple[str, object]
SENSORS = (AIR, SOIL, TANK)
ACTUATORS = (HEATER, PUMP, VALVE, LAMP)
SAY = Notify(channel=Channel.WEBSOCKET, template="{sensor_value}")
OPEN_AT = 14 * 60 + 14
"""A minute after the beginning of every run."""

# --- rules and events, as they come -------------------------------------------------------------------------------

sensors = st.sampled_from(SENSORS)
actuators = st.sampled_from(ACTUATORS)
seconds = st.sampled_from([1.0, 5.0, 10.0, 45.0])
levels = st.sampled_from([10.0, 15.0, 20.0, 25.0])
leaves = st.one_of(
    st.builds(above, levels, sensors),
    st.builds(lambda low, sensor: cold(low, low + 5.0, sensor), levels, sensors),
    st.builds(lambda low, sensor: Between(sensor=sensor, low=low, high=low + 5.0), levels, sensors),
    st.builds(
        lambda a, b, often: Difference(a=a, b=b, operator=Operator.GT, value=1.0, consecutive=often),
        sensors,
        sensors,
        st.integers(1, 4),
    ),
    st.builds(
        lambda sensor: RateOfChange(sensor=sensor, operator=Operator.GT, per_min=0.0, window_s=60.0), sensors
    ),
    st.builds(lambda sensor, stale: Freshness(sensor=sensor, stale=stale), sensors, st.booleans()),
    st.builds(
        lambda start, long: TimeWindow(start_min=start, end_min=start + long),
        st.integers(OPEN_AT, OPEN_AT + 3),
        st.integers(1, 3),
    ),
    st.just(Always()),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: All(conditions=tuple(parts)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: AnyOf(conditions=tuple(parts)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: Not(condition=part), inner),
        st.builds(lambda part, long: HeldFor(condition=part, seconds=long), inner, seconds),
    ),
    max_leaves=4,
)
switches = st.one_of(
    st.builds(on, actuators, st.sampled_from([0.0, 5.0, 30.0])),
    st.builds(off, actuators, st.sampled_from([0.0, 5.0])),
    st.builds(lambda actuator: Switch(actuator=actuator, command=SwitchCommand.TOGGLE), actuators),
)
steps = st.one_of(
    st.builds(
        lambda switch, retries, abort: Step(
            action=switch, retries=retries, abort_on_failure=abort, timeout_s=7.0, after_s=2.0
        ),
        switches,
        st.integers(0, 1),
        st.booleans(),
    ),
    st.builds(lambda long: Step(delay_s=long), seconds),
)
actions: st.SearchStrategy[Action] = st.one_of(
    switches,
    switches,
    st.just(SAY),
    st.builds(lambda long: Delay(seconds=long), seconds),
    st.builds(
        lambda each: Sequence(steps=tuple(each), max_duration_s=100.0),
        st.lists(steps, min_size=1, max_size=4),
    ),
    st.builds(
        lambda actuator, sensor, window: Pid(
            actuator=actuator, sensor=sensor, set_point=20.0, kp=0.125, ki=0.0078125, window_s=window
        ),
        actuators,
        sensors,
        st.sampled_from([0.0, 16.0]),
    ),
    st.builds(
        lambda actuator: Photoperiod(actuator=actuator, on_min=OPEN_AT, light_min=3, ramp_min=1), actuators
    ),
)
rule_lists = st.lists(
    st.builds(
        lambda condition, each, cooldown, most, critical: rule(
            condition, *each, cooldown_s=cooldown, max_per_hour=most, is_critical=critical
        ),
        conditions,
        st.lists(actions, min_size=1, max_size=4),
        st.sampled_from([0.0, 10.0, 60.0]),
        st.sampled_from([None, 3]),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
).map(lambda rules: [_named(one, f"r{number}") for number, one in enumerate(rules)])
event = st.one_of(
    st.tuples(
        st.just("read"),
        st.dictionaries(sensors, st.sampled_from([5.0, 12.0, 17.0, 22.0, 30.0, None]), min_size=1),
    ),
    st.tuples(st.just("wait"), st.sampled_from([5.0, 0.25, 1.0, 10.0, 20.0])),
    st.tuples(st.just("answer"), st.tuples(st.integers(0, 5), st.booleans())),
)
events: st.SearchStrategy[list[Event]] = st.lists(event, max_size=30)
long_events: st.SearchStrategy[list[Event]] = st.lists(event, min_size=10, max_size=40)


def _named(one: Rule, name: str) -> Rule:
    return Rule(
        id=name,
        name=name,
        condition=one.condition,
        actions=one.actions,
        cooldown_s=one.cooldown_s,
        max_per_hour=one.max_per_hour,
        is_critical=one.is_critical,
    )


def happen(rig: Rig, event: Event, wait: Callable[[Rig, float], object] = Rig.wait) -> None:
    kind, what = event
    match kind:
        case "read":
            assert isinstance(what, dict)
            # What a memory contains is known by the ms of receipt: no two events in the same one.
            wait(rig, 0.25)
            rig.read(what)
        case "wait":
            assert isinstance(what, float)
            wait(rig, what)
        case "answer":
            assert isinstance(what, tuple)
            number, good = what
            claims = sorted(rig.claims.values(), key=lambda one: (one.holder, one.actuator))
            if claims:
                state = CommandState.ACKNOWLEDGED if good else CommandState.REJECTED
                rig.answer(claims[number % len(claims)], state)


def standing(rig: Rig, ahead: float = 0.0) -> dict[object, object]:
    """The claims that live, by the clock of a process that is not ahead."""
    return {
        key: (
            claim.value,
            claim.rank,
            claim.basis,
            claim.execution,
            round(claim.since - ahead, 6),
            round(claim.until - ahead, 6) if claim.until < math.inf else None,
        )
        for key, claim in rig.claims.items()
    }


def run(
    rules: list[Rule], happening: list[Event], wait: Callable[[Rig, float], object] = Rig.wait
) -> tuple[Rig, list[object]]:
    rig = Rig()
    for one in rules:
        rig.put(one)
    seen: list[object] = [standing(rig)]
    for event in happening:
        happen(rig, event, wait)
        seen.append(standing(rig))
    return rig, seen


# --- deterministic ------------------------------------------------------------------------------------------------


@given(rule_lists, events)
def test_the_same_events_make_the_same_effects(rules: list[Rule], happening: list[Event]):
    assert run(rules, happening)[0].effects == run(rules, happening)[0].effects


@given(rule_lists, events)
def test_it_does_not_matter_how_often_it_is_woken(rules: list[Rule], happening: list[Event]):
    def often(rig: Rig, long: float) -> None:
        for _ in range(int(long / 0.25)):
            rig.wait(0.25)

    def late(rig: Rig, long: float) -> None:
        rig.now += long
        rig.take(rig.engine.tick(rig.moment))

    usual, seen = run(rules, happening)
    for other in (often, late):
        rig, also_seen = run(rules, happening, other)
        assert also_seen == seen
        assert rig.effects == usual.effects


@given(
    rule_lists, st.lists(st.tuples(st.integers(1, 3), st.sampled_from([None, 5.0, 17.0, 22.0])), max_size=20)
)
def test_readings_of_one_moment_may_come_together_or_one_by_one(
    rules: list[Rule], readings: list[tuple[int, float | None]]
):
    together, single = Rig(), Rig()
    for one in rules:
        together.put(one)
        single.put(one)
    together.take(
        together.engine.readings(
            [one for one, _ in readings], [value for _, value in readings], together.moment
        )
    )
    for series_id, value in readings:
        single.take(single.engine.readings([series_id], [value], single.moment))
    assert together.effects == single.effects


@given(rule_lists, events)
def test_nothing_is_held_that_no_rule_holds(rules: list[Rule], happening: list[Event]):
    rig, _ = run(rules, happening)
    held = [claim for one in rules for claim in rig.engine.why(one.id, rig.moment).claims]
    assert {(claim.holder, claim.actuator): claim for claim in held} == rig.claims
    for claim in rig.claims.values():
        assert rig.engine.basis_good(claim, rig.now)
    for one in rules:
        rig.remove(one.id)
    assert rig.claims == {}
    assert rig.engine.statistics().sequences == 0
    assert rig.engine.next_due() == math.inf


@given(rule_lists, events)
def test_a_rule_that_is_put_again_unchanged_is_not_disturbed(rules: list[Rule], happening: list[Event]):
    def put_again(rig: Rig, long: float) -> None:
        rig.wait(long)
        for one in rules:
            rig.put(one)
            rig.take(rig.engine.met(AIR.esp_id, rig.moment))

    usual, seen = run(rules, happening)
    rig, also_seen = run(rules, happening, put_again)
    assert also_seen == seen
    assert rig.all_of(Execution) == usual.all_of(Execution)


@given(rule_lists, events)
def test_every_execution_comes_to_an_end_and_only_once(rules: list[Rule], happening: list[Event]):
    rig, _ = run(rules, happening)
    for one in rules:
        rig.remove(one.id)
    assert sorted(one.id for one in rig.ended()) == sorted(one.id for one in rig.begun())
    assert all(all(action.result for action in one.actions) for one in rig.ended())


# --- killed -------------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(
    rule_lists, long_events, st.sets(st.integers(0, 39), min_size=1, max_size=3), st.sets(st.integers(0, 39))
)
def test_killed_anywhere_it_goes_on_as_if_nothing_had_been(
    rules: list[Rule], happening: list[Event], killed_after: set[int], saved_after: set[int]
):
    rig, whole, disk, ahead = Rig(), Rig(), Disk(), 0.0
    for one in rules:
        rig.put(one)
        whole.put(one)
    disk.save(rig)
    rows: dict[int, Execution] = {}
    for number, event in enumerate([("read", dict.fromkeys(SENSORS, 17.0)), *happening, ("wait", 60.0)]):
        happen(whole, event)
        happen(rig, event)
        if rig.engine.urgent or number in saved_after or rig.now - disk.at > 20.0:
            disk.save(rig)
        if number in killed_after:
            ahead += 4321.5
            rows = dict(disk.executions)
            rig = restarted(rig, disk, rules, ahead=4321.5)
        assert standing(rig, ahead) == standing(whole), number
    rows |= {one.id: one for one in rig.all_of(Execution)}
    assert rows == {one.id: one for one in whole.all_of(Execution)}


def remembering(one: Rule, *, ahead: float = 500.0) -> tuple[Rig, Callable[[Rig], Rig]]:
    """A greenhouse with one rule, and what kills and restarts it."""
    rig = Rig()
    rig.put(one)

    def kill(old: Rig) -> Rig:
        disk = Disk()
        disk.save(old)
        return restarted(old, disk, [one], ahead=ahead)

    return rig, kill


def test_a_latch_survives():
    rig, kill = remembering(rule(cold(18.0, 20.0)))
    rig.read(17.0)
    rig.read(19.0)
    rig = kill(rig)
    assert rig.value() == 1.0
    rig.read(19.5)
    assert rig.value() == 1.0


def test_a_pulse_has_as_long_to_run_as_before():
    rig, kill = remembering(rule(above(20.0), on(seconds=60.0), cooldown_s=600.0))
    rig.read(25.0)
    rig.wait(20.0)
    rig = kill(rig)
    rig.wait(39.0)
    assert rig.value() == 1.0
    rig.wait(1.0)
    assert rig.value() is None


def test_a_cooldown_and_the_limit_of_the_hour_survive():
    rig, kill = remembering(rule(above(20.0), cooldown_s=60.0, max_per_hour=2))
    rig.read(25.0)
    rig.wait(30.0)
    rig.read(15.0)
    rig = kill(rig)
    rig.read(25.0)
    assert rig.value() is None
    rig.wait(30.0)
    assert rig.value() == 1.0
    rig.read(15.0)
    rig = kill(rig)
    rig.wait(60.0)
    rig.read(25.0)
    assert "2 times in the last hour" in rig.engine.why("r1", rig.moment).waiting


def test_a_sequence_goes_on_where_it_stood():
    sequence = Sequence(steps=(Step(action=on(VALVE)), Step(delay_s=60.0), Step(action=on(PUMP))))
    rig, kill = remembering(rule(below(30.0, SOIL), sequence))
    rig.read({SOIL: 20.0})
    claim = rig.claim(VALVE)
    assert claim is not None
    rig.answer(claim)
    rig.wait(20.0)
    rig = kill(rig)
    assert rig.engine.statistics().sequences == 1
    rig.wait(39.0)
    assert (rig.value(VALVE), rig.value(PUMP)) == (1.0, None)
    rig.wait(1.0)
    assert rig.value(PUMP) == 1.0


def test_a_break_of_what_was_held_survives_though_the_answer_stayed_the_same():
    rules = [
        rule(HeldFor(condition=above(20.0), seconds=60.0)),
        rule(above(20.0, SOIL), id="r2"),
    ]
    rig, disk = Rig(), Disk()
    for one in rules:
        rig.put(one)
    rig.read(25.0)
    disk.save(rig)
    rig.wait(10.0)
    rig.read(15.0)
    rig.read({SOIL: 25.0})
    disk.save(rig)
    rig = restarted(rig, disk, rules)
    rig.wait(10.0)
    rig.read(25.0)
    rig.wait(59.0)
    assert rig.engine.why("r1", rig.moment).holds is False
    rig.wait(1.0)
    assert rig.engine.why("r1", rig.moment).holds is True


def test_a_slope_knows_the_readings_up_to_the_save_of_another_rule():
    slope = RateOfChange(sensor=AIR, operator=Operator.GT, per_min=0.5, window_s=120.0)
    rules = [rule(slope), rule(above(20.0, SOIL), id="r2")]
    rig, disk = Rig(), Disk()
    for one in rules:
        rig.put(one)
    rig.read(20.0)
    disk.save(rig)
    for step in range(2):
        rig.wait(25.0)
        rig.read(21.0 + step)
    rig.read({SOIL: 25.0})
    disk.save(rig)
    rig = restarted(rig, disk, rules)
    rig.wait(25.0)
    rig.read(23.0)
    assert rig.engine.why("r1", rig.moment).conditions[0].actual_value == pytest.approx(2.4)


def test_readings_since_the_last_save_are_made_up_for_in_silence():
    one = rule(above(20.0), on(), SAY)
    rig = Rig()
    rig.put(one)
    disk = Disk()
    disk.save(rig)
    rig.wait(1.0)
    rig.read(25.0)
    rig.wait(10.0)
    new = restarted(rig, disk, [one])
    assert new.value() == 1.0
    claim = new.claim()
    assert claim is not None
    assert claim.since == 1001.0
    assert new.all_of(Post) == new.all_of(Happened) == []
    assert [execution.begun_ms for execution in new.begun()] == [
        execution.begun_ms for execution in rig.begun()
    ]


def test_a_rule_that_was_never_saved_begins_when_the_engine_goes_live():
    rig = Rig()
    rig.read(25.0)
    one = rule(above(20.0), on(), SAY)
    new = restarted(rig, Disk(), [one])
    assert new.value() == 1.0
    assert len(new.posts()) == 1


def test_what_is_overdue_since_long_is_done_once_as_of_now():
    rig, _ = remembering(rule(Always(), on(seconds=10.0), cooldown_s=60.0))
    rig.wait(5.0)
    disk = Disk()
    disk.save(rig)
    rig.now += 10_000.0
    new = restarted(rig, disk, [rule(Always(), on(seconds=10.0), cooldown_s=60.0)])
    assert [execution.begun_ms for execution in new.begun()] == [rig.moment.wall_ms]


def test_a_wall_clock_that_has_gone_back_over_the_restart_makes_no_time_pass():
    rig, _ = remembering(rule(above(20.0), cooldown_s=60.0))
    rig.read(25.0)
    rig.read(15.0)
    disk = Disk()
    disk.save(rig)
    rig.wall_at_0 -= 3600 * 1000
    new = restarted(rig, disk, [rule(above(20.0), cooldown_s=60.0)])
    new.wait(1.0)
    new.read(25.0)
    new.wait(58.0)
    assert new.value() is None
    new.wait(1.0)
    assert new.value() == 1.0


def test_a_memory_that_cannot_be_read_is_none():
    rig = Rig()
    rig.read(25.0)
    rig.put(rule(above(20.0)), b"\x00 not JSON")
    assert rig.value() == 1.0
    assert rig.engine.statistics().unreadable == 1


def test_a_rule_that_was_edited_while_growyd_was_away_takes_over_what_is_equal():
    rig = Rig()
    rig.put(rule(cold(), on(), on(PUMP)))
    rig.read(17.0)
    rig.read(19.0)
    disk = Disk()
    disk.save(rig)
    new = restarted(rig, disk, [rule(cold(), on(), on(LAMP))])
    assert (new.value(), new.value(PUMP), new.value(LAMP)) == (1.0, None, 1.0)


def test_a_rule_that_was_disabled_remembers_its_cooldown_only():
    rig = Rig()
    rig.put(rule(cold(), cooldown_s=60.0))
    rig.read(17.0)
    rig.put(rule(cold(), cooldown_s=60.0, enabled=False))
    disk = Disk()
    disk.save(rig)
    new = restarted(rig, disk, [rule(cold(), cooldown_s=60.0, enabled=False)])
    assert new.claims == {}
    new.put(rule(cold(), cooldown_s=60.0))
    new.read(17.0)
    assert new.value() is None
    new.wait(60.0)
    assert new.value() == 1.0
    assert new.begun()[0].correlation_id == "r1-2"


def test_memories_are_taken_once_and_only_those_that_changed():
    rig = Rig(outputs={HEATER: 1.0})
    rig.put(rule(above(20.0)))
    rig.put(rule(above(30.0), id="r2"))
    assert set(rig.engine.take_changed()) == {"r1", "r2"}
    assert rig.engine.take_changed() == {}
    rig.keep(15.0, 30.0)
    assert set(rig.engine.take_changed()) == {"r1", "r2"}
    rig.read(25.0)
    assert rig.engine.urgent
    assert set(rig.engine.take_changed()) == {"r1"}
    rig.keep(26.0, 60.0)
    assert not rig.engine.urgent
    assert rig.engine.take_changed() == {}


def test_what_readings_bring_back_is_given_out_now_and_then_only_or_with_what_they_do_not():
    loop = Pid(actuator=HEATER, sensor=AIR, set_point=20.0, kp=0.1)
    rig = Rig()
    rig.put(rule(Always(), loop))
    rig.put(rule(above(50.0, SOIL), on(PUMP), id="r2"))
    rig.engine.take_changed()
    taken = []
    for step in range(12):
        rig.wait(5.0)
        rig.read(15.0 + step * 0.1)
        taken.append(set(rig.engine.take_changed()))
    assert taken == ([set()] * 5 + [{"r1"}]) * 2
    rig.wait(5.0)
    rig.read({AIR: 15.0, SOIL: 60.0})
    assert set(rig.engine.take_changed()) == {"r1", "r2"}


def test_a_memory_contains_what_was_received_not_what_may_still_be_under_way():
    rig = Rig()
    rig.take(rig.engine.readings([1], [20.0], rig.moment, rig.moment.wall_ms - 300))
    assert rig.engine.heard_ms == rig.moment.wall_ms - 300
    rig.read(20.0)
    assert rig.engine.heard_ms == rig.moment.wall_ms


def test_a_memory_is_given_out_now_and_then_even_if_nothing_changes():
    rig = Rig()
    rig.put(rule(above(20.0)))
    rig.read(15.0)
    rig.engine.take_changed()
    for _ in range(9):
        rig.wait(30.0)
        rig.read(15.0)
        assert rig.engine.take_changed() == {}
    rig.wait(30.0)
    rig.read(15.0)
    assert set(rig.engine.take_changed()) == {"r1"}


def test_a_memory_can_be_tried_on_a_copy():
    rig = Rig()
    rig.put(rule(cold()))
    rig.read(17.0)
    rig.read(19.0)
    trial = Rig()
    trial.samples._samples = copy.deepcopy(rig.samples._samples)
    trial.put(rule(cold()), rig.engine.memory_of("r1"))
    assert trial.engine.why("r1", trial.moment).holds is True
    trial.read(25.0)
    assert rig.engine.why("r1", rig.moment).holds is True


# --- order and time -----------------------------------------------------------------------------------------------


def test_rules_act_in_the_order_of_their_priority():
    rig = Rig()
    for number, priority in enumerate((50, 10, 90, 10)):
        rig.put(rule(above(20.0), id=f"r{number}", priority=priority))
    rig.read(25.0)
    assert [hold.claim.holder for hold in rig.of(Hold)] == [
        "rule:r1/0",
        "rule:r3/0",
        "rule:r0/0",
        "rule:r2/0",
    ]


def test_a_reading_costs_its_own_rules_only():
    rig = Rig()
    rig.series |= {SOIL: 2}
    for number in range(50):
        rig.put(rule(above(20.0), id=f"a{number}"))
    rig.put(rule(above(20.0, SOIL), id="b"))
    before = rig.engine.statistics().evaluations
    rig.read({SOIL: 10.0})
    assert rig.engine.statistics().evaluations - before <= 2


def test_what_was_due_before_a_reading_is_done_before_it_as_of_then():
    rig = Rig()
    rig.put(rule(HeldFor(condition=above(20.0), seconds=30.0)))
    rig.read(25.0)
    rig.now += 40.0
    rig.read(15.0)
    (hold,) = rig.of(Hold)
    assert hold.claim.since == 1030.0
    assert rig.value() is None


def test_a_clock_that_seems_to_go_back_is_not_followed():
    rig = Rig()
    rig.put(rule(above(20.0), on(seconds=60.0), cooldown_s=600.0))
    rig.wait(10.0)
    rig.now -= 5.0
    rig.read(25.0)
    claim = rig.claim()
    assert claim is not None
    assert (claim.since, claim.until) == (1010.0, 1070.0)


def test_due_times_of_rules_that_are_put_off_again_and_again_do_not_pile_up():
    rig = Rig()
    rig.put(
        rule(
            All(conditions=(HeldFor(condition=above(20.0), seconds=1.0), TimeWindow(start_min=0, end_min=1)))
        )
    )
    for _ in range(5000):
        rig.read(25.0)
        rig.read(15.0)
        rig.now += 0.5
    assert len(rig.engine._agenda) < 1100


@pytest.mark.parametrize("missing", ["rule", "nothing"])
def test_an_engine_without_rules_has_nothing_to_do(missing: str):
    rig = Rig()
    if missing == "rule":
        rig.put(rule())
        rig.remove()
    rig.read(25.0)
    assert rig.engine.next_due() == math.inf
    assert rig.engine.statistics().rules == 0
