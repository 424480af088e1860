"""Accounts in growy.db: users, sessions, API keys, and failed logins. Rare writes; all are read once, at the start.

What is revoked is deleted: a session that is not here counts no longer, so that no list of revoked tokens has to grow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import apsw
import attrs
import msgspec

from growy.model.accounts import ApiKey, Session, Strikes, User
from growy.model.people import Role, Scope


@attrs.frozen(kw_only=True)
class AccountBatch:
    """What is written together. Rows are inserted or replaced; deletions come first."""

    users: Sequence[User] = ()
    deleted_users: Collection[int] = ()
    """With their sessions."""
    sessions: Sequence[Session] = ()
    ended_sessions: Collection[str] = ()
    keys: Sequence[ApiKey] = ()
    deleted_keys: Collection[str] = ()
    strikes: Mapping[str, Strikes | None] = attrs.field(factory=dict)
    """By user name; None: there are none any more."""

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in attrs.fields(AccountBatch))


@attrs.frozen(kw_only=True)
class AccountRows:
    """All that is stored."""

    users: tuple[User, ...] = ()
    last_user_id: int = 0
    """Highest that was ever given."""
    sessions: tuple[Session, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    strikes: Mapping[str, Strikes] = attrs.field(factory=dict)


def write_accounts(db: apsw.Connection, batch: AccountBatch) -> None:
    """Inside the caller's transaction."""
    for user_id in batch.deleted_users:
        db.execute("DELETE FROM sessions WHERE user_id = ?", (user_id,))
        db.execute("DELETE FROM users WHERE id = ?", (user_id,))
    db.executemany("DELETE FROM sessions WHERE id = ?", [(one,) for one in batch.ended_sessions])
    db.executemany("DELETE FROM api_keys WHERE name = ?", [(one,) for one in batch.deleted_keys])
    db.executemany(
        "INSERT INTO users (id, username, email, full_name, role, active, password, token_version, created_ms,"
        " updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " username = excluded.username, email = excluded.email, full_name = excluded.full_name,"
        " role = excluded.role, active = excluded.active, password = excluded.password,"
        " token_version = excluded.token_version, updated_ms = excluded.updated_ms",
        [
            (
                user.id,
                user.username,
                user.email,
                user.full_name,
                user.role.value,
                int(user.active),
                user.password,
                user.token_version,
                user.created_ms,
                user.updated_ms,
            )
            for user in batch.users
        ],
    )
    db.executemany(
        "INSERT OR REPLACE INTO sessions (id, user_id, refresh, created_ms, expires_ms, keep_ms, peer)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [attrs.astuple(session) for session in batch.sessions],
    )
    db.executemany(
        "INSERT OR REPLACE INTO api_keys (name, digest, role, scopes, created_ms, created_by, last_used_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                key.name,
                key.digest,
                key.role.value,
                _scopes_text(key.scopes),
                key.created_ms,
                key.created_by,
                key.last_used_ms,
            )
            for key in batch.keys
        ],
    )
    for username, strikes in batch.strikes.items():
        db.execute("DELETE FROM login_failures WHERE username = ?", (username,))
        if strikes is not None:
            db.execute(
                "INSERT INTO login_failures (username, failures, last_ms) VALUES (?, ?, ?)",
                (username, strikes.failures, strikes.last_ms),
            )


def read_accounts(db: apsw.Connection) -> AccountRows:
    users = tuple(
        User(
            id=user_id,
            username=username,
            email=email,
            full_name=full_name,
            role=Role(role),
            active=bool(active),
            password=password,
            token_version=version,
            created_ms=created_ms,
            updated_ms=updated_ms,
        )
        for (
            user_id,
            username,
            email,
            full_name,
            role,
            active,
            password,
            version,
            created_ms,
            updated_ms,
        ) in db.execute(
            "SELECT id, username, email, full_name, role, active, password, token_version, created_ms, updated_ms"
            " FROM users ORDER BY id"
        )
    )
    last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'users'").fetchone()
    sessions = tuple(
        Session(**dict(zip((field.name for field in attrs.fields(Session)), row, strict=True)))
        for row in db.execute(
            "SELECT id, user_id, refresh, created_ms, expires_ms, keep_ms, peer FROM sessions ORDER BY created_ms, id"
        )
    )
    keys = tuple(
        ApiKey(
            name=name,
            digest=digest,
            role=Role(role),
            scopes=_scopes_of(scopes),
            created_ms=created_ms,
            created_by=created_by,
            last_used_ms=last_used_ms,
        )
        for name, digest, role, scopes, created_ms, created_by, last_used_ms in db.execute(
            "SELECT name, digest, role, scopes, created_ms, created_by, last_used_ms FROM api_keys ORDER BY name"
        )
    )
    strikes = {
        username: Strikes(failures, last_ms)
        for username, failures, last_ms in db.execute(
            "SELECT username, failures, last_ms FROM login_failures"
        )
    }
    return AccountRows(
        users=users,
        last_user_id=0 if last is None else last[0],
        sessions=sessions,
        keys=keys,
        strikes=strikes,
    )


def _scopes_text(scopes: frozenset[Scope] | None) -> str | None:
    return None if scopes is None else msgspec.json.encode(sorted(scope.value for scope in scopes)).decode()


def _scopes_of(text: str | None) -> frozenset[Scope] | None:
    """A scope that only a newer growyd knows admits to nothing here."""
    if text is None:
        return None
    known = {scope.value: scope for scope in Scope}
    return frozenset(known[word] for word in msgspec.json.decode(text, type=list[str]) if word in known)
