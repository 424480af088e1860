"""What everything about accounts shares: the lists in memory, and the one way to change them: first on disk, then in
memory, one change after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import trio

from growy.model.accounts import ApiKey, Session, User
from growy.store import AccountBatch, Store
from growy.web.accounts.directory import Directory
from growy.web.accounts.keys import Keys
from growy.web.accounts.lockout import Lockout
from growy.web.accounts.passwords import Hasher
from growy.web.accounts.sessions import Sessions
from growy.web.accounts.tokens import Signer
from growy.web.accounts.trail import Trail


@attrs.define(eq=False, kw_only=True)
class Core:
    """Trio thread only."""

    store: Store
    users: Directory
    sessions: Sessions
    keys: Keys
    lockout: Lockout
    signer: Signer
    trail: Trail
    wall_ms: Callable[[], int]
    hasher: Hasher = attrs.field(factory=Hasher)
    turn: trio.Lock = attrs.field(factory=trio.Lock)
    """Held from the question whether something may be done until it is done: of two first administrators, of two
    refreshes with one token, only one succeeds."""

    async def change(
        self,
        *,
        user: User | None = None,
        deleted_user: int | None = None,
        session: Session | None = None,
        ended: list[str] | None = None,
        key: ApiKey | None = None,
        deleted_keys: Sequence[str] = (),
    ) -> None:
        """Under `turn`. Raises StoreError: nothing is changed."""
        ended = list(ended or ())
        if deleted_user is not None:
            ended += [one.id for one in self.sessions.of_user(deleted_user)]
        with trio.CancelScope(
            shield=True
        ):  # what is on disk counts in memory too, also when nobody waits any more
            await self.store.write_accounts(
                AccountBatch(
                    users=() if user is None else (user,),
                    deleted_users=() if deleted_user is None else (deleted_user,),
                    sessions=() if session is None else (session,),
                    ended_sessions=ended,
                    keys=() if key is None else (key,),
                    deleted_keys=deleted_keys,
                )
            )
        self.sessions.end(ended)
        if user is not None:
            self.users.put(user)
        if deleted_user is not None:
            self.users.remove(deleted_user)
        if session is not None:
            self.sessions.put(session)
        if key is not None:
            self.keys.put(key)
        for name in deleted_keys:
            self.keys.remove(name)
