"""Who guesses passwords is slowed down: by account, and by the address that he asks from. Pure.

Nobody is locked out for good: the pause grows to a minute or five and no further, an address from which the account's
owner is logged in does not wait for what others guessed, and the unix socket never waits. An address that many may
share (this machine's own, or a proxy's) is nobody's: it has no pause, or one stranger behind it would hold off all, and
nobody is at home there.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from typing import Final

import attrs

from growy.model.accounts import Strikes
from growy.model.errors import TooManyAttempts
from growy.model.people import Peer
from growy.web.origin import is_loopback

REMEMBERED: Final = 1000
"""Accounts, unknown names, and places, at most of each; who has been quiet longest is forgotten first."""
IPV6_PLACE: Final = 64
"""Bits of an IPv6 address that name a place: of the others a machine makes itself as many as it likes."""


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
"""Shorter: behind a router everybody has the same address."""


class Lockout:
    """Counts failures.

    Args:
        accounts: what is on disk of an earlier process, by lower-case user name.
    """

    def __init__(self, accounts: Mapping[str, Strikes]) -> None:
        self._accounts = dict(accounts)
        self._stored = dict(accounts)
        self._unknown: dict[str, Strikes] = {}
        """By names that nobody has. Apart: who makes up names must not push out what is known of real accounts."""
        self._places: dict[str, Strikes] = {}

    def begin(self, name: str, peer: Peer, now_ms: int, *, known: bool, at_home: bool) -> None:
        """An attempt begins. It counts as failed until it has succeeded, so that a hundred at once count as a hundred.

        Args:
            name: the account's; or as typed, in lower case.
            known: there is such an account.
            at_home: the account's owner is logged in from that address.

        Raises:
            TooManyAttempts: not yet; nothing was counted.
        """
        if peer.trusted:
            return
        counted = self._accounts if known else self._unknown
        place = None if shared(peer) else place_of(peer.address)
        wait_s = 0.0 if place is None else BY_PEER.wait_s(self._places.get(place), now_ms)
        if place is None or not at_home:
            wait_s = max(wait_s, BY_ACCOUNT.wait_s(counted.get(name), now_ms))
        if wait_s > 0:
            raise too_many(wait_s)
        if place is not None:
            _put(self._places, place, BY_PEER.struck(self._places.get(place), now_ms))
        _put(counted, name, BY_ACCOUNT.struck(counted.get(name), now_ms))

    def succeeded(self, name: str, peer: Peer) -> None:
        """The account starts anew. The address gets back this attempt only: or somebody with an account of his own
        could guess at others without end."""
        self._accounts.pop(name, None)
        if shared(peer):
            return
        place = place_of(peer.address)
        strikes = self._places.get(place)
        if strikes is not None:
            self._places[place] = attrs.evolve(strikes, failures=max(0, strikes.failures - 1))

    def forgive(self, name: str) -> None:
        """The account starts anew: it has another password, or is gone."""
        self._accounts.pop(name, None)

    def unsaved(self) -> dict[str, Strikes | None]:
        """Accounts of which the next process must know something else than what is on disk; None: nothing. A login that
        succeeds is none of them."""
        names = self._accounts.keys() | self._stored.keys()
        return {name: self._lasting(name) for name in names if self._lasting(name) != self._stored.get(name)}

    def saved(self, strikes: Mapping[str, Strikes | None]) -> None:
        """It is on disk."""
        for name, one in strikes.items():
            if one is None:
                self._stored.pop(name, None)
            else:
                self._stored[name] = one

    def _lasting(self, name: str) -> Strikes | None:
        strikes = self._accounts.get(name)
        return strikes if strikes is not None and strikes.failures >= BY_ACCOUNT.free else None


def shared(peer: Peer) -> bool:
    """Whether many may come from that address: a proxy's clients, also of one on this machine that adds no header."""
    return peer.forwarded or is_loopback(peer.address)


def place_of(address: str) -> str:
    """The address, or of an IPv6 one its network."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], IPV6_PLACE), strict=False))
    except ValueError:
        return address


def too_many(wait_s: float) -> TooManyAttempts:
    seconds = max(1, math.ceil(wait_s))
    return TooManyAttempts(f"Too many attempts. Try again in {seconds} s", details={"retry_after_s": seconds})


def _put(counted: dict[str, Strikes], name: str, strikes: Strikes) -> None:
    counted.pop(name, None)  # to the end: the first is who has been quiet longest
    counted[name] = strikes
    if len(counted) > REMEMBERED:
        del counted[next(iter(counted))]
