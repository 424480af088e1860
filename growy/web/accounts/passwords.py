"""Passwords: which are taken, and their hashes by Argon2id. One is hashed at a time, in a thread beside trio's own, so
that a crowd of logins cannot delay an emergency stop; the queue is bounded.

Never logs a password, and never keeps one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import argon2
import trio
from argon2.exceptions import InvalidHashError, VerificationError

from growy.model.errors import Invalid, TooManyAttempts

T = TypeVar("T")
LEAST = 8
MOST = 128
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""Argon2id with 19 MiB, two passes, one lane: the least that OWASP's password storage cheat sheet asks for. A tenth
of a second on a Raspberry Pi 4."""
NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$IfAbG3c7czOWLnQmT2VdnA$85sROricxFoT00owZfyBeXHOY3CzRqBrb4eNW0m4iSc"
"""Of a password that was thrown away: checked when there is no such user, so that it takes the same time."""
MOST_WAITING = 8
"""Hashes that wait for their turn, at most: a second."""
_WORDS = """
password passwort passw0rd p@ssword p@ssw0rd pa55word motdepasse contrasena welcome willkommen letmein iloveyou
princess sunshine football baseball basketball superman starwars trustno1 whatever qwertyui qwertyuiop qwertzui
qwertzuiop asdfghjk asdfghjkl yxcvbnm zxcvbnm 1q2w3e4r 1q2w3e4r5t 1qaz2wsx qazwsxedc q1w2e3r4 abcdefgh abcdefghi
abc12345 abcd1234 a1b2c3d4 12345678 123456789 1234567890 87654321 987654321 0987654321 01234567 11223344
11112222 12341234 12344321 password1 changeme changeit default admin administrator adminadmin superuser
raspberry raspberrypi himbeere growyd growroom greenhouse gewaechshaus computer internet michelle jennifer
charlie1 dragon monkey master shadow hello hallo hallo123 geheim secret test testtest test1234 user guest
godkaiser kaiser
"""
_COMMON = frozenset(_WORDS.split())
"""The head of the public lists of leaked passwords, and what fits this house. Compared in lower case, without digits
and marks behind."""


def check_password(password: str, *, names: tuple[str, ...] = ()) -> None:
    """Takes any eight characters that nobody guesses first. Rules about kinds of characters make people write
    `Password1!`, and are not asked for (NIST SP 800-63B, 3.1.1.2).

    Args:
        names: of its owner: user name, e-mail, full name.

    Raises:
        Invalid: with what is wrong with it.
    """
    if len(password) < LEAST:
        raise _weak(f"A password has at least {LEAST} characters")
    if len(password) > MOST:
        raise _weak(f"A password has at most {MOST} characters")
    plain = password.casefold()
    if len(set(plain)) < 3 or plain in _COMMON or plain.rstrip("0123456789!?.,-_#*+$&@") in _COMMON:
        raise _weak("That password is among the first that anybody tries")
    parts = {part for name in names for part in (name.casefold(), name.casefold().partition("@")[0])}
    if any(len(part) >= 3 and part in plain and len(part) * 2 > len(plain) for part in parts):
        raise _weak("The password is hardly more than its owner's name")


def _weak(why: str) -> Invalid:
    return Invalid(why, cure="Several words that do not belong together are easy to keep in mind")


class Hasher:
    """Hashes in turn. Trio thread only."""

    def __init__(self) -> None:
        # Its own, not trio's default: threads for files and names must not wait behind hashes.
        self._limiter = trio.CapacityLimiter(1)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The hash to keep. Raises TooManyAttempts."""
        return await self._in_turn(partial(_hasher.hash, password))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether it is the password of that hash; None: of nobody, which takes as long. Raises TooManyAttempts."""
        return await self._in_turn(partial(_verify, kept or NOBODYS, password)) and kept is not None

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise TooManyAttempts(
                "Too many people log in at once", cure="Try again in a moment", details={"retry_after_s": 2}
            )
        self._waiting += 1
        try:
            return await trio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._waiting -= 1


def outdated(kept: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(kept)


def _verify(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
