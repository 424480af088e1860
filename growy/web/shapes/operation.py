"""Answers about growyd itself: health, figures, dead letters, the audit trail."""

from __future__ import annotations

from growy.doctor import Level
from growy.fleet.device import DeviceStatus
from growy.model.audit import AuditSeverity, AuditSource
from growy.web.health import HealthStatus, RuntimeMode
from growy.web.shape import (
    FLAG,
    INTEGER,
    NUMBER,
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
    runtime_mode=words(RuntimeMode),
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
        mode=words(RuntimeMode),
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
DOCTOR = success(
    timestamp=TIME,
    running=FLAG,
    level=words(Level),
    counts=table(INTEGER),
    findings=many(
        record("Finding", area=TEXT, code=TEXT, level=words(Level), message=TEXT, cure=TEXT),
    ),
)
_BREAKER = record(
    "Breaker",
    state=TEXT,
    failures=INTEGER,
    failure_threshold=INTEGER,
    last_failure=maybe(TEXT),
    forced_open=FLAG,
)
DETAILED = OVERVIEW.plus(
    uptime_formatted=TEXT,
    runtime_mode=words(RuntimeMode),
    database=record(
        connected=FLAG,
        error=maybe(TEXT),
        database_type=TEXT,
        pool_size=maybe(INTEGER),
        pool_available=maybe(INTEGER),
        latency_ms=maybe(NUMBER),
        writable=FLAG,
        commit_p50_ms=maybe(NUMBER),
        commit_p99_ms=maybe(NUMBER),
        failed_commits=INTEGER,
        size_bytes=INTEGER,
        wal_bytes=INTEGER,
    ),
    mqtt=record(connected=FLAG).maybe_with(
        broker_host=TEXT,
        broker_port=INTEGER,
        subscriptions=INTEGER,
        messages_received=INTEGER,
        messages_published=INTEGER,
        last_message_at=maybe(TIME),
        last_error=maybe(TEXT),
    ),
    websocket=record(active_connections=INTEGER, total_messages_sent=INTEGER),
    system=record(
        cpu_percent=maybe(NUMBER),
        memory_percent=maybe(NUMBER),
        memory_used_mb=maybe(NUMBER),
        memory_total_mb=maybe(NUMBER),
        process_memory_mb=maybe(NUMBER),
        disk_percent=maybe(NUMBER),
        disk_free_gb=NUMBER,
    ),
    resilience=record(
        healthy=FLAG,
        breakers=table(_BREAKER),
        summary=record(total=INTEGER, closed=INTEGER, open=INTEGER),
    ),
    components=many(record(name=TEXT, status=words("healthy", "unhealthy"), healthy=FLAG)),
    warnings=many(TEXT),
)
DEVICES = success(
    total_devices=INTEGER,
    online_count=INTEGER,
    offline_count=INTEGER,
    error_count=INTEGER,
    unknown_count=INTEGER,
    total_sensors=INTEGER,
    total_actuators=INTEGER,
    avg_heap_free=maybe(NUMBER),
    avg_wifi_rssi=maybe(NUMBER),
    devices=many(
        record(
            "DeviceHealth",
            device_id=TEXT,
            name=maybe(TEXT),
            status=words(DeviceStatus),
            last_seen=maybe(TIME),
            uptime_seconds=maybe(INTEGER),
            heap_free=maybe(INTEGER),
            wifi_rssi=maybe(INTEGER),
            sensor_count=INTEGER,
            actuator_count=INTEGER,
            recent_errors=maybe(
                many(
                    record(timestamp=TIME, severity=words(AuditSeverity), category=TEXT, message=maybe(TEXT))
                )
            ),
        )
    ),
)
