"""The fleet as the other rooms meet it: `FleetSetups`, and questions to devices.

A question or command (measure now, scan a bus, a system command) goes out once, to a device that can hear it, or is
refused with the reason. What only control may do - switch an actuator, stop all of them - is not here.
"""

from __future__ import annotations

import secrets
import uuid
from typing import TypeVar

import msgspec

from growy.fleet import edit, work
from growy.fleet.device import Device
from growy.fleet.effects import Changed
from growy.fleet.reports import entry
from growy.fleet.setups import FleetSetups
from growy.model.errors import DeviceNotReady, DeviceOffline, DeviceRefused, NotSupported, SubzoneNotFound
from growy.model.events import CommandResponse, IntentOutcome, OnewireDevice, OnewireScanResult, SubzoneAck
from growy.model.messages import Generation, SensorResponse
from growy.model.setup import ItemState
from growy.model.time import Moment
from growy.wire import commands, topics
from growy.wire.commands import SystemCommand, TokenType
from growy.wire.table import Message

REFUSAL_WAIT_S = 2.0
"""How long a command that is answered only when it is refused is waited for."""
_REFUSED = frozenset({"rejected", "failed", "expired"})
T = TypeVar("T", bound=Message)


class Fleet(FleetSetups):
    """All devices, and all that can be done with them short of control."""

    async def measure(
        self, esp_id: str, gpio: int, *, request_id: str | None = None, timeout_s: float = 8.0
    ) -> SensorResponse:
        """Has a sensor read now; its readings come as any others do.

        Raises:
            DeviceNotApproved, DeviceOffline, DeviceNotReady: nothing was sent.
            DeviceRefused: the device says why. DeviceSilent: it said nothing in time.
        """
        device = self._listening(esp_id, "measure")
        request_id = request_id or f"m-{uuid.uuid4().hex[:16]}"
        payload = commands.measure(request_id, int(timeout_s * 1000))

        def fits(message: Message) -> bool:
            if isinstance(message, SensorResponse):
                return message.request_id == request_id
            return _refusal_of(message, request_id)

        topic = topics.sensor_command(device.kaiser_id, esp_id, gpio)
        answer = await self._asks.ask(esp_id, "measure", fits, lambda: self._send(topic, payload), timeout_s)
        if isinstance(answer, SensorResponse) and answer.success:
            return answer
        code = answer.reason_code if isinstance(answer, SensorResponse) else getattr(answer, "code", "")
        raise _refused(esp_id, f"could not measure gpio {gpio}", code)

    async def scan_onewire(
        self, esp_id: str, pin: int, *, timeout_s: float = 10.0
    ) -> tuple[OnewireDevice, ...]:
        """Looks for devices on a OneWire bus. Raises as `measure`."""

        def fits(message: Message) -> bool:
            if isinstance(message, OnewireScanResult):
                return True
            return isinstance(message, CommandResponse) and _failed(message, SystemCommand.ONEWIRE_SCAN)

        async with self._asks.lock(esp_id):
            device = self._listening(esp_id, "scan")
            payload = commands.onewire_scan(pin)
            topic = topics.system_command(device.kaiser_id, esp_id)
            answer = await self._asks.ask(
                esp_id, "a OneWire scan", fits, lambda: self._send(topic, payload), timeout_s
            )
        if isinstance(answer, OnewireScanResult):
            return answer.devices
        raise _refused(esp_id, f"could not scan pin {pin}", _reason(answer))

    async def command(
        self, esp_id: str, command: SystemCommand, payload: bytes | None = None, *, timeout_s: float = 5.0
    ) -> CommandResponse:
        """A system command.

        Args:
            payload: from `growy.wire.commands`, where the command takes arguments.

        Raises:
            NotSupported: this firmware knows no such command. Else as `measure`.
        """
        payload = commands.system_command(command) if payload is None else payload

        def fits(message: Message) -> bool:
            if not isinstance(message, CommandResponse):
                return False
            # A device that could not even read the command does not name it. One is asked at a time.
            return message.command in (command.value, None)

        async with self._asks.lock(esp_id):
            device = self._listening(esp_id, command.value, command)
            topic = topics.system_command(device.kaiser_id, esp_id)
            answer = await self._asks.ask(
                esp_id, command.value, fits, lambda: self._send(topic, payload), timeout_s
            )
        done = isinstance(answer, CommandResponse) and not answer.failed
        self._note_command(device, command, done)
        if isinstance(answer, CommandResponse) and done:
            return answer
        raise _refused(esp_id, f"refused {command.value}", _reason(answer))

    async def set_safe_mode(self, esp_id: str, subzone_id: str, enable: bool) -> None:
        """Puts the pins of a subzone, actuators apart, into their safe state. The device answers refusals only.

        Raises:
            SubzoneNotFound, DeviceRefused; else as `measure`.
        """
        device = self._listening(esp_id, "safe mode")
        subzone = next((one for one in device.record.subzones if one.subzone_id == subzone_id), None)
        if subzone is None:
            raise SubzoneNotFound(f"{esp_id} has no subzone {subzone_id[:64]!r}")
        correlation_id = f"sz-{uuid.uuid4().hex[:16]}"
        payload = commands.subzone_safe(subzone_id, enable, correlation_id)
        topic = topics.subzone_safe(device.kaiser_id, esp_id)
        answer = await self._asks.refusal(
            esp_id,
            "safe mode",
            lambda message: isinstance(message, SubzoneAck) and message.correlation_id == correlation_id,
            lambda: self._send(topic, payload),
            REFUSAL_WAIT_S,
        )
        if isinstance(answer, SubzoneAck) and answer.status == "error":
            code = answer.reason_code or answer.message
            raise _refused(esp_id, f"refused safe mode of {subzone_id}", code)
        changed = msgspec.structs.replace(subzone, safe_mode=enable)
        record = edit.put_subzone(device.record, changed)
        result = record.results.get(subzone.key)
        if result is not None and result.state is ItemState.APPLIED:
            # The device has it this way now: it need not be told once more.
            fingerprint = work.subzone_fingerprint(device.state.recording(record), changed)
            told = msgspec.structs.replace(result, fingerprint=fingerprint)
            record = msgspec.structs.replace(record, results={**record.results, subzone.key: told})
        await self._apply(device, Changed(record))

    async def provision_token(self, esp_id: str, token: str | None = None, *, broadcast: bool = False) -> str:
        """Stores an emergency token on the device, and keeps it: emergency commands carry it from then on.

        Args:
            token: 1-64 characters; None makes a new one.
            broadcast: the token of commands to all devices instead of this one's own. The caller keeps that one.

        Returns the token that the device has confirmed. Raises as `command`.
        """
        token = token or secrets.token_hex(8)
        kind = TokenType.BROADCAST if broadcast else TokenType.ESP
        await self.command(
            esp_id, SystemCommand.SET_EMERGENCY_TOKEN, commands.set_emergency_token(token, kind)
        )
        if not broadcast:
            device = self.need(esp_id)
            record = msgspec.structs.replace(device.record, emergency_token=token)
            await self._apply(device, self._changed(device, record, "An emergency token was stored on it"))
        return token

    def _note_command(self, device: Device, command: SystemCommand, done: bool) -> None:
        """For the audit trail. Never the payload: it may hold a token."""
        moment = Moment(self._clock(), self._wall_ms())
        self._note(
            entry(
                device.state,
                moment,
                "system_command",
                f"{command.value} was {'done' if done else 'refused by the device'}",
                status="success" if done else "failed",
                source_type="user",
            )
        )

    def _listening(self, esp_id: str, what: str, command: SystemCommand | None = None) -> Device:
        """The device, if it can hear and understand a command now."""
        device = self._approved(esp_id)
        if not device.online:
            raise DeviceOffline(f"{esp_id} is offline", cure="Look at its power and WiFi, then try again")
        if device.record.generation is Generation.DEC_2025 and command is not SystemCommand.FACTORY_RESET:
            raise NotSupported(
                f"{esp_id} runs firmware of 2025-12, which knows no {what}", cure="Update its firmware"
            )
        wait_s = device.live.ready_at - self._clock()
        if wait_s > 0:
            raise DeviceNotReady(
                f"{esp_id} has only just connected and cannot be sent {what} yet",
                cure="Try again in a few seconds",
            )
        return device


