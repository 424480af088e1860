"""The `config` document: what of a device's setup travels in one message. Never more than the firmware can parse.

The firmware takes a text of at most 4,351 bytes and 480 members and array elements, nested ones included; larger ones
it refuses whole. A push is merged on the device, so sensors and actuators may be spread over several. Offline rules are
replaced as one list, which therefore cannot be split.

`generation`, `created_at_ms` and `ttl_ms` are never sent. A Pi whose clock was set back would make the device refuse
the first as old, and the device compares the others with its time since boot.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs
import msgspec

from growy.model.errors import ConfigTooLarge
from growy.model.setup import MAX_OFFLINE_RULES
from growy.wire.limits import MAX_ID, check_id, nodes

MAX_CHARACTERS = 4351
"""Bytes of UTF-8, as the firmware counts characters."""
MAX_NODES = 480

Item: TypeAlias = Mapping[str, object]
Keyed: TypeAlias = tuple[str, Item]

_encode = msgspec.json.Encoder().encode


class Scope(enum.StrEnum):
    """A part of the document, which the device applies and answers by itself. Offline rules it does not answer."""

    SENSOR = "sensor"
    ACTUATOR = "actuator"
    OFFLINE_RULES = "offline_rules"


@attrs.frozen(kw_only=True)
class Document:
    """A `config` message."""

    payload: bytes
    keys: tuple[str, ...]
    """Of the items that it brings; not of those that only keep them company."""
    scopes: frozenset[Scope]
    """Which the device will act upon, company included."""


@attrs.frozen(kw_only=True)
class Budget:
    """What a document with nothing but one item, or one list of rules, takes of the largest there may be."""

    characters: int
    """Bytes of UTF-8."""
    nodes: int
    of_characters: int = MAX_CHARACTERS
    of_nodes: int = MAX_NODES

    @property
    def fits(self) -> bool:
        return self.characters <= self.of_characters and self.nodes <= self.of_nodes

    def details(self) -> dict[str, object]:
        """As the HTTP error shape carries it."""
        return attrs.asdict(self) | {"fits": self.fits}


def budget_of(item: Item | Sequence[Item]) -> Budget:
    """What a sensor's or actuator's item, or the whole list of offline rules, takes in a document of its own."""
    # As bad as it can come: the longest id, the longer of the two names that an item's scope can have.
    scope: dict[str, object] = (
        {"actuators": [item]} if isinstance(item, Mapping) else {"offline_rules": list(item)}
    )
    body = _body("x" * MAX_ID, scope)
    return Budget(characters=len(_encode(body)), nodes=nodes(body))


def refuse_too_large(what: str, item: Item | Sequence[Item]) -> None:
    """Nothing, if the item or the list of offline rules can be told to a device at all.

    Args:
        what: names it in the error: `sensor 'Air bench A'`.

    Raises:
        ConfigTooLarge: its details are the budget.
    """
    fault = _fault(what, item)
    if fault is not None:
        raise fault


def first_document(
    correlation_id: str,
    *,
    sensors: Sequence[Keyed],
    actuators: Sequence[Keyed],
    rules: tuple[str, Sequence[Item]] | None,
    both_scopes: bool = False,
    fill_sensor: Item | None = None,
    fill_actuator: Item | None = None,
) -> Document:
    """The next document for a device. What it does not bring is for the one after it, under another id.

    Everything at once if it fits; else the sensors, then the actuators, then the rules; of a scope that does not fit
    as many items as do, in their order.

    Args:
        correlation_id: becomes the intent id too; fresh for each attempt, because the device reports only the first
            end of an id.
        sensors, actuators: (key, item) of what the device has yet to be told.
        rules: (key, items) of the whole list; an empty list clears the rules of the device, None leaves them.
        both_scopes: the device is of the firmware of 2025-12, which refuses a document without a sensor and an
            actuator. A missing one is taken from what else is to be told, or is the filler.
        fill_sensor, fill_actuator: an item that the device has already, unchanged.

    Raises:
        ConfigTooLarge: the first item, or the list of rules, fits no document; its details name the key.
        Invalid: the id.
        ValueError: there is nothing to tell.
    """
    if not sensors and not actuators and rules is None:
        raise ValueError("a config document without anything in it")
    check_id(correlation_id)
    if rules is not None and len(rules[1]) > MAX_OFFLINE_RULES:
        raise _culprit([rules])
    offer = _Draft(
        sensors=tuple(sensors),
        actuators=tuple(actuators),
        rules=rules,
        fill_sensor=fill_sensor if both_scopes else None,
        fill_actuator=fill_actuator if both_scopes else None,
    )
    for draft in _by_size(offer, both_scopes):
        document = draft.document(correlation_id)
        if document is not None:
            return document
    raise _culprit([*offer.sensors, *offer.actuators, *([rules] if rules else [])])


@attrs.frozen(kw_only=True)
class _Draft:
    """What a document could bring."""

    sensors: tuple[Keyed, ...]
    actuators: tuple[Keyed, ...]
    rules: tuple[str, Sequence[Item]] | None
    fill_sensor: Item | None
    fill_actuator: Item | None

    def document(self, correlation_id: str) -> Document | None:
        """None if it is too large for the device."""
        sensors, actuators = (
            _items(self.sensors, self.fill_sensor),
            _items(self.actuators, self.fill_actuator),
        )
        scopes: dict[Scope, tuple[str, list[Item]]] = {}
        if sensors:
            scopes[Scope.SENSOR] = ("sensors", sensors)
        if actuators:
            scopes[Scope.ACTUATOR] = ("actuators", actuators)
        if self.rules is not None:
            scopes[Scope.OFFLINE_RULES] = ("offline_rules", list(self.rules[1]))
        body = _body(correlation_id, dict(scopes.values()))
        payload = _encode(body)
        if len(payload) > MAX_CHARACTERS or nodes(body) > MAX_NODES:
            return None
        keys = [key for key, _ in (*self.sensors, *self.actuators)]
        if self.rules is not None:
            keys.append(self.rules[0])
        return Document(payload=payload, keys=tuple(keys), scopes=frozenset(scopes))


def _by_size(offer: _Draft, both_scopes: bool) -> Iterator[_Draft]:
    """The whole offer; then less and less of its first scope that has anything, alone as far as the device allows."""
    yield offer
    # Where both are demanded, something that is due anyway is better company than something the device has.
    least = 1 if both_scopes else 0
    if offer.sensors:
        for count in range(len(offer.sensors), 0, -1):
            yield attrs.evolve(
                offer, sensors=offer.sensors[:count], actuators=offer.actuators[:least], rules=None
            )
    elif offer.actuators:
        for count in range(len(offer.actuators), 0, -1):
            yield attrs.evolve(offer, actuators=offer.actuators[:count], rules=None)


def _items(keyed: tuple[Keyed, ...], filler: Item | None) -> list[Item]:
    if keyed:
        return [item for _, item in keyed]
    return [] if filler is None else [filler]


def _body(correlation_id: str, scopes: Mapping[str, object]) -> dict[str, object]:
    return {"correlation_id": correlation_id, "intent_id": correlation_id, **scopes}


def _fault(what: str, item: Item | Sequence[Item]) -> ConfigTooLarge | None:
    rules = None if isinstance(item, Mapping) else len(item)
    budget = budget_of(item)
    if rules is not None and rules > MAX_OFFLINE_RULES:
        return ConfigTooLarge(
            f"{what}: {rules} offline rules, and the device takes {MAX_OFFLINE_RULES}",
            cure="Leave the rest to growyd: they run while it can be reached",
            details=budget.details() | {"rules": rules, "of_rules": MAX_OFFLINE_RULES},
        )
    if budget.fits:
        return None
    return ConfigTooLarge(
        f"{what} takes {budget.characters} bytes and {budget.nodes} values of a config message; it may take "
        f"{budget.of_characters} and {budget.of_nodes}",
        cure="Shorten its name and ids" if rules is None else "Leave some rules to growyd",
        details=budget.details(),
    )


def _culprit(offered: Sequence[tuple[str, Item | Sequence[Item]]]) -> ConfigTooLarge:
    """Why nothing of the offer can be sent, with the key of the item to take out of it."""
    for key, item in offered:
        fault = _fault(key, item)
        if fault is not None:
            fault.details["key"] = key
            return fault
    key, _ = offered[0]
    return ConfigTooLarge(
        f"{key} fits a config message, but not beside the item that this firmware demands with it",
        cure="Shorten its name and ids",
        details={"key": key},
    )
