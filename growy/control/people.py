"""What a person wants of an actuator, and what became of it. Values, and how they are kept over a restart."""

from __future__ import annotations

import enum
import math

import attrs
import msgspec
import trio

from growy.model.control import (
    FULL,
    OFF,
    ActuatorKey,
    Claim,
    Command,
    CommandState,
    Rank,
    Refusal,
    RefusalCode,
)
from growy.model.errors import (
    ActuatorNotFound,
    DeviceNotApproved,
    DeviceNotReady,
    DeviceOffline,
    GrowyError,
    SafetyRefused,
)
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment
from growy.store.actuators import ClaimRow

PERSON = "person"
"""Holder of what people want: the last one who said something counts, whoever it was."""


class Wish(enum.StrEnum):
    ON = "ON"
    OFF = "OFF"
    PWM = "PWM"
    TOGGLE = "TOGGLE"
    AUTO = "AUTO"
    """Let go: rules and schedules have it again."""


@attrs.frozen(kw_only=True)
class CommandResult:
    """What became of a wish, as far as it was waited for."""

    correlation_id: str
    state: CommandState
    acknowledged: bool
    """The device has said that it is as was wished."""
    output: float
    """What growyd has it do now."""
    message: str = ""
    warnings: tuple[str, ...] = ()
    claim: Claim | None = None
    command: Command | None = None


@attrs.define(eq=False)
class Waiting:
    """A person who waits for the device's answer."""

    ended: trio.Event = attrs.field(factory=trio.Event)
    state: CommandState = CommandState.QUEUED
    message: str = ""
    command: Command | None = None

    def end(self, state: CommandState, message: str = "", command: Command | None = None) -> None:
        """The first end counts."""
        if not self.ended.is_set():
            self.state, self.message, self.command = state, message, command or self.command
            self.ended.set()


def value_of(wish: Wish, value: float, setup: ActuatorSetup, output: float | None) -> float:
    """The output that is wished.

    Args:
        output: what it does now as far as is known, for TOGGLE.

    Raises:
        DeviceNotReady: to toggle what nobody knows the state of.
    """
    match wish:
        case Wish.OFF:
            return OFF
        case Wish.TOGGLE:
            if output is None:
                raise DeviceNotReady(
                    f"Nobody knows whether {setup.name} is on",
                    cure="Say ON or OFF, or wait until its device has reported",
                )
            return OFF if output > OFF else _full(setup)
        case Wish.PWM:
            return value
        case _:
            return _full(setup)


def _full(setup: ActuatorSetup) -> float:
    return setup.max_value if setup.kind is ActuatorKind.PWM else FULL


def refused(key: ActuatorKey, refusal: Refusal, moment: Moment) -> GrowyError:
    """A refusal as the error that a client is answered with."""
    again_s = None if math.isinf(refusal.again_at) else max(0.0, round(refusal.again_at - moment.clock, 1))
    details = {
        "esp_id": key.esp_id,
        "gpio": key.gpio,
        "refusal": refusal.code.value,
        "again_in_s": again_s,
    }
    kinds: dict[RefusalCode, type[GrowyError]] = {
        RefusalCode.DEVICE_OFFLINE: DeviceOffline,
        RefusalCode.DEVICE_NOT_APPROVED: DeviceNotApproved,
        RefusalCode.ACTUATOR_NOT_CONFIGURED: ActuatorNotFound,
    }
    kind = kinds.get(refusal.code, SafetyRefused)
    if refusal.code is RefusalCode.ACTUATOR_NOT_CONFIGURED and "not confirmed" in refusal.message:
        kind = DeviceNotReady
    return kind(refusal.message, cure=refusal.cure, details=details)


# --- kept over a restart ------------------------------------------------------------------------------------------


class _Kept(msgspec.Struct, kw_only=True, omit_defaults=True):
    value: float
    since_ms: int
    until_ms: int | None = None
    issued_by: str = ""
    execution: str = ""


def claim_row(claim: Claim, moment: Moment) -> ClaimRow:
    """A person's claim, with its times by the wall: all that two processes have in common."""
    kept = _Kept(
        value=claim.value,
        since_ms=moment.ms_of(claim.since),
        until_ms=None if math.isinf(claim.until) else moment.ms_of(claim.until),
        issued_by=claim.issued_by,
        execution=claim.execution,
    )
    return ClaimRow(actuator=claim.actuator, holder=claim.holder, claim=msgspec.json.encode(kept).decode())


def claim_of(row: ClaimRow, moment: Moment) -> Claim | None:
    """The claim again; None: its time is over, or it cannot be read."""
    try:
        kept = msgspec.json.decode(row.claim, type=_Kept)
    except msgspec.MsgspecError:
        return None
    until = math.inf if kept.until_ms is None else moment.clock_of(kept.until_ms)
    if until <= moment.clock or not OFF <= kept.value <= FULL:
        return None
    return Claim(
        actuator=row.actuator,
        holder=row.holder,
        rank=Rank.PERSON,
        value=kept.value,
        since=min(moment.clock, moment.clock_of(kept.since_ms)),
        until=until,
        issued_by=kept.issued_by,
        execution=kept.execution,
    )
