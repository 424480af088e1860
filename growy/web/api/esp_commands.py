"""What a device is told to do: take its configuration again, say how it is, forget everything.

Must never switch an actuator, nor pretend: what the firmware cannot do is answered with `COMMAND_NOT_SUPPORTED`.
"""

from __future__ import annotations

import attrs
from attrs import validators as v

from growy.fleet.device import ZONE_KEY, Device
from growy.fleet.tokens import broadcast_token
from growy.model.errors import EspNotFound, Invalid, NotSupported
from growy.model.events import CommandResponse
from growy.model.setup import OFFLINE_RULES_KEY, ItemState
from growy.web.answers import Response, answer
from growy.web.api.placing import CONFIRM_WITHIN_S, delivery
from growy.web.app import App
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import devices as shapes
from growy.web.shapes import faults
from growy.wire import commands
from growy.wire.commands import LogLevel, SystemCommand

LOG_LEVELS = tuple(level.value for level in LogLevel)
PROVISIONED = (
    "wifi_ssid",
    "wifi_password",
    "mqtt_broker",
    "mqtt_port",
    "mqtt_username",
    "mqtt_password",
)
"""What a device is told once, in its portal, and never over MQTT."""


@attrs.frozen
class ConfigBody:
    log_level: str | None = attrs.field(default=None, validator=v.optional(v.in_(LOG_LEVELS)))
    resend: bool = False
    wifi_ssid: object = None
    wifi_password: object = None
    mqtt_broker: object = None
    mqtt_port: object = None
    mqtt_username: object = None
    mqtt_password: object = None
    report_interval_ms: object = None
    heartbeat_interval_ms: object = None


@attrs.frozen
class RestartBody:
    delay_seconds: object = None
    reason: object = None


@attrs.frozen
class ResetBody:
    confirm: bool = False
    preserve_wifi: bool = False


@attrs.frozen
class TokenBody:
    token: str | None = attrs.field(default=None, validator=v.optional(v.min_len(1)))
    token_type: str = attrs.field(default="esp", validator=v.in_(("esp", "broadcast")))


@attrs.frozen
class CommandBody:
    command: str
    params: dict[str, object] = attrs.field(factory=dict)


async def config(call: Call, body: ConfigBody) -> Response:
    """Set the log level, push everything again, or both."""
    app, esp_id = call.app, call.path["esp_id"]
    app.fleet.need(esp_id)
    _refuse_what_is_provisioned(body)
    if body.log_level is None and not body.resend:
        raise Invalid("Nothing to do", cure="Give log_level, or resend: true")
    reply: dict[str, object] = {"success": True, "device_id": esp_id, "warning": None}
    if body.log_level is not None:
        said = await _set_log_level(app, esp_id, body.log_level)
        reply |= {
            "config_sent": True,
            "config_acknowledged": True,
            "log_level": body.log_level,
            "answer": dict(said.details),
        }
    if body.resend:
        pushed = await app.fleet.push(esp_id)
        await app.fleet.settled(esp_id, item_keys(pushed), CONFIRM_WITHIN_S)
        reply |= _resent(call, app.fleet.need(esp_id))
    return answer(reply)


async def _set_log_level(app: App, esp_id: str, level: str) -> CommandResponse:
    payload = commands.set_log_level(LogLevel(level))
    return await app.fleet.command(esp_id, SystemCommand.SET_LOG_LEVEL, payload)


def _refuse_what_is_provisioned(body: ConfigBody) -> None:
    asked = [name for name in PROVISIONED if getattr(body, name) is not None]
    if asked:
        raise NotSupported(
            f"The firmware takes {', '.join(asked)} only when it is provisioned",
            cure="Reset the device (POST .../reset) and provision it anew in its own portal",
            details={"fields": asked},
        )
    if body.heartbeat_interval_ms is not None:
        raise NotSupported(
            "The firmware's heartbeat_interval_ms is fixed: a heartbeat a minute",
            details={"fields": ["heartbeat_interval_ms"]},
        )
    if body.report_interval_ms is not None:
        raise NotSupported(
            "The firmware has no report_interval_ms of the whole device",
            cure="Each sensor has its own interval: change its configuration",
            details={"fields": ["report_interval_ms"]},
        )


def item_keys(device: Device) -> list[str]:
    """The keys of everything that is set up on a device."""
    record = device.record
    keys = [subzone.key for subzone in record.subzones]
    keys += [sensor.key for sensor in record.sensors]
    keys += [actuator.key for actuator in record.actuators]
    if record.zone is not None:
        keys.insert(0, ZONE_KEY)
    if record.offline_rules is not None:
        keys.append(OFFLINE_RULES_KEY)
    return keys


def _resent(call: Call, device: Device) -> dict[str, object]:
    """How far the items have come; `config_sent` when the device has been sent any of them."""
    ends = {key: delivery(call.app, device, key) for key in item_keys(device)}
    states = [end.state for end in ends.values()]
    return {
        "config_sent": any(end.sent for end in ends.values()),
        "config_acknowledged": bool(states) and all(state is ItemState.APPLIED for state in states),
        "warning": next((end.warning for end in ends.values() if end.warning is not None), None)
        if ends
        else "Nothing is set up on this device",
        "items": {key: end.state.value for key, end in ends.items()},
    }


