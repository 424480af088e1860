"""One registry of endpoints: what is routed, validated and documented comes from here. Pure; it must never do
I/O."""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import unquote_to_bytes

import attrs

from growy.model.errors import GrowyError, Invalid, NotFound
from growy.model.people import Caller, Peer, Role, Scope
from growy.web.answers import JSON, MethodNotAllowed, Response
from growy.web.app import App
from growy.web.inputs import prepare
from growy.web.shape import Shape

MOST_REMEMBERED = 512
"""Paths whose endpoint is remembered, each of at most ..."""
_SHORT = 128


class Auth(enum.StrEnum):
    """Who may call an endpoint: everybody, or who has at least that role."""

    PUBLIC = "public"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def role(self) -> Role | None:
        """The least role that is let in; None: nobody is asked."""
        return _ROLES[self]


_ROLES = {auth: None if auth is Auth.PUBLIC else Role(auth.value) for auth in Auth}


@attrs.frozen(slots=True)
class Call:
    """One request, as a handler sees it."""

    app: App
    request_id: str
    path: Mapping[str, str]
    """Path parameters, decoded."""
    caller: Caller
    """Who asks. They may call this endpoint: the gate has looked."""
    peer: Peer
    headers: Mapping[bytes, bytes] = attrs.field(factory=dict)
    """Of the request, lower-case names."""

    @property
    def by(self) -> str:
        """Who asks, as audit trail and history name them."""
        return self.caller.by

    def integer(self, name: str) -> int:
        """A path parameter that is a number. Raises Invalid naming it."""
        text = self.path[name]
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
            raise Invalid(f"{name} in the path is not a number: {text[:64]!r}")
        return int(text)


@attrs.frozen
class Answer:
    """One answer that an endpoint gives when all is well (or 503, where that is what it was asked)."""

    shape: Shape | None = None
    """None: no JSON."""
    status: int = 200
    media: tuple[bytes, ...] = (JSON,)
    """The first in this shape, others as text; none of them: no body at all."""


def _answers(said: Shape | Answer | tuple[Answer, ...]) -> tuple[Answer, ...]:
    if isinstance(said, Shape):
        return (Answer(said),)
    return (said,) if isinstance(said, Answer) else said


@attrs.frozen(kw_only=True)
class Endpoint:
    """One thing that can be asked. The handler is called with the Call, then the query model, then the body
    model, as far as they are declared."""

    method: str
    path: str
    """Template with `{parameter}` segments, without a trailing slash (the root apart)."""
    summary: str
    handler: Callable[..., Awaitable[Response]] | None = None
    """None: a WebSocket, which the connection itself serves."""
    query: type | None = None
    body: type | None = None
    form: bool = False
    """The body is an HTML form's, not JSON."""
    auth: Auth = Auth.VIEWER
    knows_caller: bool = False
    """Public, but its handler is told who asks if the request carries credentials that count."""
    scope: Scope | None = None
    """API keys that are confined to scopes may call it only with this one."""
    answers: tuple[Answer, ...] = attrs.field(default=(), converter=_answers)
    """All that it answers; the tests hold it to that."""
    errors: tuple[type[GrowyError], ...] = ()
    """Errors of its own, beside those that every endpoint has."""


@attrs.frozen(slots=True)
class Match:
    endpoint: Endpoint
    parameters: Mapping[str, str]
    """Shared by all requests for the same path."""


@attrs.define
class _Node:
    words: dict[str, _Node] = attrs.field(factory=dict)
    parameter: _Node | None = None
    name: str = ""
    endpoints: dict[str, Endpoint] = attrs.field(factory=dict)


class Router:
    """Finds the endpoint of a request. A word beats a parameter, whatever the order of registration."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        """Raises ValueError when two endpoints claim the same method and path; fails early on a model that cannot be
        read."""
        self.endpoints = tuple(endpoints)
        self._root = _Node()
        self._found: dict[tuple[str, str], Match] = {}
        """Who polls asks for the same few paths."""
        for endpoint in self.endpoints:
            self._add(endpoint)
            for model in (endpoint.query, endpoint.body):
                if model is not None:
                    prepare(model)

    def _add(self, endpoint: Endpoint) -> None:
        node = self._root
        for part in _parts(endpoint.path):
            if part.startswith("{"):
                name = part.strip("{}")
                node.parameter = node.parameter or _Node(name=name)
                if node.parameter.name != name:
                    raise ValueError(f"{endpoint.path}: {name} is called {node.parameter.name} elsewhere")
                node = node.parameter
            else:
                node = node.words.setdefault(part, _Node())
        if endpoint.method in node.endpoints:
            raise ValueError(f"{endpoint.method} {endpoint.path} is claimed twice")
        node.endpoints[endpoint.method] = endpoint

    def find(self, method: str, path: str) -> Match:
        """Raises NotFound, MethodNotAllowed, Invalid (a path that is not UTF-8)."""
        key = (method, path)
        if (known := self._found.get(key)) is not None:
            return known
        match = self._match(method, path)
        if len(path) <= _SHORT:
            if len(self._found) >= MOST_REMEMBERED:
                self._found.clear()
            self._found[key] = match
        return match

    def _match(self, method: str, path: str) -> Match:
        endpoints, parameters = self._at(path)
        endpoint = endpoints.get(method) or (endpoints.get("GET") if method == "HEAD" else None)
        if endpoint is None:
            allow = ", ".join(_methods(endpoints))
            raise MethodNotAllowed(
                f"{method[:32]} is not possible at {path[:200]}",
                cure=f"Possible: {allow}",
                details={"allow": allow},
            )
        return Match(endpoint, parameters)

    def methods(self, path: str) -> list[str]:
        """What can be done at a path. Raises NotFound, Invalid."""
        return _methods(self._at(path)[0])

    def _at(self, path: str) -> tuple[dict[str, Endpoint], dict[str, str]]:
        parts = [_decoded(part) if "%" in part else part for part in _parts(path)]
        found = _walk(self._root, parts, 0, {})
        if found is None:
            raise NotFound(f"Nothing is at {path[:200]}", cure="GET / names where the API begins")
        return found


def _methods(endpoints: Iterable[str]) -> list[str]:
    there = set(endpoints)
    return sorted(there | {"OPTIONS"} | ({"HEAD"} if "GET" in there else set()))


def _parts(path: str) -> list[str]:
    return path.strip("/").split("/") if path != "/" else []


def _decoded(part: str) -> str:
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise Invalid("The path is not UTF-8") from None


def _walk(
    node: _Node, parts: list[str], at: int, parameters: dict[str, str]
) -> tuple[dict[str, Endpoint], dict[str, str]] | None:
    if at == len(parts):
        return (node.endpoints, parameters) if node.endpoints else None
    word = node.words.get(parts[at])
    if word is not None and (found := _walk(word, parts, at + 1, parameters)) is not None:
        return found
    if node.parameter is None or not parts[at]:
        return None
    return _walk(node.parameter, parts, at + 1, {**parameters, node.parameter.name: parts[at]})
