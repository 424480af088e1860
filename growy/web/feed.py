"""One live client's share of the news: which series wait to be sent, and which events. Pure; it must never wait or
send.

Readings coalesce: while a client has not been sent a series, newer readings of it take the older one's place. What
waits is not noted per reading: a series waits when more readings of it have come (`Newest.count`) than this client has
seen. Events (everything but readings) are kept in order and never coalesced; a client that lets `MOST_EVENTS` of them
pile up is given up (`overflowed`), because dropping an alarm in silence is worse than a reconnect that the client
notices. How things stand (`replay`) is no news and not counted there; it goes between the events before and after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs
import numpy as np

from growy.model.reading import IndexArray, IntArray
from growy.web.events import LiveEvent
from growy.web.newest import BoolArray, Newest, longer
from growy.web.subscription import Subscription

MOST_EVENTS = 1000


@attrs.frozen
class Due:
    """Series whose newest reading is to be sent now."""

    fresh: IndexArray
    again: IndexArray
    """Their newest reading is older than the subscribe that asked for it."""


class Feed:
    """What waits for one client. Arrays are indexed by series id and grow with `Newest`."""

    def __init__(self, client_id: str, newest: Newest, wake: Callable[[], None]) -> None:
        """Args:
        client_id: names the client in messages.
        wake: called when something new waits for a feed that listens (see `listening`), and on overflow.
        """
        self.client_id = client_id
        self.subscription = Subscription()
        self.overflowed = False
        self.listening = True
        """False while the client's pace forbids sending readings anyway: new readings then wake nobody."""
        self.readings_waiting = False
        """Readings may wait. False for sure means none does."""
        self.taken = 0
        """Readings handed out to be sent."""
        self.coalesced = 0
        """Readings whose place a newer one of the same series took before they were sent."""
        self._newest = newest
        self._wake = wake
        self._wanted: BoolArray = np.zeros(len(newest), np.bool_)
        self._seen: IntArray = newest.count.copy()
        self._again: IntArray = np.zeros(len(newest), np.int64)
        """By series: the count at which its newest reading was asked for again; 0: not."""
        self._turn: IntArray = np.zeros(len(newest), np.int64)
        """When each series was sent last, counted in takes."""
        self._told: IntArray = np.zeros(len(newest), np.int64)
        self._takes = 0
        self._replays = False
        self._events: deque[LiveEvent] = deque()
        self._owed: deque[LiveEvent] = deque()

    # The hub's side

    def subscribe(self, wanted: BoolArray) -> None:
        """The series this client wants from now on, by id. What waits of others is forgotten; of those that it did not
        want before only what is yet to come waits."""
        self._make_room()
        fresh = wanted & ~self._wanted
        self._seen[fresh] = self._newest.count[fresh]
        self._wanted = wanted

    def widen(self, wanted: BoolArray) -> None:
        """The same wish, when there are new series that it admits: everything of them is news."""
        self._make_room()
        self._wanted = wanted

    def replay(self, named: BoolArray, events: Iterable[LiveEvent]) -> None:
        """To be told again: the newest reading of these series, and these events, oldest first."""
        self._make_room()
        count = self._newest.count
        ids = np.flatnonzero(named & (count > 0))
        self.coalesced += int(np.maximum(count[ids] - self._seen[ids] - 1, 0).sum())
        self._seen[ids] = count[ids] - 1
        self._again[ids] = count[ids]
        # What waited before is older than how things stand now; an earlier telling of that is out of date.
        self._owed = deque([*(one for one in self._owed if not one.again), *self._events, *events])
        self._events.clear()
        self._replays = True
        self.readings_waiting = True
        self._wake()

    def mark(self) -> None:
        """Readings have come that this client wants."""
        self.readings_waiting = True
        if self.listening:
            self._wake()

    def post(self, event: LiveEvent) -> None:
        """Queue an event; every one is sent, in order, or the client is given up."""
        if self.overflowed:
            return
        if len(self._events) >= MOST_EVENTS:
            self.overflowed = True
            self._events.clear()
            self._owed.clear()
        else:
            self._events.append(event)
        self._wake()

    # The sender's side

    def next_events(self, limit: int) -> list[LiveEvent]:
        """At most `limit` events, in order."""
        events: list[LiveEvent] = []
        for queue in (self._owed, self._events):
            events += [queue.popleft() for _ in range(min(limit - len(events), len(queue)))]
        return events

    def take(self, limit: int) -> Due:
        """At most `limit` waiting series, those first that were sent longest ago; they wait no longer."""
        self._make_room()
        count = self._newest.count
        ids = np.flatnonzero(self._waiting()).astype(np.int32)
        self.readings_waiting = len(ids) > limit
        if self.readings_waiting:
            ids = ids[np.argsort(self._turn[ids], kind="stable")[:limit]]
        self._takes += 1
        self._turn[ids] = self._takes
        self.taken += len(ids)
        self.coalesced += int((count[ids] - self._seen[ids]).sum()) - len(ids)
        self._seen[ids] = count[ids]
        if not self._replays:
            return Due(ids, ids[:0])
        old = self._again[ids] == count[ids]
        self._replays = self.readings_waiting
        return Due(ids[~old], ids[old])

    def introduce(self, ids: IndexArray, versions: IntArray) -> IndexArray:
        """Of these series those that this client has not been told of as they are now; it has, then."""
        new = np.flatnonzero(self._told[ids] != versions)
        self._told[ids] = versions
        return ids.take(new)

    @property
    def events_waiting(self) -> int:
        return len(self._events) + len(self._owed)

    @property
    def series_waiting(self) -> int:
        self._make_room()
        return int(np.count_nonzero(self._waiting()))

    def _waiting(self) -> BoolArray:
        waiting: BoolArray = self._wanted & (self._newest.count > self._seen)
        return waiting

    def _make_room(self) -> None:
        size = len(self._newest)
        if len(self._seen) < size:
            self._seen = longer(self._seen, size)
            self._again = longer(self._again, size)
            self._turn = longer(self._turn, size)
            self._told = longer(self._told, size)
            self._wanted = longer(self._wanted, size)
