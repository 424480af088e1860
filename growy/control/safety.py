"""THE gate: every command to an actuator passes `check`, at the moment at which it is sent. Pure.

It must never refuse an OFF, whatever the facts are, and never let through what it knows nothing about: an unknown
device, an actuator that the device has not confirmed, an output that is no number. It asks in the order of
`RefusalCode`, and the first no is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import attrs

from growy.control.interlocks import Bond
from growy.control.ledger import LEAST_S, Account, Day, left, off_for_s
from growy.model.control import (
    FULL,
    OFF,
    ActuatorKey,
    DeviceView,
    InterlockKind,
    Refusal,
    RefusalCode,
    Stop,
    StopScope,
    Tenure,
)
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment

ASK_AGAIN_S = 1.0
"""What time cures is asked again no sooner: a wall that stands wrong must not make it a loop."""


@attrs.frozen(slots=True)
class Request:
    """Somebody wants an actuator to have an output now, or to keep it."""

    actuator: ActuatorKey
    value: float
    basis_good: bool = True
    """Whether every sensor on which the wish rests has a fresh, good value."""


@attrs.frozen(kw_only=True, slots=True)
class Facts:
    """All that the gate judges by."""

    moment: Moment
    day: Day
    account: Account
    """The actuator's."""
    max_runtime_s: float
    """Limit of a run where the setup has none."""
    device: DeviceView | None
    """None: there is no such device."""
    stops: Collection[Stop] = ()
    """All that are in force."""
    off_since: float | None = None
    """When its device said that it is off, by the clock, where its account must yet take it to be on."""
    latched: bool = False
    """The device itself says that the actuator is in an emergency stop."""
    bonds: Collection[Bond] = ()
    """The actuator's interlocks, as they stand now."""


def check(request: Request, facts: Facts) -> Refusal | None:
    """None: it may be done. OFF always may."""
    if request.value == OFF:
        return None
    for ask in _IN_ORDER:
        refusal = ask(request, facts)
        if refusal is not None:
            return refusal
    return None


# --- in the order of RefusalCode ----------------------------------------------------------------------------------


def _emergency(request: Request, facts: Facts) -> Refusal | None:
    stop = next((one for one in facts.stops if one.covers(request.actuator)), None)
    if stop is not None:
        what = {
            StopScope.ALL: "Everything",
            StopScope.ESP: f"Device {stop.esp_id}",
            StopScope.ACTUATOR: f"Actuator {request.actuator}",
        }[stop.scope]
        because = f": {stop.reason}" if stop.reason else ""
        return Refusal(
            code=RefusalCode.EMERGENCY_STOP_ACTIVE,
            message=f"{what} is in an emergency stop{because}",
            cure="Clear the emergency stop",
        )
    if facts.latched:
        return Refusal(
            code=RefusalCode.EMERGENCY_STOP_ACTIVE,
            message=f"{_name(request, facts)} is in an emergency stop of its device's own",
            cure=f"Clear the emergency stop of device {request.actuator.esp_id}",
        )
    return None


def _approved(request: Request, facts: Facts) -> Refusal | None:
    esp_id = request.actuator.esp_id
    if facts.device is None:
        return Refusal(
            code=RefusalCode.DEVICE_NOT_APPROVED,
            message=f"There is no device {esp_id}",
            cure="It appears by itself when it sends its first heartbeat",
        )
    if not facts.device.approved:
        return Refusal(
            code=RefusalCode.DEVICE_NOT_APPROVED,
            message=f"Device {esp_id} is not approved",
            cure=f"Approve it: growyd devices approve {esp_id}",
        )
    return None


