"""What emergency stops want done, what they report, and what of them must survive a restart. Values only."""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs
import msgspec

from growy.model.control import Stop

# --- effects ------------------------------------------------------------------------------------------------------


class Proof(enum.StrEnum):
    """How a device has proven that it stands still. In the order of their weight."""

    ACKNOWLEDGED = "acknowledged"
    """It answered a message of this stop."""
    LATCHED = "latched"
    """Each of its actuators reports that it is off and that its emergency latch is shut."""
    OFF = "off"
    """Each actuator reports that it is off, where the firmware can say no more, or has no latch for one alone."""
    NOTHING = "nothing"
    """Firmware without an acknowledgement that has no actuator, as far as anybody knows."""


@attrs.frozen(kw_only=True, slots=True)
class Publish:
    """Publish in the emergency lane."""

    topic: str
    payload: bytes
    esp_id: str | None = None
    """None: to all."""
    qos: int = 1
    timeout_s: float = 10.0
    """What is not away by then never will be: it is repeated anyway."""


@attrs.frozen(kw_only=True, slots=True)
class Proven:
    esp_id: str
    gpio: int | None
    """None: the device as a whole."""
    proof: Proof
    at_ms: int
    after_ms: int
    """Since the stop, or since the device came back to it."""


@attrs.frozen(kw_only=True, slots=True)
class Unproven:
    """What the device had proven is true no more. It is told again."""

    esp_id: str
    gpio: int | None
    reason: str


@attrs.frozen(kw_only=True, slots=True)
class Refused:
    """The device will not be stopped by this message: a wrong token. What is told of each reason once."""

    esp_id: str
    reason: str
    """The firmware's word: UNAUTHORIZED, NO_TOKEN_CONFIGURED..."""


@attrs.frozen(kw_only=True, slots=True)
class Cleared:
    esp_id: str
    how: str
    """`answer`, `status`, or `reboot`: the latch is in RAM only."""


@attrs.frozen(kw_only=True, slots=True)
class ClearFailed:
    """It is still owed: tried again when the device comes back, gets another token, or a person asks again."""

    esp_id: str
    reason: str


Effect: TypeAlias = Publish | Proven | Unproven | Refused | Cleared | ClearFailed


# --- kept over a restart ------------------------------------------------------------------------------------------


class OwedClear(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person has ended the stop of a device, and the device has not heard of it yet."""

    esp_id: str
    boots: int
    """Of the device then. After another boot its latch is open anyway."""
    since_ms: int = 0


# --- reports ------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, slots=True)
class DeviceProof:
    """How far a stop has come on one device."""

    esp_id: str
    gpio: int | None
    online: bool
    told: int
    """Messages since the stop, or since the device came back to it."""
    told_ms: int | None
    """The last of them, Unix ms; None: none yet."""
    proof: Proof | None
    proven_ms: int | None
    after_ms: int | None
    reason: str
    """Why it is not proven, as far as the device said so."""
    running: tuple[int, ...]
    """Pins that say they are on."""
    silent: tuple[int, ...]
    """Pins that have said nothing since."""


@attrs.frozen(kw_only=True, slots=True)
class StopReport:
    stop: Stop
    devices: tuple[DeviceProof, ...]
    """Every device that it covers, also those that are not there."""

    @property
    def proven(self) -> bool:
        """By every device. One that is not there has proven nothing."""
        return all(device.proof is not None for device in self.devices)


class ClearState(enum.StrEnum):
    WAITING = "waiting"
    """The firmware wants five seconds between a stop and its end."""
    SENT = "sent"
    OFFLINE = "offline"
    """It will be cleared when it comes back."""
    FAILED = "failed"
    CLEARED = "cleared"


@attrs.frozen(kw_only=True, slots=True)
class ClearReport:
    """How far the end of a stop has come on one device."""

    esp_id: str
    state: ClearState
    reason: str
    """Of a failure; how it was cleared."""
    attempts: int
    since_ms: int
    ended_ms: int | None = None


@attrs.frozen(kw_only=True, slots=True)
class ClearAnswer:
    """What a person gets who ends a stop."""

    ended: tuple[Stop, ...]
    """No longer in force. Empty: there was no such stop."""
    remaining: tuple[Stop, ...]
    """Still in force over what was named, or over a part of it."""
    clearing: tuple[str, ...]
    """Devices that are told now, or that wait for their five seconds."""
    offline: tuple[str, ...]
    """Devices that are told when they come back."""
    effects: tuple[Effect, ...] = ()

    @property
    def refused(self) -> bool:
        """Nothing was ended: what was named is stopped by something larger."""
        return not self.ended and bool(self.remaining) and not (self.clearing or self.offline)
