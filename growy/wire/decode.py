"""Payload bytes -> messages. `decode_sensor_data` is the hot path. Any bytes whatever give a message or a
WireError.

The firmware of today is decoded by one typed JSON decoder straight into the message; only what that decoder
refuses, or what needs a change of spelling, goes the long way round (plain object, aliases, conversion).
"""

from __future__ import annotations

import msgspec

from growy.model.messages import FIRMWARE_QUALITY, SensorData, Will
from growy.model.reading import Bus, SeriesKey
from growy.wire.batch import batch
from growy.wire.fields import HEX_DIGITS, MAX_SENSOR_TYPE, MAX_UNIT, TYPE_CHARACTERS, UNSIGNED_FROM, build
from growy.wire.formats import MAX_PAYLOAD, parse
from growy.wire.table import READING, SHAPES, Message
from growy.wire.topics import Topic, TopicKind

_sensor_data = msgspec.json.Decoder(SensorData).decode

_CLEAN_UNITS = frozenset({"", "raw", "%", "hPa", "°C", "°F", "µS/cm", "µmol/m²/s"})
"""Units that need no look: the firmware's own, and non-ASCII ones that could otherwise be double encoding."""


def decode_sensor_data(payload: bytes, limit: int = MAX_PAYLOAD) -> SensorData:
    """The reading in a `sensor/{gpio}/data` payload, JSON or CBOR.

    Raises:
        WireError: any of `growy.wire.reasons.Reason` that is about payloads.
    """
    if len(payload) <= limit:
        try:
            message = _sensor_data(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # the long way says what is wrong, or finds the field under its old name
        else:
            kind = message.sensor_type
            unit = message.unit
            address = message.onewire_address
            # One expression, cheapest and likeliest first: everything the long way would leave as it is.
            # `ts` 0 is either a device without a clock or one that calls it `timestamp`.
            if (
                -UNSIGNED_FROM <= message.raw <= UNSIGNED_FROM
                and not kind.strip(TYPE_CHARACTERS)
                and 0 < len(kind) <= MAX_SENSOR_TYPE
                and (
                    unit in _CLEAN_UNITS
                    or (unit.isascii() and len(unit) <= MAX_UNIT and unit == unit.strip())
                )
                and message.quality_word in FIRMWARE_QUALITY
                and message.i2c_address != 0
                and (message.ts or b'"timestamp"' not in payload)
                and (address is None or (len(address) == 16 and not address.strip(HEX_DIGITS)))
            ):
                return message
    return build(READING, parse(payload, limit))


def decode(topic: Topic, payload: bytes, limit: int = MAX_PAYLOAD) -> Message:
    """The message in a payload, of the type that the topic's kind has in `table.MESSAGE_TYPES`.

    A gpio in the topic wins over one in the payload; readings alone keep what they say, because `series_key`
    is given the topic's. An empty will is a message (the retained will was cleared), every other empty
    payload an error.

    Raises:
        WireError: any of `growy.wire.reasons.Reason` that is about payloads.
    """
    kind = topic.kind
    if kind is TopicKind.SENSOR_DATA:
        return decode_sensor_data(payload, limit)
    if kind is TopicKind.WILL and not payload:
        return Will()
    given = parse(payload, limit)
    if kind is TopicKind.SENSOR_BATCH:
        return batch(given)
    if topic.gpio is not None and isinstance(given, dict):
        given["gpio"] = topic.gpio
    message: Message = build(SHAPES[kind], given)
    return message


def series_key(esp_id: str, gpio: int, message: SensorData) -> SeriesKey:
    """Which series a reading belongs to: by ROM code, else by I2C address, else by pin.

    Args:
        esp_id: from the topic.
        gpio: from the topic, in a batch from the reading.
    """
    if message.onewire_address is not None:
        return SeriesKey(esp_id, Bus.ONEWIRE, message.onewire_address, message.sensor_type)
    if message.i2c_address is not None:
        return SeriesKey(esp_id, Bus.I2C, str(message.i2c_address), message.sensor_type)
    return SeriesKey(esp_id, Bus.GPIO, str(gpio), message.sensor_type)
