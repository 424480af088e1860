"""Actions in every spelling that clients use; and what could not be done is refused with its path."""

from __future__ import annotations

from typing import get_args

import pytest
from forms_rig import AIR_ID, ESP, FAN, HOOKS, RULE, action, faults, read, rule, without

from growy.control.rules.forms import ACTION_TYPES, render
from growy.control.rules.forms_actions import REFUSED
from growy.control.rules.texts import PLACEHOLDERS
from growy.model.control import ActuatorKey
from growy.model.errors import RuleInvalid
from growy.model.rules import (
    Action,
    Channel,
    Delay,
    Notify,
    Photoperiod,
    Pid,
    SensorRef,
    Sequence,
    Step,
    Switch,
    SwitchCommand,
)

FAN_KEY = ActuatorKey(ESP, 18)
TELL = {"type": "notification", "channel": "websocket", "message_template": "Hot: {sensor_value}"}
POST = {**TELL, "channel": "webhook", "target": HOOKS[0] + "hot"}


def test_every_action_of_the_model_can_be_written_and_nothing_else() -> None:
    assert set(ACTION_TYPES.values()) == set(get_args(Action))
    assert not set(ACTION_TYPES) & set(REFUSED)


@pytest.mark.parametrize("name", sorted(ACTION_TYPES))
def test_every_type_in_the_table_has_a_reader(name: str) -> None:
    known = faults(actions=[{"type": name}])

    assert not any(fault.startswith("actions[0].type") for fault in known)


# --- switches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        FAN,
        {**FAN, "type": "actuator_command"},
        without(FAN, "command", "value"),
        {**FAN, "command": "on", "duration": 0, "actuator_type": "relay"},
        {"type": "actuator", "actuator": {"esp_id": ESP, "gpio": 18}},
    ],
)
def test_a_switch_is_on_while_the_rule_holds(said: object) -> None:
    assert action(said) == Switch(actuator=FAN_KEY, command=SwitchCommand.ON, value=1.0)


@pytest.mark.parametrize("value", [None, 0, 1, 0.3])
def test_off_is_off_whatever_the_form_left_in_the_value(value: object) -> None:
    assert action({**FAN, "command": "OFF", "value": value}) == Switch(
        actuator=FAN_KEY, command=SwitchCommand.OFF, value=0.0
    )


@pytest.mark.parametrize(
    ("value", "level"),
    [(0.5, 0.5), (0, 0.0), (1, 1.0), (2, 2 / 255), (128, 128 / 255), (255, 1.0), ("0.25", 0.25)],
)
def test_a_dimmer_takes_shares_and_eight_bits(value: object, level: float) -> None:
    assert action({**FAN, "command": "PWM", "value": value}) == Switch(
        actuator=FAN_KEY, command=SwitchCommand.PWM, value=level
    )


def test_a_toggle() -> None:
    assert action(without(FAN, "value", command="toggle")) == Switch(
        actuator=FAN_KEY, command=SwitchCommand.TOGGLE
    )


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({"duration": 30}, 30.0),
        ({"duration_seconds": "5m"}, 300.0),
        ({"duration_seconds": 0, "duration": 30}, 0.0),
        ({"duration_seconds": None, "duration": 30}, 30.0),
        ({"duration_seconds": 10, "duration": 30}, 10.0),
    ],
)
def test_a_duration_that_is_written_down_wins(said: dict[str, object], seconds: float) -> None:
    read_as = action({**FAN, **said})

    assert isinstance(read_as, Switch)
    assert read_as.duration_s == seconds


@pytest.mark.parametrize("name", ["critical", "is_safety_critical"])
def test_a_critical_switch(name: str) -> None:
    read_as = action({**FAN, name: True})

    assert isinstance(read_as, Switch)
    assert read_as.critical


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"value": 0}, "actions[0].value: is 0, and the command is ON"),
        ({"value": 255}, "actions[0].value: is 255, and must be 0 to 1"),
        ({"command": "PWM", "value": None}, "actions[0].value: is missing"),
        ({"command": "PWM", "value": "half"}, "actions[0].value: is 'half', and must be a number"),
        ({"command": "PWM", "value": 1.5}, "actions[0].value: is 1.5, and must be 0 to 1, or a whole number"),
        ({"command": "PWM", "value": 256}, "actions[0].value: is 256"),
        ({"command": "PWM", "value": -0.1}, "actions[0].value: is -0.1"),
        ({"command": "STOP"}, "actions[0].command: is 'STOP', and must be one of ON, OFF, PWM, TOGGLE"),
        ({"duration": -1}, "actions[0].duration: is -1"),
        ({"duration": 90_000}, "actions[0].duration: is 90000"),
        ({"esp_id": "ESP_1"}, "actions[0].esp_id: is 'ESP_1'"),
        ({"gpio": 300}, "actions[0].gpio: is 300"),
        ({"critical": "perhaps"}, "actions[0].critical: is 'perhaps', and must be true or false"),
        ({"durations": 5}, "actions[0].durations: is no field; is duration meant?"),
    ],
)
def test_a_switch_that_does_not_say_what_it_does(change: dict[str, object], fault: str) -> None:
    (found,) = faults(actions=[{**FAN, **change}])

    assert found.startswith(fault)


