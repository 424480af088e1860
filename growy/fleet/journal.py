"""Keeps the fleet's memory in growy.db: a restart knows the devices and what was set up on them.

Two documents per device, because they wear the card differently: what people set up is large and rarely written, and
then before the person is answered; what the device says of itself is small and written in batches. A heartbeat never
touches the disk.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import trio

from growy.fleet.device import SAID_BY_DEVICE, Device, Record, Standing, State
from growy.fleet.registry import Registry
from growy.model.errors import StoreError
from growy.ops.log import get_log
from growy.store.devices import DeviceRow
from growy.store.store import Store

log = get_log(__name__)

WRITE_S = 60.0
"""What matters of a device is on disk that much later; what people decide at once."""
REFRESH_S = 900.0
"""What a power cut can forget: when a device was seen last, and its uptime then."""
FIRST_S = 5.0


def to_row(device: Device) -> DeviceRow:
    """Both documents of a device."""
    fields = msgspec.to_builtins(device.record)
    said = {name: value for name, value in fields.items() if name in SAID_BY_DEVICE}
    setup = {name: value for name, value in fields.items() if name not in SAID_BY_DEVICE}
    return DeviceRow(
        device.esp_id,
        msgspec.json.encode(said).decode(),
        device.first_seen_ms,
        device.last_seen_ms,
        msgspec.json.encode(setup).decode(),
    )


def from_row(row: DeviceRow) -> Device:
    """A device as it was; offline until it is heard of.

    Raises:
        StoreError: a document is damaged, or of a growyd that knew other words; names the device.
    """
    try:
        fields = msgspec.json.decode(row.record, type=dict[str, object])
        if row.setup is None:
            # Written before setups existed: approval was all there was.
            standing = Standing.APPROVED if fields.pop("approved", False) else Standing.PENDING
            fields["standing"] = standing.value
        else:
            fields |= msgspec.json.decode(row.setup, type=dict[str, object])
        record = msgspec.convert(fields, Record)
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"What growy.db holds of {row.esp_id} cannot be read: {error}",
            cure="Restore growy.db from a backup, or start the newer growyd that wrote it",
        ) from error
    return Device(
        first_seen_ms=row.first_seen_ms,
        last_seen_ms=row.last_seen_ms,
        state=State(esp_id=row.esp_id, record=record),
    )


def read_known(rows: Sequence[DeviceRow]) -> list[Device]:
    """The devices of the store. One that cannot be read is left out and said so: the others must not wait for it, and
    while it reports a configuration it is not demoted."""
    known: list[Device] = []
    for row in rows:
        try:
            known.append(from_row(row))
        except StoreError as error:
            log.error("a device's record cannot be read", esp_id=row.esp_id, error=str(error))
    return known


class FleetJournal:
    """Writes changed devices to the store."""

    def __init__(self, fleet: Registry, store: Store, known: Sequence[DeviceRow] = ()) -> None:
        """Args:
        known: what the store holds: a setup that did not change is not written again.
        """
        self._fleet = fleet
        self._store = store
        self._written = {row.esp_id: hash(row.setup) for row in known}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep(FIRST_S)  # the first devices soon, then rarely
        refreshed = trio.current_time()
        while True:
            await self.write()
            await trio.sleep(WRITE_S)
            if trio.current_time() - refreshed >= REFRESH_S:
                refreshed = trio.current_time()
                self._fleet.mark_dirty([device for device in self._fleet.devices() if device.online])

    async def write(self, *, everything: bool = False) -> None:
        """Writes what has changed. A disk that refuses only delays it: the memory is the truth.

        Args:
            everything: also when devices were seen last, for a stop.
        """
        if everything:
            self._fleet.mark_dirty(self._fleet.devices())
        devices = self._fleet.take_dirty()
        try:
            await self._put(devices)
        except StoreError as error:
            self._fleet.mark_dirty(devices)
            log.once_per("device journal").warning(
                "devices not written", error=str(error), devices=len(devices)
            )

    async def persist(self, device: Device) -> None:
        """Writes one device now, before the person who changed it is answered.

        Raises:
            StoreError: it is not on disk. It is in force all the same, and will be written as soon as the disk can.
        """
        try:
            await self._put([device])
        except StoreError:
            self._fleet.mark_dirty([device])
            raise

    async def _put(self, devices: Sequence[Device]) -> None:
        rows: list[DeviceRow] = []
        for device in devices:
            row = to_row(device)
            if self._written.get(row.esp_id) == hash(row.setup):
                row = DeviceRow(row.esp_id, row.record, row.first_seen_ms, row.last_seen_ms)
            rows.append(row)
        if not rows:
            return
        await self._store.write_registry(devices=rows)
        self._written.update({row.esp_id: hash(row.setup) for row in rows if row.setup is not None})
