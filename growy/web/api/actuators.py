"""Actuators set up on devices: what is connected where, and what keeps it safe. Switching them is not done here."""

from __future__ import annotations

import uuid

import attrs
import msgspec
from attrs import validators as v

from growy.model.errors import DeviceNotApproved, Invalid
from growy.model.setup import NO_PIN, ActuatorKind, ActuatorSetup, ItemState
from growy.web.answers import Response, answer, page_of
from growy.web.api.records import known
from growy.web.api.sensor_setup import Scope, WaitQuery
from growy.web.api.setups import actuator_record, as_kept, between, check_place, need_actuator, notes_of
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import control as shapes
from growy.web.shapes import faults

_KINDS = {
    **{kind.value: kind for kind in ActuatorKind},
    "digital": ActuatorKind.RELAY,
}
PWM_HZ = 1000
"""The firmware's only frequency."""


@attrs.frozen
class ActuatorsQuery:
    esp_id: str | None = None
    gpio: int | None = None
    actuator_type: str | None = None
    enabled: bool | None = None
    config_status: ItemState | None = None
    page: int = attrs.field(default=1, validator=[v.ge(1), v.le(1_000_000)])
    page_size: int = attrs.field(default=20, validator=[v.ge(1), v.le(100)])


@attrs.frozen
class ActuatorBody:
    """Absent: unchanged, and on a new actuator the default."""

    actuator_type: str | None = None
    hardware_type: str | None = None
    gpio: int | None = None
    esp_id: str | None = None
    name: str | None = attrs.field(default=None, validator=v.optional(v.max_len(64)))
    enabled: bool | None = None
    aux_gpio: int | None = attrs.field(default=None, validator=between(0, NO_PIN))
    critical: bool | None = None
    inverted_logic: bool | None = None
    default_state: bool | None = None
    default_pwm: int | None = attrs.field(default=None, validator=between(0, 255))
    max_runtime_seconds: int | None = attrs.field(default=None, validator=between(0, 86_400))
    cooldown_seconds: int | None = attrs.field(default=None, validator=between(0, 3600))
    min_value: float | None = attrs.field(default=None, validator=between(0, 1))
    max_value: float | None = attrs.field(default=None, validator=between(0, 1))
    max_runtime_day_seconds: int | None = attrs.field(default=None, validator=between(0, 86_400))
    dose_ml_per_second: float | None = attrs.field(default=None, validator=between(0, 1000))
    dose_budget_ml: float | None = attrs.field(default=None, validator=between(0, 1_000_000))
    subzone_id: str | None = attrs.field(default=None, validator=v.optional(v.max_len(32)))
    description: str | None = attrs.field(default=None, validator=v.optional(v.max_len(500)))
    pwm_frequency: int | None = attrs.field(default=None, validator=between(1, 40_000))
    servo_min_pulse: int | None = attrs.field(default=None, validator=between(500, 2500))
    servo_max_pulse: int | None = attrs.field(default=None, validator=between(500, 2500))
    metadata: dict[str, object] | None = None
    device_scope: Scope | None = None
    assigned_zones: list[str] | None = None
    assigned_subzones: list[str] | None = None


NOTES = (
    *("description", "pwm_frequency", "servo_min_pulse", "servo_max_pulse", "metadata"),
    *("device_scope", "assigned_zones", "assigned_subzones"),
)
"""Fields that growyd keeps and does not act on."""


async def actuators(call: Call, query: ActuatorsQuery) -> Response:
    """All actuators that are set up."""
    app = call.app
    kind = None if query.actuator_type is None else query.actuator_type.lower()
    fitting = [
        (device, setup)
        for device in known(app)
        if query.esp_id in (None, device.esp_id)
        for setup in device.record.actuators
        if query.gpio in (None, setup.gpio)
        and query.enabled in (None, setup.enabled)
        and (kind is None or kind in _words(setup.kind))
        and (query.config_status is None or app.fleet.state_of(device, setup.key) is query.config_status)
    ]
    return page_of(
        fitting, query.page, query.page_size, lambda found: actuator_record(app, found[0], found[1])
    )


def _words(kind: ActuatorKind) -> tuple[str, ...]:
    """A pump, a relay and a valve are digital beside that."""
    return (kind.value,) if kind is ActuatorKind.PWM else (kind.value, "digital")


async def actuator(call: Call) -> Response:
    """One actuator."""
    app, esp_id = call.app, call.path["esp_id"]
    setup = need_actuator(app, esp_id, call.path["gpio"])
    return answer({"success": True, **actuator_record(app, app.fleet.need(esp_id), setup)})


async def put(call: Call, query: WaitQuery, body: ActuatorBody) -> Response:
    """Set an actuator up, or change it."""
    app, esp_id, gpio = call.app, call.path["esp_id"], call.integer("gpio")
    check_place(esp_id, gpio, body.esp_id, body.gpio)
    at_pin = (one for one in app.fleet.need(esp_id).record.actuators if one.gpio == gpio)
    wanted, warnings = _setup(next(at_pin, None), gpio, body)
    setup, more = await app.fleet.set_actuator(esp_id, wanted)
    if query.wait:
        await app.fleet.settled(esp_id, [setup.key], query.wait)
    device = app.fleet.need(esp_id)
    record = actuator_record(app, device, as_kept(device.record.actuators, setup))
    return answer({"success": True, **record, "warnings": [*warnings, *more], "request_id": call.request_id})


