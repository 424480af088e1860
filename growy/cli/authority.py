"""A certificate authority of one's own, by the package cryptography, which only `growyd certs` needs.

Must never overwrite an authority that is there: every device that trusts it would have to be told anew.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from growy.model.errors import GrowyError, NotFound

CA_DAYS = 3650
SERVER_DAYS = 820
"""Apple's devices take no server certificate that lasts longer than 825 days."""
CLIENT_DAYS = SERVER_DAYS
"""Those of a Kaiser are renewed on the same day as that of the broker it shows them to."""


@attrs.frozen(kw_only=True)
class Issued:
    """A client certificate that has just been made."""

    cert_file: Path
    key_file: Path
    fingerprint: str
    """SHA-256 of the certificate, 64 hex digits."""
    expires: datetime
    """UTC."""
    before: datetime | None
    """Until when the one lasts whose place it takes; None: there was none, or it cannot be read."""


def make(folder: Path, hosts: Iterable[str]) -> None:
    """`ca.pem`, `ca.key` if they are not there; `server.pem`, `server.key` anew. Keys have mode 0600.

    Raises:
        OSError.
        GrowyError: there is an authority, and it cannot be used.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if (folder / "ca.key").exists():
        ca, ca_key = _read_authority(folder)
    else:
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca = _authority(ca_key)
        _write(folder / "ca.key", _private(ca_key), 0o600)
        _write(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM), 0o644)
    key = ec.generate_private_key(ec.SECP256R1())
    server = _server(key, ca, ca_key, list(hosts))
    _write(folder / "server.key", _private(key), 0o600)
    chain = server.public_bytes(serialization.Encoding.PEM) + ca.public_bytes(serialization.Encoding.PEM)
    _write(folder / "server.pem", chain, 0o644)


def make_client(folder: Path, kaiser_id: str) -> Issued:
    """`client-{kaiser_id}.pem` and `.key` by the authority in the folder; the key has mode 0600.

    A pair that is there is renewed, as the server's is: the one that was copied from here lasts until it expires.

    Raises:
        OSError.
        NotFound: there is no authority. One made here would be another than the broker's, and nobody let in by it.
        GrowyError: there is one, and it cannot be used.
    """
    if not (folder / "ca.key").exists():
        raise NotFound(
            f"There is no certificate authority in {folder}",
            cure="It is on the Pi of God, where `growyd certs` makes it: run both commands there",
        )
    ca, ca_key = _read_authority(folder)
    now = datetime.now(UTC)
    if ca.not_valid_after_utc <= now:
        raise GrowyError(
            f"The authority in {folder} has expired, on {ca.not_valid_after_utc:%Y-%m-%d}",
            cure="Move the folder aside; `growyd certs` makes another one, which all machines have to be told",
        )
    cert_file, key_file = folder / f"client-{kaiser_id}.pem", folder / f"client-{kaiser_id}.key"
    before = _expiry(cert_file)
    key = ec.generate_private_key(ec.SECP256R1())
    made = _client(key, ca, ca_key, kaiser_id)
    _write(key_file, _private(key), 0o600)
    _write(cert_file, made.public_bytes(serialization.Encoding.PEM), 0o644)
    return Issued(
        cert_file=cert_file,
        key_file=key_file,
        fingerprint=made.fingerprint(hashes.SHA256()).hex(),
        expires=made.not_valid_after_utc,
        before=before,
    )


def _read_authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Raises OSError, GrowyError."""
    try:
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    except FileNotFoundError as error:
        raise _unusable(folder, f"{Path(error.filename).name} is missing") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: the key wants a password
        raise _unusable(folder, str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unusable(folder, "ca.key is of another kind than growyd's")
    if certificate.public_key() != key.public_key():
        raise _unusable(folder, "ca.pem and ca.key do not belong together")
    return certificate, key


def _unusable(folder: Path, why: str) -> GrowyError:
    return GrowyError(
        f"The certificate authority in {folder} cannot be used: {why}",
        cure="Restore ca.pem and ca.key from a backup. Another authority is one that all machines have to be told",
    )


def _expiry(path: Path) -> datetime | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"growyd on {os.uname().nodename}"[:64])])
    signs = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _begun(name, name, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    hosts: list[str],
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _begun(name, ca.subject, key.public_key(), SERVER_DAYS)
        .add_extension(x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _client(
    key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, kaiser_id: str
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kaiser_id)])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _begun(name, ca.subject, key.public_key(), CLIENT_DAYS, ca.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    days: int,
    latest: datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    ends = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # the clocks of browsers and of the Pi need not agree
        .not_valid_after(ends if latest is None else min(ends, latest))
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, with that mode from its first moment."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        os.fchmod(out.fileno(), mode)
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)
