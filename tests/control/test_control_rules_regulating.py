"""PID loops and photoperiods as actions: claims that follow, let go of stale sensors, and end with the rule."""

from __future__ import annotations

import pytest
from rules_rig import AIR, HEATER, LAMP, SOIL, Rig, above, on, rule

from growy.control.rules.effects import Hold, Release
from growy.model.control import Rank
from growy.model.rules import Always, AnyOf, Condition, Photoperiod, Pid, TimeWindow

SLOW = 600.0


def loop(**more: object) -> Pid:
    fields: dict[str, object] = {"actuator": HEATER, "sensor": AIR, "set_point": 20.0, "kp": 0.1, **more}
    return Pid(**fields)


def looped(condition: Condition | None = None, **more: object) -> Rig:
    rig = Rig()
    rig.put(rule(condition or Always(), loop(**more)))
    return rig


def test_the_claim_follows_the_output_with_every_good_reading():
    rig = looped()
    assert rig.value() is None
    for value, output in ((15.0, 0.5), (18.0, 0.2), (21.0, 0.0), (5.0, 1.0)):
        rig.read(value)
        assert rig.value() == pytest.approx(output)
        rig.wait(30.0)


def test_the_integral_grows_by_the_time_between_readings():
    rig = looped(ki=0.001)
    rig.read(19.0)
    rig.wait(30.0)
    rig.read(19.0)
    assert rig.value() == pytest.approx(0.1 + 0.001 * 30.0)


def test_a_claim_of_a_loop_rests_on_its_own_sensor_too():
    rig = looped(condition=above(10.0, SOIL))
    rig.read({SOIL: 50.0, AIR: 15.0})
    claim = rig.claim()
    assert claim is not None
    assert claim.basis == {1, 2}
    assert rig.engine.basis_good(claim, rig.now)


@pytest.mark.parametrize("silent", [True, False])
def test_a_loop_whose_sensor_fails_lets_go_and_takes_up_again(silent: bool):
    rig = looped()
    rig.read(15.0)
    if silent:
        rig.wait(90.1)
    else:
        rig.read(None)
    assert rig.value() is None
    rig.wait(20.0)
    rig.read(16.0)
    assert rig.value() == pytest.approx(0.4)


def test_a_loop_ends_with_the_rule_holding_and_begins_empty():
    rig = looped(condition=above(30.0, SOIL), ki=0.01)
    rig.read({SOIL: 50.0, AIR: 19.0})
    rig.wait(30.0)
    rig.read({AIR: 19.0})
    assert rig.value() == pytest.approx(0.4)
    rig.read({SOIL: 10.0})
    assert rig.value() is None
    rig.read({AIR: 18.0})
    assert rig.value() is None
    rig.read({SOIL: 50.0})
    assert rig.value() == pytest.approx(0.2)


def test_a_loop_that_takes_over_what_runs_goes_on_from_there():
    rig = Rig(outputs={HEATER: 0.6})
    rig.put(rule(Always(), loop(ki=0.001)))
    rig.read(19.0)
    assert rig.value() == pytest.approx(0.6)


def test_a_new_set_point_keeps_what_the_loop_has_learnt():
    rig = looped(ki=0.01)
    rig.read(19.0)
    rig.wait(30.0)
    rig.read(19.0)
    assert rig.value() == pytest.approx(0.4)
    rig.put(rule(Always(), loop(ki=0.01, set_point=21.0)))
    assert rig.value() == pytest.approx(0.4)
    rig.wait(30.0)
    rig.read(21.0)
    assert rig.value() == pytest.approx(0.3)
    assert rig.all_of(Release) == []


def test_a_relay_is_on_for_its_share_of_each_window():
    rig = looped(window_s=100.0, set_point=25.0, kp=0.1)
    seen = []
    for second in range(300):
        if second % 30 == 0:
            rig.read(22.0)  # 0.3
        seen.append(rig.value())
        rig.wait(1.0)
    assert seen == ([1.0] * 30 + [0.0] * 70) * 3
    assert len(rig.all_of(Hold)) == 7  # the fourth window has just begun


