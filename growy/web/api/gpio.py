"""The pins of a device: which are free, which are taken and by what, which never can be used."""

from __future__ import annotations

from collections import defaultdict

import attrs

from growy.fleet.device import Device
from growy.fleet.hardware import Board, board_of
from growy.web.answers import Response, answer, iso
from growy.web.router import Call, Endpoint
from growy.web.shapes import devices as shapes
from growy.web.shapes import faults


@attrs.frozen
class Taken:
    """A pin that something uses."""

    gpio: int
    owner: str
    """sensor, actuator, or the device's own word."""
    component: str | None
    name: str | None
    id: str | None
    source: str
    """`database`: set up here; `esp_reported`: the device says so."""


async def gpio_status(call: Call) -> Response:
    """By the table of the board, by what is set up here, and by what the device itself reports, where its firmware does
    that."""
    found = call.app.fleet.need(call.path["esp_id"])
    board = board_of(found.record.hardware_type)
    taken = _set_up(found)
    here = {used.gpio for used in taken}
    taken += [used for used in _reported(found, board) if used.gpio not in here]
    pins = {used.gpio for used in taken}
    free = sorted(board.safe - board.i2c_pins - pins)
    return answer(
        {
            "success": True,
            "esp_id": found.esp_id,
            "hardware_type": board.name,
            "available": free,
            "available_analog": [gpio for gpio in free if gpio in board.adc1],
            "available_input_only": [gpio for gpio in free if gpio in board.input_only],
            "reserved": sorted(taken, key=lambda used: (used.gpio, used.owner, used.name or "")),
            "reserved_gpios": sorted(pins),
            "system": sorted(board.system),
            "system_reasons": {str(gpio): why for gpio, why in sorted(board.system.items())},
            "i2c_bus": {
                "sda_pin": board.sda,
                "scl_pin": board.scl,
                "is_available": True,
                "devices": [
                    {
                        "gpio": sensor.gpio,
                        "i2c_address": sensor.i2c_address,
                        "sensor_type": sensor.sensor_type,
                        "name": sensor.name or None,
                        "id": sensor.id,
                    }
                    for sensor in found.record.sensors
                    if sensor.i2c_address is not None
                ],
            },
            "onewire_buses": _onewire(found),
            "last_esp_report": iso(found.last_seen_ms) if _reports(found) else None,
        }
    )


def _set_up(found: Device) -> list[Taken]:
    """Pins of what is set up. The gpio of an I²C sensor is a label and takes no pin."""
    record = found.record
    used = [
        Taken(sensor.gpio, "sensor", sensor.sensor_type, sensor.name or None, sensor.id, "database")
        for sensor in record.sensors
        if sensor.i2c_address is None
    ]
    used += [
        Taken(gpio, "actuator", actuator.kind.value, actuator.name or None, actuator.id, "database")
        for actuator in record.actuators
        for gpio in actuator.pins
    ]
    return used


def _reports(found: Device) -> bool:
    """Only firmware of early 2026 puts its pins into the heartbeat."""
    return found.live.heartbeat is not None and bool(found.live.heartbeat.gpio_status)


def _reported(found: Device, board: Board) -> list[Taken]:
    """Pins that the device says are taken, the bus and the system's own apart."""
    if found.live.heartbeat is None:
        return []
    return [
        Taken(line.gpio, line.owner or "unknown", line.component or None, None, None, "esp_reported")
        for line in found.live.heartbeat.gpio_status
        if line.owner != "system" and line.gpio not in board.i2c_pins and line.gpio not in board.system
    ]


def _onewire(found: Device) -> list[dict[str, object]]:
    buses: defaultdict[int, list[dict[str, object]]] = defaultdict(list)
    for sensor in found.record.sensors:
        if sensor.onewire_address is not None:
            buses[sensor.gpio].append(
                {
                    "rom_code": sensor.onewire_address,
                    "sensor_type": sensor.sensor_type,
                    "name": sensor.name or None,
                    "id": sensor.id,
                }
            )
    return [
        {"gpio": gpio, "is_available": True, "devices": devices} for gpio, devices in sorted(buses.items())
    ]


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/esp/devices/{esp_id}/gpio-status",
        summary="The pins of a device",
        handler=gpio_status,
        answers=shapes.PINS,
        errors=faults.DEVICE,
    ),
)
