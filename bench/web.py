"""What the web room costs: requests per second of one server process, and the live hub per batch.

    python -m bench.web

The client is a separate process that keeps one request in flight on each of its connections.
"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import trio

from bench.app import SERIES, open_app
from growy.config import WebConfig
from growy.model.reading import NO_SEQ, Columns
from growy.web.live import LiveHub
from growy.web.server import open_web
from growy.web.subscription import parse

ROWS = 100
SECONDS = 3.0
CONNECTIONS = 4
PATHS = (
    "/api/v1/health/live",
    "/api/v1/sensors/ESP_000001/21",
    "/api/v1/sensors/data?esp_id=ESP_000001&limit=1",
    "/api/v1/sensors/?page_size=100",
)


def load(port: int, path: str, key: str, results: multiprocessing.Queue[tuple[int, float, float]]) -> None:
    """Ask for SECONDS; report answers, seconds and the 99th percentile in ms."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nX-API-Key: {key}\r\n\r\n".encode()
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    sent = [0.0] * CONNECTIONS
    took: list[float] = []
    end = time.perf_counter() + SECONDS
    began = time.perf_counter()
    for at, one in enumerate(sockets):
        sent[at] = time.perf_counter()
        one.sendall(request)
    while time.perf_counter() < end:
        for at, one in enumerate(sockets):
            read_answer(one)
            took.append(time.perf_counter() - sent[at])
            sent[at] = time.perf_counter()
            one.sendall(request)
    results.put((len(took), time.perf_counter() - began, 1000 * statistics.quantiles(took, n=100)[98]))


def read_answer(one: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += one.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    left = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]) - len(body)
    while left > 0:
        left -= len(one.recv(left))


def batch(ids: list[int], rng: np.random.Generator) -> Columns:
    n = ROWS
    now = int(time.time() * 1000)
    series = rng.choice(ids, n)
    return Columns.of(
        series, [now] * n, [now] * n, [1.0] * n, rng.random(n), [1] * n, [NO_SEQ] * n, [0] * n, [0] * n
    )


async def main() -> None:
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        async with open_app(Path(folder)) as opened:
            app, store, hub, ids, key = opened.app, opened.app.store, opened.app.hub, opened.ids, opened.key
            batches = [batch(ids, rng) for _ in range(300)]
            for one in batches:
                store.tail.append(one)
                await store.commit(one)
            async with open_web(WebConfig(port=0), None, app) as web, trio.open_nursery() as nursery:
                await nursery.start(web.run)
                for path in PATHS:
                    results: multiprocessing.Queue[tuple[int, float, float]] = multiprocessing.Queue()
                    asker = multiprocessing.Process(target=load, args=(web.port, path, key, results))
                    asker.start()
                    cpu = time.process_time()
                    count, seconds, p99_ms = await trio.to_thread.run_sync(results.get)
                    cpu = time.process_time() - cpu
                    await trio.to_thread.run_sync(asker.join)
                    cost = f"{1e6 * cpu / count:5.0f} us CPU"
                    print(f"GET {path:50} {count / seconds:7.0f} /s   {cost}   p99 {p99_ms:.1f} ms")
                nursery.cancel_scope.cancel()
            measure_hub(hub, batches)


def measure_hub(hub: LiveHub, batches: list[Columns]) -> None:
    def publish_us() -> float:
        times = []
        for one in batches:
            began = time.perf_counter()
            hub.publish_readings(one)
            times.append(1e6 * (time.perf_counter() - began))
        return statistics.median(times)

    print(f"live hub, batch of {ROWS} rows, no client: {publish_us():.2f} us")
    feeds = []
    for clients in (1, 10, 100):
        while len(feeds) < clients:
            feeds.append(hub.join(f"c{len(feeds)}", lambda: None))
            hub.obey(feeds[-1], parse('{"action":"subscribe","filters":{"types":["sensor_data"]}}'))
        print(
            f"live hub, batch of {ROWS} rows, {clients} clients with {SERIES} series: {publish_us():.1f} us"
        )
    began = time.perf_counter()
    size = len(hub.take(feeds[0], 50))
    print(f"live hub, 50 messages made, {size} bytes: {1e6 * (time.perf_counter() - began):.0f} us")


if __name__ == "__main__":
    trio.run(main)
