"""Sets up and takes away logins of the Mosquitto beside us, one at a time, and remembers what was set up last.

A password must never leave here but as a hash in the password file and in CONNECT to the broker itself: not into a log,
an error or the audit trail.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import msgspec
import trio

from growy.broker import password_file
from growy.broker.engine import Endpoint
from growy.broker.knock import Login, lets_in
from growy.broker.login_change import LoginChange
from growy.broker.mosquitto import Mosquitto
from growy.model.audit import AuditEntry, AuditSeverity, AuditSource
from growy.model.errors import (
    BrokerError,
    GrowyError,
    LoginNotChanged,
    NotFound,
    NotSupported,
    OwnLogin,
    StoreError,
)
from growy.ops.log import get_log

log = get_log(__name__)

REMEMBERED = "broker.login"
"""Key among the store's small facts: what was set up last."""
PATIENCE_S = 10.0
"""How long Mosquitto may take to read its file: it needs a tenth of a second, systemd a second to tell it."""
ANONYMOUS = (
    "The broker still lets in clients without any login: set allow_anonymous false in mosquitto.conf, "
    "once all devices and growyd itself have one"
)


class Remembered(msgspec.Struct, frozen=True):
    """What was set up last; it outlives a restart. Never a password."""

    username: str
    enabled: bool
    at_ms: int


@attrs.frozen
class Done:
    """A login that was changed, and proven to be."""

    username: str
    enabled: bool
    warnings: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class LoginStatus:
    """Where it stands."""

    username: str | None
    """Set up last; None: growyd has set up none."""
    enabled: bool
    """It can log in, as the password file says; where that cannot be read, as it was set up."""
    password_file_exists: bool
    broker_connected: bool
    """growyd's own connection."""
    last_configured_ms: int | None


