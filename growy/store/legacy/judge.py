"""Row by row: what of the old table becomes a reading, and why the rest does not. Pure, in columns.

Names are judged as those of live readings are, by the same functions of the wire room. Must never make up a time or a
value, and never pass over a row without a reason.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from growy.model.reading import ByteArray, FloatArray, IndexArray, IntArray, Quality
from growy.model.time import EARLIEST_S, FUTURE_TOLERANCE_MS
from growy.store.legacy.instants import Cell, Unit, moments, numbers
from growy.store.legacy.source import Row
from growy.wire.fields import MAX_RAW, UNSIGNED_FROM, is_sensor_type
from growy.wire.topics import is_esp_id

MAX_GPIO = 255
LATEST_RECEIPT_MS = 3_600_000
"""`created_at` is taken as the time of receipt when it lies at most so long after the measurement; what lies further is
mostly local time that was written down as if it were UTC."""
_REMEMBERED = 50_000


class Why(enum.IntEnum):
    """What became of a row; everything but TAKEN is a reason why it is not in the store because of this run."""

    TAKEN = 0
    BAD_ESP_ID = 1
    BAD_GPIO = 2
    BAD_SENSOR_TYPE = 3
    TOO_MANY_SERIES = 4
    NO_TIME = 5
    BAD_TIME = 6
    BEFORE_2020 = 7
    IN_THE_FUTURE = 8
    BEYOND_RETENTION = 9
    NOTHING_MEASURED = 10
    BAD_RAW = 11
    SAME_TIME = 12
    STORED_ALREADY = 13

    @property
    def word(self) -> str:
        return self.name.lower()


MEANING: dict[Why, str] = {
    Why.BAD_ESP_ID: "esp_id names no device (ESP_ and 6 to 8 upper-case hex digits)",
    Why.BAD_GPIO: "gpio is no whole number from 0 to 255",
    Why.BAD_SENSOR_TYPE: "sensor_type is empty, too long, or has characters that no type has",
    Why.TOO_MANY_SERIES: "more series than growyd takes",
    Why.NO_TIME: "timestamp is null or 0: the device did not know the time",
    Why.BAD_TIME: "timestamp is neither a number nor a date",
    Why.BEFORE_2020: "timestamp is before 2020: the device's clock was not set",
    Why.IN_THE_FUTURE: "timestamp is more than five minutes in the future",
    Why.BEYOND_RETENTION: "older than store.retention_days: growyd would delete it again",
    Why.NOTHING_MEASURED: "neither raw_data nor processed_value",
    Why.BAD_RAW: "raw_data is no number that can be kept exactly",
    Why.SAME_TIME: "another row of the same series has the same time; the first one counts",
    Why.STORED_ALREADY: "a reading of this series at this time is stored already, live or migrated; it stays",
}


class Remark(enum.StrEnum):
    """About rows that are taken all the same."""

    NO_VALUE = "no_value"
    VALUE_NOT_FINITE = "value_not_finite"
    VALUE_UNREADABLE = "value_unreadable"
    RAW_FROM_VALUE = "raw_from_value"
    RAW_WAS_UNSIGNED = "raw_was_unsigned"


REMARKS: dict[Remark, str] = {
    Remark.NO_VALUE: "no processed_value: kept without a value, raw kept",
    Remark.VALUE_NOT_FINITE: "processed_value was infinite: kept without a value, as an error",
    Remark.VALUE_UNREADABLE: "processed_value was no number: kept without a value, as an error",
    Remark.RAW_FROM_VALUE: "no raw_data: the value stands for it, as for live readings",
    Remark.RAW_WAS_UNSIGNED: "raw_data was a negative number that old firmware printed as unsigned; put right",
}


@attrs.frozen(slots=True)
class LegacyName:
    """What the old table calls a series."""

    esp_id: str
    gpio: int
    sensor_type: str
    """Lower case, as live readings have it."""

    def __str__(self) -> str:
        return f"{self.esp_id}/gpio:{self.gpio}/{self.sensor_type}"


@attrs.frozen(slots=True)
class Bounds:
    """Times that are believed, Unix ms, all included."""

    now_ms: int
    """Nothing was received later: control takes the newest receipt for the present when its Pi has no clock."""
    retained_ms: int = EARLIEST_S * 1000
    """`store.retention_days` reaches back to here."""


class Names:
    """The series of the old table, numbered as they are met."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[tuple[Cell, Cell, Cell], int] = {}
        self._numbers: dict[LegacyName, int] = {}
        self.names: list[LegacyName] = []

    def codes(self, keys: Sequence[tuple[Cell, Cell, Cell]]) -> IndexArray:
        """The number of each row's series, or the negative of `Why` it has none."""
        found = list(map(self._known.get, keys))
        if None in found:
            found = [self._code(key) if code is None else code for key, code in zip(keys, found, strict=True)]
        return np.array(found, np.int32)

    def _code(self, key: tuple[Cell, Cell, Cell]) -> int:
        code = self._known.get(key)
        if code is None:
            if len(self._known) >= _REMEMBERED:  # rubbish may be different in every row
                self._known.clear()
            code = self._known[key] = self._judge(*key)
        return code

    def _judge(self, esp_id: Cell, gpio: Cell, sensor_type: Cell) -> int:
        if not isinstance(esp_id, str) or not is_esp_id(esp_id):
            return -Why.BAD_ESP_ID
        pin = numbers([gpio])[0][0]
        if not (0 <= pin <= MAX_GPIO and pin.is_integer()):
            return -Why.BAD_GPIO
        kind = sensor_type.strip().lower() if isinstance(sensor_type, str) else ""
        if not is_sensor_type(kind):
            return -Why.BAD_SENSOR_TYPE
        name = LegacyName(esp_id, int(pin), kind)
        number = self._numbers.get(name)
        if number is None:
            if len(self.names) >= self._most:
                return -Why.TOO_MANY_SERIES
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number


