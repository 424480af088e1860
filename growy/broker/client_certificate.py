"""The client certificate that a link shows its broker: loaded into TLS, and read for people.

What stands in it is read here, without the package cryptography, which only `growyd certs` needs: Python's own ssl says
when a certificate ends only of a peer's. It never judges whether one is to be trusted; that is the broker's business.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import attrs
import trio

from growy.broker.engine import Endpoint
from growy.config import Config
from growy.doctor import CertificateFacts
from growy.model.errors import ConfigError
from growy.model.tree_messages import ShownCertificate
from growy.ops.log import get_log

log = get_log(__name__)

LOOK_S = 60.0
"""How often the file is looked at. A certificate is renewed weeks before it ends."""
_Traces: TypeAlias = tuple[tuple[int, int, int] | None, ...]
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# ASN.1 tags (X.690, 8.1.2) of what stands before and in a certificate's validity (RFC 5280, 4.1).
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


@attrs.define
class ClientCertificate:
    """What stands in the file now, looked at again and again. The next connection shows it: the link loads it anew."""

    endpoint: Endpoint
    shown: ShownCertificate | None = None
    """None: it could not be used yet."""
    _seen: _Traces = attrs.field(init=False, default=())

    async def run(self) -> None:
        """Looks for a newer one now and then."""
        while True:
            await trio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Reads the pair if it has changed. One that cannot be used is logged, once, and `shown` stays."""
        seen = await trio.to_thread.run_sync(_traces, self.endpoint)
        if seen == self._seen:
            return
        self._seen = seen
        await trio.to_thread.run_sync(self.read)

    def read(self) -> None:
        """Reads the pair. Blocking."""
        try:
            shown = read_pair(self.endpoint)
        except ConfigError as error:
            log.error(
                "the client certificate cannot be used: the next connection will fail", error=str(error)
            )
            return
        if self.shown is not None and shown != self.shown:
            log.info("a new client certificate is there", cert_file=self.endpoint.cert_file)
        self.shown = shown


def client_certificate_of(endpoint: Endpoint) -> ClientCertificate | None:
    """For an endpoint; None: it has none. One that cannot be used is logged, and looked at again: a node that cannot
    reach its God has still its own devices to stop."""
    if not endpoint.cert_file:
        return None
    made = ClientCertificate(endpoint)
    made.read()
    return made


def read_pair(endpoint: Endpoint) -> ShownCertificate | None:
    """What stands in the endpoint's certificate, whose key is there and fits; None: it has none. Blocking.

    Raises:
        ConfigError: a file cannot be read, or they do not belong together. It names the settings.
    """
    if not endpoint.cert_file:
        return None
    load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), endpoint)
    try:
        return read_certificate(Path(endpoint.cert_file))
    except (OSError, ValueError) as error:
        raise _wrong(endpoint, str(error)) from error


def client_certificates(config: Config, now_ms: int, *, own: bool) -> tuple[CertificateFacts, ...]:
    """Those in the settings, for the doctor. Blocking.

    Args:
        own: this process is growyd, so that what it may not read is a fault. Of what another may not read nothing is
            known.
    """
    found = []
    for section, said in (("broker", config.broker), ("uplink", config.uplink)):
        if not said.cert_file:
            continue
        setting = f"[{section}] cert_file"
        try:
            left_s = (read_certificate(Path(said.cert_file)).expires_ms - now_ms) / 1000
        except OSError as error:
            if isinstance(error, PermissionError) and not own:
                continue
            fault = f"{said.cert_file}: {error.strerror}"
            found.append(CertificateFacts(setting=setting, left_s=None, fault=fault))
        except ValueError as error:
            found.append(CertificateFacts(setting=setting, left_s=None, fault=str(error)))
        else:
            found.append(CertificateFacts(setting=setting, left_s=left_s))
    return tuple(found)


def load_pair(context: ssl.SSLContext, endpoint: Endpoint) -> None:
    """Has TLS show the endpoint's client certificate, if it has one. Blocking.

    Raises:
        ConfigError: as `read_pair`.
    """
    if not endpoint.cert_file:
        return
    try:
        context.load_cert_chain(endpoint.cert_file, endpoint.key_file, password=_no_password)
    except ssl.SSLError as error:
        raise _wrong(endpoint, f"no certificate with its key: {error.reason or error}") from error
    except (OSError, ValueError) as error:
        raise _wrong(endpoint, _said(endpoint, error)) from error


def read_certificate(path: Path) -> ShownCertificate:
    """Fingerprint and expiry of the first certificate in a PEM file: the one that is shown. Blocking.

    Raises:
        OSError.
        ValueError: there is none, or it is damaged.
    """
    block = _BLOCK.search(path.read_text("ascii", errors="replace"))
    if block is None:
        raise ValueError(f"{path} holds no certificate in PEM")
    try:
        der = ssl.PEM_cert_to_DER_cert(block[0])
        expires = _not_after(der)
    except (ValueError, IndexError, StopIteration) as error:
        raise ValueError(f"{path} holds a certificate that cannot be read") from error
    return ShownCertificate(
        fingerprint=hashlib.sha256(der).hexdigest(), expires_ms=max(0, int(expires.timestamp()) * 1000)
    )


def _not_after(der: bytes) -> datetime:
    """Certificate -> tbsCertificate -> validity -> notAfter (RFC 5280, 4.1)."""
    _, certificate = next(_elements(der))
    _, signed = next(_elements(certificate))
    fields = [(tag, content) for tag, content in _elements(signed) if tag != _VERSION]
    # serialNumber, signature, issuer, validity
    tag, validity = fields[3]
    if tag != _SEQUENCE:
        raise ValueError("no validity where it must stand")
    (_, _), (tag, said) = _elements(validity)
    text = said.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: two digits of a year, of which 50 and more are of the last century.
        text = f"{'19' if int(text[:2]) >= 50 else '20'}{text}"
    elif tag != _GENERALIZED_TIME:
        raise ValueError("the end of the validity is no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element of a constructed one, in DER (X.690, 8.1.3)."""
    at = 0
    while at < len(content):
        tag, length, at = content[at], content[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(content[at : at + count], "big"), at + count
        if at + length > len(content):
            raise ValueError("an element is longer than what it stands in")
        yield tag, content[at : at + length]
        at += length


def _traces(endpoint: Endpoint) -> _Traces:
    """What of the two files changes when they do, or who may read them: a renewal replaces them, or a link to them."""
    traces: list[tuple[int, int, int] | None] = []
    for name in (endpoint.cert_file, endpoint.key_file):
        try:
            found = Path(name or "").stat()
        except OSError:
            traces.append(None)
        else:
            traces.append((found.st_ctime_ns, found.st_ino, found.st_size))
    return tuple(traces)


def _said(endpoint: Endpoint, error: Exception) -> str:
    """ssl does not say which of the two files it is that it cannot open."""
    if not isinstance(error, OSError):
        return str(error)
    for path in (endpoint.cert_file, endpoint.key_file):
        try:
            open(path or "", "rb").close()
        except OSError as fault:
            return f"{path}: {fault.strerror}"
    return str(error)


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a daemon has none.
    raise ValueError("the key is encrypted; growyd takes one that is not, in a file of mode 0600")


def _wrong(endpoint: Endpoint, fault: str) -> ConfigError:
    return ConfigError(
        f"The client certificate for {endpoint} cannot be used",
        (f"[{endpoint.section}] cert_file, key_file: {fault}",),
        cure="`growyd certs --client` on the Pi of God makes both for a Kaiser; growyd must be able to read them",
    )
