"""`growyd status --watch`: fits 80 columns, says what happens per second, and leaves the terminal as it was."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console
from rig.daemon import Growyd

from growy.cli import main
from growy.cli.exits import ExitCode
from growy.cli.watch import Look, Silent, screen

HEIGHT = 24


def statistics(**parts: Any) -> dict[str, Any]:
    health = {"status": "degraded", "causes": [{"code": "x", "message": "The broker is away. " * 9}]}
    return {"version": "0.1.0", "node": "god", "uptime_seconds": 7200, "health": health, "parts": parts}


def device(number: int, status: str = "online") -> dict[str, Any]:
    return {
        "device_id": f"ESP_{number:08X}",
        "name": "Tomatoes, left wing, row 7",
        "status": status,
        "last_seen": "2026-01-01T00:00:00.000Z",
        "wifi_rssi": -58,
        "heap_free": 118_244,
    }


def look(at: float, devices: int = 3, **parts: Any) -> Look:
    found = [device(number) for number in range(devices)]
    return Look(at=at, statistics=statistics(**parts), devices=found, in_all=devices)


def shown(now: Look | Silent, before: Look | None = None, last: Look | None = None) -> list[str]:
    console = Console(width=80, height=HEIGHT, file=io.StringIO())
    with console.capture() as captured:
        console.print(screen(now, before, last, HEIGHT))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_it_fits_a_terminal_of_80_columns_and_24_lines_whatever_there_is() -> None:
    store = {"db_bytes": 10**12, "free_bytes": 10**11, "commit_p99_ms": 12345.6, "dead_letters": 10**9}
    broker = {"messages_received": 10**12, "state": "disconnected"}
    control = {
        "on": 400,
        "actuators": 500,
        "rules": {"holding": 100, "enabled": 200},
        "emergency": {"in_force": 12},
    }

    lines = shown(look(1.0, devices=100, store=store, broker=broker, control=control))

    assert max(map(len, lines)) <= 80
    assert len(lines) <= HEIGHT
    assert any("EMERGENCY STOP: 12" in line for line in lines)
    assert any("and 9" in line and "more" in line for line in lines)


def test_what_happens_per_second_is_the_difference_of_two_looks() -> None:
    before = look(10.0, intake={"readings_received": 100})
    now = look(12.0, intake={"readings_received": 150})

    assert any("readings" in line and "25.0/s" in line for line in shown(now, before))
    assert not any("/s" in line for line in shown(before))


def test_a_daemon_that_was_started_anew_has_no_negative_rates() -> None:
    lines = shown(look(12.0, intake={"readings_received": 5}), look(10.0, intake={"readings_received": 100}))
    assert not any("/s" in line for line in lines)


def test_devices_that_somebody_should_look_at_come_first() -> None:
    found = [device(1), device(2, "offline"), device(3, "pending_approval")]
    lines = shown(Look(at=1.0, statistics=statistics(), devices=found, in_all=3))
    order = [line.split()[0] for line in lines if line.startswith("ESP_")]
    assert order == ["ESP_00000002", "ESP_00000003", "ESP_00000001"]


def test_a_silent_daemon_is_told_above_what_was_last_known() -> None:
    lines = shown(Silent("connection refused"), None, look(1.0))
    assert "connection refused" in lines[0]
    assert any(line.startswith("ESP_") for line in lines)


def test_into_a_pipe_it_refuses() -> None:
    done = CliRunner().invoke(main, ["status", "--watch", "--url", "http://127.0.0.1:1"])
    assert (done.exit_code, "needs a terminal" in done.stderr) == (ExitCode.CONFIG, True)


@pytest.fixture
def growyd(tmp_path: Path) -> Iterator[Growyd]:
    """One that looks for a broker which is not there."""
    daemon = Growyd(tmp_path, 1)
    daemon.process = subprocess.Popen([sys.executable, "-m", "growy", "run", "--config", str(daemon.config)])
    try:
        daemon.wait(lambda parts: parts["watchdog"]["told"] >= 0)
        yield daemon
    finally:
        daemon.end()


@pytest.mark.parametrize("end", ["ctrl-c", "sigterm"])
def test_the_terminal_is_left_as_it_was(growyd: Growyd, end: str) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, 80, 0, 0))
    before = termios.tcgetattr(slave)
    command = [
        sys.executable,
        "-m",
        "growy",
        "status",
        "--watch",
        "--every",
        "200ms",
        "--socket",
        str(growyd.socket),
    ]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": str(HEIGHT)}
    with subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environ,
        start_new_session=True,
        preexec_fn=control_terminal,
    ) as process:
        output = read_until(master, lambda so_far: so_far.count(b"growyd 0") >= 3)
        if end == "ctrl-c":
            os.write(master, b"\x03")
        else:
            process.send_signal(signal.SIGTERM)
        output += read_until(master, lambda so_far: b"\x1b[?1049l" in so_far)
        code = process.wait(20)
        after = termios.tcgetattr(slave)
    os.close(slave)
    os.close(master)

    assert code == 0, output
    assert output.index(b"\x1b[?1049h") < output.index(b"\x1b[?1049l"), "its own screen, and back"
    assert output.rindex(b"\x1b[?25h") > output.rindex(b"\x1b[?25l"), "the cursor is shown again"
    assert after == before
    assert b"Traceback" not in output
    assert b"No connection to the MQTT broker" in output


def control_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def read_until(master: int, enough: Any, seconds: float = 30.0) -> bytes:
    output = b""
    deadline = time.monotonic() + seconds
    while not enough(output):
        assert time.monotonic() < deadline, output
        if select.select([master], [], [], 0.5)[0]:
            output += os.read(master, 65536)
    return output
