"""The live hub: hands every new reading and event to the clients that watch. Never waits, never blocks the
intake.

A batch is written once into arrays by series id (`Newest`); clients that want the same are told together that there is
something, and text is made only when a client's turn to be sent comes (`Scribe`). The hub knows no sockets and no clock
but the one it is given, and is not thread-safe: intake and web server live on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import attrs
import numpy as np

from growy.model.reading import Columns
from growy.web.events import Dialect, LiveEvent, subject_of
from growy.web.feed import Feed
from growy.web.newest import BoolArray, Newest, SeriesLookup
from growy.web.scribe import Scribe
from growy.web.subscription import Add, ClientMessage, Filter, Replace, Subscription, apply

State: TypeAlias = tuple[str, Mapping[str, object]]
"""Type and data of an event that says how something stands."""
REPLAYED = "replayed"


def unknown_zone(esp_id: str) -> str | None:
    """No zones known."""
    return None


def nothing_stands() -> Iterable[State]:
    """Nothing but readings is replayed."""
    return ()


@attrs.frozen(kw_only=True)
class LiveStatistics:
    """Counters since start; `clients` and `waiting` are of now."""

    clients: int
    clients_total: int
    refused: int
    """Clients turned away because there were too many."""
    unauthorized: int
    """Clients that had no valid login, or whose login ended while they watched."""
    readings: int
    """Readings that came while somebody watched."""
    sent: int
    """Readings handed to clients' connections."""
    coalesced: int
    """Readings whose place a newer one took before a client could be sent them."""
    events: int
    events_sent: int
    frames: int
    """Writes to clients: each carries all that was due."""
    too_slow: int
    """Clients given up because they did not read."""
    waiting: int


@attrs.define(eq=False)
class _Audience:
    """Clients that want the same."""

    filters: tuple[Filter, ...]
    wanted: BoolArray
    feeds: list[Feed] = attrs.field(factory=list)

    def admits(self, event: LiveEvent) -> bool:
        return any(one.admits(event.type, event.esp_id, event.sensor_type) for one in self.filters)


