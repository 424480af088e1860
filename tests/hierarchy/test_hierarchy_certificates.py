"""A Kaiser that shows God's broker a certificate of `growyd certs`, set up as docs/operations.md says; daemons and
Mosquittos are real."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from click.testing import CliRunner
from rig.brokers import free_port
from rig.grove import Grove, Place, grow, until

from growy.broker.client_certificate import read_certificate
from growy.cli import main
from growy.cli.exits import ExitCode
from growy.hierarchy import kaiser_node
from growy.model.hierarchy import Node

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
pytestmark = pytest.mark.slow


def growyd(*words: object) -> str:
    done = CliRunner().invoke(main, [str(one) for one in words], catch_exceptions=False)
    assert done.exit_code in (0, 1, 2), done.output
    return done.stdout


async def ask(place: Place, *words: object) -> Any:
    """A command of the command line at that node, as JSON."""
    told = (*words, "--socket", place.folder / "growyd.sock", "--json")
    return json.loads(await trio.to_thread.run_sync(partial(growyd, *told)))


def text_block(beginning: str) -> str:
    """A block of the page, without its indent."""
    found = re.search(rf"^ *```text\n( *{re.escape(beginning)}.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return "\n".join(line.strip() for line in found[1].splitlines()) + "\n"


@attrs.frozen
class Tls:
    grove: Grove
    folder: Path
    port: int

    def settings(self, name: str, folder: Path | None = None) -> dict[str, object]:
        """Of an uplink over TLS; with no such certificate in the folder, without."""
        made = {"cert_file": f"client-{name}.pem", "key_file": f"client-{name}.key"}
        folder = folder or self.folder
        return {
            "uplink.url": f"mqtts://127.0.0.1:{self.port}",
            "uplink.ca_file": str(self.folder / "ca.pem"),
            **{f"uplink.{key}": str(folder / file) for key, file in made.items() if (folder / file).exists()},
        }


@pytest.fixture
async def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tls]:
    monkeypatch.setattr(kaiser_node, "HEALTH_S", 0.3)
    folder, port = tmp_path / "tls", free_port()
    growyd("certs", "--out", folder)
    growyd("certs", "--out", folder, "--client", "k1")
    # God itself and the devices log in nowhere, on the first port; only k1 may do what the page lets it do.
    acl = "topic readwrite kaiser/#\ntopic readwrite god/#\ntopic readwrite growyd/probe/#\n"
    (tmp_path / "acl").write_text(acl + text_block("user kaiser-k1").replace("kaiser-k1", "k1"))
    listener = (
        text_block("listener 8883")
        .replace("listener 8883", f"listener {port} 127.0.0.1")
        .replace("/etc/mosquitto/certs", str(folder))
    )
    async with grow(tmp_path, listeners=f"acl_file {tmp_path}/acl\n{listener}") as grove:
        yield Tls(grove, folder, port)


async def test_a_kaiser_with_a_certificate_is_let_in_and_god_shows_it(tls: Tls) -> None:
    grove, pem = tls.grove, tls.folder / "client-k1.pem"
    k1 = await grove.add_kaiser("k1", **tls.settings("k1"))
    (esp,) = await k1.devices(1)
    await grove.owned(esp.esp_id, "k1")
    made = read_certificate(pem)

    def told() -> str | None:
        health = grove.god.god.kaiser("k1").health
        return None if health is None or health.certificate is None else health.certificate.fingerprint

    await until(lambda: told() == made.fingerprint, 10, "God hears of the certificate")
    for place in (grove.god, k1):
        shown = (await ask(place, "kaisers", "show", "k1"))["certificate"]
        assert shown["fingerprint"] == made.fingerprint
        assert shown["expires"].startswith("20")
    (in_tree,) = (await ask(grove.god, "hierarchy"))["kaisers"]
    assert in_tree["certificate"]["fingerprint"] == made.fingerprint
    findings = (await ask(k1, "doctor"))["findings"]
    (finding,) = [one for one in findings if one["area"] == "certificate"]
    assert finding["level"] == "green"

    growyd("certs", "--out", tls.folder, "--client", "k1")
    assert k1.up.tree.certificate is not None
    await k1.up.tree.certificate.look()
    renewed = read_certificate(pem)
    assert renewed != made
    await until(lambda: told() == renewed.fingerprint, 10, "God hears of the renewed one")


@pytest.mark.parametrize(("whose", "why"), [("none", "got none"), ("another", "does not know the authority")])
async def test_a_kaiser_that_is_not_let_in_says_why_and_goes_on_trying(
    tls: Tls, tmp_path: Path, whose: str, why: str
) -> None:
    other = tmp_path / whose
    if whose == "another":
        growyd("certs", "--out", other)
        growyd("certs", "--out", other, "--client", "k1")
    k1 = tls.grove.plant("k1", **tls.settings("k1", other))
    await tls.grove.god.god.add(Node(kaiser_id="k1"))
    k1.broker.start()
    await k1.start()
    uplink = k1.up.tree.uplink
    assert uplink is not None
    await until(lambda: uplink.statistics().failures > 3, 20, "it goes on trying")
    await until(lambda: why in (uplink.statistics().last_error or ""), 20, "it says why")
    assert not uplink.connected
    assert tls.grove.state_of("k1").value == "added"
    # It lives: its own broker, and whoever asks it.
    assert k1.up.link.connected
    shown = await ask(k1, "kaisers", "show", "k1")
    assert (shown["status"], shown["certificate"] is None) == ("offline", whose == "none")


def test_a_certificate_for_its_own_broker_that_is_not_there_keeps_growyd_from_starting(
    tmp_path: Path,
) -> None:
    config = tmp_path / "growyd.toml"
    config.write_text(
        f"""[node]
data_dir = "{tmp_path}/data"
[web]
port = 0
[broker]
url = "mqtts://127.0.0.1:1"
cert_file = "{tmp_path}/none.pem"
key_file = "{tmp_path}/none.key"
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "growy", "run", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.CONFIG
    assert f"[broker] cert_file, key_file: {tmp_path}/none.pem: No such file" in done.stderr
    assert "Traceback" not in done.stderr
