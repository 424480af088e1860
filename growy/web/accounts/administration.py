"""What administrators do with users and API keys, and users with their own password."""

from __future__ import annotations

import attrs

from growy.model.accounts import ApiKey, User
from growy.model.people import Caller, Peer, Role, Scope
from growy.web.accounts.core import Core
from growy.web.accounts.keys import digest_of, new_secret
from growy.web.accounts.passwords import check_password


@attrs.frozen(kw_only=True)
class UserEdit:
    """What shall be different; None: stays as it is."""

    email: str | None = None
    full_name: str | None = None
    role: Role | None = None
    active: bool | None = None


class Administration:
    """Trio thread only. `caller` is who does it, for the audit trail: the gate has let them in."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def users(self) -> list[User]:
        return list(self._core.users)

    def user(self, user_id: int) -> User:
        """Raises NotFound."""
        return self._core.users.need(user_id)

    async def add_user(
        self,
        username: str,
        email: str | None,
        full_name: str,
        password: str,
        role: Role,
        *,
        caller: Caller,
        peer: Peer | None = None,
    ) -> User:
        """Raises Invalid, Duplicate, TooManyAttempts, StoreError."""
        core = self._core
        check_password(password, names=(username, email or "", full_name))
        kept = await core.hasher.hash(password)
        async with core.turn:
            now_ms = core.wall_ms()
            user = User(
                id=core.users.next_id(),
                username=username,
                email=email,
                full_name=full_name,
                role=role,
                password=kept,
                created_ms=now_ms,
                updated_ms=now_ms,
            )
            core.users.check(user)
            await core.change(user=user)
        text = f"{username} has an account as {role.value}"
        core.trail.done("user_created", username, text, caller.by, peer)
        return user

    async def edit_user(self, user_id: int, edit: UserEdit, *, caller: Caller, peer: Peer) -> User:
        """A role counts at once; who is no longer active is logged out.

        Raises NotFound, Invalid, Duplicate, StoreError.
        """
        core = self._core
        async with core.turn:
            before = core.users.need(user_id)
            user = attrs.evolve(
                before,
                email=before.email if edit.email is None else edit.email or None,
                full_name=before.full_name if edit.full_name is None else edit.full_name,
                role=edit.role or before.role,
                active=before.active if edit.active is None else edit.active,
                updated_ms=core.wall_ms(),
            )
            core.users.check(user)
            if user.role is not Role.ADMIN or not user.active:
                core.users.check_leaves_admin(user_id)
            ended = [] if user.active else [one.id for one in core.sessions.of_user(user_id)]
            await core.change(user=user, ended=ended)
            if user.role is not before.role:
                core.sessions.look_again(user_id)
        text = f"{user.username} is {user.role.value}" + ("" if user.active else ", and may not log in")
        core.trail.done("user_changed", user.username, text, caller.by, peer)
        return user

    async def delete_user(
        self, user_id: int, *, with_keys: bool = False, caller: Caller, peer: Peer
    ) -> tuple[User, list[ApiKey]]:
        """The user, and the API keys that the user had made: they go too `with_keys`, or go on counting, because
        devices may live by them. Raises NotFound, Invalid, StoreError."""
        core = self._core
        async with core.turn:
            user = core.users.need(user_id)
            core.users.check_leaves_admin(user_id)
            keys = core.keys.made_by(_by(user))
            await core.change(
                deleted_user=user_id, deleted_keys=[key.name for key in keys] if with_keys else ()
            )
        core.lockout.forgive(user.username.lower())
        core.trail.done("user_deleted", user.username, f"{user.username} was deleted", caller.by, peer)
        for key in keys if with_keys else ():
            self._key_removed(key, caller, peer)
        return user, keys

    def keys_beyond(self, user: User) -> list[ApiKey]:
        """Those that the user made and that may do more than the user may now."""
        may = user.role if user.active else None
        made = self._core.keys.made_by(_by(user))
        return [key for key in made if may is None or key.role > may]

    async def set_password(self, user_id: int, password: str, *, caller: Caller, peer: Peer) -> User:
        """All sessions of the user end, but for the one that asks. Raises NotFound, Invalid, StoreError."""
        core = self._core
        user = core.users.need(user_id)
        check_password(password, names=(user.username, user.email or "", user.full_name))
        kept = await core.hasher.hash(password)
        async with core.turn:
            user = attrs.evolve(core.users.need(user_id), password=kept, updated_ms=core.wall_ms())
            ended = [one.id for one in core.sessions.of_user(user_id) if one.id != caller.session]
            await core.change(user=user, ended=ended)
        core.lockout.forgive(user.username.lower())
        text = f"{user.username} has a new password"
        core.trail.done("user_changed", user.username, text, caller.by, peer)
        return user

    def api_keys(self) -> list[ApiKey]:
        return self._core.keys.all()

    async def add_key(
        self,
        name: str,
        role: Role,
        scopes: frozenset[Scope] | None = None,
        *,
        caller: Caller,
        peer: Peer | None = None,
    ) -> tuple[str, ApiKey]:
        """The secret, which is told this once, and the key. Raises Invalid, Duplicate, StoreError."""
        core = self._core
        async with core.turn:
            core.keys.check_new(name)
            secret = new_secret()
            key = ApiKey(
                name=name,
                digest=digest_of(secret),
                role=role,
                scopes=scopes,
                created_ms=core.wall_ms(),
                created_by=caller.by,
            )
            await core.change(key=key)
        core.trail.done("key_created", name, f"API key {name} as {role.value}", caller.by, peer)
        return secret, key

    async def remove_key(self, name: str, *, caller: Caller, peer: Peer | None = None) -> ApiKey:
        """It counts no longer, at once. Raises NotFound, StoreError."""
        core = self._core
        async with core.turn:
            key = core.keys.get(name)
            await core.change(deleted_keys=(name,))
        self._key_removed(key, caller, peer)
        return key

    def _key_removed(self, key: ApiKey, caller: Caller, peer: Peer | None) -> None:
        text = f"API key {key.name} was removed"
        self._core.trail.done("token_revoked", key.name, text, caller.by, peer)


def _by(user: User) -> str:
    return user.caller("").by
