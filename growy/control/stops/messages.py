"""The messages of emergency stops, each with an id of its own. Never fails: a device that cannot be addressed gets
none, and the others get theirs.
"""

from __future__ import annotations

from datetime import UTC, datetime

from growy.control.stops.effects import Publish
from growy.model.control import OFF, ActuatorKey, Command, DeviceView, Stop, Verb
from growy.model.errors import WireError
from growy.wire import actuation, topics
from growy.wire.limits import check_id

MAX_PREFIX = 24
"""With the number behind it an id still fits beside the longest token."""
ISSUED_BY = "emergency_stop"
"""What a device reports as the source of its last command."""
STOP_TIMEOUT_S = 10.0
CLEAR_TIMEOUT_S = 4.0
"""A clear that was held up must not arrive behind what has happened since."""


class Messages:
    """Builds and numbers them.

    Args:
        prefix: of every id; 1 to `MAX_PREFIX` of the wire's alphabet.
        broadcast_token: the token that all devices share; "" for none.
    """

    def __init__(self, prefix: str, broadcast_token: str) -> None:
        if len(check_id(prefix)) > MAX_PREFIX:
            raise ValueError(f"a prefix has at most {MAX_PREFIX} characters")
        self.broadcast_token = broadcast_token
        self._prefix = prefix
        self._serial = 0

    def _id(self) -> str:
        self._serial += 1
        return f"{self._prefix}-{self._serial}"

    def broadcast(self, stop: Stop, now_ms: int, out: list[Publish]) -> str:
        """To every device on the broker, known or not. Returns its id."""
        message_id = self._id()
        since = datetime.fromtimestamp((stop.since_ms or now_ms) / 1000, UTC)
        payload = actuation.broadcast_stop(
            self.broadcast_token, stop.reason, message_id, f"{since:%Y-%m-%dT%H:%M:%SZ}"
        )
        out.append(Publish(topic=topics.broadcast_emergency(), payload=payload))
        return message_id

    def stop(self, view: DeviceView, out: list[Publish]) -> str:
        """To one device, latch and all. Returns its id."""
        message_id = self._id()
        payload = actuation.emergency_stop(actuation.token_for(view), message_id)
        self._to_emergency(view, payload, out)
        return message_id

    def clear(self, view: DeviceView, out: list[Publish]) -> str:
        """The end of it, to one device. Returns its id."""
        message_id = self._id()
        payload = actuation.clear_emergency(actuation.token_for(view), message_id)
        self._to_emergency(view, payload, out, CLEAR_TIMEOUT_S)
        return message_id

    def switch_off(self, view: DeviceView, gpio: int, out: list[Publish]) -> str:
        """OFF for one actuator. Returns its id."""
        command = Command(
            id=self._id(),
            actuator=ActuatorKey(view.esp_id, gpio),
            verb=Verb.OFF,
            value=OFF,
            issued_by=ISSUED_BY,
        )
        try:
            topic = topics.actuator_command(view.kaiser_id, view.esp_id, gpio)
        except WireError:
            return command.id
        out.append(Publish(topic=topic, payload=actuation.actuator_command(command), esp_id=view.esp_id))
        return command.id

    def _to_emergency(
        self, view: DeviceView, payload: bytes, out: list[Publish], timeout_s: float = STOP_TIMEOUT_S
    ) -> None:
        try:
            topic = topics.actuator_emergency(view.kaiser_id, view.esp_id)
        except WireError:
            return
        out.append(Publish(topic=topic, payload=payload, esp_id=view.esp_id, timeout_s=timeout_s))
