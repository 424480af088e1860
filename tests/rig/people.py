"""Callers of a server's TCP port: API keys, made once per server, as the program makes them. A login takes Argon2's
time, and would be the slowest part of most tests."""

from __future__ import annotations

from typing import Protocol
from weakref import WeakKeyDictionary

import attrs
import trio

from growy.model.people import LOCAL, Role, Scope
from growy.web.accounts.accounts import Accounts


class Served(Protocol):
    """What has accounts: a web server, or what it serves."""

    @property
    def accounts(self) -> Accounts: ...


@attrs.define
class _Made:
    keys: dict[tuple[Role, frozenset[Scope] | None], str] = attrs.field(factory=dict)
    turn: trio.Lock = attrs.field(factory=trio.Lock)
    """Clients of one test may all come at once."""


_made: WeakKeyDictionary[Accounts, _Made] = WeakKeyDictionary()


async def api_key(server: Served, role: Role = Role.ADMIN, scopes: frozenset[Scope] | None = None) -> str:
    """The secret of a key with that role: `tests` for an admin's, `tests-viewer`..."""
    made = _made.setdefault(server.accounts, _Made())
    async with made.turn:
        if (role, scopes) not in made.keys:
            name = "tests" if role is Role.ADMIN else f"tests-{role.value}"
            name += "".join(
                f"-{scope.value}" for scope in sorted(scopes or (), key=lambda scope: scope.value)
            )
            made.keys[role, scopes] = await new_key(server, name, role, scopes)
    return made.keys[role, scopes]


async def new_key(
    server: Served, name: str, role: Role = Role.VIEWER, scopes: frozenset[Scope] | None = None
) -> str:
    """The secret of a key of a test's own."""
    secret, _ = await server.accounts.administration.add_key(name, role, scopes, caller=LOCAL)
    return secret


async def remove_key(server: Served, name: str) -> None:
    await server.accounts.administration.remove_key(name, caller=LOCAL)


async def key_headers(server: Served, role: Role = Role.ADMIN) -> list[tuple[bytes, bytes]]:
    """For a WebSocket's handshake."""
    return [(b"X-API-Key", (await api_key(server, role)).encode())]
