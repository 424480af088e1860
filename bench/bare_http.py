"""The baseline of bench.api: trio and h11, and an answer that is always the same. No routing, no data, no limits.

Run as a process: `python -m bench.bare_http SOCKET BYTES`.
"""

from __future__ import annotations

import contextlib
import socket
import sys

import h11
import trio


async def serve(stream: trio.SocketStream, body: bytes) -> None:
    with contextlib.suppress(trio.BrokenResourceError):  # the client has gone
        await converse(stream, body)


async def converse(stream: trio.abc.Stream, body: bytes) -> None:
    protocol = h11.Connection(h11.SERVER)
    headers = [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body))]
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            protocol.receive_data(await stream.receive_some(16_384))
        elif isinstance(event, h11.EndOfMessage):
            data = protocol.send(h11.Response(status_code=200, headers=headers)) or b""
            data += protocol.send(h11.Data(data=body)) or b""
            await stream.send_all(data + (protocol.send(h11.EndOfMessage()) or b""))
            protocol.start_next_cycle()
        elif not isinstance(event, h11.Request):
            return


async def main(path: str, size: int) -> None:
    door = trio.socket.socket(socket.AF_UNIX)
    await door.bind(path)
    door.listen(64)
    print("listening", flush=True)
    await trio.serve_listeners(lambda stream: serve(stream, b"x" * size), [trio.SocketListener(door)])


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