# --- notifications ------------------------------------------------------------------------------------------------


def test_a_notification_to_those_who_watch() -> None:
    read_as = action({**TELL, "target": "dashboard", "severity": "Warning"})

    assert read_as == Notify(channel=Channel.WEBSOCKET, template="Hot: {sensor_value}", severity="warning")


def test_a_notification_to_a_webhook() -> None:
    assert action(without(POST, "message_template", message="Hot")) == Notify(
        channel=Channel.WEBHOOK, template="Hot", target=HOOKS[0] + "hot"
    )


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (
            {**TELL, "channel": "email", "target": "me@example.com"},
            "actions[0].channel: is email: growyd sends no e-mail",
        ),
        ({**TELL, "channel": None}, "actions[0].channel: is missing; one of websocket, webhook"),
        ({**TELL, "channel": "pigeon"}, "actions[0].channel: is 'pigeon'"),
        (without(POST, "target"), "actions[0].target: is missing"),
        ({**POST, "target": ""}, "actions[0].target: is missing"),
        (
            {**POST, "target": "http://169.254.169.254/"},
            "actions[0].target: is 'http://169.254.169.254/', where rules",
        ),
        ({**POST, "target": HOOKS[0] + "../config"}, "actions[0].target: is"),
        ({**POST, "target": 5}, "actions[0].target: is 5, and must be a text"),
        (without(TELL, "message_template"), "actions[0].message_template: is missing"),
        ({**TELL, "message_template": " "}, "actions[0].message_template: has 0 characters"),
        ({**TELL, "message_template": "x" * 1001}, "actions[0].message_template: has 1001 characters"),
        ({**TELL, "severity": "fatal"}, "actions[0].severity: is 'fatal'"),
    ],
)
def test_a_notification_that_would_reach_nobody(said: dict[str, object], fault: str) -> None:
    (found,) = faults(actions=[said])

    assert found.startswith(fault)


def test_without_an_allow_list_no_webhook_is_allowed_and_the_fault_says_where_it_is() -> None:
    with pytest.raises(RuleInvalid, match=r"control\.webhooks is none"):
        read({**RULE, "actions": [POST]}, webhooks=())


def test_a_rule_that_was_accepted_before_is_not_judged_by_the_list_of_today() -> None:
    assert read({**RULE, "actions": [POST]}, webhooks=None).actions


def test_a_template_is_filled_in() -> None:
    values = {
        "sensor_value": 28.123456,
        "esp_id": ESP,
        "gpio": 68,
        "sensor_type": "sht31_temp",
        "timestamp": 1_780_000_000,
        "rule_name": "Cool",
        "rule_id": "r1",
    }
    template = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)

    assert set(values) == set(PLACEHOLDERS)
    assert render(template, values) == f"28.1235 {ESP} 68 sht31_temp 1780000000 Cool r1"


@pytest.mark.parametrize(
    "template",
    [
        "{unknown}",
        "{",
        "{}",
        "{{x}}",
        "{sensor_value.__class__}",
        "{sensor_value!r}",
        "{0}",
        "100 %s {sensor_value:>99999}",
    ],
)
def test_what_is_no_placeholder_stays_as_it_is(template: str) -> None:
    assert render(template, {"sensor_value": 1.0}) == template


def test_a_placeholder_without_a_value_stays_as_it_is() -> None:
    assert render("{sensor_value} {gpio}", {"sensor_value": None}) == "{sensor_value} {gpio}"


def test_what_a_value_says_is_not_filled_in_again() -> None:
    assert render("{rule_name}", {"rule_name": "{rule_id}", "rule_id": "secret"}) == "{rule_id}"


