"""What a rule does while it holds: levels, pulses, delays, cool-down, limits, and what goes into the history."""

from __future__ import annotations

import math

import pytest
from rules_rig import AIR, HEATER, LAMP, PUMP, SOIL, VALVE, Rig, above, below, cold, off, on, rule

from growy.control.rules.effects import Execution, Happened, Hold, Post, Release, ReleaseAll
from growy.model.control import CommandState, Rank
from growy.model.rules import (
    Action,
    All,
    Channel,
    Condition,
    Delay,
    Notify,
    Rule,
    Switch,
    SwitchCommand,
    TimeWindow,
)

WARM, COLD = 25.0, 15.0
SAY = Notify(channel=Channel.WEBSOCKET, template="{rule_name}: {sensor_value} at {gpio}")


def acting(*actions: Action, condition: Condition | None = None, **more: object) -> Rig:
    """A rule that holds while the air is above 20 °C."""
    rig = Rig()
    rig.put(rule(condition or above(20.0), *actions, **more))
    return rig


# --- levels -------------------------------------------------------------------------------------------------------


def test_a_level_lasts_as_long_as_the_rule_holds():
    rig = acting(on())
    rig.read(COLD)
    assert rig.value() is None
    rig.read(WARM)
    assert rig.value() == 1.0
    rig.keep(WARM, 3600.0)
    assert rig.value() == 1.0
    rig.read(COLD)
    assert rig.value() is None


def test_a_level_is_claimed_once_however_long_it_lasts():
    rig = acting(on())
    rig.keep(WARM, 3600.0)
    assert len(rig.all_of(Hold)) == len(rig.begun()) == 1


def test_a_claim_says_whose_it_is_and_what_it_rests_on():
    rig = acting(off(PUMP), on(value=0.4, command=SwitchCommand.PWM), priority=7, name="Heat")
    rig.read(WARM)
    claim = rig.claim()
    assert claim is not None
    assert (claim.holder, claim.rank, claim.priority, claim.value) == ("rule:r1/1", Rank.RULE, 7, 0.4)
    assert (claim.since, claim.until, claim.basis) == (1000.0, math.inf, {1})
    assert (claim.issued_by, claim.execution) == ("rule:Heat", "r1-1")


@pytest.mark.parametrize(
    ("switch", "whole_rule", "rank"),
    [
        (on(), False, Rank.RULE),
        (off(), False, Rank.RULE),
        (on(critical=True), False, Rank.CRITICAL),
        (off(critical=True), False, Rank.SAFETY),
        (on(), True, Rank.CRITICAL),
        (off(), True, Rank.SAFETY),
    ],
)
def test_what_is_critical_goes_before_people_only_when_it_switches_off(
    switch: Switch, whole_rule: bool, rank: Rank
):
    rig = acting(switch, is_critical=whole_rule)
    rig.read(WARM)
    claim = rig.claim()
    assert claim is not None
    assert claim.rank is rank


@pytest.mark.parametrize(("known", "wanted"), [(1.0, 0.0), (0.3, 0.0), (0.0, 1.0), (math.nan, 1.0)])
def test_a_toggle_is_the_opposite_of_what_is_known_when_it_is_executed(known: float, wanted: float):
    rig = acting(Switch(actuator=HEATER, command=SwitchCommand.TOGGLE))
    rig.outputs[HEATER] = known
    rig.read(WARM)
    assert rig.value() == wanted
    rig.outputs[HEATER] = wanted
    rig.keep(WARM, 300.0)
    assert rig.value() == wanted


def test_a_window_that_closes_lets_go_long_after_the_last_execution():
    window = TimeWindow(start_min=15 * 60, end_min=23 * 60)
    rig = acting(on(LAMP), condition=window, cooldown_s=60.0)
    rig.wait(3 * 3600.0)
    assert rig.value(LAMP) == 1.0
    rig.wait(6 * 3600.0)
    assert rig.value(LAMP) is None
    assert len(rig.begun()) == 1


# --- pulses -------------------------------------------------------------------------------------------------------


def test_a_pulse_runs_out_though_the_condition_has_turned_false():
    rig = acting(on(seconds=60.0), cooldown_s=600.0)
    rig.read(WARM)
    rig.read(COLD)
    rig.wait(59.0)
    assert rig.value() == 1.0
    rig.wait(1.0)
    assert rig.value() is None


