"""Devices as control sees them: values, made from the machine's state. Never a way to change it."""

from __future__ import annotations

from growy.fleet.device import State
from growy.model.control import DeviceView
from growy.model.setup import ItemState
from growy.wire.setup import actuator_item, fingerprint


def view_of(state: State, clock: float) -> DeviceView:
    """The device at this moment."""
    record, live = state.record, state.live
    hears = state.approved and live.online and not live.config_pending
    return DeviceView(
        esp_id=state.esp_id,
        kaiser_id=record.kaiser_id,
        approved=state.approved,
        online=live.online,
        ready=hears and clock >= live.ready_at,
        ready_at=live.ready_at if hears else float("inf"),
        boots=record.boots,
        generation=record.generation,
        emergency_token=record.emergency_token,
        zone_id=record.zone_id or ("" if record.zone is None else record.zone.zone_id),
        name=record.name,
        sensors=record.sensors,
        actuators=record.actuators,
        applied=_applied(state),
        offline_rules=record.offline_rules,
        self_driven=frozenset(rule.actuator_gpio for rule in record.offline_rules or ()),
    )


def differs(before: State, after: State) -> bool:
    """Whether control would see another device. Looks at identities: what did not change is the same object."""
    old, new = before.record, after.record
    if before.live is not after.live and (
        before.live.online is not after.live.online
        or before.live.ready_at != after.live.ready_at
        or before.live.config_pending is not after.live.config_pending
    ):
        return True
    return old is not new and (
        old.standing is not new.standing
        or old.boots != new.boots
        or old.actuators is not new.actuators
        or old.sensors is not new.sensors
        or old.results is not new.results
        or old.offline_rules is not new.offline_rules
        or old.zone is not new.zone
        or old.subzones is not new.subzones
        or (old.zone_id, old.kaiser_id, old.generation, old.emergency_token)
        != (new.zone_id, new.kaiser_id, new.generation, new.emergency_token)
    )


def _applied(state: State) -> frozenset[int]:
    """Pins whose actuator the device has taken as it is set up now, in this boot or an earlier one: it keeps them."""
    results = state.record.results
    return frozenset(
        actuator.gpio
        for actuator in state.record.actuators
        if (result := results.get(actuator.key)) is not None
        and result.state is ItemState.APPLIED
        and result.fingerprint == fingerprint(actuator_item(actuator))
    )
