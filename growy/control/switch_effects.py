"""What the switchboard wants done and told. Values only."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from growy.control.output_state import Ended, Reported, Switched, Transmit
from growy.model.control import ActuatorKey, Claim, Ledger, Refusal


@attrs.frozen(slots=True)
class Kept:
    """An account has changed; it must outlive a restart."""

    actuator: ActuatorKey
    ledger: Ledger | None
    """None: the actuator is gone."""
    urgent: bool
    """What it may do after a restart is judged by it. Else it only goes on being counted."""


@attrs.frozen(slots=True)
class Refused:
    """The gate says no to the highest claim."""

    claim: Claim
    refusal: Refusal


@attrs.frozen(slots=True)
class Contested:
    """A claim does not have its way because another goes before it."""

    winner: Claim
    loser: Claim


@attrs.frozen(slots=True)
class Satisfied:
    """The output is as the claim wants it, and the device has said so."""

    claim: Claim


@attrs.frozen(slots=True)
class Oscillates:
    """Rules switch the actuator to and fro; it is held off until then. None: it may go on again."""

    actuator: ActuatorKey
    until: float | None


SwitchEffect: TypeAlias = (
    Transmit | Ended | Switched | Reported | Kept | Refused | Contested | Satisfied | Oscillates
)
