"""What a node leaves to the next owner of a device: what runs, why, and what its rules know. Values only.

Times that end in `_ms` are Unix ms of the node that let go; nodes of a tree keep their clocks by NTP.
"""

from __future__ import annotations

import msgspec

from growy.model.control import Ledger


class HeldOutput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One actuator at the moment of a hand-over."""

    gpio: int
    value: float | None
    """0 to 1, as its device said; None: nobody knows."""
    ledger: Ledger | None = None
    """Its account: limits of run time, pauses and doses go on where they were."""
    person: bytes = b""
    """What a person wants of it, as it stands in growy.db; empty: nobody does."""


class RuleMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule remembers: latches, timers, sequences, as `rule_states` has it."""

    rule_id: str
    state: bytes


class LastValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest good value of a series, so that rules need not begin without any."""

    esp_id: str
    bus: str
    address: str
    value_type: str
    gpio: int
    unit: str
    value: float
    age_s: float


class HandedOver(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a device was doing when its owner let go of it."""

    taken_ms: int
    outputs: tuple[HeldOutput, ...] = ()
    rules: tuple[RuleMemory, ...] = ()
    values: tuple[LastValue, ...] = ()


class MovedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as people wrote it."""

    id: str
    document: str
    """JSON."""
    created_ms: int
    updated_ms: int


class DeviceDocuments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that a node needs on its disk before a device can be its own."""

    esp_id: str
    record: str
    """JSON of the fleet: what the device says of itself..."""
    setup: str
    """...and what people decided and set up, calibrations too."""
    first_seen_ms: int = 0
    last_seen_ms: int = 0
    rules: tuple[MovedRule, ...] = ()
    """Those that switch something on it."""
    interlocks: tuple[str, ...] = ()
    """JSON."""
