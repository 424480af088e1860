"""The registry: what a type means, and plans that are validated once and then used for every reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sensor_libs
from growy.model.errors import CalibrationError, ConversionError
from growy.sensors import sources
from growy.sensors.calibration import Point, fit
from growy.sensors.declarations import from_plain, to_plain
from growy.sensors.registry import Entry, Registry
from growy.sensors.sources import SourceFile
from growy.sensors.worker import load
from sensor_libs import Choice, Library, Number, Output

FOLDER = Path(sensor_libs.__file__).parent


def entry(name: str, content: bytes | None = None, *, shipped: bool = True) -> Entry:
    path = FOLDER / f"{name}.py" if shipped else Path("/grower") / f"{name}.py"
    content = content or (FOLDER / f"{name}.py").read_bytes()
    source = SourceFile(path, shipped, (0, 0, len(content), 0))
    return Entry(load(str(path), content).library, sources.digest(content), source, content)


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = Registry()
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        registry.offer(entry(path.stem))
    registry.decide()
    return registry


def test_aliases_resolve_in_any_case_to_the_canonical_type(registry: Registry) -> None:
    for name, canonical, unit in (
        ("Temperature_DS18B20", "ds18b20", "°C"),
        ("soil_moisture", "moisture", "%"),
        ("SCD30_CO2", "co2", "ppm"),
        ("humidity_bme280", "bme280_humidity", "%RH"),
        ("pressure", "pressure", "hPa"),
        ("dht11", "dht11_temp", "°C"),
    ):
        info = registry.resolve(name)
        assert info is not None
        assert (info.value_type, info.unit) == (canonical, unit)
    assert registry.resolve("nitrogen") is None


def test_an_alias_stands_for_settings_that_a_grower_may_overrule(registry: Registry) -> None:
    assert dict(registry.plan("bh1750").choices)["sensor"] == "bh1750"
    assert dict(registry.plan("light").choices)["sensor"] == "lux"
    assert dict(registry.plan("bh1750", {"sensor": "lux"}).choices)["sensor"] == "lux"
    assert registry.plan("mhz19_co2").numbers()["range_ppm"] == 5000
    assert registry.plan("mhz19_co2", {"range_ppm": 2000}).numbers()["range_ppm"] == 2000


def test_numbers_are_default_then_preset_then_setting_then_calibration(registry: Registry) -> None:
    assert registry.plan("ph").numbers()["neutral_mv"] == 1500
    assert registry.plan("ph", {"profile": "dfrobot_v1"}).numbers()["neutral_mv"] == 2000
    assert registry.plan("ph", {"profile": "dfrobot_v1", "neutral_mv": 1990}).numbers()["neutral_mv"] == 1990
    calibration = registry.calibrate("ph", "ph", [Point(1520, 7.0, "buffer_neutral")])
    plan = registry.plan("ph", {"neutral_mv": 1490}, calibration)
    assert plan.numbers()["neutral_mv"] == 1520
    assert plan.numbers()["calibrated"] == 1
    assert registry.plan("ph").numbers()["calibrated"] == 0


def test_equal_requests_make_equal_plans_and_what_differs_differs(registry: Registry) -> None:
    assert registry.plan("ph") == registry.plan("PH_sensor")
    assert hash(registry.plan("ph")) == hash(registry.plan("ph"))
    assert registry.plan("ph", {"temperature_c": 20}) != registry.plan("ph")
    assert registry.plan("bmp280_temp").parameters.count("null") == 19, (
        "missing trim constants and temperature"
    )
    assert json.loads(registry.plan("ph").parameters)["profile"] == "dfrobot_v2"


@pytest.mark.parametrize(
    ("type", "settings", "why"),
    [
        ("nitrogen", {}, "no sensor library converts 'nitrogen'"),
        ("ph", {"slope": 1}, "no parameter 'slope'"),
        ("ph", {"profile": "dfrobot_v9"}, "must be one of dfrobot_v2"),
        ("ph", {"profile": 1}, "must be one of"),
        ("ph", {"temperature_c": 200}, "must be 0..100 °C, is 200"),
        ("ph", {"temperature_c": None}, "must be a number, is None"),
        ("ph", {"temperature_c": float("nan")}, "must be a number"),
        ("ph", {"temperature_c": True}, "must be a number"),
        ("ds18b20", {"resolution_bits": 13}, "must be 9..12 bit"),
    ],
)
def test_a_wrong_setting_is_named(
    registry: Registry, type: str, settings: dict[str, object], why: str
) -> None:
    with pytest.raises(ConversionError) as caught:
        registry.plan(type, settings)
    assert why in str(caught.value)


def test_a_calibration_for_another_kind_of_sensor_is_refused(registry: Registry) -> None:
    moisture = registry.calibrate("moisture", "moisture", [Point(3000, role="dry"), Point(1400, role="wet")])
    with pytest.raises(CalibrationError, match="dry, wet, which ds18b20 does not have"):
        registry.plan("ds18b20", calibration=moisture)
    celsius = registry.calibrate("ds18b20", "offset", [Point(20, 20.5)])
    with pytest.raises(CalibrationError, match="is in °C, but sht31_humidity is in %RH"):
        registry.plan("sht31_humidity", calibration=celsius)
    assert registry.plan("sht31_temp", calibration=celsius).numbers()["calibration_offset"] == 0.5


def test_a_calibration_knows_the_board_it_is_fitted_for(registry: Registry) -> None:
    points = [Point(2000, 7.0, "buffer_neutral"), Point(2000 - 285.7 * 2.99, 4.01, "buffer_low")]
    registry.calibrate("ph", "ph", points, {"profile": "dfrobot_v1"})
    with pytest.raises(CalibrationError, match="wrong direction"):
        registry.calibrate("ph", "ph", points, {"profile": "dfrobot_v2"})


def test_a_calibration_out_of_a_librarys_bounds_is_refused(registry: Registry) -> None:
    calibration = fit(
        "moisture",
        [Point(9e6, role="dry"), Point(2e7, role="wet")],
        value_unit="%",
        nominal={"adc_counts": 3e7},
    )
    with pytest.raises(CalibrationError, match="wet must be"):
        registry.plan("moisture", calibration=calibration)


def test_generation_grows_with_every_change_and_only_then() -> None:
    registry = Registry()
    registry.offer(entry("ds18b20"))
    registry.decide()
    assert registry.generation == 1
    registry.decide()
    registry.offer(entry("ds18b20"))
    registry.decide()
    assert registry.generation == 1
    changed = (FOLDER / "ds18b20.py").read_bytes() + b"\n# mine\n"
    registry.offer(entry("ds18b20", changed, shipped=False))
    registry.decide()
    assert registry.generation == 2
    registry.withdraw(Path("/grower/ds18b20.py"))
    registry.decide()
    assert registry.generation == 3


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_declaration_survives_the_way_from_worker_to_daemon(path: Path) -> None:
    library = load(str(path), path.read_bytes()).library
    plain = to_plain(library)
    assert str(to_plain(from_plain(plain))) == str(plain), "as text, in which NaN equals NaN"


def test_a_declaration_that_is_none_is_refused() -> None:
    good = Library(
        "x", "1", (Output("x", "°C", "temperature", 0, 1),), {"a": Number(), "b": Choice(("p",), default="p")}
    )
    plain = to_plain(good)
    for broken in (
        {},
        {**plain, "outputs": []},
        {**plain, "outputs": [{}]},
        {**plain, "parameters": {"a": {"no": 1}}},
    ):
        with pytest.raises((ValueError, TypeError, KeyError)):
            from_plain(broken)
