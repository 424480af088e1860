"""What devices report, in the words of those who watch: WebSocket events and entries of the audit trail. Pure.

Event names and fields are those that existing clients know. An entry is for a person who asks later what happened; what
only a running page needs is an event and no entry.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from growy.fleet.device import Failure, Flight, Scope, State
from growy.fleet.effects import Effect, Note, Tell
from growy.model.audit import AuditEntry
from growy.model.errors import GrowyError
from growy.model.events import (
    ActuatorAlert,
    ConfigResponse,
    Diagnostics,
    ErrorReport,
    IntentLifecycle,
    IntentOutcome,
    QueuePressure,
)
from growy.model.setup import OFFLINE_RULES_KEY
from growy.model.time import Moment
from growy.wire.table import Message

SEVERITIES: Mapping[int | str, str] = {
    1: "warning",
    2: "error",
    3: "critical",
    **{word: word for word in ("info", "warning", "error", "critical")},
}
"""Severity as devices say it."""
EMERGENCY_ALERTS = frozenset({"emergency_stop", "verification_failed"})


def entry(
    state: State,
    moment: Moment,
    event_type: str,
    message: str,
    *,
    severity: str = "info",
    status: str = "success",
    source_type: str = "esp32",
    details: Mapping[str, object] | None = None,
    error_code: str | None = None,
    correlation_id: str | None = None,
) -> AuditEntry:
    """An entry about a device."""
    return AuditEntry(
        ts_ms=moment.wall_ms,
        event_type=event_type,
        severity=severity,
        source_type=source_type,
        source_id=state.esp_id,
        status=status,
        message=message,
        details={} if details is None else details,
        error_code=error_code or "",
        correlation_id=correlation_id or "",
    )


def identity(state: State, moment: Moment) -> dict[str, object]:
    """What every event about a device begins with."""
    return {"esp_id": state.esp_id, "device_id": state.esp_id, "timestamp": moment.wall_ms // 1000}


def health(state: State, moment: Moment, source: str, **more: object) -> Tell:
    """`esp_health`: a device came, went, or says how it is."""
    beat = state.live.heartbeat
    return Tell(
        "esp_health",
        {
            **identity(state, moment),
            "status": "online" if state.live.online else "offline",
            "device_status": state.status.value,
            "zone_id": state.record.zone_id or None,
            "heap_free": None if beat is None else beat.heap_free,
            "wifi_rssi": None if beat is None else beat.wifi_rssi,
            "uptime": state.record.uptime,
            "sensor_count": None if beat is None else beat.sensor_count,
            "actuator_count": None if beat is None else beat.actuator_count,
            "flapping": state.flapping(moment.clock),
            "source": source,
            **more,
        },
    )


def received(state: State, message: Message, moment: Moment, out: list[Effect]) -> None:
    """A report that changes nothing here, but that somebody wants to know of."""
    match message:
        case ErrorReport():
            _error(state, message, moment, out)
        case ActuatorAlert():
            _alert(state, message, moment, out)
        case IntentOutcome():
            _outcome(state, message, moment, out)
        case IntentLifecycle() if not message.is_trace:
            data = {**identity(state, moment), **_plain(message)}
            out.append(Tell("intent_outcome_lifecycle", data))
            text = f"{message.event_type}: {message.readiness_decision or message.reason_code}"
            out.append(Note(entry(state, moment, "device_lifecycle", text, details=_plain(message))))
        case QueuePressure():
            severity = "warning" if message.event == "entered_pressure" else "info"
            text = f"The device's publish queue: {message.event}"
            out.append(Tell("system_event", {**identity(state, moment), "message": text, **_plain(message)}))
            out.append(
                Note(
                    entry(
                        state,
                        moment,
                        "queue_pressure",
                        text,
                        severity=severity,
                        details=_plain(message),
                        error_code=message.event,
                    )
                )
            )
        case Diagnostics():
            out.append(
                Tell("system_event", {**identity(state, moment), "message": "diagnostics", **_plain(message)})
            )
        case ConfigResponse():
            data = {
                **identity(state, moment),
                "config_type": message.scope,
                "status": message.status,
                "count": message.count,
                "failed_count": message.failed_count,
                "failures": [_plain(one) for one in message.failures],
                "failed_item": message.failed_item,
                "error_code": message.error_code,
                "message": message.message,
                "correlation_id": message.correlation_id,
            }
            out.append(Tell("config_response", data, message.correlation_id))


def _error(state: State, report: ErrorReport, moment: Moment, out: list[Effect]) -> None:
    severity = SEVERITIES.get(report.severity or 2, "error")
    data = {
        **identity(state, moment),
        "error_code": report.error_code,
        "severity": severity,
        "category": report.category,
        "message": report.message,
        "context": report.context,
        "troubleshooting": [],
        "user_action_required": severity == "critical",
    }
    out.append(Tell("error_event", data))
    out.append(
        Note(
            entry(
                state,
                moment,
                "device_error",
                report.message,
                severity=severity,
                status="failed",
                details={"category": report.category, "context": report.context},
                error_code=str(report.error_code),
            )
        )
    )


def _alert(state: State, alert: ActuatorAlert, moment: Moment, out: list[Effect]) -> None:
    severity = "critical" if alert.alert_type in EMERGENCY_ALERTS else "warning"
    data = {
        **identity(state, moment),
        "gpio": alert.gpio,
        "alert_type": alert.alert_type,
        "severity": severity,
        "category": "safety",
        "message": alert.message,
        "troubleshooting": [],
    }
    out.append(Tell("actuator_alert", data))
    out.append(
        Note(
            entry(
                state,
                moment,
                "device_alert",
                f"{alert.alert_type} at gpio {alert.gpio}: {alert.message}",
                severity=severity,
                details={"gpio": alert.gpio},
                error_code=f"{alert.alert_type}:{alert.gpio}",
            )
        )
    )


def _outcome(state: State, report: IntentOutcome, moment: Moment, out: list[Effect]) -> None:
    data = {**identity(state, moment), **_plain(report)}
    out.append(Tell("intent_outcome", data, report.correlation_id or None))
    if report.outcome in ("rejected", "failed", "expired"):
        out.append(
            Note(
                entry(
                    state,
                    moment,
                    "intent_outcome",
                    f"{report.flow} {report.outcome}: {report.code} {report.reason}".strip(),
                    severity="warning",
                    status=report.outcome,
                    details={
                        "flow": report.flow,
                        "intent_id": report.intent_id,
                        "recovered": report.recovered,
                    },
                    error_code=report.code,
                    correlation_id=report.correlation_id or None,
                )
            )
        )


# --- transmissions ------------------------------------------------------------------------------------------------


def published(state: State, flight: Flight) -> dict[str, object]:
    """`config_published`."""
    return {
        "esp_id": state.esp_id,
        "config_type": scope_words(flight),
        "count": len(flight.items),
        "items": sorted(flight.items),
        "correlation_id": flight.correlation_id,
        "timestamp": flight.started_ms // 1000,
    }


def landed(
    state: State, flight: Flight, failed: Mapping[str, Failure], again: bool
) -> tuple[str, dict[str, object]]:
    """Event and data of a transmission's end."""
    status = "retry" if again else "failed" if failed else "success"
    data: dict[str, object] = {
        "esp_id": state.esp_id,
        "device_id": state.esp_id,
        "status": status,
        "correlation_id": flight.correlation_id,
        "failures": [
            {"item": key, "error_code": one.code, "error": one.error, "detail": one.detail}
            for key, one in sorted(failed.items())
        ],
    }
    if flight.scope is Scope.ZONE:
        zone = state.record.zone
        return "zone_assignment", data | {
            "zone_id": None if zone is None else zone.zone_id or None,
            "master_zone_id": None if zone is None else zone.master_zone_id or None,
        }
    if flight.scope is Scope.SUBZONE:
        return "subzone_assignment", data | {"subzone_id": flight.subject}
    event = "config_failed" if failed else "config_applied"
    return event, data | {"config_type": scope_words(flight), "count": len(flight.items) - len(failed)}


