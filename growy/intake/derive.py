"""Readings that no device sends: vapour pressure deficit of each place that measures temperature and humidity.

They are committed in the transaction of the readings that complete them, so a crash keeps both or neither, and a
replayed reading, which never gets here, makes no second one.
"""

from __future__ import annotations

import numpy as np

from growy.intake.slots import Slots
from growy.model.errors import ConversionError
from growy.model.reading import NO_SEQ, Columns, Quality, TimeSource
from growy.sensors.derived import Pairing
from growy.sensors.plan import Plan
from growy.sensors.pool import Pool

VALUE_TYPE = "vpd"


class Deriver:
    """Feeds the pairing with converted batches and has the pairs computed."""

    def __init__(self, slots: Slots, pool: Pool) -> None:
        self._slots = slots
        self._pool = pool
        self._pairing = Pairing(VALUE_TYPE)
        self._watched = 0
        self._generation = -1
        self._plan: Plan | None = None
        self._conversion = 0

    async def derive(self, columns: Columns) -> Columns | None:
        """The derived readings that this batch completes; None when there are none."""
        self._keep_up()
        if self._plan is None:
            return None
        pairs = self._pairing.feed(columns.series, columns.ts_ms, columns.value, columns.quality)
        if not len(pairs):
            return None
        result = await self._pool.derive(
            self._plan, {"temperature": pairs.temperature, "humidity": pairs.humidity}
        )
        rx_ms = int(columns.rx_ms[-1])
        count = len(pairs)
        # The worse verdict counts, the library's or that of the measurements.
        quality = np.maximum(result.quality, pairs.quality).astype(np.uint8)
        return Columns(
            series=np.asarray([self._series(place, rx_ms) for place in pairs.place.tolist()], np.int32),
            ts_ms=pairs.ts_ms,
            rx_ms=np.full(count, rx_ms, np.int64),
            raw=np.full(count, np.nan),
            value=np.where(quality == Quality.ERROR, np.nan, result.value),
            quality=quality,
            seq=np.full(count, NO_SEQ, np.int64),
            source=np.full(count, TimeSource.SERVER, np.uint8),
            conversion=np.full(count, self._conversion, np.int32),
        )

    def _series(self, place: int, now_ms: int) -> int:
        return self._slots.of_series(self._pairing.keys[place], 0, "", now_ms).series

    def _keep_up(self) -> None:
        """Takes in new series, and a new version of the library."""
        slots = self._slots
        if self._generation != slots.generation:
            self._generation = slots.generation
            self._watched = 0  # what a series measures may have changed with its library
            try:
                self._plan = self._pool.registry.plan(VALUE_TYPE)
            except ConversionError:
                self._plan = None  # the library is gone; there is nothing to compute with
            else:
                self._conversion = slots.conversion_of(self._plan)
        if self._watched != len(slots):
            for slot in slots.newest(len(slots) - self._watched):
                self._pairing.watch(slot.series, slot.key, slot.quantity)
            self._watched = len(slots)