class LiveHub:
    """Fan-out of readings and events to live clients."""

    def __init__(
        self,
        catalog: SeriesLookup,
        zone_of: Callable[[str], str | None] = unknown_zone,
        now: Callable[[], float] = time.time,
        *,
        recall: Callable[[], Columns] = Columns.empty,
        standing: Callable[[], Iterable[State]] = nothing_stands,
    ) -> None:
        """Args:
        catalog: names series.
        zone_of: the zone a device is in now, for the messages.
        now: Unix seconds, for the envelopes.
        recall: the newest reading of every series; what came while nobody watched.
        standing: how everything but the readings stands now, for those who have just come.
        """
        self._newest = Newest(catalog)
        self._scribe = Scribe(self._newest, catalog, zone_of, now)
        self._now = now
        self._recall = recall
        self._standing = standing
        self._audiences: dict[Subscription, _Audience] = {}
        self._feeds: dict[Feed, _Audience] = {}
        self._clients_total = 0
        self._readings = 0
        self._events = 0
        self._taken = 0
        self._coalesced = 0
        self.refused = 0
        self.unauthorized = 0
        self.too_slow = 0
        self.events_sent = 0
        self.frames = 0

    # The intake's side

    def publish_readings(self, columns: Columns) -> None:
        """Readings as converted. Free when nobody watches; the arrays are copied, never kept."""
        if not self._feeds or not len(columns):
            return
        series = columns.series
        self._readings += len(series)
        self._scribe.forget(series)
        if self._newest.take_in(columns):
            self._widen()
        for audience in self._audiences.values():
            if audience.wanted[series].any():
                for feed in audience.feeds:
                    feed.mark()

    def publish_event(self, type: str, data: Mapping[str, object], correlation_id: str | None = None) -> None:
        """Anything but a reading: never coalesced, never dropped. `data` names its device as `esp_id` where
        it has one.

        Raises TypeError when `data` holds something that JSON does not know.
        """
        self._events += 1
        if not self._feeds:
            return
        event = self.event(type, data, correlation_id)
        for audience in self._audiences.values():
            if audience.admits(event):
                for feed in audience.feeds:
                    feed.post(event)

    def event(
        self,
        type: str,
        data: Mapping[str, object],
        correlation_id: str | None = None,
        *,
        again: bool = False,
        beside: Mapping[str, object] | None = None,
    ) -> LiveEvent:
        """One message to a client.

        Args:
            again: it is no news, but says how something stands.
            beside: what stands beside `data`.
        """
        envelope: dict[str, object] = {
            "type": type,
            "event_type": type,
            "timestamp": int(self._now()),
            "data": data,
            **(beside or {}),
        }
        if correlation_id is not None:
            envelope["correlation_id"] = correlation_id
        return LiveEvent(type, data, envelope, again=again)

    # The connections' side

    def join(self, client_id: str, wake: Callable[[], None]) -> Feed:
        """A new client; it sees everything that comes until it subscribes. Pair with `leave`."""
        if not self._feeds:
            self._newest.take_in(self._recall())
            self._widen()
        feed = Feed(client_id, self._newest, wake)
        self._feeds[feed] = self._seat(feed)
        self._clients_total += 1
        return feed

    def leave(self, feed: Feed) -> None:
        self._unseat(feed)
        del self._feeds[feed]
        self._taken += feed.taken
        self._coalesced += feed.coalesced

    def obey(self, feed: Feed, message: ClientMessage) -> None:
        """Change what a client sees. Raises Invalid when the change is refused (nothing changes then)."""
        wish = apply(feed.subscription, message)
        if wish != feed.subscription:
            self._unseat(feed)
            feed.subscription = wish
            self._feeds[feed] = self._seat(feed)

    def replay(self, feed: Feed, message: ClientMessage) -> None:
        """Tell a client how what it has just subscribed to stands: after what it was told before, ahead of all news."""
        match message:
            case Replace(filter=one):
                filters: tuple[Filter, ...] = (one,)
            case Add(topics=topics):
                filters = tuple(topic.as_filter() for topic in topics)
            case _:
                return
        states = (
            self.event(type, {**data, REPLAYED: True}, again=True)
            for type, data in self._standing()
            if any(one.admits(type, *subject_of(data)) for one in filters)
        )
        feed.replay(self._newest.wanted_by(filters), states)

    def take_events(self, feed: Feed, limit: int) -> bytes:
        """Frames of at most `limit` events for a plain client, in order; b"" when none waits."""
        events = feed.next_events(limit)
        self.events_sent += len(events)
        return b"".join([event.frame for event in events])

    def take(self, feed: Feed, limit: int) -> bytes:
        """Frames of at most `limit` readings for a plain client, those first that were sent longest ago."""
        due = feed.take(limit)
        return self._scribe.plain(due.fresh, due.again)

    def take_all(self, feed: Feed, dialect: Dialect, limit: int) -> bytes:
        """One frame with all that waits for a client of batches; of events and of readings at most `limit`."""
        events = feed.next_events(limit)
        self.events_sent += len(events)
        due = feed.take(limit)
        ids = np.concatenate([due.again, due.fresh])
        introduced = feed.introduce(ids, self._scribe.versions(ids))
        if not events and not len(ids):
            return b""
        return self._scribe.batch(dialect, due.fresh, due.again, introduced, events)

    @property
    def clients(self) -> int:
        return len(self._feeds)

    def statistics(self) -> LiveStatistics:
        return LiveStatistics(
            clients=len(self._feeds),
            clients_total=self._clients_total,
            refused=self.refused,
            unauthorized=self.unauthorized,
            readings=self._readings,
            sent=self._taken + sum(feed.taken for feed in self._feeds),
            coalesced=self._coalesced + sum(feed.coalesced for feed in self._feeds),
            events=self._events,
            events_sent=self.events_sent,
            frames=self.frames,
            too_slow=self.too_slow,
            waiting=sum(feed.series_waiting + feed.events_waiting for feed in self._feeds),
        )

    # Who wants what

    def _seat(self, feed: Feed) -> _Audience:
        audience = self._audiences.get(feed.subscription)
        if audience is None:
            filters = feed.subscription.filters()
            audience = _Audience(filters, self._newest.wanted_by(filters))
            self._audiences[feed.subscription] = audience
        audience.feeds.append(feed)
        feed.subscribe(audience.wanted)
        return audience

    def _unseat(self, feed: Feed) -> None:
        audience = self._feeds[feed]
        audience.feeds.remove(feed)
        if not audience.feeds:
            del self._audiences[feed.subscription]

    def _widen(self) -> None:
        """There are series that nobody had met."""
        for audience in self._audiences.values():
            audience.wanted = self._newest.wanted_by(audience.filters)
            for feed in audience.feeds:
                feed.widen(audience.wanted)
