"""What devices say while stops are in force or are being ended: proof, its contrary, refusals. Pure.

Answers are matched by the ids of the messages that the device got in this boot and session. An answer that names no
message is taken for what it says of the device's state, never for a proof.
"""

from __future__ import annotations

from growy.control.stops.device import Device
from growy.control.stops.effects import ClearFailed, Effect, Proof, Refused
from growy.control.stops.pursuit import Reported
from growy.model.events import (
    ActuatorStatus,
    EmergencyAck,
    EmergencyError,
    EmergencyResponse,
    IntentOutcome,
    RecoveryConfirm,
)
from growy.model.time import Moment
from growy.wire.table import Message

STOPPED = frozenset({"EMERGENCY_STOP_TRIGGERED", "BROADCAST_EMERGENCY_STOP_TRIGGERED"})
CLEARED = "EMERGENCY_CLEAR_APPLIED"
NOT_CLEARED = "EMERGENCY_CLEAR_REJECTED"
"""Words of the firmware's outcomes."""


def hear(device: Device, message: Message, moment: Moment, out: list[Effect]) -> None:
    """A message of the device, of any kind; most mean nothing here."""
    match message:
        case ActuatorStatus():
            _status(device, message, moment, out)
        case EmergencyAck(command="emergency_stop", outcome="executed" | ""):
            if device.latch is not None and message.correlation_id in device.latch.ids:
                device.prove(device.latch, Proof.ACKNOWLEDGED, moment, out)
        case IntentOutcome():
            _outcome(device, message, moment, out)
        case EmergencyError(error="clear_failed"):
            _clear_refused(device, NOT_CLEARED, moment, out)
        case EmergencyError():
            _refused(device, message.error.upper(), moment, out)
        case EmergencyResponse(status="emergency_cleared") | RecoveryConfirm(state="cleared"):
            _is_open(device, moment, out)
        case _:
            pass


def _status(device: Device, status: ActuatorStatus, moment: Moment, out: list[Effect]) -> None:
    gpio = status.gpio
    # A valve on its way says off with a position, or on until it has arrived: it has not until both agree.
    said = Reported(status.state or bool(status.pwm), status.emergency == "active")
    device.reported[gpio] = said
    for pursuit in device.pursuits():
        if pursuit.gpio not in (None, gpio):
            continue
        pursuit.heard[gpio] = said
        if pursuit.proof is None:
            fitted = device.fitted if pursuit.gpio is None else (gpio,)
            proof = pursuit.judged(fitted, device.view.generation)
            if proof is not None:
                device.prove(pursuit, proof, moment, out)
        elif reason := pursuit.contradiction(gpio, said):
            device.doubt(pursuit, reason, moment, out, urgent=said.on)
    clearing = device.clearing
    if clearing is None:
        return
    if clearing.hears_of(gpio, said.latched, device.fitted):
        device.opened("status", moment, out)
    elif clearing.worth_another(said.latched, moment.clock):
        clearing.begin(moment, moment.clock)


def _outcome(device: Device, report: IntentOutcome, moment: Moment, out: list[Effect]) -> None:
    latch, clearing = device.latch, device.clearing
    named = {report.correlation_id, report.intent_id} - {""}
    if latch is not None and report.outcome == "applied" and report.code in STOPPED:
        if named & {*latch.ids, latch.broadcast_id}:
            device.prove(latch, Proof.ACKNOWLEDGED, moment, out)
    elif report.code == CLEARED:
        # One that the device had kept is of an earlier time, unless it names what it was told now.
        if not report.recovered if clearing is None else clearing.message_id in named:
            _is_open(device, moment, out)
    elif clearing is not None and clearing.message_id in named and report.terminal:
        _clear_refused(device, report.code or report.outcome, moment, out)
    # A refused broadcast says nothing of the device's own message.
    elif latch is not None and named & set(latch.ids) and report.outcome in ("rejected", "failed"):
        _refused(device, report.code or report.outcome, moment, out)


def _refused(device: Device, reason: str, moment: Moment, out: list[Effect]) -> None:
    """The device did not obey: its error names no message, so it is about whatever it was told last."""
    latch = device.latch
    if latch is None:
        _clear_refused(device, reason, moment, out)
    elif latch.proof is None and latch.refused != reason:
        latch.refused = reason
        out.append(Refused(esp_id=device.view.esp_id, reason=reason))


def _clear_refused(device: Device, reason: str, moment: Moment, out: list[Effect]) -> None:
    clearing = device.clearing
    if clearing is not None and clearing.refused(reason, moment):
        out.append(ClearFailed(esp_id=device.view.esp_id, reason=clearing.failed))


def _is_open(device: Device, moment: Moment, out: list[Effect]) -> None:
    """The device says that its latch is open. Where a stop is in force, somebody else has opened it, or a clear of ours
    was still on its way when the stop was ordered."""
    latch = device.latch
    if latch is None:
        device.opened("answer", moment, out)
    elif latch.proof is not None:
        device.doubt(latch, "its latch was opened", moment, out, urgent=True)
