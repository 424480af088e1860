"""One live client's share of the news: which series wait to be sent, and which events. Pure; it must never
wait or send.

Readings coalesce: while a client has not been sent a series, newer readings of it take the older one's place,
and the series keeps its place in the queue. Events (everything but readings) are kept in order and never
coalesced; a client that lets `MOST_EVENTS` of them pile up is given up (`overflowed`), because dropping an
alarm in silence is worse than a reconnect that the client notices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from growy.model.reading import IndexArray, IntArray
from growy.web.subscription import Filter, Subscription

BoolArray: TypeAlias = npt.NDArray[np.bool_]

MOST_EVENTS = 1000


class Feed:
    """What waits for one client. Arrays are indexed by series id and grow with the hub."""

    def __init__(self, client_id: str, wake: Callable[[], None]) -> None:
        """Args:
        client_id: names the client in messages.
        wake: called when something new waits for a feed that listens (see `listening`), and on overflow.
        """
        self.client_id = client_id
        self.subscription = Subscription()
        self.filters: tuple[Filter, ...] = self.subscription.filters()
        self.overflowed = False
        self.listening = True
        """False while the client's pace forbids sending readings anyway: new readings then wake nobody."""
        self.marked = 0
        """Readings that were meant for this client."""
        self.taken = 0
        """Readings handed out to be sent."""
        self._wake = wake
        self._wanted: BoolArray = np.zeros(0, np.bool_)
        self._since: IntArray = np.zeros(0, np.int64)
        self._events: deque[str] = deque()

    # The hub's side

    def resize(self, wanted: BoolArray) -> None:
        """The series this client wants, by id; the array may be longer than before, never shorter.

        What waits of series that are no longer wanted is forgotten.
        """
        since = np.zeros(len(wanted), np.int64)
        since[: len(self._since)] = self._since
        lost = since[~wanted] != 0
        self.marked -= int(np.count_nonzero(lost))
        since[~wanted] = 0
        self._wanted = wanted
        self._since = since

    def mark(self, series: IndexArray, tick: int) -> None:
        """Readings of these series have come with batch `tick` (> 0, growing)."""
        ids = series[self._wanted[series]]
        if not len(ids):
            return
        self.marked += len(ids)
        fresh = ids[self._since[ids] == 0]
        if len(fresh):
            self._since[fresh] = tick
        if self.listening:
            self._wake()

    def post(self, text: str) -> None:
        """Queue an event; every one is sent, in order, or the client is given up."""
        if self.overflowed:
            return
        if len(self._events) >= MOST_EVENTS:
            self.overflowed = True
            self._events.clear()
        else:
            self._events.append(text)
        self._wake()

    # The sender's side

    def next_event(self) -> str | None:
        return self._events.popleft() if self._events else None

    def take(self, limit: int) -> IndexArray:
        """Ids of at most `limit` waiting series, the longest-waiting first; they wait no longer."""
        ids = np.flatnonzero(self._since)
        if len(ids) > 1:
            ids = ids[np.argsort(self._since[ids], kind="stable")[:limit]]
        self._since[ids] = 0
        self.taken += len(ids)
        return ids.astype(np.int32)

    @property
    def events_waiting(self) -> int:
        return len(self._events)

    @property
    def readings_waiting(self) -> int:
        return int(np.count_nonzero(self._since))

    @property
    def coalesced(self) -> int:
        """Readings whose place a newer one of the same series took before they were sent."""
        return self.marked - self.taken - self.readings_waiting
