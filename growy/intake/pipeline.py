"""The intake's three stages, each one task, joined by bounded hand-overs: gather -> convert -> commit.

Natural batching: while a stage is busy, what arrives becomes its next batch; at low rates a reading is converted at
once, at high rates the work per reading shrinks. One lane, so that readings of a series keep their order and packets
are acknowledged in the order in which they came.

Readings are live (tail, WebSocket, rules) when converted and acknowledged when committed: a rule must not wait for the
disk, the broker must.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import attrs
import numpy as np
import trio

from growy.broker.link import Delivery
from growy.broker.survey import DEFAULT_WINDOW
from growy.intake.derive import Deriver
from growy.intake.gather import MAX_LETTERS, Gathered, Gatherer, OnEvent, OnRequest, OnSeen
from growy.intake.outcomes import IntakeStatistics, Outcomes
from growy.intake.replay import ReplayFilter, memory_for
from growy.intake.shelf import Shelf
from growy.intake.slots import NO_PLAN, SetupOf, Slots, no_setup
from growy.model.errors import StoreUnavailable
from growy.model.reading import ByteArray, Columns, IntArray, Quality
from growy.ops.log import get_log
from growy.sensors.pool import Pool
from growy.store.deadletters import DeadLetter
from growy.wire.batch import MAX_READINGS

log = get_log(__name__)

RETRY_S = (0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts while the disk refuses; the last one repeats."""
CONVERT_AHEAD = 4096
"""Readings of one conversion batch at most: bounds how long the first of a backlog waits for the last."""


@attrs.define(slots=True, eq=False)
class _Ready:
    """Converted, waiting for the commit."""

    columns: list[Columns] = attrs.Factory(list)
    letters: list[DeadLetter] = attrs.Factory(list)
    acks: list[tuple[int, list[int]]] = attrs.Factory(list)
    readings: int = 0
    """Derived ones included."""
    received: int = 0
    messages: int = 0
    unacknowledged: int = 0
    since: float = math.inf

    @property
    def needs_commit(self) -> bool:
        return bool(self.readings or self.letters)


