"""Answers about users, logins and API keys."""

from __future__ import annotations

from growy.model.errors import InvalidCredentials, TokenExpired, TooManyAttempts, Unauthorized
from growy.model.people import Role, Scope
from growy.web.shape import (
    FLAG,
    INTEGER,
    TEXT,
    TIME,
    many,
    maybe,
    record,
    success,
    words,
)

LOGGING_IN = (InvalidCredentials, TooManyAttempts)
REFRESHING = (Unauthorized, TokenExpired, InvalidCredentials, TooManyAttempts)

_TOKENS = {
    "access_token": TEXT,
    "refresh_token": TEXT,
    "token_type": words("bearer"),
    "expires_in": INTEGER,
}
TOKENS = record("Tokens", **_TOKENS)
USER = record(
    "User",
    id=INTEGER,
    username=TEXT,
    email=maybe(TEXT),
    full_name=maybe(TEXT),
    role=words(Role),
    is_active=FLAG,
    created_at=maybe(TIME),
    updated_at=maybe(TIME),
)
STATUS = success(
    setup_required=FLAG,
    users_exist=FLAG,
    setup_code_required=FLAG,
    mqtt_auth_enabled=FLAG,
    mqtt_tls_enabled=FLAG,
).maybe_with(setup_code=TEXT)
LOGGED_IN = success(message=TEXT, tokens=TOKENS, user=USER)
FORM_TOKENS = success(**_TOKENS)
REFRESHED = success(message=TEXT, tokens=TOKENS)
REGISTERED = success(message=TEXT, user=USER)
LOGGED_OUT = success(message=TEXT, tokens_invalidated=INTEGER)
ME = success(**USER.fields).plus(id=maybe(INTEGER))
USERS = success(users=many(USER), total=INTEGER)
ONE_USER = success(message=TEXT, **USER.fields, user=USER)
EDITED = ONE_USER.plus(keys_beyond=many(TEXT))
DELETED = ONE_USER.plus(keys_removed=many(TEXT), keys_left=many(TEXT))
KEY = record(
    "ApiKey",
    name=TEXT,
    role=words(Role),
    scopes=maybe(many(words(Scope))),
    created_at=TIME,
    created_by=TEXT,
    last_used_at=maybe(TIME),
)
KEYS = success(data=many(KEY), total=INTEGER)
KEY_MADE = success(message=TEXT, key=TEXT, **KEY.fields)
KEY_GONE = success(message=TEXT, **KEY.fields)
