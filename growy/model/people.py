"""Who asks: the roles that people and their scripts have, and the caller of a request. Values only."""

from __future__ import annotations

import enum
import functools

import attrs


@functools.total_ordering
class Role(enum.Enum):
    """What somebody may do. Each may also do what the ones before it may: `Role.VIEWER < Role.ADMIN`."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Role):
            return NotImplemented
        return _RANKS[self] < _RANKS[other]


_RANKS = {role: rank for rank, role in enumerate(Role)}


class Scope(enum.Enum):
    """A group of endpoints to which an API key can be confined."""

    READINGS = "readings"
    """Read stored readings and their statistics."""
    PROCESS = "process"
    """Have raw values converted."""
    METRICS = "metrics"
    """Read the figures of the parts."""
    LIVE = "live"
    """Watch readings and events as they come."""


class CallerKind(enum.Enum):
    USER = "user"
    KEY = "key"
    LOCAL = "local"
    """Somebody whom the unix socket's file permissions have let in."""


@attrs.frozen(slots=True)
class Caller:
    """Whoever made a request."""

    name: str
    role: Role | None
    """None: nobody knows who it is; such a caller reaches public endpoints only."""
    kind: CallerKind | None = None
    scopes: frozenset[Scope] | None = None
    """An API key's endpoints; None: all that its role may."""
    user_id: int | None = None
    session: str | None = None
    """Of a user who has logged in."""

    @property
    def by(self) -> str:
        """As the audit trail and the history of commands name it: `user:NAME`, `key:NAME`, `local`."""
        if self.kind is None or self.kind is CallerKind.LOCAL:
            return self.name
        return f"{self.kind.value}:{self.name}"


@attrs.frozen(slots=True)
class Peer:
    """The other end of a connection, as the kernel names it. What a header says of it is not asked."""

    address: str
    """IP address; "" on the unix socket."""
    local: bool = False
    """It came through the unix socket: the permissions of the socket's file are its login."""
    forwarded: bool = False
    """A proxy says that it asks for somebody else: nobody knows who that is."""

    @property
    def trusted(self) -> bool:
        """Let in by the permissions of the unix socket's file. Not so a proxy that may open it: it asks for
        strangers."""
        return self.local and not self.forwarded


ANYBODY = Caller("anybody", None)
LOCAL = Caller("local", Role.ADMIN, CallerKind.LOCAL)
