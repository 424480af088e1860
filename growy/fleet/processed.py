"""Publishes converted values back to the devices' topics (`sensor/{gpio}/processed`), for whoever listens there.

At most once a second and series, the newest value: the topic is a display, not a record; the record is the store.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import attrs
import numpy as np
import trio

from growy.model.reading import Bus, Columns, Quality, Series
from growy.wire import topics
from growy.wire.encode import processed

PERIOD_S = 1.0
TICK_S = 0.1
A_TURN = 16
"""Values published before others get their turn."""

Send: TypeAlias = Callable[[str, bytes], bool]


@attrs.frozen(kw_only=True)
class ProcessedStatistics:
    published: int
    superseded: int
    """Values that a newer one of the same series replaced before they went out."""
    refused: int
    """Values for which the broker link had no room."""


class ProcessedPublisher:
    """Collects converted batches, publishes on a tick.

    Args:
        kaiser_id: topic prefix.
        series: looks a series up by id.
        send: takes (topic, payload); False when it cannot.
    """

    def __init__(self, kaiser_id: str, series: Callable[[int], Series], send: Send) -> None:
        self._kaiser_id = kaiser_id
        self._series = series
        self._send = send
        self._newest: dict[int, tuple[Columns, int]] = {}
        self._next: dict[int, float] = {}
        self._published = 0
        self._superseded = 0
        self._refused = 0

    def take(self, columns: Columns) -> None:
        """Takes a converted batch; rows that no library of ours converted are left out."""
        rows = np.flatnonzero(columns.conversion)
        before = len(self._newest)
        self._newest.update(
            zip(columns.series[rows].tolist(), ((columns, row) for row in rows.tolist()), strict=True)
        )
        self._superseded += len(rows) - (len(self._newest) - before)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        while True:
            await trio.sleep(TICK_S)
            # In small turns: 500 at a stretch would hold up an emergency stop by 25 ms.
            while self.publish_due(trio.current_time(), A_TURN):
                await trio.lowlevel.checkpoint()

    def publish_due(self, now: float, most: int) -> bool:
        """Publishes what has waited its period, at most so many; whether that was all it may."""
        due = [number for number in self._newest if self._next.get(number, -math.inf) <= now][:most]
        for number in due:
            self._next[number] = now + PERIOD_S
            self._publish(self._series(number), *self._newest.pop(number))
        return len(due) == most

    def _publish(self, series: Series, columns: Columns, row: int) -> None:
        if series.key.bus is Bus.DERIVED:
            return  # no device sent it, no topic is its own
        value = float(columns.value[row])
        payload = processed(
            None if math.isnan(value) else value,
            series.unit,
            Quality(int(columns.quality[row])),
            int(columns.ts_ms[row]),
            series.key.value_type,
            float(columns.raw[row]),
        )
        if self._send(topics.sensor_processed(self._kaiser_id, series.key.esp_id, series.gpio), payload):
            self._published += 1
        else:
            self._refused += 1

    def statistics(self) -> ProcessedStatistics:
        return ProcessedStatistics(
            published=self._published, superseded=self._superseded, refused=self._refused
        )
