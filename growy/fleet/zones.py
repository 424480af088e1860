"""The registry of zones: what a grower calls them, and which are no longer used. In memory, journaled in growy.db.

A device's zone is the device's own (`ZoneSetup`); a zone that only devices speak of need not stand here. Must never
speak to a device: that is the fleet's.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec
import trio

from growy.model.audit import AuditEntry, AuditSource
from growy.model.errors import Duplicate, GrowyError, Invalid, ZoneNotFound
from growy.store.registry import Registry
from growy.store.zones import ZoneRow
from growy.wire.limits import check_name, check_place_id

LONGEST_DESCRIPTION = 500


class ZoneInUse(GrowyError):
    """A zone that devices are in cannot go."""

    code = "ZONE_IN_USE"
    numeric_code = 5784
    http_status = 409


class ZoneArchived(GrowyError):
    """Nothing may be put into a zone that is no longer used."""

    code = "ZONE_ARCHIVED"
    numeric_code = 5785
    http_status = 409


class ZoneStatus(enum.StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"
    """No longer used: kept for its history, takes no further devices. Those in it stay."""


class Zone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One zone. Times are Unix ms. Journaled as JSON, so a field that is added later needs a default."""

    zone_id: str
    name: str = ""
    """"" : it has none but its id."""
    description: str = ""
    master_zone_id: str = ""
    """The zone that this one is a part of."""
    status: ZoneStatus = ZoneStatus.ACTIVE
    created_ms: int = 0
    updated_ms: int = 0

    @property
    def title(self) -> str:
        """What to call it."""
        return self.name or self.zone_id


def zone_of_row(row: ZoneRow) -> Zone:
    """A zone as it was written. Raises msgspec.ValidationError for a record that is none."""
    zone = msgspec.json.decode(row.record.encode(), type=Zone)
    return msgspec.structs.replace(
        zone, zone_id=row.zone_id, created_ms=row.created_ms, updated_ms=row.updated_ms
    )


