"""The broker's URL and other addresses in the settings: text to checked parts. Opens nothing, resolves no name."""

from __future__ import annotations

import enum
import ipaddress
import re
from urllib.parse import unquote, urlsplit

import attrs

MASK = "***"
"""Stands for a password wherever one would be shown."""
DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
ESCAPE = "percent-encode special characters in user and password (@ is %40, / is %2F, # is %23, : is %3A)"


class BrokerScheme(enum.StrEnum):
    EMBEDDED = "embedded"
    """A broker inside growyd."""
    MQTT = "mqtt"
    MQTTS = "mqtts"
    """MQTT over TLS."""


@attrs.frozen(slots=True)
class BrokerUrl:
    """Where the MQTT broker is, and as whom to log in. Never shows its password, not even in its repr."""

    scheme: BrokerScheme
    host: str = ""
    """Name or address, without the brackets of IPv6; "" for the embedded broker."""
    port: int = 0
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> BrokerUrl:
        """Raises:
        ValueError: what is wrong with the text, without its password.
        """
        if text == BrokerScheme.EMBEDDED:
            return cls(BrokerScheme.EMBEDDED)
        shown = f'is "{mask_url(text)}"'
        scheme, separator, _ = text.partition("://")
        if not separator or scheme.lower() not in DEFAULT_PORTS:
            hint = f"; write mqtt://{text}" if re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?", text) else ""
            raise ValueError(f"must be mqtt://host:port, mqtts://host:port or embedded, {shown}{hint}")
        try:
            parts = urlsplit(text)
            port = parts.port if parts.port is not None else DEFAULT_PORTS[parts.scheme]
        except ValueError as error:
            # urllib's message may quote the part of the URL that holds the password: say it in our own words.
            raise ValueError(f"has a port or address that cannot be read, {shown}; {ESCAPE}") from error
        if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
            raise ValueError(f"must be a scheme, a host and a port from 1 to 65535, {shown}; {ESCAPE}")
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        if password == MASK:
            raise ValueError(f"has its password masked, {shown}; write the real one")
        if password is not None and not user:
            raise ValueError(f"has a password but no user, {shown}")
        return cls(BrokerScheme(parts.scheme), parts.hostname, port, user or None, password)

    @property
    def embedded(self) -> bool:
        return self.scheme is BrokerScheme.EMBEDDED

    @property
    def tls(self) -> bool:
        return self.scheme is BrokerScheme.MQTTS

    def __str__(self) -> str:
        """For people and logs: without user and password."""
        if self.embedded:
            return "embedded"
        return f"{self.scheme}://{join_host_port(self.host, self.port)}"


def mask_url(text: str) -> str:
    """The URL with *** for its password; in a broken one, whatever may be a password is taken for one."""
    scheme, slashes, rest = text.partition("://") if "://" in text else ("", "", text)
    login, at, host = rest.rpartition("@")
    user, colon, password = (login if at else rest).partition(":")
    if not colon or (not at and re.fullmatch(r"\d*/?|[0-9A-Fa-f:.]*\](:\d*)?", password)):
        return text  # no password, or without an @ a port or the rest of an IPv6 address
    return f"{scheme}{slashes}{user}:{MASK}{at + host if at else ''}"


def parse_listen(text: str) -> tuple[str, int]:
    """`host:port`, with brackets around an IPv6 address.

    Raises:
        ValueError: what is wrong with the text.
    """
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]\s]+)):(\d{1,5})", text)
    if not found or not 1 <= int(found[3]) <= 65535:
        raise ValueError(f'must be host:port, e.g. 127.0.0.1:1883, is "{text}"')
    return found[1] or found[2], int(found[3])


def join_host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_address(host: str) -> None:
    """Raises:
    ValueError: it is no address that could be listened on.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host != "localhost":
            raise ValueError(
                f'must be an IP address: 127.0.0.1 for this machine only, 0.0.0.0 for everybody, is "{host}"'
            ) from None
