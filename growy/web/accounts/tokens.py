"""Tokens: signed statements of who logged in (JWT, HS256), and the key that they are signed with."""

from __future__ import annotations

import enum
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import jwt

from growy.model.errors import ConfigError, TokenExpired, Unauthorized
from growy.web.gate import NOT_VALID

if TYPE_CHECKING:
    from jwt.types import Options  # since PyJWT 2.10

KEY_FILE = "tokens.key"
KEY_BYTES = 64
_ALGORITHM = "HS256"


class TokenKind(enum.Enum):
    ACCESS = "access"
    REFRESH = "refresh"


@attrs.frozen(kw_only=True)
class Claims:
    """What a token states. Times are Unix seconds."""

    kind: TokenKind
    user_id: int
    session: str
    version: int
    number: str = ""
    """Of a refresh token: which of its session."""
    issued_s: int
    expires_s: int


class Signer:
    """Makes tokens and reads them. Pure."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, claims: Claims, role: str = "") -> str:
        """Args:
        role: told to clients that look into the token; growyd goes by the role that the user has now.
        """
        said: dict[str, object] = {
            "sub": str(claims.user_id),
            "type": claims.kind.value,
            "sid": claims.session,
            "token_version": claims.version,
            "iat": claims.issued_s,
            "exp": claims.expires_s,
        }
        if claims.number:
            said["jti"] = claims.number
        if role:
            said["role"] = role
        return jwt.encode(said, self._key, _ALGORITHM)

    def read(self, token: str, kind: TokenKind, now_s: float) -> Claims:
        """Raises Unauthorized: not ours, or of another kind; TokenExpired."""
        # The time is compared here: growyd's clock is not PyJWT's, and a Pi that has just started may be late.
        options: Options = {
            "require": ["sub", "type", "sid", "exp", "iat"],
            "verify_exp": False,
            "verify_iat": False,
        }
        try:
            said = jwt.decode(token, self._key, [_ALGORITHM], options)
            claims = Claims(
                kind=TokenKind(said["type"]),
                user_id=int(said["sub"]),
                session=str(said["sid"]),
                version=int(said["token_version"]),
                number=str(said.get("jti", "")),
                issued_s=int(said["iat"]),
                expires_s=int(said["exp"]),
            )
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            raise Unauthorized(NOT_VALID) from None
        if claims.kind is not kind:
            raise Unauthorized(NOT_VALID)
        if claims.expires_s <= now_s:
            raise TokenExpired(NOT_VALID)
        return claims


def signing_key(folder: Path) -> bytes:
    """The key in the folder, made there when there is none. Whoever reads it can be anybody: mode 0600.

    Raises:
        ConfigError: it cannot be read, or is no key.
    """
    path = folder / KEY_FILE
    try:
        if path.exists():
            path.chmod(0o600)
            key = path.read_bytes()
        else:
            key = secrets.token_bytes(KEY_BYTES)
            write_private(path, key)
    except OSError as error:
        raise ConfigError(f"{path} cannot be used: {error.strerror}") from error
    if len(key) < KEY_BYTES:
        raise ConfigError(
            f"{path} is no key for tokens", cure="Delete it: a new one is made, and everybody logs in again"
        )
    return key


def write_private(path: Path, content: bytes) -> None:
    """A file that only its owner can read, from its first moment; whole or not at all, also after a power cut.

    Raises OSError.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        fresh.unlink(missing_ok=True)
