"""Health endpoints: what is measured now, and why it is not better. Never answers "healthy" for a part nobody
asked."""

from __future__ import annotations

import time

import attrs

from growy.web.answers import Response, answer, iso
from growy.web.health import Health, HealthStatus
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shapes import operation as shapes


def http_status(health: Health) -> int:
    """A load balancer or a systemd check looks at the status line only; degraded still serves."""
    return 503 if health.status is HealthStatus.UNHEALTHY else 200


def _message(health: Health) -> str:
    return "; ".join(cause.message for cause in health.causes) or "Everything works"


def _causes(health: Health) -> list[dict[str, object]]:
    return [attrs.asdict(cause) for cause in health.causes]


def uptime_s(call: Call) -> int:
    return int(time.time() - call.app.started_ms / 1000)


def overview_record(call: Call) -> dict[str, object]:
    """What both the overview and the detailed answer begin with."""
    health = call.app.health()
    return {
        "success": True,
        "message": _message(health),
        "status": health.status,
        "version": call.app.version,
        "environment": "production",
        "node": call.app.node,
        "uptime_seconds": uptime_s(call),
        "timestamp": iso(int(time.time() * 1000)),
        "checks": health.checks,
        "causes": _causes(health),
        "devices": health.devices,
        "devices_online": health.devices_online,
        "websocket_clients": call.app.hub.clients,
    }


async def short(call: Call) -> Response:
    """The health for login pages and load balancers."""
    health = call.app.health()
    return answer(
        {
            "status": health.status,
            "mqtt_connected": health.broker_connected,
            "uptime_seconds": uptime_s(call),
            "version": call.app.version,
            "connected_devices": health.devices_online,
            "mqtt_connected_devices": health.devices_online,
            "causes": _causes(health),
        },
        http_status(health),
    )


async def overview(call: Call) -> Response:
    """The health with its causes."""
    return answer(overview_record(call), http_status(call.app.health()))


async def live(call: Call) -> Response:
    """growyd's loop turns: this very answer is the proof."""
    return answer({"success": True, "alive": True, "uptime_seconds": uptime_s(call)})


async def ready(call: Call) -> Response:
    """Whether readings are received, converted and stored now."""
    health = call.app.health()
    return answer(
        {
            "success": health.ready,
            "ready": health.ready,
            "checks": health.checks,
            "runtime_mode": health.mode,
            "degraded_reason_codes": [cause.code for cause in health.causes],
            "causes": _causes(health),
        },
        200 if health.ready else 503,
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/health",
        summary="Health in short",
        handler=short,
        auth=Auth.PUBLIC,
        answers=(Answer(shapes.SHORT), Answer(shapes.SHORT, 503)),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/health",
        summary="Health with causes",
        handler=overview,
        auth=Auth.PUBLIC,
        answers=(Answer(shapes.OVERVIEW), Answer(shapes.OVERVIEW, 503)),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/health/live",
        summary="Is it alive",
        handler=live,
        auth=Auth.PUBLIC,
        answers=shapes.LIVE,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/health/ready",
        summary="Is it ready",
        handler=ready,
        auth=Auth.PUBLIC,
        answers=(Answer(shapes.READY), Answer(shapes.READY, 503)),
    ),
)
