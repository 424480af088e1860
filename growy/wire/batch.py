"""`sensor/batch`: several readings in one message. One bad reading never costs the others their place on
disk.

The firmware documents the topic and has never sent it; other senders do. Taken are `{"readings": [...]}`,
`{"sensors": [...]}` and a bare array.
"""

from __future__ import annotations

from growy.model.errors import WireError
from growy.model.messages import RefusedReading, SensorBatch, SensorData
from growy.wire.fields import Fields, canonical, renamed, type_word, typed
from growy.wire.reasons import Reason, refuse
from growy.wire.table import READING

MAX_READINGS = 1000

_LISTS = ("readings", "sensors")
_INHERITED = (
    "gpio",
    "sensor_type",
    "ts",
    "unit",
    "quality",
    "time_valid",
    "raw_mode",
    "i2c_address",
    "onewire_address",
    "zone_id",
    "subzone_id",
)
"""What a reading takes from the message when it does not say it itself. Not `seq`: one number for many
readings would make all but the first look like a replay."""


def batch(given: object) -> SensorBatch:
    """The readings of a batch's plain object, in order.

    Raises:
        WireError: not_an_object, missing_field (no list), wrong_type, too_large, no_readings; when no reading
            at all is
            usable, the first one's error.
    """
    inherited: Fields = {}
    if isinstance(given, list):
        name, items = "$", given
    elif isinstance(given, dict):
        name, items = _list_of(given)
        top = renamed(READING, given) | {
            "sensor_type": given.get("sensor_type")
        }  # `type` says what the message is
        inherited = {field: top[field] for field in _INHERITED if top.get(field) is not None}
    else:
        raise refuse(Reason.NOT_AN_OBJECT, f"$: expected an object or an array, got {type_word(given)}")
    if len(items) > MAX_READINGS:
        raise refuse(Reason.TOO_LARGE, f"{name}: {len(items)} readings; at most {MAX_READINGS} are taken")
    if not items:
        raise refuse(Reason.NO_READINGS, f"{name}: no reading in the batch")
    readings: list[SensorData] = []
    refused: list[RefusedReading] = []
    first: WireError | None = None
    for index, item in enumerate(items):
        try:
            readings.append(_reading(item, inherited, f"{name}[{index}]"))
        except WireError as error:
            first = first or error
            refused.append(RefusedReading(index=index, reason=error.reason, message=error.message))
    if first is not None and not readings:
        raise first
    return SensorBatch(readings=tuple(readings), refused=tuple(refused))


def _list_of(given: Fields) -> tuple[str, list[object]]:
    for name in _LISTS:
        value = given.get(name)
        if isinstance(value, list):
            return f"$.{name}", value
        if value is not None:
            raise refuse(Reason.WRONG_TYPE, f"$.{name}: expected array, got {type_word(value)}")
    raise refuse(Reason.MISSING_FIELD, "$.readings: required")


def _reading(item: object, inherited: Fields, path: str) -> SensorData:
    if not isinstance(item, dict):
        raise refuse(Reason.NOT_AN_OBJECT, f"{path}: expected an object, got {type_word(item)}")
    reading = typed(canonical(READING, inherited | renamed(READING, item), path), SensorData, path)
    if reading.gpio is None:
        raise refuse(Reason.MISSING_FIELD, f"{path}.gpio: required")
    return reading
