"""The allow-list of webhooks: where rules may post to. Never a place that nobody named."""

from __future__ import annotations

from urllib.parse import urlsplit


def parse_webhooks(text: str) -> tuple[str, ...]:
    """The prefixes of a comma-separated list.

    Raises:
        ValueError: one of them is no http(s) URL with a host and a path; without the path's slash `http://nas` would
            also allow `http://nas.example.com`.
    """
    prefixes = tuple(part for part in (piece.strip() for piece in text.split(",")) if part)
    for prefix in prefixes:
        parts = urlsplit(prefix)
        if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.startswith("/"):
            raise ValueError(f"must be URLs like http://192.168.1.5:8123/api/webhook/, is {prefix[:80]!r}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(f"must have no user, query or fragment, is {prefix[:80]!r}")
    return prefixes


def allowed(url: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a webhook's URL begins with one of the prefixes, and means what it looks like."""
    if "\\" in url or any(ord(character) < 33 or ord(character) == 127 for character in url) or "/../" in url:
        return False
    return any(url.startswith(prefix) for prefix in prefixes)
