"""How a device is: what it last said of itself, and one figure of it. What it has not said counts neither for nor
against it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import msgspec

from growy.fleet.device import Device
from growy.fleet.session import DEAF
from growy.model.messages import Generation
from growy.model.setup import ItemState
from growy.web.answers import Response, answer, iso
from growy.web.api.esp_commands import item_keys
from growy.web.app import App
from growy.web.router import Call, Endpoint
from growy.web.shapes import devices as shapes
from growy.web.shapes import faults

HEAP_FULL, HEAP_EMPTY = 60_000, 20_000
"""Bytes: a device at ease has more than the one, and one with less than the other fails to allocate its messages."""
RSSI_FULL, RSSI_EMPTY = -60, -90
"""dBm: WiFi without losses, and WiFi that breaks."""
PER_ERROR = 5.0
"""What one tracked error of this boot costs."""
FLAPPING = 40.0


@attrs.frozen
class Factor:
    """One thing by which a device is judged."""

    score: float | None
    """0 (bad) to 100; None: not known."""
    value: object
    says: str


def factors(device: Device, flapping: bool, states: Mapping[str, ItemState]) -> dict[str, Factor]:
    """What is known of a device's health.

    Args:
        flapping: it has lost its connection more than once within minutes.
        states: how far each item that is set up has come on it.
    """
    live = device.live
    heap, rssi = (device.heap_free, device.wifi_rssi) if device.online else (None, None)
    errors = live.diagnostics.error_count if device.online and live.diagnostics is not None else None
    judges_answers = device.online and device.record.generation is Generation.APR_2026
    failed = sum(state is ItemState.FAILED for state in states.values())
    return {
        "presence": Factor(
            0.0 if not device.online else FLAPPING if flapping else 100.0,
            "offline" if not device.online else "flapping" if flapping else "online",
            "whether it is heard, without breaks",
        ),
        "answers": Factor(
            (0.0 if live.deaf >= DEAF else 100.0) if judges_answers else None,
            live.deaf if judges_answers else None,
            "heartbeats in a row after which it accepted no acknowledgement",
        ),
        "heap": Factor(_between(heap, HEAP_EMPTY, HEAP_FULL), heap, "free memory, bytes"),
        "rssi": Factor(_between(rssi, RSSI_EMPTY, RSSI_FULL), rssi, "strength of its WiFi, dBm"),
        "errors": Factor(
            None if errors is None else max(0.0, 100.0 - PER_ERROR * errors),
            errors,
            "errors it has tracked since its boot",
        ),
        "configuration": Factor(
            100.0 * (len(states) - failed) / len(states) if states else None,
            failed if states else None,
            "items that it could not be configured with",
        ),
    }


def score(known: Mapping[str, Factor]) -> float:
    """0 to 100: the mean of what is known, and never better than its presence; 0 for a device that is away."""
    said = [factor.score for factor in known.values() if factor.score is not None]
    presence = known["presence"].score or 0.0
    return round(min(presence, sum(said) / len(said)), 1)


def _between(value: int | None, empty: int, full: int) -> float | None:
    if value is None:
        return None
    return round(min(1.0, max(0.0, (value - empty) / (full - empty))) * 100.0, 1)


async def health(call: Call) -> Response:
    """What the device last said of itself, and since when."""
    found = call.app.fleet.need(call.path["esp_id"])
    beat = found.live.heartbeat
    return answer(
        {
            "success": True,
            "device_id": found.esp_id,
            "status": found.status.value,
            "online": found.online,
            "metrics": None if beat is None else _metrics(found),
            "diagnostics": _fields(found.live.diagnostics),
            "last_seen": iso(found.last_seen_ms),
            "uptime_formatted": None if found.uptime is None else duration(found.uptime),
            "connection_losses": len(found.live.losses),
            "config": {
                "in_flight": found.live.lane.flight is not None,
                "attempts": found.live.lane.attempts,
                "last_error": found.live.lane.last_error or None,
                "config_pending": found.live.config_pending,
            },
        }
    )


def _metrics(found: Device) -> dict[str, object]:
    beat = found.live.heartbeat
    assert beat is not None
    return {
        "uptime": beat.uptime,
        "heap_free": beat.heap_free,
        "wifi_rssi": beat.wifi_rssi,
        "sensor_count": beat.sensor_count,
        "actuator_count": beat.actuator_count,
        "persistence_degraded": beat.persistence_degraded,
        "runtime_state_degraded": beat.runtime_state_degraded,
        "network_degraded": beat.network_degraded,
        "timestamp": iso(round(beat.ts * 1000)) if beat.time_valid and beat.ts else None,
        **(_fields(found.live.metrics, leave={"ts"}) or {}),
    }


def _fields(
    said: msgspec.Struct | None, leave: frozenset[str] | set[str] = frozenset()
) -> dict[str, object] | None:
    """A message as an object; empty texts, the device's "not said", are null."""
    if said is None:
        return None
    return {
        name: None if value == "" else value
        for name, value in msgspec.structs.asdict(said).items()
        if name not in leave
    }


def duration(seconds: int) -> str:
    """`3d 4h 5m`, `5m 6s`: the three largest units."""
    days, rest = divmod(max(0, seconds), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (left, "s")]
    first = next((at for at, (amount, _) in enumerate(parts) if amount), 3)
    return " ".join(f"{amount}{unit}" for amount, unit in parts[first : first + 3])


async def health_score(call: Call) -> Response:
    found = call.app.fleet.need(call.path["esp_id"])
    judged = factors(found, call.app.fleet.flapping(found), _states(call.app, found))
    return answer({"success": True, "device_id": found.esp_id, "score": score(judged), "factors": judged})


def _states(app: App, found: Device) -> dict[str, ItemState]:
    return {key: app.fleet.state_of(found, key) for key in item_keys(found)}


_DEVICE = "/api/v1/esp/devices/{esp_id}"

ENDPOINTS = (
    Endpoint(
        method="GET",
        path=f"{_DEVICE}/health",
        summary="What a device last said of itself",
        handler=health,
        answers=shapes.HEALTH,
        errors=faults.DEVICE,
    ),
    Endpoint(
        method="GET",
        path=f"{_DEVICE}/health/score",
        summary="A device's health as one figure",
        handler=health_score,
        answers=shapes.SCORE,
        errors=faults.DEVICE,
    ),
)