class Intake:
    """Takes deliveries from the link, gives readings to the store and to whoever listens.

    Args:
        acknowledge: `Link.acknowledge`.
        commit_interval_s: a reading is committed at most this long after receipt.
        limit: messages, and readings, held at most; beyond, `deliver` waits, and so does the link.
        on_event: takes messages that are not readings, at once.
        on_request: takes conversion requests.
        on_seen: told of each device that sent readings, once per delivery.
        on_readings: each takes every converted batch, before the commit.
        on_committed: takes every committed batch.
        setup_of: parameters and calibration of a series.
        committed: what the store committed last (`Store.newest_commits`), to recognise replays by.
    """

    def __init__(
        self,
        store: Shelf,
        pool: Pool,
        *,
        acknowledge: Callable[[int, Sequence[int]], bool],
        commit_interval_s: float,
        limit: int,
        on_event: OnEvent,
        on_request: OnRequest,
        on_seen: OnSeen,
        on_readings: Iterable[Callable[[Columns], None]] = (),
        on_committed: Callable[[Columns], None] | None = None,
        setup_of: SetupOf = no_setup,
        committed: Columns | None = None,
    ) -> None:
        self._store = store
        self._pool = pool
        self._acknowledge = acknowledge
        self._interval_s = commit_interval_s
        self._limit = limit
        self._on_readings = list(on_readings)
        self._on_committed = on_committed
        self._outcomes = Outcomes()
        self.slots = Slots(store.catalog, store.conversions, pool.registry, setup_of)
        # What is held and one delivery more: a batch may be the last that fits.
        replay = ReplayFilter(memory_for(limit + MAX_READINGS))
        not_before_ms = 0
        if committed is not None and len(committed):
            replay.remember(committed)
            not_before_ms = int(committed.rx_ms.max())
        self._gatherer = Gatherer(
            self.slots, replay, self._outcomes, on_event, on_request, on_seen, not_before_ms
        )
        self._deriver = Deriver(self.slots, pool)
        self._fresh = Gathered()
        self._ready = _Ready()
        self._fresh_waits = trio.Event()
        self._commit_waits = trio.Event()
        self._room = trio.Event()
        self._idle = trio.Event()
        self._pending = 0
        self._held = 0
        """Readings received and not yet committed: a message can hold a thousand."""
        self._flushing = False
        self._store_waiting = False
        self._window = DEFAULT_WINDOW

    def set_window(self, messages: int) -> None:
        """How many messages the broker sends ahead of acknowledgement, as far as we know; 0: no limit."""
        self._window = messages
        self._commit_waits.set()

    def settings_changed(self, esp_id: str) -> None:
        """Parameters or calibrations of this device have changed: its readings are converted by the new ones from the
        next batch on. Costs nothing by itself, so it may be called for every change of a setup."""
        self.slots.settings_changed(esp_id)

    # -- gather --------------------------------------------------------------------------------------------------

    async def deliver(self, delivery: Delivery) -> None:
        """Takes what one read of the socket held. Waits while the intake is full."""
        while max(self._pending, self._held) >= self._limit:
            self._room = trio.Event()
            await self._room.wait()
        before = len(self._fresh.series)
        kept = self._gatherer.gather(delivery, self._fresh)
        if kept:
            self._pending += kept
            self._held += len(self._fresh.series) - before
            self._fresh_waits.set()

    # -- convert -------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Runs until cancelled. Call `flush` before, or what is pending stays with the broker."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._convert_loop)
            nursery.start_soon(self._commit_loop)
            task_status.started()

    async def _convert_loop(self) -> None:
        while True:
            if not self._fresh.messages:
                self._fresh_waits = trio.Event()
                await self._fresh_waits.wait()
            lot, self._fresh = self._fresh, Gathered()
            ready = self._ready
            if lot.series:
                for start in range(0, len(lot.series), CONVERT_AHEAD):
                    columns = await self._convert(lot, slice(start, start + CONVERT_AHEAD))
                    self._store.tail.append(columns)
                    for take in self._on_readings:
                        take(columns)
                    ready = self._ready
                    ready.columns.append(columns)
                    ready.readings += len(columns)
                    ready.since = min(ready.since, lot.since)
            # Acknowledgements and letters only behind the last reading: a commit between the slices must not
            # acknowledge what it does not hold.
            ready.letters += lot.letters[: MAX_LETTERS - len(ready.letters)]
            ready.received += len(lot.series)
            ready.acks += lot.acks
            ready.messages += lot.messages
            ready.unacknowledged += sum(len(mids) for _, mids in lot.acks)
            ready.since = min(ready.since, lot.since)
            self._commit_waits.set()

    async def _convert(self, lot: Gathered, part: slice) -> Columns:
        slots = self.slots
        slots.refresh()
        series = np.asarray(lot.series[part], np.int32)
        raw = np.asarray(lot.raw[part], np.float64)
        local = np.asarray(lot.local[part], np.float64)
        device = np.asarray(lot.quality[part], np.uint8)
        given = ~np.isnan(local)
        plan = np.where(given, NO_PLAN, slots.plans_of(series))
        result = await self._pool.convert(slots.plans, plan, raw)
        value = np.where(given, local, result.value)
        quality = np.where(given, np.uint8(Quality.GOOD), result.quality)
        # The worse verdict counts, ours or the device's; nobody's verdict makes a value out of none.
        quality = np.where(quality == Quality.UNKNOWN, quality, np.maximum(quality, device)).astype(np.uint8)
        value = np.where(quality == Quality.ERROR, np.nan, value)
        self._count(plan, quality)
        columns = Columns(
            series,
            np.asarray(lot.ts_ms[part], np.int64),
            np.asarray(lot.rx_ms[part], np.int64),
            raw,
            value,
            quality,
            np.asarray(lot.seq[part], np.int64),
            np.asarray(lot.source[part], np.uint8),
            np.asarray(slots.conversions, np.int32)[plan],
        )
        derived = await self._deriver.derive(columns)
        if derived is None:
            return columns
        self._outcomes.readings_derived += len(derived)
        return Columns.concat([columns, derived])

    def _count(self, plan: IntArray, quality: ByteArray) -> None:
        types = self.slots.types
        converted = np.bincount(plan, minlength=1)
        failed = np.bincount(plan[quality == Quality.ERROR], minlength=len(converted))
        self._outcomes.unconverted += int(converted[NO_PLAN])
        for index in np.flatnonzero(converted).tolist():
            if index != NO_PLAN:
                self._outcomes.converted[types[index]] += int(converted[index] - failed[index])
                if failed[index]:
                    self._outcomes.failed[types[index]] += int(failed[index])

    # -- commit --------------------------------------------------------------------------------------------------

    def _due(self) -> float:
        """When the next commit is due, on trio's clock."""
        ready = self._ready
        if not ready.messages and not ready.readings:
            return math.inf
        if self._flushing or not ready.needs_commit:
            return -math.inf
        # Half the window: the broker fills the other half while this one is being committed.
        if self._window and ready.unacknowledged >= max(1, self._window // 2):
            return -math.inf
        if max(self._pending, self._held) >= self._limit // 2:
            return -math.inf
        return ready.since + self._interval_s

    async def _commit_loop(self) -> None:
        while True:
            while (due := self._due()) > trio.current_time():
                self._commit_waits = trio.Event()
                if not self._pending:
                    self._idle.set()
                with trio.move_on_at(due):
                    await self._commit_waits.wait()
            lot, self._ready = self._ready, _Ready()
            if lot.needs_commit:
                await self._commit(Columns.concat(lot.columns), lot.letters)
                self._outcomes.committed_after(trio.current_time() - lot.since)
            for epoch, mids in _by_epoch(lot.acks):
                self._acknowledge(epoch, mids)
            self._pending -= lot.messages
            self._held -= lot.received
            self._room.set()

    async def _commit(self, columns: Columns, letters: list[DeadLetter]) -> None:
        """Commits, however long it takes: until then nothing is acknowledged and the broker keeps the messages."""
        attempt = 0
        while True:
            try:
                await self._store.commit(columns, letters)
            except StoreUnavailable as error:
                self._store_waiting = True
                log.once_per("store unavailable").error("nothing is acknowledged", error=str(error))
                await trio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
            else:
                break
        if self._store_waiting:
            self._store_waiting = False
            log.info("the store takes readings again", attempts=attempt)
        self._outcomes.committed += len(columns)
        if self._on_committed is not None and len(columns):
            self._on_committed(columns)

    async def flush(self) -> None:
        """Waits until everything delivered so far is committed and acknowledged. Nothing may be delivered meanwhile."""
        self._flushing = True
        self._commit_waits.set()
        while self._pending:
            self._idle = trio.Event()
            self._commit_waits.set()
            await self._idle.wait()
        self._flushing = False

    def statistics(self) -> IntakeStatistics:
        return self._outcomes.snapshot(pending=self._pending, store_waiting=self._store_waiting)


def _by_epoch(acks: list[tuple[int, list[int]]]) -> list[tuple[int, list[int]]]:
    """Joins runs of one connection, so that they leave as one write."""
    joined: list[tuple[int, list[int]]] = []
    for epoch, mids in acks:
        if joined and joined[-1][0] == epoch:
            joined[-1][1].extend(mids)
        else:
            joined.append((epoch, list(mids)))
    return joined