def test_unknown_ends_a_pulse_at_once():
    rig = acting(on(seconds=60.0), cooldown_s=600.0)
    rig.read(WARM)
    rig.read(COLD)
    rig.read(None)
    assert rig.value() is None
    assert rig.of(ReleaseAll) == [ReleaseAll("rule:r1/")]


def test_a_sensor_that_falls_silent_ends_a_pulse():
    rig = acting(on(seconds=600.0), cooldown_s=6000.0)
    rig.read(WARM)
    rig.wait(90.0)
    assert rig.value() == 1.0
    rig.wait(0.1)
    assert rig.value() is None


def test_while_it_holds_a_pulse_comes_again_when_it_and_the_cooldown_are_over():
    rig = acting(on(seconds=10.0), cooldown_s=60.0)
    rig.keep(WARM, 200.0)
    assert [hold.claim.since for hold in rig.all_of(Hold)] == [1000.0, 1060.0, 1120.0, 1180.0]


def test_a_pulse_longer_than_the_cooldown_comes_again_without_a_gap():
    rig = acting(on(seconds=100.0), cooldown_s=60.0)
    for _ in range(40):
        rig.read(WARM)
        rig.wait(10.0)
        assert rig.value() == 1.0
    assert [hold.claim.until for hold in rig.all_of(Hold)] == [1100.0, 1200.0, 1300.0, 1400.0, 1500.0]
    assert rig.all_of(Release) == []


def test_a_flapping_condition_does_not_lengthen_a_pulse():
    rig = acting(on(seconds=60.0))
    for _ in range(6):
        rig.read(WARM)
        rig.wait(4.0)
        rig.read(COLD)
        rig.wait(4.0)
    assert [hold.claim.until for hold in rig.all_of(Hold)] == [1060.0]


def test_levels_and_notifications_alone_are_executed_once():
    rig = acting(on(), SAY, cooldown_s=1.0)
    rig.keep(WARM, 600.0)
    assert len(rig.begun()) == len(rig.posts()) == 1


def test_a_level_beside_a_pulse_is_not_touched_when_the_pulse_comes_again():
    rig = acting(on(), on(PUMP, 10.0), cooldown_s=60.0)
    rig.keep(WARM, 100.0)
    assert [hold.claim.actuator for hold in rig.all_of(Hold)] == [HEATER, PUMP, PUMP]


# --- cool-down and limit ------------------------------------------------------------------------------------------


def test_within_the_cooldown_an_execution_is_put_off():
    rig = acting(on(), cooldown_s=60.0)
    rig.read(WARM)
    rig.wait(10.0)
    rig.read(COLD)
    rig.wait(10.0)
    rig.read(WARM)
    assert rig.value() is None
    assert rig.engine.why("r1", rig.moment).waiting == "cool-down: may run again in 40 s"
    rig.wait(39.0)
    assert rig.value() is None
    rig.wait(1.0)
    assert rig.value() == 1.0


def test_what_was_put_off_is_dropped_when_it_holds_no_more():
    rig = acting(on(), cooldown_s=60.0)
    for value in (WARM, COLD, WARM, COLD):
        rig.read(value)
        rig.wait(1.0)
    rig.wait(80.0)
    assert len(rig.begun()) == 1


def test_no_more_executions_an_hour_than_allowed():
    rig = acting(on(seconds=10.0), cooldown_s=60.0, max_per_hour=3)
    rig.keep(WARM, 4000.0)
    assert [one.begun_ms - rig.begun()[0].begun_ms for one in rig.begun()] == [
        0,
        60_000,
        120_000,
        3_600_000,
        3_660_000,
        3_720_000,
    ]


def test_a_rule_that_waits_for_its_hour_says_so():
    rig = acting(on(), max_per_hour=1)
    for value in (WARM, COLD, WARM):
        rig.read(value)
    assert (
        rig.engine.why("r1", rig.moment).waiting
        == "has run 1 times in the last hour; may run again in 3600 s"
    )


