"""Gathers what the doctor looks at while the daemon runs. The judgement is `growy.doctor`'s, and pure."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import attrs

from growy.control.rules.walk import sensors_of
from growy.control.watchdog import WatchdogStatistics
from growy.doctor import (
    ControlFacts,
    Facts,
    FleetFacts,
    PartsFacts,
    RuleTrouble,
    SensorsFacts,
    Skew,
    Stale,
    WebFacts,
)
from growy.fleet.device import Device, DeviceStatus
from growy.model.control import ActuatorKey, Stop, StopScope
from growy.model.errors import StoreError
from growy.model.rules import Rule
from growy.model.setup import ItemState, OperatingMode
from growy.web.api.esp_commands import item_keys
from growy.web.api.records import known
from growy.web.api.setups import Row, rows
from growy.web.app import App
from growy.web.statistics import WebStatistics

_T = TypeVar("_T")
DAY_MS = 86_400_000
LETTERS = 1000
"""Dead letters that are looked through, the newest."""
INTERVALS = 3
SHORTEST_AGE_S = 60.0
"""A sensor is stale after so many of its intervals, but not before that."""
GREETING_S = 120.0
"""A device that has just come is given as long to send its first readings."""


async def facts_of(app: App) -> Facts:
    """Everything that can be known now. Reads the dead letters from disk, and what `app.premises` looks at."""
    premises = await app.premises()
    return Facts(
        running=True,
        machine=premises.machine,
        parts=await _parts(app),
        broker=premises.broker,
        certificates=premises.certificates,
        web=None if premises.web is None else _web(app, premises.web),
        fleet=_fleet(app),
        sensors=_sensors(app),
        control=_control(app, premises.default_run_s),
    )


async def _parts(app: App) -> PartsFacts:
    store, pool = app.store.statistics(), app.pool.statistics()
    watchdog, web = _part(app, "watchdog", WatchdogStatistics), _part(app, "web", WebStatistics)
    since_ms = int(time.time() * 1000) - DAY_MS
    letters: Counter[str] = Counter()
    full = False
    state, error = store.state.value, store.last_error
    try:
        newest = await app.store.dead_letters(LETTERS)
    except StoreError as fault:
        state, error = "failed", str(fault)
    else:
        letters.update(letter.reason for letter in newest if letter.received_ms >= since_ms)
        full = letters.total() == LETTERS
    return PartsFacts(
        uptime_s=time.time() - app.started_ms / 1000,
        workers=pool.workers,
        workers_alive=pool.workers_alive,
        standing_still=() if watchdog is None else watchdog.late,
        store_state=state,
        store_error=error,
        damaged=store.damaged,
        dead_letters=letters,
        dead_letters_full=full,
        faults=app.control.statistics().faults + (0 if web is None else web.faults),
    )


def _web(app: App, facts: WebFacts) -> WebFacts:
    accounts = app.accounts.statistics()
    return attrs.evolve(facts, users=accounts.users, api_keys=accounts.api_keys)


def _part(app: App, name: str, kind: type[_T]) -> _T | None:
    ask = app.parts.get(name)
    said = None if ask is None else ask()
    return said if isinstance(said, kind) else None


def _fleet(app: App) -> FleetFacts:
    devices = known(app)
    fleet = app.fleet
    skews = ((device.esp_id, fleet.skew_s(device)) for device in devices if device.online)
    decided = [device for device in devices if device.approved]
    return FleetFacts(
        devices=len(devices),
        clocks=tuple(Skew(esp_id=esp_id, seconds=skew) for esp_id, skew in skews if skew is not None),
        offline=tuple(one.esp_id for one in decided if not one.online),
        pending=tuple(one.esp_id for one in devices if one.status is DeviceStatus.PENDING_APPROVAL),
        in_error=tuple(one.esp_id for one in devices if one.status is DeviceStatus.ERROR),
        flapping=tuple(one.esp_id for one in devices if fleet.flapping(one)),
        unconfigured=tuple(one.esp_id for one in decided if _unconfigured(app, one)),
    )


def _unconfigured(app: App, device: Device) -> bool:
    return any(app.fleet.state_of(device, key) is ItemState.FAILED for key in item_keys(device))


def _sensors(app: App) -> SensorsFacts:
    rules = [rule for rule in app.control.book.rules() if rule.enabled]
    now_ms = time.time() * 1000
    watched = [row for row in rows(app) if _measures_itself(app, row)]
    stale = [one for row in watched if (one := _stale(app, row, now_ms, rules)) is not None]
    libraries = app.pool.registry.describe()
    return SensorsFacts(
        sensors=len(watched),
        stale=tuple(stale),
        set_aside=tuple(one.name for one in libraries if one.state == "set_aside"),
        broken=tuple(one.name for one in libraries if one.state != "set_aside" and one.error),
    )


def _measures_itself(app: App, row: Row) -> bool:
    """Of a device that is away the absence is told, not each of its sensors."""
    device = app.fleet.get(row.key.esp_id)
    return (
        row.setup is not None
        and row.setup.enabled
        and row.setup.operating_mode is OperatingMode.CONTINUOUS
        and device is not None
        and device.approved
        and device.online
        and (device.uptime is None or device.uptime > GREETING_S)
    )


def _stale(app: App, row: Row, now_ms: float, rules: Sequence[Rule]) -> Stale | None:
    assert row.setup is not None
    latest = None if row.series is None else app.store.tail.latest(row.series.id)
    age_s = None if latest is None else max(0.0, (now_ms - latest.rx_ms) / 1000)
    if age_s is not None and age_s <= max(INTERVALS * row.setup.interval_s, SHORTEST_AGE_S):
        return None
    return Stale(
        sensor=f"{row.key.esp_id}:{row.gpio}/{row.key.value_type}",
        age_s=age_s,
        rules=tuple(rule.name for rule in rules if _looks_at(rule, row)),
    )


def _looks_at(rule: Rule, row: Row) -> bool:
    return any(
        (ref.esp_id, ref.gpio) == (row.key.esp_id, row.gpio)
        and ref.sensor_type in (None, row.key.value_type)
        and (ref.address is None or ref.address.lower() == row.key.address.lower())
        for ref in sensors_of(rule)
    )


def _control(app: App, default_run_s: int) -> ControlFacts:
    control = app.control
    reports = control.stops()
    interlocked = {key for one in control.interlocking.interlocks() for key in (one.a, one.b)}
    setups = [
        (ActuatorKey(device.esp_id, setup.gpio), setup, device)
        for device in known(app)
        for setup in device.record.actuators
        if setup.enabled
    ]
    reported = {state.actuator: state.reported for state in control.states()}
    records = [record for record in control.book.records() if record.rule.enabled]
    unproven = {proof.esp_id for report in reports for proof in report.devices if proof.proof is None}
    return ControlFacts(
        actuators=len(setups),
        rules=len(records),
        stops=tuple(_stop(report.stop) for report in reports),
        unproven=tuple(sorted(unproven)),
        not_durable=control.statistics().emergency.not_durable,
        unguarded=tuple(
            str(key) for key, setup, _ in setups if setup.max_runtime_s is None and key not in interlocked
        ),
        default_run_s=default_run_s,
        unknown=tuple(str(key) for key, _, device in setups if device.online and reported.get(key) is None),
        degraded=tuple(
            RuleTrouble(
                rule=record.rule.name, reason=record.degraded_reason or "it lacks a value of a sensor"
            )
            for record in records
            if not record.fault
            and (
                record.degraded_since_ms is not None
                or (record.situation.running and record.situation.holds is None)
            )
        ),
        faulty=tuple(
            RuleTrouble(rule=record.rule.name, reason=record.fault) for record in records if record.fault
        ),
    )


def _stop(stop: Stop) -> str:
    where = {
        StopScope.ALL: "everything",
        StopScope.ESP: stop.esp_id,
        StopScope.ACTUATOR: f"{stop.esp_id}:{stop.gpio}",
    }[stop.scope]
    return f"{where}{f' by {stop.by}' if stop.by else ''}{f' ({stop.reason})' if stop.reason else ''}"
