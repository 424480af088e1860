"""What rules would have done with the readings that are stored: the time machine. Switches nothing.

Readings come in the order of their receipt, at the time of it, piece by piece, so that months need no more memory than
two days. Only those that can change anything are shown to the engine (`thinning`), in a simulated house (`simulation`)
that nothing of the real one is shared with but what sensors and devices there are now.

It runs on the trio thread between everything else, for `SLICE_S` at a time: nothing, and no emergency stop, waits
longer for it. Reading the disk and thinning is done in worker threads.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import attrs
import numpy as np
import outcome
import trio

from growy.control.rules.simulation import House, Surroundings
from growy.control.rules.tallies import ActuatorTally, RuleTally, Tallies
from growy.control.rules.thinning import Thinned, Thinner
from growy.control.rules.walk import actuators_of
from growy.model.errors import Invalid
from growy.model.reading import Columns
from growy.model.rules import Rule
from growy.model.time import FUTURE_TOLERANCE_MS
from growy.store.store import Store

SLICE_S = 0.002
FIRST_PIECE_MS = 600_000
LONGEST_PIECE_MS = 86_400_000
PIECE_READINGS = 100_000
"""A piece is to hold about so many: 6 MB, and some milliseconds of a worker's time."""
LEAD_MS = 600_000
"""A reading counts by its receipt and is found by its measurement; one that was on its way for longer is left out at
the beginning."""
MOST_FIRINGS = 1000
"""Of one rule."""
MOST_FIRINGS_IN_ALL = 20_000
LONGEST_MS = 366 * 86_400_000


@attrs.frozen(kw_only=True)
class ReplayedRule:
    rule_id: str
    """"" for one that is not stored."""
    name: str
    executions: int
    held_s: float
    unknown_s: float
    firings: tuple[tuple[int, int], ...]
    """(begin, end) of executions, Unix ms: the end is that of the last claim that it made. The first ones, if there are
    more than `MOST_FIRINGS`."""
    truncated: bool


@attrs.frozen(kw_only=True)
class ReplayedActuator:
    esp_id: str
    gpio: int
    on_s: float
    cycles: int
    """How often it would have been switched on."""
    refusals: Mapping[str, int]
    """By code of the safety gate: once per execution and code."""


@attrs.frozen(kw_only=True)
class ReplayReport:
    from_ms: int
    to_ms: int
    readings: int
    """Of the sensors that the rules look at."""
    shown: int
    """To the engine: those that could change something."""
    took_ms: int
    rules: tuple[ReplayedRule, ...]
    actuators: tuple[ReplayedActuator, ...]


