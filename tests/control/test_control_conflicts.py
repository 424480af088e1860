"""Rules that work against each other are found before they run; rules that only look alike are left alone."""

from __future__ import annotations

import time

import attrs
import pytest
from forms_rig import ESP, FAN, HOT, read, without

from growy.control.rules.conflicts import Coupling, Finding, FindingKind, find
from growy.model.control import ActuatorKey
from growy.model.rules import Rule, SensorRef

FAN_KEY = ActuatorKey(ESP, 18)
HEATER = {**FAN, "gpio": 19}
HEATER_KEY = ActuatorKey(ESP, 19)
AIR = SensorRef(ESP, 68, "sht31_temp")
DAMP = SensorRef(ESP, 68, "sht31_humidity")
OFF = {**FAN, "command": "OFF"}


def rule(name: str, conditions: object, *actions: object, **more: object) -> Rule:
    return read({"name": name, "conditions": conditions, "actions": list(actions) or [FAN], **more}, id=name)


def at(operator: str, value: float, **more: object) -> dict[str, object]:
    return {**HOT, "operator": operator, "value": value, **more}


def damp(operator: str, value: float) -> dict[str, object]:
    return at(operator, value, sensor_type="sht31_humidity")


def cool(on: float, off: float) -> dict[str, object]:
    return {
        **without(HOT, "operator", "value"),
        "type": "hysteresis",
        "activate_above": on,
        "deactivate_below": off,
    }


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


# --- fights -------------------------------------------------------------------------------------------------------


def test_two_rules_that_want_opposite_things_at_the_same_time() -> None:
    finding = only(find([rule("Cool", at(">", 20)), rule("Save power", at("<", 25), OFF)]))

    assert finding.kind is FindingKind.FIGHT
    assert finding.certain
    assert finding.rules == ("Cool", "Save power")
    assert finding.actuator == FAN_KEY
    assert "'Cool' wants ESP_0A1B2C:18 on and 'Save power' wants it off" in finding.message
    assert "priority" in finding.cure


def test_two_rules_that_leave_each_other_room_do_not_fight() -> None:
    assert find([rule("Cool", at(">", 28)), rule("Enough", at("<", 24), OFF)]) == []


def test_rules_that_want_the_same_do_not_fight() -> None:
    assert find([rule("Cool", at(">", 20)), rule("Air", damp(">", 60))]) == []


def test_where_one_goes_first_there_is_no_fight() -> None:
    assert find([rule("Cool", at(">", 20)), rule("Save", at("<", 25), OFF, priority=40)]) == []
    assert find([rule("Cool", at(">", 20)), rule("Guard", at("<", 25), OFF, is_critical=True)]) == []
    assert find([rule("Cool", at(">", 20)), rule("Guard", at("<", 25), {**OFF, "critical": True})]) == []


def test_a_critical_rule_that_switches_off_goes_before_a_critical_one_that_switches_on() -> None:
    on, off = rule("Run", at(">", 20), is_critical=True), rule("Stop", at("<", 25), OFF, is_critical=True)

    assert find([on, off]) == []


def test_rules_on_different_sensors_may_fight() -> None:
    finding = only(find([rule("Cool", at(">", 20)), rule("Too dry", damp("<", 40), OFF)]))

    assert finding.kind is FindingKind.FIGHT
    assert not finding.certain
    assert "may hold" in finding.message


@pytest.mark.parametrize(
    "action",
    [
        {**FAN, "command": "TOGGLE"},
        {**FAN, "command": "PWM", "value": 0.4},
        {
            "type": "pid",
            "esp_id": ESP,
            "gpio": 18,
            "sensor": {"esp_id": ESP, "gpio": 68, "sensor_type": "sht31_temp"},
            "set_point": 22,
            "kp": 0.1,
        },
        {"type": "photoperiod", "esp_id": ESP, "gpio": 18, "on_hour": 6, "light_hours": 12},
        {"type": "sequence", "steps": [{"action": OFF}]},
    ],
)
def test_what_may_want_something_else_may_fight(action: dict[str, object]) -> None:
    finding = only(find([rule("Cool", at(">", 20)), rule("Other", at("<", 25), action)]))

    assert finding.kind is FindingKind.FIGHT
    assert not finding.certain


