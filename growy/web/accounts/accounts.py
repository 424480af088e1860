"""Who has an account here. Admits from memory; what it changes is on disk before it counts."""

from __future__ import annotations

from collections.abc import Callable

from growy.model.errors import Unauthorized
from growy.model.people import Role, Scope
from growy.web.accounts.keys import ApiKey, Keys, digest_of, new_secret
from growy.web.gate import NOT_VALID, Admission, Peer


class Accounts:
    """The accounts of this node. Trio thread only."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self.keys = Keys()

    def of_token(self, token: str, peer: Peer) -> Admission:
        """Raises Unauthorized."""
        raise Unauthorized(NOT_VALID)

    def of_key(self, key: str, peer: Peer) -> Admission:
        """Raises Unauthorized."""
        return self.keys.admission(key)

    async def add_key(self, name: str, role: Role, scopes: frozenset[Scope] | None = None) -> str:
        """A new key; the secret is told this once. Raises Invalid, Duplicate."""
        self.keys.check_new(name)
        secret = new_secret()
        self.keys.add(
            ApiKey(name=name, digest=digest_of(secret), role=role, scopes=scopes, created_ms=self._wall_ms())
        )
        return secret
