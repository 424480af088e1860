"""One event on its way to live clients, in the forms in which they are sent: made once each, however many watch. Pure.

JSON is what an event is: the other forms are made from its text, so that no client is told anything else.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import cast

import cbor2
import msgspec
from wsproto.frame_protocol import FrameProtocol

_json = msgspec.json.Encoder()
_framing = FrameProtocol(client=False, extensions=[])
"""Frames of a server have no mask: the same bytes do for every client."""


class Dialect(enum.Enum):
    """How a client is spoken to, by the subprotocol that it asked for."""

    PLAIN = ""
    """One JSON message for each reading and each event."""
    JSON = "growy.json"
    """JSON, everything that is due in one message."""
    CBOR = "growy.cbor"
    """The same in CBOR."""

    @property
    def batched(self) -> bool:
        return self is not Dialect.PLAIN

    def encode(self, message: Mapping[str, object]) -> bytes:
        """A message as the frame that carries it. Of CBOR it may hold only what `LiveEvent.message` could."""
        return frame(cbor2.dumps(message) if self is Dialect.CBOR else _json.encode(message).decode())


def frame(message: str | bytes) -> bytes:
    """A WebSocket frame: text or binary."""
    return bytes(_framing.send_data(message))


def subject_of(data: Mapping[str, object]) -> tuple[str | None, str | None]:
    """The device, and the sensor type in lower case, that an event is about; None where it is about none."""
    esp_id = data.get("esp_id", data.get("device_id"))
    kind = data.get("sensor_type")
    return esp_id if isinstance(esp_id, str) else None, kind.lower() if isinstance(kind, str) else None


class LiveEvent:
    """An event as it was said. Frozen; its forms are made when they are first asked for."""

    __slots__ = ("_frame", "_message", "again", "esp_id", "sensor_type", "text", "type")

    def __init__(
        self, type: str, data: Mapping[str, object], envelope: Mapping[str, object], *, again: bool = False
    ) -> None:
        """Args:
            data: names its device as `esp_id` or `device_id` where it has one.
            envelope: the whole message.
            again: it is no news, but says how something stands.

        Raises TypeError when it holds something that JSON does not know.
        """
        self.type = type
        self.again = again
        self.esp_id, self.sensor_type = subject_of(data)
        self.text = _json.encode(envelope).decode()
        self._frame = b""
        self._message: dict[str, object] | None = None

    @property
    def frame(self) -> bytes:
        """As the message of a plain client."""
        if not self._frame:
            self._frame = frame(self.text)
        return self._frame

    def in_(self, dialect: Dialect) -> bytes:
        """As a frame of its own."""
        return frame(cbor2.dumps(self.message)) if dialect is Dialect.CBOR else self.frame

    @property
    def message(self) -> dict[str, object]:
        """As JSON says it, in objects; not to be changed."""
        if self._message is None:
            self._message = cast("dict[str, object]", msgspec.json.decode(self.text))
        return self._message
