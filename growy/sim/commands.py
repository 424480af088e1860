"""Messages from the server: who of the board gets them, and whether now. Works on a turn.

A message that is too long is dropped without an answer; one for a topic that the firmware does not know under its
present prefix is not heard.
"""

from __future__ import annotations

import attrs

from growy.sim import (
    actuators,
    config_lane,
    emergency,
    measuring,
    registration,
    sensor_commands,
    system_commands,
    zones,
)
from growy.sim.answers import carry_out, handled
from growy.sim.arduino_json import ParseFailed, as_object, c_text, parse
from growy.sim.events import Received, Restart
from growy.sim.flash import Intent, Outcome
from growy.sim.intents import (
    MESSAGE_BYTES,
    Admission,
    Lane,
    admit,
    expired,
    read_intent,
    replay,
    report,
    stage,
)
from growy.sim.payload import BROADCAST_EMERGENCY, server_status_topic
from growy.sim.payload_board import actuator_rejected, command_refused
from growy.sim.sensing import Sample
from growy.sim.sensor_types import is_onewire
from growy.sim.session import CONFIG, HEARTBEAT_ACK
from growy.sim.state import NEVER, EspState
from growy.sim.turn import Turn

ONEWIRE_READ_MS = 800
READ_MS = 30
REJECTED_POOL = 512
_ZONE_HANDLERS = {
    "zone/assign": (zones.assign_zone, "zone"),
    "subzone/assign": (zones.assign_subzone, "subz"),
    "subzone/remove": (zones.remove_subzone, "subz"),
    "subzone/safe": (zones.switch_safe_mode, "subz"),
}
_TOLD_WHEN_ACCEPTED = ("PENDING_ALLOWLIST_ACCEPTED", "DEGRADED_ALLOWLIST_ACCEPTED")


def wakeup(state: EspState) -> float:
    return min(state.replay_at, state.push_done_at, state.paused_until, state.restart_at)


def tick(turn: Turn) -> None:
    """What is due of what the server asked for."""
    if turn.now >= turn.state.restart_at:
        turn.effects.append(Restart("SW"))
        turn.state = attrs.evolve(turn.state, restart_at=NEVER)
    if turn.now >= turn.state.replay_at:
        replay(turn)
    config_lane.tick(turn)
    if turn.now >= turn.state.paused_until:
        _wake(turn)


def _wake(turn: Turn) -> None:
    held_back, inbox = turn.state.held_back, turn.state.inbox
    turn.state = attrs.evolve(turn.state, paused_until=NEVER, held_back=(), inbox=())
    carry_out(turn, held_back)
    for message in inbox:
        received(turn, message)


def received(turn: Turn, message: Received) -> None:
    """A message arrived."""
    if not turn.session.connected or len(message.payload) >= MESSAGE_BYTES:
        return
    if turn.state.paused_until < NEVER:
        turn.state = attrs.evolve(turn.state, inbox=(*turn.state.inbox, message))
        return
    topic, body = message.topic, message.payload
    if topic == BROADCAST_EMERGENCY:
        intent = read_intent(turn, body, "emergency")
        handled(turn, emergency.broadcast(turn.board, body, intent, turn.ctx))
    elif topic == server_status_topic(turn.board.kaiser_id):
        if not turn.state.old:
            registration.server_status(turn, body)
    elif topic.startswith(prefix := turn.topic("")):
        _routed(turn, topic.removeprefix(prefix), body)


def _routed(turn: Turn, tail: str, body: bytes) -> None:
    """By what follows the device's prefix."""
    match tail.split("/"):
        case _ if tail == HEARTBEAT_ACK:
            if not turn.state.old:
                registration.acknowledged(turn, body)
        case _ if tail == CONFIG:
            config_lane.received(turn, body)
        case ["system", "command"]:
            _system(turn, body)
        case ["actuator", "emergency"]:
            intent = read_intent(turn, body, "emergency")
            handled(turn, emergency.command(turn.board, body, intent, turn.ctx))
        case ["actuator", gpio, "command"]:
            _actuator(turn, gpio, body)
        case ["sensor", gpio, "command"]:
            if not turn.state.old:
                _sensor(turn, gpio, body)
        case _ if tail in _ZONE_HANDLERS:
            handler, prefix = _ZONE_HANDLERS[tail]
            handled(turn, handler(turn.board, body, read_intent(turn, body, prefix), turn.ctx))
        case _:
            return


