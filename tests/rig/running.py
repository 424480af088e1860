"""A growyd as a grower runs it - store, workers, broker - with simulated devices that answer; asked through its unix
socket."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

ACTUATORS = {"actuator_type": "relay", "name": "fan"}
FIRST = "ESP_00A001"
RULE = {
    "name": "too warm",
    "conditions": {"type": "sensor", "esp_id": "ESP_00A001", "gpio": 4, "operator": ">", "value": 30},
    "actions": [{"type": "notification", "channel": "websocket", "message_template": "warm"}],
}


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=90)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


@attrs.frozen
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@attrs.define
class Running:
    """The daemon, and what is in it that a request may name."""

    socket: Path
    names: dict[str, list[str]] = attrs.field(factory=dict)
    """By path parameter: ids that exist."""
    _connection: _Unix | None = None

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Reply:
        """Whatever is answered. Raises OSError, HTTPException: it is none."""
        if self._connection is None:
            self._connection = _Unix(self.socket)
        try:
            self._connection.request(method, target, body, headers)
            response = self._connection.getresponse()
            reply = Reply(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if response.will_close:
            self.close()
        return reply

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def json(self, method: str, target: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        reply = self.ask(method, target, data)
        assert reply.status < 300, (method, target, reply)
        return json.loads(reply.body)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _growyd(log: Any, *arguments: object) -> subprocess.Popen[bytes]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GROWY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "growy", *map(str, arguments)], stdout=log, stderr=log, env=environ
    )


@contextmanager
def running_growyd(folder: Path) -> Iterator[Running]:
    """With six devices, and one of everything that a path can name. Fails when the daemon ended or logged a trace."""
    port = _free_port()
    (folder / "growy.toml").write_text(
        f'broker.url = "embedded"\nbroker.embedded_listen = "127.0.0.1:{port}"\nweb.port = 0\n'
        f'node.data_dir = "{folder}"\nfleet.auto_approve = true\nstore.commit_interval = 0.1\n'
    )
    with (folder / "log").open("wb") as log, (folder / "simulation").open("wb") as said:
        daemon = _growyd(log, "run", "--config", folder / "growy.toml")
        devices: subprocess.Popen[bytes] | None = None
        running = Running(folder / "growyd.sock")
        try:
            _until(lambda: running.socket.exists())
            _until(lambda: json.loads(running.ask("GET", "/health").body)["mqtt_connected"])
            devices = _growyd(said, "simulate", "--broker", f"mqtt://127.0.0.1:{port}", "--interval", "1s")
            _until(lambda: _measured(running))
            _furnish(running)
            yield running
            assert daemon.poll() is None, (folder / "log").read_text()[-4000:]
        finally:
            running.close()
            for process in filter(None, (devices, daemon)):
                process.terminate()
            for process in filter(None, (devices, daemon)):
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    faults = [line for line in (folder / "log").read_text().splitlines() if "Traceback" in line]
    assert not faults, faults[0][:6000]


def _until(true: Any, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except (OSError, http.client.HTTPException):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the daemon did not get there")
        time.sleep(0.1)


def _measured(running: Running) -> bool:
    """Much, and something by the first device."""
    known = _sensors(running)
    return len(known) > 10 and known[0]["esp_id"] == FIRST


def _sensors(running: Running) -> list[Any]:
    """By device; growyd lists them as they were first heard."""
    known = running.json("GET", "/api/v1/sensors?page_size=100")["data"]
    return sorted(known, key=lambda one: one["esp_id"])


def _furnish(running: Running) -> None:
    """One of everything that a path can name."""
    sensors = _sensors(running)
    esp_id = sensors[0]["esp_id"]
    running.json("POST", "/api/v1/zones", {"zone_id": "tent"})
    running.json("POST", f"/api/v1/zone/devices/{esp_id}/assign", {"zone_id": "tent"})
    running.json(
        "POST",
        f"/api/v1/subzone/devices/{esp_id}/subzones/assign",
        {"subzone_id": "bed", "assigned_gpios": []},
    )
    rule = {**RULE, "conditions": {**RULE["conditions"], "esp_id": esp_id}}  # type: ignore[dict-item]
    rules = running.json("POST", "/api/v1/logic/rules", rule)
    templates = running.json("GET", "/api/v1/logic/templates")["data"]
    pins = running.json("GET", f"/api/v1/esp/devices/{esp_id}/gpio-status")["available"][:8]
    running.json("POST", f"/api/v1/actuators/{esp_id}/{pins[-1]}", ACTUATORS)
    running.names = {
        "esp_id": [esp_id, sensors[-1]["esp_id"]],
        "gpio": [str(sensors[0]["gpio"]), str(pins[-1]), "99", "abc"],
        "zone_id": ["tent"],
        "subzone_id": ["bed"],
        "id": [sensors[0]["id"]],
        "rule_id": [rules["id"]],
        "template_id": [templates[0]["id"]],
    }
