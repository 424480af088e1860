"""The shipped libraries against their datasheets: every declared check, and what all of them promise."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sensor_libs
from growy.model.reading import Quality
from growy.sensors.apply import LoadedLibrary
from growy.sensors.declarations import settle
from growy.sensors.worker import load
from sensor_libs import Check, Library

FOLDER = Path(sensor_libs.__file__).parent
LIBRARIES = {
    path.stem: load(str(path), path.read_bytes())
    for path in sorted(FOLDER.glob("*.py"))
    if not path.name.startswith("_")
}
CHECKS = [
    pytest.param(
        loaded, check, id=f"{name}-{number}-{check.type or loaded.library.outputs[0].type}-{check.raw}"
    )
    for name, loaded in LIBRARIES.items()
    for number, check in enumerate(loaded.library.checks, 1)
]


def convert(loaded: LoadedLibrary, type: str, raw: object, **params: float | str) -> tuple[float, int, str]:
    """One value through a library as a worker does it."""
    words = {name: word for name, word in params.items() if isinstance(word, str)}
    numbers, chosen = settle(
        loaded.library, words, {n: float(v) for n, v in params.items() if not isinstance(v, str)}
    )
    column = (
        {k: np.array([float(v)]) for k, v in raw.items()} if isinstance(raw, dict) else np.array([float(raw)])
    )
    value, quality, reason = loaded.apply(type, column, chosen, np.array([list(numbers.values())]))
    return float(value[0]), int(quality[0]), reason


@pytest.mark.parametrize(("loaded", "check"), CHECKS)
def test_a_datasheet_value_comes_out(loaded: LoadedLibrary, check: Check) -> None:
    raw = dict(check.raw) if isinstance(check.raw, dict) else check.raw
    value, quality, _ = convert(loaded, check.type or loaded.library.outputs[0].type, raw, **check.params)
    if check.value is None:
        assert math.isnan(value)
        assert quality == Quality.ERROR
    else:
        assert value == pytest.approx(check.value, abs=check.tolerance)
        assert quality != Quality.ERROR
    if check.quality is not None:
        assert quality == check.quality


def test_quality_numbers_are_those_of_the_store() -> None:
    for quality in Quality:
        assert getattr(sensor_libs, quality.name) == int(quality)


@pytest.mark.parametrize("loaded", LIBRARIES.values(), ids=list(LIBRARIES))
def test_every_output_of_every_library_is_checked(loaded: LoadedLibrary) -> None:
    library = loaded.library
    checked = {check.type or library.outputs[0].type for check in library.checks}
    by_shared_code = {"bme280_temp", "bme280_pressure"} if library.name == "bmx280" else set()
    assert {output.type for output in library.outputs} - checked <= by_shared_code
    assert all(output.unit and output.quantity and output.doc for output in library.outputs)


@pytest.mark.parametrize(
    ("name", "type"),
    [
        (name, output.type)
        for name, loaded in LIBRARIES.items()
        for output in loaded.library.outputs
        if not output.inputs
    ],
)
@given(
    raw=st.lists(
        st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**31), 2**32).map(float), max_size=8
    )
)
def test_no_raw_value_makes_a_value_out_of_range(name: str, type: str, raw: list[float]) -> None:
    loaded = LIBRARIES[name]
    output = loaded.library.output(type)
    numbers, words = settle(loaded.library, {}, {})
    value, quality, _ = loaded.apply(
        type, np.array(raw, np.float64), words, np.array([list(numbers.values())])
    )
    has = ~np.isnan(value)
    assert np.all((value[has] >= output.low) & (value[has] <= output.high))
    assert np.all((quality == Quality.ERROR) == ~has)


def test_names_that_firmware_and_growers_use_all_mean_something() -> None:
    names = {n for loaded in LIBRARIES.values() for o in loaded.library.outputs for n in (o.type, *o.aliases)}
    wanted = """
        ds18b20 temperature_ds18b20 sht31_temp temperature_sht31 sht31_humidity humidity_sht31 bmp280_pressure
        pressure_bmp280 bmp280_temp temperature_bmp280 bme280_temp temperature_bme280 bme280_pressure pressure_bme280
        bme280_humidity humidity_bme280 ph ph_sensor ec ec_sensor moisture soil_moisture mhz19_co2 scd30_co2 co2 light
        tsl2561 bh1750 flow yfs201 vpd dht22 dht22_temp dht22_humidity temperature_dht22 humidity_dht22 dht11
        temperature humidity pressure
    """
    assert names >= set(wanted.split())


def test_a_disconnected_ds18b20_is_an_error_however_it_is_printed() -> None:
    loaded = LIBRARIES["ds18b20"]
    for raw in (-2032, 2**32 - 2032, -1, 2**32 - 1):
        value, quality, _ = convert(loaded, "ds18b20", raw)
        assert math.isnan(value)
        assert quality == Quality.ERROR


@pytest.mark.parametrize(("bits", "celsius"), [(9, 25.0), (10, 25.25), (11, 25.375), (12, 25.4375)])
def test_undefined_low_bits_of_a_ds18b20_are_masked(bits: int, celsius: float) -> None:
    assert convert(LIBRARIES["ds18b20"], "ds18b20", 407, resolution_bits=bits)[0] == celsius


def bosch_humidity_int32(adc: int, t_fine: int, h: tuple[int, ...]) -> float:
    """BST-BME280-DS002 section 4.2.3, the 32-bit integer code: another road to the same value."""
    h1, h2, h3, h4, h5, h6 = h
    v = t_fine - 76800
    v = (((adc << 14) - (h4 << 20) - (h5 * v)) + 16384 >> 15) * (
        (((((v * h6) >> 10) * (((v * h3) >> 11) + 32768)) >> 10) + 2097152) * h2 + 8192 >> 14
    )
    v = v - (((((v >> 15) * (v >> 15)) >> 7) * h1) >> 4)
    return (min(max(v, 0), 419430400) >> 12) / 1024


@given(adc=st.integers(20_000, 40_000).filter(lambda adc: adc != 0x8000), celsius=st.floats(0, 50))
def test_bme280_humidity_agrees_with_the_integer_code_of_the_datasheet(adc: int, celsius: float) -> None:
    trim = (75, 362, 0, 313, 50, 30)
    params = {f"dig_h{i}": number for i, number in enumerate(trim, 1)}
    value, quality, _ = convert(LIBRARIES["bmx280"], "bme280_humidity", adc, temperature_c=celsius, **params)
    assert value == pytest.approx(bosch_humidity_int32(adc, int(celsius * 5120), trim), abs=0.05)
    assert quality == Quality.GOOD


@pytest.mark.parametrize("type", ["bmp280_temp", "bmp280_pressure", "bme280_humidity"])
def test_a_bosch_chip_without_trim_constants_says_what_it_needs(type: str) -> None:
    value, quality, reason = convert(LIBRARIES["bmx280"], type, 519888 << 4)
    assert math.isnan(value)
    assert quality == Quality.ERROR
    assert "dig_" in reason


@given(
    ph=st.floats(2, 12),
    celsius=st.floats(0, 50),
    profile=st.sampled_from(["dfrobot_v2", "dfrobot_v1", "atlas_gravity"]),
)
def test_ph_follows_nernst_with_its_isopotential_point_at_7(ph: float, celsius: float, profile: str) -> None:
    library = LIBRARIES["ph"].library
    presets = library.parameters["profile"].presets(profile)
    slope = presets["acid_slope_mv"] * (celsius + 273.15) / 298.15
    mv = presets["neutral_mv"] + slope * (ph - 7)
    value, _, _ = convert(
        LIBRARIES["ph"], "ph", mv, input="millivolts", profile=profile, temperature_c=celsius
    )
    assert value == pytest.approx(ph, abs=0.0051)


@pytest.mark.parametrize("fsr", [6144, 4096, 2048, 1024, 512, 256])
def test_an_ads1115_counts_two_s_complement_of_its_full_scale(fsr: int) -> None:
    # given a third of full scale, as SBAS444 table 7-3 codes it
    value, _, _ = convert(LIBRARIES["ec"], "ec", 10923, adc=f"ads1115_{fsr}", us_cm_per_mv=1)
    assert value == pytest.approx(10923 / 32768 * fsr, abs=0.06)


def test_darkness_and_damp_are_good_measurements() -> None:
    assert convert(LIBRARIES["light"], "light", 0)[1] == Quality.GOOD
    assert convert(LIBRARIES["sht31"], "sht31_humidity", round(0.98 * 65535))[1] == Quality.GOOD
    assert convert(LIBRARIES["moisture"], "moisture", 3200, calibrated=1)[1] == Quality.GOOD


@given(
    dry=st.integers(200, 3900), wet=st.integers(200, 3900), probe=st.sampled_from(["capacitive", "resistive"])
)
def test_moisture_runs_from_dry_to_wet_in_either_direction(dry: int, wet: int, probe: str) -> None:
    loaded = LIBRARIES["moisture"]
    at_dry, at_wet = (
        convert(loaded, "moisture", raw, dry=dry, wet=wet, probe=probe)[0] for raw in (dry, wet)
    )
    if dry == wet:
        assert math.isnan(at_dry)
    else:
        assert (at_dry, at_wet) == (0.0, 100.0)


def test_a_library_refuses_to_be_declared_wrongly() -> None:
    output = sensor_libs.Output("x", unit="", quantity="x", low=0, high=1)
    with pytest.raises(ValueError, match="twice"):
        Library("x", "1", (output, output))
    with pytest.raises(ValueError, match="no outputs"):
        Library("x", "1", ())
    with pytest.raises(ValueError, match="lower-case"):
        Library("X", "1", (output,))
    with pytest.raises(ValueError, match="no number"):
        Library("x", "1", (output,), {"profile": sensor_libs.Choice({"a": {"slope": 1}}, default="a")})
    with pytest.raises(ValueError, match="outside"):
        sensor_libs.Number(5, low=0, high=1)


@pytest.mark.parametrize("raw", [-1, 0, 0xFFFF, 0x10000, 2**32 - 1])
def test_a_bme280_that_counts_the_impossible_has_no_humidity(raw: int) -> None:
    """0 and all ones are a dead bus; the compensation would clip them to 0 and 100 %RH."""
    trim = {"dig_h1": 75, "dig_h2": 362, "dig_h3": 0, "dig_h4": 315, "dig_h5": 50, "dig_h6": 30}
    value, quality, _ = convert(LIBRARIES["bmx280"], "bme280_humidity", raw, temperature_c=25.0, **trim)
    assert math.isnan(value)
    assert quality == Quality.ERROR


@pytest.mark.parametrize("type", ["ec", "tds"])
def test_a_negative_count_of_an_esp32_is_an_error_and_of_an_ads1115_noise(type: str) -> None:
    value, quality, _ = convert(LIBRARIES["ec"], type, -1)
    assert math.isnan(value)
    assert quality == Quality.ERROR
    value, quality, _ = convert(LIBRARIES["ec"], type, -1, adc="ads1115_4096")
    assert (value, quality) == (0.0, Quality.SUSPECT)


@pytest.mark.parametrize(
    ("name", "type", "raw", "offset", "expected"),
    [
        ("sht31", "sht31_humidity", 65000, 2.0, 100.0),
        ("sht31", "sht31_humidity", 300, -2.0, 0.0),
        ("light", "light", 1.0, -5.0, 0.0),
        ("sht31", "sht31_humidity", 65536, -2.0, None),
        ("passthrough", "temperature", 149.0, 2.0, None),
    ],
)
def test_a_correction_does_not_pass_a_limit_of_nature(
    name: str, type: str, raw: float, offset: float, expected: float | None
) -> None:
    """Saturated air with an offset of +2 %RH is saturated air, not a broken sensor; a thermometer has no such limit."""
    value, _, _ = convert(LIBRARIES[name], type, raw, calibration_offset=offset)
    assert (None if math.isnan(value) else value) == expected
