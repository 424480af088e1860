"""PID: it settles, it does not wind up, it survives gaps; relays get whole pulses."""

from __future__ import annotations

import math

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.control.rules.pid import PidState, proportioned, step, window_number
from growy.model.control import ActuatorKey
from growy.model.rules import Pid, SensorRef

HEATER = Pid(
    actuator=ActuatorKey("ESP_0A1B2C", 18),
    sensor=SensorRef("ESP_0A1B2C", 4, "ds18b20"),
    set_point=22.0,
    kp=0.1,
)


def pid(**changes: object) -> Pid:
    return attrs.evolve(HEATER, **changes)


def run(
    loop: Pid, values: list[float], dt_s: float = 10.0, state: PidState | None = None
) -> tuple[list[float], PidState]:
    state = state or PidState()
    outputs = []
    for value in values:
        output, state = step(loop, state, value, dt_s)
        outputs.append(output)
    return outputs, state


def test_the_output_is_in_proportion_to_what_is_missing() -> None:
    outputs, _ = run(pid(kp=0.1), [20.0, 21.0, 22.0, 23.0])

    assert outputs == pytest.approx([0.2, 0.1, 0.0, 0.0])


def test_a_cooler_works_the_other_way_round() -> None:
    outputs, _ = run(pid(kp=0.1, reverse=True), [24.0, 22.0, 20.0])

    assert outputs == pytest.approx([0.2, 0.0, 0.0])


def test_what_is_missing_for_long_adds_up() -> None:
    outputs, _ = run(pid(kp=0.0, ki=0.001), [21.0] * 4)

    assert outputs == pytest.approx([0.0, 0.01, 0.02, 0.03])


def test_the_first_reading_has_no_derivative() -> None:
    output, state = step(pid(kp=0.1, kd=100.0), PidState(), 21.0, 10.0)

    assert output == pytest.approx(0.1)
    assert state.value == 21.0


def test_a_value_that_rises_is_braked() -> None:
    outputs, _ = run(pid(kp=0.1, kd=0.5), [20.0, 20.5])

    assert outputs[1] == pytest.approx(0.15 - 0.5 * 0.05)


def test_a_value_that_falls_is_braked_by_a_cooler() -> None:
    outputs, _ = run(pid(kp=0.1, kd=0.5, reverse=True), [25.0, 24.5])

    assert outputs[1] == pytest.approx(0.25 - 0.5 * 0.05)


def test_moving_the_set_point_does_not_kick_the_derivative() -> None:
    loop = pid(kp=0.0, ki=0.0001, kd=10.0, set_point=20.0)
    _, state = run(loop, [20.0, 20.0])

    output, _ = step(pid(kp=0.0, ki=0.0001, kd=10.0, set_point=30.0), state, 20.0, 10.0)

    assert output == pytest.approx(0.01)


# --- limits and wind-up -------------------------------------------------------------------------------------------


def test_the_output_keeps_within_its_limits() -> None:
    loop = pid(kp=1.0, output_min=0.2, output_max=0.7)

    assert run(loop, [-50.0, 80.0])[0] == [0.7, 0.2]


def test_a_heater_that_cannot_reach_the_set_point_does_not_wind_up() -> None:
    loop = pid(kp=0.2, ki=0.01)
    _, state = run(loop, [10.0] * 1000)

    outputs, _ = run(loop, [22.5], state=state)

    assert state.integral < 0.5
    assert outputs[0] < 1.0


def test_the_integral_comes_down_from_the_limit_at_once() -> None:
    loop = pid(kp=0.0, ki=0.001)
    _, state = run(loop, [10.0] * 1000)
    assert state.output == 1.0

    outputs, _ = run(loop, [32.0] * 3, state=state)

    assert outputs[0] < state.output
    assert outputs == sorted(outputs, reverse=True)


def test_a_heater_in_a_room_that_is_too_warm_for_a_while_does_not_unlearn() -> None:
    loop = pid(kp=0.2, ki=0.001)
    _, learnt = run(loop, [21.5] * 100)
    assert learnt.integral > 0.3

    outputs, state = run(loop, [27.0] * 1000, state=learnt)

    assert outputs[-1] == 0.0
    assert state.integral == learnt.integral


def test_a_limit_that_was_lowered_is_kept_at_once() -> None:
    _, state = run(pid(kp=0.0, ki=0.01), [12.0] * 100)

    output, _ = step(pid(kp=0.0, ki=0.01, output_max=0.3), state, 21.9, 10.0)

    assert output <= 0.3


# --- gaps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap_s", [51.0, 901.0, 1e9])
def test_a_gap_is_not_integrated_and_has_no_slope(gap_s: float) -> None:
    loop = pid(kp=0.01, ki=0.0001, kd=1.0)
    _, state = run(loop, [20.0] * 5, dt_s=10.0)

    output, after = step(loop, state, 15.0, gap_s)

    assert after.integral == state.integral
    assert output == pytest.approx(0.01 * 7.0 + state.integral)


def test_the_first_step_after_the_first_reading_may_be_a_gap() -> None:
    _, state = run(pid(kp=0.0, ki=1.0), [20.0])

    assert step(pid(kp=0.0, ki=1.0), state, 20.0, 901.0)[0] == 0.0
    assert step(pid(kp=0.0, ki=1.0), state, 20.0, 300.0)[0] == 1.0


def test_a_sensor_that_measures_less_often_for_good_is_integrated_again() -> None:
    loop = pid(kp=0.0, ki=1e-6)
    _, state = run(loop, [20.0] * 5, dt_s=10.0)

    _, later = run(loop, [20.0] * 10, dt_s=300.0, state=state)

    assert later.integral > state.integral + 3 * 300.0 * 2.0 * 1e-6


