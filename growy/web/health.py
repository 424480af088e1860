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
    """Readings can neither be received nor stored, or a critical part stands still."""


class RuntimeMode(enum.StrEnum):
    """What growyd is doing at large."""

    WARMING_UP = "WARMING_UP"
    """It has not been connected to its broker since its start."""
    NORMAL_OPERATION = "NORMAL_OPERATION"
    DEGRADED_OPERATION = "DEGRADED_OPERATION"
    """At least one cause; they say what."""
    SHUTDOWN_DRAIN = "SHUTDOWN_DRAIN"
    """It reads no more, commits what it has, and ends within seconds."""


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
    standing_still: tuple[str, ...] = ()
    """Critical parts that have missed their deadline: `control`, `link`, `writer`, `workers`."""
    was_connected: bool = True
    """Since the start."""
    stopping: bool = False
    devices: int = 0
    devices_online: int = 0


@attrs.frozen(kw_only=True)
class Health:
    """The answer of every health endpoint."""

    status: HealthStatus
    ready: bool
    """Readings are received, converted and stored right now, and rules and people can switch."""
    mode: RuntimeMode
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
    causes.extend(
        Cause(
            "part_stands_still",
            f"The part {name} has missed its deadline. If it goes on so, growyd is started again; "
            "its log says where it waited",
        )
        for name in vitals.standing_still
    )
    if vitals.stopping:
        causes.append(Cause("stopping", "growyd is being stopped: it reads no more and commits what it has"))
    still = frozenset(vitals.standing_still)
    checks = {
        "broker": vitals.broker_connected and "link" not in still,
        "store": store_ok and "writer" not in still,
        "conversion": vitals.workers_alive > 0 and not vitals.set_aside and "workers" not in still,
        "control": "control" not in still,
    }
    known_state = vitals.store_state in {"ok", "full", "readonly"}
    if not known_state or still or (not vitals.broker_connected and not store_ok):
        status = HealthStatus.UNHEALTHY
    else:
        status = HealthStatus.DEGRADED if causes else HealthStatus.HEALTHY
    return Health(
        status=status,
        ready=vitals.broker_connected
        and store_ok
        and vitals.workers_alive > 0
        and not still
        and not vitals.stopping,
        mode=_mode(vitals, causes),
        checks=checks,
        causes=tuple(causes),
        broker_connected=vitals.broker_connected,
        devices=vitals.devices,
        devices_online=vitals.devices_online,
    )


def _mode(vitals: Vitals, causes: list[Cause]) -> RuntimeMode:
    if vitals.stopping:
        return RuntimeMode.SHUTDOWN_DRAIN
    if not vitals.was_connected and all(cause.code == "broker_disconnected" for cause in causes):
        return RuntimeMode.WARMING_UP
    return RuntimeMode.DEGRADED_OPERATION if causes else RuntimeMode.NORMAL_OPERATION


def said_of(detail: str) -> str:
    return f" ({detail})" if detail else ""
