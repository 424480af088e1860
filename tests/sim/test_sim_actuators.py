"""Actuators of a virtual board: commands, timers, limits, and what they do when somebody is lost."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.boards import actuator, bodies, configured, ctx, encoded, ended, intent, of, old_board, push

from growy.sim import actuators
from growy.sim.board import ActuatorOutput, Board, Replies, Reply, TrackedError
from growy.sim.emergency import clear, stop_all

RULE = {"actuator_gpio": 18, "sensor_gpio": 68, "sensor_value_type": "sht31_temp", "activate_above": 28.0}


def told(
    on: Board, command: str, at_s: float = 100.0, gpio: int = 18, **fields: Any
) -> tuple[Board, Replies]:
    payload = encoded({"command": command, **fields})
    return actuators.execute(on, str(gpio), payload, intent(), ctx(at_s))


def output(on: Board, gpio: int = 18) -> ActuatorOutput:
    found = on.actuator(gpio)
    assert found is not None
    return found


def passed(on: Board, at_s: float) -> tuple[Board, Replies]:
    return actuators.tick(on, ctx(at_s))


# --- a command and its answers --------------------------------------------------------------------


def test_on_gives_a_status_a_response_and_the_outcome_in_this_order():
    taken, replies = told(
        configured(), "ON", value=1.0, duration=30, issued_by="rule:12", correlation_id="c-7"
    )
    assert [reply.topic_tail for reply in of(replies, Reply)] == [
        "actuator/18/status",
        "actuator/18/response",
    ]
    assert ended(replies) == ("applied", "NONE")
    assert of(replies, Reply)[0].payload == (
        '{"esp_id":"ESP_00A001","seq":\0,"zone_id":"house","subzone_id":"","ts":1767225600,"gpio":18,'
        '"type":"relay","state":true,"pwm":255,"runtime_ms":0,"emergency":"normal","command_source":"rule:12"}'
    )
    assert of(replies, Reply)[1].payload == (
        '{"esp_id":"ESP_00A001","seq":\0,"zone_id":"house","ts":1767225600,"gpio":18,"command":"ON",'
        '"value":1.000,"duration":30,"success":true,"message":"Command executed","correlation_id":"c-7",'
        '"issued_by":"rule:12"}'
    )
    assert output(taken).on
    assert output(taken).level


def test_who_gave_no_name_is_the_system():
    said = bodies(told(configured(), "ON")[1])
    assert said[0]["command_source"] == said[1]["issued_by"] == "system:unknown"
    assert "correlation_id" not in said[1]


@pytest.mark.parametrize("command", ["on", "On", "toggle", "TOGGLE"])
def test_commands_are_read_in_any_case(command: str):
    assert output(told(configured(), command)[0]).on


@pytest.mark.parametrize("command", ["STOP", "EMERGENCY", ""])
def test_other_commands_are_unknown(command: str):
    _, replies = told(configured(), command)
    assert bodies(replies)[0]["message"] == f"Unknown command: {command}"
    assert ended(replies) == ("failed", "EXECUTE_FAIL")


def test_an_actuator_that_is_not_configured_is_named():
    _, replies = told(configured(), "ON", gpio=19)
    (said,) = bodies(replies)
    assert said["message"] == "Actuator not configured on GPIO 19. Configure via API first."
    assert [error.code for error in of(replies, TrackedError)] == [1052]
    assert ended(replies) == ("failed", "EXECUTE_FAIL")


@pytest.mark.parametrize("gpio", ["", " ", "255"])
def test_a_topic_without_a_pin_fails_without_a_response(gpio: str):
    _, replies = actuators.execute(configured(), gpio, b'{"command":"ON"}', intent(), ctx())
    assert bodies(replies) == []
    assert ended(replies) == ("failed", "EXECUTE_FAIL")


def test_what_is_on_already_succeeds_and_says_so_after_the_response():
    on, _ = told(configured(), "ON")
    taken, replies = told(on, "ON", 110.0)
    assert [reply.topic_tail for reply in of(replies, Reply)] == [
        "actuator/18/response",
        "actuator/18/status",
    ]
    assert output(taken).on_since_ms == 100_000


# --- the text scan --------------------------------------------------------------------------------


def test_a_space_before_the_colon_hides_a_field():
    _, replies = actuators.execute(configured(), "18", b'{"command" : "ON"}', intent(), ctx())
    assert bodies(replies)[0]["message"] == "Unknown command: "


def test_a_space_after_the_colon_does_not():
    taken, _ = actuators.execute(configured(), "18", b'{"command": "ON", "duration": 7}', intent(), ctx())
    assert output(taken).auto_off_ms == 107_000


def test_a_command_is_cut_after_511_bytes():
    late = b'{"filler":"' + b"x" * 490 + b'","command":"ON"}'
    assert ended(actuators.execute(configured(), "18", late, intent(), ctx())[1])[0] == "failed"


def test_the_first_key_of_a_name_wins_wherever_it_stands():
    assert actuators.scan('{"data":{"value":0.5},"value":1}', "value") == "0.5}"
    assert actuators.scan('{"value":0.5}', "value") == "0.5"
    assert actuators.scan('{"value":"0.5"}', "value") == "0.5"
    assert actuators.scan('{"note":"value"}', "value") == ""


@pytest.mark.parametrize(
    ("written", "seconds"), [(30, 30), (30.9, 30), ("30", 30), (-1, 4_294_967_295), ("x", 0), (None, 0)]
)
def test_duration_is_read_as_whole_seconds(written: object, seconds: int):
    assert actuators.read_command(18, encoded({"duration": written})).duration_s == seconds


# --- duration -------------------------------------------------------------------------------------


def test_duration_ends_a_run_with_two_statuses():
    on, _ = told(configured(), "ON", duration=30, issued_by="rule:12")
    assert actuators.next_due_ms(on) == 130_000
    assert passed(on, 129.9) == (on, ())

    taken, replies = passed(on, 130.0)
    said = bodies(replies)
    assert not output(taken).on
    assert [(s["state"], s["command_source"], s["runtime_ms"]) for s in said] == [
        (False, "firmware:auto_duration", 30_000)
    ] * 2
    assert actuators.next_due_ms(taken) is None


@pytest.mark.parametrize("command", ["ON", "OFF", "PWM", "TOGGLE", "NONSENSE"])
def test_any_later_command_cancels_the_timer(command: str):
    on, _ = told(configured(), "ON", duration=30)
    taken, _ = told(on, command, 110.0)
    assert output(taken).auto_off_ms is None


def test_a_new_duration_is_armed_although_it_is_on_already():
    on, _ = told(configured(), "ON", duration=30)
    taken, _ = told(on, "ON", 110.0, duration=30)
    assert output(taken).auto_off_ms == 140_000


@pytest.mark.parametrize("command", ["OFF", "PWM", "TOGGLE"])
def test_duration_belongs_to_on(command: str):
    assert output(told(configured(), command, duration=30, value=1)[0]).auto_off_ms is None


def test_without_duration_nothing_ends_a_run_whatever_max_runtime_says():
    on, _ = told(configured(actuator(max_runtime_ms=1000)), "ON")
    taken, replies = passed(on, 100_000.0)
    assert replies == ()
    assert output(taken).on


# --- emergency ------------------------------------------------------------------------------------


def test_while_latched_every_command_is_refused_and_the_alert_repeated():
    on, _ = stop_all(configured(), ctx())
    taken, replies = told(on, "ON")
    assert [reply.topic_tail for reply in of(replies, Reply)] == [
        "actuator/18/alert",
        "actuator/18/status",
        "actuator/18/response",
    ]
    assert bodies(replies)[2]["message"] == "Actuator in emergency stop state. Clear emergency first."
    assert ended(replies) == ("failed", "EXECUTE_FAIL")
    assert taken == on


# --- somebody is lost -----------------------------------------------------------------------------


def running(*items: dict[str, Any], rules: list[dict[str, Any]] | None = None) -> Board:
    on = configured(*items, rules=rules)
    for item in items:
        on, _ = told(on, "ON", gpio=item["gpio"])
    return on


def test_without_rules_a_lost_broker_sends_everything_to_its_default():
    on = running(actuator(18), actuator(19, default_state=True))
    on, _ = told(on, "OFF", gpio=19)
    taken, _ = actuators.transport_lost(on, ctx())
    assert [a.on for a in taken.actuators] == [False, True]


def test_with_rules_a_lost_broker_spares_what_a_rule_covers():
    on = running(actuator(18), actuator(19, critical=True), rules=[RULE])
    taken, replies = actuators.transport_lost(on, ctx())
    assert [a.on for a in taken.actuators] == [True, False]
    alerts = [body for body in bodies(replies) if "alert_type" in body]
    assert [(a["gpio"], a["alert_type"], a["message"]) for a in alerts] == [
        (18, "offline_rule_hold", "Actuator held ON — offline rule coverage active"),
        (19, "safety_forced_off", "No offline rule — forced to default_state (critical)"),
    ]


def test_a_rule_that_cannot_work_covers_nothing():
    on = running(actuator(18), rules=[RULE | {"sensor_value_type": "x" * 24}])
    assert not output(actuators.transport_lost(on, ctx())[0]).on


@pytest.mark.parametrize(("rules", "on_after"), [(None, False), ([RULE], True)])
def test_a_lost_server_stops_actuators_only_where_there_are_no_rules(rules: Any, on_after: bool):
    on = running(actuator(18), actuator(19), rules=rules)
    taken, _ = actuators.server_lost(on, ctx())
    assert {a.on for a in taken.actuators} == {on_after}


def test_a_command_while_rules_rule_puts_the_actuator_out_of_their_reach():
    on = configured(rules=[RULE])
    taken, _ = actuators.execute(on, "18", b'{"command":"ON"}', intent(), ctx(offline_active=True))
    assert taken.overridden == {18}
    assert told(on, "ON")[0].overridden == frozenset()


# --- 2025-12 --------------------------------------------------------------------------------------


def test_old_firmware_echoes_the_duration_and_forgets_it():
    on, _ = push(old_board(), {"actuators": [actuator()]})
    taken, replies = told(on, "ON", duration=30, correlation_id="c-1")
    status, response = bodies(replies)
    assert not {"seq", "command_source"} & set(status)
    assert not {"seq", "correlation_id", "issued_by"} & set(response)
    assert response["duration"] == 30
    assert output(taken).auto_off_ms is None
    assert actuators.transport_lost(taken, ctx()) == (taken, ())


# --- anything -------------------------------------------------------------------------------------

STEPS = st.tuples(
    st.sampled_from(("ON", "OFF", "PWM", "TOGGLE", "stop", "clear", "tick", "lost", "silent", "garbage")),
    st.sampled_from((18, 19, 25, 27)),
    st.floats(0.0, 20.0),
    st.floats(-1.0, 2.0) | st.integers(0, 40),
)


@given(st.booleans(), st.booleans(), st.lists(STEPS, max_size=40))
def test_pins_latches_and_timers_hold_whatever_happens(
    inverted: bool, default: bool, steps: list[tuple[str, int, float, float]]
):
    on = configured(
        actuator(18, "pump", default_state=default),
        actuator(19, "relay", inverted_logic=inverted),
        actuator(25, "pwm"),
        actuator(27, "valve", aux_gpio=32),
        rules=[RULE],
    )
    touched: set[int] = set()
    now = 10.0
    for what, gpio, pause, value in steps:
        now += pause
        before = on
        if what == "stop":
            on, _ = stop_all(on, ctx(now))
            touched |= {18, 19, 25, 27}
        elif what == "clear":
            on, _, _ = clear(on, ctx(now))
        elif what == "tick":
            on, _ = actuators.tick(on, ctx(now))
        elif what == "lost":
            on, _ = actuators.transport_lost(on, ctx(now))
        elif what == "silent":
            on, _ = actuators.server_lost(on, ctx(now))
        else:
            on, replies = told(on, what, now, gpio, value=value, duration=value)
            assert ended(replies)[0] in ("applied", "failed")
        for was, is_now in zip(before.actuators, on.actuators, strict=True):
            if is_now.on != was.on:
                touched.add(is_now.gpio)
            if is_now.emergency:
                assert not is_now.on
                assert is_now.pwm == 0
            if was.emergency and what not in ("clear", "tick"):
                assert is_now == was or what == "stop"
            assert is_now.on == (is_now.pwm > 0)
            assert is_now.runtime_ms >= was.runtime_ms
            if is_now.config.actuator_type in ("pump", "relay") and (
                not is_now.config.inverted_logic or is_now.gpio in touched
            ):
                assert is_now.energised == is_now.on
    due_ms = actuators.next_due_ms(on)
    if due_ms is not None:
        later, _ = actuators.tick(on, attrs.evolve(ctx(), uptime_ms=max(due_ms, int(now * 1000))))
        assert later != on
