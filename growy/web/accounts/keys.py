"""API keys: what devices and scripts show instead of logging in. Known by their hash alone: whoever can read the
database cannot use one."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable

import attrs

from growy.model.accounts import ApiKey
from growy.model.errors import Duplicate, Invalid, NotFound, Unauthorized
from growy.web.gate import NOT_VALID, Admission

PREFIX = "growy_"
KEY_BYTES = 32
"""Random bytes of a key: nobody guesses it, so a fast hash is enough."""
MOST_KEYS = 500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")


@attrs.define(eq=False)
class _Held:
    key: ApiKey
    admission: Admission
    used_ms: int | None

    @property
    def now(self) -> ApiKey:
        return attrs.evolve(self.key, last_used_ms=self.used_ms)


class Keys:
    """The keys that count now. Trio thread only."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._by_digest: dict[str, _Held] = {}
        for key in keys:
            self.put(key)

    def all(self) -> list[ApiKey]:
        """By name."""
        return sorted((held.now for held in self._by_digest.values()), key=lambda key: key.name)

    def made_by(self, by: str) -> list[ApiKey]:
        """Those that somebody made, by name. `by` as `Caller.by` names them."""
        return [key for key in self.all() if key.created_by == by]

    def get(self, name: str) -> ApiKey:
        """Raises NotFound."""
        for key in self.all():
            if key.name == name:
                return key
        raise NotFound(f"There is no API key {name[:64]!r}")

    def put(self, key: ApiKey) -> None:
        self._by_digest[key.digest] = _Held(key, Admission(key.caller), key.last_used_ms)

    def remove(self, name: str) -> None:
        """It counts no longer, and what it has open ends. Raises NotFound."""
        self._by_digest.pop(self.get(name).digest).admission.ended.set()

    def admission(self, secret: str, now_ms: int) -> Admission:
        """Raises Unauthorized. Looked up by its hash: how long that takes tells nothing about other keys."""
        held = self._by_digest.get(digest_of(secret))
        if held is None:
            raise Unauthorized(NOT_VALID)
        held.used_ms = now_ms
        return held.admission

    def used(self) -> list[ApiKey]:
        """Those whose last use the card does not know."""
        return [held.now for held in self._by_digest.values() if held.used_ms != held.key.last_used_ms]

    def written(self, keys: Iterable[ApiKey]) -> None:
        for key in keys:
            if (held := self._by_digest.get(key.digest)) is not None:
                held.key = key

    def check_new(self, name: str) -> None:
        """Raises Invalid, Duplicate."""
        if not _NAME.fullmatch(name):
            raise Invalid("A key's name has 1 to 50 letters, digits and _.-")
        if any(key.name == name for key in self.all()):
            raise Duplicate(
                f"There is an API key {name} already", cure="Remove it first, or take another name"
            )
        if len(self._by_digest) >= MOST_KEYS:
            raise Invalid(f"There are {MOST_KEYS} API keys already", cure="Remove those that nobody uses")


def new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