async def restart(call: Call, body: RestartBody) -> Response:
    """No firmware has a restart command. Says so instead of pretending."""
    found = call.app.fleet.need(call.path["esp_id"])
    raise NotSupported(
        f"{found.esp_id} cannot be restarted from afar: the firmware has no restart command",
        cure="Cut its power for a few seconds; growyd configures it again by itself",
    )


async def reset(call: Call, body: ResetBody) -> Response:
    """The device forgets its WiFi and its zone, and comes up as its own access point."""
    app, esp_id = call.app, call.path["esp_id"]
    app.fleet.need(esp_id)
    if body.preserve_wifi:
        raise NotSupported(
            "The firmware's reset wipes the WiFi settings and the zone, and nothing else: preserve_wifi is impossible",
            cure="To have it configured anew without a reset: POST .../config with resend: true",
        )
    if not body.confirm:
        raise Invalid(
            "A reset needs confirm: true",
            cure="The device leaves the network until somebody provisions it anew in its own portal",
        )
    said = await app.fleet.command(esp_id, SystemCommand.FACTORY_RESET, commands.factory_reset())
    return answer(
        {
            "success": True,
            "message": f"{esp_id} forgets its WiFi and zone, and restarts in 3 s as its own access point. "
            "Its sensors and actuators stay configured",
            "device_id": esp_id,
            "command": "reset",
            "command_sent": True,
            "answer": dict(said.details),
        }
    )


async def emergency_token(call: Call, body: TokenBody) -> Response:
    """The device has confirmed the token when this answers. It is not repeated: growyd keeps it."""
    app, esp_id = call.app, call.path["esp_id"]
    app.fleet.need(esp_id)
    broadcast, token = body.token_type == "broadcast", body.token
    if broadcast:
        token = await broadcast_token(app.store, token)
        app.control.emergencies.core.broadcast_token = token
    await app.fleet.provision_token(esp_id, token, broadcast=broadcast)
    return answer(
        {
            "success": True,
            "message": f"{esp_id} has its {body.token_type} emergency token",
            "device_id": esp_id,
            "token_type": body.token_type,
            "generated": body.token is None,
        }
    )


_ASKED = (SystemCommand.STATUS, SystemCommand.DIAGNOSTICS, SystemCommand.GET_CONFIG)
_ELSEWHERE = {
    SystemCommand.FACTORY_RESET: "POST .../reset does that",
    SystemCommand.SET_EMERGENCY_TOKEN: "POST .../emergency-token does that",
    SystemCommand.ONEWIRE_SCAN: "POST /api/v1/sensors/esp/{esp_id}/onewire/scan does that",
}


async def command(call: Call, body: CommandBody) -> Response:
    """One of the firmware's own commands, with the device's answer."""
    app, esp_id = call.app, call.path["esp_id"]
    app.fleet.need(esp_id)
    asked = commands.system_command_named(body.command)
    if asked is SystemCommand.SET_LOG_LEVEL:
        level = body.params.get("level")
        if level not in LOG_LEVELS:
            raise Invalid(f"params: set_log_level needs a level, one of {', '.join(LOG_LEVELS)}")
        said = await _set_log_level(app, esp_id, str(level))
    elif asked in _ASKED:
        said = await app.fleet.command(esp_id, asked)
    elif asked in _ELSEWHERE:
        raise Invalid(f"command: {asked.value} does not pass here", cure=_ELSEWHERE[asked])
    else:
        raise Invalid(
            f"command: {asked.value} acts on actuators, so it belongs to control and does not pass here",
            cure="It stops or releases every actuator of the device: that is what the emergency stop is for",
        )
    return answer(
        {"success": True, "device_id": esp_id, "command": asked.value, "answer": dict(said.details)}
    )


_DEVICE = "/api/v1/esp/devices/{esp_id}"

ENDPOINTS = (
    Endpoint(
        method="POST",
        path=f"{_DEVICE}/config",
        summary="Log level, or everything once more",
        handler=config,
        body=ConfigBody,
        auth=Auth.OPERATOR,
        answers=shapes.CONFIGURED,
        errors=faults.TOLD,
    ),
    Endpoint(
        method="POST",
        path=f"{_DEVICE}/restart",
        summary="Not possible, and said so",
        handler=restart,
        body=RestartBody,
        auth=Auth.OPERATOR,
        errors=(EspNotFound, NotSupported),
    ),
    Endpoint(
        method="POST",
        path=f"{_DEVICE}/reset",
        summary="Back to the factory settings",
        handler=reset,
        body=ResetBody,
        auth=Auth.OPERATOR,
        answers=shapes.RESET,
        errors=faults.TOLD,
    ),
    Endpoint(
        method="POST",
        path=f"{_DEVICE}/emergency-token",
        summary="Give a device its emergency token",
        handler=emergency_token,
        body=TokenBody,
        auth=Auth.ADMIN,
        answers=shapes.TOKEN,
        errors=faults.TOLD,
    ),
    Endpoint(
        method="POST",
        path=f"{_DEVICE}/command",
        summary="Ask a device",
        handler=command,
        body=CommandBody,
        auth=Auth.OPERATOR,
        answers=shapes.ANSWERED,
        errors=faults.TOLD,
    ),
)
