"""One frame with all that is due: the same in CBOR as in JSON, and the same as single messages say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.live import messages

from growy.model.reading import Bus, Columns, Quality, Reading, SeriesKey
from growy.store.catalog import Catalog
from growy.web.events import Dialect
from growy.web.feed import Feed
from growy.web.live import LiveHub
from growy.web.subscription import parse

NOW = 1_760_000_000
TS = 1_759_999_999_123
BATCHED = [Dialect.JSON, Dialect.CBOR]


class House:
    """A hub over one SHT31 per device."""

    def __init__(self, devices: int = 2) -> None:
        self.catalog = Catalog()
        self.zones: dict[str, str] = {}
        self.hub = LiveHub(self.catalog, self.zones.get, now=lambda: NOW)
        for i in range(devices):
            for kind, unit in (("sht31_temp", "°C"), ("sht31_humidity", "%RH")):
                self.catalog.intern(SeriesKey(f"ESP_{i:06X}", Bus.I2C, "68", kind), 21, unit, 0)

    def join(self) -> Feed:
        return self.hub.join("c", lambda: None)

    def publish(self, *readings: tuple[int, float | None], raw: float = 100, ts_ms: int = TS) -> None:
        rows = [Reading(series, ts_ms, 0, raw, value, Quality.GOOD) for series, value in readings]
        self.hub.publish_readings(Columns.from_readings(rows))

    def batch(self, feed: Feed, dialect: Dialect, limit: int = 1000) -> dict[str, Any]:
        (message,) = messages(self.hub.take_all(feed, dialect, limit))
        return message


@pytest.mark.parametrize("dialect", BATCHED)
def test_readings_come_as_columns_and_each_series_is_introduced_once(dialect: Dialect) -> None:
    house = House(1)
    house.zones["ESP_000000"] = "tent"
    feed = house.join()
    house.publish((1, 21.5), (2, None))
    assert house.batch(feed, dialect) == {
        "type": "batch",
        "event_type": "batch",
        "timestamp": NOW,
        "data": {
            "series": [
                {
                    "esp_id": "ESP_000000",
                    "gpio": 21,
                    "sensor_type": kind,
                    "unit": unit,
                    "zone_id": "tent",
                    "series_id": series_id,
                    "bus": "i2c",
                    "address": "68",
                    "i2c_address": 68,
                }
                for series_id, kind, unit in ((1, "sht31_temp", "°C"), (2, "sht31_humidity", "%RH"))
            ],
            "readings": {
                "series_id": [1, 2],
                "timestamp_ms": [TS, TS],
                "value": [21.5, None],
                "raw_value": [100, 100],
                "quality": ["good", "good"],
            },
        },
    }
    house.publish((2, 55.0))
    assert set(house.batch(feed, dialect)["data"]) == {"readings"}


@pytest.mark.parametrize("dialect", BATCHED)
def test_a_series_is_introduced_again_when_it_has_changed(dialect: Dialect) -> None:
    house = House(1)
    feed = house.join()
    house.publish((1, 1.0), (2, 1.0))
    house.batch(feed, dialect)
    house.catalog.intern(SeriesKey("ESP_000000", Bus.I2C, "68", "sht31_temp"), 22, "K", 0)
    house.publish((1, 2.0), (2, 2.0))
    (again,) = house.batch(feed, dialect)["data"]["series"]
    assert (again["series_id"], again["gpio"], again["unit"]) == (1, 22, "K")
    house.zones["ESP_000000"] = "bench"
    house.publish((1, 3.0), (2, 3.0))
    assert [one["zone_id"] for one in house.batch(feed, dialect)["data"]["series"]] == ["bench", "bench"]


@pytest.mark.parametrize("dialect", BATCHED)
def test_events_are_in_the_frame_as_they_would_be_alone(dialect: Dialect) -> None:
    house = House(1)
    feed = house.join()
    house.hub.publish_event("actuator_response", {"esp_id": "ESP_000000", "success": True}, "c-1")
    house.hub.publish_event("system_event", {"message": "°"})
    house.publish((1, 1.0))
    message = house.batch(feed, dialect)
    assert message["data"]["events"] == [
        {
            "type": "actuator_response",
            "event_type": "actuator_response",
            "timestamp": NOW,
            "data": {"esp_id": "ESP_000000", "success": True},
            "correlation_id": "c-1",
        },
        {"type": "system_event", "event_type": "system_event", "timestamp": NOW, "data": {"message": "°"}},
    ]
    assert message["data"]["readings"]["series_id"] == [1]


def test_nothing_due_is_no_frame() -> None:
    house = House(1)
    assert house.hub.take_all(house.join(), Dialect.CBOR, 100) == b""


def test_clients_that_watch_the_same_share_what_is_made() -> None:
    house = House(50)
    feeds = [house.join() for _ in range(3)]
    wish = parse('{"type":"subscribe","topic":"sensor_data"}')
    for feed in feeds:
        house.hub.obey(feed, wish)
    everything = [(series, 1.0) for series in range(1, 101)]
    house.publish(*everything)
    for feed in feeds:
        house.hub.take_all(feed, Dialect.CBOR, 100)
    house.publish(*everything)
    one, two, three = (house.hub.take_all(feed, Dialect.CBOR, 100) for feed in feeds)
    assert one is two is three
    house.publish(*everything)
    one, two, three = (house.hub.take(feed, 100) for feed in feeds)
    assert one is two is three


def test_a_hundred_series_cost_a_tenth_of_single_messages() -> None:
    house = House(50)
    plain, batched = house.join(), house.join()
    for i in range(2):
        house.publish(*((series, 21.0625 + i) for series in range(1, 101)), raw=337)
        single, together = house.hub.take(plain, 100), house.hub.take_all(batched, Dialect.CBOR, 100)
    assert len(messages(single)) == 100
    assert len(together) < len(single) / 9


def flat(message: dict[str, Any], heads: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The single messages that a batch stands for: what a client makes of it."""
    data = message["data"]
    heads.update((one["series_id"], one) for one in data.get("series", ()))
    told = list(data.get("events", ()))
    for name in ("replayed", "readings"):
        columns = data.get(name, {"series_id": []})
        for at, series_id in enumerate(columns["series_id"]):
            ts_ms = columns["timestamp_ms"][at]
            values = {
                field: columns[field][at] for field in ("value", "raw_value", "quality", "timestamp_ms")
            }
            again = {"replayed": True} if name == "replayed" else {}
            told.append(
                {
                    "type": "sensor_data",
                    "event_type": "sensor_data",
                    "timestamp": message["timestamp"],
                    "data": heads[series_id] | values | again | {"timestamp": ts_ms // 1000},
                }
            )
    return told


numbers = st.one_of(
    st.none(),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1e-300, 1.5, math.inf, -math.inf, 2.0**53, 1e22]),
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
steps = st.one_of(
    st.tuples(
        st.just("readings"),
        st.lists(st.tuples(st.integers(1, 6), numbers), min_size=1, max_size=8),
        st.one_of(st.integers(0, 2**31).map(float), st.floats(allow_nan=False)),
    ),
    st.tuples(st.just("event"), st.dictionaries(st.text(), json_values, max_size=3), st.none()),
    st.tuples(
        st.just("subscribe"),
        st.sampled_from(['{"action":"subscribe"}', '{"type":"subscribe","topic":"x"}']),
        st.none(),
    ),
    st.tuples(st.just("zone"), st.sampled_from(["tent", "bench"]), st.none()),
    st.tuples(st.just("take"), st.just(0), st.none()),
)