def test_switching_off_does_not_wait_for_cooldown_or_limit():
    rig = acting(off(), on(PUMP), cooldown_s=600.0, max_per_hour=1)
    for value in (WARM, COLD):
        rig.read(value)
    rig.wait(30.0)
    rig.read(WARM)
    assert rig.value() == 0.0
    assert rig.value(PUMP) is None
    rig.keep(WARM, 3600.0)
    assert rig.value(PUMP) == 1.0
    assert rig.value() == 0.0
    assert len([hold for hold in rig.all_of(Hold) if hold.claim.actuator == HEATER]) == 2


def test_an_off_pulse_that_came_early_comes_once_and_again_with_the_execution():
    rig = acting(off(seconds=20.0), on(PUMP), cooldown_s=100.0)
    for value in (WARM, COLD):
        rig.read(value)
    rig.wait(30.0)
    rig.keep(WARM, 90.0)
    offs = [hold.claim.since for hold in rig.all_of(Hold) if hold.claim.actuator == HEATER]
    assert offs == [1000.0, 1030.0, 1100.0]


def test_an_off_pulse_that_takes_the_place_of_the_last_one_ends_the_execution_before():
    rig = acting(on(), off(PUMP, 5.0))
    rig.read(WARM)
    rig.read(COLD)
    rig.wait(2.0)
    rig.read(WARM)
    assert [(one.correlation_id, one.begun_ms) for one in rig.begun()] == [
        ("r1-1", rig.moment.wall_ms - 2000),
        ("r1-2", rig.moment.wall_ms),
    ]
    assert [(claim.since, claim.execution) for claim in rig.claims.values()] == [(1002.0, "r1-2")] * 2


def test_an_off_pulse_that_came_early_does_not_belong_to_the_execution_before():
    rig = acting(off(seconds=600.0), on(PUMP, 10.0))
    for value in (WARM, COLD, WARM):
        rig.read(value)
        rig.wait(2.0)
    claim = rig.claim()
    assert claim is not None
    assert (claim.until, claim.execution) == (1604.0, "r1-2")
    rig.wait(4.0)
    assert [one.begun_ms - rig.begun()[0].begun_ms for one in rig.begun()] == [0, 10_000]


def test_a_rule_that_only_switches_off_is_executed_whenever_it_begins_to_hold():
    rig = acting(off(), cooldown_s=600.0, max_per_hour=1)
    for value in (WARM, COLD, WARM, COLD, WARM):
        rig.read(value)
        assert rig.value() == (0.0 if value == WARM else None)
    assert len(rig.begun()) == 3


def test_an_off_behind_a_delay_keeps_its_place():
    rig = acting(on(PUMP), Delay(seconds=30.0), off(), cooldown_s=100.0)
    rig.read(WARM)
    assert rig.value() is None
    rig.wait(30.0)
    assert rig.value() == 0.0


# --- delays -------------------------------------------------------------------------------------------------------


def test_what_follows_a_delay_comes_that_much_later():
    rig = acting(on(), Delay(seconds=30.0), on(PUMP), Delay(seconds=30.0), SAY, cooldown_s=600.0)
    rig.read(WARM)
    assert (rig.value(), rig.value(PUMP)) == (1.0, None)
    rig.wait(30.0)
    assert (rig.value(), rig.value(PUMP), rig.posts()) == (1.0, 1.0, [])
    rig.wait(30.0)
    assert rig.posts() == ["Rule: 25.0 at 68"]


def test_a_level_behind_a_delay_is_not_claimed_when_the_rule_holds_no_more():
    rig = acting(Delay(seconds=30.0), on())
    rig.read(WARM)
    rig.wait(10.0)
    rig.read(COLD)
    rig.wait(60.0)
    assert rig.all_of(Hold) == []
    assert [one.result for one in rig.ended()[0].actions] == ["skipped", "skipped"]


def test_a_delay_begins_anew_when_the_condition_has_been_false_meanwhile():
    rig = acting(Delay(seconds=30.0), on())
    rig.read(WARM)
    rig.wait(20.0)
    rig.read(COLD)
    rig.read(WARM)
    rig.wait(29.0)
    assert rig.value() is None
    rig.wait(1.0)
    assert rig.value() == 1.0


def test_an_execution_is_carried_through_when_only_its_condition_turns_false():
    rig = acting(on(PUMP, 10.0), Delay(seconds=30.0), on(PUMP, 10.0), SAY, cooldown_s=600.0)
    rig.read(WARM)
    rig.read(COLD)
    rig.wait(30.0)
    assert rig.value(PUMP) == 1.0
    assert len(rig.posts()) == 1


