"""Publish -> screen: 100 live clients that watch 100 series at 1 Hz, one of them stalled.

`python -m bench.live [SECONDS]`. Devices publish over a real Mosquitto to a growyd of its own process; clients are raw
sockets in two other processes, so that what is measured is growyd and not a client library, and come through the unix
socket, which needs no login. The time of a reading is
its own `ts`, in ms of the machine's clock: from just before its PUBLISH is written to when the client has read it.

The same run measures one client alone: what a hundred cost beside one. Ten devices with ten sensors each send them one
after the other, every device at its own moment of the second ("devices"); and 100 sensors evenly over the second
("even"), where the pace of ten frames a second alone is up to 100 ms.
"""

from __future__ import annotations

import base64
import contextlib
import multiprocessing
import os
import random
import re
import selectors
import socket
import struct
import sys
import tempfile
import time
from multiprocessing.synchronize import Event as ProcessEvent
from pathlib import Path

import attrs
import cbor2

from bench.brokers import RECOMMENDED, mosquitto
from bench.ingest import Growyd, say
from bench.publisher import CONNECT, frame

DEVICES = 10
SENSORS = 10
CLIENTS = 100
WARM_S = 3.0
MOST_HEARD = 1000
SLOWER = 4
"""A Pi 4 has about a quarter of this machine's speed per core."""
PAYLOAD = (
    b'{"esp_id":"%s","seq":%d,"zone_id":"greenhouse_1","gpio":4,"sensor_type":"ds18b20","raw":%d,"unit":"\xc2\xb0C",'
    b'"quality":"good","ts":%d,"time_valid":true,"raw_mode":true,"onewire_address":"28%014X"}'
)
STAMP = re.compile(rb'"timestamp_ms":(\d{13})[,}]')
SUBSCRIBE = b'{"action":"subscribe","filters":{"types":["sensor_data"]}}'


# --- devices ------------------------------------------------------------------------------------------------------