def test_a_rule_that_always_wants_it_off_fights_for_certain() -> None:
    assert only(find([rule("Cool", at(">", 20)), rule("Never", {"type": "always"}, OFF)])).certain


def test_two_rules_fight_once_over_an_actuator_and_the_certain_fight_is_said() -> None:
    once = {"type": "sequence", "steps": [{"action": OFF}]}

    assert only(find([rule("Cool", at(">", 20)), rule("Other", at("<", 25), once, OFF, once)])).certain


def test_rules_that_are_switched_off_do_not_count() -> None:
    assert find([rule("Cool", at(">", 20)), rule("Save", at("<", 25), OFF, enabled=False)]) == []


def test_only_what_concerns_one_rule_is_told() -> None:
    rules = [rule("One", at(">", 20)), rule("Two", at("<", 25), OFF), rule("Far", damp(">", 60), HEATER)]

    assert find(rules, about="Far") == []
    assert find(rules, about="One") == find(rules, about="Two") == find(rules)


# --- a rule against itself ----------------------------------------------------------------------------------------


def test_a_rule_that_switches_on_and_then_off_for_good() -> None:
    pulse = rule("Pulse", at(">", 20), FAN, {"type": "delay", "seconds": 30}, OFF)
    finding = only(find([pulse]))

    assert finding.kind is FindingKind.FIGHT
    assert finding.certain
    assert finding.rules == ("Pulse",)
    assert "duration_seconds" in finding.cure


def test_a_rule_that_lets_go_before_it_switches_off_does_not_fight_itself() -> None:
    assert (
        find([rule("Pulse", at(">", 20), {**FAN, "duration": 30}, {"type": "delay", "seconds": 30}, OFF)])
        == []
    )
    assert (
        find([rule("Pulse", at(">", 20), FAN, {"type": "delay", "seconds": 30}, {**OFF, "critical": True})])
        == []
    )
    assert (
        find([rule("Pulse", at(">", 20), {"type": "sequence", "steps": [{"action": FAN}, {"action": OFF}]})])
        == []
    )


# --- contradictions and duplicates --------------------------------------------------------------------------------


def test_conditions_that_contradict_each_other() -> None:
    finding = only(find([rule("Odd", [at(">", 30), at("<", 20)])]))

    assert (finding.kind, finding.certain, finding.rules) == (FindingKind.NEVER, True, ("Odd",))
    assert "OR" in finding.cure


def test_two_rules_that_say_the_same() -> None:
    finding = only(find([rule("Cool", at(">", 20)), rule("Cool again", at(">", 20), priority=10)]))

    assert (finding.kind, finding.certain) == (FindingKind.DUPLICATE, False)
    assert finding.rules == ("Cool", "Cool again")


# --- loops --------------------------------------------------------------------------------------------------------

COUPLED = [Coupling(FAN_KEY, (AIR, DAMP)), Coupling(HEATER_KEY, (AIR,))]


def test_heating_and_cooling_that_overlap() -> None:
    heat, air = rule("Heat", at("<", 24), HEATER), rule("Air", at(">", 22))
    finding = only(find([heat, air], COUPLED))

    assert finding.kind is FindingKind.LOOP
    assert finding.certain
    assert set(finding.rules) == {"Heat", "Air"}
    assert (
        "'Heat' raises ESP_0A1B2C:68/sht31_temp with ESP_0A1B2C:19 while 'Air' lowers it" in finding.message
    )


def test_heating_and_cooling_with_a_gap_between_them() -> None:
    assert find([rule("Heat", at("<", 20), HEATER), rule("Air", at(">", 26))], COUPLED) == []
    assert find([rule("Heat", at("<", 20), HEATER), rule("Air", cool(28, 22))], COUPLED) == []


