"""The main job under load: Mosquitto -> growyd -> converted, committed, acknowledged, live to one WebSocket client.

`python -m bench.ingest [READINGS]`. One reading per message, QoS 1, 230 bytes of JSON as the firmware sends. In the
same run, on the same machine: a bare paho subscriber that decodes the JSON and writes rows in batches. Then growyd at
half the rate that it reached, for the delay from publish to commit and for its memory.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import trio
from trio_websocket import ConnectionClosed, open_websocket_url

from bench.brokers import RECOMMENDED, free_port, mosquitto
from growy.cli.client import Daemon, UnixPlace

ROOT = Path(__file__).parent.parent
COMMIT_INTERVAL_S = 1.0


def python(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, **options
    )


def publish(port: int, count: int, rate: float = 0.0) -> dict[str, float]:
    with python("-m", "bench.publisher", str(port), str(count), str(rate)) as publisher:
        out, _ = publisher.communicate()
    result: dict[str, float] = json.loads(out)
    return result


def bare(port: int, count: int, folder: str) -> float:
    """Readings a second of the baseline."""
    with python("-m", "bench.bare", str(port), str(count), folder) as subscriber:
        assert subscriber.stdout is not None
        if subscriber.stdout.readline().strip() != "subscribed":
            raise SystemExit("the bare subscriber did not come up")
        published = publish(port, count)
        ended = json.loads(subscriber.stdout.readline())
    return count / (ended["end"] - published["begin"])


class Growyd:
    """A growyd of its own process, asked over its unix socket."""

    def __init__(self, broker_port: int, folder: str, *, wait: bool = True, settings: str = "") -> None:
        self.web_port = free_port()
        self.socket = f"{folder}/growyd.sock"
        config = Path(folder) / "growy.toml"
        config.write_text(
            f'[broker]\nurl = "mqtt://127.0.0.1:{broker_port}"\n'
            f"[store]\ncommit_interval = {COMMIT_INTERVAL_S}\n"
            f'[node]\ndata_dir = "{folder}"\n[web]\nport = {self.web_port}\n[fleet]\nauto_approve = true\n'
            f'[log]\nlevel = "warning"\n{settings}'
        )
        self.process = python("-m", "growy", "run", "--config", str(config))
        if wait:
            self.wait(
                lambda parts: parts["broker"]["state"] == "connected" and parts["broker_findings"] is not None
            )

    def ask(self, path: str) -> Any:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(self.socket)
            channel.sendall(f"GET {path} HTTP/1.1\r\nHost: growyd\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: channel.recv(1 << 16), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.splitlines()[0]:
            raise SystemExit(f"{path}: {head.splitlines()[0].decode()}")
        return json.loads(body)

    def parts(self) -> Any:
        return self.ask("/api/v1/statistics")["parts"]

    def wait(self, condition: Any, seconds: float = 20.0) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"growyd ended with code {self.process.returncode}")
            try:
                parts = self.parts()
                if condition(parts):
                    return parts
            except (FileNotFoundError, ConnectionError):
                pass
            time.sleep(0.02)
        raise SystemExit("growyd did not get there in time")

    def memory_mib(self) -> float:
        """Resident memory of the daemon and its workers, highest so far (VmHWM)."""
        pids = [self.process.pid, *children_of(self.process.pid)]
        return sum(high_water_kib(pid) for pid in pids) / 1024

    def cpu_s(self) -> tuple[float, float]:
        """Processor seconds of the daemon, and of its workers."""
        return cpu_of(self.process.pid), sum(cpu_of(pid) for pid in children_of(self.process.pid))

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def children_of(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def high_water_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def live_client(growyd: Growyd) -> Iterator[dict[str, int]]:
    """One WebSocket client that takes everything; yields its counter."""
    seen = {"messages": 0}
    stop = threading.Event()
    with Daemon([UnixPlace(Path(growyd.socket))]) as daemon:
        key = daemon.post("/api/v1/keys", {"name": "bench"})["key"]
    url = f"ws://127.0.0.1:{growyd.web_port}/api/v1/ws/realtime/bench"

    async def listen() -> None:
        async with open_websocket_url(url, extra_headers=[("X-API-Key", key)]) as socket_:
            await socket_.send_message('{"action":"subscribe","filters":{"types":["sensor_data"]}}')
            while not stop.is_set():
                with trio.move_on_after(0.2):
                    await socket_.get_message()
                    seen["messages"] += 1

    def run() -> None:
        try:
            trio.run(listen)
        except* ConnectionClosed:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def saturated(growyd: Growyd, port: int, count: int) -> float:
    """Readings a second, from the first publish to the last commit."""
    before = growyd.parts()["intake"]["readings_committed"]
    with python("-m", "bench.publisher", str(port), str(count)) as publisher:
        growyd.wait(lambda parts: parts["intake"]["readings_committed"] >= before + count, 120.0)
        end = time.monotonic()
        out, _ = publisher.communicate()
    return count / (end - json.loads(out)["begin"])


@contextmanager
def growyd_on(settings: str) -> Iterator[tuple[Growyd, int]]:
    """A Mosquitto with these settings and a growyd on it, on a real disk; yields growyd and the broker's port."""
    with (
        mosquitto(settings) as port,
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
        Growyd(port, folder) as growyd,
    ):
        yield growyd, port


