"""What rules remember and did, on its way to growy.db: held back until the readings that it contains are on disk.

Readings act before they are committed, and are brought again by the broker if growyd dies in between. A memory that
contains such a reading and is on disk without it would take it for a second one: a counter counts it twice, and what
the newest stored value says is another thing than what is remembered. So a page is closed at a moment, with the
memories, the executions and the tallies of that moment, and written when all readings of before are committed. What
comes later waits for the next page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from growy.store.rules import ExecutionRow, RuleState, RuleTally

STATES_S = 60.0
"""What rules remember and readings bring back (a slope, an integral) is written that often; all else at once."""
MAX_EXECUTIONS = 2000
"""Executions that wait for a disk that refuses."""


@attrs.define(slots=True)
class Page:
    """What is written together."""

    states: dict[str, RuleState] = attrs.field(factory=dict)
    executions: dict[int, ExecutionRow] = attrs.field(factory=dict)
    tallies: dict[str, RuleTally] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self.states) + len(self.executions) + len(self.tallies)

    def under(self, newer: Page) -> Page:
        """Both: of what is in either the newer counts."""
        return Page(
            {**self.states, **newer.states},
            {**self.executions, **newer.executions},
            {**self.tallies, **newer.tallies},
        )


class RulePages:
    """Trio thread only.

    Args:
        states: the states of rules that have changed since the last call.
    """

    def __init__(self, states: Callable[[], Sequence[RuleState]]) -> None:
        self._states = states
        self._open = Page()
        self._closed: Page | None = None
        self._closed_at = 0
        """How many readings had been heard then."""
        self._refused = Page()
        self._heard = self._committed = 0
        self._due = False
        self._due_at = -STATES_S
        self.dropped = 0

    def heard(self, readings: int) -> None:
        """So many readings have acted."""
        self._heard += readings

    def committed(self, readings: int) -> bool:
        """So many more, the oldest, are on disk. Whether a page may be written now that might not before."""
        before, self._committed = self._committed, self._committed + readings
        return self._closed is not None and before < self._closed_at <= self._committed

    def changed(self) -> None:
        """Rules remember something new that a restart must not forget."""
        self._due = True

    def execution(self, row: ExecutionRow) -> None:
        """An execution has begun, or gone on."""
        self._open.executions[row.id] = row
        self._bound(self._open)

    def tally(self, rule_id: str, tally: RuleTally) -> None:
        self._open.tallies[rule_id] = tally

    def take(self, now: float) -> Page:
        """What may be written now; it is written, or put back."""
        page, self._refused = self._refused.under(self._complete()), Page()
        if self._closed is None and (self._due or len(self._open) or now - self._due_at >= STATES_S):
            self._due, self._due_at = False, now
            self._open.states = {one.rule_id: one for one in self._states()}
            self._closed, self._closed_at, self._open = self._open, self._heard, Page()
        return page.under(self._complete())

    def _complete(self) -> Page:
        """The closed page, if its readings are on disk."""
        if self._closed is None or self._closed_at > self._committed:
            return Page()
        page, self._closed = self._closed, None
        return page

    def put_back(self, page: Page) -> None:
        """It could not be written."""
        self._refused = page.under(self._refused)
        self._bound(self._refused)

    def _bound(self, page: Page) -> None:
        while len(page.executions) > MAX_EXECUTIONS:
            page.executions.pop(next(iter(page.executions)))
            self.dropped += 1

    @property
    def waiting(self) -> int:
        """Executions that are not on disk."""
        closed = 0 if self._closed is None else len(self._closed.executions)
        return len(self._open.executions) + len(self._refused.executions) + closed
