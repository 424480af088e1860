"""Readings: one value of one sensor at one time, singly (`Reading`) and in columns (`Columns`).

A *series* is (device, bus, address, value type). The gpio number is only a label: several I2C devices share a pin,
several DS18B20 share a wire, and one SHT31 is two series.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
IndexArray: TypeAlias = npt.NDArray[np.int32]
ByteArray: TypeAlias = npt.NDArray[np.uint8]

NO_SEQ = -1
"""`seq` of a reading whose firmware sends none (before 2026-02)."""


class Quality(enum.IntEnum):
    """How far a value can be trusted. Stored as one byte: numbers are for ever, words are for people."""

    UNKNOWN = 0
    GOOD = 1
    FAIR = 2
    POOR = 3
    SUSPECT = 4
    STALE = 5
    ERROR = 6

    @property
    def word(self) -> str:
        return self.name.lower()


QUALITY_BY_WORD: dict[str, Quality] = {quality.word: quality for quality in Quality}


class Bus(enum.StrEnum):
    """What the address of a series is an address on."""

    GPIO = "gpio"
    """Analog or digital pin; the address is the gpio number."""
    I2C = "i2c"
    """The address is the 7-bit device address, decimal."""
    ONEWIRE = "onewire"
    """The address is the ROM code, 16 upper-case hex digits."""
    DERIVED = "derived"
    """Computed from other series of the device; the address is theirs."""


@attrs.frozen(slots=True)
class SeriesKey:
    """Identity of a series. `address` is text so that one type serves pins, I2C addresses and ROM codes."""

    esp_id: str
    bus: Bus
    address: str
    value_type: str
    """Canonical lower-case type as published, e.g. `sht31_temp`."""

    def __str__(self) -> str:
        return f"{self.esp_id}/{self.bus}:{self.address}/{self.value_type}"


@attrs.frozen(slots=True)
class Series:
    """A series as the catalogue knows it."""

    id: int
    key: SeriesKey
    gpio: int
    """The label under which the firmware publishes it (last seen)."""
    unit: str = ""
    """Unit of `value`; "" until a library or the device has said it."""
    created_ms: int = 0


class TimeSource(enum.IntEnum):
    """Whose clock `ts_ms` is."""

    DEVICE = 0
    SERVER = 1
    """The device does not know the time (ts 0, time_valid false) or claims an impossible one."""


@attrs.frozen(slots=True)
class Reading:
    """One reading, for people and programs at the border. `value` is None when there is no value, never a sentinel."""

    series_id: int
    ts_ms: int
    """Time of the measurement, Unix ms, by `source`."""
    rx_ms: int
    """Time of receipt by growyd, Unix ms."""
    raw: float
    value: float | None
    quality: Quality
    seq: int | None = None
    source: TimeSource = TimeSource.DEVICE
    conversion: int = 0
    """Id of the library version + parameters that made `value`; 0: none did (the device's own value, or no value)."""


@attrs.define(slots=True, eq=False)
class Columns:
    """`n` readings in columns of equal length; row order is order of receipt.

    `value` holds NaN where a `Reading` holds None; NaN never leaves the columns. `raw` is float64, which holds every
    integer that a 53-bit counter can send exactly.
    """

    series: IndexArray
    ts_ms: IntArray
    rx_ms: IntArray
    raw: FloatArray
    value: FloatArray
    quality: ByteArray
    seq: IntArray
    source: ByteArray
    conversion: IndexArray

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def empty(cls) -> Columns:
        return cls.of([], [], [], [], [], [], [], [], [])

    @classmethod
    def of(
        cls,
        series: Sequence[int],
        ts_ms: Sequence[int],
        rx_ms: Sequence[int],
        raw: Sequence[float],
        value: Sequence[float] | FloatArray,
        quality: Sequence[int] | ByteArray,
        seq: Sequence[int],
        source: Sequence[int],
        conversion: Sequence[int] | IndexArray,
    ) -> Columns:
        return cls(
            np.asarray(series, np.int32),
            np.asarray(ts_ms, np.int64),
            np.asarray(rx_ms, np.int64),
            np.asarray(raw, np.float64),
            np.asarray(value, np.float64),
            np.asarray(quality, np.uint8),
            np.asarray(seq, np.int64),
            np.asarray(source, np.uint8),
            np.asarray(conversion, np.int32),
        )

    @classmethod
    def from_readings(cls, readings: Sequence[Reading]) -> Columns:
        return cls.of(
            [r.series_id for r in readings],
            [r.ts_ms for r in readings],
            [r.rx_ms for r in readings],
            [r.raw for r in readings],
            [math.nan if r.value is None else r.value for r in readings],
            [int(r.quality) for r in readings],
            [NO_SEQ if r.seq is None else r.seq for r in readings],
            [int(r.source) for r in readings],
            [r.conversion for r in readings],
        )

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Columns:
        return Columns(
            self.series[rows],
            self.ts_ms[rows],
            self.rx_ms[rows],
            self.raw[rows],
            self.value[rows],
            self.quality[rows],
            self.seq[rows],
            self.source[rows],
            self.conversion[rows],
        )

    @classmethod
    def concat(cls, parts: Sequence[Columns]) -> Columns:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([p.series for p in parts]),
            np.concatenate([p.ts_ms for p in parts]),
            np.concatenate([p.rx_ms for p in parts]),
            np.concatenate([p.raw for p in parts]),
            np.concatenate([p.value for p in parts]),
            np.concatenate([p.quality for p in parts]),
            np.concatenate([p.seq for p in parts]),
            np.concatenate([p.source for p in parts]),
            np.concatenate([p.conversion for p in parts]),
        )

    def row(self, i: int) -> Reading:
        value = float(self.value[i])
        seq = int(self.seq[i])
        return Reading(
            series_id=int(self.series[i]),
            ts_ms=int(self.ts_ms[i]),
            rx_ms=int(self.rx_ms[i]),
            raw=float(self.raw[i]),
            value=None if math.isnan(value) else value,
            quality=Quality(int(self.quality[i])),
            seq=None if seq == NO_SEQ else seq,
            source=TimeSource(int(self.source[i])),
            conversion=int(self.conversion[i]),
        )

    def rows(self) -> list[Reading]:
        return [self.row(i) for i in range(len(self))]
