"""API keys: what devices and scripts show instead of logging in. Known by their hash alone: whoever can read the
database cannot use one."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator

import attrs

from growy.model.errors import Duplicate, Invalid, NotFound, Unauthorized
from growy.model.people import Caller, CallerKind, Role, Scope
from growy.web.gate import NOT_VALID, Admission

PREFIX = "growy_"
KEY_BYTES = 32
"""Random bytes of a key: nobody guesses it, so a fast hash is enough."""
MOST_KEYS = 500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")


@attrs.frozen(kw_only=True)
class ApiKey:
    """One key, without its secret."""

    name: str
    digest: str
    """SHA-256 of the secret, hexadecimal."""
    role: Role
    scopes: frozenset[Scope] | None = None
    """None: everything that its role may."""
    created_ms: int = 0

    @property
    def caller(self) -> Caller:
        return Caller(self.name, self.role, CallerKind.KEY, self.scopes)


@attrs.define(eq=False)
class _Held:
    key: ApiKey
    admission: Admission


class Keys:
    """The keys that count now."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._by_digest: dict[str, _Held] = {}
        for key in keys:
            self.add(key)

    def __iter__(self) -> Iterator[ApiKey]:
        return iter([held.key for held in self._by_digest.values()])

    def add(self, key: ApiKey) -> None:
        self._by_digest[key.digest] = _Held(key, Admission(key.caller))

    def remove(self, name: str) -> ApiKey:
        """It counts no longer, and what it has open ends. Raises NotFound."""
        for digest, held in self._by_digest.items():
            if held.key.name == name:
                del self._by_digest[digest]
                held.admission.ended.set()
                return held.key
        raise NotFound(f"There is no API key {name[:64]!r}")

    def admission(self, secret: str) -> Admission:
        """Raises Unauthorized. Looked up by its hash: how long that takes tells nothing about other keys."""
        held = self._by_digest.get(digest_of(secret))
        if held is None:
            raise Unauthorized(NOT_VALID)
        return held.admission

    def check_new(self, name: str) -> None:
        """Raises Invalid, Duplicate."""
        if not _NAME.fullmatch(name):
            raise Invalid("A key's name has 1 to 50 letters, digits and _.-")
        if any(held.key.name == name for held in self._by_digest.values()):
            raise Duplicate(
                f"There is an API key {name} already", cure="Remove it first, or take another name"
            )
        if len(self._by_digest) >= MOST_KEYS:
            raise Invalid(f"There are {MOST_KEYS} API keys already", cure="Remove those that nobody uses")


def new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
