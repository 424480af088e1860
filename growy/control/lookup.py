"""From the way people name sensors to series, and what is known about a series: how old it may be, where it stands.

A reference that fits no series, or several, gives none: a rule that could mean two sensors acts on neither. Of several
series on one gpio those count whose sensor is set up; a sensor that was exchanged leaves its series behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import attrs

from growy.model.control import DeviceView
from growy.model.reading import Bus, Series
from growy.model.rules import SensorRef
from growy.model.setup import OperatingMode, SensorSetup
from growy.store.catalog import Catalog

INTERVALS = 3.0
"""So many measurements may be missed before a sensor counts as stale."""
ON_DEMAND_AGE_S = 24 * 3600.0
"""A sensor that is read on demand, if its owner has not said how long a value stays good."""
UNKNOWN_INTERVAL_S = 30.0
"""Of a sensor that is not set up here: the firmware's own default."""
SAME_TYPE = {
    "sht31_temperature": "sht31_temp",
    "temperature_sht31": "sht31_temp",
    "humidity_sht31": "sht31_humidity",
    "temperature_ds18b20": "ds18b20",
    "soil_moisture": "moisture",
    "ph_sensor": "ph",
    "ec_sensor": "ec",
}
"""Names that clients use -> as the devices publish it."""


@attrs.frozen(slots=True)
class Found:
    """What a reference means."""

    series_id: int | None
    reason: str = ""
    """Why it means nothing, or nothing certain."""
    ambiguous: bool = False


class Lookup:
    """Series by what people call them. Trio thread only.

    Args:
        view: a device as the fleet knows it.
        min_max_age_s: no sensor counts as stale before this.
    """

    def __init__(
        self, catalog: Catalog, view: Callable[[str], DeviceView | None], min_max_age_s: float
    ) -> None:
        self._catalog = catalog
        self._view = view
        self._min_max_age_s = min_max_age_s
        self._labels: dict[int, tuple[str, int]] = {}
        self._at: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        self._max_age_s: dict[int, float] = {}
        self.met(series.id for series in catalog.series())

    def met(self, series_ids: Iterable[int]) -> set[str]:
        """Series that may be new, or carry another gpio label. The devices of those that are or do."""
        changed: set[str] = set()
        for series_id in series_ids:
            series = self._catalog.get(series_id)
            label = (series.key.esp_id, series.gpio)
            before = self._labels.get(series_id)
            if before == label:
                continue
            if before is not None:
                self._at[before].remove(series_id)
            self._labels[series_id] = label
            self._at[label].append(series_id)
            changed.add(series.key.esp_id)
        return changed

    def knows(self, series_id: int) -> bool:
        return series_id in self._labels

    def sensors_changed(self, esp_id: str) -> None:
        """Its sensors may be set up otherwise: intervals and what is set up at all are asked anew."""
        for series_id, (owner, _) in self._labels.items():
            if owner == esp_id:
                self._max_age_s.pop(series_id, None)

    def series_of(self, ref: SensorRef) -> Found:
        """The one series that a reference means."""
        wanted = SAME_TYPE.get(ref.sensor_type or "", ref.sensor_type)
        at = [self._catalog.get(one) for one in self._at.get((ref.esp_id, ref.gpio), ())]
        fitting = [
            series
            for series in at
            if (wanted is None or series.key.value_type == wanted)
            and (ref.address is None or series.key.address.lower() == ref.address.lower())
        ]
        if len(fitting) > 1:
            fitting = self._set_up(ref.esp_id, fitting) or fitting
        if len(fitting) == 1:
            return Found(fitting[0].id)
        if not fitting:
            there = ", ".join(sorted({series.key.value_type for series in at})) or "nothing"
            return Found(None, f"no reading of {ref} has come yet; gpio {ref.gpio} has sent {there}")
        kinds = ", ".join(sorted(f"{one.key.value_type}@{one.key.address}" for one in fitting))
        reason = f"{ref} could be any of {kinds}: say sensor_type, and the address where that is not enough"
        return Found(None, reason, ambiguous=True)

    def ref_of(self, series_id: int) -> SensorRef:
        """How people would name a series. Raises KeyError."""
        series = self._catalog.get(series_id)
        address = series.key.address if series.key.bus in (Bus.I2C, Bus.ONEWIRE) else None
        return SensorRef(series.key.esp_id, series.gpio, series.key.value_type, address)

    def max_age_s(self, series_id: int) -> float:
        """How old a value may be before its sensor counts as stale, seconds."""
        known = self._max_age_s.get(series_id)
        if known is None:
            known = self._max_age_s[series_id] = self._judge_age(self._catalog.get(series_id))
        return known

    def place_of(self, esp_id: str, gpio: int) -> tuple[str, str]:
        """Zone of the device, subzone of the sensor on that gpio; "" for none."""
        view = self._view(esp_id)
        if view is None:
            return "", ""
        return view.zone_id, next((one.subzone_id for one in view.sensors if one.gpio == gpio), "")

    def _judge_age(self, series: Series) -> float:
        setup = self._setup_of(series)
        if setup is None:
            return max(INTERVALS * UNKNOWN_INTERVAL_S, self._min_max_age_s)
        if setup.operating_mode is not OperatingMode.CONTINUOUS:
            hours = setup.notes.get("measurement_freshness_hours")
            return float(hours) * 3600.0 if isinstance(hours, int | float) and hours > 0 else ON_DEMAND_AGE_S
        return max(INTERVALS * setup.interval_s, self._min_max_age_s)

    def _setup_of(self, series: Series) -> SensorSetup | None:
        view = self._view(series.key.esp_id)
        if view is None:
            return None
        return next((one for one in view.sensors if one.enabled and _is(one, series)), None)

    def _set_up(self, esp_id: str, fitting: list[Series]) -> list[Series]:
        view = self._view(esp_id)
        if view is None:
            return []
        return [one for one in fitting if any(_is(sensor, one) for sensor in view.sensors if sensor.enabled)]


def sensor_ref(views: Iterable[DeviceView], sensor_id: str) -> SensorRef | None:
    """The sensor with that id (a UUID); which of its values is left open."""
    for view in views:
        for sensor in view.sensors:
            if sensor.id == sensor_id:
                address = sensor.onewire_address or (
                    None if sensor.i2c_address is None else str(sensor.i2c_address)
                )
                return SensorRef(view.esp_id, sensor.gpio, None, address)
    return None


def _is(setup: SensorSetup, series: Series) -> bool:
    if setup.gpio != series.gpio:
        return False
    match series.key.bus:
        case Bus.ONEWIRE:
            return (setup.onewire_address or "").upper() == series.key.address.upper()
        case Bus.I2C:
            return setup.i2c_address is None or str(setup.i2c_address) == series.key.address
        case _:
            return True
