"""Client certificates: a real Mosquitto that asks for one lets in who has it, and others are told why they are not."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
import trustme
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from rig.brokers import Mosquitto

from growy.broker.client_certificate import (
    LOOK_S,
    client_certificate_of,
    client_certificates,
    read_certificate,
    read_pair,
)
from growy.broker.engine import Endpoint
from growy.broker.link import Delivery, Link
from growy.broker.reconnect import Backoff
from growy.cli import main
from growy.config import load_config
from growy.model.errors import ConfigError

NOBODY = Endpoint(host="god.local", port=8883, client_id="g", tls=True, section="uplink")


def certs(folder: Path, *options: str) -> Path:
    """`growyd certs`."""
    done = CliRunner().invoke(main, ["certs", "--out", str(folder), *options])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Authority and server of God's Pi, and Kaisers k1 and k2."""
    folder = certs(tmp_path_factory.mktemp("tls"))
    certs(folder, "--client", "k1")
    return certs(folder, "--client", "k2")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another authority, and its own k1."""
    return certs(certs(tmp_path_factory.mktemp("stranger")), "--client", "k1")


@pytest.fixture
def broker(mosquitto_with: Callable[[str], Mosquitto], ours: Path) -> Mosquitto:
    """It asks for certificates."""
    return mosquitto_with(asking(ours))


def asking(folder: Path) -> str:
    """As docs/operations.md has it."""
    return (
        f"cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
        "require_certificate true\nuse_identity_as_username true\nallow_anonymous false"
    )


@pytest.fixture
def endpoint(broker: Mosquitto, ours: Path) -> Endpoint:
    """Without a certificate."""
    return at(broker, ours)


def at(broker: Mosquitto, folder: Path) -> Endpoint:
    return attrs.evolve(NOBODY, host="127.0.0.1", port=broker.port, ca_file=str(folder / "ca.pem"))


def with_pair(endpoint: Endpoint, folder: Path, name: str = "k1") -> Endpoint:
    return attrs.evolve(
        endpoint, cert_file=f"{folder}/client-{name}.pem", key_file=f"{folder}/client-{name}.key"
    )


async def outcome(endpoint: Endpoint, attempts: int = 4) -> str:
    """ "connected", or all that the link says in so many attempts: an alert may get lost on its way."""

    async def deliver(delivery: Delivery) -> None:
        link.acknowledge(delivery.epoch, [message.mid for message in delivery.messages])

    link = Link(
        endpoint,
        subscriptions=[("t/#", 1)],
        deliver=deliver,
        backoff=Backoff(0.05, 0.05, 1000, 1.0),
        wall_ms=lambda: time.time_ns() // 1_000_000,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        said: set[str] = set()
        with trio.fail_after(20):
            while not link.connected and link.statistics().failures < attempts:
                await trio.sleep(0.005)
                said.add(link.statistics().last_error or "")
        if link.connected:
            await link.publish("t/1", b"one")
            said = {"connected"}
        nursery.cancel_scope.cancel()
    return " ".join(said)


@pytest.mark.mosquitto
async def test_the_name_in_the_certificate_is_the_login(
    broker: Mosquitto, endpoint: Endpoint, ours: Path
) -> None:
    assert await outcome(with_pair(endpoint, ours)) == "connected"
    log = (broker.directory / "mosquitto.log").read_text()
    assert "u'k1'" in log


@pytest.mark.mosquitto
async def test_without_a_certificate_it_is_refused_and_goes_on_trying(endpoint: Endpoint) -> None:
    said = await outcome(endpoint)

    assert "it asks for a client certificate, and got none" in said
    assert "[uplink] cert_file and key_file" in said
    assert "growyd certs --client" in said


@pytest.mark.mosquitto
async def test_a_certificate_of_another_authority_is_refused(endpoint: Endpoint, stranger: Path) -> None:
    said = await outcome(with_pair(endpoint, stranger))

    assert "does not know the authority of the client certificate" in said
    assert "cafile" in said


@pytest.mark.mosquitto
@pytest.mark.parametrize(("file", "why"), [("server", "is not one for clients"), ("expired", "has expired")])
async def test_a_certificate_that_does_not_serve_is_refused(
    mosquitto_with: Callable[[str], Mosquitto], ours: Path, tmp_path: Path, file: str, why: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "both.pem"))
    with (tmp_path / "both.pem").open("ab") as both:
        both.write((ours / "ca.pem").read_bytes())
    if file == "expired":
        old = authority.issue_cert(common_name="k1", not_after=datetime(2025, 1, 1, tzinfo=UTC))
        old.cert_chain_pems[0].write_to_path(str(tmp_path / "expired.pem"))
        old.private_key_pem.write_to_path(str(tmp_path / "expired.key"))
    folder = ours if file == "server" else tmp_path
    broker = mosquitto_with(
        f"cafile {tmp_path}/both.pem\ncertfile {ours}/server.pem\nkeyfile {ours}/server.key\n"
        f"require_certificate true"
    )
    said = await outcome(
        attrs.evolve(at(broker, ours), cert_file=f"{folder}/{file}.pem", key_file=f"{folder}/{file}.key")
    )
    assert why in said


@pytest.mark.mosquitto
async def test_a_pair_that_is_spoilt_while_growyd_runs_ends_nothing(
    endpoint: Endpoint, ours: Path, tmp_path: Path
) -> None:
    (tmp_path / "client-k1.pem").write_bytes((ours / "client-k1.pem").read_bytes())
    (tmp_path / "client-k1.key").write_text("")

    said = await outcome(with_pair(endpoint, tmp_path), attempts=3)

    assert "[uplink] cert_file, key_file" in said


@pytest.mark.mosquitto
async def test_a_broker_with_tls_1_2_says_it_within_the_handshake(
    mosquitto_with: Callable[[str], Mosquitto], ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "openssl.cnf"
    conf.write_text(
        "openssl_conf = all\n[all]\nssl_conf = modules\n[modules]\nsystem_default = limits\n"
        "[limits]\nMaxProtocol = TLSv1.2\n"
    )
    monkeypatch.setenv("OPENSSL_CONF", str(conf))
    endpoint = at(mosquitto_with(asking(ours)), ours)

    assert "asks for a client certificate" in await outcome(endpoint)
    assert await outcome(with_pair(endpoint, ours)) == "connected"


# --- the pair in the files ----------------------------------------------------------------------------------------


def test_a_pair_that_cannot_be_used_is_named_at_the_start(ours: Path, stranger: Path, tmp_path: Path) -> None:
    pem, key = f"{ours}/client-k1.pem", f"{ours}/client-k1.key"
    (tmp_path / "locked.key").write_bytes(
        serialization.load_pem_private_key(Path(key).read_bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for cert_file, key_file, why in (
        (f"{tmp_path}/none.pem", key, f"{tmp_path}/none.pem: No such file"),
        (pem, f"{tmp_path}/none.key", f"{tmp_path}/none.key: No such file"),
        (pem, f"{stranger}/client-k1.key", "MISMATCH"),
        (key, pem, "no certificate with its key"),
        (pem, f"{tmp_path}/locked.key", "is encrypted"),
    ):
        with pytest.raises(ConfigError, match=r"god\.local:8883") as caught:
            read_pair(attrs.evolve(NOBODY, cert_file=cert_file, key_file=key_file))
        (fault,) = caught.value.faults
        assert fault.startswith("[uplink] cert_file, key_file: ")
        assert why in fault
    assert read_pair(NOBODY) is None


@pytest.mark.parametrize("year", [1969, 2027, 2049, 2050, 9999])
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_fingerprint_and_expiry_are_those_that_the_library_reads(
    tmp_path: Path, year: int, kind: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "käiser" * 9)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(1951, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    file = tmp_path / "one.pem"
    file.write_bytes(b"subject: k\xc3\xa4iser\n" + pem + pem)

    found = read_certificate(file)

    assert found.fingerprint == made.fingerprint(hashes.SHA256()).hex()
    assert found.expires_ms == max(0, int(made.not_valid_after_utc.timestamp()) * 1000)


def test_a_damaged_certificate_is_said_to_be_one(ours: Path, tmp_path: Path) -> None:
    file = tmp_path / "damaged.pem"
    whole = ssl.PEM_cert_to_DER_cert((ours / "client-k1.pem").read_text())
    file.write_text("nothing")
    with pytest.raises(ValueError, match="holds no certificate"):
        read_certificate(file)
    for length in range(150):
        file.write_text(ssl.DER_cert_to_PEM_cert(whole[:length]))
        with pytest.raises(ValueError, match=r"damaged\.pem holds"):
            read_certificate(file)


@pytest.fixture
def clock() -> trio.abc.Clock:
    """Jumps when nothing has happened for a moment; pytest-trio runs a test that asks for it on it."""
    return trio.testing.MockClock(autojump_threshold=0.005)


async def test_a_renewed_pair_is_seen_within_a_minute(
    ours: Path, stranger: Path, tmp_path: Path, clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def copy(source: Path, *endings: str) -> None:
        for ending in endings:
            (tmp_path / f"client-k1.{ending}").write_bytes((source / f"client-k1.{ending}").read_bytes())

    copy(ours, "pem", "key")
    certificate = client_certificate_of(with_pair(NOBODY, tmp_path))
    assert certificate is not None
    first = certificate.shown
    copy(stranger, "pem")
    await certificate.look()
    await certificate.look()
    assert certificate.shown == first
    complaints = [one for one in caplog.records if "cannot be used" in one.getMessage()]
    assert len(complaints) == 1  # said once, not every minute
    async with trio.open_nursery() as nursery:
        nursery.start_soon(certificate.run)
        copy(stranger, "key")
        with trio.fail_after(10 * LOOK_S):  # the clock runs on while the files are read
            while certificate.shown == first:
                await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert certificate.shown == read_certificate(stranger / "client-k1.pem")


async def test_a_pair_that_is_not_there_yet_is_looked_for_again(
    ours: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = client_certificate_of(with_pair(NOBODY, tmp_path))
    assert certificate is not None
    assert certificate.shown is None
    assert "cannot be used" in caplog.text
    for ending in ("pem", "key"):
        (tmp_path / f"client-k1.{ending}").write_bytes((ours / f"client-k1.{ending}").read_bytes())

    await certificate.look()

    assert certificate.shown == read_certificate(ours / "client-k1.pem")


def test_the_doctor_is_told_how_long_they_last(ours: Path, tmp_path: Path) -> None:
    pair = {"cert_file": f"{ours}/client-k1.pem", "key_file": f"{ours}/client-k1.key"}
    config = load_config(
        None,
        {},
        {
            "broker.url": "mqtts://pi",
            **{f"broker.{name}": path for name, path in pair.items()},
            "uplink.url": "mqtts://god",
            "uplink.cert_file": f"{tmp_path}/none.pem",
            "uplink.key_file": f"{tmp_path}/none.key",
        },
    )
    ends_ms = read_certificate(ours / "client-k1.pem").expires_ms

    broker, uplink = client_certificates(config, ends_ms - 5000, own=True)

    assert (broker.setting, broker.left_s) == ("[broker] cert_file", 5.0)
    assert (uplink.setting, uplink.left_s) == ("[uplink] cert_file", None)
    assert "none.pem: No such file" in uplink.fault
