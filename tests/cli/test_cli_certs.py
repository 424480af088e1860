"""`growyd certs`: an authority, and what it vouches for. Bad input is named, and nothing is spoilt by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from growy.broker.client_certificate import read_pair
from growy.broker.engine import Endpoint
from growy.cli import main
from growy.cli.exits import ExitCode


def certs(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["certs", "--out", str(folder), *options], catch_exceptions=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With an authority."""
    assert certs(tmp_path / "tls").exit_code == 0
    return tmp_path / "tls"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pem(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_kaiser_gets_a_certificate_for_clients_in_its_name(folder: Path) -> None:
    before = contents(folder)

    done = certs(folder, "--client", "k1")

    assert done.exit_code == 0
    after = contents(folder)
    assert after.keys() - before.keys() == {"client-k1.pem", "client-k1.key"}
    assert {name: after[name] for name in before} == before
    assert (folder / "client-k1.key").stat().st_mode & 0o777 == 0o600
    made = pem(folder / "client-k1.pem")
    assert [one.value for one in made.subject] == ["k1"]
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    made.verify_directly_issued_by(pem(folder / "ca.pem"))
    assert timedelta(days=819) < made.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=820)
    # It says what to copy and what to set, and the settings fit.
    assert made.fingerprint(hashes.SHA256()).hex() in done.output
    assert f"Copy {folder}/client-k1.pem, {folder}/client-k1.key and {folder}/ca.pem" in done.output
    assert 'cert_file = "/etc/growy/client-k1.pem"\nkey_file = "/etc/growy/client-k1.key"\n' in done.output
    pair = Endpoint(
        host="god",
        port=8883,
        client_id="g",
        cert_file=f"{folder}/client-k1.pem",
        key_file=f"{folder}/client-k1.key",
    )
    assert read_pair(pair) is not None


def test_again_it_is_renewed_and_that_is_said(folder: Path) -> None:
    assert "In place of" not in certs(folder, "--client", "k1").output
    first = pem(folder / "client-k1.pem")

    again = certs(folder, "--client", "k1")

    assert f"In place of one that lasts until {first.not_valid_after_utc:%Y-%m-%d}" in again.output
    assert pem(folder / "client-k1.pem") != first
    first.verify_directly_issued_by(pem(folder / "ca.pem"))


@pytest.mark.parametrize("name", ["", "god", "../k1", "k 1", "a" * 64, "käiser", "k1\n"])
def test_a_name_that_no_kaiser_can_have_is_refused(folder: Path, name: str) -> None:
    before = contents(folder)

    refused = certs(folder, "--client", name)

    assert refused.exit_code == ExitCode.CONFIG
    assert "--client" in refused.stderr
    assert "kaiser_id" in refused.stderr
    assert contents(folder) == before


def test_a_host_name_for_a_client_makes_no_sense(folder: Path) -> None:
    refused = certs(folder, "--client", "k1", "--name", "god.local")

    assert (refused.exit_code, "--name" in refused.stderr) == (ExitCode.CONFIG, True)


def test_without_an_authority_none_is_made_for_a_client(tmp_path: Path) -> None:
    """One that is made by mistake on the Kaiser's Pi would be let in by nobody."""
    refused = certs(tmp_path / "tls", "--client", "k1")

    assert refused.exit_code == ExitCode.FAILED
    assert f"no certificate authority in {tmp_path}/tls" in refused.stderr
    assert "Pi of God" in refused.stderr
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize("options", [(), ("--client", "k1")], ids=["server", "client"])
@pytest.mark.parametrize(
    ("spoilt", "content", "why"),
    [
        ("ca.pem", None, "ca.pem is missing"),
        ("ca.pem", b"", "cannot be used"),
        ("ca.key", b"-----BEGIN PRIVATE KEY-----", "cannot be used"),
        ("ca.pem", "server.pem", "do not belong together"),
    ],
)
def test_an_authority_that_cannot_be_used_is_named_and_left_alone(
    folder: Path, options: tuple[str, ...], spoilt: str, content: bytes | str | None, why: str
) -> None:
    if content is None:
        (folder / spoilt).unlink()
    else:
        (folder / spoilt).write_bytes(
            content if isinstance(content, bytes) else (folder / content).read_bytes()
        )
    before = contents(folder)

    refused = certs(folder, *options)

    assert refused.exit_code == ExitCode.FAILED
    assert f"The certificate authority in {folder} cannot be used" in refused.stderr
    assert why in refused.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("days", [-1, 30])
def test_no_certificate_outlives_its_authority(folder: Path, days: int) -> None:
    key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")]), datetime.now(UTC)
    old = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(old.public_bytes(serialization.Encoding.PEM))

    done = certs(folder, "--client", "k1")

    if days < 0:
        assert (done.exit_code, "has expired" in done.stderr) == (ExitCode.FAILED, True)
    else:
        assert pem(folder / "client-k1.pem").not_valid_after_utc == old.not_valid_after_utc


def test_a_folder_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / ".client-k1.key.new").mkdir()  # root may write everywhere else

    refused = certs(folder, "--client", "k1")

    assert refused.exit_code == ExitCode.FAILED
    assert f"cannot be made in {folder}" in refused.stderr
    assert not (folder / "client-k1.pem").exists()
