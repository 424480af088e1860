"""The ESP32s: who is there, since when, in what state. Held in memory, journaled so that a restart knows them.

Answers heartbeats at once, before any disk work: a device publishes nothing until it has been answered. Approval,
configuration and the full life cycle build on this; so far a device is known, answered, and online or not.
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs

from growy.model.messages import Generation, Heartbeat, SessionAnnounce, Will
from growy.ops.log import get_log
from growy.wire import topics as topic_names
from growy.wire.encode import heartbeat_ack
from growy.wire.table import Message
from growy.wire.topics import Topic

log = get_log(__name__)

OFFLINE_AFTER_S = 180.0
"""Three heartbeats (60 s each): one lost heartbeat is ordinary, QoS 0 promises nothing."""
MAX_DEVICES = 2000
"""A broker that invents devices must not fill the memory."""

Publish: TypeAlias = Callable[[str, bytes], bool]
"""Sends a message without waiting for it to arrive; False when it cannot."""


class DeviceStatus(enum.StrEnum):
    PENDING_APPROVAL = "pending_approval"
    ONLINE = "online"
    OFFLINE = "offline"


@attrs.define(kw_only=True, eq=False)
class Device:
    """What growyd knows of one ESP32."""

    esp_id: str
    kaiser_id: str
    approved: bool
    first_seen_ms: int
    last_seen_ms: int
    """By receive time, never by the device's clock. To be shown: the Pi's own clock may jump, so presence is judged by
    `heard_at`."""
    heard_at: float = -math.inf
    """When it was heard last, on a clock that only goes forward, seconds."""
    online: bool = True
    zone_id: str = ""
    ip: str | None = None
    heap_free: int | None = None
    wifi_rssi: int | None = None
    uptime: int | None = None
    """Seconds since boot, as the device says."""
    sensor_count: int | None = None
    actuator_count: int | None = None
    boot_id: str | None = None
    reset_reason: str | None = None
    generation: Generation | None = None
    epoch: int = 0
    """Handover epoch that the device reported last."""
    reboots: int = 0
    heartbeats: int = 0

    @property
    def status(self) -> DeviceStatus:
        if not self.approved:
            return DeviceStatus.PENDING_APPROVAL
        return DeviceStatus.ONLINE if self.online else DeviceStatus.OFFLINE


@attrs.frozen(kw_only=True)
class FleetStatistics:
    devices: int
    online: int
    offline: int
    pending_approval: int
    """Of the online and offline ones."""
    heartbeats: int
    acknowledged: int
    unacknowledged: int
    """Heartbeats whose answer the broker link had no room for."""
    refused_devices: int
    """Messages of devices beyond the limit."""


class Fleet:
    """All devices.

    Args:
        auto_approve: approve new devices by themselves.
        publish: sends heartbeat acknowledgements.
        on_change: told of devices that came, went or changed (for the WebSocket).
        known: devices from the journal.
        clock: seconds, only goes forward.
    """

    def __init__(
        self,
        *,
        auto_approve: bool,
        publish: Publish,
        on_change: Callable[[str, Device], None] = lambda event, device: None,
        known: Sequence[Device] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._auto_approve = auto_approve
        self._publish = publish
        self._on_change = on_change
        self._devices = {device.esp_id: device for device in known}
        self._dirty: set[str] = set()
        self._heartbeats = 0
        self._acknowledged = 0
        self._unacknowledged = 0
        self._refused = 0

    def devices(self) -> list[Device]:
        return sorted(self._devices.values(), key=lambda device: device.esp_id)

    def get(self, esp_id: str) -> Device | None:
        return self._devices.get(esp_id)

    def zone_of(self, esp_id: str) -> str | None:
        """The zone that a device is in now, as it says; None where it says none."""
        device = self._devices.get(esp_id)
        return None if device is None else device.zone_id or None

    def handle(self, topic: Topic, message: Message | None, now_ms: int) -> None:
        """Takes any message of a device that is not a reading. None: a heartbeat that cannot be read."""
        if isinstance(message, Will):
            if not message.cleared:
                self._will(topic, message)
            return
        device = self.seen(topic, now_ms)
        if device is None:
            return
        if message is None:
            # A device that is not answered publishes nothing, whatever is wrong with its heartbeat.
            self._answer(topic, device, now_ms)
        elif isinstance(message, Heartbeat):
            self._heartbeat(topic, device, message, now_ms)
        elif isinstance(message, SessionAnnounce):
            device.epoch = message.handover_epoch
        self._dirty.add(device.esp_id)

    def seen(self, topic: Topic, now_ms: int) -> Device | None:
        """Any sign of life. None when there are too many devices to take another."""
        device = self._devices.get(topic.esp_id)
        if device is None:
            if len(self._devices) >= MAX_DEVICES:
                self._refused += 1
                log.once_per("too many devices").warning(
                    "device not taken", esp_id=topic.esp_id, limit=MAX_DEVICES
                )
                return None
            device = Device(
                esp_id=topic.esp_id,
                kaiser_id=topic.kaiser_id,
                approved=self._auto_approve,
                first_seen_ms=now_ms,
                last_seen_ms=now_ms,
            )
            self._devices[topic.esp_id] = device
            self._dirty.add(topic.esp_id)
            log.info("device discovered", esp_id=topic.esp_id, approved=device.approved)
            self._on_change("device_discovered", device)
        device.last_seen_ms = now_ms
        device.heard_at = self._clock()
        if self._auto_approve and not device.approved:
            device.approved = True
            self._dirty.add(device.esp_id)
        if not device.online:
            device.online = True
            self._dirty.add(device.esp_id)
            self._on_change("esp_health", device)
        return device

    def _heartbeat(self, topic: Topic, device: Device, message: Heartbeat, now_ms: int) -> None:
        device.epoch = message.active_handover_epoch or 0
        self._answer(topic, device, now_ms)
        self._heartbeats += 1
        if message.uptime is not None and device.uptime is not None and message.uptime < device.uptime:
            device.reboots += 1
        device.heartbeats += 1
        device.kaiser_id = topic.kaiser_id
        device.zone_id = message.zone_id
        device.ip = message.wifi_ip or device.ip
        device.heap_free = message.heap_free
        device.wifi_rssi = message.wifi_rssi
        device.uptime = message.uptime
        device.sensor_count = message.sensor_count
        device.actuator_count = message.actuator_count
        device.boot_id = message.boot_sequence_id or None
        device.reset_reason = message.reset_reason or None
        device.generation = message.generation
        self._on_change("esp_health", device)

    def _answer(self, topic: Topic, device: Device, now_ms: int) -> None:
        """Before anything else: the device drops every reading until it has the answer."""
        status = "approved" if device.approved else "pending_approval"
        topic_name = topic_names.heartbeat_ack(topic.kaiser_id, topic.esp_id)
        if self._publish(topic_name, heartbeat_ack(status, device.epoch, now_ms // 1000)):
            self._acknowledged += 1
        else:
            self._unacknowledged += 1

    def _will(self, topic: Topic, message: Will) -> None:
        device = self._devices.get(topic.esp_id)
        if device is not None and device.online:
            device.online = False
            self._dirty.add(device.esp_id)
            log.info("device gone", esp_id=device.esp_id, reason=message.reason)
            self._on_change("esp_health", device)

    def tick(self) -> None:
        """To be called every few seconds: silence ends in offline."""
        now = self._clock()
        for device in self._devices.values():
            if device.online and now - device.heard_at > OFFLINE_AFTER_S:
                device.online = False
                self._dirty.add(device.esp_id)
                log.info("device silent", esp_id=device.esp_id, seconds=round(now - device.heard_at))
                self._on_change("esp_health", device)

    def take_dirty(self) -> list[Device]:
        """Devices that changed since the last call, for the journal."""
        dirty = [self._devices[esp_id] for esp_id in sorted(self._dirty)]
        self._dirty.clear()
        return dirty

    def mark_dirty(self, devices: Sequence[Device]) -> None:
        """Puts devices back that could not be journaled."""
        self._dirty.update(device.esp_id for device in devices)

    def statistics(self) -> FleetStatistics:
        devices = self._devices.values()
        return FleetStatistics(
            devices=len(devices),
            online=sum(device.online for device in devices),
            offline=sum(not device.online for device in devices),
            pending_approval=sum(device.status is DeviceStatus.PENDING_APPROVAL for device in devices),
            heartbeats=self._heartbeats,
            acknowledged=self._acknowledged,
            unacknowledged=self._unacknowledged,
            refused_devices=self._refused,
        )


def describe(event: str, device: Device) -> dict[str, object]:
    """The data of a WebSocket event about a device."""
    data: dict[str, object] = {
        "esp_id": device.esp_id,
        "device_id": device.esp_id,
        "timestamp": device.last_seen_ms // 1000,
        "zone_id": device.zone_id or None,
    }
    if event == "device_discovered":
        return data | {"discovered_at": device.first_seen_ms // 1000, "status": device.status.value}
    return data | {
        "status": "online" if device.online else "offline",
        "heap_free": device.heap_free,
        "wifi_rssi": device.wifi_rssi,
        "uptime": device.uptime,
        "sensor_count": device.sensor_count,
        "actuator_count": device.actuator_count,
    }