def test_an_execution_ends_with_its_sensor():
    rig = acting(Delay(seconds=30.0), on(PUMP, 10.0), SAY)
    rig.read(WARM)
    rig.read(None)
    rig.wait(60.0)
    assert rig.all_of(Hold) == []
    assert rig.posts() == []
    assert rig.ended()[0].success is False


# --- notifications ------------------------------------------------------------------------------------------------


def test_a_notification_is_filled_in_from_the_reading_that_made_the_rule_act():
    hook = Notify(
        channel=Channel.WEBHOOK,
        template="{esp_id}: {sensor_value} {rule_id}",
        target="http://x",
        severity="error",
    )
    rig = acting(hook, condition=All(conditions=(below(99.0, SOIL), above(20.0))))
    rig.read({SOIL: 40.0})
    rig.read({AIR: WARM})
    (post,) = rig.of(Post)
    assert post.text == "ESP_00AA01: 25.0 r1"
    assert (post.channel, post.target, post.severity) == (Channel.WEBHOOK, "http://x", "error")
    assert post.trigger == {
        "type": "sensor",
        "timestamp": 1_790_000_000,
        "esp_id": "ESP_00AA01",
        "gpio": 68,
        "sensor_type": "sht31_temp",
        "sensor_value": 25.0,
    }


def test_what_the_time_made_act_is_told_with_the_first_sensor_that_has_a_value():
    opens = TimeWindow(start_min=14 * 60 + 14, end_min=15 * 60)
    rig = acting(SAY, condition=All(conditions=(above(20.0), opens)))
    rig.read(WARM)
    rig.wait(40.0)
    (post,) = rig.all_of(Post)
    assert post.trigger["type"] == "time"
    assert post.trigger["sensor_value"] == WARM


# --- history ------------------------------------------------------------------------------------------------------


def test_an_execution_is_told_when_it_begins_and_when_every_end_is_known():
    rig = acting(on(), on(PUMP, 60.0), SAY, cooldown_s=600.0, name="Heat")
    rig.read(WARM)
    (begun,) = rig.of(Execution)
    assert (begun.id, begun.rule_name, begun.correlation_id) == (1, "Heat", "r1-1")
    assert (begun.ended_ms, begun.success, begun.trigger["sensor_value"]) == (None, None, WARM)
    claims = [hold.claim for hold in rig.of(Hold)]
    rig.wait(0.5)
    rig.answer(claims[0])
    assert rig.ended() == []
    rig.answer(claims[1])
    (ended,) = rig.of(Execution)
    assert (ended.id, ended.success, ended.error) == (1, True, "")
    assert ended.ended_ms == begun.begun_ms + 500
    assert [one.result for one in ended.actions] == ["acknowledged"] * 3
    (event,) = rig.of(Happened)
    assert (event.event, event.correlation_id) == ("logic_execution", "r1-1")
    assert (event.data["success"], event.data["rule_id"]) == (True, "r1")


def test_what_is_so_already_is_acknowledged():
    rig = acting(on())
    rig.outputs[HEATER] = 1.0
    rig.read(WARM)
    assert rig.ended()[0].success is True


@pytest.mark.parametrize(
    ("state", "code", "result"),
    [
        (CommandState.REJECTED, "INTERLOCK", "refused:INTERLOCK"),
        (CommandState.REJECTED, "QUEUE_FULL", "rejected:QUEUE_FULL"),
        (CommandState.REJECTED, "", "rejected"),
        (CommandState.UNKNOWN, "", "unknown"),
        (CommandState.EXPIRED, "", "unknown"),
    ],
)
def test_what_was_not_acknowledged_is_no_success(state: CommandState, code: str, result: str):
    rig = acting(on())
    rig.read(WARM)
    claim = rig.claim()
    assert claim is not None
    rig.answer(claim, state, code)
    (ended,) = rig.ended()
    assert ended.success is False
    assert ended.actions[0].result == result
    assert ended.error == f"switch ESP_00AA01:18 ON: {result}"


def test_what_nobody_answers_is_unknown_after_a_while():
    rig = acting(on())
    rig.read(WARM)
    rig.wait(29.0)
    assert rig.ended() == []
    rig.wait(1.0)
    assert rig.ended()[0].actions[0].result == "unknown"