def schedule(even: bool, seed: int) -> list[tuple[float, int, int]]:
    """When in a second each sensor is sent: (moment, device, sensor)."""
    if even:
        return [(n / (DEVICES * SENSORS), n % DEVICES, n // DEVICES) for n in range(DEVICES * SENSORS)]
    phases = random.Random(seed)
    began = [phases.random() for _ in range(DEVICES)]
    return sorted(
        ((began[device] + 0.001 * sensor) % 1, device, sensor)
        for device in range(DEVICES)
        for sensor in range(SENSORS)
    )


def publish(port: int, even: bool, stop: ProcessEvent) -> None:
    """Until told to stop: every sensor once a second."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(CONNECT)
    sock.recv(4)
    sock.setblocking(False)
    plan = schedule(even, 7)
    second, sent = time.monotonic(), 0
    while not stop.is_set():
        for moment, device, sensor in plan:
            while (left := second + moment - time.monotonic()) > 0:
                time.sleep(left)
            sent += 1
            name = b"ESP_BE%04X" % device
            stamp = time.time_ns() // 1_000_000
            payload = PAYLOAD % (name, sent, 300 + sent % 160, stamp, device * 256 + sensor)
            sock.setblocking(True)
            sock.sendall(frame(b"kaiser/god/esp/%s/sensor/4/data" % name, payload, sent % 65000 + 1))
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.recv(1 << 16)  # acknowledgements
        second += 1
    sock.close()


# --- clients ------------------------------------------------------------------------------------------------------


def opened(door: str, subprotocol: str, *, stalled: bool = False) -> socket.socket:
    """A subscribed client, its answers unread."""
    sock = socket.socket(socket.AF_UNIX)
    if stalled:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(door)
    extra = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extra}"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(1)
    assert b" 101 " in head.splitlines()[0], head
    sock.sendall(bytes([0x81, 0x80 | len(SUBSCRIBE)]) + bytes(4) + SUBSCRIBE)  # mask of zeros
    return sock


@attrs.define
class Reader:
    """What one client has received: complete frames only."""

    cbor: bool
    rest: bytes = b""
    frames: int = 0
    bytes: int = 0

    def stamps(self, data: bytes) -> list[int]:
        """Times of the readings in it, ms. What was sent again for the subscribe is none."""
        self.bytes += len(data)
        self.rest += data
        stamps: list[int] = []
        at = 0
        while (size := length(self.rest, at)) is not None:
            begin, end = size
            body = self.rest[begin:end]
            self.frames += 1
            if self.cbor and self.rest[at] == 0x82:
                message = cbor2.loads(body)
                if message["type"] == "batch" and "readings" in message["data"]:
                    stamps += message["data"]["readings"]["timestamp_ms"]
            elif not self.cbor and (found := STAMP.search(body)):
                stamps.append(int(found[1]))
            at = end
        self.rest = self.rest[at:]
        return stamps


def length(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the frame at `at` begins and ends; None while it is not whole."""
    if len(data) < at + 2:
        return None
    size, begin = data[at + 1], at + 2
    if size == 126:
        if len(data) < at + 4:
            return None
        size, begin = struct.unpack_from(">H", data, at + 2)[0], at + 4
    elif size == 127:
        if len(data) < at + 10:
            return None
        size, begin = struct.unpack_from(">Q", data, at + 2)[0], at + 10
    return (begin, begin + size) if len(data) >= begin + size else None


def watch(
    door: str,
    subprotocol: str,
    clients: int,
    ready: ProcessEvent,
    stop: ProcessEvent,
    results: multiprocessing.Queue[tuple[list[int], int, int]],
) -> None:
    """`clients` clients; reports delays in ms, frames, and bytes, all after the warm-up."""
    waiting = selectors.DefaultSelector()
    readers = {opened(door, subprotocol): Reader(bool(subprotocol)) for _ in range(clients)}
    for sock in readers:
        sock.setblocking(False)
        waiting.register(sock, selectors.EVENT_READ)
    ready.set()
    count_from = time.monotonic() + WARM_S
    delays: list[int] = []
    counted = False
    heard: list[tuple[Reader, int, bytes]] = []

    def look() -> None:
        """What was read is looked at when nothing more is there: a client does not wait for the work of another."""
        nonlocal counted
        for reader, at, data in heard:
            stamps = reader.stamps(data)
            if counted:
                delays.extend(at - stamp for stamp in stamps)
        heard.clear()
        if not counted and time.monotonic() > count_from:
            counted = True
            for reader in readers.values():
                reader.frames = reader.bytes = 0

    while not stop.is_set():
        found = waiting.select(0 if heard else 0.2)
        for key, _ in found:
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            data = sock.recv(1 << 18)
            if not data:
                raise SystemExit("growyd has closed a client that reads")
            heard.append((readers[sock], time.time_ns() // 1_000_000, data))
        if not found or len(heard) > MOST_HEARD:
            look()
    look()
    results.put(
        (
            delays,
            sum(reader.frames for reader in readers.values()),
            sum(reader.bytes for reader in readers.values()),
        )
    )


# --- a run --------------------------------------------------------------------------------------------------------


@attrs.frozen
class Result:
    p50_ms: float
    p99_ms: float
    worst_ms: float
    cpu: float
    """Of one core, the daemon alone."""
    received: int


def run(
    growyd: Growyd, broker: int, name: str, *, clients: int, subprotocol: str, even: bool, seconds: float
) -> Result:
    stop = multiprocessing.Event()
    results: multiprocessing.Queue[tuple[list[int], int, int]] = multiprocessing.Queue()
    publisher = multiprocessing.Process(target=publish, args=(broker, even, stop))
    publisher.start()
    # The series exist before anybody watches, as on any day but the first.
    growyd.wait(lambda parts: parts["intake"]["readings_committed"] >= DEVICES * SENSORS)
    watchers = []
    for part in [clients // 2, clients - clients // 2] if clients > 1 else [clients]:
        ready = multiprocessing.Event()
        watcher = multiprocessing.Process(
            target=watch, args=(growyd.socket, subprotocol, part, ready, stop, results)
        )
        watcher.start()
        ready.wait(20)
        watchers.append(watcher)
    stalled = opened(growyd.socket, subprotocol, stalled=True) if clients > 1 else None
    time.sleep(WARM_S)
    cpu, began = growyd.cpu_s()[0], time.monotonic()
    memory = [rss_mib(growyd)]
    for _ in range(2):
        time.sleep(seconds / 2)
        memory.append(rss_mib(growyd))
    took = time.monotonic() - began
    cpu = (growyd.cpu_s()[0] - cpu) / took
    live = growyd.parts()["live"]
    stop.set()
    found = [results.get(timeout=20) for _ in watchers]
    for process in (*watchers, publisher):
        process.join(20)
    if stalled is not None:
        stalled.close()
    growyd.wait(lambda parts: parts["live"]["clients"] == 0)
    delays = sorted(delay for one, _, _ in found for delay in one)
    result = Result(
        p50_ms=delays[len(delays) // 2],
        p99_ms=delays[int(len(delays) * 0.99)],
        worst_ms=delays[-1],
        cpu=cpu,
        received=len(delays),
    )
    per_client = took * clients
    frames, size = (
        sum(one) / per_client for one in ([two for _, two, _ in found], [three for *_, three in found])
    )
    say(
        f"{name}: p50={result.p50_ms:.0f}ms p99={result.p99_ms:.0f}ms worst={result.worst_ms:.0f}ms per client: "
        f"readings/s={result.received / per_client:.0f} frames/s={frames:.1f} kB/s={size / 1000:.1f}"
    )
    say(
        f"{name}: daemon={100 * cpu:.0f}% of a core (Pi 4: about {100 * SLOWER * cpu:.0f}%) "
        f"rss_mib start={memory[0]:.1f} middle={memory[1]:.1f} end={memory[2]:.1f} "
        f"too_slow={live['too_slow']} coalesced={live['coalesced']}"
    )
    return result


def rss_mib(growyd: Growyd) -> float:
    for line in Path(f"/proc/{growyd.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main(seconds: float) -> None:
    say(
        f"live: {DEVICES * SENSORS} series at 1 Hz, {CLIENTS - 1} clients that read and one that does not; "
        f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}"
    )
    with (
        mosquitto(RECOMMENDED) as broker,
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
        Growyd(broker, folder) as growyd,
    ):
        one = run(growyd, broker, "one_client", clients=1, subprotocol="", even=False, seconds=seconds)
        for name, subprotocol in (("json", ""), ("cbor", "growy.cbor")):
            many = run(
                growyd,
                broker,
                name,
                clients=CLIENTS - 1,
                subprotocol=subprotocol,
                even=False,
                seconds=seconds,
            )
            say(
                f"{name}: p99_ratio_to_one_client={many.p99_ms / one.p99_ms:.2f} (aim: p99 <= 100 ms) "
                f"cpu_ratio_to_one_client={many.cpu / one.cpu:.1f}"
            )
        run(
            growyd,
            broker,
            "cbor_even",
            clients=CLIENTS - 1,
            subprotocol="growy.cbor",
            even=True,
            seconds=seconds / 2,
        )
        say(f"exit_code={growyd.stop()}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
