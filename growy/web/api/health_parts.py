"""Health in detail: each part as it is now, measured for this very answer where that is cheap; and all devices at once.

Every figure was counted or measured. What nobody knows is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import trio

from growy.broker.link_state import LinkStatistics
from growy.fleet.device import Device
from growy.model.audit import AuditSeverity
from growy.model.errors import StoreError
from growy.model.people import Scope
from growy.ops.machine import memory, resident_bytes
from growy.store import AuditFilter
from growy.web.answers import Response, answer, iso
from growy.web.api.esp_health import duration
from growy.web.api.health import http_status, overview_record, uptime_s
from growy.web.api.records import known
from growy.web.api.setups import rows
from growy.web.app import App
from growy.web.router import Answer, Call, Endpoint
from growy.web.shapes import operation as shapes

PROBE_S = 5.0
"""A database that has not answered by then counts as not connected."""
RECENT_ERRORS = 5
LOOKED_THROUGH = 1000
"""Entries of the audit trail in which the devices' last errors are looked for."""


async def detailed(call: Call) -> Response:
    """The health with the figures of its parts."""
    app = call.app
    health = app.health()
    body = overview_record(call)
    link = _link(app)
    database = await _database(app)
    breakers = _breakers(app, link)
    closed = [one["state"] == "closed" for one in breakers.values()]
    body |= {
        "uptime_formatted": duration(uptime_s(call)),
        "runtime_mode": health.mode,
        "database": database,
        "mqtt": _mqtt(link, health.broker_connected),
        "websocket": _websocket(app),
        "system": _system(app),
        "resilience": {
            "healthy": all(closed),
            "breakers": breakers,
            "summary": {"total": len(closed), "closed": sum(closed), "open": len(closed) - sum(closed)},
        },
        "components": [
            {"name": name, "status": "healthy" if well else "unhealthy", "healthy": well}
            for name, well in {**health.checks, "database": database["connected"] is True}.items()
        ],
        "warnings": [cause.message for cause in health.causes],
    }
    return answer(body, http_status(health))


def _link(app: App) -> LinkStatistics | None:
    ask = app.parts.get("broker")
    said = None if ask is None else ask()
    return said if isinstance(said, LinkStatistics) else None


async def _database(app: App) -> dict[str, object]:
    """Both databases are read for this answer; whether they can be written is what the store says."""
    stands = app.store.statistics()
    connected, latency_ms, connections, free, error = False, None, None, None, ""
    try:
        with trio.fail_after(PROBE_S):
            probe = await app.store.probe()
        connected, latency_ms = True, round(probe.latency_ms, 3)
        connections, free = probe.connections, probe.free
    except (StoreError, trio.TooSlowError) as fault:
        error = str(fault) or f"no answer within {PROBE_S:g} s"
    return {
        "connected": connected,
        "error": error or None,
        "database_type": "sqlite",
        "pool_size": connections,
        "pool_available": free,
        "latency_ms": latency_ms,
        "writable": stands.state == "ok",
        "commit_p50_ms": stands.commit_p50_ms if stands.commits else None,
        "commit_p99_ms": stands.commit_p99_ms if stands.commits else None,
        "failed_commits": stands.failed_commits,
        "size_bytes": stands.db_bytes,
        "wal_bytes": stands.wal_bytes + stands.registry_wal_bytes,
    }


def _mqtt(link: LinkStatistics | None, connected: bool) -> dict[str, object]:
    if link is None:
        return {"connected": connected}
    return {
        "connected": connected,
        "broker_host": link.host,
        "broker_port": link.port,
        "subscriptions": link.subscriptions,
        "messages_received": link.messages_received,
        "messages_published": link.publishes_acknowledged + link.publishes_handed_over,
        "last_message_at": iso(link.last_message_ms),
        "last_error": link.last_error,
    }


def _websocket(app: App) -> dict[str, object]:
    live = app.hub.statistics()
    return {"active_connections": live.clients, "total_messages_sent": live.sent + live.events_sent}


