"""A Mosquitto for benchmarks, on a free loopback port, with the settings that docs/operations.md recommends."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RECOMMENDED = "max_inflight_messages 1000\nmax_queued_messages 0\nset_tcp_nodelay true"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mosquitto(settings: str = RECOMMENDED) -> Iterator[int]:
    """Yields the port."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(program).exists():
        raise SystemExit("the benchmark needs the mosquitto program: apt-get install mosquitto")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type error\n{settings}\n")
        Path(folder).chmod(0o755)
        process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.01)
            yield port
        finally:
            process.terminate()
            process.wait()
