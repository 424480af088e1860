"""What a rule would do is asked of the very engine, on a copy, and nothing is switched by it."""

from __future__ import annotations

import math

import pytest
from rules_rig import (
    AIR,
    HEATER,
    LAMP,
    MAX_AGE_S,
    PUMP,
    SOIL,
    TANK,
    WALL_MS,
    Rig,
    above,
    below,
    cold,
    off,
    on,
    rule,
)

from growy.control.rules import trial as trials
from growy.control.rules.mocking import time_of
from growy.control.rules.trial import TRIED_S, Gate, Trial, carried_out
from growy.model.control import ActuatorKey, Claim, Rank, Refusal, RefusalCode
from growy.model.errors import Invalid
from growy.model.rules import (
    All,
    Channel,
    Delay,
    Difference,
    HeldFor,
    Notify,
    Operator,
    Photoperiod,
    Pid,
    RateOfChange,
    Rule,
    SensorRef,
    Sequence,
    Step,
    Switch,
    SwitchCommand,
    TimeWindow,
)

HOUR_MS = 3_600_000
OPEN = Gate(ask=lambda actuator, value: None)
SAY = Notify(channel=Channel.WEBSOCKET, template="{rule_name}: {sensor_value}")


def tried(
    rig: Rig,
    one: Rule,
    mocks: dict[str, float] | None = None,
    *,
    at_ms: int | None = None,
    gate: Gate = OPEN,
) -> Trial:
    return trials.trial(
        one,
        rig.engine.memory_of(one.id),
        rig.engine.surroundings,
        gate,
        mocks=mocks or {},
        moment=rig.moment,
        at_ms=at_ms,
    )


def refusing(code: RefusalCode) -> Gate:
    return Gate(
        ask=lambda actuator, value: Refusal(code=code, message=f"{actuator} may not") if value else None
    )


# --- conditions ---------------------------------------------------------------------------------------------------


def test_what_is_made_up_counts_and_what_is_not_is_as_it_is():
    rig = Rig()
    rig.read({AIR: 25.0, SOIL: 40.0})
    both = rule(All(conditions=(below(18.0), below(50.0, SOIL))))

    assert not tried(rig, both).would_trigger
    outcome = tried(rig, both, {"ESP_00AA01:68/sht31_temp": 16.5})
    assert outcome.would_trigger
    assert [(one.result, one.actual_value) for one in outcome.conditions] == [(True, 16.5), (True, 40.0)]


def test_a_sensor_without_a_value_is_unknown_and_never_zero():
    rig = Rig()
    outcome = tried(rig, rule(below(18.0)))

    assert not outcome.would_trigger
    assert outcome.conditions[0].result is None
    assert outcome.conditions[0].actual_value is None
    assert "has not had a good value yet" in outcome.conditions[0].details


def test_a_value_that_is_too_old_is_unknown():
    rig = Rig()
    rig.read(10.0)
    rig.wait(MAX_AGE_S + 1.0)

    outcome = tried(rig, rule(below(18.0)))
    assert outcome.conditions[0].result is None
    assert "stale" in outcome.conditions[0].details


def test_a_sensor_that_has_never_sent_anything_can_be_made_up():
    rig = Rig(series={})
    outcome = tried(rig, rule(below(18.0)), {"ESP_00AA01:68": 10.0})

    assert outcome.would_trigger
    assert outcome.conditions[0].actual_value == 10.0


def test_a_latch_is_as_the_rule_has_it():
    rig = Rig()
    one = rule(cold(18.0, 20.0))
    rig.put(one)
    rig.read(17.0)
    rig.read(19.0)

    assert tried(rig, one).would_trigger
    assert not tried(rig, one, {"ESP_00AA01:68": 20.5}).would_trigger
    assert not tried(rig, rule(cold(18.0, 20.0), id="new")).would_trigger


def test_a_timer_has_run_as_long_as_the_rules_own():
    rig = Rig()
    one = rule(HeldFor(condition=below(18.0), seconds=60.0))
    rig.put(one)
    rig.keep(17.0, 50.0)
    assert not tried(rig, one).would_trigger
    rig.wait(10.0)

    assert tried(rig, one, {"ESP_00AA01:68": 16.0}).would_trigger
    assert not tried(rig, one, {"ESP_00AA01:68": 19.0}).would_trigger


