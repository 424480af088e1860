"""What a simulated fleet tells about itself: frozen records, cheap to take every second for a table.

Sums and nothing else: never a verdict.
"""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class LastValue:
    """The newest reading of one series that was published."""

    sensor_type: str
    gpio: int
    address: str
    raw: int
    value: float
    """The firmware's preview, in `unit`."""
    unit: str
    truth: float
    """What the simulated sensor saw, in `truth_unit`: a right conversion of `raw` comes close to it."""
    truth_unit: str


@attrs.frozen(kw_only=True)
class DeviceReport:
    """One device. Counts are readings unless their name says otherwise."""

    esp_id: str
    name: str
    zone_id: str
    """As it stands in its flash now."""
    powered: bool
    connected: bool
    registered: bool
    """The server has answered a heartbeat of this connection with an ACK the firmware accepts."""
    system_state: str
    """The firmware's word: OPERATIONAL, PENDING_APPROVAL, CONFIG_PENDING_AFTER_RESET, …"""
    mode: str
    """Who is in charge: online, disconnected, offline_active, reconnecting or adopting."""
    handover_epoch: int
    boots: int
    """Times it has been switched on or reset."""
    published: int
    acked: int
    """Published readings for which the broker's PUBACK came; firmware of 2025-12 asks for none, so there all."""
    dropped_offline: int
    """Measured while there was no broker."""
    dropped_gate: int
    """Measured before the server had answered."""
    dropped_outbox: int
    """Measured while too many readings waited for their PUBACK."""
    dropped_messages: int
    """Other messages that no broker or a closed gate kept from going out. Messages."""
    lost_in_reset: int
    """Published, and forgotten in a reset before the PUBACK came: perhaps they arrived."""
    heartbeats: int
    """Messages."""
    acks_accepted: int
    """Heartbeat ACKs."""
    acks_refused: int
    """Heartbeat ACKs that the firmware would ignore; `last_ack_refusal` says why."""
    last_ack_refusal: str
    connects: int
    connect_failures: int
    last_error: str
    last: tuple[LastValue, ...]

    @property
    def unacked(self) -> int:
        """Published, PUBACK not (yet) seen: sent again after a reconnect, at the end perhaps lost."""
        return self.published - self.acked - self.lost_in_reset


@attrs.frozen(kw_only=True)
class FleetReport:
    """The whole fleet."""

    elapsed_s: float
    devices: tuple[DeviceReport, ...]
    ledger_entries: int
    ledger_overflow: int

    @property
    def connected(self) -> int:
        return sum(device.connected for device in self.devices)

    @property
    def registered(self) -> int:
        return sum(device.registered for device in self.devices)

    @property
    def published(self) -> int:
        return sum(device.published for device in self.devices)

    @property
    def acked(self) -> int:
        return sum(device.acked for device in self.devices)

    @property
    def unacked(self) -> int:
        return sum(device.unacked for device in self.devices)

    @property
    def dropped_offline(self) -> int:
        return sum(device.dropped_offline for device in self.devices)

    @property
    def dropped_gate(self) -> int:
        return sum(device.dropped_gate for device in self.devices)

    @property
    def dropped_outbox(self) -> int:
        return sum(device.dropped_outbox for device in self.devices)

    @property
    def lost_in_reset(self) -> int:
        return sum(device.lost_in_reset for device in self.devices)