@settings(max_examples=150)
@given(st.lists(steps, max_size=20))
def test_cbor_json_and_single_messages_say_the_same(steps: Sequence[tuple[str, Any, Any]]) -> None:
    house = House(3)
    plain, as_json, as_cbor = feeds = [house.join() for _ in range(3)]
    heads: dict[Feed, dict[int, dict[str, Any]]] = {as_json: {}, as_cbor: {}}

    def compare() -> None:
        single = messages(house.hub.take_events(plain, 5000) + house.hub.take(plain, 1000))
        json_said, cbor_said = (
            messages(house.hub.take_all(feed, dialect, 5000))
            for feed, dialect in ((as_json, Dialect.JSON), (as_cbor, Dialect.CBOR))
        )
        assert repr(json_said) == repr(cbor_said)
        assert [one for message in json_said for one in flat(message, heads[as_json])] == single

    for what, with_, raw in [*steps, ("take", 0, None)]:
        if what == "readings":
            house.publish(*with_, raw=raw)
        elif what == "event":
            house.hub.publish_event("system_event", with_)
        elif what == "subscribe":
            for feed in feeds:
                house.hub.obey(feed, parse(with_))
                house.hub.replay(feed, parse(with_))
        elif what == "zone":
            house.zones["ESP_000001"] = with_
        else:
            compare()
