"""MQTT 3.1.1 frames: splits what the broker sends into PUBLISH messages (ours) and control frames (paho's).

Why not let paho read them: it asks the kernel for one byte, one byte and the rest of every packet and builds a
message object around it; at the rate of a large fleet that alone fills a core. PUBLISH with QoS 0 or 1 is the whole
inbound traffic of growyd, its layout is six lines of the standard (3.3), and its acknowledgement must wait for our
commit anyway. Everything with a state machine in it (connect, subscribe, outbound QoS 1, ping) stays with paho.

No I/O here: bytes in, messages out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from growy.model.errors import BrokerError

PUBLISH = 0x30
MAX_FRAME = 1 << 20
"""Of a larger message only the beginning is kept: no firmware sends over 8 KiB, and memory is not for the asking. It
is handed on, so that it can be refused and acknowledged: unacknowledged it would come again first on every connect."""
KEPT = MAX_FRAME
"""What is kept of it. Devices' messages are refused beyond 64 KiB; what other nodes send may be this long."""


class ProtocolViolation(BrokerError):
    """The broker sent something that MQTT 3.1.1 or our subscriptions do not allow; the connection is given up."""

    code = "MQTT_PROTOCOL"
    numeric_code = 5105


class Inbound(NamedTuple):
    """One PUBLISH from the broker. A NamedTuple: cheapest to make, and twenty thousand a second are made."""

    topic: bytes
    payload: bytes
    mid: int
    """Packet id to acknowledge; 0 for QoS 0, which has none."""
    dup: bool
    retain: bool


class FrameSplitter:
    """Cuts a byte stream into frames. Incomplete frames wait for the next `feed`."""

    __slots__ = ("_held", "_rest", "_skip")

    def __init__(self) -> None:
        self._rest = b""
        self._skip = 0
        """Bytes of a message too large to keep that are still to come, and are dropped."""
        self._held: list[Inbound] = []
        """That message: it is delivered, and so acknowledged, when all of it has come."""

    def feed(self, data: bytes) -> tuple[list[Inbound], bytes]:
        """Returns the complete PUBLISH messages, in order, and the bytes of all other complete frames.

        Raises:
            ProtocolViolation: malformed length, oversized control frame, or QoS 2 (never subscribed with).
        """
        messages: list[Inbound] = []
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            if self._skip:
                return messages, b""
            messages += self._held
            data = data[skipped:]
        buffer = self._rest + data if self._rest else data
        end = len(buffer)
        start = 0
        control: list[bytes] = []
        append = messages.append
        while end - start >= 2:
            head = buffer[start]
            # Remaining length, 1 to 4 bytes of 7 bits (2.2.3); nearly every reading has two.
            length = buffer[start + 1]
            body = start + 2
            if length >= 0x80:
                length &= 0x7F
                shift = 7
                while True:
                    if body >= end:
                        length = -1
                        break
                    byte = buffer[body]
                    body += 1
                    length |= (byte & 0x7F) << shift
                    if byte < 0x80:
                        break
                    shift += 7
                    if shift > 21:
                        raise ProtocolViolation(
                            "The broker sent a frame whose length has more than four bytes"
                        )
                if length < 0:
                    break
            stop = body + length
            if length > MAX_FRAME:
                if head & 0xF0 != PUBLISH:
                    raise ProtocolViolation(f"The broker sent a control frame of {length} bytes")
                if end - body < KEPT:
                    break
                self._held = FrameSplitter().feed(_shortened(head, buffer[body : body + KEPT]))[0]
                self._skip = max(0, stop - end)
                if self._skip:
                    start = end
                    break
                messages += self._held
                start = stop
                continue
            if stop > end:
                break
            if head & 0xF0 == PUBLISH:
                qos = head & 0x06
                topic_end = body + 2 + (buffer[body] << 8 | buffer[body + 1]) if length >= 2 else stop + 1
                if qos == 0x02:
                    payload = topic_end + 2
                    if payload > stop:
                        raise ProtocolViolation(
                            "The broker sent a PUBLISH that is shorter than its header says"
                        )
                    append(
                        Inbound(
                            buffer[body + 2 : topic_end],
                            buffer[payload:stop],
                            buffer[topic_end] << 8 | buffer[topic_end + 1],
                            head & 0x08 != 0,
                            head & 0x01 != 0,
                        )
                    )
                elif qos == 0:
                    if topic_end > stop:
                        raise ProtocolViolation(
                            "The broker sent a PUBLISH that is shorter than its header says"
                        )
                    append(
                        Inbound(
                            buffer[body + 2 : topic_end],
                            buffer[topic_end:stop],
                            0,
                            head & 0x08 != 0,
                            head & 0x01 != 0,
                        )
                    )
                else:
                    raise ProtocolViolation("The broker sent QoS 2, which was never asked for")
            else:
                control.append(buffer[start:stop])
            start = stop
        self._rest = buffer[start:] if start else buffer
        return messages, b"".join(control)


def _shortened(head: int, body: bytes) -> bytes:
    """A PUBLISH of the usual size with this beginning."""
    return bytes((head, len(body) & 0x7F | 0x80, len(body) >> 7 & 0x7F | 0x80, len(body) >> 14)) + body


_PUBACK = np.dtype([("head", ">u2"), ("mid", ">u2")])


def pubacks(mids: Sequence[int]) -> bytes:
    """PUBACK frames for these packet ids, in this order (the standard, 4.6, demands the order of receipt)."""
    frames = np.empty(len(mids), _PUBACK)
    frames["head"] = 0x4002
    frames["mid"] = mids
    return frames.tobytes()
