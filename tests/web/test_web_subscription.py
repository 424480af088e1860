"""What live clients ask for, and what they then see."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.errors import Invalid
from growy.web.subscription import (
    EVERYTHING,
    MOST_WORDS,
    Add,
    Clear,
    Filter,
    PingRequest,
    Remove,
    Replace,
    Subscription,
    Topic,
    apply,
    parse,
)


def sees(
    subscription: Subscription, event_type: str, esp_id: str | None = None, sensor_type: str | None = None
) -> bool:
    return any(wanted.admits(event_type, esp_id, sensor_type) for wanted in subscription.filters())


def after(*messages: str) -> Subscription:
    subscription = Subscription()
    for message in messages:
        subscription = apply(subscription, parse(message))
    return subscription


def test_a_fresh_client_sees_everything() -> None:
    assert sees(Subscription(), "sensor_data", "ESP_1", "ph")
    assert sees(Subscription(), "system_event")


def test_subscribe_replaces_the_filter() -> None:
    subscription = after(
        '{"action":"subscribe","filters":{"types":["sensor_data"],"esp_ids":["ESP_1"]}}',
        '{"action":"subscribe","filters":{"types":["esp_health"]}}',
    )
    assert sees(subscription, "esp_health", "ESP_2")
    assert not sees(subscription, "sensor_data", "ESP_1", "ph")


@pytest.mark.parametrize("filters", ["{}", '{"types":[]}', '{"types":null,"esp_ids":[]}'])
def test_an_empty_filter_means_everything(filters: str) -> None:
    assert after(f'{{"action":"subscribe","filters":{filters}}}').filter == EVERYTHING


def test_subscribe_without_filters_means_everything() -> None:
    assert sees(after('{"action":"unsubscribe"}', '{"action":"subscribe"}'), "sensor_data", "ESP_1", "ph")


def test_unsubscribe_ends_everything() -> None:
    subscription = after('{"type":"subscribe","topic":"sensor_data/ESP_1"}', '{"action":"unsubscribe"}')
    assert subscription.filters() == ()


def test_sensor_types_are_compared_in_any_case_and_only_where_there_is_one() -> None:
    subscription = after('{"action":"subscribe","filters":{"sensor_types":["SHT31_Temp"]}}')
    assert sees(subscription, "sensor_data", "ESP_1", "sht31_temp")
    assert not sees(subscription, "sensor_data", "ESP_1", "ph")
    assert sees(subscription, "esp_health", "ESP_1")


def test_the_first_topic_replaces_everything_and_further_ones_add() -> None:
    subscription = after(
        '{"type":"subscribe","topic":"sensor_data/ESP_1"}',
        '{"type":"subscribe","topics":["esp_health","ai/ESP_3"]}',
    )
    assert sees(subscription, "sensor_data", "ESP_1")
    assert not sees(subscription, "sensor_data", "ESP_2")
    assert sees(subscription, "esp_health", "ESP_2")
    assert sees(subscription, "ai", "ESP_3")


def test_a_topic_adds_to_a_filter_and_can_be_taken_away_again() -> None:
    both = after(
        '{"action":"subscribe","filters":{"types":["esp_health"]}}',
        '{"type":"subscribe","topic":"sensor_data/ESP_1"}',
    )
    assert sees(both, "esp_health", "ESP_9")
    assert sees(both, "sensor_data", "ESP_1")
    one = apply(both, parse('{"type":"unsubscribe","topic":"sensor_data/ESP_1"}'))
    assert not sees(one, "sensor_data", "ESP_1")
    assert sees(one, "esp_health", "ESP_9")


@pytest.mark.parametrize("wildcard", ["*", "+", "#"])
def test_a_wildcard_in_the_place_of_the_device_means_all(wildcard: str) -> None:
    assert parse(f'{{"type":"subscribe","topic":"sensor_data/{wildcard}"}}') == Add(
        frozenset({Topic("sensor_data")})
    )


def test_messages_are_told_apart() -> None:
    assert parse('{"action":"subscribe","filters":{"types":["a"]}}') == Replace(Filter(frozenset({"a"})))
    assert parse('{"action":"unsubscribe"}') == Clear()
    assert parse('{"type":"unsubscribe","topic":"a/E"}') == Remove(frozenset({Topic("a", "E")}))
    assert parse('{"type":"ping","timestamp":17}') == PingRequest(17)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("no json", "neither JSON nor CBOR"),
        ("[" * 100_000, "neither JSON nor CBOR"),
        ("[]", "not an object"),
        ('{"action":"dance"}', "'dance'"),
        ('{"action":"subscribe","filters":[]}', "filters is not an object"),
        ('{"action":"subscribe","filters":{"types":"sensor_data"}}', "filters.types"),
        ('{"action":"subscribe","filters":{"esp_ids":[1]}}', "filters.esp_ids"),
        ('{"type":"subscribe","topic":""}', "A topic is"),
        ('{"type":"subscribe","topic":"a/b/c"}', "Unknown topic"),
        ('{"type":"subscribe","topics":[]}', "topics"),
        (json.dumps({"action": "subscribe", "filters": {"types": ["x"] * (MOST_WORDS + 1)}}), "too long"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(message: str, complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint):
        parse(message)


def test_topics_of_one_client_are_bounded() -> None:
    full = Subscription(None, frozenset(Topic(str(i)) for i in range(MOST_WORDS)), untouched=False)
    with pytest.raises(Invalid, match="topics"):
        apply(full, Add(frozenset({Topic("one more")})))


@given(
    st.one_of(
        st.text(), st.binary(), st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps)
    )
)
def test_anything_is_understood_or_refused(message: str | bytes) -> None:
    try:
        parse(message)
    except Invalid as error:
        assert str(error)  # noqa: PT017 - both ends are right, nothing else is


@given(
    st.lists(
        st.sampled_from(
            [
                Replace(Filter(frozenset({"a"}))),
                Replace(EVERYTHING),
                Clear(),
                Add(frozenset({Topic("a", "E")})),
                Remove(frozenset({Topic("a", "E")})),
            ]
        )
    )
)
def test_a_topic_just_asked_for_is_seen_whatever_came_before(
    messages: list[Replace | Clear | Add | Remove],
) -> None:
    subscription = Subscription()
    for message in messages:
        subscription = apply(subscription, message)
    assert sees(apply(subscription, Add(frozenset({Topic("b", "F")}))), "b", "F")
