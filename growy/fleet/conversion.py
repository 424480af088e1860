"""What a grower has set for a series: the parameters of its library and its calibration. A pure lookup over the
setups of the devices; converts nothing, stores nothing.

The intake asks once for a series, and again when it has been told that the device's setup changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from growy.fleet.hardware import family_of
from growy.model.reading import Bus, SeriesKey
from growy.model.setup import SensorSetup
from growy.sensors.calibration import Calibration
from growy.sensors.registry import Registry

SensorsOf: TypeAlias = Callable[[str], Sequence[SensorSetup]]
"""The sensors that are set up on a device, by its esp_id; none for a device that nobody knows."""

REMEMBERED: Final = 4096
"""Calibrations kept parsed: reading one means to fit it again."""


class ConversionSetups:
    """`setup_of` for the intake.

    Args:
        registry: knows which names mean the same type.
        sensors_of: the setups as they are now.
    """

    def __init__(self, registry: Registry, sensors_of: SensorsOf) -> None:
        self._registry = registry
        self._sensors_of = sensors_of
        self._parsed: dict[str, Calibration] = {}

    def setup_of(self, key: SeriesKey) -> tuple[Mapping[str, object] | None, Calibration | None]:
        """Parameters and calibration of a series; None where nobody has set any.

        Raises:
            CalibrationError: what is stored as its calibration is none. To go on without it would give wrong values.
        """
        setup = self.sensor_of(key)
        if setup is None:
            return None, None
        return setup.parameters or None, self.calibration(setup, key.value_type)

    def sensor_of(self, key: SeriesKey) -> SensorSetup | None:
        """The sensor that a series comes from; None where it is not set up, or more than one could be meant."""
        return find_sensor(self._registry, self._sensors_of(key.esp_id), key)

    def calibration(self, setup: SensorSetup, value_type: str) -> Calibration | None:
        """The calibration of one of a sensor's values. Raises CalibrationError."""
        text = setup.calibrations.get(canonical(self._registry, value_type))
        if text is None:
            return None
        known = self._parsed.get(text)
        if known is None:
            if len(self._parsed) >= REMEMBERED:
                self._parsed.clear()
            known = self._parsed[text] = Calibration.from_json(text)
        return known


def find_sensor(registry: Registry, sensors: Sequence[SensorSetup], key: SeriesKey) -> SensorSetup | None:
    """Of a device's sensors the one that a series comes from: by address where the series has one, else by its pin.

    A sensor serves all values of its chip. On a pin that several share, a reading without an address could come from
    any of them: a wrong calibration is worse than none.
    """
    wanted = canonical(registry, key.value_type)
    fitting = [
        setup for setup in sensors if _is_at(setup, key) and wanted in measured(registry, setup.sensor_type)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _is_at(setup: SensorSetup, key: SeriesKey) -> bool:
    match key.bus:
        case Bus.ONEWIRE:
            return setup.onewire_address is not None and setup.onewire_address.upper() == key.address
        case Bus.I2C:
            return setup.i2c_address is not None and str(setup.i2c_address) == key.address
        case Bus.GPIO:
            return str(setup.gpio) == key.address
        case Bus.DERIVED:
            return False  # it comes from other series, and from no sensor of its own


def measured(registry: Registry, sensor_type: str) -> tuple[str, ...]:
    """What a sensor of this type measures: two values for the chip `sht31`, under the names of their libraries."""
    return tuple(canonical(registry, value_type) for value_type in family_of(sensor_type).values)


def canonical(registry: Registry, value_type: str) -> str:
    """The name under which a value type's calibration is kept."""
    known = registry.resolve(value_type)
    return value_type.lower() if known is None else known.value_type
