"""What a live client wants to see: filters, topics and the client's messages. Pure; it must never touch a
socket.

Two dialects are spoken by the clients in the field, and one connection may mix them::

    {"action": "subscribe", "filters": {"types": [...], "esp_ids": [...], "sensor_types": [...]}}
    {"action": "unsubscribe"}
    {"type": "subscribe", "topic": "sensor_data/ESP_12AB34CD"}
    {"type": "unsubscribe", "topic": "sensor_data/ESP_12AB34CD"}
    {"type": "ping", "timestamp": 1735818000}

as JSON or CBOR. The first replaces the filter, the second ends everything, a topic is added to and taken from what is
there. A
fresh connection sees everything, until its first subscribe says what it wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from growy.model.errors import Invalid, WireError
from growy.wire import formats

SENSOR_DATA = "sensor_data"
MOST_WORDS = 1000
"""Entries of one filter list, and topics of one client. A house has 500 series; more is a mistake of the
client."""
LONGEST_WORD = 128
_ANY = frozenset({"", "*", "+", "#"})


@attrs.frozen(slots=True)
class Filter:
    """Each list is None (does not matter) or the words of which one must match; sensor types are
    lower-case."""

    types: frozenset[str] | None = None
    esp_ids: frozenset[str] | None = None
    sensor_types: frozenset[str] | None = None

    def admits(self, event_type: str, esp_id: str | None, sensor_type: str | None) -> bool:
        """An event that is not about a device, or not about a sensor, passes the filter on that."""
        return (
            (self.types is None or event_type in self.types)
            and (self.esp_ids is None or esp_id is None or esp_id in self.esp_ids)
            and (self.sensor_types is None or sensor_type is None or sensor_type in self.sensor_types)
        )


EVERYTHING = Filter()


@attrs.frozen(slots=True)
class Topic:
    """`type` or `type/ESP_...`."""

    type: str
    esp_id: str | None = None

    def __str__(self) -> str:
        return self.type if self.esp_id is None else f"{self.type}/{self.esp_id}"

    def as_filter(self) -> Filter:
        types = None if self.type in _ANY else frozenset({self.type})
        return Filter(types, None if self.esp_id is None else frozenset({self.esp_id}))


@attrs.frozen(slots=True)
class Subscription:
    """What one client sees: its filter, and every topic beside it."""

    filter: Filter | None = EVERYTHING
    topics: frozenset[Topic] = frozenset()
    untouched: bool = True
    """The client has not said anything yet: it sees everything, and its first topic replaces that."""

    def filters(self) -> tuple[Filter, ...]:
        """An event is sent when one of these admits it."""
        own = () if self.filter is None else (self.filter,)
        return own + tuple(topic.as_filter() for topic in self.topics)

    def describe(self) -> dict[str, object]:
        """For the answer to a (un)subscribe: what the client will see from now on."""
        words: dict[str, list[str] | None] | None = None
        if self.filter is not None:
            words = {
                name: None if value is None else sorted(value)
                for name, value in (
                    ("types", self.filter.types),
                    ("esp_ids", self.filter.esp_ids),
                    ("sensor_types", self.filter.sensor_types),
                )
            }
        return {"filters": words, "topics": sorted(str(topic) for topic in self.topics)}


@attrs.frozen(slots=True)
class Replace:
    """subscribe with filters."""

    filter: Filter


@attrs.frozen(slots=True)
class Clear:
    """unsubscribe without a topic."""


@attrs.frozen(slots=True)
class Add:
    """subscribe to topics."""

    topics: frozenset[Topic]


@attrs.frozen(slots=True)
class Remove:
    """unsubscribe from topics."""

    topics: frozenset[Topic]


@attrs.frozen(slots=True)
class PingRequest:
    """The client's own ping, with whatever number it put in."""

    timestamp: object = None


ClientMessage: TypeAlias = Replace | Clear | Add | Remove | PingRequest


def parse(message: str | bytes) -> ClientMessage:
    """Raises Invalid, naming what is wrong, for anything that is not one of the messages above."""
    try:
        said = formats.parse(message.encode() if isinstance(message, str) else message)
    except (WireError, UnicodeError) as error:
        raise Invalid("The message is neither JSON nor CBOR", details={"reason": str(error)[:200]}) from error
    if not isinstance(said, dict):
        raise Invalid("The message is not an object")
    verb = said.get("action", said.get("type"))
    if verb == "ping":
        stamp = said.get("timestamp")
        return PingRequest(stamp if isinstance(stamp, int | float | str) and len(str(stamp)) <= 64 else None)
    if verb not in ("subscribe", "unsubscribe"):
        raise Invalid(
            f"Unknown message {str(verb)[:64]!r}",
            cure="Known: subscribe, unsubscribe, ping",
        )
    topics = _topics(said)
    if verb == "subscribe":
        return Add(topics) if topics else Replace(_filter(said.get("filters")))
    return Remove(topics) if topics else Clear()


def apply(subscription: Subscription, message: ClientMessage) -> Subscription:
    """The subscription after the message. Raises Invalid when it would grow beyond MOST_WORDS topics."""
    match message:
        case Replace(filter=wanted):
            return Subscription(wanted, subscription.topics, untouched=False)
        case Clear():
            return Subscription(None, untouched=False)
        case Add(topics=topics):
            together = subscription.topics | topics
            if len(together) > MOST_WORDS:
                raise Invalid(f"More than {MOST_WORDS} topics", cure="Use one subscribe with filters instead")
            own = None if subscription.untouched else subscription.filter
            return Subscription(own, together, untouched=False)
        case Remove(topics=topics):
            return attrs.evolve(subscription, topics=subscription.topics - topics)
        case _:
            return subscription


def _filter(said: object) -> Filter:
    if said is None:
        return EVERYTHING
    if not isinstance(said, dict):
        raise Invalid("filters is not an object")
    kinds = _words(said, "sensor_types")
    return Filter(
        _words(said, "types"),
        _words(said, "esp_ids"),
        None if kinds is None else frozenset(kind.lower() for kind in kinds),
    )


def _words(said: Mapping[str, object], name: str) -> frozenset[str] | None:
    """An absent or empty list means "does not matter": that is how the existing clients say "all"."""
    words = said.get(name)
    if words is None or words == []:
        return None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Invalid(f"filters.{name} is not a list of strings")
    if len(words) > MOST_WORDS or any(len(word) > LONGEST_WORD for word in words):
        raise Invalid(
            f"filters.{name} is too long", cure=f"At most {MOST_WORDS} words of {LONGEST_WORD} characters"
        )
    return frozenset(words)


def _topics(said: Mapping[str, object]) -> frozenset[Topic]:
    named = said.get("topics", said.get("topic"))
    if named is None:
        return frozenset()
    names = named if isinstance(named, list) else [named]
    if not names or len(names) > MOST_WORDS:
        raise Invalid(f"topics must name 1 to {MOST_WORDS} topics")
    return frozenset(_topic(name) for name in names)


def _topic(name: object) -> Topic:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_WORD:
        raise Invalid(f"A topic is a string of 1 to {LONGEST_WORD} characters, like sensor_data/ESP_12AB34CD")
    kind, _, esp_id = name.partition("/")
    if "/" in esp_id:
        raise Invalid(
            f"Unknown topic {name!r}", cure="A topic is type or type/esp_id, like sensor_data/ESP_12AB34CD"
        )
    return Topic(kind, None if esp_id in _ANY else esp_id)
