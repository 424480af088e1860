"""Putting a device into a zone, and telling honestly how far a change has come on its device."""

from __future__ import annotations

import attrs

from growy.fleet.device import Device
from growy.model.setup import ItemState, ZoneSetup
from growy.web.app import App

CONFIRM_WITHIN_S = 5.0
"""How long an answer waits for the device: it needs a second, and its only lane may be busy with something before."""


def zone_setup(
    app: App, zone_id: str, zone_name: str | None = None, master_zone_id: str | None = None
) -> ZoneSetup:
    """What a device is to be told of a zone; what is not said here comes from the registry.

    Raises:
        Invalid: no device would take that id.
        ZoneArchived: the zone takes no devices.
    """
    app.zones.check_open(zone_id)
    zone = app.zones.get(zone_id)
    return ZoneSetup(
        zone_id=zone_id,
        master_zone_id=(zone.master_zone_id if zone is not None else "")
        if master_zone_id is None
        else master_zone_id,
        zone_name=zone_name or (zone.title if zone is not None else zone_id),
    )


async def register(app: App, zone: ZoneSetup, by: str) -> None:
    """Enter the zone that a device was put into, unless it stands in the registry already."""
    if zone.zone_id:
        await app.zones.adopt(zone.zone_id, by=by, name=zone.zone_name, master_zone_id=zone.master_zone_id)


@attrs.frozen(kw_only=True)
class Delivery:
    """How far a change has come on its device."""

    sent: bool
    state: ItemState
    warning: str | None
    """What the reader should know when the device has not confirmed it."""


async def delivered(app: App, esp_id: str, key: str) -> Delivery:
    """Waits a few seconds for the device's word on one item. Raises EspNotFound."""
    await app.fleet.settled(esp_id, [key], CONFIRM_WITHIN_S)
    return delivery(app, app.fleet.need(esp_id), key)


def delivery(app: App, device: Device, key: str) -> Delivery:
    """How far one item has come, now."""
    state = app.fleet.state_of(device, key)
    lane = device.live.lane
    under_way = lane.flight is not None and key in lane.flight.items
    sent = under_way or state is not ItemState.PENDING
    warning: str | None = None
    if state is ItemState.FAILED:
        said = app.fleet.item(device, key)
        reason = (said.error or said.error_code) if said is not None else ""
        warning = f"The device refused it: {reason or 'it gave no reason'}"
    elif state is ItemState.APPLIED:
        pass
    elif not device.approved:
        warning = "The device is not approved; it is told when it is"
    elif not device.online:
        warning = "The device is offline; it is told when it comes back"
    else:
        warning = "The device has not confirmed it yet; growyd goes on trying"
    return Delivery(sent=sent, state=state, warning=warning)