def test_what_is_not_answered_before_the_next_execution_is_unknown():
    rig = acting(on(seconds=1.0), cooldown_s=5.0)
    rig.read(WARM)
    rig.wait(5.0)
    assert [one.correlation_id for one in rig.begun()] == ["r1-1", "r1-2"]
    assert [(one.correlation_id, one.actions[0].result) for one in rig.ended()] == [("r1-1", "unknown")]


def test_a_claim_that_lost_is_superseded():
    rig = acting(on())
    rig.read(WARM)
    rig.take(rig.engine.answered("rule:r1/0", "r1-1", "superseded", rig.moment))
    assert rig.ended()[0].actions[0].result == "superseded"


def test_a_rule_that_ends_before_the_answer_supersedes_itself():
    rig = acting(on())
    rig.read(WARM)
    rig.read(COLD)
    assert rig.ended()[0].actions[0].result == "superseded"


def test_answers_of_others_are_left_alone():
    rig = acting(on())
    rig.read(WARM)
    for holder, execution in (
        ("user:kim", "r1-1"),
        ("rule:r2/0", "r1-1"),
        ("rule:r1/0", "r1-7"),
        ("rule:r1", "r1-1"),
        ("default", ""),
    ):
        assert rig.engine.answered(holder, execution, "acknowledged", rig.moment) == []
    assert rig.ended() == []


def test_an_execution_ends_in_the_history_while_its_pulse_runs_on():
    rig = acting(on(seconds=600.0), cooldown_s=600.0)
    rig.read(WARM)
    claim = rig.claim()
    assert claim is not None
    rig.answer(claim)
    assert rig.ended()[0].success is True
    assert rig.engine.why("r1", rig.moment).active


def test_executions_are_numbered_from_where_the_history_stands():
    rig = Rig(last_execution=41)
    rig.put(rule())
    assert [one.id for one in rig.begun()] == [42]
    assert rig.engine.statistics().executions == 1


# --- edits --------------------------------------------------------------------------------------------------------


def heated(rig: Rig | None = None, *actions: Action, **more: object) -> Rule:
    return rule(cold(18.0, 20.0), *actions, **more)


def test_the_same_rule_again_changes_nothing():
    rig = Rig()
    rig.put(heated())
    rig.read(17.0)
    rig.put(heated())
    assert rig.out == []


def test_an_edited_rule_keeps_latch_and_claim_where_they_are_equal():
    rig = Rig()
    rig.put(heated())
    rig.read(17.0)
    rig.read(19.0)
    claim = rig.claim()
    rig.put(heated(description="in winter"))
    assert rig.claim() is claim
    rig.read(19.5)
    assert rig.value() == 1.0


def test_a_changed_condition_begins_with_no_latch():
    rig = Rig()
    rig.put(heated())
    rig.read(17.0)
    rig.read(19.0)
    rig.put(rule(cold(17.0, 20.0)))
    assert rig.value() is None


def test_a_condition_that_is_equal_keeps_its_latch_beside_one_that_is_not():
    rig = Rig()
    rig.put(rule(All(conditions=(cold(18.0, 20.0), above(10.0, SOIL)))))
    rig.read({AIR: 17.0, SOIL: 50.0})
    rig.read(19.0)
    assert rig.value() == 1.0
    rig.put(rule(All(conditions=(cold(18.0, 20.0), above(20.0, SOIL)))))
    assert rig.value() == 1.0


def test_a_new_priority_moves_the_claim_and_nothing_else():
    rig = Rig()
    rig.put(heated(priority=50))
    rig.read(17.0)
    before = rig.claim()
    rig.put(heated(priority=10, name="Winter"))
    after = rig.claim()
    assert before is not None
    assert after is not None
    assert (after.priority, after.issued_by, after.since) == (10, "rule:Winter", before.since)
    assert rig.all_of(Release) == []


def test_a_changed_action_takes_the_place_of_the_old_one():
    rig = Rig()
    rig.put(rule(cold(), on(command=SwitchCommand.PWM, value=0.5)))
    rig.read(17.0)
    rig.put(rule(cold(), on(command=SwitchCommand.PWM, value=0.8)))
    assert rig.value() == 0.8
    assert len(rig.begun()) == 2


