"""Which names and web pages may talk to growyd. Pure.

A web browser of somebody who may use growyd could itself be used by a page from elsewhere: by posting to growyd (the
request carries that page's Origin), by opening a WebSocket (which no same-origin rule stops), or by letting a name of
its own point to growyd (DNS rebinding: the request carries that name as Host). Names that nobody on the internet can
own (single labels, .local and the like) and bare addresses pass.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from growy.web.answers import BadRequest, Forbidden

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[\w.~-]*)(:\d*)?", re.ASCII)
_LOCAL_SUFFIXES = (".localhost", ".local", ".lan", ".home.arpa", ".internal", ".box")
"""Reserved for local use (RFC 6761, 6762, 8375; .internal by ICANN 2024), .lan and .box as home routers give
them."""


def host_of(authority: str) -> str:
    """The name or address in `host`, `host:port`, `[v6]:port`; lower-case, without a final dot."""
    text = authority.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].rstrip(".")


def is_local_name(host: str) -> bool:
    """Whether no stranger can make this name point to us."""
    if "." not in host or host.endswith(_LOCAL_SUFFIXES):
        return True
    return is_address(host)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    return is_address(host) and ipaddress.ip_address(host).is_loopback


@lru_cache(maxsize=64)  # the same few names, over and over; nothing is kept of one that is refused
def check_host(authority: str) -> None:
    """Raises Forbidden for a Host header that names us by a name from the internet, BadRequest for one that is none."""
    if not _AUTHORITY.fullmatch(authority.strip()):
        raise BadRequest(400, "The Host header names no host")
    host = host_of(authority)
    if not is_local_name(host):
        raise Forbidden(
            f"growyd is not known as {host[:100]!r}",
            cure="Ask for it as localhost, by its address or its local name",
        )


def check_origin(origin: str, authority: str) -> None:
    """Raises Forbidden for a changing request or a WebSocket that comes from a foreign page.

    Args:
        origin: the Origin header, `scheme://host[:port]` or `null`.
        authority: the Host header of the same request.
    """
    host = host_of(origin.partition("://")[2])
    if host and (host == host_of(authority) or host == "localhost" or is_loopback(host)):
        return
    raise Forbidden(
        f"Pages from {origin[:100]!r} may not use growyd", cure="Use the page that growyd itself serves"
    )