def _setup(before: ActuatorSetup | None, gpio: int, body: ActuatorBody) -> tuple[ActuatorSetup, list[str]]:
    """What is wished, and what about it will not be as somebody may expect. Raises Invalid."""
    kind = _kind(before, body)
    setup = before or ActuatorSetup(id=str(uuid.uuid4()), gpio=gpio, kind=kind, name=f"{kind} {gpio}")
    changes: dict[str, object] = {
        "name": body.name or None,
        "enabled": body.enabled,
        "aux_gpio": body.aux_gpio,
        "critical": body.critical,
        "inverted_logic": body.inverted_logic,
        "default_state": body.default_state,
        "default_pwm": body.default_pwm,
        "cooldown_s": body.cooldown_seconds,
        "min_value": body.min_value,
        "max_value": body.max_value,
        "subzone_id": body.subzone_id,
    }
    unchanged = {name for name, wish in changes.items() if wish is None}
    limits = {
        "max_runtime_s": body.max_runtime_seconds,
        "max_runtime_day_s": body.max_runtime_day_seconds,
        "dose_ml_per_s": body.dose_ml_per_second,
        "dose_budget_ml": body.dose_budget_ml,
    }
    # Of these 0 means "none", as it has always done of the first; the actuator then has `[control] max_runtime`.
    changes |= {name: wish or None for name, wish in limits.items() if wish is not None}
    setup = msgspec.structs.replace(
        setup,
        kind=kind,
        notes=notes_of(setup.notes, body, NOTES),
        **{name: wish for name, wish in changes.items() if name not in unchanged},
    )
    warnings = []
    if body.pwm_frequency not in (None, PWM_HZ):
        warnings.append(f"The firmware drives PWM with {PWM_HZ} Hz, whatever pwm_frequency says")
    if body.dose_budget_ml == 0:
        warnings.append("dose_budget_ml 0 means no budget; to have nothing dosed, set enabled to false")
    return setup, warnings


def _kind(before: ActuatorSetup | None, body: ActuatorBody) -> ActuatorKind:
    """The firmware's driver: of the words that clients have for it the more exact one. Raises Invalid."""
    said = [word.strip().lower() for word in (body.hardware_type, body.actuator_type) if word]
    for word in said:
        if word not in _KINDS:
            reason = (
                "The firmware has no driver for a servo" if word == "servo" else "There is no such actuator"
            )
            raise Invalid(
                f"{reason}: {word[:40]!r}",
                cure=f"Use one of {', '.join(_KINDS)}; a solenoid valve is a relay, a valve has a motor and two pins",
                details={"faults": [f"actuator_type: {word[:40]!r} is none of {', '.join(_KINDS)}"]},
            )
    if not said:
        if before is None:
            raise Invalid("actuator_type is missing", details={"faults": ["actuator_type: is missing"]})
        return before.kind
    if "pwm" in said and set(said) != {"pwm"}:
        raise Invalid(f"It is {said[0]} or {said[1]}, not both", cure="Say one of them")
    if said == ["digital"] and before is not None and before.kind is not ActuatorKind.PWM:
        return before.kind  # it does not say anything else than what is there
    return _KINDS[said[0]] if said[0] != "digital" else _KINDS[said[-1]]


async def remove(call: Call, query: WaitQuery) -> Response:
    """Take an actuator off its device, which switches it off."""
    app, esp_id = call.app, call.path["esp_id"]
    setup = need_actuator(app, esp_id, call.path["gpio"])
    record = actuator_record(app, app.fleet.need(esp_id), setup)
    await app.fleet.remove_actuator(esp_id, setup.id)
    confirmed = bool(query.wait) and await app.fleet.settled(esp_id, [setup.key], query.wait)
    return answer({"success": True, **record, "confirmed": confirmed, "request_id": call.request_id})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/actuators",
        summary="All actuators",
        handler=actuators,
        query=ActuatorsQuery,
        answers=shapes.ACTUATORS,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/actuators/{esp_id}/{gpio}",
        summary="One actuator",
        handler=actuator,
        answers=shapes.ONE_ACTUATOR,
        errors=faults.ACTUATOR,
    ),
    Endpoint(
        method="POST",
        path="/api/v1/actuators/{esp_id}/{gpio}",
        summary="Set an actuator up",
        handler=put,
        query=WaitQuery,
        body=ActuatorBody,
        auth=Auth.OPERATOR,
        answers=shapes.ACTUATOR_SET_UP,
        errors=faults.SET_UP,
    ),
    Endpoint(
        method="DELETE",
        path="/api/v1/actuators/{esp_id}/{gpio}",
        summary="Take an actuator off its device",
        handler=remove,
        query=WaitQuery,
        auth=Auth.OPERATOR,
        answers=shapes.ACTUATOR_REMOVED,
        errors=(*faults.ACTUATOR, DeviceNotApproved),
    ),
)
