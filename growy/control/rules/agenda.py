"""Which rule is to be looked at when, and which rules a reading or a device concerns. Found without a scan."""

from __future__ import annotations

import itertools
from bisect import insort
from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from growy.control.rules.evaluate import NEVER
from growy.control.rules.running import Running

SPARE = 1000
"""Entries that may be void before they are cleared away, beside three per rule."""


class Agenda:
    """A heap of due times. A rule is on it once; entries that no longer count are passed over."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str, int, Running]] = []
        self._serial = itertools.count()
        self._live = 0

    def put(self, running: Running, due: float) -> None:
        """From now on the rule is due then, and not when it was due before."""
        if due == running.due:
            return
        running.due = due
        if due == NEVER:
            return
        # Rules that are due at the same time are so in the order of their ids, in every process.
        heappush(self._heap, (due, running.rule.id, next(self._serial), running))
        if len(self._heap) > 4 * self._live + SPARE:
            self._heap = [entry for entry in self._heap if entry[3].due == entry[0]]
            heapify(self._heap)
            self._live = len(self._heap)

    def take(self, until: float) -> tuple[float, Running] | None:
        """The rule that is due first, if not after `until`, and when it was due. It is due no more."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            due, _, _, running = heappop(heap)
            if due == running.due:
                running.due = NEVER
                return due, running
        return None

    def first(self) -> float:
        """When the first one is due; infinity: none is."""
        heap = self._heap
        while heap and heap[0][0] != heap[0][3].due:
            heappop(heap)
        return heap[0][0] if heap else NEVER

    def __len__(self) -> int:
        return len(self._heap)


class Shelf:
    """All rules in force, by id, by series and by device."""

    def __init__(self) -> None:
        self.by_id: dict[str, Running] = {}
        self.by_series: dict[int, list[Running]] = {}
        """In the order in which they are judged: by priority, then id."""
        self._by_device: dict[str, dict[str, None]] = {}

    def __iter__(self) -> Iterator[Running]:
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self.by_id)

    def naming(self, esp_id: str) -> list[Running]:
        """Rules that name a sensor of the device."""
        return [self.by_id[rule_id] for rule_id in self._by_device.get(esp_id, ())]

    def add(self, running: Running) -> None:
        rule_id = running.rule.id
        self.by_id[rule_id] = running
        for series_id in running.bounds:
            insort(self.by_series.setdefault(series_id, []), running, key=_order)
        for esp_id in running.devices:
            self._by_device.setdefault(esp_id, {})[rule_id] = None

    def remove(self, running: Running) -> None:
        """It is due no more, either."""
        running.due = NEVER
        del self.by_id[running.rule.id]
        for series_id in running.bounds:
            rules = self.by_series[series_id]
            rules.remove(running)
            if not rules:
                del self.by_series[series_id]
        for esp_id in running.devices:
            named = self._by_device[esp_id]
            del named[running.rule.id]
            if not named:
                del self._by_device[esp_id]


def _order(running: Running) -> tuple[int, str]:
    return running.rule.priority, running.rule.id
