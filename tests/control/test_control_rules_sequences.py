"""Sequences: steps in their order, each waiting for its device; retries, failures, limits, and how they end."""

from __future__ import annotations

import pytest
from rules_rig import PUMP, SOIL, VALVE, Rig, below, off, on, rule

from growy.control.rules import sequences
from growy.control.rules.effects import Happened, Hold, Release, ReleaseAll
from growy.model.control import ActuatorKey, Claim, CommandState
from growy.model.rules import Channel, Notify, Rule, Sequence, Step, Switch

DRY, WET = 20.0, 60.0
SAY = Notify(channel=Channel.WEBSOCKET, template="watered")


def step(action: Switch | Notify | None = None, **more: object) -> Step:
    return Step(action=action, **more)


def pause(seconds: float) -> Step:
    return Step(delay_s=seconds)


def watering(*steps: Step, **more: object) -> Rule:
    fields: dict[str, object] = {"cooldown_s": 3600.0, **more}
    sequence = Sequence(steps=steps, id="water", max_duration_s=float(fields.pop("max_duration_s", 3600.0)))
    return rule(below(30.0, SOIL), sequence, **fields)


def begun(*steps: Step, **more: object) -> Rig:
    rig = Rig()
    rig.put(watering(*steps, **more))
    rig.read({SOIL: DRY})
    return rig


def claim_of(rig: Rig, actuator: ActuatorKey) -> Claim:
    claim = rig.claim(actuator)
    assert claim is not None
    return claim


def steps_told(rig: Rig) -> list[tuple[object, object]]:
    return [(one["step"], one["status"]) for one in rig.events("sequence_step")]


def test_steps_come_one_after_the_other_each_when_its_device_has_answered():
    rig = begun(step(on(VALVE)), step(on(PUMP, 60.0)), pause(60.0), step(off(PUMP)), step(SAY))
    assert (rig.value(VALVE), rig.value(PUMP)) == (1.0, None)
    rig.wait(5.0)
    assert rig.value(PUMP) is None
    rig.answer(claim_of(rig, VALVE))
    assert (rig.value(VALVE), rig.value(PUMP)) == (1.0, 1.0)
    rig.answer(claim_of(rig, PUMP))
    rig.wait(59.0)
    assert (rig.value(VALVE), rig.value(PUMP), rig.posts()) == (1.0, 1.0, [])
    rig.wait(1.0)
    assert (rig.value(VALVE), rig.value(PUMP)) == (1.0, 0.0)
    rig.answer(claim_of(rig, PUMP))
    assert rig.posts() == ["watered"]
    assert rig.claims == {}
    assert rig.ended()[0].success is True
    assert [one["sequence_id"] for one in rig.events("sequence_completed")] == ["water"]


def test_holders_name_the_step():
    rig = begun(step(on(VALVE)), step(on(PUMP)))
    assert claim_of(rig, VALVE).holder == "rule:r1/0.0"
    rig.answer(claim_of(rig, VALVE))
    assert claim_of(rig, PUMP).holder == "rule:r1/0.1"
    assert claim_of(rig, PUMP).execution == rig.begun()[0].correlation_id


def test_pauses_before_and_after_a_step_are_kept():
    rig = begun(step(on(VALVE), before_s=10.0, after_s=20.0), step(on(PUMP)))
    assert rig.value(VALVE) is None
    rig.wait(10.0)
    assert rig.value(VALVE) == 1.0
    rig.answer(claim_of(rig, VALVE))
    rig.wait(19.0)
    assert rig.value(PUMP) is None
    rig.wait(1.0)
    assert rig.value(PUMP) == 1.0


def test_a_later_step_takes_over_the_actuator_of_an_earlier_one():
    rig = begun(step(on(VALVE)), step(off(VALVE)), pause(10.0))
    rig.answer(claim_of(rig, VALVE))
    assert rig.value(VALVE) == 0.0
    assert len(rig.claims) == 1


def test_a_level_of_a_step_lasts_until_what_runs_for_a_time_has_run_out():
    rig = begun(step(on(VALVE)), step(on(PUMP, 60.0)))
    rig.answer(claim_of(rig, VALVE))
    rig.answer(claim_of(rig, PUMP))
    rig.wait(59.0)
    assert (rig.value(VALVE), rig.value(PUMP)) == (1.0, 1.0)
    rig.wait(1.0)
    assert rig.claims == {}