def _system(app: App) -> dict[str, object]:
    """Of the machine, but for `process_memory_mb`."""
    all_, disk = memory(), app.store.statistics()
    own = resident_bytes()
    return {
        "cpu_percent": app.cpu.percent(),
        "memory_percent": None if all_ is None else all_.used_percent,
        "memory_used_mb": None if all_ is None else round((all_.total - all_.available) / 1_048_576, 1),
        "memory_total_mb": None if all_ is None else round(all_.total / 1_048_576, 1),
        "process_memory_mb": None if own is None else round(own / 1_048_576, 1),
        "disk_percent": round(100.0 * (1 - disk.free_bytes / disk.disk_bytes), 1)
        if disk.disk_bytes
        else None,
        "disk_free_gb": round(disk.free_bytes / 1e9, 3),
    }


def _breakers(app: App, link: LinkStatistics | None) -> dict[str, dict[str, object]]:
    """Everything that stops trying for a while when it fails too often."""
    breakers: dict[str, dict[str, object]] = {}
    if link is not None:
        breakers["mqtt"] = _breaker(link.breaker, link.failures, link.breaker_after, link.last_error)
    after = app.pool.statistics().breaker_after
    for one in app.pool.registry.describe():
        state = "open" if one.state == "set_aside" else "closed"
        breakers[f"library {one.name}"] = _breaker(state, one.failures, after, one.error)
    return breakers


def _breaker(state: str, failures: int, after: int, last: str | None) -> dict[str, object]:
    return {
        "state": state,
        "failures": failures,
        "failure_threshold": after,
        "last_failure": last or None,
        "forced_open": False,  # there is nothing that could force one
    }


async def devices(call: Call) -> Response:
    """All devices and how they are."""
    app = call.app
    found = known(app)
    online = [device for device in found if device.online]
    errors = await _errors(app)
    heard = rows(app)
    series: dict[str, int] = {}
    for row in heard:
        series[row.key.esp_id] = series.get(row.key.esp_id, 0) + 1
    in_error = sum(device.state.in_error for device in online)
    return answer(
        {
            "success": True,
            "total_devices": len(found),
            "online_count": len(online),
            "offline_count": sum(
                not one.online and bool(one.live.heartbeats or one.uptime is not None) for one in found
            ),
            "error_count": in_error,
            "unknown_count": sum(
                not one.online and not one.live.heartbeats and one.uptime is None for one in found
            ),
            "total_sensors": len(heard),
            "total_actuators": sum(len(device.record.actuators) for device in found),
            "avg_heap_free": _mean([one.heap_free for one in online]),
            "avg_wifi_rssi": _mean([one.wifi_rssi for one in online]),
            "devices": [
                _device(
                    one, series.get(one.esp_id, 0), None if errors is None else errors.get(one.esp_id, [])
                )
                for one in found
            ],
        }
    )


def _device(device: Device, sensors: int, errors: Sequence[dict[str, object]] | None) -> dict[str, object]:
    return {
        "device_id": device.esp_id,
        "name": device.record.name or None,
        "status": device.status.value,
        "last_seen": iso(device.last_seen_ms),
        "uptime_seconds": device.uptime,
        "heap_free": device.heap_free,
        "wifi_rssi": device.wifi_rssi,
        "sensor_count": sensors,
        "actuator_count": len(device.record.actuators),
        "recent_errors": errors,
    }


async def _errors(app: App) -> dict[str, list[dict[str, object]]] | None:
    """The newest errors of each device, as the audit trail has them; None when that cannot be read."""
    found: dict[str, list[dict[str, object]]] = {}
    try:
        page = await app.store.audit(AuditFilter(at_least=AuditSeverity.ERROR), limit=LOOKED_THROUGH)
    except StoreError:
        return None
    for entry in (row.entry for row in page.rows):
        mine = found.setdefault(entry.source_id, [])
        if len(mine) < RECENT_ERRORS:
            mine.append(
                {
                    "timestamp": iso(entry.ts_ms),
                    "severity": entry.severity,
                    "category": entry.event_type,
                    "message": entry.message,
                }
            )
    return found


def _mean(values: Sequence[int | None]) -> float | None:
    """Of what is known; no device that has not said counts as 0."""
    said = [value for value in values if value is not None]
    return round(fmean(said), 1) if said else None


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/health/detailed",
        summary="Health with the figures of every part",
        handler=detailed,
        scope=Scope.METRICS,
        answers=(Answer(shapes.DETAILED), Answer(shapes.DETAILED, 503)),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/health/esp",
        summary="Health of all devices",
        handler=devices,
        scope=Scope.METRICS,
        answers=shapes.DEVICES,
    ),
)
