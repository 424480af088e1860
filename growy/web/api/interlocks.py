"""What actuators must never be together (interlocks), and which sensors they move (couplings)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TypeVar

import attrs
from attrs import validators as v

from growy.control.rules.conflicts import Coupling
from growy.control.rules.spelled import actuator_of, sensor_of
from growy.model.control import ActuatorKey, Interlock, InterlockKind
from growy.model.errors import Duplicate, Invalid, NotFound
from growy.web.answers import Response, answer, iso
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shapes import control as shapes

T = TypeVar("T")
LONGEST_NAME = 100
MOST_SENSORS = 50
_TEXTS = {
    InterlockKind.EXCLUSIVE: "{a} and {b} never run together",
    InterlockKind.REQUIRES: "{b} runs only while {a} does",
}


@attrs.frozen
class InterlockBody:
    kind: InterlockKind
    a: object
    b: object
    name: str = attrs.field(default="", validator=v.max_len(LONGEST_NAME))


def named(field: str, read: Callable[[object], T], said: object) -> T:
    """A sensor or an actuator of a body. Raises Invalid naming the field."""
    try:
        return read(said)
    except Invalid as error:
        fault = f"{field}: {error.message}"
        raise Invalid(f"Wrong field: {fault}", details={"faults": [fault]}) from None


def interlock_record(interlock: Interlock) -> dict[str, object]:
    a, b = interlock.a, interlock.b
    return {
        "id": interlock.id,
        "kind": interlock.kind.value,
        "a": {"esp_id": a.esp_id, "gpio": a.gpio},
        "b": {"esp_id": b.esp_id, "gpio": b.gpio},
        "name": interlock.name or None,
        "text": _TEXTS[interlock.kind].format(a=a, b=b),
        "created_at": iso(interlock.created_ms) if interlock.created_ms else None,
    }


async def interlocks(call: Call) -> Response:
    found = [interlock_record(one) for one in call.app.control.interlocking.interlocks()]
    return answer({"success": True, "data": found, "count": len(found)})


async def add(call: Call, body: InterlockBody) -> Response:
    """In force when this answers: of two that already run together the second is switched off."""
    interlock = Interlock(
        id=str(uuid.uuid4()),
        kind=body.kind,
        a=named("a", actuator_of, body.a),
        b=named("b", actuator_of, body.b),
        name=body.name,
    )
    made = await call.app.control.interlocking.put_interlock(interlock, by=call.by)
    return answer({"success": True, **interlock_record(made)}, 201)


async def remove(call: Call) -> Response:
    gone = await call.app.control.interlocking.remove_interlock(call.path["interlock_id"], by=call.by)
    return answer({"success": True, **interlock_record(gone)})


# --- couplings ----------------------------------------------------------------------------------------------------


@attrs.frozen
class CouplingBody:
    actuator: object
    sensors: list[object] = attrs.field(validator=[v.min_len(1), v.max_len(MOST_SENSORS)])


def coupling_record(coupling: Coupling) -> dict[str, object]:
    return {
        "actuator": {"esp_id": coupling.actuator.esp_id, "gpio": coupling.actuator.gpio},
        "sensors": [
            {"esp_id": one.esp_id, "gpio": one.gpio, "sensor_type": one.sensor_type, "address": one.address}
            for one in coupling.sensors
        ],
        "text": f"{coupling.actuator} moves {', '.join(map(str, coupling.sensors))}",
    }


async def couplings(call: Call) -> Response:
    found = [coupling_record(one) for one in call.app.control.interlocking.couplings()]
    return answer({"success": True, "data": found, "count": len(found)})


async def couple(call: Call, body: CouplingBody) -> Response:
    """Which sensors an actuator moves, in place of what was said of it before."""
    coupling = Coupling(
        named("actuator", actuator_of, body.actuator),
        tuple(named(f"sensors[{index}]", sensor_of, said) for index, said in enumerate(body.sensors)),
    )
    made = await call.app.control.interlocking.put_coupling(coupling, by=call.by)
    return answer({"success": True, **coupling_record(made)}, 201)


async def uncouple(call: Call) -> Response:
    actuator = ActuatorKey(call.path["esp_id"], call.integer("gpio"))
    gone = await call.app.control.interlocking.remove_coupling(actuator, by=call.by)
    return answer({"success": True, **coupling_record(gone)})


_INTERLOCKS = "/api/v1/interlocks"
_COUPLINGS = "/api/v1/couplings"

ENDPOINTS = (
    Endpoint(
        method="GET",
        path=_INTERLOCKS,
        summary="All interlocks",
        handler=interlocks,
        answers=shapes.INTERLOCKS,
    ),
    Endpoint(
        method="POST",
        path=_INTERLOCKS,
        summary="Add an interlock",
        handler=add,
        body=InterlockBody,
        auth=Auth.OPERATOR,
        answers=Answer(shapes.ONE_INTERLOCK, 201),
        errors=(Duplicate, NotFound),
    ),
    Endpoint(
        method="DELETE",
        path=f"{_INTERLOCKS}/{{interlock_id}}",
        summary="Take an interlock away",
        handler=remove,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_INTERLOCK,
        errors=(NotFound,),
    ),
    Endpoint(
        method="GET",
        path=_COUPLINGS,
        summary="Which sensors actuators move",
        handler=couplings,
        answers=shapes.COUPLINGS,
    ),
    Endpoint(
        method="POST",
        path=_COUPLINGS,
        summary="Say which sensors an actuator moves",
        handler=couple,
        body=CouplingBody,
        auth=Auth.OPERATOR,
        answers=Answer(shapes.ONE_COUPLING, 201),
        errors=(NotFound,),
    ),
    Endpoint(
        method="DELETE",
        path=f"{_COUPLINGS}/{{esp_id}}/{{gpio}}",
        summary="Say nothing of it any more",
        handler=uncouple,
        auth=Auth.OPERATOR,
        answers=shapes.ONE_COUPLING,
        errors=(NotFound,),
    ),
)
