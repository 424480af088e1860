"""A growyd in a process of its own that can be killed, and a publisher that knows what the broker promised."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import trio

from growy.config import StoreConfig
from growy.model.reading import Reading
from growy.store.store import open_store

TOPIC = "kaiser/god/esp/{esp_id}/sensor/{gpio}/data"
SERIES = 20


class Growyd:
    """The daemon as systemd would start it, on a folder that survives it."""

    def __init__(self, folder: Path, broker_port: int, extra: str = "", *, web_port: int = 0) -> None:
        self.folder = folder
        self.socket = folder / "growyd.sock"
        self.config = folder / "growy.toml"
        self.config.write_text(
            f'[broker]\nurl = "mqtt://127.0.0.1:{broker_port}"\nreconnect_min = 0.1\nreconnect_max = 0.5\n'
            f'breaker_failures = 1000\ninflight_window = 1000\n[node]\ndata_dir = "{folder}"\n'
            f'[web]\nport = {web_port}\nsocket = "{self.socket}"\n[log]\nlevel = "warning"\n'
            f"[store]\ncommit_interval = 0.2\nseal_interval = 1.0\n{extra}"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "growy", "run", "--config", str(self.config)])
        self.wait(lambda parts: parts["broker"]["state"] == "connected")

    def ask(self, path: str) -> Any:
        """JSON of an endpoint, over the unix socket."""
        return self.say("GET", path)

    def say(self, method: str, path: str, body: object = None, timeout_s: float = 5.0) -> Any:
        """As `ask`, with any method and a body."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: growyd\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(timeout_s)
            channel.connect(str(self.socket))
            channel.sendall(head.encode() + data)
            answer = b"".join(iter(lambda: channel.recv(65536), b""))
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def parts(self) -> Any:
        return self.ask("/api/v1/statistics")["parts"]

    def wait(self, condition: Callable[[Any], bool], seconds: float = 20.0) -> Any:
        deadline = time.monotonic() + seconds
        parts: Any = None
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, f"growyd ended with code {self.process.returncode}"
            try:
                parts = self.parts()
            except OSError:
                pass  # not listening yet
            else:
                if condition(parts):
                    return parts
            time.sleep(0.02)
        raise TimeoutError(f"growyd did not get there; last seen: {parts}")

    def workers(self) -> list[int]:
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """Makes sure that nothing is left running."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def stop(self) -> tuple[int, float]:
        """Exit code, and how many seconds the end took."""
        assert self.process is not None
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15), time.monotonic() - begin

    def stored(self, esp_id: str | None = None) -> list[Reading]:
        """Every reading on disk, or those of a device; only while the daemon does not run."""

        async def read() -> list[Reading]:
            readings: list[Reading] = []
            async with open_store(StoreConfig(), self.folder) as store:
                for series in store.catalog.find(esp_id=esp_id):
                    result = await store.query(series.id, 0, 1 << 60, resolution="raw")
                    readings += result.readings.rows()
            return readings

        return trio.run(read)


class Publisher:
    """Readings with ascending `seq` and unique raw values, QoS 1; remembers which the broker acknowledged.

    What is not acknowledged when a connection dies is sent again, as the firmware does.
    """

    def __init__(self, port: int, rate: float, esp_id: str = "ESP_C0FFEE") -> None:
        self.esp_id = esp_id
        self.acknowledged: set[int] = set()
        self.published = 0
        self._rate = rate
        self._sent: dict[int, int] = {}
        self._stop = threading.Event()
        self._came: deque[int] = deque()
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=f"{esp_id}-meter", clean_session=False
        )
        client.max_inflight_messages_set(100)
        client.reconnect_delay_set(1, 1)
        client.on_publish = lambda _c, _u, mid, _r, _p: self._came.append(mid)
        client.connect("127.0.0.1", port)
        client.loop_start()
        self._client = client
        self._thread = threading.Thread(target=self._publish)

    def start(self) -> None:
        self._thread.start()

    def _publish(self) -> None:
        begin = time.monotonic()
        while not self._stop.is_set():
            due = int((time.monotonic() - begin) * self._rate)
            while self.published < due and len(self._sent) < 500:
                self._one(self.published + 1)
            self._settle()
            time.sleep(0.005)

    def _one(self, seq: int) -> None:
        gpio = seq % SERIES
        payload = {
            "esp_id": self.esp_id, "seq": seq, "gpio": gpio, "sensor_type": "moisture", "raw": 100 + seq % 3900,
            "value": 0.0, "unit": "raw", "quality": "good", "ts": int(time.time()),
            "time_valid": True, "raw_mode": True,
        }  # fmt: skip
        info = self._client.publish(TOPIC.format(esp_id=self.esp_id, gpio=gpio), json.dumps(payload), qos=1)
        self._sent[info.mid] = seq
        self.published = seq

    def _settle(self) -> None:
        """Counts the acknowledgements that have come. Not in paho's callback, which runs under paho's locks and may
        come before `publish` has told us the packet id."""
        for _ in range(len(self._came)):
            mid = self._came.popleft()
            if mid in self._sent:
                self.acknowledged.add(self._sent.pop(mid))
            else:
                self._came.append(mid)

    def wait_for_more(self, count: int, seconds: float = 30.0) -> None:
        """Until the broker has acknowledged this many further readings."""
        goal = len(self.acknowledged) + count
        deadline = time.monotonic() + seconds
        while len(self.acknowledged) < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the broker acknowledged {len(self.acknowledged)} readings, not {goal}")
            time.sleep(0.01)

    def finish(self, seconds: float = 20.0) -> set[int]:
        """Stops publishing, waits for the last acknowledgements; returns what the broker has promised to deliver."""
        self._stop.set()
        self._thread.join()
        deadline = time.monotonic() + seconds
        while self._sent and time.monotonic() < deadline:
            self._settle()
            time.sleep(0.02)
        self._client.disconnect()
        self._client.loop_stop()
        return set(self.acknowledged)


def assert_exactly_once(stored: list[Reading], acknowledged: set[int]) -> None:
    """Every reading that the broker acknowledged to its publisher is on disk, and none is there twice."""
    numbers = [reading.seq for reading in stored]
    lost = acknowledged - set(numbers)
    assert not lost, f"{len(lost)} of {len(acknowledged)} readings lost, first {sorted(lost)[:5]}"
    assert len(numbers) == len(set(numbers)), "a reading is stored twice"
