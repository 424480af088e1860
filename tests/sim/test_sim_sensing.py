"""What leaves a sensor can be turned back into what it saw, by the datasheets' formulas written out here once more."""

from __future__ import annotations

import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.sim.greenhouse import GreenhouseState
from growy.sim.sensing import Sample, measure
from growy.sim.spec import SensorKind, SensorSpec, ds18b20_rom

HOUSE = GreenhouseState(time_s=0.0, light_lux=20_000.0, flow_l_per_min=6.0)


def sensor(kind: SensorKind, **more: object) -> SensorSpec:
    address = {"i2c_address": 0x44} if kind.on_i2c else {}
    if kind is SensorKind.DS18B20:
        address = {"onewire_address": ds18b20_rom(7)}
    return SensorSpec(kind=kind, gpio=34, **address, **more)


def read(kind: SensorKind, house: GreenhouseState = HOUSE, **more: object) -> Sample:
    return measure(sensor(kind, **more), house, random.Random(1))[0]


def volts(raw: int) -> float:
    return raw / 4095 * 3.3


BACK = {
    "sht31_temp": (lambda raw: -45 + 175 * raw / 65535, 0.002),
    "sht31_humidity": (lambda raw: 100 * raw / 65535, 0.001),
    "ds18b20": (lambda raw: raw / 16, 0.032),
    "ph": (lambda raw: 7 - 5.634 * (volts(raw) - 1.5), 0.003),
    "ec": (lambda raw: 6097.6 * volts(raw) / (1 + 0.02 * (HOUSE.tank_c - 25)), 3.0),
    "moisture": (lambda raw: (raw - 3200) / (1500 - 3200) * 100, 0.04),
    "mhz19_co2": (lambda raw: raw, 0.5),
    "bh1750": (lambda raw: raw / 1.2, 0.5),
    "flow": (lambda raw: raw / 7.5, 0.07),
}


@pytest.mark.parametrize("kind", list(SensorKind))
def test_the_datasheet_formula_gives_back_what_the_sensor_saw(kind: SensorKind):
    for sample in measure(sensor(kind), HOUSE, random.Random(1)):
        convert, tolerance = BACK[sample.sensor_type]
        assert convert(sample.raw) == pytest.approx(sample.truth, abs=tolerance)


def test_an_sht31_is_two_values_temperature_first():
    samples = measure(sensor(SensorKind.SHT31), HOUSE, random.Random(1))
    assert [sample.sensor_type for sample in samples] == ["sht31_temp", "sht31_humidity"]
    assert [sample.unit for sample in samples] == ["°C", "%"]


def test_a_ds18b20_below_zero_is_negative_on_the_wire():
    sample = read(SensorKind.DS18B20, attrs.evolve(HOUSE, root_c=-1.5))
    assert -30 < sample.raw < -18
    assert sample.value == sample.raw * 0.0625


def test_the_thermometer_in_the_tank_measures_the_tank():
    house = attrs.evolve(HOUSE, root_c=10.0, tank_c=30.0)
    assert read(SensorKind.DS18B20, house).truth == pytest.approx(10.0, abs=0.5)
    assert read(SensorKind.DS18B20, house, in_tank=True).truth == pytest.approx(30.0, abs=0.5)


def test_noise_comes_from_the_generator_and_bias_from_the_specimen():
    spec = sensor(SensorKind.MOISTURE)
    assert measure(spec, HOUSE, random.Random(1)) == measure(spec, HOUSE, random.Random(1))
    assert measure(spec, HOUSE, random.Random(1)) != measure(spec, HOUSE, random.Random(2))
    assert read(SensorKind.MOISTURE, bias=5.0).truth == pytest.approx(read(SensorKind.MOISTURE).truth + 5.0)


@pytest.mark.parametrize(
    ("kind", "house"),
    [
        (SensorKind.EC, attrs.evolve(HOUSE, ec_us_cm=30_000.0)),
        (SensorKind.EC, attrs.evolve(HOUSE, ec_us_cm=0.0)),
    ],
    ids=["above the range", "dry"],
)
def test_an_adc_at_its_rail_is_suspect(kind: SensorKind, house: GreenhouseState):
    sample = read(kind, house)
    assert sample.quality == "suspect"
    assert 0 <= sample.raw <= 4095


@given(
    st.builds(
        GreenhouseState,
        time_s=st.just(0.0),
        air_c=st.floats(-60, 150),
        vapour_gm3=st.floats(0, 200),
        root_c=st.floats(-100, 200),
        tank_c=st.floats(-20, 90),
        moisture_pct=st.floats(0, 100),
        co2_ppm=st.floats(50, 50_000),
        ph=st.floats(0, 14),
        ec_us_cm=st.floats(0, 100_000),
        light_lux=st.floats(0, 200_000),
        flow_l_per_min=st.floats(0, 100),
    ),
    st.sampled_from(SensorKind),
)
def test_no_house_drives_a_sensor_out_of_its_word(house: GreenhouseState, kind: SensorKind):
    for sample in measure(sensor(kind), house, random.Random(1)):
        if kind.on_adc:
            assert 0 <= sample.raw <= 4095
        elif kind is SensorKind.DS18B20:
            # -2032 is the firmware's fault code, never published
            assert -2032 < sample.raw <= 2047
            assert (sample.quality == "good") == (-880 <= sample.raw <= 2000)
        else:
            assert 0 <= sample.raw <= 65_535