@attrs.frozen(slots=True, eq=False)
class Judged:
    """A page of rows in columns, all of one length; only those whose `why` is TAKEN mean anything in full."""

    name: IndexArray
    """Number of the series, negative where it has none."""
    why: ByteArray
    unit: ByteArray
    ts_ms: IntArray
    rx_ms: IntArray
    raw: FloatArray
    value: FloatArray
    quality: ByteArray
    remarks: ByteArray
    """Bit i: the remark that is i-th in `Remark`."""


def judge(rows: Sequence[Row], names: Names, bounds: Bounds) -> Judged:
    """What each row means, and what speaks against it. The first reason in the order of `Why` counts."""
    _, esp, gpio, kind, raws, values, times, created = zip(*rows, strict=True)
    name = names.codes(list(zip(esp, gpio, kind, strict=True)))
    why = np.where(name < 0, -name, Why.TAKEN).astype(np.uint8)
    time, unit = moments(times)
    raw, raw_bad = numbers(raws)
    value, value_bad = numbers(values)
    infinite = np.isinf(value)
    value = np.where(infinite, np.nan, value)
    no_value = np.isnan(value)

    unsigned = (raw > UNSIGNED_FROM) & (raw < 2 * UNSIGNED_FROM) & (raw == np.floor(raw))
    raw = np.where(unsigned, raw - 2 * UNSIGNED_FROM, raw)
    raw_from_value = np.isnan(raw) & ~raw_bad & ~no_value
    raw = np.where(raw_from_value, value, raw)

    def because(reason: Why, rows: npt.NDArray[np.bool_]) -> None:
        why[rows & (why == Why.TAKEN)] = reason

    because(Why.NO_TIME, unit == Unit.NONE)
    because(Why.BAD_TIME, unit == Unit.UNREADABLE)
    because(Why.BEFORE_2020, time < EARLIEST_S * 1000)
    because(Why.IN_THE_FUTURE, time > bounds.now_ms + FUTURE_TOLERANCE_MS)
    because(Why.BEYOND_RETENTION, time < bounds.retained_ms)
    because(Why.NOTHING_MEASURED, np.isnan(raw) & ~raw_bad)
    because(Why.BAD_RAW, ~(np.abs(raw) <= MAX_RAW))
    taken = why == Why.TAKEN
    remarks = (no_value & ~infinite & ~value_bad, infinite, value_bad, raw_from_value, unsigned)
    ts_ms = np.where(taken, time, 0.0).astype(np.int64)
    return Judged(
        name=name,
        why=why,
        unit=unit,
        ts_ms=ts_ms,
        rx_ms=np.minimum(_received(ts_ms, moments(created)[0]), bounds.now_ms),
        raw=raw,
        value=value,
        # The old table does not say how good a value was; and on UNKNOWN no rule acts.
        quality=np.where(infinite | value_bad, Quality.ERROR, Quality.UNKNOWN).astype(np.uint8),
        remarks=np.packbits(np.stack(remarks), axis=0, bitorder="little")[0],
    )


def _received(ts_ms: IntArray, created_ms: FloatArray) -> IntArray:
    later = created_ms - ts_ms
    with np.errstate(invalid="ignore"):
        known = (later >= 0) & (later <= LATEST_RECEIPT_MS)
    received: IntArray = np.where(known, created_ms, ts_ms).astype(np.int64)
    return received
