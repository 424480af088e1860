"""Payloads that put a device into its zone, group its pins, make it measure and look after itself. Never one that the
device would drop without a word: each is weighed against the memory that the firmware parses it into.

Switching actuators and stopping them in an emergency are not here.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from growy.model.errors import Invalid, NotSupported
from growy.model.setup import SubzoneSetup, ZoneSetup
from growy.wire.limits import SAFE_PINS, check_id, check_name, check_place_id, within_pool
from growy.wire.topics import is_kaiser_id

ZONE_POOL = 512
SUBZONE_ASSIGN_POOL = 1024
SUBZONE_REMOVE_POOL = 256
SUBZONE_SAFE_POOL = 512
SENSOR_COMMAND_POOL = 384
SYSTEM_COMMAND_POOL = 256
"""Bytes of the firmware's pools for these messages."""

MAX_TIMEOUT_MS = 60_000
MAX_TOKEN = 64
MAX_PIN = 39

_encode = msgspec.json.Encoder().encode


class SystemCommand(enum.StrEnum):
    """All that the firmware understands on `system/command`, by its exact names. There is no reboot among them."""

    STATUS = "status"
    DIAGNOSTICS = "diagnostics"
    GET_CONFIG = "get_config"
    SAFE_MODE = "safe_mode"
    """Stops every actuator and latches."""
    EXIT_SAFE_MODE = "exit_safe_mode"
    """Takes the latch away. The device says success even if it refuses, within 5 s of the stop."""
    SET_LOG_LEVEL = "set_log_level"
    SET_EMERGENCY_TOKEN = "set_emergency_token"
    ONEWIRE_SCAN = "onewire/scan"
    FACTORY_RESET = "factory_reset"

    @property
    def always_taken(self) -> bool:
        """Whether a device takes it that waits for approval or configuration, or is in an error state."""
        return self in _ALWAYS_TAKEN


_ALWAYS_TAKEN = frozenset(
    {
        SystemCommand.STATUS,
        SystemCommand.DIAGNOSTICS,
        SystemCommand.GET_CONFIG,
        SystemCommand.SET_LOG_LEVEL,
        SystemCommand.SAFE_MODE,
    }
)
DEC_2025_COMMANDS = frozenset({SystemCommand.FACTORY_RESET})
"""All that firmware of 2025-12 understands."""


