"""Logging in and out: `/api/v1/auth`. Passwords and tokens never leave this way but to whom they belong."""

from __future__ import annotations

import attrs
from attrs import validators as v

from growy.model.accounts import User
from growy.model.errors import AccessDenied, Duplicate, NotFound, TooManyAttempts, Unauthorized
from growy.model.people import Role
from growy.web.accounts.logins import Tokens
from growy.web.accounts.passwords import MOST
from growy.web.answers import Response, answer, iso
from growy.web.inputs import Secret
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import accounts as shapes

_AUTH = "/api/v1/auth"


def short(_: object, attribute: attrs.Attribute[Secret], said: Secret) -> None:
    """Of a password. How many characters it must have says whoever sets one; to log in, none is too short to be
    tried."""
    if len(said) > MOST:
        raise ValueError(f"Length of '{attribute.name}' must be <= {MOST}")


@attrs.frozen(kw_only=True)
class LoginBody:
    username: str = attrs.field(validator=[v.min_len(1), v.max_len(254)])
    """Or the e-mail address."""
    password: Secret = attrs.field(validator=short, repr=False)
    remember_me: bool = False


@attrs.frozen(kw_only=True)
class LoginForm:
    """As OAuth2 has it."""

    username: str = attrs.field(validator=[v.min_len(1), v.max_len(254)])
    password: Secret = attrs.field(validator=short, repr=False)


@attrs.frozen(kw_only=True)
class SetupBody:
    username: str
    password: Secret = attrs.field(validator=short, repr=False)
    email: str | None = None
    full_name: str | None = attrs.field(default=None, validator=v.optional(v.max_len(100)))
    setup_code: Secret = attrs.field(default=Secret(""), validator=v.max_len(64), repr=False)


@attrs.frozen(kw_only=True)
class RegisterBody:
    username: str
    password: Secret = attrs.field(validator=short, repr=False)
    email: str | None = None
    full_name: str | None = attrs.field(default=None, validator=v.optional(v.max_len(100)))
    role: Role = Role.VIEWER


@attrs.frozen(kw_only=True)
class RefreshBody:
    refresh_token: Secret = attrs.field(validator=v.max_len(4096), repr=False)


@attrs.frozen(kw_only=True)
class LogoutBody:
    refresh_token: Secret | None = attrs.field(default=None, repr=False)
    """Its session ends, with all its tokens: also when the access token is over, or not sent."""
    all_devices: bool = False


