"""Mosquitto's password file: bytes in, bytes out. Pure; it must never do I/O, and never show a password.

A line is `user:$7$<iterations>$<salt>$<hash>`, both in base64: a salt of 12 bytes and 64 bytes of PBKDF2-HMAC-SHA512.
That is what `mosquitto_passwd` of Mosquitto 2 writes. Lines of others stay as they are, byte for byte, in whatever form
their hashes are: also what no Mosquitto would take is not ours to mend.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

from growy.model.errors import Invalid

ITERATIONS = 1000
"""What Mosquitto 2.1 writes (2.0: 101); both read either. The broker computes it in its only thread whenever a client
connects: half a millisecond here, so that a fleet that comes back after a power cut does not stand in line."""
MOST_ITERATIONS = 10_000_000
"""More is no hash that somebody waits for; to compute it would be our fault."""
SALT_BYTES = 12
HASH_BYTES = 64
USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]{2,49}", re.ASCII)
LEAST_PASSWORD = 8
LONGEST_PASSWORD = 128

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_PBKDF2 = re.compile(rb"\$7\$(\d{1,8})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)")


def check_username(name: str) -> None:
    """Raises Invalid. Narrower than Mosquitto: no `:` and no line end can be in a file of lines, a `#` at the beginning
    is a comment, and blanks at the ends are cut off."""
    if not USERNAME.fullmatch(name):
        raise Invalid(
            "username: 3 to 50 letters, digits, '.', '_', '@' or '-', beginning with a letter, a digit or '_'"
        )


def check_password(password: str) -> None:
    """Raises Invalid, which does not repeat the password. Control characters cannot be typed into a device's portal."""
    if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(f"password: must have {LEAST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in password):
        raise Invalid("password: must not have control characters")
    try:
        password.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say
        raise Invalid("password: has characters that are no text") from None


def hash_of(password: str, *, salt: bytes | None = None, iterations: int = ITERATIONS) -> bytes:
    """`$7$...` of a password, with a new salt. Takes milliseconds: not for trio's thread."""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, HASH_BYTES)
    return b"$7$%d$%b$%b" % (iterations, base64.b64encode(salt), base64.b64encode(digest))


def users(content: bytes) -> list[str]:
    """Who stands in the file, in its order; names that are no UTF-8 with their bytes escaped."""
    return [name.decode("utf-8", "backslashreplace") for name in map(_user, _lines(content)) if name]


def matches(content: bytes, username: str, password: str) -> bool:
    """Whether this user has this password, in a `$7$` hash. Takes milliseconds."""
    for line in _lines(content):
        if _user(line) == username.encode():
            found = _PBKDF2.fullmatch(line.partition(b":")[2].strip())
            return found is not None and _same(password, int(found[1]), found[2], found[3])
    return False


def with_user(content: bytes, username: str, password_hash: bytes) -> bytes:
    """The file with this user and hash: in the place of the user's line, or at the end. Of a user who stood in it
    several times, one line is left: which of them counted was up to the version of Mosquitto.

    Raises Invalid: such a name could change other lines.
    """
    check_username(username)
    name = username.encode()
    line = name + b":" + password_hash + b"\n"
    lines: list[bytes] = []
    written = False
    for old in _lines(content):
        if _user(old) != name:
            lines.append(old)
        elif not written:
            lines.append(line)
            written = True
    if not written:
        if lines and not lines[-1].endswith(b"\n"):
            lines.append(b"\n")
        lines.append(line)
    return b"".join(lines)


def without_user(content: bytes, username: str) -> bytes:
    """The file without this user; all else is as it was."""
    return b"".join(line for line in _lines(content) if _user(line) != username.encode())


def _lines(content: bytes) -> list[bytes]:
    """With their ends; only a line feed ends a line, as for Mosquitto."""
    return _LINE.findall(content)


def _user(line: bytes) -> bytes | None:
    """Whose line it is, as Mosquitto reads it; None: a comment, or nobody's."""
    if line.startswith(b"#") or b":" not in line:
        return None
    return line.lstrip(b":").partition(b":")[0].strip() or None


def _same(password: str, iterations: int, salt: bytes, digest: bytes) -> bool:
    try:
        known_salt, known = base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except binascii.Error:
        return False
    if not 1 <= iterations <= MOST_ITERATIONS or len(known) != HASH_BYTES:
        return False
    computed = hashlib.pbkdf2_hmac("sha512", password.encode(), known_salt, iterations, HASH_BYTES)
    return hmac.compare_digest(computed, known)
