"""`kill -9` of whole processes in the midst of a transfer, over the HTTP interface: one owner in the end, and both say
the same."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio
from rig.brokers import Mosquitto
from rig.daemon import Growyd, Publisher
from rig.grove import FENCE_S, LEASE_S, REPORT_S

from growy.config import BrokerUrl
from growy.sim.fleet import SimOptions, run_fleet
from growy.sim.spec import default_fleet

pytestmark = pytest.mark.slow
TREE = (
    f"[hierarchy]\nlease = {LEASE_S}\nfence = {FENCE_S}\nreport = {REPORT_S}\n[fleet]\nauto_approve = true\n"
)


class Pi(Growyd):
    """A daemon in a process of its own, that can be told things."""

    def begin(self) -> None:
        """Starts it, and does not wait."""
        self.process = subprocess.Popen([sys.executable, "-m", "growy", "run", "--config", str(self.config)])

    def call(self, method: str, path: str, body: object = None) -> Any:
        said = b"" if body is None else json.dumps(body).encode()
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(10)
            channel.connect(str(self.socket))
            channel.sendall(
                f"{method} {path} HTTP/1.1\r\nHost: growyd\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n".encode()
                + said
            )
            answer = b"".join(iter(lambda: channel.recv(65536), b""))
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def hierarchy(self) -> Any:
        try:
            return self.call("GET", "/api/god/hierarchy")
        except OSError:
            return {}  # not listening


def wait(condition: Callable[[], object], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)
    return found


@pytest.fixture
def pis(mosquitto_with: Callable[[str], Mosquitto], tmp_path: Path) -> Iterator[tuple[Pi, Pi, int]]:
    """God, k1, and the port of God's broker."""
    brokers = [mosquitto_with("max_inflight_messages 1000\nmax_queued_messages 100000") for _ in range(2)]
    folders = [tmp_path / name for name in ("god", "k1")]
    for folder in folders:
        folder.mkdir()
    god = Pi(folders[0], brokers[0].port, TREE)
    up = f'[uplink]\nurl = "mqtt://127.0.0.1:{brokers[0].port}"\n{TREE}'
    k1 = Pi(folders[1], brokers[1].port, up)
    k1.config.write_text(
        k1.config.read_text().replace("[node]\n", '[node]\nrole = "kaiser"\nkaiser_id = "k1"\n')
    )
    with ExitStack() as opened:
        for one in (god, k1):
            opened.callback(one.end)
            one.start()
        yield god, k1, brokers[0].port


def device(god: Pi, esp_id: str) -> Any:
    """As God has it."""
    said = god.hierarchy()
    found = [*said.get("god", {}).get("esps", []), *(e for k in said.get("kaisers", []) for e in k["esps"])]
    return next((one for one in found if one["esp_id"] == esp_id), None)


def tenure_at(k1: Pi, esp_id: str) -> str:
    for kaiser in k1.hierarchy().get("kaisers", []):
        for one in kaiser["esps"]:
            if one["esp_id"] == esp_id:
                return str(one["tenure"])
    return "foreign"


async def test_kill_9_in_the_midst_of_a_transfer_ends_in_one_owner(
    pis: tuple[Pi, Pi, int], long_form: bool
) -> None:
    god, k1, port = pis
    spec = default_fleet(1)[0]
    async with trio.open_nursery() as nursery:
        options = SimOptions(
            broker=BrokerUrl.parse(f"mqtt://127.0.0.1:{port}"), devices=(spec,), reconnect_s=0.5
        )
        await nursery.start(run_fleet, options)
        await trio.to_thread.run_sync(
            _kill_again_and_again, god, k1, port, spec.esp_id, 20 if long_form else 3
        )
        nursery.cancel_scope.cancel()


def _kill_again_and_again(god: Pi, k1: Pi, port: int, esp_id: str, times: int) -> None:
    luck = random.Random(3)
    god.call("POST", "/api/god/kaiser/add", {"kaiser_id": "k1"})
    wait(lambda: any(k["status"] == "online" for k in god.hierarchy()["kaisers"]), 20, "k1 is online")
    wait(lambda: (device(god, esp_id) or {}).get("epoch"), 20, "God knows whose the device is")
    publisher = Publisher(port, 50)
    publisher.start()
    ends: dict[str, int] = {}
    for turn in range(times):
        owner = device(god, esp_id)["owner"]
        to_owner = "k1" if owner == "god" else "god"
        begun = god.call("POST", "/api/god/esp/transfer", {"esp_id": esp_id, "to_owner": to_owner})
        assert "command_id" in begun, begun
        time.sleep(luck.uniform(0.0, 0.6))
        victims = ([god], [k1], [god, k1])[turn % 3]
        for victim in victims:
            victim.kill()
        for victim in luck.sample(victims, len(victims)):
            victim.begin()

        def one_owner() -> str:
            with contextlib.suppress(OSError, KeyError, TypeError):
                said = device(god, esp_id)
                here = tenure_at(k1, esp_id)
                if said["transfer"] is None and (said["owner"] == "k1") == (here == "ours"):
                    return str(said["owner"])
            return ""

        found = wait(one_owner, 60, "one owner, and both say the same")
        chain = god.call("GET", f"/api/god/command-chain/{begun['command_id']}")
        wait(
            lambda: god.call("GET", "/api/v1/statistics")["parts"]["broker"]["state"] == "connected",
            20,
            "God",
        )
        wait(lambda: any(k["status"] == "online" for k in god.hierarchy()["kaisers"]), 20, "k1 is online")
        key = f"{'+'.join(v.folder.name for v in victims)} killed: {chain.get('status')}, {found} has it"
        ends[key] = ends.get(key, 0) + 1
    promised = publisher.finish()
    print(ends, f"{len(promised)} readings")
    for one in (k1, god):
        assert one.stop()[0] == 0
    numbers = [one.seq for one in god.stored("ESP_C0FFEE")]
    assert promised <= set(numbers)
    assert len(numbers) == len(set(numbers))
