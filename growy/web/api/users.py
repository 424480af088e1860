"""Users and API keys, for administrators; and everybody's own password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
from attrs import validators as v

from growy.model.accounts import ApiKey, User
from growy.model.errors import Duplicate, GrowyError, Invalid, NotFound, TooManyAttempts
from growy.model.people import Role, Scope
from growy.web.accounts.administration import UserEdit
from growy.web.answers import Response, answer, iso
from growy.web.api.auth import RegisterBody, add_user, short, user_record
from growy.web.inputs import Secret
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shape import Record
from growy.web.shapes import accounts as shapes

_USERS, _USER = "/api/v1/users", "/api/v1/users/{user_id}"
_KEYS = "/api/v1/keys"


@attrs.frozen(kw_only=True)
class UserEditBody:
    email: str | None = None
    full_name: str | None = attrs.field(default=None, validator=v.optional(v.max_len(100)))
    role: Role | None = None
    is_active: bool | None = None


@attrs.frozen(kw_only=True)
class DeleteQuery:
    with_keys: bool = False
    """The API keys that the user made go, too."""


@attrs.frozen(kw_only=True)
class NewPasswordBody:
    new_password: Secret = attrs.field(validator=short, repr=False)


@attrs.frozen(kw_only=True)
class OwnPasswordBody:
    current_password: Secret = attrs.field(validator=short, repr=False)
    new_password: Secret = attrs.field(validator=short, repr=False)


@attrs.frozen(kw_only=True)
class KeyBody:
    name: str
    role: Role = Role.VIEWER
    scopes: list[Scope] | None = None


def _said(user: User, message: str) -> dict[str, object]:
    """Its fields at the top, as the existing frontend reads them, and as `user`."""
    record = user_record(user)
    return {"success": True, "message": message, **record, "user": record}


async def users(call: Call) -> Response:
    found = [user_record(user) for user in call.app.accounts.administration.users()]
    return answer({"success": True, "users": found, "total": len(found)})


async def user(call: Call) -> Response:
    found = call.app.accounts.administration.user(call.integer("user_id"))
    return answer(_said(found, found.username))


async def add(call: Call, body: RegisterBody) -> Response:
    made = await add_user(call, body)
    return answer(_said(made, f"{made.username} can log in"), 201)


async def edit(call: Call, body: UserEditBody) -> Response:
    wanted = UserEdit(email=body.email, full_name=body.full_name, role=body.role, active=body.is_active)
    administration = call.app.accounts.administration
    changed = await administration.edit_user(
        call.integer("user_id"), wanted, caller=call.caller, peer=call.peer
    )
    keys = [key.name for key in administration.keys_beyond(changed)]
    more = f"; API keys that {changed.username} made may do more: {', '.join(keys)}" if keys else ""
    return answer({**_said(changed, f"{changed.username} was changed{more}"), "keys_beyond": keys})


async def delete(call: Call, query: DeleteQuery) -> Response:
    gone, made = await call.app.accounts.administration.delete_user(
        call.integer("user_id"), with_keys=query.with_keys, caller=call.caller, peer=call.peer
    )
    keys = [key.name for key in made]
    removed, left = (keys, []) if query.with_keys else ([], keys)
    more = ""
    if keys:
        fate = "count no longer" if query.with_keys else "go on counting"
        more = f"; API keys that {gone.username} made {fate}: {', '.join(keys)}"
    said = _said(gone, f"{gone.username} was deleted{more}")
    return answer({**said, "keys_removed": removed, "keys_left": left})


async def reset_password(call: Call, body: NewPasswordBody) -> Response:
    changed = await call.app.accounts.administration.set_password(
        call.integer("user_id"), body.new_password, caller=call.caller, peer=call.peer
    )
    return answer(_said(changed, f"{changed.username} has a new password, and is logged out"))


async def own_password(call: Call, body: OwnPasswordBody) -> Response:
    """The session that asks goes on; all others of the user end."""
    accounts, caller = call.app.accounts, call.caller
    if caller.user_id is None:
        raise Invalid(f"{caller.by} has no password", cure="`growyd user passwd NAME` sets that of a user")
    await accounts.logins.confirm(
        accounts.administration.user(caller.user_id), body.current_password, call.peer
    )
    changed = await accounts.administration.set_password(
        caller.user_id, body.new_password, caller=caller, peer=call.peer
    )
    return answer(_said(changed, "The password was changed"))


def _key_record(key: ApiKey) -> dict[str, object]:
    return {
        "name": key.name,
        "role": key.role.value,
        "scopes": None if key.scopes is None else sorted(scope.value for scope in key.scopes),
        "created_at": iso(key.created_ms),
        "created_by": key.created_by,
        "last_used_at": iso(key.last_used_ms),
    }


async def keys(call: Call) -> Response:
    found = [_key_record(key) for key in call.app.accounts.administration.api_keys()]
    return answer({"success": True, "data": found, "total": len(found)})


async def add_key(call: Call, body: KeyBody) -> Response:
    """The only answer that ever has the secret."""
    secret, key = await call.app.accounts.administration.add_key(
        body.name,
        body.role,
        None if body.scopes is None else frozenset(body.scopes),
        caller=call.caller,
        peer=call.peer,
    )
    message = "The key is shown this once"
    return answer({"success": True, "message": message, "key": secret, **_key_record(key)}, 201)


async def remove_key(call: Call) -> Response:
    gone = await call.app.accounts.administration.remove_key(
        call.path["name"], caller=call.caller, peer=call.peer
    )
    return answer({"success": True, "message": f"{gone.name} counts no longer", **_key_record(gone)})


def _admin(
    method: str,
    path: str,
    summary: str,
    handler: Callable[..., Awaitable[Response]],
    answers: Record | Answer,
    body: type | None = None,
    errors: tuple[type[GrowyError], ...] = (),
    query: type | None = None,
) -> Endpoint:
    return Endpoint(
        method=method,
        path=path,
        summary=summary,
        handler=handler,
        query=query,
        body=body,
        auth=Auth.ADMIN,
        answers=answers,
        errors=errors,
    )


ENDPOINTS = (
    _admin("GET", _USERS, "All users", users, shapes.USERS),
    _admin(
        "POST",
        _USERS,
        "Make an account",
        add,
        Answer(shapes.ONE_USER, 201),
        RegisterBody,
        (Duplicate, TooManyAttempts),
    ),
    _admin("GET", _USER, "One user", user, shapes.ONE_USER, errors=(NotFound,)),
    _admin("PATCH", _USER, "Change an account", edit, shapes.EDITED, UserEditBody, (NotFound, Duplicate)),
    _admin(
        "DELETE", _USER, "Delete an account", delete, shapes.DELETED, errors=(NotFound,), query=DeleteQuery
    ),
    _admin(
        "POST",
        f"{_USER}/reset-password",
        "Give somebody a new password",
        reset_password,
        shapes.ONE_USER,
        NewPasswordBody,
        (NotFound, TooManyAttempts),
    ),
    Endpoint(
        method="PATCH",
        path=f"{_USERS}/me/password",
        summary="Change one's own password",
        handler=own_password,
        body=OwnPasswordBody,
        auth=Auth.VIEWER,
        answers=shapes.ONE_USER,
        errors=(*shapes.LOGGING_IN, NotFound),
    ),
    _admin("GET", _KEYS, "All API keys, without their secrets", keys, shapes.KEYS),
    _admin("POST", _KEYS, "Make an API key", add_key, Answer(shapes.KEY_MADE, 201), KeyBody, (Duplicate,)),
    _admin(
        "DELETE", f"{_KEYS}/{{name}}", "Remove an API key", remove_key, shapes.KEY_GONE, errors=(NotFound,)
    ),
)
