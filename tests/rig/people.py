"""Callers of a server's TCP port: API keys, made once per server, as the program makes them. A login takes Argon2's
time, and would be the slowest part of most tests."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from growy.model.people import LOCAL, Role, Scope
from growy.web.accounts.accounts import Accounts
from growy.web.server import Web

_made: WeakKeyDictionary[Accounts, dict[tuple[Role, frozenset[Scope] | None], str]] = WeakKeyDictionary()


async def api_key(web: Web, role: Role = Role.ADMIN, scopes: frozenset[Scope] | None = None) -> str:
    """The secret of a key with that role: `tests` for an admin's, `tests-viewer`..."""
    keys = _made.setdefault(web.accounts, {})
    if (role, scopes) not in keys:
        name = "tests" if role is Role.ADMIN else f"tests-{role.value}"
        name += "".join(f"-{scope.value}" for scope in sorted(scopes or (), key=lambda scope: scope.value))
        keys[role, scopes], _ = await web.accounts.administration.add_key(name, role, scopes, caller=LOCAL)
    return keys[role, scopes]


async def key_headers(web: Web, role: Role = Role.ADMIN) -> list[tuple[bytes, bytes]]:
    """For a WebSocket's handshake."""
    return [(b"X-API-Key", (await api_key(web, role)).encode())]
