"""growy.db as the other rooms see it: devices, zones, audit trail, small facts, and what control remembers. Rare
writes, each forced to the card.

What belongs together is written together: one transaction is one forced write. Must never be asked per heartbeat or
per reading.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import apsw

from growy.model.audit import AuditEntry
from growy.model.errors import Invalid
from growy.store.accounts import AccountBatch, AccountRows, read_accounts, write_accounts
from growy.store.audit import (
    AuditFilter,
    AuditPage,
    AuditRow,
    read_audit,
    read_audit_after,
    read_event_types,
    write_audit,
)
from growy.store.control import ControlBatch, ControlRegistry, write_control
from growy.store.devices import DeviceRow, read_devices, write_devices
from growy.store.hierarchy import HierarchyBatch, HierarchyRegistry, write_hierarchy
from growy.store.keyed import read_keyed, write_keyed
from growy.store.readers import Readers
from growy.store.writer import Submitted, Writer, transaction
from growy.store.zones import ZoneRow, delete_zones, read_zones, write_zones

EVERYTHING = AuditFilter()
NOTHING = ControlBatch()
NO_TREE = HierarchyBatch()


class Registry(ControlRegistry, HierarchyRegistry):
    """The half of the store that is about growy.db. Trio thread only.

    Args:
        db: the writing connection; the writer's thread uses it.
        writer: its own: an emergency stop must not wait behind a commit of readings, or the sealing of chunks.
        audit_rows: entries of the audit trail that are kept.
        history_rows: executions of rules, and entries of the actuators' history, that are kept.
    """

    def __init__(
        self, db: apsw.Connection, writer: Writer, readers: Readers, audit_rows: int, history_rows: int
    ) -> None:
        super().__init__(readers)
        self._registry = db
        self._registry_writer = writer
        self._audit_rows = audit_rows
        self._history_rows = history_rows

    async def write_registry(
        self,
        *,
        devices: Sequence[DeviceRow] = (),
        audit: Sequence[AuditEntry] = (),
        zones: Sequence[ZoneRow] = (),
        deleted_zones: Collection[str] = (),
        keyed: Mapping[str, str | None] | None = None,
        control: ControlBatch = NOTHING,
        hierarchy: HierarchyBatch = NO_TREE,
    ) -> None:
        """Write all of it in one transaction; returns when it is on the card. Nothing to write touches nothing.

        Args:
            devices: what the fleet knows; inserted or replaced.
            audit: entries to append; the oldest go when there are more than `store.audit_rows`.
            zones: inserted or replaced, after `deleted_zones` are gone.
            keyed: facts; None deletes one.
            control: what control remembers.

        Raises:
            Duplicate: a rule has the name of another. Nothing was written.
            StoreUnavailable: the disk is full or read-only. Nothing was written; the same may be tried again.
            StoreError: nothing was written.
        """
        facts = keyed or {}
        if not (devices or audit or zones or deleted_zones or facts or control or hierarchy):
            return
        db = self._registry

        def write() -> None:
            with transaction(db):
                write_devices(db, devices)
                delete_zones(db, deleted_zones)
                write_zones(db, zones)
                write_keyed(db, facts)
                write_control(db, control, self._history_rows)
                write_hierarchy(db, hierarchy)
                if audit:
                    write_audit(db, audit, self._audit_rows)

        await self._registry_writer.run(write, db)

    async def write_accounts(self, batch: AccountBatch) -> None:
        """Users, sessions and keys, in one transaction; returns when it is on the card. As `write_registry`."""
        if not batch:
            return
        db = self._registry

        def write() -> None:
            with transaction(db):
                write_accounts(db, batch)

        await self._registry_writer.run(write, db)

    async def account_rows(self) -> AccountRows:
        """All accounts. Raises StoreError."""
        return await self._readers.registry(read_accounts)

    def submit_control(self, control: ControlBatch) -> Submitted:
        """As `write_registry(control=...)`, for an emergency stop: under way when this returns, whoever waits."""
        db = self._registry

        def write() -> None:
            with transaction(db):
                write_control(db, control, self._history_rows)

        return self._registry_writer.submit(write, db)

    async def upsert_devices(self, rows: Sequence[DeviceRow]) -> None:
        """What the fleet knows about devices. Rare: per change of state, not per heartbeat. As `write_registry`."""
        await self.write_registry(devices=rows)

    async def device_rows(self) -> list[DeviceRow]:
        """All devices ever written, by id. Raises StoreError."""
        return await self._readers.registry(read_devices)

    async def upsert_zones(self, rows: Sequence[ZoneRow]) -> None:
        """Insert or replace zones. As `write_registry`."""
        await self.write_registry(zones=rows)

    async def delete_zones(self, zone_ids: Collection[str]) -> None:
        """Delete zones, those that exist. As `write_registry`."""
        await self.write_registry(deleted_zones=zone_ids)

    async def zone_rows(self) -> list[ZoneRow]:
        """All zones, by id. Raises StoreError."""
        return await self._readers.registry(read_zones)

    async def set_keyed(self, key: str, value: str | None) -> None:
        """Remember a fact about the whole daemon; None forgets it. As `write_registry`."""
        await self.write_registry(keyed={key: value})

    async def keyed(self, key: str) -> str | None:
        """A fact about the whole daemon; None when it was never set. Raises StoreError."""
        return await self._readers.registry(lambda db: read_keyed(db, key))

    async def write_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Append to the audit trail. As `write_registry`; parts note to `growy.fleet.audit_trail`, which calls this."""
        await self.write_registry(audit=entries)

    async def audit(
        self, wanted: AuditFilter = EVERYTHING, *, limit: int = 100, offset: int = 0
    ) -> AuditPage:
        """Entries of the audit trail that fit, newest first, and how many there are in all.

        Raises:
            Invalid: a limit below 1 or a negative offset.
            StoreError: the disk cannot be read.
        """
        if limit < 1 or offset < 0:
            raise Invalid("limit must be at least 1, offset at least 0")
        return await self._readers.registry(lambda db: read_audit(db, wanted, limit, offset))

    async def audit_after(self, after_id: int, limit: int) -> list[AuditRow]:
        """The entries after that one, oldest first. Raises StoreError."""
        return await self._readers.registry(lambda db: read_audit_after(db, after_id, limit))

    async def audit_event_types(self) -> dict[str, int]:
        """Kinds of event in the audit trail, and how often each happened. Raises StoreError."""
        return await self._readers.registry(read_event_types)
