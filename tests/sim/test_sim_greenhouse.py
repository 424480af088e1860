"""The greenhouse behaves like one: physics by its effects, not by its coefficients."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growy.sim.greenhouse import (
    GreenhouseState,
    Inputs,
    Parameters,
    advance,
    outside,
    routine,
    saturation_gm3,
)
from growy.sim.house import House

NOON = GreenhouseState(time_s=12 * 3600.0)
NIGHT = GreenhouseState(time_s=0.0)
HOUSE = Parameters(seed=1)
HOUR = 3600.0


def test_saturation_follows_the_steam_tables():
    # 17.30 g/m³ at 20 °C, 23.05 at 25 °C, 30.4 at 30 °C
    assert saturation_gm3(20.0) == pytest.approx(17.30, rel=0.005)
    assert saturation_gm3(25.0) == pytest.approx(23.05, rel=0.005)
    assert saturation_gm3(30.0) == pytest.approx(30.4, rel=0.005)


def test_the_same_arguments_give_the_same_house():
    assert advance(NOON, HOUSE, Inputs(vent=0.3), 7000.0) == advance(NOON, HOUSE, Inputs(vent=0.3), 7000.0)


def test_the_sun_is_up_by_day_and_its_clouds_depend_on_the_seed():
    assert outside(0.0, HOUSE).sun_wm2 == 0.0
    assert outside(12 * HOUR, HOUSE).sun_wm2 > 100.0
    assert outside(12 * HOUR, HOUSE) != outside(12 * HOUR, Parameters(seed=2))
    assert outside(15 * HOUR, HOUSE).temperature_c > outside(3 * HOUR, HOUSE).temperature_c


def test_weather_has_no_jumps():
    for second in range(0, 86_400, 60):
        before, after = outside(second, HOUSE), outside(second + 1, HOUSE)
        assert abs(after.cloud - before.cloud) < 0.01
        assert abs(after.sun_wm2 - before.sun_wm2) < 10.0


@pytest.mark.parametrize(
    ("at", "inputs", "quantity", "rises"),
    [
        (NIGHT, Inputs(heater=1.0), "air_c", True),
        (NOON, Inputs(vent=1.0), "air_c", False),
        (NOON, Inputs(vent=1.0), "vapour_gm3", False),
        (NIGHT, Inputs(lamp=1.0), "light_lux", True),
        (NIGHT, Inputs(lamp=1.0), "air_c", True),
        (NIGHT, Inputs(lamp=1.0), "co2_ppm", False),
        (NOON, Inputs(pump=0.2), "moisture_pct", True),
        (NOON, Inputs(pump=1.0), "flow_l_per_min", True),
        (NOON, Inputs(pump=1.0), "ec_us_cm", False),
        (NIGHT, Inputs(heater=1.0), "root_c", True),
    ],
)
def test_each_actuator_moves_what_it_should(at: GreenhouseState, inputs: Inputs, quantity: str, rises: bool):
    idle = getattr(advance(at, HOUSE, Inputs(), HOUR), quantity)
    driven = getattr(advance(at, HOUSE, inputs, HOUR), quantity)

    assert (driven > idle) if rises else (driven < idle)


def test_plants_eat_co2_by_day_and_breathe_it_at_night():
    assert advance(NOON, HOUSE, Inputs(), HOUR).co2_ppm < NOON.co2_ppm
    assert advance(NIGHT, HOUSE, Inputs(), HOUR).co2_ppm > NIGHT.co2_ppm


def test_the_root_zone_lags_behind_the_air():
    warm = advance(NIGHT, HOUSE, Inputs(heater=1.0), HOUR)
    assert warm.air_c - NIGHT.air_c > 3.0 * (warm.root_c - NIGHT.root_c) > 0.0


def test_a_week_on_thermostats_and_timers_stays_a_greenhouse():
    state = NIGHT
    for _ in range(7 * 24 * 60):
        state = advance(state, HOUSE, routine(state), 60.0)
        assert 10.0 < state.air_c < 38.0
        assert 25.0 < state.humidity_pct <= 100.0
        assert 30.0 < state.moisture_pct < 90.0
        assert 100.0 < state.co2_ppm < 1500.0
        assert 5.0 < state.ph < 7.0
        assert 1000.0 < state.ec_us_cm < 2200.0


@settings(max_examples=60, deadline=None)
@given(
    inputs=st.builds(
        Inputs, heater=st.floats(0, 1), vent=st.floats(0, 1), pump=st.floats(0, 1), lamp=st.floats(0, 1)
    ),
    start=st.floats(0, 10 * 86_400),
    seconds=st.floats(0, 20_000),
    seed=st.integers(0, 2**32),
)
def test_no_input_makes_it_impossible(inputs: Inputs, start: float, seconds: float, seed: int):
    state = advance(GreenhouseState(time_s=start), Parameters(seed=seed), inputs, seconds)

    assert all(math.isfinite(value) for value in attrs.astuple(state))
    assert -20.0 < state.air_c < 80.0
    assert 0.0 <= state.moisture_pct <= 100.0
    assert 0.0 < state.humidity_pct <= 100.0
    assert state.co2_ppm >= 50.0
    assert state.time_s == pytest.approx(start + seconds)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_time_does_not_run_backwards_or_for_ever(seconds: float):
    with pytest.raises(ValueError, match="seconds must be finite"):
        advance(NOON, HOUSE, Inputs(), seconds)


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_an_input_is_a_fraction(value: float):
    with pytest.raises(ValueError, match="heater"):
        Inputs(heater=value)


def test_a_house_runs_as_fast_as_it_is_told():
    slow = House(1, "greenhouse_1", now=100.0, start_hour=10.0, time_scale=1.0)
    fast = House(1, "greenhouse_1", now=100.0, start_hour=10.0, time_scale=60.0)

    assert slow.at(160.0).hour == pytest.approx(10.0 + 1 / 60)
    assert fast.at(160.0).hour == pytest.approx(11.0)
    assert fast.at(130.0) is fast.state, "the past is over"


def test_a_house_obeys_its_inputs_instead_of_its_thermostats():
    dark, lit = (House(1, "greenhouse_1", now=0.0, start_hour=1.0, time_scale=60.0) for _ in range(2))
    lit.inputs = Inputs(lamp=1.0)

    assert dark.at(5.0).light_lux == 0.0
    assert lit.at(5.0).light_lux == pytest.approx(25_000.0)