def _owned(request: Request, facts: Facts) -> Refusal | None:
    device = _device(facts)
    if device.tenure is Tenure.OURS:
        return None
    if device.tenure is Tenure.FROZEN:
        message, cure = f"Device {device.esp_id} is being handed over", "Ask its new owner in a moment"
    elif device.tenure is Tenure.FENCED:
        message = f"This node has lost touch with God, and the right to device {device.esp_id} runs out"
        cure = "It comes back with the connection"
    else:
        message = f"Device {device.esp_id} belongs to {device.owner or 'another node'}"
        cure = "Command it there, or transfer it"
    return Refusal(code=RefusalCode.DEVICE_NOT_OWNED, message=message, cure=cure)


def _online(request: Request, facts: Facts) -> Refusal | None:
    device, now = _device(facts), facts.moment.clock
    if hears(device, now):
        return None
    if not device.online:
        return Refusal(
            code=RefusalCode.DEVICE_OFFLINE,
            message=f"Device {device.esp_id} is offline",
            cure="What is wanted is sent when it is back",
        )
    return Refusal(
        code=RefusalCode.DEVICE_OFFLINE,
        message=f"Device {device.esp_id} is connecting and does not hear commands yet",
        cure="What is wanted is sent as soon as it does",
        again_at=device.ready_at,
    )


def _configured(request: Request, facts: Facts) -> Refusal | None:
    device, gpio = _device(facts), request.actuator.gpio
    setup = device.actuator(gpio)
    if setup is None:
        return Refusal(
            code=RefusalCode.ACTUATOR_NOT_CONFIGURED,
            message=f"Device {device.esp_id} has no actuator on gpio {gpio}",
            cure="Set it up first",
        )
    if setup.enabled and gpio not in device.applied:
        return Refusal(
            code=RefusalCode.ACTUATOR_NOT_CONFIGURED,
            message=f"{_name(request, facts)} is set up, but its device has not confirmed it",
            cure="It is sent again by itself; if the device has refused it, its setup says why",
        )
    return None


def _enabled(request: Request, facts: Facts) -> Refusal | None:
    if _setup(request, facts).enabled:
        return None
    return Refusal(
        code=RefusalCode.ACTUATOR_DISABLED,
        message=f"{_name(request, facts)} is disabled",
        cure="Enable it in its setup",
    )


def _in_range(request: Request, facts: Facts) -> Refusal | None:
    if OFF <= request.value <= FULL:
        return None
    return Refusal(
        code=RefusalCode.PWM_OUT_OF_RANGE,
        message=f"{_name(request, facts)} cannot have the output {request.value:g}",
        cure="An output is a number from 0 (off) to 1 (full)",
    )


def _in_limits(request: Request, facts: Facts) -> Refusal | None:
    setup = _setup(request, facts)
    if setup.kind is not ActuatorKind.PWM or setup.min_value <= request.value <= setup.max_value:
        return None
    return Refusal(
        code=RefusalCode.VALUE_OUT_OF_LIMITS,
        message=f"{_name(request, facts)} may not run at {request.value:g}",
        cure=f"Its setup allows {setup.min_value:g} to {setup.max_value:g}, and 0",
    )


def _own_pin(request: Request, facts: Facts) -> Refusal | None:
    device, setup = _device(facts), _setup(request, facts)
    mine = set(setup.pins)
    for other in device.actuators:
        if other.enabled and other.gpio != setup.gpio and (shared := mine.intersection(other.pins)):
            return _conflict(request, facts, min(shared), f"actuator {other.name}")
    for sensor in device.sensors:
        if sensor.enabled and sensor.i2c_address is None and sensor.gpio in mine:
            return _conflict(request, facts, sensor.gpio, f"sensor {sensor.name}")
    return None


def _interlocked(request: Request, facts: Facts) -> Refusal | None:
    for bond in facts.bonds:
        if not bond.broken:
            continue
        partner, known = bond.partner, bond.known
        if bond.interlock.kind is InterlockKind.REQUIRES:
            return Refusal(
                code=RefusalCode.INTERLOCK,
                message=f"{_name(request, facts)} may only run while {partner} does, which is not known to be on",
                cure=f"Switch {partner} on first",
            )
        certain = "is on" if known.surely_on else "may be on"
        return Refusal(
            code=RefusalCode.INTERLOCK,
            message=f"{_name(request, facts)} may not run together with {partner}, which {certain}",
            cure=f"Switch {partner} off first",
            again_at=_later(known.off_by, facts),
        )
    return None


