"""Accounts as they are kept: users, their sessions, API keys, and who guessed wrong. Values only.

Nothing here can be used to log in: of passwords and keys only hashes are kept, of refresh tokens only their number.
"""

from __future__ import annotations

import attrs

from growy.model.people import Caller, CallerKind, Role, Scope


@attrs.frozen(kw_only=True)
class User:
    """Somebody who can log in. Times are Unix ms."""

    id: int
    """Never given twice."""
    username: str
    email: str | None
    full_name: str
    role: Role
    active: bool = True
    password: str = attrs.field(repr=False)
    """Argon2 hash in the PHC form, with its parameters."""
    token_version: int = 1
    """Tokens of an earlier version count no longer."""
    created_ms: int
    updated_ms: int

    def caller(self, session: str) -> Caller:
        return Caller(self.username, self.role, CallerKind.USER, user_id=self.id, session=session)


@attrs.frozen(kw_only=True)
class Session:
    """One login, with all refresh tokens that descend from it."""

    id: str
    user_id: int
    refresh: str
    """Number of the newest refresh token: the only one that counts."""
    created_ms: int
    expires_ms: int
    """When it ends unless it is refreshed before."""
    keep_ms: int
    """How long a refresh makes it last."""
    peer: str
    """Address that logged in."""


@attrs.frozen(kw_only=True)
class ApiKey:
    """A key of a device or a script, without its secret."""

    name: str
    digest: str = attrs.field(repr=False)
    """SHA-256 of the secret, hexadecimal."""
    role: Role
    scopes: frozenset[Scope] | None = None
    """None: everything that its role may."""
    created_ms: int
    created_by: str = ""
    last_used_ms: int | None = None

    @property
    def caller(self) -> Caller:
        return Caller(self.name, self.role, CallerKind.KEY, self.scopes)


@attrs.frozen
class Strikes:
    """Attempts to log in that failed, since the last that did not."""

    failures: int
    last_ms: int