@pytest.mark.parametrize(("rows", "known", "would"), [(1, False, True), (2, False, False), (2, True, True)])
def test_a_made_up_value_is_one_sample_more(rows: int, known: bool, would: bool):
    rig = Rig()
    one = rule(Difference(a=AIR, b=SOIL, operator=Operator.GT, value=5.0, consecutive=rows))
    rig.read({AIR: 10.0, SOIL: 10.0})
    if known:
        rig.put(one)
        rig.read({SOIL: 20.0})

    assert tried(rig, one, {"ESP_00AA01:34": 30.0}).would_trigger is would


def test_a_made_up_value_belongs_to_the_slope():
    rig = Rig()
    one = rule(RateOfChange(sensor=AIR, operator=Operator.GT, per_min=4.0, window_s=60.0))
    rig.keep(20.0, 60.0, every=15.0)
    rig.wait(1.0)

    assert not tried(rig, one, {"ESP_00AA01:68": 20.0}).would_trigger
    outcome = tried(rig, one, {"ESP_00AA01:68": 40.0}, at_ms=rig.moment.wall_ms - 5 * HOUR_MS)
    assert outcome.would_trigger
    assert outcome.conditions[0].actual_value is not None


def test_another_time_of_day_opens_a_window_and_makes_nothing_older():
    rig = Rig()
    night = TimeWindow(start_min=22 * 60, end_min=6 * 60)
    one = rule(All(conditions=(night, HeldFor(condition=below(18.0), seconds=3600.0))), cooldown_s=60.0)
    rig.put(one)
    rig.read(17.0)

    outcome = tried(rig, one, at_ms=rig.moment.wall_ms + 9 * HOUR_MS)
    assert [result.result for result in outcome.conditions] == [True, False]
    earlier = tried(rig, one, at_ms=rig.moment.wall_ms - 12 * HOUR_MS)
    assert [result.result for result in earlier.conditions] == [True, False]


def test_nothing_of_the_running_rule_is_touched():
    rig = Rig()
    one = rule(cold(18.0, 20.0), on(seconds=5.0), cooldown_s=30.0)
    rig.put(one)
    rig.read(19.0)
    rig.engine.take_changed()
    before, situation = rig.engine.memory_of(one.id), rig.engine.why(one.id, rig.moment)

    assert tried(rig, one, {"ESP_00AA01:68": 10.0}).would_trigger

    assert rig.engine.memory_of(one.id) == before
    assert rig.engine.why(one.id, rig.moment) == situation
    assert rig.engine.take_changed() == {}
    assert rig.samples.of(1).value == 19.0


# --- actions ------------------------------------------------------------------------------------------------------


def test_what_would_be_done_is_told_action_by_action():
    rig = Rig()
    rig.read(10.0)
    steps = Sequence(steps=(Step(action=on(PUMP)), Step(delay_s=3.0)))
    one = rule(below(18.0), on(), SAY, Delay(seconds=20.0), on(LAMP, 5.0), on(LAMP), steps)

    actions = tried(rig, one).actions
    assert [action.type for action in actions] == [
        "actuator", "notification", "delay", "actuator", "actuator", "sequence",
    ]  # fmt: skip
    assert all(action.would_execute for action in actions)
    assert "Rule: 10" in actions[1].details
    assert "20 s later" in actions[3].details
    assert "if the rule still holds" in actions[4].details


def test_nothing_would_be_done_by_a_rule_that_does_not_hold():
    rig = Rig()
    one = rule(below(18.0), on(), SAY)
    assert [action.would_execute for action in tried(rig, one).actions] == [False, False]
    assert "unknown" in tried(rig, one).actions[0].details
    rig.read(25.0)
    assert "does not hold" in tried(rig, one).actions[0].details


def test_a_rule_in_its_cooldown_holds_and_does_nothing_yet():
    rig = Rig()
    one = rule(below(18.0), on(), cooldown_s=60.0)
    rig.put(one)
    rig.read(10.0)
    rig.read(20.0)
    rig.wait(15.0)

    outcome = tried(rig, one, {"ESP_00AA01:68": 10.0})
    assert outcome.would_trigger
    assert not outcome.actions[0].would_execute
    assert "may run again in 45 s" in outcome.actions[0].details


def test_what_a_rule_that_acts_already_has_done_is_not_done_again():
    rig = Rig()
    one = rule(below(18.0), on(), SAY)
    rig.put(one)
    rig.read(10.0)

    outcome = tried(rig, one)
    assert [action.would_execute for action in outcome.actions] == [True, False]
    assert "when the rule began to hold" in outcome.actions[1].details


