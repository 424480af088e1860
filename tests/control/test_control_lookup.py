"""What a rule means by a sensor."""

from __future__ import annotations

import attrs

from growy.control.lookup import ON_DEMAND_AGE_S, Lookup, sensor_ref
from growy.model.control import DeviceView
from growy.model.reading import Bus, SeriesKey
from growy.model.rules import SensorRef
from growy.model.setup import OperatingMode, SensorSetup
from growy.store.catalog import Catalog

ESP = "ESP_00AA01"
ROM, OTHER_ROM = "28FF641E8D3C0C79", "28FF641E8D3C0C80"


class Known:
    """A catalogue, a device, and the lookup over both."""

    def __init__(self, *sensors: SensorSetup) -> None:
        self.catalog = Catalog()
        self.view = DeviceView(
            esp_id=ESP,
            kaiser_id="god",
            approved=True,
            online=True,
            ready=True,
            zone_id="tent",
            sensors=sensors,
        )
        self.lookup = Lookup(self.catalog, lambda esp_id: self.view if esp_id == ESP else None, 60.0)

    def meet(self, bus: Bus, address: str, value_type: str, gpio: int) -> int:
        series_id = self.catalog.intern(SeriesKey(ESP, bus, address, value_type), gpio, "", 0)
        self.lookup.met([series_id])
        return series_id


def sht31(**more: object) -> SensorSetup:
    return SensorSetup(id="air", gpio=68, sensor_type="sht31", name="Air", i2c_address=68, **more)


def test_two_values_of_one_chip_are_told_apart_by_their_type() -> None:
    known = Known(sht31())
    temperature = known.meet(Bus.I2C, "68", "sht31_temp", 68)
    known.meet(Bus.I2C, "68", "sht31_humidity", 68)

    assert known.lookup.series_of(SensorRef(ESP, 68, "sht31_temp")).series_id == temperature
    assert known.lookup.series_of(SensorRef(ESP, 68, "sht31_temperature")).series_id == temperature
    found = known.lookup.series_of(SensorRef(ESP, 68))
    assert found.ambiguous
    assert found.series_id is None
    assert "sht31_humidity" in found.reason


def test_a_sensor_that_has_sent_nothing_yet_is_no_ambiguity() -> None:
    known = Known()
    known.meet(Bus.GPIO, "34", "moisture", 34)

    found = known.lookup.series_of(SensorRef(ESP, 34, "ph"))
    assert (found.series_id, found.ambiguous) == (None, False)
    assert "moisture" in found.reason


def test_the_series_of_a_sensor_that_was_exchanged_does_not_count() -> None:
    setup = SensorSetup(id="root", gpio=4, sensor_type="ds18b20", name="Root", onewire_address=OTHER_ROM)
    known = Known(setup)
    old = known.meet(Bus.ONEWIRE, ROM, "ds18b20", 4)
    new = known.meet(Bus.ONEWIRE, OTHER_ROM, "ds18b20", 4)

    assert known.lookup.series_of(SensorRef(ESP, 4, "ds18b20")).series_id == new
    assert known.lookup.series_of(SensorRef(ESP, 4, "ds18b20", ROM)).series_id == old


def test_two_probes_on_one_wire_need_their_address() -> None:
    known = Known(
        SensorSetup(id="a", gpio=4, sensor_type="ds18b20", name="A", onewire_address=ROM),
        SensorSetup(id="b", gpio=4, sensor_type="ds18b20", name="B", onewire_address=OTHER_ROM),
    )
    first = known.meet(Bus.ONEWIRE, ROM, "ds18b20", 4)
    known.meet(Bus.ONEWIRE, OTHER_ROM, "ds18b20", 4)

    assert known.lookup.series_of(SensorRef(ESP, 4, "ds18b20")).ambiguous
    ref = sensor_ref([known.view], "a")
    assert ref == SensorRef(ESP, 4, None, ROM)
    assert known.lookup.series_of(ref).series_id == first
    assert sensor_ref([known.view], "nobody") is None


def test_a_label_that_changes_moves_the_series() -> None:
    known = Known()
    series_id = known.meet(Bus.I2C, "68", "sht31_temp", 68)
    assert known.meet(Bus.I2C, "68", "sht31_temp", 21) == series_id

    assert known.lookup.series_of(SensorRef(ESP, 21, "sht31_temp")).series_id == series_id
    assert known.lookup.series_of(SensorRef(ESP, 68, "sht31_temp")).series_id is None
    assert known.lookup.ref_of(series_id) == SensorRef(ESP, 21, "sht31_temp", "68")


def test_a_sensor_may_miss_three_of_its_intervals() -> None:
    known = Known(sht31(interval_s=120))
    series_id = known.meet(Bus.I2C, "68", "sht31_temp", 68)
    assert known.lookup.max_age_s(series_id) == 360.0

    known.view = attrs.evolve(known.view, sensors=(sht31(interval_s=10),))
    known.lookup.sensors_changed(ESP)
    assert known.lookup.max_age_s(series_id) == 60.0

    known.view = attrs.evolve(known.view, sensors=(sht31(operating_mode=OperatingMode.ON_DEMAND),))
    known.lookup.sensors_changed(ESP)
    assert known.lookup.max_age_s(series_id) == ON_DEMAND_AGE_S


def test_a_place_is_the_devices_zone_and_the_sensors_subzone() -> None:
    known = Known(sht31(subzone_id="bench_a"))
    assert known.lookup.place_of(ESP, 68) == ("tent", "bench_a")
    assert known.lookup.place_of(ESP, 4) == ("tent", "")
    assert known.lookup.place_of("ESP_FFFFFF", 68) == ("", "")
