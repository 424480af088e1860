"""Who is logged in. A session is one login with all tokens that descend from it; when it is gone, so are they. Asked
for every request that carries a token: answers from memory."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Iterable

import attrs
import trio

from growy.model.accounts import Session, User
from growy.model.errors import Unauthorized
from growy.web.accounts.directory import Directory
from growy.web.accounts.tokens import Signer, TokenKind
from growy.web.gate import NOT_VALID, Admission

REVOKED = "Token has been revoked"
OUTDATED = "Token has been invalidated (logout all devices)"
CACHED = 1000
"""Tokens that were checked and need no second look; the one that came first goes first."""
MOST_SESSIONS = 20
"""Of one user: the oldest ends for one more."""


GRACE_S = 15.0
"""Two pages of one browser may send the same refresh token: so long the one before the newest still gets tokens."""


@attrs.define(eq=False)
class _Live:
    session: Session
    ended: trio.Event = attrs.field(factory=trio.Event)
    previous: str = ""
    """Number of the refresh token before the newest. In memory only: after a restart nobody is in the middle of it."""
    grace_until: float = -math.inf
    """By the trio clock."""

    def forgives(self, number: str) -> bool:
        """Whether that refresh token has been replaced just now."""
        recent = trio.current_time() < self.grace_until
        return recent and hmac.compare_digest(self.previous.encode(), number.encode())


class Sessions:
    """The sessions that count now. Trio thread only."""

    def __init__(
        self, signer: Signer, directory: Directory, sessions: Iterable[Session], wall_ms: Callable[[], int]
    ) -> None:
        self._signer = signer
        self._directory = directory
        self._wall_ms = wall_ms
        self._live = {session.id: _Live(session) for session in sessions}
        self._checked: dict[str, Admission] = {}

    def __len__(self) -> int:
        return len(self._live)

    def get(self, session_id: str) -> Session | None:
        live = self._live.get(session_id)
        return None if live is None else live.session

    def put(self, session: Session) -> None:
        """A new one, or one that was refreshed."""
        live = self._live.get(session.id)
        if live is None:
            self._live[session.id] = _Live(session)
            return
        if session.refresh != live.session.refresh:
            live.previous, live.grace_until = live.session.refresh, trio.current_time() + GRACE_S
        live.session = session

    def end(self, session_ids: Iterable[str]) -> None:
        """They count no longer, and what they have open ends."""
        for session_id in session_ids:
            live = self._live.pop(session_id, None)
            if live is not None:
                live.ended.set()

    def look_again(self, user_id: int) -> None:
        """The user may do more or less than before: what is open ends, the sessions go on."""
        for live in self._live.values():
            if live.session.user_id == user_id:
                live.ended.set()
                live.ended = trio.Event()

    def of_user(self, user_id: int) -> list[Session]:
        """The oldest first."""
        return [live.session for live in self._live.values() if live.session.user_id == user_id]

    def surplus(self, user_id: int) -> list[str]:
        """Those that end for one more."""
        sessions = sorted(self.of_user(user_id), key=lambda session: session.expires_ms)
        return [session.id for session in sessions[: max(0, len(sessions) + 1 - MOST_SESSIONS)]]

    def over(self) -> list[str]:
        """Those whose time is over."""
        now_ms = self._wall_ms()
        return [live.session.id for live in self._live.values() if live.session.expires_ms <= now_ms]

    def at_home(self, user: User | None, address: str) -> bool:
        """Whether the user is logged in from that address, now: a session whose time is over says nothing."""
        if user is None:
            return False
        now_ms = self._wall_ms()
        return any(one.peer == address and one.expires_ms > now_ms for one in self.of_user(user.id))

    def admission(self, token: str) -> Admission:
        """Of an access token. Raises Unauthorized, TokenExpired."""
        known = self._checked.get(token)
        if known is not None:
            if not known.ended.is_set() and trio.current_time() < known.expires_s:
                return known
            del self._checked[token]
        now_s = self._wall_ms() / 1000
        claims = self._signer.read(token, TokenKind.ACCESS, now_s)
        user, live = self.standing(claims.user_id, claims.version, claims.session)
        admission = Admission(
            user.caller(live.session.id), trio.current_time() + claims.expires_s - now_s, live.ended
        )
        self._checked[token] = admission
        if len(self._checked) > CACHED:
            del self._checked[next(iter(self._checked))]
        return admission

    def standing(self, user_id: int, version: int, session_id: str) -> tuple[User, _Live]:
        """User and session of a token that is ours. Raises Unauthorized: it counts no longer."""
        user = self._directory.get(user_id)
        if user is None or not user.active:
            raise Unauthorized(NOT_VALID)
        if version != user.token_version:
            raise Unauthorized(OUTDATED)
        live = self._live.get(session_id)
        if live is None or live.session.user_id != user_id:
            raise Unauthorized(REVOKED)
        return user, live
