"""Switching actuators by hand, and what they did. Must never claim more than the device has said.

What a person sets is a claim: it goes before rules until it ends or is given back (`AUTO`), and the safety gate stands
before it as before everything else.
"""

from __future__ import annotations

import enum

import attrs
from attrs import validators as v

from growy.control.people import CommandResult, Wish
from growy.model.control import FULL, OFF, ActuatorKey, CommandState
from growy.model.errors import Invalid, SafetyRefused
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.store import HistoryKind, HistoryRow, Usage
from growy.web.answers import Response, answer, iso
from growy.web.api.control_records import level, state_record
from growy.web.api.setups import actuator_record, need_actuator
from growy.web.app import App
from growy.web.inputs import Moment
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import control as shapes
from growy.web.shapes import faults

LONGEST_WAIT_S = 5.0
LONGEST_S = 86_400.0
EIGHT_BITS = 255
DAY_MS = 86_400_000


@attrs.frozen
class CommandQuery:
    wait: float = attrs.field(default=LONGEST_WAIT_S, validator=[v.ge(0), v.le(LONGEST_WAIT_S)])


@attrs.frozen
class CommandBody:
    command: Wish
    value: float = attrs.field(default=1.0, validator=[v.ge(0), v.le(EIGHT_BITS)])
    duration: float = attrs.field(default=0.0, validator=[v.ge(0), v.le(LONGEST_S)])


class Mode(enum.StrEnum):
    DIGITAL = "digital"
    PWM = "pwm"


@attrs.frozen
class SetBody:
    mode: Mode
    value: float = attrs.field(validator=[v.ge(0), v.le(EIGHT_BITS)])
    duration: float = attrs.field(default=0.0, validator=[v.ge(0), v.le(LONGEST_S)])


@attrs.frozen
class StatusQuery:
    include_config: bool = False


@attrs.frozen
class HistoryQuery:
    limit: int = attrs.field(default=100, validator=[v.ge(1), v.le(1000)])
    start_time: Moment | None = None
    end_time: Moment | None = None
    kind: HistoryKind | None = None
    include_aggregation: bool = False


def found(call: Call) -> tuple[ActuatorKey, ActuatorSetup]:
    """The actuator that a path means. Raises EspNotFound, ActuatorNotFound."""
    esp_id = call.path["esp_id"]
    setup = need_actuator(call.app, esp_id, call.path["gpio"])
    return ActuatorKey(esp_id, setup.gpio), setup


async def command(call: Call, query: CommandQuery, body: CommandBody) -> Response:
    """Switch an actuator, and say what its device answered."""
    actuator, setup = found(call)
    wish, value = meant(body.command, body.value, setup)
    done = await call.app.control.command(
        actuator,
        wish,
        value=value,
        duration_s=body.duration,
        by=call.by,
        wait_s=query.wait,
    )
    return answer(
        {
            "success": succeeded(call.app, actuator, done),
            "message": told(setup, actuator, done),
            "esp_id": actuator.esp_id,
            "gpio": actuator.gpio,
            "command": body.command.value,
            "value": done.output,
            "duration": body.duration,
            "correlation_id": done.correlation_id,
            "command_sent": sent(done),
            "acknowledged": done.acknowledged and wish is not Wish.AUTO,
            "command_state": done.state.value,
            "state": shown(call.app, actuator),
            "safety_warnings": list(done.warnings),
            "request_id": call.request_id,
        }
    )


async def set_(call: Call, query: CommandQuery, body: SetBody) -> Response:
    """The same, for clients that say a mode and a value."""
    actuator, setup = found(call)
    value = share(body.value)
    wish = Wish.PWM
    if body.mode is Mode.DIGITAL:
        if body.value not in (0, 1):
            raise Invalid(f"value: a digital output is 0 or 1, not {body.value:g}", cure='Or say mode "pwm"')
        wish = Wish.ON
    if value == OFF:
        wish = Wish.OFF
    done = await call.app.control.command(
        actuator, wish, value=value, duration_s=body.duration, by=call.by, wait_s=query.wait
    )
    return answer(
        {
            "success": succeeded(call.app, actuator, done),
            "message": told(setup, actuator, done),
            "correlation_id": done.correlation_id,
            "command_sent": sent(done),
            "acknowledged": done.acknowledged,
            "state": shown(call.app, actuator),
            "safety_warnings": list(done.warnings),
        }
    )


def meant(wish: Wish, value: float, setup: ActuatorSetup) -> tuple[Wish, float]:
    """What is wished, and the output from 0 to 1. Raises Invalid."""
    if wish not in (Wish.ON, Wish.PWM):
        return wish, 1.0
    output = share(value)
    if output == OFF:
        if wish is Wish.ON:
            raise Invalid("value: ON with 0 contradicts itself", cure="Say OFF, or a value greater than 0")
        return Wish.OFF, 1.0
    # Of what has no values in between, ON is ON whatever stands beside it.
    partly = wish is Wish.ON and output < FULL and setup.kind is ActuatorKind.PWM
    return (Wish.PWM if partly else wish), output


def share(value: float) -> float:
    """0 to 1 as it is; whole numbers from 2 are of 8 bits. Raises Invalid."""
    if value <= 1:
        return value
    if value != int(value):
        raise Invalid(f"value: {value:g} is neither 0 to 1 nor a whole number to {EIGHT_BITS}")
    return value / EIGHT_BITS


