"""Control in the words of those who watch and of those who ask later: WebSocket events, audit entries, history rows.
Pure.

Event names and fields are those that existing clients know.
"""

from __future__ import annotations

import msgspec

from growy.control.rules.effects import Execution
from growy.control.switch_effects import Contested, Oscillates, Refused
from growy.model.audit import AuditEntry, AuditSource
from growy.model.control import ActuatorKey, Claim, Command, CommandState
from growy.model.events import ActuatorResponse, ActuatorStatus
from growy.model.rules import Rule
from growy.model.setup import ActuatorKind
from growy.model.time import Moment
from growy.store.actuators import HistoryKind, HistoryRow
from growy.store.rules import ExecutionRow

Data = dict[str, object]


def status_event(key: ActuatorKey, status: ActuatorStatus, now_ms: int) -> Data:
    """`actuator_status`."""
    kind = status.actuator_type
    value = (status.pwm or 0) / 255 if kind == ActuatorKind.PWM.value else float(status.state)
    return {
        "esp_id": key.esp_id,
        "gpio": key.gpio,
        "actuator_type": kind,
        "hardware_type": kind,
        "state": "pwm"
        if kind == ActuatorKind.PWM.value and status.state
        else "on"
        if status.state
        else "off",
        "value": round(value, 3),
        "pwm": status.pwm,
        "runtime_ms": status.runtime_ms,
        "emergency": status.emergency,
        "command_source": status.command_source,
        "timestamp": now_ms // 1000,
    }


def response_event(key: ActuatorKey, answer: ActuatorResponse, now_ms: int) -> Data:
    """`actuator_response`."""
    return {
        "esp_id": key.esp_id,
        "gpio": key.gpio,
        "command": answer.command,
        "value": answer.value,
        "duration": answer.duration,
        "success": answer.success,
        "message": answer.message,
        "correlation_id": answer.correlation_id,
        "issued_by": answer.issued_by,
        "severity": "info" if answer.success else "error",
        "is_final": True,
        "timestamp": now_ms // 1000,
    }


def command_event(command: Command, now_ms: int) -> Data:
    """`actuator_command`, and with `code` and `message` `actuator_command_failed`."""
    data: Data = {
        "esp_id": command.actuator.esp_id,
        "gpio": command.actuator.gpio,
        "command": command.verb.value,
        "value": command.value,
        "duration": command.duration_s,
        "issued_by": command.issued_by,
        "correlation_id": command.execution or command.id,
        "command_id": command.id,
        "state": command.state.value,
        "timestamp": now_ms // 1000,
    }
    if command.state.ended and command.state is not CommandState.ACKNOWLEDGED:
        data |= {"code": command.code or command.state.value.upper(), "message": command.message}
    return data


def refusal_event(effect: Refused, now_ms: int) -> Data:
    """`actuator_command_failed`, by the gate."""
    claim, refusal = effect.claim, effect.refusal
    return {
        "esp_id": claim.actuator.esp_id,
        "gpio": claim.actuator.gpio,
        "command": "OFF" if claim.value == 0 else "ON",
        "value": claim.value,
        "issued_by": claim.issued_by,
        "correlation_id": claim.execution,
        "state": CommandState.REJECTED.value,
        "code": refusal.code.value,
        "message": f"{refusal.message}. {refusal.cure}" if refusal.cure else refusal.message,
        "timestamp": now_ms // 1000,
    }


def arbitration_event(effect: Contested, now_ms: int) -> Data:
    """`conflict.arbitration`."""
    winner, loser = effect.winner, effect.loser
    return {
        "trace_id": loser.execution or winner.execution,
        "actuator_key": str(winner.actuator),
        "esp_id": winner.actuator.esp_id,
        "gpio": winner.actuator.gpio,
        "winner_rule_id": rule_of(winner),
        "loser_rule_id": rule_of(loser),
        "winner": winner.holder,
        "loser": loser.holder,
        "competing_rules": [one for one in (rule_of(winner), rule_of(loser)) if one],
        "arbitration_mode": "priority" if winner.priority != loser.priority else "first_wins",
        "resolution": "safety_wins"
        if winner.rank < loser.rank
        else "higher_priority_wins"
        if winner.priority < loser.priority
        else "first_wins",
        "winner_priority": winner.priority,
        "loser_priority": loser.priority,
        "command": f"{winner.value:g}",
        "message": f"{winner.issued_by} goes before {loser.issued_by} on {winner.actuator}",
        "timestamp": now_ms // 1000,
    }


def rule_of(claim: Claim) -> str | None:
    """The id of the rule that holds it."""
    return rule_named(claim.holder)


def rule_named(holder: str) -> str | None:
    """The id of the rule in a holder's name."""
    kind, _, rest = holder.partition(":")
    return rest.partition("/")[0] if kind == "rule" else None