# --- delays and sequences -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [{"seconds": 30}, {"delay_seconds": "30s"}, {"duration_seconds": 30}])
def test_a_delay(said: dict[str, object]) -> None:
    assert rule(actions=[{"type": "delay", **said}, FAN]).actions[0] == Delay(seconds=30.0)


@pytest.mark.parametrize("seconds", [0, 3601, None])
def test_a_delay_has_limits(seconds: object) -> None:
    (found,) = faults(actions=[{"type": "delay", "seconds": seconds}, FAN])

    assert found.startswith("actions[0].seconds: ")


def test_a_rule_that_only_waits() -> None:
    assert faults(actions=[{"type": "delay", "seconds": 5}]) == ["actions: do nothing but wait"]


def test_a_sequence_with_all_that_its_steps_may_say() -> None:
    said = {
        "type": "sequence",
        "sequence_id": "dose",
        "description": "Feed, mix, tell",
        "abort_on_failure": False,
        "max_duration_seconds": 600,
        "steps": [
            {
                "name": "feed",
                "action": {**FAN, "duration": 10},
                "delay_before_seconds": 1,
                "delay_after_seconds": 2,
                "timeout_seconds": 5,
                "retry_count": 3,
                "retry_delay_seconds": 0.5,
                "on_failure": "abort",
            },
            {"delay_seconds": 60},
            {"action": {"type": "delay", "seconds": 5}},
            {"action": TELL, "on_failure": "continue"},
        ],
    }

    assert action(said) == Sequence(
        id="dose",
        description="Feed, mix, tell",
        max_duration_s=600.0,
        steps=(
            Step(
                action=Switch(actuator=FAN_KEY, duration_s=10.0),
                before_s=1.0,
                after_s=2.0,
                timeout_s=5.0,
                retries=3,
                retry_delay_s=0.5,
                name="feed",
            ),
            Step(delay_s=60.0, abort_on_failure=False),
            Step(delay_s=5.0, abort_on_failure=False),
            Step(
                action=Notify(channel=Channel.WEBSOCKET, template="Hot: {sensor_value}"),
                abort_on_failure=False,
            ),
        ),
    )


def test_the_steps_of_a_sequence_abort_it_unless_they_say_otherwise() -> None:
    assert action({"type": "sequence", "steps": [{"action": FAN}]}) == Sequence(
        steps=(Step(action=Switch(actuator=FAN_KEY)),)
    )


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        (None, "actions[0].steps: is missing"),
        ([], "actions[0].steps: is empty"),
        ([{"delay_seconds": 1}] * 51, "actions[0].steps: has 51 entries"),
        ([{}], "actions[0].steps[0]: has neither an action nor delay_seconds"),
        (["wait"], "actions[0].steps[0]: is 'wait'"),
        ([{"action": "ON"}], "actions[0].steps[0].action: is 'ON'"),
        ([{"action": FAN, "delay_seconds": 5}], "actions[0].steps[0].delay_seconds: stands beside an action"),
        ([{"action": {"type": "sequence", "steps": []}}], "actions[0].steps[0].action.type: is sequence"),
        ([{"action": {"type": "pid"}}], "actions[0].steps[0].action.type: is pid"),
        (
            [{"action": {"type": "plugin"}}],
            "actions[0].steps[0].action.type: is plugin: growyd has no plugins",
        ),
        ([{"action": without(FAN, "gpio")}], "actions[0].steps[0].action.gpio: is missing"),
        ([{"delay_seconds": 3601}], "actions[0].steps[0].delay_seconds: is 3601"),
        ([{"action": FAN, "on_failure": "panic"}], "actions[0].steps[0].on_failure: is 'panic'"),
        ([{"action": FAN, "retry_count": 21}], "actions[0].steps[0].retry_count: is 21"),
        ([{"action": FAN, "timeout_seconds": 0}], "actions[0].steps[0].timeout_seconds: is 0"),
        ([{"delay_seconds": 2000}] * 2, "actions[0].steps: pause for 4000 s"),
    ],
)
def test_a_sequence_that_would_fail_when_it_runs(steps: object, fault: str) -> None:
    assert faults(actions=[{"type": "sequence", "steps": steps}])[0].startswith(fault)


# --- loops and light ----------------------------------------------------------------------------------------------

LOOP = {
    "type": "pid",
    "esp_id": ESP,
    "gpio": 18,
    "sensor": {"esp_id": ESP, "gpio": 4, "sensor_type": "ds18b20"},
    "set_point": 22,
    "kp": 0.1,
}


