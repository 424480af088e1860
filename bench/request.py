"""What one request costs the processor, from its bytes to the answer's, in this process: no kernel, no client, nobody
else on the machine. In the same run bare h11, which parses and answers as much and looks nothing up; their ratio is the
figure to compare between machines, busy or not.

    python -m bench.request [--profile]
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import trio

from bench.app import open_app
from bench.bare_http import converse
from growy.model.people import Peer
from growy.model.reading import NO_SEQ, Columns
from growy.web.api import ENDPOINTS
from growy.web.connection import ConnectionCounts, HttpConnection
from growy.web.cors import Cors
from growy.web.dispatch import Dispatcher
from growy.web.limits import Limits
from growy.web.router import Router

REQUESTS = 2000
ROUNDS = 7
PATHS = (
    ("latest of one series", "/api/v1/sensors/data?series_id=1&limit=1"),
    ("liveness", "/api/v1/health/live"),
    ("a page of 20 sensors", "/api/v1/sensors?page_size=20"),
)


class Replay(trio.abc.HalfCloseableStream):
    """A client that asks the same over and over and throws the answers away."""

    def __init__(self, request: bytes, times: int) -> None:
        self.request = request
        self.left = times
        self.answered = 0

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self.left:
            return b""
        self.left -= 1
        return self.request

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self.answered += len(data)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


Serve = Callable[[Replay], Awaitable[object]]


async def cost_us(serve: Serve, request: bytes) -> tuple[float, int]:
    """Processor time of a request, and the bytes of its answer."""
    stream = Replay(request, REQUESTS)
    began = time.process_time()
    await serve(stream)
    return 1e6 * (time.process_time() - began) / REQUESTS, stream.answered // REQUESTS


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_app(Path(folder)) as opened:
            now_ms, n = int(time.time() * 1000), len(opened.ids)
            opened.app.store.tail.append(
                Columns.of(
                    *(opened.ids, [now_ms] * n, [now_ms] * n, [1.0] * n, np.arange(n) * 0.1, [1] * n),
                    *([NO_SEQ] * n, [0] * n, [0] * n),
                )
            )
            dispatcher, counts = Dispatcher(opened.app, Router(ENDPOINTS)), ConnectionCounts()

            async def growyd(stream: Replay) -> None:
                peer = Peer("127.0.0.1")
                await HttpConnection(stream, peer, dispatcher, Limits(), counts, Cors()).run()

            for name, path in PATHS:
                head = f"GET {path} HTTP/1.1\r\nHost: localhost:8000\r\nAccept: */*\r\nUser-Agent: bench\r\n"
                request = f"{head}X-API-Key: {opened.key}\r\n\r\n".encode()
                _, size = await cost_us(growyd, request)

                async def bare(stream: Replay, body: bytes = b"x" * size) -> None:
                    await converse(stream, body)

                # In turns, and the best of each: what else the machine does hits both or neither.
                ours, floor = [], []
                for _ in range(ROUNDS):
                    ours.append((await cost_us(growyd, request))[0])
                    floor.append((await cost_us(bare, request))[0])
                ratio = min(ours) / min(floor)
                print(
                    f"{name:24}{size:6} bytes   {min(ours):6.0f} us   bare h11 {min(floor):4.0f} us   {ratio:.2f} x"
                )
                if "--profile" in sys.argv:
                    with cProfile.Profile() as profile:
                        await cost_us(growyd, request)
                    pstats.Stats(profile).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    trio.run(main)
