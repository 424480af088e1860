"""Emergency stops in words: WebSocket events and audit entries. Pure."""

from __future__ import annotations

from growy.control.stops.effects import Cleared, ClearFailed, Effect, Proven, Refused, Unproven
from growy.model.audit import AuditEntry
from growy.model.control import Stop, StopScope

Told = tuple[dict[str, object], AuditEntry]


def told_of(effect: Effect, now_ms: int) -> Told | None:
    """`emergency_progress`: what a device has proven, refused or been let go from; None for what is no news."""
    match effect:
        case Proven(esp_id=esp_id, gpio=gpio, proof=proof, after_ms=after_ms):
            return _told(esp_id, gpio, f"stands still ({proof.value})", now_ms, after_ms)
        case Unproven(esp_id=esp_id, gpio=gpio, reason=reason):
            return _told(esp_id, gpio, f"does not stand still: {reason}", now_ms, severity="critical")
        case Refused(esp_id=esp_id, reason=reason):
            return _told(esp_id, None, f"refuses the emergency stop: {reason}", now_ms, severity="critical")
        case Cleared(esp_id=esp_id, how=how):
            return _told(esp_id, None, f"is let go ({how})", now_ms)
        case ClearFailed(esp_id=esp_id, reason=reason):
            return _told(esp_id, None, f"could not be let go: {reason}", now_ms, severity="error")
        case _:
            return None


def _told(
    esp_id: str, gpio: int | None, text: str, now_ms: int, after_ms: int | None = None, severity: str = "info"
) -> Told:
    message = f"{esp_id} {text}" if gpio is None else f"{esp_id}:{gpio} {text}"
    data: dict[str, object] = {
        "esp_id": esp_id,
        "gpio": gpio,
        "message": message,
        "severity": severity,
        "after_ms": after_ms,
        "timestamp": now_ms // 1000,
    }
    entry = AuditEntry(
        ts_ms=now_ms,
        event_type="emergency_stop",
        severity=severity,
        source_id=esp_id,
        status="success" if severity == "info" else "failed",
        message=message,
        details={"gpio": gpio, "after_ms": after_ms},
        error_code=text[:60],
    )
    return data, entry


def announcement(stop: Stop, by: str, now_ms: int, *, begins: bool, reason: str) -> Told:
    """`actuator_alert`: a stop comes into force, or a person has ended it."""
    because = reason or "no reason given"
    text = f"Emergency stop by {by}: {because}" if begins else f"Emergency stop ended by {by}: {because}"
    severity = "critical" if begins else "warning"
    data: dict[str, object] = {
        "alert_type": "emergency_stop" if begins else "emergency_cleared",
        "severity": severity,
        "category": "safety",
        "message": text,
        "scope": stop.scope.value,
        "by": by,
        "incident_correlation_id": stop.id,
        "timestamp": now_ms // 1000,
        "troubleshooting": [],
    }
    if stop.scope is not StopScope.ALL:
        data |= {"esp_id": stop.esp_id, "gpio": stop.gpio}
    entry = AuditEntry(
        ts_ms=now_ms,
        event_type="emergency_stop",
        severity=severity,
        source_type="user",
        source_id=stop.esp_id or "",
        status="success",
        message=text,
        details={"by": by, "scope": stop.scope.value, "gpio": stop.gpio, "begins": begins},
        correlation_id=stop.id,
    )
    return data, entry
