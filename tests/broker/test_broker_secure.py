"""The link with a broker that asks who it is, and proves who it is itself: a real Mosquitto with passwords and TLS."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trio
import trustme
from rig.brokers import Mosquitto

from growy.broker.engine import Endpoint
from growy.broker.link import Delivery, Link
from growy.broker.reconnect import Backoff

pytestmark = pytest.mark.mosquitto


async def outcome(endpoint: Endpoint) -> str:
    """ "connected", or what the link says instead."""

    async def deliver(delivery: Delivery) -> None:
        link.acknowledge(delivery.epoch, [message.mid for message in delivery.messages])

    link = Link(
        endpoint,
        subscriptions=[("t/#", 1)],
        deliver=deliver,
        backoff=Backoff(0.05, 0.2, 1000, 1.0),
        wall_ms=lambda: time.time_ns() // 1_000_000,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        with trio.fail_after(10):
            while not link.connected and not link.statistics().failures:
                await trio.sleep(0.01)
        if link.connected:
            await link.publish("t/1", b"one")
        said = link.statistics().last_error
        nursery.cancel_scope.cancel()
    return said or "connected"


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    """A password file with the user growyd, password "p@ss/w:rd"."""
    file = tmp_path / "passwords"
    file.touch()
    subprocess.run(["mosquitto_passwd", "-b", str(file), "growyd", "p@ss/w:rd"], check=True)
    return file


async def test_a_right_password_is_let_in_and_a_wrong_one_is_said(
    mosquitto_with: Callable[[str], Mosquitto], passwords: Path
) -> None:
    broker = mosquitto_with(f"allow_anonymous false\npassword_file {passwords}")
    right = Endpoint(
        host="127.0.0.1", port=broker.port, client_id="g", username="growyd", password="p@ss/w:rd"
    )

    assert await outcome(right) == "connected"
    wrong = await outcome(attrs.evolve(right, password="guess"))
    assert "Check user and password" in wrong
    assert "guess" not in wrong


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(mosquitto_with: Callable[[str], Mosquitto], tmp_path: Path, authority: trustme.CA) -> Endpoint:
    """A broker with a certificate of `authority`, and an endpoint that trusts it."""
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    files = f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
    broker = mosquitto_with(files)
    return Endpoint(
        host="127.0.0.1", port=broker.port, client_id="g", tls=True, ca_file=str(tmp_path / "ca.pem")
    )


async def test_tls_with_the_authority_of_the_settings(tls: Endpoint) -> None:
    assert await outcome(tls) == "connected"


async def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_cure(tls: Endpoint) -> None:
    said = await outcome(attrs.evolve(tls, ca_file=None))

    assert "TLS" in said
    assert "[broker] ca_file" in said


async def test_a_ca_file_that_is_not_there_is_said(tls: Endpoint) -> None:
    assert "[broker] ca_file" in await outcome(attrs.evolve(tls, ca_file="/nowhere/ca.pem"))


async def test_plain_words_to_a_tls_port_and_tls_to_a_plain_one(tls: Endpoint, mosquitto: Mosquitto) -> None:
    assert "connection" in await outcome(attrs.evolve(tls, tls=False))
    assert "TLS" in await outcome(attrs.evolve(tls, port=mosquitto.port))
