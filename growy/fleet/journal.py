"""Keeps the fleet's memory in growy.db: a restart knows the devices. Batched: a heartbeat never touches the disk."""

from __future__ import annotations

import msgspec
import trio

from growy.fleet.registry import Device, Fleet
from growy.model.errors import StoreError
from growy.ops.log import get_log
from growy.store.devices import DeviceRow
from growy.store.store import Store

log = get_log(__name__)

PERIOD_S = 60.0
"""What a power cut can forget of a device is when it was last seen."""
TICK_S = 5.0


class _Record(msgspec.Struct, kw_only=True):
    """What of a device outlives a restart. Fields of a newer version are ignored, missing ones have defaults."""

    kaiser_id: str = "god"
    approved: bool = False
    zone_id: str = ""
    ip: str | None = None
    boot_id: str | None = None
    uptime: int | None = None
    epoch: int = 0
    reboots: int = 0


def to_row(device: Device) -> DeviceRow:
    record = _Record(**{name: getattr(device, name) for name in _Record.__struct_fields__})
    return DeviceRow(
        device.esp_id, msgspec.json.encode(record).decode(), device.first_seen_ms, device.last_seen_ms
    )


def from_row(row: DeviceRow) -> Device:
    """A device as it was; offline until it is heard of."""
    record = msgspec.json.decode(row.record.encode(), type=_Record)
    return Device(
        esp_id=row.esp_id,
        first_seen_ms=row.first_seen_ms,
        last_seen_ms=row.last_seen_ms,
        online=False,
        **msgspec.structs.asdict(record),
    )


class FleetJournal:
    """Writes changed devices to the store, and lets silence end in offline."""

    def __init__(self, fleet: Fleet, store: Store) -> None:
        self._fleet = fleet
        self._store = store

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        next_write = trio.current_time() + TICK_S  # the first devices soon, then rarely
        while True:
            await trio.sleep(TICK_S)
            self._fleet.tick()
            if trio.current_time() >= next_write:
                next_write = trio.current_time() + PERIOD_S
                await self.write()

    async def write(self) -> None:
        """Writes what has changed. A disk that refuses only delays it: the memory is the truth."""
        devices = self._fleet.take_dirty()
        if not devices:
            return
        try:
            await self._store.upsert_devices([to_row(device) for device in devices])
        except StoreError as error:
            self._fleet.mark_dirty(devices)
            log.once_per("device journal").warning(
                "devices not written", error=str(error), devices=len(devices)
            )