def landing_note(
    state: State, flight: Flight, failed: Mapping[str, Failure], again: bool, moment: Moment
) -> AuditEntry | None:
    """An entry for what has come to an end; an attempt that is repeated is none yet."""
    if again and not failed:
        return None
    good, bad = {
        Scope.CONFIG: ("config_response", "config_failed"),
        Scope.ZONE: ("zone_assignment", "zone_assignment"),
        Scope.SUBZONE: ("subzone_assignment", "subzone_assignment"),
    }[flight.scope]
    if not failed:
        text = f"The device has applied {len(flight.items)} item(s)"
        return entry(
            state,
            moment,
            good,
            text,
            details={"items": sorted(flight.items)},
            correlation_id=flight.correlation_id,
        )
    first_key, first = next(iter(sorted(failed.items())))
    return entry(
        state,
        moment,
        bad,
        f"The device refused {len(failed)} of {len(flight.items)} item(s): {first_key} {first.code} {first.error}",
        severity="error",
        status="failed",
        details={key: f"{one.code} {one.error} {one.detail}".strip() for key, one in failed.items()},
        error_code=first.code,
        correlation_id=flight.correlation_id,
    )


def unsendable(state: State, fault: GrowyError, moment: Moment) -> AuditEntry:
    """What is set up cannot be put into a message."""
    return entry(
        state,
        moment,
        "config_failed",
        str(fault),
        severity="error",
        status="failed",
        details=fault.details,
        error_code=fault.code,
    )


def scope_words(flight: Flight) -> str:
    """`sensor`, `actuator`, `offline_rules`, joined where a document carries several."""
    words = {
        "sensor" if key.startswith("s:") else "offline_rules" if key == OFFLINE_RULES_KEY else "actuator"
        for key in flight.items
    }
    return "+".join(sorted(words))


def _plain(message: msgspec.Struct) -> dict[str, object]:
    """The fields that were said."""
    return {
        name: value
        for name, value in msgspec.structs.asdict(message).items()
        if value is not None and value != ""
    }
