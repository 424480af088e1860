"""How fast control is, from wire to wire: a reading to the command that it causes, a request to the order to stop.

`python -m bench.control [SECONDS]`. Mosquitto, growyd and a publisher of ordinary readings are processes of their own;
the actuator's device is a simulated ESP32, which obeys and answers, in one more. Beside each figure stands a bare paho
client that answers a message with a message over the same broker under the same load: what the broker and the machine
cost alone.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, Queue

import apsw
import paho.mqtt.client as paho

from bench.brokers import mosquitto
from bench.device import ESP, FAN
from bench.ingest import Growyd, python

SENSOR = "ESP_00BE02"
READING = f"kaiser/god/esp/{SENSOR}/sensor/4/data"
COMMAND = f"kaiser/god/esp/{ESP}/actuator/{FAN}/command"
BROADCAST = "kaiser/broadcast/emergency"
FLIP_S = 0.4
"""Between two readings that turn the rule over: a device is sent five commands a second at most."""
SETTINGS = "[control]\nmax_switches = 600\n"


class Peer:
    """A bare paho client: publishes, and says when something arrived."""

    def __init__(self, port: int, name: str, *topics: str) -> None:
        self.came: Queue[tuple[float, str, bytes]] = Queue()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name)
        self._client.on_message = lambda _c, _u, message: self.came.put(
            (time.perf_counter(), message.topic, message.payload)
        )
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        # Else the kernel keeps small messages back until the last one was acknowledged, up to 40 ms.
        self._client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.loop_start()
        for topic in topics:
            ready.clear()
            self._client.subscribe(topic, 1)
            ready.wait(5)

    def say(self, topic: str, payload: dict[str, object]) -> float:
        at = time.perf_counter()
        self._client.publish(topic, json.dumps(payload), qos=1)
        return at

    def wait(self, fits: Callable[[str, bytes], bool], seconds: float = 5.0) -> float:
        """When it came."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                at, topic, payload = self.came.get(timeout=0.5)
            except Empty:
                continue
            if fits(topic, payload):
                return at
        raise SystemExit("what was waited for did not come")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def simulated(port: int) -> Iterator[None]:
    """The device, in a process of its own, until the block is over."""
    with python("-m", "bench.device", str(port), stdin=subprocess.PIPE) as process:
        try:
            yield
        finally:
            assert process.stdin is not None
            process.stdin.close()


@contextmanager
def load(port: int, rate: int, seconds: float) -> Iterator[None]:
    """Ordinary readings, so many a second."""
    with python("-m", "bench.publisher", str(port), str(int(rate * seconds)), str(rate)) as publisher:
        try:
            yield
        finally:
            publisher.terminate()


def post(growyd: Growyd, path: str, body: dict[str, object]) -> dict[str, object]:
    """Over the unix socket; raises SystemExit with what growyd says against it."""
    payload = json.dumps(body).encode()
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(growyd.socket)
        head = f"POST {path} HTTP/1.1\r\nHost: growyd\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
        channel.sendall(head.encode() + payload)
        answer = b"".join(iter(lambda: channel.recv(1 << 16), b""))
    content: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    if not content.get("success"):
        raise SystemExit(f"{path}: {content.get('detail')}")
    return content


def set_up(growyd: Growyd) -> None:
    """The fan and the rule: above 20 °C it runs at half."""
    growyd.wait(lambda parts: parts["fleet"]["online"] >= 1)
    post(growyd, f"/api/v1/actuators/{ESP}/{FAN}?wait=30", {"actuator_type": "pwm", "name": "Fan"})
    post(
        growyd,
        "/api/v1/logic/rules",
        {
            "name": "bench",
            "conditions": [
                {
                    "type": "sensor",
                    "esp_id": SENSOR,
                    "gpio": 4,
                    "sensor_type": "ds18b20",
                    "operator": ">",
                    "value": 20,
                }
            ],
            "actions": [{"type": "actuator", "esp_id": ESP, "gpio": FAN, "command": "PWM", "value": 0.5}],
            "cooldown_seconds": 0,
        },
    )


def reading(seq: int, celsius: float) -> dict[str, object]:
    return {
        "esp_id": SENSOR, "seq": seq, "gpio": 4, "sensor_type": "ds18b20", "raw": int(celsius * 16), "value": celsius,
        "unit": "°C", "quality": "good", "ts": int(time.time()), "time_valid": True, "raw_mode": True,
    }  # fmt: skip


