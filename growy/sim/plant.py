"""What hangs on a device's pins: which actuators move its greenhouse and how far, which sensors are plugged in.
Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs
from attrs import validators as v

from growy.sim.board import Board
from growy.sim.greenhouse import Role
from growy.sim.sensing import SHT31_TYPES
from growy.sim.spec import EspSpec, SensorKind, SensorSpec


@attrs.frozen(kw_only=True, slots=True)
class PlugChange:
    """At some time somebody unplugs a sensor, or plugs it in again."""

    at_s: float = attrs.field(validator=v.ge(0.0))
    """Seconds from the start of the fleet."""
    esp_id: str
    gpio: int
    sensor_type: str | None = None
    """Where several sensors share the gpio; None: all of them."""
    plugged: bool = False


def moved(plant: Mapping[int, Role], board: Board, *, running: bool) -> dict[Role, float]:
    """What a device's actuators do to its greenhouse: 0 to 1 for each role that it has an actuator for.

    Args:
        plant: `EspSpec.plant`.
        running: false: the device has no power, or is in reset, and every relay has dropped.
    """
    outputs: dict[Role, float] = {}
    for output in board.actuators:
        role = plant.get(output.gpio)
        if role is not None:
            outputs[role] = min(1.0, outputs.get(role, 0.0) + (output.flow if running else 0.0))
    return outputs


def on_gpio(spec: EspSpec, gpio: int, sensor_type: str | None) -> tuple[SensorSpec, ...]:
    """The sensors with this gpio label, of this type if one is given.

    Raises:
        ValueError: the device has none.
    """
    found = tuple(
        sensor
        for sensor in spec.sensors
        if sensor.gpio == gpio and (sensor_type is None or _publishes(sensor.kind, sensor_type))
    )
    if not found:
        what = "sensor" if sensor_type is None else f"{sensor_type} sensor"
        there = sorted({(sensor.gpio, sensor.kind.value) for sensor in spec.sensors})
        labels = ", ".join(f"{label} ({kind})" for label, kind in there)
        raise ValueError(f"{spec.esp_id} has no {what} on gpio {gpio}: {labels or 'no sensors at all'}")
    return found


def wired(spec: EspSpec, unplugged: Collection[SensorSpec]) -> EspSpec:
    """The device without what is unplugged."""
    return attrs.evolve(spec, sensors=tuple(s for s in spec.sensors if s not in unplugged))


def _publishes(kind: SensorKind, sensor_type: str) -> bool:
    return sensor_type == kind or (kind is SensorKind.SHT31 and sensor_type in SHT31_TYPES)