def test_a_changed_action_keeps_to_the_cooldown_but_what_is_gone_ends_at_once():
    rig = Rig()
    rig.put(rule(cold(), on(), on(PUMP), cooldown_s=60.0))
    rig.read(17.0)
    rig.put(rule(cold(), on(), on(VALVE), cooldown_s=60.0))
    assert (rig.value(), rig.value(PUMP), rig.value(VALVE)) == (1.0, None, None)
    rig.keep(17.0, 60.0)
    assert rig.value(VALVE) == 1.0
    assert len([hold for hold in rig.all_of(Hold) if hold.claim.actuator == HEATER]) == 1


def test_a_pulse_of_an_equal_action_runs_on_through_an_edit():
    rig = Rig()
    rig.put(rule(above(20.0), on(seconds=60.0), cooldown_s=600.0))
    rig.read(WARM)
    rig.wait(10.0)
    rig.put(rule(above(20.0), on(seconds=60.0), SAY, cooldown_s=600.0))
    rig.wait(49.0)
    assert rig.value() == 1.0
    rig.wait(1.0)
    assert rig.value() is None


def test_an_edit_ends_what_the_history_waits_for():
    rig = Rig()
    rig.put(rule(above(20.0), on(), cooldown_s=60.0))
    rig.read(WARM)
    rig.put(rule(above(20.0), off(), cooldown_s=60.0))
    assert [one.actions[0].result for one in rig.ended()] == ["superseded"]


@pytest.mark.parametrize("ending", ["disabled", "removed"])
def test_a_rule_that_is_disabled_or_removed_lets_go_of_everything(ending: str):
    actions = (on(), on(PUMP, 600.0), Delay(seconds=30.0), on(VALVE))
    rig = acting(*actions)
    rig.read(WARM)
    if ending == "disabled":
        rig.put(rule(above(20.0), *actions, enabled=False))
    else:
        rig.remove()
    assert rig.claims == {}
    rig.read(COLD)
    rig.keep(WARM, 120.0)
    assert rig.claims == {}
    assert rig.engine.next_due() == math.inf
    assert not rig.engine.why("r1", rig.moment).running


def test_a_rule_that_is_enabled_again_begins_without_latch_but_with_its_cooldown():
    rig = Rig()
    rig.put(heated(cooldown_s=60.0))
    rig.read(17.0)
    rig.wait(10.0)
    rig.put(heated(cooldown_s=60.0, enabled=False))
    rig.read(19.0)
    rig.put(heated(cooldown_s=60.0))
    assert rig.value() is None
    rig.read(17.0)
    assert rig.value() is None
    rig.wait(50.0)
    assert rig.value() == 1.0
    assert [one.correlation_id for one in rig.begun()] == ["r1-1", "r1-2"]


def test_removing_what_is_not_there_is_nothing():
    rig = Rig()
    assert rig.remove("nobody") == []


# --- how it stands ------------------------------------------------------------------------------------------------


def test_a_rule_tells_how_it_stands():
    rig = acting(on(), cooldown_s=60.0)
    rig.read(WARM)
    rig.wait(20.0)
    rig.read(WARM)
    told = rig.engine.why("r1", rig.moment)
    wall_ms = rig.moment.wall_ms
    assert (told.running, told.holds, told.active, told.executions, told.waiting) == (True, True, True, 1, "")
    assert (told.since_ms, told.executed_ms, told.evaluated_ms) == (
        wall_ms - 20_000,
        wall_ms - 20_000,
        wall_ms,
    )
    assert [claim.actuator for claim in told.claims] == [HEATER]
    assert told.due_ms is not None
    assert told.due_ms > wall_ms


def test_a_rule_that_nobody_knows_is_not_in_force():
    rig = Rig()
    assert rig.engine.why("r9", rig.moment).waiting == "the rule is not in force"
    rig.put(rule(enabled=False))
    assert rig.engine.why("r1", rig.moment).waiting == "the rule is disabled"


def test_the_engine_counts():
    rig = Rig()
    rig.put(rule(above(20.0)))
    rig.put(rule(below(20.0, SOIL), id="r2"))
    rig.put(rule(enabled=False, id="r3"))
    rig.read(WARM)
    told = rig.engine.statistics()
    assert (told.rules, told.enabled, told.holding, told.unknown, told.executions) == (3, 2, 1, 1, 1)