def test_a_pid() -> None:
    said = {
        **LOOP,
        "ki": 0.001,
        "kd": 2,
        "reverse": True,
        "output_min": 0.1,
        "output_max": 0.9,
        "window": "10m",
        "max_age_seconds": 120,
        "critical": True,
    }

    assert action(said) == Pid(
        actuator=FAN_KEY,
        sensor=SensorRef(ESP, 4, "ds18b20"),
        set_point=22.0,
        kp=0.1,
        ki=0.001,
        kd=2.0,
        reverse=True,
        output_min=0.1,
        output_max=0.9,
        window_s=600.0,
        max_age_s=120.0,
        critical=True,
    )


def test_a_pid_with_a_sensor_by_its_id() -> None:
    said = without(LOOP, "sensor", sensor_id=AIR_ID, sensor_type="sht31_temp")

    assert action(said) == Pid(
        actuator=FAN_KEY, sensor=SensorRef(ESP, 68, "sht31_temp", "68"), set_point=22.0, kp=0.1
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"kp": None}, "actions[0].kp: is missing; or ki"),
        ({"kp": 0}, "actions[0].kp: is 0, and so is ki"),
        ({"kp": -1}, "actions[0].kp: is -1"),
        ({"set_point": None}, "actions[0].set_point: is missing"),
        ({"output_min": 0.5, "output_max": 0.5}, "actions[0].output_min: is 0.5"),
        ({"window_seconds": 2}, "actions[0].window_seconds: is 2"),
        ({"sensor": None}, "actions[0].sensor_id: is missing; or sensor"),
    ],
)
def test_a_pid_that_could_not_control(change: dict[str, object], fault: str) -> None:
    (found,) = faults(actions=[{**LOOP, **change}])

    assert found.startswith(fault)


LIGHT = {"type": "photoperiod", "esp_id": ESP, "gpio": 18, "on_time": "06:00", "light_hours": 18}


@pytest.mark.parametrize(
    "said",
    [
        LIGHT,
        without(LIGHT, "light_hours", light_minutes=1080),
        without(LIGHT, "light_hours", off_time="24:00"),
        without(LIGHT, "light_hours", off_time="00:00"),
        without(LIGHT, "light_hours", "on_time", on_hour=6, off_hour=0),
    ],
)
def test_a_photoperiod(said: object) -> None:
    assert action(said) == Photoperiod(actuator=FAN_KEY, on_min=360, light_min=1080)


def test_a_photoperiod_with_dawn_and_dusk() -> None:
    said = {**LIGHT, "ramp_minutes": 30, "value": 0.8, "timezone": "Europe/Berlin"}

    assert action(said) == Photoperiod(
        actuator=FAN_KEY, on_min=360, light_min=1080, ramp_min=30, value=0.8, timezone="Europe/Berlin"
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"on_time": None}, "actions[0].on_hour: is missing"),
        ({"light_hours": None}, "actions[0].light_minutes: is missing"),
        ({"light_hours": 25}, "actions[0].light_hours: is 25"),
        ({"light_hours": None, "off_time": "06:00"}, "actions[0].off_time: is when the light goes on"),
        ({"ramp_minutes": 600}, "actions[0].ramp_minutes: is 600"),
        ({"value": 0}, "actions[0].value: is 0"),
        ({"timezone": "Sky"}, "actions[0].timezone: 'Sky' is no time zone"),
    ],
)
def test_a_photoperiod_without_light(change: dict[str, object], fault: str) -> None:
    (found,) = faults(actions=[{**LIGHT, **change}])

    assert found.startswith(fault)


# --- what is no action --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ([], "actions: is empty"),
        (None, "actions: is missing"),
        ([FAN] * 11, "actions: has 11 entries"),
        (["ON"], "actions[0]: is 'ON'"),
        ([{}], "actions[0].type: is missing; one of actuator,"),
        ([{"type": "dance"}], "actions[0].type: is dance, which is no action here"),
        ([{"type": "plugin"}], "actions[0].type: is plugin: growyd has no plugins"),
        ([{"type": "autoops_trigger"}], "actions[0].type: is autoops_trigger: growyd has no plugins"),
        ([{"type": "run_diagnostic"}], "actions[0].type: is run_diagnostic: growyd's diagnostics"),
    ],
)
def test_actions_that_are_none(said: object, fault: str) -> None:
    assert faults(actions=said)[0].startswith(fault)
