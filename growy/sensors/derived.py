"""Pairs temperature and humidity of one place for values derived from both (vpd). Pure state machine; computes
nothing itself.

A place is one device, bus and address: two SHT31 on one bus never mix. Each new pair of readings makes one derived
reading, whichever of the two comes first; a partner counts while it was measured at most a minute before or after.
"""

from __future__ import annotations

import math
from typing import Final

import attrs
import numpy as np
import numpy.typing as npt

from growy.model.reading import Bus, ByteArray, FloatArray, IndexArray, IntArray, Quality, SeriesKey

MAX_APART_MS: Final = 60_000
QUANTITIES: Final = ("temperature", "humidity")
_USABLE: Final = {Quality.GOOD: 0, Quality.FAIR: 1, Quality.SUSPECT: 2}
"""Qualities that may be computed with, best first; a derived value is as good as the worse of its two."""


@attrs.define(slots=True, eq=False)
class _Half:
    ts_ms: int = -1
    value: float = math.nan
    quality: int = Quality.UNKNOWN
    used: bool = True
    """Has made a pair, or was never there."""


@attrs.define(slots=True, eq=False)
class _Place:
    key: SeriesKey
    number: int
    halves: tuple[_Half, _Half] = attrs.field(factory=lambda: (_Half(), _Half()))


@attrs.frozen(slots=True, eq=False)
class Pairs:
    """Inputs of derived readings, in columns of equal length."""

    place: IntArray
    """Index into `Pairing.keys`."""
    ts_ms: IntArray
    """Of the later of the two."""
    temperature: FloatArray
    humidity: FloatArray
    quality: ByteArray
    """The worse of the two."""

    def __len__(self) -> int:
        return len(self.place)


class Pairing:
    """Feed it every batch of converted readings; it answers with the pairs that became complete."""

    def __init__(self, value_type: str = "vpd", max_apart_ms: int = MAX_APART_MS) -> None:
        self._value_type = value_type
        self._max_apart_ms = max_apart_ms
        self._places: dict[tuple[str, Bus, str], _Place] = {}
        self._series: dict[int, tuple[_Place, int]] = {}
        self._watched: npt.NDArray[np.bool_] = np.zeros(64, np.bool_)
        self.keys: list[SeriesKey] = []
        """Identity of the derived series of each place: bus derived, address `bus:address` of its sources."""

    def watch(self, series_id: int, key: SeriesKey, quantity: str) -> bool:
        """Take a series in. False: it is neither temperature nor humidity, or its place has that one already."""
        if quantity not in QUANTITIES or key.bus is Bus.DERIVED:
            return False
        if series_id in self._series:
            return True
        side = QUANTITIES.index(quantity)
        where = (key.esp_id, key.bus, key.address)
        place = self._places.get(where)
        if place is None:
            derived = SeriesKey(key.esp_id, Bus.DERIVED, f"{key.bus}:{key.address}", self._value_type)
            place = self._places[where] = _Place(derived, len(self.keys))
            self.keys.append(derived)
        elif any(taken is place and taken_side == side for taken, taken_side in self._series.values()):
            return False
        self._series[series_id] = (place, side)
        if series_id >= len(self._watched):
            self._watched = np.concatenate((self._watched, np.zeros(series_id + 1, np.bool_)))
        self._watched[series_id] = True
        return True

    def feed(self, series: IndexArray, ts_ms: IntArray, value: FloatArray, quality: ByteArray) -> Pairs:
        """Readings in order of receipt -> the pairs they complete.

        Readings older than what is held of their series (replays) and those without a usable value change nothing.
        """
        known = series < len(self._watched)
        rows = np.flatnonzero(self._watched[np.where(known, series, 0)] & known & ~np.isnan(value))
        found: list[tuple[int, int, float, float, int]] = []
        for series_id, ts, measured, verdict in zip(
            series[rows].tolist(),
            ts_ms[rows].tolist(),
            value[rows].tolist(),
            quality[rows].tolist(),
            strict=True,
        ):
            if verdict not in _USABLE:
                continue
            place, side = self._series[series_id]
            half, partner = place.halves[side], place.halves[1 - side]
            if ts < half.ts_ms or (ts == half.ts_ms and measured == half.value):
                continue
            half.ts_ms, half.value, half.quality, half.used = ts, measured, verdict, False
            # Both must be new: otherwise each cycle of an SHT31 would make a pair across two measurements as well.
            if partner.used or abs(ts - partner.ts_ms) > self._max_apart_ms:
                continue
            half.used = partner.used = True
            temperature, humidity = place.halves
            worse = max(verdict, partner.quality, key=lambda q: _USABLE[Quality(q)])
            found.append((place.number, max(ts, partner.ts_ms), temperature.value, humidity.value, worse))
        columns = list(zip(*found, strict=True)) or [()] * 5
        return Pairs(
            np.array(columns[0], np.int64),
            np.array(columns[1], np.int64),
            np.array(columns[2], np.float64),
            np.array(columns[3], np.float64),
            np.array(columns[4], np.uint8),
        )
