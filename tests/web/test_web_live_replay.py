"""What who subscribes is told of how things stand: the newest reading of each series, and the states."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rig.live import events, messages

from growy.model.reading import Bus, Columns, Quality, Reading, SeriesKey
from growy.store.catalog import Catalog
from growy.store.tail import Tail
from growy.web.events import Dialect
from growy.web.feed import MOST_EVENTS, Feed
from growy.web.live import LiveHub, State
from growy.web.subscription import parse

ALL = '{"action":"subscribe"}'
FIRST = '{"type":"subscribe","topic":"sensor_data/ESP_000000"}'


class House:
    """A hub and the newest readings of `devices` pH probes, as the intake keeps them; a reading's value is its number
    and its time."""

    def __init__(self, devices: int = 3) -> None:
        self.catalog = Catalog()
        self.tail = Tail(16)
        self.states: list[State] = []
        self.hub = LiveHub(self.catalog, recall=self.tail.newest, standing=lambda: self.states)
        self.count = 0
        for i in range(devices):
            self.catalog.intern(SeriesKey(f"ESP_{i:06X}", Bus.GPIO, "34", "ph"), 34, "pH", 0)

    def publish(self, *series: int) -> None:
        rows = []
        for one in series:
            self.count += 1
            rows.append(Reading(one, self.count, 0, 1.0, float(self.count), Quality.GOOD))
        columns = Columns.from_readings(rows)
        self.tail.append(columns)
        self.hub.publish_readings(columns)

    def join(self) -> Feed:
        return self.hub.join("c", lambda: None)

    def say(self, feed: Feed, wish: str) -> None:
        self.hub.obey(feed, parse(wish))
        self.hub.replay(feed, parse(wish))

    def take(self, feed: Feed, limit: int = 100) -> list[tuple[int, float, bool]]:
        """Series, value, whether it was told again."""
        return [
            (one["data"]["series_id"], one["data"]["value"], one["data"].get("replayed", False))
            for one in messages(self.hub.take(feed, limit))
        ]


def test_a_subscribe_brings_the_newest_reading_of_each_series_marked_as_no_news() -> None:
    house = House()
    feed = house.join()
    house.publish(1, 2, 1)
    house.take(feed)
    house.say(feed, ALL)
    assert house.take(feed) == [(1, 3.0, True), (2, 2.0, True)]
    assert house.take(feed) == []
    house.publish(1)
    assert house.take(feed) == [(1, 4.0, False)]


def test_what_came_while_nobody_watched_is_remembered() -> None:
    house = House()
    house.publish(1, 2)
    feed = house.join()
    assert house.take(feed) == []  # it has not subscribed to anything yet: it sees what comes
    house.say(feed, ALL)
    assert house.take(feed) == [(1, 1.0, True), (2, 2.0, True)]
    house.hub.leave(feed)
    house.publish(1)
    again = house.join()
    house.say(again, ALL)
    assert house.take(again) == [(1, 3.0, True), (2, 2.0, True)]


def test_only_what_a_topic_names_is_told_again() -> None:
    house = House()
    feed = house.join()
    house.publish(1, 2, 3)
    house.take(feed)
    house.say(feed, FIRST)
    assert house.take(feed) == [(1, 1.0, True)]
    house.say(feed, '{"type":"subscribe","topic":"sensor_data/ESP_000001"}')
    assert house.take(feed) == [(2, 2.0, True)]
    house.say(feed, '{"type":"unsubscribe","topic":"sensor_data/ESP_000001"}')
    assert house.take(feed) == []


def test_a_newer_reading_takes_the_place_of_the_one_that_waits_to_be_told_again() -> None:
    house = House()
    feed = house.join()
    house.publish(1)
    house.take(feed)
    house.say(feed, ALL)
    house.publish(1)
    assert house.take(feed) == [(1, 2.0, False)]


def test_readings_of_before_a_subscribe_are_not_counted_as_passed_over() -> None:
    house = House()
    feed = house.join()
    house.say(feed, FIRST)
    for _ in range(50):
        house.publish(2)
    house.say(feed, ALL)
    assert house.take(feed) == [(2, 50.0, True)]
    assert house.hub.statistics().coalesced == 0


@settings(max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.lists(st.integers(1, 4), min_size=1, max_size=6).map(lambda ids: ("publish", ids)),
            st.sampled_from([ALL, FIRST, '{"action":"unsubscribe"}']).map(lambda wish: ("say", wish)),
            st.integers(1, 3).map(lambda limit: ("take", limit)),
            st.just(("rejoin", None)),
        ),
        max_size=40,
    )
)
def test_no_older_reading_ever_follows_a_newer_one_and_the_newest_arrives(
    steps: list[tuple[str, Any]],
) -> None:
    house = House(4)
    feed = house.join()
    seen: dict[int, float] = {}
    newest: dict[int, float] = {}

    def take(limit: int) -> bool:
        found = house.take(feed, limit)
        for series_id, value, _ in found:
            assert value >= seen.get(series_id, 0)
            seen[series_id] = value
        return bool(found)

    for what, with_ in steps:
        if what == "publish":
            house.publish(*with_)
            newest |= {one: house.count - len(with_) + at for at, one in enumerate(with_, 1)}
        elif what == "say":
            house.say(feed, with_)
        elif what == "take":
            take(with_)
        else:
            house.hub.leave(feed)
            feed = house.join()
            seen.clear()
    house.say(feed, ALL)
    while take(3):
        pass
    assert seen == newest


def test_states_come_first_to_last_between_what_happened_before_and_after() -> None:
    house = House()
    house.states = [("actuator_alert", {"n": 1}), ("esp_health", {"esp_id": "ESP_000000", "n": 2})]
    feed = house.join()
    house.hub.publish_event("actuator_status", {"n": 0})
    house.say(feed, ALL)
    house.hub.publish_event("actuator_status", {"n": 3})
    told = events(house.hub, feed)
    assert [one["data"]["n"] for one in told] == [0, 1, 2, 3]
    assert [one["data"].get("replayed", False) for one in told] == [False, True, True, False]
    assert all(one["type"] == one["event_type"] for one in told)


def test_only_states_that_were_subscribed_to_are_told() -> None:
    house = House()
    house.states = [
        ("esp_health", {"esp_id": "ESP_000000"}),
        ("esp_health", {"esp_id": "ESP_000001"}),
        ("actuator_status", {"esp_id": "ESP_000000"}),
        ("actuator_alert", {"scope": "all"}),
    ]
    feed = house.join()
    house.say(feed, '{"action":"subscribe","filters":{"types":["esp_health"],"esp_ids":["ESP_000001"]}}')
    assert [one["data"]["esp_id"] for one in events(house.hub, feed)] == ["ESP_000001"]
    house.say(feed, '{"action":"subscribe","filters":{"esp_ids":["ESP_000001"]}}')
    assert [one["type"] for one in events(house.hub, feed)] == ["esp_health", "actuator_alert"]


def test_subscribing_again_renews_states_and_loses_no_news() -> None:
    house = House()
    feed = house.join()
    house.states = [("esp_health", {"esp_id": "ESP_000000", "status": "online"})]
    house.say(feed, ALL)
    house.hub.publish_event("esp_health", {"esp_id": "ESP_000000", "status": "offline"})
    house.states = [("esp_health", {"esp_id": "ESP_000000", "status": "offline"})]
    house.say(feed, ALL)
    assert [(one["data"]["status"], "replayed" in one["data"]) for one in events(house.hub, feed)] == [
        ("offline", False),
        ("offline", True),
    ]


def test_a_house_with_more_states_than_a_client_may_have_events_waiting_overflows_nobody() -> None:
    house = House()
    house.states = [("esp_health", {"esp_id": f"ESP_{n:06X}"}) for n in range(2 * MOST_EVENTS)]
    feed = house.join()
    house.say(feed, ALL)
    for n in range(MOST_EVENTS):
        house.hub.publish_event("esp_health", {"n": n})
    assert not feed.overflowed
    assert len(events(house.hub, feed)) == 3 * MOST_EVENTS


def test_a_batch_tells_states_before_news() -> None:
    house = House()
    house.states = [("esp_health", {"n": 1})]
    feed = house.join()
    house.publish(1)
    house.say(feed, ALL)
    house.publish(2)
    house.hub.publish_event("esp_health", {"n": 2})
    (message,) = messages(house.hub.take_all(feed, Dialect.CBOR, 100))
    assert [one["data"]["n"] for one in message["data"]["events"]] == [1, 2]
    assert message["data"]["replayed"]["value"] == [1.0]
    assert message["data"]["readings"]["value"] == [2.0]
