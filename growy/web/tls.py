"""HTTPS: the certificate that the TCP door shows."""

from __future__ import annotations

import ssl

from growy.config import WebConfig
from growy.model.errors import ConfigError


def tls_of(config: WebConfig) -> ssl.SSLContext | None:
    """For `[web] cert_file` and `key_file`; None when neither is set.

    Raises ConfigError: one of them is missing, cannot be read, or does not belong to the other.
    """
    if not config.cert_file and not config.key_file:
        return None
    missing = [name for name in ("cert_file", "key_file") if not getattr(config, name)]
    if missing:
        raise _wrong(f"[web] {missing[0]}: is missing; a certificate and its key belong together")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(config.cert_file, config.key_file, password=_no_password)
    except ssl.SSLError as error:
        raise _wrong(
            f"[web] cert_file, key_file: no certificate with its key: {error.reason or error}"
        ) from error
    except (OSError, ValueError) as error:
        raise _wrong(f"[web] cert_file, key_file: {error}") from error
    return context


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a daemon has none.
    raise ValueError("the key is encrypted; growyd takes one that is not, in a file of mode 0600")


def _wrong(fault: str) -> ConfigError:
    return ConfigError(
        "growyd cannot serve HTTPS", (fault,), cure="`growyd certs` makes a certificate and its key"
    )
