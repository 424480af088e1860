"""Rules in JSON as a whole: limits, changes, what clients are shown, and the way there and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

import attrs
import pytest
from forms_rig import AIR_ID, ESP, FAN, HOT, NOW_MS, OTHER, RULE, faults, faults_of, read, rule, without
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_strategies import ACTIONS, CONDITIONS

from growy.control.rules.forms import changed, read_rule, unreadable
from growy.control.rules.forms_written import write_action, write_condition
from growy.control.rules.walk import actuators_of, conditions_of, sensors_of
from growy.model.control import ActuatorKey
from growy.model.errors import RuleInvalid
from growy.model.rules import (
    Action,
    Condition,
    Delay,
    HeldFor,
    Not,
    Operator,
    SensorRef,
    Switch,
    SwitchCommand,
    Threshold,
)

AIR = SensorRef(ESP, 68, "sht31_temp")


# --- a rule -------------------------------------------------------------------------------------------------------


def test_what_a_rule_does_not_say() -> None:
    read_as = read(RULE)

    assert read_as.name == "Cool the tent"
    assert read_as.condition == Threshold(sensor=AIR, operator=Operator.GT, value=28.0)
    assert read_as.actions == (Switch(actuator=ActuatorKey(ESP, 18)),)
    assert (read_as.enabled, read_as.priority, read_as.cooldown_s, read_as.max_per_hour) == (
        True,
        50,
        60.0,
        None,
    )
    assert (read_as.is_critical, read_as.escalation, read_as.description) == (False, None, "")
    assert (read_as.id, read_as.created_ms, read_as.updated_ms) == ("r1", NOW_MS, NOW_MS)


def test_what_a_rule_may_say() -> None:
    read_as = rule(
        name="  Cool ",
        description="When the lamps are on",
        enabled=False,
        priority=1,
        cooldown_seconds=0,
        max_executions_per_hour=60,
        is_critical=True,
    )

    assert (read_as.name, read_as.description) == ("Cool", "When the lamps are on")
    assert (read_as.enabled, read_as.priority, read_as.cooldown_s, read_as.max_per_hour) == (
        False,
        1,
        0.0,
        60,
    )
    assert read_as.is_critical


def test_a_rule_as_it_stood_in_the_database_of_the_existing_server() -> None:
    stored = {"rule_name": "Cool", "trigger_conditions": HOT, "actions": [FAN]}

    assert read(stored).condition == rule().condition
    assert read(stored).document["conditions"] == [HOT]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": None}, "name: is missing"),
        ({"name": " ab "}, "name: has 2 characters, and must have 3 to 100"),
        ({"name": "x" * 101}, "name: has 101 characters"),
        ({"description": "x" * 501}, "description: has 501 characters"),
        ({"priority": 0}, "priority: is 0, and must be 1 to 100"),
        ({"priority": 101}, "priority: is 101"),
        ({"priority": "high"}, "priority: is 'high'"),
        ({"cooldown_seconds": 86_401}, "cooldown_seconds: is 86401"),
        ({"max_executions_per_hour": 0}, "max_executions_per_hour: is 0"),
        ({"max_executions_per_hour": 61}, "max_executions_per_hour: is 61"),
        ({"enabled": "maybe"}, "enabled: is 'maybe'"),
        ({"logic_operator": "XOR"}, "logic_operator: is 'XOR', and must be one of AND, OR"),
        ({"cooldown_second": 5}, "cooldown_second: is no field; is cooldown_seconds meant?"),
    ],
)
def test_a_rule_within_limits(change: dict[str, object], fault: str) -> None:
    (found,) = faults(**change)

    assert found.startswith(fault)


def test_all_faults_of_a_rule_are_said_at_once() -> None:
    found = faults(name="x", priority=0, conditions=[without(HOT, "value")], actions=[without(FAN, "gpio")])

    assert [fault.partition(":")[0] for fault in found] == [
        "name",
        "conditions[0].value",
        "actions[0].gpio",
        "priority",
    ]
    with pytest.raises(RuleInvalid, match=r"Rule validation failed: name: has 1 characters.*and 1 more"):
        rule(name="x", priority=0, conditions=[without(HOT, "value")], actions=[without(FAN, "gpio")])


def test_what_clients_send_back_of_an_answer_is_passed_over() -> None:
    answer = {
        "success": True,
        **rule().document,
        **dict.fromkeys(("id", "created_at", "updated_at", "last_triggered", "last_execution_success"), "x"),
        **dict.fromkeys(("execution_count", "degraded_since", "degraded_reason", "warnings", "notes"), 7),
        **dict.fromkeys(("runs_on_device", "fault", "situation")),
    }

    assert read(answer) == read(RULE)


def test_only_a_whole_rule_can_be_switched_off() -> None:
    found = faults(conditions=[{**HOT, "enabled": False}], actions=[{**FAN, "enabled": False}])

    assert [fault.partition(": is false")[0] for fault in found] == [
        "conditions[0].enabled",
        "actions[0].enabled",
    ]
    assert rule(conditions=[{**HOT, "enabled": True}]) == rule()


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({**RULE, "conditions": [{**HOT, "note": object()}]}, "is not JSON"),
        ({**RULE, "conditions": [{**HOT, "note": "x" * 70_000}]}, "bytes of JSON"),
    ],
)
def test_what_is_no_document(document: Mapping[str, object], fault: str) -> None:
    assert fault in faults_of(document)[0]


# --- what clients are shown ---------------------------------------------------------------------------------------


def test_the_document_has_every_field_and_conditions_as_they_were_written() -> None:
    shown = rule(
        conditions={**HOT, "type": "sensor_threshold", "colour": "red"}, cooldown_seconds="2m"
    ).document

    assert shown == {
        "name": "Cool the tent",
        "description": None,
        "conditions": [{**HOT, "type": "sensor_threshold", "colour": "red"}],
        "logic_operator": "AND",
        "actions": [FAN],
        "enabled": True,
        "priority": 50,
        "cooldown_seconds": 120,
        "max_executions_per_hour": None,
        "is_critical": False,
        "escalation_policy": None,
    }
    assert json.loads(json.dumps(shown)) == shown


def test_the_document_is_not_the_clients() -> None:
    mine: dict[str, object] = json.loads(json.dumps(RULE))
    read_as = read(mine)
    mine["conditions"] = []

    assert read_as.document["conditions"] == [HOT]


@settings(deadline=None)
@given(CONDITIONS, st.lists(ACTIONS, min_size=1, max_size=3))
def test_a_rule_that_was_read_is_read_the_same_again(condition: Condition, actions: list[Action]) -> None:
    first = read(
        {
            "name": "Any rule",
            "conditions": [write_condition(condition)],
            "actions": [FAN, *map(write_action, actions)],
        }
    )

    assert read(first.document) == first
    assert read(first.document).document == first.document


# --- there and back -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(CONDITIONS)
def test_a_condition_that_is_written_is_read_as_the_same(condition: Condition) -> None:
    assert rule(conditions=[write_condition(condition)]).condition == condition


@settings(deadline=None)
@given(ACTIONS)
def test_an_action_that_is_written_is_read_as_the_same(action: Action) -> None:
    assert rule(actions=[write_action(action), FAN]).actions[0] == action


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ("type", "logic", "conditions", "condition", "steps", "action", "value", "gpio", "sensor")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ("name", "conditions", "actions", "logic_operator", "priority", "escalation_policy", "x")
        ),
        JSON,
    )
)
def test_whatever_a_document_says_it_is_read_or_refused(document: dict[str, object]) -> None:
    with suppress(RuleInvalid):
        read_rule(document, id="r1", now_ms=0, resolve=lambda sensor_id: None, webhooks=())


@settings(deadline=None)
@given(
    st.sampled_from(
        ["sensor", "time", "hysteresis", "sensor_diff", "rate_of_change", "freshness", "not", "held_for"]
    ),
    st.dictionaries(
        st.sampled_from(
            (
                "esp_id",
                "gpio",
                "operator",
                "value",
                "min",
                "max",
                "start_hour",
                "end_time",
                "days_of_week",
                "timezone",
            )
        ),
        JSON,
    ),
    st.sampled_from(["actuator", "notification", "delay", "sequence", "pid", "photoperiod"]),
    st.dictionaries(
        st.sampled_from(
            ("esp_id", "gpio", "value", "duration", "channel", "target", "seconds", "kp", "light_hours")
        ),
        JSON,
    ),
)
def test_whatever_a_field_says_it_is_read_or_refused(
    condition: str, of_condition: dict[str, object], action: str, of_action: dict[str, object]
) -> None:
    document = {
        "name": "Strange",
        "conditions": [{**of_condition, "type": condition}],
        "actions": [{**of_action, "type": action}],
    }
    with suppress(RuleInvalid):
        read(document)


# --- changes ------------------------------------------------------------------------------------------------------


def test_only_the_fields_that_are_given_change() -> None:
    before = rule(description="Old", priority=7, max_executions_per_hour=5)
    after = read(changed(before, {"name": "New name", "cooldown_seconds": 5}))

    assert after == attrs.evolve(before, name="New name", cooldown_s=5.0)


def test_null_takes_away_what_can_be_absent_and_nothing_else() -> None:
    before = rule(
        description="Old",
        priority=7,
        max_executions_per_hour=5,
        escalation_policy={"max_retries": 1},
    )
    nothing = dict.fromkeys(before.document)
    after = read(changed(before, nothing))

    assert after == attrs.evolve(before, description="", max_per_hour=None, escalation=None)


def test_another_operator_for_the_same_conditions() -> None:
    before = rule(conditions=[HOT, {**HOT, "gpio": 69}])
    after = read(changed(before, {"logic_operator": "OR"}))

    assert after.document["conditions"] == before.document["conditions"]
    assert after == rule(conditions=[HOT, {**HOT, "gpio": 69}], logic_operator="OR")


def test_a_compound_brings_its_own_operator() -> None:
    either = {"logic": "OR", "conditions": [HOT, {**HOT, "gpio": 69}]}

    assert read(changed(rule(), {"conditions": either})).document["logic_operator"] == "OR"


def test_a_change_that_is_mistyped_is_not_passed_over() -> None:
    with pytest.raises(RuleInvalid, match="is cooldown_seconds meant"):
        read(changed(rule(), {"cooldown_secs": 5, "cooldown_second": 5}))


def test_a_rule_that_cannot_be_read_any_more_is_kept_and_can_be_mended() -> None:
    old = {
        "rule_name": "Old rule",
        "trigger_conditions": [{"type": "moon"}],
        "actions": [FAN],
        "enabled": False,
    }
    kept = unreadable(old, id="r9", name="Old rule", now_ms=NOW_MS)

    assert (kept.id, kept.name, kept.enabled, kept.actions) == ("r9", "Old rule", False, ())
    assert kept.document == old
    mended = read(changed(kept, {"conditions": [HOT]}), id="r9")
    assert (mended.name, mended.condition, mended.enabled) == ("Old rule", rule().condition, False)


# --- escalation ---------------------------------------------------------------------------------------------------


def test_an_escalation_policy() -> None:
    policy = {
        "notify": ["websocket", "webhook"],
        "retry_interval_s": 30,
        "max_retries": 3,
        "failover_actions": [{**FAN, "gpio": 19, "command": "OFF"}],
    }
    read_as = rule(escalation_policy=policy)

    assert read_as.escalation == {
        "notify": ("websocket", "webhook"),
        "retry_interval_s": 30.0,
        "max_retries": 3,
        "failover_actions": (Switch(actuator=ActuatorKey(ESP, 19), command=SwitchCommand.OFF, value=0.0),),
    }
    assert read_as.document["escalation_policy"] == policy
    assert actuators_of(read_as) == [ActuatorKey(ESP, 18), ActuatorKey(ESP, 19)]


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        ("loud", "escalation_policy: is 'loud'"),
        ({"notify": ["email"]}, "escalation_policy.notify[0]: is email: growyd sends no e-mail"),
        ({"notify": ["pigeon"]}, "escalation_policy.notify[0]: must be one of websocket, webhook"),
        ({"retry_interval_s": 0}, "escalation_policy.retry_interval_s: is 0"),
        ({"max_retries": 101}, "escalation_policy.max_retries: is 101"),
        ({"failover_actions": [{"type": "plugin"}]}, "escalation_policy.failover_actions[0].type: is plugin"),
        ({"retryInterval": 5}, "escalation_policy.retryInterval: is no field of it; there are notify,"),
        ({"channels": ["websocket"]}, "escalation_policy.channels: is no field of it"),
    ],
)
def test_an_escalation_policy_that_says_something_else(policy: object, fault: str) -> None:
    (found,) = faults(escalation_policy=policy)

    assert found.startswith(fault)


# --- walking through rules ----------------------------------------------------------------------------------------


def test_the_sensors_of_a_rule_are_those_of_its_condition_and_of_its_loops() -> None:
    root = {"esp_id": OTHER, "gpio": 4, "sensor_type": "ds18b20"}
    loop = {"type": "pid", "esp_id": ESP, "gpio": 19, "sensor": root, "set_point": 22, "kp": 1}
    read_as = rule(
        conditions={
            "logic": "OR",
            "conditions": [
                HOT,
                {"type": "not", "condition": {**HOT, "gpio": 69}},
                {
                    "type": "sensor_diff",
                    "sensor_a_id": AIR_ID,
                    "sensor_b": {"esp_id": ESP, "gpio": 70},
                    "operator": ">",
                    "value": 1,
                    "for": 60,
                },
                HOT,
                {"type": "always"},
            ],
        },
        actions=[loop],
    )
    of_condition = [AIR, SensorRef(ESP, 69, "sht31_temp"), SensorRef(ESP, 68, None, "68"), SensorRef(ESP, 70)]

    assert sensors_of(read_as.condition) == of_condition
    assert sensors_of(read_as) == [*of_condition, SensorRef(OTHER, 4, "ds18b20")]


def test_the_actuators_of_a_rule_are_also_those_of_its_sequences() -> None:
    read_as = rule(
        actions=[
            {
                "type": "sequence",
                "steps": [{"action": {**FAN, "gpio": 25}}, {"delay_seconds": 5}, {"action": FAN}],
            },
            {"type": "delay", "seconds": 5},
            {"type": "photoperiod", "esp_id": OTHER, "gpio": 18, "on_hour": 6, "light_hours": 12},
            FAN,
        ]
    )

    assert actuators_of(read_as) == [ActuatorKey(ESP, 25), ActuatorKey(ESP, 18), ActuatorKey(OTHER, 18)]
    assert isinstance(read_as.actions[1], Delay)


def test_nested_conditions_come_after_the_one_they_are_in() -> None:
    read_as = rule(conditions=[{"type": "not", "condition": {**HOT, "for": 5}}])

    assert [type(each) for each in conditions_of(read_as.condition)] == [Not, HeldFor, Threshold]