def degraded(rule: Rule, why_not: str, recovered: str, now_ms: int) -> tuple[str, Data, AuditEntry]:
    """`rule_degraded` and `rule_recovered`: event, data, entry."""
    event = "rule_degraded" if why_not else "rule_recovered"
    text = f"Rule {rule.name!r} cannot act: {why_not}" if why_not else f"Rule {rule.name!r} {recovered}"
    severity = "info" if not why_not else "critical" if rule.is_critical else "warning"
    data: Data = {
        "rule_id": rule.id,
        "rule_name": rule.name,
        "is_critical": rule.is_critical,
        "priority": rule.priority,
        "reason": why_not,
        "message": text,
        "severity": severity,
        "timestamp": now_ms // 1000,
    }
    entry = AuditEntry(
        ts_ms=now_ms,
        event_type=event,
        severity=severity,
        source_id=rule.id,
        status="failed" if why_not else "success",
        message=text,
        error_code=rule.id,
    )
    return event, data, entry


# --- audit --------------------------------------------------------------------------------------------------------


def refusal_entry(effect: Refused, now_ms: int) -> AuditEntry:
    claim, refusal = effect.claim, effect.refusal
    return AuditEntry(
        ts_ms=now_ms,
        event_type="actuator_command_failed",
        severity="warning",
        source_id=claim.actuator.esp_id,
        status="failed",
        message=f"{claim.issued_by or claim.holder} may not: {refusal.message}",
        details={"gpio": claim.actuator.gpio, "holder": claim.holder, "value": claim.value},
        error_code=f"{refusal.code.value}:{claim.actuator.gpio}",
        correlation_id=claim.execution,
    )


def command_entry(command: Command, now_ms: int) -> AuditEntry:
    """Of a command that has ended."""
    done = command.state is CommandState.ACKNOWLEDGED
    text = (
        f"{command.actuator} {command.verb.value} by {command.issued_by or 'growyd'}: {command.state.value}"
    )
    return AuditEntry(
        ts_ms=now_ms,
        event_type="actuator_command" if done else "actuator_command_failed",
        severity="info" if done else "warning",
        source_type=AuditSource.of(command.issued_by),
        source_id=command.actuator.esp_id,
        status="success" if done else "failed",
        message=f"{text} {command.message}".strip(),
        details={
            "gpio": command.actuator.gpio,
            "value": command.value,
            "by": command.issued_by,
            "duration_s": command.duration_s,
        },
        error_code="" if done else f"{command.code or command.state.value}:{command.actuator.gpio}",
        correlation_id=command.execution or command.id,
    )


def oscillation_entry(effect: Oscillates, moment: Moment) -> AuditEntry:
    if effect.until is None:
        text = f"Rules may switch {effect.actuator} on again"
    else:
        left_s = round(effect.until - moment.clock)
        text = f"Rules switch {effect.actuator} on and off too often: it is held off for {left_s} s"
    return AuditEntry(
        ts_ms=moment.wall_ms,
        event_type="actuator_oscillates",
        severity="info" if effect.until is None else "warning",
        source_id=effect.actuator.esp_id,
        status="success" if effect.until is None else "failed",
        message=text,
        details={"gpio": effect.actuator.gpio},
        error_code=str(effect.actuator.gpio),
    )


# --- history ------------------------------------------------------------------------------------------------------


def command_row(command: Command, now_ms: int) -> HistoryRow:
    return HistoryRow(
        ts_ms=now_ms,
        actuator=command.actuator,
        kind=HistoryKind.COMMAND,
        command=command.verb.value,
        value=command.value,
        duration_s=float(command.duration_s) or None,
        state=command.state.value,
        issued_by=command.issued_by,
        code=command.code,
        message=command.message,
        correlation_id=command.execution or command.id,
    )


def refusal_row(effect: Refused, now_ms: int) -> HistoryRow:
    claim, refusal = effect.claim, effect.refusal
    return HistoryRow(
        ts_ms=now_ms,
        actuator=claim.actuator,
        kind=HistoryKind.COMMAND,
        command="ON",
        value=claim.value,
        state=CommandState.REJECTED.value,
        issued_by=claim.issued_by,
        code=refusal.code.value,
        message=refusal.message,
        correlation_id=claim.execution,
    )


def execution_row(effect: Execution) -> ExecutionRow:
    return ExecutionRow(
        id=effect.id,
        rule_id=effect.rule_id,
        rule_name=effect.rule_name,
        ts_ms=effect.begun_ms,
        success=effect.success,
        trigger=msgspec.json.encode(effect.trigger).decode(),
        actions=msgspec.json.encode(
            [{"action_index": one.index, "action": one.what, "result": one.result} for one in effect.actions]
        ).decode(),
        error=effect.error,
        duration_ms=None if effect.ended_ms is None else max(0, effect.ended_ms - effect.begun_ms),
        correlation_id=effect.correlation_id,
    )
