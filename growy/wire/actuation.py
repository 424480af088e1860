"""Payloads that switch an actuator, stop devices in an emergency and let them go again.

A command is scanned by the firmware as text, not parsed: its keys stand without a space before the colon, and nothing
in it may look like another key. An emergency is parsed into a small pool, and one that does not fit stops nothing. So
an emergency never fails to be built here: what is too long for it is left out.
"""

from __future__ import annotations

import math
import re

import msgspec

from growy.model.control import FULL, OFF, Command, DeviceView, Verb
from growy.model.errors import Invalid
from growy.wire.encode import ACK_POOL
from growy.wire.limits import MAX_ID, POOL_USED, check_id, pool_bytes

EMERGENCY_POOL = ACK_POOL
BROADCAST_POOL = 512
"""Bytes of the firmware's pools for `actuator/emergency` and `kaiser/broadcast/emergency`."""
MAX_COMMAND = 511
"""Bytes of a command; the firmware cuts longer ones without a word."""
MAX_DURATION_S = 86_400
"""Longest run that a command asks for. The firmware counts milliseconds in 32 bits."""
MAX_EMERGENCY_ID = 40
"""Characters of an id that fits into every emergency, beside the longest token."""
MAX_REASON = 100
"""Bytes of a broadcast's reason. The device only writes it into its log."""
PWM_STEPS = 255

_STRANGE = re.compile(r"[^A-Za-z0-9_.:-]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")

_encode = msgspec.json.Encoder().encode


# --- one actuator -------------------------------------------------------------------------------------------------


def actuator_command(command: Command) -> bytes:
    """Payload of `actuator/{gpio}/command` (QoS 2 at the device): at most `MAX_COMMAND` bytes.

    `value` goes with PWM alone, `duration` (seconds) with ON alone: the firmware reads them nowhere else. Who issued
    it is told in the wire's alphabet. An OFF is built whatever else is wrong with it.

    Raises:
        Invalid: a PWM whose value is no number, an ON without an end, or an id that the device cannot echo.
    """
    payload: dict[str, object] = {"command": command.verb.value}
    if command.verb is Verb.PWM:
        payload["value"] = wire_value(command.value)
    elif command.verb is Verb.ON:
        payload["duration"] = _duration(command)
    issued_by = _STRANGE.sub("_", command.issued_by)[:MAX_ID]
    if issued_by:
        payload["issued_by"] = issued_by
    try:
        payload |= {"correlation_id": check_id(command.id), "intent_id": command.id}
    except Invalid:
        if command.verb is not Verb.OFF:
            raise
    return _encode(payload)


def pwm_step(value: float) -> int:
    """What an 8-bit output is set to, and reports as `pwm`, for a value from 0 to 1.

    Raises:
        Invalid: the value is no number.
    """
    if math.isnan(value):
        raise Invalid("an output's value must be a number from 0 to 1")
    return round(min(FULL, max(OFF, value)) * PWM_STEPS)


def wire_value(value: float) -> float:
    """The value as it is sent: clamped to 0 to 1, three decimals, such that the device comes to `pwm_step`.

    The firmware cuts `value * 255` off instead of rounding it. 0.498 for step 127 would become 126, so the next
    thousandth above is sent.

    Raises:
        Invalid: the value is no number.
    """
    return math.ceil(pwm_step(value) * 1000 / PWM_STEPS) / 1000


def _duration(command: Command) -> int:
    if command.duration_s < 1:
        raise Invalid(
            f"an ON for {command.actuator} without a duration would never end",
            cure="Give it the seconds after which the device switches off by itself",
        )
    return min(int(command.duration_s), MAX_DURATION_S)


# --- emergency ----------------------------------------------------------------------------------------------------


def token_for(view: DeviceView) -> str:
    """The token for a device's emergencies: the one it was given, else its own id.

    Firmware of 2025-12 has its id for a token until it is given another; later firmware without a token takes any.
    """
    return view.emergency_token or view.esp_id


def emergency_stop(token: str, correlation_id: str) -> bytes:
    """Payload of `actuator/emergency` (QoS 1) that stops a device. Never raises.

    An id of more than `MAX_EMERGENCY_ID` characters is left out rather than let the message be dropped.
    """
    return _emergency("emergency_stop", token, correlation_id)


def clear_emergency(token: str, correlation_id: str) -> bytes:
    """Payload of `actuator/emergency` (QoS 1) that opens a device's latch. Never raises.

    The device refuses it within 5 s of the last stop.
    """
    return _emergency("clear_emergency", token, correlation_id)


def broadcast_stop(token: str, reason: str, correlation_id: str, timestamp_iso: str) -> bytes:
    """Payload of `kaiser/broadcast/emergency` that stops every device on the broker. Never raises.

    There is none that clears: the firmware refuses it.

    Args:
        token: the one that all devices share; "" for none.
        reason: cut to `MAX_REASON` bytes; "" for none.
        timestamp_iso: ISO 8601. A number here would make the device refuse the whole.
    """
    whole = {
        "command": "stop_all",
        "auth_token": token,
        "reason": _reason(reason),
        "timestamp": timestamp_iso,
        "correlation_id": _id(correlation_id),
    }
    # What goes first is what the device can do without.
    return _first_that_fits(BROADCAST_POOL, whole, ("timestamp", "reason", "correlation_id", "auth_token"))


def _emergency(command: str, token: str, correlation_id: str) -> bytes:
    whole = {"command": command, "auth_token": token, "correlation_id": _id(correlation_id)}
    return _first_that_fits(EMERGENCY_POOL, whole, ("correlation_id", "auth_token"))


def _id(text: str) -> str:
    """ "" for an id that the device cannot echo."""
    return text if text and len(text) <= MAX_ID and not _STRANGE.search(text) else ""


def _reason(text: str) -> str:
    # Cut by bytes, and not through the middle of a letter.
    plain = _UNPRINTABLE.sub(" ", text).strip().encode()[:MAX_REASON]
    return plain.decode(errors="ignore")


def _first_that_fits(pool: int, members: dict[str, str], expendable: tuple[str, ...]) -> bytes:
    """All members, or as many as the device can parse; empty ones are left out."""
    left = {name: text for name, text in members.items() if text}
    for name in ("", *expendable):
        left.pop(name, None)
        try:
            payload = _encode(left)
        except UnicodeEncodeError:
            continue  # half a surrogate pair: the device could never have been given such a token
        if pool_bytes(payload) <= pool * POOL_USED:
            return payload
    return _encode({"command": members["command"]})