class BrokerLogins:
    """One change at a time; made by the daemon.

    Args:
        endpoint: the broker, and growyd's own login there, as the settings have it.
        mosquitto: its files; None: the broker is no Mosquitto (the embedded one).
        remembered: what `remember` was given last.
        remember: writes that down. Raises StoreError.
        note: for the audit trail.
        connected: whether growyd itself is connected.
        wall_ms: the time of day, Unix ms.
        patience_s: how long Mosquitto may take to read its file.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        mosquitto: Mosquitto | None,
        *,
        remembered: str | None,
        remember: Callable[[str], Awaitable[None]],
        note: Callable[[AuditEntry], None],
        connected: Callable[[], bool],
        wall_ms: Callable[[], int],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._endpoint = endpoint
        self._mosquitto = mosquitto
        self._remembered = _recall(remembered)
        self._remember = remember
        self._note = note
        self._connected = connected
        self._wall_ms = wall_ms
        self._patience_s = patience_s
        self._turn = trio.Lock()

    async def enable(self, username: str, password: str, *, by: str) -> Done:
        """Let this user in with this password, and with no other.

        Raises:
            Invalid: such a name or password no Mosquitto or device would take.
            OwnLogin: growyd itself logs in as this user, with another password.
            NotSupported: the broker is no Mosquitto.
            LoginNotChanged: it is as it was before; the message says why.
            LoginUncertain: it may not be.
        """
        password_file.check_username(username)
        password_file.check_password(password)
        if username == self._endpoint.username and password != self._endpoint.password:
            raise OwnLogin(
                f"growyd itself logs in to the broker as {username}: with another password it would be shut out",
                cure="Write the new password into [broker] url, restart growyd, then set it up here",
            )
        return await self._change(
            username, partial(self._enabling, Login(username, password)), by, enabled=True
        )

    async def disable(self, username: str, *, by: str) -> Done:
        """Let this user in no more: the line is taken out of the file, and who is connected is thrown out.

        Raises:
            NotFound: there is no such user.
            OwnLogin, NotSupported, Invalid, LoginNotChanged, LoginUncertain: as for `enable`.
        """
        password_file.check_username(username)
        if username == self._endpoint.username:
            raise OwnLogin(f"growyd itself logs in to the broker as {username}: it would be shut out")
        return await self._change(username, partial(self._disabling, username), by, enabled=False)

    @property
    def in_use(self) -> bool:
        """The login that was set up last has not been taken away. Of what is remembered: reads no file."""
        return self._remembered is not None and self._remembered.enabled

    async def status(self) -> LoginStatus:
        """What was set up last, and whether it is still so."""
        last, exists, names = self._remembered, False, None
        if self._mosquitto is not None:
            exists = await trio.to_thread.run_sync(self._mosquitto.exists)
            try:
                names = password_file.users(await trio.to_thread.run_sync(self._mosquitto.read))
            except LoginNotChanged:
                names = None
        username = last.username if last else None
        return LoginStatus(
            username=username,
            enabled=(last.enabled if last else False) if names is None else username in names,
            password_file_exists=exists,
            broker_connected=self._connected(),
            last_configured_ms=last.at_ms if last else None,
        )

    # -- one change ------------------------------------------------------------------------------------------------

    async def _change(
        self, username: str, how: Callable[[Mosquitto], Awaitable[None]], by: str, *, enabled: bool
    ) -> Done:
        if self._mosquitto is None:
            raise NotSupported(
                "The embedded broker has no logins", cure="Use Mosquitto: docs/operations.md says how"
            )
        async with self._turn:
            try:
                await how(self._mosquitto)
            except GrowyError as error:
                self._tell(username, by, enabled=enabled, error=error)
                raise
            self._tell(username, by, enabled=enabled)
            await self._keep(Remembered(username, enabled, self._wall_ms()))
        return Done(username, enabled, (ANONYMOUS,) if await self._open_to_all() else ())

    async def _enabling(self, login: Login, mosquitto: Mosquitto) -> None:
        async with self._begin(mosquitto, login) as change:
            await change.put(await trio.to_thread.run_sync(_with_login, change.before, login))
            await change.prove(wanted=True)

    async def _disabling(self, username: str, mosquitto: Mosquitto) -> None:
        # That somebody is refused proves nothing while the broker may not have read the file. So the user first gets a
        # password that nobody knows; when that one is let in, the old one is void, and only then the line goes. A crash
        # between the two leaves a user whose password nobody knows.
        nobody = Login(username, secrets.token_urlsafe(24))
        async with self._begin(mosquitto, nobody) as change:
            if username not in password_file.users(change.before):
                raise NotFound(f"The broker has no login {username}")
            changed = await trio.to_thread.run_sync(_with_login, change.before, nobody)
            await change.put(changed)
            await change.prove(wanted=True)
            await change.put(password_file.without_user(changed, username))
            await change.prove(wanted=False)

    def _begin(self, mosquitto: Mosquitto, login: Login) -> LoginChange:
        return LoginChange(mosquitto, self._endpoint, login, self._patience_s)

    async def _open_to_all(self) -> bool:
        try:
            return await lets_in(self._endpoint, None)
        except BrokerError:
            return False

    # -- what is kept of it ----------------------------------------------------------------------------------------

    async def _keep(self, facts: Remembered) -> None:
        self._remembered = facts
        try:
            await self._remember(msgspec.json.encode(facts).decode())
        except StoreError as error:
            # The login is set up all the same; to undo it for this would be worse.
            log.warning("when the broker's login was set up is not written down", error=str(error))

    def _tell(self, username: str, by: str, *, enabled: bool, error: GrowyError | None = None) -> None:
        what = f"The broker's login {username} was {'set up' if enabled else 'taken away'}"
        failed = f"The broker's login {username} could not be {'set up' if enabled else 'taken away'}"
        self._note(
            AuditEntry(
                ts_ms=self._wall_ms(),
                event_type="mqtt_login_changed",
                severity=AuditSeverity.INFO if error is None else AuditSeverity.ERROR,
                source_type=AuditSource.USER,
                source_id=username,
                status="success" if error is None else "failed",
                message=what if error is None else f"{failed}: {error.message}",
                details={"by": by, "enabled": enabled},
                error_code="" if error is None else error.code,
            )
        )


def _with_login(content: bytes, login: Login) -> bytes:
    """The same file when the user has this password already: a new salt would change nothing but the file."""
    if password_file.matches(content, login.username, login.password):
        return content
    return password_file.with_user(content, login.username, password_file.hash_of(login.password))


def _recall(text: str | None) -> Remembered | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Remembered)
    except msgspec.DecodeError:
        log.warning("what was set up last of the broker's logins cannot be read")
        return None
