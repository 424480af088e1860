"""Devices that could stand in a greenhouse, and refusals of those that could not."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.sim.spec import EspSpec, SensorKind, SensorSpec, default_fleet, ds18b20_rom, onewire_crc


def test_crc_is_that_of_the_application_note():
    # Maxim application note 27: ROM 02 1C B8 01 00 00 00 has CRC A2
    assert onewire_crc(bytes.fromhex("021CB801000000")) == 0xA2


@given(st.integers(0, 2**48 - 1))
def test_every_rom_checks_out(serial: int):
    rom = ds18b20_rom(serial)
    assert len(rom) == 16
    assert rom.startswith("28")
    assert rom == rom.upper()
    assert onewire_crc(bytes.fromhex(rom)) == 0, "the CRC over data and CRC is zero"


def test_six_devices_have_every_sensor_family():
    fleet = default_fleet(6, seed=0)
    assert {sensor.kind for spec in fleet for sensor in spec.sensors} == set(SensorKind)
    assert [spec.esp_id for spec in fleet] == [f"ESP_00A00{n}" for n in range(1, 7)]
    assert {spec.zone_id for spec in fleet} == {"greenhouse_1"}


def test_a_large_fleet_is_more_greenhouses_and_no_address_twice():
    fleet = default_fleet(250, seed=0)
    roms = [sensor.onewire_address for spec in fleet for sensor in spec.sensors if sensor.onewire_address]

    assert len({spec.esp_id for spec in fleet}) == 250
    assert len({spec.wifi_ip for spec in fleet}) == 250
    assert len(set(roms)) == len(roms)
    assert len({spec.zone_id for spec in fleet}) == 42


def test_the_seed_decides():
    assert default_fleet(12, seed=3) == default_fleet(12, seed=3)
    assert default_fleet(12, seed=3) != default_fleet(12, seed=4)


@pytest.mark.parametrize("esps", [0, -1, 10_001])
def test_a_fleet_has_devices(esps: int):
    with pytest.raises(ValueError, match="1 to 10000 devices"):
        default_fleet(esps)


MOISTURE = SensorSpec(kind=SensorKind.MOISTURE, gpio=34)
ROOT = SensorSpec(kind=SensorKind.DS18B20, gpio=4, onewire_address=ds18b20_rom(1))


@pytest.mark.parametrize(
    "sensors",
    [
        (MOISTURE, MOISTURE),
        (ROOT, ROOT),
        (ROOT, attrs.evolve(ROOT, gpio=5, onewire_address=ds18b20_rom(2))),
        (ROOT, SensorSpec(kind=SensorKind.FLOW, gpio=4)),
    ],
    ids=["two on one pin", "one ROM twice", "two wires", "a wire that is also a pin"],
)
def test_labels_are_unique(sensors: tuple[SensorSpec, ...]):
    with pytest.raises(ValueError, match="gpio label of its own"):
        EspSpec(esp_id="ESP_00A001", name="bench", sensors=sensors)


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        ({"kind": SensorKind.SHT31, "gpio": 68}, "needs its i2c_address"),
        ({"kind": SensorKind.DS18B20, "gpio": 4}, "needs its onewire_address"),
        ({"kind": SensorKind.DS18B20, "gpio": 4, "onewire_address": "28FF641E8D3C0C00"}, "not a 1-Wire ROM"),
        ({"kind": SensorKind.PH, "gpio": 4}, "analog sensors need one of"),
        ({"kind": SensorKind.PH, "gpio": 34, "subzone_id": 'bench "a"'}, "subzone_id"),
    ],
)
def test_a_sensor_that_cannot_be_is_refused(faulty: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        SensorSpec(**faulty)


@pytest.mark.parametrize("esp_id", ["ESP_00a001", "ESP_1234", "MOCK_1", "ESP_00A0011234"])
def test_an_esp_id_is_the_mac_of_an_esp(esp_id: str):
    with pytest.raises(ValueError, match="esp_id"):
        EspSpec(esp_id=esp_id, name="bench")