def test_the_gate_is_asked():
    rig = Rig()
    rig.read(10.0)
    steps = Sequence(steps=(Step(action=on(PUMP)),))
    outcome = tried(rig, rule(below(18.0), on(), off(LAMP), steps), gate=refusing(RefusalCode.INTERLOCK))

    assert outcome.would_trigger
    assert [action.would_execute for action in outcome.actions] == [False, True, True]
    assert "INTERLOCK: ESP_00AA01:18 may not" in outcome.actions[0].details
    assert "INTERLOCK" in outcome.actions[2].details
    assert [claim.actuator for claim in outcome.claims] == [LAMP]


def test_who_goes_before_the_rule_is_told():
    rig = Rig()
    rig.read(10.0)

    def held_by(claim: Claim) -> Gate:
        return Gate(ask=lambda actuator, value: None, winner=lambda actuator: claim)

    person = Claim(actuator=HEATER, holder="person", rank=Rank.PERSON, value=0.0, issued_by="user:anna")
    weaker = Claim(actuator=HEATER, holder="rule:x/0", rank=Rank.RULE, priority=90, value=0.0)
    mine = Claim(actuator=HEATER, holder="rule:r1/0", rank=Rank.PERSON, value=0.0)
    assert (
        "user:anna goes before it" in tried(rig, rule(below(18.0)), gate=held_by(person)).actions[0].details
    )
    assert tried(rig, rule(below(18.0)), gate=held_by(weaker)).actions[0].would_execute
    assert tried(rig, rule(below(18.0)), gate=held_by(mine)).actions[0].would_execute


def test_a_loop_and_a_light_say_how_far_they_would_go():
    rig = Rig()
    rig.read({AIR: 20.0, SOIL: 1.0})
    loop = Pid(actuator=HEATER, sensor=AIR, set_point=24.0, kp=0.125)
    blind = Pid(actuator=PUMP, sensor=TANK, set_point=24.0, kp=0.125)
    light = Photoperiod(actuator=LAMP, on_min=6 * 60, light_min=600, value=0.75)
    one = rule(above(0.0, SOIL), loop, blind, light)

    outcome = tried(rig, one, {"ESP_00AA01:68": 22.0})
    assert [action.would_execute for action in outcome.actions] == [True, False, True]
    assert "on, at 0.25" in outcome.actions[0].details
    assert "no value" in outcome.actions[1].details
    assert "on, at 0.75" in outcome.actions[2].details
    assert "off" in tried(rig, one, at_ms=WALL_MS + 6 * HOUR_MS).actions[2].details


def test_a_disabled_rule_is_tried_as_if_it_were_not():
    rig = Rig()
    rig.read(10.0)
    one = rule(below(18.0), enabled=False)
    rig.put(one)

    assert tried(rig, one).actions[0].would_execute


# --- not dry ------------------------------------------------------------------------------------------------------


def test_a_trial_that_is_not_dry_switches_for_a_time_and_rests_on_nothing():
    rig = Rig()
    rig.read(10.0)
    one = rule(below(18.0), on(), on(PUMP, 45.0), off(LAMP), priority=7, is_critical=True)
    claims = carried_out(tried(rig, one), one, by="user:anna", execution="t-1", moment=rig.moment)

    assert [(claim.actuator, claim.value, claim.until - rig.now) for claim in claims] == [
        (HEATER, 1.0, TRIED_S),
        (PUMP, 1.0, 45.0),
        (LAMP, 0.0, TRIED_S),
    ]
    assert [claim.holder for claim in claims] == ["trial:r1/0", "trial:r1/1", "trial:r1/2"]
    assert [claim.rank for claim in claims] == [Rank.CRITICAL, Rank.CRITICAL, Rank.SAFETY]
    assert {claim.priority for claim in claims} == {7}
    assert all(claim.basis == frozenset() and claim.until < math.inf for claim in claims)
    assert {(claim.issued_by, claim.execution) for claim in claims} == {("user:anna", "t-1")}


def test_a_trial_that_is_not_dry_switches_nothing_that_would_not_be_done():
    rig = Rig()
    rig.read(25.0)
    one = rule(below(18.0), on(), Delay(seconds=5.0), on(PUMP, 10.0))
    assert carried_out(tried(rig, one), one, by="user:anna", execution="t", moment=rig.moment) == []
    refused = tried(rig, one, {"ESP_00AA01:68": 3.0}, gate=refusing(RefusalCode.COOLDOWN))
    assert carried_out(refused, one, by="user:anna", execution="t", moment=rig.moment) == []
    done = carried_out(tried(rig, one, {"ESP_00AA01:68": 3.0}), one, by="a", execution="t", moment=rig.moment)
    assert [claim.actuator for claim in done] == [HEATER]


