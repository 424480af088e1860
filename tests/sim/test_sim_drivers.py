"""What the drivers of a virtual board make of commands: pumps, relays, valves, PWM, and the limits they keep."""

from __future__ import annotations

from typing import Any

import pytest
from rig.boards import actuator, bodies, configured, ctx, encoded, intent, of

from growy.sim import actuators
from growy.sim.board import ActuatorOutput, Board, Replies, TrackedError

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


@pytest.mark.parametrize(
    ("kind", "value", "pwm"),
    [
        ("relay", 0.49, 0),
        ("relay", 0.5, 255),
        ("pump", 1, 255),
        ("pwm", 0.35, 89),
        ("pwm", 0.6, 153),
        ("pwm", 7.5, 255),
        ("pwm", -1, 0),
    ],
)
def test_a_value_means_what_the_driver_makes_of_it(kind: str, value: float, pwm: int):
    taken, replies = told(configured(actuator(18, kind)), "PWM", value=value)
    assert output(taken).pwm == pwm
    assert bodies(replies)[-1]["success"]


@pytest.mark.parametrize("value", [-0.1, 1.1])
@pytest.mark.parametrize("kind", ["relay", "pump", "valve"])
def test_beyond_0_to_1_only_pwm_takes_a_value(kind: str, value: float):
    _, replies = told(configured(actuator(18, kind)), "PWM", value=value)
    assert bodies(replies)[0]["message"] == "Failed to set PWM value"
    assert [error.code for error in of(replies, TrackedError)] == [4020]


def test_on_of_a_pwm_at_a_third_changes_nothing():
    on, _ = told(configured(actuator(18, "pwm")), "PWM", value=0.3)
    taken, replies = told(on, "ON")
    assert output(taken).pwm == output(on).pwm
    assert bodies(replies)[0]["success"]


@pytest.mark.parametrize(
    ("value", "position", "takes_s"), [(0.33, 127, 2.5), (0.66, 254, 5.0), (1, 254, 5.0)]
)
def test_a_valve_takes_2500_ms_a_step_and_arrives_in_silence(value: float, position: int, takes_s: float):
    on, replies = told(configured(actuator(18, "valve")), "PWM", value=value)
    assert bodies(replies, "actuator/18/status")[0]["state"] is False
    assert actuators.next_due_ms(on) == 100_000 + takes_s * 1000
    half, _ = passed(on, 100.0 + takes_s - 0.1)
    assert output(half).pwm == 0
    taken, replies = passed(on, 100.0 + takes_s)
    assert (output(taken).pwm, output(taken).on) == (position, True)
    assert replies == ()


def test_off_does_not_stop_an_opening_valve():
    on, _ = told(configured(actuator(18, "valve")), "ON")
    on, _ = told(on, "OFF", 101.0)
    assert output(passed(on, 105.0)[0]).pwm == 254


def test_default_state_is_where_a_driver_starts():
    assert output(configured(actuator(default_state=True))).on
    for kind in ("pwm", "valve"):
        assert not output(configured(actuator(18, kind, default_state=True))).on


def test_an_inverted_relay_draws_current_from_the_first_config_on_and_off_does_not_help():
    on = configured(actuator(inverted_logic=True))
    assert (output(on).on, output(on).energised) == (False, True)
    still, replies = told(on, "OFF")
    assert bodies(replies)[0]["success"]
    assert output(still).energised
    for command in ("ON", "OFF"):
        still, _ = told(still, command)
    assert not output(still).energised


def test_runtime_adds_up_over_runs():
    on, _ = told(configured(actuator(18, "pump")), "ON", 100.0)
    on, _ = told(on, "OFF", 110.0)
    on, _ = told(on, "ON", 200.0)
    (status,) = bodies(actuators.statuses(on, ctx(205.0)))
    assert status["runtime_ms"] == 15_000


def test_a_run_that_began_with_the_boot_is_not_counted():
    on, _ = told(configured(actuator(default_state=True)), "OFF", 500.0)
    assert output(on).runtime_ms == 0


def test_the_61st_start_within_an_hour_is_refused():
    on = configured(actuator(18, "pump"))
    for minute in range(60):
        on, _ = told(on, "ON", 60.0 * minute + 1)
        on, _ = told(on, "OFF", 60.0 * minute + 2)
    _, replies = told(on, "ON", 3600.0)
    assert bodies(replies)[0]["message"] == "Failed to turn actuator ON"
    assert TrackedError(1050, 1, "Pump runtime protection triggered") in replies
    assert output(told(on, "ON", 3601.1)[0]).on


def test_after_an_hour_of_runs_a_start_needs_30_s_of_rest():
    on, _ = told(configured(actuator(18, "pump")), "ON", 0.0)
    on, _ = told(on, "OFF", 3600.0)
    assert not output(told(on, "ON", 3629.9)[0]).on
    assert output(told(on, "ON", 3630.0)[0]).on
