"""Logging in and out, the first administrator, and the tokens in between."""

from __future__ import annotations

import hmac
import math
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from growy.model.accounts import Session, User
from growy.model.errors import AccessDenied, InvalidCredentials, TooManyAttempts, Unauthorized
from growy.model.people import Caller, Peer, Role
from growy.store import AccountBatch
from growy.web.accounts.core import Core
from growy.web.accounts.lockout import place_of, shared
from growy.web.accounts.passwords import MOST_WAITING, check_password, outdated
from growy.web.accounts.sessions import REVOKED
from growy.web.accounts.tokens import Claims, TokenKind
from growy.web.gate import NOT_VALID

ACCESS_S = 1800
REFRESH_S = 7 * 86_400
REMEMBERED_S = 30 * 86_400
"""A session that shall be remembered lasts so long without being used."""
AT_ONCE = 2
"""Logins of one address that are under way: the others keep room."""
SHARED_AT_ONCE = MOST_WAITING // 2
"""Of all addresses together that many may share: half of the room, so that a crowd behind a proxy leaves the other."""
UNKNOWN = "an unknown name"
"""In the audit trail, which viewers read: people type their password where the name belongs."""
SETUP = ""
"""Guesses at the setup code are counted under this name, which no user can have."""
NOBODY = "Name or password is wrong"


@attrs.frozen
class Tokens:
    access: str = attrs.field(repr=False)
    refresh: str = attrs.field(repr=False)
    expires_s: int = ACCESS_S