class LogLevel(enum.StrEnum):
    """Of the device's own log, on its serial port."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class TokenType(enum.StrEnum):
    """Which emergency token: that of the device alone, or that of the broadcast to all."""

    ESP = "esp"
    BROADCAST = "broadcast"


def system_command_named(name: str) -> SystemCommand:
    """The command of that name, in whatever case a client writes it.

    Raises:
        NotSupported: the firmware has no such command; restarting is none.
    """
    try:
        return SystemCommand(name.strip().lower())
    except ValueError:
        known = ", ".join(SystemCommand)
        restart = name.strip().lower() in ("reboot", "restart", "reset")
        raise NotSupported(
            f"the firmware has no command {name!r:.80}",
            cure="A device can only be restarted by switching it off and on"
            if restart
            else f"It has {known}",
        ) from None


def zone_assign(zone: ZoneSetup, kaiser_id: str, correlation_id: str) -> bytes:
    """Payload of `zone/assign` (QoS 1); an empty `zone_id` takes the device out of its zone.

    All four strings are always there: of one that is missing or null the firmware stores the text "null", and a
    kaiser id of that name is where the device would be lost.

    Raises:
        Invalid, TooLargeForDevice
    """
    for what, place in (("zone id", zone.zone_id), ("master zone id", zone.master_zone_id)):
        if place:
            check_place_id(what, place)
    if not is_kaiser_id(kaiser_id):
        raise Invalid(f"{kaiser_id!r:.80} is not a kaiser id")
    return _weighed(
        "zone/assign",
        ZONE_POOL,
        {
            "zone_id": zone.zone_id,
            "master_zone_id": zone.master_zone_id,
            "zone_name": check_name("name of the zone", zone.zone_name),
            "kaiser_id": kaiser_id,
            "correlation_id": check_id(correlation_id),
        },
    )


def subzone_assign(
    subzone: SubzoneSetup, parent_zone_id: str, gpios: Sequence[int], now_s: int, correlation_id: str
) -> bytes:
    """Payload of `subzone/assign` (QoS 1).

    `safe_mode_active` is always said: left out it is true, and the device would make inputs with pull-up of all pins
    that are not actuators.

    Args:
        parent_zone_id: the zone in which the device is.
        gpios: the pins, whatever `subzone.gpios` says: of the firmware's safe list only, so no labels
            of I²C sensors.
        now_s: Unix seconds.

    Raises:
        Invalid, TooLargeForDevice
    """
    strange = sorted(set(gpios) - SAFE_PINS)
    if strange:
        raise Invalid(
            f"subzone {subzone.subzone_id!r:.40}: the firmware groups no gpio {', '.join(map(str, strange))}",
            cure="Leave out what is no usable pin; an I²C sensor's gpio is only a label",
        )
    return _weighed(
        "subzone/assign",
        SUBZONE_ASSIGN_POOL,
        {
            "subzone_id": check_place_id("subzone id", subzone.subzone_id),
            "subzone_name": check_name("name of the subzone", subzone.name),
            "parent_zone_id": check_place_id("zone id", parent_zone_id),
            "assigned_gpios": list(gpios),
            "safe_mode_active": subzone.safe_mode,
            "timestamp": int(now_s),
            "correlation_id": check_id(correlation_id),
        },
    )


def subzone_remove(subzone_id: str, correlation_id: str) -> bytes:
    """Payload of `subzone/remove` (QoS 1)."""
    return _weighed(
        "subzone/remove",
        SUBZONE_REMOVE_POOL,
        {
            "subzone_id": check_place_id("subzone id", subzone_id),
            "correlation_id": check_id(correlation_id),
        },
    )


def subzone_safe(subzone_id: str, enable: bool, correlation_id: str) -> bytes:
    """Payload of `subzone/safe` (QoS 1): pins that are not actuators become inputs with pull-up, or are let go.

    The device does not answer when it succeeds.
    """
    return _weighed(
        "subzone/safe",
        SUBZONE_SAFE_POOL,
        {
            "subzone_id": check_place_id("subzone id", subzone_id),
            "action": "enable" if enable else "disable",
            "correlation_id": check_id(correlation_id),
        },
    )


def measure(request_id: str, timeout_ms: int = 5000) -> bytes:
    """Payload of `sensor/{gpio}/command` (QoS 2): measure now. Of several sensors on that gpio the first is read.

    Args:
        request_id: comes back in the answer; without one the device does not answer. Also the correlation and
            the intent id.
        timeout_ms: 1 to 60,000.

    Raises:
        Invalid
    """
    if not 1 <= timeout_ms <= MAX_TIMEOUT_MS:
        raise Invalid(f"a measurement may take from 1 to {MAX_TIMEOUT_MS} ms, not {timeout_ms}")
    check_id(request_id)
    return _weighed(
        "measure",
        SENSOR_COMMAND_POOL,
        {
            "command": "measure",
            "request_id": request_id,
            "correlation_id": request_id,
            "intent_id": request_id,
            "timeout_ms": timeout_ms,
        },
    )


def system_command(command: SystemCommand, correlation_id: str | None = None) -> bytes:
    """Payload of `system/command` (QoS 2) for a command without arguments.

    Args:
        correlation_id: comes back only if the device refuses, in `system/intent_outcome`. The answer itself names
            nothing but the command.

    Raises:
        ValueError: the command has arguments, and a function of its own here.
    """
    if command in _WITH_ARGUMENTS:
        raise ValueError(f"{command.value} has arguments")
    return _system(command, {}, correlation_id)


def set_log_level(level: LogLevel, correlation_id: str | None = None) -> bytes:
    """`system/command`: how much the device logs, kept over its reboots."""
    return _system(SystemCommand.SET_LOG_LEVEL, {"level": level.value}, correlation_id)


def set_emergency_token(token: str, token_type: TokenType = TokenType.ESP) -> bytes:
    """`system/command`: the secret with which the device lets itself be stopped. It stores it in clear.

    Without ids: together with the longest token they would not fit.

    Args:
        token: 1 to 64 printable ASCII characters, no quotes or backslashes.

    Raises:
        Invalid
    """
    # The token itself stays out of the error: errors are logged.
    if (
        not 1 <= len(token) <= MAX_TOKEN
        or not token.isascii()
        or not token.isprintable()
        or set(token) & set('"\\')
    ):
        raise Invalid(
            f'an emergency token is 1 to {MAX_TOKEN} printable ASCII characters without " and \\',
            cure="Use letters and digits",
        )
    return _system(SystemCommand.SET_EMERGENCY_TOKEN, {"token": token, "token_type": token_type.value}, None)


def onewire_scan(pin: int, correlation_id: str | None = None) -> bytes:
    """`system/command`: who is on the OneWire bus. A pin other than that of the device's DS18B20s moves the bus
    there: they stay silent until they are configured again.

    Raises:
        Invalid: not 0 to 39.
    """
    if not 0 <= pin <= MAX_PIN:
        raise Invalid(f"pin {pin} is not from 0 to {MAX_PIN}")
    return _system(SystemCommand.ONEWIRE_SCAN, {"pin": pin}, correlation_id)


def factory_reset(correlation_id: str | None = None) -> bytes:
    """`system/command`: forget WiFi and zone, reboot into the portal. Sensors, actuators, rules and approval stay."""
    return _system(SystemCommand.FACTORY_RESET, {"confirm": True}, correlation_id)


_WITH_ARGUMENTS = frozenset(
    {
        SystemCommand.SET_LOG_LEVEL,
        SystemCommand.SET_EMERGENCY_TOKEN,
        SystemCommand.ONEWIRE_SCAN,
        SystemCommand.FACTORY_RESET,
    }
)


def _system(command: SystemCommand, arguments: dict[str, object], correlation_id: str | None) -> bytes:
    payload: dict[str, object] = {"command": command.value, **arguments}
    if correlation_id is not None:
        payload |= {"correlation_id": check_id(correlation_id), "intent_id": correlation_id}
    return _weighed(command.value, SYSTEM_COMMAND_POOL, payload)


def _weighed(what: str, pool: int, payload: dict[str, object]) -> bytes:
    return within_pool(what, _encode(payload), pool)