def test_a_device_that_does_what_is_wanted_already_need_not_answer():
    rig = Rig(outputs={VALVE: 1.0})
    rig.put(watering(step(on(VALVE)), step(on(PUMP))))
    rig.read({SOIL: DRY})
    assert rig.value(PUMP) == 1.0


def test_a_step_that_nobody_answers_fails_after_its_time_and_everything_is_let_go():
    rig = begun(step(on(VALVE), timeout_s=8.0), step(on(PUMP)))
    rig.wait(7.9)
    assert rig.value(VALVE) == 1.0
    rig.wait(0.1)
    assert rig.claims == {}
    (error,) = rig.events("sequence_error")
    assert (error["step"], error["error_code"]) == (1, "SEQUENCE_STEP_FAILED")
    assert rig.ended()[0].actions[0].result == "unknown"
    assert steps_told(rig) == [(1, "starting"), (1, "failed")]


def test_a_step_without_an_answer_is_done_if_the_device_is_known_to_do_it():
    rig = begun(step(on(VALVE), timeout_s=8.0), step(on(PUMP)))
    rig.outputs[VALVE] = 1.0
    rig.wait(8.0)
    assert rig.value(PUMP) == 1.0


def test_a_refused_step_says_by_what():
    rig = begun(step(on(VALVE)))
    rig.answer(claim_of(rig, VALVE), CommandState.REJECTED, "INTERLOCK")
    assert rig.ended()[0].actions[0].result == "refused:INTERLOCK"
    assert rig.events("sequence_error")[0]["error_code"] == "INTERLOCK"


def test_a_step_is_tried_again_as_often_as_it_says():
    rig = begun(step(on(VALVE), timeout_s=5.0, retries=2, retry_delay_s=10.0))
    held = []
    for _ in range(45):
        held.append(rig.value(VALVE) is not None)
        rig.wait(1.0)
    assert held == [True] * 5 + [False] * 10 + [True] * 5 + [False] * 10 + [True] * 5 + [False] * 10
    assert len(rig.events("sequence_error")) == 1


def test_a_step_that_may_fail_lets_go_of_its_actuator_and_the_next_one_comes():
    rig = begun(step(on(VALVE), abort_on_failure=False, timeout_s=5.0), step(on(PUMP)), pause(60.0))
    rig.wait(5.0)
    assert (rig.value(VALVE), rig.value(PUMP)) == (None, 1.0)
    rig.answer(claim_of(rig, PUMP))
    rig.wait(60.0)
    assert rig.events("sequence_completed")[0]["success"] is False
    assert rig.ended()[0].success is False


def test_a_sequence_that_takes_too_long_is_given_up():
    rig = begun(step(on(VALVE)), pause(600.0), max_duration_s=120.0)
    rig.answer(claim_of(rig, VALVE))
    for _ in range(4):
        rig.wait(30.0)
        rig.read({SOIL: DRY})
    assert rig.claims == {}
    assert rig.events("sequence_error")[0]["error_code"] == "SEQUENCE_TOO_LONG"


def test_a_sequence_is_carried_through_when_the_condition_turns_false():
    rig = begun(step(on(VALVE)), pause(60.0), step(on(PUMP, 10.0)))
    rig.answer(claim_of(rig, VALVE))
    rig.read({SOIL: WET})
    rig.wait(60.0)
    assert (rig.value(VALVE), rig.value(PUMP)) == (1.0, 1.0)


@pytest.mark.parametrize("ending", ["unknown", "disabled", "removed"])
def test_a_sequence_ends_with_its_sensor_and_with_its_rule(ending: str):
    steps = (step(on(VALVE)), step(on(PUMP, 600.0)), pause(600.0))
    rig = begun(*steps)
    rig.answer(claim_of(rig, VALVE))
    if ending == "unknown":
        rig.read({SOIL: None})
    elif ending == "disabled":
        rig.put(watering(*steps, enabled=False))
    else:
        rig.remove()
    assert rig.claims == {}
    assert rig.of(ReleaseAll) == [ReleaseAll("rule:r1/")]
    assert [one["step"] for one in rig.events("sequence_cancelled")] == [2]
    assert rig.engine.statistics().sequences == 0
    assert rig.ended()[0].actions[0].result == "superseded"


