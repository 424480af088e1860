"""Keeps control's memory in growy.db: accounts, claims of people, states of rules, history, executions.

Control never waits for it. What safety is judged by after a restart (accounts, claims, states of rules) is written at
once, what people read later with it or some seconds afterwards. A disk that refuses only delays: the memory is the
truth, what waits is bounded, and what is given up is counted.

What rules remember and did is written when the readings that it contains are (`rule_pages`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import attrs
import trio

from growy.control.rule_pages import Page, RulePages
from growy.model.control import ActuatorKey, Ledger
from growy.model.errors import StoreError
from growy.ops.log import get_log
from growy.store.actuators import ClaimRow, HistoryRow
from growy.store.control import ControlBatch
from growy.store.rules import ExecutionRow, RuleState, RuleTally
from growy.store.store import Store

log = get_log(__name__)

PERIOD_S = 5.0
"""History waits that long for something urgent to travel with."""
RETRY_S = 5.0
MAX_WAITING = 2000
"""Rows of the history that wait for a disk that refuses."""


@attrs.frozen(kw_only=True)
class JournalStatistics:
    writes: int
    rows: int
    failed_writes: int
    dropped: int
    """Rows of the history, the oldest, given up while the disk refused."""
    waiting: int
    last_error: str


class ControlJournal:
    """Collects and writes. Trio thread only.

    Args:
        states: the states of rules that have changed since the last call.
    """

    def __init__(self, store: Store, *, states: Callable[[], Sequence[RuleState]] = lambda: ()) -> None:
        self._store = store
        self._pages = RulePages(states)
        self._ledgers: dict[ActuatorKey, Ledger | None] = {}
        self._claims: dict[tuple[ActuatorKey, str], ClaimRow | None] = {}
        self._history: deque[HistoryRow] = deque()
        self._urgent = trio.Event()
        self._turn = trio.Lock()
        self._writes = self._rows = self._failed = self._dropped = 0
        self._last_error = ""

    # --- what is to be kept -------------------------------------------------------------------------------------------

    def ledger(self, actuator: ActuatorKey, ledger: Ledger | None, *, urgent: bool = True) -> None:
        """An account has changed; None: the actuator is gone.

        Args:
            urgent: False for one that has only gone on: it travels with the next write.
        """
        self._ledgers[actuator] = ledger
        if urgent:
            self._urgent.set()

    def claim(self, row: ClaimRow) -> None:
        """A claim that must survive a restart."""
        self._claims[row.actuator, row.holder] = row
        self._urgent.set()

    def forget_claim(self, actuator: ActuatorKey, holder: str) -> None:
        self._claims[actuator, holder] = None
        self._urgent.set()

    def states_changed(self) -> None:
        """Rules remember something new that a restart must not forget."""
        self._pages.changed()
        self._urgent.set()

    def heard(self, readings: int) -> None:
        """So many readings have been given to the rules."""
        self._pages.heard(readings)

    def committed(self, readings: int) -> None:
        """So many more of them, the oldest, are on disk."""
        if self._pages.committed(readings):
            self._urgent.set()

    def tally(self, rule_id: str, tally: RuleTally) -> None:
        self._pages.tally(rule_id, tally)

    def execution(self, row: ExecutionRow) -> None:
        """An execution has begun, or gone on."""
        self._pages.execution(row)

    def history(self, row: HistoryRow) -> None:
        self._history.append(row)
        if len(self._history) > MAX_WAITING:
            self._history.popleft()
            self._dropped += 1

    # --- writing ------------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Writes until cancelled. Call `write` before, or what waits is lost."""
        task_status.started()
        while True:
            with trio.move_on_after(PERIOD_S):
                await self._urgent.wait()
            if not await self.write():
                await trio.sleep(RETRY_S)

    async def write(self) -> bool:
        """Writes what waits, now; False when the disk refuses, and then it waits on."""
        async with self._turn:
            batch = self._take()
            if not batch:
                return True
            try:
                await self._store.write_registry(control=batch)
            except StoreError as error:
                self._put_back(batch)
                self._failed += 1
                self._last_error = str(error)
                log.once_per("control journal").warning("control's memory is not written", error=str(error))
                return False
            self._writes += 1
            self._rows += len(batch.history) + len(batch.executions)
            self._last_error = ""
            return True

    def _take(self) -> ControlBatch:
        self._urgent = trio.Event()
        page = self._pages.take(trio.current_time())
        batch = ControlBatch(
            tallies=page.tallies,
            rule_states=tuple(page.states.values()),
            executions=tuple(page.executions.values()),
            ledgers=self._ledgers,
            claims=tuple(row for row in self._claims.values() if row is not None),
            deleted_claims=tuple(key for key, row in self._claims.items() if row is None),
            history=tuple(self._history),
        )
        self._ledgers, self._claims = {}, {}
        self._history.clear()
        return batch

    def _put_back(self, batch: ControlBatch) -> None:
        """Under what has come meanwhile: the newer of the same counts."""
        self._pages.put_back(
            Page(
                {one.rule_id: one for one in batch.rule_states},
                {one.id: one for one in batch.executions},
                dict(batch.tallies),
            )
        )
        self._ledgers = {**batch.ledgers, **self._ledgers}
        gone = dict.fromkeys(batch.deleted_claims)
        kept = {(row.actuator, row.holder): row for row in batch.claims}
        self._claims = {**gone, **kept, **self._claims}
        self._history.extendleft(reversed(batch.history))
        while len(self._history) > MAX_WAITING:
            self._history.popleft()
            self._dropped += 1

    def statistics(self) -> JournalStatistics:
        return JournalStatistics(
            writes=self._writes,
            rows=self._rows,
            failed_writes=self._failed,
            dropped=self._dropped + self._pages.dropped,
            waiting=len(self._history) + self._pages.waiting,
            last_error=self._last_error,
        )
