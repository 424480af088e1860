"""What the demo's growyd is told to do: the actuators of its greenhouses, and rules for them, in the JSON that clients
send. Pure; made of what the simulated devices have on their pins.

The greenhouse's clock runs faster than the wall's, rules live by the wall's: pauses and pulses are short here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import attrs

from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.sim.flash import ActuatorConfig
from growy.sim.greenhouse import Role
from growy.sim.spec import EspSpec, SensorKind, SensorSpec

Document = dict[str, object]

WARM_C = (17.0, 20.0)
"""The heater goes on below the first, off above the second. Its 3 kW cannot do more in a cold night."""
FRESH_C = (24.0, 27.0)
"""The vent opens above the second, shuts below the first."""
DRY_AIR_PCT = 75.0
"""Set point of the fan."""
BRIGHT_LUX = (8_000.0, 45_000.0)
"""The lamps go on below the first and, since they light the sensor too, off only above the second."""
MOIST_PCT = 58.0
PULSE_S = 2.0
PAUSE_S = 6.0
LIGHT_H = 16.0
PATIENCE = 5
"""A value older than so many intervals is stale."""
LEAST_PATIENCE_S = 5.0


@attrs.frozen
class Fitting:
    """An actuator that moves the greenhouse, and the sensor by which it is ruled."""

    spec: EspSpec
    actuator: ActuatorConfig
    role: Role
    sensor_of: EspSpec
    sensor: SensorSpec


def setups(specs: Iterable[EspSpec]) -> Iterator[tuple[str, ActuatorSetup]]:
    """(esp_id, setup) of every actuator, as it stands in the device's own flash."""
    for spec in specs:
        for config in spec.actuators:
            yield (
                spec.esp_id,
                ActuatorSetup(
                    id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{spec.esp_id}/{config.gpio}")),
                    gpio=config.gpio,
                    kind=ActuatorKind(config.actuator_type),
                    name=config.actuator_name,
                    subzone_id=config.subzone_id,
                ),
            )


def rules(specs: Sequence[EspSpec], interval_s: float, now: datetime) -> list[Document]:
    """One rule for each actuator that moves a greenhouse and for which the greenhouse has a sensor.

    Args:
        interval_s: of all sensors.
        now: for rules that go by the time of the day; they hold now.
    """
    fresh_s = max(LEAST_PATIENCE_S, PATIENCE * interval_s)
    return [_RULES[one.role](one, fresh_s, now) for one in fittings(specs)]


def fittings(specs: Sequence[EspSpec]) -> list[Fitting]:
    """What is to be ruled. A sensor of the device itself goes before one of its zone."""
    found = []
    for spec in specs:
        neighbours = [spec, *(other for other in specs if other.zone_id == spec.zone_id)]
        for config in spec.actuators:
            role = spec.plant.get(config.gpio)
            if role is None:
                continue
            where = (
                (one, sensor) for one in neighbours for sensor in one.sensors if sensor.kind is _KINDS[role]
            )
            there = next(where, None)
            if there is not None:
                found.append(Fitting(spec, config, role, *there))
    return found


_KINDS = {
    Role.HEATER: SensorKind.SHT31,
    Role.VENT: SensorKind.SHT31,
    Role.PUMP: SensorKind.MOISTURE,
    Role.LAMP: SensorKind.BH1750,
}


# --- the rules ----------------------------------------------------------------------------------------------------


def _rule(one: Fitting, what: str, condition: Document, action: Document, **more: object) -> Document:
    return {
        "name": f"{one.spec.name}: {what}",
        "conditions": [condition],
        "actions": [{"esp_id": one.spec.esp_id, "gpio": one.actuator.gpio, **action}],
        "cooldown_seconds": 0,
        **more,
    }


def _measured(one: Fitting, sensor_type: str, fresh_s: float) -> Document:
    return {
        "esp_id": one.sensor_of.esp_id,
        "gpio": one.sensor.gpio,
        "sensor_type": sensor_type,
        "max_age_seconds": fresh_s,
    }


def _heater(one: Fitting, fresh_s: float, now: datetime) -> Document:
    on_below, off_above = WARM_C
    condition: Document = {
        "type": "hysteresis",
        **_measured(one, "sht31_temp", fresh_s),
        "activate_below": on_below,
        "deactivate_above": off_above,
    }
    return _rule(
        one, "keep warm", condition, {"type": "actuator", "command": "ON", "value": 1.0}, priority=20
    )


def _vent(one: Fitting, fresh_s: float, now: datetime) -> Document:
    return _fan(one, fresh_s) if one.actuator.actuator_type == "pwm" else _window(one, fresh_s)


def _window(one: Fitting, fresh_s: float) -> Document:
    off_below, on_above = FRESH_C
    condition: Document = {
        "type": "hysteresis",
        **_measured(one, "sht31_temp", fresh_s),
        "activate_above": on_above,
        "deactivate_below": off_below,
    }
    return _rule(
        one, "cool down", condition, {"type": "actuator", "command": "ON", "value": 1.0}, priority=30
    )


def _fan(one: Fitting, fresh_s: float) -> Document:
    """A loop has no switching point: it acts while its sensor is alive."""
    measured = _measured(one, "sht31_humidity", fresh_s)
    action: Document = {
        "type": "pid",
        "sensor": {name: measured[name] for name in ("esp_id", "gpio", "sensor_type")},
        "max_age_seconds": fresh_s,
        "set_point": DRY_AIR_PCT,
        "kp": 0.03,
        "ki": 0.002,
        "reverse": True,
    }
    return _rule(one, "dry the air", {"type": "freshness", **measured}, action, priority=40)


def _pump(one: Fitting, fresh_s: float, now: datetime) -> Document:
    condition: Document = {
        "type": "sensor",
        **_measured(one, "moisture", fresh_s),
        "operator": "<",
        "value": MOIST_PCT,
    }
    action: Document = {"type": "actuator", "command": "ON", "value": 1.0, "duration_seconds": PULSE_S}
    return _rule(one, "water", condition, action, cooldown_seconds=PAUSE_S)


def _lamp(one: Fitting, fresh_s: float, now: datetime) -> Document:
    on_below, off_above = BRIGHT_LUX
    condition: Document = {
        "type": "hysteresis",
        **_measured(one, "bh1750", fresh_s),
        "activate_below": on_below,
        "deactivate_above": off_above,
    }
    sunrise = now.astimezone(UTC) - timedelta(hours=1)
    action: Document = {"type": "photoperiod", "on_time": f"{sunrise:%H:%M}", "light_hours": LIGHT_H}
    return _rule(one, "more light", condition, action, priority=60)


_RULES: dict[Role, Callable[[Fitting, float, datetime], Document]] = {
    Role.HEATER: _heater,
    Role.VENT: _vent,
    Role.PUMP: _pump,
    Role.LAMP: _lamp,
}
