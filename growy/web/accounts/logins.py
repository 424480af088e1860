"""Logging in and out, the first administrator, and the tokens in between."""

from __future__ import annotations

import hmac
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from growy.model.accounts import Session, Strikes, User
from growy.model.errors import AccessDenied, InvalidCredentials, TooManyAttempts, Unauthorized
from growy.model.people import Caller, CallerKind, Peer, Role
from growy.store import AccountBatch
from growy.web.accounts.core import Core
from growy.web.accounts.passwords import check_password, outdated
from growy.web.accounts.sessions import REVOKED
from growy.web.accounts.tokens import Claims, TokenKind
from growy.web.origin import is_loopback

ACCESS_S = 1800
REFRESH_S = 7 * 86_400
REMEMBERED_S = 30 * 86_400
"""A session that shall be remembered lasts so long without being used."""
AT_ONCE = 2
"""Logins of one address that are under way: the others keep room."""
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
        self.setup_code = secrets.token_hex(4)
        """Whoever sets up the first administrator from another machine must know it: growyd's log has it."""
        self.struck: set[str] = set()
        """Accounts whose failures the card does not know yet."""

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
                    core.trail.refused("login_failed", account[:50], "Name or password was wrong", "", peer)
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
                raise InvalidCredentials("The password is wrong")
        self._succeeded(account, peer)

    @property
    def setup_required(self) -> bool:
        return not len(self._core.users)

    def needs_code(self, peer: Peer) -> bool:
        """Whether a first administrator from there needs the code: not on this machine."""
        return not peer.local and (peer.forwarded or not is_loopback(peer.address))

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
            core.lockout.begin("", peer, core.wall_ms(), at_home=True)
            if not hmac.compare_digest(code.strip().lower().encode(), self.setup_code.encode()):
                core.trail.refused(
                    "login_failed", "setup", "A wrong code for the first administrator", "", peer
                )
                raise AccessDenied(
                    "The first administrator needs the setup code",
                    cure="growyd's log has it (journalctl -u growyd); or use `growyd user add` on the Pi",
                )
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

    def _check_setup(self) -> None:
        if not self.setup_required:
            raise AccessDenied("There are users already", cure="Log in; an administrator makes further users")

    async def refresh(self, token: str, peer: Peer) -> Tokens:
        """New tokens for a refresh token, which counts no longer. One that was used before ends its session: one of the
        two who had it has stolen it.

        Raises Unauthorized, TokenExpired, StoreError.
        """
        core = self._core
        claims = core.signer.read(token, TokenKind.REFRESH, core.wall_ms() / 1000)
        async with core.turn:
            user, live = core.sessions.standing(claims.user_id, claims.version, claims.session)
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

    async def logout(self, caller: Caller, *, all_devices: bool, peer: Peer) -> int:
        """Ends the caller's session, or all of theirs, at once; how many. Raises StoreError."""
        core = self._core
        if caller.user_id is None:
            return 0
        async with core.turn:
            user = core.users.need(caller.user_id)
            if all_devices:
                ended = [one.id for one in core.sessions.of_user(user.id)]
                user = attrs.evolve(user, token_version=user.token_version + 1)
                await core.change(user=user, ended=ended)
            else:
                ended = [caller.session] if caller.session and core.sessions.get(caller.session) else []
                await core.change(ended=ended)
        where = "everywhere" if all_devices else "on one device"
        core.trail.done("logout", user.username, f"{user.username} has logged out {where}", caller.by, peer)
        return len(ended)

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
        core = self._core
        if not peer.local and self._under_way[peer.address] >= AT_ONCE:
            raise TooManyAttempts("Another login of yours is under way", details={"retry_after_s": 1})
        # Behind a proxy everybody has its address: nobody is known by it.
        at_home = not peer.forwarded and core.sessions.at_home(user, peer.address)
        try:
            core.lockout.begin(account, peer, core.wall_ms(), at_home=at_home)
        except TooManyAttempts as error:
            core.trail.refused("rate_limit_exceeded", account[:50], error.message, "", peer)
            raise
        if user is not None:
            self.struck.add(account)
        self._under_way[peer.address] += 1
        try:
            yield
        finally:
            self._under_way[peer.address] -= 1
            if not self._under_way[peer.address]:
                del self._under_way[peer.address]

    def _succeeded(self, account: str, peer: Peer) -> None:
        self._core.lockout.succeeded(account, peer)

    async def write_strikes(self) -> None:
        """What the next process must know of failed logins. Apart from the answer, whose time must tell nothing. Raises
        StoreError."""
        if self.struck:
            strikes: dict[str, Strikes | None] = {name: self._core.lockout.of(name) for name in self.struck}
            self.struck.clear()
            await self._core.store.write_accounts(AccountBatch(strikes=strikes))


def _by(user: User) -> str:
    return f"{CallerKind.USER.value}:{user.username}"