def test_a_fan_that_runs_on_until_it_is_cold_works_against_the_heater() -> None:
    assert only(find([rule("Heat", at("<", 20), HEATER), rule("Air", cool(28, 18))], COUPLED)).certain


def test_without_a_coupling_nobody_knows() -> None:
    assert find([rule("Heat", at("<", 24), HEATER), rule("Air", at(">", 22))]) == []
    assert find([rule("Heat", at("<", 24), HEATER), rule("Air", at(">", 22))], COUPLED[:1]) == []


def loop(set_point: float, gpio: int, reverse: bool) -> dict[str, object]:
    air = {"esp_id": ESP, "gpio": 68, "sensor_type": "sht31_temp"}
    pid = {"type": "pid", "esp_id": ESP, "gpio": gpio, "sensor": air, "kp": 0.1}
    return {**pid, "set_point": set_point, "reverse": reverse}


def test_two_control_loops_whose_set_points_cross() -> None:
    always = {"type": "always"}
    heat, air = rule("Heat", always, loop(24, 19, False)), rule("Air", always, loop(22, 18, True))

    assert only(find([heat, air], COUPLED)).certain
    assert find([heat, rule("Air", always, loop(26, 18, True))], COUPLED) == []


def test_what_one_switches_on_another_that_goes_first_may_switch_off_again() -> None:
    water = rule("Water", at("<", 40, gpio=34, sensor_type="moisture"))
    wet = {"logic": "OR", "conditions": [damp(">", 80), at("<", 5)]}
    guard = rule("Not too humid", wet, OFF, priority=10)
    finding = only(find([water, guard], COUPLED))

    assert (finding.kind, finding.certain) == (FindingKind.LOOP, False)
    assert finding.rules == ("Water", "Not too humid")
    assert "hysteresis" in finding.cure


def test_a_limit_on_the_same_sensor_is_no_loop() -> None:
    assert find([rule("Cool", at(">", 28)), rule("Enough", at("<", 24), OFF, priority=10)], COUPLED) == []


def test_rules_that_set_each_other_off_over_several_sensors() -> None:
    fog, fogger = {**FAN, "gpio": 25}, ActuatorKey(ESP, 25)
    rules = [
        rule("Heat", at("<", 20), HEATER),
        rule("Fog", damp("<", 50), fog),
        rule("Light", {"type": "time", "start_hour": 6, "end_hour": 20}),
    ]
    coupled = [Coupling(HEATER_KEY, (AIR, DAMP)), Coupling(fogger, (DAMP, AIR))]
    finding = only(find(rules, coupled))

    assert (finding.kind, finding.certain) == (FindingKind.LOOP, False)
    assert set(finding.rules) == {"Heat", "Fog"}
    assert "may set itself off again" in finding.message


def test_a_round_trip_over_three_rules() -> None:
    rules, couplings = [], []
    for here, there in ((1, 2), (2, 3), (3, 1)):
        rules.append(rule(f"Rule {here}", at("<", 20, gpio=60 + here), {**FAN, "gpio": here}))
        couplings.append(Coupling(ActuatorKey(ESP, here), (SensorRef(ESP, 60 + there, "sht31_temp"),)))

    assert set(only(find(rules, couplings)).rules) == {"Rule 1", "Rule 2", "Rule 3"}
    assert find(rules[:2], couplings) == []


# --- many ---------------------------------------------------------------------------------------------------------


def test_a_rule_is_checked_against_ten_thousand_others_in_no_time() -> None:
    some = [rule(f"Rule {pin}", at(">", 20, gpio=pin), {**FAN, "gpio": pin}) for pin in range(200)]
    crowd = [attrs.evolve(one, id=f"{one.id}/{copy}") for one in some for copy in range(50)]
    mine = rule("Mine", at("<", 25, gpio=7), {**OFF, "gpio": 7})
    started = time.perf_counter()

    findings = find([*crowd, mine], about="Mine")

    assert len(findings) == 50
    assert time.perf_counter() - started < 2.0
