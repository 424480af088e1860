"""What every room's tests may use: real brokers on free loopback ports, and the switch for the long proofs."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

MOSQUITTO = shutil.which("mosquitto") or ("/usr/sbin/mosquitto" if Path("/usr/sbin/mosquitto").exists() else None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the slow proofs in their long form")


@pytest.fixture(scope="session")
def long_form(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port} after {timeout_s} s")


class Mosquitto:
    """A real Mosquitto on a free loopback port, with a session store of its own; can be killed and started again."""

    def __init__(self, directory: Path, settings: str = "") -> None:
        self.port = free_port()
        self.directory = directory
        self.pid_file = directory / "mosquitto.pid"
        self._config = directory / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {directory}/\nlog_dest file {directory}/mosquitto.log\n{settings}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self.kill(signal.SIGTERM)


@pytest.fixture
def mosquitto_with(tmp_path: Path) -> Iterator[object]:
    """A function that makes a Mosquitto with extra settings; all are stopped at the end."""
    if MOSQUITTO is None:
        pytest.fail("the mosquitto program is missing: apt-get install mosquitto")
    started: list[Mosquitto] = []

    def make(settings: str = "") -> Mosquitto:
        directory = tmp_path / f"mosquitto{len(started)}"
        directory.mkdir(mode=0o777)
        # Debian's mosquitto, started as root, becomes the user mosquitto and must write its session store here.
        for folder in (directory, *tmp_path.parents[:1], tmp_path):
            folder.chmod(0o777)
        broker = Mosquitto(directory, settings)
        started.append(broker)
        broker.start()
        return broker

    yield make
    for broker in started:
        broker.stop()


@pytest.fixture
def mosquitto(mosquitto_with: object) -> Mosquitto:
    """A Mosquitto as docs/operations.md recommends it."""
    assert callable(mosquitto_with)
    broker = mosquitto_with("max_inflight_messages 1000\nmax_queued_messages 100000")
    assert isinstance(broker, Mosquitto)
    return broker