def _rested(request: Request, facts: Facts) -> Refusal | None:
    setup = _setup(request, facts)
    if not setup.cooldown_s or (facts.account.on and facts.off_since is None):
        return None
    off_s = off_for_s(facts.account, facts.moment)
    if facts.account.on and facts.off_since is not None:
        off_s = facts.moment.clock - facts.off_since
    left_s = setup.cooldown_s - off_s
    if left_s <= 0:
        return None
    return Refusal(
        code=RefusalCode.COOLDOWN,
        message=f"{_name(request, facts)} must stay off for {setup.cooldown_s} s before it may go on again",
        cure=f"Wait {math.ceil(left_s)} s",
        again_at=_later(facts.moment.clock + left_s, facts),
    )


_LIMITS = {
    "run": "{name} has run for as long as it may without a pause",
    "rest": "{name} has run for as long as it may and must rest",
    "day": "{name} has run for as long as it may in a day",
    "dose": "{name} has delivered what it may in a day",
}
_CURES = {
    "run": "It goes off now, rests, and may go on again",
    "rest": "Wait, or allow longer runs in its setup",
    "day": "Wait for the next day, or allow more in its setup",
    "dose": "Wait for the next day, or allow more in its setup",
}


def _within_runtime(request: Request, facts: Facts) -> Refusal | None:
    rest = left(
        facts.account,
        _setup(request, facts),
        request.value,
        facts.moment,
        facts.day,
        facts.max_runtime_s,
    )
    if rest.seconds >= LEAST_S:
        return None
    return Refusal(
        code=RefusalCode.MAX_RUNTIME,
        message=_LIMITS[rest.why].format(name=_name(request, facts)),
        cure=_CURES[rest.why],
        again_at=_later(rest.again_at, facts),
    )


def _well_founded(request: Request, facts: Facts) -> Refusal | None:
    if request.basis_good:
        return None
    return Refusal(
        code=RefusalCode.SENSOR_STALE,
        message=f"A sensor that {_name(request, facts)} depends on has no fresh, good value",
        cure="See that the sensor is read again",
    )


_IN_ORDER: tuple[Callable[[Request, Facts], Refusal | None], ...] = (
    _emergency,
    _approved,
    _owned,
    _online,
    _configured,
    _enabled,
    _in_range,
    _in_limits,
    _own_pin,
    _interlocked,
    _rested,
    _within_runtime,
    _well_founded,
)


# --- inside -------------------------------------------------------------------------------------------------------


def hears(device: DeviceView, now: float) -> bool:
    """Whether the device hears commands at that time of the clock."""
    return device.online and (device.ready or now >= device.ready_at)


def _device(facts: Facts) -> DeviceView:
    assert facts.device is not None  # `_approved` has asked
    return facts.device


def _setup(request: Request, facts: Facts) -> ActuatorSetup:
    setup = _device(facts).actuator(request.actuator.gpio)
    assert setup is not None  # `_configured` has asked
    return setup


def _name(request: Request, facts: Facts) -> str:
    setup = None if facts.device is None else facts.device.actuator(request.actuator.gpio)
    return f"Actuator {request.actuator}" if setup is None else f"{setup.name} ({request.actuator})"


def _conflict(request: Request, facts: Facts, pin: int, other: str) -> Refusal:
    return Refusal(
        code=RefusalCode.GPIO_CONFLICT,
        message=f"{_name(request, facts)} shares pin {pin} with {other}",
        cure="Give one of them another pin, or disable it",
    )


def _later(at: float, facts: Facts) -> float:
    return max(at, facts.moment.clock + ASK_AGAIN_S)