async def replay(
    rules: Sequence[Rule],
    store: Store,
    around: Surroundings,
    *,
    from_ms: int,
    to_ms: int,
    stored: frozenset[str] = frozenset(),
    every_reading: bool = False,
) -> ReplayReport:
    """Goes through [from_ms, to_ms).

    Args:
        around: what the simulated house takes over from the real one.
        stored: ids of the rules that others know.
        every_reading: shows the engine all of them: the same answer, slowly.

    Raises:
        Invalid: the end is not after the beginning, or it is more than a year.
        StoreError: a chunk is damaged, or the disk cannot be read.
    """
    if not 0 < to_ms - from_ms <= LONGEST_MS:
        raise Invalid("A replay goes from an earlier to a later moment, over a year at most")
    began = trio.current_time()
    most = max(20, min(MOST_FIRINGS, MOST_FIRINGS_IN_ALL // max(1, len(rules))))
    tallies = Tallies(rules, most)
    house = House(around, tallies, from_ms)
    house.put(rules)
    thinner = Thinner(rules, around.series_of, around.max_age_of, from_ms, every=every_reading)
    pieces = _Pieces(store, thinner, from_ms, to_ms)
    await pieces.each(lambda thinned: _in_slices(house.play(thinned)))
    end_s = (to_ms - from_ms) / 1000
    await _in_slices(house.pass_until(end_s))
    tallies.end(end_s)
    for actuator in (key for rule in rules for key in actuators_of(rule)):
        tallies.actuators.setdefault(actuator, ActuatorTally())
    return ReplayReport(
        from_ms=from_ms,
        to_ms=to_ms,
        readings=pieces.readings,
        shown=pieces.shown,
        took_ms=round((trio.current_time() - began) * 1000),
        rules=tuple(
            _replayed(rule, tallies.rules[rule.id], from_ms, rule.id if rule.id in stored else "")
            for rule in rules
        ),
        actuators=tuple(
            ReplayedActuator(
                esp_id=key.esp_id,
                gpio=key.gpio,
                on_s=round(tally.on_s, 3),
                cycles=tally.cycles,
                refusals=dict(sorted(tally.refusals.items())),
            )
            for key, tally in sorted(tallies.actuators.items())
        ),
    )


def _replayed(rule: Rule, tally: RuleTally, from_ms: int, rule_id: str) -> ReplayedRule:
    return ReplayedRule(
        rule_id=rule_id,
        name=rule.name,
        executions=tally.executions,
        held_s=round(tally.held_s, 3),
        unknown_s=round(tally.unknown_s, 3),
        firings=tuple(
            (from_ms + round(begin * 1000), from_ms + round(end * 1000)) for begin, end in tally.firings
        ),
        truncated=tally.executions > len(tally.firings),
    )


async def _in_slices(work: Iterator[None]) -> None:
    until = time.perf_counter() + SLICE_S
    for _ in work:
        if time.perf_counter() >= until:
            await trio.lowlevel.checkpoint()
            until = time.perf_counter() + SLICE_S
    await trio.lowlevel.checkpoint()


class _Pieces:
    """The readings, piece by piece."""

    def __init__(self, store: Store, thinner: Thinner, from_ms: int, to_ms: int) -> None:
        self._store = store
        self._thinner = thinner
        self._from_ms = from_ms
        self._to_ms = to_ms
        self._at_ms = from_ms - LEAD_MS
        """Up to here everything that was measured has been read..."""
        self._done_ms = from_ms
        """...and up to here everything that was received has been given out."""
        self._width_ms = FIRST_PIECE_MS
        self._waiting = Columns.empty()
        self.readings = self.shown = 0

    async def each(self, play: Callable[[Thinned], Awaitable[None]]) -> None:
        """Plays all of them; the next one is read, in threads, while one is played."""
        send, receive = trio.open_memory_channel[outcome.Maybe[Thinned | None]](0)

        async def read() -> None:
            piece: outcome.Maybe[Thinned | None] = outcome.Value(None)
            while not isinstance(piece, outcome.Error):
                piece = await outcome.acapture(self._next)
                await send.send(piece)

        async def play_all() -> None:
            while (thinned := (await receive.receive()).unwrap()) is not None:
                self.shown += len(thinned)
                await play(thinned)

        # Captured, so that a damaged chunk is a StoreError to the caller and not a group of one.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            played = await outcome.acapture(play_all)
            nursery.cancel_scope.cancel()
        played.unwrap()

    async def _next(self) -> Thinned | None:
        if not self._thinner.series or self._done_ms >= self._to_ms:
            return None
        # The ends of pieces are those of chunks, which then are unpacked once.
        last_ms = self._to_ms + FUTURE_TOLERANCE_MS
        end_ms = min((self._at_ms // self._width_ms + 1) * self._width_ms, last_ms)
        columns = await self._store.received(self._thinner.series, self._at_ms, end_ms)
        self._at_ms = end_ms
        if len(columns) > PIECE_READINGS:
            self._width_ms = max(self._width_ms // 2, FIRST_PIECE_MS // 10)
        elif len(columns) < PIECE_READINGS // 4:
            self._width_ms = min(self._width_ms * 4, LONGEST_PIECE_MS)
        # A device whose clock is ahead may have measured earlier than it says, by that much.
        sure_ms = self._to_ms if end_ms == last_ms else min(end_ms - FUTURE_TOLERANCE_MS, self._to_ms)
        return await trio.to_thread.run_sync(self._thin, columns, sure_ms)

    def _thin(self, columns: Columns, sure_ms: int) -> Thinned:
        """In a worker thread."""
        columns = columns.take((columns.rx_ms >= self._from_ms) & (columns.rx_ms < self._to_ms))
        if len(self._waiting):
            columns = Columns.concat([self._waiting, columns])
            columns = columns.take(np.lexsort((columns.ts_ms, columns.series, columns.rx_ms)))
        ready = columns.rx_ms < sure_ms
        self._waiting, columns = columns.take(~ready), columns.take(ready)
        # What comes from behind, because our own clock was set meanwhile, comes now.
        columns.rx_ms = np.maximum(columns.rx_ms, self._done_ms)
        self._done_ms = max(self._done_ms, sure_ms)
        self.readings += len(columns)
        return self._thinner.take(columns)
