"""Sensors and actuators as people write them in a word: `ESP_12AB34CD:68/sht31_temp`, `ESP_12AB34CD:18`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from growy.model.control import ActuatorKey
from growy.model.errors import Invalid
from growy.model.rules import SensorRef

MAX_PIN = 255
_WORD = re.compile(
    r"(?P<esp_id>\w{1,40}):(?P<gpio>\d{1,3})(?:/(?P<sensor_type>\w{1,40}))?(?:@(?P<address>\w{1,16}))?",
    re.ASCII,
)


def sensor_of(said: object) -> SensorRef:
    """Of `ESP:GPIO`, with `/type` and `@address` where it takes them, or of an object with these fields.

    Raises:
        Invalid: it is neither. The message is the end of a sentence about it.
    """
    found = _fields(said, "ESP_12AB34CD:68/sht31_temp")
    kind, address = found.get("sensor_type"), found.get("address")
    return SensorRef(
        str(found["esp_id"]),
        _pin(found["gpio"]),
        str(kind).lower() if kind else None,
        str(address).upper() if address not in (None, "") else None,
    )


def actuator_of(said: object) -> ActuatorKey:
    """Of `ESP:GPIO`, or of an object with `esp_id` and `gpio`.

    Raises:
        Invalid: it is neither. The message is the end of a sentence about it.
    """
    found = _fields(said, "ESP_12AB34CD:18")
    if isinstance(said, str) and (found.get("sensor_type") or found.get("address")):
        raise _wrong(said, "ESP_12AB34CD:18")
    return ActuatorKey(str(found["esp_id"]), _pin(found["gpio"]))


def _fields(said: object, example: str) -> Mapping[str, object]:
    if isinstance(said, str):
        match = _WORD.fullmatch(said.strip())
        found: Mapping[str, object] = (
            {} if match is None else {**match.groupdict(), "gpio": int(match["gpio"])}
        )
    else:
        found = said if isinstance(said, Mapping) else {}
    esp_id, gpio = found.get("esp_id"), found.get("gpio")
    if not isinstance(esp_id, str) or not re.fullmatch(r"\w{1,40}", esp_id, re.ASCII):
        raise _wrong(said, example)
    if not isinstance(gpio, int) or isinstance(gpio, bool) or not 0 <= gpio <= MAX_PIN:
        raise _wrong(said, example)
    return found


def _pin(gpio: object) -> int:
    assert isinstance(gpio, int)  # `_fields` has looked
    return gpio


def _wrong(said: object, example: str) -> Invalid:
    return Invalid(f"is {str(said)[:60]!r}, and must be like {example}")
