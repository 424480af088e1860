"""How the house stands, in the events that live clients know: what somebody who has just come would have missed. Pure
looking; nothing here may change anything.

Readings are not here: the hub has the newest of each series itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from growy.control.reporting import degraded
from growy.control.stops.telling import announcement
from growy.fleet.device import Standing
from growy.fleet.reports import health
from growy.model.setup import ActuatorKind
from growy.web.live import State

if TYPE_CHECKING:
    from growy.control.control import Control
    from growy.fleet.fleet import Fleet
    from growy.model.control import ActuatorState


def standing(fleet: Fleet, control: Control) -> Iterator[State]:
    """Emergency stops in force, who is there, what actuators do, rules that cannot act; in this order.

    Each has the shape of its event. `timestamp` is when the device said it, or since when it is so.
    """
    for report in control.stops():
        stop = report.stop
        data, _ = announcement(stop, stop.by, stop.since_ms, begins=True, reason=stop.reason)
        yield "actuator_alert", data
    moment = control.moment()
    for device in fleet.devices():
        if device.record.standing is not Standing.DELETED:
            told = health(device.state, moment, "replay")
            yield told.event, {**told.data, "timestamp": device.last_seen_ms // 1000}
    for state in control.states():
        if state.reported is not None:  # of the others nobody knows what they do
            yield "actuator_status", actuator_status(state)
    for record in control.book.records():
        if record.degraded_since_ms is not None:
            event, data, _ = degraded(record.rule, record.degraded_reason, "", record.degraded_since_ms)
            yield event, data


def actuator_status(state: ActuatorState) -> dict[str, object]:
    """`actuator_status` of what a device said last. Its counters and who commanded it are not kept."""
    value = state.reported or 0.0
    pwm = state.kind is ActuatorKind.PWM
    return {
        "esp_id": state.actuator.esp_id,
        "gpio": state.actuator.gpio,
        "actuator_type": state.kind.value,
        "hardware_type": state.kind.value,
        "state": "off" if not value else "pwm" if pwm else "on",
        "value": round(value, 3),
        "pwm": round(value * 255) if pwm else None,
        "runtime_ms": None,
        "emergency": "active" if state.emergency else "normal",
        "command_source": None,
        "timestamp": None if state.reported_ms is None else state.reported_ms // 1000,
    }
