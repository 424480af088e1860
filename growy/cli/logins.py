"""Where the command line has logged in: tokens by address, in a file of its owner's own. Standard library only."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class Login(NamedTuple):
    username: str
    access: str
    refresh: str


def file() -> Path:
    """`~/.config/growyd/logins.json`, or under $XDG_CONFIG_HOME."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "growyd" / "logins.json"


def of(place: str) -> Login | None:
    """The tokens for that address."""
    return _read().get(place)


def keep(place: str, login: Login | None) -> None:
    """Remember, or forget. Raises OSError."""
    with _locked():
        _put(place, login)


def renew(place: str, refreshed: Callable[[Login], Login | None]) -> bool:
    """Gets new tokens for old ones. One process at a time: a refresh token that is used twice ends the session.

    Args:
        refreshed: asks the daemon; None: the old ones count no longer.

    Returns whether there are other tokens now than when this command began.
    """
    before = of(place)
    if before is None:
        return False
    with _locked():
        now = of(place)
        if now is None or now != before:
            return now is not None  # another process was faster
        _put(place, fresh := refreshed(now))
        return fresh is not None


def _put(place: str, login: Login | None) -> None:
    logins = _read()
    if login is None:
        logins.pop(place, None)
    else:
        logins[place] = login
    path = file()
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), 0o600)  # the file may be left from a crash
        json.dump({name: one._asdict() for name, one in logins.items()}, out)
    fresh.replace(path)


def _read() -> dict[str, Login]:
    """What can be read of the file; nothing of one that is damaged."""
    try:
        return {place: Login(**one) for place, one in json.loads(file().read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    folder = file().parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(folder / "logins.lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
