"""Who guesses passwords is slowed down: by account, and by the address that he asks from. Pure.

Nobody is locked out for good: the pause grows to a minute or five and no further, an address from which the account's
owner is logged in does not wait for what others guessed, and the unix socket never waits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import attrs

from growy.model.accounts import Strikes
from growy.model.errors import TooManyAttempts
from growy.model.people import Peer

REMEMBERED: Final = 1000
"""Accounts, and addresses, at most; who has been quiet longest is forgotten first."""


@attrs.frozen
class Pace:
    """How failures are answered."""

    free: int
    """Failures that cost nothing: people mistype."""
    longest_s: float
    forgotten_s: float
    """So long after the last failure they count no longer."""

    def wait_s(self, strikes: Strikes | None, now_ms: int) -> float:
        """Until the next attempt; 0 for none."""
        if strikes is None or strikes.failures < self.free or self.forgotten(strikes, now_ms):
            return 0.0
        pause_s = min(self.longest_s, 2.0 ** min(strikes.failures - self.free, 16))
        # A clock that was set back must not make the pause longer.
        return min(pause_s, max(0.0, pause_s - (now_ms - strikes.last_ms) / 1000))

    def forgotten(self, strikes: Strikes, now_ms: int) -> bool:
        return now_ms - strikes.last_ms > 1000 * self.forgotten_s

    def struck(self, strikes: Strikes | None, now_ms: int) -> Strikes:
        if strikes is None or self.forgotten(strikes, now_ms):
            return Strikes(1, now_ms)
        return Strikes(strikes.failures + 1, now_ms)


BY_ACCOUNT = Pace(free=5, longest_s=300.0, forgotten_s=86_400.0)
"""300 guesses a day: a list of the thousand most common passwords takes three."""
BY_PEER = Pace(free=10, longest_s=60.0, forgotten_s=3600.0)
"""Shorter: behind a proxy everybody has the same address."""


class Lockout:
    """Counts failures.

    Args:
        accounts: what is remembered of an earlier process, by lower-case user name.
    """

    def __init__(self, accounts: Mapping[str, Strikes]) -> None:
        self._accounts = dict(accounts)
        self._peers: dict[str, Strikes] = {}

    def begin(self, name: str, peer: Peer, now_ms: int, *, at_home: bool) -> None:
        """An attempt begins. It counts as failed until it has succeeded, so that a hundred at once count as a hundred.

        Args:
            name: as typed, in lower case.
            at_home: the account's owner is logged in from that address.

        Raises:
            TooManyAttempts: not yet; nothing was counted.
        """
        if peer.local:
            return
        wait_s = BY_PEER.wait_s(self._peers.get(peer.address), now_ms)
        if not at_home:
            wait_s = max(wait_s, BY_ACCOUNT.wait_s(self._accounts.get(name), now_ms))
        if wait_s > 0:
            raise too_many(wait_s)
        _put(self._peers, peer.address, BY_PEER.struck(self._peers.get(peer.address), now_ms))
        _put(self._accounts, name, BY_ACCOUNT.struck(self._accounts.get(name), now_ms))

    def succeeded(self, name: str, peer: Peer) -> None:
        """The account starts anew. The address gets back this attempt only: or somebody with an account of his own
        could guess at others without end."""
        self._accounts.pop(name, None)
        strikes = self._peers.get(peer.address)
        if strikes is not None:
            self._peers[peer.address] = attrs.evolve(strikes, failures=max(0, strikes.failures - 1))

    def of(self, name: str) -> Strikes | None:
        """What is to be remembered of an account; None for nothing."""
        strikes = self._accounts.get(name)
        return strikes if strikes is not None and strikes.failures >= BY_ACCOUNT.free else None


def too_many(wait_s: float) -> TooManyAttempts:
    seconds = max(1, math.ceil(wait_s))
    return TooManyAttempts(f"Too many attempts. Try again in {seconds} s", details={"retry_after_s": seconds})


def _put(counted: dict[str, Strikes], name: str, strikes: Strikes) -> None:
    counted.pop(name, None)  # to the end: the first is who has been quiet longest
    counted[name] = strikes
    if len(counted) > REMEMBERED:
        del counted[next(iter(counted))]