def _refusal_of(message: Message, intent_id: str) -> bool:
    return (
        isinstance(message, IntentOutcome)
        and message.outcome in _REFUSED
        and intent_id in (message.intent_id, message.correlation_id)
    )


def _failed(answer: CommandResponse, command: SystemCommand) -> bool:
    return answer.failed and answer.command in (command.value, None)


def _reason(answer: Message) -> str:
    if not isinstance(answer, CommandResponse):
        return ""
    return answer.reason_code or str(answer.error or "")


_CURES = {
    "CONFIG_PENDING_BLOCKED": "It waits for its configuration: give it a zone, or a sensor and an actuator",
    "PENDING_APPROVAL_BLOCKED": "It has not heard of its approval yet; try again in half a minute",
    "REGISTRATION_PENDING": "It has only just connected; try again in a few seconds",
    "SENSOR_NOT_FOUND": "No sensor is set up there on the device; `growyd devices config` shows what is",
    "MEASURE_TIMEOUT": "Look at the sensor's cable",
    "MEASUREMENT_FAILED": "Look at the sensor's cable",
}


def _refused(esp_id: str, what: str, code: str) -> DeviceRefused:
    return DeviceRefused(
        f"{esp_id} {what}: {code or 'no reason given'}",
        cure=_CURES.get(code, ""),
        details={"esp_id": esp_id, "reason_code": code},
    )
