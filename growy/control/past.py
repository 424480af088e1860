"""The readings that rules go on from after a restart: all since their memories were saved, and what slopes are made of.

The newest readings of every series are in memory (`store.tail`), of a fast sensor those of a few minutes. What lies
before them is read from the disk, once, before control is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from growy.control.lookup import Found
from growy.control.rules.walk import conditions_of, sensors_of
from growy.control.samples import trusted
from growy.model.reading import Columns
from growy.model.rules import RateOfChange, Rule, SensorRef
from growy.store.store import Store

EVERYTHING = 1 << 30
WINDOWS = 2.1
"""Of a slope's window: it ends with the newest reading, which may be old."""
LATE_MS = 600_000
"""Readings are found by when they were measured. One that was on its way for longer is only in memory."""


def needed(rules: Iterable[Rule], series_of: Callable[[SensorRef], Found]) -> dict[int, float]:
    """Series that rules look at, and how long before the last reading they heard theirs go back, seconds."""
    found: dict[int, float] = {}
    for rule in rules:
        for ref in sensors_of(rule):
            series_id = series_of(ref).series_id
            if series_id is not None:
                found.setdefault(series_id, 0.0)
        for condition in conditions_of(rule.condition):
            if isinstance(condition, RateOfChange):
                series_id = series_of(condition.sensor).series_id
                if series_id is not None:
                    found[series_id] = max(found[series_id], WINDOWS * condition.window_s)
    return found


class Past:
    """Of some series, in order of receipt."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        good = trusted(columns.quality) & ~np.isnan(columns.value)
        self._good = columns.take(good)

    def history(self, series_id: int, since_ms: int) -> list[tuple[int, float]]:
        """(receipt, value) of good readings of a series, in order."""
        mine = (self._good.series == series_id) & (self._good.rx_ms >= since_ms)
        return list(zip(self._good.rx_ms[mine].tolist(), self._good.value[mine].tolist(), strict=True))


async def read_past(store: Store, wanted: Mapping[int, float], heard_ms: int) -> Past:
    """What is in memory, and of these series what was received before it, as far as it is wanted.

    Args:
        wanted: as `needed` says.
        heard_ms: receipt of the last reading that the saved memories contain, Unix ms.

    Raises:
        StoreError: a chunk is damaged, or the disk cannot be read.
    """
    tail = store.tail.recent(EVERYTHING)
    parts = []
    for series_id, seconds in wanted.items():
        since_ms = heard_ms - round(1000 * seconds)
        mine = tail.rx_ms[tail.series == series_id]
        begins_ms = int(mine.min()) if len(mine) else since_ms
        if begins_ms <= since_ms:
            continue
        older = await store.received([series_id], since_ms - LATE_MS, begins_ms + LATE_MS)
        fitting = np.flatnonzero(older.rx_ms < begins_ms)
        # What was received before that, too: the last of it says how its sensor stood then.
        start = max(0, int((older.rx_ms[fitting] < since_ms).sum()) - 1)
        parts.append(older.take(fitting[start:]))
    if not parts:
        return Past(tail)
    columns = Columns.concat([*parts, tail])
    return Past(columns.take(np.argsort(columns.rx_ms, kind="stable")))