def sent(done: CommandResult) -> bool:
    """Whether anything went to the device for it."""
    command = done.command
    return command is not None and command.state not in (CommandState.QUEUED, CommandState.EXPIRED)


def succeeded(app: App, actuator: ActuatorKey, done: CommandResult) -> bool:
    """It was done, or sent, or waits its turn at a device that is there; and nobody refused it."""
    if done.state is CommandState.QUEUED:
        return app.fleet.need(actuator.esp_id).online
    return done.state not in (CommandState.REJECTED, CommandState.EXPIRED)


def told(setup: ActuatorSetup, actuator: ActuatorKey, done: CommandResult) -> str:
    """What became of it, in a sentence."""
    name = f"{setup.name} ({actuator})"
    if done.message:
        return f"{name}: {done.message}"
    return f"{name} is {level(done.output)}" + (", as its device has said" if done.acknowledged else "")


def shown(app: App, actuator: ActuatorKey) -> dict[str, object]:
    return state_record(app.control.state(actuator), app.control.moment())


async def status(call: Call, query: StatusQuery) -> Response:
    """What an actuator does now, and why."""
    actuator, setup = found(call)
    app = call.app
    said: dict[str, object] = {
        "success": True,
        "esp_id": actuator.esp_id,
        "gpio": actuator.gpio,
        "state": shown(app, actuator),
    }
    if query.include_config:
        said["config"] = actuator_record(app, app.fleet.need(actuator.esp_id), setup)
    return answer(said)


async def history(call: Call, query: HistoryQuery) -> Response:
    """What was commanded and what happened, newest first."""
    actuator, setup = found(call)
    now_ms = call.app.control.moment().wall_ms
    to_ms = now_ms if query.end_time is None else query.end_time
    from_ms = to_ms - DAY_MS if query.start_time is None else query.start_time
    if from_ms > to_ms:
        raise Invalid("start_time is after end_time")
    rows = await call.app.control.history(actuator, from_ms, to_ms, query.limit, kind=query.kind)
    said: dict[str, object] = {
        "success": True,
        "esp_id": actuator.esp_id,
        "gpio": actuator.gpio,
        "entries": [entry(row, setup) for row in rows],
        "total_count": len(rows),
        "truncated": len(rows) == query.limit,
        "aggregation": None,
        "from_time": iso(from_ms),
        "to_time": iso(to_ms),
    }
    if query.include_aggregation:
        usage = await call.app.control.usage(actuator, from_ms, max(from_ms, min(to_ms, now_ms)))
        said["aggregation"] = aggregation(usage)
    return answer(said)


def entry(row: HistoryRow, setup: ActuatorSetup) -> dict[str, object]:
    """One thing that happened. `success` is null where nobody knows, and of a switching, which simply is."""
    ended = {CommandState.ACKNOWLEDGED.value: True, CommandState.UNKNOWN.value: None}
    switched = row.kind is HistoryKind.SWITCH
    return {
        "id": row.id,
        "gpio": row.actuator.gpio,
        "kind": row.kind.value,
        "actuator_type": "pwm" if setup.kind is ActuatorKind.PWM else "digital",
        "command_type": row.command or ("ON" if row.value > OFF else "OFF"),
        "value": row.value,
        "success": None if switched else ended.get(row.state, False),
        "state": row.state or None,
        "issued_by": row.issued_by or None,
        "error_code": row.code or None,
        "error_message": (row.message or None) if row.state != CommandState.ACKNOWLEDGED.value else None,
        "metadata": {"duration_seconds": row.duration_s, "correlation_id": row.correlation_id or None},
        "timestamp": iso(row.ts_ms),
    }


def aggregation(usage: Usage) -> dict[str, object]:
    return {
        "total_runtime_seconds": usage.run_s,
        "total_cycles": usage.cycles,
        "duty_cycle_percent": 100 * usage.duty,
        "avg_cycle_seconds": usage.run_s / usage.cycles if usage.cycles else None,
    }


_ACTUATOR = "/api/v1/actuators/{esp_id}/{gpio}"

ENDPOINTS = (
    Endpoint(
        method="POST",
        path=f"{_ACTUATOR}/command",
        summary="Switch an actuator",
        handler=command,
        query=CommandQuery,
        body=CommandBody,
        auth=Auth.OPERATOR,
        answers=shapes.COMMANDED,
        errors=(*faults.ACTUATOR, *faults.TOLD, SafetyRefused),
    ),
    Endpoint(
        method="POST",
        path=f"{_ACTUATOR}/set",
        summary="Switch an actuator, by mode and value",
        handler=set_,
        query=CommandQuery,
        body=SetBody,
        auth=Auth.OPERATOR,
        answers=shapes.OUTPUT_SET,
        errors=(*faults.ACTUATOR, *faults.TOLD, SafetyRefused),
    ),
    Endpoint(
        method="GET",
        path=f"{_ACTUATOR}/status",
        summary="What an actuator does, and why",
        handler=status,
        query=StatusQuery,
        answers=shapes.STATUS,
        errors=faults.ACTUATOR,
    ),
    Endpoint(
        method="GET",
        path=f"{_ACTUATOR}/history",
        summary="What an actuator did",
        handler=history,
        query=HistoryQuery,
        answers=shapes.HISTORY,
        errors=faults.ACTUATOR,
    ),
)
