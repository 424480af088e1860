"""Topics: what is built is parsed, what is subscribed is disjoint, what is not of the protocol is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_samples import builders

from growy.model.errors import WireError
from growy.wire import topics
from growy.wire.topics import HARD_WIRED_TO_GOD, Topic, TopicKind, device_topic, parse_topic, subscriptions

kaiser_ids = st.from_regex(r"[A-Za-z0-9_-]{1,63}", fullmatch=True)
esp_ids = st.from_regex(r"ESP_[0-9A-F]{6,8}|MOCK_[A-Z0-9]{1,20}", fullmatch=True)


@st.composite
def device_topics(draw: st.DrawFn) -> Topic:
    kind = draw(st.sampled_from(TopicKind))
    gpio = draw(st.integers(0, 255)) if kind.has_gpio else None
    return Topic(draw(kaiser_ids), draw(esp_ids), kind, gpio)


def matches(pattern: str, topic: str) -> bool:
    """MQTT 3.1.1, section 4.7, without `#`."""
    levels, words = pattern.split("/"), topic.split("/")
    return len(levels) == len(words) and all(
        level in ("+", word) for level, word in zip(levels, words, strict=True)
    )


@given(device_topics())
def test_what_is_built_is_parsed(topic: Topic) -> None:
    assert parse_topic(device_topic(topic)) == topic
    assert parse_topic(device_topic(topic).encode()) == topic


@given(st.binary(max_size=80) | st.text(max_size=80))
def test_any_other_topic_is_refused_in_words(topic: bytes | str) -> None:
    with pytest.raises(WireError) as caught:
        parse_topic(topic)
    assert caught.value.reason in ("unknown_topic", "bad_utf8")


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (b"kaiser/god/esp/ESP_EA5484/sensor/4", "unknown_topic"),
        (b"kaiser/god/esp/ESP_EA5484/sensor/4/data/x", "unknown_topic"),
        (b"kaiser/god/esp/ESP_EA5484/sensor//data", "bad_gpio"),
        (b"kaiser/god/esp/ESP_EA5484/sensor/256/data", "bad_gpio"),
        (b"kaiser/god/esp/ESP_EA5484/sensor/-1/data", "bad_gpio"),
        (b"kaiser/god/esp/ESP_EA5484/sensor/007/data", "bad_gpio"),
        ("kaiser/god/esp/ESP_EA5484/sensor/٤/data", "bad_gpio"),
        (b"kaiser/god/esp/ESP_EA5484/actuator/emergency/status", "bad_gpio"),
        (b"kaiser/god/esp/ESP_EA5484/heartbeat", "unknown_topic"),
        (b"kaiser/god/esp/ESP_EA5484/system/heartbeat/ack", "unknown_topic"),
        (b"kaiser/god/server/status", "unknown_topic"),
        (b"kaiser//esp/ESP_EA5484/system/heartbeat", "unknown_topic"),
        (b"kaiser/god/esp/ESP_ea5484/system/heartbeat", "bad_esp_id"),
        (b"kaiser/god/esp/ESP_EA548/system/heartbeat", "bad_esp_id"),
        (b"kaiser/god/esp/ESP_EA5484123/system/heartbeat", "bad_esp_id"),
        (b"kaiser/god/esp/MOCK_/system/heartbeat", "bad_esp_id"),
        (b"kaiser/god/esp/+/system/heartbeat", "bad_esp_id"),
        (b"kaiser/god/esp/ESP_EA5484/sensor/4/data\xff", "bad_utf8"),
    ],
)
def test_a_refusal_says_why(topic: bytes | str, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        parse_topic(topic)
    assert caught.value.reason == reason


def test_the_hard_wired_topics_are_taken_from_any_kaiser() -> None:
    topic = parse_topic(b"kaiser/god/esp/ESP_EA5484/session/announce")

    assert topic == Topic("god", "ESP_EA5484", TopicKind.SESSION_ANNOUNCE, None)


@pytest.mark.parametrize("kaiser_id", ["god", "kaiser_7"])
@given(data=st.data())
def test_every_topic_of_a_device_is_subscribed_exactly_once(kaiser_id: str, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(TopicKind))
    gpio = data.draw(st.integers(0, 255)) if kind.has_gpio else None
    published_under = "god" if kind in HARD_WIRED_TO_GOD else kaiser_id
    topic = device_topic(Topic(published_under, data.draw(esp_ids), kind, gpio))

    hits = [pattern for pattern, _ in subscriptions() if matches(pattern, topic)]

    assert len(hits) == 1


def test_growyd_hears_nothing_that_it_says_itself() -> None:
    said = [build(*arguments) for build, arguments in builders()]

    assert not [
        (pattern, topic) for pattern, _ in subscriptions() for topic in said if matches(pattern, topic)
    ]


def test_all_subscriptions_are_at_least_once() -> None:
    assert {qos for _, qos in subscriptions()} == {1}


def test_the_topics_growyd_speaks_on() -> None:
    assert {build(*arguments) for build, arguments in builders()} == {
        "kaiser/god/server/status",
        "kaiser/broadcast/emergency",
        "kaiser/god/esp/ESP_EA5484/system/heartbeat/ack",
        "kaiser/god/esp/ESP_EA5484/config",
        "kaiser/god/esp/ESP_EA5484/actuator/4/command",
        "kaiser/god/esp/ESP_EA5484/actuator/emergency",
        "kaiser/god/esp/ESP_EA5484/sensor/4/command",
        "kaiser/god/esp/ESP_EA5484/sensor/4/processed",
        "kaiser/god/esp/ESP_EA5484/pi_enhanced/response",
        "kaiser/god/esp/ESP_EA5484/system/command",
        "kaiser/god/esp/ESP_EA5484/zone/assign",
        "kaiser/god/esp/ESP_EA5484/subzone/assign",
        "kaiser/god/esp/ESP_EA5484/subzone/remove",
        "kaiser/god/esp/ESP_EA5484/subzone/safe",
    }


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: topics.config("god", "ESP_+"), "bad_esp_id"),
        (lambda: topics.config("a/b", "ESP_EA5484"), "unknown_topic"),
        (lambda: topics.actuator_command("god", "ESP_EA5484", 256), "bad_gpio"),
        (lambda: topics.server_status("#"), "unknown_topic"),
        (lambda: device_topic(Topic("god", "ESP_EA5484", TopicKind.SENSOR_DATA, None)), "bad_gpio"),
    ],
)
def test_no_topic_is_built_from_an_id_that_would_change_its_meaning(build: object, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        build()
    assert caught.value.reason == reason
