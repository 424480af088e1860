"""What live clients are sent, read as a client reads it."""

from __future__ import annotations

import json
from typing import Any

import cbor2
from wsproto.frame_protocol import FrameProtocol, Opcode

from growy.web.feed import MOST_EVENTS, Feed
from growy.web.live import LiveHub


def messages(frames: bytes) -> list[dict[str, Any]]:
    """The messages in whole WebSocket frames of a server: text is JSON, binary is CBOR."""
    reader = FrameProtocol(client=True, extensions=[])
    reader.receive_bytes(frames)
    return [
        json.loads(frame.payload) if frame.opcode is Opcode.TEXT else cbor2.loads(bytes(frame.payload))
        for frame in reader.received_frames()
    ]


def events(hub: LiveHub, feed: Feed) -> list[dict[str, Any]]:
    """All events that wait for a plain client."""
    return messages(hub.take_events(feed, 10 * MOST_EVENTS))