def reactions(peer: Peer, seconds: float) -> list[float]:
    """Delays from the publishing of a reading to its command, which turns the fan on and off in turns."""
    delays = []
    seq = 0
    for _ in range(int(seconds / (2 * FLIP_S))):
        for celsius, verb in ((25.0, b'"PWM"'), (15.0, b'"OFF"')):
            seq += 1
            at = peer.say(READING, reading(seq, celsius))
            delays.append(
                peer.wait(lambda topic, payload, verb=verb: topic == COMMAND and verb in payload) - at
            )
            time.sleep(FLIP_S)
    return delays


def echoes(port: int, count: int) -> list[float]:
    """The same way with nothing in it: a message, and a bare client that answers it."""
    asking, answering = Peer(port, "bench-ask", "bench/out"), Peer(port, "bench-answer", "bench/in")
    stop = threading.Event()

    def answer() -> None:
        while not stop.is_set():
            try:
                answering.came.get(timeout=0.2)
            except Empty:
                continue
            answering.say("bench/out", {})

    thread = threading.Thread(target=answer)
    thread.start()
    delays = []
    for _ in range(count):
        at = asking.say("bench/in", {})
        delays.append(asking.wait(lambda topic, _: topic == "bench/out") - at)
        time.sleep(0.05)
    stop.set()
    thread.join()
    asking.close()
    answering.close()
    return delays


def stops(growyd: Growyd, peer: Peer, count: int) -> list[float]:
    """Delays from a request to stop everything to the order on the wire, latched in growy.db before it."""
    delays = []
    for number in range(count):
        at = time.perf_counter()
        post(growyd, "/api/v1/actuators/emergency_stop", {"reason": f"bench {number}"})
        delays.append(peer.wait(lambda topic, _: topic == BROADCAST) - at)
        time.sleep(0.1)
    return delays


def latches(folder: str, count: int) -> list[float]:
    """What the disk alone costs: a row in a database that is forced to it, as growy.db is."""
    db = apsw.Connection(f"{folder}/bare.db")
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "full")
    db.execute("CREATE TABLE stop (id INTEGER PRIMARY KEY, reason TEXT)")
    delays = []
    for number in range(count):
        at = time.perf_counter()
        db.execute("INSERT INTO stop (reason) VALUES (?)", (f"bench {number}",))
        delays.append(time.perf_counter() - at)
        time.sleep(0.1)
    db.close()
    return delays


def told(delays: list[float]) -> tuple[float, float]:
    """p50 and p99, ms."""
    return statistics.median(delays) * 1000, statistics.quantiles(delays, n=100)[98] * 1000


def main(seconds: float) -> None:
    # The clients' own threads (device, peer, requests) would else wait 5 ms for each other's turn, and be measured.
    sys.setswitchinterval(0.0005)
    with (
        mosquitto() as port,
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
        Growyd(port, folder, settings=SETTINGS) as growyd,
        simulated(port),
    ):
        set_up(growyd)
        peer = Peer(port, "bench-peer", COMMAND, BROADCAST)
        reactions(peer, 4.0)  # warm
        with load(port, 500, 3 * seconds):
            bare50, bare99 = told(echoes(port, int(seconds * 5)))
            p50, p99 = told(reactions(peer, seconds))
        print(f"reading_to_command at 500 msg/s: p50={p50:.1f}ms p99={p99:.1f}ms (aim: p99 <= 20 ms)")
        print(f"bare_echo p50={bare50:.1f}ms p99={bare99:.1f}ms ratio_p50={p50 / bare50:.1f}")
        with load(port, 1000, 3 * seconds):
            p50, p99 = told(stops(growyd, peer, int(seconds * 8)))
            bare50, bare99 = told(latches(folder, int(seconds * 4)))
        print(f"request_to_stop_order at 1000 msg/s: p50={p50:.1f}ms p99={p99:.1f}ms (aim: p99 <= 10 ms)")
        print(f"bare_latch p50={bare50:.1f}ms p99={bare99:.1f}ms ratio_p50={p50 / bare50:.1f}")
        peer.close()
        growyd.stop()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0)
