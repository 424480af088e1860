"""`[web] cors_origins`: the web pages from elsewhere that may use growyd."""

from __future__ import annotations

import re

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")


def parse_origins(said: str) -> tuple[str, ...]:
    """The origins, lower-case, as browsers write them. Raises ValueError naming one that is none.

    `*` is none: every page that somebody opens could then use growyd.
    """
    origins = tuple(filter(None, (part.strip().lower() for part in said.split(","))))
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin!r} is no origin: write scheme, host and, where it is not the usual one, port, "
                "without a path (https://grow.example)"
            )
    return origins