def test_a_sequence_comes_again_when_it_and_the_cooldown_are_over():
    rig = begun(pause(100.0), cooldown_s=60.0)
    for _ in range(10):
        rig.wait(25.0)
        rig.read({SOIL: DRY})
    starts = [one.begun_ms - rig.begun()[0].begun_ms for one in rig.begun()]
    assert starts == [0, 100_000, 200_000]


def test_a_sequence_that_takes_no_time_does_not_run_without_end():
    rig = begun(step(SAY), cooldown_s=0.0)
    rig.wait(10.0)
    assert len(rig.begun()) == 11


def test_a_second_answer_does_not_begin_the_pause_after_a_step_anew():
    rig = begun(step(on(VALVE), after_s=20.0), step(on(PUMP)))
    valve = claim_of(rig, VALVE)
    rig.answer(valve)
    rig.wait(10.0)
    rig.answer(valve)
    rig.answer(valve, CommandState.UNKNOWN)
    rig.wait(10.0)
    assert (rig.value(VALVE), rig.value(PUMP)) == (1.0, 1.0)


def test_a_late_answer_of_an_earlier_step_is_not_taken_for_that_of_the_present_one():
    rig = begun(step(on(VALVE), timeout_s=5.0, abort_on_failure=False), step(on(PUMP)), step(SAY))
    valve = claim_of(rig, VALVE)
    rig.wait(5.0)
    rig.answer(valve)
    assert rig.posts() == []
    rig.answer(claim_of(rig, PUMP))
    assert rig.posts() == ["watered"]


def test_no_more_than_twenty_run_at_once():
    rig = Rig()
    for number in range(sequences.MOST + 2):
        sequence = Sequence(steps=(pause(60.0),))
        rig.put(rule(below(30.0, SOIL), sequence, id=f"r{number:02}", cooldown_s=600.0))
    rig.read({SOIL: DRY})
    assert rig.engine.statistics().sequences == sequences.MOST
    refused = [one.rule_id for one in rig.ended() if one.actions[0].result == "refused:TOO_MANY_SEQUENCES"]
    assert refused == ["r20", "r21"]
    assert len(rig.events("sequence_error")) == 2
    rig.wait(60.0)
    assert rig.engine.statistics().sequences == 0


def test_an_edit_elsewhere_in_the_rule_lets_a_sequence_go_on():
    rig = begun(step(on(VALVE)), pause(60.0), step(on(PUMP, 10.0)))
    rig.answer(claim_of(rig, VALVE))
    one = watering(step(on(VALVE)), pause(60.0), step(on(PUMP, 10.0)))
    rig.put(rule(below(35.0, SOIL), *one.actions, SAY, cooldown_s=3600.0))
    assert rig.value(VALVE) == 1.0
    rig.wait(60.0)
    assert rig.value(PUMP) == 1.0


def test_an_edited_sequence_ends_where_it_stands_and_waits_for_its_next_turn():
    rig = begun(step(on(VALVE)), pause(60.0))
    rig.answer(claim_of(rig, VALVE))
    rig.put(watering(step(on(VALVE)), pause(30.0)))
    assert rig.claims == {}
    assert rig.of(Release) == [Release("rule:r1/0.0", VALVE)]
    assert len(rig.events("sequence_cancelled")) == 1
    assert rig.engine.statistics().sequences == 0


def test_events_say_which_step_of_how_many():
    rig = begun(step(on(VALVE), name="open"), step(on(PUMP)))
    rig.answer(claim_of(rig, VALVE))
    told = [(one.event, one.data["step"], one.data["total_steps"]) for one in rig.all_of(Happened)]
    assert told == [
        ("sequence_started", 1, 2),
        ("sequence_step", 1, 2),
        ("sequence_step", 1, 2),
        ("sequence_step", 2, 2),
    ]
    assert rig.events("sequence_step")[0]["step_name"] == "open"
    assert len(rig.all_of(Hold)) == 2