def main(count: int) -> None:
    print(
        f"ingest: {count} readings, one per message, QoS 1; {os.cpu_count()} cores, Python {sys.version.split()[0]}"
    )
    with mosquitto() as port, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        baseline = bare(port, count, folder)
    say(f"bare_paho_rate={baseline:.0f}/s")
    with growyd_on(RECOMMENDED) as (growyd, port):
        with live_client(growyd) as seen:
            saturated(growyd, port, count // 5)  # warm: series made, plans resolved
            cpu = growyd.cpu_s()
            rate = saturated(growyd, port, count)
            spent = [after - before for after, before in zip(growyd.cpu_s(), cpu, strict=True)]
        say(f"growyd_rate={rate:.0f}/s ratio_to_bare={rate / baseline:.2f} (aim: 20000/s, 0.7)")
        say(
            f"daemon_us_per_reading={spent[0] / count * 1e6:.1f} workers_us_per_reading={spent[1] / count * 1e6:.1f}"
        )
        say(f"live_messages={seen['messages']} rss_high_water_mib={growyd.memory_mib():.0f} (aim: 110)")
        intake = growyd.parts()["intake"]
        say(f"committed={intake['readings_committed']} duplicates={intake['readings_duplicate']}")
        say(f"exit_code={growyd.stop()}")
    with growyd_on(RECOMMENDED) as (growyd, port):
        half = rate / 2
        publish(port, int(half * 10), half)
        latency = growyd.wait(lambda parts: parts["intake"]["pending"] == 0)["intake"]["commit_latency"]
        say(
            f"at_half_rate={half:.0f}/s publish_to_commit p50={latency['p50_ms']:.0f}ms p99={latency['p99_ms']:.0f}ms"
        )
        say(f"(aim: p99 <= {1500 * COMMIT_INTERVAL_S:.0f}ms) rss_high_water_mib={growyd.memory_mib():.0f}")
    for name, settings in (("mosquitto_default", "max_queued_messages 0"), ("recommended", RECOMMENDED)):
        with growyd_on(settings) as (growyd, port):
            say(
                f"window[{name}]={growyd.parts()['broker_findings']['window']} {cost_of_window(growyd, port)}"
            )


def cost_of_window(growyd: Growyd, port: int) -> str:
    """What 1,000 readings a second cost the disk."""
    publish(port, 1000, 1000)
    growyd.wait(lambda parts: parts["intake"]["pending"] == 0)
    before, written = growyd.parts()["store"], written_by(growyd.process.pid)
    publish(port, 8000, 1000)
    growyd.wait(lambda parts: parts["intake"]["pending"] == 0)
    commits = growyd.parts()["store"]["commits"] - before["commits"]
    each = (written_by(growyd.process.pid) - written) / 8000
    return f"commits_per_s={commits / 8:.1f} bytes_written_per_reading={each:.1f}"


def written_by(pid: int) -> int:
    """Bytes that a process has caused to be written to the disk."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