def test_one_gap_does_not_make_the_next_one_pass() -> None:
    loop = pid(kp=0.0, ki=0.0001)
    _, state = run(loop, [20.0] * 5, dt_s=10.0)
    _, state = step(loop, state, 20.0, 800.0)

    _, after = step(loop, state, 20.0, 800.0)

    assert after.integral == state.integral


@pytest.mark.parametrize("dt_s", [0.0, -5.0])
def test_two_readings_of_one_moment(dt_s: float) -> None:
    loop = pid(kp=0.1, ki=0.001, kd=1.0)
    _, state = run(loop, [20.0, 20.0])

    output, after = step(loop, state, 21.0, dt_s)

    assert output == pytest.approx(0.1 + state.integral)
    assert after.interval_s == state.interval_s


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_changes_nothing(value: float) -> None:
    loop = pid(kp=0.1, ki=0.001, kd=1.0)
    _, state = run(loop, [20.0, 20.5])

    assert step(loop, state, value, 10.0) == (state.output, state)


# --- whatever comes -----------------------------------------------------------------------------------------------

GAINS = st.floats(0, 1e6)
LOOPS = st.builds(
    Pid,
    actuator=st.just(HEATER.actuator),
    sensor=st.just(HEATER.sensor),
    set_point=st.floats(-1e3, 1e5),
    kp=GAINS,
    ki=GAINS,
    kd=GAINS,
    reverse=st.booleans(),
    output_min=st.floats(0, 0.5),
    output_max=st.floats(0.5, 1),
)


@given(LOOPS, st.lists(st.tuples(st.floats(), st.floats(-10, 1e6)), min_size=1, max_size=30))
def test_the_output_never_leaves_its_limits(loop: Pid, readings: list[tuple[float, float]]) -> None:
    state = PidState()
    for value, dt_s in readings:
        output, state = step(loop, state, value, dt_s)
        assert loop.output_min <= output <= loop.output_max
        assert 0.0 <= state.integral <= loop.output_max


@given(LOOPS, st.lists(st.tuples(st.floats(-50, 80), st.floats(0.1, 400)), min_size=1, max_size=10))
def test_a_state_that_was_kept_goes_on_where_it_was(loop: Pid, readings: list[tuple[float, float]]) -> None:
    state = PidState()
    for value, dt_s in readings:
        _, state = step(loop, state, value, dt_s)
    kept = msgspec.json.decode(msgspec.json.encode(state), type=PidState)

    assert step(loop, kept, 20.0, 10.0) == step(loop, state, 20.0, 10.0)


def test_a_heated_room_settles_at_its_set_point() -> None:
    """A room that loses heat to 5 °C outside, and rises by 30 K above that at full power."""
    loop = pid(kp=0.15, ki=0.0004, kd=0.0, set_point=22.0)
    room, output, state = 10.0, 0.0, PidState()
    highest = room
    for _ in range(1500):
        room += ((5.0 + 30.0 * output) - room) * 10.0 / 1200.0
        output, state = step(loop, state, room, 10.0)
        highest = max(highest, room)

    assert room == pytest.approx(22.0, abs=0.05)
    assert output == pytest.approx(17.0 / 30.0, abs=0.02)
    assert highest < 23.5


# --- relays -------------------------------------------------------------------------------------------------------


def test_a_relay_is_on_for_its_share_of_the_window() -> None:
    assert proportioned(0.25, 600.0, 6000.0) == (True, 150.0)
    assert proportioned(0.25, 600.0, 6100.0) == (True, 50.0)
    assert proportioned(0.25, 600.0, 6150.0) == (False, 450.0)
    assert proportioned(0.25, 600.0, 6599.0) == (False, 1.0)


@pytest.mark.parametrize(("output", "on"), [(0.0, False), (0.009, False), (0.991, True), (1.0, True)])
def test_next_to_nothing_is_nothing_and_next_to_all_is_all(output: float, on: bool) -> None:
    assert proportioned(output, 600.0, 0.0) == (on, 600.0)
    assert proportioned(output, 600.0, 599.0)[0] is on


@pytest.mark.parametrize(("output", "on_s"), [(0.011, 12.0), (0.019, 12.0), (0.981, 588.0), (0.985, 588.0)])
def test_no_pulse_and_no_pause_is_shorter_than_two_per_cent(output: float, on_s: float) -> None:
    assert proportioned(output, 600.0, 0.0) == (True, pytest.approx(on_s))


def test_in_a_short_window_no_pulse_is_shorter_than_a_second() -> None:
    assert proportioned(0.06, 10.0, 0.0) == (True, 1.0)
    assert proportioned(0.04, 10.0, 0.0) == (False, 10.0)


def test_windows_are_counted() -> None:
    assert [window_number(60.0, at) for at in (0.0, 59.9, 60.0, 3600.0)] == [0, 0, 1, 60]


@given(st.floats(0, 1), st.floats(10, 3600), st.floats(0, 2e9))
def test_a_relay_that_is_asked_when_it_said_switches_once_in_a_window(
    output: float, window_s: float, at: float
) -> None:
    end = at + 3 * window_s
    states = []
    while at < end and len(states) < 20:
        on, wait_s = proportioned(output, window_s, at)
        assert 0.0009 <= wait_s <= window_s + 0.001
        states.append(on)
        at += wait_s
    assert len(states) <= 8


@given(st.floats(0, 1), st.floats(10, 3600))
def test_over_a_window_a_relay_gives_what_was_asked_for(output: float, window_s: float) -> None:
    on, wait_s = proportioned(output, window_s, 0.0)
    on_s = wait_s if on else 0.0

    assert on_s == pytest.approx(output * window_s, abs=max(1.0, 0.02 * window_s) / 2 + 1e-6)
