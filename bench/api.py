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

from bench.brokers import mosquitto
from bench.ingest import Growyd, cpu_of, high_water_kib, publish, python

RATE = 500.0
CONNECTIONS = 8
IDLE = 1000
LATEST = "/api/v1/sensors/data?esp_id=ESP_BE0001&gpio=4&limit=1"
"""One series' newest reading would be `address` more; so it is the newest of fifty series on one device."""
PATHS = (
    ("latest of one", "/api/v1/sensors/data?series_id=1&limit=1"),
    ("unchanged (304)", "/api/v1/sensors/data?series_id=400&end_time=2020-01-01&limit=1"),
    ("latest of 50", LATEST),
    ("a page of 20 sensors", "/api/v1/sensors?page_size=20"),
    ("rules", "/api/v1/logic/rules"),
)


class Load:
    """Asks over and over on several connections, one question in the air on each."""

    def __init__(self, path: str, target: str) -> None:
        self.request = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
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


def measured(path: str, target: str, pid: int, seconds: float) -> tuple[float, float, float, float, int]:
    """Answers a second, p50 and p99 in ms, processor us per answer (all of the process), bytes of an answer."""
    Load(path, target).run(0.3)
    load, cpu = Load(path, target), cpu_of(pid)
    rate = load.run(seconds)
    cost = 1e6 * (cpu_of(pid) - cpu) / len(load.took)
    return rate, load.percentile_ms(0.5), load.percentile_ms(0.99), cost, load.bytes


def bare(folder: str, size: int, mine: set[int], seconds: float) -> float:
    path = f"{folder}/bare.sock"
    with python("-m", "bench.bare_http", path, str(size)) as server:
        assert server.stdout is not None
        server.stdout.readline()
        pin(server.pid, mine)
        rate, half, most, cost, _ = measured(path, "/", server.pid, seconds)
        print(
            f"bare h11, {size} bytes{'':24} {rate:7.0f} /s   p50 {half:5.2f}  p99 {most:6.2f} ms   {cost:5.0f} us"
        )
        server.terminate()
    Path(path).unlink()
    return rate


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
    while growyd.parts()["web"]["connections"] < IDLE:
        time.sleep(0.05)
    grown = resident_kib(growyd.process.pid) - before
    rate, _, most, _, _ = measured(growyd.socket, PATHS[0][1], growyd.process.pid, 2.0)
    print(f"{IDLE} idle connections: {grown / IDLE:.1f} KiB each; meanwhile {rate:.0f} /s, p99 {most:.2f} ms")
    for one in waiting:
        one.close()


def resident_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    every = sorted(os.sched_getaffinity(0))
    mine, others = {every[0]}, set(every[1:]) or {every[0]}
    os.sched_setaffinity(0, others)
    with tempfile.TemporaryDirectory() as folder, mosquitto() as port:
        settings = f"[store]\ntail_readings = 240\n[web]\nmax_connections = {IDLE + 50}\n"
        settings = settings.replace("[store]\ntail_readings = 240\n", "").replace("[web]\n", "")
        with Growyd(port, folder, settings="") as growyd:
            pin(growyd.process.pid, mine)
            total = int(RATE * (len(PATHS) * (seconds + 2) + 10))
            coming = threading.Thread(target=publish, args=(port, total, RATE))
            coming.start()
            time.sleep(3)
            print(f"one processor, {RATE:.0f} readings a second coming in, {CONNECTIONS} connections")
            rates = {}
            sizes = {}
            for name, target in PATHS:
                rate, half, most, cost, size = measured(growyd.socket, target, growyd.process.pid, seconds)
                rates[name], sizes[name] = rate, size
                print(
                    f"{name:24}{size:8} bytes {rate:12.0f} /s   p50 {half:5.2f}  p99 {most:6.2f} ms   {cost:5.0f} us"
                )
            behind = growyd.parts()["intake"]
            coming.join()
            export(growyd)
            floor = bare(folder, sizes["latest of one"], mine, seconds)
            print(f"latest of one: {rates['latest of one'] / floor:.2f} of the bare server's rate")
            print(f"intake meanwhile: {behind.get('unacknowledged', behind)}")
            growyd.stop()


if __name__ == "__main__":
    main()
