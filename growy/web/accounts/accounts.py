"""Who has an account here: people, their sessions, and the keys of devices and scripts. Admits from memory; what it
changes is on disk before it counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from growy.model.audit import AuditEntry
from growy.model.errors import StoreError, Unauthorized
from growy.model.people import Caller, Peer
from growy.ops.log import get_log
from growy.store import AccountBatch, Store
from growy.web.accounts.administration import Administration
from growy.web.accounts.core import Core
from growy.web.accounts.directory import Directory
from growy.web.accounts.keys import PREFIX, Keys
from growy.web.accounts.lockout import Lockout
from growy.web.accounts.logins import Logins
from growy.web.accounts.sessions import Sessions
from growy.web.accounts.tokens import Signer, signing_key
from growy.web.accounts.trail import Trail
from growy.web.gate import Admission

log = get_log(__name__)

STRIKES_S = 1.0
"""Failed logins are on the card so much later, together."""
REMIND_S = 3.0
"""So long after the start the log says that there is no user: who makes one at once needs no reminder."""
TIDY_S = 900.0
"""Last uses of keys are written, and sessions that are over deleted, so often."""


@attrs.frozen(kw_only=True)
class AccountStatistics:
    """As of now."""

    users: int
    sessions: int
    api_keys: int
    setup_required: bool
    refusals_left_out: int
    """Wrong passwords, keys and the like beyond those that the audit trail has."""


class Accounts:
    """The accounts of this node; see `open_accounts`. Trio thread only."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.logins = Logins(core)
        self.administration = Administration(core)

    def of_token(self, token: str, peer: Peer) -> Admission:
        """Of an access token; or of a key, from programs that know no header but Authorization.

        Raises Unauthorized, TokenExpired.
        """
        if token.startswith(PREFIX):
            return self.of_key(token, peer)
        return self._core.sessions.admission(token)

    def of_key(self, key: str, peer: Peer) -> Admission:
        """Raises Unauthorized."""
        try:
            return self._core.keys.admission(key, self._core.wall_ms())
        except Unauthorized:
            self._core.trail.refused("api_key_invalid", "", "A wrong API key was used", "", peer)
            raise

    def denied(self, caller: Caller, what: str, peer: Peer) -> None:
        """Somebody asked for what they may not do."""
        text = f"{caller.by} may not call {what}"
        self._core.trail.refused("permission_denied", caller.name, text, caller.by, peer)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Writes what no answer waits for. A disk that refuses only delays it."""
        task_status.started()
        began = trio.current_time()
        tidy_at, reminded = began + TIDY_S, False
        while True:
            await trio.sleep(STRIKES_S)
            if not reminded and trio.current_time() >= began + REMIND_S:
                reminded = True
                self._remind()
            try:
                await self.logins.write_strikes()
                if trio.current_time() >= tidy_at:
                    tidy_at = trio.current_time() + TIDY_S
                    await self.tidy()
            except StoreError as error:
                log.once_per("accounts not written").warning("accounts not written", error=str(error))

    def _remind(self) -> None:
        if self.logins.setup_required:
            log.warning(
                "no user yet: make the first one with `growyd user add NAME`, or in the browser with the setup code",
                setup_code=self.logins.setup_code,
            )

    async def tidy(self) -> None:
        """Writes the last uses of keys, and ends the sessions whose time is over. Raises StoreError."""
        core = self._core
        async with core.turn:
            used, over = core.keys.used(), core.sessions.over()
            await core.store.write_accounts(AccountBatch(keys=used, ended_sessions=over))
            core.keys.written(used)
            core.sessions.end(over)

    async def flush(self) -> None:
        """For the stop."""
        try:
            await self.logins.write_strikes()
            await self.tidy()
        except StoreError as error:
            log.warning("accounts not written", error=str(error))

    def statistics(self) -> AccountStatistics:
        core = self._core
        return AccountStatistics(
            users=len(core.users),
            sessions=len(core.sessions),
            api_keys=len(core.keys.all()),
            setup_required=self.logins.setup_required,
            refusals_left_out=core.trail.left_out,
        )


async def open_accounts(
    store: Store, folder: Path, *, note: Callable[[AuditEntry], None], wall_ms: Callable[[], int]
) -> Accounts:
    """The accounts that are stored.

    Args:
        folder: of the key that tokens are signed with; it is made there.
        note: of the audit trail.
        wall_ms: Unix ms.

    Raises:
        ConfigError: the key cannot be used.
        StoreError.
    """
    rows = await store.account_rows()
    signer = Signer(await trio.to_thread.run_sync(signing_key, folder))
    users = Directory(rows.users, rows.last_user_id)
    return Accounts(
        Core(
            store=store,
            users=users,
            sessions=Sessions(signer, users, rows.sessions, wall_ms),
            keys=Keys(rows.keys),
            lockout=Lockout(rows.strikes),
            signer=signer,
            trail=Trail(note, wall_ms),
            wall_ms=wall_ms,
        )
    )
