"""The live hub: coalescing, fairness, filters, and what a client that does not read costs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.live import events, messages

from growy.model.reading import Bus, Columns, Quality, Reading, SeriesKey
from growy.store.catalog import Catalog
from growy.web.feed import MOST_EVENTS, Feed
from growy.web.live import LiveHub
from growy.web.subscription import parse

NOW = 1_760_000_000


class House:
    """A hub over a catalogue with `devices` times temperature and humidity of one SHT31."""

    def __init__(self, devices: int = 3) -> None:
        self.catalog = Catalog()
        self.zones: dict[str, str] = {}
        self.hub = LiveHub(self.catalog, self.zones.get, now=lambda: NOW)
        for i in range(devices):
            self.add(f"ESP_{i:06X}")

    def add(self, esp_id: str) -> tuple[int, int]:
        return (
            self.catalog.intern(SeriesKey(esp_id, Bus.I2C, "68", "sht31_temp"), 21, "°C", 0),
            self.catalog.intern(SeriesKey(esp_id, Bus.I2C, "68", "sht31_humidity"), 21, "%RH", 0),
        )

    def join(self, wish: str | None = None) -> Feed:
        feed = self.hub.join("c", lambda: None)
        if wish is not None:
            self.say(feed, wish)
        return feed

    def say(self, feed: Feed, wish: str) -> None:
        self.hub.obey(feed, parse(wish))
        self.hub.replay(feed, parse(wish))

    def publish(self, *readings: tuple[int, float | None]) -> None:
        self.hub.publish_readings(
            Columns.from_readings(
                [
                    Reading(
                        series_id=i,
                        ts_ms=1_759_999_999_123,
                        rx_ms=0,
                        raw=100,
                        value=value,
                        quality=Quality.GOOD,
                    )
                    for i, value in readings
                ]
            )
        )

    def take(self, feed: Feed, limit: int = 50) -> list[dict[str, object]]:
        return messages(self.hub.take(feed, limit))


def values(messages: list[dict[str, object]]) -> list[tuple[int, float]]:
    return [(m["data"]["series_id"], m["data"]["value"]) for m in messages]  # type: ignore[index]


def test_a_reading_arrives_with_everything_a_page_needs() -> None:
    house = House(1)
    house.zones["ESP_000000"] = "tent"
    feed = house.join()
    house.publish((1, 21.5))
    assert house.take(feed) == [
        {
            "type": "sensor_data",
            "event_type": "sensor_data",
            "timestamp": NOW,
            "data": {
                "esp_id": "ESP_000000",
                "gpio": 21,
                "sensor_type": "sht31_temp",
                "value": 21.5,
                "raw_value": 100,
                "unit": "°C",
                "quality": "good",
                "timestamp": 1_759_999_999,
                "timestamp_ms": 1_759_999_999_123,
                "zone_id": "tent",
                "series_id": 1,
                "bus": "i2c",
                "address": "68",
                "i2c_address": 68,
            },
        }
    ]


def test_a_onewire_sensor_names_its_rom_code() -> None:
    house = House(0)
    probe = house.catalog.intern(SeriesKey("ESP_1", Bus.ONEWIRE, "28FF641E8D3C0C79", "ds18b20"), 4, "°C", 0)
    feed = house.join()
    house.publish((probe, 19.0))
    (message,) = house.take(feed)
    assert message["data"]["onewire_address"] == "28FF641E8D3C0C79"  # type: ignore[index]


@pytest.mark.parametrize("value", [None, math.inf])
def test_no_value_is_null(value: float | None) -> None:
    house = House(1)
    feed = house.join()
    house.publish((1, value))
    assert values(house.take(feed)) == [(1, None)]


def test_the_newest_reading_of_a_series_wins() -> None:
    house = House(1)
    feed = house.join()
    house.publish((1, 1.0), (2, 5.0), (1, 2.0))
    house.publish((1, 3.0))
    assert values(house.take(feed)) == [(1, 3.0), (2, 5.0)]
    assert house.take(feed) == []
    assert house.hub.statistics().coalesced == 2


def test_the_series_sent_longest_ago_goes_first_however_busy_the_others_are() -> None:
    house = House(3)
    feed = house.join()
    house.publish((1, 0.0), (2, 0.0), (4, 0.0))
    assert values(house.take(feed, 2)) == [(1, 0.0), (2, 0.0)]
    for i in range(5):
        house.publish((1, float(i)), (2, float(i)))
    assert values(house.take(feed, 1)) == [(4, 0.0)]
    house.publish((4, 1.0), (1, 9.0))
    assert values(house.take(feed, 2)) == [(1, 9.0), (2, 4.0)]
    assert values(house.take(feed, 2)) == [(4, 1.0)]


def test_a_change_of_zone_unit_or_pin_shows_in_the_next_message() -> None:
    house = House(1)
    feed = house.join()
    house.publish((1, 1.0))
    house.take(feed)
    house.zones["ESP_000000"] = "bench"
    house.catalog.intern(SeriesKey("ESP_000000", Bus.I2C, "68", "sht31_temp"), 22, "K", 0)
    house.publish((1, 2.0))
    (message,) = house.take(feed)
    assert message["data"]["zone_id"] == "bench"  # type: ignore[index]
    assert message["data"]["unit"] == "K"  # type: ignore[index]
    assert message["data"]["gpio"] == 22  # type: ignore[index]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ('{"action":"subscribe","filters":{"esp_ids":["ESP_000001"]}}', [3, 4]),
        ('{"action":"subscribe","filters":{"sensor_types":["SHT31_HUMIDITY"]}}', [2, 4, 6]),
        ('{"action":"subscribe","filters":{"esp_ids":["ESP_000001"],"sensor_types":["sht31_temp"]}}', [3]),
        ('{"action":"subscribe","filters":{"types":["esp_health"]}}', []),
        ('{"action":"subscribe","filters":{"types":["sensor_data"]}}', [1, 2, 3, 4, 5, 6]),
        ('{"action":"unsubscribe"}', []),
        ('{"type":"subscribe","topic":"sensor_data/ESP_000002"}', [5, 6]),
        ('{"type":"subscribe","topics":["sensor_data/ESP_000002","sensor_data/ESP_000000"]}', [1, 2, 5, 6]),
    ],
)
def test_a_client_gets_what_it_asked_for(wish: str, expected: list[int]) -> None:
    house = House(3)
    feed = house.join(wish)
    house.publish(*((i, 1.0) for i in range(1, 7)))
    assert [series_id for series_id, _ in values(house.take(feed))] == expected


def test_a_sensor_that_appears_later_is_seen_by_those_who_asked_for_it() -> None:
    house = House(1)
    feed = house.join('{"action":"subscribe","filters":{"esp_ids":["ESP_NEW"]}}')
    other = house.join('{"action":"subscribe","filters":{"esp_ids":["ESP_000000"]}}')
    house.publish((1, 1.0))
    series_id, _ = house.add("ESP_NEW")
    house.publish((series_id, 7.0))
    assert values(house.take(feed)) == [(series_id, 7.0)]
    assert values(house.take(other)) == [(1, 1.0)]


def test_what_waits_of_an_unwanted_series_is_forgotten() -> None:
    house = House(2)
    feed = house.join()
    house.publish((1, 1.0), (3, 1.0))
    house.say(feed, '{"type":"subscribe","topic":"sensor_data/ESP_000001"}')
    assert values(house.take(feed)) == [(3, 1.0)]
    assert house.hub.statistics().coalesced == 0


def test_clients_are_served_apart() -> None:
    house = House(2)
    quick, slow = house.join(), house.join()
    for i in range(1000):
        house.publish((1, float(i)), (2, float(i)))
        assert len(house.take(quick)) == 2
    assert slow.series_waiting == 2
    assert values(house.take(slow)) == [(1, 999.0), (2, 999.0)]
    assert house.hub.statistics().coalesced == 1998


def test_events_keep_their_order_and_none_is_left_out() -> None:
    house = House(1)
    feed = house.join()
    for i in range(MOST_EVENTS):
        house.hub.publish_event("actuator_alert", {"esp_id": "ESP_000000", "n": i})
    sent = events(house.hub, feed)
    assert [message["data"]["n"] for message in sent] == list(range(MOST_EVENTS))
    assert not feed.overflowed


def test_a_client_that_lets_events_pile_up_is_given_up_and_its_memory_freed() -> None:
    house = House(1)
    woken: list[bool] = []
    feed = house.hub.join("c", lambda: woken.append(feed.overflowed))
    for i in range(MOST_EVENTS + 10):
        house.hub.publish_event("actuator_alert", {"n": i})
    assert feed.overflowed
    assert feed.events_waiting == 0
    assert woken[-1]


def test_an_event_carries_both_names_of_its_type_and_its_correlation_id() -> None:
    house = House(1)
    feed = house.join()
    house.hub.publish_event("actuator_response", {"esp_id": "ESP_000000"}, correlation_id="abc")
    (message,) = events(house.hub, feed)
    assert message == {
        "type": "actuator_response",
        "event_type": "actuator_response",
        "timestamp": NOW,
        "data": {"esp_id": "ESP_000000"},
        "correlation_id": "abc",
    }


def test_an_event_about_no_device_passes_a_filter_on_devices() -> None:
    house = House(1)
    feed = house.join('{"action":"subscribe","filters":{"esp_ids":["ESP_000000"]}}')
    house.hub.publish_event("system_event", {"message": "disk full"})
    house.hub.publish_event("esp_health", {"esp_id": "ESP_OTHER"})
    assert [message["type"] for message in events(house.hub, feed)] == ["system_event"]


def test_without_clients_nothing_is_kept_and_the_columns_are_not_looked_at() -> None:
    house = House(1)
    # A series id that the catalogue does not know would raise if anybody looked.
    house.publish((99, 1.0))
    assert house.hub.statistics().readings == 0


def test_a_client_that_left_stays_in_the_counts() -> None:
    house = House(1)
    feed = house.join()
    house.publish((1, 1.0), (1, 2.0))
    house.take(feed)
    house.hub.leave(feed)
    figures = house.hub.statistics()
    assert (figures.clients, figures.clients_total, figures.sent, figures.coalesced) == (0, 1, 1, 1)


def test_a_paced_client_is_not_woken_by_readings_but_by_events() -> None:
    house = House(1)
    woken: list[str] = []
    feed = house.hub.join("c", lambda: woken.append("!"))
    feed.listening = False
    house.publish((1, 1.0))
    assert woken == []
    house.hub.publish_event("esp_health", {})
    assert woken == ["!"]


def test_the_intakes_arrays_are_copied() -> None:
    house = House(1)
    feed = house.join()
    columns = Columns.from_readings([Reading(1, 0, 0, 1.0, 21.0, Quality.GOOD)])
    house.hub.publish_readings(columns)
    columns.value[:] = 99.0
    assert values(house.take(feed)) == [(1, 21.0)]


@settings(max_examples=60)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(1, 20), st.floats(-1e6, 1e6)), min_size=1, max_size=30), max_size=15
    ),
    limits=st.lists(st.integers(1, 7), min_size=1, max_size=15),
)
def test_in_the_end_every_series_was_sent_its_last_value_in_order(
    batches: list[list[tuple[int, float]]], limits: list[int]
) -> None:
    house = House(10)
    feed = house.join()
    seen: dict[int, float] = {}
    for i, batch in enumerate(batches):
        house.publish(*batch)
        seen.update(values(house.take(feed, limits[i % len(limits)])))
    while messages := house.take(feed, 5):
        seen.update(values(messages))
    expected = {series_id: value for batch in batches for series_id, value in batch}
    assert seen.keys() == expected.keys()
    assert all(np.isclose(seen[i], expected[i]) for i in expected)
    figures = house.hub.statistics()
    assert figures.sent + figures.coalesced == figures.readings
