"""Emergency stop, its proof, and its deliberate end. Must never say that something has stopped before the device has
proven it.

A stop is in force from the moment it is said, whether or not anything could be sent: the safety gate lets nothing but
OFF pass, and a device that is away is told when it is back.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs
from attrs import validators as v

from growy.control.stops.effects import ClearState
from growy.model.errors import Invalid
from growy.web.answers import Response, answer, iso
from growy.web.api.control_records import Standing, covered, pins_of, standing_of, stop_record
from growy.web.api.setups import need_actuator
from growy.web.app import App
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import control as shapes
from growy.web.shapes import faults

if TYPE_CHECKING:
    from growy.control.emergencies import Ended
    from growy.control.stops.effects import DeviceProof, StopReport
    from growy.model.control import Stop

LONGEST_REASON = 500
LONGEST_WAIT_S = 15.0
NOT_DURABLE = (
    "It is not on the disk yet: a restart of growyd would forget it. growyd goes on trying to write it"
)


@attrs.frozen
class StopQuery:
    wait: float = attrs.field(default=0.0, validator=[v.ge(0), v.le(LONGEST_WAIT_S)])


@attrs.frozen
class StopBody:
    reason: str = attrs.field(validator=[v.min_len(1), v.max_len(LONGEST_REASON)])
    esp_id: str | None = None
    gpio: int | None = None


@attrs.frozen
class ClearQuery:
    wait: float = attrs.field(default=LONGEST_WAIT_S, validator=[v.ge(0), v.le(LONGEST_WAIT_S)])


@attrs.frozen
class ClearBody:
    esp_id: str | None = None
    gpio: int | None = None
    reason: str = attrs.field(default="manual", validator=[v.min_len(1), v.max_len(LONGEST_REASON)])


def check_scope(app: App, esp_id: str | None, gpio: int | None) -> None:
    """What is to be stopped must exist: a stop of a misspelt device would stop nothing, and say it did.

    Raises Invalid, EspNotFound, ActuatorNotFound.
    """
    if esp_id is None:
        if gpio is not None:
            raise Invalid("gpio without esp_id: a pin of which device?")
        return
    app.fleet.need(esp_id)
    if gpio is not None:
        need_actuator(app, esp_id, str(gpio))


async def stop(call: Call, query: StopQuery, body: StopBody) -> Response:
    """Everything off, or one device, or one actuator, until it is cleared."""
    app = call.app
    esp_id = body.esp_id or None
    check_scope(app, esp_id, body.gpio)
    ordered = await app.control.emergencies.stop(
        esp_id=esp_id, gpio=body.gpio, reason=body.reason, by=call.by
    )
    report = ordered.report
    if query.wait:
        # None: somebody has ended it meanwhile. What was known of it then is the last word.
        report = await app.control.emergencies.wait_proven(report.stop.id, query.wait) or report
    reached = ordered.sent > 0
    details = [{"esp_id": one.esp_id, "actuators": _actuators(app, one, reached)} for one in report.devices]
    return answer(
        {
            "success": reached_somebody(report, reached),
            "message": _told(report, reached),
            "incident_correlation_id": report.stop.id,
            "devices_stopped": sum(standing_of(one) is Standing.PROVEN for one in report.devices),
            "actuators_stopped": sum(
                off is True for one in report.devices for _, off in pins_of(app, one) if one.proof is not None
            ),
            "devices_told": sum(one.told > 0 and one.online for one in report.devices) if reached else 0,
            "reason": body.reason,
            "timestamp": iso(report.stop.since_ms),
            "details": details,
            "stop": stop_record(app, report),
            "warnings": [] if ordered.durable else [NOT_DURABLE],
        }
    )


def reached_somebody(report: StopReport, reached: bool) -> bool:
    """Whether a device that is there was told; where there is none to tell, nothing has failed.

    Args:
        reached: the link has taken at least one message.
    """
    if not report.devices or any(one.proof is not None for one in report.devices):
        return True
    return reached and any(one.online for one in report.devices)


def _told(report: StopReport, reached: bool) -> str:
    counts = Counter(standing_of(one) for one in report.devices)
    said = ", ".join(f"{counts[state]} {text}" for state, text in _DEVICES.items() if counts[state])
    nobody = "" if reached_somebody(report, reached) else " NOBODY COULD BE TOLD."
    return f"Emergency stop of {covered(report.stop)} is in force.{nobody} Devices: {said or 'none'}"


_DEVICES = {
    Standing.PROVEN: "proven to be off",
    Standing.WAITING: "told and not proven yet",
    Standing.OFFLINE: "offline and told when they come back",
    Standing.REFUSED: "refused",
}


def _actuators(app: App, proof: DeviceProof, reached: bool) -> list[dict[str, object]]:
    """Of each actuator whether it was told or is off, and what is proven."""
    state = standing_of(proof)
    messages = {
        Standing.PROVEN: "Its device has stopped it",
        Standing.WAITING: "Told to go off; not proven yet"
        if reached
        else "It could not be told; growyd goes on trying",
        Standing.OFFLINE: "Its device is offline, and is told when it comes back",
        Standing.REFUSED: f"Its device refuses: {proof.reason}",
    }
    return [
        {
            "esp_id": proof.esp_id,
            "gpio": gpio,
            "success": state is Standing.PROVEN or (state is Standing.WAITING and reached),
            "off": off,
            "message": "Off, as it has said since then" if off else messages[state],
        }
        for gpio, off in pins_of(app, proof)
    ]


async def clear(call: Call, query: ClearQuery, body: ClearBody) -> Response:
    """End the stop of everything, of a device, or of an actuator."""
    app = call.app
    esp_id = body.esp_id or None
    check_scope(app, esp_id, body.gpio)
    ended = await app.control.emergencies.clear(
        esp_id=esp_id, gpio=body.gpio, reason=body.reason, by=call.by, wait_s=query.wait
    )
    counts = Counter(one.state for one in ended.devices)
    unfinished = counts[ClearState.FAILED] + counts[ClearState.WAITING] + counts[ClearState.SENT]
    return answer(
        {
            "success": not ended.answer.refused and not unfinished,
            "message": _ended(ended),
            "devices_cleared": counts[ClearState.CLEARED],
            "reason": body.reason,
            "timestamp": iso(app.control.moment().wall_ms),
            "details": [
                {"esp_id": one.esp_id, "state": one.state.value, "reason": one.reason or None}
                for one in ended.devices
            ],
            "remaining": [remaining_record(one) for one in ended.answer.remaining],
        }
    )


def _ended(ended: Ended) -> str:
    said = ended.answer
    if said.ended:
        text = f"Ended: the emergency stop of {', '.join(covered(one) for one in said.ended)}"
    elif said.refused:
        text = "Nothing was ended: what was named is stopped by something else"
    else:
        text = "There is no such emergency stop"
    left = ", ".join(covered(one) for one in said.remaining)
    return f"{text}. Still in force: {left}" if left else text


def remaining_record(stop: Stop) -> dict[str, object]:
    return {
        "id": stop.id,
        "scope": stop.scope.value,
        "esp_id": stop.esp_id,
        "gpio": stop.gpio,
        "reason": stop.reason,
        "since": iso(stop.since_ms),
        "text": f"{covered(stop)}: {stop.reason}",
    }


async def stops(call: Call) -> Response:
    """The stops in force, newest first, with what each device has proven."""
    found = sorted(call.app.control.emergencies.core.report(), key=lambda one: -one.stop.since_ms)
    return answer(
        {
            "success": True,
            "active": bool(found),
            "stops": [stop_record(call.app, one) for one in found],
            "count": len(found),
        }
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/actuators/emergency",
        summary="Emergency stops in force",
        handler=stops,
        answers=shapes.STOPS,
    ),
    *(
        Endpoint(
            method="POST",
            path=path,
            summary="Emergency stop",
            handler=stop,
            query=StopQuery,
            body=StopBody,
            auth=Auth.OPERATOR,
            answers=shapes.STOPPED,
            errors=faults.ACTUATOR,
        )
        for path in ("/api/v1/actuators/emergency_stop", "/api/v1/actuators/emergency-stop")
    ),
    *(
        Endpoint(
            method="POST",
            path=path,
            summary="End an emergency stop",
            handler=clear,
            query=ClearQuery,
            body=ClearBody,
            auth=Auth.OPERATOR,
            answers=shapes.CLEARED,
            errors=faults.ACTUATOR,
        )
        for path in ("/api/v1/actuators/clear_emergency", "/api/v1/actuators/clear-emergency")
    ),
)
"""`_` is what clients call; `-` is what some older ones do."""