class Logins:
    """Trio thread only."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._under_way: Counter[str] = Counter()
        self.setup_code = secrets.token_hex(8)
        """Whoever sets up the first administrator otherwise than through the unix socket must know it: growyd's log and
        `growyd status` have it."""

    async def login(self, name: str, password: str, *, remember: bool, peer: Peer) -> tuple[Tokens, User]:
        """By user name or e-mail.

        Raises:
            InvalidCredentials: one of them is wrong.
            TooManyAttempts: not yet.
            StoreError.
        """
        core = self._core
        typed = name.strip().lower()
        user = core.users.find(typed)
        account = typed if user is None else user.username.lower()
        with self._attempt(account, user, peer):
            fits = await core.hasher.verify(None if user is None else user.password, password)
            async with core.turn:
                now = None if user is None else core.users.get(user.id)
                if not fits or user is None or now is None or not now.active or now.password != user.password:
                    whose = UNKNOWN if user is None else account
                    core.trail.refused("login_failed", whose, "Name or password was wrong", "", peer)
                    raise InvalidCredentials(NOBODY)
                if outdated(now.password):
                    now = attrs.evolve(now, password=await core.hasher.hash(password))
                tokens = await self._begin(now, remember, peer)
        self._succeeded(account, peer)
        core.trail.done("login_success", now.username, f"{now.username} has logged in", _by(now), peer)
        return tokens, now

    async def confirm(self, user: User, password: str, peer: Peer) -> None:
        """That it is really the user who asks. Raises InvalidCredentials, TooManyAttempts."""
        account = user.username.lower()
        with self._attempt(account, user, peer):
            if not await self._core.hasher.verify(user.password, password):
                self._core.trail.refused(
                    "login_failed", account, "The current password was wrong", _by(user), peer
                )
                raise InvalidCredentials("The password is wrong")
        self._succeeded(account, peer)

    @property
    def setup_required(self) -> bool:
        return not len(self._core.users)

    def needs_code(self, peer: Peer) -> bool:
        """Whether a first administrator from there needs the code: everywhere but on the unix socket. An address of
        this machine says nothing: a proxy here that adds no header has it, too."""
        return not peer.trusted

    async def setup(
        self, username: str, email: str | None, full_name: str, password: str, *, code: str, peer: Peer
    ) -> tuple[Tokens, User]:
        """The first administrator, of whom there is one however many ask at once.

        Raises:
            AccessDenied: there are users already, or the code is wrong.
            TooManyAttempts, Invalid, StoreError.
        """
        core = self._core
        self._check_setup()
        if self.needs_code(peer):
            self._check_code(code, peer)
        check_password(password, names=(username, email or "", full_name))
        kept = await core.hasher.hash(password)
        async with core.turn:
            self._check_setup()
            now_ms = core.wall_ms()
            user = User(
                id=core.users.next_id(),
                username=username,
                email=email,
                full_name=full_name,
                role=Role.ADMIN,
                password=kept,
                created_ms=now_ms,
                updated_ms=now_ms,
            )
            core.users.check(user)
            tokens = await self._begin(user, False, peer)
        core.trail.done("user_created", username, f"{username} is the first administrator", _by(user), peer)
        return tokens, user

    def _check_code(self, code: str, peer: Peer) -> None:
        core = self._core
        self._paced(SETUP, True, False, peer)
        if not hmac.compare_digest(code.strip().lower().encode(), self.setup_code.encode()):
            core.trail.refused("login_failed", "setup", "A wrong code for the first administrator", "", peer)
            raise AccessDenied(
                "The first administrator needs the setup code",
                cure="`growyd status` on the Pi shows it, and growyd's log (journalctl -u growyd); "
                "or use `growyd user add` there, which needs none",
                details={"field": "setup_code"},
            )
        core.lockout.succeeded(SETUP, peer)

    def _check_setup(self) -> None:
        if not self.setup_required:
            raise AccessDenied("There are users already", cure="Log in; an administrator makes further users")

    async def refresh(self, token: str, peer: Peer) -> Tokens:
        """New tokens for a refresh token, which counts no longer. One that was used before ends its session: one of the
        two who had it has stolen it. But for a moment: two pages of one browser that refresh at once both get the same.

        Raises Unauthorized, TokenExpired, StoreError.
        """
        core = self._core
        claims = core.signer.read(token, TokenKind.REFRESH, core.wall_ms() / 1000)
        async with core.turn:
            user, live = core.sessions.standing(claims.user_id, claims.version, claims.session)
            if live.forgives(claims.number):
                return self._tokens(user, live.session)
            if not hmac.compare_digest(live.session.refresh.encode(), claims.number.encode()):
                await core.change(ended=[claims.session])
                core.trail.done(
                    "token_revoked",
                    user.username,
                    "A refresh token was used twice: its session has ended",
                    _by(user),
                    peer,
                )
                raise Unauthorized(REVOKED)
            now_ms = core.wall_ms()
            session = attrs.evolve(
                live.session,
                refresh=secrets.token_hex(16),
                expires_ms=now_ms + live.session.keep_ms,
                peer=peer.address,
            )
            await core.change(session=session)
        return self._tokens(user, session)

    async def logout(self, caller: Caller, token: str, *, all_devices: bool, peer: Peer) -> int:
        """Ends the session of the caller and that of the refresh token, or all of their user, at once. A session that
        has ended already is as good.

        Args:
            token: "" for none.

        Returns:
            How many have ended.

        Raises:
            Unauthorized: neither says whose session is meant.
            StoreError.
        """
        core = self._core
        claims = self._said(token)
        if caller.role is None and claims is None:
            raise Unauthorized(NOT_VALID)
        async with core.turn:
            own = None if caller.session is None else core.sessions.get(caller.session)
            said = None if claims is None else core.sessions.get(claims.session)
            ended = {one.id for one in (own, said) if one is not None}
            meant = own or said
            user = None if meant is None else core.users.get(meant.user_id)
            if own is None and said is not None and claims is not None:
                # Everywhere only with the newest token: one that was replaced ends its own session alone.
                all_devices = all_devices and hmac.compare_digest(said.refresh, claims.number)
            if user is not None and all_devices:
                ended |= {one.id for one in core.sessions.of_user(user.id)}
                changed = attrs.evolve(user, token_version=user.token_version + 1)
                await core.change(user=changed, ended=sorted(ended))
            elif ended:
                await core.change(ended=sorted(ended))
        if user is not None:
            where = "everywhere" if all_devices else "on one device"
            text = f"{user.username} has logged out {where}"
            core.trail.done("logout", user.username, text, _by(user), peer)
        return len(ended)

    def _said(self, token: str) -> Claims | None:
        """Of a refresh token that may be over. None: for none, or one that is not ours."""
        try:
            return self._core.signer.read(token, TokenKind.REFRESH, -math.inf) if token else None
        except Unauthorized:
            return None

    async def _begin(self, user: User, remember: bool, peer: Peer) -> Tokens:
        """Under `turn`."""
        core = self._core
        now_ms, keep_ms = core.wall_ms(), 1000 * (REMEMBERED_S if remember else REFRESH_S)
        session = Session(
            id=secrets.token_hex(16),
            user_id=user.id,
            refresh=secrets.token_hex(16),
            created_ms=now_ms,
            expires_ms=now_ms + keep_ms,
            keep_ms=keep_ms,
            peer=peer.address,
        )
        changed = None if user is core.users.get(user.id) else user
        await core.change(user=changed, session=session, ended=core.sessions.surplus(user.id))
        return self._tokens(user, session)

    def _tokens(self, user: User, session: Session) -> Tokens:
        now_s = self._core.wall_ms() // 1000

        def signed(kind: TokenKind, lasts_s: int, number: str = "") -> str:
            claims = Claims(
                kind=kind,
                user_id=user.id,
                session=session.id,
                version=user.token_version,
                number=number,
                issued_s=now_s,
                expires_s=now_s + lasts_s,
            )
            return self._core.signer.sign(claims, user.role.value)

        return Tokens(
            signed(TokenKind.ACCESS, ACCESS_S),
            signed(TokenKind.REFRESH, session.keep_ms // 1000, session.refresh),
        )

    @contextmanager
    def _attempt(self, account: str, user: User | None, peer: Peer) -> Iterator[None]:
        place, most = ("", SHARED_AT_ONCE) if shared(peer) else (place_of(peer.address), AT_ONCE)
        if not peer.trusted and self._under_way[place] >= most:
            raise TooManyAttempts("Another login from there is under way", details={"retry_after_s": 1})
        known = user is not None
        self._paced(account, known, self._core.sessions.at_home(user, peer.address), peer)
        if peer.trusted:
            yield
            return
        self._under_way[place] += 1
        try:
            yield
        finally:
            self._under_way[place] -= 1
            if not self._under_way[place]:
                del self._under_way[place]

    def _paced(self, account: str, known: bool, at_home: bool, peer: Peer) -> None:
        """Raises TooManyAttempts."""
        core = self._core
        try:
            core.lockout.begin(account, peer, core.wall_ms(), known=known, at_home=at_home)
        except TooManyAttempts as error:
            whose = (account or "setup") if known else UNKNOWN
            core.trail.refused("rate_limit_exceeded", whose, error.message, "", peer)
            raise

    def _succeeded(self, account: str, peer: Peer) -> None:
        self._core.lockout.succeeded(account, peer)

    async def write_strikes(self) -> None:
        """What the next process must know of failed logins, of all that there were lately. Apart from the answer, whose
        time must tell nothing. Raises StoreError."""
        lockout = self._core.lockout
        if unsaved := lockout.unsaved():
            await self._core.store.write_accounts(AccountBatch(strikes=unsaved))
            lockout.saved(unsaved)


def _by(user: User) -> str:
    return user.caller("").by
