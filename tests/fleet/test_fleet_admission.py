"""What cannot work on a device is refused before it gets there, with the reason and the cure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.fleet.admission import (
    Admitted,
    admit_actuator,
    admit_rules,
    admit_sensor,
    admit_subzone,
    admit_zone,
)
from growy.fleet.hardware import (
    BOARDS,
    FAMILIES,
    WROOM,
    XIAO,
    Board,
    base_type,
    board_of,
    family_of,
    no_driver,
)
from growy.fleet.onewire import crc8, rom_code
from growy.model.errors import ConfigTooLarge, GpioConflict, GrowyError, Invalid
from growy.model.reading import Bus
from growy.model.setup import (
    ActuatorKind,
    ActuatorSetup,
    OfflineRule,
    OperatingMode,
    SensorSetup,
    SubzoneSetup,
    TimeFilter,
    ZoneSetup,
)
from growy.wire.config_document import budget_of
from growy.wire.setup import actuator_item, sensor_item

PAGE = Path(__file__).parents[2] / "docs" / "devices.md"

AIR = SensorSetup(id="air", gpio=68, sensor_type="sht31", name="Air", i2c_address=68)
ROOT = SensorSetup(id="root", gpio=4, sensor_type="ds18b20", name="Root", onewire_address="28FF641E8D3C0CDA")
SOIL = SensorSetup(id="soil", gpio=34, sensor_type="moisture", name="Soil")
VENT = ActuatorSetup(id="vent", gpio=18, kind=ActuatorKind.RELAY, name="Vent")


def rom(serial: int, family: int = 0x28) -> str:
    data = bytes([family]) + serial.to_bytes(6, "little")
    return (data + bytes([crc8(data)])).hex().upper()


def sensor(sensor_type: str, gpio: int, *, id: str = "new", **more: object) -> SensorSetup:
    return msgspec.structs.replace(SensorSetup(id=id, gpio=gpio, sensor_type=sensor_type, name="New"), **more)


def actuator(kind: str, gpio: int, *, id: str = "new", **more: object) -> ActuatorSetup:
    return msgspec.structs.replace(
        ActuatorSetup(id=id, gpio=gpio, kind=ActuatorKind(kind), name="New"), **more
    )


def with_sensor(
    setup: SensorSetup,
    sensors: Sequence[SensorSetup] = (),
    actuators: Sequence[ActuatorSetup] = (VENT,),
    board: Board = WROOM,
) -> Admitted[SensorSetup]:
    return admit_sensor(board, sensors, actuators, setup)


def with_actuator(
    setup: ActuatorSetup,
    sensors: Sequence[SensorSetup] = (AIR,),
    actuators: Sequence[ActuatorSetup] = (),
    board: Board = WROOM,
) -> Admitted[ActuatorSetup]:
    return admit_actuator(board, sensors, actuators, setup)


# --- I²C --------------------------------------------------------------------------------------------------------------


def test_an_i2c_sensor_as_it_should_be_is_taken_as_it_is() -> None:
    admitted = with_sensor(AIR)

    assert admitted.setup == AIR
    assert admitted.warnings == ()


def test_an_i2c_sensor_without_an_address_gets_that_of_the_chip_always_said() -> None:
    admitted = with_sensor(sensor("sht31", 100))

    assert admitted.setup.i2c_address == 0x44
    assert sensor_item(admitted.setup)["i2c_address"] == 0x44


def test_a_change_without_an_address_keeps_the_one_it_had() -> None:
    second = sensor("sht31", 69, id="second", i2c_address=0x45)

    changed = with_sensor(sensor("sht31", 69, id="second", interval_s=60), [AIR, second])

    assert changed.setup.i2c_address == 0x45


@pytest.mark.parametrize("gpio", [0, 21, 22])
def test_the_bus_pin_of_an_old_client_becomes_the_address(gpio: int) -> None:
    admitted = with_sensor(sensor("sht31", gpio, i2c_address=0x45))

    assert admitted.setup.gpio == 0x45
    assert f"gpio {gpio} was replaced by 69" in admitted.warnings[0]


def test_two_i2c_sensors_of_an_old_client_do_not_share_a_number() -> None:
    first = with_sensor(sensor("sht31", 0, id="1", i2c_address=0x44)).setup
    second = with_sensor(sensor("sht31", 0, id="2", i2c_address=0x45), [first]).setup

    assert (first.gpio, second.gpio) == (68, 69)


def test_an_address_that_the_chip_cannot_have() -> None:
    with pytest.raises(Invalid, match="no I²C address 118") as caught:
        with_sensor(sensor("sht31", 118, i2c_address=0x76))

    assert "68 (0x44) or 69 (0x45)" in caught.value.cure


def test_an_address_twice() -> None:
    with pytest.raises(GpioConflict, match="'Air'") as caught:
        with_sensor(sensor("sht31", 100, i2c_address=0x44), [AIR])

    assert (caught.value.code, caught.value.numeric_code, caught.value.http_status) == (
        "GPIO_CONFLICT",
        5208,
        409,
    )


def test_chips_of_one_address_conflict_whatever_they_are() -> None:
    barometer = sensor("bmp280", 118, id="b", i2c_address=0x76)

    with pytest.raises(GpioConflict, match="0x76"):
        with_sensor(sensor("bme280", 119, i2c_address=0x76), [barometer])


@pytest.mark.parametrize("label", [4, 18, 34])
def test_a_label_that_is_a_pin_in_use(label: int) -> None:
    with pytest.raises(GpioConflict, match=f"gpio {label} is taken") as caught:
        with_sensor(sensor("sht31", label), [ROOT, SOIL])

    assert caught.value.cure == "Use gpio 68, its address, as label"
    assert caught.value.details == {"gpio": label, "suggested_gpio": 68}


def test_a_label_that_another_i2c_sensor_has() -> None:
    other = sensor("bmp280", 68, id="b", i2c_address=0x76)

    with pytest.raises(GpioConflict) as caught:
        with_sensor(sensor("sht31", 68), [other])

    assert caught.value.cure == "Use gpio 40 as label"


@pytest.mark.parametrize("label", [-1, 255, 300])
def test_a_number_that_is_no_label(label: int) -> None:
    with pytest.raises(Invalid, match="cannot label"):
        with_sensor(sensor("sht31", label))


@pytest.mark.parametrize("chip", ["bmp280", "bme280"])
def test_bosch_chips_are_taken_with_the_truth_about_them(chip: str) -> None:
    admitted = with_sensor(sensor(chip, 0))

    assert admitted.setup.i2c_address == 0x76
    assert "trimming values" in admitted.warnings[0]


# --- OneWire ----------------------------------------------------------------------------------------------------------


def test_several_ds18b20_share_a_pin() -> None:
    admitted = with_sensor(sensor("ds18b20", 4, onewire_address=rom(7)), [ROOT])

    assert (admitted.setup.gpio, admitted.setup.onewire_address, admitted.warnings) == (4, rom(7), ())


def test_one_rom_code_is_one_sensor() -> None:
    with pytest.raises(GpioConflict, match="'Root' is the sensor"):
        with_sensor(sensor("ds18b20", 4, onewire_address=ROOT.onewire_address), [ROOT])


def test_there_is_one_onewire_bus() -> None:
    with pytest.raises(GpioConflict, match="'Root' has it on gpio 4") as caught:
        with_sensor(sensor("ds18b20", 5, onewire_address=rom(7)), [ROOT])

    assert caught.value.details["suggested_gpio"] == 4


def test_the_only_sensor_of_a_bus_may_move() -> None:
    assert with_sensor(msgspec.structs.replace(ROOT, gpio=5), [ROOT]).setup.gpio == 5


@pytest.mark.parametrize("text", ["28-ff641e8d3c0c-da", "28:FF:64:1E:8D:3C:0C:DA", " 28ff641e8d3c0cda "])
def test_a_rom_code_is_understood_however_it_is_written(text: str) -> None:
    assert with_sensor(sensor("temperature_ds18b20", 4, onewire_address=text)).setup.onewire_address == (
        "28FF641E8D3C0CDA"
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (None, "there is none"),
        ("", "there is none"),
        ("28FF641E8D3C0C00", "misread"),
        ("28FF641E8D3C0C", "no ROM code"),
        ("XXFF641E8D3C0CDA", "no ROM code"),
        ("0000000000000000", "family 00"),
        (rom(7, family=0x10), "wrongly"),
    ],
)
def test_a_rom_code_that_cannot_be_right(code: str | None, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        with_sensor(sensor("ds18b20", 4, onewire_address=code))


@given(st.integers(0, 2**48 - 1), st.integers(0, 63))
def test_no_single_wrong_bit_of_a_rom_code_goes_unnoticed(serial: int, bit: int) -> None:
    code = rom(serial)
    assert rom_code(code) == code

    with pytest.raises(Invalid):
        rom_code(f"{int(code, 16) ^ (1 << bit):016X}")


@pytest.mark.parametrize("gpio", [34, 35, 36, 39])
def test_a_onewire_bus_must_be_driven(gpio: int) -> None:
    with pytest.raises(Invalid, match="must be driven"):
        with_sensor(sensor("ds18b20", gpio, onewire_address=rom(7)))


@pytest.mark.parametrize(("gpio", "owner"), [(18, "'Vent'"), (33, "'Soil'")])
def test_a_onewire_bus_on_a_pin_in_use(gpio: int, owner: str) -> None:
    with pytest.raises(GpioConflict, match=owner):
        with_sensor(sensor("ds18b20", gpio, onewire_address=rom(7)), [msgspec.structs.replace(SOIL, gpio=33)])


# --- analogue ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gpio", [32, 33, 34, 35, 36, 39])
def test_analogue_sensors_belong_on_the_first_adc(gpio: int) -> None:
    assert with_sensor(sensor("ph", gpio)).warnings == ()


@pytest.mark.parametrize("gpio", [4, 14, 15, 25, 26, 27])
def test_the_second_adc_is_blind_and_says_so(gpio: int) -> None:
    with pytest.raises(Invalid, match="WiFi") as caught:
        with_sensor(sensor("ph", gpio))

    assert "32, 33, 34, 35, 36, 39" in caught.value.cure


@pytest.mark.parametrize("gpio", [5, 16, 18, 23])
def test_a_pin_without_adc(gpio: int) -> None:
    with pytest.raises(Invalid, match="analogue"):
        with_sensor(sensor("ph", gpio), actuators=[])


def test_an_analogue_pin_is_not_shared() -> None:
    with pytest.raises(GpioConflict, match="'Soil'"):
        with_sensor(sensor("ec", 34), [SOIL])


def test_a_pin_whose_number_labels_an_i2c_sensor() -> None:
    with pytest.raises(GpioConflict) as caught:
        with_sensor(sensor("ec", 33), [msgspec.structs.replace(AIR, gpio=33)])

    assert "its address as label" in caught.value.cure


def test_an_analogue_sensor_loses_addresses_that_mean_nothing() -> None:
    admitted = with_sensor(sensor("ph", 34, i2c_address=68, onewire_address="x")).setup

    assert (admitted.i2c_address, admitted.onewire_address) == (None, None)


# --- pins of the boards -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_every_number_is_either_usable_or_has_a_reason(board: Board) -> None:
    usable = board.safe - board.i2c_pins

    assert {gpio for gpio in range(-1, 256) if board.why_not(gpio) is None} == usable
    assert board.adc1 <= usable
    assert not board.adc1 & board.adc2
    assert board.i2c_pins <= board.safe
    assert not board.safe & set(board.system)


@pytest.mark.parametrize("gpio", sorted(set(range(-1, 45)) - (WROOM.safe - WROOM.i2c_pins)))
def test_a_pin_that_something_else_needs(gpio: int) -> None:
    with pytest.raises(Invalid, match=f"gpio {gpio} "):
        with_actuator(actuator("relay", gpio))
    with pytest.raises(Invalid, match=f"gpio {gpio} "):
        with_sensor(sensor("ds18b20", gpio, onewire_address=rom(7)))
    with pytest.raises(Invalid, match=f"gpio {gpio} "):
        with_sensor(sensor("ph", gpio))


@pytest.mark.parametrize("gpio", sorted(XIAO.safe - XIAO.i2c_pins))
def test_the_pins_of_the_small_board(gpio: int) -> None:
    assert with_actuator(actuator("relay", gpio), board=XIAO).setup.gpio == gpio


def test_the_small_board_has_one_analogue_pin() -> None:
    assert with_sensor(sensor("ph", 2), board=XIAO).setup.gpio == 2
    with pytest.raises(Invalid, match="WiFi"):
        with_sensor(sensor("ph", 5), board=XIAO)


@pytest.mark.parametrize(
    ("name", "board"),
    [("ESP32_WROOM", WROOM), ("esp32-wroom", WROOM), ("XIAO_ESP32_C3", XIAO), ("MOCK_ESP32", WROOM)],
)
def test_boards_by_name(name: str, board: Board) -> None:
    assert board_of(name) is board


def test_a_board_that_nobody_knows() -> None:
    with pytest.raises(Invalid, match="'ESP8266'"):
        board_of("ESP8266")


# --- types ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("SHT31", "sht31"),
        ("sht31_temp", "sht31"),
        ("sht31_temperature", "sht31"),
        ("humidity_sht31", "sht31"),
        ("bme280_pressure", "bme280"),
        ("pressure_bmp280", "bmp280"),
        ("temperature_ds18b20", "ds18b20"),
        ("soil_moisture", "moisture"),
        ("ph_sensor", "ph"),
        ("EC", "ec"),
        ("water_level", "water_level"),
    ],
)
def test_a_value_is_normalised_to_its_chip(said: str, told: str) -> None:
    assert base_type(said) == told
    assert base_type(told) == told


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.base)
def test_every_published_value_leads_back_to_its_family(family: object) -> None:
    for value in FAMILIES[family.base].values:  # type: ignore[attr-defined]
        assert family_of(value) is family
        assert no_driver(value) is None


@pytest.mark.parametrize(
    "kind", ["bh1750", "tsl2561", "scd30_co2", "mhz19_co2", "dht22_temp", "flow", "yfs201"]
)
def test_what_the_firmware_cannot_read_is_refused(kind: str) -> None:
    with pytest.raises(Invalid, match="the analogue value of a pin instead"):
        with_sensor(sensor(kind, 35))


def test_an_unknown_type_is_an_analogue_pin_with_a_warning() -> None:
    admitted = with_sensor(sensor("Water_Level", 35))

    assert admitted.setup.sensor_type == "water_level"
    assert "does not know water_level" in admitted.warnings[0]
    assert family_of("water_level").bus is Bus.GPIO


@pytest.mark.parametrize("kind", ["", "a b", 'x"y', "ü", "1wire", "t" * 33])
def test_a_type_that_is_no_word(kind: str) -> None:
    with pytest.raises(Invalid, match="no sensor type"):
        with_sensor(sensor(kind, 35))


def test_the_type_of_a_sensor_stays() -> None:
    with pytest.raises(Invalid, match="cannot become a ph"):
        with_sensor(sensor("ph", 34, id="soil"), [SOIL])
    assert with_sensor(sensor("soil_moisture", 34, id="soil"), [SOIL]).setup.sensor_type == "moisture"


# --- names, intervals, numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "ü" * 33])
def test_a_name_that_the_device_cannot_echo(name: str) -> None:
    with pytest.raises(Invalid, match="name"):
        with_sensor(msgspec.structs.replace(AIR, name=name))
    with pytest.raises(Invalid, match="name"):
        with_actuator(msgspec.structs.replace(VENT, name=name))


def test_a_name_in_any_language_is_taken_and_a_missing_one_made() -> None:
    assert with_sensor(msgspec.structs.replace(AIR, name=" Süd – トマト ")).setup.name == "Süd – トマト"
    assert with_sensor(msgspec.structs.replace(AIR, name="")).setup.name == "sht31 68"
    assert with_actuator(msgspec.structs.replace(VENT, name=" ")).setup.name == "relay 18"


def test_a_subzone_id_is_checked() -> None:
    with pytest.raises(Invalid, match="subzone id"):
        with_sensor(msgspec.structs.replace(AIR, subzone_id="bench a"))


@pytest.mark.parametrize(("interval", "taken"), [(0, False), (1, True), (300, True), (301, False)])
def test_intervals_are_from_1_to_300_seconds(interval: int, taken: bool) -> None:
    setup = msgspec.structs.replace(AIR, interval_s=interval)
    if taken:
        assert with_sensor(setup).setup.interval_s == interval
    else:
        with pytest.raises(Invalid, match="1 to 300 s"):
            with_sensor(setup)


@pytest.mark.parametrize(
    "wrong",
    [
        {"default_pwm": -1},
        {"default_pwm": 256},
        {"max_runtime_s": 0},
        {"max_runtime_s": 2_147_484},
        {"cooldown_s": -1},
    ],
)
def test_numbers_of_an_actuator(wrong: dict[str, int]) -> None:
    with pytest.raises(Invalid, match=str(next(iter(wrong.values())))):
        with_actuator(msgspec.structs.replace(VENT, **wrong))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"min_value": -0.1}, "min_value -0.1"),
        ({"max_value": 1.1}, "max_value 1.1"),
        ({"min_value": 0.6, "max_value": 0.5}, "min_value 0.6 and max_value 0.5"),
        ({"max_value": 0.0}, "disable it"),
        ({"min_value": float("nan")}, "min_value nan"),
        ({"max_runtime_day_s": 0}, "0 s in a day"),
        ({"max_runtime_day_s": 86_401}, "86401 s in a day"),
        ({"dose_ml_per_s": 0.0}, "0 ml per second"),
        ({"dose_ml_per_s": float("inf")}, "inf ml per second"),
        ({"dose_ml_per_s": 1.5, "dose_budget_ml": -1.0}, "-1 ml in a day"),
        ({"dose_budget_ml": 50.0}, "dose_ml_per_second"),
    ],
)
def test_limits_that_nobody_could_keep(wrong: dict[str, float], why: str) -> None:
    with pytest.raises(Invalid, match=re.escape(why)):
        with_actuator(actuator("pwm", 25, **wrong))


def test_limits_of_an_actuator_are_kept_and_the_device_is_not_told() -> None:
    plain = actuator("pwm", 25)
    limits = {
        "min_value": 0.2,
        "max_value": 0.8,
        "max_runtime_day_s": 7200,
        "dose_ml_per_s": 1.5,
        "dose_budget_ml": 50.0,
    }
    admitted = with_actuator(msgspec.structs.replace(plain, **limits))

    assert {name: getattr(admitted.setup, name) for name in limits} == limits
    assert actuator_item(admitted.setup) == actuator_item(with_actuator(plain).setup)


def test_only_a_pwm_has_values_between_off_and_full() -> None:
    admitted = with_actuator(actuator("relay", 25, min_value=0.2, max_value=0.8))

    assert (admitted.setup.min_value, admitted.setup.max_value) == (0.0, 1.0)
    assert any("only a pwm" in warning for warning in admitted.warnings)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc",), exclude_characters='"\\'), max_size=16),
    st.text("abc_-", max_size=32),
)
def test_whatever_is_admitted_fits_a_config_message(name: str, subzone: str) -> None:
    relay = msgspec.structs.replace(VENT, name=name, subzone_id=subzone, max_runtime_s=5, critical=True)
    air = msgspec.structs.replace(AIR, name=name, subzone_id=subzone, interval_s=5)

    assert budget_of(sensor_item(with_sensor(air).setup)).fits
    assert budget_of(actuator_item(with_actuator(relay).setup)).fits


# --- actuators --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gpio", [34, 35, 36, 39])
def test_an_actuator_must_be_driven(gpio: int) -> None:
    with pytest.raises(Invalid, match="can only read"):
        with_actuator(actuator("relay", gpio))


@pytest.mark.parametrize(("gpio", "owner"), [(4, "'Root'"), (18, "'Vent'")])
def test_an_actuator_on_a_pin_in_use(gpio: int, owner: str) -> None:
    with pytest.raises(GpioConflict, match=owner):
        with_actuator(actuator("pump", gpio), [ROOT], [VENT])


def test_an_actuator_may_be_changed_in_its_place() -> None:
    assert (
        with_actuator(msgspec.structs.replace(VENT, kind=ActuatorKind.PUMP), actuators=[VENT]).setup.gpio
        == 18
    )


def test_what_is_switched_off_keeps_its_pin() -> None:
    off = msgspec.structs.replace(VENT, enabled=False)

    with pytest.raises(GpioConflict, match="switched off"):
        with_actuator(actuator("pump", 18), actuators=[off])


@pytest.mark.parametrize(
    ("gpio", "aux", "error", "reason"),
    [
        (18, 255, GpioConflict, "gpio 19.*the pin above"),
        (25, 19, GpioConflict, "gpio 19.*aux_gpio"),
        (33, 255, Invalid, "gpio 34.*the pin above"),
        (25, 12, Invalid, "gpio 12.*enable pin"),
        (23, 22, Invalid, "I²C"),
        (25, 25, Invalid, "two pins"),
    ],
)
def test_the_second_pin_of_a_valve_counts_too(
    gpio: int, aux: int, error: type[GrowyError], reason: str
) -> None:
    fan = actuator("relay", 19, id="fan")

    with pytest.raises(error, match=reason):
        with_actuator(actuator("valve", gpio, aux_gpio=aux), actuators=[fan])


def test_the_second_pin_of_a_valve_is_taken() -> None:
    valve = actuator("valve", 25, id="valve")

    with pytest.raises(GpioConflict, match="gpio 26"):
        with_actuator(actuator("relay", 26), actuators=[valve])


def test_a_second_pin_of_what_has_none_is_dropped() -> None:
    admitted = with_actuator(actuator("relay", 25, aux_gpio=26))

    assert admitted.setup.aux_gpio == 255
    assert "only a valve" in admitted.warnings[0]


# --- what will work, but not as expected ------------------------------------------------------------------------------


def test_an_inverted_relay_is_energised_at_boot() -> None:
    assert (
        "energises it at every boot" in with_actuator(actuator("relay", 25, inverted_logic=True)).warnings[0]
    )


def test_a_pin_that_moves_at_boot() -> None:
    assert "at every boot" in with_actuator(actuator("relay", 15)).warnings[0]


@pytest.mark.parametrize("mode", [mode for mode in OperatingMode if mode is not OperatingMode.CONTINUOUS])
def test_a_mode_in_which_the_device_does_not_measure(mode: OperatingMode) -> None:
    assert "when asked" in with_sensor(msgspec.structs.replace(AIR, operating_mode=mode)).warnings[0]


def test_sensors_without_an_actuator_and_the_reverse() -> None:
    assert "CONFIG_PENDING" in with_sensor(AIR, actuators=[]).warnings[0]
    assert "CONFIG_PENDING" in with_actuator(VENT, sensors=[]).warnings[0]
    assert with_actuator(VENT, sensors=[AIR]).warnings == ()


def test_an_actuator_that_is_switched_off_is_none() -> None:
    assert (
        "no actuator"
        in with_sensor(AIR, actuators=[msgspec.structs.replace(VENT, enabled=False)]).warnings[0]
    )


def roots(count: int) -> list[SensorSetup]:
    return [sensor("ds18b20", 4, id=str(number), onewire_address=rom(number)) for number in range(count)]


def test_more_than_ten_sensors_are_forgotten_at_boot() -> None:
    assert with_sensor(AIR, roots(9)).warnings == ()
    assert "remembers 10" in with_sensor(AIR, roots(10)).warnings[0]


@pytest.mark.parametrize(("board", "sensors"), [(WROOM, 20), (XIAO, 10)])
def test_a_board_holds_so_many_sensors(board: Board, sensors: int) -> None:
    others = [msgspec.structs.replace(each, gpio=6) for each in roots(sensors)]

    with_sensor(AIR, others[:-1], board=board)
    with pytest.raises(Invalid, match=f"holds {sensors} sensors"):
        with_sensor(AIR, others, board=board)
    with_sensor(msgspec.structs.replace(AIR, enabled=False), others, board=board)


@pytest.mark.parametrize(("board", "actuators"), [(WROOM, 12), (XIAO, 6)])
def test_a_board_holds_so_many_actuators(board: Board, actuators: int) -> None:
    pins = sorted(board.safe - board.i2c_pins - board.input_only)
    others = [actuator("relay", pin, id=str(pin)) for pin in pins[:actuators]]

    with_actuator(actuator("relay", pins[-1]), actuators=others[:-1], board=board)
    with pytest.raises(Invalid, match=f"holds {actuators} actuators"):
        with_actuator(actuator("relay", pins[-1]), actuators=others, board=board)


# --- offline rules ----------------------------------------------------------------------------------------------------

COOLING = OfflineRule(
    actuator_gpio=18,
    sensor_gpio=68,
    sensor_value_type="sht31_temp",
    activate_above=28.0,
    deactivate_below=24.0,
)
NIGHT = OfflineRule(
    actuator_gpio=18,
    sensor_value_type="__twindow_on",
    time_filter=TimeFilter(start_hour=22, end_hour=6, timezone="Europe/Berlin"),
)


def ruled(*rules: OfflineRule) -> Admitted[tuple[OfflineRule, ...]]:
    fan = actuator("pwm", 19, id="fan")
    return admit_rules([AIR, ROOT, SOIL], [VENT, fan], rules)


def test_rules_that_the_device_runs() -> None:
    assert ruled().setup == ()
    assert ruled(COOLING) == Admitted((COOLING,))
    assert ruled(NIGHT) == Admitted((NIGHT,))


def test_rules_of_one_actuator_may_contradict() -> None:
    assert "contradict" in ruled(COOLING, NIGHT).warnings[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"actuator_gpio": 25}, "no actuator there"),
        ({"actuator_gpio": 19}, "pwm"),
        ({"sensor_gpio": 255}, "no sensor"),
        ({"sensor_gpio": 70}, "has no sensor"),
        ({"sensor_value_type": "sht31_temperature"}, "publishes sht31_humidity, sht31_temp"),
        ({"sensor_gpio": 34, "sensor_value_type": "moisture"}, "cannot judge"),
        ({"activate_above": 0.0, "deactivate_below": 0.0}, "not 0"),
        ({"activate_below": 18.0, "deactivate_above": 20.0}, "not 2"),
        ({"activate_above": 24.0}, "must be more"),
        ({"activate_above": float("nan")}, "no number"),
        (
            {
                "activate_above": 0.0,
                "deactivate_below": 0.0,
                "activate_below": 20.0,
                "deactivate_above": 20.0,
            },
            "must be less",
        ),
        ({"time_filter": TimeFilter(start_hour=24)}, "begins at 24:00"),
        ({"time_filter": TimeFilter(start_hour=1, end_hour=24, end_minute=1)}, "ends at 24:01"),
        ({"time_filter": TimeFilter(start_hour=1, end_hour=1)}, "same time"),
        ({"time_filter": TimeFilter(start_hour=1, days_of_week_mask=0)}, "no day"),
        ({"time_filter": TimeFilter(start_hour=1, timezone="America/Lima")}, "time zone"),
    ],
)
def test_a_rule_that_the_device_would_not_run_as_it_reads(change: dict[str, object], reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        ruled(msgspec.structs.replace(COOLING, **change))


def test_a_time_window_needs_a_time() -> None:
    with pytest.raises(Invalid, match="without a time"):
        ruled(msgspec.structs.replace(NIGHT, time_filter=None))


def test_a_device_takes_eight_rules() -> None:
    ruled(*[COOLING] * 8)
    with pytest.raises(ConfigTooLarge, match="9 offline rules"):
        ruled(*[COOLING] * 9)


# --- zone and subzones ------------------------------------------------------------------------------------------------


def test_zones() -> None:
    zone = ZoneSetup(zone_id="greenhouse_1", master_zone_id="greenhouse", zone_name="Gewächshaus 1")

    assert admit_zone(zone) == Admitted(zone)
    assert admit_zone(ZoneSetup(zone_id="")) == Admitted(ZoneSetup(zone_id=""))


@pytest.mark.parametrize(
    "zone",
    [
        ZoneSetup(zone_id="green house"),
        ZoneSetup(zone_id="z" * 33),
        ZoneSetup(zone_id="z", master_zone_id="m.n"),
        ZoneSetup(zone_id="z", zone_name="n" * 65),
    ],
)
def test_a_zone_that_the_firmware_refuses(zone: ZoneSetup) -> None:
    with pytest.raises(Invalid):
        admit_zone(zone)


def bench(*gpios: int, others: Sequence[SubzoneSetup] = (), zone: str = "z") -> Admitted[SubzoneSetup]:
    return admit_subzone(WROOM, [AIR], others, zone, SubzoneSetup(subzone_id="bench_a", gpios=gpios))


def test_a_subzone_of_pins() -> None:
    assert bench(18, 4, 4) == Admitted(SubzoneSetup(subzone_id="bench_a", name="bench_a", gpios=(4, 18)))


def test_a_subzone_leaves_out_what_is_no_pin() -> None:
    admitted = bench(0, 4, 21, 68)

    assert admitted.setup.gpios == (4,)
    assert "gpio 0, 21, 68 is left out" in admitted.warnings[0]


@pytest.mark.parametrize("gpio", [1, 12, 20, 70])
def test_a_subzone_of_what_the_firmware_cannot_group(gpio: int) -> None:
    with pytest.raises(Invalid, match=f"gpio {gpio}"):
        bench(4, gpio)


def test_a_pin_belongs_to_one_subzone() -> None:
    other = SubzoneSetup(subzone_id="bench_b", gpios=(4,))

    with pytest.raises(GpioConflict, match="bench_b"):
        bench(4, others=[other])
    assert bench(4, others=[SubzoneSetup(subzone_id="bench_a", gpios=(4, 5))]).setup.gpios == (4,)


def test_a_subzone_needs_a_zone() -> None:
    with pytest.raises(Invalid, match="needs a zone"):
        bench(4, zone="")


def test_the_firmware_forgets_eight_subzones() -> None:
    others = [SubzoneSetup(subzone_id=f"s{number}") for number in range(8)]

    assert bench(4, others=others[:7]).warnings == ()
    assert "forgets only 8" in bench(4, others=others).warnings[0]


# --- whatever is admitted, one after another, can live together -------------------------------------------------------

WISHES = st.one_of(
    st.builds(
        sensor,
        st.sampled_from(["sht31", "bme280", "ds18b20", "moisture", "ph", "level"]),
        st.integers(0, 80),
        i2c_address=st.none() | st.sampled_from([0x44, 0x45, 0x76, 0x77]),
        onewire_address=st.integers(0, 5).map(rom),
    ),
    st.builds(
        actuator,
        st.sampled_from(sorted(ActuatorKind)),
        st.integers(0, 45),
        aux_gpio=st.sampled_from([255, 5, 26]),
    ),
)


@given(st.lists(WISHES, max_size=40), st.sampled_from(sorted(BOARDS)))
def test_what_is_admitted_never_conflicts(wishes: list[SensorSetup | ActuatorSetup], name: str) -> None:
    board = BOARDS[name]
    sensors: list[SensorSetup] = []
    actuators: list[ActuatorSetup] = []
    for number, wish in enumerate(wishes):
        wish = msgspec.structs.replace(wish, id=str(number))
        try:
            if isinstance(wish, SensorSetup):
                sensors.append(admit_sensor(board, sensors, actuators, wish).setup)
            else:
                actuators.append(admit_actuator(board, sensors, actuators, wish).setup)
        except (GpioConflict, Invalid):
            pass
    pins = [pin for each in actuators for pin in each.pins]
    onewire = {each.gpio for each in sensors if each.onewire_address}
    single = [each.gpio for each in sensors if not each.onewire_address]
    addresses = [each.i2c_address for each in sensors if each.i2c_address is not None]
    driven = board.safe - board.i2c_pins - board.input_only

    assert len({*pins, *single, *onewire}) == len(pins) + len(single) + len(onewire)
    assert len(onewire) <= 1
    assert {*pins, *onewire} <= driven
    assert len(set(addresses)) == len(addresses)
    assert len({each.key for each in sensors}) == len(sensors) <= board.max_sensors
    assert len(actuators) <= board.max_actuators
    json.dumps([sensor_item(each) for each in sensors])


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_the_page_has_the_pins_of_every_board(board: Board) -> None:
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^### {board.name}\n(.*?)(?=^#|\Z)", page, re.DOTALL | re.MULTILINE)
    assert found
    rows = {
        int(gpio): (use, note)
        for gpio, use, note in re.findall(r"^\| (\d+) \| ([^|]*) \| ([^|]*) \|", found[1], re.MULTILINE)
    }
    usable = board.safe - board.i2c_pins

    assert set(rows) == board.safe | set(board.system)
    for gpio, (use, note) in rows.items():
        uses = {word.strip() for word in use.split(",")} - {"-"}
        assert ("analogue" in uses) is (gpio in board.adc1), gpio
        assert ("actuator" in uses) is (gpio in usable - board.input_only), gpio
        assert ("OneWire" in uses) is ("actuator" in uses), gpio
        assert ("moves at boot" in note) is (gpio in board.moves_at_boot), gpio


def test_the_page_has_every_i2c_chip_with_addresses_and_values() -> None:
    page = PAGE.read_text(encoding="utf-8")

    for family in FAMILIES.values():
        if family.bus is Bus.I2C:
            addresses = ", ".join(f"{address} (0x{address:02x})" for address in family.addresses)
            values = ", ".join(f"`{value}`" for value in family.values)
            assert f"| `{family.base}` | {addresses} | {values} |" in page
