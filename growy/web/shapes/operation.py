"""Answers about growyd itself: health, figures, dead letters, the audit trail."""

from __future__ import annotations

from growy.model.audit import AuditSeverity, AuditSource
from growy.web.health import HealthStatus
from growy.web.shape import (
    FLAG,
    INTEGER,
    OBJECT,
    TEXT,
    TIME,
    counted,
    many,
    maybe,
    page,
    record,
    success,
    table,
    words,
)

_STATUS = words(HealthStatus)
_CHECKS = table(FLAG)
CAUSE = record("Cause", code=TEXT, message=TEXT)

ROOT = record(name=TEXT, version=TEXT, node=TEXT, api=TEXT, health=TEXT, websocket=TEXT)
SHORT = record(
    status=_STATUS,
    mqtt_connected=FLAG,
    uptime_seconds=INTEGER,
    version=TEXT,
    connected_devices=INTEGER,
    mqtt_connected_devices=INTEGER,
    causes=many(CAUSE),
)
OVERVIEW = success(
    message=TEXT,
    status=_STATUS,
    version=TEXT,
    environment=TEXT,
    node=TEXT,
    uptime_seconds=INTEGER,
    timestamp=TIME,
    checks=_CHECKS,
    causes=many(CAUSE),
    devices=INTEGER,
    devices_online=INTEGER,
    websocket_clients=INTEGER,
)
LIVE = success(alive=FLAG, uptime_seconds=INTEGER)
READY = success(
    ready=FLAG,
    checks=_CHECKS,
    runtime_mode=_STATUS,
    degraded_reason_codes=many(TEXT),
    causes=many(CAUSE),
)
STATISTICS = success(
    version=TEXT,
    node=TEXT,
    started_at=TIME,
    uptime_seconds=INTEGER,
    timestamp=TIME,
    health=record(
        "Health",
        status=_STATUS,
        ready=FLAG,
        checks=_CHECKS,
        causes=many(CAUSE),
        broker_connected=FLAG,
        devices=INTEGER,
        devices_online=INTEGER,
    ),
    parts=table(OBJECT),
)
DEAD_LETTERS = counted(
    data=many(
        record(
            "DeadLetter",
            id=INTEGER,
            received_at=TIME,
            topic=TEXT,
            reason=TEXT,
            message=TEXT,
            size=INTEGER,
            payload=TEXT,
        )
    )
)
AUDIT = page(
    record(
        "AuditEntry",
        id=INTEGER,
        event_type=TEXT,
        severity=words(AuditSeverity),
        source_type=words(AuditSource),
        source_id=maybe(TEXT),
        status=maybe(TEXT),
        message=maybe(TEXT),
        details=OBJECT,
        error_code=maybe(TEXT),
        correlation_id=maybe(TEXT),
        repeats=INTEGER,
        created_at=TIME,
    )
)
EVENT_TYPES = success(
    data=many(record(value=TEXT, description=maybe(TEXT), count=INTEGER)),
    severities=many(words(AuditSeverity)),
    source_types=many(words(AuditSource)),
)
BROKER_LOGIN = success(message=TEXT, username=TEXT, enabled=FLAG, broker_reloaded=FLAG, warnings=many(TEXT))
BROKER_LOGIN_STATUS = success(
    enabled=FLAG,
    username=maybe(TEXT),
    password_file_exists=FLAG,
    broker_connected=FLAG,
    last_configured=maybe(TIME),
)