def test_a_relay_keeps_the_share_with_which_its_window_began():
    rig = looped(window_s=100.0, set_point=25.0, kp=0.1)
    rig.read(22.0)
    rig.wait(10.0)
    rig.read(17.0)
    rig.wait(25.0)
    assert rig.value() == 0.0
    rig.wait(40.0)
    rig.read(17.0)
    rig.wait(50.0)
    assert rig.value() == 1.0


def test_a_critical_loop_is_safety_when_it_is_off():
    rig = looped(critical=True)
    rig.read(15.0)
    claim = rig.claim()
    assert claim is not None
    assert claim.rank is Rank.CRITICAL
    rig.read(25.0)
    claim = rig.claim()
    assert claim is not None
    assert claim.rank is Rank.SAFETY


def test_a_loop_is_not_executed_again_and_again():
    rig = looped()
    for _ in range(20):
        rig.read(15.0)
        rig.wait(30.0)
    assert len(rig.begun()) == len(rig.ended()) == 1


def test_two_loops_of_one_rule_follow_their_own_sensors():
    rig = Rig()
    rig.put(rule(Always(), loop(), loop(actuator=LAMP, sensor=SOIL, set_point=50.0, kp=0.01)))
    rig.read({AIR: 15.0, SOIL: 40.0})
    assert (rig.value(HEATER), rig.value(LAMP)) == (pytest.approx(0.5), pytest.approx(0.1))
    rig.read({SOIL: 30.0})
    assert (rig.value(HEATER), rig.value(LAMP)) == (pytest.approx(0.5), pytest.approx(0.2))


# --- light --------------------------------------------------------------------------------------------------------


def light(**more: object) -> Photoperiod:
    # It is 14:13:20 UTC.
    fields: dict[str, object] = {"actuator": LAMP, "on_min": 15 * 60, "light_min": 120, **more}
    return Photoperiod(**fields)


def test_a_light_is_claimed_off_before_and_after_its_time_and_on_in_it():
    rig = Rig()
    rig.put(rule(Always(), light(value=0.8)))
    assert rig.value(LAMP) == 0.0
    rig.wait(46 * 60.0 + 40.0 - 1.0)
    assert rig.value(LAMP) == 0.0
    rig.wait(1.0)
    assert rig.value(LAMP) == 0.8
    rig.wait(120 * 60.0 - 1.0)
    assert rig.value(LAMP) == 0.8
    rig.wait(1.0)
    assert rig.value(LAMP) == 0.0


def test_dawn_comes_in_steps_by_itself():
    rig = Rig()
    rig.put(rule(Always(), light(ramp_min=10)))
    rig.wait(46 * 60.0 + 40.0)
    levels = []
    for _ in range(11):
        value = rig.value(LAMP)
        assert value is not None
        levels.append(value)
        rig.wait(60.0)
    assert levels == sorted(levels)
    assert 0.0 < levels[0] < 0.1
    assert levels[-1] == 1.0


def test_a_wall_clock_that_is_set_moves_the_light():
    rig = Rig()
    rig.put(rule(Always(), light()))
    rig.wall_at_0 += 3600 * 1000
    rig.wait(1.0)
    assert rig.value(LAMP) == 1.0


def test_a_light_ends_with_the_rule_holding():
    rig = Rig()
    day = TimeWindow(start_min=0, end_min=16 * 60)
    rig.put(rule(day, light()))
    rig.wait(3600.0)
    assert rig.value(LAMP) == 1.0
    rig.wait(3600.0)
    assert rig.value(LAMP) is None


def test_a_loop_beside_a_pulse_goes_on_when_the_pulse_comes_again():
    rig = Rig()
    any_air = AnyOf(conditions=(above(0.0), Always()))
    rig.put(rule(any_air, loop(ki=0.001), on(LAMP, 10.0), cooldown_s=60.0))
    outputs = []
    for _ in range(10):
        rig.read(19.0)
        outputs.append(rig.value(HEATER))
        rig.wait(30.0)
    assert outputs == pytest.approx([0.1 + 0.03 * step for step in range(10)])