def test_a_toggle_is_resolved_by_what_is_known_now():
    rig = Rig(outputs={HEATER: 1.0})
    rig.read(10.0)
    one = rule(below(18.0), Switch(actuator=HEATER, command=SwitchCommand.TOGGLE))
    (claim,) = carried_out(tried(rig, one), one, by="user:anna", execution="t", moment=rig.moment)
    assert claim.value == 0.0


# --- names and times ----------------------------------------------------------------------------------------------

HUMIDITY = SensorRef("ESP_00AA01", 68, "sht31_humidity")
TWO = rule(All(conditions=(below(18.0), above(70.0, HUMIDITY))))


@pytest.mark.parametrize(
    ("mocks", "said"),
    [
        ({"ESP_00AA01:68": 10.0}, "could be sht31_humidity or sht31_temp"),
        ({"ESP_00AA01:99": 10.0}, "is no sensor of the rule"),
        ({"ESP_00AA01": 10.0}, "names no sensor"),
        ({"ESP_00AA01:68/sht31_temp": math.nan}, "no number"),
        ({"ESP_00AA01:68/sht31_temp": 1.0, "ESP_00AA01:68/temperature_sht31": 2.0}, "two values"),
    ],
)
def test_a_name_that_fits_no_sensor_or_two_is_refused(mocks: dict[str, float], said: str):
    with pytest.raises(Invalid, match=said) as caught:
        tried(Rig(), TWO, mocks)
    assert "sht31_temp" in caught.value.cure


def test_two_values_of_one_chip_are_told_apart_by_their_type():
    rig = Rig(series={})
    outcome = tried(rig, TWO, {"ESP_00AA01:68/sht31_temp": 15.0, "ESP_00AA01:68/SHT31_Humidity": 80.0})
    assert outcome.would_trigger
    assert not tried(rig, TWO, {"ESP_00AA01:68/sht31_temp": 15.0}).would_trigger


def test_two_sensors_on_one_pin_are_told_apart_by_their_address():
    one = SensorRef("ESP_00AA01", 4, "ds18b20", "28FF641E8D3C0C79")
    other = SensorRef("ESP_00AA01", 4, "ds18b20", "28FF641E8D3C0C80")
    both = rule(All(conditions=(above(20.0, one), below(20.0, other))))
    rig = Rig(series={})
    with pytest.raises(Invalid, match="could be"):
        tried(rig, both, {"ESP_00AA01:4": 10.0})
    mocks = {"ESP_00AA01:4@28ff641e8d3c0c79": 25.0, "ESP_00AA01:4/ds18b20@28FF641E8D3C0C80": 15.0}
    assert tried(rig, both, mocks).would_trigger


def at(text: str, *zones: str) -> int:
    windows = tuple(TimeWindow(start_min=0, end_min=60, timezone=zone) for zone in zones)
    return time_of(text, rule(All(conditions=windows) if windows else below(1.0)), WALL_MS)


def test_a_time_of_day_is_today_in_the_zone_of_the_rule():
    midnight = WALL_MS // 86_400_000 * 86_400_000
    assert at("05:30") == midnight + 330 * 60_000
    assert at("5:30", "Europe/Berlin", "Asia/Tokyo") == midnight + 210 * 60_000
    light = rule(below(1.0), Photoperiod(actuator=LAMP, on_min=0, light_min=60, timezone="Europe/Berlin"))
    assert time_of("05:30", light, WALL_MS) == midnight + 210 * 60_000
    # It is tomorrow already on the other side of the world.
    assert at("05:30", "Pacific/Kiritimati") == midnight + (24 * 60 - 14 * 60 + 330) * 60_000


def test_a_time_may_be_a_date_too():
    assert at("1970-01-01T01:00") == HOUR_MS
    assert at("1970-01-01T01:00", "Europe/Berlin") == 0
    assert at("1970-01-01T01:00+02:00", "Europe/Berlin") == -HOUR_MS


@pytest.mark.parametrize("text", ["24:00", "5", "", "noon", "2026-13-01T00:00"])
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(Invalid, match="is no time"):
        at(text)


def test_an_actuator_may_be_claimed_by_two_actions():
    rig = Rig()
    rig.read(10.0)
    one = rule(below(18.0), on(seconds=5.0), on(ActuatorKey("ESP_00AA09", 1)))
    assert [claim.actuator.esp_id for claim in tried(rig, one).claims] == ["ESP_00AA01", "ESP_00AA09"]