class Zones:
    """All registered zones.

    What changes one is durable when it returns, raises StoreUnavailable or StoreError when it cannot be written (then
    nothing has changed), and is in the audit trail. `by` is who did it.

    Args:
        store: where they are journaled.
        known: those of the journal.
        wall_ms: Unix ms.
    """

    def __init__(
        self,
        store: Registry,
        known: Iterable[Zone] = (),
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._zones = {zone.zone_id: zone for zone in known}
        self._wall_ms = wall_ms
        self._writing = trio.Lock()  # a name is not given twice while the first waits for the disk

    def all(self) -> list[Zone]:
        """By id, archived ones too."""
        return sorted(self._zones.values(), key=lambda zone: zone.zone_id)

    def get(self, zone_id: str) -> Zone | None:
        return self._zones.get(zone_id)

    def need(self, zone_id: str) -> Zone:
        """Raises ZoneNotFound."""
        zone = self._zones.get(zone_id)
        if zone is None:
            raise ZoneNotFound(
                f"No zone {zone_id[:64]!r} is known", cure="GET /api/v1/zones lists those that are"
            )
        return zone

    def check_open(self, zone_id: str) -> None:
        """Raises ZoneArchived when no device may be put into it, Invalid when it can be no zone at all."""
        check_place_id("zone_id", zone_id)
        zone = self._zones.get(zone_id)
        if zone is not None and zone.status is ZoneStatus.ARCHIVED:
            raise ZoneArchived(
                f"Zone {zone_id} is archived and takes no devices",
                cure=f"Reactivate it first: POST /api/v1/zones/{zone_id}/reactivate",
            )

    async def create(
        self, zone_id: str, *, by: str, name: str = "", description: str = "", master_zone_id: str = ""
    ) -> Zone:
        """Raises Invalid, Duplicate."""
        async with self._writing:
            if zone_id in self._zones:
                raise Duplicate(f"There is a zone {zone_id} already")
            now = self._wall_ms()
            zone = Zone(
                zone_id=zone_id,
                name=name,
                description=description,
                master_zone_id=master_zone_id,
                created_ms=now,
                updated_ms=now,
            )
            return await self._write(zone, "zone_created", f"Zone {zone_id} was made", by)

    async def adopt(self, zone_id: str, *, by: str, name: str = "", master_zone_id: str = "") -> Zone:
        """The zone of that id, made unless there is one. Raises Invalid."""
        known = self._zones.get(zone_id)
        if known is not None:
            return known
        try:
            return await self.create(zone_id, by=by, name=name, master_zone_id=master_zone_id)
        except Duplicate:  # made by another request while this one waited
            return self._zones[zone_id]

    async def edit(
        self,
        zone_id: str,
        *,
        by: str,
        name: str | None = None,
        description: str | None = None,
        master_zone_id: str | None = None,
        status: ZoneStatus | None = None,
    ) -> Zone:
        """None: unchanged. Raises ZoneNotFound, Invalid."""
        async with self._writing:
            zone = self.need(zone_id)
            asked = {
                "name": name,
                "description": description,
                "master_zone_id": master_zone_id,
                "status": status,
            }
            changes = {
                field: value
                for field, value in asked.items()
                if value is not None and value != getattr(zone, field)
            }
            if not changes:
                return zone
            changed = msgspec.structs.replace(zone, **changes, updated_ms=self._wall_ms())
            return await self._write(changed, "zone_changed", f"Zone {zone_id} was changed", by, changes)

    async def delete(self, zone_id: str, *, by: str, devices: Collection[str]) -> Zone:
        """Args:
            devices: that are in it; they keep it from going.

        Raises ZoneNotFound, ZoneInUse.
        """
        if devices:
            shown = sorted(devices)
            raise ZoneInUse(
                f"{len(shown)} device{'s are' if len(shown) > 1 else ' is'} in zone {zone_id}: "
                f"{', '.join(shown[:10])}{'...' if len(shown) > 10 else ''}",
                cure=f"Take them out first (DELETE /api/v1/zone/devices/{shown[0]}/zone), or archive the zone",
                details={"zone_id": zone_id, "devices": shown},
            )
        async with self._writing:
            zone = self.need(zone_id)
            entry = self._entry("zone_deleted", zone_id, f"Zone {zone_id} was deleted", by, {})
            await self._store.write_registry(deleted_zones=[zone_id], audit=[entry])
            del self._zones[zone_id]
            return zone

    async def _write(
        self, zone: Zone, event: str, message: str, by: str, changes: Mapping[str, object] | None = None
    ) -> Zone:
        """Checks, writes, then remembers."""
        _check(zone)
        row = ZoneRow(zone.zone_id, msgspec.json.encode(zone).decode(), zone.created_ms, zone.updated_ms)
        entry = self._entry(event, zone.zone_id, message, by, changes or {})
        await self._store.write_registry(zones=[row], audit=[entry])
        self._zones[zone.zone_id] = zone
        return zone

    def _entry(
        self, event: str, zone_id: str, message: str, by: str, changes: Mapping[str, object]
    ) -> AuditEntry:
        return AuditEntry(
            ts_ms=self._wall_ms(),
            event_type=event,
            source_type=AuditSource.USER,
            source_id=zone_id,
            status="success",
            message=message,
            details={"by": by, **changes},
        )


def _check(zone: Zone) -> None:
    """Raises Invalid for what no device would take, or nobody could read."""
    check_place_id("zone_id", zone.zone_id)
    check_name("name of the zone", zone.name)
    if zone.master_zone_id:
        check_place_id("master_zone_id", zone.master_zone_id)
        if zone.master_zone_id == zone.zone_id:
            raise Invalid(f"Zone {zone.zone_id} cannot be a part of itself")
    if len(zone.description) > LONGEST_DESCRIPTION:
        raise Invalid(
            f"The description of zone {zone.zone_id} has more than {LONGEST_DESCRIPTION} characters"
        )
