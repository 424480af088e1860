"""How control looks in answers: what an actuator does and why, commands, emergency stops. Reads memory only.

What nobody knows is null: `value` is what the device has said, never what growyd hopes.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

from growy.model.control import OFF, ActuatorKey, ActuatorState, Claim, Command, Rank, Stop, StopScope
from growy.model.setup import ActuatorKind, ItemState
from growy.model.time import Moment
from growy.web.answers import iso

if TYPE_CHECKING:
    from growy.control.stops.effects import DeviceProof, StopReport
    from growy.web.app import App

# --- actuators ----------------------------------------------------------------------------------------------------


def doing(app: App, actuator: ActuatorKey) -> dict[str, object]:
    """What a set-up actuator does now, for its record. Raises EspNotFound, ActuatorNotFound."""
    state, now = app.control.state(actuator), app.control.moment()
    return {
        "current_value": state.reported,
        "is_active": None if state.reported is None else state.reported > 0,
        "last_command_at": _commanded_at(state.command),
        "wanted_value": state.wanted,
        "output_value": state.output,
        "emergency": state.emergency,
        "reported_at": iso(state.reported_ms),
        "on_since": iso(state.on_since_ms),
        "lease_until": iso(state.lease_until_ms),
        "run_today_seconds": state.details.get("day_on_s"),
        "dose_today_ml": state.details.get("day_dose_ml"),
        "why": why(state, now),
    }


def state_record(state: ActuatorState, now: Moment) -> dict[str, object]:
    """What an actuator does now, as the answer to a command or to the question."""
    command = state.command
    return {
        "gpio": state.actuator.gpio,
        "mode": "pwm" if state.kind is ActuatorKind.PWM else "digital",
        "value": state.reported,
        "is_active": None if state.reported is None else state.reported > 0,
        "wanted_value": state.wanted,
        "output_value": state.output,
        "last_command": None if command is None else command.verb.value,
        "last_command_at": _commanded_at(command),
        "last_command_state": None if command is None else command.state.value,
        "runtime_seconds": state.details.get("run_s"),
        "run_today_seconds": state.details.get("day_on_s"),
        "dose_today_ml": state.details.get("day_dose_ml"),
        "emergency": state.emergency,
        "reported_at": iso(state.reported_ms),
        "lease_until": iso(state.lease_until_ms),
        "why": why(state, now),
        "claims": [claim_record(one, now) for one in state.claims],
    }


def why(state: ActuatorState, now: Moment) -> dict[str, object]:
    """What explains the output: the claim that goes before all others, and the gate's no if it said one. `text` is a
    sentence for people."""
    claim, refusal = state.claim, state.refusal
    return {
        "text": _because(state, now),
        **(_NOBODY if claim is None else claim_record(claim, now)),
        "code": None if refusal is None else refusal.code.value,
        "message": None if refusal is None else refusal.message,
        "cure": (refusal.cure or None) if refusal is not None else None,
        "again_at": None if refusal is None else ends_at(refusal.again_at, now),
    }


def claim_record(claim: Claim, now: Moment) -> dict[str, object]:
    return {
        "holder": claim.holder,
        "rank": claim.rank.name.lower(),
        "priority": claim.priority,
        "claimed_value": claim.value,
        "since": ends_at(claim.since, now),
        "until": ends_at(claim.until, now),
        "issued_by": claim.issued_by or claim.holder,
    }


_NOBODY: dict[str, object] = {
    "holder": "default",
    "rank": Rank.DEFAULT.name.lower(),
    "priority": None,
    "claimed_value": None,
    "since": None,
    "until": None,
    "issued_by": "default",
}


def _because(state: ActuatorState, now: Moment) -> str:
    claim = state.claim
    if state.refusal is not None:
        return state.refusal.message
    if state.emergency:
        return "in an emergency stop"
    if claim is None:
        return "its default_state is on" if state.output > OFF else "nobody claims it"
    left = claim.until - now.clock
    ending = f" for {max(left, 0):.0f} s more" if left < math.inf else ""
    return f"{claim.issued_by or claim.holder} wants {level(claim.value)}{ending}"


def level(value: float) -> str:
    """`on`, `off`, `35 %`."""
    if value in (0, 1):
        return "on" if value else "off"
    return f"{value * 100:.0f} %"


def ends_at(clock: float, now: Moment) -> str | None:
    """A moment of the clock as a time of the wall; None for never, and for what nobody can name."""
    return iso(now.ms_of(clock)) if math.isfinite(clock) else None


def _commanded_at(command: Command | None) -> str | None:
    return None if command is None else iso(command.created_ms)


# --- emergency stops ----------------------------------------------------------------------------------------------


class Standing(enum.StrEnum):
    """How far a stop has come on a device."""

    PROVEN = "proven"
    WAITING = "waiting"
    """It is there, and has not proven it yet."""
    OFFLINE = "offline"
    """It is told when it comes back."""
    REFUSED = "refused"


def standing_of(proof: DeviceProof) -> Standing:
    if proof.proof is not None:
        return Standing.PROVEN
    if not proof.online:
        return Standing.OFFLINE
    return Standing.REFUSED if proof.reason else Standing.WAITING


def stop_record(app: App, report: StopReport) -> dict[str, object]:
    """A stop, and what each device has proven."""
    stop = report.stop
    return {
        "id": stop.id,
        "scope": stop.scope.value,
        "esp_id": stop.esp_id,
        "gpio": stop.gpio,
        "reason": stop.reason,
        "by": stop.by,
        "since": iso(stop.since_ms),
        "text": f"{covered(stop)}, by {stop.by or 'somebody'}: {stop.reason}",
        "durable": app.control.emergencies.durable(stop.id),
        "proven": report.proven,
        "devices": [proof_record(app, one) for one in report.devices],
    }


def covered(stop: Stop) -> str:
    """What a stop stops, for people."""
    if stop.scope is StopScope.ALL:
        return "everything"
    return f"{stop.esp_id}" if stop.scope is StopScope.ESP else f"{stop.esp_id}:{stop.gpio}"


def proof_record(app: App, proof: DeviceProof) -> dict[str, object]:
    return {
        "esp_id": proof.esp_id,
        "state": standing_of(proof).value,
        "sent": proof.told > 0 and proof.online,
        "told": proof.told,
        "told_at": iso(proof.told_ms),
        "proof": None if proof.proof is None else proof.proof.value,
        "proven_at": iso(proof.proven_ms),
        "after_ms": proof.after_ms,
        "reason": proof.reason or None,
        "actuators": [{"gpio": gpio, "off": off} for gpio, off in pins_of(app, proof)],
    }


def pins_of(app: App, proof: DeviceProof) -> list[tuple[int, bool | None]]:
    """The actuators that a stop covers on a device, by pin, and whether each has said since then that it is off; None:
    it has said nothing yet."""
    said = dict.fromkeys(proof.running, False) | dict.fromkeys(proof.silent)
    device = app.fleet.get(proof.esp_id)
    there = () if device is None else device.record.actuators
    for setup in there:
        known = device is not None and app.fleet.state_of(device, setup.key) is ItemState.APPLIED
        if known and proof.gpio in (None, setup.gpio):
            said.setdefault(setup.gpio, True)
    return sorted(said.items())
