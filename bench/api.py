"""What the API costs while growyd does its main job: the latest readings, asked in a closed loop, with 500 messages a
second coming in. The daemon has one processor to itself, everything else the others.

`python -m bench.api [SECONDS]`. In the same run, on the same processor: a bare h11 server that answers the same number
of bytes without looking anything up. Also: an export in flat memory, and what an idle connection costs.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import attrs

from bench.brokers import mosquitto
from bench.ingest import Growyd, cpu_of, high_water_kib, publish, python

RATE = 500.0
CONNECTIONS = 8
IDLE = 1000
LATEST = "/api/v1/sensors/data?series_id=1&limit=1"
PATHS = (
    ("latest of one series", LATEST, ""),
    ("the same, unchanged: 304", "/api/v1/logic/templates", "If-None-Match: *\r\n"),
    ("latest of 50 series", "/api/v1/sensors/data?esp_id=ESP_BE0001&limit=1", ""),
    ("a page of 20 sensors", "/api/v1/sensors?page_size=20", ""),
)


class Load:
    """Asks over and over on several connections, one question in the air on each."""

    def __init__(self, path: str, target: str, header: str = "") -> None:
        self.request = f"GET {target} HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode()
        self.sockets = []
        for _ in range(CONNECTIONS):
            one = socket.socket(socket.AF_UNIX)
            one.connect(path)
            self.sockets.append(one)
        self.took: list[float] = []
        self.bytes = 0

    def run(self, seconds: float) -> float:
        """Answers a second."""
        sent: dict[socket.socket, float] = {}
        rest: dict[socket.socket, bytes] = {}
        with selectors.DefaultSelector() as ready:
            for one in self.sockets:
                ready.register(one, selectors.EVENT_READ)
                one.sendall(self.request)
                sent[one], rest[one] = time.perf_counter(), b""
            begin = time.perf_counter()
            while (now := time.perf_counter()) < begin + seconds:
                for key, _ in ready.select(1.0):
                    one = key.fileobj
                    assert isinstance(one, socket.socket)
                    rest[one] += one.recv(1 << 18)
                    if not whole(rest[one]):
                        continue
                    self.bytes = len(rest[one])
                    rest[one] = b""
                    now = time.perf_counter()
                    self.took.append(now - sent[one])
                    sent[one] = now
                    one.sendall(self.request)
        for one in self.sockets:
            one.close()
        return len(self.took) / (now - begin)

    def percentile_ms(self, share: float) -> float:
        return 1000 * sorted(self.took)[int(share * (len(self.took) - 1))]


def whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 304")):
        raise SystemExit(head.decode())
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    return len(body) >= int(length or b"0")


def pin(pid: int, processors: set[int]) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), processors)


@attrs.frozen
class Figures:
    rate: float
    """Answers a second."""
    p50_ms: float
    p99_ms: float
    cost_us: float
    """Processor time of the server for an answer, without what it needs anyway."""
    bytes: int


def measured(path: str, target: str, header: str, pid: int, seconds: float, busy: float) -> Figures:
    """Args: busy: processor seconds a second that the server needs when nobody asks."""
    Load(path, target, header).run(0.3)
    load, cpu, begin = Load(path, target, header), cpu_of(pid), time.perf_counter()
    rate = load.run(seconds)
    needed = cpu_of(pid) - cpu - busy * (time.perf_counter() - begin)
    cost = 1e6 * needed / len(load.took)
    return Figures(rate, load.percentile_ms(0.5), load.percentile_ms(0.99), cost, load.bytes)


def tell(name: str, one: Figures) -> None:
    print(
        f"{name:26}{one.bytes:7} bytes {one.rate:8.0f} /s   p50 {one.p50_ms:6.2f}  p99 {one.p99_ms:7.2f} ms"
        f"   {one.cost_us:6.0f} us"
    )


def bare(folder: str, size: int, mine: set[int], seconds: float) -> Figures:
    path = f"{folder}/bare.sock"
    with python("-m", "bench.bare_http", path, str(size)) as server:
        assert server.stdout is not None
        server.stdout.readline()
        pin(server.pid, mine)
        figures = measured(path, "/", "", server.pid, seconds, 0.0)
        server.terminate()
    Path(path).unlink()
    tell("bare h11", figures)
    return figures


def export(growyd: Growyd) -> None:
    before, begin = high_water_kib(growyd.process.pid), time.perf_counter()
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(growyd.socket)
        channel.sendall(
            b"GET /api/v1/sensors/data?format=csv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        size = lines = 0
        while data := channel.recv(1 << 18):
            size += len(data)
            lines += data.count(b"\n")
    seconds = time.perf_counter() - begin
    grown = (high_water_kib(growyd.process.pid) - before) / 1024
    print(f"export: {lines} lines, {size / 1e6:.1f} MB in {seconds:.1f} s, memory grew by {grown:.1f} MiB")


def idle(growyd: Growyd) -> None:
    """What a connection costs on which nobody asks anything."""
    before = resident_kib(growyd.process.pid)
    waiting = [socket.create_connection(("127.0.0.1", growyd.web_port)) for _ in range(IDLE)]
    deadline = time.monotonic() + 8
    while (there := growyd.parts()["web"]["connections"]) < IDLE and time.monotonic() < deadline:
        time.sleep(0.05)
    grown = resident_kib(growyd.process.pid) - before
    one = measured(growyd.socket, LATEST, "", growyd.process.pid, 2.0, 0.0)
    print(
        f"{there} idle connections: {grown / there:.1f} KiB each; meanwhile {one.rate:.0f} /s, p99 {one.p99_ms:.2f} ms"
    )
    for one in waiting:
        one.close()


def resident_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    # As many as the bench opens may stay, and for as long as it looks.
    os.environ |= {"GROWY_WEB__MAX_CONNECTIONS": str(IDLE + 100), "GROWY_WEB__HEADER_TIMEOUT": "60"}
    every = sorted(os.sched_getaffinity(0))
    mine, others = {every[0]}, set(every[1:]) or {every[0]}
    os.sched_setaffinity(0, others)
    with (
        tempfile.TemporaryDirectory() as folder,
        mosquitto() as port,
        Growyd(port, folder, settings="") as growyd,
    ):
        pid = growyd.process.pid
        pin(pid, mine)
        total = int(RATE * (len(PATHS) * (seconds + 1) + 10))
        coming = threading.Thread(target=publish, args=(port, total, RATE))
        coming.start()
        time.sleep(3)
        cpu = cpu_of(pid)
        time.sleep(3)
        busy = (cpu_of(pid) - cpu) / 3
        print(f"growyd on one processor, {RATE:.0f} readings a second coming in: {100 * busy:.0f} % of it")
        found = [measured(growyd.socket, path, header, pid, seconds, busy) for _, path, header in PATHS]
        for (name, _, _), one in zip(PATHS, found, strict=True):
            tell(name, one)
        coming.join()
        export(growyd)
        idle(growyd)
        floor = bare(folder, found[0].bytes, mine, seconds)
        share = found[0].rate / floor.rate
        print(f"latest of one series: {share:.2f} of the bare server's answers a second")
        # Processor time, in ticks of 10 ms: of few answers it says little. bench.request is exact.
        for (name, _, _), one in zip(PATHS, found, strict=True):
            print(
                f"{name:26}{one.cost_us:5.0f} us of processor, {one.cost_us / floor.cost_us:.2f} x bare h11"
            )
        growyd.stop()


if __name__ == "__main__":
    main()
