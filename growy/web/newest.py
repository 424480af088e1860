"""The newest reading of each series as live clients are sent it: arrays by series id. Pure; must never know a client.

A batch is written in once, however many watch; what a client has not been sent yet is then the difference between two
counters (see `Feed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from growy.model.reading import ByteArray, Columns, FloatArray, IndexArray, IntArray, Series
from growy.web.subscription import SENSOR_DATA, Filter

BoolArray: TypeAlias = npt.NDArray[np.bool_]
_T = TypeVar("_T", bound=np.generic)


class SeriesLookup(Protocol):
    """The part of the store's catalogue that the live room needs."""

    def get(self, series_id: int, /) -> Series: ...


class Newest:
    """The newest reading of every series that was met; a place that nobody has met yet is 0."""

    def __init__(self, catalog: SeriesLookup) -> None:
        self._catalog = catalog
        self._codes: dict[str, int] = {}
        self.known: BoolArray = np.zeros(0, np.bool_)
        self.count: IntArray = np.zeros(0, np.int64)
        """Readings that came, by series: it tells one reading from the next."""
        self.ts_ms: IntArray = np.zeros(0, np.int64)
        self.raw: FloatArray = np.zeros(0, np.float64)
        self.value: FloatArray = np.zeros(0, np.float64)
        self.quality: ByteArray = np.zeros(0, np.uint8)
        self._esp_code: IndexArray = np.zeros(0, np.int32)
        self._type_code: IndexArray = np.zeros(0, np.int32)

    def __len__(self) -> int:
        """Places: one more than the highest id that there is room for."""
        return len(self.known)

    def take_in(self, columns: Columns) -> bool:
        """Readings in order of receipt; of a series that occurs twice the last one stays. The arrays are copied, never
        kept. True when a series was met that nobody has met before."""
        series = columns.series
        if not len(series):
            return False
        new = self._meet(series)
        self.ts_ms[series] = columns.ts_ms
        self.raw[series] = columns.raw
        self.value[series] = columns.value
        self.quality[series] = columns.quality
        self.count += np.bincount(series, minlength=len(self.count))
        return new

    def wanted_by(self, filters: Sequence[Filter]) -> BoolArray:
        """Which series one of these filters admits, by id; of those that were met."""
        wanted = np.zeros(len(self.known), np.bool_)
        for one in filters:
            if one.types is not None and SENSOR_DATA not in one.types:
                continue
            admitted = self.known.copy()
            if one.esp_ids is not None:
                admitted &= np.isin(self._esp_code, self._codes_of("esp", one.esp_ids))
            if one.sensor_types is not None:
                admitted &= np.isin(self._type_code, self._codes_of("type", one.sensor_types))
            wanted |= admitted
        return wanted

    def _codes_of(self, kind: str, words: frozenset[str]) -> list[int]:
        return [code for word in words if (code := self._codes.get(f"{kind} {word}")) is not None]

    def _meet(self, series: IndexArray) -> bool:
        """Make room for series ids never seen, and learn what they are."""
        top = int(series.max())
        if top >= len(self.known):
            self._grow(max(64, 2 * (top + 1)))
        elif self.known[series].all():
            return False
        for series_id in np.unique(series[~self.known[series]]).tolist():
            key = self._catalog.get(series_id).key
            self._esp_code[series_id] = self._codes.setdefault(f"esp {key.esp_id}", len(self._codes))
            self._type_code[series_id] = self._codes.setdefault(f"type {key.value_type}", len(self._codes))
            self.known[series_id] = True
        return True

    def _grow(self, size: int) -> None:
        self.known = longer(self.known, size)
        self.count = longer(self.count, size)
        self.ts_ms = longer(self.ts_ms, size)
        self.raw = longer(self.raw, size)
        self.value = longer(self.value, size)
        self.quality = longer(self.quality, size)
        self._esp_code = longer(self._esp_code, size)
        self._type_code = longer(self._type_code, size)


def longer(array: npt.NDArray[_T], size: int) -> npt.NDArray[_T]:
    """The array with zeros behind it, up to `size`."""
    return np.concatenate([array, np.zeros(size - len(array), array.dtype)])
