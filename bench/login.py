"""Whether a storm of logins holds an emergency stop up: Argon2 takes tens of milliseconds of a processor for each.

`python -m bench.login [STOPS]`. The delay from asking for a stop until its answer - by then it is on the disk - without
logins, and with as many as growyd takes: four who log in rightly through the socket, which is a forced write each,
four who try wrong passwords over the port, and four administrators who set passwords, which no limit on attempts holds
back.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter

from bench.brokers import mosquitto
from bench.ingest import Growyd, python

STORM = 4
PASSWORD = "correct horse battery staple"


class Asker:
    """One connection, through the unix socket or to the port."""

    def __init__(self, path: str = "", port: int = 0) -> None:
        self._http = http.client.HTTPConnection("localhost", port or None, timeout=30)
        if path:
            self._http.sock = socket.socket(socket.AF_UNIX)
            self._http.sock.connect(path)

    def post(self, path: str, body: object) -> tuple[int, bytes]:
        self._http.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        reply = self._http.getresponse()
        return reply.status, reply.read()


def stops(path: str, count: int) -> list[float]:
    """Seconds for each."""
    asker, took = Asker(path), []
    for _ in range(count):
        begin = time.perf_counter()
        status, said = asker.post("/api/v1/actuators/emergency_stop", {"reason": "bench"})
        took.append(time.perf_counter() - begin)
        if status != 200:
            raise SystemExit(said.decode())
        asker.post("/api/v1/actuators/clear_emergency?wait=0", {"reason": "bench"})
        time.sleep(0.01)
    return sorted(took)


def tell(name: str, took: list[float]) -> float:
    p50, p99 = (1000 * took[int(share * (len(took) - 1))] for share in (0.5, 0.99))
    print(
        f"emergency stop, {name:15} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   longest {1000 * took[-1]:6.1f} ms"
    )
    return p99


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with (
        tempfile.TemporaryDirectory() as folder,
        mosquitto() as port,
        Growyd(port, folder) as growyd,
    ):
        for name in ("ann", "grower"):
            status, said = Asker(growyd.socket).post(
                "/api/v1/users", {"username": name, "password": PASSWORD, "role": "operator"}
            )
            if status != 201:
                raise SystemExit(said.decode())
        user = json.loads(said)["id"]
        quiet = tell("no logins", stops(growyd.socket, count))
        storm = python("-m", "bench.login", "storm", growyd.socket, str(growyd.web_port), str(user))
        with storm:
            time.sleep(1)
            stormy = tell("with logins", stops(growyd.socket, count))
            storm.terminate()
            assert storm.stdout is not None
            print(f"answered meanwhile: {storm.stdout.read().strip()}")
        print(f"p99 with logins is {stormy / quiet:.2f} times that without")
        growyd.stop()


def storm(path: str, port: int, user: str) -> None:
    """Until it is terminated; prints how often it was answered in a second."""
    over, answers = threading.Event(), Counter[str]()
    signal.signal(signal.SIGTERM, lambda *_: over.set())

    def log_in() -> None:
        asker = Asker(port=port)
        while not over.is_set():
            wrong = {"username": "grower", "password": "not the password"}
            status, _ = asker.post("/api/v1/auth/login", wrong)
            answers[f"wrong login {status}"] += 1
            over.wait(0.05 if status == 429 else 0)

    def set_password() -> None:
        asker = Asker(path)
        while not over.is_set():
            status, _ = asker.post(f"/api/v1/users/{user}/reset-password", {"new_password": PASSWORD})
            answers[f"password {status}"] += 1

    def log_in_rightly() -> None:
        asker = Asker(path)
        while not over.is_set():
            status, _ = asker.post("/api/v1/auth/login", {"username": "ann", "password": PASSWORD})
            answers[f"right login {status}"] += 1
            over.wait(0.05 if status == 429 else 0)

    kinds = (log_in, log_in_rightly, set_password)
    threads = [threading.Thread(target=one) for one in kinds for _ in range(STORM)]
    begin = time.perf_counter()
    for one in threads:
        one.start()
    over.wait()
    for one in threads:
        one.join()
    seconds = time.perf_counter() - begin
    print(", ".join(f"{name}: {number / seconds:.0f} /s" for name, number in sorted(answers.items())))


if __name__ == "__main__":
    if sys.argv[1:2] == ["storm"]:
        storm(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main()
