"""What a connection may cost: sizes, counts and times. Defaults are justified where they stand; settings come
from [web]."""

from __future__ import annotations

import attrs

from growy.config import WebConfig


@attrs.frozen(kw_only=True)
class Limits:
    """All sizes in bytes, all times in seconds."""

    connections: int = 200
    """Per listener: a crowd of browsers on the port cannot lock the local command line out of its socket."""
    header: int = 16_384
    body: int = 1_048_576
    header_timeout: float = 10.0
    """From the first byte (of a new connection: from its start) to the end of the headers."""
    idle_timeout: float = 60.0
    body_timeout: float = 30.0
    """For the whole request body: the largest one needs 35 kB/s."""
    send_timeout: float = 20.0
    """For an answer, plus a second for each 64 KiB of it."""
    linger: float = 1.0
    """How long the rest of a refused request is read and thrown away, so that the client sees the answer:
    closing a socket with unread data resets the connection, and the reset overtakes the answer."""
    websockets: int = 100
    """Live clients, as the existing server documents it."""
    websocket_message: int = 65_536
    """The longest legal subscribe (1,000 words of some 30 characters in each of three lists) is under 100 kB
    only in theory; real ones are under 2 kB."""
    handshake_timeout: float = 5.0
    websocket_close: float = 1.0
    """For the closing handshake; a client that does not answer is cut off."""
    websocket_idle: float = 300.0
    """A live client that says nothing for so long, and does not even answer a ping, is gone."""
    frame_interval: float = 0.1
    """Readings go to a client ten times a second in the long run, ..."""
    frame_burst: int = 3
    """... and so many times at once after a quiet moment: the readings of another device need not wait."""
    gather: float = 0.03
    """What comes within this is sent together: a device's sensors come one after the other."""
    flush_readings: int = 100
    """Messages of a plain client at a time: 1,000 a second is what a browser can just read."""
    flush_batch: int = 1000
    """Readings, and events, in one frame of a batch: some 40 kB."""

    @classmethod
    def of(cls, config: WebConfig) -> Limits:
        return cls(
            connections=config.max_connections,
            header=config.max_header,
            body=config.max_body,
            header_timeout=config.header_timeout,
            idle_timeout=config.idle_timeout,
        )