def user_record(user: User) -> dict[str, object]:
    """A user as clients see one."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "full_name": user.full_name or None,
        "role": user.role.value,
        "is_active": user.active,
        "created_at": iso(user.created_ms),
        "updated_at": iso(user.updated_ms),
    }


def _tokens(tokens: Tokens) -> dict[str, object]:
    return {
        "access_token": tokens.access,
        "refresh_token": tokens.refresh,
        "token_type": "bearer",
        "expires_in": tokens.expires_s,
    }


async def status(call: Call) -> Response:
    """Through the unix socket it has the setup code, too: who asks there may make users anyway."""
    app, logins = call.app, call.app.accounts.logins
    code = {"setup_code": logins.setup_code} if logins.setup_required and call.peer.trusted else {}
    return answer(
        {
            "success": True,
            "setup_required": logins.setup_required,
            "users_exist": not logins.setup_required,
            "setup_code_required": logins.setup_required and logins.needs_code(call.peer),
            **code,
            "mqtt_auth_enabled": app.broker_login or app.broker_logins.in_use,
            "mqtt_tls_enabled": app.broker_tls,
        }
    )


async def setup(call: Call, body: SetupBody) -> Response:
    tokens, user = await call.app.accounts.logins.setup(
        body.username,
        body.email or None,
        body.full_name or "",
        body.password,
        code=body.setup_code,
        peer=call.peer,
    )
    said = {"success": True, "message": f"{user.username} is the first administrator"}
    return answer({**said, "tokens": _tokens(tokens), "user": user_record(user)})


async def login(call: Call, body: LoginBody) -> Response:
    tokens, user = await call.app.accounts.logins.login(
        body.username, body.password, remember=body.remember_me, peer=call.peer
    )
    said = {"success": True, "message": f"{user.username} is logged in"}
    return answer({**said, "tokens": _tokens(tokens), "user": user_record(user)})


async def login_form(call: Call, body: LoginForm) -> Response:
    tokens, _ = await call.app.accounts.logins.login(
        body.username, body.password, remember=False, peer=call.peer
    )
    return answer({"success": True, **_tokens(tokens)})


async def register(call: Call, body: RegisterBody) -> Response:
    user = await add_user(call, body)
    return answer({"success": True, "message": f"{user.username} can log in", "user": user_record(user)})


async def add_user(call: Call, body: RegisterBody) -> User:
    return await call.app.accounts.administration.add_user(
        body.username,
        body.email or None,
        body.full_name or "",
        body.password,
        body.role,
        caller=call.caller,
        peer=call.peer,
    )


async def refresh(call: Call, body: RefreshBody) -> Response:
    tokens = await call.app.accounts.logins.refresh(body.refresh_token, call.peer)
    return answer({"success": True, "message": "Refreshed", "tokens": _tokens(tokens)})


async def logout(call: Call, body: LogoutBody) -> Response:
    """Also of who has nothing but a refresh token left: an access token is over after half an hour."""
    ended = await call.app.accounts.logins.logout(
        call.caller, body.refresh_token or "", all_devices=body.all_devices, peer=call.peer
    )
    return answer({"success": True, "message": "Logged out", "tokens_invalidated": ended})


async def me(call: Call) -> Response:
    """Who asks. A key and the unix socket have no account: their name and role are told."""
    caller = call.caller
    if caller.user_id is not None:
        user = call.app.accounts.administration.user(caller.user_id)
        return answer({"success": True, **user_record(user)})
    if caller.role is None:
        raise NotFound("Nobody is logged in")
    return answer(
        {
            "success": True,
            "id": None,
            "username": caller.name,
            "email": None,
            "full_name": None,
            "role": caller.role.value,
            "is_active": True,
            "created_at": None,
            "updated_at": None,
        }
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=f"{_AUTH}/status",
        summary="Whether a first user is needed",
        handler=status,
        auth=Auth.PUBLIC,
        answers=shapes.STATUS,
    ),
    Endpoint(
        method="POST",
        path=f"{_AUTH}/setup",
        summary="Make the first administrator",
        handler=setup,
        body=SetupBody,
        auth=Auth.PUBLIC,
        answers=shapes.LOGGED_IN,
        errors=(AccessDenied, TooManyAttempts),
    ),
    Endpoint(
        method="POST",
        path=f"{_AUTH}/login",
        summary="Log in",
        handler=login,
        body=LoginBody,
        auth=Auth.PUBLIC,
        answers=shapes.LOGGED_IN,
        errors=shapes.LOGGING_IN,
    ),
    Endpoint(
        method="POST",
        path=f"{_AUTH}/login/form",
        summary="Log in with a form, as OAuth2 has it",
        handler=login_form,
        body=LoginForm,
        form=True,
        auth=Auth.PUBLIC,
        answers=shapes.FORM_TOKENS,
        errors=shapes.LOGGING_IN,
    ),
    Endpoint(
        method="POST",
        path=f"{_AUTH}/register",
        summary="Make an account",
        handler=register,
        body=RegisterBody,
        auth=Auth.ADMIN,
        answers=shapes.REGISTERED,
        errors=(Duplicate, TooManyAttempts),
    ),
    Endpoint(
        method="POST",
        path=f"{_AUTH}/refresh",
        summary="New tokens for a refresh token",
        handler=refresh,
        body=RefreshBody,
        auth=Auth.PUBLIC,
        answers=shapes.REFRESHED,
        errors=shapes.REFRESHING,
    ),
    Endpoint(
        method="POST",
        path=f"{_AUTH}/logout",
        summary="Log out",
        handler=logout,
        body=LogoutBody,
        auth=Auth.PUBLIC,
        knows_caller=True,
        answers=shapes.LOGGED_OUT,
        errors=(Unauthorized,),
    ),
    Endpoint(
        method="GET",
        path=f"{_AUTH}/me",
        summary="Who asks",
        handler=me,
        auth=Auth.VIEWER,
        answers=shapes.ME,
        errors=(NotFound,),
    ),
)
