"""What a device has yet to be told, most urgent first: zone, subzones, removals, sensors and actuators, offline rules.

Pure planning over a `State`: it compares what is wanted with what the device has confirmed of exactly that version, in
this boot. What is confirmed is never sent again; what failed waits until it is changed, the device reboots, or - where
the cause may pass, as a pulled cable does - ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from growy.fleet.device import ZONE_KEY, Flight, Scope, State
from growy.model.messages import Generation
from growy.model.setup import (
    OFFLINE_RULES_KEY,
    ActuatorSetup,
    ItemState,
    SensorSetup,
    SubzoneSetup,
    ZoneSetup,
)
from growy.model.time import Moment
from growy.wire import commands, topics
from growy.wire.config_document import first_document
from growy.wire.setup import actuator_item, fingerprint, rule_item, sensor_item

CONFIG_S = 30.0
"""A device may take that long over a config: each sensor item goes twice through its flash."""
ZONE_S = 10.0
SENSORS_AT_ONCE = 10
"""The firmware names at most ten failed sensors; more in one document could not be told apart."""
RETRY_FAILED_MS = 600_000
REASSERT_ZONE_MS = 60_000
REMOVED = "removed"
"""Fingerprint of an item that the device no longer has."""
TRANSIENT = frozenset(
    {"1041", "CONFIG_FAILED", "2003", "NVS_WRITE_FAILED", "TIMEOUT", "QUEUE_FULL", "WRITE_TIMEOUT"}
)
"""Failures that may pass without anybody changing anything: a cable is plugged in again."""


@attrs.frozen
class Work:
    """A transmission that is due."""

    flight: Flight
    topic: str
    payload: bytes


def next_work(state: State, moment: Moment, correlation_id: str) -> Work | None:
    """The next transmission; None when the device knows all."""
    return (
        _zone(state, moment, correlation_id)
        or _subzone(state, moment, correlation_id)
        or _config(state, moment, correlation_id)
    )


# --- what is wanted of each item, and whether the device has it ---------------------------------------------------


def fingerprints(state: State) -> dict[str, str]:
    """Key -> fingerprint of everything that is wanted of the device, as it is now."""
    record = state.record
    prints = {sensor.key: fingerprint(sensor_item(sensor)) for sensor in record.sensors}
    prints |= {actuator.key: fingerprint(actuator_item(actuator)) for actuator in record.actuators}
    prints |= {subzone.key: subzone_fingerprint(state, subzone) for subzone in record.subzones}
    if record.offline_rules is not None:
        prints[OFFLINE_RULES_KEY] = fingerprint([rule_item(rule) for rule in record.offline_rules])
    if record.zone is not None:
        prints[ZONE_KEY] = zone_fingerprint(record.zone)
    return prints


def zone_fingerprint(zone: ZoneSetup) -> str:
    return fingerprint([zone.zone_id, zone.master_zone_id, zone.zone_name])


def subzone_fingerprint(state: State, subzone: SubzoneSetup) -> str:
    """A subzone belongs to its zone: in another one it is told anew."""
    return fingerprint(
        [subzone.subzone_id, subzone.name, subzone.gpios, subzone.safe_mode, parent_zone(state)]
    )


def parent_zone(state: State) -> str:
    return state.record.zone_id if state.record.zone is None else state.record.zone.zone_id


def standing_of(state: State, key: str, wanted: str) -> ItemState:
    """How far an item is, as it is wanted now: a result for another version of it says nothing, nor does one from
    before the device's reboot, unless it is of what the firmware keeps (zone and subzones)."""
    result = state.record.results.get(key)
    if result is None or result.fingerprint != wanted:
        return ItemState.PENDING
    if result.boot != state.record.boots and (key == OFFLINE_RULES_KEY or key.startswith(("s:", "a:"))):
        return ItemState.PENDING
    return result.state


def _due(state: State, key: str, wanted: str, moment: Moment, *, once_per_boot: bool = True) -> bool:
    result = state.record.results.get(key)
    if result is None or result.fingerprint != wanted or result.state is ItemState.PENDING:
        return True
    if once_per_boot and result.boot != state.record.boots:
        return True
    return (
        result.state is ItemState.FAILED
        and result.error_code in TRANSIENT
        and abs(moment.wall_ms - result.at_ms) > RETRY_FAILED_MS
    )


# --- zone and subzones --------------------------------------------------------------------------------------------


def _flight(
    scope: Scope,
    items: Mapping[str, str],
    moment: Moment,
    correlation_id: str,
    seconds: float,
    subject: str = "",
) -> Flight:
    return Flight(
        scope=scope,
        correlation_id=correlation_id,
        started_ms=moment.wall_ms,
        deadline=moment.clock + seconds,
        items=items,
        subject=subject,
    )


def _zone(state: State, moment: Moment, correlation_id: str) -> Work | None:
    record = state.record
    if record.zone is None:
        return None
    wanted = zone_fingerprint(record.zone)
    result = record.results.get(ZONE_KEY)
    # The device keeps its zone over a reboot, and says in every heartbeat which it is.
    elsewhere = (
        record.zone_id != record.zone.zone_id
        and result is not None
        and result.state is ItemState.APPLIED
        and abs(moment.wall_ms - result.at_ms) > REASSERT_ZONE_MS
    )
    # A device with sensors only comes up waiting for actuators, and refuses commands. A zone assignment lifts it out.
    stuck = (
        state.live.config_pending
        and bool(record.zone.zone_id)
        and state.live.lane.zone_asserted_boot != record.boots
    )
    if not (_due(state, ZONE_KEY, wanted, moment, once_per_boot=False) or elsewhere or stuck):
        return None
    return Work(
        _flight(Scope.ZONE, {ZONE_KEY: wanted}, moment, correlation_id, ZONE_S),
        topics.zone_assign(record.kaiser_id, state.esp_id),
        commands.zone_assign(record.zone, record.kaiser_id, correlation_id),
    )


