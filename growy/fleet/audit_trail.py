"""Between those who note what happened and growy.db: collects entries and writes them together.

`note` never waits and never fails: whoever notes something has better to do. A disk that refuses keeps nobody waiting
either; entries stay in memory, up to a bound, and what is beyond it is counted and logged, never silently gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from growy.fleet.audit_repeats import Repeats
from growy.model.audit import AuditEntry
from growy.model.errors import StoreError
from growy.ops.log import get_log
from growy.store.store import Store

log = get_log(__name__)

PERIOD_S = 5.0
"""One forced write of the card at most in this time. What a power cut can take of the trail is the last of it."""
MAX_WAITING = 2000
"""Entries that wait for a disk that refuses; some 2 MB."""


@attrs.frozen(kw_only=True)
class AuditStatistics:
    """Counted since start."""

    noted: int
    written: int
    """Rows on disk: fewer than noted where entries were alike."""
    repeats: int
    """Noted, and only counted in the row of another."""
    dropped: int
    """The oldest, given up while the disk refused."""
    waiting: int
    """Entries that the next write takes."""
    windows: int
    """Things that happened of late, whose repetition would only be counted."""
    failed_writes: int
    last_error: str
    """"" when the last write succeeded."""


class AuditTrail:
    """Collects entries for the store. Trio thread only.

    Args:
        clock: seconds, only goes forward; trio's own by default.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = trio.current_time) -> None:
        self._store = store
        self._clock = clock
        self._repeats = Repeats()
        self._waiting: deque[AuditEntry] = deque()
        self._turn = trio.Lock()
        self._noted = self._written = self._counted = self._dropped = self._failed = 0
        self._last_error = ""

    def note(self, entry: AuditEntry) -> None:
        """Take an entry; it is on disk some seconds later, or counted with others of its kind."""
        self._noted += 1
        admitted = self._repeats.admit(entry, self._clock())
        if not admitted or admitted[-1] is not entry:
            self._counted += 1
        self._add(admitted)

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[Sequence[AuditEntry]]:
        """The entries that wait, for one who writes them together with something else:

            async with trail.batch() as entries:
                await store.write_registry(devices=rows, audit=entries)

        When the block raises they wait again, in their old place.
        """
        async with self._turn:
            self._add(self._repeats.ended(self._clock()))
            taken = tuple(self._waiting)
            self._waiting.clear()
            try:
                yield taken
            except BaseException:
                self._waiting.extendleft(reversed(taken))
                self._add(())
                raise
            self._written += len(taken)

    async def write(self) -> None:
        """Write what waits, now. A disk that refuses only delays it."""
        try:
            async with self.batch() as entries:
                await self._store.write_audit(entries)
        except StoreError as error:
            self._failed += 1
            self._last_error = str(error)
            log.once_per("audit not written").warning(
                "audit trail not written", error=str(error), waiting=len(self._waiting)
            )
        else:
            self._last_error = ""

    async def flush(self) -> None:
        """For the stop: write everything, also what has only been counted so far."""
        self._add(self._repeats.close())
        await self.write()
        if self._waiting:
            log.error("audit entries lost", entries=len(self._waiting), error=self._last_error)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write every five seconds when there is something."""
        task_status.started()
        while True:
            await trio.sleep(PERIOD_S)
            await self.write()

    def statistics(self) -> AuditStatistics:
        return AuditStatistics(
            noted=self._noted,
            written=self._written,
            repeats=self._counted,
            dropped=self._dropped,
            waiting=len(self._waiting),
            windows=len(self._repeats),
            failed_writes=self._failed,
            last_error=self._last_error,
        )

    def _add(self, entries: Sequence[AuditEntry]) -> None:
        """Behind those that wait. Beyond the bound the oldest are given up."""
        self._waiting.extend(entries)
        surplus = len(self._waiting) - MAX_WAITING
        if surplus > 0:
            for _ in range(surplus):
                self._waiting.popleft()
            self._dropped += surplus
            log.once_per("audit dropped").warning("audit entries dropped", dropped=self._dropped)
