"""The users, in memory: who is who, and what must not be done to the last administrator. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from growy.model.accounts import User
from growy.model.errors import Duplicate, Invalid, NotFound
from growy.model.people import Role

MOST_USERS = 200
USERNAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{2,49}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")


class Directory:
    """All users by id and by name.

    Args:
        last_id: highest id that was ever given.
    """

    def __init__(self, users: Iterable[User], last_id: int) -> None:
        self._by_id = {user.id: user for user in users}
        self._last_id = max([last_id, *self._by_id])

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[User]:
        return iter(list(self._by_id.values()))

    def get(self, user_id: int) -> User | None:
        return self._by_id.get(user_id)

    def need(self, user_id: int) -> User:
        """Raises NotFound."""
        user = self._by_id.get(user_id)
        if user is None:
            raise NotFound(f"There is no user {user_id}")
        return user

    def find(self, name: str) -> User | None:
        """By user name or e-mail, in any case of letters."""
        wanted = name.lower()
        for user in self._by_id.values():
            if wanted == user.username.lower() or (user.email and wanted == user.email.lower()):
                return user
        return None

    def next_id(self) -> int:
        return self._last_id + 1

    def put(self, user: User) -> None:
        self._by_id[user.id] = user
        self._last_id = max(self._last_id, user.id)

    def remove(self, user_id: int) -> None:
        self._by_id.pop(user_id, None)

    def check(self, user: User) -> None:
        """Whether this user may stand beside the others. Raises Invalid, Duplicate."""
        if not USERNAME.fullmatch(user.username):
            raise Invalid("A user name has 3 to 50 letters, digits, _ and -, and begins with a letter")
        if user.email is not None and not _EMAIL.fullmatch(user.email):
            raise Invalid(f"{user.email[:64]!r} is no e-mail address")
        for name in filter(None, (user.username, user.email)):
            other = self.find(name)
            if other is not None and other.id != user.id:
                raise Duplicate(f"There is a user {name} already")
        if user.id not in self._by_id and len(self._by_id) >= MOST_USERS:
            raise Invalid(f"There are {MOST_USERS} users already")

    def check_leaves_admin(self, user_id: int) -> None:
        """Before a user stops being an active administrator. Raises Invalid: it is the last one."""
        user = self._by_id[user_id]
        if user.role is not Role.ADMIN or not user.active:
            return
        if not any(other.id != user_id and other.active and other.role is Role.ADMIN for other in self):
            raise Invalid(
                f"{user.username} is the last administrator",
                cure="Make somebody else an administrator first",
            )