def _subzone(state: State, moment: Moment, correlation_id: str) -> Work | None:
    record = state.record
    parent = parent_zone(state)
    for subzone_id in record.removed_subzones:
        key = f"z:{subzone_id}"
        if _due(state, key, REMOVED, moment):
            return Work(
                _flight(Scope.SUBZONE, {key: REMOVED}, moment, correlation_id, ZONE_S, subzone_id),
                topics.subzone_remove(record.kaiser_id, state.esp_id),
                commands.subzone_remove(subzone_id, correlation_id),
            )
    if not parent:
        return None  # the device refuses subzones while it has no zone
    for subzone in record.subzones:
        wanted = subzone_fingerprint(state, subzone)
        if _due(state, subzone.key, wanted, moment, once_per_boot=False):
            return Work(
                _flight(
                    Scope.SUBZONE, {subzone.key: wanted}, moment, correlation_id, ZONE_S, subzone.subzone_id
                ),
                topics.subzone_assign(record.kaiser_id, state.esp_id),
                commands.subzone_assign(
                    subzone, parent, subzone.gpios, moment.wall_ms // 1000, correlation_id
                ),
            )
    return None


# --- config -------------------------------------------------------------------------------------------------------


def _config(state: State, moment: Moment, correlation_id: str) -> Work | None:
    """Removals first and by themselves, so that what follows finds the pins free."""
    sensors, actuators = list(_removals(state, moment)), list(_actuator_removals(state, moment))
    rules = None
    if not sensors and not actuators:
        sensors = list(_one_per_pin(_sensors(state, moment)))
        actuators = [(a.key, actuator_item(a)) for a in _actuators(state, moment)]
        rules = _rules(state, moment)
    if not sensors and not actuators and rules is None:
        return None
    record = state.record
    # The firmware of 2025-12 refuses a scope that is missing: something it has already stands in for it.
    both = record.generation is Generation.DEC_2025
    document = first_document(
        correlation_id,
        sensors=sensors[:SENSORS_AT_ONCE],
        actuators=actuators,
        rules=rules,
        both_scopes=both,
        fill_sensor=sensor_item(record.sensors[0]) if record.sensors else None,
        fill_actuator=actuator_item(record.actuators[0]) if record.actuators else None,
    )
    sent = dict([*sensors, *actuators])
    items = {
        key: REMOVED if _is_removal(state, key, sent.get(key)) else fingerprints(state)[key]
        for key in document.keys
    }
    flight = attrs.evolve(
        _flight(Scope.CONFIG, items, moment, correlation_id, CONFIG_S),
        answers_due=frozenset(
            scope.value for scope in document.scopes if scope.value in ("sensor", "actuator")
        ),
    )
    return Work(flight, topics.config(record.kaiser_id, state.esp_id), document.payload)


def _is_removal(state: State, key: str, item: Mapping[str, object] | None) -> bool:
    if item is None or item.get("active") is not False:
        return False
    # A sensor that is switched off is removed from the device, and stays in the setup.
    return not any(s.key == key and not s.enabled for s in state.record.sensors) and not any(
        a.key == key and not a.enabled for a in state.record.actuators
    )


def _removals(state: State, moment: Moment) -> Iterator[tuple[str, dict[str, object]]]:
    for sensor in state.record.removed_sensors:
        if _due(state, sensor.key, REMOVED, moment):
            yield sensor.key, sensor_item(sensor, active=False)


def _actuator_removals(state: State, moment: Moment) -> Iterator[tuple[str, dict[str, object]]]:
    record = state.record
    for actuator in record.removed_actuators:
        if _due(state, actuator.key, REMOVED, moment):
            yield actuator.key, actuator_item(actuator, active=False)
    for actuator in record.actuators:
        # A changed name, default state or inversion takes effect only after a reboot, unless it is made anew.
        result = record.results.get(actuator.key)
        if (
            actuator.enabled
            and result is not None
            and result.state is ItemState.APPLIED
            and result.fingerprint not in (REMOVED, fingerprint(actuator_item(actuator)))
        ):
            yield actuator.key, actuator_item(actuator, active=False)


def _sensors(state: State, moment: Moment) -> Iterator[SensorSetup]:
    for sensor in state.record.sensors:
        never_there = not sensor.enabled and sensor.key not in state.record.results
        if not never_there and _due(state, sensor.key, fingerprint(sensor_item(sensor)), moment):
            yield sensor


def _actuators(state: State, moment: Moment) -> Iterator[ActuatorSetup]:
    for actuator in state.record.actuators:
        never_there = not actuator.enabled and actuator.key not in state.record.results
        if not never_there and _due(state, actuator.key, fingerprint(actuator_item(actuator)), moment):
            yield actuator


def _one_per_pin(sensors: Iterator[SensorSetup]) -> Iterator[tuple[str, dict[str, object]]]:
    """The firmware names a failed sensor by its pin alone: two of one OneWire bus travel in two documents."""
    pins: set[int] = set()
    for sensor in sensors:
        if sensor.gpio not in pins:
            pins.add(sensor.gpio)
            yield sensor.key, sensor_item(sensor)


def _rules(state: State, moment: Moment) -> tuple[str, Sequence[dict[str, object]]] | None:
    rules = state.record.offline_rules
    if rules is None:
        return None
    items = [rule_item(rule) for rule in rules]
    if not _due(state, OFFLINE_RULES_KEY, fingerprint(items), moment):
        return None
    return OFFLINE_RULES_KEY, items