def _rejected(intent: Intent, admission: Admission, what: str) -> Outcome:
    reason = f"{what} (reason_code={admission.reason_code})"
    return Outcome(flow="command", intent=intent, outcome="rejected", code=admission.code, reason=reason)


def _accepted(intent: Intent, code: str, reason: str) -> Outcome:
    return Outcome(flow="command", intent=intent, outcome="accepted", code=code, reason=reason)


def _timed_out(intent: Intent, what: str) -> Outcome:
    reason = f"{what} command expired in queue"
    return Outcome(flow="command", intent=intent, outcome="expired", code="TTL_EXPIRED", reason=reason)


def _actuator(turn: Turn, gpio: str, body: bytes) -> None:
    intent = read_intent(turn, body, "act")
    if not turn.state.old:
        admission = admit(turn, Lane.ACTUATOR)
        if not admission.accepted:
            report(turn, _rejected(intent, admission, "Actuator command rejected"))
            pin = int(gpio) % 256 if gpio.isdecimal() else 0
            parsed = parse(c_text(body), REJECTED_POOL)
            turn.reply(
                actuator_rejected(turn.board, pin, as_object(parsed), intent, admission.reason_code, turn.ctx)
            )
            return
        if expired(turn, intent):
            report(turn, _timed_out(intent, "Actuator"))
            return
        report(turn, _accepted(intent, admission.code, "Actuator command accepted"))
    handled(turn, actuators.execute(turn.board, gpio, body, intent, turn.ctx))


def _sensor(turn: Turn, gpio: str, body: bytes) -> None:
    intent = read_intent(turn, body, "sensor")
    stage(turn, intent, "ingress_seen", "INGRESS", "sensor command ingress")
    refusal = sensor_commands.refusal(body, intent)
    if refusal is not None:
        report(turn, refusal)
        return
    admission = admit(turn, Lane.SENSOR)
    if not admission.accepted:
        stage(turn, intent, "admission_reject", admission.code, admission.reason_code)
        report(turn, _rejected(intent, admission, "Sensor command rejected"))
        return
    stage(turn, intent, "admission_accept", admission.code, admission.reason_code)
    stage(turn, intent, "queue_enqueued", "QUEUED", "sensor command enqueued")
    if expired(turn, intent):
        report(turn, _timed_out(intent, "Sensor"))
        return
    report(turn, _accepted(intent, admission.code, "Sensor command accepted"))
    stage(turn, intent, "execute_started", "EXECUTE", "sensor command execution started")
    handled(turn, sensor_commands.execute(turn.board, gpio, body, intent, turn.ctx))


def measured(turn: Turn, number: int, samples: tuple[Sample, ...]) -> None:
    """A read that a command asked for has ended."""
    left = dict(turn.state.asked)
    request = left.pop(number, None)
    if request is None:
        return
    turn.state = attrs.evolve(turn.state, asked=left)
    published = measuring.measured(turn, request.sensor, samples)
    value = None
    if samples:
        first = samples[0]
        value = sensor_commands.Value(first.sensor_type, first.raw, first.quality)
    stage(turn, request.intent, "execute_finished", "EXECUTE", "sensor command execution finished")
    answers = sensor_commands.finished(
        turn.board,
        request,
        value,
        published=published,
        elapsed_ms=ONEWIRE_READ_MS if is_onewire(request.sensor.sensor_type) else READ_MS,
        ctx=turn.ctx,
    )
    carry_out(turn, answers)


def _system(turn: Turn, body: bytes) -> None:
    intent = read_intent(turn, body, "sys")
    command = system_commands.read(body)
    if isinstance(command, ParseFailed):
        handled(turn, system_commands.unreadable(turn.board, command, intent, turn.ctx))
        return
    if not turn.state.old:
        admission = admit(turn, Lane.SYSTEM, command.name)
        if not admission.accepted:
            report(turn, _rejected(intent, admission, f"System command rejected: {command.name}"))
            code, reason_code = admission.code, admission.reason_code
            turn.reply(command_refused(turn.board, command.name, code, reason_code, turn.ctx))
            return
        if admission.code in _TOLD_WHEN_ACCEPTED:
            reason = f"System command accepted via pending allowlist: {command.name}"
            report(turn, _accepted(intent, admission.code, reason))
    handled(turn, system_commands.execute(turn.board, command, turn.ctx))
