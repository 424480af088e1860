"""How well growyd is, judged from true figures. Pure: it is told the figures and never fetches them itself.

It must never call a figure good that nobody measured: a part that has not reported yet is a cause, not a
silence.
"""

from __future__ import annotations

import enum

import attrs


class HealthStatus(enum.StrEnum):
    """The three words of the health endpoints."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Works, but something is missing; the causes say what. Readings are not lost."""
    UNHEALTHY = "unhealthy"
    """Readings can neither be received nor stored until somebody acts."""


@attrs.frozen
class Cause:
    """One reason why the status is not healthy."""

    code: str
    """Short and stable, for programs: `broker_disconnected`, `store_full`..."""
    message: str
    """For people: names the part and the cure."""


@attrs.frozen(kw_only=True)
class Vitals:
    """What the daemon knows about its parts at this moment."""

    broker_connected: bool
    broker: str = ""
    """Address of the broker without credentials, and what it said last."""
    store_state: str
    """`ok`, `full`, `readonly`; anything else counts as failed."""
    store_error: str = ""
    workers: int
    """Conversion workers wanted."""
    workers_alive: int
    set_aside: tuple[str, ...] = ()
    """Names of sensor libraries that failed too often."""
    devices: int = 0
    devices_online: int = 0


@attrs.frozen(kw_only=True)
class Health:
    """The answer of every health endpoint."""

    status: HealthStatus
    ready: bool
    """Readings are received, converted and stored right now."""
    checks: dict[str, bool]
    causes: tuple[Cause, ...]
    broker_connected: bool
    devices: int
    devices_online: int


def assess(vitals: Vitals) -> Health:
    """Judge the figures: each check that fails names its cause."""
    causes: list[Cause] = []
    if not vitals.broker_connected:
        causes.append(
            Cause(
                "broker_disconnected",
                f"No connection to the MQTT broker{said_of(vitals.broker)}: no readings arrive. "
                "growyd keeps trying; check that the broker runs and [broker] url",
            )
        )
    store_ok = vitals.store_state == "ok"
    said = said_of(vitals.store_error)
    if vitals.store_state == "full":
        causes.append(
            Cause(
                "store_full",
                f"The disk is full{said}: readings wait at the broker until some space is freed",
            )
        )
    elif vitals.store_state == "readonly":
        causes.append(
            Cause(
                "store_readonly",
                f"The disk is read-only{said}: readings wait at the broker. Worn SD cards do this: check it",
            )
        )
    elif not store_ok:
        causes.append(Cause("store_failed", f"The store does not work: {vitals.store_state}{said}"))
    if vitals.workers_alive == 0:
        causes.append(
            Cause(
                "no_conversion_worker",
                "No conversion worker runs: readings are stored raw, without a value. It is being restarted",
            )
        )
    elif vitals.workers_alive < vitals.workers:
        causes.append(
            Cause(
                "worker_down",
                f"{vitals.workers_alive} of {vitals.workers} conversion workers run; restarting",
            )
        )
    causes.extend(
        Cause(
            "library_set_aside",
            f"The sensor library {name} failed too often and is set aside: its readings have no value. "
            "Correct its file or reload it (growyd sensors reload)",
        )
        for name in vitals.set_aside
    )
    checks = {
        "broker": vitals.broker_connected,
        "store": store_ok,
        "conversion": vitals.workers_alive > 0 and not vitals.set_aside,
    }
    known_state = vitals.store_state in {"ok", "full", "readonly"}
    if not known_state or (not vitals.broker_connected and not store_ok):
        status = HealthStatus.UNHEALTHY
    else:
        status = HealthStatus.DEGRADED if causes else HealthStatus.HEALTHY
    return Health(
        status=status,
        ready=vitals.broker_connected and store_ok and vitals.workers_alive > 0,
        checks=checks,
        causes=tuple(causes),
        broker_connected=vitals.broker_connected,
        devices=vitals.devices,
        devices_online=vitals.devices_online,
    )


def said_of(detail: str) -> str:
    return f" ({detail})" if detail else ""
