"""What the rule engine wants done, in values. It never calls out: whoever runs it acts on these, in their order."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

import attrs
import msgspec

from growy.model.control import ActuatorKey, Claim
from growy.model.rules import Channel


@attrs.frozen(slots=True)
class Hold:
    """The claim lives from now on, in place of what its holder claimed of the actuator before."""

    claim: Claim


@attrs.frozen(slots=True)
class Release:
    """The holder's claim on the actuator is over. Not said of one that runs out by its own `until`."""

    holder: str
    actuator: ActuatorKey


@attrs.frozen(slots=True)
class ReleaseAll:
    """Every claim whose holder begins so is over: the rule is off, gone, or no longer knows what it acts upon."""

    prefix: str
    """`rule:{id}/`."""


@attrs.frozen(kw_only=True, slots=True)
class Post:
    """Tell people. Nobody waits for it."""

    channel: Channel
    text: str
    """Filled in."""
    target: str
    """A webhook's URL."""
    severity: str
    rule_id: str
    rule_name: str
    trigger: Mapping[str, object]
    """`sensor_value`, `esp_id`, `gpio`, `sensor_type`, `timestamp` (Unix seconds): what made the rule act."""


class Result(enum.StrEnum):
    """What became of one action of an execution. A refusal of the gate also carries its code: `refused:INTERLOCK`."""

    ACKNOWLEDGED = "acknowledged"
    """The device has done it; of what is not a command: it was done."""
    REFUSED = "refused"
    """By the safety gate."""
    REJECTED = "rejected"
    """By the device."""
    UNKNOWN = "unknown"
    """Nobody answered."""
    SKIPPED = "skipped"
    """Its turn never came, or there was nothing to do any more."""
    SUPERSEDED = "superseded"
    """A higher claim, or the end of the rule, came before the answer."""


class ActionOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One action of an execution."""

    index: int
    """Place in the rule's list."""
    what: str
    """For people: `switch ESP_00AA01:18 ON`."""
    result: str
    """A `Result`, with the code behind a colon where there is one; "" while it is under way."""


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the history: said when an execution begins, and again, whole, when the end of every action is known.

    A struct, which is made four times as fast: two for each rule that switches.
    """

    id: int
    """Rises over all rules."""
    rule_id: str
    rule_name: str
    correlation_id: str
    """The same as on the claims and commands that it made."""
    trigger: Mapping[str, object]
    actions: tuple[ActionOutcome, ...]
    begun_ms: int
    ended_ms: int | None = None
    """None: it is under way."""
    success: bool | None = None
    """Every action was acknowledged. None: it is under way."""
    error: str = ""
    """What was not acknowledged, for people."""


@attrs.frozen(slots=True)
class Happened:
    """Tell those who watch, under the event names of the WebSocket."""

    event: str
    data: Mapping[str, object]
    correlation_id: str = ""


Effect: TypeAlias = Hold | Release | ReleaseAll | Post | Execution | Happened
