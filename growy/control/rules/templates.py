"""Rules that many growers need, with blanks for their sensors, actuators and numbers. Pure data, and one function that
fills the blanks in; whether the outcome can run is judged by whoever reads rules.

In a template's document `"{name}"` alone becomes the parameter's value, `{name}` within a text its words, and the key
`*` takes in all fields of a sensor or an actuator.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping

import attrs

from growy.control.rules.spelled import actuator_of, sensor_of
from growy.model.errors import Invalid, NotFound


class Kind(enum.StrEnum):
    """What a parameter is, so that a page can offer the right things."""

    SENSOR = "sensor"
    """`"ESP_12AB34CD:68/sht31_temp"`, or an object with `esp_id`, `gpio`, `sensor_type`, `address`."""
    ACTUATOR = "actuator"
    """`"ESP_12AB34CD:18"`, or an object with `esp_id` and `gpio`."""
    NUMBER = "number"
    TIME = "time"
    """`HH:MM`."""
    TIMEZONE = "timezone"


@attrs.frozen(kw_only=True)
class Parameter:
    """A blank."""

    name: str
    kind: Kind
    description: str
    unit: str = ""
    default: float | str | None = None
    """None: it must be said."""
    at_least: float | None = None
    at_most: float | None = None
    value_type: str = ""
    """Of a sensor: which of its values is meant where nobody says it."""

    @property
    def required(self) -> bool:
        return self.default is None


@attrs.frozen(kw_only=True)
class Template:
    """A rule with blanks."""

    id: str
    name: str
    description: str
    parameters: tuple[Parameter, ...]
    document: Mapping[str, object]


def need(template_id: str) -> Template:
    """Raises NotFound."""
    for template in TEMPLATES:
        if template.id == template_id:
            return template
    known = ", ".join(one.id for one in TEMPLATES)
    raise NotFound(f"There is no rule template {template_id[:64]!r}", cure=f"There are {known}")


def instantiate(template_id: str, parameters: Mapping[str, object]) -> dict[str, object]:
    """A template's document with its blanks filled in.

    Args:
        parameters: by name; of those that are absent or null the default counts.

    Raises:
        NotFound: no such template.
        Invalid: parameters are missing, unknown, or not what they must be; all of them are named.
    """
    template = need(template_id)
    faults: list[str] = []
    values: dict[str, object] = {}
    for parameter in template.parameters:
        said = parameters.get(parameter.name)
        if said is None:
            said = parameter.default
        if said is None:
            faults.append(f"parameters.{parameter.name}: is missing")
            continue
        try:
            values[parameter.name] = _READERS[parameter.kind](said, parameter)
        except Invalid as error:
            faults.append(f"parameters.{parameter.name}: {error.message}")
    unknown = parameters.keys() - {one.name for one in template.parameters}
    faults += [f"parameters.{name}: the template has no such parameter" for name in sorted(unknown)]
    if faults:
        raise Invalid(f"{template.name}: {'; '.join(faults)}", details={"faults": faults})
    filled = _filled(template.document, values)
    assert isinstance(filled, dict)  # as the template's document is
    return filled


# --- reading parameters -------------------------------------------------------------------------------------------

_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d")
_LONGEST_ZONE = 40


def _sensor_fields(said: object, parameter: Parameter) -> dict[str, object]:
    ref = sensor_of(said)
    more = {"sensor_type": ref.sensor_type or parameter.value_type, "address": ref.address}
    return {"esp_id": ref.esp_id, "gpio": ref.gpio, **{name: value for name, value in more.items() if value}}


def _actuator_fields(said: object, _: Parameter) -> dict[str, object]:
    actuator = actuator_of(said)
    return {"esp_id": actuator.esp_id, "gpio": actuator.gpio}


def _number(said: object, parameter: Parameter) -> float:
    try:
        number = (
            float(said) if isinstance(said, int | float | str) and not isinstance(said, bool) else math.nan
        )
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Invalid(f"is {str(said)[:60]!r}, and must be a number")
    low = -math.inf if parameter.at_least is None else parameter.at_least
    high = math.inf if parameter.at_most is None else parameter.at_most
    if not low <= number <= high:
        raise Invalid(f"is {number:g}, and must be {low:g} to {high:g}")
    return number


def _time(said: object, _: Parameter) -> str:
    if not isinstance(said, str) or _TIME.fullmatch(said.strip()) is None:
        raise Invalid(f"is {str(said)[:60]!r}, and must be like 06:30")
    return said.strip()


def _zone(said: object, _: Parameter) -> str:
    if not isinstance(said, str) or not 1 <= len(said.strip()) <= _LONGEST_ZONE:
        raise Invalid(f"is {str(said)[:60]!r}, and must be a time zone like Europe/Berlin")
    return said.strip()


_READERS: Mapping[Kind, Callable[[object, Parameter], object]] = {
    Kind.SENSOR: _sensor_fields,
    Kind.ACTUATOR: _actuator_fields,
    Kind.NUMBER: _number,
    Kind.TIME: _time,
    Kind.TIMEZONE: _zone,
}


# --- filling in ---------------------------------------------------------------------------------------------------

_BLANK = re.compile(r"\{(\w+)\}")


def _filled(part: object, values: Mapping[str, object]) -> object:
    if isinstance(part, Mapping):
        taken: dict[str, object] = {}
        for key, inner in part.items():
            filled = _filled(inner, values)
            if key == "*":
                assert isinstance(filled, dict)  # only sensors and actuators stand there
                taken |= filled
            else:
                taken[key] = filled
        return taken
    if isinstance(part, list | tuple):
        return [_filled(one, values) for one in part]
    if not isinstance(part, str):
        return part
    alone = _BLANK.fullmatch(part)
    if alone is not None and alone[1] in values:
        return values[alone[1]]
    # What is no parameter stays: a notification has blanks of its own.
    return _BLANK.sub(lambda blank: _words(values[blank[1]]) if blank[1] in values else blank[0], part)


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{value['esp_id']}:{value['gpio']}" + (
            f"/{value['sensor_type']}" if "sensor_type" in value else ""
        )
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- the templates ------------------------------------------------------------------------------------------------


def _sensor(description: str, value_type: str = "") -> Parameter:
    return Parameter(name="sensor", kind=Kind.SENSOR, description=description, value_type=value_type)


def _actuator(description: str) -> Parameter:
    return Parameter(name="actuator", kind=Kind.ACTUATOR, description=description)


def _amount(
    name: str,
    description: str,
    unit: str,
    default: float,
    low: float | None = None,
    high: float | None = None,
) -> Parameter:
    return Parameter(
        name=name,
        kind=Kind.NUMBER,
        description=description,
        unit=unit,
        default=default,
        at_least=low,
        at_most=high,
    )


def _hysteresis(on: str, on_blank: str, off: str, off_blank: str) -> list[dict[str, object]]:
    return [{"type": "hysteresis", "*": "{sensor}", on: f"{{{on_blank}}}", off: f"{{{off_blank}}}"}]


_ON: Mapping[str, object] = {"type": "actuator", "*": "{actuator}", "command": "ON", "value": 1.0}

TEMPLATES: tuple[Template, ...] = (
    Template(
        id="heater",
        name="Heater",
        description="Heats while it is too cold. Between the two temperatures the heater stays as it is, so that it "
        "does not switch all the time.",
        parameters=(
            _sensor("Temperature of the air", "sht31_temp"),
            _actuator("Heater"),
            _amount("on_below", "Heat below this", "°C", 18.0, -20, 60),
            _amount("off_above", "Stop above this; more than the other", "°C", 20.0, -20, 60),
        ),
        document={
            "name": "Heater {actuator}",
            "description": "Heats below {on_below} °C, until it is warmer than {off_above} °C",
            "conditions": _hysteresis("activate_below", "on_below", "deactivate_above", "off_above"),
            "actions": [_ON],
            "cooldown_seconds": 60,
        },
    ),
    Template(
        id="vent",
        name="Vent",
        description="Opens a vent, or runs a fan, while it is too warm.",
        parameters=(
            _sensor("Temperature of the air", "sht31_temp"),
            _actuator("Fan, or relay of the vent"),
            _amount("on_above", "Ventilate above this", "°C", 28.0, -20, 80),
            _amount("off_below", "Stop below this; less than the other", "°C", 25.0, -20, 80),
        ),
        document={
            "name": "Vent {actuator}",
            "description": "Ventilates above {on_above} °C, until it is cooler than {off_below} °C",
            "conditions": _hysteresis("activate_above", "on_above", "deactivate_below", "off_below"),
            "actions": [_ON],
            "cooldown_seconds": 60,
        },
    ),
    Template(
        id="irrigation",
        name="Irrigation by moisture",
        description="Waters for a while when the soil is dry, then waits until the water has reached the sensor. Not "
        "more often in an hour than said, whatever the sensor shows.",
        parameters=(
            _sensor("Moisture of the soil", "moisture"),
            _actuator("Pump or valve"),
            _amount("dry_below", "Water below this", "%", 35.0, 0, 100),
            _amount("pulse_s", "Water for so long", "s", 20.0, 1, 3600),
            _amount("soak_s", "Then wait at least so long", "s", 900.0, 60, 86_400),
            _amount("per_hour", "At most so often in an hour", "", 3.0, 1, 60),
        ),
        document={
            "name": "Irrigation {actuator}",
            "description": "Waters {pulse_s} s below {dry_below} %, at most {per_hour} times an hour",
            "conditions": [{"type": "sensor", "*": "{sensor}", "operator": "<", "value": "{dry_below}"}],
            "actions": [{**_ON, "duration_seconds": "{pulse_s}"}],
            "cooldown_seconds": "{soak_s}",
            "max_executions_per_hour": "{per_hour}",
        },
    ),
    Template(
        id="light",
        name="Light by photoperiod",
        description="Light for so many hours of every day. A lamp that can be dimmed may rise and fall slowly.",
        parameters=(
            _actuator("Lamp"),
            Parameter(name="on_time", kind=Kind.TIME, description="When it goes on", default="06:00"),
            _amount("light_hours", "Hours of light", "h", 18.0, 0.5, 24),
            _amount(
                "level", "How bright, 0 to 1; less than 1 needs a lamp that can be dimmed", "", 1.0, 0.01, 1
            ),
            _amount(
                "ramp_minutes", "Minutes to rise and to fall; 0 for a lamp on a relay", "min", 0.0, 0, 120
            ),
            Parameter(
                name="timezone",
                kind=Kind.TIMEZONE,
                description="Time zone of the house",
                default="Europe/Berlin",
            ),
        ),
        document={
            "name": "Light {actuator}",
            "description": "{light_hours} hours of light from {on_time} on",
            "conditions": [{"type": "always"}],
            "actions": [
                {
                    "type": "photoperiod",
                    "*": "{actuator}",
                    "on_time": "{on_time}",
                    "light_hours": "{light_hours}",
                    "value": "{level}",
                    "ramp_minutes": "{ramp_minutes}",
                    "timezone": "{timezone}",
                }
            ],
            "cooldown_seconds": 0,
        },
    ),
    Template(
        id="humidifier",
        name="Humidifier by vapour pressure deficit",
        description="Humidifies while the air is too dry for the plants at its temperature. growyd computes the "
        "deficit from the temperature and the humidity of one sensor.",
        parameters=(
            _sensor("Vapour pressure deficit", "vpd"),
            _actuator("Humidifier"),
            _amount("on_above", "Humidify above this", "kPa", 1.3, 0, 5),
            _amount("off_below", "Stop below this; less than the other", "kPa", 1.0, 0, 5),
        ),
        document={
            "name": "Humidifier {actuator}",
            "description": "Humidifies above {on_above} kPa, until there is less than {off_below} kPa",
            "conditions": _hysteresis("activate_above", "on_above", "deactivate_below", "off_below"),
            "actions": [_ON],
            "cooldown_seconds": 120,
        },
    ),
    Template(
        id="sensor-alarm",
        name="Alarm for a dead sensor",
        description="Says so when a sensor has had no good value for a while: it is broken, unplugged, or its device "
        "is gone. Rules that rest on it have let go by then.",
        parameters=(
            _sensor("The sensor"),
            _amount("silent_s", "So long without a good value", "s", 300.0, 30, 86_400),
            _amount("again_s", "Not again before", "s", 3600.0, 60, 86_400),
        ),
        document={
            "name": "Alarm {sensor}",
            "description": "No good value of {sensor} for {silent_s} s",
            "conditions": [
                {"type": "freshness", "*": "{sensor}", "stale": True, "max_age_seconds": "{silent_s}"}
            ],
            "actions": [
                {
                    "type": "notification",
                    "channel": "websocket",
                    "severity": "critical",
                    "message_template": "{sensor} has had no good value for {silent_s} s",
                }
            ],
            "cooldown_seconds": "{again_s}",
        },
    ),
)
