"""HTTPS: the certificate that the TCP door shows, and the newer one that is put in its place while growyd runs.

Must never give up a pair that works for one that does not.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TypeAlias

import trio

from growy.config import WebConfig
from growy.model.errors import ConfigError
from growy.ops.log import get_log

log = get_log(__name__)

LOOK_S = 60.0
"""How often the files are looked at. A certificate is renewed weeks before it ends."""
_Traces: TypeAlias = tuple[tuple[int, int, int] | None, ...]


class Certificate:
    """The pair in `[web] cert_file` and `key_file`; see `certificate_of`."""

    def __init__(self, config: WebConfig) -> None:
        self._config = config
        self._asked = trio.Event()
        self._seen = _traces(config)
        self.context = _context_of(config)
        """For the next handshake: connections that are open keep theirs."""

    async def run(self) -> None:
        """Looks for a newer pair now and then."""
        while True:
            with trio.move_on_after(LOOK_S):
                await self._asked.wait()
            self._asked = trio.Event()
            await self.look()

    def look_soon(self) -> None:
        """Without waiting for the next look; returns at once: a disk that hangs holds up nobody."""
        self._asked.set()

    async def look(self) -> None:
        """Takes a newer pair if the files have changed since the last look. One that cannot be used is logged, once,
        and the old one stays: it may be half written, and is looked at again when it changes again."""
        seen = await trio.to_thread.run_sync(_traces, self._config)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.context = await trio.to_thread.run_sync(_context_of, self._config)
        except ConfigError as error:
            log.error("the new certificate cannot be used; the old one stays", error=str(error))
        else:
            log.info("a new certificate is in use", cert_file=self._config.cert_file)


class TlsListener(trio.abc.Listener[trio.abc.Stream]):
    """Like trio's SSLListener, but each connection gets the certificate that is in use when it comes."""

    def __init__(self, transport: trio.SocketListener, certificate: Certificate) -> None:
        self._transport = transport
        self._certificate = certificate

    async def accept(self) -> trio.abc.Stream:
        stream = await self._transport.accept()
        context = self._certificate.context
        return trio.SSLStream(stream, context, server_side=True, https_compatible=True)

    async def aclose(self) -> None:
        await self._transport.aclose()


def certificate_of(config: WebConfig) -> Certificate | None:
    """For `[web] cert_file` and `key_file`; None when neither is set.

    Raises ConfigError: one of them is missing, cannot be read, or does not belong to the other.
    """
    if not config.cert_file and not config.key_file:
        return None
    missing = [name for name in ("cert_file", "key_file") if not getattr(config, name)]
    if missing:
        raise _wrong(f"[web] {missing[0]}: is missing; a certificate and its key belong together")
    return Certificate(config)


def _context_of(config: WebConfig) -> ssl.SSLContext:
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


def _traces(config: WebConfig) -> _Traces:
    """What of the two files changes when they do, or who may read them: a renewal replaces them, or a link to them."""
    traces: list[tuple[int, int, int] | None] = []
    for name in (config.cert_file, config.key_file):
        try:
            found = Path(name).stat()
        except OSError:
            traces.append(None)
        else:
            traces.append((found.st_ctime_ns, found.st_ino, found.st_size))
    return tuple(traces)


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a daemon has none.
    raise ValueError("the key is encrypted; growyd takes one that is not, in a file of mode 0600")


def _wrong(fault: str) -> ConfigError:
    return ConfigError(
        "growyd cannot serve HTTPS", (fault,), cure="`growyd certs` makes a certificate and its key"
    )
