"""What people decide about devices and set up on them. Every change is on disk when it returns.

What is set up travels to the device by itself, now or when it is there again; `settled` waits for its word.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
import trio

from growy.fleet import admission, edit, work
from growy.fleet.device import SAID_BY_DEVICE, Device, Record, Standing, State
from growy.fleet.effects import Changed, Decided, Event
from growy.fleet.hardware import board_of
from growy.fleet.registry import Registry
from growy.fleet.reports import entry
from growy.model.errors import DeviceNotApproved, Duplicate, Invalid
from growy.model.setup import (
    ActuatorSetup,
    ItemResult,
    ItemState,
    OfflineRule,
    SensorSetup,
    SubzoneSetup,
    ZoneSetup,
)
from growy.model.time import Moment
from growy.wire.topics import is_esp_id


class FleetSetups(Registry):
    """See `Registry` for what it is made with."""

    # --- decisions ----------------------------------------------------------------------------------------------

    async def approve(
        self, esp_id: str, *, by: str, name: str | None = None, zone: ZoneSetup | None = None
    ) -> Device:
        """Takes a device into the fleet."""
        device = self.need(esp_id)
        if device.record.standing is Standing.DELETED:
            raise Invalid(
                f"{esp_id} was deleted", cure="It appears again five minutes after that; approve it then"
            )
        record = self._described(device.record, name=name, zone=zone)
        return await self._apply(device, Changed(record), Decided(Standing.APPROVED, by))

    async def reject(self, esp_id: str, *, by: str, reason: str) -> Device:
        """Keeps a device out; after five minutes it asks again."""
        return await self._apply(self.need(esp_id), Decided(Standing.REJECTED, by, reason))

    async def set_pending(self, esp_id: str, *, by: str) -> Device:
        """Takes the approval back: the device refuses commands from then on."""
        return await self._apply(self.need(esp_id), Decided(Standing.PENDING, by))

    async def delete(self, esp_id: str, *, by: str) -> Device:
        """Forgets a device and what was set up on it; its readings stay."""
        return await self._apply(self.need(esp_id), Decided(Standing.DELETED, by))

    async def register(
        self,
        esp_id: str,
        *,
        by: str,
        name: str = "",
        hardware_type: str = "ESP32_WROOM",
        mac_address: str = "",
        firmware_version: str = "",
        zone: ZoneSetup | None = None,
    ) -> Device:
        """Makes a device known, and approved, before it was ever heard.

        Raises:
            Duplicate: it is known already. Invalid: not a device id, no such board, or a zone that is none.
        """
        if not is_esp_id(esp_id):
            raise Invalid(f"{esp_id[:64]!r} is not a device id (ESP_ and 6 to 8 hex digits)")
        known = self.get(esp_id)
        if known is not None and known.record.standing is not Standing.DELETED:
            raise Duplicate(f"{esp_id} is known already", cure="Approve it, or change it where it is")
        board_of(hardware_type)
        now_ms = self._wall_ms()
        record = Record(
            hardware_type=hardware_type, mac_address=mac_address, firmware_version=firmware_version
        )
        record = self._described(record, name=name, zone=zone)
        device = Device(first_seen_ms=now_ms, last_seen_ms=now_ms, state=State(esp_id=esp_id, record=record))
        self._devices[esp_id] = device
        return await self._apply(device, Decided(Standing.APPROVED, by))

    async def adopt(self, written: Device) -> Device:
        """A device as another node has written it down. What is known here of its presence stays."""
        known = self.get(written.esp_id)
        if known is None or known.record.standing is Standing.DELETED:
            device = Device(
                first_seen_ms=written.first_seen_ms,
                last_seen_ms=written.last_seen_ms,
                state=State(esp_id=written.esp_id, record=written.record),
            )
            self._devices[written.esp_id] = device
            return await self._apply(device, Changed(written.record))
        said = {name: getattr(known.record, name) for name in SAID_BY_DEVICE}
        # A handover epoch that falls would be refused by the device.
        said["epoch"] = max(known.record.epoch, written.record.epoch)
        return await self._apply(known, Changed(msgspec.structs.replace(written.record, **said)))

    async def edit(
        self,
        esp_id: str,
        *,
        name: str | None = None,
        hardware_type: str | None = None,
        notes: Mapping[str, object] | None = None,
    ) -> Device:
        """Changes what is known of a device; None leaves a thing as it is."""
        device = self.need(esp_id)
        if hardware_type is not None:
            board_of(hardware_type)
        record = self._described(device.record, name=name)
        if hardware_type is not None:
            record = msgspec.structs.replace(record, hardware_type=hardware_type)
        if notes is not None:
            record = msgspec.structs.replace(record, notes={**record.notes, **notes})
        return await self._apply(device, Changed(record))

    @staticmethod
    def _described(record: Record, *, name: str | None = None, zone: ZoneSetup | None = None) -> Record:
        if zone is not None:
            record = edit.put_zone(record, admission.admit_zone(zone).setup)
        return record if name is None else msgspec.structs.replace(record, name=name.strip()[:100])

    # --- setups -------------------------------------------------------------------------------------------------

    async def set_sensor(self, esp_id: str, setup: SensorSetup) -> tuple[SensorSetup, tuple[str, ...]]:
        """Adds or replaces a sensor, by its id. Returns it as it was admitted, and what to know about it.

        Raises:
            DeviceNotApproved, Invalid, GpioConflict, ConfigTooLarge: it is not set up.
        """
        device = self._approved(esp_id)
        record = device.record
        admitted = admission.admit_sensor(
            board_of(record.hardware_type), record.sensors, record.actuators, setup
        )
        changed = edit.put_sensor(record, admitted.setup, self._wall_ms())
        await self._apply(
            device, self._changed(device, changed, f"Sensor {admitted.setup.name!r} was set up")
        )
        self._on_setup(esp_id)
        return admitted.setup, admitted.warnings

    async def remove_sensor(self, esp_id: str, id: str) -> SensorSetup:
        """Raises SensorNotFound."""
        device = self.need(esp_id)
        record, setup = edit.take_sensor(device.record, esp_id, id)
        await self._apply(device, self._changed(device, record, f"Sensor {setup.name!r} was removed"))
        self._announce("sensor_config_deleted", {"esp_id": esp_id, "gpio": setup.gpio, "config_id": id})
        self._on_setup(esp_id)
        return setup

    async def set_actuator(self, esp_id: str, setup: ActuatorSetup) -> tuple[ActuatorSetup, tuple[str, ...]]:
        """As `set_sensor`."""
        device = self._approved(esp_id)
        record = device.record
        admitted = admission.admit_actuator(
            board_of(record.hardware_type), record.sensors, record.actuators, setup
        )
        changed = edit.put_actuator(record, admitted.setup, self._wall_ms())
        await self._apply(
            device, self._changed(device, changed, f"Actuator {admitted.setup.name!r} was set up")
        )
        return admitted.setup, admitted.warnings

    async def remove_actuator(self, esp_id: str, id: str) -> ActuatorSetup:
        """The device stops it. Raises ActuatorNotFound."""
        device = self.need(esp_id)
        record, setup = edit.take_actuator(device.record, esp_id, id)
        await self._apply(device, self._changed(device, record, f"Actuator {setup.name!r} was removed"))
        self._announce("actuator_config_deleted", {"esp_id": esp_id, "gpio": setup.gpio, "config_id": id})
        return setup

    async def set_offline_rules(self, esp_id: str, rules: Sequence[OfflineRule]) -> tuple[str, ...]:
        """What the device does by itself while its Pi is away; replaces all rules it has. Returns warnings."""
        device = self._approved(esp_id)
        record = device.record
        admitted = admission.admit_rules(record.sensors, record.actuators, rules)
        await self._apply(
            device, self._changed(device, edit.put_rules(record, admitted.setup), "Offline rules were set")
        )
        return admitted.warnings

    async def set_zone(self, esp_id: str, zone: ZoneSetup) -> Device:
        """Where the device shall be; an empty `zone_id` takes it out of its zone."""
        device = self._approved(esp_id)
        record = edit.put_zone(device.record, admission.admit_zone(zone).setup)
        text = f"Assigned to zone {zone.zone_id!r}" if zone.zone_id else "Taken out of its zone"
        return await self._apply(device, self._changed(device, record, text))

    async def set_subzone(self, esp_id: str, subzone: SubzoneSetup) -> tuple[SubzoneSetup, tuple[str, ...]]:
        """Adds or replaces a subzone, by its id."""
        device = self._approved(esp_id)
        record = device.record
        admitted = admission.admit_subzone(
            board_of(record.hardware_type),
            record.sensors,
            record.subzones,
            work.parent_zone(device.state),
            subzone,
        )
        changed = edit.put_subzone(record, admitted.setup)
        await self._apply(
            device, self._changed(device, changed, f"Subzone {subzone.subzone_id!r} was set up")
        )
        return admitted.setup, admitted.warnings

    async def remove_subzone(self, esp_id: str, subzone_id: str) -> SubzoneSetup:
        """Raises SubzoneNotFound."""
        device = self.need(esp_id)
        record, subzone = edit.take_subzone(device.record, esp_id, subzone_id)
        await self._apply(device, self._changed(device, record, f"Subzone {subzone_id!r} was removed"))
        return subzone

    async def push(self, esp_id: str) -> Device:
        """Sends everything that is set up once more."""
        device = self._approved(esp_id)
        record = edit.send_again(device.record)
        return await self._apply(device, self._changed(device, record, "Everything is sent again"))

    # --- where items stand --------------------------------------------------------------------------------------

    def item(self, device: Device, key: str) -> ItemResult | None:
        """What the device said last of an item; it may be of an older version."""
        return device.record.results.get(key)

    def state_of(self, device: Device, key: str) -> ItemState:
        """How far an item has come, as it is now."""
        wanted = work.fingerprints(device.state).get(key, work.REMOVED)
        result = device.record.results.get(key)
        if result is None and wanted == work.REMOVED:
            return ItemState.APPLIED  # it is gone
        return work.standing_of(device.state, key, wanted)

    async def settled(self, esp_id: str, keys: Collection[str], timeout_s: float) -> bool:
        """Waits until the device has said something of each of these items, as they are now.

        Returns False when it has not in time, or is not there to say anything.
        """
        with trio.move_on_after(timeout_s):
            while True:
                device = self.need(esp_id)
                if all(self.state_of(device, key) is not ItemState.PENDING for key in keys):
                    return True
                if not device.online:
                    return False
                await self._changes.setdefault(esp_id, trio.Event()).wait()
        return False

    # --- what they share ----------------------------------------------------------------------------------------

    def _approved(self, esp_id: str) -> Device:
        device = self.need(esp_id)
        if not device.approved:
            raise DeviceNotApproved(
                f"{esp_id} is {device.status.value}", cure="Approve it first", details={"esp_id": esp_id}
            )
        return device

    def _changed(self, device: Device, record: Record, text: str) -> Changed:
        moment = Moment(self._clock(), self._wall_ms())
        note = entry(device.state, moment, "device_setup", text, source_type="user")
        return Changed(record, note)

    async def _apply(self, device: Device, *events: Event) -> Device:
        for event in events:
            self._happen(device, event, Moment(self._clock(), self._wall_ms()))
        await self._persist(device)
        return device

    def _announce(self, event: str, data: Mapping[str, object]) -> None:
        self._events[event] += 1
        self._tell(event, data, None)
